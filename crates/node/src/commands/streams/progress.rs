//! How far a group has got, as Redis estimates it.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::Reply;

use crate::keyspace::stream::{Group, Stream, StreamId};

/// What tells how many entries came before another, as Redis estimates it.
pub(super) struct Place {
    length: u64,
    first: StreamId,
    last: StreamId,
    max_deleted: StreamId,
    added: u64,
}

impl Place {
    pub(super) fn of(
        entries: &BTreeMap<StreamId, Vec<(Bytes, Bytes)>>,
        (last, max_deleted): (StreamId, StreamId),
        added: u64,
    ) -> Self {
        let first = entries.first_key_value().map_or(StreamId::default(), |(id, _)| *id);
        Self { length: entries.len() as u64, first, last, max_deleted, added }
    }

    /// True if entries may be missing from this one on.
    pub(super) fn gap_after(&self, id: StreamId) -> bool {
        self.length > 0 && self.max_deleted != StreamId::default() && id <= self.max_deleted
    }

    /// How many entries were ever added up to this one; `None` if that cannot be told.
    pub(super) fn of_entry(&self, id: StreamId) -> Option<u64> {
        if self.added == 0 || id == self.last || (self.length == 0 && id <= self.last) {
            return Some(self.added);
        }
        let whole = self.max_deleted == StreamId::default() || self.max_deleted < self.first;
        match id.cmp(&self.first) {
            _ if id > self.last || !whole => None,
            std::cmp::Ordering::Less => Some(self.added - self.length),
            std::cmp::Ordering::Equal => Some(self.added - self.length + 1),
            std::cmp::Ordering::Greater => None,
        }
    }
}

/// `entries-read` and `lag` of a group.
pub(super) fn progress(stream: &Stream, group: &Group) -> [(Reply, Reply); 2] {
    let place = Place::of(&stream.entries, (stream.last_id, stream.max_deleted), stream.added);
    let read = u64::try_from(group.read).ok();
    let counted = read.filter(|_| !place.gap_after(group.last_id)).or_else(|| place.of_entry(group.last_id));
    let lag = if stream.added == 0 { Some(0) } else { counted.map(|read| stream.added as i64 - read as i64) };
    [
        (Reply::word("entries-read"), read.map_or(Reply::Null, |read| Reply::Int(read as i64))),
        (Reply::word("lag"), lag.map_or(Reply::Null, Reply::Int)),
    ]
}
