//! [`Fakes`]: fake nodes in real time, on a thread of their own.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use model::history::{Record, What};
use model::plan::{Cluster, Expect, Plan};
use model::{EventName, Fault, NodeId, Reply, Seed};
use real::Talk;
use testbed::{Listen, Server};
use tokio::sync::mpsc::UnboundedSender;

/// How long a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Fake nodes. They end when this is dropped.
pub(crate) struct Fakes {
    nodes: Vec<(NodeId, SocketAddr)>,
    faults: Option<UnboundedSender<Fault>>,
    records: Arc<Mutex<Vec<Record>>>,
    thread: Option<JoinHandle<()>>,
}

impl Fakes {
    pub(crate) fn start(cluster: Cluster, seed: u64) -> Self {
        let plan = Plan {
            title: "a mixed cluster".into(),
            cluster,
            clients: Vec::new(),
            timeline: Vec::new(),
            run_for: Duration::ZERO,
            expect: Expect::default(),
        };
        let (send_nodes, nodes) = mpsc::channel();
        let (faults, mut todo) = tokio::sync::mpsc::unbounded_channel();
        let records = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&records);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let server = Server::start(plan, Seed(seed), &Listen::default()).expect("a server");
                send_nodes.send(server.nodes().to_vec()).expect("the test waits");
                loop {
                    tokio::select! {
                        fault = todo.recv() => match fault {
                            Some(fault) => assert!(!server.inject(&fault, None).is_empty(), "{fault}"),
                            None => return,
                        },
                        records = server.records() => seen.lock().expect("no panic").extend(records),
                    }
                }
            });
        });
        let nodes = nodes.recv_timeout(PATIENCE).expect("the server starts");
        Self { nodes, faults: Some(faults), records, thread: Some(thread) }
    }

    pub(crate) fn addr(&self, node: NodeId) -> SocketAddr {
        self.nodes.iter().find(|(known, _)| *known == node).expect("a node").1
    }

    pub(crate) fn inject(&self, fault: Fault) {
        self.faults.as_ref().expect("runs").send(fault).expect("the server runs");
    }

    /// The payloads of an event at a Sentinel.
    pub(crate) fn events(&self, at: NodeId, name: EventName) -> Vec<String> {
        let records = self.records.lock().expect("no panic");
        let payload = |record: &Record| match &record.what {
            What::Event { node, event, payload } if *node == at && *event == name => Some(payload.clone()),
            _ => None,
        };
        records.iter().filter_map(payload).collect()
    }
}

impl Drop for Fakes {
    fn drop(&mut self) {
        self.faults = None;
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))), "the server panicked");
    }
}

/// Sends a command to whatever node is there.
pub(crate) fn ask(addr: SocketAddr, words: &[&str]) -> Reply {
    let reply = Talk::connect(addr, ANSWER_WITHIN).and_then(|mut talk| talk.ask(words, ANSWER_WITHIN));
    reply.unwrap_or_else(|error| panic!("{addr} {words:?}: {error}"))
}

/// As [`ask`], from a node that may be down.
pub(crate) fn try_ask(addr: SocketAddr, words: &[&str]) -> Option<Reply> {
    Talk::connect(addr, ANSWER_WITHIN).and_then(|mut talk| talk.ask(words, ANSWER_WITHIN)).ok()
}

/// A line of `INFO`.
pub(crate) fn info(addr: SocketAddr, key: &str) -> Option<String> {
    let reply = try_ask(addr, &["INFO"])?;
    let text = reply.as_text()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':').map(str::to_owned))
}

/// Waits until `look` finds something.
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within {PATIENCE:?}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// The master that a Sentinel, real or fake, answers.
pub(crate) fn master_by(sentinel: SocketAddr) -> Option<SocketAddr> {
    let reply = try_ask(sentinel, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"])?;
    let [host, port] = reply.as_array()? else { return None };
    format!("{}:{}", host.as_text()?, port.as_text()?).parse().ok()
}
