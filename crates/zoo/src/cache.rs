//! Reads through a cache that the master keeps true, by telling of changes on the connection that was read on.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::history::Cause;
use redis::{PushInfo, PushKind, Value};
use testbed::driver::{Answer, CallError, Request};

use crate::Defect;
use crate::client::{Client, PATIENCE, run};
use crate::dial::{Addr, Link, Role, role, tracked, unsent};

/// What was read, and the connection that tells of its changes.
pub(crate) struct Cache {
    master: Addr,
    connection: Link,
    known: Known,
}

/// Values by their keys.
#[derive(Clone, Default)]
struct Known(Arc<Mutex<Values>>);

#[derive(Default)]
struct Values {
    by_key: BTreeMap<String, Answer>,
    /// How many changes were told of.
    changes: u64,
}

impl Known {
    fn values(&self) -> MutexGuard<'_, Values> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the node tells.
    fn told(&self, push: &PushInfo) {
        if push.kind != PushKind::Invalidate {
            return;
        }
        let mut values = self.values();
        values.changes += 1;
        match push.data.first() {
            Some(Value::Array(keys)) => {
                for key in keys {
                    if let Value::BulkString(key) = key {
                        values.by_key.remove(&*String::from_utf8_lossy(key));
                    }
                }
            }
            _ => values.by_key.clear(),
        }
    }
}

impl Client {
    /// A read through the cache.
    pub(crate) async fn read_cached(&mut self, key: &str, request: &Request) -> Result<Answer, CallError> {
        // The master is known now, and was verified.
        self.connected().await?;
        let Some(master) = self.master_addr() else { return Err(unsent(Cause::NoMaster, "no master")) };
        if !self.cache_stands(&master).await {
            let lost = self.cache.take();
            let kept = lost.filter(|_| self.has(Defect::KeepsCache)).map(|lost| lost.known);
            let known = kept.unwrap_or_default();
            let telling = known.clone();
            let opened = tracked(&self.settings, &master, PATIENCE, move |push| telling.told(&push)).await;
            let connection = opened.map_err(|error| unsent(Cause::Connection, &error.to_string()))?;
            self.cache = Some(Cache { master, connection, known });
        }
        let Some(cache) = &mut self.cache else { unreachable!("it was opened") };
        let (known, changes) = {
            let values = cache.known.values();
            (values.by_key.get(key).cloned(), values.changes)
        };
        if let Some(known) = known {
            return Ok(known);
        }
        match run(&mut cache.connection, request).await {
            Ok(answer) => {
                let mut values = cache.known.values();
                // What has changed since it was asked for is not kept.
                if values.changes == changes {
                    values.by_key.insert(key.to_owned(), answer.clone());
                }
                Ok(answer)
            }
            Err(error) => Err(unsent(Cause::Connection, &error.to_string())),
        }
    }

    /// True if the connection that tells of changes is to the master, and lives.
    async fn cache_stands(&mut self, master: &Addr) -> bool {
        match &mut self.cache {
            Some(cache) if cache.master == *master => {
                // What the node had to tell before it answers has been told by then.
                matches!(role(&mut cache.connection).await, Ok(Role::Master))
            }
            _ => false,
        }
    }
}
