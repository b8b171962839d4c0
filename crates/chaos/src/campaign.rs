//! [`Campaign`]: many cases, one after the other and several at a time, and [`Summary`], what they came to.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::case::{Case, CaseResult, Ending, Failure};
use crate::coverage::Coverage;
use crate::jobs;
use crate::profile::Mix;
use crate::regression::{self, Origin};
use crate::schedule;
use crate::shard::Shard;
use crate::shrink::{Shrunk, shrink, shrink_systematic};
use crate::systematic::Subject;

/// Where the cases of a campaign come from. Each is known by a number.
#[derive(Clone, Debug)]
pub enum Source {
    /// Schedules drawn from seeds.
    Random {
        /// What they are drawn from.
        mix: Mix,
        /// The seeds, by which they are known.
        seeds: Range<u64>,
    },
    /// A scenario taken apart.
    Systematic(Arc<Subject>),
}

impl Source {
    /// The numbers of its cases.
    fn numbers(&self) -> Range<u64> {
        match self {
            Self::Random { seeds, .. } => seeds.clone(),
            Self::Systematic(subject) => 1..subject.cases() as u64 + 1,
        }
    }

    /// The mix of random schedules.
    pub fn mix(&self) -> Option<&Mix> {
        match self {
            Self::Random { mix, .. } => Some(mix),
            Self::Systematic(_) => None,
        }
    }

    /// What its results are filed under: the profile, or `systematic` and the name of the scenario.
    pub fn name(&self) -> String {
        match self {
            Self::Random { mix, .. } => mix.profile.to_string(),
            Self::Systematic(subject) => format!("{SYSTEMATIC}{}", subject.name),
        }
    }
}

/// What the names of results of scenarios taken apart begin with.
pub const SYSTEMATIC: &str = "systematic ";

/// `chaos of profile mean`
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Random { mix, .. } => write!(f, "chaos of profile {mix}"),
            Self::Systematic(subject) => write!(f, "systematic chaos of {}", subject.name),
        }
    }
}

/// Which runs to do.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Where they come from.
    pub source: Source,
    /// The driver of every client.
    pub driver: String,
    /// The part of them that is done here.
    pub shard: Shard,
    /// Runs at a time.
    pub jobs: usize,
}

impl Campaign {
    /// How many runs it has.
    pub fn runs(&self) -> usize {
        let numbers = self.source.numbers();
        self.shard.seeds(numbers.start, numbers.end).len()
    }

    /// Does the runs, each by `execute`, and hands every result to `each` in order. `each` says whether to go on; if not,
    /// what is under way is awaited. A panic of the lab itself is the result of its case.
    pub fn run(
        &self,
        execute: impl Fn(&Case) -> CaseResult + Sync,
        mut each: impl FnMut(&CaseResult) -> bool,
    ) -> Summary {
        let (first, step) = (self.source.numbers().start + self.shard.index - 1, self.shard.of);
        let mut summary = Summary::default();
        let work = |index: usize| {
            let number = first + index as u64 * step;
            catch_unwind(AssertUnwindSafe(|| execute(&self.case(number))))
                .unwrap_or_else(|panic| self.panicked(number, &*panic))
        };
        jobs::in_order(self.runs(), self.jobs, work, |_, result| {
            summary.add(&result);
            each(&result)
        });
        summary
    }

    /// Makes the first case of a finding small; see [`shrink`] and [`shrink_systematic`]. `None` also if the lab itself
    /// panics at that.
    pub fn shrink(
        &self,
        finding: &Finding,
        execute: impl Fn(&Case) -> Result<CaseResult, &'static str>,
    ) -> Option<(Origin, Shrunk)> {
        let (number, signature) = (*finding.seeds.first()?, finding.signature.as_str());
        let driver = self.driver.as_str();
        let shrunk = catch_unwind(AssertUnwindSafe(|| match &self.source {
            Source::Random { mix, .. } => shrink(mix, driver, number, signature, execute),
            Source::Systematic(subject) => shrink_systematic(subject, driver, number, signature, execute),
        }));
        Some((self.origin(number, signature), shrunk.ok()??))
    }

    /// The first case of a finding as it is, for when it is not to be made small, or does not fail again.
    pub fn unshrunk(&self, finding: &Finding) -> Option<(Origin, Shrunk)> {
        let number = *finding.seeds.first()?;
        let plan = self.case(number).plan;
        let faults = regression::faults(&plan);
        let failure = Failure { signature: finding.signature.clone(), text: finding.text.clone() };
        let shrunk = Shrunk { plan, failure, faults: [faults; 2], runs: 0, cut_short: None };
        Some((self.origin(number, &finding.signature), shrunk))
    }

    /// How a finding in the case of this number came about.
    fn origin(&self, number: u64, signature: &str) -> Origin {
        let (by, seed) = match &self.source {
            Source::Random { .. } => (self.source.to_string(), number),
            Source::Systematic(subject) => (format!("{}, case {number}", self.source), subject.seed()),
        };
        Origin { by, number, driver: self.driver.clone(), seed, signature: signature.to_owned() }
    }

    /// Its cases, in order.
    pub fn cases(&self) -> impl Iterator<Item = Case> {
        let numbers = self.source.numbers();
        self.shard.seeds(numbers.start, numbers.end).map(|number| self.case(number))
    }

    /// The case of a number.
    fn case(&self, number: u64) -> Case {
        let driver = self.driver.as_str();
        match &self.source {
            Source::Random { mix, .. } => Case::random(number, driver, schedule::plan(mix, number)),
            Source::Systematic(subject) => {
                Case::systematic(subject.seed(), number, driver, subject.plan(number as usize))
            }
        }
    }

    /// The result of a case in which the lab itself panicked, outside a run.
    fn panicked(&self, number: u64, panic: &(dyn Any + Send)) -> CaseResult {
        let message = panic.downcast_ref::<String>().map(String::as_str);
        let message = message.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
        let (seed, number) = match &self.source {
            Source::Random { .. } => (number, None),
            Source::Systematic(subject) => (subject.seed(), Some(number)),
        };
        let signature = "panic: of the lab".to_owned();
        CaseResult::lost_of(seed, number, &self.driver, signature, format!("the lab panicked: {message}"))
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
    /// The first seeds that show it, or numbers of cases of a scenario taken apart; at most [`Finding::SEEDS`].
    pub seeds: Vec<u64>,
    /// What was wrong in the first of them.
    pub text: String,
}

impl Finding {
    /// How many seeds are kept.
    pub const SEEDS: usize = 5;
}

/// Runs that lack the same evidence.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// How many there were.
    pub runs: u64,
    /// The first of them, as in [`Finding::seeds`].
    pub seeds: Vec<u64>,
}

/// Adds a number to the smallest ones, in order, each once.
fn keep_first(numbers: &mut Vec<u64>, number: u64) {
    if let Err(place) = numbers.binary_search(&number) {
        numbers.insert(place, number);
        numbers.truncate(Finding::SEEDS);
    }
}

/// What the runs of a campaign came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Runs by how they ended.
    pub endings: BTreeMap<Ending, u64>,
    /// What they covered.
    pub coverage: Coverage,
    /// What was wrong, each kind of each driver once, in the order of the first seed, kind and driver.
    pub findings: Vec<Finding>,
    /// What evidence was missing, in words without numbers.
    pub missing: BTreeMap<String, Missing>,
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
                    if known.seeds.first().is_some_and(|first| result.id() < *first) {
                        known.text.clone_from(&failure.text);
                    }
                    keep_first(&mut known.seeds, result.id());
                }
                None => self.findings.push(Finding {
                    signature: failure.signature.clone(),
                    driver: result.driver.clone(),
                    runs: 1,
                    seeds: vec![result.id()],
                    text: failure.text.clone(),
                }),
            }
        }
        // The same may be missing of several clients.
        let missing: BTreeSet<String> = result.missing.iter().map(|text| model::words::plain(text)).collect();
        for text in missing {
            let known = self.missing.entry(text).or_default();
            known.runs += 1;
            keep_first(&mut known.seeds, result.id());
        }
        // Shards may be added in any order, and one run may show several.
        let order =
            |finding: &Finding| (finding.seeds.first().copied(), finding.signature.clone(), finding.driver.clone());
        self.findings.sort_by_cached_key(order);
    }

    /// How many runs there were.
    pub fn runs(&self) -> u64 {
        self.endings.values().sum()
    }

    /// Says so if fewer than half of the runs showed anything about the client, or there were none.
    pub fn few(&self) -> Option<String> {
        let (runs, conclusive) = (self.runs(), self.runs() - self.ended(Ending::Inconclusive));
        (runs == 0 || conclusive * 2 < runs)
            .then(|| format!("only {conclusive} of {runs} runs showed anything about the client"))
    }

    /// What the campaign should have shown and did not, in words; see [`Summary::few`] and [`Coverage::gaps`].
    pub fn gaps(&self, mix: Option<&Mix>) -> Vec<String> {
        self.few().into_iter().chain(self.coverage.gaps(mix)).collect()
    }

    /// How many runs ended so.
    pub fn ended(&self, ending: Ending) -> u64 {
        self.endings.get(&ending).copied().unwrap_or(0)
    }
}
