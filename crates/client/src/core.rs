//! What the parts of a client share: its settings, its list of Sentinels, its random numbers.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;

use crate::sentinels::Sentinels;
use crate::settings::Settings;

/// Shared by everything that belongs to one client. Its locks are held for a look or a change, never across I/O.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) settings: Settings,
    sentinels: Mutex<Sentinels>,
    random: Mutex<Pcg64Mcg>,
}

impl Core {
    pub(crate) fn new(settings: Settings) -> Self {
        let sentinels = Mutex::new(Sentinels::new(&settings.sentinels));
        let random = Mutex::new(Pcg64Mcg::seed_from_u64(settings.seed));
        Self { settings, sentinels, random }
    }

    pub(crate) fn sentinels(&self) -> MutexGuard<'_, Sentinels> {
        self.sentinels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A random number from 0 to 1, 1 excluded.
    pub(crate) fn chance(&self) -> f64 {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// A random order of `items`.
    pub(crate) fn shuffle<T>(&self, items: &mut [T]) {
        use rand::seq::SliceRandom as _;
        items.shuffle(&mut *self.random.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
