//! A cluster, the client in it, and questions to the record of the nodes.

use std::ops::Add;
use std::time::Duration;

use model::history::{ClosedBy, What};
use model::plan::Plan;
use model::{ClientId, EventName, Fault, NodeId, Target, Time};
use redis::AsyncCommands as _;
use sentinel_client::{Client, Connection, Settings};
use testbed::Testbed;
use tokio::time::sleep;

/// How a client asks for the master.
pub(crate) const QUESTION: &str = "SENTINEL GET-MASTER-ADDR-BY-NAME";
/// The master of the standard cluster.
pub(crate) const MASTER: Target = Target::Master(None);

/// Connections that one client opens within a second at most, as its documentation says.
pub(crate) const DIALS_A_SECOND: usize = 20;

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn sentinel(number: u16) -> Target {
    Target::Node(NodeId::sentinel(number))
}

/// What a node saw of the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Opened,
    Closed(ClosedBy),
    /// A command and the code of the error that it was refused with.
    Ran(String, Option<String>),
}

/// One thing that a node saw of the client.
#[derive(Clone, Debug)]
pub(crate) struct Sight {
    pub(crate) at: Time,
    pub(crate) node: NodeId,
    pub(crate) conn: u64,
    pub(crate) seen: Seen,
}

impl Sight {
    pub(crate) fn ran(&self, name: &str) -> bool {
        matches!(&self.seen, Seen::Ran(command, _) if command == name)
    }

    /// A connection to a data node.
    pub(crate) fn dials_data(&self) -> bool {
        self.seen == Seen::Opened && !self.node.is_sentinel()
    }

    /// A connection to a data node that was not ended by the client.
    pub(crate) fn loses_data(&self) -> bool {
        matches!(self.seen, Seen::Closed(ClosedBy::Node | ClosedBy::Fault)) && !self.node.is_sentinel()
    }
}

/// A cluster whose Sentinels know each other and the replicas.
pub(crate) struct Lab {
    pub(crate) bed: Testbed,
}

impl Lab {
    /// One master, two replicas, three Sentinels, `down-after-milliseconds` 5000.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Plan)) -> Self {
        Self::seeded(7, change).await
    }

    pub(crate) async fn seeded(seed: u64, change: impl FnOnce(&mut Plan)) -> Self {
        let builder = Testbed::builder().down_after(ms(5_000)).failover_timeout(ms(20_000)).seed(seed).plan(change);
        let lab = Self { bed: builder.start().await.expect("a cluster") };
        sleep(ms(4_000)).await;
        lab
    }

    /// Settings with all Sentinels, and a budget that outlasts a failover.
    pub(crate) fn settings(&self) -> Settings {
        self.settings_with(&[1, 2, 3])
    }

    pub(crate) fn settings_with(&self, sentinels: &[u16]) -> Settings {
        let addr = |number: &u16| {
            let addr = self.bed.node_addr(NodeId::sentinel(*number)).expect("a sentinel");
            (addr.ip().to_string(), addr.port())
        };
        Settings::new(sentinels.iter().map(addr), "mymaster").seed(1)
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.settings()).expect("settings that work")
    }

    /// A client that asks no question and looks at no role unless it has lost a connection or heard of something.
    pub(crate) fn quiet_client(&self) -> Client {
        Client::new(self.settings().check_interval(ms(3_600_000))).expect("settings that work")
    }

    pub(crate) async fn inject(&self, fault: Fault) -> NodeId {
        self.bed.inject(fault).await.expect("a node to hit")[0]
    }

    pub(crate) fn master(&self) -> NodeId {
        self.bed.master("mymaster").expect("a master")
    }

    /// A moment after everything so far.
    pub(crate) async fn now(&self) -> Time {
        sleep(ms(1)).await;
        self.bed.now()
    }

    /// What the nodes have seen of all clients since `from`.
    pub(crate) fn seen_since(&self, from: Time) -> Vec<Sight> {
        self.sights(from, |_| true)
    }

    /// What the nodes have seen of the client called `name`.
    pub(crate) fn seen_of(&self, name: &str) -> Vec<Sight> {
        self.sights(Time::ZERO, |client| client.as_str() == name)
    }

    fn sights(&self, from: Time, of: impl Fn(&ClientId) -> bool) -> Vec<Sight> {
        self.bed.history(|history| {
            let sight = |at, what: &What| match what {
                What::Opened { client, .. } | What::Closed { client, .. } if !of(client) => None,
                What::Executed(e) if !of(&e.client) => None,
                What::Opened { node, conn, .. } => Some(Sight { at, node: *node, conn: *conn, seen: Seen::Opened }),
                What::Closed { node, conn, by, .. } => {
                    Some(Sight { at, node: *node, conn: *conn, seen: Seen::Closed(*by) })
                }
                What::Executed(e) => {
                    let seen = Seen::Ran(e.command.clone(), e.error.clone());
                    Some(Sight { at, node: e.node, conn: e.conn, seen })
                }
                _ => None,
            };
            let later = history.records.iter().filter(|record| record.at >= from);
            later.filter_map(|record| sight(record.at, &record.what)).collect()
        })
    }

    pub(crate) fn seen(&self) -> Vec<Sight> {
        self.seen_since(Time::ZERO)
    }

    /// The Sentinels that were asked for the master, in order.
    pub(crate) fn asked_since(&self, from: Time) -> Vec<NodeId> {
        self.seen_since(from).iter().filter(|sight| sight.ran(QUESTION)).map(|sight| sight.node).collect()
    }

    /// Asserts that since `from` the client connected to a data node, and each time asked a Sentinel first: after it had
    /// lost the connection before, and after it had dialled for the last time.
    pub(crate) fn asked_before_each_connection(&self, from: Time) {
        let seen = self.seen_since(from);
        let dials: Vec<usize> = (0..seen.len()).filter(|index| seen[*index].dials_data()).collect();
        assert!(!dials.is_empty(), "no connection: {seen:#?}");
        for dial in dials {
            let counts = |sight: &&Sight| sight.ran(QUESTION) || sight.dials_data() || sight.loses_data();
            let before = seen[..dial].iter().rev().find(counts);
            assert!(before.is_some_and(|sight| sight.ran(QUESTION)), "{dial}: {seen:#?}");
        }
    }

    /// The most connections opened within one second since `from`.
    pub(crate) fn most_dials(&self, from: Time) -> usize {
        let sights = self.seen_since(from);
        let opened = sights.iter().filter(|sight| sight.seen == Seen::Opened);
        most_within_a_second(&opened.map(|sight| sight.at.since(Time::ZERO)).collect::<Vec<_>>())
    }

    /// Waits for the first announcement of another master.
    pub(crate) async fn switched(&self) -> Time {
        self.bed.wait_for(EventName::SwitchMaster).await.expect("a failover")
    }
}

/// The most of these moments, which are in order, that lie within one second.
pub(crate) fn most_within_a_second<T: Copy + PartialOrd + Add<Duration, Output = T>>(moments: &[T]) -> usize {
    let within = |first: usize| moments[first..].partition_point(|at| *at < moments[first] + Duration::from_secs(1));
    (0..moments.len()).map(within).max().unwrap_or(0)
}

/// A write that must succeed.
pub(crate) async fn write(connection: &mut Connection) {
    let written: redis::RedisResult<()> = connection.set("key", "value").await;
    written.expect("a write");
}
