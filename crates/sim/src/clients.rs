//! Clients: who they are, how the doors of the nodes stand for them, and what they do on their connections.
//!
//! A world that is [open to outside](World::open_outside) has one client more, which stands for everybody out there: whoever
//! connects to a node, be it a program or a real Redis or Sentinel, and whoever is at an address that a node dials and no
//! node of the world has. Nobody judges it, so nothing that it does is recorded.

use std::sync::Arc;
use std::time::Duration;

use model::history::{ClosedBy, NodeState, What};
use model::machine::Conn;
use model::{Addr, ClientId, Command, Frame, NodeId, Time};

use crate::effect::{Door, Effect};
use crate::link::{End, Link, Parcel, Party};
use crate::world::World;

/// A client under test.
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) zone: String,
    /// Its address as nodes see it.
    pub(crate) host: Arc<str>,
    /// How each node's door stood when the host was last told.
    doors: Vec<Door>,
    /// Nothing that it does is recorded.
    unrecorded: bool,
    /// How many requests it has sent, and at which instant.
    sent: (Time, u32),
    /// It lets no time pass by itself.
    spins: bool,
}

/// Requests of one client at one instant from which on it is taken to go on for ever. An outage leaves some thousands to be sent
/// at once; and a run in which time stands still never ends.
const SPINS: u32 = 20_000;

/// What each request of a client that spins takes on its way. A real network is not faster by much.
const SPINNING: Duration = Duration::from_millis(1);

impl World {
    /// Adds a client that the plan does not have, in `zone`. One that there is already stays as it is.
    pub fn add_client(&mut self, client: &ClientId, zone: &str) {
        if self.client_index(client).is_some() {
            return;
        }
        let index = self.clients.len();
        let host = format!("10.192.{}.{}", index / 250, index % 250 + 1);
        let doors = vec![Door::Open; self.nodes.len()];
        let (id, zone, host) = (client.clone(), zone.to_owned(), Arc::from(host));
        let (sent, spins) = ((Time::ZERO, 0), false);
        let added = Client { id, zone, host, doors, unrecorded: false, sent, spins };
        for standing in &mut self.standing {
            standing.admit(self.nodes.len() + index, &added);
        }
        self.clients.push(added);
        self.history.header.clients.push((client.clone(), String::new()));
        self.change_paths();
    }

    /// Opens the world to everybody outside, who are the client `outside` in the default zone from now on.
    pub fn open_outside(&mut self, outside: &ClientId) {
        self.add_client(outside, model::plan::Cluster::DEFAULT_ZONE);
        self.history.header.clients.retain(|(id, _)| id != outside);
        self.outside = self.client_index(outside);
        if let Some(client) = self.outside {
            self.clients[client].unrecorded = true;
        }
    }

    /// Says how many times as fast as the real clock that of the run goes, for the header of the history.
    pub fn set_speed(&mut self, speed: u32) {
        self.history.header.speed = Some(speed);
    }

    /// Names the driver of a client, for the header of the history.
    pub fn set_driver(&mut self, client: &ClientId, driver: &str) {
        if let Some((_, name)) = self.history.header.clients.iter_mut().find(|(id, _)| id == client) {
            driver.clone_into(name);
        }
    }

    /// A client's connection to a node was accepted. The number is the connection's from here on.
    ///
    /// A client that the world does not know is added, in the default zone. If the node's process has ended meanwhile,
    /// so does the connection.
    pub fn open(&mut self, now: Time, client: &ClientId, node: NodeId) -> u64 {
        self.advance(now);
        self.add_client(client, model::plan::Cluster::DEFAULT_ZONE);
        let index = self.client_index(client).unwrap_or_default();
        let link = self.links.len();
        let acceptor = match self.node_index(node) {
            Some(node) => Party::Node(node, Conn::inbound(link as u64)),
            None => Party::Nobody,
        };
        self.links.push(Link::new(Party::Client(index), acceptor));
        self.history.push(self.now, What::Opened { node, client: client.clone(), conn: link as u64 });
        self.send(link, End::Acceptor, Parcel::Syn(None), Duration::ZERO);
        link as u64
    }

    /// Somebody outside, at the address `from`, connected to a node. The number is the connection's until it is
    /// [retired](World::retire). `None` if the world is not open to outside, or has no such node.
    pub fn accept(&mut self, now: Time, node: NodeId, from: Addr) -> Option<u64> {
        self.advance(now);
        let (outside, node) = (self.outside?, self.node_index(node)?);
        let link = self.add_link(Party::Client(outside), |number| Party::Node(node, Conn::inbound(number as u64)));
        self.send(link, End::Acceptor, Parcel::Syn(Some(from)), Duration::ZERO);
        Some(link as u64)
    }

    /// A connection stands that [`Effect::Dial`] asked for.
    pub fn dialled(&mut self, now: Time, conn: u64) {
        self.advance(now);
        if let Some((link, End::Acceptor)) = self.outer(conn) {
            self.send(link, End::Opener, Parcel::SynAck, Duration::ZERO);
        }
    }

    /// A command arrived on a client's connection.
    pub fn command(&mut self, now: Time, conn: u64, command: Command) {
        self.receive(now, conn, Frame::Command(command));
    }

    /// Something arrived on a connection: a command of a client, or what a peer says that a node has dialled.
    pub fn receive(&mut self, now: Time, conn: u64, frame: Frame) {
        // What comes at one moment is taken in one pass, so that nodes have it all before they look at the clock.
        if self.now < now {
            self.advance(now);
        }
        if let Some((link, end)) = self.outer(conn) {
            let mut extra = Duration::ZERO;
            if !self.is_unrecorded(link) {
                self.links[link].unheard.push_back(self.now);
                if self.links[link].client().is_some_and(|client| self.spins(client)) {
                    extra = SPINNING;
                }
            }
            self.send(link, end.other(), Parcel::Frame(frame), extra);
        }
    }

    /// Counts a request of a client; true if it sends them without letting time pass.
    fn spins(&mut self, client: usize) -> bool {
        let now = self.now;
        let client = &mut self.clients[client];
        let (at, requests) = &mut client.sent;
        *requests = if *at == now { *requests + 1 } else { 1 };
        *at = now;
        if *requests >= SPINS && !std::mem::replace(&mut client.spins, true) {
            self.history.push(now, What::Spins { client: client.id.clone(), requests: *requests });
        }
        client.spins
    }

    /// A client dialled an address at which nobody answers it, and others meet the node.
    pub fn astray(&mut self, now: Time, client: &ClientId, node: NodeId) {
        self.advance(now);
        self.history.push(self.now, What::Astray { client: client.clone(), node });
    }

    /// The other side closed a connection, or it could not be had. Nothing more is taken on it.
    ///
    /// True if the node's own end still stands, as that of a frozen process does, which reads of the closing only when it goes on:
    /// until [`Effect::Close`] the connection is half closed, and what the node says is still sent.
    pub fn closed(&mut self, now: Time, conn: u64) -> bool {
        self.advance(now);
        let Some((link, end)) = self.outer(conn) else { return false };
        if let Some(client) = self.links[link].client() {
            self.note_closed(link, client, ClosedBy::Client);
        }
        self.hang_up(link, end, ClosedBy::Client);
        // Nobody will ever tell the node of a connection that has fallen silent.
        let lingers = self.links[link].open[end.other() as usize] && !self.links[link].silent;
        self.links[link].lingers = lingers;
        lingers
    }

    /// True if the process of the node at a connection stands still: what arrives waits in its kernel.
    pub fn is_frozen(&self, conn: u64) -> bool {
        self.is_in(conn, NodeState::Frozen)
    }

    /// True if the process of the node at a connection runs: it closes a connection itself, and not by its end.
    pub fn is_up(&self, conn: u64) -> bool {
        self.is_in(conn, NodeState::Up)
    }

    fn is_in(&self, conn: u64, state: NodeState) -> bool {
        let is_in = |link: &Link| {
            link.parties.iter().any(|party| match party {
                Party::Node(node, _) => self.nodes[*node].state == state,
                _ => false,
            })
        };
        usize::try_from(conn).ok().and_then(|number| self.links.get(number)).is_some_and(is_in)
    }

    /// What happens now to a client that dials a node. Changes are told as [`Effect::Door`].
    pub fn door(&self, client: &ClientId, node: NodeId) -> Door {
        match (self.client_index(client), self.node_index(node)) {
            (Some(client), Some(node)) => self.door_of(client, node),
            (None, Some(node)) if self.nodes[node].listens() => Door::Open,
            _ => Door::Refused,
        }
    }

    /// Tells the host which doors have changed.
    pub(crate) fn update_doors(&mut self) {
        for client in 0..self.clients.len() {
            for node in 0..self.nodes.len() {
                let door = self.door_of(client, node);
                if std::mem::replace(&mut self.clients[client].doors[node], door) != door {
                    let (client, node) = (self.clients[client].id.clone(), self.nodes[node].id);
                    self.effects.push(Effect::Door { client, node, door });
                }
            }
        }
    }

    fn door_of(&self, client: usize, node: usize) -> Door {
        let client = self.nodes.len() + client;
        if self.paths.blocked(client, node) || self.paths.blocked(node, client) {
            Door::Silent
        } else if self.nodes[node].state == NodeState::Down {
            Door::Refused
        } else {
            Door::Open
        }
    }

    fn client_index(&self, client: &ClientId) -> Option<usize> {
        self.clients.iter().position(|known| known.id == *client)
    }

    /// The link of a connection, and the end that somebody outside the world still holds.
    fn outer(&self, conn: u64) -> Option<(usize, End)> {
        let number = usize::try_from(conn).ok()?;
        let link = self.links.get(number)?;
        link.outer_end().filter(|end| link.open[*end as usize]).map(|end| (number, end))
    }

    /// True if nothing that happens on the link goes into the history: it is no client's, or that of one who is not judged.
    pub(crate) fn is_unrecorded(&self, link: usize) -> bool {
        self.links[link].client().is_none_or(|client| self.clients[client].unrecorded)
    }
}
