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
        if op.ran().next().is_none() {
            let text = format!("{} was acknowledged, but no node executed it", op.id);
            findings.violated(Invariant::I4, Some(&client.id), op.ended_at(facts.end), text);
            lost += 1;
            continue;
        }
        let Some(last) = last.filter(|last| !last.lineage.is_empty()) else {
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
    // A master that does not run holds nothing; whether that matters the plan says.
    let down = last.is_some_and(|last| !last.up) && facts.plan.expect.acknowledged_writes_lost.is_none();
    if let Some(at) = unknown.filter(|_| !down) {
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

#[cfg(test)]
mod tests {
    use model::history::{Execution, Position, What};
    use model::verdict::{Rule, Severity};

    use super::*;
    use crate::story::{A, B, C, Story, incr, plan};

    fn acknowledged(ms: u64, execution: Option<Execution>) -> Story {
        let mut story = Story::failover();
        story.began(900, ms, Action::Incr);
        if let Some(execution) = execution {
            story.tell(ms + 1, What::Executed(execution));
        }
        story.ended_ok(900, ms + 2);
        story
    }

    fn at_offset(offset: u64, node: model::NodeId) -> Execution {
        let position = Some(Position { replid: 1, offset });
        Execution { position, ..incr(900, node) }
    }

    #[test]
    fn what_the_new_master_had_received_is_not_lost() {
        let verdict = acknowledged(9_990, Some(at_offset(9_991, A))).judge(&plan());
        assert_eq!(verdict.acknowledged_writes_lost, 0);
    }

    #[test]
    fn what_only_the_old_master_had_is_lost_honestly_and_counted() {
        let story = acknowledged(9_990, Some(at_offset(10_001, A)));
        assert_eq!(story.judge(&plan()).acknowledged_writes_lost, 1);
        assert!(story.against(&plan(), Invariant::I4).is_empty());
        let mut plan = plan();
        plan.expect.acknowledged_writes_lost = Some(0);
        let unmet = story.under(&plan, Rule::AcknowledgedWritesLost);
        assert_eq!(unmet[0].text, "1 acknowledged writes are missing at the end; 0 are allowed");
        plan.expect.acknowledged_writes_lost = Some(1);
        assert!(story.under(&plan, Rule::AcknowledgedWritesLost).is_empty());
    }

    #[test]
    fn an_acknowledged_write_that_no_node_executed_is_a_lie() {
        let text = "writer#900 was acknowledged, but no node executed it";
        assert_eq!(acknowledged(20_000, None).against(&plan(), Invariant::I4), [text]);
        let refused = Execution { error: Some("READONLY".into()), ..at_offset(1, B) };
        assert_eq!(acknowledged(20_000, Some(refused)).against(&plan(), Invariant::I4), [text]);
    }

    #[test]
    fn what_the_final_master_dropped_itself_is_no_honest_loss() {
        let texts = acknowledged(20_000, Some(at_offset(99_999, B))).against(&plan(), Invariant::I4);
        assert!(texts[0].ends_with("neither demoted nor stopped since"), "{texts:?}");
    }

    #[test]
    fn what_the_final_master_lost_by_a_demotion_in_between_is_honest() {
        let mut story = acknowledged(20_000, Some(at_offset(99_999, B)));
        story.role(21_000, B, Some(C));
        story.role(22_000, B, None);
        assert!(story.against(&plan(), Invariant::I4).is_empty());
        assert_eq!(story.judge(&plan()).acknowledged_writes_lost, 1);
    }

    #[test]
    fn a_write_on_a_replica_is_no_honest_loss() {
        let execution = Execution { master: false, ..at_offset(99_999, C) };
        let texts = acknowledged(20_000, Some(execution)).against(&plan(), Invariant::I4);
        assert!(texts[0].ends_with("without being the master"), "{texts:?}");
    }

    #[test]
    fn a_final_master_that_does_not_run_is_no_loss_yet() {
        let mut story = Story::failover();
        story.forget(|what| matches!(what, What::Final(_)));
        let lineage = Vec::new();
        story.tell(30_001, What::Final(FinalData { node: B, of: None, up: false, offset: 0, lineage }));
        let mut plan = plan();
        assert_eq!(story.judge(&plan).acknowledged_writes_lost, 0);
        assert!(story.under(&plan, Rule::Evidence).is_empty());
        plan.expect.acknowledged_writes_lost = Some(9);
        assert_eq!(story.under(&plan, Rule::Evidence).len(), 1);
    }

    #[test]
    fn without_the_final_state_nothing_is_proven() {
        let mut story = Story::failover();
        story.forget(|what| matches!(what, What::Final(_)));
        let unproven = story.under(&plan(), Rule::Evidence);
        assert_eq!(unproven[0].severity, Severity::NoEvidence);
        assert_eq!(unproven[0].text, "what the master of mymaster holds at the end is not known");
    }
}
