//! I7 honest error: the error names the true cause.
//!
//! An error is held against what the nodes saw of that client while the call went on. Only contradictions count:
//!
//! | the client says | and yet |
//! |---|---|
//! | it did not run | a node ran it |
//! | no Sentinel answers | one that could be reached throughout answered it during the call |
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

use crate::facts::{Facts, Op};
use crate::faults::{Path, Standing, Witness};
use crate::findings::Findings;

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

fn contradiction(
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
            let refused = during(budget_before).any(|(_, e)| e.node.is_sentinel() && e.error.is_some());
            (!excused && !refused)
                .then(|| format!("which says that the Sentinels do not know {}, but none had said so", client.master))
        }
        Cause::Server => {
            let refused = during(budget_before).any(|(_, execution)| execution.error.is_some());
            (!refused).then(|| "which says that the node answered an error, but none did".to_owned())
        }
        Cause::Auth => {
            const CODES: [&str; 3] = ["NOAUTH", "WRONGPASS", "NOPERM"];
            let refused = during(budget_before)
                .any(|(_, execution)| execution.error.as_deref().is_some_and(|error| CODES.contains(&error)));
            (!refused).then(|| "which blames the credentials, but no node refused them".to_owned())
        }
        Cause::Connection | Cause::Timeout | Cause::NoMaster | Cause::Other => None,
    }
}

/// True if nothing stood between the client and the Sentinel, at any time of `from..=until`.
fn reachable_throughout(
    facts: &Facts<'_>,
    faults: &Standing<'_>,
    client: &Client,
    sentinel: model::NodeId,
    from: Time,
    until: Time,
) -> bool {
    let inside = facts.changes.iter().copied().filter(|at| from < *at && *at <= until);
    std::iter::once(from).chain(inside).all(|at| {
        facts.up(sentinel, at)
            && faults.path(client, sentinel, at) == Path::Clear
            && faults.witness(client, sentinel, at) != Witness::Useless
    })
}
