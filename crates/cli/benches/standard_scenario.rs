//! The standard scenario, end to end: real sockets, the default driver, virtual time. How many runs a second on all
//! cores, and how many times faster than a real cluster that is.
//!
//! A run is one observation, and runs differ by their seed alone, so the figure is a plain quotient over all of them.

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::Instant;

use model::{Outcome, Seed};
use scenario::Options;
use testbed::Run;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs that are measured; those that warm up come on top.
const RUNS: u64 = 400;
const WARM_UP: u64 = 20;

#[allow(clippy::print_stdout)] // A benchmark reports there.
fn main() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/kill.yaml");
    let plan = scenario::load(&path, &Options::default()).expect("the scenario is valid");
    let (drivers, cores) = (drivers::all(), available_parallelism().map_or(1, NonZero::get));

    // The next runs, on all cores.
    let seeds = AtomicU64::new(1);
    let run_until = |last: u64| {
        std::thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
                    loop {
                        let seed = seeds.fetch_add(1, Ordering::Relaxed);
                        if seed > last {
                            break;
                        }
                        let outcome = Run::new(plan.clone(), Seed(seed), drivers.clone()).run().expect("the lab works");
                        assert_eq!(outcome.verdict.outcome, Outcome::Pass, "seed {seed}");
                    }
                });
            }
        });
    };
    run_until(WARM_UP);
    seeds.store(WARM_UP + 1, Ordering::Relaxed);
    let start = Instant::now();
    run_until(WARM_UP + RUNS);
    let wall = start.elapsed().as_secs_f64();

    let simulated = plan.run_for.as_secs_f64() * RUNS as f64;
    println!("{}: {} x {}", plan.title, cores, processor());
    println!("{RUNS} runs in {wall:.2} s: {:.0} runs a second", RUNS as f64 / wall);
    println!("{simulated:.0} s of cluster time: {:.0} times as fast as a real cluster", simulated / wall);
}

/// The processor's name, where the system tells it.
fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    name.map_or_else(|| std::env::consts::ARCH.to_owned(), |(_, name)| name.to_owned())
}
