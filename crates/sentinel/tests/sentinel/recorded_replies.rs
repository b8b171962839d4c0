//! What a Sentinel replies, against a recording of a real one (Redis 7.0.15), in RESP2 and RESP3.
//!
//! The recording holds a command after `### resp2> ` or `### resp3> ` and the reply below it, its elements separated by
//! ` | `. The same commands are sent to a Sentinel with the same master, replicas and fellow Sentinels. Replies are
//! compared whole, but for the exceptions in [`EXCEPTIONS`], each with its reason.

use std::time::Duration;

use bytes::Bytes;
use model::machine::Identity;
use model::{Addr, Command, Conn, Frame, Input, NodeId, Output, Reply, RunId, Seed, Time};
use sentinel_lab_sentinel::{Config, KnownMaster, Monitor, Sentinel};

/// How far a reply is compared.
#[derive(Clone, Copy, PartialEq)]
enum Compare {
    /// Field names and their order; values hold times, ids and the state of links.
    Fields,
    /// Type of the first element only.
    Shape,
    /// Not at all.
    Nothing,
}

const EXCEPTIONS: &[(&str, Compare, &str)] = &[
    ("SENTINEL MASTERS", Compare::Fields, "times and run ids"),
    ("SENTINEL MASTER mymaster", Compare::Fields, "times and run ids"),
    ("SENTINEL REPLICAS mymaster", Compare::Fields, "times and run ids"),
    ("SENTINEL SLAVES mymaster", Compare::Fields, "times and run ids"),
    ("SENTINEL SENTINELS mymaster", Compare::Fields, "times and ids"),
    ("SENTINEL MYID", Compare::Shape, "an id"),
    ("HELLO 2", Compare::Shape, "the number of the connection"),
    ("HELLO 3", Compare::Shape, "the number of the connection"),
    ("CLIENT ID", Compare::Shape, "the number of the connection"),
    ("CLIENT LIST", Compare::Nothing, "sockets and buffers"),
    ("INFO server", Compare::Shape, "the process and its machine"),
    ("COMMAND LIST", Compare::Nothing, "in the order of a hash table"),
];

fn sentinel() -> Sentinel {
    let id = |digit: char| RunId::parse(&digit.to_string().repeat(40)).unwrap();
    let addr = |port: u16| Addr::new("127.0.0.1", port);
    let monitor = Monitor {
        down_after: Duration::from_secs(1),
        failover_timeout: Duration::from_secs(6),
        ..Monitor::new("mymaster", addr(20101), 2)
    };
    let mut config = Config::new(Identity { node: NodeId::sentinel(1), addr: addr(20111) });
    config.my_id = Some(id('a'));
    config.masters = vec![KnownMaster {
        replicas: vec![addr(20103), addr(20102)],
        sentinels: vec![(addr(20113), id('b')), (addr(20112), id('c'))],
        ..monitor.into()
    }];
    Sentinel::new(config, Seed(1), 1, Time::ZERO)
}

/// A reply in the words of the recording.
fn render(reply: &Reply, resp3: bool, out: &mut Vec<String>) {
    match reply {
        Reply::Simple(text) => out.push(format!("+{text}")),
        Reply::Error(text) => out.push(format!("-{text}")),
        Reply::Int(number) => out.push(format!(":{number}")),
        Reply::Bulk(bytes) => out.push(format!("${}", String::from_utf8_lossy(bytes))),
        Reply::Status(text) => out.push(format!("+{text}")),
        Reply::Verbatim(text) if resp3 => out.push(format!("=txt:{text}")),
        Reply::Text(text) | Reply::Verbatim(text) => out.push(format!("${text}")),
        Reply::Null if resp3 => out.push("_".into()),
        Reply::Null => out.push("$-1".into()),
        Reply::NullArray if resp3 => out.push("_".into()),
        Reply::NullArray => out.push("*-1".into()),
        Reply::Array(items) => {
            out.push(format!("*{}", items.len()));
            for item in items {
                render(item, resp3, out);
            }
        }
        Reply::Map(pairs) => {
            out.push(if resp3 { format!("%{}", pairs.len()) } else { format!("*{}", 2 * pairs.len()) });
            for (name, value) in pairs {
                render(name, resp3, out);
                render(value, resp3, out);
            }
        }
        other => panic!("not in the recording: {other:?}"),
    }
}

/// Names of the fields of every instance in a reply.
fn fields(elements: &[String]) -> Vec<String> {
    let mut names = Vec::new();
    let mut expect_name = false;
    for element in elements {
        if element.starts_with(['*', '%']) {
            names.push(element.clone());
            expect_name = true;
        } else {
            if expect_name {
                names.push(element.clone());
            }
            expect_name = !expect_name;
        }
    }
    names
}

#[test]
fn replies_are_those_of_a_real_sentinel() {
    let recording = include_str!("data/replies-7.0.15.txt");
    let mut sentinel = sentinel();
    let mut out = Vec::new();
    let conns = [Conn::inbound(1), Conn::inbound(2)];
    for conn in conns {
        sentinel.handle(Time::ZERO, Input::Accepted(conn, Addr::new("127.0.0.1", 40_000)), &mut out);
    }
    let mut compared = 0;
    let mut differences = Vec::new();
    for block in recording.split("### ").filter(|block| block.starts_with("resp")) {
        let (head, body) = block.split_once('\n').expect("a reply below the command");
        let (version, text) = head.split_once("> ").expect("a version");
        let resp3 = version == "resp3";
        let conn = conns[usize::from(resp3)];
        let words = text.split(' ').filter(|word| !word.is_empty());
        let command = Command(words.map(|word| Bytes::from(word.to_owned())).collect());
        out.clear();
        sentinel.handle(Time::from_millis(10), Input::Received(conn, Frame::Command(command)), &mut out);
        let reply = out.iter().find_map(|output| match output {
            Output::Send(to, Frame::Reply(reply)) if *to == conn => Some(reply),
            _ => None,
        });
        let mut got = Vec::new();
        render(reply.unwrap_or_else(|| panic!("no reply to {head}")), resp3, &mut got);
        let expected: Vec<String> = body.trim_end_matches('\n').split(" | ").map(str::to_owned).collect();
        let got: Vec<String> = got.iter().map(|element| element.replace("\r\n", "\\r\\n")).collect();
        let exception = EXCEPTIONS.iter().find(|(exempt, ..)| *exempt == text).map(|(_, how, _)| *how);
        let equal = match exception {
            None => got == expected,
            Some(Compare::Fields) => fields(&got) == fields(&expected),
            Some(Compare::Shape) => got[0].as_bytes()[0] == expected[0].as_bytes()[0] && got.len() == expected.len(),
            Some(Compare::Nothing) => true,
        };
        compared += 1;
        if !equal {
            differences.push(format!("{head}\n  got      {}\n  recorded {}", got.join(" | "), expected.join(" | ")));
        }
    }
    assert!(compared > 180, "only {compared} replies in the recording");
    assert!(differences.is_empty(), "{} of {compared} differ:\n{}", differences.len(), differences.join("\n"));
}
