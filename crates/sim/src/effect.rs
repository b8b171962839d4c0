//! [`Effect`]: what the world asks of its host.

use model::{Addr, ClientId, Frame, NodeId};

/// Something that the host must do towards a client, now, in the order in which it was asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Replies on this connection are encoded in this RESP version (2 or 3) from here on.
    Protocol {
        /// The connection, as [`World::open`](crate::World::open) numbered it.
        conn: u64,
        /// 2 or 3.
        version: u8,
    },
    /// These limits hold for this connection from here on; Redis's defaults hold until then.
    Limits {
        /// The connection.
        conn: u64,
        /// How much is kept.
        limits: Box<model::Limits>,
    },
    /// Send this, its addresses rendered for the connection's client. It is a reply, but for a replica outside, which is
    /// sent a snapshot and commands too, and on a connection that a node dialled, where it is a command.
    Send {
        /// The connection.
        conn: u64,
        /// What to send.
        frame: Frame,
    },
    /// A node dials an address outside the world: [`World::dialled`](crate::World::dialled) or
    /// [`World::closed`](crate::World::closed) must follow, unless [`Effect::Close`] comes first.
    Dial {
        /// The connection.
        conn: u64,
        /// Who dials.
        node: NodeId,
        /// The address.
        addr: Addr,
    },
    /// Drop what was sent before and is not written yet.
    Discard {
        /// The connection.
        conn: u64,
    },
    /// Close the connection as soon as what was sent before is written, if that still waits, and say so with
    /// [`World::closed`](crate::World::closed); if nothing waits, leave it as it is.
    Leave {
        /// The connection.
        conn: u64,
    },
    /// Close the connection, after what was sent before. No further input about it is taken.
    Close {
        /// The connection.
        conn: u64,
    },
    /// The node has this address of the world from now on, and nobody is at the one that it had.
    Moved {
        /// Which node.
        node: NodeId,
        /// Its address.
        addr: Addr,
    },
    /// From now on this client, dialling this node, is treated so.
    Door {
        /// Who dials.
        client: ClientId,
        /// Which node.
        node: NodeId,
        /// What happens to the attempt.
        door: Door,
    },
}

/// What happens to a client that dials a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Door {
    /// The connection is accepted (by the kernel, if the process is frozen).
    Open,
    /// The connection is refused: no process listens.
    Refused,
    /// The attempt is never answered: the host is off the network, or a partition lies between.
    Silent,
}
