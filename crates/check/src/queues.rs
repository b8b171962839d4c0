//! I1 for queues: where items wait, a consumer takes some.
//!
//! An item that was pushed W after the start of a good period (see [`Periods`]) must not lie there for W with nothing taken from the
//! queue in that time, be it this item or another: there are new ones all the while, and the last comes first. A consumer that says of
//! each attempt that the queue is empty has failed in none of them, and yet it has stopped.

use model::Time;
use model::history::Action;
use model::plan::{Client, Workload};
use model::verdict::Invariant;

use crate::converge::since;
use crate::facts::Facts;
use crate::findings::{Findings, seconds};
use crate::periods::{Periods, find};

/// Adds what `client` did against it.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, periods: &Periods, findings: &mut Findings<'_>) {
    if client.workload != Workload::Queue {
        return;
    }
    let pops = facts.ops_of(client).filter(|op| op.action == Action::Pop && op.got().is_some());
    let mut taken: Vec<Time> = pops.map(|op| op.ended_at(facts.end)).collect();
    taken.sort_unstable();
    let over = facts.end.min(Time::from(facts.plan.run_for));
    for op in facts.ops_of(client).filter(|op| op.action == Action::Push && op.ok()) {
        let Some(period) = find(&periods.good, op.started) else { continue };
        let start = period.from.max(Time::from(client.start)) + client.budget;
        let due = op.ended_at(facts.end) + client.budget;
        if op.started < start || due > period.until.min(over) {
            continue;
        }
        let next = taken.get(taken.partition_point(|at| *at < op.started));
        if next.is_none_or(|next| *next > due) {
            let text = format!(
                "{} pushed an item at {}, {}, and nothing was taken from the queue within {}",
                op.id,
                op.started,
                since(facts, client, period, op.started),
                seconds(client.budget)
            );
            findings.violated(Invariant::I1, Some(&client.id), due, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::history::{OpResult, Value, What};

    use super::*;
    use crate::story::{B, Story, op, plan};

    /// What is held against a push at `pushed` ms of which an item is taken at each of `taken` ms.
    fn told(pushed: u64, taken: &[u64]) -> Vec<String> {
        let mut plan = plan();
        plan.clients[0].workload = Workload::Queue;
        let mut story = Story::failover();
        story.began(900, pushed, Action::Push);
        story.ran(900, pushed + 1, B);
        story.ended_ok(900, pushed + 2);
        for (seq, ms) in (901..).zip(taken) {
            story.began(seq, *ms, Action::Pop);
            story.tell(ms + 1, What::Ended { op: op(seq), result: OpResult::Ok { value: Some(Value::Got(op(900))) } });
        }
        let stalls = |text: &String| text.contains("nothing was taken");
        story.against(&plan, Invariant::I1).into_iter().filter(stalls).collect()
    }

    #[test]
    fn an_item_that_lies_while_nothing_is_taken_is_told() {
        let text = "writer#900 pushed an item at 18.000s, 3.5s after redis-2 had become the master (T0 14.500s, budget 3s), and \
                    nothing was taken from the queue within 3s";
        assert_eq!(told(18_000, &[]), [text]);
        assert_eq!(told(18_000, &[17_000, 21_002]), [text]);
        assert!(told(18_000, &[21_001]).is_empty());
    }

    #[test]
    fn within_the_budget_and_at_the_end_nobody_is_held_to_it() {
        assert!(told(17_000, &[]).is_empty());
        assert!(told(27_500, &[]).is_empty());
    }
}
