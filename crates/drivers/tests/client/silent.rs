//! What the guideline does not speak of, and what its author has added since.

use std::net::SocketAddr;
use std::num::NonZeroU32;

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use model::fault::Answer;
use model::history::What;
use model::plan::{Cluster, Credentials};
use model::{Fault, NodeId, Target, Time};
use redis::AsyncCommands as _;
use sentinel_client::{
    Address, Ambiguous, Backoff, Client, Credentials as Login, DiscoveryError, Event, Retry, details,
};
use tokio::time::{Instant, sleep};

use crate::lab::{DIALS_A_SECOND, Lab, MASTER, QUESTION, Seen, Sight, ms, sentinel, write};

#[tokio::test(start_paused = true)]
async fn a_call_ends_by_its_budget_though_everything_is_down() {
    let lab = Lab::start().await;
    let mut master = lab.client().master().with_retry(Retry { budget: ms(2_500), ..Retry::default() });
    lab.inject(Fault::Freeze(Target::All)).await;
    let started = Instant::now();
    let failed: redis::RedisError = master.set::<_, _, ()>("key", "value").await.expect_err("nobody answers");
    assert_eq!(started.elapsed(), ms(2_500));
    assert!(!details(&failed).expect("the client's own").may_have_run);
}

/// The attempts of the classic retries are 5 s apart, also while no master is known: the third one finds the new master, and
/// without one the fourth is the last.
#[tokio::test(start_paused = true)]
async fn the_classic_retries_are_five_seconds_apart_in_a_failover() {
    for (fault, attempts) in [(Fault::Kill(MASTER), None), (Fault::Kill(Target::All), Some(4))] {
        let lab = Lab::start().await;
        let mut master = lab.client().master().with_retry(Retry::classic());
        write(&mut master).await;
        lab.inject(fault).await;
        // The loss is known by then, and a round of the search has failed.
        sleep(ms(60)).await;
        let started = Instant::now();
        let written: redis::RedisResult<()> = master.set("key", "value").await;
        let failed = written.err().map(|error| details(&error).expect("the client's own").attempts);
        assert_eq!(failed, attempts);
        let first = started.elapsed().as_millis() % 5_000;
        assert!(first < 1_000, "the first attempt ends with a round of the search: {first}");
        assert_eq!(started.elapsed().as_millis() - first, if attempts.is_some() { 15_000 } else { 10_000 });
    }
}

/// Times between rounds of the search while the Sentinels answer errors.
async fn waits(jitter: f64, seed: u64) -> Vec<u128> {
    let lab = Lab::start().await;
    lab.inject(Fault::Override { target: sentinel(1), answer: Answer::Error("ERR no".to_owned()) }).await;
    let backoff = Backoff::Exponential { first: ms(100), cap: ms(800) };
    let retry = Retry { attempts: NonZeroU32::new(7), backoff, jitter, ..Retry::default() };
    let client = Client::new(lab.settings_with(&[1]).retry(retry).seed(seed)).unwrap();
    client.discover_master("mymaster").await.expect_err("only errors");
    let asked: Vec<_> = lab.seen().into_iter().filter(|sight| sight.ran(QUESTION)).map(|sight| sight.at).collect();
    asked.windows(2).map(|pair| pair[1].since(pair[0]).as_millis()).collect()
}

#[tokio::test(start_paused = true)]
async fn waits_grow_up_to_their_cap() {
    assert_eq!(waits(0.0, 1).await, [100, 200, 400, 800, 800, 800]);
}

#[tokio::test(start_paused = true)]
async fn clients_that_fail_together_do_not_come_back_together() {
    let (one, other) = (waits(0.5, 1).await, waits(0.5, 2).await);
    assert_ne!(one, other);
    for (wait, whole) in one.iter().chain(&other).zip([100, 200, 400, 800, 800, 800].iter().cycle()) {
        assert!((whole / 2..=*whole).contains(wait), "{one:?} {other:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_whose_reply_was_lost_is_repeated_only_if_that_is_safe_or_allowed() {
    for (ambiguous, fails, runs) in [(Ambiguous::IfRepeatable, true, 1), (Ambiguous::Always, false, 2)] {
        let lab = Lab::start().await;
        let mut master = lab.client().master().with_retry(Retry { ambiguous, ..Retry::default() });
        write(&mut master).await;
        lab.inject(Fault::CutReply { target: MASTER, command: Some("INCR".to_owned()), times: 1 }).await;
        let counted: redis::RedisResult<i64> = redis::cmd("INCR").arg("counter").query_async(&mut master).await;
        assert_eq!(counted.is_err(), fails);
        if let Err(error) = counted {
            assert!(details(&error).expect("the client's own").may_have_run);
        }
        assert_eq!(lab.seen().iter().filter(|sight| sight.ran("INCR")).count(), runs);
    }
    let lab = Lab::start().await;
    let mut master = lab.client().master();
    write(&mut master).await;
    lab.inject(Fault::CutReply { target: MASTER, command: Some("SET".to_owned()), times: 1 }).await;
    write(&mut master).await;
    assert_eq!(lab.seen().iter().filter(|sight| sight.ran("SET")).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_hung_connection_is_noticed_while_nobody_uses_it() {
    let lab = Lab::start().await;
    let mut master = lab.client().master();
    write(&mut master).await;
    lab.inject(Fault::Freeze(MASTER)).await;
    lab.switched().await;
    sleep(ms(2_500)).await;
    let started = Instant::now();
    write(&mut master).await;
    assert!(started.elapsed() < ms(10), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn channels_and_patterns_are_subscribed_to_again_and_the_gap_is_told() {
    let lab = Lab::start().await;
    let client = lab.client();
    let mut subscriber = client.subscriber();
    subscriber.subscribe("news").await;
    subscriber.psubscribe("prices.*").await;
    assert!(matches!(subscriber.next().await, Event::Ready));
    lab.inject(Fault::Kill(MASTER)).await;
    assert!(matches!(subscriber.next().await, Event::Lost));
    assert!(matches!(subscriber.next().await, Event::Ready));
    let mut master = client.master();
    for channel in ["news", "prices.tea"] {
        let _: i64 = master.publish(channel, "hello").await.expect("a publication");
        let Event::Message(message) = subscriber.next().await else { panic!("no message on {channel}") };
        assert_eq!(message.get_channel_name(), channel);
    }
}

#[tokio::test(start_paused = true)]
async fn sentinels_and_data_nodes_have_their_own_credentials() {
    let lab = Lab::with(|plan| {
        plan.cluster.sentinel_auth = Some(Credentials { user: Some("watcher".into()), password: "one".into() });
        plan.cluster.groups[0].auth = Some(Credentials { user: Some("app".into()), password: "two".into() });
    })
    .await;
    let settings = lab.settings().sentinel_auth(Login::user("watcher", "one")).data_auth(Login::user("app", "two"));
    write(&mut Client::new(settings).unwrap().master()).await;
    let refused = |sight: &Sight| matches!(&sight.seen, Seen::Ran(_, Some(code)) if matches!(code.as_str(), "NOAUTH" | "WRONGPASS" | "NOPERM"));
    assert!(!lab.seen().iter().any(refused), "{:#?}", lab.seen());
}

/// The Sentinels are reached from one network and tell the addresses of it. All but the configured one are dialled in
/// another, which the record knows by the name of its client.
#[tokio::test(start_paused = true)]
async fn every_address_goes_through_the_map() {
    let lab = Lab::start().await;
    let nodes: Vec<NodeId> = (1..=3).flat_map(|number| [NodeId::data(number), NodeId::sentinel(number)]).collect();
    let pairs: Vec<(Address, Address)> = {
        let outer = lab.bed.view("outer", Cluster::DEFAULT_ZONE).expect("a network");
        let address = |addr: Option<std::net::SocketAddr>| {
            let addr = addr.expect("a node");
            Address::new(addr.ip().to_string(), addr.port())
        };
        nodes.iter().map(|node| (address(lab.bed.node_addr(*node)), address(outer.node_addr(*node)))).collect()
    };
    assert!(pairs.iter().all(|(inner, outer)| inner != outer));
    let map = move |told: &Address| {
        pairs.iter().find(|(inner, _)| inner == told).map_or_else(|| told.clone(), |(_, outer)| outer.clone())
    };
    let client = Client::new(lab.settings_with(&[1]).address_map(map)).unwrap();
    let mut master = client.master();
    write(&mut master).await;
    let _: Option<String> = client.replica().get("key").await.expect("a read");
    assert_eq!(client.discover_replicas("mymaster").await.expect("replicas").len(), 2);
    // An announcement alone tells of the new master, an inner address of it: the one Sentinel that makes it answers no
    // questions, and the others know nothing.
    lab.inject(Fault::Override { target: Target::Sentinels, answer: Answer::Error("ERR no".to_owned()) }).await;
    for number in [2, 3] {
        lab.inject(Fault::Override { target: sentinel(number), answer: Answer::NoSwitchEvent }).await;
    }
    lab.inject(Fault::Kill(MASTER)).await;
    write(&mut master).await;
    let dialled = |network: &str| -> std::collections::BTreeSet<NodeId> {
        lab.bed.history(|history| {
            let opened = history.records.iter().filter_map(|record| match &record.what {
                What::Opened { node, client, .. } if client.to_string() == network => Some(*node),
                _ => None,
            });
            opened.collect()
        })
    };
    assert_eq!(dialled("client").into_iter().collect::<Vec<_>>(), [NodeId::sentinel(1)]);
    let outer = dialled("outer");
    assert!(nodes.iter().filter(|node| **node != NodeId::sentinel(1)).all(|node| outer.contains(node)), "{outer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_the_sentinels_see_down_is_not_dialled() {
    let lab = Lab::start().await;
    lab.inject(Fault::Freeze(Target::Node(NodeId::data(2)))).await;
    sleep(ms(8_000)).await;
    let now = lab.now().await;
    for seed in 0..8 {
        let client = Client::new(lab.settings().seed(seed)).unwrap();
        let _: Option<String> = client.replica().get("key").await.expect("a read");
    }
    let dials: Vec<NodeId> =
        lab.seen_since(now).iter().filter(|sight| sight.dials_data()).map(|sight| sight.node).collect();
    assert_eq!(dials, [NodeId::data(3); 8]);
}

#[tokio::test(start_paused = true)]
async fn a_name_unknown_to_some_and_others_silent_is_told_as_both() {
    let lab = Lab::start().await;
    lab.inject(Fault::Kill(sentinel(1))).await;
    let retry = Retry { attempts: NonZeroU32::new(1), ..Retry::default() };
    let client = Client::new(lab.settings().retry(retry)).unwrap();
    let failed = client.discover_master("mistyped").await.expect_err("no such name");
    assert!(
        matches!(&failed, DiscoveryError::UnknownMaster { answered: 2, silent, .. } if silent.len() == 1),
        "{failed}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_master_that_answers_readonly_is_left_and_the_command_repeated() {
    let lab = Lab::start().await;
    let mut master = lab.quiet_client().master();
    write(&mut master).await;
    let old = lab.inject(Fault::Demote(MASTER)).await;
    write(&mut master).await;
    let seen = lab.seen();
    let refused = |sight: &&Sight| matches!(&sight.seen, Seen::Ran(_, Some(code)) if code == "READONLY");
    assert_eq!(seen.iter().filter(refused).count(), 1);
    let last = seen.iter().rev().find(|sight| sight.ran("SET")).expect("a write");
    assert_ne!(last.node, old);
}

#[tokio::test(start_paused = true)]
async fn one_sentinel_that_lies_or_is_behind_moves_no_good_connection() {
    let lies = Answer::WrongAddress(Target::Node(NodeId::data(3)));
    for answer in [lies, Answer::Stale] {
        let lab = Lab::start().await;
        let mut master = lab.client().master();
        write(&mut master).await;
        lab.inject(Fault::Override { target: sentinel(1), answer }).await;
        let now = lab.now().await;
        for _ in 0..50 {
            write(&mut master).await;
            sleep(ms(100)).await;
        }
        assert!(lab.seen_since(now).iter().all(|sight| !sight.dials_data()));
    }
}

/// The old master stays writable for about ten seconds, and what is written to it is lost. Nothing is sent to it once the
/// announcement of the new one has arrived at the client, which is when it arrives at anybody who listens as it does.
#[tokio::test(start_paused = true)]
async fn after_the_first_announcement_nothing_is_written_to_the_old_master() {
    for seed in 1..=8 {
        let lab = Lab::seeded(seed, |_| {}).await;
        let old = lab.master();
        let mut master = lab.client().master();
        write(&mut master).await;
        let arrived = std::cell::Cell::new(None);
        let listeners: Vec<SocketAddr> =
            lab.bed.view("listener", Cluster::DEFAULT_ZONE).expect("a view").sentinel_addrs();
        let listening = join_all(listeners.into_iter().map(async |sentinel| {
            let client = redis::Client::open(format!("redis://{sentinel}")).expect("a url");
            let mut announcements = client.get_async_pubsub().await.expect("a connection");
            announcements.subscribe(&["+switch-master", "+promoted-slave"]).await.expect("a subscription");
            announcements.into_on_message().next().await.expect("an announcement");
            if arrived.get().is_none() {
                arrived.set(Some(lab.bed.now()));
            }
        }));
        let writing = async {
            loop {
                write(&mut master).await;
                sleep(ms(1)).await;
            }
        };
        let failing = async {
            sleep(ms(100)).await;
            lab.inject(Fault::Failover { via: None, master: None }).await;
            sleep(ms(4_000)).await;
        };
        tokio::select! {
            biased;
            _ = async { tokio::join!(listening, std::future::pending::<()>()) } => {}
            () = writing => {}
            () = failing => {}
        }
        let arrived = arrived.get().expect("an announcement");
        let written = |on_old: bool| -> Vec<Time> {
            let by_client = lab.seen_of("client");
            let writes = by_client.iter().filter(|sight| sight.ran("SET") && (sight.node == old) == on_old);
            writes.map(|sight| sight.at).collect()
        };
        let (late, first_on_new) = (written(true).into_iter().filter(|at| *at > arrived).count(), written(false)[0]);
        assert_eq!(late, 0, "seed {seed}: the announcement came at {arrived}");
        // It was writing when the announcement came, and goes on where it leads, after the random wait of up to 50 ms before it
        // dials.
        let last_on_old = *written(true).last().expect("a write");
        assert!(arrived.since(last_on_old) <= ms(1), "seed {seed}: {last_on_old} {arrived}");
        assert!(first_on_new.since(arrived) <= ms(60), "seed {seed}: {first_on_new} {arrived}");
    }
}

/// A demotion by hand leaves the cluster without a master until the Sentinels repair it, and the replicas out of sync.
#[tokio::test(start_paused = true)]
async fn readers_of_a_cluster_without_a_master_dial_at_a_slow_pace() {
    let lab = Lab::start().await;
    let client = lab.client();
    let mut replica = client.replica().with_retry(Retry { budget: ms(2_000), ..Retry::default() });
    let _: Option<String> = replica.get("key").await.expect("a read");
    let now = lab.now().await;
    lab.inject(Fault::Demote(MASTER)).await;
    for _ in 0..400 {
        let _: redis::RedisResult<Option<String>> = replica.get("key").await;
        sleep(ms(100)).await;
    }
    assert!(lab.most_dials(now) <= DIALS_A_SECOND, "{}", lab.most_dials(now));
}
