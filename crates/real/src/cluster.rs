//! [`RealCluster`]: the nodes of a [`Cluster`] as real processes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use model::plan::{Cluster, Group};
use model::{NodeId, Reply};

use crate::binaries::Binaries;
use crate::block::Block;
use crate::error::RealError;
use crate::process::{Options, Process, Program};

/// How long a cluster may take until every Sentinel knows every other and every replica.
pub const DISCOVERED_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Real masters, replicas and Sentinels on loopback addresses that are theirs alone, each with the standard port where the
/// system has more loopback addresses than one. All are removed when this is dropped.
#[derive(Debug)]
pub struct RealCluster {
    nodes: BTreeMap<NodeId, Process>,
    plan: Cluster,
    block: Block,
}

impl RealCluster {
    /// Starts the cluster and waits until every Sentinel has discovered all of it. What a plan says about zones and about
    /// delays between nodes is the business of simulated networks and is not looked at.
    pub fn start(binaries: &Binaries, plan: &Cluster) -> Result<Self, RealError> {
        let mut cluster = Self::start_nodes(binaries, plan, |_, options| options)?;
        cluster.start_sentinels(binaries, |_, options| options)?;
        cluster.wait_discovered()?;
        Ok(cluster)
    }

    /// Starts the data nodes alone and waits until every replica is in sync. `change` may change the options of each.
    pub fn start_nodes(
        binaries: &Binaries,
        plan: &Cluster,
        change: impl Fn(NodeId, Options) -> Options,
    ) -> Result<Self, RealError> {
        let block = Block::claim().map_err(RealError::Prepare)?;
        let mut cluster = Self { nodes: BTreeMap::new(), plan: plan.clone(), block };
        for (node, group) in plan.data_nodes() {
            let addr = cluster.free_addr(node)?;
            let master = plan.first_master(group);
            let master = (master != node).then(|| cluster.addr(master)).transpose()?;
            let place = plan.place(node).map_or(0, |(_, place)| place);
            let options = change(node, data_options(&plan.groups[group], place, master));
            let process = Process::start(binaries, Program::Server, &node.to_string(), addr, &options)?;
            cluster.nodes.insert(node, process);
        }
        for process in cluster.nodes.values_mut() {
            process.wait_ready()?;
        }
        for (node, _) in plan.data_nodes() {
            if plan.place(node).is_some_and(|(_, place)| place > 0) {
                let synced =
                    |process: &Process| process.info().is_ok_and(|info| info.contains("\r\nmaster_link_status:up"));
                cluster.wait(node, "sync with its master", DISCOVERED_WITHIN, synced)?;
            }
        }
        Ok(cluster)
    }

    /// Starts the Sentinels of the plan, without waiting for them to discover each other. `change` may change the options
    /// of each.
    pub fn start_sentinels(
        &mut self,
        binaries: &Binaries,
        change: impl Fn(NodeId, Options) -> Options,
    ) -> Result<(), RealError> {
        for node in self.plan.sentinel_nodes() {
            let addr = self.free_addr(node)?;
            let mut options = Options::new();
            if let Some(auth) = &self.plan.sentinel_auth {
                options = options.auth(auth);
            }
            for (index, group) in self.plan.groups.iter().enumerate() {
                options = sentinel_options(options, group, self.addr(self.plan.first_master(index))?);
            }
            let options = change(node, options);
            let process = Process::start(binaries, Program::Sentinel, &node.to_string(), addr, &options)?;
            self.nodes.insert(node, process);
        }
        for node in self.plan.sentinel_nodes() {
            self.node_mut(node)?.wait_ready()?;
        }
        Ok(())
    }

    /// Waits until every Sentinel knows every other Sentinel and every replica and is connected to them.
    pub fn wait_discovered(&self) -> Result<(), RealError> {
        let others = usize::from(self.plan.sentinels).saturating_sub(1);
        for node in self.plan.sentinel_nodes() {
            for group in &self.plan.groups {
                let known = |process: &Process| {
                    connected(process, &["SENTINEL", "SENTINELS", &group.name]) == others
                        && connected(process, &["SENTINEL", "REPLICAS", &group.name]) == usize::from(group.replicas)
                };
                self.wait(node, "discovery of the whole cluster", DISCOVERED_WITHIN, known)?;
            }
        }
        Ok(())
    }

    /// The plan that it was started from.
    pub fn plan(&self) -> &Cluster {
        &self.plan
    }

    /// A node.
    pub fn node(&self, node: NodeId) -> Result<&Process, RealError> {
        self.nodes.get(&node).ok_or(RealError::NoNode(node))
    }

    /// A node, to do something to it.
    pub fn node_mut(&mut self, node: NodeId) -> Result<&mut Process, RealError> {
        self.nodes.get_mut(&node).ok_or(RealError::NoNode(node))
    }

    /// Every node that was started, data nodes first.
    pub fn nodes(&self) -> impl Iterator<Item = (NodeId, &Process)> {
        self.nodes.iter().map(|(node, process)| (*node, process))
    }

    /// The address of a node.
    pub fn addr(&self, node: NodeId) -> Result<SocketAddr, RealError> {
        self.node(node).map(Process::addr)
    }

    /// The node with this address.
    pub fn node_at(&self, host: &str, port: u16) -> Option<NodeId> {
        let ip = host.parse().ok()?;
        let addr = SocketAddr::new(ip, port);
        self.nodes.iter().find(|(_, process)| process.addr() == addr).map(|(node, _)| *node)
    }

    /// The master of a group, as this Sentinel answers it; `None` if the Sentinel does not answer or does not know.
    pub fn master_by(&self, sentinel: NodeId, group: &str) -> Option<NodeId> {
        let reply = self.node(sentinel).ok()?.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", group]).ok()?;
        let [host, port] = reply.as_array()? else { return None };
        self.node_at(&host.as_text()?, port.as_text()?.parse().ok()?)
    }

    /// Waits until something is true of a node.
    pub fn wait(
        &self,
        node: NodeId,
        what: &str,
        within: Duration,
        done: impl Fn(&Process) -> bool,
    ) -> Result<(), RealError> {
        let process = self.node(node)?;
        let deadline = Instant::now() + within;
        while !done(process) {
            if Instant::now() > deadline {
                return Err(process.late(what, within));
            }
            thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn free_addr(&self, node: NodeId) -> Result<SocketAddr, RealError> {
        let (index, standard) = if node.is_sentinel() {
            (self.plan.data_nodes().len() + usize::from(node.number) - 1, 26379)
        } else {
            (usize::from(node.number) - 1, 6379)
        };
        let (ip, port) = self.block.addr(index, standard);
        if port != 0 {
            return Ok(SocketAddr::new(ip, port));
        }
        // One loopback address for all: a free port of the moment.
        let free = std::net::TcpListener::bind((ip, 0)).and_then(|listener| listener.local_addr());
        free.map_err(RealError::Prepare)
    }
}

/// How many of the instances in this table the Sentinel has a connection to.
fn connected(process: &Process, table: &[&str]) -> usize {
    let Ok(reply) = process.ask(table) else { return 0 };
    let fields = |instance: &Reply| -> Option<bool> {
        let pairs = instance.as_array()?;
        let flags = pairs.chunks(2).find(|pair| pair[0].as_text().is_some_and(|name| name == "flags"))?;
        Some(!flags.get(1)?.as_text()?.contains("disconnected"))
    };
    reply.as_array().unwrap_or_default().iter().filter(|instance| fields(instance) == Some(true)).count()
}

fn data_options(group: &Group, place: usize, master: Option<SocketAddr>) -> Options {
    let mut options = Options::server()
        .line(format!("replica-priority {}", group.priorities.get(place).copied().unwrap_or(100)))
        .line(format!("min-replicas-to-write {}", group.min_replicas_to_write))
        .line(format!("min-replicas-max-lag {}", group.min_replicas_max_lag.as_secs()))
        .line(format!("replica-serve-stale-data {}", if group.serve_stale_data { "yes" } else { "no" }));
    if let Some(auth) = &group.auth {
        options = options.auth(auth);
        if let Some(user) = &auth.user {
            options = options.line(format!("masteruser {user}"));
        }
        options = options.line(format!("masterauth {}", auth.password));
    }
    match master {
        Some(master) => options.line(format!("replicaof {} {}", master.ip(), master.port())),
        None => options,
    }
}

fn sentinel_options(options: Options, group: &Group, master: SocketAddr) -> Options {
    let name = &group.name;
    let mut options = options
        .line(format!("sentinel monitor {name} {} {} {}", master.ip(), master.port(), group.quorum))
        .line(format!("sentinel down-after-milliseconds {name} {}", group.down_after.as_millis()))
        .line(format!("sentinel failover-timeout {name} {}", group.failover_timeout.as_millis()))
        .line(format!("sentinel parallel-syncs {name} {}", group.parallel_syncs));
    if let Some(auth) = &group.auth {
        if let Some(user) = &auth.user {
            options = options.line(format!("sentinel auth-user {name} {user}"));
        }
        options = options.line(format!("sentinel auth-pass {name} {}", auth.password));
    }
    options
}
