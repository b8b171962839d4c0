//! I9 own reply: a value that an operation reports is one that a data node answered to its command, and not to another.
//!
//! A reply has no number: what it belongs to follows from its place on the connection alone. A client that goes on with a connection
//! on which it has given up waiting takes the late reply for the answer to what it asks next, and from then on each reply for the one
//! before.
//!
//! Any answer counts that a node gave to one of these commands before the operation ended, be it an attempt that was repeated, unless
//! the connection was cut before the reply:
//!
//! | operation | its commands |
//! |---|---|
//! | a write, a publication | those that name it |
//! | a read | reads of the same key that the client sent while it was under way |
//! | a read through a cache, what takes from a queue | all of the client's |
//! | a lock, the end of a job | not held to it: a client may have its own means for these, which `locks` and `jobs` judge |
//!
//! Who reports no value is held to nothing, nor is who has found a queue empty, as a client may end its wait by itself. Replies that are
//! alike are not told apart: `INCR` of a key of its own is 1 for every operation.

use model::Time;
use model::history::{Action, Execution, OpResult, Value};
use model::plan::Client;
use model::verdict::Invariant;

use crate::facts::{Facts, Op};
use crate::findings::Findings;

/// Adds what `client` did against it.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, findings: &mut Findings<'_>) {
    for op in facts.ops_of(client) {
        let Some((ended, OpResult::Ok { value: Some(value) })) = op.ended else { continue };
        let Some(commands) = commands(facts, client, op, value) else { continue };
        let commands = &commands[..commands.partition_point(|(at, _)| *at <= ended)];
        let mut answered = commands.iter().rev().filter(|(at, execution)| is_own(op, *at, execution)).peekable();
        let last = answered.peek().copied().filter(|_| !takes_any(op.action));
        if !answered.any(|(_, execution)| execution.value.as_ref() == Some(value)) {
            let but = last.map_or_else(
                || "which no node had answered".to_owned(),
                |(_, execution)| {
                    let own = execution.value.as_ref().map_or_else(|| "no value".to_owned(), Value::to_string);
                    format!("and {} had answered its command with {own}", execution.node)
                },
            );
            findings.violated(
                Invariant::I9,
                Some(&client.id),
                ended,
                format!("{} reported {value} at {ended}, {but}", op.id),
            );
        }
    }
}

/// True if what was answered to any command of the client may be reported: the client keeps it, or has asked for it before.
fn takes_any(action: Action) -> bool {
    matches!(action, Action::CachedGet | Action::Pop | Action::Take | Action::Unfinished)
}

/// Those among which the commands of `op`, which reports `value`, are, in the order of time; `None` if it is not held to any.
fn commands<'f>(
    facts: &'f Facts<'_>,
    client: &Client,
    op: &'f Op<'_>,
    value: &Value,
) -> Option<&'f [(Time, &'f Execution)]> {
    let all = facts.executions_of(client);
    match op.action {
        Action::Subscribe | Action::Acquire | Action::Renew | Action::Release | Action::Acknowledge => None,
        Action::Pop | Action::Take | Action::Unfinished if *value == Value::Nil => None,
        action if takes_any(action) => Some(all),
        Action::Get | Action::ReplicaGet => Some(&all[all.partition_point(|(at, _)| *at < op.started)..]),
        _ => Some(&op.executions),
    }
}

/// True if `execution`, one of the [`commands`] of `op`, belongs to it and was answered.
fn is_own(op: &Op<'_>, at: Time, execution: &Execution) -> bool {
    let belongs = match op.action {
        action if takes_any(action) => true,
        Action::Get | Action::ReplicaGet => {
            let asked = execution.sent.unwrap_or(at) >= op.started && execution.op.as_ref() == op.of;
            asked && !execution.write && execution.value.is_some()
        }
        _ => true,
    };
    belongs && execution.error.is_none() && !execution.reply_cut
}

#[cfg(test)]
mod tests {
    use model::history::What;

    use super::*;
    use crate::story::{A, B, Story, incr, op, plan};

    const ITEM: fn(u64) -> Value = |seq| Value::Got(op(seq));

    /// `node` answers a command that names #900, at `ms`.
    fn answer(ms: u64, command: &str, node: model::NodeId, value: Option<Value>) -> (u64, Execution) {
        (ms, Execution { command: command.into(), write: command != "GET", value, ..incr(900, node) })
    }

    /// What is held against an operation, #901 if it reads and else #900, that goes on from 20 s to 20.010 s and reports `value`.
    fn told(action: Action, value: Option<Value>, answers: &[(u64, Execution)]) -> Vec<String> {
        let mut story = Story::failover();
        let reads = matches!(action, Action::Get | Action::ReplicaGet);
        let id = op(if reads { 901 } else { 900 });
        story.tell(20_000, What::Started { op: id.clone(), action, of: reads.then(|| op(900)) });
        for (ms, execution) in answers {
            story.tell(*ms, What::Executed(execution.clone()));
        }
        story.tell(20_010, What::Ended { op: id, result: OpResult::Ok { value } });
        story.against(&plan(), Invariant::I9)
    }

    #[test]
    fn what_was_answered_may_be_reported() {
        let one = Some(Value::Number(1));
        assert!(told(Action::Incr, one.clone(), &[answer(20_005, "INCR", B, one.clone())]).is_empty());
        assert!(told(Action::Get, Some(ITEM(900)), &[answer(20_005, "GET", B, Some(ITEM(900)))]).is_empty());
        assert!(told(Action::Get, Some(Value::Nil), &[answer(20_005, "GET", B, Some(Value::Nil))]).is_empty());
        let parts = [answer(20_005, "INCR", B, one), answer(20_005, "LPUSH", B, Some(Value::Number(7)))];
        assert!(told(Action::Transaction, Some(Value::Number(7)), &parts).is_empty());
    }

    #[test]
    fn the_reply_to_another_command_is_told() {
        let text = "writer#901 reported the value of writer#800 at 20.010s, \
                    and redis-2 had answered its command with the value of writer#900";
        assert_eq!(told(Action::Get, Some(ITEM(800)), &[answer(20_005, "GET", B, Some(ITEM(900)))]), [text]);
        let text = "writer#901 reported \"OK\" at 20.010s, and redis-2 had answered its command with null";
        let ok = Some(Value::Text("OK".into()));
        assert_eq!(told(Action::Get, ok, &[answer(20_005, "GET", B, Some(Value::Nil))]), [text]);
        let text = "writer#900 reported the value of writer#800 at 20.010s, and redis-2 had answered its command with no value";
        assert_eq!(told(Action::Set, Some(ITEM(800)), &[answer(20_005, "SET", B, None)]), [text]);
        let text = "writer#900 reported 6 at 20.010s, and redis-2 had answered its command with 7";
        let seven = [answer(20_005, "LPUSH", B, Some(Value::Number(7)))];
        assert_eq!(told(Action::Push, Some(Value::Number(6)), &seven), [text]);
    }

    #[test]
    fn who_reports_no_value_is_held_to_nothing() {
        for action in [Action::Incr, Action::Get, Action::Pop, Action::Transaction, Action::CachedGet] {
            assert!(told(action, None, &[]).is_empty(), "{action:?}");
        }
        assert!(told(Action::Pop, Some(Value::Nil), &[]).is_empty());
        assert!(told(Action::Renew, Some(Value::Number(1)), &[]).is_empty());
    }

    #[test]
    fn any_attempt_counts_that_was_answered_by_then() {
        let nothing = "writer#900 reported 1 at 20.010s, which no node had answered";
        let one = || Some(Value::Number(1));
        let on = |ms, node| answer(ms, "INCR", node, one());
        assert!(
            told(Action::Incr, one(), &[on(20_001, A), answer(20_005, "INCR", B, Some(Value::Number(2)))]).is_empty()
        );
        assert_eq!(told(Action::Incr, one(), &[]), [nothing]);
        assert_eq!(told(Action::Incr, one(), &[on(20_011, B)]), [nothing]);
        let (ms, ran) = on(20_005, B);
        let refused = Execution { error: Some("READONLY".into()), ..ran.clone() };
        assert_eq!(told(Action::Incr, one(), &[(ms, refused)]), [nothing]);
        let cut = Execution { reply_cut: true, ..ran };
        assert_eq!(told(Action::Incr, one(), &[(ms, cut)]), [nothing]);
    }

    #[test]
    fn a_read_is_held_to_what_was_sent_for_it() {
        let nothing = "writer#901 reported the value of writer#900 at 20.010s, which no node had answered";
        let read = |ms| answer(ms, "GET", B, Some(ITEM(900)));
        assert_eq!(told(Action::Get, Some(ITEM(900)), &[read(19_999)]), [nothing], "of the one before");
        let (ms, thawed) = read(20_005);
        let sent = |ms| Execution { sent: Some(Time::from_millis(ms)), ..thawed.clone() };
        assert_eq!(told(Action::Get, Some(ITEM(900)), &[(ms, sent(19_999))]), [nothing], "of the one before, late");
        assert!(told(Action::Get, Some(ITEM(900)), &[(ms, sent(20_000))]).is_empty());
        let other = Execution { op: Some(op(899)), ..thawed };
        assert_eq!(told(Action::Get, Some(ITEM(900)), &[(ms, other)]), [nothing], "of another key");
        let write = answer(20_005, "SET", B, Some(ITEM(900)));
        assert_eq!(told(Action::Get, Some(ITEM(900)), &[write]), [nothing]);
    }

    #[test]
    fn what_a_client_keeps_was_answered_before() {
        let taken = answer(15_500, "BLMOVE", B, Some(ITEM(800)));
        for action in [Action::Pop, Action::Take, Action::Unfinished, Action::CachedGet] {
            assert!(told(action, Some(ITEM(800)), std::slice::from_ref(&taken)).is_empty(), "{action:?}");
            let text = "writer#900 reported the value of writer#801 at 20.010s, which no node had answered";
            assert_eq!(told(action, Some(ITEM(801)), std::slice::from_ref(&taken)), [text]);
        }
    }
}
