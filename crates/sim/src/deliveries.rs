//! [`Delivery`]: a message that arrived, for whoever wants to know each moment at which something could have gone wrong.
//! Not part of the history: a world keeps them only if it is told to.

use model::{Frame, Time};

use crate::link::{End, Party};
use crate::record::command_name;
use crate::world::World;

/// Something said that reached the other end of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When.
    pub at: Time,
    /// Who said it: a node or a client.
    pub from: String,
    /// Whom it reached.
    pub to: String,
    /// The command's name, or `reply`, `snapshot` or `malformed`.
    pub what: String,
}

impl World {
    /// Keeps every delivery from here on.
    pub fn watch_deliveries(&mut self) {
        self.deliveries.get_or_insert_default();
    }

    /// What was delivered since this was last called; nothing if the world was not told to keep it.
    pub fn take_deliveries(&mut self) -> Vec<Delivery> {
        self.deliveries.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Keeps a delivery, if somebody wants to know. What the operator of the faults says and is told does not count.
    pub(crate) fn delivered(&mut self, link: usize, to: End, frame: &Frame) {
        if self.deliveries.is_none() {
            return;
        }
        let parties = self.links[link].parties;
        let name = |end: End| match parties[end as usize] {
            Party::Node(node, _) => Some(self.nodes[node].id.to_string()),
            Party::Client(client) => Some(self.clients[client].id.to_string()),
            Party::Operator | Party::Nobody => None,
        };
        let (Some(from), Some(to)) = (name(to.other()), name(to)) else { return };
        let what = match frame {
            Frame::Command(command) => command_name(command),
            Frame::Reply(_) => "reply".to_owned(),
            Frame::Snapshot(_) => "snapshot".to_owned(),
            Frame::Malformed(_) => "malformed".to_owned(),
        };
        let at = self.now;
        if let Some(deliveries) = &mut self.deliveries {
            deliveries.push(Delivery { at, from, to, what });
        }
    }
}
