//! What a Sentinel is started with, and what its configuration file remembers.

use std::time::Duration;

use model::plan::Credentials;
use model::{Addr, Epoch, RunId, machine::Identity};

/// What a Sentinel is started with.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Which node it is.
    pub identity: Identity,
    /// Its id; drawn from the seed if `None`.
    pub my_id: Option<RunId>,
    /// The masters that it monitors from the start.
    pub masters: Vec<Monitor>,
    /// What it asks of its clients, and gives to other Sentinels.
    pub auth: Option<Credentials>,
    /// Sentinel's time constants.
    pub periods: Periods,
}

/// `sentinel monitor` and what goes with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Monitor {
    /// The master's name.
    pub name: String,
    /// Its address.
    pub addr: Addr,
    /// Sentinels that must agree that it is down.
    pub quorum: u32,
    /// `down-after-milliseconds`.
    pub down_after: Duration,
    /// `failover-timeout`.
    pub failover_timeout: Duration,
    /// `parallel-syncs`.
    pub parallel_syncs: u32,
    /// `auth-user` and `auth-pass` for the data nodes.
    pub auth: Option<Credentials>,
}

/// The time constants that `SENTINEL DEBUG` shows and sets, in milliseconds, with Redis's defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Periods {
    pub info: i64,
    pub ping: i64,
    pub ask: i64,
    pub publish: i64,
    pub default_down_after: i64,
    pub default_failover_timeout: i64,
    pub tilt_trigger: i64,
    pub tilt: i64,
    pub slave_reconf_timeout: i64,
    pub min_link_reconnect: i64,
    pub election_timeout: i64,
    pub script_max_runtime: i64,
    pub script_retry_delay: i64,
}

impl Default for Periods {
    fn default() -> Self {
        Self {
            info: 10_000,
            ping: 1_000,
            ask: 1_000,
            publish: 2_000,
            default_down_after: 30_000,
            default_failover_timeout: 180_000,
            tilt_trigger: 2_000,
            tilt: 30_000,
            slave_reconf_timeout: 10_000,
            min_link_reconnect: 15_000,
            election_timeout: 10_000,
            script_max_runtime: 60_000,
            script_retry_delay: 30_000,
        }
    }
}

/// What the configuration file holds besides [`Config`]: rewritten at each change of epoch, vote or topology, and so
/// what a restarted Sentinel still knows.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// `sentinel myid`.
    pub my_id: RunId,
    /// `sentinel current-epoch`.
    pub current_epoch: Epoch,
    /// Per monitored master.
    pub masters: Vec<KnownMaster>,
}

/// What the configuration file holds of a master.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownMaster {
    /// `sentinel monitor` with the present address, and the options.
    pub monitor: Monitor,
    /// `sentinel config-epoch`.
    pub config_epoch: Epoch,
    /// `sentinel leader-epoch`.
    pub leader_epoch: Epoch,
    /// `sentinel known-replica`.
    pub replicas: Vec<Addr>,
    /// `sentinel known-sentinel`.
    pub sentinels: Vec<(Addr, RunId)>,
}
