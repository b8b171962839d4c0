//! Each driver in simulated failovers.

use std::time::Duration;

use model::fault::{Fault, Target};
use model::plan::{Client, Cluster, Credentials, Expect, Plan, Step, Trigger, Workload};
use model::verdict::{Invariant, Rule};
use model::{Outcome, Seed, Verdict};
use sentinel_lab_drivers::{DEFAULT, all, by_name};
use testbed::Run;

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
    for driver in all() {
        for workload in Workload::ALL {
            let mut plan = plan(driver.name(), workload, None);
            plan.cluster.sentinel_auth = Some(login("watcher"));
            plan.cluster.groups[0].auth = Some(login("app"));
            plan.run_for = Duration::from_secs(10);
            let title = plan.title.clone();
            let verdict = verdict(plan);
            assert_eq!(verdict.outcome, Outcome::Pass, "{title}: {:#?}", verdict.findings);
        }
    }
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
    for driver in all() {
        let digest = || {
            let plan = plan(driver.name(), Workload::ReplicaReads, Some(Fault::Kill(MASTER)));
            Run::new(plan, Seed(3), vec![driver.clone()]).run().expect("a run").history.digest()
        };
        assert_eq!(digest(), digest(), "{}", driver.name());
    }
}
