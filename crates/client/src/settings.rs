//! [`Settings`]: what a client is configured with.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
use crate::credentials::Credentials;
use crate::dial::{Dial, Dialler};
use crate::metrics::{Metrics, Told};
use crate::retry::Retry;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// What a [`Client`](crate::Client) is configured with: the Sentinels, the master's name, and optional parts.
///
/// ```
/// use std::time::Duration;
/// use sentinel_client::{Credentials, Settings};
///
/// let settings = Settings::new([("s1", 26379), ("s2", 26379), ("s3", 26379)], "mymaster")
///     .data_auth(Credentials::user("app", "secret"))
///     .sentinel_auth(Credentials::password("other secret"))
///     .response_timeout(Duration::from_secs(1));
/// assert!(!format!("{settings:?}").contains("secret"));
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) sentinels: Vec<Address>,
    pub(crate) master: String,
    pub(crate) sentinel_auth: Option<Credentials>,
    pub(crate) data_auth: Option<Credentials>,
    #[cfg(feature = "tls")]
    pub(crate) sentinel_tls: Option<Tls>,
    #[cfg(feature = "tls")]
    pub(crate) data_tls: Option<Tls>,
    pub(crate) db: u32,
    pub(crate) connect_timeout: Duration,
    pub(crate) response_timeout: Duration,
    pub(crate) stagger: Duration,
    pub(crate) role_wait: Duration,
    pub(crate) check_interval: Duration,
    pub(crate) keep_alive: Duration,
    pub(crate) retry: Retry,
    pub(crate) replica_fallback: ReplicaFallback,
    pub(crate) address_map: AddressMap,
    pub(crate) dialler: Dialler,
    pub(crate) metrics: Told,
    pub(crate) seed: u64,
}

/// What a replica connection does while no replica can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ReplicaFallback {
    /// Reads go to the master until a replica is back.
    #[default]
    Master,
    /// Reads fail.
    Fail,
}

/// Longer than any setting that is meant.
const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Settings that no client can work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// There is no Sentinel to ask.
    #[error("at least one sentinel is required")]
    NoSentinel,
    /// The master has no name.
    #[error("the master's name is empty")]
    NoMasterName,
    /// The settings of TLS cannot be used, for this reason.
    #[error("tls: {0}")]
    Tls(String),
    /// This duration must not be zero.
    #[error("`{0}` must be longer than zero")]
    Zero(&'static str),
    /// This duration is longer than a year, so that it cannot be meant.
    #[error("`{0}` must not be longer than 365 days")]
    TooLong(&'static str),
}

impl Settings {
    /// Settings with these Sentinels, as pairs of host and port or as [`Address`]es, the name of the master that
    /// [`Client::master`](crate::Client::master) is for, and defaults for the rest.
    pub fn new<A: Into<Address>>(sentinels: impl IntoIterator<Item = A>, master: impl Into<String>) -> Self {
        Self {
            sentinels: sentinels.into_iter().map(Into::into).collect(),
            master: master.into(),
            sentinel_auth: None,
            data_auth: None,
            #[cfg(feature = "tls")]
            sentinel_tls: None,
            #[cfg(feature = "tls")]
            data_tls: None,
            db: 0,
            connect_timeout: Duration::from_millis(200),
            response_timeout: Duration::from_millis(500),
            stagger: Duration::from_millis(80),
            role_wait: Duration::from_millis(250),
            check_interval: Duration::from_secs(1),
            keep_alive: Duration::from_secs(3),
            retry: Retry::default(),
            replica_fallback: ReplicaFallback::default(),
            address_map: AddressMap::default(),
            dialler: Dialler::default(),
            metrics: Told::nobody(),
            seed: rand::random(),
        }
    }

    /// Credentials for the Sentinels. Those for the data nodes are not used there.
    #[must_use]
    pub fn sentinel_auth(mut self, credentials: Credentials) -> Self {
        self.sentinel_auth = Some(credentials);
        self
    }

    /// Credentials for masters and replicas.
    #[must_use]
    pub fn data_auth(mut self, credentials: Credentials) -> Self {
        self.data_auth = Some(credentials);
        self
    }

    /// Encryption of the connections to Sentinels. Default: none. Needs the feature `tls`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn sentinel_tls(mut self, tls: Tls) -> Self {
        self.sentinel_tls = Some(tls);
        self
    }

    /// Encryption of the connections to masters and replicas. Default: none. Needs the feature `tls`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn data_tls(mut self, tls: Tls) -> Self {
        self.data_tls = Some(tls);
        self
    }

    /// The database of the data nodes. Default: 0.
    #[must_use]
    pub fn db(mut self, db: u32) -> Self {
        self.db = db;
        self
    }

    /// How long connecting may take, the resolution of the name included. Default: 200 ms.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// How long a reply may take: of a Sentinel, in the handshake of a connection, and to a command unless
    /// [`Retry::attempt_timeout`] says otherwise. Default: 500 ms.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// How long one Sentinel may keep silent before the next one is asked as well. Default: 80 ms.
    #[must_use]
    pub fn stagger(mut self, stagger: Duration) -> Self {
        self.stagger = stagger;
        self
    }

    /// How often a connection is checked while it is in use: that its node still has the role it was chosen for, and
    /// that a Sentinel, each in its turn, names no other; if it does, or does not answer within [`Settings::stagger`], all
    /// of them are asked, and four times as often while they disagree. Chance takes up to a tenth of it away. A client that
    /// hears no announcement stays with a replaced master that says it is one until the turn of a Sentinel that knows
    /// better: as many intervals as there are Sentinels at most, and one [`Settings::response_timeout`]. Default: 1 s.
    #[must_use]
    pub fn check_interval(mut self, interval: Duration) -> Self {
        self.check_interval = interval;
        self
    }

    /// How often a [`Subscriber`](crate::Subscriber) tests its connection for life, and the system every connection that is silent for
    /// so long, in whole seconds up to an hour; it gives one up that has been dead for four times that. As seldom as that
    /// the subscriptions to Sentinels are tested, whose announcements only make a client faster. Default: 3 s.
    #[must_use]
    pub fn keep_alive(mut self, interval: Duration) -> Self {
        self.keep_alive = interval;
        self
    }

    /// How commands are retried, unless a connection says otherwise. Default: [`Retry::default`].
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// What replica connections do without replicas. Default: the master serves them.
    #[must_use]
    pub fn replica_fallback(mut self, fallback: ReplicaFallback) -> Self {
        self.replica_fallback = fallback;
        self
    }

    /// Translates every address that a Sentinel tells (of masters, replicas and other Sentinels, in replies and in
    /// events) into the one to dial, for networks where the two differ (NAT, containers).
    #[must_use]
    pub fn address_map(mut self, map: impl Fn(&Address) -> Address + Send + Sync + 'static) -> Self {
        self.address_map = AddressMap(Some(Arc::new(map)));
        self
    }

    /// Opens every connection, in the place of TCP. Default: TCP.
    #[must_use]
    pub fn dialler(mut self, dialler: Arc<dyn Dial>) -> Self {
        self.dialler = Dialler(Some(dialler));
        self
    }

    /// Is told what the client does. Default: nobody is.
    #[must_use]
    pub fn metrics(mut self, metrics: Arc<dyn Metrics>) -> Self {
        self.metrics = Told::to(metrics);
        self
    }

    /// Seed of the client's random choices: jitter and which replica. Default: random.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        if self.sentinels.is_empty() {
            return Err(SettingsError::NoSentinel);
        }
        if self.master.is_empty() {
            return Err(SettingsError::NoMasterName);
        }
        let durations = [
            ("connect_timeout", self.connect_timeout),
            ("response_timeout", self.response_timeout),
            ("check_interval", self.check_interval),
            ("keep_alive", self.keep_alive),
            ("retry.budget", self.retry.budget),
        ];
        if let Some((name, _)) = durations.iter().find(|(_, duration)| duration.is_zero()) {
            return Err(SettingsError::Zero(name));
        }
        let may_be_zero = [("stagger", self.stagger), ("role_wait", self.role_wait)];
        match durations.into_iter().chain(may_be_zero).find(|(_, duration)| *duration > YEAR) {
            Some((name, _)) => Err(SettingsError::TooLong(name)),
            None => Ok(()),
        }
    }
}

type MapFn = dyn Fn(&Address) -> Address + Send + Sync;

/// A translation of addresses; the identity if there is none.
#[derive(Clone, Default)]
pub(crate) struct AddressMap(Option<Arc<MapFn>>);

impl AddressMap {
    pub(crate) fn apply(&self, address: Address) -> Address {
        match &self.0 {
            Some(map) => map(&address),
            None => address,
        }
    }
}

impl fmt::Debug for AddressMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "set" } else { "none" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_settings_are_named() {
        let usable = || Settings::new([("s1", 26379)], "m");
        assert_eq!(usable().check(), Ok(()));
        assert_eq!(Settings::new(Vec::<Address>::new(), "m").check(), Err(SettingsError::NoSentinel));
        assert_eq!(Settings::new([("s1", 26379)], "").check(), Err(SettingsError::NoMasterName));
        let zero = usable().connect_timeout(Duration::ZERO).check();
        assert_eq!(zero, Err(SettingsError::Zero("connect_timeout")));
    }
}
