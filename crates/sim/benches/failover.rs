//! Failovers of the model alone: no clients, no sockets. How many a second on one core.

use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use model::history::What;
use model::plan::{Cluster, Expect, Plan, Step, Trigger};
use model::{EventName, Fault, Seed, Target, Time};
use sentinel_lab_sim::World;

/// The allocator of the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

/// The master is killed at 10 s, with `down_after` 5 s.
fn plan() -> Plan {
    let mut cluster = Cluster::standard();
    cluster.groups[0].down_after = Duration::from_secs(5);
    let kill =
        Step { when: Trigger::At(Duration::from_secs(10)), fault: Fault::Kill(Target::Master(None)), lasting: None };
    Plan {
        title: "a failover".into(),
        cluster,
        clients: Vec::new(),
        timeline: vec![kill],
        run_for: Duration::from_secs(60),
        expect: Expect::default(),
    }
}

/// Runs until every Sentinel has switched, and gives the time.
fn fail_over(plan: &Plan, seed: u64) -> Time {
    let mut world = World::new(plan, Seed(seed));
    world.advance(Time::from_millis(10_000));
    let (mut seen, mut switched) = (0, 0);
    while switched < plan.cluster.sentinels {
        let next = world.deadline();
        assert!(next < Time::from(plan.run_for), "seed {seed} does not fail over");
        world.advance(next);
        let records = &world.history().records;
        for record in &records[seen..] {
            switched += u16::from(matches!(record.what, What::Event { event: EventName::SwitchMaster, .. }));
        }
        seen = records.len();
    }
    world.now()
}

#[divan::bench]
fn model_only(bencher: Bencher<'_, '_>) {
    let plan = plan();
    let mut seed = 0;
    bencher.counter(ItemsCount::new(1_u32)).bench_local(|| {
        seed += 1;
        fail_over(&plan, seed)
    });
}
