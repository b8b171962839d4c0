//! [`World`]: the cluster of a plan and everything that happens to it.

use std::collections::BTreeMap;
use std::time::Duration;

use model::history::{FORMAT, Header, History, Record, What};
use model::hosts::Hosts;
use model::machine::{Input, Output};
use model::plan::Cluster;
use model::{ClientId, Command, Fault, NodeId, Plan, Reply, Seed, Time};

use crate::answers::Answers;
use crate::clients::Client;
use crate::deliveries::Delivery;
use crate::effect::Effect;
use crate::link::Link;
use crate::machine::Machine;
use crate::paths::Paths;
use crate::process::Process;
use crate::queue::{Event, Queue};
use crate::standing::Standing;
use crate::timeline::Timeline;

/// The cluster of a plan, with its links, its timeline and its history.
///
/// It has the shape of a machine. The host calls [`World::advance`] at [`World::deadline`], hands over what clients do
/// as it happens, and then carries out [`World::take_effects`].
///
/// Nodes, clients and links are known by their indices. Nodes are in the order of the plan, data nodes first.
pub struct World {
    pub(crate) cluster: Cluster,
    pub(crate) seed: Seed,
    /// What names stand for.
    pub(crate) hosts: Hosts,
    pub(crate) now: Time,
    /// False while the first processes start, which is no event of its own.
    pub(crate) begun: bool,
    pub(crate) nodes: Vec<Process>,
    /// When each node's machine must be called; never, if it is frozen or down.
    pub(crate) deadlines: Vec<Time>,
    pub(crate) clients: Vec<Client>,
    pub(crate) links: Vec<Link>,
    /// Numbers of links that are free again.
    pub(crate) spare: Vec<usize>,
    /// The client that stands for everybody outside, if the world is open to them.
    pub(crate) outside: Option<usize>,
    pub(crate) paths: Paths,
    pub(crate) queue: Queue,
    pub(crate) timeline: Timeline,
    pub(crate) standing: Vec<Standing>,
    /// Faults that have stood so far.
    pub(crate) stood: u64,
    pub(crate) answers: Answers,
    /// The Sentinel that was elected last.
    pub(crate) leader: Option<usize>,
    /// Events that an override publishes late, with the link of the subscriber.
    pub(crate) late: BTreeMap<u64, (usize, Reply)>,
    /// Events held back so far.
    pub(crate) held: u64,
    /// What the operator was answered last.
    pub(crate) operator_reply: Option<Reply>,
    /// The link on which the operator sent the command of a standing fault to a node, by the fault's number and the node.
    pub(crate) operators: BTreeMap<(u64, usize), usize>,
    /// What takes a command back and is not answered yet, and its node, by the link on which it was sent.
    pub(crate) undoing: BTreeMap<usize, (usize, Command)>,
    pub(crate) history: History,
    /// What was delivered, if somebody wants to know.
    pub(crate) deliveries: Option<Vec<Delivery>>,
    pub(crate) effects: Vec<Effect>,
    /// For the outputs of machines, to be used again.
    pub(crate) buffer: Vec<Output>,
}

impl World {
    /// The cluster of `plan`, every node started at [`Time::ZERO`]. The header of the history is filled but for the
    /// drivers of the clients that the plan leaves open, which are [`World::set_driver`]'s.
    pub fn new(plan: &Plan, seed: Seed) -> Self {
        let ids = plan.cluster.nodes();
        let mut queue = Queue::default();
        let timeline = Timeline::new(&plan.timeline, &mut queue);
        let header = Header {
            format: FORMAT,
            title: plan.title.clone(),
            seed: seed.0,
            nodes: ids.clone(),
            clients: Vec::new(),
            addresses: plan.cluster.addresses.clone(),
            speed: None,
        };
        let mut world = Self {
            seed,
            hosts: plan.cluster.resolver(),
            now: Time::ZERO,
            begun: false,
            nodes: ids.iter().map(|id| Process::new(&plan.cluster, *id)).collect(),
            deadlines: vec![Time::NEVER; ids.len()],
            clients: Vec::new(),
            links: Vec::new(),
            spare: Vec::new(),
            outside: None,
            paths: Paths::new(seed.stream("paths")),
            queue,
            timeline,
            standing: Vec::new(),
            stood: 0,
            answers: Answers::new(ids.len(), plan.cluster.groups.len()),
            leader: None,
            late: BTreeMap::new(),
            held: 0,
            operator_reply: None,
            operators: BTreeMap::new(),
            undoing: BTreeMap::new(),
            history: History { header, records: Vec::new() },
            deliveries: None,
            effects: Vec::new(),
            buffer: Vec::new(),
            cluster: plan.cluster.clone(),
        };
        for node in 0..world.nodes.len() {
            world.start(node);
        }
        world.begun = true;
        for client in &plan.clients {
            let id = ClientId::new(&client.id);
            world.add_client(&id, &client.zone);
            world.set_driver(&id, client.driver.as_deref().unwrap_or_default());
        }
        world
    }

    /// The latest time that the world has been told.
    pub fn now(&self) -> Time {
        self.now
    }

    /// When [`World::advance`] must be called next; [`Time::NEVER`] if nothing is due.
    pub fn deadline(&self) -> Time {
        self.queue.next().min(self.next_tick().0)
    }

    /// The next two times at which something is due, as far as is known now: first [`World::deadline`], then a later
    /// one. What happens at the first may put something in between.
    pub fn upcoming(&self) -> [Time; 2] {
        let mut times = [Time::NEVER; 2];
        for time in self.deadlines.iter().copied().chain([self.queue.next()]) {
            if time < times[0] {
                times = [time, times[0]];
            } else if time > times[0] {
                times[1] = times[1].min(time);
            }
        }
        times
    }

    /// The machine that must be called first, and when.
    fn next_tick(&self) -> (Time, usize) {
        let mut first = (Time::NEVER, 0);
        for (node, deadline) in self.deadlines.iter().enumerate() {
            if *deadline < first.0 {
                first = (*deadline, node);
            }
        }
        first
    }

    /// Does everything that is due up to and including `now`, each thing at its own time. A time before the latest
    /// counts as the latest. If the world is open to outside, where time goes on whatever it does, what is overdue is late,
    /// as in a process that was held up: a Sentinel may enter tilt mode.
    pub fn advance(&mut self, now: Time) {
        loop {
            let (tick, node) = self.next_tick();
            let event = self.queue.next();
            let next = tick.min(event);
            if next > now || next == Time::NEVER {
                break;
            }
            self.now = self.now.max(if self.outside.is_some() { now } else { next });
            if event <= tick {
                match self.queue.take() {
                    Some(Event::Arrive(link, end)) => self.arrive(link, end),
                    Some(Event::Step(index)) => self.step(index),
                    Some(Event::Expire(number)) => self.expire(number),
                    Some(Event::Late(number)) => self.publish_late(number),
                    None => {}
                }
            } else {
                self.handle(node, None, Input::Tick);
                debug_assert!(self.deadlines[node] > self.now, "{} asks for the same tick again", self.nodes[node].id);
            }
        }
        self.now = self.now.max(now);
    }

    /// What is to be done towards clients, oldest first. Empties the list.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// As [`World::take_effects`], into a list that is empty and may have room.
    pub fn swap_effects(&mut self, effects: &mut Vec<Effect>) {
        debug_assert!(effects.is_empty());
        std::mem::swap(&mut self.effects, effects);
    }

    /// Does something to the cluster, outside the timeline; undone after `lasting`, if that is given and the fault
    /// lasts. Returns the nodes that it hit; none if the target is nobody at present.
    pub fn inject(&mut self, now: Time, fault: &Fault, lasting: Option<Duration>) -> Vec<NodeId> {
        self.advance(now);
        self.fire(fault, None, lasting)
    }

    /// Adds a record about a client (an operation begins or ends, a message is delivered) to the history.
    pub fn record(&mut self, now: Time, what: What) {
        self.advance(now);
        self.history.push(self.now, what);
    }

    /// The master of a group, as most Sentinels answer now.
    pub fn master(&self, group: &str) -> Option<NodeId> {
        let master = self.master_of(self.cluster.group(group)?)?;
        Some(self.nodes[master].id)
    }

    /// True if the cluster is whole and at rest: nothing of the timeline is due or stands, every node runs, every Sentinel
    /// [is calm](sentinel::Sentinel::is_calm) and names the same master, which is one and which all others of its group follow.
    pub fn is_settled(&self) -> bool {
        let at_rest = |process: &Process| {
            let sentinel = process.machine.as_ref().and_then(Machine::sentinel);
            process.is_up() && sentinel.is_none_or(sentinel::Sentinel::is_calm)
        };
        let agreed = |group: usize| {
            let Some(master) = self.master_of(group) else { return false };
            (0..self.nodes.len()).all(|node| {
                let process = &self.nodes[node];
                match process.machine.as_ref().and_then(Machine::data) {
                    None => self.answers.of(node, group) == Some(master),
                    Some(_) if process.group != Some(group) => true,
                    Some(data) if node == master => data.is_master(),
                    Some(data) => data.link_up() && data.master_addr() == Some(&self.nodes[master].addr),
                }
            })
        };
        self.standing.is_empty()
            && !self.queue.has_plans()
            && self.nodes.iter().all(at_rest)
            && (0..self.cluster.groups.len()).all(agreed)
    }

    /// True if whoever connects to a node must log in first. False for one that does not run.
    pub fn asks_for_password(&self, node: NodeId) -> bool {
        let machine = self.node_index(node).and_then(|index| self.nodes[index].machine.as_ref());
        machine.is_some_and(Machine::asks_for_password)
    }

    /// The configuration file of a Sentinel, if it has rewritten it other than `rewrites` times, with how often it has.
    pub fn sentinel_file(&self, node: NodeId, rewrites: u64) -> Option<(u64, String)> {
        let sentinel = self.nodes[self.node_index(node)?].machine.as_ref()?.sentinel()?;
        (sentinel.rewrites() != rewrites).then(|| (sentinel.rewrites(), sentinel.config_file()))
    }

    /// Takes the records of what has happened since they were last taken, so that a world that runs for long does not
    /// keep them all. [`World::finish`] gives only the rest.
    pub fn take_records(&mut self) -> Vec<Record> {
        std::mem::take(&mut self.history.records)
    }

    /// What has happened so far.
    pub fn history(&self) -> &History {
        &self.history
    }
}
