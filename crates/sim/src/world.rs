//! [`World`]: the cluster of a plan and everything that happens to it.

use std::time::Duration;

use model::history::{History, What};
use model::{ClientId, Command, Fault, NodeId, Plan, Seed, Time};

use crate::effect::{Door, Effect};

/// The cluster of a plan, with its links, its timeline and its history.
///
/// It has the shape of a machine. The host calls [`World::advance`] at [`World::deadline`], hands over what clients do
/// as it happens, and then carries out [`World::take_effects`].
pub struct World {
    #[allow(dead_code)]
    history: History,
}

#[allow(unused_variables, clippy::needless_pass_by_value, clippy::unused_self, clippy::unimplemented)]
impl World {
    /// The cluster of `plan`, every node started at [`Time::ZERO`]. The header of the history is filled but for the
    /// drivers of the clients, which are [`World::set_driver`]'s.
    pub fn new(plan: &Plan, seed: Seed) -> Self {
        unimplemented!()
    }

    /// Names the driver of a client, for the header of the history.
    pub fn set_driver(&mut self, client: &ClientId, driver: &str) {
        unimplemented!()
    }

    /// Adds a client that the plan does not have, in `zone`.
    pub fn add_client(&mut self, client: &ClientId, zone: &str) {
        unimplemented!()
    }

    /// The latest time that the world has been told.
    pub fn now(&self) -> Time {
        unimplemented!()
    }

    /// When [`World::advance`] must be called next; [`Time::NEVER`] if nothing is due.
    pub fn deadline(&self) -> Time {
        unimplemented!()
    }

    /// Does everything that is due up to and including `now`, each thing at its own time.
    pub fn advance(&mut self, now: Time) {
        unimplemented!()
    }

    /// A client's connection to a node was accepted. The number is the connection's from here on.
    pub fn open(&mut self, now: Time, client: &ClientId, node: NodeId) -> u64 {
        unimplemented!()
    }

    /// A command arrived on a connection.
    pub fn command(&mut self, now: Time, conn: u64, command: Command) {
        unimplemented!()
    }

    /// The client closed a connection. Nothing more is taken or sent on it.
    pub fn closed(&mut self, now: Time, conn: u64) {
        unimplemented!()
    }

    /// What is to be done towards clients, oldest first. Empties the list.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        unimplemented!()
    }

    /// What happens now to a client that dials a node. Changes are told as [`Effect::Door`].
    pub fn door(&self, client: &ClientId, node: NodeId) -> Door {
        unimplemented!()
    }

    /// Does something to the cluster, outside the timeline; undone after `lasting`, if that is given and the fault
    /// lasts. Returns the nodes that it hit; none if the target is nobody at present.
    pub fn inject(&mut self, now: Time, fault: &Fault, lasting: Option<Duration>) -> Vec<NodeId> {
        unimplemented!()
    }

    /// Adds a record about a client (an operation begins or ends, a message is delivered) to the history.
    pub fn record(&mut self, now: Time, what: What) {
        unimplemented!()
    }

    /// The master of a group, as most Sentinels answer now.
    pub fn master(&self, group: &str) -> Option<NodeId> {
        unimplemented!()
    }

    /// What has happened so far.
    pub fn history(&self) -> &History {
        unimplemented!()
    }

    /// Ends the run: records what every data node holds and what every Sentinel answers, and gives the history.
    pub fn finish(self, now: Time) -> History {
        unimplemented!()
    }
}
