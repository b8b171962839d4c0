//! [`Findings`]: what speaks against a pass, folded per rule and client, with the plan's waivers applied.

use std::time::Duration;

use model::plan::Plan;
use model::verdict::{Finding, Invariant, Rule, Severity};
use model::{ClientId, Outcome, Time};

/// Collects findings.
pub(crate) struct Findings<'a> {
    plan: &'a Plan,
    all: Vec<Finding>,
}

impl<'a> Findings<'a> {
    /// None yet.
    pub(crate) fn new(plan: &'a Plan) -> Self {
        Self { plan, all: Vec::new() }
    }

    /// An invariant was violated.
    pub(crate) fn violated(&mut self, invariant: Invariant, client: Option<&str>, at: Time, text: String) {
        self.violated_by(invariant, client, at, text, false);
    }

    /// An invariant was violated, and it is known whether a lost connection accounts for it.
    pub(crate) fn violated_by(
        &mut self,
        invariant: Invariant,
        client: Option<&str>,
        at: Time,
        text: String,
        connection_lost: bool,
    ) {
        let waived = self.plan.expect.waive.iter().any(|(waived, _)| *waived == invariant);
        let severity = if waived { Severity::Waived } else { Severity::Violation };
        self.add(severity, Rule::Invariant(invariant), client, at, text, connection_lost);
    }

    /// An invariant was violated in a way that no waiver forgives.
    pub(crate) fn beyond(&mut self, invariant: Invariant, client: Option<&str>, at: Time, text: String) {
        self.add(Severity::Violation, Rule::Invariant(invariant), client, at, text, false);
    }

    /// What an invariant allows. It is told only where the plan waives the invariant, and so gives a reason for it.
    pub(crate) fn honest(&mut self, invariant: Invariant, client: Option<&str>, at: Time, text: String) {
        if self.plan.expect.waive.iter().any(|(waived, _)| *waived == invariant) {
            self.add(Severity::Waived, Rule::Invariant(invariant), client, at, text, false);
        }
    }

    /// An expectation of the plan was not met.
    pub(crate) fn unmet(&mut self, rule: Rule, client: Option<&str>, at: Time, text: String) {
        self.unmet_by(rule, client, at, text, false);
    }

    /// An expectation of the plan was not met, and it is known whether lost connections account for that.
    pub(crate) fn unmet_by(&mut self, rule: Rule, client: Option<&str>, at: Time, text: String, connection_lost: bool) {
        self.add(Severity::Violation, rule, client, at, text, connection_lost);
    }

    /// Something that the run had to show was not seen.
    pub(crate) fn unproven(&mut self, client: Option<&str>, at: Time, text: String) {
        self.add(Severity::NoEvidence, Rule::Evidence, client, at, text, false);
    }

    fn add(
        &mut self,
        severity: Severity,
        rule: Rule,
        client: Option<&str>,
        at: Time,
        text: String,
        connection_lost: bool,
    ) {
        let client = client.map(ClientId::new);
        // Pieces of evidence that are missing differ from each other; violations of one rule are of a kind.
        let same = |known: &&mut Finding| {
            severity != Severity::NoEvidence
                && known.severity == severity
                && known.rule == rule
                && known.client == client
        };
        match self.all.iter_mut().find(same) {
            Some(known) => {
                known.count += 1;
                known.connection_lost &= connection_lost;
                if at < known.at {
                    (known.at, known.text) = (at, text);
                }
            }
            None => self.all.push(Finding { severity, rule, client, at, text, count: 1, connection_lost }),
        }
    }

    /// True if something weighs so much.
    pub(crate) fn has(&self, severity: Severity) -> bool {
        self.all.iter().any(|finding| finding.severity == severity)
    }

    /// The findings in the order of time, and what they come to.
    pub(crate) fn conclude(mut self) -> (Outcome, Vec<Finding>) {
        self.all.sort_by_key(|finding| finding.at);
        let outcome = if self.has(Severity::Violation) {
            Outcome::Fail
        } else if self.has(Severity::NoEvidence) {
            Outcome::Inconclusive
        } else {
            Outcome::Pass
        };
        (outcome, self.all)
    }
}

/// A duration in seconds, without zeros at its end: `3s`, `0.25s`.
pub(crate) fn seconds(duration: Duration) -> String {
    let text = format!("{:.3}", duration.as_secs_f64());
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `1 time`, `2 times`.
pub(crate) fn counted(count: impl Into<u64>, noun: &str) -> String {
    let count = count.into();
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_short() {
        let table = [(0, "0s"), (3_000, "3s"), (250, "0.25s"), (12_345, "12.345s"), (10_000, "10s")];
        for (ms, text) in table {
            assert_eq!(seconds(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn the_same_is_counted_and_the_earliest_is_told() {
        let mut plan = crate::story::plan();
        plan.expect.waive.push((Invariant::I6, "not of interest".into()));
        let mut findings = Findings::new(&plan);
        findings.violated(Invariant::I1, Some("a"), Time::from_millis(9), "later".into());
        findings.violated(Invariant::I1, Some("a"), Time::from_millis(5), "first".into());
        findings.violated(Invariant::I1, Some("b"), Time::from_millis(7), "other".into());
        findings.violated(Invariant::I6, Some("a"), Time::from_millis(1), "waived".into());
        let (outcome, all) = findings.conclude();
        assert_eq!(outcome, Outcome::Fail);
        let seen: Vec<_> = all.iter().map(|f| (f.text.as_str(), f.count, f.severity)).collect();
        let violation = Severity::Violation;
        assert_eq!(seen, [("waived", 1, Severity::Waived), ("first", 2, violation), ("other", 1, violation)]);
    }
}
