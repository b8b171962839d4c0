//! What became of an attempt: done, refused without effect, done in part, ambiguous, or failed for good. Decided from
//! what the crate `redis` returned.

use redis::{ErrorKind, RedisError, Value};

use crate::error::{Cause, ServerError};

/// What a node answered.
#[derive(Clone, Debug)]
pub(crate) enum Replies {
    /// To one command.
    One(Value),
    /// To a pipeline or a transaction.
    Many(Vec<Value>),
}

impl Replies {
    fn as_slice(&self) -> &[Value] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

impl From<Value> for Replies {
    fn from(value: Value) -> Self {
        Self::One(value)
    }
}

impl From<Vec<Value>> for Replies {
    fn from(values: Vec<Value>) -> Self {
        Self::Many(values)
    }
}

/// The one reply to one command.
impl From<Replies> for Value {
    fn from(replies: Replies) -> Self {
        match replies {
            Replies::One(value) => value,
            Replies::Many(values) => values.into_iter().next().unwrap_or(Self::Nil),
        }
    }
}

/// The replies to a pipeline.
impl From<Replies> for Vec<Value> {
    fn from(replies: Replies) -> Self {
        match replies {
            Replies::One(value) => vec![value],
            Replies::Many(values) => values,
        }
    }
}

/// True if it may be seen at a glance that there is no error in `reply`, so that nothing more is to be decided.
pub(crate) fn is_plain(reply: &Value) -> bool {
    match reply {
        Value::ServerError(_) => false,
        // The replies of a transaction come as one array.
        Value::Array(items) => items.iter().all(|item| !matches!(item, Value::ServerError(_))),
        _ => true,
    }
}

/// What became of an attempt.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// The node carried it out, or refused it in a way that is the caller's business.
    Done(Replies),
    /// The node refused it, and another try may fare better. Nothing was executed.
    Refused(ServerError, Reaction),
    /// Some commands of a pipeline were refused like that, others were carried out.
    Partly(ServerError, Reaction),
    /// Whether it was executed is not known. The connection is of no more use.
    Ambiguous(Cause),
    /// It failed before anything was sent. The connection is of no more use.
    Unsent(Cause),
    /// It failed, was not executed, and would fail again.
    Final(Cause),
}

/// What a refusal means for the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// It is well; the refusal passes by itself.
    Wait,
    /// Its node may not be the right one any more: find out.
    Check,
    /// Its node is not the right one any more.
    Leave,
}

/// Codes of refusals that pass, and what they mean on a connection to a master. Such an answer proves that the command
/// was not executed.
const PASSING: [(&str, Reaction); 6] = [
    ("READONLY", Reaction::Leave),
    ("MASTERDOWN", Reaction::Leave),
    ("UNBLOCKED", Reaction::Leave),
    ("LOADING", Reaction::Check),
    ("NOREPLICAS", Reaction::Wait),
    ("TRYAGAIN", Reaction::Wait),
];

/// The outcome of an attempt that gave `result` on a connection to a master (`master`) or to a replica.
pub(crate) fn outcome(result: Result<Replies, RedisError>, master: bool) -> Outcome {
    match result {
        Ok(values) => of_values(values, master),
        Err(error) => of_error(error, master),
    }
}

fn of_values(values: Replies, master: bool) -> Outcome {
    // The replies of a transaction come as one array.
    let replies: &[Value] = match values.as_slice() {
        [Value::Array(items)] if items.iter().any(|item| matches!(item, Value::ServerError(_))) => items,
        all => all,
    };
    let refusal = |value: &Value| match value {
        Value::ServerError(error) => passing(error, master),
        _ => None,
    };
    let refusals: Vec<(ServerError, Reaction)> = replies.iter().filter_map(refusal).collect();
    let all = refusals.len() == replies.len();
    match refusals.into_iter().next() {
        None => Outcome::Done(values),
        Some((error, reaction)) if all => Outcome::Refused(error, reaction),
        Some((error, reaction)) => Outcome::Partly(error, reaction),
    }
}

fn of_error(error: RedisError, master: bool) -> Outcome {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::Io => Outcome::Ambiguous(Cause::Lost(text)),
        ErrorKind::Parse => Outcome::Ambiguous(Cause::Unreadable(text)),
        ErrorKind::Server(_) | ErrorKind::Extension => {
            // A transaction that was refused as a whole: nothing of it was executed.
            let errors = error.into_server_errors();
            let errors = errors.as_deref().unwrap_or_default();
            match errors.iter().find_map(|(_, error)| passing(error, master)) {
                Some((error, reaction)) => Outcome::Refused(error, reaction),
                None => match errors.first() {
                    Some((_, error)) => Outcome::Final(Cause::Server(error.into())),
                    None => Outcome::Final(Cause::NotSent(text)),
                },
            }
        }
        _ => Outcome::Final(Cause::NotSent(text)),
    }
}

/// The refusal that `error` is, if it passes. On a replica, `READONLY` does not: the command does not belong there.
fn passing(error: &redis::ServerError, master: bool) -> Option<(ServerError, Reaction)> {
    let (code, reaction) = PASSING.into_iter().find(|(code, _)| says(error, code))?;
    if code == "READONLY" && !master {
        return None;
    }
    // There is one master to wait for, but another replica may be ready.
    let reaction = if code == "LOADING" && !master { Reaction::Leave } else { reaction };
    Some((ServerError { code: code.to_owned(), ..ServerError::from(error) }, reaction))
}

/// True if the error has this code, or repeats it from inside a script (`-READONLY ..`) or a transaction (`because of:
/// READONLY ..`).
fn says(error: &redis::ServerError, code: &str) -> bool {
    error.code() == code
        || matches!(error.code(), "ERR" | "EXECABORT")
            && error.details().is_some_and(|text| {
                text.match_indices(code)
                    .any(|(at, _)| text[..at].ends_with(" -") || text[..at].ends_with("because of: "))
            })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(reply: &str) -> Value {
        redis::parse_redis_value(reply.as_bytes()).expect("a reply")
    }

    /// The outcome in one word, with the code and the reaction of a refusal.
    fn word(outcome: Outcome) -> String {
        match outcome {
            Outcome::Done(_) => "done".into(),
            Outcome::Refused(error, reaction) => format!("refused {} {reaction:?}", error.code),
            Outcome::Partly(error, reaction) => format!("partly {} {reaction:?}", error.code),
            Outcome::Ambiguous(_) => "ambiguous".into(),
            Outcome::Unsent(_) => "unsent".into(),
            Outcome::Final(_) => "final".into(),
        }
    }

    #[test]
    fn replies_in_a_table() {
        let script =
            "-ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -READONLY You can't\r\n";
        let table: &[(&[&str], &str)] = &[
            (&["+OK\r\n"], "done"),
            (&["-WRONGTYPE Operation against a key\r\n"], "done"),
            (&["-ERR unknown command 'READONLYX'\r\n"], "done"),
            (&["-READONLY You can't write against a read only replica.\r\n"], "refused READONLY Leave"),
            (&["-MASTERDOWN Link with MASTER is down\r\n"], "refused MASTERDOWN Leave"),
            (&["-UNBLOCKED force unblock from blocking operation\r\n"], "refused UNBLOCKED Leave"),
            (&["-LOADING Redis is loading the dataset in memory\r\n"], "refused LOADING Check"),
            (&["-NOREPLICAS Not enough good replicas to write.\r\n"], "refused NOREPLICAS Wait"),
            (&[script], "refused READONLY Leave"),
            (&["$-1\r\n", ":1\r\n"], "done"),
            (&["-READONLY x\r\n", "-READONLY x\r\n"], "refused READONLY Leave"),
            (&["$1\r\nv\r\n", "-READONLY x\r\n"], "partly READONLY Leave"),
            (&["*2\r\n-READONLY x\r\n-READONLY x\r\n"], "refused READONLY Leave"),
            (&["*2\r\n:1\r\n-READONLY x\r\n"], "partly READONLY Leave"),
            (&["-EXECABORT Transaction discarded because of: READONLY x\r\n"], "refused READONLY Leave"),
            (&["-EXECABORT Transaction discarded because of previous errors.\r\n"], "done"),
            (&["*0\r\n"], "done"),
            (&[], "done"),
        ];
        for (replies, expected) in table {
            let values = replies.iter().map(|reply| read(reply)).collect();
            assert_eq!(word(outcome(Ok(Replies::Many(values)), true)), *expected, "{replies:?}");
        }
    }

    #[test]
    fn a_replica_that_is_read_only_is_no_surprise() {
        assert_eq!(word(outcome(Ok(Replies::One(read("-READONLY x\r\n"))), false)), "done");
        assert_eq!(word(outcome(Ok(Replies::One(read("-MASTERDOWN x\r\n"))), false)), "refused MASTERDOWN Leave");
    }

    #[test]
    fn errors_in_a_table() {
        let io = |kind: std::io::ErrorKind| RedisError::from(std::io::Error::from(kind));
        let table = [
            (io(std::io::ErrorKind::BrokenPipe), "ambiguous"),
            (io(std::io::ErrorKind::TimedOut), "ambiguous"),
            (RedisError::from((ErrorKind::Parse, "garbage")), "ambiguous"),
            (RedisError::from((ErrorKind::Client, "empty command")), "final"),
            (read("-READONLY x\r\n").extract_error().unwrap_err(), "refused READONLY Leave"),
            (read("-ERR syntax error\r\n").extract_error().unwrap_err(), "final"),
        ];
        for (error, expected) in table {
            let shown = error.to_string();
            assert_eq!(word(outcome(Err(error), true)), expected, "{shown}");
        }
    }
}
