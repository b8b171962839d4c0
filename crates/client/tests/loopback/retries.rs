//! How often and for how long a call is tried. In paused time.

use std::num::NonZeroU32;
use std::time::Duration;

use redis::AsyncCommands as _;
use sentinel_client::{Address, Cause, Client, DiscoveryError, Retry, Settings, details};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

use crate::server::{QUESTION, Reaction, Server, words};

async fn cluster() -> (Server, Server, Settings) {
    let master = Server::master().await;
    let sentinel = Server::sentinel(&master.address).await;
    sentinel.on("SENTINEL SLAVES", words(&[]));
    let settings = Settings::new([sentinel.address.clone()], "mymaster").seed(1);
    (master, sentinel, settings)
}

/// An answer that takes a minute, while other connections are served.
fn slow() -> Reaction {
    Reaction::Later(ms(60_000), ":1\r\n".to_owned())
}

/// An address that refuses connections.
async fn dead() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    Address::new("127.0.0.1", listener.local_addr().expect("an address").port())
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[tokio::test(start_paused = true)]
async fn the_classic_retries_take_fifteen_seconds_whether_a_master_was_known_or_not() {
    for known in [false, true] {
        let (master, sentinel, settings) = cluster().await;
        let client = Client::new(settings).expect("settings");
        let (mut connection, mut dedicated) =
            (client.master().with_retry(Retry::classic()), client.dedicated().with_retry(Retry::classic()));
        if known {
            let () = connection.set("k", "v").await.expect("a reply");
        }
        sentinel.names(&dead().await);
        master.kill();
        sleep(ms(100)).await;
        let started = Instant::now();
        let error = connection.set::<_, _, ()>("k", "v").await.expect_err("there is no master");
        // With a master known, the first attempt fails when the connection is found to be lost: at once, or after a search.
        assert!(started.elapsed() >= ms(15_000) && started.elapsed() <= ms(15_050), "{:?}", started.elapsed());
        assert_eq!(details(&error).expect("details").attempts, 4, "{error}");
        let started = Instant::now();
        let error = dedicated.set::<_, _, ()>("k", "v").await.expect_err("there is no master");
        assert!(started.elapsed() >= ms(15_000) && started.elapsed() <= ms(16_000), "{:?}", started.elapsed());
        assert_eq!(details(&error).expect("details").attempts, 4, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_is_slow_comes_ever_less_often() {
    let (master, _sentinel, settings) = cluster().await;
    master.on("GET", slow());
    let client = Client::new(settings).expect("settings");
    let started = Instant::now();
    let error = client.master().get::<_, i64>("k").await.expect_err("it is slow");
    let failure = details(&error).expect("details");
    assert!(matches!(failure.cause, Cause::TimedOut(_)), "{failure}");
    assert!(started.elapsed() <= ms(40_000), "{:?}", started.elapsed());
    // With half a second for each and a second between two there would be more than thirty.
    let sent = master.count("GET");
    assert!((7..=12).contains(&sent), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_slow_node_is_not_waited_for_once_it_is_replaced() {
    let (a, sentinel, settings) = cluster().await;
    let b = Server::master().await;
    b.on("GET", Reaction::say(":2\r\n"));
    a.on("GET", slow());
    let mut master = Client::new(settings).expect("settings").master();
    let read = tokio::spawn(async move { master.get::<_, i64>("k").await });
    // In the midst of a wait of seconds.
    sleep(ms(12_000)).await;
    let before = a.count("GET");
    sentinel.names(&b.address);
    let switched = Instant::now();
    assert_eq!(read.await.expect("no panic"), Ok(2));
    assert!(switched.elapsed() <= ms(1_500), "{:?}", switched.elapsed());
    assert!(a.count("GET") <= before + 1);
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_end_a_call_at_once_and_are_named() {
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    for sentinels in [false, true] {
        let (master, sentinel, settings) = cluster().await;
        if sentinels { &sentinel } else { &master }.on("AUTH", Reaction::say(wrong));
        let credentials = || sentinel_client::Credentials::password("x");
        let settings = settings.data_auth(credentials()).sentinel_auth(credentials());
        let client = Client::new(settings).expect("settings");
        let started = Instant::now();
        let errors = [
            client.master().set::<_, _, ()>("k", "v").await.expect_err("refused"),
            client.replica().get::<_, ()>("k").await.expect_err("refused"),
            client.dedicated().get::<_, ()>("k").await.expect_err("refused"),
            client.master().with_retry(Retry::classic()).get::<_, ()>("k").await.expect_err("refused"),
        ];
        for error in errors {
            let failure = details(&error).expect("details");
            assert!(matches!(&failure.cause, Cause::Discovery(error) if error.is_refusal()), "{failure}");
            assert!(failure.to_string().contains("WRONGPASS"), "{failure}");
            assert!(!failure.may_have_run);
        }
        let error = client.discover_master("mymaster").await.expect_err("refused");
        assert!(error.is_refusal(), "{error}");
        assert!(started.elapsed() < ms(4_000), "{:?}", started.elapsed());

        // Once it is mended the same connections work.
        for server in [&master, &sentinel] {
            server.on("AUTH", Reaction::say("+OK\r\n"));
        }
        sleep(ms(1_500)).await;
        let () = client.master().set("k", "v").await.expect("mended");
    }
}

/// A node that is full answers so to whatever comes first, a login too.
#[tokio::test(start_paused = true)]
async fn a_node_that_is_full_is_not_taken_for_one_that_refuses_the_password() {
    let (master, _sentinel, settings) = cluster().await;
    master.on("AUTH", Reaction::say("-ERR max number of clients reached\r\n"));
    let client = Client::new(settings.data_auth(sentinel_client::Credentials::password("x"))).expect("settings");
    let mut connection = client.master();
    let write = tokio::spawn(async move { connection.set::<_, _, ()>("k", "v").await });
    sleep(ms(3_000)).await;
    master.on("AUTH", Reaction::say("+OK\r\n"));
    assert_eq!(write.await.expect("no panic"), Ok(()));
}

/// One Sentinel is behind and names a node that refuses; the others know better.
#[tokio::test(start_paused = true)]
async fn a_node_that_refuses_and_that_one_sentinel_alone_names_ends_no_call() {
    let (old, new) = (Server::master().await, Server::master().await);
    old.on("AUTH", Reaction::say("-WRONGPASS no\r\n"));
    let behind = Server::sentinel(&old.address).await;
    let (one, other) = (Server::sentinel(&new.address).await, Server::sentinel(&new.address).await);
    let settings = Settings::new([&behind, &one, &other].map(|sentinel| sentinel.address.clone()), "mymaster");
    let settings = settings.seed(1).data_auth(sentinel_client::Credentials::password("x"));
    let () = Client::new(settings).expect("settings").master().set("k", "v").await.expect("the majority knows");
    assert_eq!((old.count("SET"), new.count("SET")), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_no_sentinel_knows_costs_five_seconds_once() {
    let (_master, sentinel, settings) = cluster().await;
    sentinel.on(QUESTION, Reaction::say("*-1\r\n"));
    let client = Client::new(settings).expect("settings");
    for (at_least, at_most) in [(5_000, 6_500), (0, 1_500)] {
        let started = Instant::now();
        let error = client.master().get::<_, ()>("k").await.expect_err("nobody knows");
        let failure = details(&error).expect("details");
        assert!(matches!(failure.cause, Cause::Discovery(DiscoveryError::UnknownMaster { .. })), "{failure}");
        let took = started.elapsed();
        assert!(took >= ms(at_least) && took <= ms(at_most), "{took:?}");
    }
    let started = Instant::now();
    client.discover_master("mymaster").await.expect_err("nobody knows");
    assert!(started.elapsed() >= ms(5_000) && started.elapsed() <= ms(6_500), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_answer_that_a_call_ends_with_is_its_source() {
    use std::error::Error as _;
    let (master, _sentinel, settings) = cluster().await;
    master.on("SET", Reaction::say("-NOREPLICAS Not enough good replicas to write.\r\n"));
    let retry = Retry { attempts: NonZeroU32::new(3), ..Retry::default() };
    let client = Client::new(settings.retry(retry)).expect("settings");
    let error = client.master().set::<_, _, ()>("k", "v").await.expect_err("no replicas");
    let failure = details(&error).expect("details");
    let source = failure.source().and_then(|source| source.downcast_ref::<sentinel_client::ServerError>());
    assert_eq!(source.expect("the answer").code, "NOREPLICAS");
    assert_eq!((failure.attempts, failure.may_have_run), (3, false));
}

#[tokio::test(start_paused = true)]
async fn a_pipeline_that_was_refused_in_part_fails_as_one_and_says_so() {
    let (master, _sentinel, settings) = cluster().await;
    master.on("INCR", Reaction::say(":1\r\n"));
    let readonly = "-READONLY You can't write against a read only replica.\r\n";
    master.on("LPUSH", Reaction::say(readonly));
    let client = Client::new(settings).expect("settings");
    let mut pipeline = redis::pipe();
    pipeline.incr("n", 1).lpush("l", "x");
    for dedicated in [false, true] {
        let result: redis::RedisResult<(i64, i64)> = if dedicated {
            pipeline.query_async(&mut client.dedicated()).await
        } else {
            pipeline.query_async(&mut client.master()).await
        };
        let error = result.expect_err("one was refused");
        let failure = details(&error).expect("details");
        assert!(failure.may_have_run, "{failure}");
        assert!(matches!(&failure.cause, Cause::Server(error) if error.code == "READONLY"), "{failure}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_that_was_unblocked_goes_on_and_ends_with_its_budget_and_its_own_time() {
    let unblocked = "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n";
    let (master, _sentinel, settings) = cluster().await;
    let retry = Retry { budget: ms(10_000), ..Retry::default() };
    let client = Client::new(settings.retry(retry)).expect("settings");
    master.on("BLPOP", Reaction::Later(ms(45_000), unblocked.to_owned()));
    let mut dedicated = client.dedicated();
    let started = Instant::now();
    let popping = tokio::spawn(async move { dedicated.blpop::<_, Option<(String, String)>>("q", 60.0).await });
    sleep(ms(30_000)).await;
    master.on("BLPOP", Reaction::Hang);
    let error = popping.await.expect("no panic").expect_err("it never answers");
    assert_eq!(started.elapsed(), ms(70_000), "{error}");
    assert_eq!(master.count("BLPOP"), 2);

    // One that blocks for ever has its budget for what comes after.
    master.on("BLPOP", Reaction::Later(ms(100_000), unblocked.to_owned()));
    let mut dedicated = client.dedicated();
    let popping = tokio::spawn(async move { dedicated.blpop::<_, (String, String)>("q", 0.0).await });
    sleep(ms(50_000)).await;
    master.on("BLPOP", words(&["q", "item"]));
    assert_eq!(popping.await.expect("no panic"), Ok(("q".to_owned(), "item".to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_command_that_blocks_for_ever_ends_when_the_master_moves() {
    let (a, sentinel, settings) = cluster().await;
    let b = Server::master().await;
    a.on("BLPOP", Reaction::Hang);
    let mut dedicated = Client::new(settings).expect("settings").dedicated();
    let popping = tokio::spawn(async move { dedicated.blpop::<_, (String, String)>("q", 0.0).await });
    sleep(ms(100_000)).await;
    assert!(!popping.is_finished());
    sentinel.names(&b.address);
    let moved = Instant::now();
    let ended = timeout(ms(60_000), popping).await.expect("it ends");
    let error = ended.expect("no panic").expect_err("it may have popped something");
    assert!(details(&error).expect("details").may_have_run, "{error}");
    assert!(moved.elapsed() <= ms(1_000), "{:?}", moved.elapsed());
}
