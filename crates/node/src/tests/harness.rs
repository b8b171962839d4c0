//! Nodes wired together, in virtual time: what one sends the other gets, after a millisecond.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use model::history::Position;
use model::machine::{Identity, Note};
use model::{Addr, Command, Conn, Frame, Input, NodeId, Output, Reply, Seed, Time};

use crate::{Config, Node};

/// A cluster of data nodes and the clients of the test.
pub(super) struct Lab {
    pub(super) now: Time,
    pub(super) nodes: Vec<Node>,
    /// The other end of each connection between nodes.
    peers: BTreeMap<(usize, Conn), (usize, Conn)>,
    /// Whom nobody can reach.
    cut: Vec<usize>,
    flying: VecDeque<(Time, usize, Input)>,
    next_conn: u64,
    /// What each client connection heard.
    pub(super) heard: BTreeMap<(usize, Conn), VecDeque<Reply>>,
    /// What each client connection that asked for the stream of a master got of it.
    pub(super) streams: BTreeMap<(usize, Conn), VecDeque<Command>>,
    pub(super) closed: Vec<(usize, Conn)>,
    pub(super) protocols: Vec<(Conn, u8)>,
    pub(super) notes: Vec<(usize, Note)>,
    pub(super) exited: Vec<usize>,
    /// Frames between nodes, in order: from, to, frame.
    pub(super) wire: Vec<(usize, usize, Frame)>,
}

pub(super) fn addr(index: usize) -> Addr {
    Addr::new(&format!("10.0.0.{}", index + 1), 6379)
}

pub(super) fn config(index: usize) -> Config {
    Config::new(Identity { node: NodeId::data(index as u16 + 1), addr: addr(index) })
}

impl Lab {
    /// One master.
    pub(super) fn single() -> Self {
        Self::of(vec![config(0)])
    }

    /// A master and replicas, in sync.
    pub(super) fn cluster(replicas: usize) -> Self {
        let mut configs = vec![config(0)];
        for index in 1..=replicas {
            configs.push(Config { replica_of: Some(addr(0)), ..config(index) });
        }
        let mut lab = Self::of(configs);
        lab.run(2_000);
        for replica in &lab.nodes[1..] {
            assert!(replica.link_up());
        }
        lab
    }

    pub(super) fn of(configs: Vec<Config>) -> Self {
        let nodes = configs.into_iter().map(|config| Node::new(config, Seed(7), 0, Time::ZERO)).collect();
        let mut lab = Self {
            now: Time::ZERO,
            nodes,
            peers: BTreeMap::new(),
            cut: Vec::new(),
            flying: VecDeque::new(),
            next_conn: 0,
            heard: BTreeMap::new(),
            streams: BTreeMap::new(),
            closed: Vec::new(),
            protocols: Vec::new(),
            notes: Vec::new(),
            exited: Vec::new(),
            wire: Vec::new(),
        };
        for index in 0..lab.nodes.len() {
            lab.input(index, Input::Tick);
        }
        lab
    }

    /// Replaces a node by a restarted one.
    pub(super) fn restart(&mut self, index: usize, replica_of: Option<Addr>) {
        self.cut_links(index);
        let config = Config { replica_of, ..self.nodes[index].config().clone() };
        self.nodes[index] = Node::new(config, Seed(7), 1, self.now);
        self.input(index, Input::Tick);
    }

    /// Breaks every connection of a node and lets no new one through, until [`Lab::heal`].
    pub(super) fn cut(&mut self, index: usize) {
        self.cut.push(index);
        self.cut_links(index);
    }

    fn cut_links(&mut self, index: usize) {
        let ends: Vec<_> =
            self.peers.iter().filter(|((a, _), (b, _))| *a == index || *b == index).map(|(e, _)| *e).collect();
        self.flying.retain(|(_, to, _)| *to != index);
        for end in ends {
            self.peers.remove(&end);
            self.input(end.0, Input::Closed(end.1));
        }
    }

    pub(super) fn heal(&mut self, index: usize) {
        self.cut.retain(|other| *other != index);
    }

    /// Lets `ms` milliseconds pass.
    pub(super) fn run(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while self.step(end) {}
        self.now = end;
    }

    /// Lets the next thing happen, unless that is later than `end`.
    pub(super) fn step(&mut self, end: Time) -> bool {
        let arrival = self.flying.front().map_or(Time::NEVER, |(at, _, _)| *at);
        let deadline = self.nodes.iter().map(Node::deadline).min().unwrap_or(Time::NEVER);
        let next = arrival.min(deadline);
        if next > end {
            return false;
        }
        self.now = self.now.max(next);
        if arrival <= deadline {
            if let Some((_, to, input)) = self.flying.pop_front() {
                self.input(to, input);
            }
        } else {
            for index in 0..self.nodes.len() {
                if self.nodes[index].deadline() <= self.now {
                    self.input(index, Input::Tick);
                }
            }
        }
        true
    }

    pub(super) fn input(&mut self, index: usize, input: Input) {
        let mut outputs = Vec::new();
        self.nodes[index].handle(self.now, input, &mut outputs);
        for output in outputs {
            self.output(index, output);
        }
    }

    fn fly(&mut self, to: usize, input: Input) {
        self.flying.push_back((self.now + Duration::from_millis(1), to, input));
    }

    fn output(&mut self, from: usize, output: Output) {
        match output {
            Output::Connect(conn, to) => {
                let to = (0..self.nodes.len()).find(|index| addr(*index) == to);
                let Some(to) = to.filter(|to| !self.cut.contains(to) && !self.cut.contains(&from)) else {
                    return self.fly(from, Input::Closed(conn));
                };
                self.next_conn += 1;
                let accepted = Conn::inbound(self.next_conn);
                self.peers.insert((from, conn), (to, accepted));
                self.peers.insert((to, accepted), (from, conn));
                self.fly(to, Input::Accepted(accepted, Addr::new(&addr(from).host, 40_000)));
                self.fly(from, Input::Connected(conn));
            }
            Output::Send(conn, frame) => {
                if let Some((to, there)) = self.peers.get(&(from, conn)).copied() {
                    self.wire.push((from, to, frame.clone()));
                    self.fly(to, Input::Received(there, frame));
                } else if let Frame::Reply(reply) = frame {
                    self.heard.entry((from, conn)).or_default().push_back(reply);
                } else if let Frame::Command(command) = frame {
                    self.streams.entry((from, conn)).or_default().push_back(command);
                }
            }
            Output::Close(conn) => {
                self.closed.push((from, conn));
                if let Some((to, there)) = self.peers.remove(&(from, conn)) {
                    self.peers.remove(&(to, there));
                    self.fly(to, Input::Closed(there));
                }
            }
            Output::Protocol(conn, version) => self.protocols.push((conn, version)),
            // What is sent is heard at once.
            Output::Limits(..) | Output::Leave(_) | Output::Discard(_) => {}
            Output::Exit => self.exited.push(from),
            Output::Note(note) => self.notes.push((from, note)),
        }
    }

    /// A client's connection to a node.
    pub(super) fn client(&mut self, node: usize) -> Conn {
        self.next_conn += 1;
        let conn = Conn::inbound(self.next_conn);
        self.input(node, Input::Accepted(conn, Addr::new("10.200.0.1", 50_000)));
        conn
    }

    /// Sends a command, words separated by spaces, and waits for nothing.
    pub(super) fn send(&mut self, node: usize, conn: Conn, line: &str) {
        let command = Command(line.split(' ').map(|word| word.to_owned().into()).collect());
        self.input(node, Input::Received(conn, Frame::Command(command)));
    }

    /// What came for a client and was not looked at yet, in short form.
    pub(super) fn next(&mut self, node: usize, conn: Conn) -> Option<String> {
        self.heard.get_mut(&(node, conn))?.pop_front().map(|reply| show(&reply))
    }

    /// Sends a command and gives the reply that comes at once; `(none)` without one.
    pub(super) fn ask_on(&mut self, node: usize, conn: Conn, line: &str) -> String {
        self.send(node, conn, line);
        self.next(node, conn).unwrap_or_else(|| "(none)".to_owned())
    }

    /// The same on a connection of its own.
    pub(super) fn ask(&mut self, node: usize, line: &str) -> String {
        let conn = self.client(node);
        let reply = self.ask_on(node, conn, line);
        self.input(node, Input::Closed(conn));
        reply
    }

    /// The position of the latest change that a client made.
    pub(super) fn last_position(&self) -> Position {
        let position = |note: &(usize, Note)| match &note.1 {
            Note::Executed { position, .. } => position.clone(),
            _ => None,
        };
        self.notes.iter().rev().find_map(position).expect("nothing was changed")
    }

    /// The rule of lineages: the change at `position` is part of the node's data set.
    pub(super) fn holds(&self, node: usize, position: &Position) -> bool {
        let reaches = |end: &Position| end.replid == position.replid && end.offset >= position.offset;
        self.nodes[node].lineage().iter().any(reaches)
    }
}

/// Text as it is, other bytes so that they are told apart.
pub(super) fn legible(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|_| bytes.escape_ascii().to_string())
}

/// Compact form of a reply: `+OK`, `-ERR …`, `:1`, `"bulk"`, `nil`, `nil*`, `[…]`, `{…}`, `>[…]`, `~[…]`.
pub(super) fn show(reply: &Reply) -> String {
    let list = |items: &[Reply]| items.iter().map(show).collect::<Vec<_>>().join(" ");
    match reply {
        Reply::Simple(text) => format!("+{text}"),
        Reply::Error(text) => format!("-{text}"),
        Reply::Int(n) => format!(":{n}"),
        Reply::Bulk(bytes) => format!("\"{}\"", legible(bytes)),
        Reply::Status(text) => format!("+{text}"),
        Reply::Text(text) | Reply::Verbatim(text) => format!("\"{text}\""),
        Reply::Double(value) => format!(",{value}"),
        Reply::Decimal(digits) => format!(",{digits}"),
        Reply::Bool(value) => format!("#{value}"),
        Reply::BigNumber(digits) => format!("({digits}"),
        Reply::Null => "nil".to_owned(),
        Reply::NullArray => "nil*".to_owned(),
        Reply::Array(items) => format!("[{}]", list(items)),
        Reply::ArrayOf(len) => format!("*{len}"),
        Reply::Set(items) => format!("~[{}]", list(items)),
        Reply::Push(items) => format!(">[{}]", list(items)),
        Reply::Map(pairs) => {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("{} {}", show(key), show(value))).collect();
            format!("{{{}}}", pairs.join(" "))
        }
    }
}
