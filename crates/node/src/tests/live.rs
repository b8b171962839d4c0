//! Replies held against a live redis-server 7.0, in both versions of the protocol. The script is
//! `tests/data/live.script`; its first lines say how it is written.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use model::{Command, Conn, Frame, Input, Reply, double_text};
use real::{Block, Options, Process, Program};

use super::harness::Lab;

const SCRIPT: &str = include_str!("../../tests/data/live.script");

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
                format!("\"{}\"", String::from_utf8_lossy(&bytes[skip..]))
            }
            "*" | ">" | "~" => {
                let items: Vec<String> = (0..count).map(|_| self.read()).collect();
                format!("{}[{}]", if kind == "*" { "" } else { kind }, items.join(" "))
            }
            "%" => {
                let items: Vec<String> = (0..2 * count).map(|_| self.read()).collect();
                format!("{{{}}}", items.join(" "))
            }
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
        Reply::NullArray if !resp3 => "nil*".to_owned(),
        Reply::Null | Reply::NullArray => "nil".to_owned(),
        Reply::Array(items) => format!("[{}]", list(items)),
        Reply::Set(items) => format!("{}[{}]", if resp3 { "~" } else { "" }, list(items)),
        Reply::Push(items) => format!("{}[{}]", if resp3 { ">" } else { "" }, list(items)),
        Reply::Map(pairs) => {
            let flat: Vec<Reply> = pairs.iter().flat_map(|(key, value)| [key.clone(), value.clone()]).collect();
            if resp3 { format!("{{{}}}", list(&flat)) } else { format!("[{}]", list(&flat)) }
        }
        other => super::harness::show(other),
    }
}

/// Words as a shell would split them; `\x00`, `\n` and the like in double quotes.
fn words(line: &str) -> Vec<Vec<u8>> {
    let (mut words, mut word, mut quote): (Vec<Vec<u8>>, Option<Vec<u8>>, Option<char>) = (Vec::new(), None, None);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, ' ') => words.extend(word.take()),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(open), _) if c == open => quote = None,
            (Some('"'), '\\') => word.get_or_insert_default().push(match chars.next() {
                Some('n') => b'\n',
                Some('0') => 0,
                Some(other) => other as u8,
                None => b'\\',
            }),
            _ => word.get_or_insert_default().extend(c.to_string().as_bytes()),
        }
    }
    words.extend(word);
    words
}

/// Members of what has no order are compared in a fixed one.
fn sorted(text: &str) -> String {
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

struct Both {
    lab: Lab,
    fakes: BTreeMap<u8, Conn>,
    reals: BTreeMap<u8, Wire>,
    addr: SocketAddr,
    resp3: bool,
}

impl Both {
    fn open(addr: SocketAddr, resp3: bool) -> Self {
        Self { lab: Lab::single(), fakes: BTreeMap::new(), reals: BTreeMap::new(), addr, resp3 }
    }

    fn connect(&mut self, number: u8) {
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

    fn send(&mut self, number: u8, words: &[Vec<u8>]) {
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

    /// The next reply of the fake, and of the real one.
    fn read(&mut self, number: u8) -> (String, String) {
        let conn = self.fakes[&number];
        let mut fake = self.lab.heard.get_mut(&(0, conn)).and_then(VecDeque::pop_front);
        if fake.is_none() {
            // It waits; the longest wait in the script is shorter.
            self.lab.run(100);
            fake = self.lab.heard.get_mut(&(0, conn)).and_then(VecDeque::pop_front);
        }
        let fake = fake.map_or("(nothing)".to_owned(), |reply| shown(&reply, self.resp3));
        (fake, self.reals.get_mut(&number).expect("connected").read())
    }
}

fn compare(addr: SocketAddr, resp3: bool) -> Vec<String> {
    let mut differences = Vec::new();
    let mut both = Both::open(addr, resp3);
    for (index, line) in SCRIPT.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#')) {
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
        if rest != "<" {
            both.send(number, &words(rest));
        }
        let (mut fake, mut real) = both.read(number);
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
            differences.push(format!("line {} in RESP{version}: {rest}\n  real {real}\n  fake {fake}", index + 1));
        }
    }
    differences
}

#[test]
fn replies_are_those_of_redis() {
    let Some((process, _block)) = server("replies held against redis-server") else { return };
    let mut differences = compare(process.addr(), false);
    differences.extend(compare(process.addr(), true));
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
