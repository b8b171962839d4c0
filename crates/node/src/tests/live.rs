//! Replies and the stream of replication held against a live redis-server 7.0, in both versions of the protocol. The scripts
//! are `tests/data/*.script`; the first lines of `live.script` say how they are written.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use model::{Command, Conn, Frame, Input, Reply, double_text};
use real::{Block, Options, Process, Program};

use super::harness::{Lab, legible, show};

/// The scripts, by their names.
const SCRIPTS: [(&str, &str); 8] = [
    ("live", include_str!("../../tests/data/live.script")),
    ("values", include_str!("../../tests/data/values.script")),
    ("bits", include_str!("../../tests/data/bits.script")),
    ("streams", include_str!("../../tests/data/streams.script")),
    ("tracking", include_str!("../../tests/data/tracking.script")),
    ("lua", include_str!("../../tests/data/lua.script")),
    ("replication", include_str!("../../tests/data/replication.script")),
    ("times", include_str!("../../tests/data/times.script")),
];

/// A redis-server; `None`, said loudly, if there is none on this machine.
pub(super) fn server(what: &str) -> Option<(Process, Block)> {
    let binaries = real::required(what)?;
    let block = Block::claim().expect("a block of loopback addresses");
    let (ip, port) = block.addr(0, 6379);
    let addr = SocketAddr::new(ip, port);
    let mut process =
        Process::start(&binaries, Program::Server, "redis-1", addr, &Options::server()).expect("it starts");
    process.wait_ready().expect("it answers");
    Some((process, block))
}

/// A connection to the real one, whose replies are shown at once.
struct Wire(BufReader<TcpStream>);

impl Wire {
    fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
        Self(BufReader::new(stream))
    }

    fn send(&mut self, words: &[Vec<u8>]) {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
            bytes.extend_from_slice(word);
            bytes.extend_from_slice(b"\r\n");
        }
        self.0.get_mut().write_all(&bytes).expect("it reads");
    }

    /// Asks for the stream of a master, and passes over the snapshot.
    fn follow(&mut self) {
        self.send(&words("PSYNC ? -1"));
        let mut line = String::new();
        while !line.starts_with('$') {
            line.clear();
            self.0.read_line(&mut line).expect("an answer to PSYNC");
        }
        let length = line[1..].trim_end().parse().expect("the length of a snapshot");
        self.0.read_exact(&mut vec![0; length]).expect("a snapshot");
    }

    fn read(&mut self) -> String {
        let mut line = Vec::new();
        if self.0.read_until(b'\n', &mut line).is_err() {
            return "(nothing)".to_owned();
        }
        let text = String::from_utf8_lossy(line.strip_suffix(b"\r\n").unwrap_or(&line)).into_owned();
        let (kind, rest) = text.split_at_checked(1).unwrap_or(("closed", ""));
        let count = rest.parse::<i64>().unwrap_or(0);
        match kind {
            "+" | "-" | ":" | "," => text,
            "#" => if rest == "t" { ":1" } else { "nil" }.to_owned(),
            "_" => "nil".to_owned(),
            "$" | "*" if count < 0 => if kind == "$" { "nil" } else { "nil*" }.to_owned(),
            "$" | "=" => {
                let mut bytes = vec![0; count as usize + 2];
                self.0.read_exact(&mut bytes).expect("the whole of it");
                bytes.truncate(count as usize);
                let skip = if kind == "=" { 4 } else { 0 };
                format!("\"{}\"", legible(&bytes[skip..]))
            }
            "*" | ">" | "~" => {
                let items: Vec<String> = (0..count).map(|_| self.read()).collect();
                format!("{}[{}]", if kind == "*" { "" } else { kind }, items.join(" "))
            }
            "%" => {
                let items: Vec<String> = (0..2 * count).map(|_| self.read()).collect();
                format!("{{{}}}", items.join(" "))
            }
            "closed" => "(closed)".to_owned(),
            other => panic!("not RESP: {other}{rest}"),
        }
    }
}

/// A reply of the fake in the form in which it would be read off the wire.
fn shown(reply: &Reply, resp3: bool) -> String {
    let list = |items: &[Reply]| items.iter().map(|item| shown(item, resp3)).collect::<Vec<_>>().join(" ");
    match reply {
        Reply::Double(value) if resp3 => format!(",{}", double_text(*value)),
        Reply::Double(value) => format!("\"{}\"", double_text(*value)),
        Reply::Decimal(digits) if !resp3 => format!("\"{digits}\""),
        Reply::NullArray if !resp3 => "nil*".to_owned(),
        Reply::Null | Reply::NullArray => "nil".to_owned(),
        Reply::Array(items) => format!("[{}]", list(items)),
        Reply::Set(items) => format!("{}[{}]", if resp3 { "~" } else { "" }, list(items)),
        Reply::Push(items) => format!("{}[{}]", if resp3 { ">" } else { "" }, list(items)),
        Reply::Map(pairs) => {
            let flat: Vec<Reply> = pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect();
            if resp3 { format!("{{{}}}", list(&flat)) } else { format!("[{}]", list(&flat)) }
        }
        other => show(other),
    }
}

pub(super) fn words(line: &str) -> Vec<Vec<u8>> {
    let split = model::words::split(line.as_bytes()).unwrap_or_else(|| panic!("quotes that are not balanced: {line}"));
    split.iter().map(|word| word.to_vec()).collect()
}

/// Members of what has no order are compared in a fixed one.
pub(super) fn sorted(text: &str) -> String {
    let mut words: Vec<&str> = text.trim_matches(|c| "[]~{}".contains(c)).split(' ').collect();
    words.sort_unstable();
    words.join(" ")
}

/// The lines of `INFO commandstats` and `latencystats` in order, without times.
fn counted(text: &str) -> String {
    let line = |line: &str| {
        let fields = line.split(',').map(|field| match field.split_once('=') {
            Some((name, value)) if !name.ends_with("calls") => format!("{name}={}", value.len().min(1)),
            _ => field.to_owned(),
        });
        fields.collect::<Vec<_>>().join(",")
    };
    let mut lines: Vec<String> = text.trim_matches('"').lines().map(line).collect();
    lines.sort_unstable();
    lines.join("\n")
}

/// A line of `MONITOR` without the time and the address.
fn monitored(line: &str) -> String {
    let inside = line.split_once(" [").and_then(|(_, rest)| rest.split_once(']'));
    let Some((from, command)) = inside else { return line.to_owned() };
    let (db, who) = from.split_once(' ').unwrap_or((from, ""));
    let who = if who == "lua" { who } else { "address" };
    format!("+ [{db} {who}]{command}")
}

/// The connection that follows the stream, and the word that ends what is looked at.
const FOLLOWER: u8 = 9;
const END: &str = "[\"PUBLISH\" \"end\" \"\"]";

/// What a master sends by the clock.
fn is_ping(command: &str) -> bool {
    command.eq_ignore_ascii_case("[\"PING\"]")
}

/// What a stream held before its end, without what comes by the clock.
fn changes(stream: impl Iterator<Item = String>) -> String {
    let commands = stream.take_while(|command| command != END).filter(|command| !is_ping(command));
    commands.collect::<Vec<_>>().join(" ")
}

/// A node and a live redis-server, and connections to both.
pub(super) struct Both {
    lab: Lab,
    fakes: BTreeMap<u8, Conn>,
    reals: BTreeMap<u8, Wire>,
    addr: SocketAddr,
    resp3: bool,
}

impl Both {
    pub(super) fn open(addr: SocketAddr, resp3: bool) -> Self {
        Self { lab: Lab::single(), fakes: BTreeMap::new(), reals: BTreeMap::new(), addr, resp3 }
    }

    pub(super) fn connect(&mut self, number: u8) {
        if self.reals.contains_key(&number) {
            return;
        }
        let conn = self.lab.client(0);
        self.fakes.insert(number, conn);
        self.reals.insert(number, Wire::open(self.addr));
        if self.resp3 {
            self.send(number, &[b"HELLO".to_vec(), b"3".to_vec()]);
            self.read(number);
        }
    }

    /// Gives up the connection of this number, and opens it anew.
    pub(super) fn reopen(&mut self, number: u8) {
        self.reals.remove(&number);
        if let Some(conn) = self.fakes.remove(&number) {
            self.lab.input(0, Input::Closed(conn));
        }
        self.connect(number);
    }

    pub(super) fn send(&mut self, number: u8, words: &[Vec<u8>]) {
        let command = Command(words.iter().map(|word| word.clone().into()).collect());
        self.lab.input(0, Input::Received(self.fakes[&number], Frame::Command(command)));
        self.reals.get_mut(&number).expect("connected").send(words);
    }

    /// Until the real one has begun to wait: what another connection sends next must find it so.
    fn wait_blocked(&mut self) {
        let mut control = Wire::open(self.addr);
        for _ in 0..1_000 {
            control.send(&words("INFO clients"));
            if control.read().contains("blocked_clients:1") {
                return;
            }
        }
        panic!("no connection is blocked");
    }

    pub(super) fn follow(&mut self) {
        let conn = self.lab.client(0);
        self.fakes.insert(FOLLOWER, conn);
        self.lab.input(0, Input::Received(conn, Frame::Command(Command::of(&["PSYNC", "?", "-1"]))));
        self.lab.run(6_000);
        self.lab.heard.remove(&(0, conn));
        self.reals.insert(FOLLOWER, Wire::open(self.addr));
        self.reals.get_mut(&FOLLOWER).expect("connected").follow();
    }

    /// What the fake told its replicas since the last time, and what the real one did.
    pub(super) fn streamed(&mut self) -> (String, String) {
        self.send(0, &words("PUBLISH end ''"));
        self.read(0);
        let stream = self.lab.streams.get_mut(&(0, self.fakes[&FOLLOWER])).map(std::mem::take).unwrap_or_default();
        let whole = |Command(words)| show(&Reply::Array(words.into_iter().map(Reply::Bulk).collect()));
        let real = self.reals.get_mut(&FOLLOWER).expect("connected");
        (changes(stream.into_iter().map(whole)), changes(std::iter::from_fn(|| Some(real.read()))))
    }

    /// Lets time pass until the middle of a second, the one that comes so many after this. The server sleeps meanwhile.
    fn pass(&mut self, seconds: u64) {
        const MIDDLE: u64 = 500_000;
        self.send(0, &words("TIME"));
        let left = |time: &str| {
            let micros = time.trim_matches(|c| "[]\"".contains(c)).split("\" \"").nth(1).map(str::parse::<u64>);
            seconds * 1_000_000 + MIDDLE - micros.expect("two numbers").expect("a number")
        };
        let (fake, real) = self.read(0);
        self.lab.run(left(&fake) / 1_000);
        let sleep = format!("DEBUG SLEEP {}", left(&real) as f64 / 1e6);
        let wire = self.reals.get_mut(&0).expect("connected");
        wire.send(&words(&sleep));
        assert_eq!(wire.read(), "+OK", "{sleep}");
    }

    /// The next reply of the fake.
    fn hear(&mut self, conn: Conn) -> String {
        let mut fake = self.lab.heard.get_mut(&(0, conn)).and_then(VecDeque::pop_front);
        if fake.is_none() {
            // It waits; the longest wait in the script is shorter.
            self.lab.run(100);
            fake = self.lab.heard.get_mut(&(0, conn)).and_then(VecDeque::pop_front);
        }
        let silence = if self.lab.closed.contains(&(0, conn)) { "(closed)" } else { "(nothing)" };
        match fake {
            None => silence.to_owned(),
            Some(Reply::ArrayOf(len)) => {
                let items: Vec<String> = (0..len).map(|_| self.hear(conn)).collect();
                format!("[{}]", items.join(" "))
            }
            Some(reply) => shown(&reply, self.resp3),
        }
    }

    /// The next reply of the fake, and of the real one.
    pub(super) fn read(&mut self, number: u8) -> (String, String) {
        let conn = self.fakes[&number];
        let fake = self.hear(conn);
        let wire = self.reals.get_mut(&number).expect("connected");
        let real = std::iter::repeat_with(|| wire.read()).find(|reply| !is_ping(reply)).expect("one after another");
        (fake, real)
    }
}

fn compare(name: &str, script: &str, addr: SocketAddr, resp3: bool) -> Vec<String> {
    let mut differences = Vec::new();
    let mut both = Both::open(addr, resp3);
    for (index, line) in script.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
        if line.starts_with("---") {
            let mut fresh = Wire::open(addr);
            for reset in
                ["FLUSHALL", "SCRIPT FLUSH", "CLIENT UNPAUSE", "CONFIG RESETSTAT", "ACL SETUSER default on nopass"]
            {
                fresh.send(&words(reset));
                let reply = fresh.read();
                assert!(reply.starts_with('+'), "{reset}: {reply}");
            }
            both = Both::open(addr, resp3);
            continue;
        }
        if line.starts_with("2 only: ") && resp3 || line.starts_with("3 only: ") && !resp3 {
            continue;
        }
        let line = line.trim_start_matches("2 only: ").trim_start_matches("3 only: ");
        if let Some(seconds) = line.strip_prefix("@seconds ") {
            both.connect(0);
            both.pass(seconds.parse().expect("a number"));
            continue;
        }
        if line == "@follow" {
            both.connect(0);
            both.follow();
            continue;
        }
        let (number, rest) = match line.split_once(": ") {
            Some((number, rest)) if number.len() == 1 => (number.parse().expect("a number"), rest),
            _ => (0, line),
        };
        both.connect(number);
        let (sort, rest) = rest.strip_prefix("~ ").map_or((false, rest), |rest| (true, rest));
        if let Some(rest) = rest.strip_prefix("> ") {
            both.send(number, &words(rest));
            both.wait_blocked();
            continue;
        }
        if rest != "<" && rest != "@stream" {
            both.send(number, &words(rest));
        }
        let (mut fake, mut real) = if rest == "@stream" { both.streamed() } else { both.read(number) };
        if sort {
            (fake, real) = (sorted(&fake), sorted(&real));
        }
        if fake.starts_with("\"# Commandstats") || fake.starts_with("\"# Latencystats") {
            (fake, real) = (counted(&fake), counted(&real));
        }
        if fake.starts_with('+') && fake.contains(" [") {
            (fake, real) = (monitored(&fake), monitored(&real));
        }
        if fake != real {
            let version = if resp3 { 3 } else { 2 };
            differences
                .push(format!("{name}.script:{} in RESP{version}: {rest}\n  real {real}\n  fake {fake}", index + 1));
        }
    }
    differences
}

#[test]
fn replies_are_those_of_redis() {
    let Some((process, _block)) = server("replies held against redis-server") else { return };
    let mut differences = Vec::new();
    for (name, script) in SCRIPTS {
        for resp3 in [false, true] {
            differences.extend(compare(name, script, process.addr(), resp3));
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[test]
fn what_one_dumps_the_other_restores() {
    const MADE: &str = "SET int 12345
        SET long 12345678901
        SET text 'some text that is long enough to be worth a compression, worth a compression, worth a compression'
        APPEND raw 12
        RPUSH list a 1 -70000 'some longer text' 9223372036854775807
        SADD ints 1 70000 -5000000000
        SADD set a b 3
        HSET hash f v n 1
        HSET wide f xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
        ZADD zset 1 a 2.5 b -inf c
        ZADD zwide 1 xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
        XADD stream 1-1 a 1
        XADD stream 2-1 a 2 b 3
        XADD stream 3-1 a 4
        XDEL stream 2-1
        XGROUP CREATE stream g 0
        XREADGROUP GROUP g c COUNT 1 STREAMS stream >
        PFADD hll a b c";
    const LOOKS: [&str; 9] = [
        "OBJECT ENCODING @",
        "GET @",
        "LRANGE @ 0 -1",
        "SMEMBERS @",
        "HGETALL @",
        "ZRANGE @ 0 -1 WITHSCORES",
        "XRANGE @ - +",
        "XINFO GROUPS @",
        "XPENDING @ g",
    ];
    let Some((process, _block)) = server("payloads held against redis-server") else { return };
    let mut both = Both::open(process.addr(), false);
    both.connect(0);
    let mut ask = |line: &str| {
        both.send(0, &words(line));
        both.read(0)
    };
    let mut keys: Vec<&str> = Vec::new();
    for line in MADE.lines().map(str::trim) {
        let (fake, real) = ask(line);
        assert_eq!(fake, real, "{line}");
        keys.push(line.trim_start_matches("XGROUP CREATE ").split(' ').nth(1).unwrap_or_default());
    }
    keys.retain(|key| !["GROUP", "g"].contains(key));
    keys.dedup();
    for key in keys {
        let (fake, real) = ask(&format!("DUMP {key}"));
        for (from, payload) in [("the fake", fake), ("the real", real)] {
            let restored = ask(&format!("RESTORE restored 0 {payload} REPLACE"));
            assert_eq!(restored, ("+OK".to_owned(), "+OK".to_owned()), "{key} of {from}: {payload}");
            for look in LOOKS {
                let (fake, real) = ask(&look.replace('@', "restored"));
                assert_eq!(sorted(&fake), sorted(&real), "{look} at {key} of {from}");
            }
        }
    }
}
