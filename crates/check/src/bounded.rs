//! I5 bounded: every call returns by its deadline.
//!
//! Virtual time is exact, but tokio's timers have a granularity of 1 ms and fire late rather than early, so that a
//! deadline that is kept may be seen to be 1 ms over. A subscription is no call that returns.

use std::time::Duration;

use model::history::{Action, OpResult};
use model::plan::Client;
use model::verdict::Invariant;

use crate::facts::Facts;
use crate::findings::{Findings, seconds};

const TIMER: Duration = Duration::from_millis(1);

/// Adds what `client` did against it.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, findings: &mut Findings<'_>) {
    for op in facts.ops_of(client).filter(|op| op.action != Action::Subscribe) {
        let took = op.ended_at(facts.end).since(op.started);
        if took <= client.deadline + TIMER {
            continue;
        }
        let end = match op.ended {
            Some((_, OpResult::Unfinished)) | None => "was still open at the end of the run, after",
            Some(_) => "took",
        };
        let text = format!(
            "{}, started at {}, {end} {}; its deadline was {}",
            op.id,
            op.started,
            seconds(took),
            seconds(client.deadline)
        );
        findings.violated(Invariant::I5, Some(&client.id), op.started + client.deadline, text);
    }
}
