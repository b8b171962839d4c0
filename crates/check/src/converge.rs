//! I1 converge: every command started after T0+W succeeds, on the new master.
//!
//! T0 is generalised to the start of any good period (see [`Periods`]), since an outage may also end because the same
//! master comes back. A command is held to it if it started W after the start of the period and came to its end, or
//! ran out of its deadline, inside of it. Excused are commands that were open when a fault cut a reply to their client:
//! what became of them the client cannot know. Reads from replicas are not master-bound and not held to it.
//!
//! A message that was published in such a time must also reach the client's own subscriber.

use std::time::Duration;

use model::Time;
use model::history::{Action, OpResult};
use model::plan::{Client, Workload};
use model::verdict::Invariant;

use crate::facts::{Facts, Op};
use crate::findings::{Findings, seconds};
use crate::periods::{Period, Periods, find};

/// Adds what `client` did against it.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, periods: &Periods, findings: &mut Findings<'_>) {
    let cuts: Vec<Time> =
        facts.executions_of(client).iter().filter(|(_, execution)| execution.reply_cut).map(|(at, _)| *at).collect();
    for op in facts.ops_of(client) {
        let Some(period) = held_to(facts, client, op, &periods.good) else { continue };
        let ended = op.ended_at(facts.end);
        if cuts.iter().any(|cut| op.started <= *cut && *cut <= ended) {
            continue;
        }
        if let Some(wrong) = wrong(facts, client, op, period) {
            let text = format!(
                "{} was started at {}, {}, and {wrong}",
                op.id,
                op.started,
                since(facts, client, period, op.started)
            );
            findings.violated(Invariant::I1, Some(&client.id), op.started, text);
        }
    }
}

/// The good period that holds `op` to success; `None` if nothing does.
pub(crate) fn held_to<'p>(facts: &Facts<'_>, client: &Client, op: &Op<'_>, good: &'p [Period]) -> Option<&'p Period> {
    let period = find(good, op.started)?;
    let start = period.from.max(Time::from(client.start));
    let due = op.started + client.deadline;
    let over = match op.ended {
        // A subscription goes on until it is lost; what counts is that it was lost in good times.
        Some((at, _)) if op.action == Action::Subscribe => at,
        Some((at, OpResult::Ok { .. })) => at,
        Some((at, _)) => at.min(due),
        None if op.action == Action::Subscribe => return None,
        None => due,
    };
    let stopped = matches!(op.ended, None | Some((_, OpResult::Unfinished)));
    let judged = if stopped { due <= facts.end && op.action != Action::Subscribe } else { true };
    (op.action.master_bound() && op.started >= start + client.budget && over < period.until && judged).then_some(period)
}

fn wrong(facts: &Facts<'_>, client: &Client, op: &Op<'_>, period: &Period) -> Option<String> {
    match op.ended {
        Some((_, OpResult::Failed(error))) => return Some(format!("failed: {}", error.error)),
        Some((_, OpResult::Ambiguous(error))) => return Some(format!("failed, perhaps done: {}", error.error)),
        Some((_, OpResult::Unfinished)) | None => return Some("never ended".to_owned()),
        Some((_, OpResult::Ok { .. })) => {}
    }
    let mut ran = op.ran().map(|(_, execution)| execution.node).peekable();
    if let Some(first) = ran.peek().copied()
        && ran.all(|node| node != period.node)
    {
        return Some(format!("was executed on {first}"));
    }
    undelivered(facts, client, op, period).then(|| "was published, but never reached the subscriber".to_owned())
}

/// Messages travel in milliseconds; a second later the message is lost.
const DELIVERY: Duration = Duration::from_secs(1);

fn undelivered(facts: &Facts<'_>, client: &Client, op: &Op<'_>, period: &Period) -> bool {
    let due = op.ended_at(facts.end) + DELIVERY;
    client.workload == Workload::PubSub
        && op.action == Action::Publish
        && due < period.until
        && due <= facts.end.min(Time::from(facts.plan.run_for))
        && !facts.delivered.contains(op.id)
}

/// How `at` lies to the period: `3.2s after redis-2 had become the master (T0 15.2s, budget 3s)`.
pub(crate) fn since(facts: &Facts<'_>, client: &Client, period: &Period, at: Time) -> String {
    let Period { node, from, .. } = *period;
    let budget = seconds(client.budget);
    let group = facts.group_of(client);
    let change = group.and_then(|group| facts.failovers(group).find(|m| m.converged == Some(from)));
    if from == Time::ZERO {
        format!("with {node} the healthy master since the start (budget {budget})")
    } else if change.is_some() {
        format!("{} after {node} had become the master (T0 {from}, budget {budget})", seconds(at.since(from)))
    } else {
        format!("{} after {node} was in service again ({from}, budget {budget})", seconds(at.since(from)))
    }
}
