//! [`Alarm`]: a timer of the host, at a time of the world.

use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use model::Time;
use tokio::time::{Instant, Sleep, sleep_until};

/// Sleep that stands for "no deadline".
const LONG: Duration = Duration::from_secs(365 * 24 * 3600);

/// One of the two timers, which stand at the next two times of the world. When the first fires the second stands
/// already: tokio need not be told of a time that is earlier than what it waits for, which costs it two system calls.
pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    /// What it is set to; `None` once it has fired.
    pub(super) at: Option<Time>,
}

impl Alarm {
    /// An alarm that is not set.
    pub(super) fn new(start: Instant) -> Self {
        Self { sleep: Box::pin(sleep_until(start + LONG)), at: None }
    }

    /// Has it fire at `time` of a run that began at `start`.
    pub(super) fn set(&mut self, start: Instant, time: Time) {
        self.at = Some(time);
        self.sleep.as_mut().reset(start + time.elapsed().min(LONG));
    }

    /// True if it fires now.
    pub(super) fn fires(&mut self, cx: &mut Context<'_>) -> bool {
        let fires = self.at.is_some() && self.sleep.as_mut().poll(cx).is_ready();
        if fires {
            self.at = None;
        }
        fires
    }
}
