//! One call: attempt after attempt, until it succeeds, fails for good, or its time is up.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout, timeout_at};

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
            Ambiguous::IfRepeatable => command::repeatable(self.commands()),
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
    pub(crate) request: Request<'a>,
    started: Instant,
    attempts: u32,
    /// The last attempts, all at `node`, that were given up without a reply.
    unanswered: u32,
    /// How much of the time the node was to wait for something to happen; it does not count against the budget.
    blocked: Duration,
    pub(crate) may_have_run: bool,
    node: Option<Address>,
    /// For [`Node::held`].
    seen: Option<u32>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(request: Request<'a>) -> Self {
        let started = Instant::now();
        Self {
            request,
            started,
            attempts: 0,
            unanswered: 0,
            blocked: Duration::ZERO,
            may_have_run: false,
            node: None,
            seen: None,
        }
    }

    pub(crate) fn deadline(&self, retry: &Retry) -> Instant {
        end(self.started, retry.budget.saturating_add(self.blocked))
    }

    /// How long an attempt may take that begins now and blocks for `blocks`, so that the call does not outlast its
    /// budget and that.
    pub(crate) fn within(&self, retry: &Retry, response: Duration, blocks: Duration) -> Duration {
        let last = end(self.started, retry.budget.saturating_add(blocks));
        response.saturating_add(blocks).min(last.saturating_duration_since(Instant::now()))
    }

    /// An attempt that may block for `blocks`, `None` being for ever, began at `begun` and is over.
    pub(crate) fn blocked(&mut self, begun: Instant, blocks: Option<Duration>) {
        let sum = self.blocked.saturating_add(begun.elapsed());
        self.blocked = blocks.map_or(sum, |blocks| sum.min(blocks));
    }

    /// An attempt was made at `node`.
    pub(crate) fn tried(&mut self, node: &Address, outcome: &Outcome) {
        self.attempts += 1;
        let before = if self.node.as_ref() == Some(node) { self.unanswered } else { 0 };
        self.unanswered = if matches!(outcome, Outcome::Ambiguous(Cause::TimedOut(_))) { before + 1 } else { 0 };
        self.node = Some(node.clone());
    }

    /// A connection newer than generation `after` to make an attempt on. An attempt without one counts as well.
    pub(crate) async fn held(
        &mut self,
        node: &Node,
        states: &mut States,
        after: u64,
        retry: &Retry,
    ) -> Result<Held, Cause> {
        let one_round = retry.attempts.is_some();
        loop {
            match node.held(states, after, self.deadline(retry), one_round, &mut self.seen).await {
                Ok(held) => return Ok(held),
                Err(cause) => self.failed_to_find(node, retry, cause, one_round).await?,
            }
        }
    }

    /// No connection was found because of `cause`. Returns when it is time for another attempt, if there is one (`more`).
    pub(crate) async fn failed_to_find(
        &mut self,
        node: &Node,
        retry: &Retry,
        cause: Cause,
        more: bool,
    ) -> Result<(), Cause> {
        self.attempts += 1;
        self.unanswered = 0;
        let refused = matches!(&cause, Cause::Discovery(error) if error.is_refusal());
        if refused || !more { Err(cause) } else { self.pause(node, retry, cause).await }
    }

    /// Returns when it is time for another attempt, after one that failed because of `cause`; fails with that if there is
    /// none.
    pub(crate) async fn pause(&self, node: &Node, retry: &Retry, cause: Cause) -> Result<(), Cause> {
        let elapsed = self.started.elapsed().saturating_sub(self.blocked);
        let Some(wait) = retry.next(self.attempts, elapsed, node.core.chance()) else { return Err(cause) };
        let slow = match self.unanswered {
            0 | 1 => Duration::ZERO,
            more => retry.slow_wait(more, attempt_timeout(node, retry), node.core.chance()).saturating_sub(wait),
        };
        if elapsed + wait + slow >= retry.budget {
            return Err(cause);
        }
        node.core.settings.metrics.get().retry(node.name(), &cause, self.attempts);
        tracing::debug!(node = ?self.node, %cause, attempt = self.attempts, ?wait, ?slow, "trying again");
        sleep(wait).await;
        if let Some(address) = self.node.as_ref().filter(|_| !slow.is_zero()) {
            // At another node it may be quick.
            let _ = timeout(slow, node.moved_from(address)).await;
        }
        Ok(())
    }

    pub(crate) fn failed(&self, cause: Cause) -> Failure {
        Failure {
            elapsed: self.started.elapsed(),
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

pub(crate) fn attempt_timeout(node: &Node, retry: &Retry) -> Duration {
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
    let mut after = 0;
    loop {
        let (outcome, Held { generation, link }) = if let Some(first) = first.take() {
            first
        } else {
            let held = progress.held(node, states, after, retry).await?;
            let within = progress.within(retry, attempt_timeout(node, retry), Duration::ZERO);
            let outcome = attempt(&held.link, request, Instant::now(), within, node.target == Target::Master).await;
            (outcome, held)
        };
        progress.tried(link.address(), &outcome);

        let mut react = |reaction| match reaction {
            Reaction::Wait => {}
            Reaction::Check => node.doubt(),
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
            Outcome::Partly(error, reaction) => {
                react(reaction);
                progress.may_have_run = true;
                if !request.repeatable(retry.ambiguous) {
                    return Err(Cause::Server(error));
                }
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
        drop(link);
        progress.pause(node, retry, cause).await?;
    }
}

/// Fails if `request` must not be sent on a connection to `target` that others use too.
#[allow(clippy::result_large_err)] // It goes no further than the call that fails with it.
pub(crate) fn may_be_shared(request: Request<'_>, target: Target) -> Result<(), Failure> {
    let misuse = match request {
        Request::One(command) => misuse(command, target),
        Request::Many(pipeline, ..) => pipeline.cmd_iter().find_map(|command| misuse(command, target)),
    };
    match misuse {
        Some(reason) => Err(Progress::new(request).failed(Cause::Misuse(reason))),
        None => Ok(()),
    }
}

/// Why a command must not be sent on a connection to `target` that others use too.
fn misuse(command: &Cmd, target: Target) -> Option<&'static str> {
    // Without this it would be refused by a replica, but executed where the master stands in for one.
    if target == Target::Replica && command::writes(command) {
        return Some("a replica is only read from: send this on a connection to the master");
    }
    if !command::may_be_bound(command) {
        return None;
    }
    match command::nature(command) {
        Nature::Blocking(_) => Some("a blocking command holds up all users of a shared connection: use `dedicated`"),
        Nature::Stateful => Some("this command changes a shared connection for all its users: use `dedicated`"),
        Nature::Repeatable | Nature::Once => None,
    }
}
