//! Whom a target may mean, whatever the roles come to be in a run, and what follows from that for a plan: steps that undo
//! nothing, and what is never taken back.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::fault::{Fault, Target};
use crate::id::NodeId;
use crate::plan::{Plan, Step, Trigger};

/// Nodes and clients.
#[derive(Clone, Debug, Default)]
struct Reach {
    nodes: BTreeSet<NodeId>,
    clients: BTreeSet<String>,
}

impl Reach {
    fn meets(&self, other: &Self) -> bool {
        !self.nodes.is_disjoint(&other.nodes) || !self.clients.is_disjoint(&other.clients)
    }
}

impl Plan {
    /// The steps that can have nothing to undo: no step before them does anything to their target that they would undo and that is
    /// not over by then. One for `all` undoes whatever there may be, and is none of them.
    pub fn idle_steps(&self) -> Vec<usize> {
        let undoing = Undoing::new(self);
        let is_idle = |index: &usize| {
            let fault = &self.timeline[*index].fault;
            let undoes = matches!(fault, Fault::Restart(_) | Fault::Thaw(_) | Fault::Heal(_));
            let whatever = || fault.targets() == [&Target::All];
            undoes && !whatever() && !(0..self.timeline.len()).any(|other| undoing.may_undo(*index, other))
        };
        (0..self.timeline.len()).filter(is_idle).collect()
    }

    /// The steps that an operator would take back by a command, if it ever came to that: they do not end after a time, and nothing
    /// heals them.
    pub fn never_taken_back(&self) -> Vec<usize> {
        let undoing = Undoing::new(self);
        let is_left = |index: &usize| {
            let Step { fault, lasting, .. } = &self.timeline[*index];
            let is_heal = |other: &usize| matches!(self.timeline[*other].fault, Fault::Heal(_));
            let healed = || (0..self.timeline.len()).filter(is_heal).any(|other| undoing.may_undo(other, *index));
            matches!(fault, Fault::Send { undo: Some(_), .. }) && lasting.is_none() && !healed()
        };
        (0..self.timeline.len()).filter(is_left).collect()
    }

    /// The earliest moment at which each step can fire. One that waits for an event waits from when the step before it fired.
    pub fn earliest(&self) -> Vec<Duration> {
        let mut last = Duration::ZERO;
        let earliest = self.timeline.iter().map(|step| {
            last = match step.when {
                Trigger::At(at) => at,
                Trigger::On { after, .. } => last + after,
            };
            last
        });
        earliest.collect()
    }

    /// Everybody whom a fault may hit.
    fn reach(&self, fault: &Fault) -> Reach {
        let mut reach = Reach::default();
        for target in fault.targets() {
            let of_group = |name: &Option<String>| {
                let group = self.cluster.group_meant(name.as_deref());
                let members = self.cluster.data_nodes().into_iter().filter(move |(_, of)| Some(*of) == group);
                members.map(|(node, _)| node)
            };
            let clients = |zone: Option<&str>| {
                let inside = self.clients.iter().filter(move |client| zone.is_none_or(|zone| client.zone == zone));
                inside.map(|client| client.id.clone()).collect::<Vec<_>>()
            };
            match target {
                Target::Node(node) => reach.nodes.extend([*node]),
                Target::Master(group)
                | Target::OldMaster(group)
                | Target::ReplicaBest(group)
                | Target::ReplicaOther(group)
                | Target::Replicas(group) => reach.nodes.extend(of_group(group)),
                Target::SentinelLeader | Target::Sentinels => reach.nodes.extend(self.cluster.sentinel_nodes()),
                Target::SentinelsMinority => reach.nodes.extend(self.cluster.minority()),
                Target::SentinelsMajority => reach.nodes.extend(self.cluster.majority()),
                Target::Zone(zone) => {
                    reach
                        .nodes
                        .extend(self.cluster.nodes().into_iter().filter(|node| self.cluster.zone(*node) == zone));
                    reach.clients.extend(clients(Some(zone)));
                }
                Target::All => {
                    reach.nodes.extend(self.cluster.nodes());
                    reach.clients.extend(clients(None));
                }
                Target::Client(client) => reach.clients.extend([client.clone()]),
            }
        }
        reach
    }
}

/// Who undoes what.
struct Undoing<'a> {
    plan: &'a Plan,
    earliest: Vec<Duration>,
    reach: Vec<Reach>,
}

impl<'a> Undoing<'a> {
    fn new(plan: &'a Plan) -> Self {
        let reach = plan.timeline.iter().map(|step| plan.reach(&step.fault)).collect();
        Self { plan, earliest: plan.earliest(), reach }
    }

    /// True if step `index` may undo what step `other` does.
    fn may_undo(&self, index: usize, other: usize) -> bool {
        let [undoing, done] = [index, other].map(|index| &self.plan.timeline[index]);
        let is_over = match (&done.when, done.lasting) {
            (Trigger::At(at), Some(lasting)) => *at + lasting < self.earliest[index],
            _ => false,
        };
        let comes_later = matches!(undoing.when, Trigger::At(at) if at < self.earliest[other]);
        index != other
            && undoing.fault.undoes(&done.fault)
            && !is_over
            && !comes_later
            && self.reach[index].meets(&self.reach[other])
    }
}

impl Fault {
    /// True if it may undo what the other does. A command of an operator may do anything to a process.
    fn undoes(&self, other: &Self) -> bool {
        let sent = matches!(other, Self::Send { .. });
        match self {
            Self::Restart(_) => sent || matches!(other, Self::Kill(_) | Self::Shutdown(_)),
            Self::Thaw(_) => sent || matches!(other, Self::Freeze(_)),
            Self::Heal(_) => sent || other.lasts() || matches!(other, Self::CutReply { .. }),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::EventName;
    use crate::plan::{Client, Cluster, Expect, Workload};

    /// A plan with these steps: when in seconds (an event if negative), the fault, for how many seconds.
    fn plan(steps: &[(i64, Fault, Option<u64>)]) -> Plan {
        let step = |(when, fault, lasting): &(i64, Fault, Option<u64>)| Step {
            when: u64::try_from(*when)
                .map_or(Trigger::On { event: EventName::SwitchMaster, after: Duration::ZERO }, |at| {
                    Trigger::At(Duration::from_secs(at))
                }),
            fault: fault.clone(),
            lasting: lasting.map(Duration::from_secs),
        };
        Plan {
            title: "t".to_owned(),
            cluster: Cluster::standard(),
            clients: vec![Client::new("writer", Workload::Counter)],
            timeline: steps.iter().map(step).collect(),
            run_for: Duration::from_secs(45),
            expect: Expect::default(),
        }
    }

    fn target(text: &str) -> Target {
        text.parse().expect("a target")
    }

    fn heal(text: &str) -> Fault {
        Fault::Heal(target(text))
    }

    #[test]
    fn what_is_undone_must_have_been_done_before_to_somebody_of_the_target() {
        let kill = |text: &str| Fault::Kill(target(text));
        let apart =
            Fault::Partition { from: vec![target("client:writer")], to: vec![target("master")], one_way: false };
        let table = [
            (vec![(10, kill("master"), None), (20, heal("master"), None)], vec![]),
            (vec![(10, kill("master"), None), (20, heal("old-master"), None)], vec![]),
            (vec![(10, kill("master"), None), (20, heal("redis-3"), None)], vec![]),
            (vec![(10, kill("redis-2"), None), (20, heal("redis-3"), None)], vec![1]),
            (vec![(10, kill("sentinels:minority"), None), (20, heal("sentinel-1"), None)], vec![]),
            (vec![(10, kill("sentinels:minority"), None), (20, heal("sentinel-2"), None)], vec![1]),
            (vec![(10, kill("sentinels:majority"), None), (20, heal("sentinel-2"), None)], vec![]),
            (vec![(10, kill("sentinels:majority"), None), (20, heal("sentinel-3"), None)], vec![1]),
            (vec![(10, apart.clone(), None), (20, heal("client:writer"), None)], vec![]),
            (vec![(10, apart, None), (20, heal("sentinels"), None)], vec![1]),
            (vec![(10, Fault::Cut(target("master")), None), (20, heal("master"), None)], vec![1]),
            (vec![(20, heal("master"), None), (10, kill("master"), None)], vec![]),
            (vec![(20, heal("master"), None), (30, kill("master"), None)], vec![0]),
            (vec![(10, kill("master"), Some(5)), (20, heal("master"), None)], vec![1]),
            (vec![(10, kill("master"), Some(15)), (20, heal("master"), None)], vec![]),
            (vec![(10, kill("master"), Some(5)), (-1, heal("old-master"), None)], vec![]),
            (vec![(10, kill("master"), None), (-1, Fault::Restart(target("old-master")), None)], vec![]),
            (
                vec![(10, Fault::Freeze(target("master")), None), (-1, Fault::Restart(target("old-master")), None)],
                vec![1],
            ),
            (vec![(10, Fault::Freeze(target("master")), None), (-1, Fault::Thaw(target("old-master")), None)], vec![]),
            (vec![(10, Fault::Failover { via: None, master: None }, None), (20, heal("all"), None)], vec![]),
        ];
        for (steps, idle) in table {
            assert_eq!(plan(&steps).idle_steps(), idle, "{steps:?}");
        }
    }

    #[test]
    fn what_an_operator_would_take_back_needs_an_end() {
        let send = |undo: Option<&str>| Fault::Send {
            target: target("master"),
            command: vec!["CLIENT".to_owned(), "PAUSE".to_owned(), "5000".to_owned()],
            undo: undo.map(|word| vec![word.to_owned()]),
        };
        let table = [
            (vec![(10, send(None), None)], vec![]),
            (vec![(10, send(Some("UNDO")), None)], vec![0]),
            (vec![(10, send(Some("UNDO")), Some(5))], vec![]),
            (vec![(10, send(Some("UNDO")), None), (20, heal("redis-1"), None)], vec![]),
            (vec![(10, send(Some("UNDO")), None), (5, heal("redis-1"), None)], vec![0]),
            (vec![(10, send(Some("UNDO")), None), (20, heal("sentinels"), None)], vec![0]),
        ];
        for (steps, left) in table {
            assert_eq!(plan(&steps).never_taken_back(), left, "{steps:?}");
        }
    }

    #[test]
    fn a_step_that_waits_for_an_event_fires_after_the_step_before_it() {
        let plan = plan(&[(10, heal("all"), None), (-1, heal("all"), None), (5, heal("all"), None)]);
        assert_eq!(plan.earliest(), [10, 10, 5].map(Duration::from_secs));
    }
}
