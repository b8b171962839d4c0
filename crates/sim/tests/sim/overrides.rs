//! How a Sentinel can be made to answer, one test for each way.

use std::time::Duration;

use crate::common::{Lab, node};
use model::fault::Answer;
use model::history::What;
use model::{Addr, EventName, Fault, NodeId, Reply, Target, Time, plan::Cluster};

const SENTINEL: NodeId = NodeId::sentinel(1);
const WHERE: &str = "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster";

fn answers(answer: Answer) -> Fault {
    Fault::Override { target: Target::Node(SENTINEL), answer }
}

fn pair(node: u16) -> Reply {
    let addr: Addr = Cluster::addr(NodeId::data(node));
    Reply::Array(vec![Reply::host(&addr), Reply::port(&addr)])
}

fn code(reply: Option<Reply>) -> Option<String> {
    reply?.error_code().map(str::to_owned)
}

/// A cluster that has failed over, with an override injected before.
fn failed_over(answer: Answer) -> (Lab, u64) {
    let mut lab = Lab::ready();
    lab.run_to(12_000);
    lab.inject(&answers(answer));
    let conn = lab.open(SENTINEL);
    lab.ask(conn, "PSUBSCRIBE *");
    lab.inject(&Fault::Failover { via: Some(node("sentinel-2")), master: None });
    lab.run_to(25_000);
    assert_eq!(lab.events(EventName::SwitchMaster).len(), 3);
    (lab, conn)
}

/// When a client of the Sentinel was told of the switch.
fn told(lab: &Lab, conn: u64) -> Vec<Time> {
    let switch = Some("+switch-master");
    let is_switch = |reply: &Reply| match reply {
        Reply::Push(items) => items.get(2).and_then(Reply::as_text).as_deref() == switch,
        _ => false,
    };
    lab.timed_replies(conn).into_iter().filter(|(_, reply)| is_switch(reply)).map(|(at, _)| at).collect()
}

#[test]
fn stale() {
    let (mut lab, _) = failed_over(Answer::Stale);
    let conn = lab.open(SENTINEL);
    assert_eq!(lab.ask(conn, WHERE), Some(pair(1)));
    let answer = lab.ask(conn, "SENTINEL MASTERS");
    assert!(format!("{answer:?}").contains("10.0.0.1"), "{answer:?}");
    let honest = lab.open(NodeId::sentinel(3));
    let truth = lab.ask(honest, WHERE).expect("an answer");
    assert_ne!(truth, pair(1));
    lab.inject(&Fault::Heal(Target::Node(SENTINEL)));
    assert_eq!(lab.ask(conn, WHERE), Some(truth));
}

#[test]
fn null() {
    let mut lab = Lab::ready();
    assert_eq!(lab.inject(&answers(Answer::Null)), [SENTINEL]);
    let conn = lab.open(SENTINEL);
    assert_eq!(lab.ask(conn, WHERE), Some(Reply::NullArray));
    assert_eq!(lab.ask(conn, "sentinel masters"), Some(Reply::Array(Vec::new())));
    let reply = lab.ask(conn, "SENTINEL REPLICAS mymaster");
    assert_eq!(code(reply).as_deref(), Some("ERR"));
    assert_eq!(lab.ask(conn, "PING"), Some(Reply::PONG));
    let names: Vec<(String, Option<String>)> =
        lab.executions().into_iter().map(|execution| (execution.command, execution.error)).collect();
    assert_eq!(names[0], ("SENTINEL GET-MASTER-ADDR-BY-NAME".into(), None));
    assert_eq!(names[2], ("SENTINEL REPLICAS".into(), Some("ERR".into())));
}

#[test]
fn error() {
    let mut lab = Lab::ready();
    lab.inject(&answers(Answer::Error("BUSY Redis is busy".into())));
    let conn = lab.open(SENTINEL);
    let reply = lab.ask(conn, WHERE);
    assert_eq!(code(reply).as_deref(), Some("BUSY"));
    assert_eq!(lab.ask(conn, "PING"), Some(Reply::PONG));
}

#[test]
fn slow() {
    let mut lab = Lab::ready();
    lab.inject(&answers(Answer::Slow(Duration::from_millis(300))));
    let conn = lab.open(SENTINEL);
    assert_eq!(lab.ask(conn, WHERE), None);
    lab.run_for(100);
    lab.send(conn, "PING");
    lab.run_for(1_000);
    let expected = [(Time::from_millis(4_300), pair(1)), (Time::from_millis(4_400), Reply::PONG)];
    assert_eq!(lab.timed_replies(conn), expected);
}

#[test]
fn what_is_late_stays_late_and_first() {
    let mut lab = Lab::ready();
    lab.inject_for(&answers(Answer::Slow(Duration::from_millis(300))), 100);
    let conn = lab.open(SENTINEL);
    lab.send(conn, WHERE);
    lab.run_for(100);
    lab.send(conn, "PING");
    lab.run_for(1_000);
    let due = Time::from_millis(4_300);
    assert_eq!(lab.timed_replies(conn), [(due, pair(1)), (due, Reply::PONG)]);
}

#[test]
fn hang() {
    let mut lab = Lab::ready();
    lab.inject_for(&answers(Answer::Hang), 2_000);
    let conn = lab.open(SENTINEL);
    assert_eq!(lab.ask(conn, WHERE), None);
    lab.run_to(6_000);
    assert_eq!(lab.closed_at(conn), Some(Time::from_millis(6_000)));
    let conn = lab.open(SENTINEL);
    assert_eq!(lab.ask(conn, WHERE), Some(pair(1)));
}

#[test]
fn wrong_address() {
    let mut lab = Lab::ready();
    lab.inject(&answers(Answer::WrongAddress(node("redis-3"))));
    let conn = lab.open(SENTINEL);
    assert_eq!(lab.ask(conn, WHERE), Some(pair(3)));
    let answer = format!("{:?}", lab.ask(conn, "SENTINEL MASTER mymaster"));
    assert!(answer.contains("10.0.0.3") && !answer.contains("10.0.0.1"), "{answer}");
    assert_eq!(lab.world.master("mymaster"), Some(NodeId::data(1)));
}

#[test]
fn no_switch_event() {
    let (lab, conn) = failed_over(Answer::NoSwitchEvent);
    assert_eq!(told(&lab, conn), []);
    assert!(lab.replies(conn).len() > 2, "other events are published");
}

#[test]
fn late_switch_event() {
    let (lab, conn) = failed_over(Answer::LateSwitchEvent(Duration::from_secs(2)));
    let of_sentinel = |(_, node): &&(Time, NodeId)| *node == SENTINEL;
    let events = lab.events(EventName::SwitchMaster);
    let published = events.iter().find(of_sentinel).expect("an event").0;
    assert_eq!(told(&lab, conn), [published + Duration::from_secs(2)]);
}

#[test]
fn overrides_do_not_open_a_closed_door() {
    let mut plan = crate::common::plan();
    plan.cluster.sentinel_auth = Some(model::plan::Credentials { user: None, password: "secret".into() });
    let mut lab = Lab::new(&plan);
    lab.run_to(4_000);
    lab.inject(&answers(Answer::Stale));
    let conn = lab.open(SENTINEL);
    let refused = lab.ask(conn, WHERE);
    assert_eq!(code(refused).as_deref(), Some("NOAUTH"));
    lab.ask(conn, "AUTH secret");
    assert_eq!(lab.ask(conn, WHERE), Some(pair(1)));
    let refused = lab.history().records.iter().any(
        |record| matches!(&record.what, What::Executed(execution) if execution.error.as_deref() == Some("NOAUTH")),
    );
    assert!(refused);
}
