//! I3 at most once: an operation executes at most once unless its caller opted into retry.
//!
//! Counted are operations that do harm when repeated: `INCR`, `LPUSH`, and any other write but `SET`. `SET` of a value
//! gives the same state however often it runs, so that a client may repeat it; so may `PUBLISH`, whose delivery is not
//! guaranteed in either direction. `BLPOP` names no operation, so that its executions cannot be told apart.

use std::collections::BTreeMap;

use model::Time;
use model::history::{Action, Execution};
use model::plan::Client;
use model::verdict::Invariant;

use crate::facts::Facts;
use crate::findings::Findings;
use crate::lost::Lost;

/// Adds what `client` did against it.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, findings: &mut Findings<'_>) {
    if client.retry_ambiguous {
        return;
    }
    let lost = Lost::new(facts, client);
    for op in facts.ops_of(client) {
        if !op.action.writes() || op.action == Action::Set {
            continue;
        }
        // A script goes by its text or by its hash, and is the same.
        let mut parts: BTreeMap<&str, Vec<(Time, &Execution)>> = BTreeMap::new();
        for (at, execution) in op.ran().filter(|(_, execution)| execution.command != "SET") {
            let part = if op.action == Action::Script { "" } else { execution.command.as_str() };
            parts.entry(part).or_default().push((at, execution));
        }
        for ran in parts.into_values() {
            let [(_, first), .., (at, _)] = ran[..] else { continue };
            let places: Vec<String> = ran.iter().map(|(at, e)| format!("on {} at {at}", e.node)).collect();
            let text =
                format!("{} of {} was executed {} times: {}", first.command, op.id, ran.len(), places.join(", "));
            findings.violated_by(Invariant::I3, Some(&client.id), at, text, lost.between(&ran));
        }
    }
}

#[cfg(test)]
mod tests {
    use model::history::{Execution, What};

    use super::*;
    use crate::story::{A, B, Story, incr, plan};

    #[test]
    fn each_command_of_an_operation_counts_for_itself() {
        let told = |action, commands: &[&str]| {
            let mut story = Story::failover();
            story.began(900, 9_990, action);
            for command in commands {
                story.tell(9_991, What::Executed(Execution { command: (*command).into(), ..incr(900, A) }));
            }
            story.ended_ok(900, 9_992);
            story.against(&plan(), Invariant::I3)
        };
        assert!(told(Action::Pipeline, &["INCR", "SET", "LPUSH"]).is_empty());
        assert!(told(Action::Pipeline, &["INCR", "SET", "SET", "LPUSH"]).is_empty());
        assert_eq!(told(Action::Pipeline, &["INCR", "SET", "LPUSH", "LPUSH"]).len(), 1);
        assert_eq!(told(Action::Transaction, &["INCR", "LPUSH", "INCR", "LPUSH"]).len(), 1, "two of one kind");
        assert_eq!(told(Action::Script, &["EVALSHA", "EVAL"]).len(), 1);
    }

    fn twice(action: Action, second: Execution) -> Story {
        let mut story = Story::failover();
        story.began(900, 9_990, action);
        story.ran(900, 9_991, A);
        story.tell(15_010, What::Executed(second));
        story
    }

    #[test]
    fn an_increment_that_ran_twice_is_told_with_places_and_times() {
        let text = "INCR of writer#900 was executed 2 times: on redis-1 at 9.991s, on redis-2 at 15.010s";
        assert_eq!(twice(Action::Incr, incr(900, B)).against(&plan(), Invariant::I3), [text]);
    }

    #[test]
    fn refused_attempts_repeated_sets_and_opted_in_retries_are_allowed() {
        let refused = Execution { error: Some("READONLY".into()), ..incr(900, B) };
        assert!(twice(Action::Incr, refused).against(&plan(), Invariant::I3).is_empty());
        assert!(twice(Action::Set, incr(900, B)).against(&plan(), Invariant::I3).is_empty());
        let mut plan = plan();
        plan.clients[0].retry_ambiguous = true;
        assert!(twice(Action::Incr, incr(900, B)).against(&plan, Invariant::I3).is_empty());
    }

    #[test]
    fn a_read_that_repeats_the_name_of_a_write_is_not_that_write() {
        let read = Execution { command: "GET".into(), write: false, ..incr(900, B) };
        assert!(twice(Action::Push, read).against(&plan(), Invariant::I3).is_empty());
    }
}
