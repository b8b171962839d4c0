//! [`Tally`]: many runs of one scenario, as for `--repeat`.

use std::time::Duration;

use model::{Outcome, Verdict};

use crate::phases::{Phases, short};
use crate::style::{Ink, Style};

/// Counts outcomes and collects how long recoveries took.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    passed: u64,
    failed: u64,
    inconclusive: u64,
    recoveries: Vec<Phases>,
}

impl Tally {
    /// Counts one run. Of each, every change of master counts.
    pub fn add(&mut self, verdict: &Verdict) {
        match verdict.outcome {
            Outcome::Pass => self.passed += 1,
            Outcome::Fail => self.failed += 1,
            Outcome::Inconclusive => self.inconclusive += 1,
        }
        self.recoveries.extend(verdict.failovers.iter().map(Phases::of));
    }

    /// The worst outcome so far; `None` before the first run.
    pub fn outcome(&self) -> Option<Outcome> {
        [(self.failed, Outcome::Fail), (self.inconclusive, Outcome::Inconclusive), (self.passed, Outcome::Pass)]
            .into_iter()
            .find(|(count, _)| *count > 0)
            .map(|(_, outcome)| outcome)
    }

    /// Outcomes in one line, and below it least, median and greatest time of each phase of recovery, if there was any.
    pub fn text(&self, style: Style) -> String {
        let runs = self.passed + self.failed + self.inconclusive;
        let count = |count: u64, outcome: Outcome| {
            let text = format!("{count} {outcome}");
            if count > 0 { style.paint(Ink::of(outcome), &text) } else { text }
        };
        let mut text = format!(
            "{runs} {}: {}, {}, {}",
            if runs == 1 { "run" } else { "runs" },
            count(self.passed, Outcome::Pass),
            count(self.failed, Outcome::Fail),
            count(self.inconclusive, Outcome::Inconclusive)
        );
        let phases = std::iter::once("recovered").chain(Phases::NAMES);
        let rows: Vec<String> = phases.enumerate().filter_map(|(index, name)| self.row(index, name)).collect();
        if !rows.is_empty() {
            text.push_str(&style.paint(Ink::Faint, &format!("\n{:9} {:>9} {:>9} {:>9}", "", "min", "median", "max")));
            text.push_str(&rows.concat());
        }
        text
    }

    /// Row 0 is the total, the others are the phases.
    fn row(&self, index: usize, name: &str) -> Option<String> {
        let value = |phases: &Phases| match index {
            0 => phases.total,
            _ => phases.parts()[index - 1],
        };
        let mut values: Vec<Duration> = self.recoveries.iter().filter_map(value).collect();
        values.sort_unstable();
        let [min, median, max] = spread(&values)?.map(|value| short(Some(value)));
        Some(format!("\n{name:9} {min:>9} {median:>9} {max:>9}"))
    }
}

/// Least, median (of an even number the lower of the two in the middle) and greatest of sorted values.
fn spread(sorted: &[Duration]) -> Option<[Duration; 3]> {
    Some([*sorted.first()?, sorted[(sorted.len() - 1) / 2], *sorted.last()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Story;

    #[test]
    fn the_median_is_one_of_the_values() {
        let seconds = |values: &[u64]| values.iter().map(|s| Duration::from_secs(*s)).collect::<Vec<_>>();
        let table: [(&[u64], Option<[u64; 3]>); 4] =
            [(&[], None), (&[3], Some([3, 3, 3])), (&[1, 2], Some([1, 1, 2])), (&[1, 2, 9], Some([1, 2, 9]))];
        for (values, expected) in table {
            assert_eq!(spread(&seconds(values)), expected.map(|three| three.map(Duration::from_secs)));
        }
    }

    #[test]
    fn outcomes_are_counted_and_recoveries_spread() {
        let mut tally = Tally::default();
        assert_eq!(tally.outcome(), None);
        tally.add(&Story::recovered().verdict);
        tally.add(&Story::recovered().verdict);
        assert_eq!(tally.outcome(), Some(Outcome::Pass));
        tally.add(&Story::clung().verdict);
        assert_eq!(tally.outcome(), Some(Outcome::Fail));
        insta::assert_snapshot!(tally.text(Style::default()));
    }
}
