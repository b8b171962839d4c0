//! Strategies for the cluster and the clients of a schedule.

use std::time::Duration;

use model::plan::{Client, Cluster, Credentials, Group, Need, Workload};
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
    pub(crate) min_replicas: bool,
    pub(crate) serve_stale_data: bool,
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

pub(crate) fn topology() -> impl Strategy<Value = Topology> {
    let nodes = (
        prop_oneof![5 => Just(2_u16), 2 => Just(1_u16), 2 => 3..=4_u16],
        prop_oneof![7 => Just(3_u16), 2 => Just(5_u16), 1 => Just(1_u16), 1 => Just(4_u16)],
        prop_oneof![6 => Just(Quorum::Majority), 1 => Just(Quorum::One), 1 => Just(Quorum::All)],
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.15),
    );
    let times = (ms(1_000..=4_000), ms(3_000..=8_000), 1_u16..=2);
    let network = (
        prop_oneof![4 => Just(Duration::from_micros(200)), 1 => ms(1..=20)],
        prop_oneof![4 => Just(Duration::ZERO), 1 => ms(1..=200)],
    );
    let settings = (
        weighted(0.2, credentials()),
        weighted(0.2, credentials()),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.9),
    );
    (nodes, times, network, settings).prop_map(|(nodes, times, network, settings)| Topology {
        replicas: nodes.0,
        sentinels: nodes.1,
        quorum: nodes.2,
        second: nodes.3,
        passive: nodes.4,
        down_after: times.0,
        failover_timeout: times.1,
        parallel_syncs: times.2,
        node_latency: network.0,
        replication_lag: network.1,
        data_auth: settings.0,
        sentinel_auth: settings.1,
        min_replicas: settings.2,
        serve_stale_data: settings.3,
    })
}

fn credentials() -> impl Strategy<Value = Credentials> + Clone {
    select(vec![None, Some("app".to_owned())]).prop_map(|user| Credentials { user, password: "s3cret".to_owned() })
}

impl Topology {
    pub(crate) fn cluster(&self) -> Cluster {
        let mut groups = vec![self.group("mymaster", self.replicas)];
        if self.passive && self.replicas > 1 {
            groups[0].priorities = vec![100; usize::from(self.replicas)];
            groups[0].priorities.push(0);
        }
        if self.second {
            groups.push(self.group("second", 1));
        }
        Cluster {
            groups,
            sentinels: self.sentinels,
            sentinel_zones: Vec::new(),
            sentinel_auth: self.sentinel_auth.clone(),
            node_latency: self.node_latency,
            // Where the nodes are and which year it is changes nothing of what happens.
            ..Cluster::standard()
        }
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
            min_replicas_max_lag: Duration::from_secs(10),
            serve_stale_data: self.serve_stale_data,
            // A restart would then be a failover too, which the faults can have as they are.
            reboot_down_after: Duration::ZERO,
            // Scripts change nothing of what happens.
            notification_script: None,
            client_reconfig_script: None,
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
    pub(crate) every: Duration,
    pub(crate) deadline: Duration,
    pub(crate) retry_ambiguous: bool,
}

pub(crate) fn worker(mix: &Mix) -> impl Strategy<Value = Worker> + use<> {
    let workload = {
        let drawn = || Workload::ALL.into_iter().filter(|w| weight(*w) > 0);
        // A client that can do none of them is asked for any: each run then says that it cannot.
        let none = drawn().all(|w| !mix.asks(Need::Workload(w)));
        let possible = drawn().filter(|w| none || mix.asks(Need::Workload(*w)));
        Union::new_weighted(possible.map(|w| (weight(w), Just(w).boxed())).collect())
    };
    let deadline = prop_oneof![2 => Just(Duration::from_secs(10)), 1 => ms(1_000..=9_000)];
    (workload, ms(200..=600), deadline, prop::bool::weighted(0.3))
        .prop_map(|(workload, every, deadline, retry_ambiguous)| Worker { workload, every, deadline, retry_ambiguous })
}

const fn weight(workload: Workload) -> u32 {
    match workload {
        Workload::Counter => 5,
        Workload::Register => 2,
        Workload::Queue => 2,
        Workload::ReplicaReads => 2,
        Workload::PubSub => 2,
        Workload::Script | Workload::Transaction | Workload::Pipeline => 1,
        // Scenarios take these.
        Workload::Reads | Workload::Lock | Workload::Jobs | Workload::CachedReads => 0,
    }
}

/// The shortest deadline that makes sense: a pop blocks for a second, and its reply has to travel.
const fn shortest(workload: Workload) -> Duration {
    match workload {
        Workload::Queue => Duration::from_secs(3),
        _ => Duration::ZERO,
    }
}

impl Worker {
    /// The client number `index` of a plan, from 0.
    pub(crate) fn client(&self, index: usize, master: &str) -> Client {
        Client {
            id: format!("client-{}", index + 1),
            master: master.to_owned(),
            every: self.every,
            deadline: self.deadline.max(shortest(self.workload)),
            retry_ambiguous: self.retry_ambiguous,
            ..Client::new("default", self.workload)
        }
    }
}
