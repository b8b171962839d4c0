//! [`shrink`]: from a schedule that failed to the smallest that still fails in the same way, by proptest.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use model::Plan;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::case::{Case, CaseResult, Failure};
use crate::plan_tree::{PlanTree, ScheduleTree};
use crate::profile::Mix;
use crate::schedule::{self, Schedule};
use crate::systematic::Subject;

/// A schedule made small.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The plan.
    pub plan: Plan,
    /// What is wrong with it.
    pub failure: Failure,
    /// How many faults the schedule had, and how many are left.
    pub faults: [usize; 2],
    /// How many runs it took.
    pub runs: u64,
}

/// Shrinks the schedule of `seed` as long as a failure of the kind `signature` is left, for at most `limit` of real time.
/// Fewer failovers and faults first, then simpler and shorter ones at rounder times, fewer clients and nodes, plainer
/// settings; then what is left step by step, as with [`shrink_systematic`]. `None` if the schedule does not fail so in the
/// first place.
pub fn shrink(
    mix: &Mix,
    driver: &str,
    seed: u64,
    signature: &str,
    limit: Duration,
    execute: impl Fn(&Case) -> CaseResult,
) -> Option<Shrunk> {
    let title = format!("what chaos of profile {mix} found with seed {seed}");
    let before = Schedule::faults(&schedule::plan(mix, seed));
    let tree = ScheduleTree::Drawn(schedule::draw(mix, seed), title);
    smallest(tree, before, signature, limit, |plan| Case::random(seed, driver, plan), execute)
}

/// Shrinks case `number` of a scenario taken apart, likewise: fewer steps and clients, shorter faults, rounder times.
pub fn shrink_systematic(
    subject: &Subject,
    driver: &str,
    number: u64,
    signature: &str,
    limit: Duration,
    execute: impl Fn(&Case) -> CaseResult,
) -> Option<Shrunk> {
    let plan = subject.plan(usize::try_from(number).ok()?);
    let before = Schedule::faults(&plan);
    let case = |plan| Case::systematic(subject.seed(), number, driver, plan);
    smallest(PlanTree::new(plan), before, signature, limit, case, execute)
}

fn smallest(
    tree: impl ValueTree<Value = Plan>,
    before: usize,
    signature: &str,
    limit: Duration,
    case: impl Fn(Plan) -> Case,
    execute: impl Fn(&Case) -> CaseResult,
) -> Option<Shrunk> {
    let best: RefCell<Option<(Plan, Failure)>> = RefCell::new(None);
    // Different draws may come to one plan.
    let known: RefCell<BTreeMap<String, bool>> = RefCell::new(BTreeMap::new());
    let test = |plan: Plan| {
        let case = case(plan);
        let text = scenario::render(&case.plan);
        let seen = known.borrow().get(&text).copied();
        let fails = seen.unwrap_or_else(|| {
            let failure = execute(&case).failures.into_iter().find(|failure| failure.signature == signature);
            let fails = failure.is_some();
            if let Some(failure) = failure {
                *best.borrow_mut() = Some((case.plan, failure));
            }
            known.borrow_mut().insert(text, fails);
            fails
        });
        if fails { Err(TestCaseError::fail(signature.to_owned())) } else { Ok(()) }
    };
    let config = Config {
        failure_persistence: None,
        max_shrink_time: u32::try_from(limit.as_millis()).unwrap_or(u32::MAX),
        max_shrink_iters: u32::MAX - 1,
        ..Config::default()
    };
    let _ = TestRunner::new(config).run_one(tree, test);
    let (plan, failure) = best.into_inner()?;
    let faults = [before, Schedule::faults(&plan)];
    let runs = known.into_inner().len() as u64;
    Some(Shrunk { plan, failure, faults, runs })
}
