//! [`RealError`]: what can go wrong with a real process.

use std::io;
use std::time::Duration;

use model::NodeId;

/// What went wrong with a real process. A retry makes sense for none of them but [`RealError::Ask`].
#[derive(Debug, thiserror::Error)]
pub enum RealError {
    /// A temporary folder, an address or a configuration file could not be had.
    #[error("cannot prepare a real process: {0}")]
    Prepare(#[source] io::Error),
    /// The program could not be started at all.
    #[error("cannot start {program}: {error}")]
    Spawn {
        /// Its path.
        program: String,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// It ended before it answered.
    #[error("{name} ended before it answered; the end of its log:\n{log}")]
    Ended {
        /// The process.
        name: String,
        /// The last lines that it logged.
        log: String,
    },
    /// Something did not happen in time.
    #[error("{name}: {what} did not happen within {within:?}; the end of the log:\n{log}")]
    Late {
        /// The process.
        name: String,
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
        /// The last lines that it logged.
        log: String,
    },
    /// A signal could not be sent, or the process could not be waited for.
    #[error("cannot {what} {name}: {error}")]
    Signal {
        /// The process.
        name: String,
        /// What was tried: `kill`, `freeze`.
        what: &'static str,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A command was not answered, or with an error. Busy, frozen and ended processes look alike here.
    #[error("{name} did not take `{command}`: {error}")]
    Ask {
        /// The process.
        name: String,
        /// The command.
        command: String,
        /// Why.
        error: String,
    },
    /// The cluster has no such node.
    #[error("there is no node {0}")]
    NoNode(NodeId),
}
