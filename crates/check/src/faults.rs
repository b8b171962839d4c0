//! What stands between a client and a node. Killed and frozen processes are not here: the nodes' own state tells them.

use std::collections::BTreeSet;
use std::time::Duration;

use model::fault::Answer;
use model::plan::Client;
use model::{EventName, Fault, NodeId, Target, Time};

use crate::facts::{Facts, Firing};

/// What stands between a client and a node, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Path {
    /// Nothing passes: the client stands on another side of the network.
    Cut,
    /// The node does not serve the client as a healthy one does: it hangs, loads, or is far too slow.
    Impaired,
    /// Nothing.
    Clear,
}

/// Between one Sentinel and its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Witness {
    /// It answers what it knows.
    True,
    /// It is made to answer something else than it knows.
    Lies,
    /// It answers nothing of use: an error or null.
    Useless,
    /// It does not answer, or far too late.
    Mute,
}

/// The faults of a run that last, with the sides that they were resolved to when they fired.
pub(crate) struct Standing<'a> {
    faults: Vec<Lasting<'a>>,
}

struct Lasting<'a> {
    from: Time,
    until: Time,
    kind: Kind<'a>,
}

enum Kind<'a> {
    /// No client reaches these nodes.
    Unreachable(&'a [NodeId]),
    /// These nodes do not answer, or answer `-LOADING`.
    Mute(&'a [NodeId]),
    /// Nothing passes from one side to the other.
    Partition([Side; 2]),
    /// An operator had a Sentinel forget a master. When it knows that again nobody tells.
    Forgotten,
    /// Slow between the sides.
    Latency([Side; 2], Duration),
    /// These Sentinels answer so; if it is a wrong address, that of these nodes.
    Override(&'a [NodeId], &'a Answer, BTreeSet<NodeId>),
}

/// One side of a link: nodes and clients.
#[derive(Default)]
struct Side {
    nodes: BTreeSet<NodeId>,
    clients: BTreeSet<String>,
}

impl<'a> Standing<'a> {
    /// Those of the faults that fired.
    pub(crate) fn new(facts: &Facts<'a>) -> Self {
        let lasting = |firing: &Firing<'a>| {
            let kind = kind(facts, firing)?;
            let until = match fault_of(facts, firing) {
                // What comes after is told by the state of the process.
                Some(Fault::Shutdown(_)) => facts.down_after(firing.nodes, firing.at).min(firing.until),
                _ => firing.until,
            };
            Some(Lasting { from: firing.at, until, kind })
        };
        Self { faults: facts.firings.iter().filter_map(lasting).collect() }
    }

    fn at(&self, at: Time) -> impl Iterator<Item = &Kind<'a>> {
        self.faults.iter().filter(move |fault| fault.from <= at && at < fault.until).map(|fault| &fault.kind)
    }

    /// What stands between a client and a node.
    pub(crate) fn path(&self, client: &Client, node: NodeId, at: Time) -> Path {
        let between = |sides: &[Side; 2]| {
            let [a, b] = sides;
            (a.clients.contains(&client.id) && b.nodes.contains(&node))
                || (b.clients.contains(&client.id) && a.nodes.contains(&node))
        };
        let worst = self.at(at).map(|kind| match kind {
            Kind::Unreachable(nodes) if nodes.contains(&node) => Path::Cut,
            Kind::Partition(sides) if between(sides) => Path::Cut,
            Kind::Mute(nodes) if nodes.contains(&node) => Path::Impaired,
            Kind::Latency(sides, delay) if too_slow(*delay, client) && between(sides) => Path::Impaired,
            _ => Path::Clear,
        });
        worst.min().unwrap_or(Path::Clear)
    }

    /// What a Sentinel's word is worth.
    pub(crate) fn witness(&self, client: &Client, sentinel: NodeId, at: Time) -> Witness {
        let mut witness = Witness::True;
        for kind in self.at(at) {
            let Kind::Override(nodes, answer, _) = kind else { continue };
            if !nodes.contains(&sentinel) {
                continue;
            }
            // Several may be at work on the same one. What never comes says nothing, whatever it would have said.
            match answer {
                Answer::Hang => return Witness::Mute,
                // A client asks some Sentinels one after the other: three slow answers must fit into its budget.
                Answer::Slow(by) if *by * 3 > client.budget => return Witness::Mute,
                Answer::Null | Answer::Error(_) => witness = Witness::Useless,
                Answer::Stale | Answer::WrongAddress(_) if witness == Witness::True => witness = Witness::Lies,
                Answer::Stale
                | Answer::WrongAddress(_)
                | Answer::Slow(_)
                | Answer::NoSwitchEvent
                | Answer::LateSwitchEvent(_) => {}
            }
        }
        witness
    }

    /// True if at some time of `from..=until` this Sentinel was made to name `node` in the place of the master.
    pub(crate) fn was_named(&self, sentinel: NodeId, node: NodeId, from: Time, until: Time) -> bool {
        self.faults.iter().any(|fault| {
            matches!(&fault.kind, Kind::Override(nodes, _, named) if nodes.contains(&sentinel) && named.contains(&node))
                && fault.from <= until
                && from <= fault.until
        })
    }

    /// True if at some time of `from..=until` some Sentinel was made to answer that it knows no such master, or an
    /// error, which a client may well read so; or if an operator had one forget a master before.
    pub(crate) fn unknown_was_answered(&self, from: Time, until: Time) -> bool {
        self.faults.iter().any(|fault| {
            let unknown = matches!(fault.kind, Kind::Forgotten | Kind::Override(_, Answer::Null | Answer::Error(_), _));
            unknown && fault.from <= until && from <= fault.until
        })
    }
}

/// A rediscovery takes some ten round trips: to Sentinels, for the handshake, for the role, for the command.
fn too_slow(one_way: Duration, client: &Client) -> bool {
    one_way * 20 > client.budget || one_way * 20 > client.deadline
}

fn kind<'a>(facts: &Facts<'a>, firing: &Firing<'a>) -> Option<Kind<'a>> {
    let Some(fault) = fault_of(facts, firing) else {
        return unplanned(firing.sentence).then_some(Kind::Unreachable(firing.nodes));
    };
    Some(match fault {
        Fault::Unreachable(_) => Kind::Unreachable(firing.nodes),
        // A node that shuts down keeps its clients waiting until its replicas have caught up.
        Fault::Hang(_) | Fault::Loading(_) | Fault::Shutdown(_) | Fault::Send { undo: Some(_), .. } => {
            Kind::Mute(firing.nodes)
        }
        Fault::Override { answer, .. } => {
            let named = match answer {
                Answer::WrongAddress(wrong) => side(facts, firing, std::slice::from_ref(wrong)).nodes,
                _ => BTreeSet::new(),
            };
            Kind::Override(firing.nodes, answer, named)
        }
        Fault::Send { command, undo: None, .. } if forgets(command) => Kind::Forgotten,
        Fault::Partition { from, to, .. } => Kind::Partition([from, to].map(|targets| side(facts, firing, targets))),
        Fault::Latency { between, and, delay, jitter } => {
            let sides = [between, and].map(|target| side(facts, firing, std::slice::from_ref(target)));
            Kind::Latency(sides, *delay + *jitter)
        }
        _ => return None,
    })
}

/// True for `SENTINEL REMOVE`.
fn forgets(command: &[String]) -> bool {
    let is = |index: usize, word: &str| command.get(index).is_some_and(|found| found.eq_ignore_ascii_case(word));
    is(0, "SENTINEL") && is(1, "REMOVE")
}

/// The fault that a firing is of; `None` if it was injected from code, which leaves only its sentence.
pub(crate) fn fault_of<'a>(facts: &Facts<'a>, firing: &Firing<'_>) -> Option<&'a Fault> {
    facts.plan.timeline.get(firing.step?).map(|step| &step.fault)
}

/// Whether a fault that is known by its sentence alone may stand in a client's way otherwise than by the state of a
/// process. If so, nothing is asked of clients at its nodes while it stands.
fn unplanned(sentence: &str) -> bool {
    let harmless = [
        "kill",
        "restart",
        "shutdown",
        "freeze",
        "thaw",
        "cut",
        "cut_reply",
        "silence",
        "failover",
        "debug_sleep",
        "demote",
        "replicaof",
        "client_kill",
        "keep_clients",
        "clock_jump",
        "heal",
    ];
    sentence.split(' ').next().is_none_or(|word| !harmless.contains(&word))
}

fn side(facts: &Facts<'_>, firing: &Firing<'_>, targets: &[Target]) -> Side {
    let mut side = Side::default();
    for target in targets {
        resolve(facts, firing, target, &mut side);
    }
    side
}

/// The nodes and clients that `target` meant when it fired.
fn resolve(facts: &Facts<'_>, firing: &Firing<'_>, target: &Target, side: &mut Side) {
    let cluster = &facts.plan.cluster;
    let at = firing.at;
    let group = |name: &Option<String>| cluster.group_meant(name.as_deref());
    let master = |group: usize| facts.masterships[group].iter().rev().find(|m| m.answered <= at).map(|m| m.node);
    let replicas = |group: usize| {
        let members = cluster.data_nodes().into_iter().filter(move |(_, of)| *of == group).map(|(node, _)| node);
        members.filter(move |node| Some(*node) != master(group))
    };
    match target {
        Target::Node(node) => {
            side.nodes.insert(*node);
        }
        Target::Master(name) => side.nodes.extend(group(name).and_then(master)),
        Target::OldMaster(name) => {
            let last = group(name).and_then(|group| facts.failovers(group).filter(|m| m.answered <= at).last());
            side.nodes.extend(last.and_then(|mastership| mastership.after));
        }
        Target::Replicas(name) => side.nodes.extend(group(name).into_iter().flat_map(replicas)),
        // Which replica it was the record of the firing says; the others that it names are on some side anyway.
        Target::ReplicaBest(name) | Target::ReplicaOther(name) => {
            let hit = group(name).into_iter().flat_map(replicas).filter(|node| firing.nodes.contains(node));
            side.nodes.extend(hit);
        }
        Target::SentinelLeader => {
            let elections = facts.events.iter().filter(|(_, _, event, _)| *event == EventName::ElectedLeader);
            let leader = elections.rev().find(|(when, ..)| *when <= at).map(|(_, sentinel, ..)| *sentinel);
            // Before the first election the target is some Sentinel that the record names.
            let first = || firing.nodes.iter().copied().find(|node| node.is_sentinel());
            side.nodes.extend(leader.or_else(first));
        }
        Target::SentinelsMinority => side.nodes.extend(cluster.minority()),
        Target::SentinelsMajority => side.nodes.extend(cluster.majority()),
        Target::Sentinels => side.nodes.extend(cluster.sentinel_nodes()),
        Target::Zone(zone) => {
            side.nodes.extend(cluster.nodes().into_iter().filter(|node| cluster.zone(*node) == zone));
            let clients = facts.plan.clients.iter().filter(|client| client.zone == *zone);
            side.clients.extend(clients.map(|client| client.id.clone()));
        }
        Target::All => {
            side.nodes.extend(cluster.nodes());
            side.clients.extend(facts.plan.clients.iter().map(|client| client.id.clone()));
        }
        Target::Client(id) => {
            side.clients.insert(id.clone());
        }
    }
}
