//! One call: attempt after attempt, until it succeeds, fails for good, or its time is up.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult};
use tokio::time::{Instant, sleep, timeout};

use crate::address::Address;
use crate::command::{self, Nature};
use crate::error::{Cause, Failure};
use crate::keeper::{Held, Node, States, Target};
use crate::link::Link;
use crate::outcome::{Outcome, Reaction, Replies, outcome};
use crate::retry::{Ambiguous, Retry};

/// What is sent as one unit.
#[derive(Clone, Copy)]
pub(crate) enum Request<'a> {
    One(&'a Cmd),
    /// A pipeline or a transaction, with the replies to skip and to keep.
    Many(&'a Pipeline, usize, usize),
}

impl<'a> Request<'a> {
    pub(crate) fn name(self) -> String {
        match self {
            Self::One(command) => command::name(command),
            Self::Many(pipeline, ..) if pipeline.is_transaction() => "transaction".to_owned(),
            Self::Many(..) => "pipeline".to_owned(),
        }
    }

    pub(crate) fn natures(self) -> impl Iterator<Item = Nature> + 'a {
        let (one, many) = match self {
            Self::One(command) => (Some(command), None),
            Self::Many(pipeline, ..) => (None, Some(pipeline.cmd_iter())),
        };
        one.into_iter().chain(many.into_iter().flatten()).map(command::nature)
    }

    pub(crate) fn repeatable(self, ambiguous: Ambiguous) -> bool {
        match ambiguous {
            Ambiguous::Never => false,
            Ambiguous::IfRepeatable => self.natures().all(|nature| nature == Nature::Repeatable),
            Ambiguous::Always => true,
        }
    }

    async fn send(self, connection: &mut MultiplexedConnection) -> RedisResult<Replies> {
        match self {
            Self::One(command) => connection.send_packed_command(command).await.map(Replies::One),
            Self::Many(pipeline, offset, count) => {
                connection.send_packed_commands(pipeline, offset, count).await.map(Replies::Many)
            }
        }
    }
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
pub(crate) struct Progress<'a> {
    request: Request<'a>,
    started: Instant,
    pub(crate) attempts: u32,
    pub(crate) may_have_run: bool,
    pub(crate) node: Option<Address>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(request: Request<'a>) -> Self {
        Self { request, started: Instant::now(), attempts: 0, may_have_run: false, node: None }
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
            command: self.request.name(),
            cause,
            node: self.node,
            may_have_run: self.may_have_run,
            attempts: self.attempts,
        }
    }
}

/// Carries out `request` on the connection that `node` holds, as `retry` says.
pub(crate) async fn call(
    node: &Node,
    states: &mut States,
    retry: &Retry,
    request: Request<'_>,
) -> Result<Replies, Failure> {
    let mut progress = Progress::new(request);
    let deadline = progress.deadline(retry);
    if let Some(reason) = request.natures().find_map(misuse) {
        return Err(progress.failed(Cause::Misuse(reason)));
    }
    let mut after = 0;
    loop {
        let rounds = retry.attempts.map(|attempts| attempts.get().saturating_sub(progress.attempts).max(1));
        let Held { generation, link } = match node.held(states, after, deadline, rounds).await {
            Ok(held) => held,
            Err((cause, failed_rounds)) => {
                progress.attempts += failed_rounds;
                return Err(progress.failed(cause));
            }
        };
        progress.attempts += 1;
        let left = deadline.saturating_duration_since(Instant::now());
        let within = retry.attempt_timeout.unwrap_or(node.core.settings.response_timeout).min(left);
        let outcome = attempt(&link, request, within, node.target == Target::Master).await;
        // A command that succeeds costs no memory beyond what it costs the crate `redis`.
        if !matches!(outcome, Outcome::Done(_)) {
            progress.node = Some(link.address().clone());
        }

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
        node.core.settings.metrics.get().retry(node.name(), &cause, progress.attempts);
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
