//! [`Node`]: the one connection to the master, or to a replica, of one name, and the task that keeps it.
//!
//! One task per name does all the searching, so that any number of callers that lose their connection at once cause one
//! search, on which they wait, each as long as its own deadline allows.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::address::Address;
use crate::ballot::{self, Place, Ruling};
use crate::core::Core;
use crate::discovery;
use crate::error::{Cause, DiscoveryError};
use crate::hints::Hint;
use crate::link::Link;
use crate::role::Role;
use crate::task::OwnedTask;

/// What a connection is wanted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Target {
    Master,
    Replica,
}

/// Where the search for a node stands.
#[derive(Clone, Debug, Default)]
struct State {
    /// Raised with each connection.
    generation: u64,
    /// The connection; `None` while one is being searched for.
    link: Option<Arc<Link>>,
    /// Nothing new is sent on the connection, because the master may have moved.
    paused: bool,
    /// Rounds of the search that failed, over all time.
    failed_rounds: u32,
    /// Since when every round that came to an end said that every Sentinel answers and none knows the name.
    unknown_since: Option<Instant>,
    /// Why the last round failed, since the last connection, and when it had failed.
    error: Option<(DiscoveryError, Instant)>,
}

/// The longest wait before a connection that was lost is searched for, and before a master is dialled that the Sentinels
/// told of. Chance says how much of it: clients that lost theirs together, because its node died, or heard the same
/// announcement, do not all dial in the same millisecond.
const SPREAD: Duration = Duration::from_millis(50);

/// For how long the other Sentinels are waited for before a connection is used that took the place of one that was lost. If
/// it leads elsewhere than was known before, and of no later epoch, they are waited for as long as for any answer.
const SECOND_OPINION: Duration = Duration::from_millis(50);

/// For how long all Sentinels may deny to know the name before calls take their word for it: longer than it takes to
/// configure Sentinels that have just been started.
pub(crate) const UNKNOWN: Duration = Duration::from_secs(5);

impl State {
    /// True if there is no sense in waiting for another round of the search.
    fn is_hopeless(&self) -> bool {
        self.error.as_ref().is_some_and(|(error, _)| error.is_refusal())
            || self.unknown_since.is_some_and(|since| since.elapsed() >= UNKNOWN)
    }
}

/// A connection and its generation.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) generation: u64,
    pub(crate) link: Arc<Link>,
}

/// The connection to the master, or to a replica, of one name. Dropping it ends the search and closes the connection.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) core: Arc<Core>,
    pub(crate) target: Target,
    shared: Arc<Shared>,
    hints: broadcast::Sender<Hint>,
    /// Keeps the task alive that `hints` come from.
    _listener: Arc<OwnedTask>,
    keeper: Mutex<Option<OwnedTask>>,
}

/// What the callers and the keeper share.
#[derive(Debug)]
struct Shared {
    name: String,
    target: Target,
    state: watch::Sender<State>,
    check: Notify,
    doubts: Notify,
    /// When the last check began that found the connection to be the right one.
    confirmed: watch::Sender<Option<Instant>>,
    /// Where the master was named in the latest epoch. What came to nothing counts too: a search that did not reach the new
    /// master must not take the word of one Sentinel for the old one.
    latest: Mutex<Option<Place>>,
}

impl Node {
    pub(crate) fn new(
        core: Arc<Core>,
        name: String,
        target: Target,
        hints: broadcast::Sender<Hint>,
        listener: Arc<OwnedTask>,
    ) -> Self {
        let shared = Arc::new(Shared {
            name,
            target,
            state: watch::Sender::default(),
            check: Notify::new(),
            doubts: Notify::new(),
            confirmed: watch::Sender::default(),
            latest: Mutex::default(),
        });
        Self { core, target, shared, hints, _listener: listener, keeper: Mutex::default() }
    }

    /// For [`Node::held`].
    pub(crate) fn states(&self) -> States {
        States { receiver: self.shared.state.subscribe(), at_hand: None }
    }

    /// A connection newer than generation `after`, waited for until `deadline`. The error says why the search has not
    /// found one. With `one_round` the wait ends once a round of it has failed since the caller looked last, which `seen`
    /// keeps for it; so it does without, if to go on makes no sense.
    pub(crate) async fn held(
        &self,
        states: &mut States,
        after: u64,
        deadline: Instant,
        one_round: bool,
        seen: &mut Option<u32>,
    ) -> Result<Held, Cause> {
        self.keep();
        if let Some((held, _)) = states.at_hand(after) {
            return Ok(held);
        }
        loop {
            let (rounds, hopeless, error) = {
                let state = states.receiver.borrow_and_update();
                if let Some(link) = state.link.as_ref().filter(|_| state.generation > after && !state.paused) {
                    states.at_hand = Some(AtHand {
                        generation: state.generation,
                        link: Arc::downgrade(link),
                        connection: link.connection(),
                    });
                    return Ok(Held { generation: state.generation, link: Arc::clone(link) });
                }
                states.at_hand = None;
                (state.failed_rounds, state.is_hopeless(), state.error.clone())
            };
            let failed = *seen.get_or_insert(rounds) != rounds;
            if failed && (one_round || hopeless)
                || !matches!(timeout_at(deadline, states.receiver.changed()).await, Ok(Ok(())))
            {
                *seen = Some(rounds);
                let error = error.filter(|(error, failed)| self.still_holds(error, *failed));
                return Err(error.map_or(Cause::Searching, |(error, _)| error.into()));
            }
        }
    }

    /// False if the round that failed for want of Sentinels has been followed by a word of one of them.
    fn still_holds(&self, error: &DiscoveryError, failed: Instant) -> bool {
        !(matches!(error, DiscoveryError::Unreachable { .. }) && self.core.sentinels().has_answered_since(failed))
    }

    /// Starts the keeper, unless it runs. It may have ended with its runtime, or by a panic in what the application gave.
    fn keep(&self) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        if keeper.as_ref().is_none_or(OwnedTask::has_ended) {
            let (core, shared) = (Arc::clone(&self.core), Arc::clone(&self.shared));
            *keeper = Some(OwnedTask::spawn(keep(core, shared, self.hints.subscribe())));
        }
    }

    /// The name that this is the node of.
    pub(crate) fn name(&self) -> &str {
        &self.shared.name
    }

    /// Gives up the connection of this generation, if it is still the one. Commands under way on it go on.
    pub(crate) fn retire(&self, generation: u64) {
        self.shared.retire(generation);
    }

    /// Has the connection checked now.
    pub(crate) fn check(&self) {
        self.shared.check.notify_one();
    }

    /// Has the connection checked soon, however many ask for it.
    pub(crate) fn doubt(&self) {
        self.shared.doubts.notify_one();
    }

    /// Has the connection checked, and returns when a check has found it to be the right one that began at `since` or
    /// later: the Sentinels have been asked since then.
    pub(crate) async fn confirmed(&self, since: Instant) {
        let mut confirmed = self.shared.confirmed.subscribe();
        self.check();
        if confirmed.wait_for(|began| began.is_some_and(|began| began >= since)).await.is_err() {
            // The sender lives as long as `self`.
            std::future::pending::<()>().await;
        }
    }

    /// Returns when the connection in use is to a node other than `address`.
    pub(crate) async fn moved_from(&self, address: &Address) {
        let mut states = self.shared.state.subscribe();
        let elsewhere = |state: &State| state.link.as_ref().is_some_and(|link| link.address() != address);
        if states.wait_for(elsewhere).await.is_err() {
            // The sender lives as long as `self`.
            std::future::pending::<()>().await;
        }
    }
}

/// What one caller knows of the state. As long as nothing changes, the connection is had without a lock.
#[derive(Clone, Debug)]
pub(crate) struct States {
    receiver: watch::Receiver<State>,
    at_hand: Option<AtHand>,
}

/// The connection of the state that was seen last.
#[derive(Clone, Debug)]
struct AtHand {
    generation: u64,
    /// Weak, because a connection ends when it is given up, and not when its callers come back.
    link: Weak<Link>,
    /// To send on, so that no command has to clone it.
    connection: MultiplexedConnection,
}

impl States {
    /// The connection that was had last, if nothing has changed since, and it is newer than generation `after`.
    pub(crate) fn at_hand(&mut self, after: u64) -> Option<(Held, &mut MultiplexedConnection)> {
        let at_hand = self.at_hand.as_mut().filter(|at_hand| at_hand.generation > after)?;
        if !matches!(self.receiver.has_changed(), Ok(false)) {
            return None;
        }
        Some((Held { generation: at_hand.generation, link: at_hand.link.upgrade()? }, &mut at_hand.connection))
    }
}

impl Shared {
    fn retire(&self, generation: u64) {
        self.state.send_if_modified(|state| {
            let current = state.generation == generation && state.link.is_some();
            if current {
                state.link = None;
            }
            current
        });
    }

    fn pause(&self, paused: bool) {
        self.state.send_if_modified(|state| std::mem::replace(&mut state.paused, paused) != paused);
    }

    /// Keeps in mind where a Sentinel says that the master is, if it says so of a later epoch than was known. False if it was
    /// elsewhere by what was known: the Sentinel is behind the others, or wrong, or they have begun anew.
    fn learn(&self, told: &Place) -> bool {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.as_ref().is_none_or(|latest| latest.epoch < told.epoch) {
            *latest = Some(told.clone());
        }
        latest.as_ref().is_some_and(|latest| latest.master == told.master)
    }

    /// Keeps in mind where the Sentinels together say that the master is.
    fn settle(&self, ruled: &Place) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Some(ruled.clone());
    }

    async fn retired(&self) {
        let mut states = self.state.subscribe();
        let _ = states.wait_for(|state| state.link.is_none()).await;
    }
}

/// Searches, holds what was found for as long as it is good, and searches again.
async fn keep(core: Arc<Core>, shared: Arc<Shared>, mut hints: broadcast::Receiver<Hint>) {
    let mut next = Next::Search;
    // When the last connection was of no more use, and to which node it was; `None` before the first one.
    let mut lost: Option<(Instant, Address)> = None;
    // Connections in a row that did not last; `None` before the first one.
    let mut brief: Option<u32> = None;
    loop {
        let before = shared.state.borrow().failed_rounds;
        let node = lost.as_ref().map(|(_, node)| node);
        let kept = match next {
            Next::Use(kept) => *kept,
            Next::Search => search(&core, &shared, &mut hints, None, node, brief).await,
            Next::Try(place) => search(&core, &shared, &mut hints, Some(place), node, brief).await,
        };
        let Kept { link, mut place, by } = kept;
        let link = Arc::new(link);
        tracing::info!(name = shared.name, node = %link.address(), target = ?shared.target, "connected");
        let mut rounds = 0;
        shared.state.send_modify(|state| {
            rounds = state.failed_rounds.wrapping_sub(before);
            state.generation += 1;
            state.link = Some(Arc::clone(&link));
            state.paused = false;
            state.error = None;
            state.unknown_since = None;
        });
        if let Some((lost, _)) = lost {
            let metrics = core.settings.metrics.get();
            metrics.rediscovery(&shared.name, link.address(), rounds);
            metrics.outage(&shared.name, lost.elapsed());
        }
        let since = Instant::now();
        let mut paused = None;
        next = hold(&core, &shared, &mut hints, &link, &mut place, by, &mut paused).await;
        shared.learn(&place);
        lost = Some((paused.unwrap_or_else(Instant::now), link.address().clone()));
        let lasted = since.elapsed() >= core.settings.check_interval;
        brief = Some(if lasted { 0 } else { brief.unwrap_or(0) + 1 });
        tracing::info!(name = shared.name, node = %link.address(), "connection given up");
        shared.state.send_modify(|state| state.link = None);
    }
}

/// Round after round until one succeeds. Begins with the node at `first`, if that is given. Else it begins with a wait if
/// there was a connection before: a short one, or as after a round that failed if `brief` connections in a row did not
/// last, more than one. The last one was to `lost`.
async fn search(
    core: &Core,
    shared: &Shared,
    hints: &mut broadcast::Receiver<Hint>,
    mut first: Option<Place>,
    lost: Option<&Address>,
    brief: Option<u32>,
) -> Kept {
    let mut failures = brief.unwrap_or(0).saturating_sub(1);
    if brief.is_some() && first.is_none() {
        let pause = if failures > 0 { core.settings.retry.wait(failures, core.chance()) } else { spread(core) };
        first = wait(pause, hints, shared).await;
    }
    loop {
        let told = first.take();
        let dialled = told.as_ref().map(|place| place.master.clone());
        let round = async {
            match (shared.target, told) {
                (Target::Master, Some(place)) => {
                    sleep(spread(core)).await;
                    let link = discovery::master_at(core, &place.master).await?;
                    Ok(Kept { link, place, by: None })
                }
                (Target::Master, None) => {
                    let mut named = discovery::named(core, &shared.name).await?;
                    let fits = shared.learn(&named.place);
                    let link = discovery::master_named(core, &shared.name, &mut named).await;
                    shared.learn(&named.place);
                    let discovery::Named { mut place, by } = named;
                    let link = link?;
                    // Where a connection was lost the master may have moved, and the Sentinel that answered first may be
                    // behind the others. At the start it is taken at its word: nothing says that anything has happened.
                    let moved = if brief.is_some() {
                        let patience = if fits { SECOND_OPINION } else { core.settings.response_timeout };
                        let others = ballot::has_moved(core, &shared.name, &mut place, Some(&by));
                        timeout(patience, others).await.ok().flatten()
                    } else {
                        None
                    };
                    match moved {
                        None => Ok(Kept { link, place, by: Some(by) }),
                        Some(place) => {
                            shared.settle(&place);
                            let link = discovery::master_at(core, &place.master).await?;
                            Ok(Kept { link, place, by: None })
                        }
                    }
                }
                (Target::Replica, _) => Ok(Kept::replica(discovery::replica(core, &shared.name, lost).await?)),
            }
        };
        // A switch that is announced meanwhile makes the round, and the wait after it, pointless, unless it is to the node that
        // is being dialled: each Sentinel announces it.
        first = tokio::select! {
            biased;
            place = switched(hints, shared, dialled.as_ref()) => Some(place),
            result = round => match result {
                Ok(kept) => return kept,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::debug!(name = shared.name, %error, failures, "a round of the search failed");
                    let pause = match error {
                        DiscoveryError::NotMaster { .. } => core.settings.role_wait,
                        _ => core.settings.retry.wait(failures, core.chance()),
                    };
                    shared.state.send_modify(|state| {
                        state.failed_rounds = state.failed_rounds.wrapping_add(1);
                        state.unknown_since =
                            error.nobody_knows().then(|| state.unknown_since.unwrap_or_else(Instant::now));
                        state.error = Some((error, Instant::now()));
                    });
                    wait(pause, hints, shared).await
                }
            },
        };
    }
}

/// Waits, unless a switch is announced before; then it is told.
async fn wait(pause: Duration, hints: &mut broadcast::Receiver<Hint>, shared: &Shared) -> Option<Place> {
    tokio::select! {
        biased;
        place = switched(hints, shared, None) => Some(place),
        () = sleep(pause) => None,
    }
}

/// How long to wait, so that clients that learned the same at once do not do the same at once.
fn spread(core: &Core) -> Duration {
    SPREAD.mul_f64(core.chance())
}

/// Returns the new place when the master is said to have moved elsewhere than to `dialled`. A search for a replica goes on
/// undisturbed.
async fn switched(hints: &mut broadcast::Receiver<Hint>, shared: &Shared, dialled: Option<&Address>) -> Place {
    loop {
        match hints.recv().await {
            Ok(Hint::Switched { name, address })
                if name == shared.name && shared.target == Target::Master && Some(&address) != dialled =>
            {
                return Place { master: address, epoch: None };
            }
            // What was missed does not matter while a search is on.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// A connection that was found, and how.
struct Kept {
    link: Link,
    /// Where the Sentinels say that it leads, and since which epoch; of no meaning for a replica.
    place: Place,
    /// The Sentinel that said so, if one was asked.
    by: Option<Address>,
}

impl Kept {
    fn replica(link: Link) -> Self {
        let place = Place { master: link.address().clone(), epoch: None };
        Self { link, place, by: None }
    }
}

/// What comes after a connection.
enum Next {
    Search,
    /// The master has moved here.
    Try(Place),
    /// This connection is better.
    Use(Box<Kept>),
}

/// How much of the check interval passes at least from one check to the next while the Sentinels disagree or the node refuses
/// commands, each time all being asked.
const DISPUTED: f64 = 0.25;

/// What a look at a connection shows.
enum Found {
    /// It is still the right one, if the Sentinels do not dispute that.
    Good {
        disputed: bool,
    },
    Next(Next),
}

/// Why a connection is looked at.
#[derive(Clone, PartialEq, Eq)]
enum Reason {
    /// It is time. One Sentinel is asked, whose `turn` it is; all of them if it does not say that all is as it was.
    Routine { turn: usize },
    /// Somebody asks for it.
    Check,
    /// This Sentinel was not listened to for a while. It is asked, and all of them if it does not say that all is as it was.
    Unheard { sentinel: Address },
    /// Something may have been missed.
    Missed,
    /// A Sentinel says that the master has moved.
    Announced,
}

impl Reason {
    /// What is to be done for both.
    fn and(self, other: &Self) -> Self {
        if self == *other {
            self
        } else if self == Self::Announced || *other == Self::Announced {
            Self::Announced
        } else {
            Self::Missed
        }
    }
}

/// Returns when `link` is no longer good, and says what to do then. `paused` is set to the time since when nothing is
/// sent on it. `by` has just named its node, and `place` learns the epoch.
async fn hold(
    core: &Core,
    shared: &Shared,
    hints: &mut broadcast::Receiver<Hint>,
    link: &Link,
    place: &mut Place,
    mut by: Option<Address>,
    paused: &mut Option<Instant>,
) -> Next {
    // A replica answers a switch by closing its connections, and the next check finds what that leaves.
    let master = shared.target == Target::Master;
    let mut reason = Reason::Missed;
    let mut turn = 0_usize;
    loop {
        let mut heard = None;
        let began = Instant::now();
        let found = {
            let examined = examine(core, shared, link, place, by.take(), &reason, paused);
            tokio::select! {
                biased;
                () = shared.retired() => return Next::Search,
                () = link.lost() => return Next::Search,
                // An announcement does not wait for the end of a check.
                () = announced(hints, &shared.name, link, &mut heard), if master && reason != Reason::Announced => None,
                found = examined => Some(found),
            }
        };
        let disputed = match found {
            Some(Found::Next(next)) => return next,
            Some(Found::Good { disputed }) => disputed,
            None => false,
        };
        if let Some(heard) = heard {
            reason = heard;
            continue;
        }
        shared.pause(false);
        *paused = None;
        shared.confirmed.send_replace(Some(began));
        let pause = core.until_check().mul_f64(if disputed { DISPUTED } else { 1.0 });
        reason = tokio::select! {
            biased;
            () = shared.retired() => return Next::Search,
            () = link.lost() => return Next::Search,
            // One Sentinel settles no dispute.
            reason = moved(hints, &shared.name, link), if master => {
                if disputed { reason.and(&Reason::Missed) } else { reason }
            }
            () = shared.check.notified() => Reason::Check,
            () = doubted(shared, began + core.settings.check_interval.mul_f64(DISPUTED)) => Reason::Check,
            () = sleep(pause) => {
                turn = turn.wrapping_add(1);
                if disputed { Reason::Check } else { Reason::Routine { turn } }
            }
        };
    }
}

/// Returns when a command was refused in a way that leaves it open whether the node is the right one, but not before
/// `earliest`: what refuses one command refuses all of them, of all callers.
async fn doubted(shared: &Shared, earliest: Instant) {
    sleep_until(earliest).await;
    shared.doubts.notified().await;
}

/// Returns when there is reason to think that the master is no longer at `link`'s address.
async fn moved(hints: &mut broadcast::Receiver<Hint>, name: &str, link: &Link) -> Reason {
    loop {
        match hints.recv().await {
            Ok(Hint::Switched { name: switched, address }) if switched == name && address != *link.address() => {
                return Reason::Announced;
            }
            Ok(Hint::Switched { .. }) => {}
            Ok(Hint::Subscribed { sentinel }) => return Reason::Unheard { sentinel },
            Err(broadcast::error::RecvError::Lagged(_)) => return Reason::Missed,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Returns when a Sentinel announces that the master is no longer at `link`'s address; `heard` is all that is heard.
async fn announced(hints: &mut broadcast::Receiver<Hint>, name: &str, link: &Link, heard: &mut Option<Reason>) {
    while *heard != Some(Reason::Announced) {
        let reason = moved(hints, name, link).await;
        *heard = Some(match heard.take() {
            Some(heard) => heard.and(&reason),
            None => reason,
        });
    }
}

/// Finds out whether `link` is still the right connection. After an announcement nothing is sent on it
/// until that is known.
async fn examine(
    core: &Core,
    shared: &Shared,
    link: &Link,
    place: &mut Place,
    by: Option<Address>,
    reason: &Reason,
    paused: &mut Option<Instant>,
) -> Found {
    let mut pause = || {
        shared.pause(true);
        paused.get_or_insert_with(Instant::now);
    };
    if *reason == Reason::Announced {
        pause();
    } else if shared.target == Target::Replica || matches!(reason, Reason::Routine { .. } | Reason::Check) {
        let role = match link.role(core.settings.response_timeout).await {
            Ok(role) => role,
            Err(error) => {
                tracing::debug!(node = %link.address(), %error, "the node does not say what it is");
                return Found::Next(Next::Search);
            }
        };
        match (shared.target, role) {
            (Target::Replica, Role::Replica { connected: true })
                if discovery::is_listed(core, &shared.name, link.address()).await =>
            {
                return Found::Good { disputed: false };
            }
            // Better one that the Sentinels have given up, a stale one, or the master, than none; but one that they list
            // as healthy, and that is in sync, is better.
            (Target::Replica, _) => {
                let better = discovery::synced_replica(core, &shared.name).await;
                return better.map_or(Found::Good { disputed: false }, |link| {
                    Found::Next(Next::Use(Box::new(Kept::replica(link))))
                });
            }
            (Target::Master, Role::Master) => {}
            (Target::Master, _) => return Found::Next(Next::Search),
        }
    }
    let confirmed = match reason {
        Reason::Routine { turn } => ballot::is_confirmed_in_turn(core, &shared.name, &place.master, *turn).await,
        Reason::Unheard { sentinel } => ballot::is_confirmed(core, &shared.name, &place.master, sentinel, false).await,
        Reason::Check | Reason::Missed | Reason::Announced => false,
    };
    if confirmed {
        return Found::Good { disputed: false };
    }
    let new = match ballot::rule(core, &shared.name, place, by.as_ref()).await {
        Ruling::Moved(new) => new,
        Ruling::Stays { disputed } => return Found::Good { disputed },
    };
    tracing::info!(name = shared.name, from = %link.address(), to = %new.master, "the sentinels name another master");
    shared.settle(&new);
    pause();
    sleep(spread(core)).await;
    Found::Next(match discovery::master_at(core, &new.master).await {
        Ok(link) => Next::Use(Box::new(Kept { link, place: new, by: None })),
        Err(_) => Next::Try(new),
    })
}
