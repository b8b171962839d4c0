//! [`Process`]: one node of the cluster, whatever becomes of its process: start, stop, freeze, thaw.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use model::history::{ClosedBy, NodeState, What};
use model::machine::{Conn, Input};
use model::plan::{Cluster, Host};
use model::{Addr, NodeId, NodeKind, Time};

use crate::effect::Effect;
use crate::link::{End, Parcel};
use crate::machine::{Machine, Saved};
use crate::overrides::Override;
use crate::world::World;

/// An end of a link, by the link's number.
pub(crate) type LinkEnd = (usize, End);

/// A node of the cluster.
pub(crate) struct Process {
    pub(crate) id: NodeId,
    pub(crate) addr: Addr,
    /// The group that a data node belongs to.
    pub(crate) group: Option<usize>,
    pub(crate) state: NodeState,
    /// `None` if and only if the state is down.
    pub(crate) machine: Option<Machine>,
    saved: Saved,
    boot: u32,
    /// What came while it was frozen.
    backlog: VecDeque<(Option<LinkEnd>, Input)>,
    /// The links that it opened, by its own names, which are few,
    opened: Vec<(Conn, usize)>,
    /// and those that it accepted.
    accepted: BTreeSet<usize>,
    /// Standing faults that keep it from answering clients.
    pub(crate) hangs: u32,
    /// Commands that are carried out and not answered.
    pub(crate) cut_replies: Vec<CutReply>,
    /// How a Sentinel is made to answer, by the number of the standing fault.
    pub(crate) overrides: Vec<(u64, Override)>,
}

/// The next `times` commands called `command` (any write, if `None`) are carried out and not answered.
pub(crate) struct CutReply {
    pub(crate) command: Option<String>,
    pub(crate) times: u32,
}

impl Process {
    /// A node that has not started.
    pub(crate) fn new(cluster: &Cluster, id: NodeId) -> Self {
        Self {
            id,
            addr: cluster.address(id),
            group: cluster.place(id).map(|(group, _)| group),
            state: NodeState::Down,
            machine: None,
            saved: Saved::Fresh,
            boot: 0,
            backlog: VecDeque::new(),
            opened: Vec::new(),
            accepted: BTreeSet::new(),
            hangs: 0,
            cut_replies: Vec::new(),
            overrides: Vec::new(),
        }
    }

    /// True if its kernel accepts connections.
    pub(crate) fn listens(&self) -> bool {
        self.state != NodeState::Down
    }

    /// True if it runs.
    pub(crate) fn is_up(&self) -> bool {
        self.state == NodeState::Up
    }

    /// True if it runs and is a master.
    pub(crate) fn is_master(&self) -> bool {
        self.machine.as_ref().and_then(Machine::data).is_some_and(node::Node::is_master)
    }

    /// The master that it follows, or would after a restart.
    pub(crate) fn follows(&self) -> Option<&Addr> {
        match (&self.machine, &self.saved) {
            (Some(machine), _) => machine.data().and_then(node::Node::master_addr),
            (None, Saved::Data(file)) => file.replica_of.as_ref(),
            (None, _) => None,
        }
    }

    /// It holds an end of a link from now on.
    pub(crate) fn attach(&mut self, link: usize, end: End, conn: Conn) {
        match end {
            End::Opener => self.opened.push((conn, link)),
            End::Acceptor => {
                self.accepted.insert(link);
            }
        }
    }

    /// It does not hold the end any more.
    pub(crate) fn detach(&mut self, link: usize, end: End) {
        match end {
            End::Opener => self.opened.retain(|(_, known)| *known != link),
            End::Acceptor => {
                self.accepted.remove(&link);
            }
        }
    }

    /// The end that the machine calls `conn`, if it holds it.
    pub(crate) fn end(&self, conn: Conn) -> Option<LinkEnd> {
        if conn.is_outbound() {
            return self.opened.iter().find(|(known, _)| *known == conn).map(|(_, link)| (*link, End::Opener));
        }
        let link = usize::try_from(conn.number()).ok()?;
        self.accepted.contains(&link).then_some((link, End::Acceptor))
    }

    /// The links that it accepted and still holds.
    pub(crate) fn accepted(&self) -> impl Iterator<Item = usize> + '_ {
        self.accepted.iter().copied()
    }
}

impl World {
    /// Starts the process of a node that is down.
    pub(crate) fn start(&mut self, node: usize) {
        let process = &mut self.nodes[node];
        if process.state != NodeState::Down {
            return;
        }
        let mut machine = Machine::start(&self.cluster, process.id, &process.saved, self.seed, process.boot, self.now);
        machine.set_hosts(&self.hosts);
        process.boot += 1;
        self.deadlines[node] = machine.deadline();
        process.machine = Some(machine);
        self.set_state(node, NodeState::Up);
        self.learn_answers(node);
    }

    /// Ends the process of a node: its connections are reset.
    pub(crate) fn stop(&mut self, node: usize) {
        let Some(machine) = self.nodes[node].machine.take() else { return };
        self.nodes[node].saved = machine.save();
        self.nodes[node].backlog.clear();
        self.deadlines[node] = Time::NEVER;
        self.set_state(node, NodeState::Down);
        let opened = std::mem::take(&mut self.nodes[node].opened);
        let accepted = std::mem::take(&mut self.nodes[node].accepted);
        let opened = opened.into_iter().map(|(_, link)| (link, End::Opener));
        for (link, end) in opened.chain(accepted.into_iter().map(|link| (link, End::Acceptor))) {
            self.links[link].open[end as usize] = false;
            self.drop_unsent(link, end.other());
            self.let_go(link);
            self.send(link, end.other(), Parcel::Fin(ClosedBy::Fault), Duration::ZERO);
            self.recycle(link);
        }
        self.nodes[node].cut_replies.clear();
        self.end_process_faults(node);
    }

    /// Stops a process where it stands.
    pub(crate) fn freeze(&mut self, node: usize) {
        if self.nodes[node].is_up() {
            self.deadlines[node] = Time::NEVER;
            if let Some(machine) = &mut self.nodes[node].machine {
                machine.suspend(self.now);
            }
            self.set_state(node, NodeState::Frozen);
        }
    }

    /// Lets a frozen process go on: it reads what its kernel has kept for it, then finds that its timer is due.
    pub(crate) fn thaw(&mut self, node: usize) {
        if self.nodes[node].state != NodeState::Frozen {
            return;
        }
        self.set_state(node, NodeState::Up);
        for (at, input) in std::mem::take(&mut self.nodes[node].backlog) {
            self.input(node, at, input);
        }
        self.input(node, None, Input::Tick);
    }

    /// Hands an input to a node, or keeps it if the process is frozen, or loses it if there is none.
    pub(crate) fn input(&mut self, node: usize, at: Option<LinkEnd>, input: Input) {
        match self.nodes[node].state {
            NodeState::Up => self.handle(node, at, input),
            NodeState::Frozen => self.nodes[node].backlog.push_back((at, input)),
            NodeState::Down => {}
        }
    }

    /// Has a name stand for something else. Gives the node that it now stands for, or else the one that it stood for.
    pub(crate) fn resolve_to(&mut self, name: &str, to: Option<Host>) -> Vec<usize> {
        let before = self.hosts.resolve(name);
        let ip = to.map(|host| self.cluster.host(host));
        if ip == before {
            return Vec::new();
        }
        self.hosts.set(name, ip.as_deref());
        self.tell_hosts();
        let at = |ip: Option<Arc<str>>| ip.and_then(|ip| self.nodes.iter().position(|node| node.addr.host == ip));
        at(ip).or_else(|| at(before)).into_iter().collect()
    }

    /// Has the names that nodes had at the start stand for them again. Gives the nodes of which a name stood for something else.
    pub(crate) fn rename(&mut self, nodes: &[usize]) -> Vec<usize> {
        let is_meant = |id: NodeId| nodes.iter().copied().find(|node| self.nodes[*node].id == id);
        let names = self.cluster.hosts.iter().filter_map(|(name, host)| match host {
            Host::Node(id) => is_meant(*id).map(|node| (node, name.clone(), *host)),
            Host::Ip(_) => None,
        });
        let names: Vec<_> = names.collect();
        names
            .into_iter()
            .filter(|(_, name, host)| !self.resolve_to(name, Some(*host)).is_empty())
            .map(|(node, ..)| node)
            .collect()
    }

    /// Gives a node's machine another address: what runs there ends, and starts at the new one.
    pub(crate) fn move_to(&mut self, node: usize, to: IpAddr) {
        let ran = self.nodes[node].listens();
        self.stop(node);
        let old = self.nodes[node].addr.clone();
        let addr = Addr::new(&to.to_string(), old.port);
        let id = self.nodes[node].id;
        self.nodes[node].addr = addr.clone();
        self.cluster.addresses.insert(id, addr.clone());
        self.hosts.follow(&old.host, &addr.host);
        self.tell_hosts();
        self.effects.push(Effect::Moved { node: id, addr });
        if ran {
            self.start(node);
        }
    }

    /// Tells every process what names stand for, and the history whom those lead to that Sentinels answer.
    fn tell_hosts(&mut self) {
        for process in &mut self.nodes {
            if let Some(machine) = &mut process.machine {
                machine.set_hosts(&self.hosts);
            }
        }
        self.follow_names();
    }

    /// The address of the world that a name stands for now; `None` if nobody knows it.
    pub fn look_up(&self, name: &str) -> Option<Arc<str>> {
        self.hosts.resolve(name)
    }

    /// A name that the world does not know stands for this address from now on. One that it knows keeps what it stands for.
    pub fn learn_name(&mut self, name: &str, ip: IpAddr) {
        if self.hosts.resolve(name).is_none() {
            self.resolve_to(name, Some(Host::Ip(ip)));
        }
    }

    fn set_state(&mut self, node: usize, state: NodeState) {
        self.nodes[node].state = state;
        if self.begun {
            self.history.push(self.now, What::State { node: self.nodes[node].id, state });
        }
        self.update_doors();
    }

    /// The index of a node; `None` if the plan has no such node.
    pub(crate) fn node_index(&self, id: NodeId) -> Option<usize> {
        let data = self.nodes.iter().take_while(|process| process.id.kind == NodeKind::Data).count();
        let index = usize::from(id.number).checked_sub(1)? + if id.is_sentinel() { data } else { 0 };
        self.nodes.get(index).filter(|process| process.id == id).map(|_| index)
    }

    /// The index of the node with this address, or with the one that this name stands for now.
    pub(crate) fn node_at(&self, addr: &Addr) -> Option<usize> {
        let at = |addr: &Addr| self.nodes.iter().position(|process| process.addr == *addr);
        at(addr).or_else(|| at(&Addr { host: self.hosts.resolve(&addr.host)?, port: addr.port }))
    }
}
