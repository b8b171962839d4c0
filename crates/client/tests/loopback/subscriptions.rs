//! Subscriptions that follow the master.

use std::time::Duration;

use sentinel_client::{Client, Event, Settings, Subscriber};
use tokio::time::timeout;

use crate::server::{Reaction, Server, role_replica};

async fn next(subscriber: &mut Subscriber) -> String {
    match timeout(Duration::from_secs(10), subscriber.next()).await.expect("an event") {
        Event::Message(message) => message.get_payload().expect("text"),
        Event::Lost => "lost".into(),
        Event::Ready => "ready".into(),
        Event::Refused(failure) => format!("refused: {}", failure.cause),
        other => format!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn channels_and_patterns_are_subscribed_to_again_and_the_gap_is_told() {
    let (a, b) = (Server::master().await, Server::master().await);
    let sentinel = Server::sentinel(&a.address).await;
    let client = Client::new(Settings::new([sentinel.address.clone()], "mymaster").seed(1)).expect("settings");
    let mut subscriber = client.subscriber();
    subscriber.subscribe("news").await;
    subscriber.psubscribe("p*").await;
    assert_eq!(next(&mut subscriber).await, "ready");
    subscriber.subscribe("late").await;
    assert_eq!((a.count("SUBSCRIBE late"), a.count("PSUBSCRIBE p*")), (1, 1));
    a.publish("news", "one");
    assert_eq!(next(&mut subscriber).await, "one");

    a.on("ROLE", role_replica("connected"));
    sentinel.names(&b.address);
    a.kill();
    assert_eq!(next(&mut subscriber).await, "lost");
    assert_eq!(next(&mut subscriber).await, "ready");
    assert_eq!((b.count("SUBSCRIBE late news"), b.count("PSUBSCRIBE p*")), (1, 1));
    b.publish("news", "two");
    assert_eq!(next(&mut subscriber).await, "two");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_moves_though_its_old_connection_lives() {
    let (a, b) = (Server::master().await, Server::master().await);
    let sentinel = Server::sentinel(&a.address).await;
    let client = Client::new(Settings::new([sentinel.address.clone()], "mymaster").seed(1)).expect("settings");
    let mut subscriber = client.subscriber();
    subscriber.subscribe("news").await;
    assert_eq!(next(&mut subscriber).await, "ready");
    sentinel.names(&b.address);
    assert_eq!(next(&mut subscriber).await, "lost");
    assert_eq!(next(&mut subscriber).await, "ready");
    assert_eq!(b.count("SUBSCRIBE news"), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_allowed_is_told_once() {
    let master = Server::master().await;
    let sentinel = Server::sentinel(&master.address).await;
    let client = Client::new(Settings::new([sentinel.address.clone()], "mymaster").seed(1)).expect("settings");
    let mut subscriber = client.subscriber();
    subscriber.subscribe("news").await;
    master.on("SUBSCRIBE", Reaction::say("-NOPERM No permissions to access a channel\r\n"));
    let told = next(&mut subscriber).await;
    assert_eq!(told, "refused: the node answered `NOPERM No permissions to access a channel`");
    timeout(Duration::from_secs(60), subscriber.next()).await.expect_err("once is enough");
    let tries = master.count("SUBSCRIBE");
    assert!((30..=130).contains(&tries), "it goes on trying, at a slow pace: {tries}");
    master.on("SUBSCRIBE news", Reaction::say("*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"));
    assert_eq!(next(&mut subscriber).await, "ready");
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_falls_silent_is_noticed() {
    let master = Server::master().await;
    let sentinel = Server::sentinel(&master.address).await;
    let client = Client::new(Settings::new([sentinel.address.clone()], "mymaster").seed(1)).expect("settings");
    let mut subscriber = client.subscriber();
    subscriber.subscribe("news").await;
    assert_eq!(next(&mut subscriber).await, "ready");
    timeout(Duration::from_secs(10), subscriber.next()).await.expect_err("nothing to tell");
    assert_eq!(master.count("PING"), 3);
    master.on("PING", Reaction::Hang);
    let started = tokio::time::Instant::now();
    assert_eq!(next(&mut subscriber).await, "lost");
    assert!(started.elapsed() <= Duration::from_millis(3_500), "{:?}", started.elapsed());
}
