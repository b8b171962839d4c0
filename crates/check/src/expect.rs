//! The expectations of the plan: how many changes of master, recovered within, acknowledged writes lost and others.

use std::time::Duration;

use model::history::{Action, OpResult};
use model::plan::Client;
use model::verdict::Rule;
use model::{Fault, Time};

use crate::facts::{Facts, Op};
use crate::faults::fault_of;
use crate::findings::{Findings, counted, seconds};
use crate::load::first_over;
use crate::lost::Lost;
use crate::periods::Periods;

/// Adds every expectation that was not met. `lost`: acknowledged writes that are missing.
pub(crate) fn check(facts: &Facts<'_>, lost: u64, findings: &mut Findings<'_>) {
    let expect = &facts.plan.expect;
    if let Some(expected) = expect.failovers {
        let changes: Vec<_> = (0..facts.masterships.len()).flat_map(|group| facts.failovers(group)).collect();
        if changes.len() as u64 != u64::from(expected) {
            let path: Vec<String> = changes.iter().map(|c| format!("to {} at {}", c.node, c.answered)).collect();
            let path = if path.is_empty() { String::new() } else { format!(": {}", path.join(", ")) };
            let text =
                format!("the master changed {} instead of {expected}{path}", counted(changes.len() as u64, "time"));
            findings.unmet(Rule::Failovers, None, changes.first().map_or(facts.end, |c| c.answered), text);
        }
    }
    if let Some(allowed) = expect.acknowledged_writes_lost
        && lost > allowed
    {
        let text = format!("{lost} acknowledged writes are missing at the end; {allowed} are allowed");
        findings.unmet(Rule::AcknowledgedWritesLost, None, facts.end, text);
    }
    if let Some(allowed) = expect.failed_at_most {
        for client in &facts.plan.clients {
            check_failures(facts, client, allowed, findings);
        }
    }
    if let Some((allowed, within)) = expect.most_connects {
        check_connects(facts, allowed, within, findings);
    }
    if let Some(within) = expect.recovered_within {
        for client in facts.plan.clients.iter().filter(|client| Rule::RecoveredWithin.concerns(client.workload)) {
            check_recovery(facts, client, within, findings);
        }
    }
    if let Some(allowed) = expect.longest_gap {
        for client in &facts.plan.clients {
            check_gap(facts, client, allowed, findings);
        }
    }
}

/// Adds what `client` did against `back_to_replica_within`, if it reads from replicas: the first read that a replica answers after the
/// last time that one was there again.
pub(crate) fn check_return(facts: &Facts<'_>, client: &Client, periods: &Periods, findings: &mut Findings<'_>) {
    let Some(within) = facts.plan.expect.back_to_replica_within else { return };
    if !Rule::BackToReplicaWithin.concerns(client.workload) {
        return;
    }
    let Some(back) = periods.reading.last().map(|period| period.from).filter(|from| *from > Time::ZERO) else {
        let text = format!("no replica was out of the reach of {} and there again", client.id);
        findings.unproven(Some(&client.id), facts.end, text);
        return;
    };
    let due = back + within;
    let answered = |by_master: bool| {
        let reads = facts.executions_of(client).iter();
        let answered = reads.filter(move |(at, read)| {
            *at >= back && read.command == "GET" && read.error.is_none() && read.master == by_master
        });
        answered.map(|(at, _)| *at)
    };
    let first = answered(false).next();
    if first.is_some_and(|at| at <= due) {
        return;
    }
    if due > Time::from(facts.plan.run_for) {
        let text = format!(
            "the run ended before a replica, there again at {back}, had to have answered a read of {}",
            client.id
        );
        findings.unproven(Some(&client.id), facts.end, text);
        return;
    }
    let elsewhere = answered(true).filter(|at| *at <= due).count();
    let later = first.map_or_else(String::new, |at| format!("; a replica answered the first at {at}"));
    let text = format!(
        "a replica was there again at {back}, and answered no read of {} in the {} after that; the master answered {elsewhere}{later}",
        client.id,
        seconds(within)
    );
    findings.unmet(Rule::BackToReplicaWithin, Some(&client.id), due, text);
}

fn check_gap(facts: &Facts<'_>, client: &Client, allowed: Duration, findings: &mut Findings<'_>) {
    let Some((since, gap)) = longest_gap(facts, client).filter(|(_, gap)| *gap > allowed) else { return };
    let text = format!(
        "no operation of {} succeeded for {} from {since} on; {} are allowed",
        client.id,
        seconds(gap),
        seconds(allowed)
    );
    findings.unmet(Rule::LongestGap, Some(&client.id), since + allowed, text);
}

/// The longest time between two operations of the client that succeeded one after the other, or from the last one to the end of the
/// run, and when it began. `None` if none succeeded.
pub(crate) fn longest_gap(facts: &Facts<'_>, client: &Client) -> Option<(Time, Duration)> {
    let mut good: Vec<Time> = facts.ops_of(client).filter(|op| op.ok()).map(|op| op.ended_at(facts.end)).collect();
    good.sort_unstable();
    let end = Time::from(facts.plan.run_for).min(facts.end);
    let next = good.iter().copied().skip(1).chain(std::iter::once(end));
    good.iter().zip(next).map(|(since, next)| (*since, next.since(*since))).max_by_key(|(_, gap)| *gap)
}

fn check_failures(facts: &Facts<'_>, client: &Client, allowed: u64, findings: &mut Findings<'_>) {
    let failed = |op: &&Op<'_>| {
        matches!(op.ended, Some((_, OpResult::Failed(_) | OpResult::Ambiguous(_)))) && op.action != Action::Subscribe
    };
    let failures: Vec<&Op<'_>> = facts.ops_of(client).filter(failed).collect();
    if let Some(first) = failures.get(usize::try_from(allowed).unwrap_or(usize::MAX)) {
        let text = format!("{} of {} failed; {allowed} may", counted(failures.len() as u64, "operation"), client.id);
        let lost = Lost::new(facts, client);
        let by = failures.iter().all(|op| lost.brought_down(op));
        findings.unmet_by(Rule::FailedAtMost, Some(&client.id), first.ended_at(facts.end), text, by);
    }
}

fn check_connects(facts: &Facts<'_>, allowed: u64, within: Duration, findings: &mut Findings<'_>) {
    let Some(from) = facts.firings.first().map(|firing| firing.at) else {
        findings.unproven(None, facts.end, "nothing happened after which connections were counted".to_owned());
        return;
    };
    let opened = facts.plan.clients.iter().flat_map(|client| facts.connections_of(client)).map(|open| open.opened);
    let mut opened: Vec<Time> = opened.filter(|opened| *opened >= from).collect();
    opened.sort_unstable();
    if let Some((at, count)) = first_over(&opened, within, allowed) {
        let text = format!(
            "the clients opened {count} connections within {} up to {at}; {allowed} are allowed",
            seconds(within)
        );
        findings.unmet(Rule::MostConnects, None, at, text);
    }
}

fn check_recovery(facts: &Facts<'_>, client: &Client, within: Duration, findings: &mut Findings<'_>) {
    let Some(fault) = facts.firings.first().map(|firing| firing.at) else {
        let text = format!("nothing happened that {} could have recovered from", client.id);
        findings.unproven(Some(&client.id), facts.end, text);
        return;
    };
    let text = match recovered(facts, client) {
        Some(at) if at.since(fault) <= within => return,
        Some(at) => format!(
            "{} recovered at {at}, {} after the first fault; {} are allowed",
            client.id,
            seconds(at.since(fault)),
            seconds(within)
        ),
        None if fault + within > Time::from(facts.plan.run_for) => {
            let text = format!("the run ended before {} had to have recovered from the fault at {fault}", client.id);
            findings.unproven(Some(&client.id), facts.end, text);
            return;
        }
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
    let lasting = facts.firings.iter().filter_map(|firing| match firing.until {
        Time::NEVER => fault_of(facts, firing).is_some_and(Fault::lasts).then_some(firing.at),
        until => Some(until),
    });
    let since = lasting.max().unwrap_or(first);
    good(&|op| op.started >= since)
}

#[cfg(test)]
mod tests {
    use model::fault::Target;
    use model::history::{Execution, NodeState, What};
    use model::plan::Workload;
    use model::{NodeId, Plan};

    use super::*;
    use crate::story::{A, B, C, Story, incr, plan, step};

    #[test]
    fn the_number_of_changes_is_exact() {
        let told = |expected| {
            let mut plan = plan();
            plan.expect.failovers = expected;
            let unmet = Story::failover().under(&plan, Rule::Failovers);
            unmet.into_iter().map(|finding| finding.text).collect::<Vec<_>>()
        };
        assert!(told(None).is_empty());
        assert!(told(Some(1)).is_empty());
        assert_eq!(told(Some(0)), ["the master changed 1 time instead of 0: to redis-2 at 14.500s"]);
        assert_eq!(told(Some(2)).len(), 1);
    }

    #[test]
    fn failures_are_counted_for_each_client() {
        let told = |allowed| {
            let mut plan = plan();
            plan.expect.failed_at_most = Some(allowed);
            Story::failover().under(&plan, Rule::FailedAtMost)
        };
        assert!(told(50).is_empty());
        let unmet = told(49);
        assert_eq!(unmet[0].text, "50 operations of writer failed; 49 may");
        assert_eq!(unmet[0].at, Time::from_millis(14_905), "the fiftieth");
    }

    #[test]
    fn connections_of_all_clients_are_counted_together() {
        let mut plan = plan();
        plan.clients.push(Client::new("other", Workload::Counter));
        plan.expect.most_connects = Some((3, Duration::from_millis(100)));
        let mut story = Story::failover();
        for conn in 20..30 {
            story.opened(conn, 9_000, A);
        }
        for (conn, ms) in [(10, 20_000), (11, 20_050), (12, 20_099), (13, 20_100)] {
            story.opened(conn, ms, A);
        }
        assert!(story.under(&plan, Rule::MostConnects).is_empty());
        let other = model::ClientId::new("other");
        story.tell(20_060, What::Opened { node: A, client: other, conn: 14 });
        let text = "the clients opened 4 connections within 0.1s up to 20.099s; 3 are allowed";
        assert_eq!(story.under(&plan, Rule::MostConnects)[0].text, text);
    }

    fn within(ms: u64, plan: Plan, story: &Story) -> Vec<String> {
        let mut plan = plan;
        plan.expect.recovered_within = Some(Duration::from_millis(ms));
        story.under(&plan, Rule::RecoveredWithin).into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn recovery_ends_with_the_first_good_write_on_the_last_new_master() {
        let story = Story::failover();
        assert!(within(5_002, plan(), &story).is_empty());
        let text = "writer recovered at 15.002s, 5.002s after the first fault; 5.001s are allowed";
        assert_eq!(within(5_001, plan(), &story), [text]);
        let mut moved_on = Story::failover();
        moved_on.role(29_000, C, None);
        moved_on.answer(29_000, 1, C);
        moved_on.answer(29_000, 2, C);
        let text = "writer never recovered from the fault at 10.000s; 20s are allowed";
        assert_eq!(within(20_000, plan(), &moved_on), [text]);
        assert!(within(25_000, plan(), &moved_on).is_empty(), "the run ends before that");
    }

    #[test]
    fn without_a_change_recovery_ends_with_the_first_good_write_after_the_heal() {
        let mut plan = plan();
        plan.timeline = vec![step(10_000, Fault::Freeze(Target::Master(None)))];
        let mut story = Story::quiet();
        story.fault(10_000, 0, "freeze master", &[A]);
        story.state(10_000, A, NodeState::Frozen);
        story.state(14_950, A, NodeState::Up);
        story.healed(14_950, 0, "freeze master");
        assert!(within(5_002, plan.clone(), &story).is_empty());
        assert_eq!(within(5_001, plan, &story).len(), 1);
    }

    #[test]
    fn what_was_written_before_the_last_lasting_fault_is_no_recovery_from_it() {
        let sentinels = Fault::Kill(Target::SentinelsMajority);
        let mut plan = plan();
        plan.timeline = vec![step(9_000, sentinels), step(10_000, Fault::Kill(Target::Master(None)))];
        let mut story = Story::quiet();
        story.forget(|what| matches!(what, What::Started { op, .. } if op.seq >= 70));
        story.fault(9_000, 0, "kill sentinels:majority", &[NodeId::sentinel(1), NodeId::sentinel(2)]);
        story.fault(10_000, 1, "kill master", &[A]);
        let text = "writer never recovered from the fault at 9.000s; 10s are allowed";
        assert_eq!(within(10_000, plan, &story), [text]);
    }

    /// Reads every 100 ms, of which those at `node` from `ms` on succeed, while the only replica is away from 10 s to 15 s.
    fn returns(ms: u64, node: NodeId, within: u64) -> Vec<(Rule, String)> {
        let mut plan = plan();
        plan.clients[0].workload = Workload::ReplicaReads;
        plan.cluster.groups[0].replicas = 1;
        plan.expect.back_to_replica_within = Some(Duration::from_millis(within));
        let mut story = Story::quiet();
        story.forget(|what| matches!(what, What::Started { .. } | What::Ended { .. } | What::Executed(_)));
        story.role(0, B, Some(A));
        story.fault(10_000, 0, "kill redis-2", &[B]);
        story.state(10_000, B, NodeState::Down);
        story.state(15_000, B, NodeState::Up);
        for (seq, at) in (ms..ms + 1_000).step_by(100).enumerate() {
            let seq = seq as u64;
            story.began(seq, at, Action::ReplicaGet);
            let read = Execution { command: "GET".into(), write: false, master: node == A, ..incr(seq, node) };
            story.tell(at + 1, What::Executed(read));
            story.ended_ok(seq, at + 2);
        }
        let found = story.judge(&plan).findings.into_iter();
        let found = found.filter(|finding| matches!(finding.rule, Rule::BackToReplicaWithin | Rule::Evidence));
        found.map(|finding| (finding.rule, finding.text)).collect()
    }

    #[test]
    fn reads_return_to_a_replica_that_is_there_again() {
        assert_eq!(returns(19_000, B, 5_000), []);
        let late = "a replica was there again at 15.000s, and answered no read of writer in the 5s after that; the master answered 0; \
                    a replica answered the first at 21.001s";
        assert_eq!(returns(21_000, B, 5_000), [(Rule::BackToReplicaWithin, late.to_owned())]);
        let text = "a replica was there again at 15.000s, and answered no read of writer in the 5s after that; the master answered 10";
        assert_eq!(returns(16_000, A, 5_000), [(Rule::BackToReplicaWithin, text.to_owned())]);
        assert_eq!(returns(14_000, B, 5_000).len(), 1, "before it was there");
        let text = "the run ended before a replica, there again at 15.000s, had to have answered a read of writer";
        assert_eq!(returns(16_000, A, 15_001), [(Rule::Evidence, text.to_owned())]);
    }

    #[test]
    fn a_time_without_success_is_too_long_whether_calls_fail_or_wait() {
        let gap = |ms, story: &Story| {
            let mut plan = plan();
            plan.expect.longest_gap = Some(Duration::from_millis(ms));
            story.under(&plan, Rule::LongestGap).into_iter().map(|finding| finding.text).collect::<Vec<_>>()
        };
        assert!(gap(5_100, &Story::failover()).is_empty());
        let text = "no operation of writer succeeded for 5.1s from 9.902s on; 5.099s are allowed";
        assert_eq!(gap(5_099, &Story::failover()), [text]);
        let mut waits = Story::failover();
        waits.forget(|what| matches!(what, What::Ended { op, .. } if op.seq >= 100));
        assert_eq!(gap(20_000, &waits).len(), 1, "up to the end of the run");
    }
}
