//! One call: attempt after attempt, until it succeeds, fails for good, or its time is up.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout_at};

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
            Self::Many(..) if self.is_transaction() => "transaction".to_owned(),
            Self::Many(..) => "pipeline".to_owned(),
        }
    }

    pub(crate) fn commands(self) -> impl Iterator<Item = &'a Cmd> {
        let (one, many) = match self {
            Self::One(command) => (Some(command), None),
            Self::Many(pipeline, ..) => (None, Some(pipeline.cmd_iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    pub(crate) fn is_transaction(self) -> bool {
        matches!(self, Self::Many(pipeline, ..) if pipeline.is_transaction())
    }

    fn is_script(self) -> bool {
        self.commands().any(|command| command::is_one_of(command, &["EVAL", "EVALSHA", "FCALL"]))
    }

    /// True if it asks how many replicas have the writes before it on its connection.
    pub(crate) fn waits(self) -> bool {
        self.commands().any(|command| command::is_one_of(command, &["WAIT", "WAITAOF"]))
    }

    pub(crate) fn natures(self) -> impl Iterator<Item = Nature> + 'a {
        self.commands().map(command::nature)
    }

    pub(crate) fn repeatable(self, ambiguous: Ambiguous) -> bool {
        match ambiguous {
            Ambiguous::Never => false,
            Ambiguous::IfRepeatable => self.natures().all(|nature| nature == Nature::Repeatable),
            Ambiguous::Always => true,
        }
    }
}

/// Longer than any connection lasts.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 86_400);

/// When an attempt ends that began at `begun`. Without an end that a clock can show, it ends with the connection.
fn end(begun: Instant, within: Duration) -> Instant {
    begun.checked_add(within).unwrap_or_else(|| begun + FOREVER)
}

/// One attempt on `link`.
pub(crate) async fn attempt(
    link: &Link,
    request: Request<'_>,
    begun: Instant,
    within: Duration,
    master: bool,
) -> Outcome {
    let sent_before = link.written();
    let mut connection = link.connection();
    let end = end(begun, within);
    let result = match request {
        Request::One(command) => {
            let sent = timeout_at(end, connection.send_packed_command(command)).await;
            sent.map(|reply| reply.map(Replies::One))
        }
        Request::Many(pipeline, offset, count) => {
            let sent = timeout_at(end, connection.send_packed_commands(pipeline, offset, count)).await;
            sent.map(|replies| replies.map(Replies::Many))
        }
    };
    judge(link, sent_before, within, result, master)
}

/// What an attempt on `link` came to.
fn judge(
    link: &Link,
    sent_before: u64,
    within: Duration,
    result: Result<RedisResult<Replies>, Elapsed>,
    master: bool,
) -> Outcome {
    match result {
        // The connection lives on, and may send the command still.
        Err(_) => Outcome::Ambiguous(Cause::TimedOut(within)),
        Ok(result) => match outcome(result, master) {
            Outcome::Ambiguous(cause) if link.written() == sent_before => Outcome::Unsent(cause),
            outcome => outcome,
        },
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

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn deadline(&self, retry: &Retry) -> Instant {
        end(self.started, retry.budget)
    }

    pub(crate) fn failed(&self, cause: Cause) -> Failure {
        Failure {
            elapsed: self.elapsed(),
            command: self.request.name(),
            cause,
            node: self.node.clone(),
            may_have_run: self.may_have_run,
            attempts: self.attempts,
        }
    }
}

/// The first attempt of a call.
///
/// This is the path of every command: [`first`], the attempt, and nothing more if the reply is without error. So it asks
/// for no lock, reads the clock once, allocates nothing, and is small. What comes after an attempt that failed is in a
/// future of its own.
pub(crate) struct First {
    started: Instant,
    /// When the attempt ends.
    pub(crate) end: Instant,
    /// The connection, and what was sent on it before; `None` if none is at hand.
    held: Option<(Held, u64)>,
}

/// What the first attempt came to; `None` if there was no connection at hand to make it on.
pub(crate) type Tried<T> = Option<Result<RedisResult<T>, Elapsed>>;

/// Begins a call, and gives what its first attempt is to be made on.
pub(crate) fn first<'s>(
    node: &Node,
    states: &'s mut States,
    retry: &Retry,
) -> (First, Option<&'s mut MultiplexedConnection>) {
    let started = Instant::now();
    let end = end(started, first_timeout(node, retry));
    match states.at_hand(0) {
        Some((held, connection)) => {
            let sent_before = held.link.written();
            (First { started, end, held: Some((held, sent_before)) }, Some(connection))
        }
        None => (First { started, end, held: None }, None),
    }
}

impl First {
    /// Goes on after an attempt that did not give a reply without error.
    ///
    /// With `strict` an error reply to a single command is a failure too.
    pub(crate) async fn then<T: Into<Replies> + From<Replies>>(
        self,
        node: &Node,
        states: &mut States,
        retry: &Retry,
        request: Request<'_>,
        tried: Tried<T>,
        strict: bool,
    ) -> Result<T, Failure> {
        let mut progress = Progress { started: self.started, ..Progress::new(request) };
        let first = match (self.held, tried) {
            (Some((held, sent_before)), Some(result)) => {
                let result = result.map(|result| result.map(T::into));
                let within = first_timeout(node, retry);
                Some((judge(&held.link, sent_before, within, result, node.target == Target::Master), held))
            }
            _ => None,
        };
        let replies = persist(node, states, retry, &mut progress, first).await;
        match replies {
            Ok(Replies::One(Value::ServerError(error))) if strict => {
                // A script may have done something before it failed.
                progress.may_have_run |= request.is_script();
                Err(progress.failed(Cause::Server((&error).into())))
            }
            Ok(replies) => Ok(replies.into()),
            Err(cause) => Err(progress.failed(cause)),
        }
    }
}

fn first_timeout(node: &Node, retry: &Retry) -> Duration {
    attempt_timeout(node, retry).min(retry.budget)
}

fn attempt_timeout(node: &Node, retry: &Retry) -> Duration {
    retry.attempt_timeout.unwrap_or(node.core.settings.response_timeout)
}

/// Attempt after attempt; the first one may have been made, and have come to this.
async fn persist(
    node: &Node,
    states: &mut States,
    retry: &Retry,
    progress: &mut Progress<'_>,
    mut first: Option<(Outcome, Held)>,
) -> Result<Replies, Cause> {
    let request = progress.request;
    let deadline = progress.deadline(retry);
    let mut after = 0;
    loop {
        let (outcome, Held { generation, link }) = if let Some(first) = first.take() {
            first
        } else {
            let held = match node.held(states, after, deadline, retry.rounds(progress.attempts)).await {
                Ok(held) => held,
                Err((cause, failed_rounds)) => {
                    progress.attempts += failed_rounds;
                    return Err(cause);
                }
            };
            let now = Instant::now();
            let within = attempt_timeout(node, retry).min(deadline.saturating_duration_since(now));
            let outcome = attempt(&held.link, request, now, within, node.target == Target::Master).await;
            (outcome, held)
        };
        progress.attempts += 1;
        progress.node = Some(link.address().clone());

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
            Outcome::Final(cause) => return Err(cause),
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
                    return Err(cause);
                }
                cause
            }
        };
        let Some(wait) = retry.next(progress.attempts, progress.elapsed(), node.core.chance()) else {
            return Err(cause);
        };
        node.core.settings.metrics.get().retry(node.name(), &cause, progress.attempts);
        tracing::debug!(node = %link.address(), %cause, attempt = progress.attempts, ?wait, "trying again");
        drop(link);
        sleep(wait).await;
    }
}

/// Fails if `request` must not be sent on a connection that others use too.
#[allow(clippy::result_large_err)] // It goes no further than the call that fails with it.
pub(crate) fn may_be_shared(request: Request<'_>) -> Result<(), Failure> {
    let misuse = match request {
        Request::One(command) => misuse(command),
        Request::Many(pipeline, ..) => pipeline.cmd_iter().find_map(misuse),
    };
    match misuse {
        Some(reason) => Err(Progress::new(request).failed(Cause::Misuse(reason))),
        None => Ok(()),
    }
}

/// Why a command must not be sent on a connection that others use too.
fn misuse(command: &Cmd) -> Option<&'static str> {
    if !command::may_be_bound(command) {
        return None;
    }
    match command::nature(command) {
        Nature::Blocking(_) => Some("a blocking command holds up all users of a shared connection: use `dedicated`"),
        Nature::Stateful => Some("this command changes a shared connection for all its users: use `dedicated`"),
        Nature::Repeatable | Nature::Once => None,
    }
}
