//! The clauses of the guideline, in its order.

use std::collections::BTreeSet;

use model::fault::Answer;
use model::history::ClosedBy;
use model::plan::Group;
use model::{Fault, NodeId, Target};
use redis::AsyncCommands as _;
use sentinel_client::{Address, Backoff, Client, DiscoveryError, Event, Retry};
use tokio::time::{Instant, sleep};

use crate::lab::{Lab, MASTER, QUESTION, Seen, Sight, ms, sentinel, write};

fn override_of(target: Target, answer: Answer) -> Fault {
    Fault::Override { target, answer }
}

fn error() -> Answer {
    Answer::Error("ERR out of order".to_owned())
}

/// One round of the search, and no more.
fn once() -> Retry {
    Retry { attempts: std::num::NonZeroU32::new(1), ..Retry::default() }
}

/// The node at an address that the client was given.
fn node_at(lab: &Lab, address: &Address) -> Option<NodeId> {
    (1..=3).map(NodeId::data).find(|node| {
        let addr = lab.bed.node_addr(*node).expect("an address");
        addr.ip().to_string() == address.host() && addr.port() == address.port()
    })
}

#[tokio::test(start_paused = true)]
async fn clause_01_a_list_of_sentinels_and_a_name_are_all_that_is_needed() {
    for alive in 1..=3 {
        let lab = Lab::start().await;
        for number in (1..=3).filter(|number| *number != alive) {
            lab.inject(Fault::Kill(sentinel(number))).await;
        }
        write(&mut lab.client().master()).await;
        let seen = lab.seen();
        let question = seen.iter().position(|sight| sight.node == NodeId::sentinel(alive) && sight.ran(QUESTION));
        let written = seen.iter().position(|sight| sight.node == NodeId::data(1) && sight.ran("SET"));
        assert!(question.is_some() && question < written, "{seen:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn clause_02_the_list_is_walked() {
    let lab = Lab::start().await;
    for number in [1, 2] {
        lab.inject(override_of(sentinel(number), error())).await;
    }
    let found = lab.client().discover_master("mymaster").await.expect("the third one answers");
    assert_eq!(node_at(&lab, &found), Some(lab.master()));
    assert_eq!(lab.asked_since(model::Time::ZERO), [1, 2, 3].map(NodeId::sentinel));
}

#[tokio::test(start_paused = true)]
async fn clause_03_connecting_to_a_sentinel_takes_a_few_hundred_milliseconds_at_most() {
    let lab = Lab::start().await;
    lab.inject(Fault::Unreachable(Target::Sentinels)).await;
    let client = Client::new(lab.settings().retry(once())).unwrap();
    let started = Instant::now();
    client.discover_master("mymaster").await.expect_err("nobody can be reached");
    // The last one is dialled 160 ms after the first, and each given 200 ms.
    assert_eq!(started.elapsed(), ms(360));
}

#[tokio::test(start_paused = true)]
async fn clause_04_after_an_error_or_a_time_out_the_next_one_is_asked() {
    let lab = Lab::start().await;
    lab.inject(override_of(sentinel(1), Answer::Hang)).await;
    lab.inject(override_of(sentinel(2), error())).await;
    let started = lab.bed.now();
    let found = lab.client().discover_master("mymaster").await.expect("the third one answers");
    assert_eq!(node_at(&lab, &found), Some(lab.master()));
    // The first keeps silent, and is waited for 80 ms. The second errs, and is not waited for.
    let seen = lab.seen();
    assert!(seen.iter().any(|sight| sight.node == NodeId::sentinel(1) && sight.at == started), "{seen:#?}");
    let asked = seen.iter().filter(|sight| sight.ran(QUESTION)).map(|sight| (sight.node, sight.at.since(started)));
    assert_eq!(asked.collect::<Vec<_>>(), [2, 3].map(|number| (NodeId::sentinel(number), ms(80))));
}

#[tokio::test(start_paused = true)]
async fn clause_05_when_all_have_failed_there_is_an_error() {
    for answers in [false, true] {
        let lab = Lab::start().await;
        let fault = if answers { override_of(Target::Sentinels, error()) } else { Fault::Kill(Target::Sentinels) };
        lab.inject(fault).await;
        let client = Client::new(lab.settings().retry(once())).unwrap();
        let failed = client.discover_master("mymaster").await.expect_err("nobody knows");
        let DiscoveryError::Unreachable { sentinels } = failed else { panic!("{failed}") };
        assert_eq!(sentinels.len(), 3);
        assert_eq!(lab.asked_since(model::Time::ZERO).len(), if answers { 3 } else { 0 });
        assert!(lab.seen().iter().all(|sight| !sight.dials_data()));
    }
}

#[tokio::test(start_paused = true)]
async fn clause_06_the_one_that_answered_is_asked_first_the_next_time() {
    let lab = Lab::start().await;
    for number in [1, 2] {
        lab.inject(override_of(sentinel(number), error())).await;
    }
    let client = lab.client();
    client.discover_master("mymaster").await.expect("the third one answers");
    let now = lab.now().await;
    client.discover_master("mymaster").await.expect("it still does");
    assert_eq!(lab.asked_since(now), [NodeId::sentinel(3)]);
}

#[tokio::test(start_paused = true)]
async fn clause_07_the_question_is_for_the_users_name() {
    let lab = Lab::with(|plan| plan.cluster.groups.push(Group::new("cache"))).await;
    write(&mut lab.client().master_for("cache")).await;
    let seen = lab.seen();
    assert!(seen.iter().any(|sight| sight.ran(QUESTION)));
    assert!(seen.iter().all(|sight| !sight.ran("SENTINEL MASTERS")));
    let wrote: Vec<NodeId> = seen.iter().filter(|sight| sight.ran("SET")).map(|sight| sight.node).collect();
    assert_eq!(wrote, [NodeId::data(4)]);
}

#[tokio::test(start_paused = true)]
async fn clause_08_the_address_in_the_answer_is_connected_to() {
    let lab = Lab::start().await;
    let first = lab.master();
    // Not the node that a master would be by default.
    lab.inject(Fault::Failover { via: None, master: None }).await;
    lab.switched().await;
    sleep(ms(15_000)).await;
    assert_ne!(lab.master(), first);
    let found = lab.client().discover_master("mymaster").await.expect("a master");
    assert_eq!(node_at(&lab, &found), Some(lab.master()));
    lab.asked_before_each_connection(model::Time::ZERO);
    let dials: Vec<NodeId> = lab.seen().iter().filter(|sight| sight.dials_data()).map(|sight| sight.node).collect();
    assert_eq!(dials, [lab.master()]);
}

#[tokio::test(start_paused = true)]
async fn clause_09_after_a_null_reply_the_next_one_is_asked() {
    let lab = Lab::start().await;
    lab.inject(override_of(sentinel(1), Answer::Null)).await;
    lab.client().discover_master("mymaster").await.expect("the second one answers");
    assert_eq!(lab.asked_since(model::Time::ZERO), [1, 2].map(NodeId::sentinel));
}

#[tokio::test(start_paused = true)]
async fn clause_10_a_master_is_asked_for_its_role_before_anything_is_sent_to_it() {
    let lab = Lab::start().await;
    let client = lab.client();
    write(&mut client.master()).await;
    let _: () = client.dedicated().set("key", "value").await.expect("a write");
    let seen = lab.seen();
    let writes: Vec<&Sight> = seen.iter().filter(|sight| sight.ran("SET")).collect();
    assert_eq!(writes.len(), 2);
    for write in writes {
        let role = seen.iter().position(|sight| sight.conn == write.conn && sight.ran("ROLE"));
        let set = seen.iter().position(|sight| sight.conn == write.conn && sight.ran("SET"));
        assert!(role.is_some() && role < set, "{seen:#?}");
        let refused = matches!(&seen[role.unwrap()].seen, Seen::Ran(_, Some(_)));
        assert!(!refused, "{seen:#?}");
    }
}

/// `INFO` stands in for `ROLE` at servers older than 2.8.12. The client does not support those.
#[tokio::test(start_paused = true)]
async fn clause_11_the_role_is_asked_for_by_role_and_not_by_info() {
    let lab = Lab::start().await;
    let client = lab.client();
    let mut master = client.master();
    write(&mut master).await;
    let _: () = client.dedicated().set("key", "value").await.expect("a write");
    let _: Option<String> = client.replica().get("key").await.expect("a read");
    sleep(ms(3_000)).await;
    let asks_info = |sight: &Sight| matches!(&sight.seen, Seen::Ran(command, _) if command.starts_with("INFO"));
    let seen = lab.seen();
    // What is said on each connection to a data node, apart from the greeting.
    let conns: Vec<u64> = seen.iter().filter(|sight| sight.dials_data()).map(|sight| sight.conn).collect();
    assert_eq!(conns.len(), 3);
    for conn in conns {
        let mut said = seen.iter().filter(|sight| sight.conn == conn).filter_map(|sight| match &sight.seen {
            Seen::Ran(command, _) if !command.starts_with("CLIENT") => Some(command.as_str()),
            _ => None,
        });
        assert_eq!(said.next(), Some("ROLE"), "{seen:#?}");
    }
    assert!(!seen.iter().any(asks_info), "{seen:#?}");
    // The record would show it.
    let _: String = redis::cmd("INFO").arg("replication").query_async(&mut master).await.expect("information");
    assert!(lab.seen().iter().any(asks_info));
}

/// Sentinels that name a replica for two seconds, and the client that asks them.
async fn misled() -> (Lab, Vec<Sight>) {
    let lab = Lab::start().await;
    let wrong = Answer::WrongAddress(Target::Node(NodeId::data(2)));
    lab.bed.inject_lasting(override_of(Target::Sentinels, wrong), ms(2_000)).await.expect("sentinels");
    write(&mut lab.client().master()).await;
    let seen = lab.seen();
    (lab, seen)
}

#[tokio::test(start_paused = true)]
async fn clause_12_after_a_wrong_role_it_waits_a_few_hundred_milliseconds() {
    let (_lab, seen) = misled().await;
    let dials: Vec<_> = seen.iter().filter(|sight| sight.dials_data() && sight.node == NodeId::data(2)).collect();
    assert!(dials.len() >= 4, "{}", dials.len());
    for pair in dials.windows(2) {
        let wait = pair[1].at.since(pair[0].at);
        assert_eq!(wait, ms(250));
    }
}

#[tokio::test(start_paused = true)]
async fn clause_13_and_then_begins_from_the_start() {
    let (lab, seen) = misled().await;
    let dials: Vec<usize> = (0..seen.len()).filter(|index| seen[*index].dials_data()).collect();
    for pair in dials.windows(2) {
        assert!(seen[pair[0]..pair[1]].iter().any(|sight| sight.ran(QUESTION)), "{seen:#?}");
    }
    let wrote = seen.iter().rev().find(|sight| sight.ran("SET")).expect("a write");
    assert_eq!(wrote.node, lab.master());
}

#[tokio::test(start_paused = true)]
async fn clause_14_every_reconnection_begins_at_a_sentinel() {
    let lab = Lab::start().await;
    let mut master = lab.quiet_client().master();
    for _ in 0..3 {
        write(&mut master).await;
        let now = lab.now().await;
        lab.inject(Fault::Cut(MASTER)).await;
        sleep(ms(10)).await;
        write(&mut master).await;
        lab.asked_before_each_connection(now);
        sleep(ms(500)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn clause_15_also_after_a_time_out() {
    let lab = Lab::start().await;
    let mut master = lab.quiet_client().master();
    write(&mut master).await;
    lab.bed.inject_lasting(Fault::Hang(MASTER), ms(1_000)).await.expect("a master");
    let now = lab.now().await;
    let started = lab.bed.now();
    write(&mut master).await;
    lab.asked_before_each_connection(now);
    let asked = lab.seen_since(now).iter().find(|sight| sight.ran(QUESTION)).expect("a question").at;
    // The client's own wait before it searches for what it lost, up to 50 ms, is left to its seed.
    assert_eq!(asked.since(started), ms(500) + ms(24));
}

#[tokio::test(start_paused = true)]
async fn clause_16_also_after_the_user_has_closed_the_connection() {
    let lab = Lab::start().await;
    // The client keeps its connections, so it is the client that the user closes.
    write(&mut lab.quiet_client().master()).await;
    sleep(ms(50)).await;
    let now = lab.now().await;
    assert!(lab.seen().iter().any(|sight| sight.seen == Seen::Closed(ClosedBy::Client) && !sight.node.is_sentinel()));
    write(&mut lab.quiet_client().master()).await;
    lab.asked_before_each_connection(now);
}

#[tokio::test(start_paused = true)]
async fn clause_17_also_after_any_other_loss() {
    let lab = Lab::start().await;
    let mut master = lab.quiet_client().master();
    write(&mut master).await;
    let node = lab.inject(Fault::Kill(MASTER)).await;
    let now = lab.now().await;
    sleep(ms(500)).await;
    lab.inject(Fault::Restart(Target::Node(node))).await;
    write(&mut master).await;
    lab.asked_before_each_connection(now);
}

#[tokio::test(start_paused = true)]
async fn clause_18_a_client_kill_is_a_reason_to_ask_again() {
    let lab = Lab::start().await;
    // Nothing but the closed connections can tell.
    let client = lab.quiet_client();
    let (mut master, mut replica) = (client.master(), client.replica());
    write(&mut master).await;
    let _: Option<String> = replica.get("key").await.expect("a read");
    let question_of = [(MASTER, QUESTION), (Target::Replicas(None), "SENTINEL SLAVES")];
    for (target, question) in question_of {
        let now = lab.now().await;
        lab.inject(Fault::ClientKill(target)).await;
        write(&mut master).await;
        let _: Option<String> = replica.get("key").await.expect("a read");
        let seen = lab.seen_since(now);
        let killed = seen.iter().position(|sight| sight.seen == Seen::Closed(ClosedBy::Node)).expect("a kill");
        let dialled = seen.iter().position(Sight::dials_data).expect("a connection");
        assert!(killed < dialled, "{seen:#?}");
        assert!(seen[killed..dialled].iter().any(|sight| sight.ran(question)), "{seen:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn clause_19_a_failed_check_of_the_role_unmasks_a_stale_sentinel() {
    let lab = Lab::start().await;
    let old = lab.master();
    lab.inject(override_of(sentinel(1), Answer::Stale)).await;
    lab.inject(Fault::Failover { via: Some(sentinel(2)), master: None }).await;
    lab.switched().await;
    sleep(ms(15_000)).await;
    let mut master = lab.client().master();
    write(&mut master).await;
    let seen = lab.seen();
    let wrote: Vec<NodeId> = seen.iter().filter(|sight| sight.ran("SET")).map(|sight| sight.node).collect();
    assert_eq!(wrote, [lab.master()]);
    // It believed the stale one, met a replica there, and began again at another.
    let asked = |number| seen.iter().position(|sight| sight.node == NodeId::sentinel(number) && sight.ran(QUESTION));
    let unmasked = seen.iter().position(|sight| sight.node == old && sight.ran("ROLE")).expect("a check of the role");
    assert!(asked(1).is_some_and(|asked| asked < unmasked), "{seen:#?}");
    assert!(asked(2).is_some_and(|asked| asked > unmasked), "{seen:#?}");
}

#[tokio::test(start_paused = true)]
async fn clause_20_a_stale_master_named_by_stale_sentinels_is_left_when_it_is_demoted() {
    let lab = Lab::start().await;
    let old = lab.master();
    let stale = override_of(Target::Sentinels, Answer::Stale);
    lab.bed.inject_lasting(stale, ms(20_000)).await.expect("sentinels");
    lab.inject(override_of(Target::Sentinels, Answer::NoSwitchEvent)).await;
    let mut master = lab.client().master();
    lab.inject(Fault::Failover { via: None, master: None }).await;
    write(&mut master).await;
    sleep(ms(30_000)).await;
    assert_ne!(lab.master(), old);
    write(&mut master).await;
    let seen = lab.seen();
    let wrote: Vec<NodeId> = seen.iter().filter(|sight| sight.ran("SET")).map(|sight| sight.node).collect();
    assert_eq!(wrote, [old, lab.master()]);
}

#[tokio::test(start_paused = true)]
async fn clause_21_replicas_are_those_that_a_sentinel_lists() {
    let lab = Lab::start().await;
    let found = lab.client().discover_replicas("mymaster").await.expect("replicas");
    let mut nodes: Vec<NodeId> = found.iter().filter_map(|address| node_at(&lab, address)).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, [2, 3].map(NodeId::data));
    let seen = lab.seen();
    let listed = seen.iter().position(|sight| sight.ran("SENTINEL SLAVES")).expect("a question");
    let dials: Vec<usize> = (0..seen.len()).filter(|index| seen[*index].dials_data()).collect();
    assert!(dials.len() == 2 && dials.iter().all(|dial| *dial > listed), "{seen:#?}");
}

#[tokio::test(start_paused = true)]
async fn clause_22_a_replica_is_asked_for_its_role_before_anything_is_sent_to_it() {
    let lab = Lab::start().await;
    let _: Option<String> = lab.client().replica().get("key").await.expect("a read");
    let seen = lab.seen();
    let get = seen.iter().position(|sight| sight.ran("GET")).expect("a read");
    assert_ne!(seen[get].node, lab.master());
    assert!(seen[..get].iter().any(|sight| sight.conn == seen[get].conn && sight.ran("ROLE")), "{seen:#?}");
}

#[tokio::test(start_paused = true)]
async fn clause_23_of_many_connections_each_asks_before_it_reconnects() {
    let lab = Lab::start().await;
    // No wait in which a question might come by chance.
    let at_once = Retry { backoff: Backoff::Fixed(ms(0)), ..Retry::default() };
    let client = Client::new(lab.settings().check_interval(ms(3_600_000)).retry(at_once)).unwrap();
    let pool = client.pool().max_size(3).build().expect("a pool");
    let mut several = Vec::new();
    for _ in 0..3 {
        several.push(pool.get().await.expect("a connection"));
    }
    for connection in &mut several {
        let _: () = connection.set("key", "value").await.expect("a write");
    }
    for connection in &mut several {
        let now = lab.now().await;
        // This one alone loses its connection. The others, and the one that all calls share, live on.
        lab.inject(Fault::CutReply { target: MASTER, command: Some("GET".to_owned()), times: 1 }).await;
        let value: String = connection.get("key").await.expect("a read");
        assert_eq!(value, "value");
        lab.asked_before_each_connection(now);
        let dials = lab.seen_since(now).iter().filter(|sight| sight.dials_data()).count();
        assert_eq!(dials, 1, "{:#?}", lab.seen_since(now));
    }
}

#[tokio::test(start_paused = true)]
async fn clause_23_a_subscription_too_asks_before_it_reconnects() {
    let lab = Lab::start().await;
    let client = lab.quiet_client();
    let (mut master, mut subscriber) = (client.master(), client.subscriber());
    write(&mut master).await;
    subscriber.subscribe("news").await;
    assert!(matches!(subscriber.next().await, Event::Ready));
    let now = lab.now().await;
    let mut admin = client.dedicated();
    let kill = redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub").to_owned();
    let killed: i64 = kill.query_async(&mut admin).await.expect("a kill");
    assert!(killed >= 1);
    let dialled = lab.now().await;
    assert!(matches!(subscriber.next().await, Event::Lost));
    assert!(matches!(subscriber.next().await, Event::Ready));
    assert!(lab.seen_since(now).iter().any(Sight::loses_data));
    lab.asked_before_each_connection(dialled);
}

#[tokio::test(start_paused = true)]
async fn clause_24_when_the_address_changes_every_connection_to_the_old_one_is_closed() {
    let lab = Lab::start().await;
    let old = lab.master();
    let client = lab.client();
    let mut shared = client.master();
    write(&mut shared).await;
    let mut several: Vec<_> = (0..3).map(|_| client.dedicated()).collect();
    for connection in &mut several {
        let _: () = connection.set("key", "value").await.expect("a write");
    }
    // The old master closes nothing by itself.
    lab.inject(Fault::KeepClients(MASTER)).await;
    lab.inject(Fault::Failover { via: None, master: None }).await;
    lab.switched().await;
    sleep(ms(100)).await;
    // All at once, also those that nobody uses.
    let closed = |lab: &Lab| {
        let gone = |sight: &&Sight| sight.node == old && sight.seen == Seen::Closed(ClosedBy::Client);
        lab.seen().iter().filter(gone).count()
    };
    assert_eq!(closed(&lab), 4);
    write(&mut shared).await;
    for connection in &mut several {
        let _: () = connection.set("key", "value").await.expect("a write");
    }
    sleep(ms(100)).await;
    let seen = lab.seen();
    let opened = seen.iter().filter(|sight| sight.node == old && sight.seen == Seen::Opened).count();
    let anew = seen.iter().filter(|sight| sight.node == lab.master() && sight.dials_data()).count();
    assert_eq!((opened, closed(&lab), anew), (4, 4, 4));
    let refused = seen.iter().filter(|sight| matches!(&sight.seen, Seen::Ran(_, Some(code)) if code == "READONLY"));
    assert_eq!(refused.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn clause_25_that_no_sentinel_can_be_reached_is_said() {
    let lab = Lab::start().await;
    lab.inject(Fault::Kill(Target::Sentinels)).await;
    let client = Client::new(lab.settings().retry(once())).unwrap();
    let failed: redis::RedisError = client.master().set::<_, _, ()>("key", "value").await.expect_err("nobody");
    assert!(failed.to_string().contains("no sentinel gave a usable answer"), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn clause_26_that_the_name_is_unknown_is_said() {
    let lab = Lab::start().await;
    let client = Client::new(lab.settings().retry(once())).unwrap();
    let failed = client.discover_master("mistyped").await.expect_err("no such name");
    assert_eq!(failed.to_string(), "no sentinel knows a master called `mistyped` (3 answered)");
}

#[tokio::test(start_paused = true)]
async fn clause_27_the_list_of_sentinels_is_refreshed_after_an_answer() {
    let lab = Lab::start().await;
    let client = Client::new(lab.settings_with(&[1])).unwrap();
    let mut master = client.master();
    write(&mut master).await;
    assert!(lab.seen().iter().any(|sight| sight.ran("SENTINEL SENTINELS")));
    // The only one that was configured is gone, and the master too.
    lab.inject(Fault::Kill(sentinel(1))).await;
    lab.inject(Fault::Kill(MASTER)).await;
    lab.switched().await;
    write(&mut master).await;
}

/// Nothing else gives the client a reason to ask: its connection stands the whole time.
#[tokio::test(start_paused = true)]
async fn clause_27_also_while_the_connection_stands() {
    let lab = Lab::start().await;
    let mut master = lab.client().master();
    write(&mut master).await;
    for number in 1..=3 {
        let to = std::net::Ipv4Addr::new(10, 128, 1, number as u8).into();
        lab.inject(Fault::Move { target: sentinel(number), to }).await;
        sleep(ms(15_000)).await;
    }
    lab.inject(Fault::Kill(MASTER)).await;
    lab.switched().await;
    write(&mut master).await;
}

#[tokio::test(start_paused = true)]
async fn clause_28_new_ones_are_added_at_the_end_and_none_twice() {
    let lab = Lab::with(|plan| plan.cluster.sentinels = 5).await;
    let client = Client::new(lab.settings_with(&[4, 2])).unwrap();
    // The known ones stay where they are, though the fourth tells of the second too, and of it again and again.
    for _ in 0..3 {
        client.discover_master("mymaster").await.expect("a master");
    }
    lab.inject(override_of(Target::Sentinels, error())).await;
    let now = lab.now().await;
    let short = client.discover_master("mymaster");
    tokio::time::timeout(ms(10), short).await.expect_err("nobody answers");
    let asked = lab.asked_since(now);
    assert_eq!(asked[..2], [4, 2].map(NodeId::sentinel));
    let mut new = asked[2..].to_vec();
    new.sort_unstable();
    assert_eq!(new, [1, 3, 5].map(NodeId::sentinel));
}

#[tokio::test(start_paused = true)]
async fn clause_29_what_was_learned_lasts_as_long_as_the_client() {
    let lab = Lab::start().await;
    let settings = lab.settings_with(&[1]).retry(once());
    let knowing = Client::new(settings.clone()).unwrap();
    knowing.discover_master("mymaster").await.expect("a master");
    lab.inject(Fault::Kill(sentinel(1))).await;
    knowing.discover_master("mymaster").await.expect("the others are known");
    let failed = Client::new(settings).unwrap().discover_master("mymaster").await.expect_err("nothing is kept");
    assert!(matches!(failed, DiscoveryError::Unreachable { sentinels } if sentinels.len() == 1));
}

#[tokio::test(start_paused = true)]
async fn clause_30_an_event_starts_the_whole_procedure() {
    let lab = Lab::start().await;
    let mut master = lab.quiet_client().master();
    write(&mut master).await;
    sleep(ms(1_000)).await;
    let now = lab.now().await;
    lab.inject(Fault::Failover { via: None, master: None }).await;
    lab.switched().await;
    sleep(ms(20)).await;
    lab.asked_before_each_connection(now);
    let seen = lab.seen_since(now);
    let new = seen.iter().find(|sight| sight.dials_data()).expect("a connection");
    assert_eq!(new.node, lab.master());
    assert!(seen.iter().any(|sight| sight.conn == new.conn && sight.ran("ROLE")));
}

/// A client that searches anyway dials the announced node at once. It asks after that.
#[tokio::test(start_paused = true)]
async fn clause_30_an_event_in_a_search_is_held_against_what_all_sentinels_say() {
    let lab = Lab::start().await;
    let mut master = lab.quiet_client().master();
    write(&mut master).await;
    lab.inject(Fault::Kill(MASTER)).await;
    let now = lab.now().await;
    write(&mut master).await;
    sleep(ms(3_000)).await;
    let seen = lab.seen_since(now);
    let dial = seen.iter().position(Sight::dials_data).expect("a connection");
    let (new, conn) = (seen[dial].node, seen[dial].conn);
    assert_eq!(new, lab.master());
    let first = seen[dial..].iter().find(|sight| sight.conn == conn && (sight.ran("ROLE") || sight.ran("SET")));
    assert!(first.is_some_and(|sight| sight.ran("ROLE")), "{seen:#?}");
    let soon = seen[dial..].iter().filter(|sight| sight.ran(QUESTION) && sight.at.since(seen[dial].at) <= ms(100));
    let asked: BTreeSet<NodeId> = soon.map(|sight| sight.node).collect();
    assert_eq!(asked, [1, 2, 3].map(NodeId::sentinel).into());
}

#[tokio::test(start_paused = true)]
async fn clause_31_without_events_the_change_is_found_all_the_same() {
    let lab = Lab::start().await;
    let mut master = lab.client().master();
    write(&mut master).await;
    lab.inject(override_of(Target::Sentinels, Answer::NoSwitchEvent)).await;
    let old = lab.inject(Fault::Demote(MASTER)).await;
    let now = lab.now().await;
    sleep(ms(1_500)).await;
    let roles = lab.seen_since(now).iter().filter(|sight| sight.node == old && sight.ran("ROLE")).count();
    assert!(roles > 0);
    write(&mut master).await;
    let seen = lab.seen_since(now);
    let write = seen.iter().find(|sight| sight.ran("SET")).expect("a write");
    assert_ne!(write.node, old);
}
