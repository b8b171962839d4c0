//! The connections to another instance: one for commands and, to data nodes, one for the hello channel.
//!
//! The link to one Sentinel is shared between the masters that both watch, so that it is pinged once.

use std::collections::VecDeque;

use model::{Command, Conn, Frame, Output};

use crate::Ms;

/// Index of a link in [`Links`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkId(pub u32);

/// What a reply on the command connection answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    /// `PING`
    Ping,
    /// `INFO`
    Info,
    /// A hello for this master.
    Publish { master: u32 },
    /// `SENTINEL IS-MASTER-DOWN-BY-ADDR` about this master.
    Ask { master: u32 },
    /// Something whose reply does not matter.
    Nothing,
}

/// One connection and what was sent before it stood.
#[derive(Clone, Debug)]
struct Wire {
    conn: Conn,
    up: bool,
    unsent: Vec<Command>,
}

/// The connections to an instance, and when they last showed life. Times on the Sentinel's own clock, 0 for never.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    commands: Option<Wire>,
    pubsub: Option<Wire>,
    /// False only while every connection that there should be is there.
    pub disconnected: bool,
    /// Instances that share it.
    pub refcount: u32,
    /// Commands that wait for a reply, oldest first.
    pub pending: VecDeque<Pending>,
    pub commands_since: Ms,
    pub pubsub_since: Ms,
    pub pubsub_activity: Ms,
    pub last_available: Ms,
    /// When the oldest unanswered PING was sent; 0 if none waits.
    pub waiting_since: Ms,
    pub last_ping: Ms,
    pub last_pong: Ms,
    pub last_reconnect: Ms,
}

impl Link {
    fn new(now: Ms) -> Self {
        Self {
            commands: None,
            pubsub: None,
            disconnected: true,
            refcount: 1,
            pending: VecDeque::new(),
            commands_since: 0,
            pubsub_since: 0,
            pubsub_activity: 0,
            last_available: now,
            // As if a PING had been sent: an instance that can never be reached is found down too.
            waiting_since: now,
            last_ping: 0,
            last_pong: now,
            last_reconnect: 0,
        }
    }

    /// True if there is a command connection, be it established or not.
    pub(crate) fn has_commands(&self) -> bool {
        self.commands.is_some()
    }

    /// True if there is a pub/sub connection, be it established or not.
    pub(crate) fn has_pubsub(&self) -> bool {
        self.pubsub.is_some()
    }

    /// Sends a command, now or once the connection stands. False if there is no connection.
    pub(crate) fn send(&mut self, command: Command, pending: Pending, out: &mut Vec<Output>) -> bool {
        let Some(wire) = &mut self.commands else { return false };
        wire.send(command, out);
        self.pending.push_back(pending);
        true
    }

    /// Sends on the pub/sub connection.
    pub(crate) fn send_pubsub(&mut self, command: Command, out: &mut Vec<Output>) {
        if let Some(wire) = &mut self.pubsub {
            wire.send(command, out);
        }
    }

    /// Forgets every reply that is awaited and starts to wait anew.
    pub(crate) fn reset_times(&mut self, now: Ms) {
        self.waiting_since = now;
        self.last_ping = 0;
        self.last_available = now;
        self.last_pong = now;
    }
}

impl Wire {
    fn send(&mut self, command: Command, out: &mut Vec<Output>) {
        if self.up {
            out.push(Output::Send(self.conn, Frame::Command(command)));
        } else {
            self.unsent.push(command);
        }
    }
}

/// Which of the two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    Commands,
    PubSub,
}

/// Every link of a Sentinel.
#[derive(Clone, Debug, Default)]
pub(crate) struct Links {
    slots: Vec<Option<Link>>,
    next_conn: u64,
}

/// The number of a connection holds its link and lane, so that an arriving reply finds them.
const LANE_BITS: u64 = 1;
const SLOT_BITS: u64 = 20;

impl Links {
    pub(crate) fn create(&mut self, now: Ms) -> LinkId {
        let link = Some(Link::new(now));
        if let Some(free) = self.slots.iter().position(Option::is_none) {
            self.slots[free] = link;
            LinkId(free as u32)
        } else {
            self.slots.push(link);
            LinkId(self.slots.len() as u32 - 1)
        }
    }

    pub(crate) fn get(&self, id: LinkId) -> &Link {
        self.slots[id.0 as usize].as_ref().expect("a link lives as long as an instance holds it")
    }

    pub(crate) fn get_mut(&mut self, id: LinkId) -> &mut Link {
        self.slots[id.0 as usize].as_mut().expect("a link lives as long as an instance holds it")
    }

    /// Opens a connection of the link.
    pub(crate) fn open(&mut self, id: LinkId, lane: Lane, to: &model::Addr, now: Ms, out: &mut Vec<Output>) {
        self.next_conn += 1;
        let lane_bit = u64::from(lane == Lane::PubSub);
        let conn =
            Conn::outbound((self.next_conn << (SLOT_BITS + LANE_BITS)) | (u64::from(id.0) << LANE_BITS) | lane_bit);
        let wire = Some(Wire { conn, up: false, unsent: Vec::new() });
        let link = self.get_mut(id);
        match lane {
            Lane::Commands => {
                link.commands = wire;
                link.commands_since = now;
                link.pending.clear();
            }
            Lane::PubSub => {
                link.pubsub = wire;
                link.pubsub_since = now;
            }
        }
        out.push(Output::Connect(conn, to.clone()));
    }

    /// The link and lane of a connection, unless it was given up.
    pub(crate) fn find(&self, conn: Conn) -> Option<(LinkId, Lane)> {
        let slot = (conn.number() >> LANE_BITS) & ((1 << SLOT_BITS) - 1);
        let link = self.slots.get(slot as usize)?.as_ref()?;
        let (wire, lane) =
            if conn.number() & 1 == 1 { (&link.pubsub, Lane::PubSub) } else { (&link.commands, Lane::Commands) };
        (wire.as_ref()?.conn == conn).then_some((LinkId(slot as u32), lane))
    }

    /// A connection stands: what was to be sent goes out.
    pub(crate) fn connected(&mut self, conn: Conn, out: &mut Vec<Output>) {
        let Some((id, lane)) = self.find(conn) else { return };
        let link = self.get_mut(id);
        let wire = match lane {
            Lane::Commands => link.commands.as_mut(),
            Lane::PubSub => link.pubsub.as_mut(),
        };
        if let Some(wire) = wire {
            wire.up = true;
            for command in std::mem::take(&mut wire.unsent) {
                out.push(Output::Send(conn, Frame::Command(command)));
            }
        }
    }

    /// A connection was lost, or could not be made. As in Redis, what still waits for a reply is counted until the next
    /// attempt, but for what nobody waits for.
    pub(crate) fn lost(&mut self, conn: Conn) {
        if let Some((id, lane)) = self.find(conn) {
            let mut pending = std::mem::take(&mut self.get_mut(id).pending);
            self.forget(id, lane);
            pending.retain(|pending| lane == Lane::PubSub || *pending != Pending::Nothing);
            self.get_mut(id).pending = pending;
        }
    }

    /// Closes a connection of the link, if there is one. What was to be sent on it in the same pass never leaves the
    /// process: Redis writes only when the pass is over, and forgets what waits for that with the connection. So a failover
    /// that ends by its time-out tells the replicas nothing, although it says that it did.
    pub(crate) fn close(&mut self, id: LinkId, lane: Lane, out: &mut Vec<Output>) {
        if let Some(conn) = self.forget(id, lane) {
            out.retain(|output| !matches!(output, Output::Send(to, _) if *to == conn));
            out.push(Output::Close(conn));
        }
    }

    fn forget(&mut self, id: LinkId, lane: Lane) -> Option<Conn> {
        let link = self.get_mut(id);
        let wire = match lane {
            Lane::Commands => {
                link.pending.clear();
                link.commands.take()
            }
            Lane::PubSub => link.pubsub.take(),
        };
        link.disconnected = true;
        wire.map(|wire| wire.conn)
    }

    /// One instance gives the link up; with the last one it is closed.
    pub(crate) fn release(&mut self, id: LinkId, out: &mut Vec<Output>) {
        let link = self.get_mut(id);
        link.refcount -= 1;
        if link.refcount == 0 {
            self.close(id, Lane::Commands, out);
            self.close(id, Lane::PubSub, out);
            self.slots[id.0 as usize] = None;
        }
    }
}
