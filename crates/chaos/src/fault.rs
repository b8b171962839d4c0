//! Strategies for single faults. Targets are roles or nodes that every cluster has, so that a fault does not depend on
//! the topology that is drawn beside it. Alternatives stand in the order of simplicity: shrinking goes to the first.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use model::fault::Answer;
use model::{Fault, NodeId, Target};
use proptest::prelude::*;
use proptest::sample::select;

use crate::kind::Kind;
use crate::topology::{CLIENT, ZONES, host_name};

/// A fault and for how long it stands.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Blow {
    pub(crate) fault: Fault,
    pub(crate) lasting: Option<Duration>,
}

/// A command that an operator may give, and what takes it back, if anything does.
type Order = (&'static str, Option<&'static str>);

const DATA_ORDERS: [Order; 5] = [
    ("CLIENT PAUSE 1000 WRITE", None),
    ("CLIENT PAUSE 500 ALL", None),
    ("SCRIPT FLUSH", None),
    ("CLIENT KILL TYPE pubsub", None),
    ("CONFIG SET min-replicas-to-write 5", Some("CONFIG SET min-replicas-to-write 0")),
];
/// Not `SENTINEL RESET`: one that leads a failover then has the new epoch and the old master, and disagrees with the others
/// for good, as in Redis.
const SENTINEL_ORDERS: [Order; 2] = [("CLIENT KILL TYPE pubsub", None), ("CLIENT KILL TYPE normal", None)];

fn order((target, (command, undo)): (Target, Order)) -> Fault {
    let words = |line: &str| line.split(' ').map(str::to_owned).collect();
    Fault::Send { target, command: words(command), undo: undo.map(words) }
}

/// Durations, in milliseconds: mostly multiples of a tenth of the way, which are rounder.
pub(crate) fn ms(range: RangeInclusive<u64>) -> impl Strategy<Value = Duration> + Clone {
    let (low, high) = range.into_inner();
    let step = [1_000, 500, 100, 10].into_iter().find(|step| (high - low) / step >= 4).unwrap_or(1);
    let fine = prop_oneof![3 => Just(0), 1 => 0..step];
    (0..=(high - low) / step, fine)
        .prop_map(move |(steps, fine)| Duration::from_millis((low + steps * step + fine).min(high)))
}

fn data() -> impl Strategy<Value = Target> + Clone {
    prop_oneof![
        4 => Just(Target::Master(None)),
        3 => Just(Target::ReplicaBest(None)),
        2 => Just(Target::Replicas(None)),
        1 => Just(Target::ReplicaOther(None)),
        1 => Just(Target::Node(NodeId::data(2))),
    ]
}

fn sentinel() -> impl Strategy<Value = Target> + Clone {
    prop_oneof![
        3 => Just(Target::Node(NodeId::sentinel(1))),
        2 => Just(Target::Node(NodeId::sentinel(2))),
        3 => Just(Target::SentinelLeader),
        3 => Just(Target::SentinelsMinority),
    ]
}

/// Any node that a process fault may hit.
fn node() -> impl Strategy<Value = Target> + Clone {
    prop_oneof![10 => data(), 10 => sentinel(), 1 => Just(Target::SentinelsMajority)]
}

/// Two sides for each partition: around the master, this client, and the zones if there are two.
pub(crate) fn sides(client: &str, zones: Option<[&str; 2]>) -> Vec<(Vec<Target>, Vec<Target>)> {
    let client = Target::Client(client.to_owned());
    let mut sides = vec![
        (vec![Target::Master(None)], vec![Target::Sentinels]),
        (vec![client.clone()], vec![Target::Master(None)]),
        (vec![client.clone()], vec![Target::Sentinels]),
    ];
    sides.extend(zones.map(|zones| {
        let [a, b] = zones.map(|zone| vec![Target::Zone(zone.to_owned())]);
        (a, b)
    }));
    sides.extend([
        (vec![Target::Master(None)], vec![Target::Sentinels, Target::Replicas(None)]),
        (vec![Target::Master(None), client.clone()], vec![Target::Sentinels, Target::Replicas(None)]),
        (vec![Target::Master(None)], vec![Target::Replicas(None)]),
        (vec![Target::Replicas(None)], vec![Target::Sentinels]),
        (vec![Target::SentinelsMinority], vec![Target::All]),
        (vec![Target::SentinelLeader], vec![Target::Master(None), Target::Replicas(None)]),
        (vec![client], vec![Target::All]),
    ]);
    sides
}

/// Two ends for each delay.
pub(crate) fn ends(client: &str) -> Vec<(Target, Target)> {
    let client = || Target::Client(client.to_owned());
    vec![
        (client(), Target::All),
        (client(), Target::Master(None)),
        (client(), Target::Sentinels),
        (Target::Sentinels, Target::Master(None)),
        (Target::Sentinels, Target::Replicas(None)),
        (Target::Master(None), Target::Replicas(None)),
        (Target::All, Target::All),
    ]
}

fn any_sides() -> impl Strategy<Value = (Vec<Target>, Vec<Target>)> + Clone {
    select(sides(CLIENT, Some(ZONES)))
}

fn lying(answer: impl Strategy<Value = Answer> + 'static) -> BoxedStrategy<Fault> {
    (sentinel(), answer).prop_map(|(target, answer)| Fault::Override { target, answer }).boxed()
}

/// A fault of this kind, with how long it lasts if it does.
pub(crate) fn blow(kind: Kind) -> BoxedStrategy<Blow> {
    let fault = match kind {
        Kind::Kill => node().prop_map(Fault::Kill).boxed(),
        Kind::Restart => Just(Fault::Restart(Target::All)).boxed(),
        Kind::Shutdown => node().prop_map(Fault::Shutdown).boxed(),
        Kind::Freeze => node().prop_map(Fault::Freeze).boxed(),
        Kind::Thaw => Just(Fault::Thaw(Target::All)).boxed(),
        Kind::DebugSleep => data().prop_map(Fault::DebugSleep).boxed(),
        Kind::Hang => node().prop_map(Fault::Hang).boxed(),
        Kind::Unreachable => node().prop_map(Fault::Unreachable).boxed(),
        Kind::Latency => {
            let delay = prop_oneof![ms(10..=100), ms(100..=900)];
            (select(ends(CLIENT)), delay, prop_oneof![Just(Duration::ZERO), ms(10..=100)])
                .prop_map(|((between, and), delay, jitter)| Fault::Latency { between, and, delay, jitter })
                .boxed()
        }
        Kind::Cut => prop_oneof![Just(Target::Master(None)), node(), Just(Target::All)].prop_map(Fault::Cut).boxed(),
        Kind::Partition => any_sides().prop_map(|(from, to)| Fault::Partition { from, to, one_way: false }).boxed(),
        Kind::OneWayPartition => (any_sides(), any::<bool>())
            .prop_map(|((from, to), back)| {
                let (from, to) = if back { (to, from) } else { (from, to) };
                Fault::Partition { from, to, one_way: true }
            })
            .boxed(),
        Kind::CutReply => {
            (1_u32..=3).prop_map(|times| Fault::CutReply { target: Target::All, command: None, times }).boxed()
        }
        Kind::Failover => Just(Fault::Failover { via: None, master: None }).boxed(),
        Kind::Loading => data().prop_map(Fault::Loading).boxed(),
        Kind::Demote => Just(Fault::Demote(Target::Master(None))).boxed(),
        // Behind Sentinel's back a replica becomes a second master.
        Kind::ReplicaOf => Just(Fault::ReplicaOf { target: Target::ReplicaBest(None), of: None }).boxed(),
        Kind::ClientKill => data().prop_map(Fault::ClientKill).boxed(),
        Kind::KeepClients => data().prop_map(Fault::KeepClients).boxed(),
        Kind::ClockJump => (sentinel(), select(vec![3_000, -3_000, 60_000, -60_000, 2_500]))
            .prop_map(|(target, by_ms)| Fault::ClockJump { target, by_ms })
            .boxed(),
        Kind::Silence => prop_oneof![Just(Target::Master(None)), node()].prop_map(Fault::Silence).boxed(),
        Kind::Send => prop_oneof![
            3 => (data(), select(DATA_ORDERS.to_vec())).prop_map(order),
            2 => (sentinel(), select(SENTINEL_ORDERS.to_vec())).prop_map(order),
        ]
        .boxed(),
        // Not those of data nodes: Sentinels that cannot look up the new master as it is announced stay with the old one for good, as in
        // Redis.
        Kind::Resolve => select(vec![NodeId::sentinel(1), NodeId::sentinel(2)])
            .prop_map(|node| Fault::Resolve { name: host_name(node), to: None })
            .boxed(),
        // The address is given when the schedule is made a plan, to each move its own.
        Kind::Move => prop_oneof![
            2 => select(vec![NodeId::sentinel(1), NodeId::sentinel(2)]).prop_map(Target::Node),
            1 => Just(Target::Master(None)),
            1 => Just(Target::ReplicaBest(None)),
        ]
        .prop_map(|target| Fault::Move { target, to: IpAddr::from([0, 0, 0, 0]) })
        .boxed(),
        Kind::Heal => Just(Fault::Heal(Target::All)).boxed(),
        Kind::StaleAnswer => lying(Just(Answer::Stale)),
        Kind::NullAnswer => lying(Just(Answer::Null)),
        Kind::ErrorAnswer => {
            lying(select(vec!["ERR busy", "LOADING loading", "NOAUTH no"]).prop_map(|text| Answer::Error(text.into())))
        }
        Kind::SlowAnswer => lying(prop_oneof![ms(50..=500), ms(500..=3_000)].prop_map(Answer::Slow)),
        Kind::NoAnswer => lying(Just(Answer::Hang)),
        Kind::WrongAddress => lying(
            select(vec![Target::Node(NodeId::data(1)), Target::Node(NodeId::data(2))]).prop_map(Answer::WrongAddress),
        ),
        Kind::NoSwitchEvent => lying(Just(Answer::NoSwitchEvent)),
        Kind::LateSwitchEvent => lying(ms(200..=5_000).prop_map(Answer::LateSwitchEvent)),
    };
    (fault, lasting()).prop_map(|(fault, lasting)| Blow { lasting: fault.lasts().then_some(lasting), fault }).boxed()
}

fn lasting() -> impl Strategy<Value = Duration> + Clone {
    prop_oneof![3 => ms(100..=3_000), 2 => ms(1_000..=10_000)]
}
