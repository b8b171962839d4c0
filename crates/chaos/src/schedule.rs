//! [`Schedule`]: what is drawn, and the plan that it comes to.
//!
//! ```text
//! start      3s       8s                          heal                    end
//!   | discovery | quiet | episode | episode | ...  |   convergence          |
//!                         └ faults before it, its cause, faults at its phases and after it
//! ```
//!
//! Each episode has a cause for which the master has to change, surrounded by other faults, which may spoil the failover: then
//! another follows, or the master is back before. What a fault needs in order to hit something is arranged here, when the plan is
//! made: a replica to be killed, a Sentinel beside the one that is lost, names that can be lost, a master that is there, and a client
//! that can be held to success. Everything heals at the end of the fault phase, and the cluster and its clients have until the end of
//! the run to recover.

use std::net::Ipv6Addr;
use std::time::Duration;

use model::plan::{Cluster, Expect, Plan, Step, Trigger, Workload};
use model::{EventName, Fault, NodeKind, Seed, Target};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{Union, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::audit::{has_usurper, settling};
use crate::fault::{Blow, blow, ms};
use crate::kind::Kind;
use crate::nemesis::Nemesis;
use crate::phase::PLACES;
use crate::profile::Mix;
use crate::topology::{Network, Topology, Worker, divide, topology, worker};

/// The earliest cause: the cluster knows itself after three seconds, and the clients have worked for some.
const FIRST: Duration = Duration::from_secs(8);
/// From a cause on, beside `down_after`, until the new master is known to everybody.
pub(crate) const FAILOVER: Duration = Duration::from_secs(5);
/// How much longer a run takes than the cluster needs to settle.
const MARGIN: Duration = Duration::from_secs(3);
/// The budget of a subscriber whose connection may fall silent: what nobody tells it, it finds out by asking now and then.
const SILENT: Duration = Duration::from_secs(15);
/// A Sentinel whose clock jumped, or that stood still, does nothing for this long.
const TILT: Duration = Duration::from_secs(31);

/// What is drawn from a seed.
#[derive(Clone, Debug)]
pub struct Schedule {
    topology: Topology,
    workers: Vec<Worker>,
    episodes: Vec<Episode>,
    /// Between the last episode and the heal.
    slack: Duration,
}

/// A change of master and what surrounds it.
#[derive(Clone, Debug)]
struct Episode {
    gap: Duration,
    cause: Cause,
    end: End,
    companions: Vec<Companion>,
}

/// What makes the master change.
#[derive(Clone, Debug)]
enum Cause {
    Failover,
    Kill,
    Shutdown,
    Freeze,
    Unreachable,
    /// The master is cut off from the Sentinels, and from so many others.
    Partition(Vec<Target>),
}

/// When the cause ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// When everything heals.
    Heal,
    /// This long after it could have done its work.
    After(Duration),
    /// This long after the change was announced, by the counterpart of the fault.
    OnSwitch(Duration),
}

/// A fault beside the cause.
#[derive(Clone, Debug)]
struct Companion {
    place: Place,
    blow: Blow,
}

/// Where a companion stands.
#[derive(Clone, Copy, Debug)]
enum Place {
    Before(Duration),
    After(Duration),
    On(EventName, Duration),
}

/// What schedules of `mix` are drawn from.
pub fn strategy(mix: &Mix) -> impl Strategy<Value = Schedule> + use<> {
    let episodes = vec(episode(mix), 1..=mix.profile.episodes());
    // Shrinking goes through them in this order: fewer faults make every further step cheaper.
    (episodes, vec(worker(mix), 1..=3), topology(mix), ms(0..=4_000))
        .prop_map(|(episodes, workers, topology, slack)| Schedule { topology, workers, episodes, slack })
}

/// What is drawn from a seed: a function of the seed and the mix alone.
pub fn draw(mix: &Mix, seed: u64) -> impl ValueTree<Value = Schedule> + use<> {
    let mut bytes = [0; 32];
    Seed(seed).stream("chaos").fill_bytes(&mut bytes);
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config { failure_persistence: None, ..Config::default() }, rng);
    strategy(mix).new_tree(&mut runner).expect("the strategies reject nothing")
}

/// The plan of a seed.
pub fn plan(mix: &Mix, seed: u64) -> Plan {
    draw(mix, seed).current().plan(&format!("chaos of profile {mix}, seed {seed}"))
}

fn episode(mix: &Mix) -> impl Strategy<Value = Episode> + use<> {
    let end = prop_oneof![
        1 => Just(End::Heal),
        2 => ms(0..=8_000).prop_map(End::After),
        3 => ms(2_000..=6_000).prop_map(End::OnSwitch),
    ];
    (ms(0..=6_000), cause(mix), end, vec(companion(mix), 0..=mix.companions()))
        .prop_map(|(gap, cause, end, companions)| Episode { gap, cause, end, companions })
}

fn cause(mix: &Mix) -> impl Strategy<Value = Cause> + use<> {
    let others = select(vec![vec![], vec![Target::Replicas(None)], vec![Target::All]]);
    let of = |nemesis: Nemesis, cause: BoxedStrategy<Cause>| (mix.weight(nemesis), cause);
    let mut causes = vec![
        of(Nemesis::Usurper, Just(Cause::Failover).boxed()),
        of(Nemesis::Reaper, Just(Cause::Kill).boxed()),
        of(Nemesis::Reaper, Just(Cause::Shutdown).boxed()),
        of(Nemesis::Freezer, Just(Cause::Freeze).boxed()),
        of(Nemesis::Splitter, Just(Cause::Unreachable).boxed()),
        of(Nemesis::Splitter, others.prop_map(Cause::Partition).boxed()),
    ];
    causes.retain(|(weight, _)| *weight > 0);
    if causes.is_empty() {
        // None of the nemeses changes the master: something has to.
        causes.push((1, Just(Cause::Failover).boxed()));
    }
    let takes_it_down = [Nemesis::Reaper, Nemesis::Freezer, Nemesis::Splitter];
    if takes_it_down.into_iter().all(|nemesis| mix.weight(nemesis) == 0) {
        // Otherwise no Sentinel would ever find it down.
        causes.push((1, Just(Cause::Kill).boxed()));
    }
    Union::new_weighted(causes)
}

fn companion(mix: &Mix) -> impl Strategy<Value = Companion> + use<> {
    let weight = |kind: Kind| {
        let nemesis = Nemesis::of(kind)?;
        if !mix.has(kind) {
            return None;
        }
        // Each nemesis counts once, however many kinds it has.
        let share = mix.weight(nemesis) * 60 / u32::try_from(nemesis.kinds().count()).unwrap_or(1);
        (share > 0).then(|| (share, blow(kind)))
    };
    let blows = Union::new_weighted(Kind::ALL.iter().filter_map(|kind| weight(*kind)).collect());
    let place = prop_oneof![
        2 => ms(0..=8_000).prop_map(Place::After),
        2 => ms(300..=3_000).prop_map(Place::Before),
        4 => (select(PLACES.to_vec()), prop_oneof![Just(Duration::ZERO), ms(0..=300), ms(0..=1_500)])
            .prop_map(|(event, after)| Place::On(event, after)),
    ];
    (place, blows).prop_map(|(place, blow)| Companion { place, blow })
}

impl Schedule {
    /// How many faults it has, without those that undo others.
    pub fn faults(plan: &Plan) -> usize {
        plan.timeline.iter().filter(|step| Nemesis::of(Kind::of(&step.fault)).is_some()).count()
    }

    /// The plan that it comes to.
    pub fn plan(&self, title: &str) -> Plan {
        let topology = self.arranged();
        let mut timeline = Vec::new();
        let mut at = FIRST;
        for episode in &self.episodes {
            at += episode.gap;
            episode.put(at, &topology, &mut timeline);
            at += topology.down_after + FAILOVER + episode.delay(&topology);
        }
        let heal = at + self.slack;
        timeline.push(Step { when: Trigger::At(heal), fault: Fault::Heal(Target::All), lasting: None });
        let mut cluster = topology.cluster();
        let run_for = heal + recovery(&cluster, &timeline);
        let mut clients: Vec<_> =
            self.workers.iter().enumerate().map(|(index, worker)| worker.client(index, "mymaster", &cluster)).collect();
        if topology.second
            && clients.len() > 1
            && let Some(last) = clients.last_mut()
        {
            last.master.clone_from(&cluster.groups[1].name);
        }
        if timeline.iter().any(|step| matches!(step.fault, Fault::Silence(_))) {
            for listener in clients.iter_mut().filter(|client| client.workload == Workload::PubSub) {
                listener.budget = SILENT;
            }
        }
        let ipv6 = topology.network == Network::V6;
        let moves = timeline.iter_mut().filter_map(|step| match &mut step.fault {
            Fault::Move { to, .. } => Some(to),
            _ => None,
        });
        for (number, to) in (1..).zip(moves) {
            *to = if ipv6 {
                Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 2, number).into()
            } else {
                [10, 1, 0, number as u8].into()
            };
        }
        let by_zone = |target: &&Target| matches!(target, Target::Zone(_));
        if timeline.iter().any(|step| step.fault.targets().iter().any(by_zone)) {
            divide(&mut cluster, &mut clients);
        }
        Plan { title: title.to_owned(), cluster, clients, timeline, run_for, expect: Expect::default() }
    }

    /// The topology with as many nodes as the faults need in order to hit something and a master to be found, and with settings under
    /// which some client has to succeed.
    fn arranged(&self) -> Topology {
        let mut topology = self.topology.clone();
        let companions = || self.episodes.iter().flat_map(|episode| &episode.companions);
        let hits = |kind: NodeKind| {
            let is_hit = |fault: &Fault| fault.targets().into_iter().any(|target| of_kind(target, kind));
            // Those of Sentinels are the names that are lost.
            let is_named = |fault: &Fault| kind == NodeKind::Sentinel && matches!(fault, Fault::Resolve { .. });
            companions().map(|companion| &companion.blow.fault).any(|fault| is_hit(fault) || is_named(fault))
        };
        let replicas = self.episodes.len() + usize::from(topology.passive) + usize::from(hits(NodeKind::Data));
        topology.replicas = topology.replicas.max(u16::try_from(replicas).unwrap_or(1));
        if hits(NodeKind::Sentinel) {
            topology.sentinels = topology.sentinels.max(3);
            topology.quorum = crate::topology::Quorum::Majority;
        }
        topology.network =
            companions().fold(topology.network, |network, companion| network.with(&companion.blow.fault));
        // When a replica that serves no stale data answers is not known, so that nobody who only reads from replicas is held to anything.
        topology.serves_nothing_stale &= !self.workers.iter().all(|worker| worker.workload == Workload::ReplicaReads);
        topology
    }
}

/// How long a run goes on after everything healed: until cluster and clients must have recovered from `timeline`.
pub(crate) fn recovery(cluster: &Cluster, timeline: &[Step]) -> Duration {
    let tilts = |step: &Step| match &step.fault {
        Fault::ClockJump { .. } => true,
        Fault::Freeze(target) => of_kind(target, NodeKind::Sentinel),
        _ => false,
    };
    let tilt = if timeline.iter().any(tilts) { TILT } else { Duration::ZERO };
    // Who leads a failover waits by its clock.
    let put_back = |step: &Step| match &step.fault {
        Fault::ClockJump { by_ms, .. } if *by_ms < 0 => Duration::from_millis(by_ms.unsigned_abs()),
        _ => Duration::ZERO,
    };
    let put_back: Duration = timeline.iter().map(put_back).sum();
    let usurped = has_usurper(timeline);
    let settling = cluster.groups.iter().map(|group| settling(group, usurped)).max().unwrap_or_default();
    tilt + put_back + settling + MARGIN
}

/// True if a target means nodes of a kind, or may.
fn of_kind(target: &Target, kind: NodeKind) -> bool {
    let of = match target {
        Target::Node(node) => node.kind,
        Target::Master(_)
        | Target::OldMaster(_)
        | Target::ReplicaBest(_)
        | Target::ReplicaOther(_)
        | Target::Replicas(_) => NodeKind::Data,
        Target::SentinelLeader | Target::SentinelsMinority | Target::SentinelsMajority | Target::Sentinels => {
            NodeKind::Sentinel
        }
        Target::Zone(_) | Target::All => return true,
        Target::Client(_) => return false,
    };
    of == kind
}

impl Episode {
    /// How much longer the change may take because of what stands in its way: Sentinels that cannot agree, or no replica that could be
    /// promoted.
    fn delay(&self, topology: &Topology) -> Duration {
        let disturbs = |companion: &&Companion| {
            let in_the_way =
                |target: &Target| of_kind(target, NodeKind::Sentinel) || matches!(target, Target::Replicas(_));
            companion.blow.fault.targets().into_iter().any(in_the_way)
        };
        let disturbed = self.companions.iter().filter(disturbs);
        disturbed
            .map(|companion| companion.blow.lasting.unwrap_or_default() + topology.failover_timeout * 2)
            .max()
            .unwrap_or_default()
    }

    fn put(&self, at: Duration, topology: &Topology, timeline: &mut Vec<Step>) {
        let mut before = Vec::new();
        let mut on: Vec<(usize, Duration, Blow)> = Vec::new();
        let mut after = Vec::new();
        let mut by_hand = matches!(self.cause, Cause::Failover);
        for companion in &self.companions {
            let Companion { mut place, mut blow } = companion.clone();
            if let Fault::Failover { .. } | Fault::Demote(_) = blow.fault {
                // A change of master by hand needs a cluster at rest, and one at a time: a second one is left out.
                if std::mem::replace(&mut by_hand, true) {
                    continue;
                }
                place = Place::Before(Duration::from_millis(500));
            }
            match place {
                Place::Before(by) => {
                    blow.gone_within(by);
                    before.push((at.saturating_sub(by), blow));
                }
                Place::After(by) => {
                    if self.takes_the_master_down() && by < topology.down_after + FAILOVER {
                        blow.spare_the_master();
                    }
                    after.push((at + by, blow));
                }
                Place::On(event, by) => {
                    let place = self.place(event, topology);
                    let known = PLACES[place] >= EventName::SwitchMaster && by >= Duration::from_millis(1_200);
                    if self.takes_the_master_down() && !known {
                        blow.spare_the_master();
                    }
                    if on.iter().any(|(other, ..)| *other == place) {
                        after.push((at + topology.down_after + by, blow));
                    } else {
                        on.push((place, by, blow));
                    }
                }
            }
        }
        before.sort_by_key(|(at, _)| *at);
        after.sort_by_key(|(at, _)| *at);
        on.sort_by_key(|(place, ..)| *place);
        let placed =
            |(at, blow): (Duration, Blow)| Step { when: Trigger::At(at), fault: blow.fault, lasting: blow.lasting };
        timeline.extend(before.into_iter().map(placed));
        timeline.push(self.cause(at, topology, &on));
        // A step waits for its event from when the step before it fired: that one must not be late.
        let ended = self.ended(&on);
        let last = on.len().saturating_sub(1);
        for (index, (place, by, blow)) in on.into_iter().enumerate() {
            let by = match &ended {
                _ if index < last => by.min(Duration::from_millis(10)),
                Some(_) => by.min(Duration::from_millis(300)),
                None => by,
            };
            timeline.push(Step {
                when: Trigger::On { event: PLACES[place], after: by },
                fault: blow.fault,
                lasting: blow.lasting,
            });
        }
        timeline.extend(ended);
        // Nobody goes on with a failover by hand that came to nothing but the operator.
        let delay = self.delay(topology);
        if !self.takes_the_master_down() && !delay.is_zero() {
            let again = Blow { fault: Fault::Failover { via: None, master: None }, lasting: None };
            after.push((at + topology.down_after + delay, again));
            after.sort_by_key(|(at, _)| *at);
        }
        timeline.extend(after.into_iter().map(placed));
    }

    /// The phase that stands for `event` in this cluster and with this cause.
    fn place(&self, event: EventName, topology: &Topology) -> usize {
        let index = |event| PLACES.iter().position(|place| *place == event).unwrap_or_default();
        let event = match event {
            EventName::ConfigUpdateFrom if topology.sentinels == 1 => EventName::SwitchMaster,
            EventName::SlaveReconfSent if topology.replicas < 2 => EventName::PromotedSlave,
            event => event,
        };
        // Nothing is seen down and nobody votes where the operator asks for it.
        let first = if self.takes_the_master_down() { 0 } else { index(EventName::ElectedLeader) };
        index(event).max(first)
    }

    const fn takes_the_master_down(&self) -> bool {
        !matches!(self.cause, Cause::Failover)
    }

    fn cause(&self, at: Duration, topology: &Topology, on: &[(usize, Duration, Blow)]) -> Step {
        let master = Target::Master(None);
        let fault = match &self.cause {
            Cause::Failover => Fault::Failover { via: None, master: None },
            Cause::Kill => Fault::Kill(master),
            Cause::Shutdown => Fault::Shutdown(master),
            Cause::Freeze => Fault::Freeze(master),
            Cause::Unreachable => Fault::Unreachable(master),
            Cause::Partition(others) => {
                let to = std::iter::once(Target::Sentinels).chain(others.iter().cloned()).collect();
                Fault::Partition { from: vec![master], to, one_way: false }
            }
        };
        let lasting = match self.end {
            End::After(by) => Some(topology.down_after + FAILOVER + self.delay(topology) + by),
            End::OnSwitch(by) if self.ended(on).is_none() => {
                Some(topology.down_after + FAILOVER + self.delay(topology) + by)
            }
            End::Heal | End::OnSwitch(_) => None,
        };
        Step { when: Trigger::At(at), lasting: lasting.filter(|_| fault.lasts()), fault }
    }

    /// The step that undoes the cause once the change was announced, if it ends so.
    fn ended(&self, on: &[(usize, Duration, Blow)]) -> Option<Step> {
        let End::OnSwitch(after) = self.end else { return None };
        if on.last().is_some_and(|(place, ..)| PLACES[*place] >= EventName::SwitchMaster) {
            return None;
        }
        let old = Target::OldMaster(None);
        let fault = match self.cause {
            Cause::Failover => return None,
            Cause::Kill | Cause::Shutdown => Fault::Restart(old),
            Cause::Freeze => Fault::Thaw(old),
            Cause::Unreachable | Cause::Partition(_) => Fault::Heal(old),
        };
        Some(Step { when: Trigger::On { event: EventName::SwitchMaster, after }, fault, lasting: None })
    }
}

impl Blow {
    /// Where the master is down, the best replica is hit instead, if the fault needs somebody who is up.
    fn spare_the_master(&mut self) {
        let target = match &mut self.fault {
            Fault::Kill(target)
            | Fault::Restart(target)
            | Fault::Shutdown(target)
            | Fault::Freeze(target)
            | Fault::Thaw(target)
            | Fault::DebugSleep(target)
            | Fault::Hang(target)
            | Fault::Unreachable(target)
            | Fault::Cut(target)
            | Fault::Silence(target)
            | Fault::Send { target, .. }
            | Fault::Loading(target)
            | Fault::Demote(target)
            | Fault::ReplicaOf { target, .. }
            | Fault::ClientKill(target)
            | Fault::KeepClients(target)
            | Fault::CutReply { target, .. } => target,
            Fault::Latency { .. }
            | Fault::Partition { .. }
            | Fault::Failover { .. }
            | Fault::ClockJump { .. }
            | Fault::Resolve { .. }
            | Fault::Move { .. }
            | Fault::Override { .. }
            | Fault::Heal(_) => return,
        };
        if let Target::Master(group) = target {
            *target = Target::ReplicaBest(group.take());
        }
    }

    /// What takes the master or all replicas away is over before the cause comes, so that there is a master for that, and one to follow it.
    fn gone_within(&mut self, by: Duration) {
        let most = by.saturating_sub(Duration::from_millis(200)).max(Duration::from_millis(100));
        let (Fault::Kill(target)
        | Fault::Shutdown(target)
        | Fault::Freeze(target)
        | Fault::DebugSleep(target)
        | Fault::Loading(target)
        | Fault::Unreachable(target)) = &self.fault
        else {
            return;
        };
        if matches!(target, Target::Master(_) | Target::Replicas(_)) {
            self.lasting = self.lasting.map(|lasting| lasting.min(most));
        }
    }
}
