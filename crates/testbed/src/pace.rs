//! [`pace`]: the paused clock of a run held to the real one, a few times faster, for clients whose calls block threads.
//!
//! tokio cannot know when such a client waits for nothing but time. So its clock is advanced by how much real time has
//! passed, times the speed of the run. What the cluster does takes a fraction of its time; limits of the client's own are scaled by
//! [`Settings::real`](crate::driver::Settings::real). How threads are scheduled enters into such a run, so no two are the
//! same.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::spawn_blocking;

/// How much faster than the real clock the clock of such a run goes, unless the driver says otherwise.
pub(crate) const SPEED: u32 = 4;

/// Real time between two advances. What a run waits for comes late by this much, times the speed, at the most.
const TICK: Duration = Duration::from_millis(1);

/// Ends the ticking when it is dropped.
struct Ticking(Arc<AtomicBool>);

impl Drop for Ticking {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Advances the paused clock of this runtime, `speed` times as fast as the real one, for as long as it is polled.
pub(crate) async fn pace(speed: u32) {
    let tick = Arc::new(Notify::new());
    let ticking = Ticking(Arc::new(AtomicBool::new(true)));
    // While a blocking task is under way tokio does not advance the clock by itself, which is the other half of why this
    // ticks on a thread.
    let (ticks, goes_on) = (Arc::clone(&tick), Arc::clone(&ticking.0));
    spawn_blocking(move || {
        while goes_on.load(Ordering::Relaxed) {
            std::thread::sleep(TICK);
            ticks.notify_one();
        }
    });
    let start = Instant::now();
    let mut told = Duration::ZERO;
    loop {
        tick.notified().await;
        let due = start.elapsed() * speed;
        tokio::time::advance(due.saturating_sub(told)).await;
        told = due;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_follows_the_real_one() {
        let (real, began) = (Instant::now(), tokio::time::Instant::now());
        let waited = Duration::from_millis(200);
        tokio::select! {
            biased;
            () = pace(SPEED) => {}
            () = tokio::time::sleep(waited) => {}
        }
        // Without the pace the clock would jump there at once; with it that takes the real time that it stands for.
        assert!(real.elapsed() * SPEED >= waited, "{:?}", real.elapsed());
        assert!(began.elapsed() >= waited);
    }
}
