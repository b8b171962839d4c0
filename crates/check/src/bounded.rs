//! I5 bounded: every call returns by its deadline.
//!
//! Virtual time is exact, but tokio's timers have a granularity of 1 ms and fire late rather than early, so that a
//! deadline that is kept may be seen to be 1 ms over. Where the clock of the run follows the real one, how late the system wakes a
//! thread comes on top. A subscription is no call that returns.

use std::time::Duration;

use model::history::{Action, OpResult};
use model::plan::Client;
use model::verdict::Invariant;

use crate::facts::{Facts, Op};
use crate::findings::{Findings, seconds};

const TIMER: Duration = Duration::from_millis(1);

/// Real time by which a client, or what observes it, may be woken late: its own timer, the tick of the run's clock (1 ms), and the
/// time slice of another thread where a machine makes more runs at a time than it has cores. The clock of the run goes on meanwhile,
/// as fast as it goes.
const WAKING: Duration = Duration::from_millis(25);

/// Adds what `client` did against it.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, findings: &mut Findings<'_>) {
    let calls = facts.ops_of(client).filter(|op| op.action != Action::Subscribe);
    for op in calls.filter(|op| is_overdue(facts, client, op)) {
        let took = op.ended_at(facts.end).since(op.started);
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

/// True if the call took longer than it may, or had done so when the run left it: that goes on for a while after all calls are
/// given up.
pub(crate) fn is_overdue(facts: &Facts<'_>, client: &Client, op: &Op<'_>) -> bool {
    let slack = TIMER + facts.speed.map_or(Duration::ZERO, |speed| WAKING * speed);
    op.ended_at(facts.end).since(op.started) > client.deadline + slack
}

#[cfg(test)]
mod tests {
    use model::history::Cause;

    use super::*;
    use crate::story::{Story, plan};

    #[test]
    fn a_call_may_be_one_tick_of_the_timer_late() {
        let late = |ms: u64| {
            let mut story = Story::failover();
            story.bad(900, 5_000..15_000 + ms, Cause::Timeout, "slow");
            story.against(&plan(), Invariant::I5)
        };
        assert!(late(1).is_empty());
        assert_eq!(late(2), ["writer#900, started at 5.000s, took 10.002s; its deadline was 10s"]);
    }

    #[test]
    fn in_real_time_a_call_may_be_late_by_what_it_takes_to_wake_a_thread() {
        let late = |ms: u64| {
            let mut story = Story::failover();
            story.history.header.speed = Some(4);
            story.bad(900, 5_000..15_000 + ms, Cause::Timeout, "slow");
            story.against(&plan(), Invariant::I5)
        };
        assert!(late(101).is_empty(), "25 ms, four times as fast");
        assert_eq!(late(102).len(), 1);
    }

    #[test]
    fn an_open_call_counts_up_to_the_end_of_the_run() {
        let open = |ms, action| {
            let mut story = Story::failover();
            story.began(900, ms, action);
            story.against(&plan(), Invariant::I5)
        };
        let text = "writer#900, started at 19.000s, was still open at the end of the run, after 11.001s; \
                    its deadline was 10s";
        assert_eq!(open(19_000, Action::Incr), [text]);
        assert!(open(20_001, Action::Incr).is_empty());
        assert!(open(5_000, Action::Subscribe).is_empty(), "a subscription may last");
    }
}
