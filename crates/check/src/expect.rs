//! The expectations of the plan: how many changes of master, recovered within, acknowledged writes lost.

use std::time::Duration;

use model::Time;
use model::plan::{Client, Workload};
use model::verdict::Rule;

use crate::facts::{Facts, Op};
use crate::findings::{Findings, seconds};

/// Adds every expectation that was not met. `lost`: acknowledged writes that are missing.
pub(crate) fn check(facts: &Facts<'_>, lost: u64, findings: &mut Findings<'_>) {
    let expect = &facts.plan.expect;
    if let Some(expected) = expect.failovers {
        let changes: Vec<_> = (0..facts.masterships.len()).flat_map(|group| facts.failovers(group)).collect();
        if changes.len() as u64 != u64::from(expected) {
            let path: Vec<String> = changes.iter().map(|c| format!("to {} at {}", c.node, c.answered)).collect();
            let path = if path.is_empty() { String::new() } else { format!(": {}", path.join(", ")) };
            let text = format!("the master changed {} times instead of {expected}{path}", changes.len());
            findings.unmet(Rule::Failovers, None, changes.first().map_or(facts.end, |c| c.answered), text);
        }
    }
    if let Some(allowed) = expect.acknowledged_writes_lost
        && lost > allowed
    {
        let text = format!("{lost} acknowledged writes are missing at the end; {allowed} are allowed");
        findings.unmet(Rule::AcknowledgedWritesLost, None, facts.end, text);
    }
    if let Some(within) = expect.recovered_within {
        for client in facts.plan.clients.iter().filter(|client| writes(client)) {
            check_recovery(facts, client, within, findings);
        }
    }
}

fn writes(client: &Client) -> bool {
    matches!(client.workload, Workload::Counter | Workload::Register | Workload::Queue)
}

fn check_recovery(facts: &Facts<'_>, client: &Client, within: Duration, findings: &mut Findings<'_>) {
    let Some(fault) = facts.firings.first().map(|firing| firing.at) else { return };
    let text = match recovered(facts, client) {
        Some(at) if at.since(fault) <= within => return,
        Some(at) => format!(
            "{} recovered at {at}, {} after the first fault; {} are allowed",
            client.id,
            seconds(at.since(fault)),
            seconds(within)
        ),
        None => format!("{} never recovered from the fault at {fault}; {} are allowed", client.id, seconds(within)),
    };
    findings.unmet(Rule::RecoveredWithin, Some(&client.id), fault + within, text);
}

/// When the client had recovered: its first acknowledged write that the last new master executed after it had become
/// the master. If the master did not change: its first acknowledged write that began after the last lasting fault was
/// undone, or, if none lasted, after the first fault.
pub(crate) fn recovered(facts: &Facts<'_>, client: &Client) -> Option<Time> {
    let group = facts.group_of(client)?;
    let good = |wanted: &dyn Fn(&Op<'_>) -> bool| {
        let done = facts.ops_of(client).filter(|op| op.ok() && op.action.writes() && wanted(op));
        done.map(|op| op.ended_at(facts.end)).min()
    };
    if let Some(change) = facts.failovers(group).last() {
        let converged = change.converged?;
        let since = facts.promotions(change.node).filter(|at| *at <= converged).last().unwrap_or(converged);
        return good(&|op| op.ran().any(|(at, execution)| at >= since && execution.node == change.node));
    }
    let first = facts.firings.first()?.at;
    let healed = facts.firings.iter().map(|firing| firing.until).filter(|until| *until != Time::NEVER).max();
    let since = healed.unwrap_or(first);
    good(&|op| op.started >= since)
}
