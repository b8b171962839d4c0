//! Scenarios taken apart: what is enumerated, that a case is the scenario up to its moment, and that a defect which shows at
//! some moments only is found at these.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use model::history::What;
use model::plan::Trigger;
use model::{Fault, Plan, Seed, Target, Time};
use sentinel_lab_chaos::campaign::{Campaign, Source};
use sentinel_lab_chaos::case::{Case, CaseResult, Ending, carry_out};
use sentinel_lab_chaos::coverage::Coverage;
use sentinel_lab_chaos::kind::Kind;
use sentinel_lab_chaos::regression::text;
use sentinel_lab_chaos::shard::Shard;
use sentinel_lab_chaos::systematic::{Subject, SubjectError};
use testbed::Run;
use testbed::driver::Driver;
use zoo::{Defect, Zoo};

const WATCHDOG: Duration = Duration::from_secs(60);

const KILL: &str = "
title: the master is killed
cluster: {replicas: 2, sentinels: 3, quorum: 2, down_after: 1s, failover_timeout: 3s}
clients:
  - {id: writer, workload: counter, every: 200ms}
timeline:
  - {at: 8s, kill: master}
run_for: 16s
";

fn read(text: &str) -> Plan {
    scenario::parse(text, "kill.yaml", &scenario::Options::default()).expect("a scenario")
}

fn zoo(defect: Option<Defect>) -> Vec<Arc<dyn Driver>> {
    vec![Arc::new(Zoo(defect))]
}

fn subject(defect: Option<Defect>, limit: Option<usize>) -> Arc<Subject> {
    Arc::new(Subject::new("kill", read(KILL), 1, zoo(defect), limit).expect("a subject"))
}

fn campaign(subject: &Arc<Subject>, driver: &str) -> Campaign {
    let source = Source::Systematic(Arc::clone(subject));
    Campaign { source, driver: driver.to_owned(), shard: Shard::WHOLE, jobs: 2 }
}

/// Where the fault of a case stands: after the only step of the scenario.
const HIT: usize = 1;

/// The moment of a case: that of its fault.
fn moment(plan: &Plan) -> Time {
    match plan.timeline[HIT].when {
        Trigger::At(at) => Time::from(at),
        Trigger::On { .. } => panic!("a case has a time"),
    }
}

#[test]
fn every_fault_of_the_language_meets_every_moment() {
    let whole = subject(None, None);
    let plans: Vec<Plan> = (1..=whole.cases()).map(|number| whole.plan(number)).collect();
    let of = |plan: &Plan| plan.timeline[HIT].fault.clone();
    let faults: BTreeSet<String> = plans.iter().map(|plan| of(plan).to_string()).collect();
    let moments: BTreeSet<Time> = plans.iter().map(moment).collect();
    assert_eq!(plans.len(), faults.len() * moments.len());
    let kinds: BTreeSet<Kind> = plans.iter().map(|plan| Kind::of(&of(plan))).collect();
    let without = Kind::ALL.iter().filter(|kind| !kinds.contains(kind)).collect::<Vec<_>>();
    assert_eq!(without, [&Kind::Resolve, &Kind::Move], "no node of it has a name");
    let distinct: BTreeSet<String> = plans.iter().map(scenario::render).collect();
    assert_eq!(distinct.len(), plans.len());
    for plan in plans.iter().step_by(97) {
        let file = scenario::render(plan);
        let read = scenario::parse(&file, "case.yaml", &scenario::Options::default());
        assert_eq!(read.as_ref(), Ok(plan), "{file}");
    }
    let account = whole.account().join("\n");
    assert!(account.contains("of which all are chosen") && account.contains("left out: resolve: "), "{account}");
}

#[test]
fn a_limit_takes_events_first_and_says_so() {
    let whole = subject(None, None);
    let few = subject(None, Some(100));
    assert_eq!(few.cases(), 100);
    let account = few.account().join("\n");
    assert!(account.contains("of which 100 are chosen") && account.contains("of which 0 are chosen"), "{account}");
    let kinds: BTreeSet<Kind> = (1..=100).map(|n| Kind::of(&few.plan(n).timeline[HIT].fault)).collect();
    assert!(kinds.len() > 25, "{kinds:?}");
    let moments: BTreeSet<Time> = (1..=100).map(|n| moment(&few.plan(n))).collect();
    assert!(moments.len() > 10, "{moments:?}");
    assert_eq!(subject(None, Some(usize::MAX)).cases(), whole.cases());
}

/// The fault of a case fires, at its moment, and nothing was different before.
#[test]
fn until_its_moment_a_case_is_the_undisturbed_run() {
    let drivers = zoo(None);
    let run = |plan: &Plan| Run::new(plan.clone(), Seed(1), drivers.clone()).run().expect("a run").history;
    let undisturbed = run(&read(KILL));
    let whole = subject(None, None);
    for number in (1..=whole.cases()).step_by(whole.cases() / 25) {
        let plan = whole.plan(number);
        let history = run(&plan);
        let fired = |what: &What| matches!(what, What::Fault { step: Some(HIT), .. });
        let index = history.records.iter().position(|record| fired(&record.what)).expect("it fires");
        assert_eq!(history.records[index].at, moment(&plan), "case {number}");
        assert_eq!(history.records[..index], undisturbed.records[..index], "case {number}: {}", whole.describe(number));
    }
}

/// The first case of a scenario with this fault.
fn case(text: &str, fault: &str) -> Case {
    let subject = Subject::new("it", read(text), 1, zoo(None), None).expect("a subject");
    let is_meant = |number: &usize| subject.describe(*number).starts_with(&format!("{fault}, "));
    let number = (1..=subject.cases()).find(is_meant).expect("a case with the fault");
    Case::systematic(1, number as u64, "correct", subject.plan(number))
}

fn kinds(case: &Case) -> Vec<String> {
    carry_out(case, &zoo(None), WATCHDOG).failures.into_iter().map(|failure| failure.signature).collect()
}

/// The steps from the heal's moment on.
fn put_right(plan: &Plan) -> Vec<String> {
    let healed = plan.timeline.iter().find(|step| step.fault == Fault::Heal(Target::All)).expect("a heal");
    plan.timeline.iter().filter(|step| step.when == healed.when).map(|step| step.fault.to_string()).collect()
}

const NOBODY_ELSE: &str = "
title: no replica may be promoted
cluster: {replicas: 2, sentinels: 3, quorum: 2, down_after: 1s, failover_timeout: 3s, priorities: {redis-2: 0, redis-3: 0}}
clients:
  - {id: writer, workload: counter, every: 200ms}
timeline:
  - {at: 8s, freeze: master, for: 4s}
run_for: 24s
";

/// Where the Sentinels have nobody to promote, nobody but the operator makes the master one again.
#[test]
fn roles_that_were_changed_by_hand_are_put_right_with_the_heal() {
    let mut case = case(NOBODY_ELSE, "replicaof redis-2 at redis-1");
    let all = ["heal all", "replicaof no one at master:mymaster"].map(str::to_owned).into_iter();
    let follow = (1..4).map(|node| format!("replicaof master:mymaster at redis-{node}"));
    assert_eq!(put_right(&case.plan), all.chain(follow).collect::<Vec<_>>());
    assert_eq!(kinds(&case), [""; 0]);
    case.plan.timeline.truncate(HIT + 2);
    assert_eq!(kinds(&case), ["cluster: agreement"]);
}

const NAMED: &str = "
title: the master is killed
cluster:
  replicas: 2
  sentinels: 3
  quorum: 2
  down_after: 1s
  failover_timeout: 3s
  hosts: {db-1.lab: redis-1, db-2.lab: redis-2, db-3.lab: redis-3}
  resolve_hostnames: true
  announce_hostnames: true
clients:
  - {id: writer, workload: counter, every: 200ms}
timeline:
  - {at: 8s, kill: master, for: 4s}
run_for: 20s
";

#[test]
fn names_are_put_right_by_the_heal() {
    let case = case(NAMED, "resolve db-1.lab no more");
    assert_eq!(put_right(&case.plan), ["heal all"]);
    assert_eq!(kinds(&case), [""; 0]);
}

/// Sentinels that go on naming a node by its name name the one that the name leads to, from when it does on.
#[test]
fn an_answer_leads_where_its_name_leads() {
    let case = case(NAMED, "resolve db-1.lab to redis-2");
    let history = Run::new(case.plan.clone(), Seed(1), zoo(None)).run().expect("a run").history;
    let healed = match case.plan.timeline[HIT + 1].when {
        Trigger::At(at) => Time::from(at),
        Trigger::On { .. } => panic!("a heal has a time"),
    };
    let answers = history.records.iter().filter(|record| record.at == moment(&case.plan) || record.at == healed);
    let answers: Vec<_> = answers
        .filter_map(|record| match &record.what {
            What::Answer { node, addr, .. } => Some(format!("{node} {addr}")),
            _ => None,
        })
        .collect();
    let all = |master: &str| [1, 2, 3].map(|node| format!("sentinel-{node} {master}"));
    assert_eq!(answers, [all("redis-2"), all("redis-1")].concat());
}

const BACK_TO_BACK: &str = "
title: the new master is killed too
cluster: {replicas: 2, sentinels: 3, quorum: 2, down_after: 1s, failover_timeout: 3s, priorities: {redis-3: 200}}
clients:
  - {id: writer, workload: counter, every: 200ms}
timeline:
  - {at: 8s, kill: master}
  - {on: +switch-master, after: 1s, kill: redis-2}
run_for: 30s
";

/// A step of the scenario that waits for its event no longer comes once everything healed.
#[test]
fn nothing_is_done_after_the_heal() {
    let case = case(BACK_TO_BACK, "unreachable sentinels:majority");
    let history = Run::new(case.plan.clone(), Seed(1), zoo(None)).run().expect("a run").history;
    let faults = history.records.iter().filter_map(|record| match &record.what {
        What::Fault { fault, .. } => Some(fault.as_str()),
        _ => None,
    });
    assert_eq!(faults.collect::<Vec<_>>(), ["kill master", "unreachable sentinels:majority", "heal all"]);
    assert_eq!(kinds(&case), [""; 0]);
}

/// A client that subscribes to the Sentinels' announcements once passes the scenario, and a fault that comes after the
/// announcement does it no harm: what it cannot bear is to lose its subscription before.
#[test]
fn a_defect_that_shows_at_some_moments_only_is_found_at_these() {
    let defect = Some(Defect::EventsOnly);
    let subject = subject(defect, Some(80));
    let campaign = campaign(&subject, Defect::EventsOnly.name());
    let execute = |case: &Case| carry_out(case, &zoo(defect), WATCHDOG);
    let mut results: Vec<CaseResult> = Vec::new();
    let summary = campaign.run(execute, |result| {
        results.push(result.clone());
        true
    });
    assert_eq!(results.len(), 80);
    let failed: Vec<u64> =
        results.iter().filter(|result| result.ending == Ending::Fail).filter_map(|result| result.number).collect();
    assert!(!failed.is_empty() && failed.len() < 60, "{failed:?}");
    let correct: Vec<Ending> = failed
        .iter()
        .map(|number| {
            let case = Case::systematic(1, *number, "correct", subject.plan(*number as usize));
            carry_out(&case, &zoo(None), WATCHDOG).ending
        })
        .collect();
    assert!(correct.iter().all(|ending| *ending < Ending::Fail), "{correct:?}");

    let finding = summary.findings.iter().find(|finding| finding.signature.starts_with("I1")).expect("a finding");
    let (origin, shrunk) = campaign.shrink(finding, |case| Ok(execute(case))).expect("it fails again");
    assert!(shrunk.faults[1] <= 2, "{:?}", shrunk.faults);
    let file = text(&origin, &shrunk);
    assert!(file.contains("systematic chaos of kill, case "), "{file}");
    let plan = scenario::parse(&file, "found.yaml", &scenario::Options::default()).expect("a scenario");
    let again = execute(&Case::random(origin.seed, &origin.driver, plan));
    assert!(again.failures.iter().any(|failure| failure.signature == origin.signature), "{:?}", again.failures);
}

#[test]
fn shards_take_each_case_once_and_all_alike() {
    let subject = subject(None, Some(12));
    let results = |shard: Shard| {
        let mut results = Vec::new();
        let campaign = Campaign { shard, ..campaign(&subject, "correct") };
        campaign.run(
            |case| carry_out(case, &zoo(None), WATCHDOG),
            |result| {
                results.push((result.number, result.digest.clone()));
                true
            },
        );
        results
    };
    let mut parts = [results(Shard { index: 1, of: 2 }), results(Shard { index: 2, of: 2 })].concat();
    parts.sort();
    assert_eq!(parts, results(Shard::WHOLE));
    assert_eq!(parts.len(), 12);
}

#[test]
fn what_cannot_be_taken_apart_is_refused_with_the_reason() {
    let refused = |plan: Plan, defect| {
        Subject::new("kill", plan, 1, zoo(defect), None).map(|subject| subject.cases()).expect_err("it is refused")
    };
    let error = refused(Plan { clients: Vec::new(), ..read(KILL) }, None);
    assert!(matches!(error, SubjectError::NoClients { .. }), "{error}");
    // The call that hangs is open when the run ends, before its deadline.
    let error = refused(read(KILL), Some(Defect::NeverRediscovers));
    assert!(matches!(error, SubjectError::Unproven { .. }), "{error}");
    let text = error.to_string();
    assert!(text.starts_with("kill shows nothing as it is, with seed 1, so nothing can be learnt"), "{text}");
    assert!(text.contains(" and still open when the run ended, before its deadline of 10s: "), "{text}");
    // So that calls end within the run.
    let mut impatient = read(KILL);
    impatient.clients[0].deadline = Duration::from_secs(1);
    let error = refused(impatient, Some(Defect::NeverRediscovers));
    assert!(error.to_string().contains("fails as it is, with seed 1") && error.to_string().contains("I1"), "{error}");
}

#[test]
fn a_kind_that_was_planned_and_never_fired_is_a_gap() {
    let mut coverage = Coverage::default();
    coverage.faults.insert("kill".to_owned(), [3, 1]);
    assert!(coverage.gaps(None).is_empty());
    coverage.faults.insert("thaw".to_owned(), [3, 0]);
    assert_eq!(coverage.gaps(None), ["no thaw ever fired"]);
}

/// A panic of the lab outside a run is the result of its case, and the campaign goes on.
#[test]
fn a_panic_of_the_lab_is_a_finding() {
    let subject = subject(None, Some(3));
    let execute = |case: &Case| {
        assert_ne!(case.number, Some(2), "on purpose");
        carry_out(case, &zoo(None), WATCHDOG)
    };
    let summary = campaign(&subject, "correct").run(execute, |_| true);
    assert_eq!((summary.runs(), summary.ended(Ending::Broken)), (3, 1));
    let finding = &summary.findings[0];
    assert_eq!((finding.signature.as_str(), &finding.seeds[..]), ("panic: of the lab", &[2][..]));
    assert!(finding.text.contains("on purpose"), "{}", finding.text);
}
