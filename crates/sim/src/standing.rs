//! Standing faults: what lasts until it is undone, and how it is undone.

use std::time::Duration;

use model::fault::Answer;
use model::history::{NodeState, What};
use model::machine::Input;
use model::{Command, Fault, Target};

use crate::clients::Client;
use crate::faults::words;
use crate::queue::Event;
use crate::world::World;

/// A fault that lasts.
pub(crate) struct Standing {
    number: u64,
    step: Option<usize>,
    pub(crate) fault: Fault,
    /// The nodes on which it still stands.
    pub(crate) nodes: Vec<usize>,
    /// The endpoints on both sides, of a fault on links.
    pub(crate) sides: (Vec<usize>, Vec<usize>),
}

impl Standing {
    /// True if it stands between endpoints, so that it ends as a whole.
    fn on_links(&self) -> bool {
        matches!(self.fault, Fault::Partition { .. } | Fault::Latency { .. })
    }

    /// Counts a new client, which is this endpoint, to the sides that it stands on.
    pub(crate) fn admit(&mut self, endpoint: usize, client: &Client) {
        let (from, to) = match &self.fault {
            Fault::Partition { from, to, .. } => (&from[..], &to[..]),
            Fault::Latency { between, and, .. } => (std::slice::from_ref(between), std::slice::from_ref(and)),
            _ => return,
        };
        if client.is_meant(from) {
            self.sides.0.push(endpoint);
        }
        if client.is_meant(to) {
            self.sides.1.push(endpoint);
        }
    }

    /// True if it is a fault of a process and ends with it.
    fn of_process(&self) -> bool {
        matches!(
            self.fault,
            Fault::Freeze(_)
                | Fault::DebugSleep(_)
                | Fault::Hang(_)
                | Fault::Loading(_)
                | Fault::KeepClients(_)
                | Fault::Send { .. }
        )
    }
}

impl World {
    /// Adds a standing fault, to be undone after `lasting` if that is given. Gives its number.
    pub(crate) fn stand(
        &mut self,
        fault: &Fault,
        step: Option<usize>,
        lasting: Option<Duration>,
        nodes: &[usize],
        sides: (Vec<usize>, Vec<usize>),
    ) -> u64 {
        self.stood += 1;
        let number = self.stood;
        self.standing.push(Standing { number, step, fault: fault.clone(), nodes: nodes.to_vec(), sides });
        if let Some(lasting) = lasting {
            self.queue.put(self.now + lasting, Event::Expire(number));
        }
        number
    }

    /// A fault has lasted as long as it should.
    pub(crate) fn expire(&mut self, number: u64) {
        if let Some(at) = self.standing.iter().position(|fault| fault.number == number) {
            let nodes = self.standing[at].nodes.clone();
            self.lift(&nodes, &[], |fault| fault.number == number);
        }
    }

    /// Undoes what a target's heal is for: all that stands at its nodes and clients. Gives the nodes at which there was something to
    /// undo; of all, whoever heals them means all.
    pub(crate) fn heal(&mut self, target: &Target) -> Vec<usize> {
        let nodes = self.resolve_hit(target);
        let side = self.side(std::slice::from_ref(target));
        let mut healed = self.lift(&nodes, &side, |_| true);
        for &node in &nodes {
            let before = self.nodes[node].state;
            self.start(node);
            self.thaw(node);
            let pending = std::mem::take(&mut self.nodes[node].cut_replies);
            if self.nodes[node].state != before || !pending.is_empty() {
                healed.push(node);
            }
        }
        healed.extend(self.rename(&nodes));
        healed.sort_unstable();
        healed.dedup();
        if *target == Target::All { nodes } else { healed }
    }

    /// Undoes the kills and shutdowns of these nodes.
    pub(crate) fn restart(&mut self, nodes: &[usize]) {
        self.lift(nodes, &[], |standing| matches!(standing.fault, Fault::Kill(_) | Fault::Shutdown(_)));
        for &node in nodes {
            self.start(node);
        }
    }

    /// Undoes the freezes of these nodes.
    pub(crate) fn unfreeze(&mut self, nodes: &[usize]) {
        self.lift(nodes, &[], |standing| matches!(standing.fault, Fault::Freeze(_)));
    }

    /// A process has ended, and what stood at it with it.
    pub(crate) fn end_process_faults(&mut self, node: usize) {
        self.lift(&[node], &[], Standing::of_process);
    }

    /// Takes the faults that `which` accepts off the nodes, and those on links off if they touch any of the endpoints.
    /// Gives the nodes that were freed.
    fn lift(&mut self, nodes: &[usize], side: &[usize], which: impl Fn(&Standing) -> bool) -> Vec<usize> {
        let mut lifted: Vec<(Fault, u64, Vec<usize>)> = Vec::new();
        let mut ended = Vec::new();
        for mut standing in std::mem::take(&mut self.standing) {
            let freed: Vec<usize> = if !which(&standing) {
                Vec::new()
            } else if standing.on_links() {
                let touched = |sides: &[usize]| sides.iter().any(|end| nodes.contains(end) || side.contains(end));
                if touched(&standing.sides.0) || touched(&standing.sides.1) {
                    ended.push((standing.step, standing.fault.to_string()));
                    lifted.push((standing.fault, standing.number, standing.nodes));
                    continue;
                }
                Vec::new()
            } else {
                standing.nodes.iter().copied().filter(|node| nodes.contains(node)).collect()
            };
            if freed.is_empty() {
                self.standing.push(standing);
                continue;
            }
            lifted.push((standing.fault.clone(), standing.number, freed.clone()));
            standing.nodes.retain(|node| !freed.contains(node));
            if standing.nodes.is_empty() {
                ended.push((standing.step, standing.fault.to_string()));
            } else {
                self.standing.push(standing);
            }
        }
        for (step, fault) in ended {
            self.history.push(self.now, What::Healed { fault, step });
        }
        let mut all = Vec::new();
        for (fault, number, freed) in lifted {
            self.undo(&fault, number, &freed);
            all.extend(freed);
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// True if a fault that `which` accepts stands at the node.
    pub(crate) fn stands(&self, node: usize, which: impl Fn(&Fault) -> bool) -> bool {
        self.standing.iter().any(|standing| which(&standing.fault) && standing.nodes.contains(&node))
    }

    /// True if the node is off the network.
    pub(crate) fn is_unreachable(&self, node: usize) -> bool {
        self.stands(node, |fault| matches!(fault, Fault::Unreachable(_)))
    }

    /// Undoes a fault that has been taken off the nodes.
    fn undo(&mut self, fault: &Fault, number: u64, nodes: &[usize]) {
        match fault {
            Fault::Partition { .. } | Fault::Latency { .. } | Fault::Unreachable(_) => self.change_paths(),
            _ => nodes.iter().for_each(|node| self.undo_at(fault, number, *node)),
        }
    }

    fn undo_at(&mut self, fault: &Fault, number: u64, node: usize) {
        let again = self.stands(node, |other| match fault {
            Fault::Kill(_) | Fault::Shutdown(_) => matches!(other, Fault::Kill(_) | Fault::Shutdown(_)),
            Fault::Freeze(_) | Fault::DebugSleep(_) => matches!(other, Fault::Freeze(_) | Fault::DebugSleep(_)),
            _ => std::mem::discriminant(other) == std::mem::discriminant(fault),
        });
        match fault {
            Fault::Hang(_) | Fault::Override { answer: Answer::Hang, .. } => self.answer_again(node),
            Fault::Override { .. } => self.nodes[node].overrides.retain(|(known, _)| *known != number),
            Fault::Send { undo, .. } => {
                if let (Some(link), Some(undo)) = (self.operators.remove(&(number, node)), undo) {
                    self.take_back(node, Some(link), words(undo));
                }
            }
            _ if again => {}
            // A node that still waits for its replicas is told to stay.
            Fault::Shutdown(_) if self.nodes[node].state == NodeState::Up => {
                self.operate(node, Command::of(&["SHUTDOWN", "ABORT"]));
            }
            Fault::Kill(_) | Fault::Shutdown(_) => {
                // One that stands still has not read that it was to end: whoever starts it again kills it first.
                if self.nodes[node].state == NodeState::Frozen {
                    self.stop(node);
                }
                self.start(node);
            }
            Fault::Freeze(_) | Fault::DebugSleep(_) => self.thaw(node),
            Fault::Loading(_) => self.input(node, None, Input::LoadingUntil(self.now)),
            Fault::KeepClients(_) => self.input(node, None, Input::IgnoreClientKill(false)),
            _ => {}
        }
    }

    /// Ends one reason to keep a node's clients waiting; after the last, those who wait find themselves cut off.
    fn answer_again(&mut self, node: usize) {
        self.nodes[node].hangs -= 1;
        if self.nodes[node].hangs > 0 || self.nodes[node].state == NodeState::Down {
            return;
        }
        let waiting: Vec<usize> = self.nodes[node].accepted().filter(|link| self.links[*link].swallowed).collect();
        for link in waiting {
            self.sever(link);
        }
    }
}
