//! `SENTINEL PENDING-SCRIPTS` and `SENTINEL MASTER` of a real Sentinel and of the fake, for a script that was just asked for.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use model::machine::Identity;
use model::{Addr, Command, Conn, Frame, Input, NodeId, Output, Reply, Seed, Time};
use real::{Block, Options, Process, Program};
use sentinel::{Config, Monitor, Sentinel, Settings};

const SET: &str = "SENTINEL SET mymaster notification-script /bin/true";
const PENDING: &str = "SENTINEL PENDING-SCRIPTS";
const MASTER: &str = "SENTINEL MASTER mymaster";
const WITHIN: Duration = Duration::from_secs(5);

/// What the fake answers, one after the other, with no pass of its timer between.
fn fake(monitored: SocketAddr) -> Vec<Reply> {
    let identity = Identity { node: NodeId::sentinel(1), addr: Addr::new("127.0.0.1", 26379) };
    let addr = Addr::new(&monitored.ip().to_string(), monitored.port());
    let settings = Settings { deny_scripts_reconfig: false, ..Settings::default() };
    let config = Config { masters: vec![Monitor::new("mymaster", addr, 1).into()], settings, ..Config::new(identity) };
    let mut sentinel = Sentinel::new(config, Seed(1), 0, Time::ZERO);
    let conn = Conn::inbound(1);
    let mut out = Vec::new();
    sentinel.handle(Time::ZERO, Input::Accepted(conn, Addr::new("127.0.0.1", 5)), &mut out);
    for words in [SET, PENDING, MASTER] {
        let command = Command::default();
        let command = words.split(' ').fold(command, |command, word| command.arg(word.to_owned()));
        sentinel.handle(Time::ZERO, Input::Received(conn, Frame::Command(command)), &mut out);
    }
    let sent = |output| match output {
        Output::Send(_, Frame::Reply(reply)) => Some(reply),
        _ => None,
    };
    out.into_iter().filter_map(sent).collect()
}

/// The text of a reply as RESP2 has it: maps are arrays.
fn flat(reply: &Reply) -> String {
    match reply {
        Reply::Array(items) => format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(", ")),
        Reply::Map(pairs) => {
            let items = pairs.iter().flat_map(|(key, value)| [flat(key), flat(value)]);
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        other => other.as_text().map_or_else(|| format!("{other:?}"), std::borrow::Cow::into_owned),
    }
}

/// Of a master, what comes after the fields that every one has.
fn shown(reply: &Reply) -> String {
    let text = flat(reply);
    text.rsplit("parallel-syncs").next().unwrap_or(&text).to_owned()
}

#[test]
fn a_script_that_waits_is_shown_as_a_real_sentinel_shows_it() {
    let Some(binaries) = real::required("PENDING-SCRIPTS against a real Sentinel") else { return };
    let block = Block::claim().expect("a block");
    let (ip, port) = block.addr(0, 26379);
    let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);
    let options =
        Options::new().line("sentinel monitor mymaster 127.0.0.1 1 1").line("sentinel deny-scripts-reconfig no");
    let addr = SocketAddr::new(ip, port);
    let mut real = Process::start(&binaries, Program::Sentinel, "sentinel", addr, &options).expect("starts");
    real.wait_ready().expect("answers");
    let mut talk = real.connect().expect("connects");
    let expected: Vec<String> = fake(nobody).iter().map(shown).collect();
    // Each 100 ms or so a pass starts what waits: when one comes between the two commands, they are sent again.
    let replies = (0..20).map(|_| {
        for words in [SET, PENDING, MASTER] {
            talk.send(&words.split(' ').collect::<Vec<_>>()).expect("sent");
        }
        [SET, PENDING, MASTER].map(|_| talk.receive(WITHIN).expect("a reply"))
    });
    let waiting = replies.into_iter().map(|three| three.iter().map(shown).collect::<Vec<String>>());
    let seen = waiting.into_iter().find(|three| three[1] != "[]" && !three[1].contains("running"));
    assert_eq!(seen, Some(expected));
}
