//! Links: connections between two nodes, or between a client and a node, in order per direction.
//!
//! A parcel that meets a partition waits at its link's end and holds up what comes after it. When the partition is
//! healed, what waited arrives after the delay of the path, as TCP would retransmit it.

use std::collections::VecDeque;
use std::time::Duration;

use model::history::{ClosedBy, What};
use model::machine::{Conn, Input};
use model::{Addr, Frame, NodeKind, Reply, Time};

use crate::effect::Effect;
use crate::queue::Event;
use crate::stream::Tap;
use crate::world::World;

/// One of the two ends of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The side that dialled.
    Opener = 0,
    /// The side that was dialled.
    Acceptor = 1,
}

impl End {
    /// The other one.
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Opener => Self::Acceptor,
            Self::Acceptor => Self::Opener,
        }
    }
}

/// Who holds an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    /// A node, which knows the link by this name.
    Node(usize, Conn),
    /// A client. As the acceptor: whoever is at an address outside the world.
    Client(usize),
    /// The one who injects faults, with a command of Redis.
    Operator,
    /// Nobody: the address has no node.
    Nobody,
}

/// What travels.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// May I? With the caller's address, where the world did not give it one.
    Syn(Option<Addr>),
    /// The same, to an address outside the world.
    Dial(Addr),
    /// You may.
    SynAck,
    /// Something said.
    Frame(Frame),
    /// To clients: the version of RESP from here on.
    Protocol(u8),
    /// To clients: what the node keeps for them from here on.
    Limits(Box<model::Limits>),
    /// To clients: what was said and is not written yet is dropped.
    Discard,
    /// To clients: it is over, if something that was said is not written yet.
    Leave,
    /// It is over.
    Fin(ClosedBy),
    /// What its sender, which is no more, had not sent.
    Unsent,
}

/// One direction of a link.
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    /// With the moment at which each leaves its sender.
    parcels: VecDeque<(Time, Parcel)>,
    /// When the last parcel is due; none after it is due earlier.
    last: Time,
    /// Parcels that were due while nothing could pass.
    held: usize,
}

/// A connection. Its index in the world is its number, and never used again.
#[derive(Debug)]
pub(crate) struct Link {
    /// Opener, acceptor.
    pub(crate) parties: [Party; 2],
    /// Which ends stand. What arrives at one that does not is dropped.
    pub(crate) open: [bool; 2],
    /// By the end that they lead to.
    pipes: [Pipe; 2],
    /// It carries a replication stream.
    pub(crate) tap: Option<Tap>,
    /// A hanging node took something from its client, or kept something from it.
    pub(crate) swallowed: bool,
    /// When its client sent the commands that have not arrived at a running process yet.
    pub(crate) unheard: VecDeque<Time>,
    /// When its client sent the command that arrived last.
    pub(crate) said: Option<Time>,
    /// Somebody outside has closed it, but the node has not: its process is frozen, or does not know yet.
    pub(crate) lingers: bool,
    /// Whatever is said on it from now on is lost, and nobody is told.
    pub(crate) silent: bool,
    /// The host has forgotten its number, which may be used again once nothing is under way.
    retired: bool,
}

impl Link {
    pub(crate) fn new(opener: Party, acceptor: Party) -> Self {
        Self {
            parties: [opener, acceptor],
            open: [true, false],
            pipes: [Pipe::default(), Pipe::default()],
            tap: None,
            swallowed: false,
            unheard: VecDeque::new(),
            said: None,
            lingers: false,
            silent: false,
            retired: false,
        }
    }

    /// A connection that is no more: its number is free.
    fn spare() -> Self {
        Self { open: [false, false], ..Self::new(Party::Nobody, Party::Nobody) }
    }

    /// The client that opened it.
    pub(crate) fn client(&self) -> Option<usize> {
        match self.parties[0] {
            Party::Client(client) => Some(client),
            _ => None,
        }
    }

    /// True if it stays in the world, so that what travels on it takes the world's time.
    pub(crate) fn between_nodes(&self) -> bool {
        matches!(self.parties, [Party::Node(..), Party::Node(..) | Party::Nobody | Party::Operator])
    }

    /// The end that somebody outside holds.
    pub(crate) fn outer_end(&self) -> Option<End> {
        match self.parties {
            [Party::Client(_), _] => Some(End::Opener),
            [_, Party::Client(_)] => Some(End::Acceptor),
            _ => None,
        }
    }

    /// The node that accepts it.
    pub(crate) fn server(&self) -> Option<usize> {
        match self.parties[1] {
            Party::Node(node, _) => Some(node),
            _ => None,
        }
    }
}

impl World {
    /// A node dials an address.
    pub(crate) fn connect(&mut self, node: usize, conn: Conn, addr: &Addr) {
        let opener = Party::Node(node, conn);
        let (number, parcel) = match (self.node_at(addr), self.outside) {
            (Some(peer), _) => {
                let number = self.links.len();
                self.links.push(Link::new(opener, Party::Node(peer, Conn::inbound(number as u64))));
                (number, Parcel::Syn(None))
            }
            (None, Some(outside)) => (self.add_link(opener, |_| Party::Client(outside)), Parcel::Dial(addr.clone())),
            (None, None) => {
                self.links.push(Link::new(opener, Party::Nobody));
                (self.links.len() - 1, Parcel::Syn(None))
            }
        };
        self.nodes[node].attach(number, End::Opener, conn);
        self.send(number, End::Acceptor, parcel, Duration::ZERO);
    }

    /// Adds a link to or from outside the world, under a number that is free. The acceptor depends on the number.
    pub(crate) fn add_link(&mut self, opener: Party, acceptor: impl FnOnce(usize) -> Party) -> usize {
        let number = self.spare.pop().unwrap_or(self.links.len());
        let link = Link::new(opener, acceptor(number));
        match self.links.get_mut(number) {
            Some(spare) => *spare = link,
            None => self.links.push(link),
        }
        number
    }

    /// The host has closed a connection to or from outside the world, and forgotten its number.
    pub fn retire(&mut self, conn: u64) {
        if let Some(link) = usize::try_from(conn).ok().and_then(|number| self.links.get_mut(number)) {
            link.retired = true;
            self.recycle(conn as usize);
        }
    }

    /// Makes a link's number free again, if the host has forgotten it and nothing is under way.
    pub(crate) fn recycle(&mut self, number: usize) {
        let link = &self.links[number];
        if link.retired && link.open == [false, false] && link.pipes.iter().all(|pipe| pipe.parcels.is_empty()) {
            self.late.retain(|_, (late, _)| *late != number);
            self.links[number] = Link::spare();
            self.spare.push(number);
        }
    }

    /// A node says something on a link.
    pub(crate) fn transmit(&mut self, link: usize, to: End, frame: Frame) {
        let mut extra = Duration::ZERO;
        let party = self.links[link].parties;
        match (party[0], party[1]) {
            (Party::Client(_), Party::Node(node, _)) => {
                if self.nodes[node].hangs > 0 {
                    self.links[link].swallowed = true;
                    return;
                }
                if !self.nodes[node].overrides.is_empty() {
                    match self.hold_back(node, link, &frame) {
                        Some(delay) => extra = delay,
                        None => return,
                    }
                }
            }
            (Party::Node(opener, _), Party::Node(master, _)) if self.nodes[opener].id.kind == NodeKind::Data => {
                if to == End::Acceptor {
                    if let Frame::Command(command) = &frame
                        && let Some(tap) = Tap::on(command)
                    {
                        self.links[link].tap = Some(tap);
                    }
                } else if let Some(tap) = &mut self.links[link].tap {
                    tap.sent(self.now, &frame);
                    extra = self.nodes[master].group.map_or(extra, |group| self.cluster.groups[group].replication_lag);
                }
            }
            _ => {}
        }
        self.send(link, to, Parcel::Frame(frame), extra);
    }

    /// Puts a parcel on its way, to arrive after the delay of the path and `extra`.
    pub(crate) fn send(&mut self, link: usize, to: End, parcel: Parcel, extra: Duration) {
        if self.links[link].silent {
            return;
        }
        let delay = self.delay(link, to) + extra;
        if !self.links[link].between_nodes()
            && delay.is_zero()
            && self.links[link].pipes[to as usize].parcels.is_empty()
            && !self.is_blocked(link, to, &parcel)
        {
            self.deliver(link, to, parcel);
            return;
        }
        let pipe = &mut self.links[link].pipes[to as usize];
        pipe.last = pipe.last.max(self.now + delay);
        pipe.parcels.push_back((self.now + extra, parcel));
        self.queue.put(pipe.last, Event::Arrive(link, to));
    }

    /// The first parcel of a direction is due.
    pub(crate) fn arrive(&mut self, link: usize, to: End) {
        let Some((_, parcel)) = self.links[link].pipes[to as usize].parcels.front() else { return };
        if self.is_blocked(link, to, parcel) {
            self.links[link].pipes[to as usize].held += 1;
        } else if let Some((_, parcel)) = self.links[link].pipes[to as usize].parcels.pop_front() {
            self.deliver(link, to, parcel);
            self.recycle(link);
        }
    }

    /// Sends on its way whatever waited for a path that is free again.
    pub(crate) fn release_held(&mut self) {
        for link in 0..self.links.len() {
            for to in [End::Opener, End::Acceptor] {
                let pipe = &self.links[link].pipes[to as usize];
                let Some((_, first)) = pipe.parcels.front() else { continue };
                if pipe.held == 0 || self.is_blocked(link, to, first) {
                    continue;
                }
                let delay = self.delay(link, to);
                let pipe = &mut self.links[link].pipes[to as usize];
                pipe.last = pipe.last.max(self.now + delay);
                for _ in 0..std::mem::take(&mut pipe.held) {
                    self.queue.put(pipe.last, Event::Arrive(link, to));
                }
            }
        }
    }

    /// The node's end is closed: whoever left before sees it closed at last.
    pub(crate) fn let_go(&mut self, number: usize) {
        let link = &mut self.links[number];
        if std::mem::take(&mut link.lingers) && !link.retired {
            self.effects.push(Effect::Close { conn: number as u64 });
        }
    }

    /// Ends a link from one end, and tells the other.
    pub(crate) fn hang_up(&mut self, link: usize, end: End, by: ClosedBy) {
        if !std::mem::take(&mut self.links[link].open[end as usize]) {
            return;
        }
        if let Party::Node(node, _) = self.links[link].parties[end as usize] {
            self.nodes[node].detach(link, end);
            self.let_go(link);
        }
        self.send(link, end.other(), Parcel::Fin(by), Duration::ZERO);
        self.recycle(link);
    }

    /// A process ends: what it still kept back, to send it later, is gone.
    pub(crate) fn drop_unsent(&mut self, link: usize, to: End) {
        let Link { pipes, tap, .. } = &mut self.links[link];
        for (leaves, parcel) in &mut pipes[to as usize].parcels {
            if *leaves > self.now {
                if let (Some(tap), Parcel::Frame(frame)) = (&mut *tap, &*parcel) {
                    tap.unsent(frame);
                }
                *parcel = Parcel::Unsent;
            }
        }
    }

    /// Cuts a client's connection: both sides find it closed.
    pub(crate) fn sever(&mut self, link: usize) {
        let Party::Node(node, conn) = self.links[link].parties[End::Acceptor as usize] else { return };
        self.send(link, End::Opener, Parcel::Fin(ClosedBy::Fault), Duration::ZERO);
        self.input(node, Some((link, End::Acceptor)), Input::Closed(conn));
    }

    fn deliver(&mut self, link: usize, to: End, parcel: Parcel) {
        if self.links[link].silent {
            return;
        }
        let parcel = match parcel {
            Parcel::Syn(from) if to == End::Acceptor => return self.knock(link, from),
            Parcel::Dial(addr) => return self.dial(link, addr),
            parcel => parcel,
        };
        // Who has closed one's own half still hears what is said until the other half is closed.
        let hears = self.links[link].lingers
            && matches!(
                parcel,
                Parcel::Frame(_) | Parcel::Protocol(_) | Parcel::Limits(_) | Parcel::Leave | Parcel::Discard
            );
        if !(self.links[link].open[to as usize] || hears && self.links[link].outer_end() == Some(to)) {
            return;
        }
        if let Parcel::Frame(frame) = &parcel {
            self.delivered(link, to, frame);
        }
        match self.links[link].parties[to as usize] {
            Party::Node(node, conn) => {
                let input = match parcel {
                    Parcel::SynAck => Input::Connected(conn),
                    Parcel::Frame(frame) => Input::Received(conn, frame),
                    Parcel::Fin(_) => Input::Closed(conn),
                    Parcel::Syn(_)
                    | Parcel::Dial(_)
                    | Parcel::Protocol(_)
                    | Parcel::Limits(_)
                    | Parcel::Leave
                    | Parcel::Discard
                    | Parcel::Unsent => {
                        return;
                    }
                };
                let from_client = self.links[link].client().is_some();
                if from_client && self.nodes[node].hangs > 0 && matches!(input, Input::Received(..)) {
                    self.links[link].swallowed = true;
                    return;
                }
                self.input(node, Some((link, to)), input);
            }
            Party::Client(client) => {
                let conn = link as u64;
                match parcel {
                    Parcel::Frame(frame) => self.effects.push(Effect::Send { conn, frame }),
                    Parcel::Protocol(version) => self.effects.push(Effect::Protocol { conn, version }),
                    Parcel::Limits(limits) => self.effects.push(Effect::Limits { conn, limits }),
                    Parcel::Leave => self.effects.push(Effect::Leave { conn }),
                    Parcel::Discard => self.effects.push(Effect::Discard { conn }),
                    Parcel::Fin(by) => {
                        self.links[link].open[to as usize] = false;
                        self.effects.push(Effect::Close { conn });
                        self.note_closed(link, client, by);
                    }
                    Parcel::Syn(_) | Parcel::Dial(_) | Parcel::SynAck | Parcel::Unsent => {}
                }
            }
            Party::Operator => match parcel {
                Parcel::Frame(Frame::Reply(reply)) => {
                    self.undoing.remove(&link);
                    self.operator_reply = Some(reply);
                }
                Parcel::Fin(_) => {
                    if let Some((node, undo)) = self.undoing.remove(&link) {
                        self.take_back(node, None, undo);
                    }
                }
                _ => {}
            },
            Party::Nobody => {}
        }
    }

    /// A connection reaches the machine that it is for.
    fn knock(&mut self, link: usize, from: Option<Addr>) {
        if !self.links[link].open[End::Opener as usize] {
            return; // The opener has given up; its kernel would not complete the handshake.
        }
        let [opener, acceptor] = self.links[link].parties;
        let Party::Node(node, conn) = acceptor else {
            self.send(link, End::Opener, Parcel::Fin(ClosedBy::Fault), Duration::ZERO);
            return;
        };
        if !self.nodes[node].listens() {
            self.send(link, End::Opener, Parcel::Fin(ClosedBy::Fault), Duration::ZERO);
            return;
        }
        self.links[link].open[End::Acceptor as usize] = true;
        self.nodes[node].attach(link, End::Acceptor, conn);
        let from = from.unwrap_or_else(|| match opener {
            Party::Node(peer, _) => Addr { host: self.nodes[peer].addr.host.clone(), port: ephemeral(link) },
            Party::Client(client) => Addr { host: self.clients[client].host.clone(), port: ephemeral(link) },
            Party::Operator | Party::Nobody => Addr::new("127.0.0.1", ephemeral(link)),
        });
        if matches!(opener, Party::Node(..)) {
            self.send(link, End::Opener, Parcel::SynAck, Duration::ZERO);
        }
        self.input(node, Some((link, End::Acceptor)), Input::Accepted(conn, from));
    }

    /// An attempt to connect leaves the world.
    fn dial(&mut self, link: usize, addr: Addr) {
        let [Party::Node(node, _), _] = self.links[link].parties else { return };
        if self.links[link].open[End::Opener as usize] {
            self.links[link].open[End::Acceptor as usize] = true;
            self.effects.push(Effect::Dial { conn: link as u64, node: self.nodes[node].id, addr });
        }
    }

    /// A push that an override held back is published.
    pub(crate) fn publish_late(&mut self, number: u64) {
        if let Some((link, push)) = self.late.remove(&number) {
            self.publish(link, push);
        }
    }

    fn publish(&mut self, link: usize, push: Reply) {
        if self.links[link].open[End::Acceptor as usize] {
            self.send(link, End::Opener, Parcel::Frame(Frame::Reply(push)), Duration::ZERO);
        }
    }

    /// A client's connection ended.
    pub(crate) fn note_closed(&mut self, link: usize, client: usize, by: ClosedBy) {
        if self.is_unrecorded(link) {
            return;
        }
        let Some(node) = self.links[link].server() else { return };
        let (node, client) = (self.nodes[node].id, self.clients[client].id.clone());
        self.history.push(self.now, What::Closed { node, client, conn: link as u64, by });
    }
}

/// A port in the range that kernels give to openers.
fn ephemeral(link: usize) -> u16 {
    32_768 + (link % 28_000) as u16
}
