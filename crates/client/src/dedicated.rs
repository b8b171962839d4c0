//! [`Dedicated`]: a TCP connection of one's own, for commands that block or that change their connection.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};
use tokio::time::{Instant, sleep, timeout_at};

use crate::call::{self, Progress, Request};
use crate::command::Nature;
use crate::discovery;
use crate::error::{Cause, Failure};
use crate::keeper::{Node, States, Target};
use crate::link::Link;
use crate::outcome::{Outcome, Replies};
use crate::retry::Retry;

/// A TCP connection of one's own to the master of one name, for commands that block (`BLPOP`) or that change their
/// connection (`WATCH`, `SELECT`).
///
/// It is opened by the first command and again after it was lost. A blocking command is given its own time-out plus the
/// response time-out to answer, and ends early if the master moves elsewhere. After a command that changes the
/// connection, a loss of the connection is not repaired silently: the next command fails once, because what the
/// connection knew is gone.
#[derive(Debug)]
pub struct Dedicated {
    node: Arc<Node>,
    retry: Retry,
    states: States,
    link: Option<Link>,
    /// A command has changed the connection.
    changed: bool,
}

impl Dedicated {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        let retry = node.core.settings.retry.clone();
        Self { states: node.states(), node, retry, link: None, changed: false }
    }

    /// This connection with other rules for retries.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    async fn call(&mut self, request: Request<'_>) -> Result<Replies, Failure> {
        let mut progress = Progress::new(request);
        let blocking = request.natures().find_map(|nature| match nature {
            Nature::Blocking(time) => Some(time),
            _ => None,
        });
        let response = self.retry.attempt_timeout.unwrap_or(self.node.core.settings.response_timeout);
        // The time for which the command blocks does not count against the budget.
        let blocks = match blocking {
            None => Some(Duration::ZERO),
            Some(time) => time,
        };
        let deadline = progress.deadline(&self.retry);
        loop {
            if let Err(cause) = self.connect(&mut progress, deadline).await {
                return Err(progress.failed(cause));
            }
            let Some(link) = &self.link else { return Err(progress.failed(Cause::Searching)) };
            progress.attempts += 1;
            progress.node = Some(link.address().clone());
            let left = deadline.saturating_duration_since(Instant::now());
            // Without a limit of its own a blocking command ends with the connection.
            let within = blocks.map_or(Duration::MAX, |blocks| response.min(left) + blocks);
            let outcome = tokio::select! {
                biased;
                outcome = call::attempt(link, request, within, true) => outcome,
                () = self.node.moved_from(link.address()) => {
                    Outcome::Ambiguous(Cause::Lost("the master has moved".to_owned()))
                }
            };
            self.changed |= request.natures().any(|nature| nature == Nature::Stateful);
            let cause = match outcome {
                Outcome::Done(values) => return Ok(values),
                Outcome::Final(cause) => return Err(progress.failed(cause)),
                Outcome::Partly(values, ..) => {
                    self.lost();
                    return Ok(values);
                }
                Outcome::Refused(error, _) => {
                    self.lost();
                    Cause::Server(error)
                }
                Outcome::Unsent(cause) => {
                    self.lost();
                    cause
                }
                Outcome::Ambiguous(cause) => {
                    self.lost();
                    progress.may_have_run = true;
                    if !request.repeatable(self.retry.ambiguous) {
                        return Err(progress.failed(cause));
                    }
                    cause
                }
            };
            // A transaction on watched keys, say, means nothing on another connection.
            if self.changed {
                self.changed = false;
                return Err(progress.failed(cause));
            }
            let chance = self.node.core.chance();
            let Some(wait) = self.retry.next(progress.attempts, progress.elapsed(), chance) else {
                return Err(progress.failed(cause));
            };
            self.node.core.settings.metrics.get().retry(self.node.name(), &cause, progress.attempts);
            sleep(wait).await;
        }
    }

    /// Gives up the connection and has the shared one checked, whose node may be to blame.
    fn lost(&mut self) {
        self.link = None;
        self.node.check();
    }

    /// Opens the connection if there is none to the present master.
    async fn connect(&mut self, progress: &mut Progress<'_>, deadline: Instant) -> Result<(), Cause> {
        loop {
            let held = match self.node.held(&mut self.states, 0, deadline, None).await {
                Ok(held) => held,
                Err((cause, rounds)) => {
                    progress.attempts += rounds;
                    return Err(cause);
                }
            };
            let address = held.link.address().clone();
            if let Some(link) = &self.link {
                if *link.address() == address && !link.is_lost() {
                    return Ok(());
                }
                self.link = None;
                if std::mem::take(&mut self.changed) {
                    return Err(Cause::Lost("what the connection had been told is gone with it".to_owned()));
                }
            }
            debug_assert_eq!(self.node.target, Target::Master);
            match timeout_at(deadline, discovery::master_at(&self.node.core, &address)).await {
                Err(_) => return Err(Cause::Searching),
                Ok(Ok(link)) => {
                    self.link = Some(link);
                    return Ok(());
                }
                Ok(Err(error)) => {
                    progress.attempts += 1;
                    self.node.check();
                    let chance = self.node.core.chance();
                    match self.retry.next(progress.attempts, progress.elapsed(), chance) {
                        Some(wait) => sleep(wait).await,
                        None => return Err(error.into()),
                    }
                }
            }
        }
    }
}

impl ConnectionLike for Dedicated {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { Ok(self.call(Request::One(command)).await?.one()) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move { Ok(self.call(Request::Many(pipeline, offset, count)).await?.many()) })
    }

    fn get_db(&self) -> i64 {
        i64::from(self.node.core.settings.db)
    }
}
