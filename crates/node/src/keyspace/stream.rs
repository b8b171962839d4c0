//! [`Stream`]: entries in the order of their ids, and the groups that read them.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;

use super::listpack::{EMPTY, int_size, text_size};

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

/// Fields with their values.
pub(crate) type Fields = Vec<(Bytes, Bytes)>;

/// A stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stream {
    /// To be read: [`Stream::append`] and [`Stream::remove`] change them.
    pub(crate) entries: BTreeMap<StreamId, Fields>,
    /// The pieces that Redis keeps it in, by the id that each began with.
    nodes: BTreeMap<StreamId, Node>,
    pub(crate) last_id: StreamId,
    pub(crate) max_deleted: StreamId,
    /// Entries ever added.
    pub(crate) added: u64,
    pub(crate) groups: BTreeMap<Bytes, Group>,
}

/// A listpack with some of the entries of a stream, one after another.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Node {
    /// Those of its first entry, which others that have the same do not name again.
    pub(crate) fields: Vec<Bytes>,
    pub(crate) live: usize,
    /// Entries that were deleted and still take their place.
    pub(crate) deleted: BTreeMap<StreamId, Fields>,
    pub(crate) bytes: usize,
}

/// How large a node may grow: `stream-node-max-entries`, 0 for no limit, and `stream-node-max-bytes`, 0 for a gibibyte.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeMax {
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

/// Elements of a listpack that an entry takes: besides fields and values its flags and its id, and how many fields there are.
pub(crate) fn elements(fields: usize, same: bool) -> usize {
    if same { fields + 3 } else { 2 * fields + 4 }
}

impl Node {
    fn new(fields: &Fields) -> Self {
        let fields: Vec<Bytes> = fields.iter().map(|(field, _)| field.clone()).collect();
        let named: usize = fields.iter().map(|field| text_size(field)).sum();
        let bytes = EMPTY + 3 * int_size(0) + int_size(fields.len() as i64) + named;
        Self { fields, live: 0, deleted: BTreeMap::new(), bytes }
    }

    pub(crate) fn has_fields(&self, fields: &Fields) -> bool {
        self.fields.len() == fields.len() && self.fields.iter().zip(fields).all(|(own, (field, _))| own == field)
    }

    fn has_room(&self, fields: &Fields, max: NodeMax) -> bool {
        const BYTES_MAX: usize = 1 << 30;
        let added: usize = fields.iter().map(|(field, value)| field.len() + value.len()).sum();
        let most = if max.bytes == 0 { BYTES_MAX } else { max.bytes.min(BYTES_MAX) };
        self.bytes + added < most && (max.entries == 0 || self.live + self.deleted.len() < max.entries)
    }

    /// Bytes of the two counts, which stand in the listpack too.
    fn counts(&self) -> usize {
        int_size(self.live as i64) + int_size(self.deleted.len() as i64)
    }

    fn delete(&mut self, id: StreamId, fields: Fields) {
        self.bytes -= self.counts();
        self.live -= 1;
        self.deleted.insert(id, fields);
        self.bytes += self.counts();
    }

    fn add(&mut self, first: StreamId, id: StreamId, fields: &Fields) {
        let same = self.has_fields(fields);
        let (ms, seq) = (id.0.wrapping_sub(first.0) as i64, id.1.wrapping_sub(first.1) as i64);
        let number = |count: usize| int_size(count as i64);
        self.bytes += int_size(0) + int_size(ms) + int_size(seq) + number(elements(fields.len(), same));
        self.bytes += fields.iter().map(|(_, value)| text_size(value)).sum::<usize>();
        if !same {
            self.bytes += number(fields.len()) + fields.iter().map(|(field, _)| text_size(field)).sum::<usize>();
        }
        self.bytes -= self.counts();
        self.live += 1;
        self.bytes += self.counts();
    }
}

impl Stream {
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (StreamId, &Node)> {
        self.nodes.iter().map(|(first, node)| (*first, node))
    }

    /// The entries of the node that began with this id.
    pub(crate) fn of_node(&self, first: StreamId) -> impl DoubleEndedIterator<Item = (&StreamId, &Fields)> {
        let next = self.nodes.range((Bound::Excluded(first), Bound::Unbounded)).next();
        let end = next.map_or(Bound::Unbounded, |(next, _)| Bound::Excluded(*next));
        self.entries.range((Bound::Included(first), end))
    }

    /// Adds an entry behind all others.
    pub(crate) fn append(&mut self, id: StreamId, fields: Fields, max: NodeMax) {
        match self.nodes.last_entry() {
            Some(mut last) if last.get().has_room(&fields, max) => {
                let first = *last.key();
                last.get_mut().add(first, id, &fields);
            }
            _ => self.nodes.entry(id).or_insert_with(|| Node::new(&fields)).add(id, id, &fields),
        }
        self.entries.insert(id, fields);
    }

    /// Adds a node with its entries.
    pub(crate) fn add_node(&mut self, first: StreamId, node: Node, entries: Vec<(StreamId, Fields)>) {
        self.nodes.insert(first, node);
        self.entries.extend(entries);
    }

    /// Deletes an entry, and its node with the last of its entries; false if there is none of this id.
    pub(crate) fn remove(&mut self, id: StreamId) -> bool {
        let Some(fields) = self.entries.remove(&id) else { return false };
        if let Some((first, node)) = self.nodes.range_mut(..=id).next_back() {
            if node.live > 1 {
                node.delete(id, fields);
            } else {
                let first = *first;
                self.nodes.remove(&first);
            }
        }
        true
    }

    /// Deletes the first node if that leaves so many entries, or if all of it is before `until`, and `limit` allows as many
    /// deletions; how many entries it had.
    pub(crate) fn trim_node(&mut self, goal: Trim, limit: usize) -> Option<usize> {
        let (first, node) = self.nodes.first_key_value()?;
        let (first, live) = (*first, node.live);
        let all = match goal {
            Trim::Length(most) => self.entries.len() >= most + live && self.entries.len() > most,
            Trim::Before(id) => self.of_node(first).next_back().is_none_or(|(last, _)| *last < id),
        };
        if !all || live > limit {
            return None;
        }
        self.nodes.remove(&first);
        self.entries = match self.nodes.first_key_value() {
            Some((next, _)) => self.entries.split_off(next),
            None => BTreeMap::new(),
        };
        Some(live)
    }
}

/// How a stream is cut short.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trim {
    /// To so many entries.
    Length(usize),
    /// To those that are not before this one.
    Before(StreamId),
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
