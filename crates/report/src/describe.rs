//! Each record of a history in words.

use std::collections::{BTreeMap, BTreeSet};

use model::history::{Action, ClosedBy, Execution, NodeState, OpResult, What};
use model::{ClientId, EventName, History, NodeId, OpId, Time};

use crate::style::Ink;

/// One thing that happened, in words.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    /// When.
    pub(crate) at: Time,
    /// Who did it, or whom it happened to.
    pub(crate) who: String,
    /// What.
    pub(crate) text: String,
    /// The text of an error, which may be long; else empty.
    pub(crate) detail: String,
    /// Its colour.
    pub(crate) ink: Option<Ink>,
    /// The number of the operation.
    pub(crate) seq: Option<u64>,
    /// True for what a client did, which may be told together with its like; false for an event of the cluster.
    pub(crate) folds: bool,
}

impl Entry {
    /// A remark of the reader.
    pub(crate) fn mark(at: Time, text: String) -> Self {
        Self { at, who: ">>>".to_owned(), text, detail: String::new(), ink: Some(Ink::Bad), seq: None, folds: false }
    }
}

/// The records of `history` that say something, in words, in their order.
pub(crate) fn describe(history: &History) -> Vec<Entry> {
    let mut teller = Teller::new(history);
    history.records.iter().filter_map(|record| teller.tell(record.at, &record.what)).collect()
}

/// What must be known of other records to tell one.
struct Teller<'a> {
    /// Operations by name: what they are, and how they ended.
    ops: BTreeMap<&'a OpId, (Action, Option<&'a OpResult>)>,
    /// Commands that operations of the run are.
    commands: BTreeSet<&'static str>,
    /// Where a client's last command of that name ran.
    ran_on: BTreeMap<(&'a ClientId, &'a str), NodeId>,
    /// Addresses of the nodes, as the payloads of events hold them, with their names.
    names: Vec<(String, String)>,
}

impl<'a> Teller<'a> {
    fn new(history: &'a History) -> Self {
        let mut ops: BTreeMap<&OpId, (Action, Option<&OpResult>)> = BTreeMap::new();
        for record in &history.records {
            match &record.what {
                What::Started { op, action, .. } => {
                    ops.insert(op, (*action, None));
                }
                What::Ended { op, result } => {
                    if let Some(known) = ops.get_mut(op) {
                        known.1 = Some(result);
                    }
                }
                _ => {}
            }
        }
        let names = history.header.nodes.iter().map(|node| {
            let addr = history.header.address(*node);
            (format!("{} {}", addr.host, addr.port), node.to_string())
        });
        let commands = ops.values().map(|(action, _)| command(*action)).collect();
        Self { ops, commands, ran_on: BTreeMap::new(), names: names.collect() }
    }

    fn tell(&mut self, at: Time, what: &'a What) -> Option<Entry> {
        let event = |who: String, text: String, ink: Option<Ink>| {
            Some(Entry { at, who, text, detail: String::new(), ink, seq: None, folds: false })
        };
        let did = |client: &ClientId, text: String, ink: Option<Ink>| {
            Some(Entry { at, who: client.to_string(), text, detail: String::new(), ink, seq: None, folds: true })
        };
        match what {
            What::Fault { fault, nodes, .. } if nodes.is_empty() => {
                event("fault".into(), format!("{fault}: nothing to act on"), Some(Ink::Unsure))
            }
            What::Fault { fault, nodes, .. } => {
                let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
                event("fault".into(), format!("{fault}: {}", nodes.join(", ")), Some(Ink::Unsure))
            }
            What::Healed { fault, .. } => event("healed".into(), fault.clone(), Some(Ink::Unsure)),
            What::State { node, state } => {
                let text = match state {
                    NodeState::Up => "runs",
                    NodeState::Down => "is down",
                    NodeState::Frozen => "stands still",
                };
                event(node.to_string(), text.into(), None)
            }
            What::Event { node, event: name, payload } => {
                let ink = (*name == EventName::SwitchMaster).then_some(Ink::Strong);
                event(node.to_string(), format!("{name} {}", self.with_names(payload)).trim_end().to_owned(), ink)
            }
            What::Script { node, argv } => {
                event(node.to_string(), format!("runs {}", self.with_names(&argv.join(" "))), None)
            }
            What::Answer { node, master, addr } => {
                event(node.to_string(), format!("answers {addr} for {master}"), Some(Ink::Strong))
            }
            What::Role { node, of: None } => event(node.to_string(), "is a master".into(), Some(Ink::Strong)),
            What::Role { node, of: Some(master) } => event(node.to_string(), format!("follows {master}"), None),
            What::ReplicaLink { node, up, full } => {
                let text = match (up, full) {
                    (true, true) => "is in sync, after a full resynchronisation",
                    (true, false) => "is in sync",
                    (false, _) => "lost its link to the master",
                };
                event(node.to_string(), text.into(), None)
            }
            What::Opened { node, client, .. } => did(client, format!("connects to {node}"), Some(Ink::Faint)),
            What::Astray { node, client } => {
                did(client, format!("dials {node} where nobody answers it"), Some(Ink::Bad))
            }
            What::Spins { client, requests } => {
                did(client, format!("has sent {requests} requests at this instant, and goes on"), Some(Ink::Bad))
            }
            What::Closed { node, client, by, .. } => match by {
                ClosedBy::Client => did(client, format!("closes its connection to {node}"), Some(Ink::Faint)),
                ClosedBy::Node => did(client, format!("is disconnected by {node}"), None),
                ClosedBy::Fault => did(client, format!("loses its connection to {node}"), None),
            },
            What::Executed(execution) => {
                let (text, ink) = self.execution(execution)?;
                let seq = execution.op.as_ref().map(|op| op.seq);
                did(&execution.client, text, ink).map(|entry| Entry { seq, ..entry })
            }
            What::Started { op, action, .. } => {
                let never_ends = matches!(self.ops.get(op), Some((_, None)));
                let text = format!("begins {}, which never ends", command(*action));
                never_ends.then(|| did(&op.client, text, Some(Ink::Bad))).flatten().map(|entry| numbered(entry, op))
            }
            What::Ended { op, result } => {
                let (text, ink) = self.end(op, result);
                let detail = match result {
                    OpResult::Failed(error) | OpResult::Ambiguous(error) => error.error.clone(),
                    OpResult::Ok { .. } | OpResult::Unfinished => String::new(),
                };
                did(&op.client, text, ink).map(|entry| numbered(Entry { detail, ..entry }, op))
            }
            What::Delivered { client, op } => {
                did(client, format!("receives a message of {}", op.client), Some(Ink::Faint))
                    .map(|entry| numbered(entry, op))
            }
            What::Residue { open: 0, tasks: 0, .. } => None,
            What::Residue { client, open, tasks } => {
                event(client.to_string(), format!("left {open} connections open and {tasks} tasks"), Some(Ink::Bad))
            }
            What::Final(data) if !data.up => event(data.node.to_string(), "cannot be reached at the end".into(), None),
            What::Final(data) => {
                let role = data.of.map_or_else(|| "is a master".to_owned(), |master| format!("follows {master}"));
                event(data.node.to_string(), format!("{role} at the end, at offset {}", data.offset), None)
            }
            What::Stream(_) | What::FinalAnswer { .. } => None,
        }
    }

    /// A command at a node. Those that the end of their operation tells, and handshakes, are not told.
    fn execution(&mut self, execution: &'a Execution) -> Option<(String, Option<Ink>)> {
        const HANDSHAKE: [&str; 8] = ["HELLO", "AUTH", "SELECT", "CLIENT", "PING", "COMMAND", "INFO", "QUIT"];
        let Execution { node, client, command, op, error, reply_cut, .. } = execution;
        if let Some(error) = error {
            return Some((format!("is refused {command} by {node}: {error}"), None));
        }
        self.ran_on.insert((client, command), *node);
        if *reply_cut {
            return Some((format!("has {node} run {command}, and its connection cut before the reply"), None));
        }
        let told_by_its_end = match op.as_ref().map(|op| self.ops.get(op)) {
            Some(Some((_, result))) => matches!(result, Some(OpResult::Ok { .. })),
            _ => self.commands.contains(command.as_str()),
        };
        if told_by_its_end || HANDSHAKE.contains(&command.split(' ').next().unwrap_or_default()) {
            return None;
        }
        let text =
            if node.is_sentinel() { format!("asks {node} {command}") } else { format!("has {node} run {command}") };
        Some((text, op.is_none().then_some(Ink::Faint)))
    }

    fn end(&self, op: &OpId, result: &OpResult) -> (String, Option<Ink>) {
        let Some((action, _)) = self.ops.get(op) else {
            return ("ends what it never began".to_owned(), Some(Ink::Bad));
        };
        let command = command(*action);
        match result {
            OpResult::Ok { .. } => {
                let place = self.ran_on.get(&(&op.client, command));
                (
                    format!("{command} ok{}", place.map_or_else(String::new, |node| format!(" on {node}"))),
                    Some(Ink::Good),
                )
            }
            OpResult::Failed(_) => (format!("{command} failed"), Some(Ink::Bad)),
            OpResult::Ambiguous(_) => (format!("{command} failed, perhaps done"), Some(Ink::Unsure)),
            OpResult::Unfinished => (format!("{command} was still open when the run ended"), Some(Ink::Faint)),
        }
    }

    /// `master mymaster 10.0.0.1 6379` as `master mymaster redis-1`.
    fn with_names(&self, payload: &str) -> String {
        let mut text = payload.to_owned();
        for (addr, name) in &self.names {
            // A replica is named by its address before that address itself: `slave 10.0.0.2:6379 10.0.0.2 6379 …`.
            let twice = format!("{} {addr}", addr.replace(' ', ":"));
            text = text.replace(&twice, name).replace(addr, name);
        }
        text
    }
}

fn numbered(entry: Entry, op: &OpId) -> Entry {
    Entry { seq: Some(op.seq), ..entry }
}

/// The command that an operation is.
fn command(action: Action) -> &'static str {
    match action {
        Action::Incr => "INCR",
        Action::Set => "SET",
        Action::Get | Action::ReplicaGet => "GET",
        Action::Push => "LPUSH",
        Action::Pop => "BLPOP",
        Action::Publish => "PUBLISH",
        Action::Subscribe => "SUBSCRIBE",
        Action::Script => "EVAL",
        Action::Transaction => "MULTI",
        Action::Pipeline => "pipeline",
        Action::Acquire => "lock",
        Action::Renew => "renewal",
        Action::Release => "unlock",
        Action::Take => "BLMOVE",
        Action::Unfinished => "LINDEX",
        Action::Acknowledge => "LREM",
        Action::CachedGet => "cached GET",
    }
}
