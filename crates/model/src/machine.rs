//! The shape of a node without I/O: inputs go in with the time, outputs come out, and a deadline says when to call
//! again. A Sentinel and a data node have this shape, so the world, which connects them, and the host, which connects
//! the world to sockets, need no more than this.
//!
//! ```text
//! machine.handle(now, input, &mut outputs);
//! let next = machine.deadline();      // call handle(next, Input::Tick, ..) then, if nothing comes before
//! ```
//!
//! Rules:
//! - `now` never goes back. Outputs are in the order in which they happen.
//! - A machine names the connections it opens itself, by [`Conn::outbound`] numbers that it never uses again. The world
//!   names those that it accepts.
//! - [`Input::Closed`] is the last input about a connection; after [`Output::Close`] there is no further input.

use crate::addr::{Addr, Text};
use crate::event::EventName;
use crate::history::Position;
use crate::id::NodeId;
use crate::time::Time;
use crate::wire::{Frame, Reply};

/// One end of a connection, as the node that holds it knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Conn(u64);

const OUTBOUND: u64 = 1 << 63;

impl Conn {
    /// A connection that the node opens itself, by a number of its own choice.
    pub const fn outbound(number: u64) -> Self {
        Self(number | OUTBOUND)
    }

    /// A connection that the node accepted, by the world's number.
    pub const fn inbound(number: u64) -> Self {
        Self(number & !OUTBOUND)
    }

    /// True if the node opened it itself.
    pub const fn is_outbound(self) -> bool {
        self.0 & OUTBOUND != 0
    }

    /// The number, without the direction.
    pub const fn number(self) -> u64 {
        self.0 & !OUTBOUND
    }
}

/// What goes into a machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A deadline has come, or may have: look at the time.
    Tick,
    /// An outbound connection stands.
    Connected(Conn),
    /// Somebody connected. `from` is its address as `CLIENT LIST` and a replica's line in `INFO` show it.
    Accepted(Conn, Addr),
    /// Something arrived.
    Received(Conn, Frame),
    /// The connection is gone: refused, reset or closed by the peer.
    Closed(Conn),
    /// The machine's own clock jumps by this many milliseconds, forwards or back.
    ClockJump(i64),
    /// A data node answers `-LOADING` until then.
    LoadingUntil(Time),
    /// A data node stops (`true`) or resumes (`false`) to obey `CLIENT KILL TYPE`.
    IgnoreClientKill(bool),
}

/// What comes out of a machine.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Open a connection; [`Input::Connected`] or [`Input::Closed`] follows.
    Connect(Conn, Addr),
    /// Send something.
    Send(Conn, Frame),
    /// The replies on this connection are encoded in this RESP version (2 or 3) from here on.
    Protocol(Conn, u8),
    /// These limits hold for this connection from here on; Redis's defaults hold until then.
    Limits(Conn, Box<crate::Limits>),
    /// Close it, after what was sent before.
    Close(Conn),
    /// What was sent before and is not written yet is dropped.
    Discard(Conn),
    /// Close it as soon as what was sent before is written, if that still waits. If nothing waits it stays as it is: Redis looks
    /// only at connections to which it has something to write. [`Input::Closed`] follows if it is closed.
    Leave(Conn),
    /// The process ends, as if by its own `SHUTDOWN` or a simulated crash.
    Exit,
    /// Something to remember.
    Note(Note),
}

/// What a machine tells the history. It changes nothing in the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A Sentinel published this event.
    Event(EventName, Text),
    /// A Sentinel ran a script: its path and its arguments.
    Script(Vec<String>),
    /// A Sentinel now answers this address for this master.
    Answer {
        /// The master's name.
        master: String,
        /// The address that `SENTINEL GET-MASTER-ADDR-BY-NAME` gives.
        addr: Addr,
    },
    /// A data node became a master, or a replica of `of`.
    Role {
        /// The master that it follows; `None` if it is a master.
        of: Option<Addr>,
    },
    /// A replica's link to its master is in sync (`up`) or lost.
    ReplicaLink {
        /// True if the replica is connected and receives the stream.
        up: bool,
        /// The last resynchronisation, if `up`.
        full: bool,
    },
    /// A data node ran, or refused, a command. Only for connections that are not another node's.
    Executed {
        /// On which connection.
        conn: Conn,
        /// What it answered, if it answered (a blocked pop answers later).
        outcome: Executed,
        /// The command and its arguments.
        command: crate::wire::Command,
        /// Where in the replication history it stands, if it changed the data set.
        position: Option<Position>,
    },
}

/// How a command ended at the node.
#[derive(Clone, Debug, PartialEq)]
pub enum Executed {
    /// It ran and gave this reply.
    Ran(Reply),
    /// It was refused with this error.
    Refused(Reply),
}

/// Which node a machine is, and what it needs to know about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its name in the plan.
    pub node: NodeId,
    /// Its address, as its peers dial it.
    pub addr: Addr,
}
