//! One Sentinel, and everybody else played by the test: data nodes and fellow Sentinels that answer at once, or not.
#![allow(unreachable_pub)]

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use model::machine::{Identity, Note};
use model::{Addr, Command, Conn, Frame, Input, NodeId, Output, Reply, RunId, Seed, Time};
use sentinel_lab_sentinel::{Config, KnownMaster, Monitor, Sentinel};

/// Who is behind a port.
pub const MASTER: u16 = 1;
pub const REPLICAS: [u16; 2] = [2, 3];
pub const PEERS: [u16; 2] = [11, 12];

/// Of things that did not happen.
pub const NEVER: [u64; 0] = [];

/// The connection on which the test asks.
const ASKING: Conn = Conn::inbound(1);

/// What somebody answers.
#[derive(Clone)]
pub struct Party {
    /// Commands are answered.
    pub answers: bool,
    /// What is published comes back on the hello channel.
    pub echoes: bool,
    /// It does as `SLAVEOF` says.
    pub obeys: bool,
    /// It takes no connection.
    pub refuses: bool,
    /// The error that it answers to `PING`.
    pub refuses_pings: Option<&'static str>,
    /// Its link to its master is up.
    pub in_step: bool,
    /// Whom it follows; `None` for a master.
    pub follows: Option<u16>,
    /// What a Sentinel answers when asked about the master, besides that it has voted for nobody.
    pub finds_down: bool,
    /// For whom it votes, in the epoch of whoever asks.
    pub votes_for: Option<RunId>,
}

/// What happened on a connection that the Sentinel made: in milliseconds, with whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Did {
    Dialled,
    Closed,
    /// A command, its words joined.
    Sent(String),
}

pub struct Lab {
    pub sentinel: Sentinel,
    pub parties: BTreeMap<u16, Party>,
    /// When the passes of the timer were.
    pub passes: Vec<u64>,
    /// Events with their text.
    pub events: Vec<(u64, String)>,
    /// What it did on which connection to whom. The hello channel has a connection of its own.
    pub deeds: Vec<(u64, u16, Conn, Did)>,
    /// When its process ended by itself.
    pub exits: Vec<u64>,
    conns: BTreeMap<Conn, u16>,
    now: Time,
    reply: Option<Reply>,
}

pub fn id(digit: char) -> RunId {
    RunId::parse(&digit.to_string().repeat(40)).unwrap()
}

fn addr(port: u16) -> Addr {
    Addr::new("10.0.0.1", port)
}

impl Lab {
    /// A Sentinel that knows everybody from its file, with a quorum of 2.
    pub fn new(down_after: u64, failover_timeout: u64, parallel_syncs: u32) -> Self {
        let monitor = Monitor {
            down_after: Duration::from_millis(down_after),
            failover_timeout: Duration::from_millis(failover_timeout),
            parallel_syncs,
            ..Monitor::new("mymaster", addr(MASTER), 2)
        };
        let mut config = Config::new(Identity { node: NodeId::sentinel(1), addr: addr(10) });
        config.my_id = Some(id('a'));
        config.masters = vec![KnownMaster {
            replicas: REPLICAS.map(addr).to_vec(),
            sentinels: vec![(addr(PEERS[0]), id('b')), (addr(PEERS[1]), id('c'))],
            ..monitor.into()
        }];
        let party = |port: u16| Party {
            answers: true,
            echoes: true,
            obeys: true,
            refuses: false,
            refuses_pings: None,
            in_step: true,
            follows: REPLICAS.contains(&port).then_some(MASTER),
            finds_down: false,
            votes_for: None,
        };
        let ports = [MASTER].into_iter().chain(REPLICAS).chain(PEERS);
        let mut lab = Self {
            sentinel: Sentinel::new(config, Seed(1), 1, Time::ZERO),
            parties: ports.map(|port| (port, party(port))).collect(),
            passes: Vec::new(),
            events: Vec::new(),
            deeds: Vec::new(),
            exits: Vec::new(),
            conns: BTreeMap::new(),
            now: Time::ZERO,
            reply: None,
        };
        lab.input(Input::Accepted(ASKING, addr(9)));
        lab
    }

    pub fn party(&mut self, port: u16) -> &mut Party {
        self.parties.get_mut(&port).expect("somebody")
    }

    /// Lets time pass until `ms`, that pass included.
    pub fn run_to(&mut self, ms: u64) {
        while self.exits.is_empty() && self.sentinel.deadline() <= Time::from_millis(ms) {
            self.pass();
        }
        self.now = Time::from_millis(ms);
    }

    /// One pass.
    pub fn pass(&mut self) -> u64 {
        self.now = self.sentinel.deadline();
        assert!(self.now < Time::from_millis(600_000), "what is waited for does not come: {:?}", self.events);
        self.passes.push(self.now.as_millis());
        self.input(Input::Tick);
        self.now.as_millis()
    }

    /// The first pass that is later than `ms`, of those that were.
    pub fn pass_after(&self, ms: u64) -> u64 {
        *self.passes.iter().find(|pass| **pass > ms).expect("there was such a pass")
    }

    /// Every connection to somebody is lost.
    pub fn lose(&mut self, port: u16) {
        for conn in self.conns(port) {
            self.input(Input::Closed(conn));
        }
    }

    /// What it replies.
    pub fn ask(&mut self, words: &str) -> Reply {
        let command = Command(words.split(' ').map(|word| Bytes::from(word.to_owned())).collect());
        self.input(Input::Received(ASKING, Frame::Command(command)));
        self.reply.take().expect("a reply")
    }

    /// When it published an event.
    pub fn events(&self, name: &str) -> Vec<u64> {
        let wanted = |(_, event): &&(u64, String)| event.split(' ').next() == Some(name);
        self.events.iter().filter(wanted).map(|(at, _)| *at).collect()
    }

    /// Its events since `ms`, without their text but for whom they are about.
    pub fn names_since(&self, ms: u64) -> Vec<&str> {
        let names = self.events.iter().filter(|(at, _)| *at >= ms);
        names.map(|(_, event)| event.split(' ').next().unwrap_or_default()).collect()
    }

    /// The connections to somebody, oldest first: the one for commands, the one for the hello channel, the next ones.
    pub fn conns(&self, to: u16) -> Vec<Conn> {
        let dialled = self.deeds.iter().filter(|(_, port, _, did)| *port == to && *did == Did::Dialled);
        dialled.map(|(_, _, conn, _)| *conn).collect()
    }

    /// When it did something on a connection.
    pub fn times(&self, conn: Conn, wanted: &Did) -> Vec<u64> {
        let hits = self.deeds.iter().filter(|(_, _, on, did)| *on == conn && did == wanted);
        hits.map(|(at, ..)| *at).collect()
    }

    fn input(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut out = Vec::new();
            self.sentinel.handle(self.now, input, &mut out);
            for output in out {
                self.output(output, &mut inputs);
            }
        }
    }

    fn output(&mut self, output: Output, inputs: &mut VecDeque<Input>) {
        let at = self.now.as_millis();
        match output {
            Output::Connect(conn, to) => {
                self.conns.insert(conn, to.port);
                self.deeds.push((at, to.port, conn, Did::Dialled));
                let refuses = self.parties[&to.port].refuses;
                inputs.push_back(if refuses { Input::Closed(conn) } else { Input::Connected(conn) });
            }
            Output::Close(conn) => {
                let port = self.conns[&conn];
                self.deeds.push((at, port, conn, Did::Closed));
            }
            Output::Send(ASKING, Frame::Reply(reply)) => self.reply = Some(reply),
            Output::Send(conn, Frame::Command(command)) => {
                let port = self.conns[&conn];
                let words: Vec<String> =
                    command.0.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
                self.deeds.push((at, port, conn, Did::Sent(words.join(" "))));
                self.answer(port, conn, &words, inputs);
            }
            Output::Exit => self.exits.push(at),
            Output::Note(Note::Event(event, text)) => self.events.push((at, format!("{} {text}", event.as_str()))),
            _ => {}
        }
    }

    fn answer(&mut self, port: u16, conn: Conn, words: &[String], inputs: &mut VecDeque<Input>) {
        let own = self.sentinel.id().clone();
        let party = self.parties.get_mut(&port).expect("somebody");
        let mut say = |on: Conn, reply: Reply| inputs.push_back(Input::Received(on, Frame::Reply(reply)));
        let reply = match words[0].as_str() {
            "PING" => party.refuses_pings.map_or(Reply::PONG, Reply::error),
            "INFO" => Reply::bulk(info(port, party)),
            "SUBSCRIBE" => {
                say(conn, Reply::Push(vec![Reply::word("subscribe"), Reply::bulk(words[1].clone()), Reply::Int(1)]));
                return;
            }
            "PUBLISH" => {
                if party.echoes && !PEERS.contains(&port) {
                    let dialled = self.deeds.iter().filter(|(_, to, _, did)| *to == port && *did == Did::Dialled);
                    for on in dialled.map(|(_, _, on, _)| *on).filter(|on| *on != conn) {
                        let message =
                            [Reply::word("message"), Reply::bulk(words[1].clone()), Reply::bulk(words[2].clone())];
                        say(on, Reply::Push(message.to_vec()));
                    }
                }
                Reply::Int(1)
            }
            "SLAVEOF" if party.answers && party.obeys => {
                party.follows = if words[1] == "NO" { None } else { words[2].parse().ok() };
                Reply::OK
            }
            "SENTINEL" => {
                let vote = party.votes_for.as_ref().filter(|_| words[5] == own.as_str());
                let (leader, epoch) = match vote {
                    Some(leader) => (Reply::bulk(leader.to_string()), words[4].parse().expect("an epoch")),
                    None => (Reply::word("*"), 0),
                };
                Reply::Array(vec![Reply::Int(i64::from(party.finds_down)), leader, Reply::Int(epoch)])
            }
            _ => Reply::OK,
        };
        if party.answers {
            say(conn, reply);
        }
    }
}

fn info(port: u16, party: &Party) -> String {
    let run_id = format!("{port:040x}");
    match party.follows {
        None => format!("run_id:{run_id}\r\nrole:master\r\n"),
        Some(master) => format!(
            "run_id:{run_id}\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:{master}\r\nmaster_link_status:{}\r\n\
             slave_repl_offset:100\r\nslave_priority:100\r\nreplica_announced:1\r\n",
            if party.in_step { "up" } else { "down" }
        ),
    }
}
