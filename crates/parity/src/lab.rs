//! A run in the lab: the world alone, in virtual time.

use model::{History, Plan, Seed, Time};
use sim::World;

/// Runs a plan without its clients.
pub fn lab(plan: &Plan, seed: Seed) -> History {
    let plan = Plan { clients: Vec::new(), ..plan.clone() };
    let mut world = World::new(&plan, seed);
    let end = Time::from(plan.run_for);
    while world.deadline() <= end {
        world.advance(world.deadline());
        world.take_effects();
    }
    world.finish(end)
}
