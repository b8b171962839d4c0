//! [`Stop`]: whether it is time to end: a signal came, the time is over, the first failure was enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Why something ended to which a signal came.
pub(super) const INTERRUPTED: &str = "interrupted";

/// What may end a campaign early.
#[derive(Clone)]
pub(crate) struct Stop {
    interrupted: Arc<AtomicBool>,
    deadline: Option<Instant>,
}

impl Stop {
    /// Listens for SIGINT and SIGTERM from here on. The second one ends the process at once.
    pub(crate) fn new(limit: Option<Duration>) -> std::io::Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&interrupted);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (mut interrupt, mut terminate) = {
            use tokio::signal::unix::{SignalKind, signal};
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async {
                loop {
                    tokio::select! { biased; _ = interrupt.recv() => {} _ = terminate.recv() => {} }
                    if flag.swap(true, Ordering::Relaxed) {
                        std::process::exit(130);
                    }
                }
            });
        })?;
        Ok(Self { interrupted, deadline: limit.map(|limit| Instant::now() + limit) })
    }

    /// Why it is time to end before all is done; `None` if it is not. Where the time limit is the end that was asked
    /// for, reaching it is no reason.
    pub(crate) fn reason(&self, open: bool) -> Option<&'static str> {
        if self.interrupted() {
            return Some(INTERRUPTED);
        }
        let over = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        (over && !open).then_some("the time limit was reached before all was run")
    }

    /// True if a signal came.
    pub(crate) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// The part of the time up to the limit that one of `left` campaigns has; `None` without a limit.
    pub(crate) fn share(&self, left: u32) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()) / left.max(1))
    }
}
