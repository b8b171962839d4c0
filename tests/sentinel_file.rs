//! The configuration file that one Sentinel has rewritten, read by the other: the fake's by a real one, and the other way round.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use model::machine::Identity;
use model::{Addr, Command, Conn, Frame, Input, NodeId, Output, Reply, Seed, Time, words};
use real::{Block, Options, Process, Program, Talk};
use sentinel::{Config, Monitor, Sentinel};

const WITHIN: Duration = Duration::from_secs(5);
const NODE: NodeId = NodeId::sentinel(1);
const SECRET: &str = "open sesame";

/// What a Sentinel is told before it rewrites its file.
const TOLD: [&str; 5] = [
    "SENTINEL SET mymaster down-after-milliseconds 1234 failover-timeout 5678 parallel-syncs 3 quorum 2",
    "SENTINEL MONITOR other 127.0.0.1 2 1",
    "ACL SETUSER app on '>open sesame' '>other' ~* &* +@all",
    "ACL SETUSER reader on '>open sesame' resetchannels -@all +ping",
    "SENTINEL FLUSHCONFIG",
];

/// What must be the same afterwards.
const LOOKS: [&str; 5] = [
    "SENTINEL MYID",
    "ACL LIST",
    "SENTINEL CKQUORUM mymaster",
    "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster",
    "SENTINEL GET-MASTER-ADDR-BY-NAME other",
];
/// Of this, what was set.
const MASTER: &str = "SENTINEL MASTER mymaster";
const SET: [&str; 4] = ["quorum", "down-after-milliseconds", "failover-timeout", "parallel-syncs"];

fn split(line: &str) -> Vec<String> {
    let words = words::split(line.as_bytes()).expect("quotes that are balanced");
    words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// A Sentinel of either kind.
trait Ask {
    fn ask(&mut self, words: &[String]) -> Reply;
}

struct Fake(Sentinel);

impl Fake {
    fn start(config: Config) -> Self {
        let mut sentinel = Sentinel::new(config, Seed(1), 0, Time::ZERO);
        sentinel.handle(Time::ZERO, Input::Accepted(Conn::inbound(1), Addr::new("127.0.0.1", 5)), &mut Vec::new());
        Self(sentinel)
    }
}

impl Ask for Fake {
    fn ask(&mut self, words: &[String]) -> Reply {
        let command = words.iter().fold(Command::default(), |command, word| command.arg(word.clone()));
        let mut out = Vec::new();
        self.0.handle(Time::ZERO, Input::Received(Conn::inbound(1), Frame::Command(command)), &mut out);
        let reply = out.into_iter().find_map(|output| match output {
            Output::Send(_, Frame::Reply(reply)) => Some(reply),
            _ => None,
        });
        reply.expect("a reply")
    }
}

impl Ask for Talk {
    fn ask(&mut self, words: &[String]) -> Reply {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.send(&words).expect("sent");
        self.receive(WITHIN).expect("a reply")
    }
}

/// The words of a reply.
fn flat(reply: &Reply) -> Vec<String> {
    match reply {
        Reply::Array(items) => items.iter().flat_map(flat).collect(),
        Reply::Map(pairs) => pairs.iter().flat_map(|(key, value)| [flat(key), flat(value)].concat()).collect(),
        other => vec![other.as_text().map_or_else(|| format!("{other:?}"), std::borrow::Cow::into_owned)],
    }
}

fn tell(sentinel: &mut impl Ask) {
    for line in TOLD {
        sentinel.ask(&split(line));
    }
}

fn seen(sentinel: &mut impl Ask) -> Vec<Vec<String>> {
    let mut seen: Vec<Vec<String>> = LOOKS.iter().map(|line| flat(&sentinel.ask(&split(line)))).collect();
    let master = flat(&sentinel.ask(&split(MASTER)));
    let value = |field: &&str| master.chunks(2).find(|pair| pair[0] == *field).map(<[String]>::concat);
    seen.push(SET.iter().filter_map(value).collect());
    let known = ["app", "reader"].map(|user| sentinel.ask(&["AUTH".to_owned(), user.to_owned(), SECRET.to_owned()]));
    seen.push(known.iter().flat_map(flat).collect());
    seen
}

/// The fake's file is put in the place of a real Sentinel's.
#[test]
fn of_the_fake_starts_a_real_one() {
    let Some(binaries) = real::required("a real Sentinel with the file of a fake one") else { return };
    let block = Block::claim().expect("a block");
    let (ip, port) = block.addr(0, 26379);
    let addr = SocketAddr::new(ip, port);
    let identity = Identity { node: NODE, addr: Addr::new(&ip.to_string(), port) };
    let masters = vec![Monitor::new("mymaster", Addr::new("127.0.0.1", 1), 1).into()];
    let mut fake = Fake::start(Config { masters, ..Config::new(identity) });
    tell(&mut fake);
    let file = fake.0.config_file();
    assert!(file.contains("\nuser app on #") && !file.contains(SECRET), "{file}");
    let mut real = Process::start(&binaries, Program::Sentinel, "sentinel", addr, &Options::new()).expect("starts");
    real.wait_ready().expect("answers");
    real.kill().expect("ends");
    fs::write(real.folder().join("conf"), &file).expect("written");
    real.restart().expect("starts");
    real.wait_ready().unwrap_or_else(|error| panic!("{error}\n{file}"));
    let read = sentinel::file::parse(&file, NODE).expect("its own file");
    assert_eq!(seen(&mut real.connect().expect("connects")), seen(&mut Fake::start(read)), "{file}");
}

/// A fake starts from the file that a real one has rewritten.
#[test]
fn of_a_real_one_starts_the_fake() {
    let Some(binaries) = real::required("a fake Sentinel with the file of a real one") else { return };
    let block = Block::claim().expect("a block");
    let (ip, port) = block.addr(0, 26379);
    let options = Options::new().line("sentinel monitor mymaster 127.0.0.1 1 1");
    let addr = SocketAddr::new(ip, port);
    let mut real = Process::start(&binaries, Program::Sentinel, "sentinel", addr, &options).expect("starts");
    real.wait_ready().expect("answers");
    let mut talk = real.connect().expect("connects");
    tell(&mut talk);
    let file = fs::read_to_string(real.folder().join("conf")).expect("a file");
    assert!(file.contains("\nuser app on #") && !file.contains(SECRET), "{file}");
    let config = sentinel::file::parse(&file, NODE).unwrap_or_else(|error| panic!("{error}\n{file}"));
    real.kill().expect("ends");
    real.restart().expect("starts");
    real.wait_ready().expect("answers");
    assert_eq!(seen(&mut Fake::start(config)), seen(&mut real.connect().expect("connects")), "{file}");
}
