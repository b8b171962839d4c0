//! [`Machine`]: a data node or a Sentinel, which the world treats alike.

use std::collections::BTreeSet;

use model::hosts::Hosts;
use model::machine::{Identity, Input, Output};
use model::plan::Cluster;
use model::{Addr, NodeId, Seed, Time};
use node::Node;
use sentinel::{FileError, Sentinel};

/// A running process.
#[allow(clippy::large_enum_variant)] // A world has a handful of them, and they never move.
pub(crate) enum Machine {
    Data(Node),
    Sentinel(Sentinel),
}

/// What a process leaves behind on disk.
#[derive(Clone)]
pub(crate) enum Saved {
    /// Nothing yet: it starts as the plan says.
    Fresh,
    /// The configuration file of a data node.
    Data(Box<node::Config>),
    /// The text of a Sentinel's configuration file.
    Sentinel(String),
}

impl Machine {
    /// Starts a process of the cluster, for the `boot`-th time.
    pub(crate) fn start(cluster: &Cluster, id: NodeId, saved: &Saved, seed: Seed, boot: u32, now: Time) -> Self {
        if let Some((group, place)) = cluster.place(id) {
            let config = if let Saved::Data(file) = saved {
                node::Config { identity: Identity { node: id, addr: cluster.address(id) }, ..(**file).clone() }
            } else {
                let first = || named(cluster, cluster.first_master(group), cluster.announce_hostnames);
                data_config(cluster, id, (place > 0).then(first))
            };
            return Self::Data(Node::new(config, seed, boot, now));
        }
        let text = match saved {
            Saved::Sentinel(text) => Some(text),
            _ => cluster.sentinel_files.get(&id),
        };
        let mut config = match text {
            Some(text) => sentinel::file::parse(text, id).expect("the file was read before, or written by a Sentinel"),
            None => sentinel_config(cluster, id),
        };
        config.identity.addr = cluster.address(id);
        config.hosts = cluster.resolver();
        config.unix_start = cluster.unix_start;
        Self::Sentinel(Sentinel::new(config, seed, boot, now))
    }

    /// True if whoever connects must log in first.
    pub(crate) fn asks_for_password(&self) -> bool {
        match self {
            Self::Data(node) => !node.is_open(),
            Self::Sentinel(sentinel) => !sentinel.is_open(),
        }
    }

    /// What it leaves on disk if it ends now.
    pub(crate) fn save(&self) -> Saved {
        match self {
            Self::Data(node) => Saved::Data(Box::new(node.file().clone())),
            Self::Sentinel(sentinel) => Saved::Sentinel(sentinel.config_file()),
        }
    }

    /// Names stand for these addresses from now on. Data nodes ask the world as they dial.
    pub(crate) fn set_hosts(&mut self, hosts: &Hosts) {
        if let Self::Sentinel(sentinel) = self {
            sentinel.set_hosts(hosts.clone());
        }
    }

    pub(crate) fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match self {
            Self::Data(node) => node.handle(now, input, out),
            Self::Sentinel(sentinel) => sentinel.handle(now, input, out),
        }
    }

    /// The process is stopped where it stands.
    pub(crate) fn suspend(&mut self, now: Time) {
        if let Self::Sentinel(sentinel) = self {
            sentinel.suspend(now);
        }
    }

    pub(crate) fn deadline(&self) -> Time {
        match self {
            Self::Data(node) => node.deadline(),
            Self::Sentinel(sentinel) => sentinel.deadline(),
        }
    }

    pub(crate) fn data(&self) -> Option<&Node> {
        match self {
            Self::Data(node) => Some(node),
            Self::Sentinel(_) => None,
        }
    }

    pub(crate) fn sentinel(&self) -> Option<&Sentinel> {
        match self {
            Self::Data(_) => None,
            Self::Sentinel(sentinel) => Some(sentinel),
        }
    }
}

/// What a host must know of the configuration file of a Sentinel before it starts one from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentinelFile {
    /// The address at which it listens.
    pub addr: Addr,
    /// Names of hosts that it will look up.
    pub names: BTreeSet<String>,
}

/// Reads the configuration file of a Sentinel, as a cluster may start it from.
///
/// # Errors
/// The first line that is wrong, and what would be right.
pub fn read_sentinel_file(text: &str) -> Result<SentinelFile, FileError> {
    let config = sentinel::file::parse(text, NodeId::sentinel(1))?;
    let addrs = config.masters.iter().flat_map(|master| {
        let others = master.sentinels.iter().map(|(addr, _)| addr);
        std::iter::once(&master.monitor.addr).chain(&master.replicas).chain(others)
    });
    let names = addrs.filter(|addr| model::hosts::literal(&addr.host).is_none()).map(|addr| addr.host.to_string());
    Ok(SentinelFile { names: names.collect(), addr: config.identity.addr })
}

fn data_config(cluster: &Cluster, id: NodeId, replica_of: Option<Addr>) -> node::Config {
    let (group, place) = cluster.place(id).unwrap_or_default();
    let group = &cluster.groups[group];
    node::Config {
        priority: group.priorities.get(place).copied().unwrap_or(100),
        auth: group.auth.clone(),
        replica_of,
        min_replicas_to_write: u32::from(group.min_replicas_to_write),
        min_replicas_max_lag: group.min_replicas_max_lag,
        serve_stale_data: group.serve_stale_data,
        unix_start: cluster.unix_start,
        announce_ip: announced(cluster, id).map(str::to_owned),
        ..node::Config::new(Identity { node: id, addr: cluster.address(id) })
    }
}

/// The address of a node, by its name if it has one and `by_name` says so.
fn named(cluster: &Cluster, node: NodeId, by_name: bool) -> Addr {
    let addr = cluster.address(node);
    match cluster.host_name(node).filter(|_| by_name) {
        Some(name) => Addr::new(name, addr.port),
        None => addr,
    }
}

/// The name by which a node announces itself, if it does.
fn announced(cluster: &Cluster, id: NodeId) -> Option<&str> {
    cluster.host_name(id).filter(|_| cluster.announce_hostnames)
}

fn sentinel_config(cluster: &Cluster, id: NodeId) -> sentinel::Config {
    let monitor = |(index, group): (usize, &model::plan::Group)| sentinel::Monitor {
        down_after: group.down_after,
        failover_timeout: group.failover_timeout,
        parallel_syncs: u32::from(group.parallel_syncs),
        auth: group.auth.clone(),
        reboot_down_after: group.reboot_down_after,
        notification_script: group.notification_script.clone(),
        client_reconfig_script: group.client_reconfig_script.clone(),
        ..sentinel::Monitor::new(
            &group.name,
            named(cluster, cluster.first_master(index), cluster.resolve_hostnames),
            u32::from(group.quorum),
        )
    };
    let mut config = sentinel::Config::new(Identity { node: id, addr: cluster.address(id) });
    config.settings.resolve_hostnames = cluster.resolve_hostnames;
    config.settings.announce_hostnames = cluster.announce_hostnames;
    if let Some(name) = announced(cluster, id) {
        config.settings.announce_ip = Some(name.to_owned());
    }
    config.masters = cluster.groups.iter().enumerate().map(|group| monitor(group).into()).collect();
    if let Some(auth) = &cluster.sentinel_auth {
        config.settings = config.settings.guarded(auth);
    }
    config
}
