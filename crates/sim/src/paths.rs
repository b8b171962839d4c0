//! Paths: how long things take between two endpoints, and whether they pass at all.

use std::time::Duration;

use model::history::NodeState;
use model::{Fault, Rng, Time};
use rand::RngExt as _;

use crate::link::{End, Parcel, Party};
use crate::standing::Standing;
use crate::world::World;

/// What standing faults do to each path, from each endpoint to each. Endpoints are the nodes, then the clients.
#[derive(Debug)]
pub(crate) struct Paths {
    /// The width of the table; 0 while nothing stands and the table is not kept.
    size: usize,
    table: Vec<Path>,
    rng: Rng,
}

#[derive(Clone, Copy, Debug, Default)]
struct Path {
    blocked: bool,
    delay: Duration,
    jitter: Duration,
}

impl Paths {
    pub(crate) fn new(rng: Rng) -> Self {
        Self { size: 0, table: Vec::new(), rng }
    }

    /// Works the table out anew, for `size` endpoints.
    pub(crate) fn rebuild(&mut self, size: usize, standing: &[Standing]) {
        self.table.clear();
        self.size = 0;
        for Standing { fault, nodes, sides, .. } in standing {
            let change: &dyn Fn(&mut Path) = match fault {
                Fault::Partition { .. } | Fault::Unreachable(_) => &|path| path.blocked = true,
                Fault::Latency { delay, jitter, .. } => &|path| {
                    path.delay += *delay;
                    path.jitter += *jitter;
                },
                _ => continue,
            };
            self.size = size;
            self.table.resize(size * size, Path::default());
            let one_way = matches!(fault, Fault::Partition { one_way: true, .. });
            let (from, to) = match fault {
                Fault::Unreachable(_) => (members(nodes, size), vec![true; size]),
                _ => (members(&sides.0, size), members(&sides.1, size)),
            };
            for x in 0..size {
                for y in 0..size {
                    if x != y && ((from[x] && to[y]) || (!one_way && from[y] && to[x])) {
                        change(&mut self.table[x * size + y]);
                    }
                }
            }
        }
    }

    /// True if nothing passes from one endpoint to another.
    pub(crate) fn blocked(&self, from: usize, to: usize) -> bool {
        self.size != 0 && self.table[from * self.size + to].blocked
    }

    /// How much longer than usual something takes, drawn anew each time.
    fn delay(&mut self, from: usize, to: usize) -> Duration {
        if self.size == 0 {
            return Duration::ZERO;
        }
        let Path { delay, jitter, .. } = self.table[from * self.size + to];
        if jitter.is_zero() {
            return delay;
        }
        delay + Duration::from_micros(self.rng.random_range(0..=Time::from(jitter).as_micros()))
    }
}

/// For each endpoint whether the list has it.
fn members(list: &[usize], size: usize) -> Vec<bool> {
    let mut members = vec![false; size];
    for &endpoint in list {
        members[endpoint] = true;
    }
    members
}

impl World {
    /// Works out the paths after a fault came or went, and lets go what is free to go.
    pub(crate) fn change_paths(&mut self) {
        self.paths.rebuild(self.nodes.len() + self.clients.len(), &self.standing);
        self.update_doors();
        self.release_held();
    }

    fn endpoint(&self, party: Party) -> Option<usize> {
        match party {
            Party::Node(node, _) => Some(node),
            Party::Client(client) => Some(self.nodes.len() + client),
            Party::Operator | Party::Nobody => None,
        }
    }

    /// True if `parcel` cannot pass now. A connection needs both directions to come about.
    pub(crate) fn is_blocked(&self, link: usize, to: End, parcel: &Parcel) -> bool {
        let parties = &self.links[link].parties;
        let (here, there) = (parties[to.other() as usize], parties[to as usize]);
        let (Some(here), Some(there)) = (self.endpoint(here), self.endpoint(there)) else { return false };
        self.paths.blocked(here, there)
            || (matches!(parcel, Parcel::Syn(_) | Parcel::Dial(_)) && self.paths.blocked(there, here))
    }

    /// The delay of the path towards that end, for one parcel. The cluster stands when a run begins: what nodes say to
    /// each other at time zero, by which replicas attach to their masters, is there at once. Not so if one of them is hit
    /// already then: a replica that dials a master that has ended, again and again, would do so for ever.
    pub(crate) fn delay(&mut self, link: usize, to: End) -> Duration {
        let parties = self.links[link].parties;
        let runs = |party| match party {
            Party::Node(node, _) => self.nodes[node].state == NodeState::Up,
            Party::Nobody => false,
            Party::Client(_) | Party::Operator => true,
        };
        let at_once = !self.links[link].between_nodes() || (self.now == Time::ZERO && parties.into_iter().all(runs));
        let base = if at_once { Duration::ZERO } else { self.cluster.node_latency };
        match (self.endpoint(parties[to.other() as usize]), self.endpoint(parties[to as usize])) {
            (Some(here), Some(there)) => base + self.paths.delay(here, there),
            _ => base,
        }
    }
}
