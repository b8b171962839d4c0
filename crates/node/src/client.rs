//! [`Client`]: what the node knows about one accepted connection.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use model::tracking::Tracking;
use model::{Addr, Command, Frame, Time};

use crate::acl::DEFAULT;
use crate::table::Spec;

/// Whom `CLIENT LIST` shows for a connection that nothing is forbidden.
const SUPERUSER: Bytes = Bytes::from_static(b"(superuser)");

/// What `CLIENT LIST` shows for no command.
pub(crate) const NO_COMMAND: &str = "NULL";

/// One accepted connection, or the link to the master.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    /// `CLIENT ID`
    pub(crate) id: u64,
    pub(crate) from: Addr,
    pub(crate) since: Time,
    /// When it sent its last command, or its wait ended.
    pub(crate) active_at: Time,
    /// [`NO_COMMAND`] before the first, and after one that is not known.
    pub(crate) last_command: &'static str,
    pub(crate) db: usize,
    pub(crate) name: Option<Bytes>,
    pub(crate) resp: u8,
    pub(crate) authenticated: bool,
    /// Who it is.
    pub(crate) user: Bytes,
    /// Its user may do everything.
    pub(crate) unrestricted: bool,
    /// `CLIENT TRACKING`
    pub(crate) tracking: Option<Tracking>,
    pub(crate) replies: Replies,
    /// Something was said to it since its last command came.
    pub(crate) answered: bool,
    /// It is to be closed once what was said to it is written, and not heard any more.
    pub(crate) leaving: bool,
    /// `CLIENT NO-EVICT on`
    pub(crate) no_evict: bool,
    pub(crate) transaction: Option<Transaction>,
    pub(crate) watched: Vec<(usize, Bytes)>,
    /// A watched key was changed: `EXEC` will do nothing.
    pub(crate) watch_broken: bool,
    pub(crate) channels: BTreeSet<Bytes>,
    pub(crate) patterns: BTreeSet<Bytes>,
    /// Sharded channels, which without Redis Cluster are channels of another name space.
    pub(crate) shards: BTreeSet<Bytes>,
    /// What came while the connection was blocked.
    pub(crate) pending: VecDeque<Frame>,
    /// Replication offset after its last command, which `WAIT` waits for.
    pub(crate) offset: u64,
    /// Port that a replica told with `REPLCONF listening-port`.
    pub(crate) listening_port: u16,
    /// Host that a replica told with `REPLCONF ip-address`.
    pub(crate) announced_host: Option<Bytes>,
    /// What a replica understands, by `REPLCONF capa`.
    pub(crate) capabilities: Capabilities,
    /// It wants a part of the data set only, by `REPLCONF rdb-filter-only`.
    pub(crate) filters: bool,
    /// Set by `PSYNC`: from then on it is a replica's link.
    pub(crate) replica: Option<ReplicaLink>,
    /// It is the link to this node's own master.
    pub(crate) master: bool,
}

/// What a replica says that it understands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Capabilities {
    /// A snapshot that ends with a mark.
    pub(crate) eof: bool,
    /// That the history which it goes on with has another id.
    pub(crate) psync2: bool,
    /// Where its data set comes from; Redis knows nothing of that.
    pub(crate) lineage: bool,
}

/// What a client hears, by `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Replies {
    pub(crate) off: bool,
    /// Not what the command under way is answered.
    pub(crate) skip: bool,
    /// Not what the next command is answered.
    pub(crate) skip_next: bool,
}

impl Replies {
    pub(crate) fn heard(self) -> bool {
        !self.off && !self.skip
    }

    /// A command is over.
    pub(crate) fn next(self) -> Self {
        Self { off: self.off, skip: self.skip_next, skip_next: false }
    }
}

/// Between `MULTI` and `EXEC`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) queue: Vec<(&'static Spec, Command)>,
    /// A command was rejected: `EXEC` will abort.
    pub(crate) failed: bool,
    /// The flags of the queued commands, or-ed.
    pub(crate) flags: u32,
}

/// The master's end of a replication link.
#[derive(Clone, Debug)]
pub(crate) struct ReplicaLink {
    pub(crate) addr: Addr,
    /// When a snapshot is due; `None` once the link is online.
    pub(crate) snapshot_due: Option<Time>,
    /// It came by `SYNC`: it is not told which history it follows, and acknowledges nothing.
    pub(crate) old: bool,
    pub(crate) acked: u64,
    pub(crate) acked_at: Time,
}

/// The types of `CLIENT KILL TYPE` and `CLIENT LIST TYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientType {
    Normal,
    Pubsub,
    Replica,
    Master,
}

impl Client {
    pub(crate) fn new(id: u64, from: Addr, now: Time, authenticated: bool) -> Self {
        Self {
            id,
            from,
            since: now,
            active_at: now,
            last_command: NO_COMMAND,
            db: 0,
            name: None,
            resp: 2,
            authenticated,
            user: DEFAULT,
            unrestricted: true,
            tracking: None,
            replies: Replies::default(),
            answered: false,
            leaving: false,
            no_evict: false,
            transaction: None,
            watched: Vec::new(),
            watch_broken: false,
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            shards: BTreeSet::new(),
            pending: VecDeque::new(),
            offset: 0,
            listening_port: 0,
            announced_host: None,
            capabilities: Capabilities::default(),
            filters: false,
            replica: None,
            master: false,
        }
    }

    /// The link to the master, which Redis shows as a client too.
    pub(crate) fn of_master(id: u64, master: Addr, now: Time) -> Self {
        Self { master: true, user: SUPERUSER, ..Self::new(id, master, now, true) }
    }

    /// Number of channels and patterns that it is subscribed to.
    pub(crate) fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len() + self.shards.len()
    }

    pub(crate) fn kind(&self) -> ClientType {
        if self.master {
            ClientType::Master
        } else if self.replica.is_some() {
            ClientType::Replica
        } else if self.subscriptions() > 0 {
            ClientType::Pubsub
        } else {
            ClientType::Normal
        }
    }
}

impl ClientType {
    pub(crate) fn is_replica(self) -> bool {
        self == Self::Replica
    }
}
