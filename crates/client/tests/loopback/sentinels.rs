//! Sentinels that come, go, fall silent, announce what is not meant for this client, or go by two addresses. In paused time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::AsyncCommands as _;
use sentinel_client::{Address, Client, Metrics, Peer, Settings};
use tokio::time::{Instant, sleep};

use crate::server::{Reaction, Server, array};

/// How a question for the master begins.
const ASKED: &str = "SENTINEL GET-MASTER-ADDR-BY-NAME";

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Two masters and a Sentinel that names the first.
async fn cluster() -> (Server, Server, Server) {
    let (a, b) = (Server::master().await, Server::master().await);
    a.on("GET", Reaction::say(":1\r\n"));
    b.on("GET", Reaction::say(":2\r\n"));
    let sentinel = Server::sentinel(&a.address).await;
    (a, b, sentinel)
}

/// A client that looks at nothing by itself for an hour.
fn quiet(sentinels: &[&Server]) -> Settings {
    let addresses = sentinels.iter().map(|sentinel| sentinel.address.clone());
    Settings::new(addresses, "mymaster").seed(1).check_interval(ms(3_600_000))
}

/// Has `teller` tell of these other Sentinels, each with a run id.
fn tells(teller: &Server, others: &[(&Address, &str)]) {
    let entry = |(address, id): &(&Address, &str)| {
        array(&["ip", address.host(), "port", &address.port().to_string(), "runid", id])
    };
    let entries: String = others.iter().map(entry).collect();
    teller.on("SENTINEL SENTINELS", Reaction::say(format!("*{}\r\n{entries}", others.len())));
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_other_masters_is_ignored() {
    let (a, b, sentinel) = cluster().await;
    let mut master = Client::new(quiet(&[&sentinel])).expect("settings").master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    sleep(ms(1_000)).await;
    sentinel.names(&b.address);
    let asked = sentinel.count(ASKED);
    let switch = |name: &str| {
        let (from, to) = (&a.address, &b.address);
        let payload = format!("{name} {} {} {} {}", from.host(), from.port(), to.host(), to.port());
        sentinel.publish("+switch-master", &payload);
    };
    switch("other");
    sleep(ms(1_000)).await;
    assert_eq!((master.get::<_, i64>("k").await, sentinel.count(ASKED)), (Ok(1), asked));
    switch("mymaster");
    sleep(ms(1_000)).await;
    assert_eq!(master.get::<_, i64>("k").await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_silent_subscription_is_made_again_and_the_sentinel_asked_what_was_missed() {
    let (_a, b, sentinel) = cluster().await;
    let mut master = Client::new(quiet(&[&sentinel])).expect("settings").master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    // It answers a test every 12 s.
    sleep(ms(40_000)).await;
    assert_eq!((sentinel.count("PING"), sentinel.count("SUBSCRIBE")), (3, 1));
    sentinel.names(&b.address);
    sentinel.on("PING", Reaction::Hang);
    let fell_silent = Instant::now();
    while sentinel.count("SUBSCRIBE") < 2 && fell_silent.elapsed() < ms(60_000) {
        sleep(ms(10)).await;
    }
    // Twelve seconds to the next test, half a second for its answer, up to 50 ms before the next try.
    assert!(fell_silent.elapsed() <= ms(12_570), "{:?}", fell_silent.elapsed());
    sleep(ms(100)).await;
    assert_eq!(master.get::<_, i64>("k").await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_sentinel_is_asked_after_each_resubscription() {
    let (_a, b, sentinel) = cluster().await;
    let mut master = Client::new(quiet(&[&sentinel])).expect("settings").master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    sleep(ms(1_000)).await;
    for _ in 0..3 {
        let asked = sentinel.count(ASKED);
        sentinel.kill();
        sleep(ms(1_000)).await;
        assert!(sentinel.count(ASKED) > asked);
    }
    // The announcement is lost with the subscription.
    sentinel.names(&b.address);
    sentinel.kill();
    sleep(ms(1_000)).await;
    assert_eq!(master.get::<_, i64>("k").await, Ok(2));
}

/// When a client dials its Sentinel.
#[derive(Default)]
struct Dials(Mutex<Vec<Instant>>);

impl Metrics for Dials {
    fn connection_opened(&self, peer: Peer, _: &Address) {
        if peer == Peer::Sentinel {
            self.0.lock().unwrap().push(Instant::now());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn waits_in_the_background_grow_and_are_left_to_chance_in_part() {
    let mut all = Vec::new();
    for seed in [1, 2] {
        let (_a, _b, sentinel) = cluster().await;
        sentinel.on("SUBSCRIBE", Reaction::Close);
        let dials = Arc::new(Dials::default());
        let settings = quiet(&[&sentinel]).seed(seed).metrics(dials.clone());
        let mut master = Client::new(settings).expect("settings").master();
        assert_eq!(master.get::<_, i64>("k").await, Ok(1));
        sleep(ms(10_000)).await;
        // The first two are for the first question and the first subscription.
        let at = dials.0.lock().unwrap()[1..].to_vec();
        let waits: Vec<u128> = at.windows(2).map(|pair| (pair[1] - pair[0]).as_millis()).collect();
        for (wait, whole) in waits.iter().zip([50, 100, 200, 400, 800, 1_000, 1_000, 1_000]) {
            assert!((whole / 2..=whole + 1).contains(wait), "{waits:?}");
        }
        assert!(waits.len() > 8);
        all.push(waits);
    }
    assert_ne!(all[0], all[1]);
}

#[tokio::test(start_paused = true)]
async fn connections_to_a_sentinel_that_is_gone_from_the_list_are_closed() {
    let (a, _b, sentinel) = cluster().await;
    let (second, third) = (Server::sentinel(&a.address).await, Server::sentinel(&a.address).await);
    tells(&sentinel, &[(&second.address, "")]);
    let settings = Settings::new([sentinel.address.clone()], "mymaster").seed(1);
    let mut master = Client::new(settings).expect("settings").master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    sleep(ms(5_000)).await;
    assert_eq!((second.open(), third.open()), (2, 0), "one to ask, one to listen");
    tells(&sentinel, &[(&third.address, "")]);
    a.kill();
    sleep(ms(5_000)).await;
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    assert_eq!((second.open(), third.open()), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_sentinel_that_is_configured_by_name_and_told_of_by_address_is_one() {
    let (a, b, one) = cluster().await;
    let (two, three) = (Server::sentinel(&a.address).await, Server::sentinel(&a.address).await);
    let ids = ["1", "2", "3"].map(|digit| digit.repeat(40));
    let all = [&one, &two, &three];
    for (index, sentinel) in all.iter().enumerate() {
        sentinel.on("SENTINEL MYID", Reaction::say(format!("+{}\r\n", ids[index])));
        let others: Vec<(&Address, &str)> =
            (0..3).filter(|other| *other != index).map(|other| (&all[other].address, ids[other].as_str())).collect();
        tells(sentinel, &others);
    }
    let names = all.map(|sentinel| Address::new("localhost", sentinel.address.port()));
    let mut master = Client::new(Settings::new(names, "mymaster").seed(1)).expect("settings").master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    sleep(ms(10_000)).await;
    let before = all.map(|sentinel| sentinel.count(ASKED));
    sleep(ms(10_000)).await;
    for (sentinel, before) in all.iter().zip(before) {
        let asked = sentinel.count(ASKED) - before;
        assert!((3..=4).contains(&asked), "asked in every third check, of which there is one a second: {asked}");
        assert_eq!(sentinel.open(), 2, "one to ask, one to listen");
    }
    // The first is behind. Two of three are a majority, as two of five are not.
    for sentinel in [&two, &three] {
        sentinel.names(&b.address);
    }
    sleep(ms(2_500)).await;
    assert_eq!(master.get::<_, i64>("k").await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn sentinels_and_nodes_at_ipv6_addresses() {
    let (a, b) = (Server::at("::1").await, Server::at("::1").await);
    let sentinel = Server::at("::1").await;
    for (server, value) in [(&a, ":1\r\n"), (&b, ":2\r\n")] {
        server.on("ROLE", crate::server::role_master());
        server.on("GET", Reaction::say(value));
    }
    tells(&sentinel, &[]);
    sentinel.names(&a.address);
    let url = format!("redis-sentinel://{}/mymaster?seed=1", sentinel.address);
    assert!(url.contains("[::1]:"), "{url}");
    let client = Client::open(&url).expect("a url");
    let mut master = client.master();
    assert_eq!(master.get::<_, i64>("k").await, Ok(1));
    sleep(ms(100)).await;
    sentinel.names(&b.address);
    let (from, to) = (&a.address, &b.address);
    sentinel
        .publish("+switch-master", &format!("mymaster {} {} {} {}", from.host(), from.port(), to.host(), to.port()));
    sleep(ms(100)).await;
    assert_eq!(master.get::<_, i64>("k").await, Ok(2));
    assert_eq!(client.discover_master("mymaster").await, Ok(b.address.clone()));
}
