//! One JSON document for each run, for `--format json`.
//!
//! Times in a run are microseconds since its start and end in `_us`; a moment that did not come is `null`. Fields are
//! only ever added; [`FORMAT`] is raised if one changes its meaning. But for `wall_ms`, the same plan, seed and driver
//! give the same document.

use model::verdict::{ClientSummary, Finding, Recovery, Rule, Severity};
use model::{Outcome, Time};
use serde::Serialize;

use crate::run::Run;

/// Version of the document.
pub const FORMAT: u32 = 1;

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Document<'a> {
    /// [`FORMAT`].
    pub format: u32,
    /// The scenario in one word.
    pub name: &'a str,
    /// The scenario in one line.
    pub title: &'a str,
    /// The scenario file.
    pub file: Option<&'a str>,
    /// The root seed.
    pub seed: u64,
    /// The driver that clients had if the plan named none.
    pub driver: &'a str,
    /// `pass`, `fail` or `inconclusive`.
    pub outcome: Outcome,
    /// What speaks against a pass, and what was waived, in the order of time.
    pub findings: Vec<Reason<'a>>,
    /// Each change of master, in the order of time.
    pub failovers: Vec<Change<'a>>,
    /// What the operations of each client came to.
    pub clients: &'a [ClientSummary],
    /// Acknowledged writes that are missing on the final master.
    pub acknowledged_writes_lost: u64,
    /// Time that passed in the run, in milliseconds.
    pub virtual_ms: u64,
    /// Time that the run took, in milliseconds.
    pub wall_ms: u64,
    /// SHA-256 of the history in its NDJSON form, as 64 hex digits.
    pub digest: String,
    /// The command that replays the run.
    pub replay: &'a str,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reason<'a> {
    /// `violation`, `no_evidence` or `waived`.
    pub severity: Severity,
    /// `I1` to `I9`, `recovered_within`, `failovers`, `acknowledged_writes_lost` or `evidence`.
    pub rule: String,
    /// The client that it concerns.
    pub client: Option<&'a str>,
    /// When it was first seen.
    pub at_us: Time,
    /// One sentence about the first time.
    pub text: &'a str,
    /// How often it was seen.
    pub count: u64,
}

/// A change of master.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change<'a> {
    /// The master's name.
    pub master: &'a str,
    /// The fault that began it.
    pub fault_us: Option<Time>,
    /// First `+sdown` of the master.
    pub sdown_us: Option<Time>,
    /// First `+odown`.
    pub odown_us: Option<Time>,
    /// `+elected-leader`.
    pub elected_us: Option<Time>,
    /// The new master accepts writes.
    pub promoted_us: Option<Time>,
    /// First answer of a Sentinel with the new address.
    pub first_answer_us: Option<Time>,
    /// First `+switch-master`.
    pub switch_us: Option<Time>,
    /// T0: the majority answers the new master, and it accepts writes.
    pub converged_us: Option<Time>,
    /// First question of a client to a Sentinel after the fault.
    pub rediscovered_us: Option<Time>,
    /// First acknowledged write on the new master.
    pub first_write_us: Option<Time>,
    /// From the fault to that write.
    pub total_us: Option<u64>,
}

/// The document of a run, as one line of JSON without a newline.
pub fn json(run: &Run<'_>) -> String {
    serde_json::to_string(&document(run)).expect("plain data has a JSON form")
}

/// The document of a run.
pub fn document<'a>(run: &Run<'a>) -> Document<'a> {
    let verdict = run.verdict;
    Document {
        format: FORMAT,
        name: run.name,
        title: &run.plan.title,
        file: run.file,
        seed: run.seed,
        driver: run.driver,
        outcome: verdict.outcome,
        findings: verdict.findings.iter().map(reason).collect(),
        failovers: verdict.failovers.iter().map(change).collect(),
        clients: &verdict.clients,
        acknowledged_writes_lost: verdict.acknowledged_writes_lost,
        virtual_ms: run.virtual_time.as_millis() as u64,
        wall_ms: run.wall_time.as_millis() as u64,
        digest: run.history.digest(),
        replay: run.replay,
    }
}

fn reason(finding: &Finding) -> Reason<'_> {
    let rule = match finding.rule {
        Rule::Invariant(invariant) => format!("{invariant:?}"),
        rule => rule.to_string(),
    };
    Reason {
        severity: finding.severity,
        rule,
        client: finding.client.as_ref().map(model::ClientId::as_str),
        at_us: finding.at,
        text: &finding.text,
        count: finding.count,
    }
}

fn change(recovery: &Recovery) -> Change<'_> {
    Change {
        master: &recovery.master,
        fault_us: recovery.fault,
        sdown_us: recovery.sdown,
        odown_us: recovery.odown,
        elected_us: recovery.elected,
        promoted_us: recovery.promoted,
        first_answer_us: recovery.first_answer,
        switch_us: recovery.switch,
        converged_us: recovery.converged,
        rediscovered_us: recovery.rediscovered,
        first_write_us: recovery.first_write,
        total_us: recovery.total().map(|total| total.as_micros() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Story;

    #[test]
    fn the_document_is_stable() {
        let story = Story::clung();
        let pretty = serde_json::to_string_pretty(&document(&story.run())).unwrap();
        insta::assert_snapshot!(pretty);
    }

    #[test]
    fn it_is_one_line() {
        let story = Story::recovered();
        let text = json(&story.run());
        assert!(!text.contains('\n'));
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["outcome"], "pass");
        assert_eq!(read["failovers"][0]["total_us"], 5_002_000);
        assert_eq!(read["digest"], story.history.digest());
    }
}
