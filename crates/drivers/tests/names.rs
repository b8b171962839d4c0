//! Each driver in a cluster whose nodes have names: unmodified clients look them up, in virtual time and in real time, on the
//! thread of the run, on those of tokio's pool and on those of their own.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::sync::Arc;
use std::time::Duration;

use model::plan::{Client, Cluster, Expect, Host, Plan, Workload};
use model::{Outcome, Seed};
use sentinel_lab_drivers::all;
use testbed::driver::Driver;
use testbed::{Run, RunOutcome};

fn run(driver: &Arc<dyn Driver>) -> RunOutcome {
    let mut cluster = Cluster::standard();
    for node in cluster.nodes() {
        cluster.hosts.insert(format!("{node}.lab"), Host::Node(node));
    }
    cluster.resolve_hostnames = true;
    cluster.announce_hostnames = true;
    let plan = Plan {
        title: format!("{} and names", driver.name()),
        cluster,
        clients: ["a", "b"].map(|id| Client::new(id, Workload::Counter)).to_vec(),
        timeline: Vec::new(),
        run_for: Duration::from_secs(10),
        expect: Expect::default(),
    };
    Run::new(plan, Seed(1), vec![Arc::clone(driver)]).run().expect("a run")
}

#[test]
fn every_driver_finds_its_nodes_by_name() {
    std::thread::scope(|scope| {
        for driver in all() {
            let (blocks, repeats) = (driver.blocks(), driver.repeats());
            let case = move || {
                let outcome = run(&driver);
                let (name, verdict) = (driver.name(), outcome.verdict);
                assert_eq!(verdict.outcome, Outcome::Pass, "{name}: {:#?}", verdict.findings);
                if repeats {
                    assert_eq!(run(&driver).history.digest(), outcome.history.digest(), "{name}");
                }
            };
            // In real time, however fast: all at the same time.
            if blocks { drop(scope.spawn(case)) } else { case() }
        }
    });
}
