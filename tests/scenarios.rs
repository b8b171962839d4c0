//! Every scenario of the repository: the default client passes it, and a client that clings is caught.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::verdict::{Invariant, Rule, Severity};
use model::{Outcome, Plan, Seed, Verdict};
use testbed::Run;
use testbed::driver::Driver;

/// Seeds of each scenario: few, since there are many scenarios. `run scenarios/ --repeat 100` takes more.
const SEEDS: u64 = 3;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn load(file: &Path) -> Plan {
    scenario::load(file, &scenario::Options::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn run(plan: &Plan, seed: u64, driver: &str) -> Verdict {
    let first = drivers::by_name(driver).unwrap_or_else(|| panic!("there is no driver {driver}"));
    let drivers: Vec<Arc<dyn Driver>> = std::iter::once(first).chain(drivers::all()).collect();
    Run::new(plan.clone(), Seed(seed), drivers).run().unwrap_or_else(|error| panic!("seed {seed}: {error}")).verdict
}

fn violated(verdict: &Verdict) -> Vec<Invariant> {
    let mut violated: Vec<Invariant> = Vec::new();
    for finding in &verdict.findings {
        if let (Severity::Violation, Rule::Invariant(invariant)) = (finding.severity, finding.rule) {
            violated.push(invariant);
        }
    }
    violated.sort_unstable();
    violated.dedup();
    violated
}

/// Every scenario, over some seeds: the first second of each client's luck is another.
#[test]
fn the_default_client_passes_every_scenario() {
    let mut complaints = Vec::new();
    let files = scenario::files(&folder("../scenarios")).expect("the scenarios");
    assert!(files.len() >= 50, "{} scenarios", files.len());
    for file in files {
        let plan = load(&file);
        for seed in 1..=SEEDS {
            let verdict = run(&plan, seed, drivers::DEFAULT);
            if verdict.outcome != Outcome::Pass {
                complaints.push(format!("{}, seed {seed}: {:?}", file.display(), verdict.findings));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// A client that holds on to its connection, or to the address that it found at the start, is not moved by a failover.
#[test]
fn clients_that_cling_fail() {
    for (driver, scenario, expected) in [
        ("redis-multiplexed", "kill.yaml", Invariant::I1),
        ("redis-multiplexed", "2-hung/master-hang.yaml", Invariant::I1),
        ("redis-multiplexed", "1-demotion/readonly-sticky.yaml", Invariant::I1),
        ("redis-multiplexed", "1-demotion/kill-reconnect-cached.yaml", Invariant::I2),
        ("redis-connection-manager", "kill.yaml", Invariant::I1),
        ("redis-connection-manager", "2-hung/master-hang.yaml", Invariant::I1),
        ("redis-connection-manager", "1-demotion/readonly-sticky.yaml", Invariant::I1),
        ("redis-connection-manager", "1-demotion/kill-reconnect-cached.yaml", Invariant::I2),
    ] {
        let verdict = run(&load(&folder("../scenarios").join(scenario)), 1, driver);
        assert_eq!(verdict.outcome, Outcome::Fail, "{driver} in {scenario}");
        assert!(violated(&verdict).contains(&expected), "{driver} in {scenario}: {:?}", verdict.findings);
    }
}
