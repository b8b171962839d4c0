//! [`judge`]: asks every invariant, every expectation and for evidence, and sums up.

use model::history::OpResult;
use model::plan::Client;
use model::verdict::ClientSummary;
use model::{ClientId, History, Plan, Verdict};

use crate::facts::Facts;
use crate::faults::Standing;
use crate::findings::Findings;
use crate::periods::Periods;
use crate::{
    bounded, cached, conduct, conformance, converge, evidence, expect, honest, jobs, load, locks, loss, once, queues,
    recovery, replies, residue, stale,
};

/// The verdict on the run of `plan` that left `history`. Clients that the plan does not have are not judged: it says
/// nothing about their deadline and budget. Never panics, however incomplete the history is.
pub fn judge(plan: &Plan, history: &History) -> Verdict {
    let facts = Facts::new(plan, history);
    let faults = Standing::new(&facts);
    let mut findings = Findings::new(plan);
    let (mut lost, mut judged) = (0, false);
    for client in &plan.clients {
        let periods = Periods::new(&facts, &faults, client);
        converge::check(&facts, client, &periods, &mut findings);
        stale::check(&facts, &faults, client, &periods, &mut findings);
        once::check(&facts, client, &mut findings);
        locks::check(&facts, &faults, client, &mut findings);
        queues::check(&facts, client, &periods, &mut findings);
        jobs::check(&facts, client, &periods, &mut findings);
        cached::check(&facts, client, &periods, &mut findings);
        lost += loss::check(&facts, client, &mut findings);
        bounded::check(&facts, client, &mut findings);
        conduct::check(&facts, client, &mut findings);
        load::check(&facts, client, &mut findings);
        honest::check(&facts, &faults, client, &mut findings);
        replies::check(&facts, client, &mut findings);
        expect::check_return(&facts, client, &periods, &mut findings);
        evidence::check_client(&facts, client, &periods, &mut findings);
        judged |= evidence::is_judged(&facts, client, &periods);
    }
    residue::check(&facts, plan, &mut findings);
    expect::check(&facts, lost, &mut findings);
    evidence::check_steps(&facts, plan, &mut findings);
    evidence::check_judged(&facts, judged, &mut findings);
    let failovers = recovery::all(&facts, history);
    let clients = plan.clients.iter().map(|client| summary(&facts, client)).collect();
    let (outcome, findings) = findings.conclude();
    let conformance = plan.clients.iter().flat_map(|client| conformance::of(&facts, &faults, client)).collect();
    Verdict { outcome, findings, failovers, clients, acknowledged_writes_lost: lost, conformance }
}

fn summary(facts: &Facts<'_>, client: &Client) -> ClientSummary {
    let count = |wanted: fn(&OpResult) -> bool| {
        facts.ops_of(client).filter(|op| op.ended.is_some_and(|(_, result)| wanted(result))).count() as u64
    };
    let driver = facts.drivers.get(client.id.as_str()).copied().or(client.driver.as_deref());
    ClientSummary {
        client: ClientId::new(&client.id),
        driver: driver.unwrap_or_default().to_owned(),
        ok: count(|result| matches!(result, OpResult::Ok { .. })),
        failed: count(|result| matches!(result, OpResult::Failed(_))),
        ambiguous: count(|result| matches!(result, OpResult::Ambiguous(_))),
        longest_gap_us: expect::longest_gap(facts, client).map_or(0, |(_, gap)| gap.as_micros() as u64),
        connections: facts.connections_of(client).len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::Outcome;

    use super::*;
    use crate::story::{Story, plan};

    #[test]
    fn a_quiet_run_passes() {
        let mut plan = plan();
        plan.timeline.clear();
        plan.expect.failovers = Some(0);
        let verdict = Story::quiet().judge(&plan);
        assert_eq!(verdict.findings, []);
        assert_eq!(verdict.outcome, Outcome::Pass);
        assert_eq!(verdict.clients[0].ok, 270);
        assert_eq!(verdict.clients[0].driver, "test");
        assert_eq!(verdict.clients[0].longest_gap_us, 100_000);
    }

    #[test]
    fn a_client_that_recovers_within_its_budget_passes() {
        let mut plan = plan();
        plan.expect.failovers = Some(1);
        plan.expect.recovered_within = Some(Duration::from_millis(5_002));
        let verdict = Story::failover().judge(&plan);
        assert_eq!(verdict.findings, []);
        assert_eq!(verdict.outcome, Outcome::Pass);
        assert_eq!((verdict.clients[0].ok, verdict.clients[0].failed), (220, 50));
        assert_eq!(verdict.clients[0].longest_gap_us, 5_100_000);
    }

    #[test]
    fn an_empty_history_proves_nothing() {
        assert_eq!(judge(&plan(), &History::default()).outcome, Outcome::Inconclusive);
    }

    proptest::proptest! {
        /// Records lost, doubled and at wrong times: whatever the judge makes of it, it comes to an end.
        #[test]
        fn broken_histories_are_judged_too(
            picks in proptest::collection::vec((0_usize..1_000, 0_u64..40_000), 0..400),
            groups in 1_usize..3,
            sentinels in 0_u16..4,
        ) {
            let mut plan = plan();
            plan.cluster.groups.resize(groups, model::plan::Group::new("other"));
            plan.cluster.sentinels = sentinels;
            plan.expect.recovered_within = Some(Duration::ZERO);
            plan.expect.failovers = Some(1);
            let whole = Story::failover().history;
            let mut broken = History { header: whole.header, records: Vec::new() };
            for (index, ms) in picks {
                let what = whole.records[index % whole.records.len()].what.clone();
                broken.push(model::Time::from_millis(ms), what);
            }
            let verdict = judge(&plan, &broken);
            proptest::prop_assert_eq!(verdict.outcome == Outcome::Pass, verdict.findings.is_empty());
            proptest::prop_assert_eq!(judge(&plan, &broken), verdict);
        }

        #[test]
        fn a_history_may_end_anywhere(kept in 0_usize..2_000) {
            let mut history = Story::failover().history;
            history.records.sort_by_key(|record| record.at);
            history.records.truncate(kept);
            let whole = kept >= Story::failover().history.records.len();
            proptest::prop_assert_eq!(judge(&plan(), &history).outcome == Outcome::Pass, whole);
        }
    }
}
