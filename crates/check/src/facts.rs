//! [`Facts`]: what the records of a history say together, joined in one pass.

use std::collections::{BTreeMap, BTreeSet};

use model::history::{Action, ClosedBy, Execution, FinalData, NodeState, OpResult, Record, Stream, Value, What};
use model::plan::Client;
use model::{ClientId, EventName, History, NodeId, OpId, Plan, Time};

use crate::steps::Steps;

/// What happened, by whom it happened to.
pub(crate) struct Facts<'a> {
    /// What was run.
    pub(crate) plan: &'a Plan,
    /// Drivers of the clients, as the header of the history names them.
    pub(crate) drivers: BTreeMap<&'a str, &'a str>,
    /// The node that each data node follows; `None` for a master.
    roles: BTreeMap<NodeId, Steps<Option<NodeId>>>,
    /// The process of each node.
    states: BTreeMap<NodeId, Steps<NodeState>>,
    /// When a process of a node ended, in order.
    ends: BTreeMap<NodeId, Vec<Moment>>,
    /// Each Sentinel's answer for each group, by the index of the group.
    answers: BTreeMap<(NodeId, usize), Steps<NodeId>>,
    /// What a majority of the Sentinels answers, by group; `None` while there is no majority.
    majority: Vec<Steps<Option<NodeId>>>,
    /// The masters of each group, one after the other.
    pub(crate) masterships: Vec<Vec<Mastership>>,
    /// Faults that fired.
    pub(crate) firings: Vec<Firing<'a>>,
    /// Events of Sentinels: when, which Sentinel, what, its text.
    pub(crate) events: Vec<(Time, NodeId, EventName, &'a str)>,
    /// Operations, by client and number.
    ops: BTreeMap<&'a str, BTreeMap<u64, Op<'a>>>,
    /// Commands at nodes, by client.
    executions: BTreeMap<&'a str, Vec<(Time, &'a Execution)>>,
    /// Connections, by number.
    connections: BTreeMap<u64, Connection<'a>>,
    /// Clients that sent requests without letting time pass: when, who, how many at that instant.
    pub(crate) spins: Vec<(Time, &'a ClientId, u32)>,
    /// Dials to where others meet a node and nobody answers this client: when, who, which node.
    pub(crate) astray: Vec<(Time, &'a ClientId, NodeId)>,
    /// Publications that reached a subscriber.
    pub(crate) delivered: BTreeSet<&'a OpId>,
    /// What is left of the clients: connections and tasks.
    pub(crate) residue: BTreeMap<&'a str, (Time, u64, u64)>,
    /// What the links have carried to replicas, in the order in which the streams began.
    pub(crate) streams: Vec<&'a Stream>,
    /// What the data nodes held at the end.
    pub(crate) finals: BTreeMap<NodeId, &'a FinalData>,
    /// Moments at which the health of the cluster may have changed, each once, the start among them.
    pub(crate) changes: Vec<Time>,
    /// The last moment of the history.
    pub(crate) end: Time,
    /// How many times as fast as the real clock that of the run went; `None` in virtual time.
    pub(crate) speed: Option<u32>,
}

/// When a record was made: its time, and its place in the history, as much may happen at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    /// Its time.
    pub(crate) at: Time,
    /// Its place.
    place: usize,
}

impl Moment {
    /// Before everything that happened at `at`.
    pub(crate) const fn before(at: Time) -> Self {
        Self { at, place: 0 }
    }

    /// After everything that happened at `at`.
    pub(crate) const fn after(at: Time) -> Self {
        Self { at, place: usize::MAX }
    }
}

/// A node's time as the answer of the majority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mastership {
    /// The node.
    pub(crate) node: NodeId,
    /// Whose place it took; `None` for the first, and for a node that only regained its majority.
    pub(crate) after: Option<NodeId>,
    /// Since when the majority answers it.
    pub(crate) answered: Time,
    /// T0: since when it also runs and is a master. `None` if that never came.
    pub(crate) converged: Option<Time>,
    /// Until when the majority answers it; [`Time::NEVER`] if to the end.
    pub(crate) until: Time,
}

/// A fault that fired.
#[derive(Clone, Debug)]
pub(crate) struct Firing<'a> {
    /// When.
    pub(crate) at: Time,
    /// When it was undone; [`Time::NEVER`] if it was not.
    pub(crate) until: Time,
    /// Its sentence.
    pub(crate) sentence: &'a str,
    /// Its place in the timeline.
    pub(crate) step: Option<usize>,
    /// The nodes that it hit.
    pub(crate) nodes: &'a [NodeId],
}

/// An operation, as its client tells it and as the nodes saw it.
#[derive(Clone, Debug)]
pub(crate) struct Op<'a> {
    /// Which.
    pub(crate) id: &'a OpId,
    /// What it is.
    pub(crate) action: Action,
    /// The operation that it goes on with.
    pub(crate) of: Option<&'a OpId>,
    /// When it began.
    pub(crate) started: Time,
    /// When and how it ended.
    pub(crate) ended: Option<(Time, &'a OpResult)>,
    /// The commands at nodes that carried it.
    pub(crate) executions: Vec<(Time, &'a Execution)>,
    /// The places of these commands in the history.
    places: Vec<usize>,
}

impl<'a> Op<'a> {
    /// True if the client says that it succeeded.
    pub(crate) fn ok(&self) -> bool {
        matches!(self.ended, Some((_, OpResult::Ok { .. })))
    }

    /// The moment up to which it went on, at most `end`.
    pub(crate) fn ended_at(&self, end: Time) -> Time {
        self.ended.map_or(end, |(at, _)| at)
    }

    /// The commands that carried it and were run, not refused.
    pub(crate) fn ran(&self) -> impl Iterator<Item = (Time, &'a Execution)> {
        self.ran_in_order().map(|(moment, execution)| (moment.at, execution))
    }

    /// As [`Op::ran`], to be compared with what else happened at the same time.
    pub(crate) fn ran_in_order(&self) -> impl Iterator<Item = (Moment, &'a Execution)> {
        let all = self.executions.iter().zip(&self.places);
        let all = all.map(|((at, execution), place)| (Moment { at: *at, place: *place }, *execution));
        all.filter(|(_, execution)| execution.error.is_none())
    }

    /// The number that it gave.
    pub(crate) fn number(&self) -> Option<i64> {
        match self.ended {
            Some((_, OpResult::Ok { value: Some(Value::Number(number)) })) => Some(*number),
            _ => None,
        }
    }

    /// The operation whose item or value it gave.
    pub(crate) fn got(&self) -> Option<&'a OpId> {
        match self.ended {
            Some((_, OpResult::Ok { value: Some(Value::Got(op)) })) => Some(op),
            _ => None,
        }
    }

    /// True if `execution` carries it. A `SET` names its operation in a key or value that a later `GET` or `EVAL` repeats, an
    /// `LPUSH` in an item that a later `LREM` does.
    fn carried_by(&self, execution: &Execution) -> bool {
        match self.action {
            Action::Push => execution.command == "LPUSH",
            Action::Acquire => execution.command == "SET",
            _ => self.action.writes() == execution.write,
        }
    }
}

/// A client's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection<'a> {
    /// Its number.
    pub(crate) number: u64,
    /// Whose.
    pub(crate) client: &'a ClientId,
    /// To which node.
    pub(crate) node: NodeId,
    /// When it was accepted.
    pub(crate) opened: Time,
    /// When it ended; [`Time::NEVER`] if it did not.
    pub(crate) closed: Time,
    /// Who ended it.
    pub(crate) by: Option<ClosedBy>,
}

impl<'a> Facts<'a> {
    /// Joins the records of `history`, which need not be complete.
    pub(crate) fn new(plan: &'a Plan, history: &'a History) -> Self {
        let mut facts = Self::before(plan, history);
        let mut records: Vec<&Record> = history.records.iter().collect();
        records.sort_by_key(|record| record.at);
        for (place, record) in records.into_iter().enumerate() {
            facts.take(record, place);
        }
        facts.changes.sort_unstable();
        facts.changes.dedup();
        facts.masterships = (0..plan.cluster.groups.len()).map(|group| facts.masterships_of(group)).collect();
        facts
    }

    fn before(plan: &'a Plan, history: &'a History) -> Self {
        let cluster = &plan.cluster;
        let role = |(node, group): (NodeId, usize)| {
            let master = cluster.first_master(group);
            (node, Steps::new((node != master).then_some(master)))
        };
        let groups = 0..cluster.groups.len();
        let answer =
            |node: NodeId| groups.clone().map(move |group| ((node, group), Steps::new(cluster.first_master(group))));
        let majority = |group: usize| Steps::new((cluster.sentinels > 0).then(|| cluster.first_master(group)));
        let drivers = history.header.clients.iter().map(|(client, driver)| (client.as_str(), driver.as_str()));
        Self {
            plan,
            drivers: drivers.collect(),
            roles: cluster.data_nodes().into_iter().map(role).collect(),
            states: cluster.nodes().into_iter().map(|node| (node, Steps::new(NodeState::Up))).collect(),
            ends: BTreeMap::new(),
            answers: cluster.sentinel_nodes().into_iter().flat_map(answer).collect(),
            majority: groups.clone().map(majority).collect(),
            masterships: Vec::new(),
            firings: Vec::new(),
            events: Vec::new(),
            ops: BTreeMap::new(),
            executions: BTreeMap::new(),
            connections: BTreeMap::new(),
            spins: Vec::new(),
            astray: Vec::new(),
            delivered: BTreeSet::new(),
            residue: BTreeMap::new(),
            streams: Vec::new(),
            finals: BTreeMap::new(),
            changes: vec![Time::ZERO],
            end: Time::ZERO,
            speed: history.header.speed,
        }
    }

    fn take(&mut self, record: &'a Record, place: usize) {
        let at = record.at;
        self.end = at;
        match &record.what {
            What::Fault { fault, step, nodes } => {
                self.changes.push(at);
                self.firings.push(Firing { at, until: Time::NEVER, sentence: fault, step: *step, nodes });
            }
            What::Healed { fault, step } => {
                self.changes.push(at);
                let same = |f: &&mut Firing<'_>| f.until == Time::NEVER && f.step == *step && f.sentence == fault;
                if let Some(firing) = self.firings.iter_mut().find(same) {
                    firing.until = at;
                }
            }
            What::State { node, state } => {
                self.changes.push(at);
                if let Some(states) = self.states.get_mut(node) {
                    if *state == NodeState::Down && *states.last() != NodeState::Down {
                        self.ends.entry(*node).or_default().push(Moment { at, place });
                    }
                    states.set(at, *state);
                }
            }
            What::Role { node, of } => {
                self.changes.push(at);
                if let Some(roles) = self.roles.get_mut(node) {
                    roles.set(at, *of);
                }
            }
            What::Answer { node, master, addr } => {
                self.changes.push(at);
                if let Some(group) = self.plan.cluster.group(master)
                    && let Some(answers) = self.answers.get_mut(&(*node, group))
                {
                    answers.set(at, *addr);
                    let majority = self.count_majority(group);
                    self.majority[group].set(at, majority);
                }
            }
            What::Event { node, event, payload } => self.events.push((at, *node, *event, payload)),
            What::Opened { node, client, conn } => {
                let (number, node) = (*conn, *node);
                let open = Connection { number, client, node, opened: at, closed: Time::NEVER, by: None };
                self.connections.insert(number, open);
            }
            What::Spins { client, requests } => self.spins.push((at, client, *requests)),
            What::Astray { client, node } => self.astray.push((at, client, *node)),
            What::Closed { conn, by, .. } => {
                if let Some(connection) = self.connections.get_mut(conn) {
                    connection.closed = at;
                    connection.by = Some(*by);
                }
            }
            What::Executed(execution) => {
                self.executions.entry(execution.client.as_str()).or_default().push((at, execution));
                if let Some(op) = execution.op.as_ref().and_then(|op| self.op_mut(op))
                    && op.carried_by(execution)
                {
                    op.executions.push((at, execution));
                    op.places.push(place);
                }
            }
            What::Started { op, action, of } => {
                let (executions, places) = (Vec::new(), Vec::new());
                let new = Op { id: op, action: *action, of: of.as_ref(), started: at, ended: None, executions, places };
                self.ops.entry(op.client.as_str()).or_default().entry(op.seq).or_insert(new);
            }
            What::Ended { op, result } => {
                if let Some(op) = self.op_mut(op) {
                    op.ended.get_or_insert((at, result));
                }
            }
            What::Delivered { op, .. } => {
                self.delivered.insert(op);
            }
            What::Residue { client, open, tasks } => {
                self.residue.insert(client.as_str(), (at, *open, *tasks));
            }
            What::Stream(stream) => self.streams.push(stream),
            What::Final(data) => {
                self.finals.insert(data.node, data);
            }
            // The answers at the end are those of the last changes; links of replicas and scripts do not concern clients.
            What::ReplicaLink { .. } | What::FinalAnswer { .. } | What::Script { .. } => {}
        }
    }

    fn op_mut(&mut self, id: &OpId) -> Option<&mut Op<'a>> {
        self.ops.get_mut(id.client.as_str())?.get_mut(&id.seq)
    }

    fn count_majority(&self, group: usize) -> Option<NodeId> {
        let mut votes: BTreeMap<NodeId, usize> = BTreeMap::new();
        for sentinel in self.plan.cluster.sentinel_nodes() {
            *votes.entry(*self.answers[&(sentinel, group)].last()).or_default() += 1;
        }
        let needed = usize::from(self.plan.cluster.sentinels) / 2 + 1;
        votes.into_iter().find(|(_, count)| *count >= needed).map(|(node, _)| node)
    }

    fn masterships_of(&self, group: usize) -> Vec<Mastership> {
        let answers = &self.majority[group];
        let starts = std::iter::once((Time::ZERO, *answers.at(Time::ZERO)));
        let later = answers.changes().iter().copied().filter(|(at, _)| *at > Time::ZERO);
        let all: Vec<(Time, Option<NodeId>)> = starts.chain(later).collect();
        let mut masterships: Vec<Mastership> = Vec::new();
        for (index, (answered, node)) in all.iter().enumerate() {
            let until = all.get(index + 1).map_or(Time::NEVER, |(at, _)| *at);
            let Some(node) = *node else { continue };
            if until == *answered {
                continue;
            }
            let inside = self.changes.iter().copied().filter(|at| (*answered..until).contains(at));
            let converged = inside.into_iter().find(|at| self.serves(node, *at));
            let after = masterships.last().map(|last| last.node).filter(|last| *last != node);
            masterships.push(Mastership { node, after, answered: *answered, converged, until });
        }
        masterships
    }

    /// The answer of the majority for a group.
    pub(crate) fn majority(&self, group: usize, at: Time) -> Option<NodeId> {
        self.majority.get(group).and_then(|answers| *answers.at(at))
    }

    /// What one Sentinel knows as the master of a group, whatever it is made to say.
    pub(crate) fn answer(&self, sentinel: NodeId, group: usize, at: Time) -> Option<NodeId> {
        self.answers.get(&(sentinel, group)).map(|answers| *answers.at(at))
    }

    /// The changes of one Sentinel's answer.
    pub(crate) fn answer_changes(&self, sentinel: NodeId, group: usize) -> &[(Time, NodeId)] {
        self.answers.get(&(sentinel, group)).map_or(&[], Steps::changes)
    }

    /// True if the node's process runs and is not frozen.
    pub(crate) fn up(&self, node: NodeId, at: Time) -> bool {
        self.states.get(&node).is_some_and(|states| *states.at(at) == NodeState::Up)
    }

    /// True if the node runs and is a master.
    pub(crate) fn serves(&self, node: NodeId, at: Time) -> bool {
        self.up(node, at) && self.follows(node, at).is_none() && !node.is_sentinel()
    }

    /// The node that a data node follows; `None` for a master.
    pub(crate) fn follows(&self, node: NodeId, at: Time) -> Option<NodeId> {
        self.roles.get(&node).and_then(|roles| *roles.at(at))
    }

    /// When a node became a master, each time.
    pub(crate) fn promotions(&self, node: NodeId) -> impl Iterator<Item = Time> {
        let changes = self.roles.get(&node).map_or(&[][..], Steps::changes);
        changes.iter().filter(|(_, of)| of.is_none()).map(|(at, _)| *at)
    }

    /// When a node's process ended, each time.
    pub(crate) fn ends(&self, node: NodeId) -> impl Iterator<Item = Time> {
        self.ends.get(&node).into_iter().flatten().map(|end| end.at)
    }

    /// When a node's process ended last, up to `until`: what it held is gone, for a data node keeps nothing.
    pub(crate) fn emptied(&self, node: NodeId, until: Moment) -> Option<Moment> {
        self.ends.get(&node)?.iter().copied().rfind(|end| *end <= until)
    }

    /// When the last of `nodes` went down, after `at`; [`Time::NEVER`] if one did not.
    pub(crate) fn down_after(&self, nodes: &[NodeId], at: Time) -> Time {
        let down = |node: &NodeId| self.ends(*node).find(|when| *when >= at).unwrap_or(Time::NEVER);
        nodes.iter().map(down).max().unwrap_or(at)
    }

    /// The changes of master of a group: the masterships that took another node's place.
    pub(crate) fn failovers(&self, group: usize) -> impl Iterator<Item = &Mastership> {
        self.masterships[group].iter().filter(|mastership| mastership.after.is_some())
    }

    /// The group that a client uses.
    pub(crate) fn group_of(&self, client: &Client) -> Option<usize> {
        self.plan.cluster.group(&client.master)
    }

    /// The operations of a client, in order.
    pub(crate) fn ops_of(&self, client: &Client) -> impl Iterator<Item = &Op<'a>> {
        self.ops.get(client.id.as_str()).into_iter().flat_map(BTreeMap::values)
    }

    /// What a client had nodes do, in order.
    pub(crate) fn executions_of(&self, client: &Client) -> &[(Time, &'a Execution)] {
        self.executions.get(client.id.as_str()).map_or(&[], Vec::as_slice)
    }

    /// When the client found a connection closed; [`Time::NEVER`] if it did not.
    pub(crate) fn closed(&self, conn: u64) -> Time {
        self.connections.get(&conn).map_or(Time::NEVER, |connection| connection.closed)
    }

    /// The connections that nodes accepted from a client, in order.
    pub(crate) fn connections_of(&self, client: &Client) -> Vec<Connection<'a>> {
        self.connections.values().filter(|connection| connection.client.as_str() == client.id).copied().collect()
    }
}

/// A question to a Sentinel about the master or its replicas, and not one about the Sentinel itself.
pub(crate) fn is_question(execution: &Execution) -> bool {
    const QUESTIONS: [&str; 5] = [
        "SENTINEL GET-MASTER-ADDR-BY-NAME",
        "SENTINEL MASTER",
        "SENTINEL MASTERS",
        "SENTINEL REPLICAS",
        "SENTINEL SLAVES",
    ];
    execution.node.is_sentinel() && QUESTIONS.contains(&execution.command.as_str())
}
