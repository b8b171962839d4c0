//! I1 and I3 for jobs: each job that was put in a queue, and not lost by replication, ends once. One that was put there twice is held
//! against who put it there, unless that was agreed to; it may end twice then.
//!
//! A job ends when it is taken off the list of those under way. That counts where the final master's data set descends from it:
//! what only an old master saw of a job has not happened, and its consumer has to end it again. A job that has not ended is held
//! against the client if all was well for W, counted from when it was put there, and for W before that.

use model::Time;
use model::history::{Action, Execution};
use model::plan::{Client, Workload};
use model::verdict::Invariant;

use crate::converge::since;
use crate::facts::Facts;
use crate::findings::Findings;
use crate::periods::Periods;

/// Adds what `client` did against it.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, periods: &Periods, findings: &mut Findings<'_>) {
    if client.workload != Workload::Jobs {
        return;
    }
    let master = facts.group_of(client).and_then(|group| facts.majority(group, facts.end));
    let Some(last) = master.and_then(|node| facts.finals.get(&node)) else { return };
    let held = |execution: &Execution| execution.position.as_ref().is_some_and(|position| last.holds(position));
    let removals =
        || facts.executions_of(client).iter().filter(|(_, removal)| removal.command == "LREM" && held(removal));
    let over = facts.end.min(Time::from(facts.plan.run_for));
    for op in facts.ops_of(client).filter(|op| op.action == Action::Push && op.ok()) {
        let pushes = op.ran().filter(|(_, execution)| held(execution)).count();
        if pushes == 0 {
            continue;
        }
        let pushed = op.ended_at(facts.end);
        let ends: Vec<String> = removals()
            .filter(|(_, removal)| removal.op.as_ref() == Some(op.id))
            .map(|(at, removal)| format!("on {} at {at}", removal.node))
            .collect();
        if ends.len() > pushes {
            let text = format!("the job of {} ended {} times: {}", op.id, ends.len(), ends.join(", "));
            findings.violated(Invariant::I3, Some(&client.id), pushed, text);
        }
        let Some(period) = periods.good.last().filter(|period| period.until == Time::NEVER) else { continue };
        let due = pushed.max(period.from + client.budget) + client.budget;
        if ends.is_empty() && due < over {
            let taken =
                facts.ops_of(client).find(|other| other.got() == Some(op.id)).map(|other| other.ended_at(facts.end));
            let fate = match taken {
                Some(at) => format!("was taken at {at}, and never ended"),
                None => "was never taken".to_owned(),
            };
            let text = format!(
                "the job of {}, put there at {pushed}, {fate}; all was well {}",
                op.id,
                since(facts, client, period, due)
            );
            findings.violated(Invariant::I1, Some(&client.id), due, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::history::{OpResult, Position, Value, What};

    use super::*;
    use crate::story::{A, B, Story, incr, op, plan};

    /// What is held against a job that was pushed at 18 s, and then ended by these nodes at offsets of their histories, or only
    /// taken.
    fn told(ends: &[(model::NodeId, u32)], taken: bool, invariant: Invariant) -> Vec<String> {
        told_of(1, ends, taken, invariant)
    }

    /// The same of one that was put there so many times.
    fn told_of(pushes: usize, ends: &[(model::NodeId, u32)], taken: bool, invariant: Invariant) -> Vec<String> {
        let mut plan = plan();
        plan.clients[0].workload = Workload::Jobs;
        plan.clients[0].retry_ambiguous = pushes > 1;
        let mut story = Story::failover();
        let executed = |command: &str, node, replid| {
            let position = Some(Position { replid, offset: 99_999 });
            What::Executed(Execution { command: command.into(), position, ..incr(900, node) })
        };
        story.began(900, 18_000, Action::Push);
        for _ in 0..pushes {
            story.tell(18_001, executed("LPUSH", B, 2));
        }
        story.ended_ok(900, 18_002);
        if taken {
            story.began(901, 18_003, Action::Take);
            story.tell(18_004, What::Ended { op: op(901), result: OpResult::Ok { value: Some(Value::Got(op(900))) } });
        }
        for (node, replid) in ends {
            story.tell(18_100, executed("LREM", *node, *replid));
        }
        story.against(&plan, invariant)
    }

    #[test]
    fn a_job_must_end_and_once() {
        assert!(told(&[(B, 2)], true, Invariant::I1).is_empty());
        assert!(told(&[(B, 2)], true, Invariant::I3).is_empty());
        let text = "the job of writer#900 ended 2 times: on redis-2 at 18.100s, on redis-2 at 18.100s";
        assert_eq!(told(&[(B, 2), (B, 2)], true, Invariant::I3), [text]);
        let ended_twice = |told: Vec<String>| told.iter().filter(|text| text.contains("ended")).count();
        assert_eq!(ended_twice(told_of(2, &[(B, 2), (B, 2)], true, Invariant::I3)), 0);
        assert_eq!(ended_twice(told_of(2, &[(B, 2), (B, 2), (B, 2)], true, Invariant::I3)), 1);
    }

    #[test]
    fn a_job_that_does_not_end_is_told_with_its_fate() {
        let fate = |fate: &str| {
            format!(
                "the job of writer#900, put there at 18.002s, {fate}; all was well 6.502s after redis-2 had become the master \
                 (T0 14.500s, budget 3s)"
            )
        };
        assert_eq!(told(&[], false, Invariant::I1), [fate("was never taken")]);
        assert_eq!(told(&[], true, Invariant::I1), [fate("was taken at 18.004s, and never ended")]);
        assert_eq!(told(&[(A, 1)], true, Invariant::I1).len(), 1, "what only the old master knew has not happened");
    }
}
