//! What the scenarios of the repository catch: a client that clings, those with one defect each, and what chaos found in
//! crates. That the default client passes all of them is `gallery.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chaos::regression::{Replay, replay};
use model::verdict::{Invariant, Rule, Severity};
use model::{Outcome, Plan, Seed, Verdict};
use testbed::Run;
use testbed::driver::Driver;

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

/// A client that holds on to its connection, or to the address that it found at the start, is not moved by a failover.
#[test]
fn clients_that_cling_fail() {
    for (driver, scenario, expected) in [
        ("redis-multiplexed", "kill.yaml", Invariant::I1),
        ("redis-multiplexed", "2-hung/master-hang.yaml", Invariant::I1),
        ("redis-multiplexed", "1-demotion/readonly-sticky.yaml", Invariant::I1),
        ("redis-multiplexed", "1-demotion/kill-reconnect-cached.yaml", Invariant::I1),
        ("redis-connection-manager", "kill.yaml", Invariant::I1),
        ("redis-connection-manager", "2-hung/master-hang.yaml", Invariant::I1),
        ("redis-connection-manager", "1-demotion/readonly-sticky.yaml", Invariant::I1),
        ("redis-connection-manager", "1-demotion/kill-reconnect-cached.yaml", Invariant::I1),
    ] {
        let verdict = run(&load(&folder("../scenarios").join(scenario)), 1, driver);
        assert_eq!(verdict.outcome, Outcome::Fail, "{driver} in {scenario}");
        assert!(violated(&verdict).contains(&expected), "{driver} in {scenario}: {:?}", verdict.findings);
    }
}

/// Each file says of which client it is, with which seed it shows, and which rule is broken. One that passes is news for
/// `docs/findings.md`: a version of the crate no longer does so.
#[test]
fn what_chaos_found_in_a_crate_is_there_still() {
    let files = scenario::files(&folder("../scenarios/findings")).expect("the findings");
    assert!(files.len() >= 10, "{} findings", files.len());
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a file");
        let Replay { seed: Some(seed), driver: Some(driver) } = replay(&text) else {
            panic!("{}: which seed, and which driver?", file.display())
        };
        let rule = text.lines().find_map(|line| line.strip_prefix("# violates: ")).expect("a rule");
        let verdict = run(&load(&file), seed, &driver);
        let violated = violated(&verdict);
        let there = violated.iter().any(|invariant| invariant.to_string() == rule);
        assert!(there, "{}: {driver} violates {violated:?}, not {rule}", file.display());
    }
}

/// What carries the bytes makes no difference to the verdict. The findings are about others.
#[test]
fn the_default_client_passes_with_connections_within_the_process() {
    let files = scenario::files(&folder("../scenarios")).expect("the scenarios");
    for file in files.iter().filter(|file| !file.iter().any(|part| part == "findings")) {
        let verdict = run(&load(file), 1, "sentinel-client-memory");
        assert_eq!(verdict.outcome, Outcome::Pass, "{}: {:?}", file.display(), verdict.findings);
    }
}

/// A dial to an address of the inside is seen, also where the client gets over it.
#[cfg(target_os = "linux")]
#[test]
fn who_dials_an_address_of_the_inside_is_told() {
    let plan = load(&folder("../scenarios/6-addresses/nat-internal.yaml"));
    for defect in [zoo::Defect::IgnoresMap, zoo::Defect::MapsAnswersOnly] {
        let driver: Arc<dyn Driver> = Arc::new(zoo::Zoo(Some(defect)));
        let verdict = Run::new(plan.clone(), Seed(1), vec![driver]).run().expect("a run").verdict;
        assert!(
            verdict.findings.iter().any(|finding| finding.rule == Rule::Astray),
            "{defect:?}: {:?}",
            verdict.findings
        );
    }
}

/// Two hundred clients that hear the same announcement dial the new master one after the other.
#[test]
fn clients_do_not_dial_all_at_once_where_a_switch_is_announced() {
    let text = "
title: two hundred clients hear of a failover at once
cluster: {master: mymaster, replicas: 2, sentinels: 3, quorum: 2, down_after: 5s, failover_timeout: 20s}
clients:
  - {id: writer, count: 200, workload: counter, every: 2s, budget: 10s, max_connects_per_second: 12}
timeline:
  - {at: 9s, keep_clients: master}
  - {at: 10s, failover: mymaster}
run_for: 24s
expect: {failovers: 1, most_connects: {count: 100, within: 10ms}}
";
    let plan = scenario::parse(text, "announced.yaml", &scenario::Options::default()).expect("a scenario");
    let verdict = run(&plan, 1, drivers::DEFAULT);
    assert_eq!(verdict.outcome, Outcome::Pass, "{:?}", verdict.findings);
}
