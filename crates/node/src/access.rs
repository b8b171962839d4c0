//! [`Access`]: how a data command sees its database, and [`Effects`]: what it leaves behind for the node to act on.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use model::{Command, Reply};

use crate::commands::events::Event;
use crate::config::Config;
use crate::keyspace::idle::{self, Clock, SharedNumbers};
use crate::keyspace::stream::Stream;
use crate::keyspace::{DataSet, Db, Form, Value, ZSet};

/// The text of an error reply, its code first.
pub(crate) type Failure = Cow<'static, str>;

/// What a data command gives.
pub(crate) type DataResult = Result<Reply, Failure>;

pub(crate) const WRONGTYPE: Failure =
    Cow::Borrowed("WRONGTYPE Operation against a key holding the wrong kind of value");

/// What is done with a key whose time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// A master deletes it, and tells its replicas.
    Delete,
    /// A replica keeps it until its master deletes it, but does not show it.
    Hide,
    /// The stream of the master, which decides about time, still sees it.
    Ignore,
}

/// What a command did besides its reply.
#[derive(Debug, Default)]
pub(crate) struct Effects {
    /// How many changes it made. Without any, it is not propagated.
    pub(crate) dirty: u64,
    /// Keys that it changed, for `WATCH`.
    pub(crate) touched: Vec<(usize, Bytes)>,
    /// What it did to which key of which database, for `notify-keyspace-events`.
    pub(crate) events: Vec<Event>,
    /// Keys of databases that may have something now for those who wait.
    pub(crate) ready: Vec<(usize, Bytes)>,
    /// Keys that were found expired and are deleted.
    pub(crate) expired: Vec<Bytes>,
    /// What to propagate in place of the command itself.
    pub(crate) instead: Option<Vec<Command>>,
    /// Everything was removed.
    pub(crate) flushed: bool,
    /// Lookups of reads that found their key, and that did not.
    pub(crate) hits: u64,
    /// See `hits`.
    pub(crate) misses: u64,
    /// Values that Redis would leave to another thread to free.
    pub(crate) freed_lazily: u64,
}

/// One database, at one moment, for one command.
pub(crate) struct Access<'a> {
    pub(crate) data: &'a mut DataSet,
    pub(crate) numbers: &'a mut SharedNumbers,
    pub(crate) config: &'a Config,
    pub(crate) db: usize,
    /// Unix milliseconds.
    pub(crate) now: u64,
    pub(crate) expiry: Expiry,
    /// The reply is for a connection that speaks version 3 of the protocol.
    pub(crate) resp3: bool,
    /// Lookups count as hits and misses, as those of commands that read do.
    pub(crate) counts: bool,
    /// Its user may read every key, also those that the command does not name.
    pub(crate) all_keys: bool,
    /// Somebody may want to hear of what is done to keys.
    pub(crate) notify: bool,
    pub(crate) effects: Effects,
}

impl<'a> Access<'a> {
    pub(crate) fn new(
        (data, numbers): (&'a mut DataSet, &'a mut SharedNumbers),
        config: &'a Config,
        db: usize,
        now: u64,
        expiry: Expiry,
    ) -> Self {
        Self {
            data,
            numbers,
            config,
            db,
            now,
            expiry,
            resp3: false,
            counts: false,
            all_keys: true,
            notify: false,
            effects: Effects::default(),
        }
    }

    /// The longest string, `proto-max-bulk-len`; a master is not held to it.
    pub(crate) fn string_max(&self) -> usize {
        let most = self.config.limits.bulk;
        if self.expiry == Expiry::Ignore { usize::MAX } else { usize::try_from(most).unwrap_or(usize::MAX) }
    }

    /// A parameter that is a number.
    pub(crate) fn parameter(&self, name: &str) -> usize {
        self.config.other(name).parse().unwrap_or(usize::MAX)
    }

    /// The database itself, expired keys and all.
    pub(crate) fn raw(&mut self) -> &mut Db {
        &mut self.data.0[self.db]
    }

    /// The clock of accesses.
    fn clock(&self) -> Clock {
        idle::clock(self.now)
    }

    /// When the value under `key` was last accessed, on the clock of accesses; `None` if there is none.
    pub(crate) fn accessed(&mut self, key: &[u8]) -> Option<Clock> {
        match self.raw().shared(key) {
            Some(number) => Some(self.numbers.accessed(number)),
            None => self.raw().accessed(key),
        }
    }

    fn set_accessed(&mut self, key: &[u8], at: Clock) {
        match self.raw().shared(key) {
            Some(number) => self.numbers.access(number, at),
            None => self.raw().set_accessed(key, at),
        }
    }

    /// Seconds for which nobody accessed the value under `key`; `None` if there is none.
    pub(crate) fn idle(&mut self, key: &[u8]) -> Option<u32> {
        self.accessed(key).map(|accessed| idle::idle(self.clock(), accessed))
    }

    /// From here on the value under `key` counts as idle for so many seconds.
    pub(crate) fn set_idle(&mut self, key: &[u8], seconds: i64) {
        self.set_accessed(key, idle::idle_for(self.clock(), seconds));
    }

    /// True if the key is there and its time is not over, which is no access. Deletes it if it is over, on a master.
    pub(crate) fn is_live(&mut self, key: &[u8]) -> bool {
        let (now, expiry) = (self.now, self.expiry);
        let db = self.raw();
        let Some(over) = db.is_over(key, now) else { return false };
        if !over || expiry == Expiry::Ignore {
            return true;
        }
        if expiry == Expiry::Delete {
            let key = Bytes::copy_from_slice(key);
            db.remove(&key);
            self.effects.touched.push((self.db, key.clone()));
            self.tell("expired", &key);
            self.effects.expired.push(key);
        }
        false
    }

    /// Accesses the key; true if it is there.
    pub(crate) fn exists(&mut self, key: &[u8]) -> bool {
        let there = self.is_live(key);
        if there {
            self.set_accessed(key, self.clock());
        }
        there
    }

    /// True if the key is `there`, counted as a hit or a miss if the command reads.
    fn count(&mut self, there: bool) -> bool {
        if self.counts && there {
            self.effects.hits += 1;
        } else if self.counts {
            self.effects.misses += 1;
        }
        there
    }

    fn look_up(&mut self, key: &[u8]) -> bool {
        let there = self.exists(key);
        self.count(there)
    }

    /// The value under `key`, for whom its idle time goes on.
    pub(crate) fn peek(&mut self, key: &[u8]) -> Option<&Value> {
        let there = self.is_live(key);
        if self.count(there) { self.data.0[self.db].get(key) } else { None }
    }

    /// The value under `key`.
    pub(crate) fn get(&mut self, key: &[u8]) -> Option<&Value> {
        if self.look_up(key) { self.data.0[self.db].get(key) } else { None }
    }

    /// True if Redis keeps the collection in one piece.
    pub(crate) fn is_packed(&mut self, key: &[u8]) -> bool {
        matches!(self.raw().encoding(key), Some("listpack" | "intset"))
    }

    fn get_mut(&mut self, key: &[u8]) -> Option<&mut Value> {
        if self.look_up(key) { self.data.0[self.db].get_mut(key) } else { None }
    }

    pub(crate) fn string(&mut self, key: &[u8]) -> Result<Option<&Bytes>, Failure> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Str(value)) => Ok(Some(value)),
            Some(_) => Err(WRONGTYPE),
        }
    }

    pub(crate) fn list(&mut self, key: &[u8]) -> Result<Option<&mut VecDeque<Bytes>>, Failure> {
        match self.get_mut(key) {
            None => Ok(None),
            Some(Value::List(list)) => Ok(Some(list)),
            Some(_) => Err(WRONGTYPE),
        }
    }

    pub(crate) fn set(&mut self, key: &[u8]) -> Result<Option<&mut BTreeSet<Bytes>>, Failure> {
        match self.get_mut(key) {
            None => Ok(None),
            Some(Value::Set(set)) => Ok(Some(set)),
            Some(_) => Err(WRONGTYPE),
        }
    }

    pub(crate) fn hash(&mut self, key: &[u8]) -> Result<Option<&mut BTreeMap<Bytes, Bytes>>, Failure> {
        match self.get_mut(key) {
            None => Ok(None),
            Some(Value::Hash(hash)) => Ok(Some(hash)),
            Some(_) => Err(WRONGTYPE),
        }
    }

    /// The list under `key`, made if there is none. The caller adds to it and calls [`Access::changed`].
    pub(crate) fn list_or_new(&mut self, key: &Bytes) -> Result<&mut VecDeque<Bytes>, Failure> {
        self.exists(key);
        let now = self.clock();
        match self.raw().get_or_insert(key, now, || Value::List(VecDeque::new())) {
            Value::List(list) => Ok(list),
            _ => Err(WRONGTYPE),
        }
    }

    /// Like [`Access::list_or_new`], for a set.
    pub(crate) fn set_or_new(&mut self, key: &Bytes) -> Result<&mut BTreeSet<Bytes>, Failure> {
        self.exists(key);
        let now = self.clock();
        match self.raw().get_or_insert(key, now, || Value::Set(BTreeSet::new())) {
            Value::Set(set) => Ok(set),
            _ => Err(WRONGTYPE),
        }
    }

    /// Like [`Access::list_or_new`], for a hash.
    pub(crate) fn hash_or_new(&mut self, key: &Bytes) -> Result<&mut BTreeMap<Bytes, Bytes>, Failure> {
        self.exists(key);
        let now = self.clock();
        match self.raw().get_or_insert(key, now, || Value::Hash(BTreeMap::new())) {
            Value::Hash(hash) => Ok(hash),
            _ => Err(WRONGTYPE),
        }
    }

    pub(crate) fn zset(&mut self, key: &[u8]) -> Result<Option<&mut ZSet>, Failure> {
        match self.get_mut(key) {
            None => Ok(None),
            Some(Value::ZSet(zset)) => Ok(Some(zset)),
            Some(_) => Err(WRONGTYPE),
        }
    }

    pub(crate) fn stream(&mut self, key: &[u8]) -> Result<Option<&mut Stream>, Failure> {
        match self.get_mut(key) {
            None => Ok(None),
            Some(Value::Stream(stream)) => Ok(Some(stream)),
            Some(_) => Err(WRONGTYPE),
        }
    }

    /// Like [`Access::list_or_new`], for a sorted set.
    pub(crate) fn zset_or_new(&mut self, key: &Bytes) -> Result<&mut ZSet, Failure> {
        self.exists(key);
        let now = self.clock();
        match self.raw().get_or_insert(key, now, || Value::ZSet(ZSet::default())) {
            Value::ZSet(zset) => Ok(zset),
            _ => Err(WRONGTYPE),
        }
    }

    /// Like [`Access::list_or_new`], for a stream.
    pub(crate) fn stream_or_new(&mut self, key: &Bytes) -> Result<&mut Stream, Failure> {
        self.exists(key);
        let now = self.clock();
        match self.raw().get_or_insert(key, now, || Value::Stream(Box::default())) {
            Value::Stream(stream) => Ok(stream),
            _ => Err(WRONGTYPE),
        }
    }

    /// Removes a collection in which nothing is left, or that was made and stayed empty; true if it was one.
    pub(crate) fn drop_if_empty(&mut self, key: &Bytes) -> bool {
        let empty = self.raw().get(key).is_some_and(Value::is_empty);
        if empty {
            self.raw().remove(key);
        }
        empty
    }

    /// Stores a value, of which nobody is told.
    pub(crate) fn put(&mut self, key: &Bytes, value: Value, expires_at: Option<u64>) {
        // What is replaced is looked at, which shows if other keys share it.
        let now = self.clock();
        self.set_accessed(key, now);
        self.raw().insert(key, value, expires_at, now);
    }

    /// Stores a value, if there is anything in it; `expires_at` in Unix milliseconds.
    pub(crate) fn store(&mut self, event: &'static str, key: &Bytes, value: Value, expires_at: Option<u64>) {
        if value.is_empty() {
            self.raw().remove(key);
        } else {
            self.put(key, value, expires_at);
        }
        self.tell(event, key);
        self.touched(key, 1);
    }

    /// Stores a string that is kept in this form.
    pub(crate) fn store_text(
        &mut self,
        event: &'static str,
        key: &Bytes,
        (text, form): (Bytes, Form),
        expires_at: Option<u64>,
    ) {
        self.store(event, key, Value::Str(text), expires_at);
        self.raw().set_form(key, form);
    }

    /// Removes a key; true if it was there.
    pub(crate) fn delete(&mut self, key: &Bytes) -> bool {
        let there = self.is_live(key) && self.raw().remove(key).is_some();
        if there {
            self.changed("del", key, 1);
        }
        there
    }

    /// Notes that the value under `key` was changed in place, `times` times, and removes it if nothing is left in it.
    pub(crate) fn changed(&mut self, event: &'static str, key: &Bytes, times: u64) {
        self.tell(event, key);
        if self.drop_if_empty(key) {
            self.tell("del", key);
        }
        self.touched(key, times);
    }

    /// Notes an event of `notify-keyspace-events`; an empty name is none.
    pub(crate) fn tell(&mut self, name: &'static str, key: &Bytes) {
        if self.notify && !name.is_empty() {
            self.effects.events.push(Event { db: self.db, name, key: key.clone() });
        }
    }

    fn touched(&mut self, key: &Bytes, times: u64) {
        self.raw().check_form(key);
        self.effects.dirty += times;
        self.effects.touched.push((self.db, key.clone()));
    }

    /// Propagates `command` in place of the one that ran.
    pub(crate) fn propagate_instead(&mut self, command: Command) {
        self.effects.instead = Some(vec![command]);
    }

    /// Propagates `command` too, in place of the one that ran.
    pub(crate) fn propagate_also(&mut self, command: Command) {
        self.effects.instead.get_or_insert_default().push(command);
    }
}
