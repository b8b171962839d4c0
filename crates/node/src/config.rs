//! [`Config`]: what a data node is told at its start, and what `CONFIG GET` and `CONFIG SET` reach.

use std::collections::BTreeMap;
use std::time::Duration;

use model::machine::Identity;
use model::plan::Credentials;
use model::{Addr, Limits, Time};

use crate::commands::parameters;

/// The configuration of one data node. [`Config::new`] gives Redis's own defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name and address.
    pub identity: Identity,
    /// `replica-priority`; 0 is never promoted.
    pub priority: u32,
    /// What clients must present, and what the node itself presents to its master. Without a user it is
    /// `requirepass` and `masterauth`; with one, the default user is off and the ACL user is the only one.
    pub auth: Option<Credentials>,
    /// `masteruser` and `masterauth`: what it presents to its master. `None`: the same as [`Config::auth`].
    pub master_auth: Option<Credentials>,
    /// The master to follow from the start; `None` for a master.
    pub replica_of: Option<Addr>,
    /// `min-replicas-to-write`; 0 is off.
    pub min_replicas_to_write: u32,
    /// `min-replicas-max-lag`, whole seconds.
    pub min_replicas_max_lag: Duration,
    /// `replica-serve-stale-data`.
    pub serve_stale_data: bool,
    /// `replica-read-only`: whether a replica refuses writes of its clients. What it takes from them it keeps to itself, until
    /// it is synchronised anew.
    pub replica_read_only: bool,
    /// `replica-announce-ip`: under which host a replica's master tells of it.
    pub announce_ip: Option<String>,
    /// `repl-diskless-sync-delay`: how long a master waits for further replicas before it sends a snapshot. Redis
    /// has 5 s; here it is zero, as is usual where failovers are rehearsed.
    pub diskless_sync_delay: Duration,
    /// `repl-backlog-size` in bytes.
    pub backlog_size: u64,
    /// `repl-ping-replica-period`, whole seconds, at least 1.
    pub ping_period: Duration,
    /// `repl-timeout`.
    pub repl_timeout: Duration,
    /// `shutdown-timeout`: how long `SHUTDOWN` waits for lagging replicas.
    pub shutdown_timeout: Duration,
    /// `maxclients`: connections that it holds at once, at least 1. One more is told so and closed.
    pub max_clients: u32,
    /// `timeout`, whole seconds: for how long a client may say nothing before it is closed; zero is for ever.
    pub timeout: Duration,
    /// `maxmemory` in bytes; 0 is no limit. Nothing is evicted: above it, what could need more is refused by every policy.
    pub max_memory: u64,
    /// What it keeps for its clients.
    pub limits: Limits,
    /// `enable-debug-command`: whether `DEBUG` is allowed.
    pub debug_command: bool,
    /// What `CONFIG SET` has changed of the parameters that nothing here goes by.
    pub others: BTreeMap<&'static str, String>,
    /// Unix time at [`Time::ZERO`].
    pub unix_start: Duration,
}

impl Config {
    /// A master with Redis's defaults, but for [`Config::diskless_sync_delay`] and [`Config::debug_command`], and
    /// with a run that starts on 1 January 2024.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            priority: 100,
            auth: None,
            master_auth: None,
            replica_of: None,
            min_replicas_to_write: 0,
            min_replicas_max_lag: Duration::from_secs(10),
            serve_stale_data: true,
            replica_read_only: true,
            announce_ip: None,
            diskless_sync_delay: Duration::ZERO,
            backlog_size: 1 << 20,
            ping_period: Duration::from_secs(10),
            repl_timeout: Duration::from_secs(60),
            shutdown_timeout: Duration::from_secs(10),
            max_clients: 10_000,
            timeout: Duration::ZERO,
            max_memory: 0,
            limits: Limits::default(),
            debug_command: true,
            others: BTreeMap::new(),
            unix_start: Duration::from_secs(1_704_067_200),
        }
    }

    /// The value of a parameter that nothing here goes by; empty for one that there is not.
    pub(crate) fn other(&self, name: &str) -> &str {
        let kept = self.others.get(name).map(String::as_str);
        kept.or_else(|| parameters::find(name).map(|parameter| parameter.default)).unwrap_or_default()
    }

    /// Unix time in microseconds.
    pub(crate) fn unix_micros(&self, now: Time) -> u64 {
        (self.unix_start + now.elapsed()).as_micros() as u64
    }

    /// Unix time in milliseconds: the clock that expiry goes by.
    pub(crate) fn unix_millis(&self, now: Time) -> u64 {
        self.unix_micros(now) / 1_000
    }

    /// The moment of the run at which the Unix time is `millis`.
    pub(crate) fn at_unix_millis(&self, millis: u64) -> Time {
        let start = self.unix_start.as_micros() as u64;
        Time::from_micros(millis.saturating_mul(1_000).saturating_sub(start))
    }
}
