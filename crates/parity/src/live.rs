//! A run on real processes: the same timeline, the same record of what happens.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use model::fault::{Fault, Target};
use model::history::{FORMAT, Header, What};
use model::plan::{Cluster, Plan, Trigger};
use model::{EventName, History, NodeId, Time};
use real::{Binaries, Process, RealCluster, RealError};

use crate::watch::Watch;

/// How often a run looks whether it is to stop.
pub const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Names and addresses of a real cluster, and how they are called in the lab.
#[derive(Debug)]
pub(crate) struct Names {
    /// The name of the master group.
    pub(crate) master: String,
    /// Real address (host, port), node.
    nodes: Vec<(String, u16, NodeId)>,
    /// Id of a Sentinel, node.
    ids: Vec<(String, NodeId)>,
}

impl Names {
    fn of(cluster: &RealCluster) -> Result<Self, RealError> {
        let master = cluster.plan().groups[0].name.clone();
        let mut names = Self { master, nodes: Vec::new(), ids: Vec::new() };
        for (node, process) in cluster.nodes() {
            names.nodes.push((process.addr().ip().to_string(), process.addr().port(), node));
            if node.is_sentinel() {
                let id = process.ask(&["SENTINEL", "MYID"])?;
                names.ids.push((id.as_text().unwrap_or_default().into_owned(), node));
            }
        }
        Ok(names)
    }

    /// The node at an address.
    pub(crate) fn node(&self, host: &str, port: u16) -> Option<NodeId> {
        self.nodes.iter().find(|(known, at, _)| known == host && *at == port).map(|(.., node)| *node)
    }

    /// A text of a real Sentinel with the addresses of the lab, and Sentinels by their names in place of their ids.
    pub(crate) fn in_world(&self, text: &str) -> String {
        let mut text = format!("{text} ");
        for (host, port, node) in &self.nodes {
            let addr = Cluster::addr(*node);
            text = text.replace(&format!("{host}:{port} "), &format!("{addr} "));
            text = text.replace(&format!("{host} {port} "), &format!("{} {} ", addr.host, addr.port));
        }
        for (id, node) in &self.ids {
            text = text.replace(id, &node.to_string());
        }
        text.truncate(text.len() - 1);
        text
    }
}

/// Runs a plan, which must be [`playable`](crate::playable()), without its clients. Takes as long as the plan says and the
/// start of the cluster, some 3 s. Time zero is the start of the Sentinels.
///
/// `stop` is asked every [`LOOK_EVERY`] whether to give up. If so nothing is left of the cluster, and there is no history.
pub fn live(plan: &Plan, binaries: &Binaries, stop: &dyn Fn() -> bool) -> Result<Option<History>, RealError> {
    if stop() {
        return Ok(None);
    }
    let mut cluster = RealCluster::start_nodes(binaries, &plan.cluster, |_, options| options)?;
    let began = Instant::now();
    cluster.start_sentinels(binaries, |_, options| options)?;
    cluster.wait_discovered()?;
    let names = Arc::new(Names::of(&cluster)?);
    let watch = Watch::begin(&cluster, &names)?;
    let header = Header {
        format: FORMAT,
        title: plan.title.clone(),
        seed: 0,
        nodes: plan.cluster.nodes(),
        addresses: plan.cluster.addresses.clone(),
        clients: Vec::new(),
        speed: Some(1),
    };
    let master = NodeId::data(1);
    let mut run = Run {
        plan,
        cluster,
        began,
        due: Vec::new(),
        waiting: None,
        over: 0,
        master,
        old_master: None,
        leader: None,
        history: History { header, records: Vec::new() },
    };
    let played = run.play(&watch, stop)?;
    drop(watch);
    let mut history = run.history;
    history.records.sort_by_key(|record| record.at);
    Ok(played.then_some(history))
}

/// Something that is due.
#[derive(Clone, Copy, Debug)]
enum Due {
    /// A step of the timeline.
    Step(usize),
    /// The end of a lasting fault.
    End(usize),
}

struct Run<'a> {
    plan: &'a Plan,
    cluster: RealCluster,
    began: Instant,
    due: Vec<(Duration, Due)>,
    /// The step that waits for its event.
    waiting: Option<usize>,
    /// Before this step no event counts any more: everything was healed.
    over: usize,
    master: NodeId,
    old_master: Option<NodeId>,
    leader: Option<NodeId>,
    history: History,
}

impl Run<'_> {
    /// False if it was stopped.
    fn play(&mut self, watch: &Watch, stop: &dyn Fn() -> bool) -> Result<bool, RealError> {
        for (index, step) in self.plan.timeline.iter().enumerate() {
            if let Trigger::At(at) = step.when {
                self.due.push((at, Due::Step(index)));
            }
        }
        self.wait_for(0);
        loop {
            let now = self.began.elapsed();
            if now >= self.plan.run_for {
                return Ok(true);
            }
            if stop() {
                return Ok(false);
            }
            // Of things due at the same time the first of the file comes first.
            let next = self.due.iter().enumerate().min_by_key(|(index, (at, _))| (*at, *index));
            let next = next.map(|(index, (at, due))| (index, *at, *due));
            let wake = match next {
                Some((index, at, due)) if at <= now => {
                    self.due.remove(index);
                    self.carry_out(due)?;
                    continue;
                }
                Some((_, at, _)) => at.min(self.plan.run_for),
                None => self.plan.run_for,
            };
            match watch.seen.recv_timeout(wake.saturating_sub(now).min(LOOK_EVERY)) {
                Ok((at, what)) => self.take(at, what),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
    }

    fn wait_for(&mut self, step: usize) {
        if step >= self.over && self.is_on_event(step) {
            self.waiting = Some(step);
        }
    }

    fn is_on_event(&self, step: usize) -> bool {
        matches!(self.plan.timeline.get(step).map(|step| &step.when), Some(Trigger::On { .. }))
    }

    fn record(&mut self, at: Instant, what: What) {
        self.history.push(Time::from(at.saturating_duration_since(self.began)), what);
    }

    /// Something was seen: remembers what targets mean, schedules the step that waited for it.
    fn take(&mut self, at: Instant, what: What) {
        if let What::Event { node, event, payload } = &what {
            if *event == EventName::ElectedLeader {
                self.leader = Some(*node);
            }
            if let Some(index) = self.waiting
                && let Trigger::On { event: wanted, after } = self.plan.timeline[index].when
                && wanted == *event
            {
                self.waiting = None;
                self.due.push((at.saturating_duration_since(self.began) + after, Due::Step(index)));
            }
            if *event == EventName::SwitchMaster
                && let Some(new) = switched_to(payload)
                && new != self.master
            {
                self.old_master = Some(std::mem::replace(&mut self.master, new));
            }
        }
        self.record(at, what);
    }

    fn carry_out(&mut self, due: Due) -> Result<(), RealError> {
        match due {
            Due::Step(index) if index < self.over && self.is_on_event(index) => {}
            Due::Step(index) => {
                let step = &self.plan.timeline[index];
                if step.fault == Fault::Heal(Target::All) {
                    self.over = self.over.max(index);
                    self.waiting = self.waiting.filter(|step| *step >= self.over);
                }
                let at = Instant::now();
                let nodes = self.inject(&step.fault, step.lasting)?;
                self.record(at, What::Fault { fault: step.fault.to_string(), step: Some(index), nodes });
                if let Some(lasting) = step.lasting {
                    self.due.push(((at + lasting).saturating_duration_since(self.began), Due::End(index)));
                }
                self.wait_for(index + 1);
            }
            Due::End(index) => {
                let fault = &self.plan.timeline[index].fault;
                let at = Instant::now();
                self.undo(fault)?;
                self.record(at, What::Healed { fault: fault.to_string(), step: Some(index) });
            }
        }
        Ok(())
    }

    /// Does something to the cluster. Gives the nodes that it hit.
    fn inject(&mut self, fault: &Fault, lasting: Option<Duration>) -> Result<Vec<NodeId>, RealError> {
        let act: fn(&mut Process) -> Result<(), RealError> = match fault {
            Fault::Kill(_) => Process::start_kill,
            Fault::Restart(_) => Process::restart,
            Fault::Shutdown(_) => Process::shutdown,
            Fault::Freeze(_) => Process::freeze,
            Fault::Thaw(_) => Process::thaw,
            Fault::Heal(_) => |process| process.thaw().and_then(|()| process.restart()),
            Fault::ClientKill(_) => |process| {
                process.client_kill("normal")?;
                process.client_kill("pubsub")
            },
            Fault::DebugSleep(target) => {
                let time = lasting.unwrap_or_default();
                let nodes = self.resolve(target)?;
                for node in &nodes {
                    self.cluster.node_mut(*node)?.debug_sleep(time)?;
                }
                return Ok(nodes);
            }
            Fault::Failover { via, master } => {
                let via = match via {
                    Some(via) => self.resolve(via)?,
                    None => self.plan.cluster.sentinel_nodes(),
                };
                let group = master.as_deref().unwrap_or(&self.plan.cluster.groups[0].name);
                for node in via {
                    let sentinel = self.cluster.node_mut(node)?;
                    if sentinel.is_running() && !sentinel.is_frozen() {
                        sentinel.ask(&["SENTINEL", "FAILOVER", group])?;
                        return Ok(vec![node]);
                    }
                }
                return Ok(Vec::new());
            }
            Fault::ReplicaOf { target, of } => {
                let of = of.as_ref().map(|of| self.resolve(of)).transpose()?.and_then(|of| of.first().copied());
                let mut nodes = self.resolve(target)?;
                nodes.retain(|node| Some(*node) != of);
                let of = of.map(|of| self.cluster.addr(of)).transpose()?;
                for node in &nodes {
                    self.cluster.node_mut(*node)?.replica_of(of)?;
                }
                return Ok(nodes);
            }
            Fault::Demote(target) => {
                let (nodes, best) = (self.resolve(target)?, self.best_replica());
                let Some(best) = best else { return Ok(Vec::new()) };
                self.cluster.node_mut(best)?.replica_of(None)?;
                let addr = self.cluster.addr(best)?;
                for node in &nodes {
                    self.cluster.node_mut(*node)?.replica_of(Some(addr))?;
                }
                return Ok(nodes);
            }
            Fault::Send { target, command, .. } => {
                let words: Vec<&str> = command.iter().map(String::as_str).collect();
                let nodes = self.resolve(target)?;
                for node in &nodes {
                    self.cluster.node_mut(*node)?.ask(&words)?;
                }
                return Ok(nodes);
            }
            // `playable` has refused the others.
            _ => return Ok(Vec::new()),
        };
        let nodes = match fault.targets().first() {
            Some(target) => self.resolve(target)?,
            None => Vec::new(),
        };
        for node in &nodes {
            act(self.cluster.node_mut(*node)?)?;
        }
        Ok(nodes)
    }

    /// Ends a lasting fault. A sleep ends by itself.
    fn undo(&mut self, fault: &Fault) -> Result<(), RealError> {
        let hit = self.history.records.iter().rev().find_map(|record| match &record.what {
            What::Fault { fault: sentence, nodes, .. } if *sentence == fault.to_string() => Some(nodes.clone()),
            _ => None,
        });
        for node in hit.unwrap_or_default() {
            let process = self.cluster.node_mut(node)?;
            match fault {
                Fault::Kill(_) | Fault::Shutdown(_) => {
                    if process.is_frozen() {
                        process.kill()?;
                    }
                    process.restart()?;
                }
                Fault::Freeze(_) => process.thaw()?,
                _ => {}
            }
        }
        Ok(())
    }

    fn resolve(&mut self, target: &Target) -> Result<Vec<NodeId>, RealError> {
        let sentinels = self.plan.cluster.sentinel_nodes();
        let nodes = match target {
            Target::Node(node) => vec![*node],
            Target::Master(_) => vec![self.master],
            Target::OldMaster(_) => self.old_master.into_iter().collect(),
            Target::ReplicaBest(_) => self.best_replica().into_iter().collect(),
            Target::ReplicaOther(_) => {
                let best = self.best_replica();
                self.replicas().into_iter().find(|node| Some(*node) != best).into_iter().collect()
            }
            Target::Replicas(_) => self.replicas(),
            Target::SentinelLeader => self.leader.or(sentinels.first().copied()).into_iter().collect(),
            Target::SentinelsMinority => self.plan.cluster.minority(),
            Target::SentinelsMajority => self.plan.cluster.majority(),
            Target::Sentinels => sentinels,
            Target::All => self.plan.cluster.nodes(),
            Target::Zone(_) | Target::Client(_) => Vec::new(),
        };
        match nodes.iter().find(|node| self.cluster.node(**node).is_err()) {
            Some(unknown) => Err(RealError::NoNode(*unknown)),
            None => Ok(nodes),
        }
    }

    /// The data nodes that run and call themselves replicas, with their INFO.
    fn replicas_with_info(&mut self) -> Vec<(NodeId, String)> {
        let mut replicas = Vec::new();
        for (node, _) in self.plan.cluster.data_nodes() {
            let Ok(process) = self.cluster.node_mut(node) else { continue };
            if node == self.master || process.is_frozen() || !process.is_running() {
                continue;
            }
            if let Ok(info) = process.info()
                && info_field(&info, "role") == Some("slave")
            {
                replicas.push((node, info));
            }
        }
        replicas
    }

    fn replicas(&mut self) -> Vec<NodeId> {
        self.replicas_with_info().into_iter().map(|(node, _)| node).collect()
    }

    /// The replica that the selection of a Sentinel would choose if it knew the nodes as they are.
    fn best_replica(&mut self) -> Option<NodeId> {
        let rank = |(node, info): (NodeId, String)| {
            let number = |name: &str| info_field(&info, name).and_then(|value| value.parse::<u64>().ok());
            let priority = number("slave_priority").filter(|priority| *priority > 0)?;
            let offset = number("slave_repl_offset").unwrap_or(0);
            let run_id = info_field(&info, "run_id").unwrap_or_default().to_owned();
            Some((priority, std::cmp::Reverse(offset), run_id, node))
        };
        self.replicas_with_info().into_iter().filter_map(rank).min().map(|(.., node)| node)
    }
}

/// The value of a field of `INFO`.
pub fn info_field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.split("\r\n").find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// The node that a `+switch-master` names as the new one, with the addresses of the lab.
pub(crate) fn switched_to(payload: &str) -> Option<NodeId> {
    let mut words = payload.rsplit(' ');
    let (port, host) = (words.next()?.parse::<u16>().ok()?, words.next()?);
    (1..=u16::MAX).map(NodeId::data).take(1_000).find(|node| {
        let addr = Cluster::addr(*node);
        &*addr.host == host && addr.port == port
    })
}
