//! I4 honest loss: an acknowledged operation that is missing was acknowledged by the old master before its demotion.
//!
//! Missing is an acknowledged write that the final master's data set does not descend from, as that node says. Whether
//! it had to be missing is worked out from what the links carried: it had, if what a master executed was never received,
//! directly or through others, by the node that is the final master, or was gone again when that one's process ended.
//! The two must be the same set, write by write. An honest loss is counted; anything else is a violation that no waiver
//! forgives:
//!
//! - a write that was acknowledged and executed nowhere, or by a node that was no master;
//! - one that is missing although it had been received: a loss beyond what replication had not brought over;
//! - one that is held although it was never received: then the record itself is wrong.
//!
//! Waiving I4 says why a loss is to be expected, and has the honest ones listed with that.

use std::collections::BTreeSet;

use model::NodeId;
use model::history::{Action, Execution, FinalData, Position, Stream};
use model::plan::Client;
use model::verdict::Invariant;

use crate::facts::{Facts, Moment, Op};
use crate::findings::Findings;

/// Adds what `client` did against it and returns how many of its acknowledged writes are missing.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, findings: &mut Findings<'_>) -> u64 {
    let mut lost = 0;
    let Some(group) = facts.group_of(client) else { return lost };
    let last = facts.majority(group, facts.end).and_then(|node| facts.finals.get(&node).copied());
    let mut unknown = None;
    for op in facts.ops_of(client).filter(|op| op.ok() && traceable(op.action)) {
        let at = op.ended_at(facts.end);
        let parts: BTreeSet<&str> = op.ran().map(|(_, execution)| execution.command.as_str()).collect();
        if parts.len() < op.action.parts() {
            let what = if parts.is_empty() { "it" } else { "all of it" };
            let text = format!("{} was acknowledged, but no node executed {what}", op.id);
            findings.beyond(Invariant::I4, Some(&client.id), at, text);
            lost += 1;
            continue;
        }
        let Some(last) = last.filter(|last| !last.lineage.is_empty()) else {
            unknown.get_or_insert(at);
            continue;
        };
        let fates = parts.into_iter().map(|part| fate(facts, op, part, last));
        let (missing, text) = match fates.reduce(worse).unwrap_or(Fate::Held) {
            Fate::Held => continue,
            Fate::NeverSent(text) => {
                lost += 1;
                findings.honest(Invariant::I4, Some(&client.id), at, text);
                continue;
            }
            Fate::Dropped(text) => (true, text),
            Fate::Conjured(text) => (false, text),
        };
        lost += u64::from(missing);
        findings.beyond(Invariant::I4, Some(&client.id), at, text);
    }
    // A master that does not run holds nothing; whether that matters the plan says.
    let down = last.is_some_and(|last| !last.up) && facts.plan.expect.acknowledged_writes_lost.is_none();
    if let Some(at) = unknown.filter(|_| !down) {
        let text = format!("what the master of {} holds at the end is not known", client.master);
        findings.unproven(Some(&client.id), at, text);
    }
    lost
}

/// True if the executions of such operations name them. Those of `BLPOP` and `BLMOVE` do not.
fn traceable(action: Action) -> bool {
    action.writes() && !matches!(action, Action::Pop | Action::Take)
}

/// The worse of what became of two commands of one operation.
fn worse(one: Fate, other: Fate) -> Fate {
    match (&one, &other) {
        (Fate::Held, _) | (Fate::NeverSent(_), Fate::Dropped(_) | Fate::Conjured(_)) => other,
        _ => one,
    }
}

/// What became of an acknowledged write.
enum Fate {
    /// The final master holds it, or it changed nothing.
    Held,
    /// It is missing, as it must be.
    NeverSent(String),
    /// It is missing and should not be.
    Dropped(String),
    /// It is held and cannot be.
    Conjured(String),
}

fn fate(facts: &Facts<'_>, op: &Op<'_>, part: &str, last: &FinalData) -> Fate {
    let ran = || op.ran_in_order().filter(|(_, execution)| execution.command == part);
    let writes = || ran().filter_map(|(at, execution)| Some((at, execution, execution.position.as_ref()?)));
    let Some((Moment { at, .. }, by, position)) = writes().last() else { return Fate::Held };
    let held = writes().any(|(.., position)| last.holds(position));
    let end = Moment::after(facts.end);
    let source = writes().find_map(|(at, by, position)| source(facts, last.node, end, &Write { at, by, position }));
    let told = format!("{} was acknowledged and is missing on {} at the end", op.id, last.node);
    match (held, source) {
        (true, Some(_)) => Fate::Held,
        (true, None) => Fate::Conjured(format!(
            "{} is held by {} at the end, but what {} had executed at {at}, at {position}, never came to it",
            op.id, last.node, by.node
        )),
        (false, Some(of)) if of == last.node => Fate::Dropped(format!(
            "{told}: that same node had executed it at {at} and was neither demoted nor stopped since"
        )),
        (false, Some(of)) => {
            Fate::Dropped(format!("{told}: {} had executed it at {at}, and it had come over from {of}", by.node))
        }
        (false, None) if writes().any(|(_, by, _)| by.master) => {
            Fate::NeverSent(format!("{told}: {} had executed it at {at}, and it had not come over", by.node))
        }
        (false, None) => Fate::Dropped(format!("{told}: {} had executed it at {at} without being the master", by.node)),
    }
}

/// A write at a node.
struct Write<'a> {
    at: Moment,
    by: &'a Execution,
    position: &'a Position,
}

/// From where `node` has a write up to `until`: from itself, if it executed it, or from the node that sent it. `None`
/// if it has it not, or not any more. A replication history is one line: who has got to an offset of it has all before.
/// Of a stream only the time is known. It takes time to arrive: a process that ended as it began is not the one that got it.
fn source(facts: &Facts<'_>, node: NodeId, until: Moment, write: &Write<'_>) -> Option<NodeId> {
    let since = facts.emptied(node, until);
    let stands = |at: Moment| at <= until && since.is_none_or(|since| at > since);
    let stood = |stream: &&&Stream| stream.node == node && stands(Moment::before(stream.begun));
    for stream in facts.streams.iter().rev().filter(stood) {
        let begun = Moment::after(stream.begun);
        let reached = write.position.offset <= stream.received.offset;
        let known =
            || write.position.replid == stream.received.replid || source(facts, stream.of, begun, write).is_some();
        if reached && known() {
            return Some(stream.of);
        }
        if stream.full {
            // The snapshot has replaced whatever there was.
            return (write.by.node == node && write.at > begun && write.at <= until).then_some(node);
        }
    }
    (write.by.node == node && stands(write.at)).then_some(node)
}

#[cfg(test)]
mod tests {
    use model::history::{Execution, Position, What};
    use model::verdict::{Rule, Severity};

    use super::*;
    use crate::story::{A, B, C, Story, incr, plan};

    #[test]
    fn every_command_of_an_operation_must_be_there() {
        let told = |commands: &[(&str, u32)]| {
            let mut story = Story::failover();
            story.began(900, 20_000, Action::Transaction);
            for (command, replid) in commands {
                let position = Some(Position { replid: *replid, offset: 99_999 });
                let execution = Execution { command: (*command).into(), position, ..incr(900, B) };
                story.tell(20_001, What::Executed(execution));
            }
            story.ended_ok(900, 20_002);
            story.against(&plan(), Invariant::I4)
        };
        let text = "writer#900 was acknowledged, but no node executed all of it";
        assert_eq!(told(&[("INCR", 2)]), [text]);
        assert!(told(&[("INCR", 2), ("LPUSH", 2)]).is_empty());
        assert_eq!(told(&[("INCR", 2), ("LPUSH", 1)]).len(), 1, "the second is beyond what the master holds");
    }

    fn acknowledged(ms: u64, execution: Option<Execution>) -> Story {
        let mut story = Story::failover();
        story.began(900, ms, Action::Incr);
        if let Some(execution) = execution {
            story.tell(ms + 1, What::Executed(execution));
        }
        story.ended_ok(900, ms + 2);
        story
    }

    fn at(replid: u32, offset: u64) -> Position {
        Position { replid, offset }
    }

    fn at_offset(offset: u64, node: model::NodeId) -> Execution {
        Execution { position: Some(at(1, offset)), ..incr(900, node) }
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

    /// `redis-2` is demoted at 21 s, takes a snapshot from `redis-3`, and is promoted again.
    fn demoted_in_between(mut story: Story, received: u64) -> Story {
        story.role(21_000, B, Some(C));
        story.stream(21_500, B, C, true, at(3, received));
        story.role(22_000, B, None);
        story
    }

    #[test]
    fn what_the_final_master_lost_by_a_demotion_in_between_is_honest() {
        let story = demoted_in_between(acknowledged(20_000, Some(at_offset(99_999, B))), 99_999);
        assert!(!story.against(&plan(), Invariant::I4).iter().any(|text| text.contains("writer#900")));
        let only = |what: &What| matches!(what, What::Started { op, .. } if op.seq != 900);
        let mut story = story;
        story.forget(only);
        assert!(story.against(&plan(), Invariant::I4).is_empty());
        assert_eq!(story.judge(&plan()).acknowledged_writes_lost, 1);
    }

    #[test]
    fn a_demotion_alone_loses_nothing() {
        let mut story = acknowledged(20_000, Some(at_offset(99_999, B)));
        story.role(21_000, B, Some(C));
        story.role(22_000, B, None);
        assert!(story.against(&plan(), Invariant::I4)[0].ends_with("neither demoted nor stopped since"));
    }

    /// The old master sent up to `sent`, of which `received` arrived; `writer#900` was at 10,001.
    fn carried(sent: u64, received: u64) -> Story {
        let mut story = acknowledged(9_990, Some(at_offset(10_001, A)));
        for record in &mut story.history.records {
            if let What::Stream(stream) = &mut record.what {
                (stream.sent.offset, stream.received.offset) = (sent, received);
            }
        }
        story
    }

    #[test]
    fn the_loss_is_exactly_what_had_not_come_over_also_where_it_is_waived() {
        let mut waived = plan();
        waived.expect.waive.push((Invariant::I4, "the old master is alone".into()));
        for plan in [&plan(), &waived] {
            let violations = |story: &Story| {
                let found = story.under(plan, Rule::Invariant(Invariant::I4)).into_iter();
                let found = found.filter(|finding| finding.severity == Severity::Violation);
                found.map(|finding| (finding.count, finding.text)).collect::<Vec<_>>()
            };
            // Sent or not: what has not arrived is lost.
            assert_eq!(violations(&carried(9_999, 9_999)), []);
            assert_eq!(violations(&carried(10_001, 10_000)), []);
            let beyond = "writer#900 was acknowledged and is missing on redis-2 at the end: redis-1 had executed it \
                          at 9.991s, and it had come over from redis-1";
            assert_eq!(violations(&carried(10_001, 10_001)), [(1, beyond.to_owned())]);
            // The other direction: the last write that the final master holds, at 9,901, had not arrived.
            let conjured = "writer#69 is held by redis-2 at the end, but what redis-1 had executed at 9.901s, \
                            at 00000001:9901, never came to it";
            assert_eq!(violations(&carried(9_900, 9_900)), [(1, conjured.to_owned())]);
        }
        let told = carried(9_999, 9_999).under(&waived, Rule::Invariant(Invariant::I4));
        assert_eq!((told.len(), told[0].severity, told[0].count), (1, Severity::Waived, 1));
    }

    #[test]
    fn what_came_over_by_way_of_another_replica_is_held() {
        let mut story = carried(10_001, 10_000);
        story.forget(|what| matches!(what, What::Stream(_)));
        // C has everything of A, B has taken a snapshot of C, in a history that C began.
        story.stream(1_000, C, A, true, at(1, 10_001));
        story.stream(11_000, B, C, true, at(3, 10_001));
        assert!(story.against(&plan(), Invariant::I4)[0].ends_with("it had come over from redis-3"));
        // Not what is beyond the place in that history that B has got to.
        story.forget(|what| matches!(what, What::Stream(stream) if stream.node == B));
        story.stream(11_000, B, C, true, at(3, 10_000));
        assert!(story.against(&plan(), Invariant::I4).is_empty());
    }

    #[test]
    fn a_process_that_ends_loses_everything() {
        let mut story = carried(10_001, 10_001);
        story.state(9_995, B, model::history::NodeState::Down);
        story.state(9_996, B, model::history::NodeState::Up);
        let texts = story.against(&plan(), Invariant::I4);
        assert!(texts[0].contains("never came to it"), "{texts:?}");
    }

    #[test]
    fn what_happens_at_one_time_happens_in_the_order_of_the_records() {
        let found = |restarts_first: bool| {
            let mut story = Story::failover();
            story.forget(|what| matches!(what, What::Started { .. }));
            story.began(900, 20_000, Action::Incr);
            let restart = |story: &mut Story| {
                story.state(20_001, B, model::history::NodeState::Down);
                story.state(20_001, B, model::history::NodeState::Up);
            };
            if restarts_first {
                restart(&mut story);
            }
            story.ran(900, 20_001, B);
            if !restarts_first {
                restart(&mut story);
            }
            story.ended_ok(900, 20_002);
            story.against(&plan(), Invariant::I4)
        };
        assert_eq!(found(true), [""; 0], "executed by the process that goes on");
        let text = "writer#900 is held by redis-2 at the end, but what redis-2 had executed at 20.001s, at 00000002:20001, \
                    never came to it";
        assert_eq!(found(false), [text], "executed by the process that ended");
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
