//! Faults on the paths between endpoints: partitions, unreachable hosts, latency.

use std::time::Duration;

use crate::common::{Lab, MASTER, node};
use model::history::{ClosedBy, What};
use model::{EventName, Fault, NodeId, Reply, Target, Time};
use sentinel_lab_sim::Door;

fn partition(from: &[&str], to: &[&str], one_way: bool) -> Fault {
    let targets = |names: &[&str]| names.iter().map(|name| node(name)).collect();
    Fault::Partition { from: targets(from), to: targets(to), one_way }
}

#[test]
fn what_a_partition_holds_arrives_in_order_when_it_heals() {
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    assert_eq!(lab.inject(&partition(&["client:c"], &["redis-1"], false)), [MASTER]);
    assert_eq!(lab.world.door(&Lab::client(), MASTER), Door::Silent);
    assert_eq!(lab.world.door(&Lab::client(), NodeId::data(2)), Door::Open);
    lab.send(conn, "INCR c#1");
    lab.send(conn, "INCR c#1");
    lab.run_to(6_000);
    assert!(lab.executions().is_empty());
    lab.inject(&Fault::Heal(node("client:c")));
    lab.run_to(6_000);
    assert_eq!(lab.replies(conn), [Reply::Int(1), Reply::Int(2)]);
    assert_eq!(lab.doors(MASTER), [Door::Silent, Door::Open]);
}

#[test]
fn nothing_stands_between_a_node_and_itself() {
    let mut lab = Lab::ready();
    let latency = |between: &str, and: &str| Fault::Latency {
        between: node(between),
        and: node(and),
        delay: Duration::from_millis(50),
        jitter: Duration::ZERO,
    };
    assert_eq!(lab.inject(&partition(&["redis-1"], &["master"], false)), []);
    assert_eq!(lab.inject(&latency("master", "redis-1")), []);
    assert_eq!(lab.inject(&latency("master", "redis-2")), [MASTER, NodeId::data(2)]);
    assert_eq!(lab.inject(&partition(&["sentinels"], &["sentinels"], false)).len(), 3);
}

#[test]
fn a_client_that_gives_up_behind_a_partition_still_has_its_command_done() {
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    lab.inject_for(&partition(&["client:c"], &["redis-1"], false), 1_000);
    lab.send(conn, "INCR c#1");
    lab.close(conn);
    lab.run_to(6_000);
    assert_eq!(lab.executions().len(), 1);
    assert_eq!(lab.replies(conn), [Reply::Int(1)], "for whoever has closed only the half that speaks");
}

#[test]
fn a_reset_does_not_cross_a_partition() {
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    lab.inject_for(&partition(&["client:c"], &["redis-1"], false), 2_000);
    lab.inject(&Fault::Kill(node("redis-1")));
    assert_eq!(lab.world.door(&Lab::client(), MASTER), Door::Silent);
    lab.run_to(5_999);
    assert_eq!(lab.closed_at(conn), None);
    lab.run_to(6_000);
    assert_eq!(lab.closed_at(conn), Some(Time::from_millis(6_000)));
    assert_eq!(lab.doors(MASTER), [Door::Silent, Door::Refused]);
}

#[test]
fn a_one_way_partition_lets_commands_through_and_no_replies() {
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    lab.inject_for(&partition(&["redis-1"], &["client:c"], true), 1_000);
    assert_eq!(lab.world.door(&Lab::client(), MASTER), Door::Silent, "a handshake needs both ways");
    assert_eq!(lab.ask(conn, "INCR c#1"), None);
    assert_eq!(lab.executions().len(), 1, "it was executed");
    lab.run_to(5_000);
    assert_eq!(lab.timed_replies(conn), [(Time::from_millis(5_000), Reply::Int(1))]);
}

#[test]
fn the_minority_side_keeps_its_master() {
    let mut plan = crate::common::plan();
    plan.cluster.groups[0].zones = vec!["a".into()];
    plan.cluster.sentinel_zones = vec!["a".into()];
    plan.clients[0].zone = "a".into();
    let mut lab = Lab::new(&plan);
    lab.run_to(4_000);
    let hit = lab.inject(&partition(&["zone:a"], &["zone:default"], false));
    assert_eq!(hit.len(), 6);
    lab.run_to(20_000);
    let switched: Vec<NodeId> = lab.events(EventName::SwitchMaster).into_iter().map(|(_, node)| node).collect();
    assert_eq!(switched.len(), 2);
    assert!(!switched.contains(&NodeId::sentinel(1)));
    let conn = lab.open(MASTER);
    assert_eq!(lab.ask(conn, "SET k v"), Some(Reply::OK), "the old master still takes writes on its side");
    assert_eq!(lab.world.door(&Lab::client(), NodeId::data(2)), Door::Silent);
    lab.inject(&Fault::Heal(node("zone:a")));
    lab.run_to(45_000);
    assert_eq!(lab.events(EventName::SwitchMaster).len(), 3);
    let refused = lab.open(MASTER);
    let reply = lab.ask(refused, "SET k v").expect("an answer");
    assert_eq!(reply.error_code(), Some("READONLY"), "it has been made a replica");
}

#[test]
fn a_client_that_joins_later_stands_where_its_zone_does() {
    let mut lab = Lab::ready();
    lab.inject(&partition(&["all"], &["redis-1"], false));
    let late = model::ClientId::new("late");
    lab.world.add_client(&late, "default");
    assert_eq!(lab.world.door(&late, MASTER), Door::Silent);
    assert_eq!(lab.world.door(&late, NodeId::data(2)), Door::Open);
}

#[test]
fn an_unreachable_node_falls_silent() {
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    assert_eq!(lab.inject_for(&Fault::Unreachable(Target::Master(None)), 30_000), [MASTER]);
    assert_eq!(lab.world.door(&Lab::client(), MASTER), Door::Silent);
    lab.send(conn, "INCR c#1");
    lab.run_to(20_000);
    assert_eq!(lab.closed_at(conn), None);
    assert_eq!(lab.events(EventName::SwitchMaster).len(), 3);
    assert!(lab.executions().is_empty());
    lab.run_to(34_000);
    assert_eq!(lab.executions().len(), 1);
    assert_eq!(lab.doors(MASTER), [Door::Silent, Door::Open]);
    let up = |ms: u64| {
        let mut lab = Lab::ready();
        lab.inject_for(&Fault::Unreachable(Target::Master(None)), 30_000);
        let history = lab.world.finish(Time::from_millis(ms));
        let of_master = |record: &model::Record| match &record.what {
            model::What::Final(data) if data.node == MASTER => Some(data.up),
            _ => None,
        };
        history.records.iter().find_map(of_master)
    };
    assert_eq!((up(33_999), up(34_000)), (Some(false), Some(true)));
}

#[test]
fn latency_delays_each_way() {
    let mut lab = Lab::ready();
    let delay = Duration::from_millis(50);
    let slow = Fault::Latency { between: node("client:c"), and: node("redis-1"), delay, jitter: Duration::ZERO };
    let conn = lab.open(MASTER);
    assert_eq!(lab.inject(&slow), [MASTER]);
    assert_eq!(lab.ask(conn, "INCR c#1"), None);
    lab.run_for(1_000);
    assert_eq!(lab.timed_replies(conn), [(Time::from_millis(4_100), Reply::Int(1))]);
    let executed = lab.history().records.iter().find(|record| matches!(record.what, model::What::Executed(_)));
    assert_eq!(executed.map(|record| record.at), Some(Time::from_millis(4_050)));
    lab.inject(&Fault::Heal(Target::All));
    assert_eq!(lab.ask(conn, "INCR c#1"), Some(Reply::Int(2)));
}

#[test]
fn jitter_keeps_the_order() {
    let mut lab = Lab::ready();
    let fault = Fault::Latency {
        between: node("all"),
        and: node("all"),
        delay: Duration::ZERO,
        jitter: Duration::from_millis(100),
    };
    let conn = lab.open(MASTER);
    lab.inject(&fault);
    for _ in 0..50 {
        lab.send(conn, "INCR c#1");
        lab.run_for(10);
    }
    lab.run_for(1_000);
    let replies: Vec<Reply> = (1..=50).map(Reply::Int).collect();
    assert_eq!(lab.replies(conn), replies);
    let delays: Vec<u64> = lab.timed_replies(conn).iter().map(|(at, _)| at.as_micros()).collect();
    assert!(delays.windows(2).any(|pair| pair[1] - pair[0] > 20_000), "{delays:?}");
}

#[test]
fn a_close_waits_behind_what_was_sent_before() {
    let mut lab = Lab::ready();
    let delay = Duration::from_millis(50);
    let conn = lab.open(NodeId::data(2));
    lab.inject(&Fault::Latency { between: node("client:c"), and: node("redis-2"), delay, jitter: Duration::ZERO });
    lab.send(conn, "PING");
    lab.send(conn, "QUIT");
    lab.run_for(1_000);
    assert_eq!(lab.replies(conn), [Reply::PONG, Reply::OK]);
    assert_eq!(lab.closed_at(conn), Some(Time::from_millis(4_100)));
    let by = lab.history().records.iter().find_map(|record| match &record.what {
        model::What::Closed { by, .. } => Some(*by),
        _ => None,
    });
    assert_eq!(by, Some(ClosedBy::Node));
}

#[test]
fn a_client_that_lets_no_time_pass_is_made_to() {
    let told = |lab: &Lab| {
        let spins = |record: &model::Record| match &record.what {
            What::Spins { client, requests } => Some((record.at, client.clone(), *requests)),
            _ => None,
        };
        lab.history().records.iter().filter_map(spins).collect::<Vec<_>>()
    };
    let mut lab = Lab::ready();
    let conn = lab.open(MASTER);
    for _ in 1..20_000 {
        lab.send(conn, "PING");
    }
    lab.run_for(1);
    for _ in 1..20_000 {
        lab.send(conn, "PING");
    }
    assert!(told(&lab).is_empty(), "time has passed in between");
    assert_eq!(lab.replies(conn).len(), 39_998);
    let (now, other) = (lab.world.now(), lab.open(NodeId::data(2)));
    assert_eq!(lab.ask(other, "PING"), None);
    assert_eq!(told(&lab), [(now, Lab::client(), 20_000)]);
    lab.run_for(1);
    assert_eq!(lab.replies(other).len(), 1);
    lab.run_for(1_000);
    assert_eq!(lab.ask(other, "PING"), None, "from here on each takes its time");
}
