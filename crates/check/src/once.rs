//! I3 at most once: an operation executes at most once unless its caller opted into retry.
//!
//! Counted are operations that do harm when repeated: `INCR`, `LPUSH`, and any other write but `SET`. `SET` of a value
//! gives the same state however often it runs, so that a client may repeat it; so may `PUBLISH`, whose delivery is not
//! guaranteed in either direction. `BLPOP` names no operation, so that its executions cannot be told apart.

use model::history::Action;
use model::plan::Client;
use model::verdict::Invariant;

use crate::facts::Facts;
use crate::findings::Findings;

/// Adds what `client` did against it.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, findings: &mut Findings<'_>) {
    if client.retry_ambiguous {
        return;
    }
    for op in facts.ops_of(client) {
        if !op.action.writes() || op.action == Action::Set {
            continue;
        }
        let ran: Vec<_> = op.ran().collect();
        if let [(_, first), .., (at, _)] = ran[..] {
            let places: Vec<String> = ran.iter().map(|(at, e)| format!("on {} at {at}", e.node)).collect();
            let text =
                format!("{} of {} was executed {} times: {}", first.command, op.id, ran.len(), places.join(", "));
            findings.violated(Invariant::I3, Some(&client.id), at, text);
        }
    }
}
