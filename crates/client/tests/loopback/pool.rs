//! Pooled connections for commands that block.

use std::time::Duration;

use redis::AsyncCommands as _;
use sentinel_client::{Client, Settings};
use tokio::time::{sleep, timeout};

use crate::server::{Reaction, Server, words};

async fn cluster() -> (Server, Server, Server, Client) {
    let (a, b) = (Server::master().await, Server::master().await);
    let sentinel = Server::sentinel(&a.address).await;
    let client = Client::new(Settings::new([sentinel.address.clone()], "mymaster").seed(1)).expect("settings");
    (a, b, sentinel, client)
}

/// Connections to a node but the shared one.
fn pooled(server: &Server) -> u64 {
    server.connections() - 1
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_used_again_unless_it_was_changed_or_left_in_the_middle() {
    let (a, _, _, client) = cluster().await;
    a.on("BLPOP", words(&["q", "item"]));
    let pool = client.pool().max_size(1).build().expect("a pool");
    for _ in 0..3 {
        let popped = pool.get().await.expect("a connection").blpop("q", 1.0).await;
        assert_eq!(popped, Ok(("q".to_owned(), "item".to_owned())));
    }
    assert_eq!(pooled(&a), 1);
    let watched: redis::RedisResult<()> =
        redis::cmd("WATCH").arg("k").query_async(&mut *pool.get().await.expect("a connection")).await;
    assert_eq!(watched, Ok(()));
    let popped: redis::RedisResult<(String, String)> = pool.get().await.expect("a connection").blpop("q", 1.0).await;
    assert!(popped.is_ok());
    assert_eq!(pooled(&a), 2, "it had watched a key");

    a.on("BLPOP", Reaction::Hang);
    let mut left = pool.get().await.expect("a connection");
    let call = left.blpop::<_, ()>("q", 60.0);
    timeout(Duration::from_secs(1), call).await.expect_err("it blocks");
    drop(left);
    a.on("BLPOP", words(&["q", "item"]));
    let popped: redis::RedisResult<(String, String)> = pool.get().await.expect("a connection").blpop("q", 1.0).await;
    assert!(popped.is_ok());
    assert_eq!(pooled(&a), 3, "a command was under way on it");
}

#[tokio::test(start_paused = true)]
async fn idle_connections_to_an_old_master_are_closed_at_once() {
    let (a, b, sentinel, client) = cluster().await;
    let pool = client.pool().max_size(4).build().expect("a pool");
    let mut several = Vec::new();
    for _ in 0..4 {
        let mut connection = pool.get().await.expect("a connection");
        let () = connection.set("k", "v").await.expect("a write");
        several.push(connection);
    }
    drop(several);
    assert_eq!((pooled(&a), a.open()), (4, 5));
    sentinel.names(&b.address);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(a.open(), 0);
    let () = pool.get().await.expect("a connection").set("k", "v").await.expect("a write");
    assert_eq!(b.count("SET"), 1);
}

#[tokio::test(start_paused = true)]
async fn one_waits_for_a_connection_as_long_as_for_a_command() {
    let (_, _, _, client) = cluster().await;
    let pool = client.pool().max_size(1).build().expect("a pool");
    let _taken = pool.get().await.expect("a connection");
    let started = tokio::time::Instant::now();
    let error = timeout(Duration::from_secs(100), pool.get()).await.expect("it ends").expect_err("none is left");
    assert!(matches!(error, deadpool::managed::PoolError::Timeout(_)), "{error}");
    assert_eq!(started.elapsed(), Duration::from_secs(40));
}
