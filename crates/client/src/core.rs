//! What the parts of a client share: its settings, its list of Sentinels and the connections to them, the pace of its
//! dialling, its random numbers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use tokio::time::{Instant, sleep_until};

use crate::address::Address;
use crate::error::OpenError;
use crate::link::Link;
use crate::metrics::Peer;
use crate::pace::{Pace, Turn};
use crate::retry::Retry;
use crate::sentinels::Sentinels;
use crate::settings::{Settings, SettingsError};
use crate::stream::{self, Stream};
use crate::tls::Connectors;

/// Shared by everything that belongs to one client. Its locks are held for a look or a change, never across I/O.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: Settings,
    connectors: Connectors,
    sentinels: Mutex<Sentinels>,
    kept: Mutex<Kept>,
    pace: Mutex<Pace>,
    random: Mutex<Pcg64Mcg>,
}

impl Core {
    pub(crate) fn new(settings: Settings) -> Result<Self, SettingsError> {
        settings.check()?;
        Ok(Self {
            connectors: Connectors::new(&settings)?,
            sentinels: Mutex::new(Sentinels::new(&settings.sentinels)),
            kept: Mutex::default(),
            pace: Mutex::default(),
            random: Mutex::new(Pcg64Mcg::seed_from_u64(settings.seed)),
            settings,
        })
    }

    pub(crate) fn sentinels(&self) -> MutexGuard<'_, Sentinels> {
        lock(&self.sentinels)
    }

    /// `teller` told of these other Sentinels, with their run ids.
    pub(crate) fn learn(&self, teller: &Address, others: Vec<(Address, Option<String>)>) {
        let mapped = |(other, id)| (self.settings.address_map.apply(other), id);
        let others = others.into_iter().map(mapped).collect();
        self.sentinels().learn(teller, others);
    }

    /// A random number from 0 to 1, 1 excluded.
    pub(crate) fn chance(&self) -> f64 {
        lock(&self.random).random()
    }

    /// A random order of `items`.
    pub(crate) fn shuffle<T>(&self, items: &mut [T]) {
        use rand::seq::SliceRandom as _;
        items.shuffle(&mut *lock(&self.random));
    }

    /// The wait after `failures` failures in a row of something that no call waits for: 1 s at most.
    pub(crate) fn background_wait(&self, failures: u32) -> Duration {
        Retry::default().wait(failures, self.chance())
    }

    /// The time to the next check of a connection, so that the checks of many clients do not stay in step.
    pub(crate) fn until_check(&self) -> Duration {
        self.settings.check_interval.mul_f64(1.0 - 0.1 * self.chance())
    }

    /// Returns when one more connection may be opened.
    pub(crate) async fn turn(&self) {
        let turn = lock(&self.pace).turn(Instant::now());
        let mut waiting = Waiting { core: self, turn: Some(turn) };
        sleep_until(turn.at).await;
        waiting.turn = None;
    }

    /// A byte stream to `address`; TLS is set up where the settings ask for it.
    pub(crate) async fn dial(&self, peer: Peer, address: &Address) -> Result<Stream, OpenError> {
        let Settings { dialler, connect_timeout, keep_alive, .. } = &self.settings;
        let plain = stream::dial(dialler, address, *connect_timeout, *keep_alive).await?;
        self.settings.metrics.get().connection_opened(peer, address);
        self.connectors.apply(peer, address, plain, self.settings.response_timeout).await
    }

    /// The connection to a Sentinel: the kept one, or a new one.
    pub(crate) async fn sentinel_link(&self, sentinel: &Address) -> Result<Arc<Link>, OpenError> {
        let kept = lock(&self.kept).links.get(sentinel).cloned();
        let of_use = |link: &Arc<Link>| !link.is_lost() && !link.is_silent(self.settings.response_timeout);
        if let Some(link) = kept.filter(of_use) {
            return Ok(link);
        }
        self.turn().await;
        let link = Arc::new(Link::to_sentinel(sentinel, self).await?);
        let mut kept = lock(&self.kept);
        if kept.keepers > 0 {
            kept.links.insert(sentinel.clone(), Arc::clone(&link));
        }
        drop(kept);
        Ok(link)
    }

    /// This connection to a Sentinel is of no more use.
    pub(crate) fn forget(&self, link: &Arc<Link>) {
        let mut kept = lock(&self.kept);
        if kept.links.get(link.address()).is_some_and(|kept| Arc::ptr_eq(kept, link)) {
            kept.links.remove(link.address());
        }
    }

    /// Closes the connections to Sentinels that are no longer on the list.
    pub(crate) fn forget_unknown(&self, known: &[Address]) {
        lock(&self.kept).links.retain(|sentinel, _| known.contains(sentinel));
    }
}

/// One that waits for its turn to dial. If it is dropped before, the turn is somebody else's.
struct Waiting<'a> {
    core: &'a Core,
    turn: Option<Turn>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(turn) = self.turn {
            lock(&self.core.pace).give_back(turn);
        }
    }
}

/// Connections to Sentinels, kept from one question to the next while anybody wants that.
#[derive(Debug, Default)]
struct Kept {
    keepers: usize,
    links: BTreeMap<Address, Arc<Link>>,
}

/// While this lives, connections to Sentinels are kept from one question to the next.
#[derive(Debug)]
pub(crate) struct Keeping(Arc<Core>);

impl Keeping {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        lock(&core.kept).keepers += 1;
        Self(core)
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        let mut kept = lock(&self.0.kept);
        kept.keepers -= 1;
        if kept.keepers == 0 {
            kept.links.clear();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
