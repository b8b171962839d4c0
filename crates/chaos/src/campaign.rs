//! [`Campaign`]: many seeds, one after the other and several at a time, and [`Summary`], what they came to.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use crate::case::{Case, CaseResult, Ending};
use crate::coverage::Coverage;
use crate::jobs;
use crate::profile::Mix;
use crate::schedule;
use crate::shard::Shard;

/// Which runs to do.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// What schedules are drawn from.
    pub mix: Mix,
    /// The driver of every client.
    pub driver: String,
    /// The seeds.
    pub seeds: Range<u64>,
    /// The part of them that is done here.
    pub shard: Shard,
    /// Runs at a time.
    pub jobs: usize,
}

impl Campaign {
    /// How many runs it has.
    pub fn runs(&self) -> usize {
        self.shard.seeds(self.seeds.start, self.seeds.end).len()
    }

    /// Does the runs, each by `execute`, and hands every result to `each` in the order of the seeds. `each` says whether
    /// to go on; if not, what is under way is awaited. A panic of the lab itself is the result of its seed.
    pub fn run(
        &self,
        execute: impl Fn(&Case) -> CaseResult + Sync,
        mut each: impl FnMut(&CaseResult) -> bool,
    ) -> Summary {
        let seeds = self.shard.seeds(self.seeds.start, self.seeds.end);
        let (first, step) = (self.seeds.start + self.shard.index - 1, self.shard.of);
        let mut summary = Summary::default();
        let work = |index: usize| {
            let case = self.case(first + index as u64 * step);
            match case {
                Ok(case) => execute(&case),
                Err(result) => *result,
            }
        };
        jobs::in_order(seeds.len(), self.jobs, work, |_, result| {
            summary.add(&result);
            each(&result)
        });
        summary
    }

    /// The run of a seed; its result if the schedule cannot even be made.
    fn case(&self, seed: u64) -> Result<Case, Box<CaseResult>> {
        let driver = || self.driver.clone();
        catch_unwind(AssertUnwindSafe(|| schedule::plan(&self.mix, seed)))
            .map(|plan| Case { seed, driver: driver(), plan })
            .map_err(|panic| {
                let message = panic.downcast_ref::<String>().cloned();
                let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let text = format!("the schedule could not be drawn: {}", message.unwrap_or_default());
                let plan = model::plan::Plan {
                    title: String::new(),
                    cluster: model::plan::Cluster::standard(),
                    clients: Vec::new(),
                    timeline: Vec::new(),
                    run_for: std::time::Duration::ZERO,
                    expect: model::plan::Expect::default(),
                };
                Box::new(CaseResult::lost(&Case { seed, driver: driver(), plan }, "panic: of the lab".to_owned(), text))
            })
    }
}

/// Failures of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The kind.
    pub signature: String,
    /// The driver.
    pub driver: String,
    /// In how many runs it was seen.
    pub runs: u64,
    /// The first seeds that show it, at most [`Finding::SEEDS`].
    pub seeds: Vec<u64>,
    /// What was wrong in the first of them.
    pub text: String,
}

impl Finding {
    /// How many seeds are kept.
    pub const SEEDS: usize = 5;
}

/// What the runs of a campaign came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Runs by how they ended.
    pub endings: BTreeMap<Ending, u64>,
    /// What they covered.
    pub coverage: Coverage,
    /// What was wrong, each kind once, in the order of the first seed.
    pub findings: Vec<Finding>,
    /// What evidence was missing, and in how many runs, in words without numbers.
    pub missing: BTreeMap<String, u64>,
    /// Time that passed on the virtual clocks, in milliseconds.
    pub virtual_ms: u64,
}

impl Summary {
    /// Adds the result of a run.
    pub fn add(&mut self, result: &CaseResult) {
        *self.endings.entry(result.ending).or_default() += 1;
        self.coverage.add(&result.coverage);
        self.virtual_ms += result.virtual_ms;
        for failure in &result.failures {
            let same = |known: &&mut Finding| known.signature == failure.signature && known.driver == result.driver;
            match self.findings.iter_mut().find(same) {
                Some(known) => {
                    known.runs += 1;
                    if known.seeds.len() < Finding::SEEDS {
                        known.seeds.push(result.seed);
                    }
                }
                None => self.findings.push(Finding {
                    signature: failure.signature.clone(),
                    driver: result.driver.clone(),
                    runs: 1,
                    seeds: vec![result.seed],
                    text: failure.text.clone(),
                }),
            }
        }
        for text in &result.missing {
            *self.missing.entry(crate::case::plain(text)).or_default() += 1;
        }
    }

    /// How many runs there were.
    pub fn runs(&self) -> u64 {
        self.endings.values().sum()
    }

    /// How many runs ended so.
    pub fn ended(&self, ending: Ending) -> u64 {
        self.endings.get(&ending).copied().unwrap_or(0)
    }
}
