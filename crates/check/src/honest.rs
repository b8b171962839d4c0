//! I7 honest error: the error names the true cause.
//!
//! An error is held against what the nodes saw of that client while the call went on. Only contradictions count:
//!
//! | the client says | and yet |
//! |---|---|
//! | it did not run | a node ran it |
//! | no Sentinel answers | one that could be reached throughout answered it during the call, and not perhaps the other one of [two](model::plan::Workload::takes_two) |
//! | the Sentinels do not know the master | none was made to say so, and the cluster has that master |
//! | the node answered an error | no node answered it one |
//! | wrong credentials | no node refused it for them |
//!
//! Lost connections, time-outs and the like are believed. Clients may report an error that a shared connection attempt
//! met a little before the call, so that errors of nodes count from one budget before it.

use model::Time;
use model::history::{Action, Cause, OpError, OpResult};
use model::plan::Client;
use model::verdict::Invariant;

use crate::facts::{Facts, Firing, Op, is_question};
use crate::faults::{Path, Standing, Witness};
use crate::findings::Findings;
use crate::periods::ends_connections;

/// Adds what `client` did against it.
pub(crate) fn check(facts: &Facts<'_>, faults: &Standing<'_>, client: &Client, findings: &mut Findings<'_>) {
    for op in facts.ops_of(client) {
        let Some((ended, result)) = op.ended else { continue };
        let (OpResult::Failed(error) | OpResult::Ambiguous(error)) = result else { continue };
        let claimed_undone = matches!(result, OpResult::Failed(_));
        let lie = ran_after_all(op, claimed_undone).or_else(|| contradiction(facts, faults, client, op, ended, error));
        if let Some(lie) = lie {
            let text = format!("{} failed at {ended} with \"{}\", {lie}", op.id, error.error);
            findings.violated(Invariant::I7, Some(&client.id), ended, text);
        }
    }
}

fn ran_after_all(op: &Op<'_>, claimed_undone: bool) -> Option<String> {
    let matters = op.action.writes() || op.action == Action::Publish;
    let (at, execution) = op.ran().next().filter(|_| claimed_undone && matters)?;
    Some(format!("which says that it did not run, but {} executed it at {at}", execution.node))
}

/// What speaks against the cause that an error of `op` names.
pub(crate) fn contradiction(
    facts: &Facts<'_>,
    faults: &Standing<'_>,
    client: &Client,
    op: &Op<'_>,
    ended: Time,
    error: &OpError,
) -> Option<String> {
    let seen = facts.executions_of(client);
    let during = |from: Time| {
        let first = seen.partition_point(|(at, _)| *at < from);
        seen[first..].iter().take_while(move |(at, _)| *at <= ended).map(|(at, execution)| (*at, *execution))
    };
    let budget_before = Time::from(op.started.elapsed().saturating_sub(client.budget));
    match error.cause {
        Cause::NoSentinel if client.workload.takes_two() => None,
        Cause::NoSentinel => {
            let answered = during(op.started).find(|(_, execution)| {
                execution.command.starts_with("SENTINEL ")
                    && execution.error.is_none()
                    && !execution.reply_cut
                    && reachable_throughout(facts, faults, client, execution.node, op.started, ended)
            });
            let (at, execution) = answered?;
            Some(format!("which says that no Sentinel answers, but {} answered it at {at}", execution.node))
        }
        Cause::UnknownMaster => {
            let excused = facts.group_of(client).is_none() || faults.unknown_was_answered(budget_before, ended);
            // What else a Sentinel refused, such as CLIENT SETINFO, says nothing of the master.
            let refused = during(budget_before).any(|(_, e)| is_question(e) && e.error.is_some());
            (!excused && !refused)
                .then(|| format!("which says that the Sentinels do not know {}, but none had said so", client.master))
        }
        Cause::Server => {
            let refused = during(budget_before).any(|(_, execution)| execution.error.is_some());
            (!refused).then(|| "which says that the node answered an error, but none did".to_owned())
        }
        Cause::Auth => {
            const CODES: [&str; 3] = ["NOAUTH", "WRONGPASS", "NOPERM"];
            const LOGINS: [&str; 2] = ["AUTH", "HELLO"];
            let refused = during(budget_before).any(|(_, execution)| {
                let login = LOGINS.contains(&execution.command.as_str());
                execution.error.as_deref().is_some_and(|error| login || CODES.contains(&error))
            });
            (!refused).then(|| "which blames the credentials, but no node refused them".to_owned())
        }
        Cause::Connection | Cause::Timeout | Cause::NoMaster | Cause::Other => None,
    }
}

/// True if nothing stood between the client and the Sentinel, at any time of `from..=until`, nor ended its connections.
fn reachable_throughout(
    facts: &Facts<'_>,
    faults: &Standing<'_>,
    client: &Client,
    sentinel: model::NodeId,
    from: Time,
    until: Time,
) -> bool {
    let ends = |firing: &Firing<'_>| {
        from <= firing.at && firing.at <= until && firing.nodes.contains(&sentinel) && ends_connections(facts, firing)
    };
    if facts.firings.iter().any(ends) {
        return false;
    }
    let inside = facts.changes.iter().copied().filter(|at| from < *at && *at <= until);
    std::iter::once(from).chain(inside).all(|at| {
        facts.up(sentinel, at)
            && faults.path(client, sentinel, at) == Path::Clear
            && faults.witness(client, sentinel, at) != Witness::Mute
    })
}

#[cfg(test)]
mod tests {
    use model::fault::{Answer, Fault, Target};
    use model::history::{Execution, What};
    use model::plan::Workload;
    use model::{NodeId, Plan};

    use super::*;
    use crate::story::{B, Story, incr, op, plan, step};

    fn claim(cause: Cause) -> Story {
        let mut story = Story::failover();
        story.bad(900, 15_500..15_600, cause, "the error");
        story
    }

    fn against(plan: &Plan, story: &Story) -> Vec<String> {
        story.against(plan, Invariant::I7)
    }

    #[test]
    fn what_ran_was_not_known_not_to_have_run() {
        let mut story = claim(Cause::Timeout);
        assert!(against(&plan(), &story).is_empty());
        story.ran(900, 15_501, B);
        let text = "writer#900 failed at 15.600s with \"the error\", which says that it did not run, \
                    but redis-2 executed it at 15.501s";
        assert_eq!(against(&plan(), &story), [text]);
    }

    #[test]
    fn an_ambiguous_error_may_have_run() {
        let mut story = Story::failover();
        story.began(900, 15_500, Action::Incr);
        story.ran(900, 15_501, B);
        let error = OpError { cause: Cause::Connection, error: "closed".into() };
        story.tell(15_502, What::Ended { op: op(900), result: OpResult::Ambiguous(error) });
        assert!(against(&plan(), &story).is_empty());
    }

    #[test]
    fn no_sentinel_is_a_lie_if_a_healthy_one_answered() {
        let mut story = claim(Cause::NoSentinel);
        assert!(against(&plan(), &story).is_empty());
        story.asked(15_550, 3);
        assert!(against(&plan(), &story)[0].ends_with("but sentinel-3 answered it at 15.550s"));
        let mut of_two = plan();
        of_two.clients[0].workload = Workload::PubSub;
        assert!(against(&of_two, &story).is_empty(), "it may have been the subscriber that was answered");
        let mut plan = plan();
        plan.timeline.push(step(15_000, Fault::Override { target: Target::Sentinels, answer: Answer::Hang }));
        story.fault(15_000, 1, "override", &[NodeId::sentinel(3)]);
        assert!(against(&plan, &story).is_empty(), "it hung");
        plan.timeline[1].fault = Fault::Override { target: Target::Sentinels, answer: Answer::Null };
        assert_eq!(against(&plan, &story).len(), 1, "it answered that it does not know the master");
        for (ms, lies) in [(15_499, 1), (15_560, 0), (15_601, 1)] {
            let mut story = claim(Cause::NoSentinel);
            story.asked(15_550, 3);
            plan.timeline[1].fault = Fault::Silence(Target::Sentinels);
            story.fault(ms, 1, "silence sentinels", &[NodeId::sentinel(3)]);
            assert_eq!(against(&plan, &story).len(), lies, "its connections fell silent at {ms} ms");
        }
    }

    #[test]
    fn unknown_master_is_a_lie_unless_some_sentinel_said_so() {
        let mut story = claim(Cause::UnknownMaster);
        assert!(against(&plan(), &story)[0].ends_with("do not know mymaster, but none had said so"));
        let refused = |command: &str| {
            let mut story = claim(Cause::UnknownMaster);
            let command = command.to_owned();
            let refusal = Execution { error: Some("ERR".into()), op: None, command, ..incr(0, NodeId::sentinel(1)) };
            story.tell(15_550, What::Executed(refusal));
            against(&plan(), &story).len()
        };
        assert_eq!(refused("SENTINEL MASTERS"), 0, "one refused to say");
        assert_eq!(refused("CLIENT SETINFO"), 1, "that was no question about the master");
        let mut unknown = plan();
        unknown.clients[0].master = "other".into();
        assert!(against(&unknown, &story).is_empty(), "there is no such master");
        let mut null = plan();
        null.timeline.push(step(15_000, Fault::Override { target: Target::Sentinels, answer: Answer::Null }));
        story.fault(15_000, 1, "override", &[NodeId::sentinel(3)]);
        assert!(against(&null, &story).is_empty(), "one said so");
    }

    #[test]
    fn a_master_that_an_operator_removed_is_unknown_from_then_on() {
        let told = |command: &str, ms: u64| {
            let mut plan = plan();
            let command = command.split(' ').map(str::to_owned).collect();
            plan.timeline.push(step(ms, Fault::Send { target: Target::Sentinels, command, undo: None }));
            let mut story = claim(Cause::UnknownMaster);
            story.fault(ms, 1, "send", &[NodeId::sentinel(1)]);
            against(&plan, &story).len()
        };
        assert_eq!(told("SENTINEL REMOVE mymaster", 15_000), 0);
        assert_eq!(told("SENTINEL REMOVE mymaster", 15_601), 1, "the error came before");
        assert_eq!(told("SENTINEL RESET mymaster", 15_000), 1, "it still knows the name");
    }

    #[test]
    fn errors_of_nodes_must_have_been_answered() {
        let refusal = |code: &str| Execution { error: Some(code.into()), ..incr(900, B) };
        for (cause, code, lies) in [
            (Cause::Server, None, 1),
            (Cause::Server, Some("READONLY"), 0),
            (Cause::Auth, None, 1),
            (Cause::Auth, Some("READONLY"), 1),
            (Cause::Auth, Some("WRONGPASS"), 0),
        ] {
            let mut story = claim(cause);
            if let Some(code) = code {
                story.tell(15_550, What::Executed(refusal(code)));
            }
            assert_eq!(against(&plan(), &story).len(), lies, "{cause:?} {code:?}");
        }
    }

    #[test]
    fn lost_connections_and_the_like_are_believed() {
        for cause in [Cause::Connection, Cause::Timeout, Cause::NoMaster, Cause::Other] {
            assert!(against(&plan(), &claim(cause)).is_empty(), "{cause:?}");
        }
    }
}
