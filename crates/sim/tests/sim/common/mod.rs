//! A world with a client who does what the test says, and a memory of what the world asked of its host.
#![allow(unreachable_pub)]

use std::time::Duration;

use bytes::Bytes;
use model::history::{Execution, NodeState, What};
use model::plan::{Client, Cluster, Expect, Plan, Step, Trigger, Workload};
use model::{ClientId, Command, EventName, Fault, Frame, History, NodeId, Reply, Seed, Time};
use sentinel_lab_sim::{Door, Effect, World};

/// `redis-1`, the first master.
pub const MASTER: NodeId = NodeId::data(1);

/// One group with 2 replicas and 3 Sentinels, `down_after` 5 s, one client called `c`, nothing planned.
pub fn plan() -> Plan {
    let mut cluster = Cluster::standard();
    cluster.groups[0].down_after = Duration::from_secs(5);
    Plan {
        title: "a test".into(),
        cluster,
        clients: vec![Client::new("c", Workload::Counter)],
        timeline: Vec::new(),
        run_for: Duration::from_secs(60),
        expect: Expect::default(),
    }
}

/// A step of the timeline at a time.
pub fn at(seconds: u64, fault: Fault, lasting: Option<u64>) -> Step {
    Step { when: Trigger::At(Duration::from_secs(seconds)), fault, lasting: lasting.map(Duration::from_secs) }
}

/// A target, as it is written.
pub fn node(name: &str) -> model::Target {
    name.parse().expect("a target")
}

pub struct Lab {
    pub world: World,
    pub effects: Vec<(Time, Effect)>,
}

impl Lab {
    pub fn new(plan: &Plan) -> Self {
        Self { world: World::new(plan, Seed(1)), effects: Vec::new() }
    }

    /// A cluster that has discovered itself: 4 s after its start.
    pub fn ready() -> Self {
        let mut lab = Self::new(&plan());
        lab.run_to(4_000);
        lab
    }

    /// Lets time pass until `ms`.
    pub fn run_to(&mut self, ms: u64) {
        let end = Time::from_millis(ms);
        loop {
            let next = self.world.deadline().min(end);
            self.world.advance(next);
            self.collect();
            if next == end {
                break;
            }
        }
    }

    pub fn run_for(&mut self, ms: u64) {
        self.run_to(self.world.now().as_millis() + ms);
    }

    fn collect(&mut self) {
        let now = self.world.now();
        self.effects.extend(self.world.take_effects().into_iter().map(|effect| (now, effect)));
    }

    pub fn inject(&mut self, fault: &Fault) -> Vec<NodeId> {
        let nodes = self.world.inject(self.world.now(), fault, None);
        self.collect();
        nodes
    }

    pub fn inject_for(&mut self, fault: &Fault, ms: u64) -> Vec<NodeId> {
        let nodes = self.world.inject(self.world.now(), fault, Some(Duration::from_millis(ms)));
        self.collect();
        nodes
    }

    pub fn client() -> ClientId {
        ClientId::new("c")
    }

    pub fn open(&mut self, node: NodeId) -> u64 {
        let conn = self.world.open(self.world.now(), &Self::client(), node);
        self.collect();
        conn
    }

    pub fn send(&mut self, conn: u64, words: &str) {
        let command = Command(words.split(' ').map(|word| Bytes::from(word.to_owned())).collect());
        self.world.command(self.world.now(), conn, command);
        self.collect();
    }

    /// Sends a command and gives the reply that comes at once.
    pub fn ask(&mut self, conn: u64, words: &str) -> Option<Reply> {
        let before = self.replies(conn).len();
        self.send(conn, words);
        self.replies(conn).get(before).cloned()
    }

    pub fn close(&mut self, conn: u64) {
        self.world.closed(self.world.now(), conn);
        self.collect();
    }

    pub fn replies(&self, conn: u64) -> Vec<Reply> {
        self.timed_replies(conn).into_iter().map(|(_, reply)| reply).collect()
    }

    pub fn timed_replies(&self, conn: u64) -> Vec<(Time, Reply)> {
        let of_conn = |(at, effect): &(Time, Effect)| match effect {
            Effect::Send { conn: on, frame: Frame::Reply(reply) } if *on == conn => Some((*at, reply.clone())),
            _ => None,
        };
        self.effects.iter().filter_map(of_conn).collect()
    }

    /// When the world closed a connection, if it did.
    pub fn closed_at(&self, conn: u64) -> Option<Time> {
        self.effects.iter().find(|(_, effect)| *effect == Effect::Close { conn }).map(|(at, _)| *at)
    }

    /// The doors of a node, in the order in which they were told.
    pub fn doors(&self, of: NodeId) -> Vec<Door> {
        let told = |(_, effect): &(Time, Effect)| match effect {
            Effect::Door { node, door, .. } if *node == of => Some(*door),
            _ => None,
        };
        self.effects.iter().filter_map(told).collect()
    }

    pub fn history(&self) -> &History {
        self.world.history()
    }

    /// Who published an event, and when.
    pub fn events(&self, wanted: EventName) -> Vec<(Time, NodeId)> {
        let found = |record: &model::Record| match &record.what {
            What::Event { node, event, .. } if *event == wanted => Some((record.at, *node)),
            _ => None,
        };
        self.history().records.iter().filter_map(found).collect()
    }

    pub fn states(&self, of: NodeId) -> Vec<(u64, NodeState)> {
        let found = |record: &model::Record| match &record.what {
            What::State { node, state } if *node == of => Some((record.at.as_millis(), *state)),
            _ => None,
        };
        self.history().records.iter().filter_map(found).collect()
    }

    pub fn healed(&self) -> Vec<(u64, String)> {
        let found = |record: &model::Record| match &record.what {
            What::Healed { fault, .. } => Some((record.at.as_millis(), fault.clone())),
            _ => None,
        };
        self.history().records.iter().filter_map(found).collect()
    }

    /// The faults that fired, with the nodes that they hit.
    pub fn faults(&self) -> Vec<(String, Vec<NodeId>)> {
        let found = |record: &model::Record| match &record.what {
            What::Fault { fault, nodes, .. } => Some((fault.clone(), nodes.clone())),
            _ => None,
        };
        self.history().records.iter().filter_map(found).collect()
    }

    pub fn executions(&self) -> Vec<Execution> {
        let found = |record: &model::Record| match &record.what {
            What::Executed(execution) => Some(execution.clone()),
            _ => None,
        };
        self.history().records.iter().filter_map(found).collect()
    }
}
