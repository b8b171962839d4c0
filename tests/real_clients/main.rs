//! What `docs/findings.md` says of client crates, on real Redis and Sentinel processes: each test is an entry of that page that is
//! marked *(real)*, and fails when a version of the crate no longer does so, which is news for the page.
//!
//! The drivers are those of the lab, in real time. Each test has a cluster of its own, and waits for what it observes, with a
//! deadline.

use std::time::{Duration, Instant};

use drivers::by_name;
use model::NodeId;
use model::plan::Cluster;
use real::{RealCluster, required};
use testbed::driver::{Answer, CallError, Request, Session, Settings};
use tokio::runtime::Builder;
use tokio::time::timeout;

const MASTER: NodeId = NodeId::data(1);
const REPLICA: NodeId = NodeId::data(2);
const REPLICAS: [NodeId; 2] = [REPLICA, NodeId::data(3)];
const SENTINELS: [NodeId; 3] = [NodeId::sentinel(1), NodeId::sentinel(2), NodeId::sentinel(3)];
/// What a call may take, for clients that can be told.
const DEADLINE: Duration = Duration::from_secs(2);
/// What no call of a client with any limit at all would take.
const LONG: Duration = Duration::from_secs(8);

/// A cluster that fails over after `down_after`, and a client of it, which has worked.
struct Lab {
    cluster: RealCluster,
    session: Box<dyn Session>,
}

impl Lab {
    async fn start(binaries: &real::Binaries, driver: &str, down_after: Duration) -> Self {
        let mut plan = Cluster::standard();
        plan.groups[0].down_after = down_after;
        Self::of(binaries, driver, &plan).await
    }

    async fn of(binaries: &real::Binaries, driver: &str, plan: &Cluster) -> Self {
        let cluster = RealCluster::start(binaries, plan).expect("a cluster");
        let session = open(&cluster, driver).await.expect("connects");
        let mut lab = Self { cluster, session };
        lab.incr().await.expect("works");
        lab
    }

    async fn incr(&mut self) -> Result<Answer, CallError> {
        self.session.call(&Request::Incr("counter".into())).await
    }

    /// How many connections a node has taken so far.
    fn connections(&mut self, node: NodeId) -> u64 {
        let info = self.node(node).info().expect("says");
        let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:")).expect("a field");
        line.trim().parse().expect("a number")
    }

    fn node(&mut self, node: NodeId) -> &mut real::Process {
        self.cluster.node_mut(node).expect("a node")
    }
}

async fn open(cluster: &RealCluster, driver: &str) -> Result<Box<dyn Session>, CallError> {
    let sentinels = SENTINELS.iter().map(|node| {
        let addr = cluster.addr(*node).expect("an address");
        (addr.ip().to_string(), addr.port())
    });
    let driver = by_name(driver).expect("a driver");
    driver.open(Settings::new(sentinels.collect(), "mymaster", DEADLINE)).await
}

/// Runs a test in real time.
fn test(what: &str, body: impl AsyncFnOnce(real::Binaries)) {
    let Some(binaries) = required(what) else { return };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(body(binaries));
    // A thread that still blocks is left behind.
    runtime.shutdown_background();
}

/// The Sentinels do not fail over in this time.
const NEVER: Duration = Duration::from_secs(600);

/// redis, 4.
#[test]
fn redis_says_of_a_master_that_is_down_that_its_name_is_unknown() {
    test("redis and a master that is down", async |binaries| {
        let mut lab = Lab::start(&binaries, "redis-sentinel", Duration::from_secs(2)).await;
        lab.node(MASTER).kill().expect("killed");
        let began = Instant::now();
        let mut said = Vec::new();
        while began.elapsed() < Duration::from_secs(6) && !said.iter().any(|text: &String| text.contains("not found")) {
            if let Err(error) = lab.incr().await {
                // It is known to every Sentinel, all the time.
                for sentinel in SENTINELS {
                    assert!(lab.cluster.master_by(sentinel, "mymaster").is_some());
                }
                said.push(error.text);
            }
        }
        let text = said.last().expect("an error");
        assert!(text.contains("Master with given name not found in sentinel"), "{said:?}");
    });
}

/// redis, 1: a blocking caller is held for as long as the node hangs.
#[test]
fn the_blocking_client_of_redis_asks_for_the_role_without_a_limit() {
    test("redis-blocking and a stopped master", async |binaries| {
        let mut lab = Lab::start(&binaries, "sentinel-client", NEVER).await;
        lab.node(MASTER).freeze().expect("stopped");
        let opened = async { open(&lab.cluster, "redis-blocking").await?.call(&Request::Incr("counter".into())).await };
        assert!(timeout(LONG, opened).await.is_err(), "it has a limit");
        lab.node(MASTER).thaw().expect("goes on");
    });
}

/// redis, 9: nobody has told the client of changes since the connection was lost.
#[test]
fn the_cache_of_redis_outlives_its_connection() {
    test("redis-multiplexed and what it has cached", async |binaries| {
        let mut lab = Lab::start(&binaries, "redis-multiplexed", NEVER).await;
        let (write, read) = (Request::Set("key".into(), "old".into()), Request::CachedGet("key".into()));
        lab.session.call(&write).await.expect("written");
        assert_eq!(lab.session.call(&read).await, Ok(Answer::Value(b"old".to_vec())));
        lab.node(MASTER).kill().expect("killed");
        assert!(lab.incr().await.is_err());
        let uncached = lab.session.call(&Request::Get("key".into())).await;
        assert!(uncached.is_err(), "{uncached:?}");
        assert_eq!(lab.session.call(&read).await, Ok(Answer::Value(b"old".to_vec())), "it forgets");
    });
}

/// Demotes the master by hand, which leaves the connections of its clients open.
fn demote(lab: &mut Lab) {
    let replica = lab.cluster.addr(REPLICA).expect("an address");
    lab.node(REPLICA).replica_of(None).expect("promoted");
    lab.node(MASTER).replica_of(Some(replica)).expect("demoted");
}

/// redis, 6; fred, 4. Each error is told to the caller, so that a client that looked for the master again would have had the
/// time; but the Sentinels must name the new one, so they are told of it.
#[test]
fn a_pool_of_bb8_and_fred_keep_a_connection_that_answers_readonly() {
    for driver in ["redis-bb8", "fred"] {
        test("a demoted master", async |binaries| {
            let mut lab = Lab::start(&binaries, driver, NEVER).await;
            demote(&mut lab);
            let replica = lab.cluster.addr(REPLICA).expect("an address");
            let (ip, port) = (replica.ip().to_string(), replica.port().to_string());
            for node in SENTINELS {
                let sentinel = lab.node(node);
                sentinel.ask(&["SENTINEL", "REMOVE", "mymaster"]).expect("forgets");
                sentinel.ask(&["SENTINEL", "MONITOR", "mymaster", &ip, &port, "2"]).expect("knows");
                assert_eq!(lab.cluster.master_by(node, "mymaster"), Some(REPLICA));
            }
            for _ in 0..20 {
                let error = lab.incr().await.expect_err("refused");
                assert!(error.text.to_uppercase().contains("READONLY"), "{driver}: {}", error.text);
            }
            // Whoever asks the Sentinels now comes to the new one.
            let mut other = open(&lab.cluster, "sentinel-client").await.expect("connects");
            other.call(&Request::Incr("counter".into())).await.expect("works");
        });
    }
}

/// fred, 1.
#[test]
fn fred_forgets_the_sentinel_that_answered() {
    test("fred and the only Sentinel that is left", async |binaries| {
        let mut lab = Lab::start(&binaries, "fred", NEVER).await;
        for gone in [SENTINELS[1], SENTINELS[2]] {
            lab.node(gone).kill().expect("killed");
        }
        lab.node(MASTER).client_kill("normal").expect("closed");
        let began = Instant::now();
        while began.elapsed() < LONG {
            let result = timeout(LONG, lab.incr()).await;
            assert!(!matches!(result, Ok(Ok(_))), "it has asked the first one");
        }
        assert_eq!(lab.cluster.master_by(SENTINELS[0], "mymaster"), Some(MASTER));
        lab.node(SENTINELS[1]).restart().expect("is back");
        lab.node(SENTINELS[1]).wait_ready().expect("answers");
        let began = Instant::now();
        while !matches!(timeout(LONG, lab.incr()).await, Ok(Ok(_))) {
            assert!(began.elapsed() < 4 * LONG, "it works again once one that it knows is back");
        }
    });
}

/// fred, 2.
#[test]
fn one_null_reply_ends_the_search_of_fred() {
    test("fred and a Sentinel that does not know the name", async |binaries| {
        let mut lab = Lab::start(&binaries, "sentinel-client", NEVER).await;
        lab.node(SENTINELS[0]).ask(&["SENTINEL", "REMOVE", "mymaster"]).expect("forgets");
        let Err(error) = open(&lab.cluster, "fred").await else { panic!("it has asked the next one") };
        assert!(error.text.contains("Missing primary address in response from sentinel node"), "{}", error.text);
        open(&lab.cluster, "sentinel-client").await.expect("connects");
        lab.incr().await.expect("works");
    });
}

/// redis, 8.
#[test]
fn a_pool_of_r2d2_connects_without_a_pause_while_the_master_is_loading() {
    test("redis-r2d2 and a master that is loading", async |binaries| {
        let mut lab = Lab::start(&binaries, "redis-r2d2", NEVER).await;
        let master = lab.node(MASTER);
        for command in [
            &["DEBUG", "POPULATE", "200000"][..],
            // A microsecond after each key, and a look at the connections after every twenty or so.
            &["CONFIG", "SET", "key-load-delay", "1", "loading-process-events-interval-bytes", "1024"],
        ] {
            master.ask(command).expect("done");
        }
        let mut other = master.connect().expect("connects");
        other.send(&["DEBUG", "RELOAD"]).expect("sent");
        let loading = |process: &real::Process| process.info().is_ok_and(|info| info.contains("\r\nloading:1"));
        lab.cluster.wait(MASTER, "loading", LONG, loading).expect("it is");
        let before = lab.connections(MASTER);
        let result = lab.incr().await;
        let opened = lab.connections(MASTER) - before;
        assert!(result.is_err(), "it is still loading");
        // One that waits 50 ms, and then twice as long each time, opens six.
        assert!(opened > 40, "{opened} connections within {DEADLINE:?}");
    });
}

/// redis, 10: a `PING` is refused by a replica without its master that is not to serve what is stale.
#[test]
fn a_pool_of_bb8_connects_without_a_pause_to_a_replica_without_its_master() {
    test("redis-bb8 and replicas without a master", async |binaries| {
        let mut plan = Cluster::standard();
        plan.groups[0].down_after = NEVER;
        plan.groups[0].serve_stale_data = false;
        let mut lab = Lab::of(&binaries, "redis-bb8", &plan).await;
        let read = Request::ReplicaGet("counter".into());
        lab.session.call(&read).await.expect("reads");
        lab.node(MASTER).kill().expect("killed");
        let lost =
            |process: &real::Process| process.info().is_ok_and(|info| info.contains("\r\nmaster_link_status:down"));
        for replica in REPLICAS {
            lab.cluster.wait(replica, "the loss of its master", LONG, lost).expect("it does");
        }
        let before = REPLICAS.map(|replica| lab.connections(replica));
        assert!(lab.session.call(&read).await.is_err(), "no replica may answer");
        let opened: u64 =
            REPLICAS.map(|replica| lab.connections(replica)).iter().sum::<u64>() - before.iter().sum::<u64>();
        assert!(opened > 40, "{opened} connections within {DEADLINE:?}");
    });
}

/// redis, 12; fred, 7; rustis, 3. For some ten seconds after a failover by hand the old master has not been demoted, and takes
/// what is written to it, which is lost then.
#[test]
fn redis_and_fred_and_rustis_do_not_hear_of_a_failover() {
    for driver in ["redis-sentinel", "fred", "rustis"] {
        test("a failover by hand", async |binaries| {
            let mut lab = Lab::start(&binaries, driver, NEVER).await;
            let mut listening = open(&lab.cluster, "sentinel-client").await.expect("connects");
            listening.call(&Request::Incr("counter".into())).await.expect("works");
            // A Sentinel that has not heard from its replicas yet says that none is good.
            while lab.node(SENTINELS[1]).ask(&["SENTINEL", "FAILOVER", "mymaster"]).expect("asked") != model::Reply::OK
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let began = Instant::now();
            while SENTINELS.iter().any(|node| lab.cluster.master_by(*node, "mymaster") == Some(MASTER)) {
                assert!(began.elapsed() < LONG, "no failover");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            let old = lab.node(MASTER).addr();
            assert_eq!(lab.incr().await, Ok(Answer::Number(3)), "{driver} has left {old}");
            // Whoever has subscribed is with the new one by now.
            while listening.call(&Request::Incr("counter".into())).await != Ok(Answer::Number(3)) {
                assert!(began.elapsed() < LONG, "the new one has been told what was written to {old}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
    }
}

/// rustis, 4: what it polls is asked by the task that sends commands and reads replies.
#[test]
fn rustis_answers_nothing_while_a_sentinel_is_silent() {
    test("rustis and a stopped Sentinel", async |binaries| {
        let mut lab = Lab::start(&binaries, "rustis", NEVER).await;
        let mut other = open(&lab.cluster, "redis-multiplexed").await.expect("connects");
        lab.node(SENTINELS[0]).freeze().expect("stopped");
        let began = Instant::now();
        let error = loop {
            assert!(began.elapsed() < 2 * LONG, "it has polled without a pause");
            if let Err(error) = lab.incr().await {
                break error;
            }
        };
        assert!(error.text.contains("timeout"), "{}", error.text);
        other.call(&Request::Incr("counter".into())).await.expect("the master is well");
        lab.node(SENTINELS[0]).thaw().expect("goes on");
    });
}
