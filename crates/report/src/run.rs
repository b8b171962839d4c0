//! [`Run`]: everything about one run that a report may tell.

use std::time::Duration;

use model::{History, Plan, Verdict};

/// One run, as it was carried out and judged.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    /// What to call it in one word: the file without its ending.
    pub name: &'a str,
    /// The scenario file, if there is one.
    pub file: Option<&'a str>,
    /// The root seed.
    pub seed: u64,
    /// The driver that clients had if the plan named none.
    pub driver: &'a str,
    /// What was run.
    pub plan: &'a Plan,
    /// What happened.
    pub history: &'a History,
    /// What came out.
    pub verdict: &'a Verdict,
    /// Time that passed in the run.
    pub virtual_time: Duration,
    /// Time that passed for the one who waits.
    pub wall_time: Duration,
    /// The command that replays it.
    pub replay: &'a str,
}
