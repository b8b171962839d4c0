//! Masters that die, are demoted, hang, or are named by one Sentinel and not by another. In paused time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use redis::AsyncCommands as _;
use sentinel_client::{Address, Ambiguous, Cause, Client, DiscoveryError, Metrics, Peer, Retry, Settings, details};
use tokio::time::{Instant, sleep};

use crate::server::{QUESTION, Reaction, Server, array, ok, role_replica, words};

const READONLY: &str = "-READONLY You can't write against a read only replica.\r\n";

/// Two masters and three Sentinels that name the first.
struct Cluster {
    a: Server,
    b: Server,
    sentinels: Vec<Server>,
}

impl Cluster {
    async fn start() -> Self {
        let (a, b) = (Server::master().await, Server::master().await);
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(Server::sentinel(&a.address).await);
        }
        for (server, value) in [(&a, ":1\r\n"), (&b, ":2\r\n")] {
            server.on("INCR", Reaction::say(value));
            server.on("GET", Reaction::say(value));
        }
        Self { a, b, sentinels }
    }

    fn settings(&self) -> Settings {
        Settings::new(self.sentinels.iter().map(|sentinel| sentinel.address.clone()), "mymaster").seed(1)
    }

    fn client(&self) -> Client {
        Client::new(self.settings()).expect("settings")
    }

    /// All Sentinels name the second master.
    fn switch(&self) {
        for sentinel in &self.sentinels {
            sentinel.names(&self.b.address);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_demoted_master_that_says_so_is_left_and_the_command_repeated() {
    let cluster = Cluster::start().await;
    let mut master = cluster.client().master();
    assert_eq!(master.incr::<_, _, i64>("k", 1).await, Ok(1));
    cluster.a.on("INCR", Reaction::say(READONLY));
    cluster.a.on("ROLE", role_replica("connected"));
    cluster.switch();
    assert_eq!(master.incr::<_, _, i64>("k", 1).await, Ok(2));
    assert_eq!(cluster.a.count("INCR"), 2, "one refusal is enough");
}

#[tokio::test(start_paused = true)]
async fn a_silent_demotion_is_noticed_by_the_check() {
    let cluster = Cluster::start().await;
    let mut master = cluster.client().master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    cluster.a.on("ROLE", role_replica("connected"));
    cluster.switch();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(master.get::<_, i64>("k").await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_master_that_the_sentinels_no_longer_name_is_left_though_it_says_that_it_is_one() {
    let cluster = Cluster::start().await;
    let mut master = cluster.client().master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    cluster.switch();
    sleep(Duration::from_secs(2)).await;
    assert_eq!(master.get::<_, i64>("k").await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn one_sentinel_alone_does_not_move_a_good_connection() {
    let cluster = Cluster::start().await;
    let mut master = cluster.client().master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    cluster.sentinels[0].names(&cluster.b.address);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    assert_eq!(cluster.b.connections(), 0);
}

/// Chance shortens each interval of a second by a tenth at most, so that each wait here has three checks in it.
#[tokio::test(start_paused = true)]
async fn a_check_asks_one_sentinel_in_turn_and_all_of_them_if_that_one_keeps_silent() {
    let cluster = Cluster::start().await;
    let mut master = cluster.client().master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    sleep(Duration::from_millis(100)).await;
    let asked = |command: &str| cluster.sentinels.iter().map(|sentinel| sentinel.count(command)).collect::<Vec<_>>();
    let (addresses, details) = (asked("SENTINEL GET"), asked("SENTINEL MASTER"));
    let more = |than: &[usize], by: [usize; 3]| than.iter().zip(by).map(|(than, by)| than + by).collect::<Vec<_>>();
    sleep(Duration::from_millis(3_100)).await;
    assert_eq!(asked("SENTINEL GET"), more(&addresses, [1, 1, 1]));
    assert_eq!(asked("SENTINEL MASTER"), details);
    cluster.sentinels[0].on(QUESTION, Reaction::Hang);
    sleep(Duration::from_millis(3_600)).await;
    assert_eq!(asked("SENTINEL MASTER"), more(&details, [1, 1, 1]));
    assert_eq!(asked("SENTINEL GET")[1..], more(&addresses, [0, 3, 3])[1..]);
}

#[tokio::test(start_paused = true)]
async fn an_announced_switch_is_followed_at_once() {
    let cluster = Cluster::start().await;
    let mut master = cluster.client().master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    sleep(Duration::from_millis(100)).await;
    cluster.switch();
    for sentinel in &cluster.sentinels {
        let (a, b) = (&cluster.a.address, &cluster.b.address);
        let payload = format!("mymaster {} {} {} {}", a.host(), a.port(), b.host(), b.port());
        sentinel.publish("+switch-master", &payload);
    }
    sleep(Duration::from_millis(50)).await;
    assert_eq!(master.get::<_, i64>("k").await, Ok(2));
}

/// An announcement alone tells, and the answers of the Sentinels take their time.
#[tokio::test(start_paused = true)]
async fn after_an_announcement_nothing_is_sent_until_the_sentinels_have_answered() {
    for moved in [true, false] {
        let cluster = Cluster::start().await;
        let mut master = cluster.client().master();
        assert_eq!(master.get::<_, i64>("k").await, Ok(1));
        sleep(Duration::from_millis(100)).await;
        let (a, b) = (&cluster.a.address, &cluster.b.address);
        let named = if moved { b } else { a };
        let answer = array(&[named.host(), &named.port().to_string()]);
        for sentinel in &cluster.sentinels {
            sentinel.on(QUESTION, Reaction::Later(Duration::from_millis(200), answer.clone()));
            let payload = format!("mymaster {} {} {} {}", a.host(), a.port(), b.host(), b.port());
            sentinel.publish("+switch-master", &payload);
        }
        sleep(Duration::from_millis(10)).await;
        let expected = if moved { 2 } else { 1 };
        let started = Instant::now();
        assert_eq!(master.incr::<_, _, i64>("k", 1).await, Ok(expected));
        assert!(started.elapsed() >= Duration::from_millis(180), "{:?}", started.elapsed());
        assert_eq!((cluster.a.count("INCR"), cluster.b.count("INCR")), if moved { (0, 1) } else { (1, 0) });
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_without_reply_is_not_repeated_unless_that_is_safe() {
    let cluster = Cluster::start().await;
    let mut master = cluster.client().master();
    cluster.a.on("INCR", Reaction::Close);
    cluster.a.on("GET", Reaction::Close);
    let error = master.incr::<_, _, i64>("k", 1).await.expect_err("the connection was closed");
    let failure = details(&error).expect("details");
    assert!(failure.may_have_run && matches!(failure.cause, Cause::Lost(_)), "{failure}");
    assert_eq!((failure.attempts, cluster.a.count("INCR")), (1, 1));

    cluster.switch();
    assert_eq!(master.get::<_, i64>("k").await, Ok(2), "a read may be repeated");
    cluster.b.on("INCR", Reaction::Close);
    let always = Retry { ambiguous: Ambiguous::Always, attempts: std::num::NonZeroU32::new(3), ..Retry::default() };
    let error = master.with_retry(always).incr::<_, _, i64>("k", 1).await.expect_err("all attempts fail");
    assert!(details(&error).is_some_and(|failure| failure.attempts == 3 && failure.may_have_run), "{error}");
    assert_eq!(cluster.b.count("INCR"), 3, "the caller said that it may be repeated");
}

#[tokio::test(start_paused = true)]
async fn a_master_that_hangs_costs_one_response_timeout() {
    let cluster = Cluster::start().await;
    let mut master = cluster.client().master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    for command in ["GET", "ROLE"] {
        cluster.a.on(command, Reaction::Hang);
    }
    cluster.switch();
    let started = Instant::now();
    assert_eq!(master.get::<_, i64>("k").await, Ok(2));
    assert!(started.elapsed() < Duration::from_millis(700), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_sentinel_that_hangs_holds_nothing_up() {
    let cluster = Cluster::start().await;
    for sentinel in &cluster.sentinels[..2] {
        sentinel.on(QUESTION, Reaction::Hang);
    }
    let started = Instant::now();
    assert_eq!(cluster.client().master().get::<_, i64>("k").await, Ok(1));
    assert!(started.elapsed() < Duration::from_millis(200), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn many_callers_cause_one_search() {
    let cluster = Cluster::start().await;
    let master = cluster.client().master();
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let mut master = master.clone();
            tokio::spawn(async move { master.get::<_, i64>("k").await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.expect("no panic"), Ok(1));
    }
    assert_eq!(cluster.a.connections(), 1);
    // The first check of the new connection is over then, and the next one has not begun.
    sleep(Duration::from_millis(500)).await;
    let asked: usize = cluster.sentinels.iter().map(|s| s.count("SENTINEL GET-MASTER-ADDR-BY-NAME")).sum();
    // One by the search; the check of the new connection asks the other two.
    assert_eq!(asked, 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_by_its_deadline_and_says_why() {
    let cluster = Cluster::start().await;
    let budget = Duration::from_secs(3);
    let retry = Retry { budget, ..Retry::default() };
    cluster.a.on("ROLE", role_replica("connect"));
    let client = Client::new(cluster.settings().retry(retry)).expect("settings");
    let started = Instant::now();
    let error = client.master().incr::<_, _, i64>("k", 1).await.expect_err("there is no master");
    assert_eq!(started.elapsed(), budget);
    let failure = details(&error).expect("details");
    assert!(matches!(failure.cause, Cause::Discovery(DiscoveryError::NotMaster { .. })), "{failure}");
    assert!(!failure.may_have_run && cluster.a.count("INCR") == 0, "{failure}");

    for sentinel in &cluster.sentinels {
        sentinel.on(QUESTION, Reaction::say("*-1\r\n"));
    }
    let unknown = client.discover_master("mymaster").await;
    assert!(matches!(unknown, Err(DiscoveryError::UnknownMaster { answered: 3, .. })), "{unknown:?}");
    for sentinel in &cluster.sentinels {
        sentinel.on(QUESTION, Reaction::Close);
    }
    let unreachable = client.discover_master("mymaster").await;
    assert!(matches!(unreachable, Err(DiscoveryError::Unreachable { .. })), "{unreachable:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_transaction_is_repeated_as_one() {
    let cluster = Cluster::start().await;
    let mut master = cluster.client().master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    cluster.a.on("SET", Reaction::say(READONLY));
    cluster.a.on("EXEC", Reaction::say("-EXECABORT Transaction discarded because of previous errors.\r\n"));
    cluster.a.on("ROLE", role_replica("connected"));
    cluster.b.on("MULTI", ok());
    cluster.b.on("SET", Reaction::say("+QUEUED\r\n"));
    cluster.b.on("EXEC", Reaction::say("*2\r\n+OK\r\n+OK\r\n"));
    cluster.switch();
    let mut transaction = redis::pipe();
    transaction.atomic().set("a", 1).ignore().set("b", 2).ignore();
    assert_eq!(transaction.exec_async(&mut master).await, Ok(()));
    assert_eq!((cluster.a.count("EXEC"), cluster.b.count("EXEC"), cluster.b.count("SET")), (1, 1, 2));
}

#[tokio::test(start_paused = true)]
async fn blocking_commands_are_refused_on_a_shared_connection() {
    let cluster = Cluster::start().await;
    let client = cluster.client();
    let error = client.master().blpop::<_, ()>("q", 1.0).await.expect_err("it blocks");
    assert!(details(&error).is_some_and(|failure| matches!(failure.cause, Cause::Misuse(_))), "{error}");
    cluster.a.on("BLPOP", words(&["q", "item"]));
    assert_eq!(client.dedicated().blpop("q", 1.0).await, Ok(("q".to_owned(), "item".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_hung_blocking_command_ends_when_its_time_is_up() {
    let cluster = Cluster::start().await;
    cluster.a.on("BLPOP", Reaction::Hang);
    let mut dedicated = cluster.client().dedicated();
    let started = Instant::now();
    let error = dedicated.blpop::<_, ()>("q", 5.0).await.expect_err("no reply");
    assert!(details(&error).is_some_and(|failure| failure.may_have_run), "{error}");
    assert!(started.elapsed() < Duration::from_millis(5600), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_when_the_handles_are_gone() {
    let cluster = Cluster::start().await;
    let client = cluster.client();
    let before = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let mut master = client.master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    sleep(Duration::from_secs(3)).await;
    assert!(tokio::runtime::Handle::current().metrics().num_alive_tasks() > before);
    let connections = cluster.a.connections();
    drop(master);
    // The client keeps what it has for the next command.
    assert_eq!(client.master().get::<_, i64>("k").await, Ok(1));
    assert_eq!(cluster.a.connections(), connections);
    drop(client);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), before);
}

/// What has not left this process yet may leave it later, as long as the connection lives.
#[tokio::test(start_paused = true)]
async fn a_command_that_is_stuck_in_a_full_socket_may_run_still() {
    let cluster = Cluster::start().await;
    let master = cluster.client().master();
    assert_eq!(master.clone().get::<_, i64>("k").await, Ok(1));
    cluster.a.on("SET", Reaction::Stop);
    let mut stuck = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let mut master = master.clone();
        stuck.spawn(async move { master.set::<_, _, ()>("k", "x".repeat(100_000)).await });
    }
    sleep(Duration::from_millis(100)).await;
    // Other connections are served.
    cluster.a.on("SET", ok());
    let error = master.clone().incr::<_, _, i64>("k", 1).await.expect_err("no reply");
    let failure = details(&error).expect("an error of this crate");
    assert!(failure.may_have_run && matches!(failure.cause, Cause::TimedOut(_)), "{failure}");
    assert_eq!(cluster.b.count("INCR") + cluster.a.count("INCR"), 0);
}

#[tokio::test(start_paused = true)]
async fn discovery_ends_within_the_budget() {
    let cluster = Cluster::start().await;
    for sentinel in &cluster.sentinels {
        for question in [QUESTION, "SENTINEL SLAVES", "SENTINEL"] {
            sentinel.on(question, Reaction::Hang);
        }
    }
    let budget = Duration::from_millis(300);
    let client = Client::new(cluster.settings().retry(Retry { budget, ..Retry::default() })).expect("settings");
    let started = Instant::now();
    client.discover_master("mymaster").await.expect_err("nobody answers");
    client.discover_replicas("mymaster").await.expect_err("nobody answers");
    assert!(started.elapsed() <= 2 * budget + Duration::from_millis(2), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_what_the_application_gave_is_not_the_end() {
    struct Bad(AtomicBool);
    impl Metrics for Bad {
        fn connection_opened(&self, peer: Peer, _: &Address) {
            assert!(peer != Peer::Data || self.0.swap(true, Ordering::Relaxed), "on purpose");
        }
    }
    let cluster = Cluster::start().await;
    let settings = cluster.settings().metrics(Arc::new(Bad(AtomicBool::new(false))));
    let retry = Retry { budget: Duration::from_secs(1), ..Retry::default() };
    let mut master = Client::new(settings).expect("settings").master().with_retry(retry);
    master.get::<_, i64>("k").await.expect_err("the search has ended");
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn an_error_reply_says_whether_something_may_have_run() {
    let cluster = Cluster::start().await;
    cluster.a.on("EVAL", Reaction::say("-ERR in the middle\r\n"));
    cluster.a.on("SET", Reaction::say("-OOM no room\r\n"));
    let mut master = cluster.client().master();
    for (line, may_have_run) in [(["EVAL", "..", "0"], true), (["SET", "k", "v"], false)] {
        let mut command = redis::cmd(line[0]);
        command.arg(&line[1..]);
        let failure = master.query::<()>(&command).await.expect_err("an error");
        assert!(matches!(failure.cause, Cause::Server(_)), "{failure}");
        assert_eq!(failure.may_have_run, may_have_run, "{failure}");
    }
    // Lost at the first master, refused by the second: it may have run at the first.
    cluster.a.on("SET", Reaction::Close);
    cluster.b.on("SET", Reaction::say("-OOM no room\r\n"));
    cluster.switch();
    let mut command = redis::cmd("SET");
    command.arg("k").arg("v");
    let failure = master.query::<()>(&command).await.expect_err("an error");
    assert!(failure.may_have_run && failure.attempts >= 2, "{failure}");
    assert!(failure.node.is_some(), "{failure}");
}

#[tokio::test(start_paused = true)]
async fn each_connection_selects_the_database() {
    let cluster = Cluster::start().await;
    let mut master = Client::new(cluster.settings().db(3)).expect("settings").master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    assert_eq!(cluster.a.count("SELECT 3"), 1);
    cluster.a.on("ROLE", role_replica("connected"));
    cluster.switch();
    cluster.a.kill();
    assert_eq!(master.get::<_, i64>("k").await, Ok(2));
    assert_eq!(cluster.b.count("SELECT 3"), 1);
}

/// Clients of one process that lose their master in the same moment.
#[tokio::test(start_paused = true)]
async fn clients_that_lose_their_master_together_do_not_dial_together() {
    #[derive(Default)]
    struct Dials(std::sync::Mutex<Vec<Instant>>);
    impl Metrics for Dials {
        fn connection_opened(&self, peer: Peer, _: &Address) {
            if peer == Peer::Data {
                self.0.lock().unwrap().push(Instant::now());
            }
        }
    }
    let cluster = Cluster::start().await;
    let dials = Arc::new(Dials::default());
    let mut clients = Vec::new();
    for seed in 0..100 {
        let client = Client::new(cluster.settings().seed(seed).metrics(dials.clone())).expect("settings");
        assert_eq!(client.master().get::<_, i64>("k").await, Ok(1));
        clients.push(client);
    }
    sleep(Duration::from_secs(2)).await;
    let lost = Instant::now();
    dials.0.lock().unwrap().clear();
    cluster.a.kill();
    sleep(Duration::from_millis(60)).await;
    let after: Vec<u128> = dials.0.lock().unwrap().iter().map(|at| (*at - lost).as_millis()).collect();
    assert_eq!(after.len(), 100);
    let most = (0..60).map(|ms| after.iter().filter(|after| **after == ms).count()).max();
    assert!(most < Some(12) && after.iter().all(|after| *after <= 51), "{after:?}");
}
