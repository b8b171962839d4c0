//! [`audit`]: what the cluster itself must never do, whatever is done to it. Judged from the history alone, as an
//! operator could from the events that the Sentinels publish.
//!
//! | rule | |
//! |---|---|
//! | one leader | no two Sentinels are elected to lead in one epoch; failovers by hand need no election |
//! | quorum | no `+odown` without as many Sentinels that find the master down, or did so when last asked |
//! | epochs | epochs only grow, and so do the configurations that a Sentinel adopts |
//! | agreement | after everything healed, all Sentinels name one master, which is one, and all others follow it |
//!
//! A Sentinel that stands still or is in tilt mode forgets no answer, and goes by old ones in its first pass after that. So it
//! may fail over a master that only it finds down (`crates/parity/flaws/opinions-outlive-tilt.yaml`, the same in Redis 7.0.15).
//!
//! Redis itself breaks agreement, and so do the nodes of the lab: a Sentinel that is held up in tilt mode in the midst of
//! a failover takes over the epoch of a later one that leads back to the old master, sees no other address in it, and then
//! ends its own failover under that epoch. From then on it names another master than the others, for good. Redis 7.0.15 and
//! the lab's nodes come to the same end there (`crates/parity/flaws/overtaken.yaml`). So a group in which a failover was
//! overtaken is not held to agreement. If the clock of that Sentinel was put back, its failover has not even ended then; if it
//! was killed, it goes on from its file, in which both are (`crates/parity/flaws/overtaken-and-killed.yaml`).
//!
//! So it is where the new master goes by a name that cannot be looked up: `sentinelResetMasterAndChangeAddress` of Redis 7.0.15 then
//! changes nothing. The leader announces the switch again in every pass until the name is known, with one epoch. Who follows it
//! announces it once and has taken the epoch without the address, so that it hears of it no more. A group of which a Sentinel
//! could not do the last switch that it announced is not held to agreement.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use model::history::{NodeState, What};
use model::hosts::Hosts;
use model::plan::{Group, Plan, Step, Trigger};
use model::{Epoch, EventName, Fault, History, NodeId, Target, Time};

/// How old the opinion of another Sentinel may be: five times the ask period of a second, and a pass.
const OPINION: Duration = Duration::from_millis(5_200);

/// The longest time between two passes of a Sentinel that runs: a tenth of a second at the lowest `hz`, and as much again.
const PASS: Duration = Duration::from_millis(200);

/// How often a Sentinel asks a node for `INFO`.
const INFO: Duration = Duration::from_secs(10);

/// What comes on top of the time-outs of a Sentinel: connections, passes, the election, `INFO`.
const PASSES: Duration = Duration::from_secs(12);

/// How long a group takes at the most until all agree, after everything healed: a failover, and one that failed before.
/// A master that says it is a replica is taken for down two rounds of `INFO` later than one that says nothing, and what
/// was attached to a wrong node is put right a `failover-timeout` after it was found.
pub(crate) fn settling(group: &Group, usurped: bool) -> Duration {
    let found_out = if usurped { INFO * 3 + group.failover_timeout } else { Duration::ZERO };
    group.down_after + group.failover_timeout * 2 + PASSES + found_out
}

/// True if somebody but the Sentinels may make a master a replica.
pub(crate) fn has_usurper(timeline: &[Step]) -> bool {
    timeline.iter().any(|step| matches!(step.fault, Fault::Demote(_) | Fault::ReplicaOf { .. }))
}

/// Something that the cluster must not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The rule, in one or two words.
    pub rule: &'static str,
    /// When.
    pub at: Time,
    /// One sentence.
    pub text: String,
}

/// Everything that the cluster of `plan` did wrong in the run that left `history`, in the order of time.
pub fn audit(plan: &Plan, history: &History) -> Vec<Wrong> {
    let mut auditor = Auditor::new(plan);
    for record in &history.records {
        auditor.saw(record.at, &record.what);
    }
    auditor.agreement(history);
    auditor.wrong
}

/// Who was promoted, for each master, by epoch.
type Promoted = BTreeMap<(String, Epoch), BTreeSet<String>>;

struct Auditor<'a> {
    plan: &'a Plan,
    wrong: Vec<Wrong>,
    /// The current epoch of each Sentinel, as it last told.
    epochs: BTreeMap<NodeId, Epoch>,
    /// The epoch before the one that a Sentinel has taken for an attempt, until it votes: only then is that in its file.
    unfiled: BTreeMap<NodeId, Epoch>,
    /// The epoch of the attempt of each Sentinel at each master.
    attempts: BTreeMap<(NodeId, String), Epoch>,
    /// The Sentinel that the operator asked for a failover, and when.
    by_hand: Option<(NodeId, Time)>,
    /// The attempts that were begun by hand.
    forced: Vec<(NodeId, String, Epoch)>,
    leaders: BTreeMap<(String, Epoch), NodeId>,
    promoted: Promoted,
    /// The epoch of the configuration that each Sentinel holds at least.
    configs: BTreeMap<(NodeId, String), Epoch>,
    /// When a Sentinel found a master down, and until when if it no longer does. By name and not by address: after a
    /// switch a Sentinel keeps what the others said of the master before, until that is too old.
    down: BTreeMap<(NodeId, String), Option<Time>>,
    /// From when to when a Sentinel last stood still or was in tilt mode; without the end if it still is.
    idle: BTreeMap<NodeId, (Time, Option<Time>)>,
    tilted: BTreeSet<NodeId>,
    /// By how much the clock of a Sentinel was put back. What it was told looks so much younger to it.
    put_back: BTreeMap<NodeId, Duration>,
    /// The masters that said they are replicas. Sentinels may have told them so: one that has not yet heard of a failover makes
    /// the new master a replica of the one before, as the last step of its own failover, or to put it right.
    usurped: BTreeSet<String>,
    /// The promotions by Sentinels that have not yet ended their failovers, or never did.
    unfinished: BTreeMap<(NodeId, String), Epoch>,
    /// What names stand for.
    hosts: Hosts,
    /// Who could not do the last switch of a master that it announced, as nobody knew the name of the new one.
    stranded: BTreeSet<(NodeId, String)>,
    /// The masters of which a Sentinel ended a failover after one of a later epoch, or two promoted a node in the same.
    overtaken: BTreeSet<String>,
    last_fault: Time,
}

impl<'a> Auditor<'a> {
    fn new(plan: &'a Plan) -> Self {
        Self {
            plan,
            wrong: Vec::new(),
            epochs: BTreeMap::new(),
            unfiled: BTreeMap::new(),
            attempts: BTreeMap::new(),
            by_hand: None,
            forced: Vec::new(),
            leaders: BTreeMap::new(),
            promoted: Promoted::new(),
            configs: BTreeMap::new(),
            down: BTreeMap::new(),
            idle: BTreeMap::new(),
            tilted: BTreeSet::new(),
            put_back: BTreeMap::new(),
            usurped: BTreeSet::new(),
            unfinished: BTreeMap::new(),
            hosts: plan.cluster.resolver(),
            stranded: BTreeSet::new(),
            overtaken: BTreeSet::new(),
            last_fault: Time::ZERO,
        }
    }

    fn saw(&mut self, at: Time, what: &What) {
        match what {
            What::Fault { step, nodes, .. } => {
                self.last_fault = at;
                let fault = step.and_then(|step| self.plan.timeline.get(step)).map(|step| &step.fault);
                match (fault, nodes.first()) {
                    (Some(Fault::Failover { .. }), Some(sentinel)) => self.by_hand = Some((*sentinel, at)),
                    (Some(Fault::Resolve { name, to }), _) => {
                        self.hosts.set(name, to.map(|host| self.plan.cluster.host(host)).as_deref());
                    }
                    (Some(Fault::ClockJump { by_ms, .. }), _) if *by_ms < 0 => {
                        for node in nodes {
                            *self.put_back.entry(*node).or_default() += Duration::from_millis(by_ms.unsigned_abs());
                        }
                    }
                    _ => {}
                }
            }
            What::Healed { .. } => self.last_fault = at,
            What::State { node, state: NodeState::Frozen } => self.idles(*node, at),
            What::State { node, state: NodeState::Up } => self.goes_on(*node, at),
            What::State { node, state: NodeState::Down } => {
                self.idle.remove(node);
                self.tilted.remove(node);
                if let Some(before) = self.unfiled.remove(node) {
                    self.epochs.insert(*node, before);
                }
                // One that was overtaken is in its file.
                let promoted = &self.promoted;
                self.unfinished
                    .retain(|(sentinel, master), own| sentinel != node || is_overtaken(promoted, master, *own));
                for ((sentinel, _), until) in &mut self.down {
                    if sentinel == node {
                        until.get_or_insert(at);
                    }
                }
            }
            What::Event { node, event, payload } => {
                let words: Vec<&str> = payload.split(' ').collect();
                self.event(at, *node, *event, &words);
            }
            _ => {}
        }
    }

    fn event(&mut self, at: Time, node: NodeId, event: EventName, words: &[&str]) {
        match (event, words) {
            (EventName::NewEpoch, [epoch]) => {
                let Ok(epoch) = epoch.parse::<Epoch>() else { return };
                let before = self.epochs.insert(node, epoch).unwrap_or(0);
                if epoch <= before {
                    self.found("epochs", at, format!("{node} went from epoch {before} to {epoch}"));
                }
            }
            (EventName::VoteForLeader, _) => {
                self.unfiled.remove(&node);
            }
            (EventName::TryFailover, ["master", master, ..]) => {
                let epoch = self.epochs.get(&node).copied().unwrap_or(0);
                self.unfiled.insert(node, epoch.saturating_sub(1));
                // The operator's command and what it causes happen at one time.
                if self.by_hand == Some((node, at)) {
                    self.forced.push((node, (*master).to_owned(), epoch));
                }
                self.attempts.insert((node, (*master).to_owned()), epoch);
            }
            (EventName::ElectedLeader, ["master", master, ..]) => self.elected(at, node, master),
            (EventName::PromotedSlave, ["slave", _, ip, port, "@", master, ..]) => {
                let epoch = self.attempts.get(&(node, (*master).to_owned())).copied().unwrap_or(0);
                let addr = format!("{ip} {port}");
                self.unfinished.insert((node, (*master).to_owned()), epoch);
                let promoted = self.promoted.entry(((*master).to_owned(), epoch)).or_default();
                promoted.insert(addr);
                // Who is told to fail over takes an epoch without asking, and another may be elected in it.
                if promoted.len() > 1 {
                    self.overtaken.insert((*master).to_owned());
                }
            }
            (EventName::FailoverEnd, ["master", master, ..]) => {
                let own = self.attempts.get(&(node, (*master).to_owned())).copied().unwrap_or(0);
                if is_overtaken(&self.promoted, master, own) {
                    self.overtaken.insert((*master).to_owned());
                }
            }
            (EventName::RoleChanged, ["master", master, .., "slave"]) => {
                self.usurped.insert((*master).to_owned());
            }
            (EventName::SwitchMaster, [master, _, _, ip, port]) => {
                let key = (node, (*master).to_owned());
                let is_stranded = self.hosts.resolve(ip).is_none();
                if is_stranded {
                    self.stranded.insert(key.clone());
                } else {
                    self.stranded.remove(&key);
                }
                // Who leads has not done its failover then.
                let leads = is_stranded && self.unfinished.contains_key(&key);
                if !leads {
                    self.unfinished.remove(&key);
                }
                if let Some(until) = self.down.get_mut(&(node, (*master).to_owned())) {
                    until.get_or_insert(at);
                }
                self.switched(at, node, master, &format!("{ip} {port}"), !leads);
            }
            (EventName::SubjectivelyDown, ["master", master, ..]) => {
                self.down.insert((node, (*master).to_owned()), None);
            }
            (EventName::SubjectivelyUp, ["master", master, ..]) => {
                if let Some(until) = self.down.get_mut(&(node, (*master).to_owned())) {
                    until.get_or_insert(at);
                }
            }
            (EventName::ObjectivelyDown, ["master", master, ..]) => self.objectively_down(at, node, master),
            // In tilt mode a Sentinel does nothing, for half a minute.
            (EventName::Tilt, _) => {
                self.last_fault = at;
                self.tilted.insert(node);
                self.idles(node, at);
            }
            (EventName::TiltEnd, _) => {
                self.last_fault = at;
                if self.tilted.remove(&node) {
                    self.goes_on(node, at);
                }
            }
            _ => {}
        }
    }

    fn elected(&mut self, at: Time, node: NodeId, master: &str) {
        let Some(epoch) = self.attempts.get(&(node, master.to_owned())).copied() else {
            self.found("one leader", at, format!("{node} was elected for {master} without an attempt"));
            return;
        };
        if self.forced.iter().any(|(by, of, in_epoch)| *by == node && of == master && *in_epoch == epoch) {
            return;
        }
        // Votes are counted of the epoch that a Sentinel has come to, for another master it may be.
        let epoch = self.epochs.get(&node).copied().unwrap_or(epoch);
        let first = *self.leaders.entry((master.to_owned(), epoch)).or_insert(node);
        if first != node {
            let text = format!("{first} and {node} were both elected to lead {master} in epoch {epoch}");
            self.found("one leader", at, text);
        }
    }

    /// A Sentinel announced a switch. Its epoch is `done` with then, unless it has to announce it again.
    fn switched(&mut self, at: Time, node: NodeId, master: &str, addr: &str, done: bool) {
        let held = self.configs.get(&(node, master.to_owned())).copied().unwrap_or(0);
        let promotions = self.promoted.iter().filter(|((of, _), promoted)| of == master && promoted.contains(addr));
        if let Some(epoch) = promotions.map(|((_, epoch), _)| *epoch).find(|epoch| *epoch > held) {
            if done {
                self.configs.insert((node, master.to_owned()), epoch);
            }
        } else {
            let text =
                format!("{node} switched {master} to {addr}, which no leader promoted in an epoch after its {held}");
            self.found("epochs", at, text);
        }
    }

    fn objectively_down(&mut self, at: Time, node: NodeId, master: &str) {
        let Some(group) = self.plan.cluster.group(master) else { return };
        let quorum = usize::from(self.plan.cluster.groups[group].quorum);
        let opinion = OPINION + self.put_back.get(&node).copied().unwrap_or_default();
        let last_pass = self.last_pass(node, at);
        let recent = |until: &Option<Time>| until.is_none_or(|until| until + opinion >= last_pass);
        let agree = self.down.iter().filter(|((_, of), until)| of == master && recent(until)).count();
        if agree < quorum {
            let text = format!("{node} says +odown of {master} with {agree} that find it down, of {quorum} needed");
            self.found("quorum", at, text);
        }
    }

    /// A Sentinel does no passes from now on, if it did any.
    fn idles(&mut self, node: NodeId, at: Time) {
        let since = self.last_pass(node, at);
        self.idle.insert(node, (since, None));
    }

    fn goes_on(&mut self, node: NodeId, at: Time) {
        if let Some((_, until)) = self.idle.get_mut(&node)
            && !self.tilted.contains(&node)
        {
            *until = Some(at);
        }
    }

    /// When the Sentinel did the pass before the one at `at`, at the earliest.
    fn last_pass(&self, node: NodeId, at: Time) -> Time {
        match self.idle.get(&node) {
            Some((since, until)) if until.is_none_or(|until| until + PASS >= at) => *since,
            _ => at,
        }
    }

    /// What everybody must have come to at the end, if there was time enough since the last fault.
    fn agreement(&mut self, history: &History) {
        let end = Time::from(self.plan.run_for);
        let healed = self.plan.timeline.iter().find_map(|step| match (&step.when, &step.fault) {
            (Trigger::At(at), Fault::Heal(Target::All)) => Some(Time::from(*at)),
            _ => None,
        });
        let Some(healed) = healed.map(|healed| healed.max(self.last_fault)) else { return };
        let cluster = &self.plan.cluster;
        for (index, group) in cluster.groups.iter().enumerate() {
            let usurped = has_usurper(&self.plan.timeline) || self.usurped.contains(&group.name);
            let settled = end.since(healed) >= settling(group, usurped);
            let mut unfinished = self.unfinished.iter().filter(|((_, master), _)| *master == group.name);
            let is_overtaken = self.overtaken.contains(&group.name)
                || unfinished.any(|((_, master), epoch)| is_overtaken(&self.promoted, master, *epoch));
            let is_stranded = self.stranded.iter().any(|(_, master)| *master == group.name);
            if !settled || is_overtaken || is_stranded {
                continue;
            }
            let mut answers: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
            let mut follows = BTreeMap::new();
            for record in &history.records {
                match &record.what {
                    What::FinalAnswer { node, master, addr, .. } if *master == group.name => {
                        answers.entry(*addr).or_default().push(*node);
                    }
                    What::Final(data) if cluster.place(data.node).is_some_and(|(of, _)| of == index) => {
                        follows.insert(data.node, (data.of, data.up));
                    }
                    _ => {}
                }
            }
            let named: Vec<NodeId> = answers.keys().copied().collect();
            let [master] = named[..] else {
                let told: Vec<String> = answers.iter().map(|(addr, by)| format!("{} name {addr}", by.len())).collect();
                let text = format!("at the end the Sentinels disagree about {}: {}", group.name, told.join(", "));
                self.wrong.push(Wrong { rule: "agreement", at: end, text });
                continue;
            };
            for (node, (of, up)) in follows {
                let right = if node == master { None } else { Some(master) };
                if of != right || !up {
                    let role = of.map_or_else(|| "is a master".to_owned(), |of| format!("follows {of}"));
                    let down = if up { "" } else { ", and cannot be reached" };
                    let text = format!("at the end {node} {role}{down}, with {master} the master of {}", group.name);
                    self.wrong.push(Wrong { rule: "agreement", at: end, text });
                }
            }
        }
    }

    fn found(&mut self, rule: &'static str, at: Time, text: String) {
        self.wrong.push(Wrong { rule, at, text });
    }
}

/// True if a node of `master` was promoted in a later epoch than `own`.
fn is_overtaken(promoted: &Promoted, master: &str, own: Epoch) -> bool {
    promoted.keys().any(|(of, epoch)| of == master && *epoch > own)
}
