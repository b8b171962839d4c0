//! Reads from replicas.

use std::time::Duration;

use redis::AsyncCommands as _;
use sentinel_client::{Client, DiscoveryError, ReplicaFallback, Retry, Settings, details};
use tokio::time::sleep;

use crate::server::{Reaction, Server, array, role_replica};

/// A replica that reads as `value`, with `state` as the state of its link to the master.
async fn replica(value: i64, state: &str) -> Server {
    let server = Server::start().await;
    server.on("ROLE", role_replica(state));
    server.on("GET", Reaction::say(format!(":{value}\r\n")));
    server
}

/// Has the Sentinel list these replicas, each with its flags.
fn list(sentinel: &Server, replicas: &[(&Server, &str)]) {
    let entry = |(server, flags): &(&Server, &str)| {
        let fields = format!("ip {} port {} flags {flags}", server.address.host(), server.address.port());
        let words: Vec<&str> = fields.split(' ').collect();
        array(&words)
    };
    let entries: String = replicas.iter().map(entry).collect();
    sentinel.on("SENTINEL SLAVES MYMASTER", Reaction::say(format!("*{}\r\n{entries}", replicas.len())));
}

#[tokio::test(start_paused = true)]
async fn only_a_replica_in_sync_is_read_from() {
    let master = Server::master().await;
    let sentinel = Server::sentinel(&master.address).await;
    let (down, stale, good) =
        (replica(1, "connected").await, replica(2, "connect").await, replica(3, "connected").await);
    list(&sentinel, &[(&down, "s_down,slave,disconnected"), (&stale, "slave"), (&good, "slave")]);
    for seed in 0..8 {
        let settings = Settings::new([sentinel.address.clone()], "mymaster").seed(seed);
        let client = Client::new(settings).expect("settings");
        assert_eq!(client.replica().get::<_, i64>("k").await, Ok(3));
        assert_eq!(client.discover_replicas("mymaster").await, Ok(vec![good.address.clone()]));
    }
    assert_eq!(down.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_replicas_the_master_serves_until_one_is_back() {
    let master = Server::master().await;
    master.on("GET", Reaction::say(":9\r\n"));
    let sentinel = Server::sentinel(&master.address).await;
    list(&sentinel, &[]);
    let settings = Settings::new([sentinel.address.clone()], "mymaster").seed(1);
    let mut connection = Client::new(settings).expect("settings").replica();
    assert_eq!(connection.get::<_, i64>("k").await, Ok(9));
    let back = replica(3, "connected").await;
    list(&sentinel, &[(&back, "slave")]);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(connection.get::<_, i64>("k").await, Ok(3));
}

#[tokio::test(start_paused = true)]
async fn without_replicas_and_without_fallback_reads_fail_and_say_why() {
    let master = Server::master().await;
    let sentinel = Server::sentinel(&master.address).await;
    list(&sentinel, &[]);
    let retry = Retry { budget: Duration::from_secs(1), ..Retry::default() };
    let settings = Settings::new([sentinel.address.clone()], "mymaster")
        .seed(1)
        .retry(retry)
        .replica_fallback(ReplicaFallback::Fail);
    let error = Client::new(settings).expect("settings").replica().get::<_, i64>("k").await.expect_err("no replica");
    let failure = details(&error).expect("details");
    let expected = DiscoveryError::NoReplica { name: "mymaster".into(), known: 0 };
    assert_eq!(failure.cause.to_string(), expected.to_string());
    assert_eq!(master.count("GET"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_the_sentinels_give_up_is_left_for_a_better_one_and_for_no_other() {
    let master = Server::master().await;
    let sentinel = Server::sentinel(&master.address).await;
    let (first, second) = (replica(1, "connected").await, replica(2, "connected").await);
    list(&sentinel, &[(&first, "slave")]);
    let mut connection =
        Client::new(Settings::new([sentinel.address.clone()], "mymaster").seed(1)).expect("settings").replica();
    assert_eq!(connection.get::<_, i64>("k").await, Ok(1));
    // With nothing better it stays, and dials nobody.
    for flags in ["s_down,slave", "slave,disconnected"] {
        list(&sentinel, &[(&first, flags)]);
        sleep(Duration::from_secs(5)).await;
        assert_eq!((connection.get::<_, i64>("k").await, first.connections()), (Ok(1), 1));
    }
    for gone in [false, true] {
        let flagged = [(&first, "s_down,slave"), (&second, "slave")];
        list(&sentinel, if gone { &flagged[1..] } else { &flagged });
        sleep(Duration::from_millis(1_100)).await;
        assert_eq!(connection.get::<_, i64>("k").await, Ok(2));
        list(&sentinel, &[(&first, "slave")]);
        sleep(Duration::from_millis(1_100)).await;
        assert_eq!(connection.get::<_, i64>("k").await, Ok(1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_is_refused_whether_there_are_replicas_or_not() {
    let master = Server::master().await;
    let sentinel = Server::sentinel(&master.address).await;
    let one = replica(1, "connected").await;
    for replicas in [&[(&one, "slave")][..], &[]] {
        list(&sentinel, replicas);
        let settings = Settings::new([sentinel.address.clone()], "mymaster").seed(1);
        let mut connection = Client::new(settings).expect("settings").replica();
        let mut pipeline = redis::pipe();
        pipeline.get("k").incr("k", 1);
        let errors = [
            connection.incr::<_, _, i64>("k", 1).await.expect_err("a write"),
            pipeline.query_async::<()>(&mut connection).await.expect_err("a write"),
        ];
        for error in errors {
            let failure = details(&error).expect("details");
            assert!(matches!(failure.cause, sentinel_client::Cause::Misuse(_)) && !failure.may_have_run, "{failure}");
        }
    }
    assert_eq!((master.count("INCR"), one.count("INCR")), (0, 0));
}
