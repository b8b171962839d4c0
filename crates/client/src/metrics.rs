//! [`Metrics`]: numbers about a client, for whatever collects them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
use crate::error::Cause;

/// What a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// A Sentinel.
    Sentinel,
    /// A master or a replica.
    Data,
}

/// Is told what a client does, to count it. Each method does nothing unless it is implemented.
///
/// The methods are called from the client's tasks and calls, so they must be quick and must not block: add to a counter.
/// None of them is called while commands succeed on a connection that stands.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::Duration;
/// use sentinel_client::{Metrics, Settings};
///
/// #[derive(Default)]
/// struct Outages(AtomicU64);
///
/// impl Metrics for Outages {
///     fn outage(&self, _master: &str, lasted: Duration) {
///         self.0.fetch_add(lasted.as_millis() as u64, Ordering::Relaxed);
///     }
/// }
///
/// let outages = Arc::new(Outages::default());
/// let settings = Settings::new([("s1", 26379)], "mymaster").metrics(outages.clone());
/// ```
pub trait Metrics: Send + Sync {
    /// A TCP connection to `address` was opened, for whatever purpose.
    fn connection_opened(&self, peer: Peer, address: &Address) {
        let _ = (peer, address);
    }

    /// After a connection for the master called `master` was given up, a new one was found, to `address`: the same node
    /// or another. `rounds` rounds of the search had failed before.
    fn rediscovery(&self, master: &str, address: &Address, rounds: u32) {
        let _ = (master, address, rounds);
    }

    /// No command could be sent for this long, because the connection had been given up or the master had been said to
    /// move. Told when it is over.
    fn outage(&self, master: &str, lasted: Duration) {
        let _ = (master, lasted);
    }

    /// A call of the master called `master`, or of one of its replicas, is tried again because of `cause`, after
    /// `attempts` attempts.
    fn retry(&self, master: &str, cause: &Cause, attempts: u32) {
        let _ = (master, cause, attempts);
    }
}

/// Counts nothing.
#[derive(Debug)]
struct Nothing;

impl Metrics for Nothing {}

/// The metrics of the settings.
#[derive(Clone)]
pub(crate) struct Told(Option<Arc<dyn Metrics>>);

impl Told {
    pub(crate) fn nobody() -> Self {
        Self(None)
    }

    pub(crate) fn to(metrics: Arc<dyn Metrics>) -> Self {
        Self(Some(metrics))
    }

    pub(crate) fn get(&self) -> &dyn Metrics {
        self.0.as_deref().unwrap_or(&Nothing)
    }
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "none" })
    }
}
