//! [`Client`]: the entry.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, timeout};

use crate::address::Address;
use crate::cache::Cache;
use crate::connection::Connection;
use crate::core::Core;
use crate::dedicated::Dedicated;
use crate::discovery;
use crate::error::DiscoveryError;
use crate::hints::{self, Hint};
use crate::keeper::{Node, Target, UNKNOWN};
use crate::pool::{self, PoolBuilder};
use crate::settings::{Settings, SettingsError};
use crate::subscriber::Subscriber;
use crate::task::OwnedTask;
use crate::url::UrlError;

/// Hints that may wait for a reader. One that misses some asks the Sentinels, as after a hint.
const HINTS: usize = 16;

/// A client of the masters that a set of Sentinels watches. Cheap to clone.
///
/// It opens nothing before the first command. What it has opened for a name is kept for the next command, also if every
/// [`Connection`] to it is dropped meanwhile; it ends with the client and the last [`Connection`], [`Dedicated`] or
/// [`Subscriber`] for that name.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    core: Arc<Core>,
    hints: broadcast::Sender<Hint>,
    nodes: Mutex<BTreeMap<(String, Target), Arc<Node>>>,
    listener: Mutex<Weak<OwnedTask>>,
}

impl Client {
    /// A client with these settings.
    ///
    /// # Errors
    /// If no client could work with them.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let inner = Inner {
            core: Arc::new(Core::new(settings)?),
            hints: broadcast::Sender::new(HINTS),
            nodes: Mutex::default(),
            listener: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// A client with the settings of this URL, as [`Settings::from_str`](std::str::FromStr::from_str) reads them.
    ///
    /// ```
    /// # fn main() -> Result<(), sentinel_client::UrlError> {
    /// let url = "redis-sentinel://app:secret@s1:26379,s2:26379,s3:26379/mymaster/0?connect_timeout=300ms";
    /// let client = sentinel_client::Client::open(url)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Names the part of the URL that cannot be used, without repeating a password.
    pub fn open(url: &str) -> Result<Self, UrlError> {
        Ok(Self::new(url.parse()?)?)
    }

    /// A connection to the master that the settings name. Must be called on a tokio runtime; so must the methods below.
    pub fn master(&self) -> Connection {
        self.master_for(&self.inner.core.settings.master)
    }

    /// A connection to the master called `name`.
    pub fn master_for(&self, name: &str) -> Connection {
        Connection::new(self.node(name, Target::Master))
    }

    /// A connection to a replica of the master that the settings name. What it does without replicas, the settings say.
    pub fn replica(&self) -> Connection {
        self.replica_for(&self.inner.core.settings.master)
    }

    /// A connection to a replica of the master called `name`.
    pub fn replica_for(&self, name: &str) -> Connection {
        Connection::new(self.node(name, Target::Replica))
    }

    /// A TCP connection of one's own to the master that the settings name, for commands that block.
    pub fn dedicated(&self) -> Dedicated {
        self.dedicated_for(&self.inner.core.settings.master)
    }

    /// A TCP connection of one's own to the master called `name`.
    pub fn dedicated_for(&self, name: &str) -> Dedicated {
        Dedicated::new(self.node(name, Target::Master))
    }

    /// A pool of [`Dedicated`] connections to the master that the settings name, for many tasks that block.
    pub fn pool(&self) -> PoolBuilder {
        self.pool_for(&self.inner.core.settings.master)
    }

    /// A pool of [`Dedicated`] connections to the master called `name`.
    pub fn pool_for(&self, name: &str) -> PoolBuilder {
        pool::builder(self.node(name, Target::Master))
    }

    /// Reads of the master that the settings name through a cache in memory.
    pub fn cache(&self) -> Cache {
        self.cache_for(&self.inner.core.settings.master)
    }

    /// Reads of the master called `name` through a cache in memory.
    pub fn cache_for(&self, name: &str) -> Cache {
        Cache::new(Dedicated::tracked(self.node(name, Target::Master)))
    }

    /// Subscriptions on the master that the settings name.
    pub fn subscriber(&self) -> Subscriber {
        self.subscriber_for(&self.inner.core.settings.master)
    }

    /// Subscriptions on the master called `name`.
    pub fn subscriber_for(&self, name: &str) -> Subscriber {
        Subscriber::new(self.node(name, Target::Master))
    }

    /// Where the master called `name` is: the address that a Sentinel names, once the node there says that it is a
    /// master. Tries for as long as the retry settings say.
    ///
    /// # Errors
    /// Why the last round found none.
    pub async fn discover_master(&self, name: &str) -> Result<Address, DiscoveryError> {
        let core = &self.inner.core;
        self.discover(|| async { Ok(discovery::master(core, name).await?.address().clone()) }).await
    }

    /// Where the replicas of the master called `name` are: those that the Sentinels name as healthy, and that say that
    /// they are replicas in sync. Sorted, at least one. Tries for as long as the retry settings say.
    ///
    /// # Errors
    /// Why the last round found none.
    pub async fn discover_replicas(&self, name: &str) -> Result<Vec<Address>, DiscoveryError> {
        let core = &self.inner.core;
        self.discover(|| discovery::synced_addresses(core, name)).await
    }

    async fn discover<T, F>(&self, round: impl Fn() -> F) -> Result<T, DiscoveryError>
    where
        F: Future<Output = Result<T, DiscoveryError>>,
    {
        let core = &self.inner.core;
        let retry = &core.settings.retry;
        let started = Instant::now();
        let mut failures = 0;
        let mut unknown_since = None;
        // Why the last round failed that came to an end.
        let mut last = DiscoveryError::TimedOut(retry.budget);
        let rounds = async {
            loop {
                match round().await {
                    Ok(found) => return Some(found),
                    Err(error) => last = error,
                }
                unknown_since = last.nobody_knows().then(|| unknown_since.unwrap_or_else(Instant::now));
                if last.is_refusal() || unknown_since.is_some_and(|since| since.elapsed() >= UNKNOWN) {
                    return None;
                }
                failures += 1;
                let wait = retry.next(failures, started.elapsed(), core.chance())?;
                sleep(match last {
                    DiscoveryError::NotMaster { .. } => wait.max(core.settings.role_wait),
                    _ => wait,
                })
                .await;
            }
        };
        let found = timeout(retry.budget, rounds).await.ok().flatten();
        found.ok_or(last)
    }

    /// The one node for this name and target.
    fn node(&self, name: &str, target: Target) -> Arc<Node> {
        let inner = &self.inner;
        let mut nodes = inner.nodes.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let core = Arc::clone(&inner.core);
            Arc::new(Node::new(core, name.to_owned(), target, inner.hints.clone(), self.listener()))
        };
        Arc::clone(nodes.entry((name.to_owned(), target)).or_insert_with(make))
    }

    /// The one task that listens to a Sentinel, as long as any node needs it.
    fn listener(&self) -> Arc<OwnedTask> {
        let mut listener = self.inner.listener.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = listener.upgrade() {
            return running;
        }
        let listen = hints::listen(Arc::clone(&self.inner.core), self.inner.hints.clone());
        let started = Arc::new(OwnedTask::spawn(listen));
        *listener = Arc::downgrade(&started);
        started
    }
}
