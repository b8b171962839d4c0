//! Every invariant is seen to fail: for each there is a client that is wrong in one way, and a cluster in which that
//! shows. The same client without the defect passes the same plan, so that the defect is what is found.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::fault::{Answer, Target};
use model::history::{Position, What};
use model::plan::{Client, Cluster, Expect, Step, Trigger, Workload};
use model::verdict::{Finding, Invariant, Rule, Severity};
use model::{ClientId, Fault, Outcome, Plan, Seed, Time, Verdict};
use testbed::driver::Driver;
use testbed::{Run, RunOutcome};
use zoo::{Defect, Zoo};

/// When the fault of a plan strikes.
const FAULT: Duration = Duration::from_secs(10);

/// How long the master of a plan stands still.
const FROZEN: Duration = Duration::from_millis(1_200);

/// The deadline of the clients.
const DEADLINE: Duration = Duration::from_secs(5);

/// A defect and what must be found of it.
struct Case {
    defect: Defect,
    plan: fn() -> Plan,
    invariant: Invariant,
    client: Option<&'static str>,
    /// From this moment on, and at most a quarter of a second later.
    from: fn(&Verdict) -> Time,
    /// The text of the finding, [`masked`].
    text: &'static str,
    /// What else is violated, and why that cannot be helped.
    also: &'static [(Invariant, &'static str)],
}

/// What else I2 brings with it.
const NOT_ON_THE_MASTER: &[(Invariant, &str)] =
    &[(Invariant::I1, "what a stale node accepts is not executed on the new master")];

fn cases() -> Vec<Case> {
    use Defect as D;
    use Invariant::{I1, I2, I3, I4, I5, I6, I7, I8, I9};
    let case = |invariant, defect, plan: fn() -> Plan, from: fn(&Verdict) -> Time, text| Case {
        defect,
        plan,
        invariant,
        client: Some("writer"),
        from,
        text,
        also: &[],
    };
    vec![
        case(
            I1,
            D::NeverRediscovers,
            killed,
            // Two calls had taken their deadline each.
            |_| Time::from(FAULT) + Duration::from_millis(100) + 2 * DEADLINE,
            "writer#_ was started at _s, _s after redis-2 had become the master (T0 _s, budget 3s), \
             and failed: the master cannot be reached",
        ),
        Case {
            also: NOT_ON_THE_MASTER,
            ..case(
                I2,
                D::IgnoresReadonly,
                master_partitioned_from_nodes,
                due,
                "INCR of writer#_ was accepted by redis-1, still a writable master, at _s, \
                 _s after redis-2 had become the master (T0 _s, budget 3s)",
            )
        },
        case(
            I2,
            D::IgnoresReadonly,
            demoted_silently,
            due,
            "GET of writer#_ was accepted by redis-1, a replica, at _s, \
             _s after redis-2 had become the master (T0 _s, budget 3s)",
        ),
        case(
            I3,
            D::ResendsBlindly,
            reply_cut,
            struck,
            "INCR of writer#_ was executed 2 times: on redis-1 at _s, on redis-1 at _s",
        ),
        Case {
            also: &[(Invariant::I9, "what was never sent has no reply")],
            ..case(I4, D::AcknowledgesUnsent, killed, struck, "writer#_ was acknowledged, but no node executed it")
        },
        case(
            I5,
            D::WaitsForEver,
            hung,
            |_| Time::from(FAULT) + DEADLINE,
            "writer#_, started at _s, took 15s; its deadline was 5s",
        ),
        case(I6, D::NoBackoff, loading, struck, "writer opened 103 connections within 1s up to _s; 40 are allowed"),
        case(
            I6,
            D::HoardsConnections,
            slow,
            |_| Time::from_millis(19_700),
            "writer held 82 connections open at _s; 40 are allowed",
        ),
        case(
            I7,
            D::BlamesSentinels,
            killed,
            redialled,
            "writer#_ failed at _s with \"no Sentinel could be reached\", which says that no Sentinel answers, \
             but sentinel-1 answered it at _s",
        ),
        case(
            I7,
            D::BlamesCredentials,
            loading,
            struck,
            "writer#_ failed at _s with \"LOADING Redis is loading the dataset in memory\", \
             which blames the credentials, but no node refused them",
        ),
        case(
            I7,
            D::DeniesExecution,
            reply_cut,
            struck,
            "writer#_ failed at _s with \"broken pipe\", which says that it did not run, \
             but redis-1 executed it at _s",
        ),
        case(I8, D::Leaks, reply_cut, ended, "writer was dropped and left 1 connection open"),
        Case {
            client: None,
            ..case(I8, D::Leaks, reply_cut, ended, "after all clients were dropped there was still 1 task alive")
        },
        case(
            I9,
            D::MixesReplies,
            frozen,
            |_| Time::from(FAULT) + FROZEN,
            "writer#_ reported the value of writer#_ at _s, \
             and redis-1 had answered its command with the value of writer#_",
        ),
    ]
}

/// When the fault struck.
fn struck(_: &Verdict) -> Time {
    Time::from(FAULT)
}

/// When a connection that was cut had failed an operation, and was dialled again.
fn redialled(_: &Verdict) -> Time {
    Time::from(FAULT) + Duration::from_millis(100)
}

/// When the clients had to have recovered: T0+W.
fn due(verdict: &Verdict) -> Time {
    let converged = verdict.failovers.first().and_then(|failover| failover.converged);
    converged.expect("a failover") + Client::new("", Workload::Counter).budget
}

/// When what the clients left behind was counted: a second after the run.
fn ended(_: &Verdict) -> Time {
    Time::from(quiet().run_for + Duration::from_secs(1))
}

/// A plan in which nothing happens.
fn quiet() -> Plan {
    let mut cluster = Cluster::standard();
    cluster.groups[0].down_after = Duration::from_secs(5);
    cluster.groups[0].failover_timeout = Duration::from_secs(20);
    cluster.groups[0].priorities = vec![100, 10, 100];
    Plan {
        title: "nothing happens".into(),
        cluster,
        clients: vec![Client { deadline: DEADLINE, ..Client::new("writer", Workload::Counter) }],
        timeline: Vec::new(),
        run_for: Duration::from_secs(40),
        expect: Expect::default(),
    }
}

/// The same with this fault.
fn with(fault: Fault, lasting: Option<Duration>) -> Plan {
    let step = Step { when: Trigger::At(FAULT), fault, lasting };
    Plan { title: "something happens".into(), timeline: vec![step], ..quiet() }
}

fn killed() -> Plan {
    with(Fault::Kill(Target::Master(None)), None)
}

/// Clients still reach the old master, and it does not learn that there is a new one.
fn master_partitioned_from_nodes() -> Plan {
    let (from, to) = (vec![Target::Master(None)], vec![Target::Sentinels, Target::Replicas(None)]);
    with(Fault::Partition { from, to, one_way: false }, None)
}

/// The old master becomes a replica and keeps its clients, one of which reads.
fn demoted_silently() -> Plan {
    let mut plan = with(Fault::Demote(Target::Master(None)), None);
    plan.clients[0].workload = Workload::Register;
    plan
}

fn reply_cut() -> Plan {
    with(Fault::CutReply { target: Target::Master(None), command: Some("INCR".into()), times: 1 }, None)
}

/// The master is silent to clients for longer than their deadline, and Sentinel sees nothing wrong.
fn hung() -> Plan {
    with(Fault::Hang(Target::Master(None)), Some(Duration::from_secs(15)))
}

/// The master stands still for longer than clients wait for a reply, and Sentinel sees nothing wrong.
fn frozen() -> Plan {
    let mut plan = with(Fault::Freeze(Target::Master(None)), Some(FROZEN));
    plan.clients[0].workload = Workload::Register;
    plan
}

/// The Sentinels take longer for an answer than the client waits.
fn slow() -> Plan {
    let slow = Fault::Override { target: Target::Sentinels, answer: Answer::Slow(Duration::from_secs(3)) };
    with(slow, Some(Duration::from_secs(20)))
}

fn loading() -> Plan {
    with(Fault::Loading(Target::Master(None)), Some(Duration::from_millis(500)))
}

fn run(plan: &Plan, driver: Arc<dyn Driver>) -> RunOutcome {
    Run::new(plan.clone(), Seed(1), vec![driver]).run().unwrap_or_else(|error| panic!("{}: {error}", plan.title))
}

fn wrong(case: &Case) -> Verdict {
    run(&(case.plan)(), Arc::new(Zoo(Some(case.defect)))).verdict
}

fn honest(plan: &Plan) -> RunOutcome {
    run(plan, Arc::new(Zoo(None)))
}

/// The violations of an invariant, or of all.
fn violations(verdict: &Verdict, wanted: impl Fn(Invariant) -> bool) -> Vec<&Finding> {
    let violates = |finding: &&Finding| matches!(finding.rule, Rule::Invariant(invariant) if wanted(invariant));
    let findings = verdict.findings.iter().filter(|finding| finding.severity == Severity::Violation);
    findings.filter(violates).collect()
}

/// `text` with `_` for numbers that depend on the seed: numbers of operations, and whatever has a fraction.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, number) = rest.split_at(start);
        let (number, after) = number.split_at(number.find(|c| !matches!(c, '0'..='9' | '.')).unwrap_or(number.len()));
        let varies = before.ends_with('#') || number.contains('.');
        masked.extend([before, if varies { "_" } else { number }]);
        rest = after;
    }
    masked + rest
}

/// Every case of `invariant` fails by a finding in the words of the case, and passes without the defect.
fn is_seen_to_fail(invariant: Invariant) {
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.invariant == invariant).collect();
    assert!(!cases.is_empty(), "nobody violates {invariant}");
    for case in cases {
        let verdict = wrong(&case);
        assert_eq!(verdict.outcome, Outcome::Fail, "{:?}", case.defect);
        let client = case.client.map(ClientId::new);
        let found = violations(&verdict, |violated| violated == invariant);
        let found = found.into_iter().find(|finding| finding.client == client);
        let found = found.unwrap_or_else(|| panic!("{:?}: {:#?}", case.defect, verdict.findings));
        assert_eq!(masked(&found.text), case.text, "{:?}: {}", case.defect, found.text);
        let from = (case.from)(&verdict);
        let moments = from..from + Duration::from_millis(250);
        assert!(moments.contains(&found.at), "{:?} at {}, not from {from} on: {}", case.defect, found.at, found.text);
        let honest = honest(&(case.plan)()).verdict;
        assert_eq!(honest.outcome, Outcome::Pass, "{:?} is not to blame: {:#?}", case.defect, honest.findings);
    }
}

#[test]
fn i1_converge() {
    is_seen_to_fail(Invariant::I1);
}

#[test]
fn i2_no_stale_node() {
    is_seen_to_fail(Invariant::I2);
}

#[test]
fn i3_at_most_once() {
    is_seen_to_fail(Invariant::I3);
}

#[test]
fn i4_honest_loss() {
    is_seen_to_fail(Invariant::I4);
}

/// No client can make a healthy master forget, so that here the history is broken instead.
#[test]
fn i4_honest_loss_of_what_a_healthy_master_forgot() {
    let plan = quiet();
    let RunOutcome { mut history, verdict, .. } = honest(&plan);
    assert_eq!(verdict.outcome, Outcome::Pass, "{:#?}", verdict.findings);
    let master = plan.cluster.first_master(0);
    for record in &mut history.records {
        if let What::Final(data) = &mut record.what
            && data.node == master
        {
            data.lineage = vec![Position { replid: 0, offset: 0 }];
        }
    }
    let verdict = check::judge(&plan, &history);
    let found = violations(&verdict, |_| true);
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(found[0].rule, Rule::Invariant(Invariant::I4));
    assert_eq!(found[0].count, verdict.clients[0].ok);
    assert_eq!(verdict.acknowledged_writes_lost, verdict.clients[0].ok);
    let text = "writer#_ was acknowledged and is missing on redis-1 at the end: \
                that same node had executed it at _s and was neither demoted nor stopped since";
    assert_eq!(masked(&found[0].text), text);
}

/// The loss of a failover is what the old master had not got across, neither more nor less, also where it is waived. No
/// client can change that, so that here the record is broken, on one side and on the other.
#[test]
fn i4_honest_loss_is_exact() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios/8-commands/acked-then-lost.yaml");
    let mut plan = scenario::load(&file, &scenario::Options::default()).unwrap_or_else(|error| panic!("{error}"));
    let driver = drivers::by_name(drivers::DEFAULT).expect("the default driver");
    let RunOutcome { history, verdict, .. } = run(&plan, driver);
    assert_eq!(verdict.outcome, Outcome::Pass, "{:#?}", verdict.findings);
    let lost = verdict.acknowledged_writes_lost;
    assert!(lost > 0, "nothing was lost");
    plan.expect.acknowledged_writes_lost = None;
    plan.expect.waive.push((Invariant::I4, "what the old master had not sent is lost".into()));
    let verdict = check::judge(&plan, &history);
    assert_eq!(verdict.outcome, Outcome::Pass, "{:#?}", verdict.findings);
    let [told] = &verdict.findings[..] else { panic!("{:#?}", verdict.findings) };
    assert_eq!((told.severity, told.count), (Severity::Waived, lost));

    let old = plan.cluster.first_master(0);
    let master = |what: &What| match what {
        What::Final(data) if data.of.is_none() && data.up => Some(data.node),
        _ => None,
    };
    let new = history.records.iter().find_map(|record| master(&record.what)).expect("a master");
    let written = |what: &What| match what {
        What::Executed(execution) if execution.node == old => execution.position.as_ref().map(|p| p.offset),
        _ => None,
    };
    let offsets: Vec<u64> = history.records.iter().filter_map(|record| written(&record.what)).collect();
    let with_received = |wanted: &dyn Fn(u64) -> u64| {
        let mut broken = history.clone();
        for record in &mut broken.records {
            if let What::Stream(stream) = &mut record.what
                && (stream.node, stream.of) == (new, old)
            {
                stream.received.offset = wanted(stream.received.offset);
            }
        }
        check::judge(&plan, &broken)
    };
    // As if one write more had come over than did, and one less.
    let more = with_received(&|reached| *offsets.iter().find(|offset| **offset > reached).expect("one that did not"));
    let less = with_received(&|reached| *offsets.iter().rfind(|offset| **offset <= reached).expect("one that did") - 1);
    for (verdict, expected) in [
        (
            more,
            format!(
                "writer#_ was acknowledged and is missing on {new} at the end: {old} had executed it at _s, \
             and it had come over from {old}"
            ),
        ),
        (less, format!("writer#_ is held by {new} at the end, but what {old} had executed at _s, at ")),
    ] {
        let found = violations(&verdict, |_| true);
        assert_eq!((found.len(), found[0].count), (1, 1), "{found:#?}");
        assert_eq!(found[0].rule, Rule::Invariant(Invariant::I4));
        assert!(masked(&found[0].text).starts_with(&expected), "{}", found[0].text);
    }
}

#[test]
fn i5_bounded() {
    is_seen_to_fail(Invariant::I5);
}

#[test]
fn i6_load() {
    is_seen_to_fail(Invariant::I6);
}

#[test]
fn i7_honest_error() {
    is_seen_to_fail(Invariant::I7);
}

#[test]
fn i8_no_residue() {
    is_seen_to_fail(Invariant::I8);
}

#[test]
fn i9_own_reply() {
    is_seen_to_fail(Invariant::I9);
}

#[test]
fn nothing_else_is_held_against_the_wrong_clients() {
    for case in cases() {
        let verdict = wrong(&case);
        let expected: BTreeSet<Invariant> =
            case.also.iter().map(|(also, _reason)| *also).chain([case.invariant]).collect();
        let found = Invariant::ALL.into_iter().filter(|one| !violations(&verdict, |other| other == *one).is_empty());
        assert_eq!(found.collect::<BTreeSet<_>>(), expected, "{:?}: {:#?}", case.defect, verdict.findings);
    }
}

/// The canary fails, and it does so because its Sentinels die: when they live, the same run passes.
#[test]
fn the_canary_fails_for_its_reason() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("canary/never-recovers.yaml");
    let mut plan = scenario::load(&file, &scenario::Options::default()).unwrap_or_else(|error| panic!("{error}"));
    let drivers = || drivers::all().into_iter().chain([Arc::new(Zoo(None)) as Arc<dyn Driver>]);
    for driver in drivers() {
        let name = driver.name();
        let verdict = run(&plan, Arc::clone(&driver)).verdict;
        assert_eq!(verdict.outcome, Outcome::Fail, "{name}: {:#?}", verdict.findings);
        let unmet: BTreeSet<Rule> = verdict.findings.iter().map(|finding| finding.rule).collect();
        assert!(unmet.is_superset(&[Rule::RecoveredWithin, Rule::Failovers].into()), "{name}: {unmet:?}");
    }
    let killed = plan.timeline.remove(0).fault;
    assert_eq!(killed, Fault::Kill(Target::SentinelsMajority));
    let default = drivers::by_name(drivers::DEFAULT).expect("the default driver");
    for driver in [default, Arc::new(Zoo(None))] {
        let name = driver.name();
        let verdict = run(&plan, Arc::clone(&driver)).verdict;
        assert_eq!(verdict.outcome, Outcome::Pass, "{name}: {:#?}", verdict.findings);
    }
}
