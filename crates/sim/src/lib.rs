//! The world: nodes, links, zones, faults and the event queue. No I/O, no clock of its own, no randomness but that of
//! the root seed: the same plan, seed and client input give the same history.

mod effect;
mod world;

pub use effect::{Door, Effect};
pub use world::World;
