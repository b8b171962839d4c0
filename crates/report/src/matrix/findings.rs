//! [`Finding`]: the scenarios in which a driver does not pass for the same reason, told once.

use std::fmt::Write as _;

use serde::Serialize;

use super::{Mark, Matrix, Why};
use crate::style::Style;

/// One reason, and where it holds.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Finding<'a> {
    driver: &'a str,
    mark: Mark,
    /// What happened in the first of the scenarios.
    reason: &'a str,
    documented: Option<&'a str>,
    /// The command that repeats that.
    replay: &'a str,
    /// In the order of the rows.
    scenarios: Vec<Place<'a>>,
    #[serde(skip)]
    cause: &'a str,
}

/// A scenario in which it holds.
#[derive(Debug, PartialEq, Serialize)]
struct Place<'a> {
    scenario: &'a str,
    not_passed: u64,
    runs: u64,
    seed: u64,
}

impl Matrix {
    /// Why a driver does not pass, each reason once: the worst first, then in the order of the rows.
    pub(super) fn findings(&self, driver: usize) -> Vec<Finding<'_>> {
        let mut findings: Vec<Finding<'_>> = Vec::new();
        for (row, scenario) in self.scenarios.iter().enumerate() {
            let cell = self.cell(row, driver);
            let Some(Why { reason, cause, seed, replay, .. }) = &cell.why else { continue };
            let place = Place { scenario, not_passed: cell.not_passed, runs: cell.runs, seed: *seed };
            let (mark, documented) = (cell.mark(), cell.documented.as_deref());
            let same = |known: &&mut Finding<'_>| {
                (known.mark, known.cause, known.documented) == (mark, cause.as_str(), documented)
            };
            match findings.iter_mut().find(same) {
                Some(known) => known.scenarios.push(place),
                None => findings.push(Finding {
                    driver: &self.drivers[driver].name,
                    mark,
                    reason,
                    documented,
                    replay,
                    scenarios: vec![place],
                    cause,
                }),
            }
        }
        findings.sort_by_key(|finding| finding.mark);
        findings
    }
}

impl Finding<'_> {
    /// `kill, quiet (2 of 5, seed 3)`: of several runs, how many did not pass, and the first of the worst.
    fn places(&self) -> String {
        let place = |Place { scenario, not_passed, runs, seed }: &Place<'_>| match runs {
            2.. => format!("{scenario} ({not_passed} of {runs}, seed {seed})"),
            _ => (*scenario).to_owned(),
        };
        self.scenarios.iter().map(place).collect::<Vec<_>>().join(", ")
    }

    /// `In kill: ..`, which need not be said of the only one.
    fn told(&self) -> String {
        match &self.scenarios[..] {
            [first, _, ..] => format!("In {}: {}", first.scenario, self.reason),
            _ => self.reason.to_owned(),
        }
    }

    /// For a terminal.
    pub(super) fn text(&self, style: Style, out: &mut String) {
        let (driver, mark, places) = (self.driver, self.mark.word(), self.places());
        let _ = match &self.scenarios[..] {
            [_] => writeln!(out, "\n{driver}: {mark} in {places}"),
            many => writeln!(out, "\n{driver}: {mark} in {} scenarios\n{}", many.len(), style.wrap("  ", &places)),
        };
        let _ = writeln!(out, "{}", style.wrap("  ", &self.told()));
        if let Some(documented) = self.documented {
            let _ = writeln!(out, "  documented: {documented}");
        }
        let _ = writeln!(out, "  replay: {}", self.replay);
    }

    /// For the page.
    pub(super) fn markdown(&self, out: &mut String) {
        let (mark, places, told) = (self.mark.word(), self.places(), self.told());
        let _ = match &self.scenarios[..] {
            [_] => write!(out, "- **{mark}** in {places}: {told}"),
            many => write!(out, "- **{mark}** in {} scenarios: {places}. {told}", many.len()),
        };
        if let Some(documented) = self.documented {
            let _ = write!(out, " *Documented: {documented}*");
        }
        let _ = writeln!(out, " `{}`", self.replay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Cell;
    use crate::matrix::tests::{matrix, wrong_error};

    #[test]
    fn what_is_alike_is_told_once_and_the_worst_first() {
        let mut matrix = matrix();
        matrix.scenarios.extend(["late", "later"].map(str::to_owned));
        let like = |cause: &str, documented: Option<&str>| Cell {
            why: wrong_error().why.map(|why| Why { cause: cause.to_owned(), ..why }),
            documented: documented.map(str::to_owned),
            ..matrix.cells[1].clone()
        };
        let fail = like("I1", None);
        matrix.cells = [[wrong_error(), fail.clone()], [wrong_error(), like("I2", None)], [fail.clone(), fail]]
            .into_iter()
            .chain([[wrong_error(), like("I1", Some("so it is"))]])
            .flatten()
            .collect();
        let told = |driver| {
            let findings = matrix.findings(driver);
            findings.iter().map(|finding| (finding.mark, finding.places())).collect::<Vec<_>>()
        };
        let one = |mark, places: &str| (mark, places.to_owned());
        let in_three = "kill (1 of 2, seed 2), quiet (1 of 2, seed 2), later (1 of 2, seed 2)";
        assert_eq!(told(0), [one(Mark::Fail, "late (1 of 2, seed 2)"), one(Mark::WrongError, in_three)]);
        let of_bad =
            ["kill (1 of 2, seed 2), late (1 of 2, seed 2)", "quiet (1 of 2, seed 2)", "later (1 of 2, seed 2)"];
        assert_eq!(told(1), of_bad.map(|places| one(Mark::Fail, places)));
    }
}
