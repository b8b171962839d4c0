//! Each driver in simulated failovers.

use std::sync::Arc;
use std::time::Duration;

use model::fault::{Fault, Target};
use model::plan::{Client, Cluster, Credentials, Expect, Need, Plan, Step, Trigger, Workload};
use model::verdict::{Invariant, Rule};
use model::{Outcome, Seed, Verdict};
use sentinel_lab_drivers::{DEFAULT, all, by_name};
use testbed::Run;
use testbed::driver::Driver;

/// A cluster that fails over after 5 s and one client, with `fault` at 10 s, if there is one.
fn plan(driver: &str, workload: Workload, fault: Option<Fault>) -> Plan {
    let mut cluster = Cluster::standard();
    cluster.groups[0].down_after = Duration::from_secs(5);
    let mut client = Client::new("app", workload);
    client.driver = Some(driver.to_owned());
    Plan {
        title: format!("{driver}, {workload:?}, {fault:?}"),
        cluster,
        clients: vec![client],
        timeline: fault
            .map(|fault| Step { when: Trigger::At(Duration::from_secs(10)), fault, lasting: None })
            .into_iter()
            .collect(),
        run_for: Duration::from_secs(40),
        expect: Expect::default(),
    }
}

fn verdict(plan: Plan) -> Verdict {
    let driver = plan.clients[0].driver.as_deref().and_then(by_name).expect("a driver");
    Run::new(plan, Seed(1), vec![driver]).run().expect("a run").verdict
}

const MASTER: Target = Target::Master(None);

/// The rules that the run broke, or lacks evidence for.
fn rules(verdict: &Verdict) -> Vec<Rule> {
    verdict.findings.iter().map(|finding| finding.rule).collect()
}

#[test]
fn the_default_driver_passes_every_workload_through_every_kind_of_failover() {
    let faults = [
        Fault::Kill(MASTER),
        Fault::Freeze(MASTER),
        Fault::Unreachable(MASTER),
        Fault::Failover { via: None, master: None },
    ];
    for workload in Workload::ALL {
        for fault in &faults {
            let plan = plan(DEFAULT, workload, Some(fault.clone()));
            let title = plan.title.clone();
            let verdict = verdict(plan);
            assert_eq!(verdict.outcome, Outcome::Pass, "{title}: {:#?}", verdict.findings);
            assert_eq!(verdict.failovers.len(), 1, "{title}");
        }
    }
}

#[test]
fn every_driver_passes_without_faults_and_with_credentials() {
    let login = |user: &str| Credentials { user: Some(user.to_owned()), password: format!("{user}-password") };
    let case = |driver: &Arc<dyn Driver>, workload: Workload| {
        let mut plan = plan(driver.name(), workload, None);
        plan.cluster.sentinel_auth = Some(login("watcher"));
        plan.cluster.groups[0].auth = Some(login("app"));
        plan.run_for = Duration::from_secs(10);
        let title = plan.title.clone();
        let verdict = verdict(plan);
        assert_eq!(verdict.outcome, Outcome::Pass, "{title}: {:#?}", verdict.findings);
    };
    std::thread::scope(|scope| {
        for driver in all() {
            for workload in Workload::ALL.into_iter().filter(|workload| driver.can(Need::Workload(*workload))) {
                let (blocks, driver) = (driver.blocks(), Arc::clone(&driver));
                let run = move || case(&driver, workload);
                // In real time, however fast: all at the same time.
                if blocks { drop(scope.spawn(run)) } else { run() }
            }
        }
    });
}

/// In real time, if four times as fast: a second to see the master down, and no longer than that takes.
#[test]
fn blocking_clients_converge_after_a_kill() {
    std::thread::scope(|scope| {
        for driver in all().into_iter().filter(|driver| driver.blocks()) {
            scope.spawn(move || {
                let mut plan = plan(driver.name(), Workload::Counter, Some(Fault::Kill(MASTER)));
                plan.cluster.groups[0].down_after = Duration::from_secs(1);
                plan.timeline[0].when = Trigger::At(Duration::from_secs(5));
                plan.run_for = Duration::from_secs(15);
                let verdict = verdict(plan);
                let violated = rules(&verdict);
                assert!(!violated.contains(&Rule::Invariant(Invariant::I1)), "{:#?}", verdict.findings);
                assert!(verdict.failovers[0].first_write.is_some(), "{}: {verdict:#?}", driver.name());
            });
        }
    });
}

#[test]
fn clients_that_hold_on_to_an_address_do_not_converge() {
    for driver in ["redis-multiplexed", "redis-connection-manager"] {
        let verdict = verdict(plan(driver, Workload::Counter, Some(Fault::Kill(MASTER))));
        assert!(rules(&verdict).contains(&Rule::Invariant(Invariant::I1)), "{driver}: {:#?}", verdict.findings);
    }
}

#[test]
fn the_sentinel_client_of_redis_converges_after_a_kill_but_names_a_wrong_cause() {
    let verdict = verdict(plan("redis-sentinel", Workload::Counter, Some(Fault::Kill(MASTER))));
    assert_eq!(rules(&verdict), [Rule::Invariant(Invariant::I7)], "{:#?}", verdict.findings);
}

#[test]
fn a_run_repeats_itself() {
    for driver in all().into_iter().filter(|driver| driver.repeats()) {
        let digest = || {
            let reads = driver.can(Need::Workload(Workload::ReplicaReads));
            let workload = if reads { Workload::ReplicaReads } else { Workload::Register };
            let plan = plan(driver.name(), workload, Some(Fault::Kill(MASTER)));
            Run::new(plan, Seed(3), vec![driver.clone()]).run().expect("a run").history.digest()
        };
        assert_eq!(digest(), digest(), "{}", driver.name());
    }
}
