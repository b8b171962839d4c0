//! [`Places`]: the addresses at which clients find the nodes, each client at its own.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use model::NodeId;
use model::plan::Cluster;
use real::block::{Block, NODES_MAX};
use sim::Door;

use crate::gate::Gate;

/// Address blocks that are tried for one where nothing lingers.
const BLOCKS_TRIED: usize = 16;

/// Clients that a cluster with names can have, whose ports lie side by side.
const CLIENTS_MAX: u16 = 10_000;

/// The gate of each node.
pub(super) type Gates = BTreeMap<NodeId, Gate>;

/// Where the nodes of a cluster are to be found.
pub(super) struct Places {
    nodes: Vec<NodeId>,
    /// Whether clients dial through the kernel.
    sockets: bool,
    nat: bool,
    has_names: bool,
    has_ipv6: bool,
    /// The block that all clients share, if the cluster has names, and the port of the next one above the usual ports.
    shared: Option<(Arc<Block>, u16)>,
    /// Addresses that nodes have moved to.
    moves: usize,
}

impl Places {
    pub(super) fn new(cluster: &Cluster, nodes: Vec<NodeId>, sockets: bool) -> Self {
        let has_ipv6 = nodes.iter().any(|node| cluster.address(*node).host.contains(':'));
        Self {
            nodes,
            sockets,
            nat: cluster.nat,
            has_names: !cluster.hosts.is_empty(),
            has_ipv6,
            shared: None,
            moves: 0,
        }
    }

    /// Complains about more nodes than a block has addresses.
    pub(super) fn suffice(&self) -> io::Result<()> {
        if self.at_first() <= NODES_MAX {
            return Ok(());
        }
        let text = format!("a cluster has at most {NODES_MAX} nodes on sockets, half as many behind `nat`");
        Err(io::Error::new(io::ErrorKind::InvalidInput, text))
    }

    /// The place of the next node that moves.
    pub(super) fn next_move(&mut self) -> usize {
        self.moves += 1;
        self.at_first() + self.moves - 1
    }

    /// The gate of a node that has moved to `place`, with the port that it had, refusing for now. Who is `outside` has no
    /// block; there the addresses are those of the world.
    pub(super) fn moved(&self, block: Option<&Block>, place: usize, outside: &str, port: u16) -> io::Result<Gate> {
        let ip = match block {
            Some(block) => (place < NODES_MAX).then(|| block.addr(place, 0).0),
            None => outside.parse().ok(),
        };
        let addr = SocketAddr::new(ip.ok_or(io::ErrorKind::InvalidInput)?, port);
        let mut gate = if self.sockets { Gate::open_at(addr)? } else { Gate::within(addr) };
        gate.set(Door::Refused)?;
        Ok(gate)
    }

    /// An address block with an open gate for every node: one where nothing lingers, if there is one. If the cluster has
    /// names it is the same for all clients, and the nodes have the same port for one client, another for another.
    pub(super) fn claim(&mut self) -> io::Result<(Arc<Block>, Gates)> {
        let sockets = self.sockets;
        self.claim_by(|ip, port| gate(sockets, ip, port, |ip, port| Gate::open_rested(SocketAddr::new(ip, port))))
    }

    /// As [`Places::claim`]; `rested` opens a gate where nothing lingers.
    fn claim_by(&mut self, rested: impl Fn(IpAddr, u16) -> io::Result<Gate>) -> io::Result<(Arc<Block>, Gates)> {
        let Some((block, next)) = self.shared.clone() else {
            let (block, gates) = self.first(rested)?;
            self.shared = self.has_names.then(|| (Arc::clone(&block), 1));
            return Ok((block, gates));
        };
        for above in next..next.saturating_add(CLIENTS_MAX) {
            if let Ok(gates) = self.gates(&block, above, &rested) {
                self.shared = Some((Arc::clone(&block), above + 1));
                return Ok((block, gates));
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "a cluster with names has no port for another client"))
    }

    /// A block that nobody has, with a gate for every node.
    fn first(&self, rested: impl Fn(IpAddr, u16) -> io::Result<Gate>) -> io::Result<(Arc<Block>, Gates)> {
        for _ in 0..BLOCKS_TRIED {
            let block = Arc::new(Block::claim()?);
            if block.spare().is_some()
                && let Ok(gates) = self.gates(&block, 0, &rested)
            {
                return Ok((block, gates));
            }
            // Another process has just gone through these blocks, and through those that follow.
            Block::go_elsewhere();
        }
        let block = Arc::new(Block::claim()?);
        let gates = self.gates(&block, 0, |ip, port| gate(self.sockets, ip, port, Gate::open))?;
        Ok((block, gates))
    }

    /// A gate for every node, at the usual ports and so much `above`.
    fn gates(&self, block: &Block, above: u16, open: impl Fn(IpAddr, u16) -> io::Result<Gate>) -> io::Result<Gates> {
        let mut gates = Gates::new();
        let mut ipv6 = self.ipv6_gates(block)?.into_iter();
        for (index, node) in self.nodes.iter().enumerate() {
            let (ip, port) = block.addr(index, if node.is_sentinel() { 26379 } else { 6379 } + above);
            let gate = match ipv6.next() {
                Some(gate) => gate,
                None => open(ip, port)?,
            };
            gates.insert(*node, gate);
        }
        Ok(gates)
    }

    /// Where nodes are for those inside: addresses at which a client is never answered.
    pub(super) fn inside(&self, block: &Block) -> io::Result<Gates> {
        let mut gates = Gates::new();
        let mut ipv6 = self.ipv6_gates(block)?.into_iter();
        for (index, node) in self.nodes.iter().enumerate() {
            let (ip, port) = block.addr(self.nodes.len() + index, if node.is_sentinel() { 26379 } else { 6379 });
            let mut gate = match ipv6.next() {
                Some(gate) => gate,
                None => gate(self.sockets, ip, port, Gate::open)?,
            };
            gate.set(Door::Silent)?;
            gates.insert(*node, gate);
        }
        Ok(gates)
    }

    /// Addresses of a block that a client needs from the start.
    fn at_first(&self) -> usize {
        self.nodes.len() * if self.nat { 2 } else { 1 }
    }

    /// Gates for all nodes, in their order, if they have IPv6 addresses.
    fn ipv6_gates(&self, block: &Block) -> io::Result<Vec<Gate>> {
        let start = block.spare().map_or(0, |spare| usize::from(spare.octets()[2]));
        if !self.has_ipv6 {
            Ok(Vec::new())
        } else if self.sockets {
            Gate::open_ipv6(start, self.nodes.len())
        } else {
            Ok(Gate::within_ipv6(start, self.nodes.len()))
        }
    }
}

/// A gate that is opened so, if clients dial through the kernel.
fn gate(sockets: bool, ip: IpAddr, port: u16, open: impl Fn(IpAddr, u16) -> io::Result<Gate>) -> io::Result<Gate> {
    if sockets { open(ip, port) } else { Ok(Gate::within(SocketAddr::new(ip, port))) }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use model::plan::Host;

    use super::*;

    #[test]
    fn clients_of_a_cluster_with_names_find_the_same_machines_where_no_block_is_rested() {
        let mut cluster = Cluster::standard();
        cluster.hosts.insert("db".to_owned(), Host::Node(NodeId::data(1)));
        let mut places = Places::new(&cluster, vec![NodeId::data(1), NodeId::sentinel(1)], false);
        let tried = RefCell::new(Vec::new());
        let (_, first) = places
            .claim_by(|ip, _| {
                tried.borrow_mut().push(ip);
                Err(io::ErrorKind::AddrInUse.into())
            })
            .unwrap();
        let (_, second) = places.claim().unwrap();
        let machines = |gates: &Gates| gates.values().map(|gate| gate.addr().ip()).collect::<Vec<_>>();
        assert_eq!(machines(&first), machines(&second));
        assert_ne!(first[&NodeId::data(1)].addr(), second[&NodeId::data(1)].addr());
        // What was tried lies all over the blocks: as many second bytes as there were attempts.
        let spread: BTreeSet<String> =
            tried.borrow().iter().map(|ip| ip.to_string().split('.').nth(1).unwrap().to_owned()).collect();
        assert_eq!(spread.len(), BLOCKS_TRIED);
    }
}
