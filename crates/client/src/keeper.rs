//! [`Node`]: the one connection to the master, or to a replica, of one name, and the task that keeps it.
//!
//! One task per name does all the searching, so that any number of callers that lose their connection at once cause one
//! search, on which they wait, each as long as its own deadline allows.

use std::sync::{Arc, OnceLock};

use tokio::sync::{Notify, broadcast, watch};
use tokio::time::{Instant, sleep, timeout_at};

use crate::address::Address;
use crate::ballot::{Panel, Place};
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
    /// Why the last round failed, since the last connection.
    error: Option<DiscoveryError>,
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
    keeper: OnceLock<OwnedTask>,
}

/// What the callers and the keeper share.
#[derive(Debug)]
struct Shared {
    name: String,
    target: Target,
    state: watch::Sender<State>,
    check: Notify,
}

impl Node {
    pub(crate) fn new(
        core: Arc<Core>,
        name: String,
        target: Target,
        hints: broadcast::Sender<Hint>,
        listener: Arc<OwnedTask>,
    ) -> Self {
        let shared = Arc::new(Shared { name, target, state: watch::Sender::default(), check: Notify::new() });
        Self { core, target, shared, hints, _listener: listener, keeper: OnceLock::new() }
    }

    /// A connection newer than generation `after`, waited for until `deadline`. The error says why the search has not
    /// found one, and how many rounds of it failed meanwhile; with `rounds` it ends after so many.
    pub(crate) async fn held(&self, after: u64, deadline: Instant, rounds: Option<u32>) -> Result<Held, (Cause, u32)> {
        self.keeper.get_or_init(|| {
            let (core, shared) = (Arc::clone(&self.core), Arc::clone(&self.shared));
            OwnedTask::spawn(keep(core, shared, self.hints.subscribe()))
        });
        let mut states = self.shared.state.subscribe();
        let start = states.borrow().failed_rounds;
        loop {
            let (failed, error) = {
                let state = states.borrow_and_update();
                if let Some(link) = state.link.as_ref().filter(|_| state.generation > after && !state.paused) {
                    return Ok(Held { generation: state.generation, link: Arc::clone(link) });
                }
                (state.failed_rounds.wrapping_sub(start), state.error.clone())
            };
            let cause = || error.clone().map_or(Cause::Searching, Cause::from);
            if rounds.is_some_and(|rounds| failed >= rounds) {
                return Err((cause(), failed));
            }
            if !matches!(timeout_at(deadline, states.changed()).await, Ok(Ok(()))) {
                return Err((cause(), failed));
            }
        }
    }

    /// Gives up the connection of this generation, if it is still the one. Commands under way on it go on.
    pub(crate) fn retire(&self, generation: u64) {
        self.shared.retire(generation);
    }

    /// Has the connection checked now.
    pub(crate) fn check(&self) {
        self.shared.check.notify_one();
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

    async fn retired(&self) {
        let mut states = self.state.subscribe();
        let _ = states.wait_for(|state| state.link.is_none()).await;
    }
}

/// Searches, holds what was found for as long as it is good, and searches again.
async fn keep(core: Arc<Core>, shared: Arc<Shared>, mut hints: broadcast::Receiver<Hint>) {
    let mut next = Next::Search;
    loop {
        let (link, epoch) = match next {
            Next::Use(link) => (link, 0),
            Next::Move(link, epoch) => (link, epoch),
            Next::Search => (search(&core, &shared, &mut hints, None).await, 0),
            Next::Try(place) => {
                let link = search(&core, &shared, &mut hints, Some(place.master.clone())).await;
                let epoch = if *link.address() == place.master { place.epoch } else { 0 };
                (link, epoch)
            }
        };
        let link = Arc::new(link);
        tracing::info!(name = shared.name, node = %link.address(), target = ?shared.target, "connected");
        shared.state.send_modify(|state| {
            state.generation += 1;
            state.link = Some(Arc::clone(&link));
            state.paused = false;
            state.error = None;
        });
        next = hold(&core, &shared, &mut hints, &link, epoch).await;
        tracing::info!(name = shared.name, node = %link.address(), "connection given up");
        shared.state.send_modify(|state| state.link = None);
    }
}

/// Round after round until one succeeds. Begins with the node at `first`, if that is given.
async fn search(
    core: &Core,
    shared: &Shared,
    hints: &mut broadcast::Receiver<Hint>,
    mut first: Option<Address>,
) -> Link {
    let mut failures = 0u32;
    loop {
        let round = async {
            match (shared.target, first.take()) {
                (Target::Master, Some(address)) => discovery::master_at(core, &address).await,
                (Target::Master, None) => discovery::master(core, &shared.name).await,
                (Target::Replica, _) => discovery::replica(core, &shared.name).await,
            }
        };
        // A switch that is announced meanwhile makes the round, and the wait after it, pointless.
        let switched = tokio::select! {
            biased;
            address = switched(hints, &shared.name) => Some(address),
            result = round => match result {
                Ok(link) => return link,
                Err(error) => {
                    failures = failures.saturating_add(1);
                    tracing::debug!(name = shared.name, %error, failures, "a round of the search failed");
                    let wait = match error {
                        DiscoveryError::NotMaster { .. } => core.settings.role_wait,
                        _ => core.settings.retry.wait(failures, core.chance()),
                    };
                    shared.state.send_modify(|state| {
                        state.failed_rounds = state.failed_rounds.wrapping_add(1);
                        state.error = Some(error);
                    });
                    tokio::select! {
                        biased;
                        address = switched(hints, &shared.name) => Some(address),
                        () = sleep(wait) => None,
                    }
                }
            },
        };
        if switched.is_some() {
            first = switched;
        }
    }
}

/// Returns the new address when `name` is said to have moved.
async fn switched(hints: &mut broadcast::Receiver<Hint>, name: &str) -> Address {
    loop {
        match hints.recv().await {
            Ok(Hint::Switched { name: switched, address }) if switched == name => return address,
            // What was missed does not matter while a search is on.
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// What comes after a connection.
enum Next {
    Search,
    /// The master has moved here.
    Try(Place),
    /// This connection is better.
    Use(Link),
    /// The same, to where the master has moved, in this epoch.
    Move(Link, u64),
}

/// Why a connection is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    /// It is time, or somebody asked for it.
    Check,
    /// Something may have been missed.
    Missed,
    /// A Sentinel says that the master has moved.
    Announced,
}

/// Returns when `link` is no longer good, and says what to do then. `epoch` is the one in which the Sentinels chose its
/// node, 0 if that is not known.
async fn hold(core: &Core, shared: &Shared, hints: &mut broadcast::Receiver<Hint>, link: &Link, epoch: u64) -> Next {
    let mut panel = Panel::default();
    let mut place = Place { master: link.address().clone(), epoch };
    let mut reason = Reason::Missed;
    loop {
        let mut heard = None;
        let next = tokio::select! {
            biased;
            () = shared.retired() => return Next::Search,
            () = link.lost() => return Next::Search,
            // An announcement does not wait for the end of a check.
            () = announced(hints, &shared.name, link, &mut heard), if reason != Reason::Announced => None,
            next = examine(core, shared, link, &mut panel, &mut place, reason) => next,
        };
        if let Some(next) = next {
            return next;
        }
        if let Some(heard) = heard {
            reason = heard;
            continue;
        }
        shared.pause(false);
        reason = tokio::select! {
            biased;
            () = shared.retired() => return Next::Search,
            () = link.lost() => return Next::Search,
            reason = moved(hints, &shared.name, link) => reason,
            () = shared.check.notified() => Reason::Check,
            () = sleep(core.settings.check_interval) => Reason::Check,
        };
    }
}

/// Returns when there is reason to think that the master is no longer at `link`'s address.
async fn moved(hints: &mut broadcast::Receiver<Hint>, name: &str, link: &Link) -> Reason {
    loop {
        match hints.recv().await {
            Ok(Hint::Switched { name: switched, address }) if switched == name && address != *link.address() => {
                return Reason::Announced;
            }
            Ok(Hint::Switched { .. }) => {}
            Ok(Hint::Subscribed) | Err(broadcast::error::RecvError::Lagged(_)) => return Reason::Missed,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Returns when a Sentinel announces that the master is no longer at `link`'s address; `heard` is all that is heard.
async fn announced(hints: &mut broadcast::Receiver<Hint>, name: &str, link: &Link, heard: &mut Option<Reason>) {
    while *heard != Some(Reason::Announced) {
        *heard = Some(moved(hints, name, link).await);
    }
}

/// Finds out whether `link` is still the right connection; `None` if it is. After an announcement nothing is sent on it
/// until that is known.
async fn examine(
    core: &Core,
    shared: &Shared,
    link: &Link,
    panel: &mut Panel,
    place: &mut Place,
    reason: Reason,
) -> Option<Next> {
    if shared.target == Target::Master && reason == Reason::Announced {
        shared.pause(true);
    } else if shared.target == Target::Replica || reason == Reason::Check {
        let role = match link.role(core.settings.response_timeout).await {
            Ok(role) => role,
            Err(error) => {
                tracing::debug!(node = %link.address(), %error, "the node does not say what it is");
                return Some(Next::Search);
            }
        };
        match (shared.target, role) {
            (Target::Replica, Role::Replica { connected: true }) => return None,
            // Better a stale replica, or the master, than none; but a replica in sync is better.
            (Target::Replica, _) => return discovery::synced_replica(core, &shared.name).await.map(Next::Use),
            (Target::Master, Role::Master) => {}
            (Target::Master, _) => return Some(Next::Search),
        }
    }
    let new = panel.moved(core, &shared.name, place).await?;
    tracing::info!(name = shared.name, from = %link.address(), to = %new.master, "the sentinels name another master");
    shared.pause(true);
    Some(match discovery::master_at(core, &new.master).await {
        Ok(link) => Next::Move(link, new.epoch),
        Err(_) => Next::Try(new),
    })
}
