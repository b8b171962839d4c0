//! [`Case`]: one run of a campaign, and [`CaseResult`], what came of it.

use std::sync::Arc;
use std::time::Duration;

use model::verdict::Severity;
use model::words::plain;
use model::{Plan, Seed};
use serde::{Deserialize, Serialize};
use testbed::driver::Driver;
use testbed::{Run, RunError, RunOutcome};

use crate::audit::audit;
use crate::coverage::Coverage;

/// Quiet after which a run ends before its time. Every period of a Sentinel passes in it, of which that of `INFO` is the
/// longest, and what a client still has under way comes back.
const QUIET: Duration = Duration::from_secs(11);

/// One run to do.
#[derive(Clone, Debug)]
pub struct Case {
    /// The seed of the run, from which its plan was drawn too, if it is a random one.
    pub seed: u64,
    /// The number of a case of a scenario taken apart; none of random ones.
    pub number: Option<u64>,
    /// The driver of the clients that name none.
    pub driver: String,
    /// What is run.
    pub plan: Plan,
}

impl Case {
    /// A random schedule.
    pub fn random(seed: u64, driver: &str, plan: Plan) -> Self {
        Self { seed, number: None, driver: driver.to_owned(), plan }
    }

    /// Case `number` of a scenario taken apart.
    pub fn systematic(seed: u64, number: u64, driver: &str, plan: Plan) -> Self {
        Self { seed, number: Some(number), driver: driver.to_owned(), plan }
    }

    /// What it is known by in its campaign: its number, or its seed.
    pub fn id(&self) -> u64 {
        self.number.unwrap_or(self.seed)
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Nothing is wrong, and there is evidence for it.
    Pass,
    /// No fault hit anything, no master went down or changed in a random run, or a client did too little to show anything.
    Inconclusive,
    /// An invariant was violated, by the client or by the cluster.
    Fail,
    /// The run broke: a panic, a hang, memory without bound.
    Broken,
}

/// What came of a run. The same for the same seed, wherever and after whatever it runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The seed.
    pub seed: u64,
    /// The number of a case of a scenario taken apart.
    #[serde(rename = "case", skip_serializing_if = "Option::is_none", default)]
    pub number: Option<u64>,
    /// The driver.
    pub driver: String,
    /// How it ended.
    pub ending: Ending,
    /// Of the history; none if there is none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub digest: Option<String>,
    /// What was wrong, the first thing of each kind.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub failures: Vec<Failure>,
    /// Evidence that is missing.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub missing: Vec<String>,
    /// What it covered.
    pub coverage: Coverage,
    /// Time that passed on the virtual clock, in milliseconds.
    pub virtual_ms: u64,
}

/// Something that was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its kind: the rule, and in which way it was violated where there are several (see
    /// [`Finding::class`](model::verdict::Finding::class)); `cluster: ` and the rule, if it is one of the cluster's own; or how the run
    /// broke.
    pub signature: String,
    /// One sentence.
    pub text: String,
}

/// What the kinds of failure begin with that are the cluster's.
const CLUSTER: &str = "cluster: ";

/// True if a failure of this kind is a violation of the cluster's own rules, which are audited in chaos only.
pub fn is_of_the_cluster(signature: &str) -> bool {
    signature.starts_with(CLUSTER)
}

/// Carries out a case in this process. Needs `watchdog` of real time at most while the virtual clock stands still.
pub fn carry_out(case: &Case, drivers: &[Arc<dyn Driver>], watchdog: Duration) -> CaseResult {
    // The first driver is that of the clients that name none.
    let (chosen, others): (Vec<_>, Vec<_>) = drivers.iter().cloned().partition(|driver| driver.name() == case.driver);
    let mut run = Run::new(case.plan.clone(), Seed(case.seed), chosen.into_iter().chain(others).collect());
    run.watchdog = watchdog;
    // And no client is let off before it must have recovered.
    run.quiet = Some(case.plan.clients.iter().map(|client| client.budget).fold(QUIET, Duration::max));
    match run.run() {
        Ok(outcome) => judged(case, &outcome),
        Err(error) => CaseResult::broken(case, &error),
    }
}

fn judged(case: &Case, outcome: &RunOutcome) -> CaseResult {
    let RunOutcome { history, verdict, .. } = outcome;
    let mut failures = Vec::new();
    let mut missing = Vec::new();
    for finding in &verdict.findings {
        let client =
            finding.client.as_ref().and_then(|id| case.plan.clients.iter().find(|client| client.id == id.as_str()));
        match finding.severity {
            Severity::Violation => {
                let class = finding.class();
                let signature = finding.rule.to_string() + if class.is_empty() { "" } else { ": " } + class;
                if failures.iter().all(|known: &Failure| known.signature != signature) {
                    failures.push(Failure { signature, text: finding.text.clone() });
                }
            }
            // A step that missed its moment is counted by the coverage; the run shows something all the same.
            Severity::NoEvidence if client.is_some() => missing.push(finding.text.clone()),
            Severity::NoEvidence | Severity::Waived => {}
        }
    }
    for wrong in audit(&case.plan, history) {
        let signature = format!("{CLUSTER}{}", wrong.rule);
        if failures.iter().all(|known| known.signature != signature) {
            failures.push(Failure { signature, text: wrong.text });
        }
    }
    let coverage = Coverage::of(&case.plan, history);
    if coverage.total()[1] == 0 {
        missing.push("no fault hit anything".to_owned());
    } else if case.number.is_none() && !coverage.has_failover() {
        missing.push("no master went down or changed".to_owned());
    }
    let ending = if !failures.is_empty() {
        Ending::Fail
    } else if !missing.is_empty() {
        Ending::Inconclusive
    } else {
        Ending::Pass
    };
    CaseResult {
        seed: case.seed,
        number: case.number,
        driver: case.driver.clone(),
        ending,
        digest: Some(history.digest()),
        failures,
        missing,
        coverage,
        virtual_ms: outcome.virtual_time.as_millis() as u64,
    }
}

impl CaseResult {
    /// What the case is known by: its number if it has one, else its seed.
    pub fn id(&self) -> u64 {
        self.number.unwrap_or(self.seed)
    }

    /// The result of a run that left no history.
    pub fn broken(case: &Case, error: &RunError) -> Self {
        if let RunError::NotApplicable { .. } = error {
            let missing = vec![error.to_string()];
            return Self {
                ending: Ending::Inconclusive,
                failures: Vec::new(),
                missing,
                ..Self::lost(case, String::new(), String::new())
            };
        }
        let signature = match error {
            RunError::Panicked { message } => format!("panic: {}", plain(message)),
            RunError::Hung { .. } => "hang".to_owned(),
            other => format!("broken: {}", plain(&other.to_string())),
        };
        Self::lost(case, signature, error.to_string())
    }

    /// The result of a run whose process is gone, for the reason that `signature` names.
    pub fn lost(case: &Case, signature: String, text: String) -> Self {
        Self::lost_of(case.seed, case.number, &case.driver, signature, text)
    }

    /// As [`CaseResult::lost`], of a case that there need not be.
    pub(crate) fn lost_of(seed: u64, number: Option<u64>, driver: &str, signature: String, text: String) -> Self {
        Self {
            seed,
            number,
            driver: driver.to_owned(),
            ending: Ending::Broken,
            digest: None,
            failures: vec![Failure { signature, text }],
            missing: Vec::new(),
            coverage: Coverage::default(),
            virtual_ms: 0,
        }
    }
}
