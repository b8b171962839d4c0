//! I1 converge: every command started after T0+W succeeds, on the new master.
//!
//! T0 is generalised to the start of any good period (see [`Periods`]), since an outage may also end because the same
//! master comes back. A command is held to it if it started W after the start of the period and came to its end, or
//! ran out of its deadline, inside of it. Excused are commands that were under way on a connection when a fault cut it before
//! a reply: what became of them the client cannot know. Reads from replicas must succeed while a replica is there, on any node.
//!
//! A message that was published in such a time must also reach the client's own subscriber.

use std::time::Duration;

use model::Time;
use model::history::{Action, Execution, OpResult};
use model::plan::{Client, Workload};
use model::verdict::Invariant;

use crate::bounded::is_overdue;
use crate::facts::{Facts, Op};
use crate::findings::{Findings, seconds};
use crate::lost::Lost;
use crate::periods::{Period, Periods, find};

/// Adds what `client` did against it.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, periods: &Periods, findings: &mut Findings<'_>) {
    let cuts: Vec<Cut> = facts.executions_of(client).iter().filter_map(|(at, cut)| Cut::new(facts, *at, cut)).collect();
    let lost = Lost::new(facts, client);
    for op in facts.ops_of(client) {
        let Some(period) = held_to(facts, client, op, periods) else { continue };
        let ended = op.ended_at(facts.end);
        if cuts.iter().any(|cut| cut.carried(op, ended)) {
            continue;
        }
        if let Some(wrong) = wrong(facts, client, op, period) {
            let text = format!(
                "{} was started at {}, {}, and {wrong}",
                op.id,
                op.started,
                since(facts, client, period, op.started)
            );
            findings.violated_by(Invariant::I1, Some(&client.id), op.started, text, lost.brought_down(op));
        }
    }
}

/// A connection to a data node that a fault cut before a reply.
struct Cut {
    conn: u64,
    at: Time,
    /// When the client found it closed: whatever it sent there before that is lost.
    seen: Time,
}

impl Cut {
    fn new(facts: &Facts<'_>, at: Time, execution: &Execution) -> Option<Self> {
        let cut = execution.reply_cut && !execution.node.is_sentinel();
        cut.then(|| Self { conn: execution.conn, at, seen: facts.closed(execution.conn).max(at) })
    }

    /// True if `op` was under way on the connection: it came to the node there, or to none at all.
    fn carried(&self, op: &Op<'_>, ended: Time) -> bool {
        let here = op.executions.iter().any(|(at, execution)| execution.conn == self.conn && *at <= self.at);
        self.at <= ended && (here || op.executions.is_empty() && op.started <= self.seen)
    }
}

/// The good period that holds `op` to success; `None` if nothing does.
pub(crate) fn held_to<'p>(facts: &Facts<'_>, client: &Client, op: &Op<'_>, periods: &'p Periods) -> Option<&'p Period> {
    let good = if op.action.master_bound() { &periods.good } else { &periods.reading };
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
    let judged = !stopped || op.action != Action::Subscribe && is_overdue(facts, client, op);
    (op.started >= start + client.budget && over < period.until && judged).then_some(period)
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
        && op.action.master_bound()
        && ran.all(|node| node != period.node)
    {
        return Some(format!("was executed on {first}"));
    }
    if let Some((_, execution)) = op.ran().find(|(_, execution)| execution.database != client.database) {
        let (was, wanted) = (execution.database, client.database);
        return Some(format!("was executed in database {was} of {}, not in {wanted}", execution.node));
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
        format!(
            "{} after the last disturbance, with {node} the master ({from}, budget {budget})",
            seconds(at.since(from))
        )
    }
}

#[cfg(test)]
mod tests {
    use model::fault::{Answer, Fault, Target};
    use model::history::{Cause, ClosedBy, NodeState, OpError, What};
    use model::{NodeId, OpId, Plan};

    use super::*;
    use crate::story::{A, B, C, Story, incr, op, plan, step};

    fn against(plan: &Plan, story: &Story) -> Vec<String> {
        story.against(plan, Invariant::I1)
    }

    #[test]
    fn a_failure_after_the_budget_is_told_in_full() {
        let mut story = Story::failover();
        story.bad(900, 18_200..18_201, Cause::Server, "READONLY");
        let text = "writer#900 was started at 18.200s, 3.7s after redis-2 had become the master \
                    (T0 14.500s, budget 3s), and failed: READONLY";
        assert_eq!(against(&plan(), &story), [text]);
    }

    #[test]
    fn a_failure_within_the_budget_is_allowed() {
        let mut story = Story::failover();
        story.bad(900, 17_499..29_000, Cause::Timeout, "slow");
        assert!(against(&plan(), &story).is_empty());
    }

    #[test]
    fn a_call_that_never_ends_is_a_failure_once_its_deadline_is_over() {
        let mut story = Story::failover();
        story.began(900, 19_000, Action::Incr);
        assert_eq!(against(&plan(), &story).len(), 1);
        let mut story = Story::failover();
        story.began(900, 21_000, Action::Incr);
        assert!(against(&plan(), &story).is_empty(), "the run ends before the deadline");
        let left_at = |ms: u64| {
            let mut story = Story::failover();
            story.began(900, 18_000, Action::Incr);
            story.tell(ms, What::Ended { op: op(900), result: OpResult::Unfinished });
            story.good(901, 29_900, B);
            against(&plan(), &story).len()
        };
        assert_eq!(left_at(28_001), 0, "what comes after all calls are given up gives none more time");
        assert_eq!(left_at(28_002), 1);
    }

    #[test]
    fn a_client_may_follow_the_first_sentinel_that_names_the_next_master() {
        let mut story = Story::failover();
        story.answer(25_000, 1, A);
        story.good(900, 25_100, A);
        story.bad(901, 25_200..25_201, Cause::Server, "READONLY");
        assert!(against(&plan(), &story).is_empty(), "a change is under way");
        story.answer(25_300, 1, B);
        story.good(902, 29_000, A);
        assert_eq!(against(&plan(), &story).len(), 1, "it did not come about");
    }

    #[test]
    fn success_must_be_on_the_new_master() {
        let mut story = Story::failover();
        story.good(900, 20_000, A);
        assert!(against(&plan(), &story)[0].ends_with("and was executed on redis-1"));
    }

    #[test]
    fn success_must_be_in_the_clients_database() {
        let against = |database| {
            let mut plan = plan();
            plan.clients[0].database = 3;
            let mut story = Story::failover();
            story.forget(|what| matches!(what, What::Executed(_)));
            story.began(900, 20_000, Action::Incr);
            story.tell(20_001, What::Executed(Execution { database, ..incr(900, B) }));
            story.ended_ok(900, 20_002);
            against(&plan, &story)
        };
        assert!(against(0)[0].ends_with("and was executed in database 0 of redis-2, not in 3"));
        assert!(against(3).is_empty());
    }

    #[test]
    fn what_an_operator_does_to_the_master_stops_the_demand_until_it_is_taken_back() {
        let send = |undo: Option<&str>| Fault::Send {
            target: Target::Master(None),
            command: vec!["CLIENT".into(), "PAUSE".into(), "3000".into()],
            undo: undo.map(|word| vec![word.to_owned()]),
        };
        assert_eq!(with_fault(send(Some("UNDO")), 22_001), 0);
        assert_eq!(with_fault(send(Some("UNDO")), 21_999), 1);
        assert_eq!(with_fault(send(None), 29_000), 1, "it has had its budget since 19 s");
    }

    /// An increment from `ms` that fails, with the connection 2 cut at 20.002 s, which the client finds at 20.052 s.
    fn beside_a_cut(ms: std::ops::Range<u64>, executions: &[(u64, Execution)]) -> usize {
        let mut story = Story::failover();
        story.forget(|what| matches!(what, What::Closed { conn: 2, .. }));
        story.bad(900, 20_000..20_052, Cause::Connection, "closed");
        story.tell(20_002, What::Executed(Execution { reply_cut: true, conn: 2, ..incr(900, B) }));
        story.closed(2, 20_052, B, ClosedBy::Fault);
        story.bad(901, ms, Cause::Connection, "closed");
        for (at, execution) in executions {
            story.tell(*at, What::Executed(execution.clone()));
        }
        against(&plan(), &story).len()
    }

    #[test]
    fn a_cut_reply_excuses_what_was_under_way_on_its_connection_and_nothing_else() {
        let on = |conn| Execution { conn, ..incr(901, B) };
        assert_eq!(beside_a_cut(19_980..20_052, &[(20_000, on(2))]), 0, "run, and its reply is lost");
        assert_eq!(beside_a_cut(19_980..20_052, &[(20_000, on(3))]), 1, "on another connection");
        assert_eq!(beside_a_cut(20_040..20_052, &[]), 0, "on its way to the node");
        assert_eq!(beside_a_cut(20_040..20_150, &[(20_090, on(3))]), 1, "run elsewhere");
        assert_eq!(beside_a_cut(20_053..20_060, &[]), 1, "begun when the client knew");
        assert_eq!(beside_a_cut(19_900..20_001, &[(19_950, on(2))]), 1, "over before");
        assert_eq!(beside_a_cut(20_040..20_052, &[(20_045, on(2))]), 1, "nothing can run there any more");
    }

    #[test]
    fn an_operator_who_kills_connections_excuses_what_was_open_and_gives_the_budget_anew() {
        let against = |ms: u64, hit: NodeId, result: fn(OpError) -> OpResult| {
            let mut plan = plan();
            plan.timeline.push(step(20_000, Fault::ClientKill(Target::Master(None))));
            let mut story = Story::failover();
            story.fault(20_000, plan.timeline.len() - 1, "client_kill master", &[hit]);
            story.began(900, ms, Action::Incr);
            let result = result(OpError { cause: Cause::Connection, error: "closed".into() });
            story.tell(ms + 1, What::Ended { op: op(900), result });
            against(&plan, &story).len()
        };
        assert_eq!(against(20_000, B, OpResult::Ambiguous), 0);
        assert_eq!(against(19_999, B, OpResult::Ambiguous), 0);
        assert_eq!(against(20_000, C, OpResult::Ambiguous), 1, "another node's connections");
        for result in [OpResult::Ambiguous, OpResult::Failed] {
            assert_eq!(against(22_999, B, result), 0, "begun within the budget");
            assert_eq!(against(23_000, B, result), 1, "and after it");
        }
    }

    #[test]
    fn a_client_on_the_other_side_has_until_the_heal_and_its_budget() {
        let mut plan = plan();
        plan.clients[0].zone = "a".into();
        plan.cluster.groups[0].zones = vec!["a".into(), "b".into()];
        let sides = [Target::Zone("a".into()), Target::Zone("b".into())].map(|zone| vec![zone]);
        let [from, to] = sides;
        plan.timeline.push(step(10_000, Fault::Partition { from, to, one_way: false }));
        let told = |failures: &[u64]| {
            let mut story = Story::failover();
            story.fault(10_000, 1, "partition", &[A, B]);
            story.healed(22_000, 1, "partition");
            for (index, ms) in failures.iter().enumerate() {
                story.bad(900 + index as u64, *ms..ms + 1, Cause::Timeout, "slow");
            }
            against(&plan, &story).len()
        };
        assert_eq!(told(&[18_000, 21_990, 24_999]), 0);
        assert_eq!(told(&[25_000]), 1);
    }

    /// A failure at 20 s, with `answer` of these Sentinels in force since 12 s.
    fn with_override(sentinels: &[u16], answer: Answer) -> usize {
        let mut plan = plan();
        plan.timeline.push(step(12_000, Fault::Override { target: Target::Sentinels, answer }));
        let mut story = Story::failover();
        let nodes: Vec<NodeId> = sentinels.iter().copied().map(NodeId::sentinel).collect();
        story.fault(12_000, 1, "override", &nodes);
        story.bad(900, 20_000..20_001, Cause::NoMaster, "not found");
        against(&plan, &story).len()
    }

    #[test]
    fn clients_must_survive_sentinels_that_fail_or_lie_as_long_as_most_tell_the_truth() {
        assert_eq!(with_override(&[1], Answer::Hang), 1);
        assert_eq!(with_override(&[1, 2], Answer::Hang), 1);
        assert_eq!(with_override(&[1, 2, 3], Answer::Hang), 0);
        assert_eq!(with_override(&[1, 2, 3], Answer::Null), 0);
        assert_eq!(with_override(&[1], Answer::Stale), 1);
        assert_eq!(with_override(&[1, 2], Answer::Stale), 0);
        assert_eq!(with_override(&[1, 2, 3], Answer::NoSwitchEvent), 1);
        assert_eq!(with_override(&[1, 2, 3], Answer::Slow(Duration::from_millis(300))), 1);
        assert_eq!(with_override(&[1, 2, 3], Answer::Slow(Duration::from_secs(2))), 0);
    }

    /// A failure on `redis-2` at 21 s, with `fault` at it from 19 s, healed at `healed`.
    fn with_fault(fault: Fault, healed: u64) -> usize {
        let mut plan = plan();
        plan.timeline.push(step(19_000, fault));
        let mut story = Story::failover();
        story.fault(19_000, 1, "fault", &[B]);
        story.healed(healed, 1, "fault");
        story.bad(900, 25_000..25_001, Cause::Timeout, "slow");
        against(&plan, &story).len()
    }

    #[test]
    fn faults_at_the_master_stop_the_demand_until_healed_and_the_budget_is_over() {
        let faults = [Fault::Hang, Fault::Unreachable, Fault::Loading];
        for fault in faults {
            assert_eq!(with_fault(fault(Target::Master(None)), 22_001), 0);
            assert_eq!(with_fault(fault(Target::Master(None)), 21_999), 1);
        }
        assert_eq!(with_fault(Fault::KeepClients(Target::Master(None)), 29_000), 1);
        let latency = |ms| Fault::Latency {
            between: Target::Client("writer".into()),
            and: Target::Node(B),
            delay: Duration::from_millis(ms),
            jitter: Duration::ZERO,
        };
        assert_eq!(with_fault(latency(10), 29_000), 1, "ten milliseconds are no excuse");
        assert_eq!(with_fault(latency(1_000), 29_000), 0);
    }

    #[test]
    fn lost_connections_and_a_word_of_the_operator_begin_the_budget_anew() {
        let send = Fault::Send { target: Target::Master(None), command: vec!["PING".into()], undo: None };
        let master = || Target::Master(None);
        for fault in [Fault::Cut(master()), Fault::ClientKill(master()), Fault::Silence(master()), send] {
            begins_the_budget_anew(fault);
        }
    }

    fn begins_the_budget_anew(fault: Fault) {
        let mut plan = plan();
        plan.timeline.push(step(20_000, fault));
        let mut story = Story::failover();
        story.fault(20_000, 1, "the fault", &[B]);
        story.bad(900, 22_999..23_000, Cause::Connection, "closed");
        assert!(against(&plan, &story).is_empty());
        story.bad(901, 23_000..23_001, Cause::Connection, "closed");
        let text = "3s after the last disturbance, with redis-2 the master (20.000s, budget 3s)";
        assert!(against(&plan, &story)[0].contains(text));
    }

    #[test]
    fn a_process_that_is_back_at_once_begins_the_budget_anew() {
        let mut story = Story::failover();
        story.state(20_000, B, NodeState::Down);
        story.state(20_000, B, NodeState::Up);
        story.bad(900, 20_000..20_001, Cause::Connection, "closed");
        assert!(against(&plan(), &story).is_empty());
        story.bad(901, 23_000..23_001, Cause::Connection, "closed");
        assert_eq!(against(&plan(), &story).len(), 1);
    }

    #[test]
    fn a_master_that_refuses_for_lack_of_replicas_does_not_serve_yet() {
        let mut story = Story::failover();
        story.bad(900, 20_000..20_001, Cause::Server, "NOREPLICAS");
        story.tell(20_001, What::Executed(Execution { error: Some("NOREPLICAS".into()), ..incr(900, B) }));
        assert!(against(&plan(), &story).is_empty());
    }

    #[test]
    fn an_outage_that_ends_without_a_failover_counts_too() {
        let mut plan = plan();
        plan.timeline = vec![step(10_000, Fault::Freeze(Target::Master(None)))];
        let mut story = Story::quiet();
        story.fault(10_000, 0, "freeze master", &[A]);
        story.state(10_000, A, NodeState::Frozen);
        story.state(15_000, A, NodeState::Up);
        story.bad(900, 17_000..17_001, Cause::Timeout, "slow");
        assert!(against(&plan, &story).is_empty());
        story.bad(901, 18_000..18_001, Cause::Timeout, "slow");
        assert_eq!(against(&plan, &story).len(), 1);
    }

    #[test]
    fn published_messages_reach_the_subscriber() {
        let mut plan = plan();
        plan.clients[0].workload = Workload::PubSub;
        let mut story = Story::failover();
        story.began(900, 20_000, Action::Publish);
        story.ended_ok(900, 20_002);
        assert!(against(&plan, &story)[0].ends_with("was published, but never reached the subscriber"));
        let id: OpId = op(900);
        story.tell(20_002, What::Delivered { client: id.client.clone(), op: id });
        assert!(against(&plan, &story).is_empty());
    }

    #[test]
    fn a_subscription_that_an_operator_took_away_may_miss_messages_for_the_budget() {
        let missed = |ms: u64, hit: NodeId| {
            let mut plan = plan();
            plan.clients[0].workload = Workload::PubSub;
            plan.timeline.push(step(20_000, Fault::ClientKill(Target::Master(None))));
            let mut story = Story::failover();
            story.fault(20_000, 1, "client_kill master", &[hit]);
            story.began(900, ms, Action::Publish);
            story.ended_ok(900, ms + 2);
            against(&plan, &story).len()
        };
        assert_eq!(missed(20_030, B), 0);
        assert_eq!(missed(22_999, B), 0);
        assert_eq!(missed(23_000, B), 1, "the budget is over");
        assert_eq!(missed(20_030, C), 1, "another node's connections");
        assert_eq!(missed(18_500, B), 1, "long before");
    }

    #[test]
    fn reads_from_replicas_must_succeed_on_any_node_while_a_replica_is_there() {
        let mut story = Story::failover();
        story.began(900, 20_000, Action::ReplicaGet);
        story.ended_ok(900, 20_001);
        assert!(against(&plan(), &story).is_empty());
        let mut dead = Story::failover();
        dead.began(900, 19_000, Action::ReplicaGet);
        assert_eq!(against(&plan(), &dead).len(), 1, "a reader that never gets an answer");
        dead.state(16_000, C, NodeState::Down);
        assert!(against(&plan(), &dead).is_empty(), "there is no replica");
    }
}
