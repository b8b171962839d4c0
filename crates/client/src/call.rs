//! One call: attempt after attempt, until it succeeds, fails for good, or its time is up.

use std::time::Duration;

use redis::{Cmd, Pipeline};
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
            Self::Many(pipeline, ..) if pipeline.is_transaction() => "transaction".to_owned(),
            Self::Many(..) => "pipeline".to_owned(),
        }
    }

    fn commands(self) -> impl Iterator<Item = &'a Cmd> {
        let (one, many) = match self {
            Self::One(command) => (Some(command), None),
            Self::Many(pipeline, ..) => (None, Some(pipeline.cmd_iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
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
    // Without an end that a clock can show, it ends with the connection.
    let end = begun.checked_add(within).unwrap_or_else(|| begun + FOREVER);
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

    pub(crate) fn elapsed(&self) -> Duration {
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
///
/// This is the path of every command, so it asks for no lock, reads the clock once, and allocates nothing. What comes
/// after a first attempt that failed is in a future of its own, which would make the future of each call larger.
pub(crate) async fn call(
    node: &Node,
    states: &mut States,
    retry: &Retry,
    request: Request<'_>,
) -> Result<Replies, Failure> {
    let progress = Progress::new(request);
    if let Some(reason) = request.commands().find_map(misuse) {
        return Err(progress.failed(Cause::Misuse(reason)));
    }
    let Some(held) = states.at_hand(0) else {
        return Box::pin(persist(node, states, retry, progress, None)).await;
    };
    let within = attempt_timeout(node, retry).min(retry.budget);
    let master = node.target == Target::Master;
    match attempt(&held.link, request, progress.started, within, master).await {
        Outcome::Done(values) => Ok(values),
        outcome => Box::pin(persist(node, states, retry, progress, Some((held, outcome)))).await,
    }
}

fn attempt_timeout(node: &Node, retry: &Retry) -> Duration {
    retry.attempt_timeout.unwrap_or(node.core.settings.response_timeout)
}

/// Attempt after attempt; the first one may have been made, and have come to this.
async fn persist(
    node: &Node,
    states: &mut States,
    retry: &Retry,
    mut progress: Progress<'_>,
    mut first: Option<(Held, Outcome)>,
) -> Result<Replies, Failure> {
    let request = progress.request;
    let deadline = progress.deadline(retry);
    let mut after = 0;
    loop {
        let (Held { generation, link }, outcome) = if let Some(first) = first.take() {
            first
        } else {
            let rounds = retry.attempts.map(|attempts| attempts.get().saturating_sub(progress.attempts).max(1));
            let held = match node.held(states, after, deadline, rounds).await {
                Ok(held) => held,
                Err((cause, failed_rounds)) => {
                    progress.attempts += failed_rounds;
                    return Err(progress.failed(cause));
                }
            };
            let now = Instant::now();
            let within = attempt_timeout(node, retry).min(deadline.saturating_duration_since(now));
            let outcome = attempt(&held.link, request, now, within, node.target == Target::Master).await;
            (held, outcome)
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
