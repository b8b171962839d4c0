//! Whatever is sent, a node neither panics nor forgets who is connected.

use bytes::Bytes;
use model::{Addr, Command, Conn, Frame, Input, Seed, Time};
use proptest::prelude::*;

use super::harness::{addr, config};
use crate::table;
use crate::{Config, Node};

fn word() -> impl Strategy<Value = Bytes> {
    let names: Vec<&'static str> = table::all().iter().flat_map(|spec| spec.name.split('|')).collect();
    let options =
        ["EX", "PX", "NX", "XX", "GET", "KEEPTTL", "LEFT", "RIGHT", "TYPE", "normal", "NO", "ONE", "COUNT", "MATCH"];
    prop_oneof![
        3 => prop::sample::select(names).prop_map(Bytes::from_static_str),
        2 => prop::sample::select(options.to_vec()).prop_map(Bytes::from_static_str),
        3 => prop::sample::select(vec!["k", "l", "0", "1", "-1", "10", "9223372036854775807", "-9223372036854775808"])
            .prop_map(Bytes::from_static_str),
        1 => prop::collection::vec(any::<u8>(), 0..30).prop_map(Bytes::from),
    ]
}

trait FromStaticStr {
    fn from_static_str(text: &'static str) -> Self;
}

impl FromStaticStr for Bytes {
    fn from_static_str(text: &'static str) -> Self {
        Self::from_static(text.as_bytes())
    }
}

fn command() -> impl Strategy<Value = Command> {
    prop::collection::vec(word(), 0..7).prop_map(Command)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_commands(replica: bool, commands in prop::collection::vec((0_u64..3, command(), 0_u64..2_000), 1..60)) {
        let replica_of = replica.then(|| addr(1));
        let mut node = Node::new(Config { replica_of, ..config(0) }, Seed(1), 0, Time::ZERO);
        let (mut out, mut now) = (Vec::new(), 0);
        node.handle(Time::ZERO, Input::Tick, &mut out);
        for number in 0..3 {
            node.handle(Time::ZERO, Input::Accepted(Conn::inbound(number), Addr::new("10.9.9.9", 1)), &mut out);
        }
        for (conn, command, wait) in commands {
            now += wait;
            let input = Input::Received(Conn::inbound(conn), Frame::Command(command));
            node.handle(Time::from_millis(now), input, &mut out);
            node.handle(Time::from_millis(now), Input::Tick, &mut out);
            prop_assert!(node.deadline() > Time::from_millis(now), "a deadline that has passed would never be done");
        }
    }

    #[test]
    fn any_master(frames in prop::collection::vec(prop_oneof![
        command().prop_map(Frame::Command),
        prop::collection::vec(any::<u8>(), 0..80).prop_map(|bytes| {
            Frame::Snapshot([&b"REDIS0009"[..], &bytes].concat().into())
        }),
        Just(Frame::Reply(model::Reply::PONG)),
        Just(Frame::Reply(model::Reply::Simple(format!("FULLRESYNC {} 10", "a".repeat(40)).into()))),
        Just(Frame::Reply(model::Reply::Simple(format!("CONTINUE {} x,y:z", "b".repeat(40)).into()))),
        Just(Frame::Snapshot(Bytes::from_static(b"REDIS0009\xff\0\0\0\0\0\0\0\0"))),
    ], 0..40)) {
        let mut node = Node::new(Config { replica_of: Some(addr(1)), ..config(0) }, Seed(1), 0, Time::ZERO);
        let mut out = Vec::new();
        node.handle(Time::ZERO, Input::Tick, &mut out);
        for (number, frame) in frames.into_iter().enumerate() {
            let now = Time::from_millis(number as u64 * 300);
            let dialled = |output: &model::Output| match output {
                model::Output::Connect(conn, _) => Some(*conn),
                _ => None,
            };
            let conn = out.iter().rev().find_map(dialled).expect("a replica dials");
            if number % 5 == 0 {
                node.handle(now, Input::Connected(conn), &mut out);
            }
            node.handle(now, Input::Received(conn, frame), &mut out);
        }
    }
}
