//! What went wrong, with which node, after how many attempts, and whether the command may have run.
//!
//! [`Failure`] is this crate's own error. Through `redis`'s traits it travels inside a [`redis::RedisError`]; [`details`]
//! gets it back.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use std::{error, fmt, io};

use redis::RedisError;

use crate::address::Address;
use crate::role::Role;

/// A call that failed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Failure {
    /// Name of the command; `pipeline` or `transaction` for more than one.
    pub command: String,
    /// What happened, in the last attempt.
    pub cause: Cause,
    /// The node that it happened with, if there was one.
    pub node: Option<Address>,
    /// False if the command certainly did not run, in any attempt. If true it may have run, more than once if the
    /// caller allowed that.
    pub may_have_run: bool,
    /// How many attempts there were. A search for the node that ended without one counts as one.
    pub attempts: u32,
    /// How long the call took.
    pub elapsed: Duration,
}

/// What happened in an attempt.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// No node to send to was found.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The search for the node had not ended, well or badly, when the time was up.
    #[error("no node was found in time")]
    Searching,
    /// The connection was lost, for this reason.
    #[error("connection lost: {0}")]
    Lost(String),
    /// No reply within this time.
    #[error("no reply within {0:?}")]
    TimedOut(Duration),
    /// The node answered an error.
    #[error("the node answered `{0}`")]
    Server(#[source] ServerError),
    /// The reply was not what the caller asked for, or none at all.
    #[error("unreadable reply: {0}")]
    Unreadable(String),
    /// The client does not send this, for this reason. Nothing was sent.
    #[error("{0}")]
    Misuse(&'static str),
    /// The crate `redis` refused to send it. Nothing was sent.
    #[error("not sent: {0}")]
    NotSent(String),
}

/// An error that a node answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code} {text}")]
pub struct ServerError {
    /// Its code: `READONLY`.
    pub code: String,
    /// The text after the code.
    pub text: String,
}

impl From<&redis::ServerError> for ServerError {
    fn from(error: &redis::ServerError) -> Self {
        Self { code: error.code().to_owned(), text: error.details().unwrap_or_default().to_owned() }
    }
}

/// Why a master or a replica was not found. The client goes on searching whatever it is, at its back-off, but a call ends
/// before its budget where that makes no sense: at once with a refusal ([`DiscoveryError::is_refusal`]), and when for
/// 5 s all Sentinels that are known have answered that they know no master of that name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// No Sentinel gave an answer that could be used.
    #[error("no sentinel gave a usable answer: {}", Listed(.sentinels))]
    Unreachable {
        /// Each Sentinel and why it gave none.
        sentinels: Vec<(Address, OpenError)>,
    },
    /// Sentinels answered, and none knows the name.
    #[error("no sentinel knows a master called `{name}` ({answered} answered{})", AlsoListed(.silent))]
    UnknownMaster {
        /// The name asked for.
        name: String,
        /// How many Sentinels said so.
        answered: usize,
        /// The others, and why they gave no answer.
        silent: Vec<(Address, OpenError)>,
    },
    /// The node that the Sentinels name cannot be talked to.
    #[error("the sentinels name {address}, which cannot be used: {error}")]
    NodeUnreachable {
        /// Its address.
        address: Address,
        /// Why.
        error: OpenError,
    },
    /// The node that the Sentinels name is no master, or not yet.
    #[error("the sentinels name {address}, which says that it is {role}")]
    NotMaster {
        /// Its address.
        address: Address,
        /// What it says that it is.
        role: Role,
    },
    /// Not one round of asking came to an end within the budget.
    #[error("no sentinel gave an answer within {0:?}")]
    TimedOut(Duration),
    /// There is no replica that can be read from.
    #[error("`{name}` has no usable replica ({known} up by the word of the sentinels)")]
    NoReplica {
        /// The master's name.
        name: String,
        /// How many there are that the Sentinels hold to be up.
        known: usize,
    },
}

impl DiscoveryError {
    /// True if credentials are wrong, missing, or not allowed what a client needs: the node that the Sentinels agree on
    /// says so, or most of the Sentinels do and none answers. Another try fails too, until somebody mends that.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Unreachable { sentinels } => {
                let refused = sentinels.iter().filter(|(_, error)| error.is_refusal()).count();
                2 * refused > sentinels.len()
            }
            Self::NodeUnreachable { error, .. } => error.is_refusal(),
            _ => false,
        }
    }

    /// True if every Sentinel answered, and none knows the name.
    pub(crate) fn nobody_knows(&self) -> bool {
        matches!(self, Self::UnknownMaster { silent, .. } if silent.is_empty())
    }
}

impl OpenError {
    /// True if credentials are wrong, missing, or not allowed what a client needs.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Auth(_))
    }

    /// What that means for whoever wanted the node at `address`.
    pub(crate) fn at(self, address: &Address) -> Cause {
        DiscoveryError::NodeUnreachable { address: address.clone(), error: self }.into()
    }
}

/// Why a node could not be asked something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No connection.
    #[error("{0}")]
    Connect(String),
    /// No connection, or no answer, within this time.
    #[error("nothing within {0:?}")]
    TimedOut(Duration),
    /// TLS could not be set up: the certificate does not fit, say.
    #[error("tls: {0}")]
    Tls(String),
    /// The credentials are wrong or missing.
    #[error("authentication failed: {0}")]
    Auth(String),
    /// It answered an error, or nonsense.
    #[error("unusable answer: {0}")]
    Answer(String),
}

struct Listed<'a>(&'a [(Address, OpenError)]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (address, error)) in self.0.iter().enumerate() {
            write!(f, "{}{address}: {error}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

struct AlsoListed<'a>(&'a [(Address, OpenError)]);

impl fmt::Display for AlsoListed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "; {}", Listed(self.0)) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} failed", self.command)?;
        if let Some(node) = &self.node {
            write!(f, " at {node}")?;
        }
        let ran = if self.may_have_run { "may have run" } else { "did not run" };
        let attempts = if self.attempts == 1 { "attempt" } else { "attempts" };
        write!(f, ": {} (it {ran}; {} {attempts} in {:?})", self.cause, self.attempts, self.elapsed)
    }
}

impl error::Error for Failure {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match &self.cause {
            Cause::Discovery(error) => Some(error),
            Cause::Server(error) => Some(error),
            _ => None,
        }
    }
}

/// The failure becomes an I/O error of the crate `redis`: `is_timeout` holds for time-outs, `is_io_error` always. An error of
/// that crate has room for a code of the server or for an error of another crate, not for both: the code of the last
/// answer, if that is the cause, is in [`details`], and in [`error::Error::source`] of the failure.
impl From<Failure> for RedisError {
    fn from(failure: Failure) -> Self {
        let kind = match &failure.cause {
            Cause::TimedOut(_) | Cause::Searching => io::ErrorKind::TimedOut,
            Cause::Lost(_) => io::ErrorKind::ConnectionReset,
            Cause::Discovery(_) => io::ErrorKind::NotConnected,
            Cause::Misuse(_) | Cause::NotSent(_) => io::ErrorKind::Unsupported,
            Cause::Server(_) | Cause::Unreadable(_) => io::ErrorKind::Other,
        };
        io::Error::new(kind, failure).into()
    }
}

/// What this crate knows about an error that came out of one of its connections through `redis`'s traits; `None` if the
/// error is not one of its own, such as an error reply (`WRONGTYPE`), which is passed through as it came.
///
/// ```
/// # fn shown(error: redis::RedisError) {
/// if let Some(failure) = sentinel_client::details(&error) {
///     println!("{} after {} attempts", failure.cause, failure.attempts);
///     if failure.may_have_run { /* look before doing it again */ }
/// }
/// # }
/// ```
pub fn details(error: &RedisError) -> Option<&Failure> {
    let source = error.source()?;
    let io = match source.downcast_ref::<Arc<dyn error::Error + Send + Sync>>() {
        Some(shared) => shared.downcast_ref::<io::Error>()?,
        None => source.downcast_ref::<io::Error>()?,
    };
    io.get_ref()?.downcast_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(cause: Cause) -> Failure {
        Failure {
            command: "INCR".into(),
            cause,
            node: Some(Address::new("10.0.0.1", 6379)),
            may_have_run: true,
            attempts: 2,
            elapsed: Duration::from_millis(1500),
        }
    }

    #[test]
    fn a_failure_survives_the_journey_through_redis_error() {
        let error = RedisError::from(failure(Cause::TimedOut(Duration::from_millis(500))));
        assert!(error.is_io_error() && error.is_timeout());
        assert_eq!(details(&error.clone()).map(|failure| failure.attempts), Some(2));
        let text = "INCR failed at 10.0.0.1:6379: no reply within 500ms (it may have run; 2 attempts in 1.5s)";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn other_errors_have_no_details() {
        assert!(details(&RedisError::from(io::Error::from(io::ErrorKind::TimedOut))).is_none());
        assert!(details(&RedisError::from((redis::ErrorKind::Client, "text"))).is_none());
    }

    #[test]
    fn unknown_and_unreachable_read_differently() {
        let silent = vec![(Address::new("s1", 26379), OpenError::TimedOut(Duration::from_millis(200)))];
        let unreachable = DiscoveryError::Unreachable { sentinels: silent.clone() };
        assert_eq!(unreachable.to_string(), "no sentinel gave a usable answer: s1:26379: nothing within 200ms");
        let unknown = DiscoveryError::UnknownMaster { name: "m".into(), answered: 2, silent };
        let text = "no sentinel knows a master called `m` (2 answered; s1:26379: nothing within 200ms)";
        assert_eq!(unknown.to_string(), text);
    }
}
