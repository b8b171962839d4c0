//! [`Server`]: a cluster behind the real clock, for clients in any language and for real Redis processes.
//!
//! Every node has one socket address, and that is its address for everybody: in the world, in replies, in what Sentinels
//! tell each other. So nothing is translated, and what is outside may take part: a client or a real Sentinel connects to a
//! node, a real replica attaches to a fake master, and a node dials whatever address it is told, be it a real master, a
//! real Sentinel or a node of another lab.
//!
//! Nothing that comes from outside is recorded, since nobody is judged. Records of the cluster itself are taken out as they
//! come, so that a server may run for as long as it likes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use model::history::{Header, Record};
use model::plan::{Cluster, Expect, Host as Place};
use model::{Fault, History, NodeId, Plan, Seed, Time};
use sim::FileError;
use tokio::time::Instant;

use crate::driver::Tls;
use crate::gate::Gate;
use crate::host::{HEAD_START, Host};
use crate::view::addr_of;

/// Where the nodes of a server listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address of all of them; 127.0.0.1 by default.
    pub ip: IpAddr,
    /// The port of `redis-1`; the others have those that follow. `None`, the default: any that is free.
    pub data_port: Option<u16>,
    /// The port of `sentinel-1`; the others have those that follow. `None`, the default: any that is free.
    pub sentinel_port: Option<u16>,
}

impl Default for Listen {
    fn default() -> Self {
        Self { ip: Ipv4Addr::LOCALHOST.into(), data_port: None, sentinel_port: None }
    }
}

impl Listen {
    /// The address to listen at; `None` if the ports do not reach so far.
    fn addr(&self, node: NodeId) -> Option<SocketAddr> {
        let first = if node.is_sentinel() { self.sentinel_port } else { self.data_port };
        let port = match first {
            Some(first) => first.checked_add(node.number - 1)?,
            None => 0,
        };
        Some(SocketAddr::new(self.ip, port))
    }
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The plan has no nodes.
    #[error("the cluster has no nodes")]
    NoNodes,
    /// The certificates of a cluster that speaks TLS cannot be made.
    #[error("the certificates for `tls` cannot be made: {0}")]
    Tls(io::Error),
    /// The configuration file of a Sentinel cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The address that a configuration file has a Sentinel listen at is not a loopback one.
    #[error("`bind {host}`: everything here stays on this machine; bind 127.0.0.1, or leave the line out")]
    NotLoopback {
        /// The address.
        host: String,
    },
    /// The last ports would be beyond 65535.
    #[error("there is no port for {node}: the ports would go beyond 65535")]
    NoPort {
        /// The node.
        node: NodeId,
    },
    /// The address of a node cannot be listened at.
    #[error("{node} cannot listen at {addr}: {source}")]
    Listen {
        /// The node.
        node: NodeId,
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// A cluster that runs in real time. It ends when this is dropped. Within a tokio runtime with one thread.
pub struct Server {
    plan: Plan,
    nodes: Vec<(NodeId, SocketAddr)>,
    host: Host,
}

impl Server {
    /// Starts the cluster of `plan` and its timeline; its clients are not run. Time counts from now.
    ///
    /// # Errors
    /// See [`ServeError`]. Nothing is left listening.
    pub fn start(mut plan: Plan, seed: Seed, listen: &Listen) -> Result<Self, ServeError> {
        plan.clients.clear();
        let mut gates = Vec::new();
        for node in plan.cluster.nodes() {
            let addr = listen.addr(node).ok_or(ServeError::NoPort { node })?;
            let gate = Gate::open_at(addr).map_err(|source| ServeError::Listen { node, addr, source })?;
            gates.push((node, gate));
        }
        if gates.is_empty() {
            return Err(ServeError::NoNodes);
        }
        let nodes: Vec<_> = gates.iter().map(|(node, gate)| (*node, gate.addr())).collect();
        plan.cluster.addresses = nodes.iter().map(|(node, addr)| (*node, addr_of(*addr))).collect();
        // One moment, by both clocks: what takes time before the cluster is open must not put its own behind.
        let start = Instant::now();
        let unix_now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        plan.cluster.unix_start = unix_now.saturating_sub(HEAD_START);
        let host = Host::open(&plan, seed, gates, start).map_err(ServeError::Tls)?;
        Ok(Self { plan, nodes, host })
    }

    /// Starts one Sentinel from the text of its configuration file, which may have been written by a real one. It listens
    /// where the file says (at 127.0.0.1 if it says everywhere), unless `listen` names a port. Names of hosts in the file are
    /// looked up once, now; others that it may be told of later are not known to it.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub fn start_sentinel(text: &str, seed: Seed, listen: &Listen) -> Result<Self, ServeError> {
        let sim::SentinelFile { addr, names } = sim::read_sentinel_file(text)?;
        let mut listen = *listen;
        if listen.sentinel_port.is_none() {
            let ip: Option<IpAddr> = addr.host.parse().ok();
            let local = ip.map(|ip| if ip.is_unspecified() { Ipv4Addr::LOCALHOST.into() } else { ip });
            let local = local.filter(IpAddr::is_loopback);
            listen.ip = local.ok_or_else(|| ServeError::NotLoopback { host: addr.host.to_string() })?;
            listen.sentinel_port = Some(addr.port);
        }
        let mut cluster = Cluster { groups: Vec::new(), sentinels: 1, ..Cluster::standard() };
        for name in names {
            // One that is not known now leaves the Sentinel without an address, as in Redis.
            let found = (name.as_str(), 0).to_socket_addrs().ok().and_then(|mut found| found.next());
            if let Some(found) = found {
                cluster.hosts.insert(name, Place::Ip(found.ip()));
            }
        }
        cluster.sentinel_files.insert(NodeId::sentinel(1), text.to_owned());
        let plan = Plan {
            title: "a Sentinel from its configuration file".to_owned(),
            cluster,
            clients: Vec::new(),
            timeline: Vec::new(),
            run_for: Duration::ZERO,
            expect: Expect::default(),
        };
        Self::start(plan, seed, &listen)
    }

    /// The configuration file of a Sentinel as it would be on disk, if it has been rewritten other than `rewrites` times,
    /// with how often it has.
    pub fn sentinel_file(&self, node: NodeId, rewrites: u64) -> Option<(u64, String)> {
        self.host.sentinel_file(node, rewrites)
    }

    /// What is run, with the addresses that the nodes have.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is run, as the first line of a history.
    pub fn header(&self) -> Header {
        self.host.history(|history| history.header.clone())
    }

    /// Every node and its address.
    pub fn nodes(&self) -> &[(NodeId, SocketAddr)] {
        &self.nodes
    }

    /// The address of a node; `None` if there is no such node.
    pub fn addr(&self, node: NodeId) -> Option<SocketAddr> {
        self.nodes.iter().find(|(known, _)| *known == node).map(|(_, addr)| *addr)
    }

    /// How connections to the cluster are to be encrypted; `None` if none is. Among each other its nodes speak no TLS.
    pub fn tls(&self) -> Option<Tls> {
        self.host.tls()
    }

    /// The master of a group, as most of its Sentinels answer now.
    pub fn master(&self, group: &str) -> Option<NodeId> {
        self.host.master(group)
    }

    /// Time since the start.
    pub fn now(&self) -> Time {
        self.host.now()
    }

    /// Does something to the cluster, undone after `lasting` if that is given and the fault lasts. Gives the nodes that it
    /// hit; none if the target is nobody at present.
    pub fn inject(&self, fault: &Fault, lasting: Option<Duration>) -> Vec<NodeId> {
        self.host.inject(fault, lasting)
    }

    /// Waits until something has happened to the cluster, and gives what has since this was called last; it is then
    /// forgotten.
    pub async fn records(&self) -> Vec<Record> {
        self.host.take_records().await
    }

    /// Ends the cluster, and gives what has happened since [`Server::records`] was called last, with how every node stood
    /// at the end.
    ///
    /// # Errors
    /// A socket failed the server.
    pub fn finish(self) -> io::Result<History> {
        self.host.finish()
    }
}
