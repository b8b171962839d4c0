//! Every fault of the language that a cluster can be hit with, in the order of [`Kind::ALL`].

use std::time::Duration;

use model::fault::Answer;
use model::plan::{Group, Host, Plan, Step};
use model::{Fault, NodeId, Target};

use crate::audit::settling;
use crate::fault::{ends, sides};
use crate::kind::Kind;
use crate::schedule::FAILOVER;

/// One-way delays: within the patience of every client, and beyond that of most.
const DELAYS: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(900)];
/// How late a Sentinel answers, or announces: within the patience of every client, and beyond that of most.
const LATE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(2)];
/// Jumps of a clock, in milliseconds: into tilt mode and out of it after a while, and far.
const JUMPS_MS: [i64; 4] = [3_000, -3_000, 60_000, -60_000];

/// What an operator may say to a node whenever it is, at least.
const PAUSE: [&str; 4] = ["CLIENT", "PAUSE", "1000", "WRITE"];

/// How long after `fault` everything heals, and a lasting one stands: long enough to be found down and failed over, and where roles
/// were changed by hand, for the Sentinels to put them right by themselves, if they can.
pub(super) fn hold(plan: &Plan, fault: &Fault) -> Duration {
    let of_group = |group: &Group| match fault {
        Fault::Demote(_) | Fault::ReplicaOf { .. } => settling(group, true),
        _ => group.down_after + FAILOVER,
    };
    plan.cluster.groups.iter().map(of_group).max().unwrap_or_default()
}

/// Every fault, and why there is none of some kinds.
pub(super) fn faults(plan: &Plan) -> (Vec<Fault>, Vec<String>) {
    let mut all = Vec::new();
    let mut left_out = Vec::new();
    for kind in Kind::ALL {
        let faults = of_kind(*kind, plan);
        if faults.is_empty() {
            left_out.push(format!("{kind}: there is nothing in this cluster for it"));
        }
        all.extend(faults);
    }
    (all, left_out)
}

fn of_kind(kind: Kind, plan: &Plan) -> Vec<Fault> {
    let cluster = &plan.cluster;
    let data: Vec<NodeId> = cluster.data_nodes().into_iter().map(|(node, _)| node).collect();
    let sentinels = cluster.sentinel_nodes();
    let at = |nodes: &[NodeId], fault: fn(Target) -> Fault| -> Vec<Fault> {
        nodes.iter().map(|node| fault(Target::Node(*node))).collect()
    };
    // What ends or stops a process: each alone, and as many as make a difference together.
    let processes = |fault: fn(Target) -> Fault| {
        let mut faults = at(&data, fault);
        faults.extend(at(&sentinels, fault));
        if sentinels.len() > 1 {
            faults.push(fault(Target::SentinelsMajority));
        }
        if data.len() > 2 {
            faults.push(fault(Target::Replicas(None)));
        }
        faults
    };
    let client = plan.clients.first().map_or("", |client| client.id.as_str());
    let lies = |answers: Vec<Answer>| -> Vec<Fault> {
        let lie = |target: Target| {
            answers.iter().cloned().map(move |answer| Fault::Override { target: target.clone(), answer })
        };
        sentinels.iter().flat_map(|node| lie(Target::Node(*node))).collect()
    };
    match kind {
        Kind::Kill => processes(Fault::Kill),
        Kind::Restart => vec![Fault::Restart(Target::All)],
        Kind::Shutdown => processes(Fault::Shutdown),
        Kind::Freeze => processes(Fault::Freeze),
        Kind::Thaw => vec![Fault::Thaw(Target::All)],
        Kind::DebugSleep => at(&data, Fault::DebugSleep),
        Kind::Hang => processes(Fault::Hang),
        Kind::Unreachable => processes(Fault::Unreachable),
        Kind::Latency => {
            let latency = |(between, and)| {
                DELAYS.map(move |delay| {
                    let (between, and) = (Target::clone(&between), Target::clone(&and));
                    Fault::Latency { between, and, delay, jitter: Duration::ZERO }
                })
            };
            ends(client).into_iter().flat_map(latency).collect()
        }
        Kind::Cut => {
            let mut faults = at(&data, Fault::Cut);
            faults.extend(at(&sentinels, Fault::Cut));
            faults.push(Fault::Cut(Target::All));
            faults
        }
        Kind::Silence => {
            let mut faults = at(&data, Fault::Silence);
            faults.extend(at(&sentinels, Fault::Silence));
            faults
        }
        Kind::Send => {
            let command = PAUSE.map(str::to_owned).to_vec();
            let send =
                |node: &NodeId| Fault::Send { target: Target::Node(*node), command: command.clone(), undo: None };
            data.iter().map(send).collect()
        }
        Kind::Partition => {
            splits(plan, client).map(|(from, to)| Fault::Partition { from, to, one_way: false }).collect()
        }
        Kind::OneWayPartition => splits(plan, client)
            .flat_map(|(from, to)| [(from.clone(), to.clone()), (to, from)])
            .map(|(from, to)| Fault::Partition { from, to, one_way: true })
            .collect(),
        Kind::CutReply => vec![Fault::CutReply { target: Target::All, command: None, times: 1 }],
        Kind::Failover => {
            let names = cluster.groups.iter().map(|group| group.name.clone());
            names.map(|name| Fault::Failover { via: None, master: Some(name) }).collect()
        }
        Kind::Loading => at(&data, Fault::Loading),
        Kind::Demote => {
            let names = cluster.groups.iter().map(|group| group.name.clone());
            names.map(|name| Fault::Demote(Target::Master(Some(name)))).collect()
        }
        Kind::ReplicaOf => {
            let mut faults = Vec::new();
            for (node, group) in cluster.data_nodes() {
                let target = Target::Node(node);
                faults.push(Fault::ReplicaOf { target: target.clone(), of: None });
                let others = cluster.data_nodes().into_iter().filter(|(other, of)| *of == group && *other != node);
                let follow = others.map(|(other, _)| Some(Target::Node(other)));
                faults.extend(follow.map(|of| Fault::ReplicaOf { target: target.clone(), of }));
            }
            faults
        }
        Kind::ClientKill => at(&data, Fault::ClientKill),
        Kind::KeepClients => at(&data, Fault::KeepClients),
        Kind::ClockJump => {
            let jump = |node: &NodeId| {
                let target = Target::Node(*node);
                JUMPS_MS.map(|by_ms| Fault::ClockJump { target: target.clone(), by_ms })
            };
            sentinels.iter().flat_map(jump).collect()
        }
        Kind::Resolve => {
            let places = || data.iter().chain(&sentinels).map(|node| Some(Host::Node(*node)));
            let resolve = |(name, now): (&String, &Host)| {
                let now = Some(*now);
                let to = std::iter::once(None).chain(places()).filter(move |to| *to != now);
                let name = name.clone();
                to.map(move |to| Fault::Resolve { name: name.clone(), to }).collect::<Vec<_>>()
            };
            cluster.hosts.iter().flat_map(resolve).collect()
        }
        // Whoever knows a node by its address never finds it again.
        Kind::Move => {
            let named = data.iter().chain(&sentinels).filter(|node| cluster.host_name(**node).is_some());
            let places = named.zip(1..=u8::MAX);
            places
                .map(|(node, number)| Fault::Move { target: Target::Node(*node), to: [10, 1, 0, number].into() })
                .collect()
        }
        Kind::Heal => vec![Fault::Heal(Target::All)],
        Kind::StaleAnswer => lies(vec![Answer::Stale]),
        Kind::NullAnswer => lies(vec![Answer::Null]),
        Kind::ErrorAnswer => lies(vec![Answer::Error("ERR busy".to_owned())]),
        Kind::SlowAnswer => lies(LATE.map(Answer::Slow).to_vec()),
        Kind::NoAnswer => lies(vec![Answer::Hang]),
        Kind::WrongAddress => lies(data.iter().map(|node| Answer::WrongAddress(Target::Node(*node))).collect()),
        Kind::NoSwitchEvent => lies(vec![Answer::NoSwitchEvent]),
        Kind::LateSwitchEvent => lies(LATE.map(Answer::LateSwitchEvent).to_vec()),
    }
}

/// The sides of partitions that this plan can have.
fn splits(plan: &Plan, client: &str) -> impl Iterator<Item = (Vec<Target>, Vec<Target>)> {
    let cluster = &plan.cluster;
    let of_nodes = cluster.nodes().into_iter().map(|node| cluster.zone(node).to_owned());
    let mut zones: Vec<String> = of_nodes.chain(plan.clients.iter().map(|client| client.zone.clone())).collect();
    zones.sort_unstable();
    zones.dedup();
    let two = if let [a, b, ..] = &zones[..] { Some([a.as_str(), b.as_str()]) } else { None };
    sides(client, two).into_iter()
}

/// The step that hits with `fault`.
pub(super) fn step(when: model::plan::Trigger, fault: Fault, hold: Duration) -> Step {
    Step { when, lasting: fault.lasts().then_some(hold), fault }
}
