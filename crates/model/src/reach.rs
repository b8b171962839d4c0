//! Whom a target may mean, whatever the roles come to be in a run, and what follows from that for a plan: steps that reach nobody,
//! steps that undo nothing, and what is never taken back.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::fault::{Fault, Target};
use crate::id::NodeId;
use crate::plan::{Host, Plan, Step, Trigger};

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
    /// not over by then. One for `all` undoes whatever there may be, and is one of them only if no step does anything.
    pub fn idle_steps(&self) -> Vec<usize> {
        let undoing = Undoing::new(self);
        let is_idle = |index: &usize| {
            let fault = &self.timeline[*index].fault;
            let whatever =
                || fault.targets() == [&Target::All] && self.timeline.iter().any(|step| !step.fault.only_undoes());
            fault.only_undoes() && !whatever() && !(0..self.timeline.len()).any(|other| undoing.may_undo(*index, other))
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

    /// The first target of a fault that means nobody for whom the fault could be, such as a zone without nodes, or the minority of two
    /// Sentinels.
    pub fn nobody_at<'f>(&self, fault: &'f Fault) -> Option<&'f Target> {
        let clients_too = matches!(fault, Fault::Latency { .. } | Fault::Partition { .. } | Fault::Heal(_));
        let is_nobody = |target: &&Target| {
            let reach = self.reach([*target]);
            reach.nodes.is_empty() && (reach.clients.is_empty() || !clients_too)
        };
        fault.targets().into_iter().find(is_nobody)
    }

    /// True if anything may pass between somebody of the one side and somebody of the other: between two nodes, or a node and a client.
    pub fn may_pass(&self, from: &[Target], to: &[Target]) -> bool {
        let between = |one: &Target, other: &Target| {
            let [a, b] = [one, other].map(|target| self.reach([target]));
            let is_another = a.nodes.union(&b.nodes).nth(1).is_some() && !(one == other && one.is_one());
            let [at_a, at_b] = [&a, &b].map(|reach| !reach.nodes.is_empty());
            at_a && at_b && is_another || at_a && !b.clients.is_empty() || at_b && !a.clients.is_empty()
        };
        from.iter().any(|one| to.iter().any(|other| between(one, other)))
    }

    /// True if anybody looks this name up: as the cluster has it, or since an operator gives it to a node.
    pub fn looks_up(&self, name: &str) -> bool {
        let is_given = |fault: &Fault| match fault {
            Fault::Send { command, .. } => command.iter().any(|word| word.eq_ignore_ascii_case(name)),
            _ => false,
        };
        self.cluster.looks_up(name) || self.timeline.iter().any(|step| is_given(&step.fault))
    }

    /// Everybody to whom a fault may do anything: of a name, the node that has it.
    fn reach_of(&self, fault: &Fault) -> Reach {
        let mut reach = self.reach(fault.targets());
        if let Fault::Resolve { name, .. } = fault
            && let Some(Host::Node(node)) = self.cluster.host_called(name)
        {
            reach.nodes.insert(node);
        }
        reach
    }

    /// Everybody whom these targets may mean.
    fn reach<'t>(&self, targets: impl IntoIterator<Item = &'t Target>) -> Reach {
        let mut reach = Reach::default();
        for target in targets {
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
        let reach = plan.timeline.iter().map(|step| plan.reach_of(&step.fault)).collect();
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
            Self::Heal(_) => sent || other.lasts() || matches!(other, Self::CutReply { .. } | Self::Resolve { .. }),
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
        let gone = |name: &str| Fault::Resolve { name: name.to_owned(), to: None };
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
            (vec![(10, Fault::Cut(target("master")), None), (20, Fault::Thaw(target("all")), None)], vec![]),
            (vec![(10, gone("a"), None), (20, heal("redis-2"), None)], vec![]),
            (vec![(10, gone("a"), None), (20, heal("redis-3"), None)], vec![1]),
            (vec![(20, heal("all"), None), (30, heal("all"), None)], vec![0, 1]),
            (vec![(20, heal("all"), None), (30, kill("master"), None)], vec![]),
        ];
        for (steps, idle) in table {
            let mut plan = plan(&steps);
            plan.cluster.hosts.insert("a".to_owned(), Host::Node(NodeId::data(2)));
            assert_eq!(plan.idle_steps(), idle, "{steps:?}");
        }
    }

    /// Two Sentinels, a zone `b` with the reader alone, and one without anybody.
    fn divided() -> Plan {
        let mut plan = plan(&[]);
        plan.cluster.sentinels = 2;
        plan.clients.push(Client { zone: "b".to_owned(), ..Client::new("reader", Workload::ReplicaReads) });
        plan
    }

    #[test]
    fn a_target_may_mean_nobody() {
        let plan = divided();
        let apart = |one: &str, other: &str| Fault::Partition {
            from: vec![target(one)],
            to: vec![target(other)],
            one_way: false,
        };
        let table = [
            (Fault::Kill(target("sentinels:minority")), Some("sentinels:minority")),
            (Fault::Kill(target("sentinels:majority")), None),
            (Fault::Kill(target("zone:b")), Some("zone:b")),
            (Fault::Kill(target("zone:default")), None),
            (apart("master", "zone:b"), None),
            (apart("master", "zone:c"), Some("zone:c")),
            (heal("zone:b"), None),
        ];
        for (fault, nobody) in table {
            assert_eq!(plan.nobody_at(&fault).map(ToString::to_string).as_deref(), nobody, "{fault}");
        }
    }

    #[test]
    fn nothing_passes_within_one_node_or_between_clients() {
        let mut plan = divided();
        let passes = |plan: &Plan, from: &[&str], to: &[&str]| {
            let [from, to] = [from, to].map(|side| side.iter().map(|text| target(text)).collect::<Vec<_>>());
            plan.may_pass(&from, &to)
        };
        let table: [(&[&str], &[&str], bool); 12] = [
            (&["master"], &["master"], false),
            (&["redis-2"], &["redis-2"], false),
            (&["redis-2"], &["redis-3"], true),
            (&["master"], &["redis-1"], true),
            (&["sentinels"], &["sentinels"], true),
            (&["all"], &["all"], true),
            (&["client:writer"], &["client:reader"], false),
            (&["client:writer"], &["zone:b"], false),
            (&["client:writer"], &["zone:default"], true),
            (&["zone:default"], &["client:writer"], true),
            (&["master", "client:writer"], &["client:reader", "master"], true),
            (&["sentinels:majority"], &["sentinel-1"], false),
        ];
        for (from, to, expected) in table {
            assert_eq!(passes(&plan, from, to), expected, "{from:?} {to:?}");
        }
        plan.cluster.sentinels = 1;
        plan.cluster.groups[0].replicas = 0;
        assert!(!passes(&plan, &["master"], &["redis-1"]), "there is no other");
        assert!(!passes(&plan, &["sentinels:majority"], &["sentinels"]), "nor another Sentinel");
    }

    #[test]
    fn an_operator_may_give_a_name_to_a_node() {
        let mut plan = plan(&[]);
        assert!(!plan.looks_up("db-9"));
        let command = ["REPLICAOF", "DB-9", "6379"].map(str::to_owned).to_vec();
        let send = Fault::Send { target: target("redis-2"), command, undo: None };
        plan.timeline.push(Step { when: Trigger::At(Duration::ZERO), fault: send, lasting: None });
        assert!(plan.looks_up("db-9"));
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
