//! I2 no stale node: no master-bound command is accepted by a node that is not the master after T0+W.
//!
//! Held to it are commands that change data and reads of clients that read from the master, W after the start of a time
//! in which the master stands (see [`Periods`]). A client that is partitioned away from the master is excused until W
//! after the heal. An old master that comes back and takes writes before it is made a replica counts as stale: the
//! client clung to it or found it by a stale answer. Not stale is the node that becomes the next master, nor one that a
//! Sentinel came to know as the master later than the majority's: it is ahead of the majority. Nor the one that such a
//! Sentinel is made to name in its place: what it says comes with a later epoch of the configuration than the others
//! know, as the truth of the Sentinel that leads a failover does, and if the node says moreover that it is a master, no
//! client can tell the one from the other. A Sentinel that lies under an epoch that the others have too excuses nothing.
//! A command counts at the moment when the client sent it, which may be long before a frozen process carries it out.

use model::Time;
use model::history::Execution;
use model::plan::{Client, Workload};
use model::verdict::Invariant;

use crate::converge::since;
use crate::facts::Facts;
use crate::faults::Standing;
use crate::findings::Findings;
use crate::periods::{Period, Periods, find};

/// Adds what `client` did against it.
pub(crate) fn check(
    facts: &Facts<'_>,
    faults: &Standing<'_>,
    client: &Client,
    periods: &Periods,
    findings: &mut Findings<'_>,
) {
    let Some(group) = facts.group_of(client) else { return };
    for (executed, execution) in facts.executions_of(client) {
        // What a frozen process or a partition held up is judged by when the client sent it.
        let at = &execution.sent.unwrap_or(*executed);
        let Some(period) = held_to(client, *at, execution, periods) else { continue };
        let stale = execution.node != period.node
            && execution.error.is_none()
            && !coming(facts, faults, group, execution, period, *at);
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

/// The time in which the master stands and which a command that was sent at `at` is judged by; `None` if there is none.
pub(crate) fn held_to<'p>(
    client: &Client,
    at: Time,
    execution: &Execution,
    periods: &'p Periods,
) -> Option<&'p Period> {
    let period = find(&periods.standing, at)?;
    let start = period.from.max(Time::from(client.start));
    (at >= start + client.budget && master_bound(client, execution)).then_some(period)
}

fn master_bound(client: &Client, execution: &Execution) -> bool {
    const READS: [&str; 4] = ["GET", "PUBLISH", "SUBSCRIBE", "PSUBSCRIBE"];
    let reads_the_master = client.workload != Workload::ReplicaReads && READS.contains(&execution.command.as_str());
    !execution.node.is_sentinel() && (execution.write || reads_the_master)
}

/// True if the node is on its way to be the master, or a Sentinel that knows better than the majority says so.
fn coming(
    facts: &Facts<'_>,
    faults: &Standing<'_>,
    group: usize,
    execution: &Execution,
    period: &Period,
    at: Time,
) -> bool {
    let node = execution.node;
    let next = facts.masterships[group].iter().find(|mastership| mastership.answered > at);
    let named_later = |sentinel| {
        let now = facts.answer_changes(sentinel, group).iter().rfind(|(when, _)| *when <= at);
        now.is_some_and(|(when, answer)| {
            let lie = || execution.master && faults.was_named(sentinel, node, *when, at);
            *when > period.from && (*answer == node || lie())
        })
    };
    next.is_some_and(|next| next.node == node) || facts.plan.cluster.sentinel_nodes().into_iter().any(named_later)
}

#[cfg(test)]
mod tests {
    use model::NodeId;
    use model::fault::{Answer, Fault, Target};
    use model::history::{Execution, NodeState, What};

    use super::*;
    use crate::story::{A, B, C, Story, incr, plan, step};

    /// What is held against `execution` at `ms`, while the old master runs as a master again.
    fn at(ms: u64, execution: Execution) -> Vec<String> {
        let mut story = Story::failover();
        story.state(16_000, A, NodeState::Up);
        story.tell(ms, What::Executed(execution));
        story.against(&plan(), Invariant::I2)
    }

    #[test]
    fn a_returned_old_master_is_stale_after_the_budget() {
        let text = "INCR of writer#900 was accepted by redis-1, still a writable master, at 18.000s, \
                    3.5s after redis-2 had become the master (T0 14.500s, budget 3s)";
        assert_eq!(at(18_000, incr(900, A)), [text]);
        assert!(at(17_499, incr(900, A)).is_empty());
    }

    #[test]
    fn what_was_sent_long_before_is_no_matter() {
        let thawed = Execution { sent: Some(Time::from_millis(10_100)), ..incr(900, A) };
        assert!(at(18_000, thawed).is_empty());
        let clinging = Execution { sent: Some(Time::from_millis(17_900)), ..incr(900, A) };
        assert_eq!(at(18_000, clinging).len(), 1);
    }

    #[test]
    fn what_is_refused_or_not_master_bound_is_no_matter() {
        let refused = Execution { error: Some("READONLY".into()), master: false, ..incr(900, A) };
        assert!(at(18_000, refused).is_empty());
        let info = Execution { command: "INFO".into(), write: false, op: None, ..incr(900, A) };
        assert!(at(18_000, info).is_empty());
        assert!(at(18_000, incr(900, B)).is_empty());
    }

    #[test]
    fn reads_count_unless_the_client_reads_from_replicas() {
        let get = Execution { command: "GET".into(), write: false, master: false, op: None, ..incr(900, C) };
        assert!(at(18_000, get.clone())[0].starts_with("GET was accepted by redis-3, a replica, at 18.000s"));
        let mut plan = plan();
        plan.clients[0].workload = Workload::ReplicaReads;
        let mut story = Story::failover();
        story.tell(18_000, What::Executed(get));
        assert!(story.against(&plan, Invariant::I2).is_empty());
    }

    #[test]
    fn a_client_that_is_cut_off_from_the_master_is_excused_until_healed() {
        let mut plan = plan();
        let (from, to) = (vec![Target::Client("writer".into())], vec![Target::ReplicaBest(None)]);
        plan.timeline.push(step(10_000, Fault::Partition { from, to, one_way: false }));
        let mut story = Story::failover();
        story.fault(10_000, 1, "partition", &[B]);
        story.healed(20_000, 1, "partition");
        story.tell(22_999, What::Executed(incr(900, A)));
        assert!(story.against(&plan, Invariant::I2).is_empty());
        story.tell(23_000, What::Executed(incr(901, A)));
        assert_eq!(story.against(&plan, Invariant::I2).len(), 1);
    }

    #[test]
    fn a_client_to_whom_no_fewer_sentinels_lie_than_tell_the_truth_is_excused() {
        for (lying, excused) in [(1, false), (2, true), (3, true)] {
            let mut plan = plan();
            plan.timeline
                .push(step(10_000, Fault::Override { target: Target::Sentinels, answer: model::fault::Answer::Stale }));
            let mut story = Story::failover();
            let all = plan.cluster.sentinel_nodes();
            story.fault(10_000, 1, "sentinels answers what it knew", &all[..lying]);
            story.healed(20_000, 1, "sentinels answers what it knew");
            story.tell(22_999, What::Executed(incr(900, A)));
            assert_eq!(story.against(&plan, Invariant::I2).is_empty(), excused, "{lying} of three");
            story.tell(23_000, What::Executed(incr(901, A)));
            assert!(!story.against(&plan, Invariant::I2).is_empty(), "after the heal");
        }
    }

    #[test]
    fn the_next_master_may_be_used_before_the_majority_knows_it() {
        let mut story = Story::failover();
        story.answer(25_000, 1, C);
        story.tell(25_100, What::Executed(incr(900, C)));
        assert!(story.against(&plan(), Invariant::I2).is_empty(), "a Sentinel is ahead of the others");
        story.answer(25_200, 1, B);
        story.tell(25_300, What::Executed(incr(901, C)));
        assert_eq!(story.against(&plan(), Invariant::I2).len(), 1);
    }

    /// The client uses `redis-1` at 26 s, with an answer of `sentinel-1` overridden from 24 s to `until`. With `ahead` that
    /// one learns of another master at 25 s.
    fn misnamed(answer: Answer, until: u64, ahead: bool, execution: Execution) -> usize {
        let mut plan = plan();
        plan.timeline.push(step(24_000, Fault::Override { target: Target::Node(NodeId::sentinel(1)), answer }));
        let mut story = Story::failover();
        story.state(16_000, A, NodeState::Up);
        story.fault(24_000, 1, "override", &[NodeId::sentinel(1)]);
        story.healed(until, 1, "override");
        if ahead {
            story.answer(25_000, 1, C);
        }
        story.tell(26_000, What::Executed(execution));
        story.against(&plan, Invariant::I2).len()
    }

    #[test]
    fn a_lie_of_a_sentinel_that_is_ahead_is_the_truth_for_all_that_a_client_can_know() {
        let wrong = |node| Answer::WrongAddress(Target::Node(node));
        assert_eq!(misnamed(wrong(A), 29_000, true, incr(900, A)), 0);
        assert_eq!(misnamed(wrong(A), 25_500, true, incr(900, A)), 0, "the client keeps to it afterwards");
        assert_eq!(misnamed(wrong(A), 29_000, false, incr(900, A)), 1, "under an epoch that the others have too");
        assert_eq!(misnamed(Answer::Stale, 29_000, true, incr(900, A)), 1, "under an old epoch");
        assert_eq!(misnamed(wrong(A), 24_900, true, incr(900, A)), 1, "it was over before");
        assert_eq!(misnamed(wrong(B), 29_000, true, incr(900, A)), 1, "it names another node");
        let replica = Execution { master: false, ..incr(900, A) };
        assert_eq!(misnamed(wrong(A), 29_000, true, replica), 1, "a node that says it is no master");
    }

    #[test]
    fn a_client_that_no_sentinel_can_tell_in_time_is_excused() {
        let far = |ms: u64, healed: u64, used: u64| {
            let mut plan = plan();
            let (between, and) = (Target::Client("writer".into()), Target::Sentinels);
            let delay = std::time::Duration::from_millis(ms);
            plan.timeline.push(step(10_000, Fault::Latency { between, and, delay, jitter: std::time::Duration::ZERO }));
            let mut story = Story::failover();
            story.state(16_000, A, NodeState::Up);
            story.fault(10_000, 1, "latency", &[]);
            story.healed(healed, 1, "latency");
            story.tell(used, What::Executed(incr(900, A)));
            story.against(&plan, Invariant::I2).len()
        };
        assert_eq!(far(300, 20_000, 22_999), 0);
        assert_eq!(far(300, 20_000, 23_000), 1, "the budget after it is over");
        assert_eq!(far(30, 20_000, 19_000), 1, "it is not that far");
    }
}
