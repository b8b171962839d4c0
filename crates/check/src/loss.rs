//! I4 honest loss: an acknowledged operation that is missing was acknowledged by the old master before its demotion.
//!
//! Missing is an acknowledged write that the final master's data set does not descend from. That is honest, and only
//! counted, if a master executed it and afterwards lost what it alone held, because it was demoted or its process
//! ended. Anything else is a violation: a write that was acknowledged and executed nowhere, or by a node that was no
//! master, or one that the final master dropped without a reason.

use model::history::{Action, FinalData};
use model::plan::Client;
use model::verdict::Invariant;

use crate::facts::{Facts, Op};
use crate::findings::Findings;

/// Adds what `client` did against it and returns how many of its acknowledged writes are missing.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, findings: &mut Findings<'_>) -> u64 {
    let mut lost = 0;
    let Some(group) = facts.group_of(client) else { return lost };
    let last = facts.majority(group, facts.end).and_then(|node| facts.finals.get(&node).copied());
    let mut unknown = None;
    for op in facts.ops_of(client).filter(|op| op.ok() && traceable(op.action)) {
        let Some((_, _)) = op.ran().next() else {
            let text = format!("{} was acknowledged, but no node executed it", op.id);
            findings.violated(Invariant::I4, Some(&client.id), op.ended_at(facts.end), text);
            lost += 1;
            continue;
        };
        let Some(last) = last else {
            unknown.get_or_insert(op.ended_at(facts.end));
            continue;
        };
        if !missing(op, last) {
            continue;
        }
        lost += 1;
        if let Some(reason) = dishonest(facts, op, last) {
            let text = format!("{} was acknowledged and is missing on {} at the end: {reason}", op.id, last.node);
            findings.violated(Invariant::I4, Some(&client.id), op.ended_at(facts.end), text);
        }
    }
    if let Some(at) = unknown {
        let text = format!("what the master of {} holds at the end is not known", client.master);
        findings.unproven(Some(&client.id), at, text);
    }
    lost
}

/// True if the executions of such operations name them. Those of `BLPOP` do not.
fn traceable(action: Action) -> bool {
    action.writes() && action != Action::Pop
}

fn missing(op: &Op<'_>, last: &FinalData) -> bool {
    let positions: Vec<_> = op.ran().filter_map(|(_, execution)| execution.position.as_ref()).collect();
    !positions.is_empty() && !positions.iter().any(|position| last.holds(position))
}

/// Why a missing write is no honest loss; `None` if it is one.
fn dishonest(facts: &Facts<'_>, op: &Op<'_>, last: &FinalData) -> Option<String> {
    let honest = op.ran().any(|(at, execution)| {
        execution.master && (execution.node != last.node || facts.lost_its_data_after(execution.node, at))
    });
    if honest {
        return None;
    }
    let (at, execution) = op.ran().last()?;
    Some(if execution.master {
        format!("that same node had executed it at {at} and was neither demoted nor stopped since")
    } else {
        format!("{} had executed it at {at} without being the master", execution.node)
    })
}
