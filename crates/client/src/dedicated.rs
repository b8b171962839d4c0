//! [`Dedicated`]: a TCP connection of one's own, for commands that block or that change their connection.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, Value};
use tokio::time::{Instant, timeout_at};

use crate::cache::Known;
use crate::call::{self, Progress, Request};
use crate::command::{self, Nature};
use crate::discovery;
use crate::error::{Cause, DiscoveryError, Failure};
use crate::keeper::{Node, States, Target};
use crate::link::Link;
use crate::outcome::{Outcome, Reaction, Replies};
use crate::retry::Retry;
use crate::task::OwnedTask;

/// A TCP connection of one's own to the master of one name, for commands that block (`BLPOP`) or that change their
/// connection (`WATCH`, `SELECT`).
///
/// It is opened by the first command and again after it was lost. A blocking command is given its own time-out plus the
/// response time-out to answer, and ends early if the master moves elsewhere. The time for which it blocks comes on top of
/// the budget of its [`Retry`]: a call ends once both are used up, also if its command was unblocked and sent again, and
/// one that blocks for ever has the budget for what comes after. After a command that changes the
/// connection, a loss of the connection is not repaired silently: the next command fails once, because what the
/// connection knew is gone. So does a `WAIT` if anything has run since the last one on a connection that is gone. When the
/// master moves, the connection is closed at once, also while nobody uses it. A call that is dropped before it ends closes
/// it too, because its command may be waiting at the node still.
#[derive(Debug)]
pub struct Dedicated {
    node: Arc<Node>,
    retry: Retry,
    /// What it reads is kept, and the node says when that changes.
    tracked: bool,
    states: States,
    open: Option<Open>,
    /// When the last one was lost, if the Sentinels have not been asked since then.
    lost: Option<Instant>,
    told: Told,
    /// Commands have run on a connection that is gone, of which no `WAIT` can tell any more.
    stranded: bool,
    /// A call has begun and not ended.
    busy: bool,
}

/// What the connection that is open has been told, and no other knows.
#[derive(Debug, Default)]
struct Told {
    /// It was changed for good (`SELECT`).
    changed: bool,
    /// It was changed until the end of a transaction (`WATCH`).
    watching: bool,
    /// A command has run on it since the last `WAIT`.
    ran: bool,
}

impl Told {
    /// True if `request` means nothing on another connection.
    fn binds(&self, request: Request<'_>) -> bool {
        self.changed || self.watching || self.ran && request.waits()
    }

    /// Takes note of `request`, which was carried out.
    fn note(&mut self, request: Request<'_>) {
        self.ran = !request.waits();
        for command in request.commands().filter(|command| command::nature(command) == Nature::Stateful) {
            match command::name(command).as_str() {
                "WATCH" | "MULTI" => self.watching = true,
                "EXEC" | "DISCARD" | "UNWATCH" => self.watching = false,
                _ => self.changed = true,
            }
        }
        self.watching &= !request.is_transaction();
    }
}

/// A connection that is open as long as the master is where it leads.
#[derive(Debug)]
struct Open {
    slot: Arc<Mutex<Option<Arc<Link>>>>,
    /// Of one that is tracked.
    known: Known,
    _closer: OwnedTask,
}

impl Open {
    fn new(node: &Arc<Node>, link: Link, known: Known) -> Self {
        let address = link.address().clone();
        let slot = Arc::new(Mutex::new(Some(Arc::new(link))));
        let (node, closing) = (Arc::clone(node), Arc::clone(&slot));
        let closer = OwnedTask::spawn(async move {
            node.moved_from(&address).await;
            closing.lock().unwrap_or_else(PoisonError::into_inner).take();
        });
        Self { slot, known, _closer: closer }
    }

    /// The connection, unless it is closed or lost.
    fn link(&self) -> Option<Arc<Link>> {
        let link = self.slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
        link.filter(|link| !link.is_lost())
    }
}

impl Dedicated {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        let retry = node.core.settings.retry.clone();
        Self {
            states: node.states(),
            node,
            retry,
            tracked: false,
            open: None,
            lost: None,
            told: Told::default(),
            stranded: false,
            busy: false,
        }
    }

    /// One whose node remembers what is read on it.
    pub(crate) fn tracked(node: Arc<Node>) -> Self {
        Self { tracked: true, ..Self::new(node) }
    }

    /// This connection with other rules for retries.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Makes it as a new one would be, but for being open perhaps; false if that cannot be.
    pub(crate) fn renew(&mut self) -> bool {
        self.stranded = false;
        self.told.ran = false;
        !self.told.changed && !self.told.watching && !self.busy
    }

    /// What is known for certain, or was a check interval ago, on a connection to the present master. `progress` is that of the
    /// call that it is wanted for.
    pub(crate) async fn known(&mut self, progress: &mut Progress<'_>) -> Result<Known, Failure> {
        loop {
            let link = self.connect(progress, false).await.map_err(|cause| progress.failed(cause))?;
            let Some(Open { known, .. }) = &self.open else { continue };
            let known = known.clone();
            let settings = &self.node.core.settings;
            if known.was_heard(settings.check_interval) {
                return Ok(known);
            }
            let within = progress.within(&self.retry, settings.response_timeout, Duration::ZERO);
            let asked = Instant::now();
            match link.ask(&redis::cmd("PING"), within).await {
                Ok(_) => {
                    known.heard(asked);
                    return Ok(known);
                }
                Err(error) => {
                    self.lost();
                    let cause = DiscoveryError::NodeUnreachable { address: link.address().clone(), error }.into();
                    let again = progress.failed_to_find(&self.node, &self.retry, cause, true).await;
                    again.map_err(|cause| progress.failed(cause))?;
                }
            }
        }
    }

    pub(crate) async fn call(&mut self, request: Request<'_>) -> Result<Replies, Failure> {
        self.go_on(Progress::new(request)).await
    }

    /// [`Dedicated::call`] of a call that has begun.
    pub(crate) async fn go_on(&mut self, progress: Progress<'_>) -> Result<Replies, Failure> {
        let request = progress.request;
        let bound = self.told.binds(request);
        let dropped = std::mem::take(&mut self.busy);
        if dropped {
            self.open = None;
            self.strand();
        }
        if dropped && bound || self.stranded && request.waits() {
            return Err(progress.failed(self.forgotten()));
        }
        self.busy = true;
        let result = self.attempts(progress, bound).await;
        self.busy = false;
        result
    }

    async fn attempts(&mut self, mut progress: Progress<'_>, bound: bool) -> Result<Replies, Failure> {
        let request = progress.request;
        let response = call::attempt_timeout(&self.node, &self.retry);
        // The time for which the commands block, one after the other, does not count against the budget.
        let blocks = request.natures().try_fold(Duration::ZERO, |sum, nature| match nature {
            Nature::Blocking(time) => sum.checked_add(time?),
            _ => Some(sum),
        });
        loop {
            let link = match self.connect(&mut progress, bound).await {
                Ok(link) => link,
                Err(cause) => return Err(progress.failed(cause)),
            };
            let now = Instant::now();
            // Without a limit of its own a blocking command ends with the connection.
            let within = blocks.map_or(Duration::MAX, |blocks| progress.within(&self.retry, response, blocks));
            let outcome = tokio::select! {
                biased;
                outcome = call::attempt(&link, request, now, within, true) => outcome,
                () = self.node.moved_from(link.address()) => {
                    Outcome::Ambiguous(Cause::Lost("the master has moved".to_owned()))
                }
            };
            progress.blocked(now, blocks);
            if !matches!(outcome, Outcome::Done(_)) {
                progress.tried(link.address(), &outcome);
            }
            let cause = match outcome {
                Outcome::Done(values) => {
                    self.told.note(request);
                    return Ok(values);
                }
                Outcome::Final(cause) => return Err(progress.failed(cause)),
                Outcome::Partly(error, _) => {
                    self.lost();
                    progress.may_have_run = true;
                    return Err(progress.failed(Cause::Server(error)));
                }
                Outcome::Refused(error, reaction) => {
                    match reaction {
                        Reaction::Wait => {}
                        Reaction::Check => self.node.doubt(),
                        Reaction::Leave => self.lost(),
                    }
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
            if bound && self.open.is_none() {
                self.forgotten();
                return Err(progress.failed(cause));
            }
            if let Err(cause) = progress.pause(&self.node, &self.retry, cause).await {
                return Err(progress.failed(cause));
            }
        }
    }

    /// The connection is gone, and what it had been told with it.
    fn strand(&mut self) {
        self.stranded |= std::mem::take(&mut self.told).ran;
    }

    /// Why a command fails that means nothing on another connection. Once is enough.
    fn forgotten(&mut self) -> Cause {
        self.stranded = false;
        Cause::Lost("what the connection had been told is gone with it".to_owned())
    }

    /// Gives up the connection. Its node may be to blame, so the Sentinels are asked before there is another.
    fn lost(&mut self) {
        self.open = None;
        self.strand();
        self.lost = Some(Instant::now());
        self.node.check();
    }

    /// Opens the connection if there is none to the present master.
    async fn connect(&mut self, progress: &mut Progress<'_>, bound: bool) -> Result<Arc<Link>, Cause> {
        let deadline = progress.deadline(&self.retry);
        loop {
            let held = progress.held(&self.node, &mut self.states, 0, &self.retry).await?;
            let address = held.link.address().clone();
            if let Some(open) = &self.open {
                if let Some(link) = open.link().filter(|link| *link.address() == address) {
                    return Ok(link);
                }
                self.lost();
                if bound {
                    return Err(self.forgotten());
                }
            }
            if let Some(since) = self.lost {
                if timeout_at(deadline, self.node.confirmed(since)).await.is_err() {
                    return Err(Cause::Searching);
                }
                self.lost = None;
                continue;
            }
            debug_assert_eq!(self.node.target, Target::Master);
            let known = Known::nothing();
            let told = self.tracked.then(|| known.clone());
            let dialled = discovery::master_of_its_own(&self.node.core, &address, told);
            match timeout_at(deadline, dialled).await {
                Err(_) => return Err(Cause::Searching),
                // The next turn finds it there, and still at the right place.
                Ok(Ok(link)) => self.open = Some(Open::new(&self.node, link, known)),
                Ok(Err(error)) => {
                    self.lost();
                    progress.failed_to_find(&self.node, &self.retry, error.into(), true).await?;
                }
            }
        }
    }
}

impl ConnectionLike for Dedicated {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move { Ok(self.call(Request::One(command)).await?.into()) })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move { Ok(self.call(Request::Many(pipeline, offset, count)).await?.into()) })
    }

    fn get_db(&self) -> i64 {
        i64::from(self.node.core.settings.db)
    }
}
