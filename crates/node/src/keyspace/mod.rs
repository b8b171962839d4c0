//! The data set: 16 databases of keys with values and expiry times.

pub(crate) mod idle;
pub(crate) mod listpack;
pub(crate) mod stream;
mod zset;

use std::collections::btree_map::Entry::Vacant;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use self::idle::Clock;
pub(crate) use self::zset::ZSet;

/// `databases`
pub(crate) const DATABASES: usize = 16;

/// What a key holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Str(Bytes),
    List(VecDeque<Bytes>),
    Set(BTreeSet<Bytes>),
    Hash(BTreeMap<Bytes, Bytes>),
    ZSet(ZSet),
    Stream(Box<stream::Stream>),
}

impl Value {
    /// The answer of `TYPE`.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Self::Str(_) => "string",
            Self::List(_) => "list",
            Self::Set(_) => "set",
            Self::Hash(_) => "hash",
            Self::ZSet(_) => "zset",
            Self::Stream(_) => "stream",
        }
    }

    /// The answer of `OBJECT ENCODING`, by Redis's default limits.
    fn encoding(&self, form: Form) -> &'static str {
        match self {
            Self::Str(text) if form == Form::ByValue && crate::args::parse_int(text).is_some() => "int",
            Self::Str(text) if form != Form::Loose && text.len() <= 44 => "embstr",
            Self::Str(_) => "raw",
            Self::List(_) => "quicklist",
            Self::Set(_) if form == Form::ByValue && self.is_small() => "intset",
            Self::Set(_) => "hashtable",
            Self::Hash(_) if form == Form::ByValue && self.is_small() => "listpack",
            Self::Hash(_) => "hashtable",
            Self::ZSet(_) if form == Form::ByValue && self.is_small() => "listpack",
            Self::ZSet(_) => "skiplist",
            Self::Stream(_) => "stream",
        }
    }

    /// True unless it is a collection that Redis does not keep in one piece.
    fn is_small(&self) -> bool {
        let small = |bytes: &Bytes| bytes.len() <= 64;
        match self {
            Self::Set(set) => set.len() <= 512 && set.iter().all(|item| crate::args::parse_int(item).is_some()),
            Self::Hash(hash) => hash.len() <= 512 && hash.iter().all(|(f, v)| small(f) && small(v)),
            Self::ZSet(zset) => zset.is_packed(),
            Self::Str(_) | Self::List(_) | Self::Stream(_) => true,
        }
    }

    /// How many pieces of memory Redis keeps it in.
    pub(crate) fn pieces(&self) -> usize {
        const LIST_NODE: usize = 8 * 1024;
        match self {
            Self::List(list) => list.iter().map(|item| item.len() + 2).sum::<usize>() / LIST_NODE + 1,
            Self::Set(set) if !self.is_small() => set.len(),
            Self::Hash(hash) if !self.is_small() => hash.len(),
            Self::ZSet(zset) if !self.is_small() => zset.len(),
            _ => 1,
        }
    }

    /// Bytes of what it holds.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Str(text) => text.len(),
            Self::List(list) => list.iter().map(|item| item.len() + 16).sum(),
            Self::Set(set) => set.iter().map(|item| item.len() + 32).sum(),
            Self::Hash(hash) => hash.iter().map(|(field, value)| field.len() + value.len() + 48).sum(),
            Self::ZSet(zset) => zset.iter().map(|(member, _)| member.len() + 64).sum(),
            Self::Stream(stream) => {
                stream.entries.values().flatten().map(|(field, value)| field.len() + value.len() + 32).sum()
            }
        }
    }

    /// True for an aggregate without elements, which Redis removes.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Str(_) | Self::Stream(_) => false,
            Self::ZSet(zset) => zset.len() == 0,
            Self::List(list) => list.is_empty(),
            Self::Set(set) => set.is_empty(),
            Self::Hash(hash) => hash.is_empty(),
        }
    }
}

/// How Redis keeps a value, as far as the value does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    #[default]
    ByValue,
    /// A string that is no number, even if it reads as one.
    Text,
    /// A string that was changed in place, or a collection that was not small once: it stays so.
    Loose,
}

#[derive(Clone, Debug, PartialEq)]
struct Entry {
    value: Value,
    form: Form,
    expires_at: Option<u64>,
    accessed: Clock,
}

/// One database. It knows when its keys expire, but keeps them until told to remove them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Db {
    entries: BTreeMap<Bytes, Entry>,
    /// Keys in the order in which `SCAN` meets them.
    slots: BTreeSet<(u32, Bytes)>,
    /// Expiry times in Unix milliseconds, earliest first.
    expiries: BTreeSet<(u64, Bytes)>,
    /// The sum of those times.
    expiries_sum: u128,
}

impl Db {
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Value> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    pub(crate) fn get_mut(&mut self, key: &[u8]) -> Option<&mut Value> {
        self.entries.get_mut(key).map(|entry| &mut entry.value)
    }

    /// True if the time of `key` is over at `now`, in Unix milliseconds; `None` if it is not there.
    pub(crate) fn is_over(&self, key: &[u8], now: u64) -> Option<bool> {
        self.entries.get(key).map(|entry| entry.expires_at.is_some_and(|at| at < now))
    }

    /// When `key` expires, in Unix milliseconds.
    pub(crate) fn expires_at(&self, key: &[u8]) -> Option<u64> {
        self.entries.get(key)?.expires_at
    }

    /// Stores `value` at `now`, whatever was there; an earlier expiry time goes with it.
    pub(crate) fn insert(&mut self, key: &Bytes, value: Value, expires_at: Option<u64>, now: Clock) {
        *self.get_or_insert(key, now, || Value::Str(Bytes::new())) = value;
        self.set_form(key, Form::ByValue);
        self.set_accessed(key, now);
        self.set_expiry(key, expires_at);
    }

    /// When the value under `key` was last accessed, or was made; `None` if it is not there.
    pub(crate) fn accessed(&self, key: &[u8]) -> Option<Clock> {
        self.entries.get(key).map(|entry| entry.accessed)
    }

    pub(crate) fn set_accessed(&mut self, key: &[u8], at: Clock) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.accessed = at;
        }
    }

    /// The shared number under `key`, if it is one.
    pub(crate) fn shared(&self, key: &[u8]) -> Option<u16> {
        self.entries.get(key).and_then(|entry| idle::shared(&entry.value, entry.form))
    }

    /// How the value under `key` is kept.
    pub(crate) fn form(&self, key: &[u8]) -> Form {
        self.entries.get(key).map(|entry| entry.form).unwrap_or_default()
    }

    pub(crate) fn set_form(&mut self, key: &[u8], form: Form) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.form = form;
        }
    }

    /// The value under `key` was changed: a collection may have outgrown its form.
    pub(crate) fn check_form(&mut self, key: &[u8]) {
        if let Some(entry) = self.entries.get_mut(key)
            && entry.form == Form::ByValue
            && !entry.value.is_small()
        {
            entry.form = Form::Loose;
        }
    }

    /// The answer of `OBJECT ENCODING`; `None` if there is no such key.
    pub(crate) fn encoding(&self, key: &[u8]) -> Option<&'static str> {
        self.entries.get(key).map(|entry| entry.value.encoding(entry.form))
    }

    /// The value under `key`, made by `make` at `now` if there is none.
    pub(crate) fn get_or_insert(&mut self, key: &Bytes, now: Clock, make: impl FnOnce() -> Value) -> &mut Value {
        let entry = self.entries.entry(own(key));
        if let Vacant(vacant) = &entry {
            self.slots.insert((slot(key), vacant.key().clone()));
        }
        &mut entry
            .or_insert_with(|| Entry { value: make(), form: Form::ByValue, expires_at: None, accessed: now })
            .value
    }

    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Value> {
        let (key, entry) = self.entries.remove_entry(key)?;
        if let Some(at) = entry.expires_at {
            self.expiries_sum -= u128::from(at);
            self.expiries.remove(&(at, key.clone()));
        }
        self.slots.remove(&(slot(&key), key));
        Some(entry.value)
    }

    /// Sets or clears the expiry time of a present key.
    pub(crate) fn set_expiry(&mut self, key: &Bytes, expires_at: Option<u64>) {
        let Some(entry) = self.entries.get_mut(key) else { return };
        if let Some(old) = entry.expires_at {
            self.expiries_sum -= u128::from(old);
            self.expiries.remove(&(old, key.clone()));
        }
        entry.expires_at = expires_at;
        if let Some(at) = expires_at {
            self.expiries_sum += u128::from(at);
            self.expiries.insert((at, own(key)));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Number of keys with an expiry time.
    pub(crate) fn expiring(&self) -> usize {
        self.expiries.len()
    }

    /// The mean of the expiry times, in Unix milliseconds; `None` without any.
    pub(crate) fn mean_expiry(&self) -> Option<u64> {
        let mean = self.expiries_sum.checked_div(self.expiries.len() as u128)?;
        u64::try_from(mean).ok()
    }

    /// One step of `SCAN`: the keys in the slots from `cursor` on, whole slots until there are at least `count` keys, and
    /// the slot to go on from, 0 after the last one. A key stays in its slot, so that whoever goes on until 0
    /// meets every key that is there all the time.
    pub(crate) fn scan(&self, cursor: u64, count: usize) -> (Vec<Bytes>, u32) {
        // What is too large for a slot does not count, as in Redis.
        let cursor = cursor as u32;
        let (mut found, mut last) = (Vec::new(), cursor);
        for (slot, key) in self.slots.range((cursor, Bytes::new())..) {
            if found.len() >= count && *slot != last {
                return (found, *slot);
            }
            last = *slot;
            found.push(key.clone());
        }
        (found, 0)
    }

    /// The key that expires first, and when.
    pub(crate) fn first_expiry(&self) -> Option<&(u64, Bytes)> {
        self.expiries.first()
    }

    /// Keys, values and expiry times in the order of the keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Bytes, &Value, Option<u64>)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value, entry.expires_at))
    }

    /// Removes everything and gives the keys.
    pub(crate) fn clear(&mut self) -> Vec<Bytes> {
        std::mem::take(self).entries.into_keys().collect()
    }
}

/// Where `SCAN` meets a key: a hash (FNV-1a), as in Redis, so that neither what is added meanwhile comes
/// always later nor a cursor says anything about keys.
fn slot(key: &[u8]) -> u32 {
    key.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// Bytes of their own. What arrives shares a buffer with its neighbours, and would keep all of that alive.
pub(crate) fn own(bytes: &Bytes) -> Bytes {
    if bytes.len() < SHARED_FROM { Bytes::copy_from_slice(bytes) } else { bytes.clone() }
}

/// From this length on the buffer is mostly the thing itself.
const SHARED_FROM: usize = 16 * 1024;

/// All databases.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DataSet(pub(crate) Vec<Db>);

impl Default for DataSet {
    fn default() -> Self {
        Self(vec![Db::default(); DATABASES])
    }
}

impl DataSet {
    /// The first expiry time over all databases, in Unix milliseconds.
    pub(crate) fn first_expiry(&self) -> Option<u64> {
        self.0.iter().filter_map(|db| db.first_expiry().map(|(at, _)| *at)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &'static str) -> Value {
        Value::Str(Bytes::from_static(value.as_bytes()))
    }

    #[test]
    fn expiry_times_follow_their_keys() {
        let mut db = Db::default();
        let key = Bytes::from_static(b"k");
        db.insert(&key, text("a"), Some(7), 0);
        assert_eq!(db.first_expiry(), Some(&(7, key.clone())));
        db.set_expiry(&key, Some(9));
        assert_eq!((db.first_expiry(), db.expiring()), (Some(&(9, key.clone())), 1));
        db.insert(&key, text("b"), None, 0);
        assert_eq!((db.first_expiry(), db.expires_at(&key)), (None, None));
        db.insert(&key, text("c"), Some(3), 0);
        assert_eq!(db.remove(&key), Some(text("c")));
        assert_eq!((db.expiring(), db.len()), (0, 0));
        assert_eq!(db, Db::default());
    }

    #[test]
    fn a_scan_meets_every_key_that_stays() {
        let mut db = Db::default();
        let name = |kind: &str, number: usize| Bytes::from(format!("{kind}{number}"));
        for number in 0..1_000 {
            db.insert(&name("stays", number), text("a"), None, 0);
            db.insert(&name("goes", number), text("a"), None, 0);
        }
        let (mut cursor, mut met, mut steps) = (0, BTreeSet::new(), 0);
        loop {
            let (keys, next) = db.scan(cursor, 10);
            assert!(keys.len() < 15, "{}", keys.len());
            // Whoever changes what was found does not run after it for ever.
            for (index, key) in keys.iter().enumerate().filter(|(_, key)| !key.starts_with(b"stays")) {
                db.remove(key);
                db.insert(&name("new", steps * 100 + index), text("a"), None, 0);
            }
            met.extend(keys);
            steps += 1;
            if next == 0 {
                break;
            }
            cursor = u64::from(next);
        }
        assert!((0..1_000).all(|number| met.contains(&name("stays", number))));
        assert_eq!(db.scan(u64::from(u32::MAX) + 1, 10), db.scan(0, 10));
    }
}
