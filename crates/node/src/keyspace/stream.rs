//! [`Stream`]: entries in the order of their ids, and the groups that read them.

use std::collections::BTreeMap;

use bytes::Bytes;

/// `1704067200000-0`: milliseconds and a number within them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId(pub(crate) u64, pub(crate) u64);

impl StreamId {
    pub(crate) const MAX: Self = Self(u64::MAX, u64::MAX);

    /// The next one; `None` after the last.
    pub(crate) fn next(self) -> Option<Self> {
        match self {
            Self::MAX => None,
            Self(ms, u64::MAX) => Some(Self(ms + 1, 0)),
            Self(ms, seq) => Some(Self(ms, seq + 1)),
        }
    }
}

impl std::fmt::Display for StreamId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

/// A stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stream {
    pub(crate) entries: BTreeMap<StreamId, Vec<(Bytes, Bytes)>>,
    pub(crate) last_id: StreamId,
    pub(crate) max_deleted: StreamId,
    /// Entries ever added.
    pub(crate) added: u64,
    pub(crate) groups: BTreeMap<Bytes, Group>,
}

/// A consumer group.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Group {
    pub(crate) last_id: StreamId,
    /// Entries read so far; -1 if that is not known.
    pub(crate) read: i64,
    pub(crate) pending: BTreeMap<StreamId, Pending>,
    pub(crate) consumers: BTreeMap<Bytes, Consumer>,
}

/// An entry that was delivered and not acknowledged.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pending {
    pub(crate) consumer: Bytes,
    /// Unix milliseconds of the last delivery.
    pub(crate) at: u64,
    pub(crate) times: u64,
}

/// One of a group.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Consumer {
    /// Unix milliseconds of its last command.
    pub(crate) seen: u64,
}
