//! What an error of the crate `redis` tells: whether the command may have run, and what happened.
//!
//! The crate's errors do not say whether a command was sent, so that is judged from where the error came up, and in
//! doubt it may have run.

use std::io;

use model::history::Cause;
use redis::{ErrorKind, RedisError};
use testbed::driver::{CallError, Request};

/// What was being done when the error came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Finding the master or opening a connection to it: the command was not sent.
    Connecting,
    /// Sending the command and waiting for its reply.
    Command,
    /// Sending several commands and waiting for their replies: when one is refused, others may have run.
    Commands,
}

impl Stage {
    /// That of carrying out `request`.
    pub(crate) fn of(request: &Request) -> Self {
        if matches!(request, Request::Pipeline(_)) { Self::Commands } else { Self::Command }
    }
}

/// `error`, which came up at `stage`, as a driver reports it.
pub(crate) fn call_error(stage: Stage, error: &RedisError) -> CallError {
    CallError {
        may_have_run: match stage {
            Stage::Connecting => false,
            Stage::Command => may_have_run(error),
            Stage::Commands => may_have_run(error) || error.code().is_some(),
        },
        cause: cause(error),
        text: error.to_string(),
    }
}

/// True unless the error proves that a single command that met it had no effect.
fn may_have_run(error: &RedisError) -> bool {
    match error.kind() {
        // An error reply to a single command says that the command was refused.
        ErrorKind::Server(_) | ErrorKind::Extension | ErrorKind::AuthenticationFailed => false,
        // Found on the client's side, before sending.
        ErrorKind::Client | ErrorKind::InvalidClientConfig | ErrorKind::EmptySentinelList => false,
        // Nobody to send to.
        ErrorKind::MasterNameNotFoundBySentinel | ErrorKind::NoValidReplicasFoundBySentinel => false,
        // A refused connection was never a connection; any other loss or time-out may have come after the sending.
        ErrorKind::Io => !error.is_connection_refusal(),
        _ => true,
    }
}

/// What the error says that happened.
fn cause(error: &RedisError) -> Cause {
    match error.kind() {
        ErrorKind::AuthenticationFailed => Cause::Auth,
        ErrorKind::Server(_) | ErrorKind::Extension => match error.code() {
            Some("NOAUTH" | "WRONGPASS" | "NOPERM") => Cause::Auth,
            _ => Cause::Server,
        },
        ErrorKind::MasterNameNotFoundBySentinel => Cause::UnknownMaster,
        ErrorKind::Io if error.is_timeout() => Cause::Timeout,
        ErrorKind::Io => Cause::Connection,
        _ => Cause::Other,
    }
}

/// The error of a subscription that ended without saying why.
pub(crate) fn subscription_lost() -> CallError {
    let error = RedisError::from(io::Error::new(io::ErrorKind::BrokenPipe, "the subscription's connection was lost"));
    call_error(Stage::Command, &error)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error that the server's reply `text` becomes.
    fn server(text: &str) -> RedisError {
        let reply = redis::parse_redis_value(format!("-{text}\r\n").as_bytes()).expect("an error reply");
        reply.extract_error().expect_err("an error reply")
    }

    #[test]
    fn errors_in_words() {
        use io::ErrorKind as Io;
        let io = |kind: Io| RedisError::from(io::Error::from(kind));
        let own = |kind: ErrorKind| RedisError::from((kind, "text"));
        let table = [
            (server("READONLY You can't write against a read only replica."), false, Cause::Server),
            (server("LOADING Redis is loading the dataset in memory"), false, Cause::Server),
            (server("MASTERDOWN Link with MASTER is down"), false, Cause::Server),
            (server("NOREPLICAS Not enough good replicas to write."), false, Cause::Server),
            (server("UNBLOCKED force unblock"), false, Cause::Server),
            (server("WRONGTYPE Operation against a key"), false, Cause::Server),
            (server("NOAUTH Authentication required."), false, Cause::Auth),
            (server("WRONGPASS invalid username-password pair"), false, Cause::Auth),
            (io(Io::ConnectionRefused), false, Cause::Connection),
            (io(Io::BrokenPipe), true, Cause::Connection),
            (io(Io::ConnectionReset), true, Cause::Connection),
            (io(Io::TimedOut), true, Cause::Timeout),
            (own(ErrorKind::MasterNameNotFoundBySentinel), false, Cause::UnknownMaster),
            (own(ErrorKind::NoValidReplicasFoundBySentinel), false, Cause::Other),
            (own(ErrorKind::AuthenticationFailed), false, Cause::Auth),
            (own(ErrorKind::UnexpectedReturnType), true, Cause::Other),
        ];
        for (error, ran, cause) in table {
            let told = call_error(Stage::Command, &error);
            assert_eq!((told.may_have_run, told.cause), (ran, cause), "{error}");
            assert!(!call_error(Stage::Connecting, &error).may_have_run, "{error}");
        }
    }
}
