//! [`Cache`]: reads that are answered from memory for as long as the master vouches for them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{FromRedisValue, PushInfo, PushKind, RedisResult, Value, cmd};
use tokio::time::Instant;

use crate::call::{Progress, Request};
use crate::dedicated::Dedicated;
use crate::error::Failure;
use crate::retry::Retry;

/// How many keys are kept unless the application says otherwise.
const CAPACITY: usize = 10_000;

/// `GET` through a cache: what was read once is given from memory until the master says that it has changed
/// (`CLIENT TRACKING`, Redis 6 or later).
///
/// What it has belongs to the connection on which the master tells of changes, a TCP connection of its own. When that is lost, or the
/// master moves, everything is forgotten, so that no value outlives the node that vouched for it. A connection that has said
/// nothing for the check interval of the settings (1 s) is tested before a value is given, so that a value may be as old as that
/// and the response time-out together, and no older. While there is no master, reads wait for one as on any connection.
///
/// Clones are not to be had: one that several tasks need goes behind a lock of theirs.
///
/// ```no_run
/// # async fn example(client: sentinel_client::Client) -> redis::RedisResult<()> {
/// let mut cache = client.cache();
/// for _ in 0..1000 {
///     let limit: Option<u64> = cache.get("limit").await?; // The network sees the first.
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Cache {
    connection: Dedicated,
    capacity: usize,
}

impl Cache {
    /// `connection` is one that [tracks](Dedicated::tracked).
    pub(crate) fn new(connection: Dedicated) -> Self {
        Self { connection, capacity: CAPACITY }
    }

    /// This cache for `keys` keys, 10,000 by default, 1 at least. When one more is read, it starts anew.
    #[must_use]
    pub fn with_capacity(mut self, keys: usize) -> Self {
        self.capacity = keys.max(1);
        self
    }

    /// This cache with other rules for retries.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.connection = self.connection.with_retry(retry);
        self
    }

    /// The value of `key`, from memory if it is there.
    ///
    /// # Errors
    /// Those of `GET` on any connection; [`details`](crate::details) reads them.
    pub async fn get<T: FromRedisValue>(&mut self, key: impl AsRef<[u8]>) -> RedisResult<T> {
        let value = self.value(key.as_ref()).await?;
        Ok(T::from_redis_value(value)?)
    }

    async fn value(&mut self, key: &[u8]) -> Result<Value, Failure> {
        let mut command = cmd("GET");
        command.arg(key);
        let mut progress = Progress::new(Request::One(&command));
        let known = self.connection.known(&mut progress).await?;
        if let Some(value) = known.get(key) {
            return Ok(value);
        }
        known.ask(key, self.capacity);
        match self.connection.go_on(progress).await {
            Ok(replies) => {
                let value = Value::from(replies);
                known.learn(key, &value);
                Ok(value)
            }
            Err(failure) => {
                known.forget(key);
                Err(failure)
            }
        }
    }
}

/// What the master has said on one connection, and has not taken back.
#[derive(Clone, Debug)]
pub(crate) struct Known(Arc<Mutex<Values>>);

#[derive(Debug)]
struct Values {
    by_key: BTreeMap<Vec<u8>, Entry>,
    /// When the node was last asked something that it answered.
    heard: Instant,
}

#[derive(Debug)]
enum Entry {
    /// It was asked for. That it has changed may be said before the answer is here.
    Asked,
    Value(Value),
}

impl Known {
    /// Nothing, on a connection whose node has just answered.
    pub(crate) fn nothing() -> Self {
        Self(Arc::new(Mutex::new(Values { by_key: BTreeMap::new(), heard: Instant::now() })))
    }

    fn values(&self) -> MutexGuard<'_, Values> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True if the node was heard within `time`.
    pub(crate) fn was_heard(&self, time: Duration) -> bool {
        self.values().heard.elapsed() < time
    }

    /// The node has answered what it was asked at `asked`; whatever it had to tell before, it has told.
    pub(crate) fn heard(&self, asked: Instant) {
        self.values().heard = asked;
    }

    /// Takes what the node tells.
    pub(crate) fn told(&self, push: &PushInfo) {
        let mut values = self.values();
        match (&push.kind, push.data.first()) {
            (PushKind::Invalidate, Some(Value::Array(keys))) => {
                for key in keys {
                    if let Value::BulkString(key) = key {
                        values.by_key.remove(key);
                    }
                }
            }
            // All keys are gone, or the connection is.
            (PushKind::Invalidate | PushKind::Disconnection, _) => values.by_key.clear(),
            _ => {}
        }
    }

    fn get(&self, key: &[u8]) -> Option<Value> {
        match self.values().by_key.get(key) {
            Some(Entry::Value(value)) => Some(value.clone()),
            Some(Entry::Asked) | None => None,
        }
    }

    fn ask(&self, key: &[u8], capacity: usize) {
        let by_key = &mut self.values().by_key;
        if by_key.len() >= capacity {
            by_key.clear();
        }
        by_key.insert(key.to_owned(), Entry::Asked);
    }

    /// The answer is `value`. It is kept unless the node has said meanwhile that it has changed.
    fn learn(&self, key: &[u8], value: &Value) {
        if let Some(entry) = self.values().by_key.get_mut(key) {
            *entry = Entry::Value(value.clone());
        }
    }

    fn forget(&self, key: &[u8]) {
        self.values().by_key.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(kind: PushKind, data: Vec<Value>) -> PushInfo {
        PushInfo { kind, data }
    }

    fn changed(key: &str) -> PushInfo {
        push(PushKind::Invalidate, vec![Value::Array(vec![Value::BulkString(key.as_bytes().to_vec())])])
    }

    fn knowing(keys: &[&str]) -> Known {
        let known = Known::nothing();
        for key in keys {
            known.ask(key.as_bytes(), 2);
            known.learn(key.as_bytes(), &Value::Int(1));
        }
        known
    }

    #[tokio::test]
    async fn what_has_changed_is_forgotten_and_nothing_else() {
        let known = knowing(&["a", "b"]);
        known.told(&changed("a"));
        assert_eq!((known.get(b"a"), known.get(b"b")), (None, Some(Value::Int(1))));
        for all in [push(PushKind::Invalidate, vec![Value::Nil]), push(PushKind::Disconnection, vec![])] {
            let known = knowing(&["a", "b"]);
            known.told(&all);
            assert_eq!((known.get(b"a"), known.get(b"b")), (None, None));
        }
    }

    #[tokio::test]
    async fn what_changed_before_its_answer_came_is_not_kept() {
        let known = Known::nothing();
        known.ask(b"a", 2);
        assert_eq!(known.get(b"a"), None);
        known.told(&changed("a"));
        known.learn(b"a", &Value::Int(1));
        assert_eq!(known.get(b"a"), None);
    }

    #[tokio::test]
    async fn one_key_too_many_starts_it_anew() {
        let known = knowing(&["a", "b", "c"]);
        assert_eq!((known.get(b"a"), known.get(b"c")), (None, Some(Value::Int(1))));
    }
}
