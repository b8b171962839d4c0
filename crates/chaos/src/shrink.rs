//! [`shrink`]: from a schedule that failed to the smallest that still fails in the same way, along the trees of proptest.

use std::collections::BTreeMap;

use model::Plan;
use proptest::strategy::ValueTree;

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
    /// Why it ended before all was tried, in a few words; none if all was.
    pub cut_short: Option<&'static str>,
}

/// Shrinks the schedule of `seed` as long as a failure of the kind `signature` is left, until `execute` does no further run
/// and says why. Fewer failovers and faults first, then simpler and shorter ones at rounder times, fewer clients and nodes,
/// plainer settings; then what is left step by step, as with [`shrink_systematic`]. `None` if the schedule does not fail so
/// in the first place.
pub fn shrink(
    mix: &Mix,
    driver: &str,
    seed: u64,
    signature: &str,
    execute: impl Fn(&Case) -> Result<CaseResult, &'static str>,
) -> Option<Shrunk> {
    let title = format!("what chaos of profile {mix} found with seed {seed}");
    let before = Schedule::faults(&schedule::plan(mix, seed));
    let tree = ScheduleTree::Drawn(schedule::draw(mix, seed), title);
    smallest(tree, before, signature, |plan| Case::random(seed, driver, plan), execute)
}

/// Shrinks case `number` of a scenario taken apart, likewise: fewer steps and clients, shorter faults, rounder times.
pub fn shrink_systematic(
    subject: &Subject,
    driver: &str,
    number: u64,
    signature: &str,
    execute: impl Fn(&Case) -> Result<CaseResult, &'static str>,
) -> Option<Shrunk> {
    let plan = subject.plan(usize::try_from(number).ok()?);
    let before = Schedule::faults(&plan);
    let case = |plan| Case::systematic(subject.seed(), number, driver, plan);
    smallest(PlanTree::new(plan), before, signature, case, execute)
}

fn smallest(
    mut tree: impl ValueTree<Value = Plan>,
    before: usize,
    signature: &str,
    case: impl Fn(Plan) -> Case,
    execute: impl Fn(&Case) -> Result<CaseResult, &'static str>,
) -> Option<Shrunk> {
    let mut best: Option<(Plan, Failure)> = None;
    let mut cut_short = None;
    // Different draws may come to one plan.
    let mut known: BTreeMap<String, bool> = BTreeMap::new();
    loop {
        let case = case(tree.current());
        let text = scenario::render(&case.plan);
        let fails = match known.get(&text) {
            Some(fails) => *fails,
            None => match execute(&case) {
                Ok(result) => {
                    let failure = result.failures.into_iter().find(|failure| failure.signature == signature);
                    let fails = failure.is_some();
                    best = failure.map(|failure| (case.plan, failure)).or(best);
                    known.insert(text, fails);
                    fails
                }
                Err(why) => {
                    cut_short = Some(why);
                    break;
                }
            },
        };
        // What does not fail in the first place is not made smaller.
        let goes_on = best.is_some() && if fails { tree.simplify() } else { tree.complicate() };
        if !goes_on {
            break;
        }
    }
    let (plan, failure) = best?;
    let faults = [before, Schedule::faults(&plan)];
    Some(Shrunk { plan, failure, faults, runs: known.len() as u64, cut_short })
}
