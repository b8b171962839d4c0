//! Which nodes a target means at this moment.

use std::cmp::Reverse;

use model::{NodeId, NodeKind, Target};

use crate::clients::Client;
use crate::world::World;

impl Client {
    /// True if a fault on links between such targets is for this client too.
    pub(crate) fn is_meant(&self, targets: &[Target]) -> bool {
        targets.iter().any(|target| match target {
            Target::All => true,
            Target::Zone(zone) => self.zone == *zone,
            Target::Client(id) => self.id.as_str() == id,
            _ => false,
        })
    }
}

impl World {
    /// The nodes that a target means now, in the order of the cluster.
    pub(crate) fn resolve(&self, target: &Target) -> Vec<usize> {
        let group = |name: &Option<String>| self.cluster.group_meant(name.as_deref());
        let indices = |nodes: Vec<NodeId>| nodes.into_iter().filter_map(|node| self.node_index(node)).collect();
        match target {
            Target::Node(id) => self.node_index(*id).into_iter().collect(),
            Target::Master(name) => group(name).and_then(|group| self.master_of(group)).into_iter().collect(),
            Target::OldMaster(name) => group(name).and_then(|group| self.answers.before(group)).into_iter().collect(),
            Target::ReplicaBest(name) => group(name).and_then(|group| self.best_replica(group)).into_iter().collect(),
            Target::ReplicaOther(name) => {
                let Some(group) = group(name) else { return Vec::new() };
                let best = self.best_replica(group);
                self.replicas(group).into_iter().find(|replica| Some(*replica) != best).into_iter().collect()
            }
            Target::Replicas(name) => group(name).map_or_else(Vec::new, |group| self.replicas(group)),
            Target::SentinelLeader => {
                let first = || self.sentinels().into_iter().find(|node| self.nodes[*node].is_up());
                self.leader.or_else(first).into_iter().collect()
            }
            Target::SentinelsMinority => indices(self.cluster.minority()),
            Target::SentinelsMajority => indices(self.cluster.majority()),
            Target::Sentinels => self.sentinels(),
            Target::Zone(zone) => {
                (0..self.nodes.len()).filter(|node| self.cluster.zone(self.nodes[*node].id) == zone).collect()
            }
            Target::All => (0..self.nodes.len()).collect(),
            Target::Client(_) => Vec::new(),
        }
    }

    /// The nodes that a target means where something is undone: of replicas also those that do not run.
    pub(crate) fn resolve_hit(&self, target: &Target) -> Vec<usize> {
        let Target::Replicas(name) = target else { return self.resolve(target) };
        let Some(group) = self.cluster.group_meant(name.as_deref()) else { return Vec::new() };
        let master = self.master_of(group);
        (0..self.nodes.len()).filter(|node| self.nodes[*node].group == Some(group) && Some(*node) != master).collect()
    }

    /// The nodes that any of the targets means, each once.
    pub(crate) fn resolve_all(&self, targets: &[Target]) -> Vec<usize> {
        let mut nodes: Vec<usize> = targets.iter().flat_map(|target| self.resolve(target)).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// The endpoints that any of the targets means, for faults on links: nodes and clients.
    pub(crate) fn side(&self, targets: &[Target]) -> Vec<usize> {
        let mut side = self.resolve_all(targets);
        for (index, client) in self.clients.iter().enumerate() {
            if client.is_meant(targets) {
                side.push(self.nodes.len() + index);
            }
        }
        side
    }

    /// Every Sentinel, in order.
    pub(crate) fn sentinels(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].id.kind == NodeKind::Sentinel).collect()
    }

    /// The replicas of a group that are present: they run, and are neither the master nor take themselves for one.
    fn replicas(&self, group: usize) -> Vec<usize> {
        let master = self.master_of(group);
        let present = |node: &usize| {
            let process = &self.nodes[*node];
            process.group == Some(group) && Some(*node) != master && process.is_up() && !process.is_master()
        };
        (0..self.nodes.len()).filter(present).collect()
    }

    /// The replica that the selection of a Sentinel would choose if it knew the nodes as they are.
    pub(crate) fn best_replica(&self, group: usize) -> Option<usize> {
        let rank = |node: &usize| {
            let data = self.nodes[*node].machine.as_ref()?.data()?;
            (data.priority() > 0).then(|| (data.priority(), Reverse(data.offset()), data.run_id().clone(), *node))
        };
        self.replicas(group).iter().filter_map(rank).min().map(|(.., node)| node)
    }
}
