//! One call: attempt after attempt, until it succeeds, fails for good, or its time is up.

use redis::aio::{ConnectionLike as _, MultiplexedConnection};
use redis::{Arg, Cmd, Pipeline, RedisResult, Value};
use tokio::time::{Instant, sleep, timeout};

use crate::address::Address;
use crate::command::{self, Nature};
use crate::error::{Cause, Failure};
use crate::keeper::{Held, Node, Target};
use crate::link::Link;
use crate::outcome::{Outcome, Reaction, outcome};
use crate::retry::{Ambiguous, Retry};

/// What is sent as one unit.
#[derive(Clone, Copy)]
pub(crate) enum Request<'a> {
    One(&'a Cmd),
    /// A pipeline or a transaction, with the replies to skip and to keep.
    Many(&'a Pipeline, usize, usize),
}

impl Request<'_> {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::One(command) => words(command)
                .first()
                .map_or_else(String::new, |name| String::from_utf8_lossy(name).to_ascii_uppercase()),
            Self::Many(pipeline, ..) if pipeline.is_transaction() => "transaction".to_owned(),
            Self::Many(..) => "pipeline".to_owned(),
        }
    }

    pub(crate) fn natures(&self) -> Vec<Nature> {
        match self {
            Self::One(command) => vec![command::nature(&words(command))],
            Self::Many(pipeline, ..) => pipeline.cmd_iter().map(|command| command::nature(&words(command))).collect(),
        }
    }

    pub(crate) fn repeatable(&self, ambiguous: Ambiguous) -> bool {
        match ambiguous {
            Ambiguous::Never => false,
            Ambiguous::IfRepeatable => self.natures().iter().all(|nature| *nature == Nature::Repeatable),
            Ambiguous::Always => true,
        }
    }

    async fn send(self, connection: &mut MultiplexedConnection) -> RedisResult<Vec<Value>> {
        match self {
            Self::One(command) => connection.req_packed_command(command).await.map(|value| vec![value]),
            Self::Many(pipeline, offset, count) => connection.req_packed_commands(pipeline, offset, count).await,
        }
    }
}

fn words(command: &Cmd) -> Vec<&[u8]> {
    let word = |arg| match arg {
        Arg::Simple(word) => word,
        // The place of a cursor, which stands for a number.
        _ => b"0".as_slice(),
    };
    command.args_iter().map(word).collect()
}

/// One attempt on `link`.
pub(crate) async fn attempt(link: &Link, request: Request<'_>, within: std::time::Duration, master: bool) -> Outcome {
    let sent_before = link.written();
    let mut connection = link.connection();
    let result = timeout(within, request.send(&mut connection)).await;
    let outcome = match result {
        Ok(result) => outcome(result, master),
        Err(_) => Outcome::Ambiguous(Cause::TimedOut(within)),
    };
    match outcome {
        Outcome::Ambiguous(cause) if link.written() == sent_before => Outcome::Unsent(cause),
        outcome => outcome,
    }
}

/// A call under way: what is known about it so far.
pub(crate) struct Progress {
    command: String,
    started: Instant,
    pub(crate) attempts: u32,
    pub(crate) may_have_run: bool,
    pub(crate) node: Option<Address>,
}

impl Progress {
    pub(crate) fn new(request: &Request<'_>) -> Self {
        Self { command: request.name(), started: Instant::now(), attempts: 0, may_have_run: false, node: None }
    }

    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    pub(crate) fn deadline(&self, retry: &Retry) -> Instant {
        self.started + retry.budget
    }

    pub(crate) fn failed(self, cause: Cause) -> Failure {
        Failure {
            elapsed: self.elapsed(),
            command: self.command,
            cause,
            node: self.node,
            may_have_run: self.may_have_run,
            attempts: self.attempts,
        }
    }
}

/// Carries out `request` on the connection that `node` holds, as `retry` says.
pub(crate) async fn call(node: &Node, retry: &Retry, request: Request<'_>) -> Result<Vec<Value>, Failure> {
    let mut progress = Progress::new(&request);
    let deadline = progress.deadline(retry);
    if let Some(reason) = request.natures().into_iter().find_map(misuse) {
        return Err(progress.failed(Cause::Misuse(reason)));
    }
    let mut after = 0;
    loop {
        let rounds = retry.attempts.map(|attempts| attempts.get().saturating_sub(progress.attempts).max(1));
        let Held { generation, link } = match node.held(after, deadline, rounds).await {
            Ok(held) => held,
            Err((cause, failed_rounds)) => {
                progress.attempts += failed_rounds;
                return Err(progress.failed(cause));
            }
        };
        progress.attempts += 1;
        progress.node = Some(link.address().clone());
        let left = deadline.saturating_duration_since(Instant::now());
        let within = retry.attempt_timeout.unwrap_or(node.core.settings.response_timeout).min(left);
        let outcome = attempt(&link, request, within, node.target == Target::Master).await;

        let mut react = |reaction| match reaction {
            Reaction::Wait => {}
            Reaction::Check => node.check(),
            Reaction::Leave => {
                node.retire(generation);
                after = generation;
            }
        };
        let cause = match outcome {
            Outcome::Done(values) => return Ok(values),
            Outcome::Final(cause) => return Err(progress.failed(cause)),
            Outcome::Refused(error, reaction) => {
                react(reaction);
                Cause::Server(error)
            }
            Outcome::Unsent(cause) => {
                react(Reaction::Leave);
                cause
            }
            Outcome::Partly(values, error, reaction) => {
                react(reaction);
                if !request.repeatable(retry.ambiguous) {
                    // The replies say which commands ran.
                    return Ok(values);
                }
                progress.may_have_run = true;
                Cause::Server(error)
            }
            Outcome::Ambiguous(cause) => {
                react(Reaction::Leave);
                progress.may_have_run = true;
                if !request.repeatable(retry.ambiguous) {
                    return Err(progress.failed(cause));
                }
                cause
            }
        };
        let Some(wait) = retry.next(progress.attempts, progress.elapsed(), node.core.chance()) else {
            return Err(progress.failed(cause));
        };
        tracing::debug!(node = %link.address(), %cause, attempt = progress.attempts, ?wait, "trying again");
        drop(link);
        sleep(wait).await;
    }
}

/// Why a command must not be sent on a connection that others use too.
fn misuse(nature: Nature) -> Option<&'static str> {
    match nature {
        Nature::Blocking(_) => Some("a blocking command holds up all users of a shared connection: use `dedicated`"),
        Nature::Stateful => Some("this command changes a shared connection for all its users: use `dedicated`"),
        Nature::Repeatable | Nature::Once => None,
    }
}
