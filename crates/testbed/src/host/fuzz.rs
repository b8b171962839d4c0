//! Whatever bytes come, neither kind of node panics, hangs or keeps more than its limits allow, and what it answers is RESP.
//!
//! What connects the bytes to the nodes is what the host does, without sockets. A short run is part of the tests; the long one:
//!
//! ```text
//! FUZZ_INPUTS=10000000 cargo test --release -p sentinel-lab-testbed fuzz -- --ignored --nocapture
//! ```
//!
//! An input is one piece of bytes that arrives on one connection. Inputs are drawn from a seed (`FUZZ_SEED`, by default 1), a
//! thousand for each fresh cluster; a failure names seed and cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use model::plan::{Credentials, Expect};
use model::seed::Rng;
use model::{Addr, ClientId, Command, Frame, NodeId, Plan, Reply, Seed, Time};
use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use redis_protocol::resp2::decode::decode_bytes;
use sim::{Effect, World};

use super::wire::{Broken, Wire};

/// Inputs of one cluster.
const ROUND: u64 = 1_000;
/// Connections of one cluster.
const CONNECTIONS: usize = 8;
/// The longest line that a header or an inline request may be, and one piece more.
const LINE_MAX: usize = 64 * 1024;
/// What data nodes of every fourth cluster keep for a client that does not read: so little that some come to it.
const TIGHT: &str = "normal 65536 32768 2 replica 131072 65536 2 pubsub 65536 32768 2";
/// The most that may wait for a client there, whatever its class.
const OUTPUT_MAX: usize = 131_072;
/// Most memory that the process of the long run may ever hold: more than ten times what it does.
const MEMORY_MAX_KIB: u64 = 128 * 1024;
/// The same of the short run, which shares its process with other tests.
const SHARED_MEMORY_MAX_KIB: u64 = 2 * 1024 * 1024;

const WORDS: &[&str] = &[
    "k",
    "l",
    "z",
    "s",
    "h",
    "x",
    "0",
    "1",
    "-1",
    "2",
    "10",
    "16",
    "1.5",
    "inf",
    "-inf",
    "nan",
    "(1",
    "[a",
    "+",
    "-",
    "$",
    ">",
    "*",
    "0-0",
    "1-1",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "EX",
    "PX",
    "EXAT",
    "NX",
    "XX",
    "GT",
    "LT",
    "CH",
    "GET",
    "KEEPTTL",
    "LEFT",
    "RIGHT",
    "BEFORE",
    "AFTER",
    "TYPE",
    "normal",
    "pubsub",
    "NO",
    "ONE",
    "COUNT",
    "MATCH",
    "STREAMS",
    "GROUP",
    "BLOCK",
    "MKSTREAM",
    "WITHSCORES",
    "LIMIT",
    "BYSCORE",
    "BYLEX",
    "REV",
    "WEIGHTS",
    "AGGREGATE",
    "MAXLEN",
    "list",
    "info",
    "kill",
    "id",
    "setname",
    "tracking",
    "on",
    "off",
    "reply",
    "skip",
    "caching",
    "yes",
    "no",
    "unpause",
    "pause",
    "setuser",
    "getuser",
    "whoami",
    "cat",
    "genpass",
    "dryrun",
    "default",
    "~*",
    "+@all",
    "nopass",
    "reset",
    "docs",
    "count",
    "getkeys",
    "set",
    "get",
    "resetstat",
    "rewrite",
    "channels",
    "numsub",
    "load",
    "flush",
    "exists",
    "encoding",
    "freq",
    "help",
    "usage",
    "doctor",
    "masters",
    "master",
    "replicas",
    "sentinels",
    "get-master-addr-by-name",
    "is-master-down-by-addr",
    "myid",
    "ckquorum",
    "failover",
    "monitor",
    "remove",
    "config",
    "info-cache",
    "simulate-failure",
    "mymaster",
    "127.0.0.1",
    "6379",
    "26379",
    "quorum",
    "down-after-milliseconds",
    "listening-port",
    "capa",
    "eof",
    "psync2",
    "ack",
    "getack",
    "?",
    "secret",
    "__sentinel__:hello",
    "news",
    "*",
];
const SCRIPTS: &[&str] = &[
    "return 1",
    "return redis.call('get', KEYS[1])",
    "return {1, 2, {3, 'a'}, false}",
    "for i = 1, 100 do redis.call('incr', 'x') end",
    "return redis.pcall(unpack(ARGV))",
    "return string.rep('x', 10000)",
    "return redis.error_reply('MY error')",
    "local t = {} t[1] = t return t",
    "error('no')",
    "return (",
];
/// What a peer may say to a node that has dialled it.
const SAID: &[&str] = &[
    "+PONG\r\n",
    "+OK\r\n",
    "-ERR no\r\n",
    "-LOADING\r\n",
    "+FULLRESYNC aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 10\r\n",
    "+CONTINUE\r\n",
    "+CONTINUE bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n",
    "$18\r\nREDIS0009\u{7f}\0\0\0\0\0\0\0\0",
    "$5\r\nREDIS",
    "$EOF:cccccccccccccccccccccccccccccccccccccccc\r\nREDIScccccccccccccccccccccccccccccccccccccccc",
    "*3\r\n$7\r\nmessage\r\n$18\r\n__sentinel__:hello\r\n$9\r\n1,2,3,4,5\r\n",
    "%1\r\n+a\r\n:1\r\n",
    ">2\r\n+a\r\n_\r\n",
    ",1.5\r\n",
    "#t\r\n",
    "(12345678901234567890\r\n",
    "*2147483647\r\n",
    "$536870913\r\n",
    "*-1\r\n",
    "$-1\r\n",
    "\n",
];

#[derive(Debug, Default)]
struct Counts {
    inputs: u64,
    bytes: u64,
    commands: u64,
    replies: u64,
    broken: u64,
    closed: u64,
    dialled: u64,
    /// Connections closed at the hard limit of what they did not read, and at the soft one.
    overflowed: u64,
    overdue: u64,
    worlds: u64,
    slowest: Duration,
}

struct Conn {
    wire: Wire,
    /// It was accepted by this node; a node dialled it otherwise.
    node: Option<NodeId>,
    /// Bytes since a frame was last understood.
    pending: usize,
    /// It never reads.
    deaf: bool,
    /// Everything that it was sent is a reply in version 2 of the protocol.
    plain: bool,
    /// What it has read in this pass.
    read: Vec<u8>,
}

struct Lab<'a> {
    world: World,
    now: Time,
    guarded: bool,
    /// [`TIGHT`] holds.
    tight: bool,
    conns: BTreeMap<u64, Conn>,
    rng: Rng,
    names: Vec<(NodeId, Vec<Bytes>)>,
    counts: &'a mut Counts,
}

impl<'a> Lab<'a> {
    fn new(seed: Seed, number: u64, counts: &'a mut Counts) -> Self {
        let (guarded, tight) = (number % 4 == 3, number % 4 == 1);
        let mut cluster = model::plan::Cluster::standard();
        cluster.groups[0].replicas = 1;
        cluster.sentinels = 1;
        if guarded {
            let secret = || Some(Credentials { user: None, password: "secret".to_owned() });
            cluster.groups[0].auth = secret();
            cluster.sentinel_auth = secret();
        }
        let plan = Plan {
            title: "fuzz".to_owned(),
            cluster,
            clients: Vec::new(),
            timeline: Vec::new(),
            run_for: Duration::from_secs(60),
            expect: Expect::default(),
        };
        let mut world = World::new(&plan, Seed(number));
        world.open_outside(&ClientId::new("outside"));
        let rng = seed.stream(&format!("fuzz:{number}"));
        let (now, conns, names) = (Time::ZERO, BTreeMap::new(), Vec::new());
        let mut lab = Self { world, now, guarded, tight, conns, rng, names, counts };
        for node in [NodeId::data(1), NodeId::data(2), NodeId::sentinel(1)] {
            let names = lab.ask_names(node);
            lab.names.push((node, names));
        }
        lab.counts.worlds += 1;
        lab
    }

    /// The commands of a node, as it tells them.
    fn ask_names(&mut self, node: NodeId) -> Vec<Bytes> {
        let conn = self.world.accept(self.now, node, Addr::new("127.0.0.1", 1)).expect("it listens");
        for words in [&["AUTH", "secret"][..], &["COMMAND", "LIST"]] {
            self.world.receive(self.now, conn, Frame::Command(Command::of(words)));
        }
        if self.tight && !node.is_sentinel() {
            let set = Command::of(&["CONFIG", "SET", "client-output-buffer-limit", TIGHT]);
            self.world.receive(self.now, conn, Frame::Command(set));
        }
        let mut names = Vec::new();
        for effect in self.world.take_effects() {
            if let Effect::Send { frame: Frame::Reply(Reply::Array(items)), .. } = effect {
                names.extend(items.into_iter().filter_map(|item| match item {
                    Reply::Bulk(name) => Some(name),
                    _ => None,
                }));
            }
        }
        assert!(names.len() > 10, "{node} has commands");
        self.world.closed(self.now, conn);
        self.world.retire(conn);
        names
    }

    fn word(&mut self, node: NodeId) -> Vec<u8> {
        match self.rng.random_range(0..40) {
            0 => (0..self.rng.random_range(0..30)).map(|_| self.rng.random()).collect(),
            1 => vec![b'x'; self.rng.random_range(0..20_000)],
            2..5 => self.name(node),
            5 => SCRIPTS.choose(&mut self.rng).expect("some").as_bytes().to_vec(),
            _ => WORDS.choose(&mut self.rng).expect("some").as_bytes().to_vec(),
        }
    }

    fn name(&mut self, node: NodeId) -> Vec<u8> {
        let names = self.names.iter().find(|(of, _)| *of == node).map(|(_, names)| names).expect("asked");
        let name = names.choose(&mut self.rng).expect("some").to_vec();
        // These end a node, or put it to sleep: not so often that there is nobody left to talk to.
        let ends = [&b"shutdown"[..], b"debug"].contains(&&name[..]);
        if ends && self.rng.random_range(0..20) > 0 { b"ping".to_vec() } else { name }
    }

    fn command(&mut self, node: NodeId) -> Vec<u8> {
        let mut words = vec![self.name(node)];
        if words[0].starts_with(b"eval") && self.rng.random() {
            words.push(SCRIPTS.choose(&mut self.rng).expect("some").as_bytes().to_vec());
            words.push(b"1".to_vec());
        }
        for _ in 0..self.rng.random_range(0..7) {
            let word = self.word(node);
            words.push(word);
        }
        encode(&words)
    }

    /// One piece of bytes for a connection that a node accepted.
    fn request(&mut self, node: NodeId, deaf: bool) -> Vec<u8> {
        let words = |text: &str| encode(&text.split(' ').map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
        // Who does not read is sent much, and seldom closed for what it says itself.
        if self.rng.random_range(0..6) < if deaf { 5 } else { u32::from(self.tight) } {
            return match self.rng.random_range(0..4) {
                0 => words("SUBSCRIBE news"),
                1 => encode(&[b"PUBLISH".to_vec(), b"news".to_vec(), vec![b'x'; self.rng.random_range(0..20_000)]]),
                2 => encode(&[b"ECHO".to_vec(), vec![b'x'; self.rng.random_range(0..20_000)]]),
                _ => encode(&[b"EVAL".to_vec(), b"return string.rep('x', 10000)".to_vec(), b"0".to_vec()]),
            };
        }
        match self.rng.random_range(0..100) {
            0..50 => self.command(node),
            50..68 => {
                let bytes = self.command(node);
                self.mutated(bytes)
            }
            68..72 => (0..self.rng.random_range(1..20)).flat_map(|_| self.command(node)).collect(),
            72..74 => "*1\r\n".repeat(self.rng.random_range(1..300)).into_bytes(),
            74..77 => (0..self.rng.random_range(0..64)).map(|_| self.rng.random()).collect(),
            77..80 => {
                let mut line = self.word(node);
                line.extend_from_slice(b" \"a\\x00\" '");
                line.extend_from_slice(if self.rng.random() { b"b'\r\n" } else { b"b\n" });
                line
            }
            80 => vec![*b"*$ax".choose(&mut self.rng).expect("some"); LINE_MAX + 10],
            81..84 => {
                let huge =
                    ["*2147483648", "*1048577", "*2147483647", "*-5", "*11", "*0", "*1\r\n$536870913", "*1\r\n$-1"];
                let header = huge.choose(&mut self.rng).expect("some");
                format!("{header}\r\n").into_bytes()
            }
            _ => {
                const STATES: &[&str] = &[
                    "MULTI",
                    "EXEC",
                    "DISCARD",
                    "WATCH k",
                    "AUTH secret",
                    "AUTH default secret",
                    "AUTH no",
                    "HELLO 3",
                    "HELLO 2",
                    "HELLO 3 AUTH default secret",
                    "RESET",
                    "SUBSCRIBE news __sentinel__:hello",
                    "PSUBSCRIBE *",
                    "UNSUBSCRIBE",
                    "PUNSUBSCRIBE",
                    "CLIENT TRACKING on",
                    "CLIENT REPLY off",
                    "CLIENT REPLY on",
                    "PSYNC ? -1",
                    "SELECT 3",
                    "MONITOR",
                    "REPLCONF listening-port 7000",
                    "REPLCONF ACK 100",
                    "REPLICAOF 127.0.0.1 9",
                    "REPLICAOF NO ONE",
                    "BLPOP l 0",
                    "XADD s * a 1",
                    "ZADD z 1 a 2 b",
                    "LPUSH l a b c",
                    "HSET h a 1 b 2",
                    "SET k 10",
                    "FLUSHALL",
                    "SENTINEL MONITOR m2 127.0.0.1 9 1",
                    "SENTINEL FAILOVER mymaster",
                    "SENTINEL RESET *",
                    "QUIT",
                ];
                words(STATES.choose(&mut self.rng).expect("some"))
            }
        }
    }

    /// Valid bytes made wrong.
    fn mutated(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        for _ in 0..self.rng.random_range(1..4) {
            let at = self.rng.random_range(0..=bytes.len().saturating_sub(1));
            match self.rng.random_range(0..6) {
                0 => bytes.truncate(at),
                1 if !bytes.is_empty() => bytes[at] = self.rng.random(),
                2 => bytes.insert(at, self.rng.random()),
                3 if !bytes.is_empty() => {
                    bytes.remove(at);
                }
                4 => {
                    let copy = bytes[at..(at + 20).min(bytes.len())].to_vec();
                    bytes.splice(at..at, copy);
                }
                _ => {
                    // A length that is another.
                    let marks: Vec<usize> = (0..bytes.len()).filter(|index| b"*$".contains(&bytes[*index])).collect();
                    if let Some(mark) = marks.choose(&mut self.rng) {
                        let lengths = ["-1", "0", "01", "+1", "3", "70000", "536870912", "9223372036854775808", ""];
                        let end = (*mark + 2).min(bytes.len());
                        let length = lengths.choose(&mut self.rng).expect("some").bytes();
                        bytes.splice(*mark + 1..end, length);
                    }
                }
            }
        }
        bytes
    }

    /// One piece of bytes for a connection that a node dialled.
    fn said(&mut self) -> Vec<u8> {
        let bytes = match self.rng.random_range(0..8) {
            0 => (0..self.rng.random_range(0..64)).map(|_| self.rng.random()).collect(),
            1 => self.command(NodeId::data(1)),
            _ => SAID.choose(&mut self.rng).expect("some").as_bytes().to_vec(),
        };
        if self.rng.random_range(0..5) == 0 { self.mutated(bytes) } else { bytes }
    }

    fn round(&mut self) {
        let mut left = ROUND;
        while left > 0 {
            let pauses = if self.tight { 50 } else { 200 };
            let wait = if self.rng.random_range(0..pauses) == 0 { 3_000_000 } else { self.rng.random_range(0..2_000) };
            self.now += Duration::from_micros(wait);
            self.world.advance(self.now);
            self.carry_out();
            self.close_overdue();
            if self.conns.len() < CONNECTIONS {
                self.open();
            }
            let numbers: Vec<u64> = self.conns.keys().copied().collect();
            let Some(number) = numbers.choose(&mut self.rng).copied() else { return };
            if self.rng.random_range(0..100) == 0 {
                self.close(number);
                continue;
            }
            let conn = &self.conns[&number];
            let mut bytes = match conn.node {
                Some(node) => self.request(node, conn.deaf),
                None => self.said(),
            };
            // In one piece, or split anywhere.
            while left > 0 && self.conns.contains_key(&number) {
                let split = self.rng.random_range(0..4) == 0 && bytes.len() > 1;
                let end = if split { self.rng.random_range(1..bytes.len()) } else { bytes.len() };
                let rest = bytes.split_off(end);
                self.input(number, &bytes);
                left -= 1;
                bytes = rest;
                if bytes.is_empty() {
                    break;
                }
            }
        }
    }

    fn open(&mut self) {
        let node = self.names.choose(&mut self.rng).expect("some").0;
        if let Some(number) = self.world.accept(self.now, node, Addr::new("127.0.0.1", 2)) {
            let wire = Wire::accepted(Arc::default(), self.guarded);
            let deaf = self.tight && !node.is_sentinel() && self.rng.random();
            self.conns.insert(number, Conn { wire, node: Some(node), pending: 0, deaf, plain: true, read: Vec::new() });
        }
        self.carry_out();
    }

    /// Who has not read for so long that the soft limit says so.
    fn close_overdue(&mut self) {
        let overdue = |conn: &Conn| conn.wire.overdue_at().is_some_and(|at| at <= self.now);
        let numbers: Vec<u64> =
            self.conns.iter().filter(|(_, conn)| overdue(conn)).map(|(number, _)| *number).collect();
        for number in numbers {
            self.counts.overdue += 1;
            self.close(number);
        }
    }

    fn close(&mut self, number: u64) {
        self.world.closed(self.now, number);
        self.forget(number);
    }

    fn forget(&mut self, number: u64) {
        self.conns.remove(&number);
        self.world.retire(number);
        self.counts.closed += 1;
        self.carry_out();
    }

    /// One input, as the host takes it, and what must hold after it.
    fn input(&mut self, number: u64, bytes: &[u8]) {
        let start = Instant::now();
        self.counts.inputs += 1;
        self.counts.bytes += bytes.len() as u64;
        let conn = self.conns.get_mut(&number).expect("open");
        conn.wire.input().extend_from_slice(bytes);
        conn.pending += bytes.len();
        while let Some(conn) = self.conns.get_mut(&number) {
            match conn.wire.next_frame() {
                Ok(Some(frame)) => {
                    conn.pending = conn.wire.input().len();
                    self.counts.commands += u64::from(matches!(frame, Frame::Command(_)));
                    self.counts.broken += u64::from(matches!(frame, Frame::Malformed(_)));
                    self.world.receive(self.now, number, frame);
                    self.carry_out();
                }
                Ok(None) => {
                    let waiting = conn.wire.input().len();
                    assert!(waiting <= conn.pending, "{waiting} bytes wait, {} came", conn.pending);
                    break;
                }
                Err(Broken) => {
                    self.counts.broken += 1;
                    self.close(number);
                }
            }
        }
        self.counts.slowest = self.counts.slowest.max(start.elapsed());
    }

    fn carry_out(&mut self) {
        if self.world.deadline() <= self.now {
            self.world.advance(self.now);
        }
        let mut sent = BTreeSet::new();
        for effect in self.world.take_effects() {
            match effect {
                Effect::Limits { conn, limits } => {
                    if let Some(conn) = self.conns.get_mut(&conn) {
                        conn.wire.set_limits(*limits);
                    }
                }
                Effect::Protocol { conn, version } => {
                    if let Some(conn) = self.conns.get_mut(&conn) {
                        conn.wire.set_protocol(version);
                        conn.plain &= version == 2;
                    }
                }
                Effect::Send { conn: number, frame } => {
                    let Some(conn) = self.conns.get_mut(&number) else { continue };
                    conn.plain &= matches!(frame, Frame::Reply(_));
                    conn.deaf &= !matches!(frame, Frame::Snapshot(_));
                    self.counts.replies += 1;
                    if conn.wire.send(self.now, &frame) {
                        self.read(number);
                        sent.insert(number);
                    } else {
                        // One reply alone may be too much where little is kept.
                        assert!(conn.deaf || self.tight, "it has read everything so far");
                        assert!(conn.wire.output().is_empty(), "nothing is kept for who is closed");
                        self.counts.overflowed += 1;
                        self.close(number);
                    }
                }
                Effect::Close { conn } => {
                    self.understand(conn);
                    if self.conns.remove(&conn).is_some() {
                        self.world.retire(conn);
                        self.counts.closed += 1;
                    }
                }
                Effect::Dial { conn, .. } => {
                    if self.rng.random_range(0..4) > 0 {
                        self.counts.dialled += 1;
                        let wire = Wire::dialled(Arc::default());
                        self.conns.insert(
                            conn,
                            Conn { wire, node: None, pending: 0, deaf: false, plain: false, read: Vec::new() },
                        );
                        self.world.dialled(self.now, conn);
                    } else {
                        self.world.closed(self.now, conn);
                        self.world.retire(conn);
                    }
                }
                // What is sent is read at once.
                Effect::Door { .. } | Effect::Moved { .. } | Effect::Leave { .. } | Effect::Discard { .. } => {}
            }
        }
        for number in sent {
            self.understand(number);
        }
    }

    /// The client reads what it was sent, or it never does. A snapshot is not counted, so that it is read.
    fn read(&mut self, number: u64) {
        let conn = self.conns.get_mut(&number).expect("open");
        if conn.deaf {
            let waiting = conn.wire.output().len();
            assert!(waiting < OUTPUT_MAX, "{waiting} bytes wait for a client that does not read");
            return;
        }
        if conn.plain {
            conn.read.extend_from_slice(conn.wire.output());
        }
        let read = conn.wire.output().len();
        conn.wire.written(read);
    }

    /// What it has read is whole replies.
    fn understand(&mut self, number: u64) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        let read = std::mem::take(&mut conn.read);
        if conn.plain {
            // The decoder wants text in errors; a client's own bytes come back in them as they are.
            let text = |byte: &u8| if byte.is_ascii() { *byte } else { b'?' };
            let mut rest: Bytes = read.iter().map(text).collect();
            while !rest.is_empty() {
                match decode_bytes(&rest) {
                    Ok(Some((_, used))) => rest = rest.slice(used..),
                    other => panic!("not RESP: {other:?} in {}", read[..read.len().min(300)].escape_ascii()),
                }
            }
        }
    }
}

fn encode(words: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Memory that the process holds and has held at most, in KiB.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    };
    (field("VmRSS:"), field("VmHWM:"))
}

#[expect(clippy::print_stderr, reason = "the figures of the long run, and how to repeat a failure")]
fn run(inputs: u64, most_kib: u64) -> Counts {
    let seed = std::env::var("FUZZ_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    let first = std::env::var("FUZZ_FIRST").ok().and_then(|first| first.parse().ok()).unwrap_or(0);
    let mut counts = Counts::default();
    for number in first.. {
        if counts.inputs >= inputs {
            break;
        }
        let result = catch_unwind(AssertUnwindSafe(|| Lab::new(Seed(seed), number, &mut counts).round()));
        if let Err(panic) = result {
            eprintln!("repeat with FUZZ_SEED={seed} FUZZ_FIRST={number} FUZZ_INPUTS=1");
            std::panic::resume_unwind(panic);
        }
        let (now, most) = memory();
        assert!(most < most_kib, "{most} KiB were held by cluster {number} of seed {seed}, and {now} are");
        if number % 1_000 == 999 {
            eprintln!("{counts:?}, {} MiB held, at most {} MiB", now / 1024, most / 1024);
        }
    }
    counts
}

#[test]
fn whatever_bytes_come() {
    let counts = run(20_000, SHARED_MEMORY_MAX_KIB);
    // It came to what it is there for.
    assert!(
        counts.commands > 10_000
            && counts.broken > 100
            && counts.dialled > 10
            && counts.replies > 10_000
            && counts.overflowed > 3
            && counts.overdue > 0,
        "{counts:?}"
    );
}

#[test]
#[ignore = "minutes; its first lines say how"]
#[expect(clippy::print_stderr, reason = "the figures")]
fn whatever_bytes_come_for_long() {
    let inputs = std::env::var("FUZZ_INPUTS").ok().and_then(|inputs| inputs.parse().ok()).unwrap_or(10_000_000);
    let start = Instant::now();
    let counts = run(inputs, MEMORY_MAX_KIB);
    eprintln!("{counts:?} in {:?}, at most {} MiB", start.elapsed(), memory().1 / 1024);
}
