//! Strategies for the cluster and the clients of a schedule.

use std::collections::BTreeMap;
use std::time::Duration;

use model::plan::{Client, Cluster, Credentials, Group, Host, Need, Tls, Workload};
use model::{Fault, NodeId, Target};
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::Union;

use crate::fault::ms;
use crate::profile::Mix;

/// The first client of every schedule.
pub(crate) const CLIENT: &str = "client-1";
/// The two sides that partitions by zone divide: the first has the first master, `sentinel-1` and every second client.
pub(crate) const ZONES: [&str; 2] = ["a", "b"];

/// What is drawn of a cluster.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    pub(crate) replicas: u16,
    pub(crate) sentinels: u16,
    pub(crate) quorum: Quorum,
    pub(crate) down_after: Duration,
    pub(crate) failover_timeout: Duration,
    pub(crate) parallel_syncs: u16,
    /// A second master, with a replica and a client of its own.
    pub(crate) second: bool,
    pub(crate) data_auth: Option<Credentials>,
    pub(crate) sentinel_auth: Option<Credentials>,
    pub(crate) node_latency: Duration,
    pub(crate) replication_lag: Duration,
    /// One replica that is never promoted.
    pub(crate) passive: bool,
    /// One replica that is promoted before the others.
    pub(crate) preferred: bool,
    pub(crate) min_replicas: bool,
    pub(crate) min_replicas_max_lag: Duration,
    pub(crate) serves_nothing_stale: bool,
    pub(crate) reboot_down_after: Duration,
    pub(crate) network: Network,
    pub(crate) tls: Secured,
}

/// How clients know the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Network {
    /// By addresses of IPv4.
    V4,
    /// By addresses of IPv6.
    V6,
    /// By addresses that are translated.
    Nat,
    /// The Sentinels by names, which they know nothing of.
    NamedSentinels,
    /// All nodes by names, which Sentinels resolve; they tell addresses.
    ResolvedNames,
    /// All nodes by names, which Sentinels resolve and tell.
    Names,
}

/// Which nodes speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secured {
    Nobody,
    Data,
    Sentinels,
    Everybody,
    /// All nodes, and all by one name that is nobody's.
    ByOneName,
}

/// How many Sentinels must agree.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Quorum {
    Majority,
    One,
    All,
}

impl Quorum {
    pub(crate) const fn of(self, sentinels: u16) -> u16 {
        match self {
            Self::Majority => sentinels / 2 + 1,
            Self::One => 1,
            Self::All => sentinels,
        }
    }
}

/// A flag that shrinks to false, as it is for the most part.
fn rarely(probability: f64) -> impl Strategy<Value = bool> + Clone {
    prop::bool::weighted(probability)
}

/// How the nodes of a cluster are known, and which speak TLS, as far as clients can be asked to do with it.
fn network(mix: &Mix) -> (impl Strategy<Value = Network> + use<>, impl Strategy<Value = Secured> + use<>) {
    let asked = |weight: u32, needs: &[Need]| if needs.iter().all(|need| mix.asks(*need)) { weight } else { 0 };
    let networks = [
        (14, Network::V4),
        (2, Network::V6),
        (asked(1, &[Need::AddressMap]), Network::Nat),
        (asked(1, &[Need::Names]), Network::NamedSentinels),
        (asked(1, &[Need::Names]), Network::ResolvedNames),
        (asked(2, &[Need::Names]), Network::Names),
    ];
    let secured = [
        (30, Secured::Nobody),
        (asked(1, &[Need::Tls]), Secured::Data),
        (asked(1, &[Need::Tls]), Secured::Sentinels),
        (asked(1, &[Need::Tls]), Secured::Everybody),
        (asked(1, &[Need::Tls, Need::ServerName]), Secured::ByOneName),
    ];
    (weighted_of(&networks), weighted_of(&secured))
}

/// One of these by weight. What has none is not drawn.
fn weighted_of<T: Copy + std::fmt::Debug + 'static>(values: &[(u32, T)]) -> Union<Just<T>> {
    let drawn = values.iter().filter(|(weight, _)| *weight > 0);
    Union::new_weighted(drawn.map(|(weight, value)| (*weight, Just(*value))).collect())
}

pub(crate) fn topology(mix: &Mix) -> impl Strategy<Value = Topology> + use<> {
    let nodes = (
        prop_oneof![5 => Just(2_u16), 2 => Just(1_u16), 2 => 3..=4_u16],
        prop_oneof![7 => Just(3_u16), 2 => Just(5_u16), 1 => Just(1_u16), 1 => Just(4_u16)],
        prop_oneof![6 => Just(Quorum::Majority), 1 => Just(Quorum::One), 1 => Just(Quorum::All)],
        rarely(0.1),
        rarely(0.15),
    );
    let times = (
        ms(1_000..=4_000),
        ms(3_000..=8_000),
        1_u16..=2,
        prop_oneof![9 => Just(Duration::ZERO), 1 => ms(500..=3_000)],
        prop_oneof![4 => Just(Duration::from_secs(10)), 1 => (2..=9_u64).prop_map(Duration::from_secs)],
    );
    let delays = (
        prop_oneof![4 => Just(Duration::from_micros(200)), 1 => ms(1..=20)],
        prop_oneof![4 => Just(Duration::ZERO), 1 => ms(1..=200)],
    );
    let auth = (weighted(0.2, credentials("s3cret")), weighted(0.2, credentials("s3nt1nel")));
    let settings = (auth, rarely(0.1), rarely(0.1), rarely(0.1));
    (nodes, times, delays, settings, network(mix)).prop_map(|(nodes, times, delays, settings, network)| Topology {
        replicas: nodes.0,
        sentinels: nodes.1,
        quorum: nodes.2,
        second: nodes.3,
        passive: nodes.4,
        down_after: times.0,
        failover_timeout: times.1,
        parallel_syncs: times.2,
        reboot_down_after: times.3,
        min_replicas_max_lag: times.4,
        node_latency: delays.0,
        replication_lag: delays.1,
        data_auth: settings.0.0,
        sentinel_auth: settings.0.1,
        min_replicas: settings.1,
        serves_nothing_stale: settings.2,
        preferred: settings.3,
        network: network.0,
        tls: network.1,
    })
}

fn credentials(password: &'static str) -> impl Strategy<Value = Credentials> + Clone {
    select(vec![None, Some("app".to_owned())]).prop_map(|user| Credentials { user, password: password.to_owned() })
}

impl Topology {
    pub(crate) fn cluster(&self) -> Cluster {
        let mut groups = vec![self.group("mymaster", self.replicas)];
        if self.replicas > 1 && (self.passive || self.preferred) {
            // Those that are missing at the end have the usual one.
            let mut priorities = vec![100, if self.preferred { 50 } else { 100 }];
            if self.passive {
                priorities.resize(usize::from(self.replicas), 100);
                priorities.push(0);
            }
            groups[0].priorities = priorities;
        }
        if self.second {
            groups.push(self.group("second", 1));
        }
        let mut cluster = Cluster {
            groups,
            sentinels: self.sentinels,
            sentinel_zones: Vec::new(),
            sentinel_auth: self.sentinel_auth.clone(),
            node_latency: self.node_latency,
            addresses: BTreeMap::new(),
            hosts: BTreeMap::new(),
            resolve_hostnames: matches!(self.network, Network::ResolvedNames | Network::Names),
            announce_hostnames: self.network == Network::Names,
            nat: self.network == Network::Nat,
            tls: self.tls.settings(),
            // Which year it is, and from which files Sentinels start, changes nothing of what happens.
            ..Cluster::standard()
        };
        let named = |node: &NodeId| match self.network {
            Network::V4 | Network::V6 | Network::Nat => false,
            Network::NamedSentinels => node.is_sentinel(),
            Network::ResolvedNames | Network::Names => true,
        };
        let nodes = cluster.nodes();
        if self.network == Network::V6 {
            cluster.addresses = nodes.iter().map(|node| (*node, Cluster::addr_v6(*node))).collect();
        }
        let names = nodes.into_iter().filter(named).map(|node| (host_name(node), Host::Node(node)));
        cluster.hosts = names.collect();
        cluster
    }

    fn group(&self, name: &str, replicas: u16) -> Group {
        // Without a field of its own, a new setting of the language would never vary: hence no `..`.
        Group {
            name: name.to_owned(),
            replicas,
            quorum: self.quorum.of(self.sentinels),
            zones: Vec::new(),
            priorities: Vec::new(),
            down_after: self.down_after,
            failover_timeout: self.failover_timeout,
            parallel_syncs: self.parallel_syncs,
            auth: self.data_auth.clone(),
            replication_lag: self.replication_lag,
            min_replicas_to_write: u16::from(self.min_replicas),
            min_replicas_max_lag: self.min_replicas_max_lag,
            serve_stale_data: !self.serves_nothing_stale,
            reboot_down_after: self.reboot_down_after,
            // Scripts change nothing of what happens.
            notification_script: None,
            client_reconfig_script: None,
        }
    }
}

impl Network {
    /// The one in which a fault can hit something and be recovered from: names are looked up where nodes have some, data nodes are found at
    /// other addresses only by their names, and who translates addresses knows of no new ones.
    pub(crate) fn with(self, fault: &Fault) -> Self {
        match (fault, self) {
            (Fault::Resolve { .. }, Self::NamedSentinels | Self::ResolvedNames) => self,
            (Fault::Resolve { .. }, _) => Self::Names,
            (Fault::Move { target, .. }, _) if !matches!(target, Target::Node(node) if node.is_sentinel()) => {
                Self::Names
            }
            (Fault::Move { .. }, Self::Nat) => Self::V4,
            _ => self,
        }
    }
}

/// The name of a node, where nodes have names.
pub(crate) fn host_name(node: NodeId) -> String {
    format!("{node}.lab")
}

impl Secured {
    fn settings(self) -> Tls {
        Tls {
            data: !matches!(self, Self::Nobody | Self::Sentinels),
            sentinels: !matches!(self, Self::Nobody | Self::Data),
            server_name: (self == Self::ByOneName).then(|| "cluster.lab".to_owned()),
        }
    }
}

/// Puts the first master, the first Sentinel and every second client on one side, everything else on the other.
pub(crate) fn divide(cluster: &mut Cluster, clients: &mut [Client]) {
    let [a, b] = ZONES.map(str::to_owned);
    for (index, group) in cluster.groups.iter_mut().enumerate() {
        group.zones = vec![b.clone(); usize::from(group.replicas) + 1];
        if index == 0 {
            group.zones[0].clone_from(&a);
        }
    }
    cluster.sentinel_zones = vec![b.clone(); usize::from(cluster.sentinels)];
    cluster.sentinel_zones[0].clone_from(&a);
    for (index, client) in clients.iter_mut().enumerate() {
        client.zone = if index % 2 == 0 { a.clone() } else { b.clone() };
    }
}

/// What is drawn of a client.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) workload: Workload,
    every: Duration,
    deadline: Duration,
    retry_ambiguous: bool,
    start: Duration,
    reopen_after: Option<Duration>,
    callers: u16,
    database: u32,
    patterns: bool,
    /// By how many places the list of its Sentinels is turned.
    turned: usize,
}

pub(crate) fn worker(mix: &Mix) -> impl Strategy<Value = Worker> + use<> {
    let workload = {
        let can = |workload: &Workload| mix.asks(Need::Workload(*workload));
        // A client that can do none of them is asked for any: each run then says that it cannot.
        let drawn = |none: bool| Workload::ALL.map(|w| (if none || can(&w) { weight(w) } else { 0 }, w));
        weighted_of(&drawn(!Workload::ALL.iter().any(can)))
    };
    let asked = |weight: u32, need: Need| if mix.asks(need) { weight } else { 0 };
    let deadline = prop_oneof![2 => Just(Duration::from_secs(10)), 1 => ms(1_000..=9_000)];
    let work = (workload, ms(200..=600), deadline, rarely(0.3));
    let start = prop_oneof![5 => Just(Duration::from_secs(3)), 1 => ms(1_000..=8_000)];
    let callers = asked(1, Need::Callers);
    let callers = weighted_of(&[(14, 1), (callers, 2), (callers, 4)]);
    let database = weighted_of(&[(9, 0), (asked(1, Need::Database), 1)]);
    let patterns = weighted_of(&[(2, false), (asked(1, Need::Patterns), true)]);
    let habits = (start, weighted(0.1, ms(2_000..=8_000)), callers, database, patterns, 0..3_usize);
    (work, habits).prop_map(|(work, habits)| Worker {
        workload: work.0,
        every: work.1,
        deadline: work.2,
        retry_ambiguous: work.3,
        start: habits.0,
        reopen_after: habits.1,
        callers: habits.2,
        database: habits.3,
        patterns: habits.4,
        turned: habits.5,
    })
}

const fn weight(workload: Workload) -> u32 {
    match workload {
        Workload::Counter => 10,
        Workload::Register | Workload::Queue | Workload::ReplicaReads | Workload::PubSub => 4,
        Workload::Transaction | Workload::Pipeline | Workload::Reads | Workload::CachedReads => 2,
        // These take several times as long to run as the others.
        Workload::Script | Workload::Lock | Workload::Jobs => 1,
    }
}

/// The shortest deadline that makes sense: a pop blocks for a second, and its reply has to travel.
const fn shortest(workload: Workload) -> Duration {
    match workload {
        Workload::Queue | Workload::Jobs => Duration::from_secs(3),
        _ => Duration::ZERO,
    }
}

impl Worker {
    /// The client number `index` of a plan, from 0.
    pub(crate) fn client(&self, index: usize, master: &str, cluster: &Cluster) -> Client {
        let usual = Client::new("default", self.workload);
        // The limits are those of one caller that asks three Sentinels.
        let more = u32::from(self.callers) * u32::from(cluster.sentinels.div_ceil(3));
        let mut sentinels = cluster.sentinel_nodes();
        let turned = self.turned % sentinels.len();
        sentinels.rotate_left(turned);
        Client {
            id: format!("client-{}", index + 1),
            master: master.to_owned(),
            every: self.every,
            deadline: self.deadline.max(shortest(self.workload)),
            retry_ambiguous: self.retry_ambiguous,
            start: self.start,
            // Who has several callers is closed by none of them.
            reopen_after: self.reopen_after.filter(|_| self.callers == 1),
            // One consumer keeps up with one caller, wherever it stands.
            callers: if self.workload == Workload::Jobs { 1 } else { self.callers },
            database: self.database,
            patterns: self.patterns && self.workload == Workload::PubSub,
            sentinels: if turned == 0 { Vec::new() } else { sentinels },
            max_connects_per_second: usual.max_connects_per_second * more,
            max_open_connections: usual.max_open_connections * more,
            max_questions_per_second: usual.max_questions_per_second * more,
            ..usual
        }
    }
}
