//! Connections of one's own that are lost while a command means nothing on another one.

use std::time::Duration;

use redis::{AsyncCommands as _, RedisResult, cmd};
use sentinel_client::{Client, Dedicated, Failure, Retry, Settings, details};
use tokio::time::{Instant, timeout};

use crate::server::{Reaction, Server};

async fn cluster() -> (Server, Server, Settings) {
    let master = Server::master().await;
    master.on("GET", Reaction::say(":1\r\n"));
    master.on("WAIT", Reaction::say(":1\r\n"));
    let sentinel = Server::sentinel(&master.address).await;
    let settings = Settings::new([sentinel.address.clone()], "mymaster").seed(1);
    (master, sentinel, settings)
}

async fn run(dedicated: &mut Dedicated, line: &str) -> RedisResult<()> {
    let mut words = line.split(' ');
    let mut command = cmd(words.next().expect("a command"));
    command.arg(words.collect::<Vec<_>>()).query_async(dedicated).await
}

/// What makes `command` fail after `before`: the connection was lost, or a call on it was dropped.
async fn fails_once_after(before: &str, command: &str) {
    for dropped in [false, true] {
        let (master, _sentinel, settings) = cluster().await;
        let mut dedicated = Client::new(settings).expect("settings").dedicated();
        run(&mut dedicated, before).await.expect("a reply");
        if dropped {
            master.on("BLPOP", Reaction::Hang);
            let blocks = run(&mut dedicated, "BLPOP q 60");
            timeout(Duration::from_secs(1), blocks).await.expect_err("it blocks");
        } else {
            master.kill();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let error = run(&mut dedicated, command).await.expect_err("the connection is another one");
        let failure: &Failure = details(&error).expect("an error of this crate");
        assert!(!failure.may_have_run, "{before}, {command}, dropped {dropped}: {failure}");
        assert_eq!(master.count(command), 0, "{before}, dropped {dropped}");
        assert_eq!(run(&mut dedicated, command).await, Ok(()), "{before}, dropped {dropped}: once is enough");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_connection_had_been_told_is_not_forgotten_in_silence() {
    fails_once_after("SELECT 5", "SET k v").await;
    fails_once_after("WATCH k", "MULTI").await;
}

#[tokio::test(start_paused = true)]
async fn wait_means_the_connection_that_wrote() {
    fails_once_after("SET k v", "WAIT 1 100").await;
}

/// The write is on the connection that is gone, although another command has opened a new one meanwhile.
#[tokio::test(start_paused = true)]
async fn wait_does_not_take_a_later_connection_for_the_one_that_wrote() {
    let (master, _sentinel, settings) = cluster().await;
    let mut dedicated = Client::new(settings).expect("settings").dedicated();
    run(&mut dedicated, "SET k v").await.expect("a reply");
    master.kill();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(dedicated.get("k").await, Ok(1));
    run(&mut dedicated, "WAIT 1 100").await.expect_err("it cannot tell");
    assert_eq!(run(&mut dedicated, "WAIT 1 100").await, Ok(()), "once is enough");
}

#[tokio::test(start_paused = true)]
async fn a_transaction_ends_what_watch_began() {
    let (master, _sentinel, settings) = cluster().await;
    let mut dedicated = Client::new(settings).expect("settings").dedicated();
    for line in ["WATCH k", "MULTI", "EXEC"] {
        run(&mut dedicated, line).await.expect("a reply");
    }
    master.kill();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(dedicated.get("k").await, Ok(1));
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_while_no_master_is_known() {
    let (_master, sentinel, settings) = cluster().await;
    sentinel.on("SENTINEL", Reaction::say("-ERR no\r\n"));
    sentinel.on(crate::server::QUESTION, Reaction::say("-ERR no\r\n"));
    let settings = settings.retry(Retry { attempts: std::num::NonZeroU32::new(2), ..Retry::default() });
    let mut dedicated = Client::new(settings).expect("settings").dedicated();
    let started = Instant::now();
    let error = dedicated.get::<_, i64>("k").await.expect_err("no master");
    assert_eq!(details(&error).expect("an error of this crate").attempts, 2, "{error}");
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_large_pool_connects_at_once() {
    let (master, _sentinel, settings) = cluster().await;
    let pool = Client::new(settings).expect("settings").pool().max_size(100).build().expect("a pool");
    let started = Instant::now();
    let mut all = Vec::new();
    for _ in 0..100 {
        let mut connection = pool.get().await.expect("a connection");
        all.push(tokio::spawn(async move { connection.get::<_, i64>("k").await.map(|_| connection) }));
    }
    for one in all {
        drop(one.await.expect("no panic").expect("a reply"));
    }
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    assert_eq!(master.open(), 101);
}
