//! I2 for caches: no old value is read through a client's own cache after T0+W.
//!
//! A value is old if the node that is the master had overwritten it W before the read began: so long a client may take to learn that
//! it is no longer told of changes. And whoever has no connection to the master is told of none, so that nobody vouches for what it
//! reads, be it old or not.

use model::history::Action;
use model::plan::{Client, Workload};
use model::verdict::Invariant;

use crate::facts::{Connection, Facts, Op};
use crate::findings::{Findings, seconds};
use crate::periods::{Periods, find};

/// Adds what `client` did against it.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, periods: &Periods, findings: &mut Findings<'_>) {
    if client.workload != Workload::CachedReads {
        return;
    }
    let writes: Vec<&Op<'_>> = facts.ops_of(client).filter(|op| op.action == Action::Set && op.ok()).collect();
    let connections = facts.connections_of(client);
    for read in facts.ops_of(client).filter(|op| op.action == Action::CachedGet) {
        let (Some(got), Some(period)) = (read.got(), find(&periods.good, read.started)) else { continue };
        if read.started < period.from + client.budget {
            continue;
        }
        let newer = |write: &&&Op<'_>| {
            write.id.seq > got.seq
                && write.started >= period.from
                && write.ended_at(facts.end) + client.budget <= read.started
                && write.ran().any(|(_, execution)| execution.node == period.node)
        };
        let ended = read.ended_at(facts.end);
        let connected =
            |open: &Connection<'_>| open.node == period.node && open.opened <= ended && read.started <= open.closed;
        if !connections.iter().any(connected) {
            let text = format!(
                "{} was answered at {ended} without a connection to {}, which alone can vouch for what was cached",
                read.id, period.node
            );
            findings.violated(Invariant::I2, Some(&client.id), read.started, text);
        }
        if let Some(newer) = writes.iter().find(newer) {
            let ended = newer.ended_at(facts.end);
            let text = format!(
                "{} read the value of {got} at {}, {} after {} had overwritten it on {}",
                read.id,
                read.started,
                seconds(read.started.since(ended)),
                newer.id,
                period.node
            );
            findings.violated(Invariant::I2, Some(&client.id), read.started, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::history::{Execution, OpResult, Value, What};

    use super::*;
    use crate::story::{A, B, Story, incr, op, plan};

    /// What is held against a read of the value of #900 at `ms`, which `node` overwrote at 20 s.
    fn read(ms: u64, node: model::NodeId) -> Vec<String> {
        let mut plan = plan();
        plan.clients[0].workload = Workload::CachedReads;
        let mut story = Story::failover();
        for (seq, at) in [(900, 19_000), (901, 20_000)] {
            story.began(seq, at, Action::Set);
            story.tell(at + 1, What::Executed(Execution { command: "SET".into(), ..incr(seq, node) }));
            story.ended_ok(seq, at + 2);
        }
        story.began(910, ms, Action::CachedGet);
        story.tell(ms + 1, What::Ended { op: op(910), result: OpResult::Ok { value: Some(Value::Got(op(900))) } });
        let old = |text: &String| text.contains("had overwritten it");
        story.against(&plan, Invariant::I2).into_iter().filter(old).collect()
    }

    #[test]
    fn a_value_is_old_once_it_was_overwritten_for_longer_than_the_budget() {
        let text =
            "writer#910 read the value of writer#900 at 23.002s, 3s after writer#901 had overwritten it on redis-2";
        assert_eq!(read(23_002, B), [text]);
        assert!(read(23_001, B).is_empty());
    }

    #[test]
    fn nobody_vouches_for_what_is_read_without_a_connection_to_the_master() {
        let told = |connected: bool| {
            let mut plan = plan();
            plan.clients[0].workload = Workload::CachedReads;
            let mut story = Story::failover();
            if !connected {
                story.forget(|what| matches!(what, What::Opened { node: B, .. }));
            }
            story.began(910, 25_000, Action::CachedGet);
            story.tell(25_001, What::Ended { op: op(910), result: OpResult::Ok { value: Some(Value::Got(op(60))) } });
            let lonely = |text: &String| text.contains("vouch");
            story.against(&plan, Invariant::I2).into_iter().filter(lonely).collect::<Vec<_>>()
        };
        assert!(told(true).is_empty());
        let text = "writer#910 was answered at 25.001s without a connection to redis-2, which alone can vouch for \
                    what was cached";
        assert_eq!(told(false), [text]);
    }

    #[test]
    fn what_another_node_has_overwritten_is_not_old() {
        assert!(read(25_000, A).is_empty());
    }
}
