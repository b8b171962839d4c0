//! [`Retry`]: whether and when a command that failed is tried again. Pure arithmetic; the clock and the random numbers
//! come from outside.

use std::num::NonZeroU32;
use std::time::Duration;

/// The longest wait before a command is sent again to a node that did not answer it in time.
const SLOW_CAP: Duration = Duration::from_secs(10);

/// How a command is retried.
///
/// A failure is one of three kinds. *Not executed* (the connection was refused, the node answered `READONLY`, the
/// command was never sent): tried again. *Ambiguous* (sent, and no reply came): tried again only as
/// [`Retry::ambiguous`] allows. *Final* (any other answer): returned at once.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// How many attempts there are at most, the first among them; `None`: as many as the budget has room for. While no
    /// node is known, an attempt fails that finds that the search has failed since the attempt before, or does so now.
    pub attempts: Option<NonZeroU32>,
    /// How long a call may take, over all attempts and the waits between them: its deadline. It should exceed the time
    /// that a failover takes: `down-after-milliseconds` plus a few seconds.
    pub budget: Duration,
    /// How long one attempt waits for the node's reply; `None`: the response time-out of the settings.
    pub attempt_timeout: Option<Duration>,
    /// The wait between two attempts. It is longer before a command is sent again to a node that lives but has let the
    /// attempts before pass without a reply: after the second such attempt the attempt's own time-out, twice as much
    /// after each further one, up to 10 s (or what this says, if that is more); it ends early if the node is replaced. So
    /// a command that is slow does not come down on its node again and again.
    pub backoff: Backoff,
    /// The part of each wait that is left to chance, from 0 (none) to 1: a wait `w` becomes a random one from
    /// `w * (1 - jitter)` to `w`, so that clients that failed together do not come back together.
    pub jitter: f64,
    /// Which commands are tried again after an ambiguous failure.
    pub ambiguous: Ambiguous,
}

/// The wait between two attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// Always the same.
    Fixed(Duration),
    /// `first` after the first failure, twice as much after each further one, `cap` at most.
    Exponential {
        /// After the first failure.
        first: Duration,
        /// At most.
        cap: Duration,
    },
}

/// Which commands are tried again although they may have been executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ambiguous {
    /// None.
    Never,
    /// Those whose repetition leaves the data as the first execution did: reads, `SET` without conditions, `DEL`.
    ///
    /// The reply is then the last execution's: `SADD` answers 0 although this very call has added the member. And what
    /// others did between the two is undone again: a `DEL` that is repeated deletes what was set anew meanwhile, which
    /// matters for locks. Where that counts, choose [`Ambiguous::Never`].
    IfRepeatable,
    /// All. `INCR` may count twice.
    Always,
}

impl Default for Retry {
    /// As many attempts as fit in 40 s, which outlasts a failover with Sentinel's own settings
    /// (`down-after-milliseconds` 30 s); waits from 50 ms to 1 s of which half is left to
    /// chance, and ambiguous failures retried if the command is safe to repeat.
    fn default() -> Self {
        Self {
            attempts: None,
            budget: Duration::from_secs(40),
            attempt_timeout: None,
            backoff: Backoff::Exponential { first: Duration::from_millis(50), cap: Duration::from_secs(1) },
            jitter: 0.5,
            ambiguous: Ambiguous::IfRepeatable,
        }
    }
}

impl Backoff {
    /// The wait after `failures` failures in a row, before chance has its part. Zero after none.
    pub fn after(self, failures: u32) -> Duration {
        match self {
            _ if failures == 0 => Duration::ZERO,
            Self::Fixed(wait) => wait,
            Self::Exponential { first, cap } => {
                let doubled = 1u32.checked_shl(failures - 1).and_then(|factor| first.checked_mul(factor));
                doubled.map_or(cap, |wait| wait.min(cap))
            }
        }
    }
}

impl Retry {
    /// What wrappers written by hand do: three retries, 5 s apart, and nothing sent again that may have been executed.
    /// It takes 30 s at most, and misses a failover that takes longer than 15 s, also on a connection whose other callers
    /// find the new master sooner: it sleeps, as they do.
    pub fn classic() -> Self {
        Self {
            attempts: NonZeroU32::new(4),
            budget: Duration::from_secs(30),
            attempt_timeout: None,
            backoff: Backoff::Fixed(Duration::from_secs(5)),
            jitter: 0.0,
            ambiguous: Ambiguous::Never,
        }
    }

    /// The wait after `failures` failures in a row; `chance` is a random number from 0 to 1.
    pub fn wait(&self, failures: u32, chance: f64) -> Duration {
        // Of a number that is none, nothing is left to chance; `clamp` would pass it on.
        #[allow(clippy::manual_clamp)]
        let part = (self.jitter * chance).max(0.0).min(1.0);
        self.backoff.after(failures).mul_f64(1.0 - part)
    }

    /// The wait before a command is sent again to a node that lives, after `unanswered` attempts in a row, of this length
    /// each, to which it did not answer. Zero after one.
    pub(crate) fn slow_wait(&self, unanswered: u32, attempt: Duration, chance: f64) -> Duration {
        let backoff = Backoff::Exponential { first: attempt.min(SLOW_CAP), cap: SLOW_CAP };
        Self { backoff, ..self.clone() }.wait(unanswered.saturating_sub(1), chance)
    }

    /// The wait before the next attempt, after `failures` attempts of a call that began `elapsed` ago. `None`: the call
    /// is over, because no attempt or no time is left.
    pub fn next(&self, failures: u32, elapsed: Duration, chance: f64) -> Option<Duration> {
        if self.exhausted(failures) {
            return None;
        }
        let wait = self.wait(failures, chance);
        (elapsed + wait < self.budget).then_some(wait)
    }

    /// True if `failures` attempts are all that there are.
    fn exhausted(&self, failures: u32) -> bool {
        self.attempts.is_some_and(|attempts| failures >= attempts.get())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn waits_double_up_to_the_cap() {
        let exponential = Backoff::Exponential { first: ms(50), cap: ms(1000) };
        let table = [(0, 0), (1, 50), (2, 100), (3, 200), (4, 400), (5, 800), (6, 1000), (33, 1000), (u32::MAX, 1000)];
        for (failures, wait) in table {
            assert_eq!(exponential.after(failures), ms(wait), "{failures}");
        }
        assert_eq!(Backoff::Fixed(ms(30)).after(9), ms(30));
        assert_eq!(Backoff::Fixed(ms(30)).after(0), Duration::ZERO);
    }

    #[test]
    fn the_classic_retries_three_times_five_seconds_apart() {
        let classic = Retry::classic();
        for failures in 1..=3 {
            assert_eq!(classic.next(failures, ms(5_000 * u64::from(failures)), 0.9), Some(ms(5_000)));
        }
        assert_eq!(classic.next(4, ms(15_000), 0.9), None);
    }

    #[test]
    fn a_slow_command_is_repeated_ever_less_often() {
        let retry = Retry { jitter: 0.0, ..Retry::default() };
        let waits: Vec<u128> = (0..9).map(|n| retry.slow_wait(n, ms(500), 0.0).as_millis()).collect();
        assert_eq!(waits, [0, 0, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000]);
        assert_eq!(retry.slow_wait(2, ms(60_000), 0.0), ms(10_000));
        assert_eq!(Retry::default().slow_wait(3, ms(500), 1.0), ms(500), "half is left to chance");
    }

    #[test]
    fn jitter_takes_its_part() {
        let retry = Retry { backoff: Backoff::Fixed(ms(100)), jitter: 0.5, ..Retry::default() };
        assert_eq!(retry.wait(1, 0.0), ms(100));
        assert_eq!(retry.wait(1, 0.5), ms(75));
        assert_eq!(retry.wait(1, 1.0), ms(50));
        let without = Retry { jitter: 0.0, ..retry };
        assert_eq!(without.wait(1, 1.0), ms(100));
    }

    #[test]
    fn a_call_ends_with_its_attempts_or_its_budget() {
        let retry = Retry {
            attempts: NonZeroU32::new(3),
            budget: ms(500),
            backoff: Backoff::Fixed(ms(100)),
            jitter: 0.0,
            ..Retry::default()
        };
        let table = [(1, 0, Some(100)), (2, 0, Some(100)), (3, 0, None), (1, 399, Some(100)), (1, 400, None)];
        for (failures, elapsed, wait) in table {
            assert_eq!(retry.next(failures, ms(elapsed), 0.7), wait.map(ms), "{failures} {elapsed}");
        }
        assert!(Retry { attempts: None, ..retry }.next(1_000_000, ms(0), 0.0).is_some());
    }
}
