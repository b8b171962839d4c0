//! I2 no stale node: no master-bound command is accepted by a node that is not the master after T0+W.
//!
//! Held to it are commands that change data and reads of clients that read from the master, W after the start of a time
//! in which the master stands (see [`Periods`]). A client that is partitioned away from the master is excused until W
//! after the heal. An old master that comes back and takes writes before it is made a replica counts as stale: the
//! client clung to it or found it by a stale answer. Not stale is the node that becomes the next master, nor one that a
//! Sentinel came to know as the master later than the majority's: it is ahead of the majority.

use model::history::Execution;
use model::plan::{Client, Workload};
use model::verdict::Invariant;
use model::{NodeId, Time};

use crate::converge::since;
use crate::facts::Facts;
use crate::findings::Findings;
use crate::periods::{Period, Periods, find};

/// Adds what `client` did against it.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, periods: &Periods, findings: &mut Findings<'_>) {
    let Some(group) = facts.group_of(client) else { return };
    for (at, execution) in facts.executions_of(client) {
        let Some(period) = find(&periods.standing, *at) else { continue };
        let start = period.from.max(Time::from(client.start));
        let stale = execution.node != period.node
            && *at >= start + client.budget
            && execution.error.is_none()
            && master_bound(client, execution)
            && !coming(facts, group, execution.node, period, *at);
        if stale {
            let what = execution.op.as_ref().map_or_else(String::new, |op| format!(" of {op}"));
            let role = if execution.master { "still a writable master" } else { "a replica" };
            let text = format!(
                "{}{what} was accepted by {}, {role}, at {at}, {}",
                execution.command,
                execution.node,
                since(facts, client, period, *at)
            );
            findings.violated(Invariant::I2, Some(&client.id), *at, text);
        }
    }
}

fn master_bound(client: &Client, execution: &Execution) -> bool {
    const READS: [&str; 3] = ["GET", "PUBLISH", "SUBSCRIBE"];
    let reads_the_master = client.workload != Workload::ReplicaReads && READS.contains(&execution.command.as_str());
    !execution.node.is_sentinel() && (execution.write || reads_the_master)
}

/// True if `node` is on its way to be the master.
fn coming(facts: &Facts<'_>, group: usize, node: NodeId, period: &Period, at: Time) -> bool {
    let next = facts.masterships[group].iter().find(|mastership| mastership.answered > at);
    let known_later = |sentinel| {
        let now = facts.answer_changes(sentinel, group).iter().rfind(|(when, _)| *when <= at);
        now.is_some_and(|(when, answer)| *answer == node && *when > period.from)
    };
    next.is_some_and(|next| next.node == node) || facts.plan.cluster.sentinel_nodes().into_iter().any(known_later)
}
