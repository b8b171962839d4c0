//! Faults: how each is carried out. How those that last are undone is in [`standing`](crate::standing).

use std::time::Duration;

use model::fault::Answer;
use model::history::What;
use model::machine::Input;
use model::{Command, Fault, NodeId, Target, Time};

use crate::operator::{auth, replica_of};
use crate::overrides::{Override, Stale};
use crate::process::{CutReply, Process};
use crate::world::World;

/// A fault at the moment when it fires.
struct Firing<'a> {
    fault: &'a Fault,
    step: Option<usize>,
    lasting: Option<Duration>,
}

impl World {
    /// Records a fault and carries it out. Gives the nodes that it hit; none if there was nobody to hit.
    pub(crate) fn fire(&mut self, fault: &Fault, step: Option<usize>, lasting: Option<Duration>) -> Vec<NodeId> {
        let record = self.history.records.len();
        self.history.push(self.now, What::Fault { fault: fault.to_string(), step, nodes: Vec::new() });
        let hit = self.carry_out(&Firing { fault, step, lasting });
        let ids: Vec<NodeId> = hit.into_iter().map(|node| self.nodes[node].id).collect();
        if let What::Fault { nodes, .. } = &mut self.history.records[record].what {
            nodes.clone_from(&ids);
        }
        ids
    }

    fn carry_out(&mut self, firing: &Firing<'_>) -> Vec<usize> {
        match firing.fault {
            Fault::Kill(target) => self.lasting_at(firing, target, Process::listens, |world, node, _| world.stop(node)),
            Fault::Restart(target) => {
                let mut nodes = self.resolve_hit(target);
                nodes.retain(|node| !self.nodes[*node].listens());
                self.restart(&nodes);
                nodes
            }
            Fault::Shutdown(target) => self.lasting_at(firing, target, Process::listens, |world, node, _| {
                world.operate(node, Command::of(&["SHUTDOWN"]));
            }),
            Fault::Freeze(target) => {
                self.lasting_at(firing, target, Process::is_up, |world, node, _| world.freeze(node))
            }
            Fault::DebugSleep(target) => {
                let awake = |process: &Process| process.group.is_some() && process.is_up();
                self.lasting_at(firing, target, awake, |world, node, _| world.freeze(node))
            }
            Fault::Thaw(target) => {
                let mut nodes = self.resolve_hit(target);
                nodes.retain(|node| self.nodes[*node].listens() && !self.nodes[*node].is_up());
                self.unfreeze(&nodes);
                nodes
            }
            Fault::Hang(target) => {
                self.lasting_at(firing, target, Process::listens, |world, node, _| world.nodes[node].hangs += 1)
            }
            Fault::Unreachable(target) => {
                let nodes = self.lasting_at(firing, target, |_| true, |_, _, _| {});
                self.change_paths();
                nodes
            }
            Fault::Latency { between, and, .. } => {
                self.on_paths(firing, std::slice::from_ref(between), std::slice::from_ref(and))
            }
            Fault::Partition { from, to, .. } => self.on_paths(firing, from, to),
            Fault::Cut(target) => self.at_clients(target, Self::sever),
            Fault::Silence(target) => self.at_clients(target, |world, link| world.links[link].silent = true),
            Fault::CutReply { target, command, times } => self.cut_replies(target, command.as_deref(), *times),
            Fault::Failover { via, master } => self.failover(via.as_ref(), master.as_deref()),
            Fault::Loading(target) => self.lasting_at(firing, target, is_running_data, |world, node, _| {
                world.input(node, None, Input::LoadingUntil(Time::NEVER));
            }),
            Fault::Demote(target) => self.demote(target),
            Fault::ReplicaOf { target, of } => self.make_replica(target, of.as_ref()),
            Fault::ClientKill(target) => {
                let nodes = self.present(target, is_running_data);
                for &node in &nodes {
                    self.operate(node, Command::of(&["CLIENT", "KILL", "TYPE", "normal"]));
                    self.operate(node, Command::of(&["CLIENT", "KILL", "TYPE", "pubsub"]));
                }
                nodes
            }
            Fault::KeepClients(target) => self.lasting_at(firing, target, is_running_data, |world, node, _| {
                world.input(node, None, Input::IgnoreClientKill(true));
            }),
            Fault::ClockJump { target, by_ms } => {
                let nodes = self.present(target, |process| process.id.is_sentinel() && process.listens());
                for &node in &nodes {
                    self.input(node, None, Input::ClockJump(*by_ms));
                }
                nodes
            }
            Fault::Send { target, command, undo } => self.send_to(firing, target, command, undo.is_some()),
            Fault::Resolve { name, to } => self.resolve_to(name, *to),
            Fault::Move { target, to } => {
                let nodes: Vec<usize> = self.resolve(target).into_iter().take(1).collect();
                for &node in &nodes {
                    self.move_to(node, *to);
                }
                nodes
            }
            Fault::Override { target, answer } => self.override_answers(firing, target, answer),
            Fault::Heal(target) => self.heal(target),
        }
    }

    /// The nodes that a target means, of those that `fits`.
    fn present(&self, target: &Target, fits: impl Fn(&Process) -> bool) -> Vec<usize> {
        let mut nodes = self.resolve(target);
        nodes.retain(|node| fits(&self.nodes[*node]));
        nodes
    }

    /// Lets a fault stand at the nodes that `fits` and does `act` to each.
    fn lasting_at(
        &mut self,
        firing: &Firing<'_>,
        target: &Target,
        fits: impl Fn(&Process) -> bool,
        act: impl Fn(&mut Self, usize, u64),
    ) -> Vec<usize> {
        let nodes = self.present(target, fits);
        if !nodes.is_empty() {
            let number = self.stand(firing.fault, firing.step, firing.lasting, &nodes, (Vec::new(), Vec::new()));
            for &node in &nodes {
                act(self, node, number);
            }
        }
        nodes
    }

    /// Lets a fault stand on the paths between two sides, if there are any: from a node to itself nothing passes.
    fn on_paths(&mut self, firing: &Firing<'_>, from: &[Target], to: &[Target]) -> Vec<usize> {
        let (from, to) = (self.side(from), self.side(to));
        if from.is_empty() || to.is_empty() || from.len() == 1 && from == to {
            return Vec::new();
        }
        let mut nodes: Vec<usize> = from.iter().chain(&to).copied().filter(|end| *end < self.nodes.len()).collect();
        nodes.sort_unstable();
        nodes.dedup();
        if !nodes.is_empty() {
            self.stand(firing.fault, firing.step, firing.lasting, &nodes, (from, to));
            self.change_paths();
        }
        nodes
    }

    /// Does `act` to every link that a client has to the nodes.
    fn at_clients(&mut self, target: &Target, act: impl Fn(&mut Self, usize)) -> Vec<usize> {
        let nodes = self.present(target, Process::listens);
        for &node in &nodes {
            let accepted = self.nodes[node].accepted();
            let clients: Vec<usize> = accepted.filter(|link| self.links[*link].client().is_some()).collect();
            for link in clients {
                act(self, link);
            }
        }
        nodes
    }

    /// Sends a command to the nodes. Those that refuse it are not hit.
    fn send_to(&mut self, firing: &Firing<'_>, target: &Target, command: &[String], lasts: bool) -> Vec<usize> {
        let mut sent: Vec<(usize, usize)> = Vec::new();
        for node in self.present(target, Process::listens) {
            let (link, reply) = self.operate_on(node, words(command));
            if reply.is_none_or(|reply| reply.error_code().is_none()) {
                sent.push((node, link));
            }
        }
        let nodes: Vec<usize> = sent.iter().map(|(node, _)| *node).collect();
        if lasts && !nodes.is_empty() {
            let number = self.stand(firing.fault, firing.step, firing.lasting, &nodes, (Vec::new(), Vec::new()));
            self.operators.extend(sent.into_iter().map(|(node, link)| ((number, node), link)));
        }
        nodes
    }

    fn cut_replies(&mut self, target: &Target, command: Option<&str>, times: u32) -> Vec<usize> {
        let nodes = self.present(target, |process| is_running_data(process) && times > 0);
        for &node in &nodes {
            self.nodes[node].cut_replies.push(CutReply { command: command.map(str::to_owned), times });
        }
        nodes
    }

    fn failover(&mut self, via: Option<&Target>, master: Option<&str>) -> Vec<usize> {
        let asked = via.map_or_else(|| self.sentinels(), |via| self.resolve(via));
        let sentinel = asked.into_iter().find(|node| self.nodes[*node].id.is_sentinel() && self.nodes[*node].is_up());
        let (Some(sentinel), Some(first)) = (sentinel, self.cluster.groups.first()) else { return Vec::new() };
        let master = master.unwrap_or(&first.name).to_owned();
        match self.operate(sentinel, Command::of(&["SENTINEL", "FAILOVER"]).arg(master)) {
            Some(reply) if reply.error_code().is_none() => vec![sentinel],
            _ => Vec::new(),
        }
    }

    fn demote(&mut self, target: &Target) -> Vec<usize> {
        let mut demoted = Vec::new();
        for node in self.present(target, |process| process.group.is_some() && process.is_up()) {
            let best = self.nodes[node].group.and_then(|group| self.best_replica(group));
            let Some(best) = best.filter(|best| *best != node) else { continue };
            let addr = self.nodes[best].addr.clone();
            self.operate(best, replica_of(None));
            self.operate(node, replica_of(Some(&addr)));
            demoted.push(node);
        }
        demoted
    }

    fn make_replica(&mut self, target: &Target, of: Option<&Target>) -> Vec<usize> {
        let master = match of {
            Some(of) => match self.resolve(of).first() {
                Some(node) => Some(*node),
                None => return Vec::new(),
            },
            None => None,
        };
        let mut nodes = self.present(target, is_running_data);
        // Of all replicas one may be the master of the others: nobody is told to follow itself.
        nodes.retain(|node| Some(*node) != master);
        let command = replica_of(master.map(|node| &self.nodes[node].addr));
        for &node in &nodes {
            self.operate(node, command.clone());
        }
        nodes
    }

    fn override_answers(&mut self, firing: &Firing<'_>, target: &Target, answer: &Answer) -> Vec<usize> {
        let wrong = match answer {
            Answer::WrongAddress(wrong) => match self.resolve(wrong).first() {
                Some(wrong) => Some(*wrong),
                None => return Vec::new(),
            },
            _ => None,
        };
        self.lasting_at(firing, target, is_running_sentinel, |world, node, number| {
            let answer = match answer {
                Answer::Hang => {
                    world.nodes[node].hangs += 1;
                    return;
                }
                Answer::Stale => {
                    let login = world.credentials(node).map(auth);
                    let sentinel = world.nodes[node].machine.as_ref().and_then(|machine| machine.sentinel());
                    let Some(sentinel) = sentinel else { return };
                    Override::Stale(Box::new(Stale::new(sentinel.clone(), world.now, login)))
                }
                Answer::Null => Override::Null,
                Answer::Error(text) => Override::Error(text.clone()),
                Answer::Slow(by) => Override::Slow(*by),
                Answer::WrongAddress(_) => {
                    let Some(wrong) = wrong else { return };
                    let group = world.nodes[wrong].group.unwrap_or_default();
                    let master = world.cluster.groups[group].name.clone();
                    Override::WrongAddress { master, wrong: world.nodes[wrong].addr.clone() }
                }
                Answer::NoSwitchEvent => Override::NoSwitchEvent,
                Answer::LateSwitchEvent(by) => Override::LateSwitchEvent(*by),
            };
            world.nodes[node].overrides.push((number, answer));
        })
    }
}

/// The words of a command.
pub(crate) fn words(words: &[String]) -> Command {
    words.iter().fold(Command::default(), |command, word| command.arg(word.clone()))
}

fn is_running_data(process: &Process) -> bool {
    process.group.is_some() && process.listens()
}

fn is_running_sentinel(process: &Process) -> bool {
    process.id.is_sentinel() && process.listens()
}
