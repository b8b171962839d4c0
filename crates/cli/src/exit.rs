//! How the process ends. The numbers are stable.

use std::process::ExitCode;

use model::Outcome;

/// Ways to end, the worst last: the end of several runs is their worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// 0: every run passed.
    Pass,
    /// 3: a run did not prove anything, none failed.
    Inconclusive,
    /// 1: an invariant or expectation was violated, a run broke, or two runs of one seed differed.
    Violation,
    /// 2: the arguments or a scenario cannot be used.
    Unusable,
}

impl Exit {
    /// The end for the outcome of a run.
    pub(crate) fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Pass => Self::Pass,
            Outcome::Inconclusive => Self::Inconclusive,
            Outcome::Fail => Self::Violation,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Pass => 0,
            Exit::Violation => 1,
            Exit::Unusable => 2,
            Exit::Inconclusive => 3,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_decides() {
        let ends = [Exit::Pass, Exit::Violation, Exit::Inconclusive];
        assert_eq!(ends.into_iter().max(), Some(Exit::Violation));
        assert_eq!([Exit::Pass, Exit::Inconclusive].into_iter().max(), Some(Exit::Inconclusive));
    }
}
