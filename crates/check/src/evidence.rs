//! What must have happened for the run to prove anything: faults that fired, clients that worked and that were touched.

use model::history::{Action, Execution, OpResult};
use model::plan::Client;
use model::verdict::{Invariant, Rule, Severity};
use model::{Fault, Plan, Time};

use crate::bounded::is_overdue;
use crate::facts::{Facts, Mastership, Op};
use crate::findings::{Findings, counted, seconds};
use crate::periods::{Period, Periods};
use crate::{converge, stale};

/// Fewer operations than that show nothing.
const FEWEST_OPERATIONS: usize = 10;

/// Adds each step of the timeline that did nothing, and that nobody was there to be touched by it.
pub(crate) fn check_steps(facts: &Facts<'_>, plan: &Plan, findings: &mut Findings<'_>) {
    if plan.clients.is_empty() {
        findings.unproven(None, facts.end, "no client took part: nothing was put to the test".to_owned());
    }
    for (index, step) in plan.timeline.iter().enumerate() {
        let mut fired = facts.firings.iter().filter(|firing| firing.step == Some(index)).peekable();
        let number = index + 1;
        match fired.peek() {
            None => {
                findings.unproven(
                    None,
                    facts.end,
                    format!("step {number} of the timeline, {}, never fired", step.fault),
                );
            }
            Some(first) if first.nodes.is_empty() => {
                let why = match step.fault {
                    Fault::Send { .. } => "was refused by every node, or found none that runs",
                    _ => "found nothing to act on",
                };
                let text = format!("step {number} of the timeline, {}, {why}", step.fault);
                findings.unproven(None, first.at, text);
            }
            Some(first) if matches!(step.fault, Fault::CutReply { .. }) && !a_reply_was_cut(facts, plan, first.at) => {
                let text = format!("step {number} of the timeline, {}, never met such a command", step.fault);
                findings.unproven(None, first.at, text);
            }
            Some(_) => {}
        }
    }
}

fn a_reply_was_cut(facts: &Facts<'_>, plan: &Plan, since: Time) -> bool {
    let mut executions = plan.clients.iter().flat_map(|client| facts.executions_of(client));
    executions.any(|(at, execution)| *at >= since && execution.reply_cut)
}

/// True if anything that `client` did from the first fault on was held to I1 or I2, or if there was no fault.
pub(crate) fn is_judged(facts: &Facts<'_>, client: &Client, periods: &Periods) -> bool {
    let Some(first) = facts.firings.first().map(|firing| firing.at) else { return true };
    let waived = |invariant| facts.plan.expect.waive.iter().any(|(waived, _)| *waived == invariant);
    let to_success = |op: &Op<'_>| op.started >= first && converge::held_to(facts, client, op, periods).is_some();
    let to_the_master = |(at, execution): &(Time, &Execution)| {
        let at = execution.sent.unwrap_or(*at);
        at >= first && stale::held_to(client, at, execution, periods).is_some()
    };
    (!waived(Invariant::I1) && facts.ops_of(client).any(to_success))
        || (!waived(Invariant::I2) && facts.executions_of(client).iter().any(to_the_master))
}

/// Adds that nothing that clients did was judged, unless the plan expects something of the run, or it is known already what is missing.
pub(crate) fn check_judged(facts: &Facts<'_>, judged: bool, findings: &mut Findings<'_>) {
    let expects = Rule::all().any(|rule| facts.plan.expect.sets(rule));
    let is_empty = !judged && !expects && !findings.has(Severity::NoEvidence);
    if let Some(first) = facts.firings.first().filter(|_| is_empty) {
        let text = format!(
            "nothing that clients did from the first fault on, at {}, had to succeed, as there was no master for them, nor a replica that \
             serves stale data, for longer than their budget: undo what was done, or say in `expect` what must come out",
            first.at
        );
        findings.unproven(None, facts.end, text);
    }
}

/// Adds what `client` left unproven.
pub(crate) fn check_client(facts: &Facts<'_>, client: &Client, periods: &Periods, findings: &mut Findings<'_>) {
    let id = &client.id;
    let ops = facts.ops_of(client).count();
    if facts.group_of(client).is_none() {
        // That the master is unknown is what such a run is about: its client has nothing to succeed with.
        return;
    }
    if ops < FEWEST_OPERATIONS {
        findings.unproven(
            Some(id),
            facts.end,
            format!("{id} began {}; less than {FEWEST_OPERATIONS} show nothing", counted(ops as u64, "operation")),
        );
        return;
    }
    if !facts.ops_of(client).any(crate::facts::Op::ok) {
        findings.unproven(Some(id), facts.end, format!("no operation of {id} succeeded"));
    }
    if !facts.executions_of(client).iter().any(|(_, execution)| !execution.node.is_sentinel()) {
        findings.unproven(Some(id), facts.end, format!("no data node saw a command of {id}"));
    }
    let changes = facts.group_of(client).into_iter().flat_map(|group| facts.failovers(group));
    for change in changes {
        // Who comes and goes while a client is cut off need not be noticed.
        let seen = |p: &Period| {
            let stood = p.until.min(change.until).since(p.from.max(change.answered));
            p.node == change.node && stood > client.budget
        };
        let visible = periods.good.iter().any(seen);
        if visible && !noticed(facts, client, change) {
            let text = format!("{id} never noticed that {} became the master at {}", change.node, change.answered);
            findings.unproven(Some(id), change.answered, text);
        }
    }
    let last = facts.group_of(client).and_then(|group| facts.failovers(group).last());
    if let Some(last) = last
        && let Some(period) = periods.good.last().filter(|p| p.from >= last.answered && p.until == Time::NEVER)
        && !facts
            .ops_of(client)
            .any(|op| !op.action.master_bound() || converge::held_to(facts, client, op, periods) == Some(period))
    {
        let open =
            |op: &&Op<'_>| op.action != Action::Subscribe && matches!(op.ended, None | Some((_, OpResult::Unfinished)));
        let waits = facts.ops_of(client).filter(open).last().filter(|_| period.from + client.budget < facts.end);
        let text = match waits {
            Some(op) => format!(
                "{} was begun at {} and still open when the run ended, {} its deadline of {}: nothing that {id} did shows whether it \
                 had recovered",
                op.id,
                op.started,
                if is_overdue(facts, client, op) { "after" } else { "before" },
                seconds(client.deadline)
            ),
            None => format!("the run ended before {id} had to have recovered: nothing it did was held to that"),
        };
        findings.unproven(Some(id), facts.end, text);
    }
}

/// True if the change left a trace in what the client did: an operation failed, it opened a connection, asked a
/// Sentinel, or used the new master.
fn noticed(facts: &Facts<'_>, client: &Client, change: &Mastership) -> bool {
    // It may have noticed the outage that led to the change, and sat still since.
    let fault = facts.firings.iter().rfind(|firing| firing.at <= change.answered).map(|firing| firing.at);
    let since = fault.unwrap_or(change.answered);
    let inside = |at: Time| since <= at && at < change.until;
    facts.executions_of(client).iter().any(|(at, e)| inside(*at) && (e.node.is_sentinel() || e.node == change.node))
        || facts.connections_of(client).iter().any(|connection| inside(connection.opened))
        || facts
            .ops_of(client)
            .any(|op| matches!(op.ended, Some((at, OpResult::Failed(_) | OpResult::Ambiguous(_))) if inside(at)))
}

#[cfg(test)]
mod tests {
    use model::Outcome;
    use model::fault::{Fault, Target};
    use model::history::What;
    use model::plan::Expect;

    use super::*;
    use crate::story::{Story, plan, step};

    fn unproven(plan: &Plan, story: &Story) -> Vec<String> {
        let verdict = story.judge(plan);
        let missing: Vec<_> = verdict.findings.into_iter().filter(|f| f.rule == Rule::Evidence).collect();
        assert_eq!(verdict.outcome == Outcome::Inconclusive, !missing.is_empty());
        missing.into_iter().map(|finding| finding.text).collect()
    }

    #[test]
    fn steps_must_fire_and_hit() {
        let mut plan = plan();
        plan.timeline.push(step(20_000, Fault::Kill(Target::OldMaster(None))));
        let mut story = Story::failover();
        assert_eq!(unproven(&plan, &story), ["step 2 of the timeline, kill old-master, never fired"]);
        story.fault(20_000, 1, "kill old-master", &[]);
        assert_eq!(unproven(&plan, &story), ["step 2 of the timeline, kill old-master, found nothing to act on"]);
        plan.timeline[1].fault =
            Fault::Send { target: Target::Master(None), command: vec!["NOSUCH".into()], undo: None };
        let text = "step 2 of the timeline, send master NOSUCH, was refused by every node, or found none that runs";
        assert_eq!(unproven(&plan, &story), [text]);
    }

    /// What is left unproven of a run in which all Sentinels are killed at 10 s, and until when.
    fn without_sentinels(until: Option<u64>, expect: Expect) -> Vec<String> {
        let mut plan = plan();
        plan.timeline[0].fault = Fault::Kill(Target::Sentinels);
        plan.expect = expect;
        let mut story = Story::quiet();
        let sentinels = plan.cluster.sentinel_nodes();
        story.fault(10_000, 0, "kill sentinels", &sentinels);
        for node in sentinels {
            story.state(10_000, node, model::history::NodeState::Down);
            if let Some(ms) = until {
                story.state(ms, node, model::history::NodeState::Up);
            }
        }
        unproven(&plan, &story)
    }

    #[test]
    fn something_must_be_judged_or_expected() {
        let text = "nothing that clients did from the first fault on, at 10.000s, had to succeed, as there was no master for them, nor a \
                    replica that serves stale data, for longer than their budget: undo what was done, or say in `expect` what must come out";
        assert_eq!(without_sentinels(None, Expect::default()), [text]);
        assert_eq!(without_sentinels(Some(27_500), Expect::default()), [text], "for less than the budget");
        assert!(without_sentinels(Some(20_000), Expect::default()).is_empty());
        assert!(without_sentinels(None, Expect { failovers: Some(0), ..Expect::default() }).is_empty());
        let waived = [Invariant::I1, Invariant::I2].map(|invariant| (invariant, "why".to_owned()));
        assert_eq!(
            without_sentinels(Some(20_000), Expect { waive: waived[..1].to_vec(), ..Expect::default() }).len(),
            0
        );
        assert_eq!(without_sentinels(Some(20_000), Expect { waive: waived.to_vec(), ..Expect::default() }), [text]);
    }

    #[test]
    fn a_reply_must_have_been_cut() {
        let mut plan = plan();
        let cut = Fault::CutReply { target: Target::Master(None), command: Some("INKR".into()), times: 1 };
        plan.timeline.push(step(20_000, cut));
        let mut story = Story::failover();
        story.fault(20_000, 1, "cut_reply of 1 INKR at master", &[crate::story::B]);
        let text = "step 2 of the timeline, cut_reply of 1 INKR at master, never met such a command";
        assert_eq!(unproven(&plan, &story), [text]);
    }

    #[test]
    fn somebody_must_take_part() {
        let mut plan = plan();
        plan.clients.clear();
        assert_eq!(unproven(&plan, &Story::failover()), ["no client took part: nothing was put to the test"]);
    }

    #[test]
    fn a_client_must_work() {
        let mut plan = plan();
        plan.clients.push(model::plan::Client::new("idle", model::plan::Workload::Counter));
        let mut story = Story::failover();
        story.tell(30_001, What::Residue { client: model::ClientId::new("idle"), open: 0, tasks: 0 });
        assert_eq!(unproven(&plan, &story), ["idle began 0 operations; less than 10 show nothing"]);
    }

    #[test]
    fn a_client_must_succeed_at_nodes() {
        let mut story = Story::quiet();
        story.forget(|what| matches!(what, What::Ended { .. } | What::Executed(_)));
        let mut plan = plan();
        plan.timeline.clear();
        let texts: Vec<String> = story.under(&plan, Rule::Evidence).into_iter().map(|finding| finding.text).collect();
        assert_eq!(texts, ["no operation of writer succeeded", "no data node saw a command of writer"]);
    }

    /// A failover in which the client does nothing from before the fault on.
    fn standing_still() -> Story {
        let mut story = Story::failover();
        let after = Time::from_millis(9_999);
        story.history.records.retain(|record| {
            let of_client = matches!(
                record.what,
                What::Started { .. } | What::Ended { .. } | What::Executed(_) | What::Opened { .. }
            );
            record.at < after || !of_client
        });
        story
    }

    #[test]
    fn a_client_must_notice_a_change_of_master() {
        let story = standing_still();
        let texts = unproven(&plan(), &story);
        assert_eq!(texts[0], "writer never noticed that redis-2 became the master at 14.500s");
    }

    #[test]
    fn a_master_that_is_gone_within_the_budget_need_not_be_noticed() {
        let mut plan = plan();
        let unnoticed = |plan: &Plan, story: &Story| {
            story.judge(plan).findings.iter().filter(|finding| finding.text.contains("never noticed")).count()
        };
        let mut story = standing_still();
        assert_eq!(unnoticed(&plan, &story), 1);
        story.state(17_000, plan.cluster.data_nodes()[1].0, model::history::NodeState::Down);
        assert_eq!(unnoticed(&plan, &story), 0);
        plan.clients[0].budget = std::time::Duration::from_secs(2);
        assert_eq!(unnoticed(&plan, &story), 1);
    }

    #[test]
    fn a_run_that_ends_before_the_budget_does_proves_no_recovery() {
        let mut plan = plan();
        plan.clients[0].budget = std::time::Duration::from_secs(20);
        let text = "the run ended before writer had to have recovered: nothing it did was held to that";
        assert_eq!(unproven(&plan, &Story::failover()), [text]);
    }

    #[test]
    fn a_call_that_is_open_at_the_end_proves_no_recovery() {
        let mut plan = plan();
        plan.clients[0].deadline = std::time::Duration::from_secs(20);
        let mut story = Story::failover();
        let after = model::Time::from_millis(17_000);
        story.history.records.retain(|record| {
            record.at < after || !matches!(record.what, What::Started { .. } | What::Ended { .. } | What::Executed(_))
        });
        story.began(900, 17_000, Action::Incr);
        let text = "writer#900 was begun at 17.000s and still open when the run ended, before its deadline of 20s: nothing that writer \
                    did shows whether it had recovered";
        assert_eq!(unproven(&plan, &story), [text]);
    }
}
