//! A run from start to verdict: it repeats, it is judged, and what goes wrong in it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use model::history::{Action, Cause, Record, What};
use model::plan::{Client, Cluster, Expect, Step, Trigger, Workload};
use model::{Fault, Outcome, Plan, Seed, Target, Time};
use sentinel_lab_testbed::driver::{
    Answer, BoxFuture, CallError, Driver, OnMessage, Request, Session, Settings, Topics,
};
use sentinel_lab_testbed::{Run, RunError, RunOutcome};

use crate::common::Raw;

const SECOND: Duration = Duration::from_secs(1);

fn plan(workload: Workload) -> Plan {
    let mut cluster = Cluster::standard();
    cluster.groups[0].down_after = 5 * SECOND;
    let client = Client { deadline: 5 * SECOND, budget: 5 * SECOND, ..Client::new("writer", workload) };
    Plan {
        title: "the master dies".to_owned(),
        cluster,
        clients: vec![client],
        timeline: vec![Step {
            when: Trigger::At(10 * SECOND),
            fault: Fault::Kill(Target::Master(None)),
            lasting: None,
        }],
        run_for: 40 * SECOND,
        expect: Expect { failovers: Some(1), ..Expect::default() },
    }
}

fn run(plan: Plan, seed: u64) -> Result<RunOutcome, RunError> {
    Run::new(plan, Seed(seed), vec![Arc::new(Raw)]).run()
}

#[test]
fn a_client_that_asks_again_survives_the_death_of_the_master() {
    let outcome = run(plan(Workload::Counter), 7).unwrap();
    assert_eq!(outcome.verdict.outcome, Outcome::Pass, "{:#?}", outcome.verdict.findings);
    assert_eq!(outcome.verdict.failovers.len(), 1);
    assert_eq!(outcome.virtual_time, 41 * SECOND);
    assert_eq!(outcome.history.header.clients[0].1, "raw");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    for workload in Workload::ALL.into_iter().filter(|workload| *workload != Workload::CachedReads) {
        let digest = |seed| run(plan(workload), seed).unwrap().history.digest();
        assert_eq!(digest(3), digest(3), "{workload:?}");
        assert_ne!(digest(3), digest(4), "{workload:?}");
    }
}

#[test]
fn a_quiet_run_ends_before_its_time_and_no_sooner() {
    let quiet = |plan: Plan, driver: Arc<dyn Driver>| {
        let run = Run { quiet: Some(11 * SECOND), ..Run::new(plan, Seed(7), vec![driver]) };
        run.run().unwrap()
    };
    // The old master comes back after ten seconds and becomes a replica.
    let mut plan = Plan { run_for: 90 * SECOND, ..plan(Workload::Counter) };
    plan.timeline[0].lasting = Some(10 * SECOND);
    let whole = run(plan.clone(), 7).unwrap();
    let short = quiet(plan.clone(), Arc::new(Raw));
    assert_eq!(short.verdict.outcome, Outcome::Pass, "{:#?}", short.verdict.findings);
    assert_eq!(short.verdict.failovers, whole.verdict.failovers);
    let role = |record: &&Record| matches!(record.what, What::ReplicaLink { .. });
    let mended = whole.history.records.iter().rfind(role).unwrap().at;
    let end = Time::from(short.virtual_time);
    assert!(end >= mended + 12 * SECOND && end <= mended + 14 * SECOND, "{mended} {end}");
    let before = |outcome: &RunOutcome| {
        outcome.history.records.iter().filter(|r| r.at + 2 * SECOND < end).cloned().collect::<Vec<_>>()
    };
    assert!(before(&short) == before(&whole), "until then nothing is different");

    // To the end, and a second in which the client is dropped: a step is to come, a node is down, a client hangs.
    let step = Step { when: Trigger::At(85 * SECOND), ..plan.timeline[0].clone() };
    let later = Plan { timeline: vec![plan.timeline[0].clone(), step], ..plan.clone() };
    assert_eq!(quiet(later, Arc::new(Raw)).virtual_time, 91 * SECOND);
    let mut down = plan.clone();
    down.timeline[0].lasting = None;
    assert_eq!(quiet(down, Arc::new(Raw)).virtual_time, 91 * SECOND);
    assert_eq!(quiet(plan, Arc::new(Bad(|| {}))).virtual_time, 91 * SECOND);
}

#[test]
fn operations_start_at_multiples_of_their_interval() {
    let outcome = run(Plan { timeline: vec![], run_for: 5 * SECOND, ..plan(Workload::Register) }, 1).unwrap();
    let started: Vec<_> = outcome
        .history
        .records
        .iter()
        .filter_map(|record| match record.what {
            What::Started { action, .. } => Some((record.at.as_micros(), action)),
            _ => None,
        })
        .collect();
    assert_eq!(started.len(), 20);
    for (index, (at, action)) in started.into_iter().enumerate() {
        assert_eq!(at, 3_000_000 + 100_000 * index as u64);
        assert_eq!(action, if index % 2 == 0 { Action::Set } else { Action::Get });
    }
}

#[test]
fn no_client_begins_more_operations_than_its_plan_has_room_for() {
    for workload in Workload::ALL.into_iter().filter(|workload| *workload != Workload::CachedReads) {
        let plan = Plan { timeline: vec![], run_for: 10 * SECOND, ..plan(workload) };
        let most = plan.clients[0].most_operations(plan.run_for);
        let records = run(plan, 1).unwrap().history.records;
        let is_begun =
            |record: &&Record| matches!(record.what, What::Started { action, .. } if action != Action::Subscribe);
        let begun = records.iter().filter(is_begun).count() as u64;
        // What would begin as the run ends need not, and who waits for an item begins fewer.
        let least = if matches!(workload, Workload::Queue | Workload::Jobs) { most / 10 } else { most - 2 };
        assert!((least..=most).contains(&begun), "{workload:?}: {begun} of {most}");
    }
}

/// What a driver does that misbehaves.
struct Bad(fn());

impl Driver for Bad {
    fn name(&self) -> &'static str {
        "bad"
    }

    fn about(&self) -> &'static str {
        "misbehaves"
    }

    fn open(&self, _: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        let act = self.0;
        Box::pin(async move {
            tokio::spawn(async move { act() });
            std::future::pending().await
        })
    }
}

#[test]
fn a_panic_in_a_task_of_the_client_is_told() {
    let drivers: Vec<Arc<dyn Driver>> = vec![Arc::new(Bad(|| panic!("not my day")))];
    let error = Run::new(plan(Workload::Counter), Seed(1), drivers).run().unwrap_err();
    let RunError::Panicked { message } = error else { panic!("{error}") };
    assert!(message.starts_with("not my day, at ") && message.contains("run.rs:"), "{message}");
}

#[test]
fn a_clock_that_stands_still_is_told() {
    // The thread of the run stays behind, parked for ever.
    let stuck = Bad(|| {
        loop {
            std::thread::park();
        }
    });
    let mut run = Run::new(plan(Workload::Counter), Seed(1), vec![Arc::new(stuck)]);
    run.watchdog = Duration::from_millis(300);
    let error = run.run().unwrap_err();
    assert!(matches!(error, RunError::Hung { at, .. } if at.as_millis() == 3_000), "{error}");
}

#[test]
fn a_driver_that_there_is_not_is_told() {
    let mut plan = plan(Workload::Counter);
    plan.clients[0].driver = Some("no-such".to_owned());
    let error = run(plan, 1).unwrap_err();
    assert_eq!(error.to_string(), "client writer wants the driver no-such, which there is not");
}

/// A client that publishes and cannot subscribe; it counts how often it is set up.
struct Mute(Arc<AtomicUsize>);

impl Driver for Mute {
    fn name(&self) -> &'static str {
        "mute"
    }

    fn about(&self) -> &'static str {
        "cannot subscribe"
    }

    fn open(&self, _: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(Box::new(MuteSession) as Box<dyn Session>) })
    }
}

struct MuteSession;

impl Session for MuteSession {
    fn call<'a>(&'a mut self, _: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        Box::pin(async { Ok(Answer::Number(0)) })
    }

    fn subscribe<'a>(&'a mut self, _: &'a Topics, _: OnMessage) -> BoxFuture<'a, CallError> {
        let refused = CallError { may_have_run: false, cause: Cause::Connection, text: "lost".to_owned() };
        Box::pin(async { refused })
    }
}

#[test]
fn a_subscriber_whose_subscriptions_fail_is_set_up_anew_if_the_application_says_so() {
    let opened = |reopen_after| {
        let count = Arc::new(AtomicUsize::new(0));
        let mut plan = Plan { timeline: Vec::new(), run_for: 10 * SECOND, ..plan(Workload::PubSub) };
        plan.clients[0].every = SECOND / 2;
        plan.clients[0].reopen_after = reopen_after;
        let driver: Arc<dyn Driver> = Arc::new(Mute(Arc::clone(&count)));
        Run::new(plan, Seed(1), vec![driver]).run().unwrap();
        count.load(Ordering::Relaxed)
    };
    assert_eq!(opened(None), 2, "one to publish and one to subscribe");
    // At 3 s, 5.5 s and 8 s: after two seconds each, with the next attempt.
    assert_eq!(opened(Some(2 * SECOND)), 4);
}
