//! [`Inside`]: where nodes are for those behind a translation of addresses, as one client outside finds them.

use std::collections::BTreeMap;

use model::NodeId;

use crate::gate::Gate;

/// The addresses of the inside, at which nobody answers the client.
pub(super) struct Inside(Vec<Place>);

struct Place {
    node: NodeId,
    gate: Gate,
    /// The client has dialled it, which was told.
    dialled: bool,
}

impl Inside {
    /// None was dialled yet.
    pub(super) fn new(gates: BTreeMap<NodeId, Gate>) -> Self {
        Self(gates.into_iter().map(|(node, gate)| Place { node, gate, dialled: false }).collect())
    }

    /// The gates at these addresses.
    pub(super) fn gates(&mut self) -> impl Iterator<Item = &mut Gate> {
        self.0.iter_mut().map(|place| &mut place.gate)
    }

    /// The nodes that the client has dialled there since this was last asked, each once.
    pub(super) fn newly_dialled(&mut self) -> impl Iterator<Item = NodeId> {
        self.0.iter_mut().filter(|place| !place.dialled && place.gate.was_dialled()).map(|place| {
            place.dialled = true;
            place.node
        })
    }
}
