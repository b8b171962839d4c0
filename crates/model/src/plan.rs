//! [`Plan`]: a run as data. A scenario file becomes one, the builder of the testbed makes one, a chaos schedule is one.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::addr::Addr;
use crate::event::EventName;
use crate::fault::Fault;
use crate::hosts::Hosts;
use crate::id::NodeId;
use crate::verdict::{Invariant, Rule};

/// Everything that a run needs but its seed and the drivers.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// One line that says what happens.
    pub title: String,
    /// The nodes.
    pub cluster: Cluster,
    /// The clients under test.
    pub clients: Vec<Client>,
    /// What is done, in the order of the file.
    pub timeline: Vec<Step>,
    /// Virtual time that the run takes; the clients stop there.
    pub run_for: Duration,
    /// What must come out.
    pub expect: Expect,
}

impl Plan {
    /// What it takes to do what the plan asks of a client.
    pub fn needs(&self, client: &Client) -> impl Iterator<Item = Need> {
        let callers = (client.callers > 1).then_some(Need::Callers);
        let database = (client.database > 0).then_some(Need::Database);
        let map = self.cluster.nat.then_some(Need::AddressMap);
        let names = (!self.cluster.hosts.is_empty()).then_some(Need::Names);
        let tls = self.cluster.tls.is_on().then_some(Need::Tls);
        let server_name = self.cluster.tls.server_name.as_ref().map(|_| Need::ServerName);
        let patterns = client.patterns.then_some(Need::Patterns);
        let others =
            callers.into_iter().chain(database).chain(map).chain(names).chain(tls).chain(server_name).chain(patterns);
        std::iter::once(Need::Workload(client.workload)).chain(others)
    }
}

/// The nodes of a run. Data nodes are numbered through all groups: of two groups with two replicas each, the first has
/// `redis-1` (its master) to `redis-3`, the second `redis-4` to `redis-6`.
#[derive(Clone, Debug, PartialEq)]
pub struct Cluster {
    /// Master groups; at least one.
    pub groups: Vec<Group>,
    /// How many Sentinels; each watches every group.
    pub sentinels: u16,
    /// Zones of Sentinels: `sentinel-1` first. Missing ones are in [`Cluster::DEFAULT_ZONE`].
    pub sentinel_zones: Vec<String>,
    /// Credentials that the Sentinels ask of clients and of each other.
    pub sentinel_auth: Option<Credentials>,
    /// One-way delay between nodes.
    pub node_latency: Duration,
    /// Addresses of nodes inside the world, of those that have others than the usual ones. Behind the real clock all have
    /// the addresses of their sockets.
    pub addresses: BTreeMap<NodeId, Addr>,
    /// What names stand for at the start; see [`Fault::Resolve`] for how that changes.
    pub hosts: BTreeMap<String, Host>,
    /// `sentinel resolve-hostnames`: Sentinels take names, and monitor a master by the name that it has in
    /// [`Cluster::hosts`].
    pub resolve_hostnames: bool,
    /// `sentinel announce-hostnames`: Sentinels tell names. Every node that has one announces itself by it.
    pub announce_hostnames: bool,
    /// Clients stand outside a network whose addresses are translated: what Sentinels tell is where nodes are inside, and nobody
    /// answers there. Clients are given what to dial instead.
    pub nat: bool,
    /// Which nodes speak TLS to clients.
    pub tls: Tls,
    /// Texts of configuration files from which Sentinels start, in place of what the groups say.
    pub sentinel_files: BTreeMap<NodeId, String>,
    /// Unix time at the start of the run, which expiry goes by, and the clocks of Sentinels; by default 1 January 2024, the same in every run.
    pub unix_start: Duration,
}

/// One master and its replicas.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The master name that clients ask for.
    pub name: String,
    /// Number of replicas at the start.
    pub replicas: u16,
    /// Sentinels that must agree that the master is down.
    pub quorum: u16,
    /// Zones of the data nodes, the master first. Missing ones are in [`Cluster::DEFAULT_ZONE`].
    pub zones: Vec<String>,
    /// `replica-priority` of the data nodes, the master first. Missing ones have 100. 0 is never promoted.
    pub priorities: Vec<u32>,
    /// `down-after-milliseconds`.
    pub down_after: Duration,
    /// `failover-timeout`.
    pub failover_timeout: Duration,
    /// `parallel-syncs`.
    pub parallel_syncs: u16,
    /// Credentials that the data nodes ask of clients, Sentinels and replicas.
    pub auth: Option<Credentials>,
    /// How long a node keeps what goes into the replication stream before it sends it, on top of
    /// [`Cluster::node_latency`]. What a process has not sent when it ends is lost with it.
    pub replication_lag: Duration,
    /// `min-replicas-to-write`; 0 is off.
    pub min_replicas_to_write: u16,
    /// `min-replicas-max-lag`.
    pub min_replicas_max_lag: Duration,
    /// `replica-serve-stale-data`.
    pub serve_stale_data: bool,
    /// `master-reboot-down-after-period`; zero is off.
    pub reboot_down_after: Duration,
    /// `notification-script` of the Sentinels, which is not executed but recorded.
    pub notification_script: Option<String>,
    /// `client-reconfig-script` of the Sentinels, likewise.
    pub client_reconfig_script: Option<String>,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// The machine of this node.
    Node(NodeId),
    /// An address that need not be any node's.
    Ip(IpAddr),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => write!(f, "{node}"),
            Self::Ip(ip) => write!(f, "{ip}"),
        }
    }
}

impl std::str::FromStr for Host {
    type Err = ();

    /// Reads the written form. Whether the node exists is for the plan to say.
    fn from_str(text: &str) -> Result<Self, ()> {
        text.parse().map(Self::Ip).or_else(|_| text.parse().map(Self::Node))
    }
}

/// Which nodes speak TLS to clients, and what their certificates say. Among each other nodes do as without. By default none does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The data nodes do.
    pub data: bool,
    /// The Sentinels do.
    pub sentinels: bool,
    /// The one name that all certificates have, which clients are told to expect. `None`: each has the address at which a client
    /// dials its node, and the names of [`Cluster::hosts`].
    pub server_name: Option<String>,
}

impl Tls {
    /// True if any node speaks it.
    pub fn is_on(&self) -> bool {
        self.data || self.sentinels
    }

    /// True if this node speaks it.
    pub fn covers(&self, node: NodeId) -> bool {
        if node.is_sentinel() { self.sentinels } else { self.data }
    }
}

/// User and password. User `None` is the default user, as by `requirepass`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Credentials {
    /// ACL user.
    pub user: Option<String>,
    /// Password.
    pub password: String,
}

impl Cluster {
    /// The zone of whatever names none.
    pub const DEFAULT_ZONE: &'static str = "default";

    /// One group called `mymaster` with 2 replicas, 3 Sentinels, quorum 2, Sentinel's own defaults otherwise.
    pub fn standard() -> Self {
        Self {
            groups: vec![Group::new("mymaster")],
            sentinels: 3,
            sentinel_zones: Vec::new(),
            sentinel_auth: None,
            node_latency: Duration::from_micros(200),
            addresses: BTreeMap::new(),
            hosts: BTreeMap::new(),
            resolve_hostnames: false,
            announce_hostnames: false,
            nat: false,
            tls: Tls::default(),
            sentinel_files: BTreeMap::new(),
            unix_start: Duration::from_secs(1_704_067_200),
        }
    }

    /// Every data node with its group's index, in order.
    pub fn data_nodes(&self) -> Vec<(NodeId, usize)> {
        let mut nodes = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            for _ in 0..=group.replicas {
                nodes.push((NodeId::data(nodes.len() as u16 + 1), index));
            }
        }
        nodes
    }

    /// Every Sentinel, in order.
    pub fn sentinel_nodes(&self) -> Vec<NodeId> {
        (1..=self.sentinels).map(NodeId::sentinel).collect()
    }

    /// Every node: data nodes, then Sentinels.
    pub fn nodes(&self) -> Vec<NodeId> {
        self.data_nodes().into_iter().map(|(node, _)| node).chain(self.sentinel_nodes()).collect()
    }

    /// The node that is the master of group `index` at the start.
    pub fn first_master(&self, index: usize) -> NodeId {
        let before: u16 = self.groups[..index].iter().map(|group| group.replicas + 1).sum();
        NodeId::data(before + 1)
    }

    /// The index of the group called `name`.
    pub fn group(&self, name: &str) -> Option<usize> {
        self.groups.iter().position(|group| group.name == name)
    }

    /// The index of the group called `name`; without a name that of the first.
    pub fn group_meant(&self, name: Option<&str>) -> Option<usize> {
        match name {
            Some(name) => self.group(name),
            None => (!self.groups.is_empty()).then_some(0),
        }
    }

    /// As many Sentinels, the first, as leave a majority alive.
    pub fn minority(&self) -> Vec<NodeId> {
        let mut sentinels = self.sentinel_nodes();
        sentinels.truncate(sentinels.len().saturating_sub(1) / 2);
        sentinels
    }

    /// As few Sentinels, the first, as leave no majority alive.
    pub fn majority(&self) -> Vec<NodeId> {
        let mut sentinels = self.sentinel_nodes();
        sentinels.truncate(sentinels.len() - sentinels.len() / 2);
        sentinels
    }

    /// The group that a data node belongs to, and its place in it (0 is the first master).
    pub fn place(&self, node: NodeId) -> Option<(usize, usize)> {
        let mut number = usize::from(node.number).checked_sub(1)?;
        if node.is_sentinel() {
            return None;
        }
        for (index, group) in self.groups.iter().enumerate() {
            let size = usize::from(group.replicas) + 1;
            if number < size {
                return Some((index, number));
            }
            number -= size;
        }
        None
    }

    /// The zone of a node.
    pub fn zone(&self, node: NodeId) -> &str {
        let zones_and_place = match self.place(node) {
            Some((group, place)) => Some((&self.groups[group].zones, place)),
            None => usize::from(node.number).checked_sub(1).map(|place| (&self.sentinel_zones, place)),
        };
        zones_and_place.and_then(|(zones, place)| zones.get(place)).map_or(Self::DEFAULT_ZONE, String::as_str)
    }

    /// The address of a node inside the world.
    pub fn address(&self, node: NodeId) -> Addr {
        self.addresses.get(&node).cloned().unwrap_or_else(|| Self::addr(node))
    }

    /// The address that a name is to stand for.
    pub fn host(&self, host: Host) -> Arc<str> {
        match host {
            Host::Node(node) => self.address(node).host,
            Host::Ip(ip) => Arc::from(ip.to_string()),
        }
    }

    /// What names stand for at the start.
    pub fn resolver(&self) -> Hosts {
        let mut hosts = Hosts::default();
        for (name, host) in &self.hosts {
            hosts.set(name, Some(&self.host(*host)));
        }
        hosts
    }

    /// True if somebody looks this name up: a client, which is told of a Sentinel by it, a Sentinel, which watches the first master by
    /// it, or whoever hears a node announce itself by it. Of the names of a node that is the first.
    pub fn looks_up(&self, name: &str) -> bool {
        let is_told = |node: &NodeId| {
            let is_first = || (0..self.groups.len()).any(|group| self.first_master(group) == *node);
            node.is_sentinel() || self.announce_hostnames || self.resolve_hostnames && is_first()
        };
        let is_called = |node: NodeId| self.host_name(node).is_some_and(|known| known.eq_ignore_ascii_case(name));
        self.nodes().into_iter().filter(is_told).any(is_called)
    }

    /// What a name stands for at the start; `None` if nobody knows it.
    pub fn host_called(&self, name: &str) -> Option<Host> {
        self.hosts.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, host)| *host)
    }

    /// The name of a node, the first of several; `None` if it has none.
    pub fn host_name(&self, node: NodeId) -> Option<&str> {
        self.hosts.iter().find(|(_, host)| **host == Host::Node(node)).map(|(name, _)| name.as_str())
    }

    /// The address of a node where all have IPv6: `fd00::1` for `redis-1`, `fd00::1:1` for `sentinel-1`, at the usual ports.
    pub fn addr_v6(node: NodeId) -> Addr {
        let kind = u16::from(node.is_sentinel());
        let ip = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, kind, node.number);
        Addr::new(&ip.to_string(), Self::addr(node).port)
    }

    /// The usual address of a node inside the world: `10.0.0.1:6379` for `redis-1`, `10.128.0.1:26379` for `sentinel-1`.
    pub fn addr(node: NodeId) -> Addr {
        let (kind, port) = if node.is_sentinel() { (128, 26379) } else { (0, 6379) };
        let [high, low] = node.number.to_be_bytes();
        Addr::new(&format!("10.{kind}.{high}.{low}"), port)
    }
}

impl Group {
    /// A group with 2 replicas, quorum 2, and the defaults of Redis: `down_after` 30 s, `failover_timeout` 180 s,
    /// `parallel_syncs` 1, no password.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            replicas: 2,
            quorum: 2,
            zones: Vec::new(),
            priorities: Vec::new(),
            down_after: Duration::from_secs(30),
            failover_timeout: Duration::from_secs(180),
            parallel_syncs: 1,
            auth: None,
            replication_lag: Duration::ZERO,
            min_replicas_to_write: 0,
            min_replicas_max_lag: Duration::from_secs(10),
            serve_stale_data: true,
            reboot_down_after: Duration::ZERO,
            notification_script: None,
            client_reconfig_script: None,
        }
    }
}

/// What the name of a driver begins with that is a program; the rest is its command, whose words are quoted as in redis-cli
/// ([`words::split`](crate::words::split)).
pub const EXEC: &str = "exec:";

/// What the name of a driver begins with whose client is wrong on purpose, for the sake of the tests.
pub const WRONG: &str = "wrong-";

/// One client under test.
#[derive(Clone, Debug, PartialEq)]
pub struct Client {
    /// Its name: letters, digits, `-`, `_`.
    pub id: String,
    /// The driver, by its name or as [`EXEC`] and the command of a program; `None` for the default one or the one of the command line.
    pub driver: Option<String>,
    /// Where it stands.
    pub zone: String,
    /// The master name that it asks for.
    pub master: String,
    /// The Sentinels that it is configured with, in this order; empty for all of them.
    pub sentinels: Vec<NodeId>,
    /// The database that it is to use.
    pub database: u32,
    /// What it does.
    pub workload: Workload,
    /// Its subscriber has a pattern besides its channel, and every second message goes to a channel that only the pattern matches. For
    /// [`Workload::PubSub`].
    pub patterns: bool,
    /// Callers that share it, each at its own operations.
    pub callers: u16,
    /// Time from the start of one operation to the start of the next, when it does not take longer than that.
    pub every: Duration,
    /// When it starts.
    pub start: Duration,
    /// How long one call may take: the deadline that the caller gives. Invariant 5 holds it to that.
    pub deadline: Duration,
    /// The application closes it and sets it up anew when no operation has succeeded for so long; `None` if it never does.
    pub reopen_after: Option<Duration>,
    /// Its recovery budget: how long after the new master is in place operations may still fail. Invariants 1 and 2.
    pub budget: Duration,
    /// The caller accepts that an operation that may have run is repeated. Waives invariant 3 for this client.
    pub retry_ambiguous: bool,
    /// Connections that it may open in any one second, over all nodes. Invariant 6.
    pub max_connects_per_second: u32,
    /// Connections that it may hold at a time, over all nodes. Invariant 6.
    pub max_open_connections: u32,
    /// Questions that it may ask in any one second, over all nodes: whatever it sends a Sentinel, and `ROLE`, `INFO` and `PING` at
    /// data nodes. Invariant 6.
    pub max_questions_per_second: u32,
}

impl Client {
    /// A client of `mymaster` in the default zone that starts after 3 s (when a cluster has discovered itself), does
    /// an operation every 100 ms with a deadline of 10 s, and has a budget of 3 s.
    pub fn new(id: &str, workload: Workload) -> Self {
        Self {
            id: id.to_owned(),
            driver: None,
            zone: Cluster::DEFAULT_ZONE.to_owned(),
            master: "mymaster".to_owned(),
            sentinels: Vec::new(),
            database: 0,
            workload,
            patterns: false,
            callers: 1,
            every: Duration::from_millis(100),
            start: Duration::from_secs(3),
            deadline: Duration::from_secs(10),
            reopen_after: None,
            budget: Duration::from_secs(3),
            retry_ambiguous: false,
            max_connects_per_second: 40,
            max_open_connections: 40,
            max_questions_per_second: 300,
        }
    }

    /// The most operations that it can begin in a run that takes so long, without its subscriptions. Each begins at a multiple of its
    /// interval.
    pub fn most_operations(&self, run_for: Duration) -> u64 {
        let Some(time) = run_for.checked_sub(self.start) else { return 0 };
        let times = |every: Duration| {
            let slots = time.as_micros() / every.max(Duration::from_millis(1)).as_micros();
            u64::try_from(slots).unwrap_or(u64::MAX).saturating_add(1)
        };
        let beside = self.workload.beside(self.every).map_or(0, times);
        times(self.every).saturating_mul(self.callers.into()).saturating_add(beside)
    }
}

/// What a client does, operation after operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Workload {
    /// `INCR` of one key an operation: not idempotent, so that every execution can be counted.
    Counter,
    /// `SET` of a unique value, then `GET` of it, in turns.
    Register,
    /// `LPUSH` of a unique item, and a second connection that takes them with `BLPOP`.
    Queue,
    /// `GET` of one key from the master, and a second connection that overwrites the key at every [`Workload::OVERWRITES`]th read:
    /// the one that reads is never refused a write.
    Reads,
    /// `GET` from a replica.
    ReplicaReads,
    /// A subscriber, and a publisher that sends it unique messages.
    PubSub,
    /// `EVAL` of a script that increments one key an operation.
    Script,
    /// `MULTI`, two writes of keys of the operation's own, `EXEC`.
    Transaction,
    /// Three writes of keys of the operation's own, sent at once.
    Pipeline,
    /// A lock that every such client of a master contends for: taken, renewed once each [`Client::every`], given back after
    /// [`Workload::RENEWALS`]. It expires [`Workload::LEASE`] times that long after it was renewed last.
    Lock,
    /// `LPUSH` of jobs, and a second connection that moves each to a list of those under way, and takes it off that list when it is
    /// done.
    Jobs,
    /// `GET` of one key through a cache that the client keeps, and a second connection that overwrites the key at every
    /// [`Workload::OVERWRITES`]th read.
    CachedReads,
}

/// What a plan may ask of a client, and a client may lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Need {
    /// To do this.
    Workload(Workload),
    /// To be shared by several callers.
    Callers,
    /// To subscribe to patterns of channels.
    Patterns,
    /// To use another database than the first.
    Database,
    /// To translate the addresses that Sentinels tell.
    AddressMap,
    /// To look up the names of the cluster, which only this process knows.
    Names,
    /// To speak TLS to data nodes, to Sentinels or to both, and to trust a given authority.
    Tls,
    /// To expect another name in a certificate than the host that it dials.
    ServerName,
}

impl Need {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let others =
            [Self::Callers, Self::Patterns, Self::Database, Self::AddressMap, Self::Names, Self::Tls, Self::ServerName];
        Workload::ALL.into_iter().map(Self::Workload).chain(others)
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload(workload) => write!(f, "the workload {}", workload.name()),
            Self::Callers => f.write_str("several callers that share it"),
            Self::Patterns => f.write_str("subscriptions to patterns"),
            Self::Database => f.write_str("another database than 0"),
            Self::AddressMap => f.write_str("a translation of the addresses that Sentinels tell"),
            Self::Names => f.write_str("names that are looked up within the process of the run"),
            Self::Tls => f.write_str("TLS with an authority of one's own"),
            Self::ServerName => f.write_str("certificates with another name than the host that is dialled"),
        }
    }
}

impl Workload {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Counter,
        Self::Register,
        Self::Queue,
        Self::Reads,
        Self::ReplicaReads,
        Self::PubSub,
        Self::Script,
        Self::Transaction,
        Self::Pipeline,
        Self::Lock,
        Self::Jobs,
        Self::CachedReads,
    ];

    /// How many times a lock is renewed before it is given back.
    pub const RENEWALS: u32 = 30;
    /// After how many intervals without a renewal a lock expires.
    pub const LEASE: u32 = 3;
    /// How many reads there are to each write, of clients that read what a second connection overwrites.
    pub const OVERWRITES: u32 = 5;
    /// How many steps a consumer of jobs may make in the time between two jobs.
    pub const STEPS: u32 = 10;
    /// With how many callers that push jobs the one consumer keeps up: to each job it looks whether it has one, takes one and ends it.
    pub const MOST_PUSHING: u16 = 3;

    /// How often a second connection does something beside the callers, if each of those does something `every` so often. `None` if
    /// there is none, or all that it does is to subscribe.
    pub fn beside(self, every: Duration) -> Option<Duration> {
        match self {
            Self::Queue => Some(every),
            Self::Jobs => Some(every / Self::STEPS),
            Self::Reads | Self::CachedReads => Some(every * Self::OVERWRITES),
            _ => None,
        }
    }

    /// True if it takes two instances of the client, which know nothing of each other: what a node answered may have been for either.
    pub fn takes_two(self) -> bool {
        self == Self::PubSub || self.beside(Duration::ZERO).is_some()
    }

    /// True if it has operations that change data which is to last. Locks expire, messages are not kept.
    pub const fn writes(self) -> bool {
        !matches!(self, Self::ReplicaReads | Self::PubSub | Self::Lock)
    }

    /// The word for it in a scenario file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Register => "register",
            Self::Queue => "queue",
            Self::Reads => "reads",
            Self::ReplicaReads => "replica_reads",
            Self::PubSub => "pubsub",
            Self::Script => "script",
            Self::Transaction => "transaction",
            Self::Pipeline => "pipeline",
            Self::Lock => "lock",
            Self::Jobs => "jobs",
            Self::CachedReads => "cached_reads",
        }
    }
}

/// One entry of the timeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When.
    pub when: Trigger,
    /// What.
    pub fault: Fault,
    /// A lasting fault is undone after this long.
    pub lasting: Option<Duration>,
}

/// When a step fires.
#[derive(Clone, Debug, PartialEq)]
pub enum Trigger {
    /// At this time after the start.
    At(Duration),
    /// `after` the first occurrence of the event at any Sentinel, counted from when the entry before this one in the
    /// timeline fired (from the start, for the first entry).
    On {
        /// The event.
        event: EventName,
        /// Delay after it.
        after: Duration,
    },
}

/// What must come out of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expect {
    /// From the first fault to the client's first good write on the new master, for every client that writes.
    pub recovered_within: Option<Duration>,
    /// How many times the master must change; `None` if it does not matter. 0: it must stay.
    pub failovers: Option<u32>,
    /// Acknowledged writes that may be missing at the end, at most; `None` if only their honesty matters (invariant 4).
    pub acknowledged_writes_lost: Option<u64>,
    /// Operations of each client that may fail, at most.
    pub failed_at_most: Option<u64>,
    /// Connections that all clients together may open within a time, at most, from the first fault on.
    pub most_connects: Option<(u64, Duration)>,
    /// The longest time in which no operation of a client may succeed, from its first success to the end of the run.
    pub longest_gap: Option<Duration>,
    /// From the last moment at which a client that reads from replicas could do so again to its first read that a replica answers.
    pub back_to_replica_within: Option<Duration>,
    /// Invariants that do not count in this run, each with its reason.
    pub waive: Vec<(Invariant, String)>,
    /// The wrong clients that the plan exists to catch, by the names of their drivers, each with the rule that it must violate. A run
    /// does not look at it; it is for those who ask what a scenario is worth.
    pub catches: BTreeMap<String, Rule>,
}

impl Expect {
    /// True if it says what must come out by this rule.
    pub fn sets(&self, rule: Rule) -> bool {
        match rule {
            Rule::RecoveredWithin => self.recovered_within.is_some(),
            Rule::Failovers => self.failovers.is_some(),
            Rule::AcknowledgedWritesLost => self.acknowledged_writes_lost.is_some(),
            Rule::FailedAtMost => self.failed_at_most.is_some(),
            Rule::MostConnects => self.most_connects.is_some(),
            Rule::LongestGap => self.longest_gap.is_some(),
            Rule::BackToReplicaWithin => self.back_to_replica_within.is_some(),
            Rule::Invariant(_) | Rule::Astray | Rule::Evidence => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_numbered_through_the_groups() {
        let mut cluster = Cluster::standard();
        cluster.groups.push(Group::new("cache"));
        assert_eq!(cluster.data_nodes().len(), 6);
        assert_eq!(cluster.first_master(1), NodeId::data(4));
        assert_eq!(cluster.place(NodeId::data(5)), Some((1, 1)));
        assert_eq!(cluster.place(NodeId::data(7)), None);
        assert_eq!(cluster.group("cache"), Some(1));
    }

    #[test]
    fn zones_fall_back_to_the_default() {
        let mut cluster = Cluster::standard();
        cluster.groups[0].zones = vec!["a".into()];
        cluster.sentinel_zones = vec!["a".into(), "b".into()];
        assert_eq!(cluster.zone(NodeId::data(1)), "a");
        assert_eq!(cluster.zone(NodeId::data(2)), "default");
        assert_eq!(cluster.zone(NodeId::sentinel(2)), "b");
        assert_eq!(cluster.zone(NodeId::sentinel(3)), "default");
    }

    #[test]
    fn operations_have_their_slots() {
        let most = |workload: Workload, callers: u16| {
            let client = Client { callers, every: Duration::from_secs(1), ..Client::new("a", workload) };
            client.most_operations(Duration::from_secs(13))
        };
        assert_eq!(most(Workload::Counter, 1), 11);
        assert_eq!(most(Workload::Counter, 3), 33);
        assert_eq!(most(Workload::PubSub, 1), 11);
        assert_eq!(most(Workload::Queue, 1), 22);
        assert_eq!(most(Workload::Reads, 1), 11 + 3);
        assert_eq!(most(Workload::Jobs, 1), 11 + 101);
        assert_eq!(Client::new("a", Workload::Counter).most_operations(Duration::from_secs(2)), 0);
    }

    #[test]
    fn a_name_is_looked_up_if_somebody_hears_it() {
        let mut cluster = Cluster::standard();
        for (name, node) in
            [("a", NodeId::data(1)), ("b", NodeId::data(1)), ("c", NodeId::data(2)), ("s", NodeId::sentinel(1))]
        {
            cluster.hosts.insert(name.to_owned(), Host::Node(node));
        }
        cluster.hosts.insert("far".to_owned(), Host::Ip([10, 9, 9, 9].into()));
        let heard = |cluster: &Cluster| ["a", "b", "c", "S", "far", "other"].map(|name| cluster.looks_up(name));
        assert_eq!(heard(&cluster), [false, false, false, true, false, false]);
        cluster.resolve_hostnames = true;
        assert_eq!(heard(&cluster), [true, false, false, true, false, false]);
        cluster.announce_hostnames = true;
        assert_eq!(heard(&cluster), [true, false, true, true, false, false]);
    }

    #[test]
    fn world_addresses() {
        assert_eq!(Cluster::addr(NodeId::data(1)).to_string(), "10.0.0.1:6379");
        assert_eq!(Cluster::addr_v6(NodeId::data(1)).to_string(), "[fd00::1]:6379");
        assert_eq!(Cluster::addr_v6(NodeId::sentinel(2)).to_string(), "[fd00::1:2]:26379");
        assert_eq!(Cluster::addr(NodeId::sentinel(300)).to_string(), "10.128.1.44:26379");
    }
}
