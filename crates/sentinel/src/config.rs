//! What a Sentinel is started with: all that its configuration file holds, and what the file does not.

use std::time::Duration;

use model::hosts::Hosts;
use model::plan::Credentials;
use model::{Addr, Command, Epoch, RunId, machine::Identity};

/// What a Sentinel is started with, for the first time or again: options and what it has learned stand in one file.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Which node it is.
    pub identity: Identity,
    /// `sentinel myid`; drawn from the seed if `None`.
    pub my_id: Option<RunId>,
    /// `sentinel current-epoch`.
    pub current_epoch: Epoch,
    /// The masters that it monitors.
    pub masters: Vec<KnownMaster>,
    /// The options that concern no single master.
    pub settings: Settings,
    /// Sentinel's time constants, which are not in the file.
    pub periods: Periods,
    /// What names stand for, where it may look them up.
    pub hosts: Hosts,
    /// Unix time at [`Time::ZERO`](model::Time::ZERO): its clock, far from zero as any real one is. By default 1 January 2024.
    pub unix_start: Duration,
    /// The file that this was read from, whose comments, order and other options are kept when it is rewritten; empty if
    /// there was none.
    pub text: String,
}

impl Config {
    /// A Sentinel that monitors nothing, with the defaults of Redis.
    pub fn new(identity: Identity) -> Self {
        Self {
            identity,
            my_id: None,
            current_epoch: 0,
            masters: Vec::new(),
            settings: Settings::default(),
            periods: Periods::default(),
            hosts: Hosts::default(),
            unix_start: Duration::from_secs(1_704_067_200),
            text: String::new(),
        }
    }
}

/// The options that concern no single master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `sentinel resolve-hostnames`: names are accepted where addresses are.
    pub resolve_hostnames: bool,
    /// `sentinel announce-hostnames`: names are shown where there is one.
    pub announce_hostnames: bool,
    /// `sentinel announce-ip`; `None`, or an empty one, which the file keeps, for the address of the connection.
    pub announce_ip: Option<String>,
    /// `sentinel announce-port`; 0 for the port that it listens on.
    pub announce_port: u16,
    /// `sentinel sentinel-user`: as whom it authenticates at other Sentinels.
    pub sentinel_user: String,
    /// `sentinel sentinel-pass`: with which password. Where it is empty, `requirepass` is used.
    pub sentinel_pass: String,
    /// `sentinel deny-scripts-reconfig`: `SENTINEL SET` may not name scripts.
    pub deny_scripts_reconfig: bool,
    /// `requirepass`: the password of the default user; empty for none.
    pub requirepass: String,
    /// `maxclients`: connections that it holds at once, at least 1. One more is told so and closed.
    pub max_clients: u32,
    /// `user`: ACL users, each as the words behind `user`.
    pub users: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            resolve_hostnames: false,
            announce_hostnames: false,
            announce_ip: None,
            announce_port: 0,
            sentinel_user: String::new(),
            sentinel_pass: String::new(),
            deny_scripts_reconfig: true,
            requirepass: String::new(),
            max_clients: 10_000,
            users: Vec::new(),
        }
    }
}

impl Settings {
    /// Asks these credentials of every client, and gives them to other Sentinels.
    #[must_use]
    pub fn guarded(mut self, auth: &Credentials) -> Self {
        match &auth.user {
            None => auth.password.clone_into(&mut self.requirepass),
            Some(user) => {
                let word = |text: &str| model::words::word(text);
                self.users.push("default off".to_owned());
                let password = word(&format!(">{}", auth.password));
                self.users.push(format!("{} on {password} ~* &* +@all", word(user)));
                user.clone_into(&mut self.sentinel_user);
                auth.password.clone_into(&mut self.sentinel_pass);
            }
        }
        self
    }
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
    /// `master-reboot-down-after-period`; zero is off.
    pub reboot_down_after: Duration,
    /// `notification-script`: told of every warning.
    pub notification_script: Option<String>,
    /// `client-reconfig-script`: told of every change of the address.
    pub client_reconfig_script: Option<String>,
    /// `rename-command`: names of commands at the data nodes, the plain one first.
    pub renamed: Vec<(String, String)>,
}

impl Monitor {
    /// A master with the defaults of Redis.
    pub fn new(name: &str, addr: Addr, quorum: u32) -> Self {
        let periods = Periods::default();
        Self {
            name: name.to_owned(),
            addr,
            quorum,
            down_after: Duration::from_millis(periods.default_down_after as u64),
            failover_timeout: Duration::from_millis(periods.default_failover_timeout as u64),
            parallel_syncs: 1,
            auth: None,
            reboot_down_after: Duration::ZERO,
            notification_script: None,
            client_reconfig_script: None,
            renamed: Vec::new(),
        }
    }

    /// A command of the data nodes, by the name that they have for it.
    pub(crate) fn command(&self, name: &'static str) -> Command {
        match self.renamed.iter().find(|(plain, _)| plain.eq_ignore_ascii_case(name)) {
            None => Command::of(&[name]),
            Some((_, renamed)) => Command::default().arg(renamed.clone()),
        }
    }
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

/// A master of which nothing is known yet.
impl From<Monitor> for KnownMaster {
    fn from(monitor: Monitor) -> Self {
        Self { monitor, config_epoch: 0, leader_epoch: 0, replicas: Vec::new(), sentinels: Vec::new() }
    }
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
