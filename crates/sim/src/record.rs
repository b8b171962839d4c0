//! What a command leaves in the history, and what is recorded at the end.

use model::history::{Execution, FinalData, History, Record, Stream, Value, What};
use model::{Command, OpId, Reply, Time};

use crate::link::Party;
use crate::world::World;

/// The upper-case name of a command, with the subcommand where the command has them and a reader wants to know.
pub(crate) fn command_name(command: &Command) -> String {
    let upper = |word: &[u8]| String::from_utf8_lossy(word).to_ascii_uppercase();
    let mut name = upper(command.name());
    if matches!(name.as_str(), "SENTINEL" | "CLIENT" | "CONFIG")
        && let Some(subcommand) = command.get(1)
    {
        name.push(' ');
        name.push_str(&upper(subcommand));
    }
    name
}

/// The operation that a command's arguments name; of several the last.
pub(crate) fn operation(command: &Command) -> Option<OpId> {
    command.0.iter().skip(1).rev().filter(|arg| arg.contains(&b'#')).find_map(|arg| OpId::find(arg))
}

/// What the reply to a command says of data.
pub(crate) fn value(command: &Command, reply: &Reply) -> Option<Value> {
    fn said(reply: &Reply) -> Option<Value> {
        match reply {
            Reply::Null | Reply::NullArray => Some(Value::Nil),
            Reply::Int(number) => Some(Value::Number(*number)),
            Reply::Bulk(text) => Some(Value::of(text)),
            // A popped item comes with the name of its list.
            Reply::Array(items) => items.last().and_then(said),
            _ => None,
        }
    }
    said(reply).filter(|_| node::is_about_data(command))
}

impl World {
    /// Records a command on a client's link; on other links nothing.
    pub(crate) fn record_execution(
        &mut self,
        node: usize,
        link: usize,
        command: &Command,
        name: String,
        fill: impl FnOnce(&mut Execution),
    ) {
        let Some(client) = self.links[link].client().filter(|_| !self.is_unrecorded(link)) else { return };
        let mut execution = Execution {
            node: self.nodes[node].id,
            client: self.clients[client].id.clone(),
            conn: link as u64,
            command: name,
            op: operation(command),
            error: None,
            write: false,
            master: false,
            database: 0,
            position: None,
            reply_cut: false,
            sent: self.links[link].said.filter(|said| *said < self.now),
            value: None,
        };
        fill(&mut execution);
        self.history.push(self.now, What::Executed(execution));
    }

    /// Records what the links have carried from master to replica.
    fn record_streams(&mut self) {
        let mut streams: Vec<Stream> = Vec::new();
        for link in &self.links {
            let [Party::Node(node, _), Party::Node(of, _)] = link.parties else { continue };
            let Some(carried) = link.tap.as_ref().and_then(|tap| tap.stream.as_ref()) else { continue };
            let Some(received) = carried.received.clone() else { continue };
            let (begun, full, sent) = (carried.begun, carried.full, carried.sent.clone());
            streams.push(Stream { node: self.nodes[node].id, of: self.nodes[of].id, begun, full, sent, received });
        }
        streams.sort_by_key(|stream| stream.begun);
        let records = streams.into_iter().map(|stream| Record { at: self.now, what: What::Stream(stream) });
        self.history.records.extend(records);
    }

    /// Ends the run: records what the links carried to replicas, what every data node holds and what every Sentinel answers, and gives the history.
    pub fn finish(mut self, now: Time) -> History {
        self.advance(now);
        self.record_streams();
        for node in 0..self.nodes.len() {
            let process = &self.nodes[node];
            let up = process.is_up() && !self.is_unreachable(node);
            if process.group.is_some() {
                let of = process.follows().and_then(|addr| self.node_at(addr)).map(|peer| self.nodes[peer].id);
                let data = process.machine.as_ref().and_then(|machine| machine.data());
                let what = What::Final(FinalData {
                    node: process.id,
                    of,
                    up,
                    offset: data.map_or(0, node::Node::offset),
                    lineage: data.map_or_else(Vec::new, node::Node::lineage),
                });
                self.history.push(self.now, what);
                continue;
            }
            for group in 0..self.cluster.groups.len() {
                let Some(peer) = self.answers.of(node, group) else { continue };
                let what = What::FinalAnswer {
                    node: self.nodes[node].id,
                    master: self.cluster.groups[group].name.clone(),
                    addr: self.nodes[peer].id,
                    up,
                };
                self.history.push(self.now, what);
            }
        }
        self.history
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_upper_case_with_the_subcommand() {
        assert_eq!(command_name(&Command::of(&["incr", "k"])), "INCR");
        assert_eq!(command_name(&Command::of(&["Sentinel", "masters"])), "SENTINEL MASTERS");
        assert_eq!(command_name(&Command::of(&["CLIENT"])), "CLIENT");
        assert_eq!(command_name(&Command::default()), "");
    }

    #[test]
    fn the_last_argument_that_names_an_operation_counts() {
        let op = |words: &[&'static str]| operation(&Command::of(words)).map(|op| op.to_string());
        assert_eq!(op(&["SET", "k:a#1", "b#2"]).as_deref(), Some("b#2"));
        assert_eq!(op(&["SET", "a#1", "x#"]).as_deref(), Some("a#1"));
        assert_eq!(op(&["a#1"]), None);
    }

    #[test]
    fn values_of_replies_about_data() {
        let said = |name, reply: &Reply| value(&Command::of(&[name]), reply);
        let item = Reply::word("a#1");
        let got = OpId::find(b"a#1").map(Value::Got);
        assert_eq!(said("GET", &item), got);
        assert_eq!(said("BLPOP", &Reply::Array(vec![Reply::word("queue"), item])), got);
        assert_eq!(said("GET", &Reply::word("x")), Some(Value::Text("x".into())));
        assert_eq!(said("GET", &Reply::Null), Some(Value::Nil));
        assert_eq!(said("EVAL", &Reply::Int(3)), Some(Value::Number(3)));
        assert_eq!(said("SET", &Reply::OK), None);
        assert_eq!(said("INFO", &Reply::word("x")), None);
    }
}
