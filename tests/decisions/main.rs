//! The decisions agree: a real Sentinel and a fake one watch the same data nodes, whose INFO, silence and absence are drawn
//! at random, and must promote the same replica.
//!
//! | file | holds |
//! |---|---|
//! | `case` | what is drawn |
//! | `scripted` | the data nodes |
//!
//! All cases run at the same time. Whatever the choice depends on lies more than a second from where it would tip over.
//! `DECISIONS=200` takes that many cases in place of 50.

mod case;
mod scripted;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use model::plan::{Cluster, Expect, Plan};
use model::{NodeId, Reply, Seed};
use real::{Binaries, Block, Options, Process, Program, Talk};
use testbed::{Listen, Server};
use tokio::sync::watch;

use crate::case::{Case, LONG_ENOUGH, Loss};
use crate::scripted::Manner;

const CASES: u64 = 50;
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What a Sentinel decided: the place of the replica, or nobody.
type Decision = Option<usize>;

/// One case as it runs.
struct Stage {
    seed: u64,
    case: Case,
    master: (SocketAddr, watch::Sender<Manner>),
    replicas: Vec<(SocketAddr, watch::Sender<Manner>)>,
    /// The real Sentinel and the fake one.
    sentinels: [SocketAddr; 2],
    _real: Process,
    _block: Block,
}

/// What runs a node: given to the thread of the nodes.
type Node = (SocketAddr, Arc<str>, watch::Receiver<Manner>);

impl Stage {
    fn set(binaries: &Binaries, seed: u64, fake: SocketAddr, nodes: &mut Vec<Node>) -> Self {
        let case = Case::new(seed);
        let block = Block::claim().expect("a block");
        let addr = |index| SocketAddr::from(block.addr(index, 6379));
        let mut node = |addr, info: String| {
            let (tell, told) = watch::channel(Manner::GOOD);
            nodes.push((addr, info.into(), told));
            (addr, tell)
        };
        let replicas: Vec<_> =
            (0..case.replicas.len()).map(|index| node(addr(index + 1), case.replica_info(index, addr(0)))).collect();
        let addrs: Vec<SocketAddr> = replicas.iter().map(|(addr, _)| *addr).collect();
        let master = node(addr(0), Case::master_info(&addrs));
        let at = SocketAddr::from(block.addr(100, 26379));
        let name = format!("sentinel of case {seed}");
        let real = Process::start(binaries, Program::Sentinel, &name, at, &Options::new()).expect("starts");
        Self { seed, case, master, replicas, sentinels: [at, fake], _real: real, _block: block }
    }

    /// Has both Sentinels watch the nodes and lose the master, and gives the decision of each, or what went wrong.
    fn play(&self) -> Result<[Decision; 2], String> {
        let mut talks = Vec::new();
        for sentinel in self.sentinels {
            talks.push(self.monitor(sentinel).map_err(|error| format!("{sentinel}: {error}"))?);
        }
        for sentinel in self.sentinels {
            self.wait_known(sentinel)?;
        }
        let turn = |part: usize| {
            for (index, (_, tell)) in self.replicas.iter().enumerate() {
                tell.send_replace(self.case.manners(index)[part]);
            }
        };
        turn(0);
        thread::sleep(LONG_ENOUGH);
        // Not earlier: until it is connected a master counts as silent.
        let down_after = self.case.down_after.as_millis().to_string();
        for sentinel in self.sentinels {
            let set = ["SENTINEL", "SET", "m", "down-after-milliseconds", &down_after];
            let reply = connect(sentinel).and_then(|mut talk| talk.ask(&set, PATIENCE));
            (reply.as_ref().ok() == Some(&Reply::OK)).then_some(()).ok_or(format!("{sentinel}: {reply:?}"))?;
        }
        turn(1);
        match self.case.loss {
            Loss::Gone => drop(self.master.1.send_replace(Manner::GONE)),
            Loss::Frozen => drop(self.master.1.send_replace(Manner::FROZEN)),
            // What was lost of the links is noticed by then.
            Loss::ByHand => thread::sleep(Duration::from_secs(2)),
        }
        let mut decide = |index: usize| self.decision(&mut talks[index], self.sentinels[index]);
        Ok([decide(0)?, decide(1)?])
    }

    /// A connection that hears the events of the Sentinel, which has begun to watch the master.
    fn monitor(&self, sentinel: SocketAddr) -> io::Result<Talk> {
        let mut talk = connect(sentinel)?;
        let (ip, port) = (self.master.0.ip().to_string(), self.master.0.port().to_string());
        for command in
            [&["SENTINEL", "DEBUG", "info-period", "1000"][..], &["SENTINEL", "MONITOR", "m", &ip, &port, "1"]]
        {
            let reply = talk.ask(command, PATIENCE)?;
            if reply != Reply::OK {
                return Err(io::Error::other(format!("{command:?}: {reply:?}")));
            }
        }
        talk.ask(&["PSUBSCRIBE", "*selected-slave", "*abort*"], PATIENCE)?;
        talk.receive(PATIENCE)?;
        Ok(talk)
    }

    /// Waits until a Sentinel is connected to every replica and has read its INFO.
    fn wait_known(&self, sentinel: SocketAddr) -> Result<(), String> {
        let fields: Vec<String> = (0..self.replicas.len()).map(|index| format!("slave{index}:")).collect();
        let deadline = Instant::now() + PATIENCE;
        let mut talk = connect(sentinel).map_err(|error| error.to_string())?;
        loop {
            let mut ask = |command: &[&str]| talk.ask(command, PATIENCE).map_err(|error| error.to_string());
            let master = words(&ask(&["SENTINEL", "MASTER", "m"])?);
            let known = field(&master, "num-slaves") == Some(&self.replicas.len().to_string());
            // The cache has also those that are hidden from clients; a text, and not nil, once there was an INFO.
            let cache = words(&ask(&["SENTINEL", "INFO-CACHE", "m"])?);
            let texts = cache.iter().filter(|word| word.contains("role:")).count();
            if known && texts == fields.len() + 1 {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{sentinel} did not get to know the replicas: {master:?} {cache:?}"));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    fn decision(&self, events: &mut Talk, sentinel: SocketAddr) -> Result<Decision, String> {
        if self.case.loss == Loss::ByHand {
            let reply = connect(sentinel).and_then(|mut talk| talk.ask(&["SENTINEL", "FAILOVER", "m"], PATIENCE));
            match reply.map_err(|error| error.to_string())? {
                Reply::Error(text) if text.starts_with("NOGOODSLAVE") => return Ok(None),
                reply if reply == Reply::OK => {}
                other => return Err(format!("{sentinel}: {other:?}")),
            }
        }
        let event = words(&events.receive(PATIENCE).map_err(|error| format!("{sentinel}: no decision: {error}"))?);
        let [.., name, payload] = event.as_slice() else { return Err(format!("{sentinel}: {event:?}")) };
        match name.as_str() {
            "-failover-abort-no-good-slave" => Ok(None),
            "+selected-slave" => {
                let chosen = |(addr, _): &(SocketAddr, _)| payload.starts_with(&format!("slave {addr} "));
                self.replicas.iter().position(chosen).map(Some).ok_or(format!("{sentinel}: {payload}"))
            }
            _ => Err(format!("{sentinel}: {event:?}")),
        }
    }
}

/// Connects as soon as somebody listens.
fn connect(addr: SocketAddr) -> io::Result<Talk> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Talk::connect(addr, PATIENCE) {
            Err(_) if Instant::now() < deadline => thread::sleep(LOOK_EVERY),
            other => return other,
        }
    }
}

/// All texts of a reply, at whatever depth.
fn words(reply: &Reply) -> Vec<String> {
    match reply {
        Reply::Array(items) => items.iter().flat_map(words).collect(),
        other => other.as_text().map(std::borrow::Cow::into_owned).into_iter().collect(),
    }
}

fn field<'a>(words: &'a [String], name: &str) -> Option<&'a String> {
    words.iter().position(|word| word == name).and_then(|at| words.get(at + 1))
}

/// So many fake Sentinels, and the scripted nodes that are sent, on a thread that ends with the sender.
fn world(count: u64) -> (Vec<SocketAddr>, tokio::sync::mpsc::UnboundedSender<Node>, thread::JoinHandle<()>) {
    let mut cluster = Cluster::standard();
    cluster.groups.clear();
    cluster.sentinels = count as u16;
    let plan = Plan {
        title: "decisions".into(),
        cluster,
        clients: Vec::new(),
        timeline: Vec::new(),
        run_for: Duration::ZERO,
        expect: Expect::default(),
    };
    let (tell_fakes, fakes) = mpsc::channel();
    let (nodes, mut more) = tokio::sync::mpsc::unbounded_channel::<Node>();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let server = Server::start(plan, Seed(1), &Listen::default()).expect("fake Sentinels");
            let addr = |number| server.addr(NodeId::sentinel(number as u16)).expect("a node");
            tell_fakes.send((1..=count).map(addr).collect::<Vec<_>>()).expect("the test waits");
            loop {
                tokio::select! {
                    node = more.recv() => match node {
                        Some((addr, info, manner)) => drop(tokio::spawn(scripted::run(addr, info, manner))),
                        None => return,
                    },
                    _ = server.records() => {}
                }
            }
        });
    });
    (fakes.recv_timeout(PATIENCE).expect("they start"), nodes, thread)
}

#[test]
#[allow(clippy::print_stderr)]
fn real_and_fake_choose_the_same_replica() {
    let Some(binaries) = real::required("the decisions of a real Sentinel and a fake one") else { return };
    let count = std::env::var("DECISIONS").ok().map_or(CASES, |count| count.parse().expect("a number"));
    let (fakes, send, thread) = world(count);
    let mut nodes = Vec::new();
    let stages: Vec<Stage> =
        (1..=count).zip(&fakes).map(|(seed, fake)| Stage::set(&binaries, seed, *fake, &mut nodes)).collect();
    for node in nodes {
        send.send(node).expect("the thread of the nodes runs");
    }

    let decisions: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = stages.iter().map(|stage| scope.spawn(|| stage.play())).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    drop(send);
    thread.join().expect("the nodes ran to the end");

    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    let mut complaints = Vec::new();
    for (stage, decision) in stages.iter().zip(decisions) {
        match decision {
            Ok([real, fake]) if real == fake => {
                for kind in stage.case.told_by(real) {
                    *kinds.entry(kind).or_default() += 1;
                }
            }
            other => complaints.push(format!("case {}: [real, fake] {other:?}\n{:#?}", stage.seed, stage.case)),
        }
    }
    eprintln!("{} of {count} decisions agree; of these: {kinds:#?}", count - complaints.len() as u64);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    // Each rule told somewhere.
    let rules = ["PriorityZero", "Gone", "HalfLink", "Frozen", "NoPong", "NoInfo", "LinkDown"];
    let missing = rules.map(|flaw| format!("not the first: {flaw}")).into_iter();
    let missing = missing.chain(["by priority", "by offset", "by run id", "nobody"].map(str::to_owned));
    let missing: Vec<_> = missing.filter(|kind| !kinds.contains_key(kind)).collect();
    assert!(missing.is_empty(), "no case was about {missing:?}");
}
