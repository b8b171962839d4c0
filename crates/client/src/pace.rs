//! How fast a client dials: [`BURST`] connections at once, and [`A_SECOND`] a second after that.

use std::time::Duration;

use tokio::time::Instant;

/// Connections that may be opened at once after a rest.
const BURST: u32 = 12;

/// Connections a second that may be opened in the long run. Within any second there are `BURST + A_SECOND` at most, a
/// number that the README states.
const A_SECOND: u32 = 8;

/// Whose turn it is to dial.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the next one would be due if all came evenly.
    due: Option<Instant>,
}

impl Pace {
    /// When one more may dial that asks `now`. Each turn is given once.
    pub(crate) fn turn(&mut self, now: Instant) -> Instant {
        let apart = Duration::from_secs(1) / A_SECOND;
        let due = self.due.map_or(now, |due| due.max(now));
        self.due = Some(due + apart);
        now.max(due.checked_sub(apart * (BURST - 1)).unwrap_or(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_evenly() {
        let start = Instant::now() + Duration::from_secs(60);
        let mut pace = Pace::default();
        let turns: Vec<u128> = (0..16).map(|_| (pace.turn(start) - start).as_millis()).collect();
        assert_eq!(turns[..12], [0; 12]);
        assert_eq!(turns[12..], [125, 250, 375, 500]);
        let later = start + Duration::from_secs(10);
        assert_eq!(pace.turn(later), later, "after a rest there is a burst again");
    }

    #[test]
    fn no_second_has_more_than_the_cap() {
        let start = Instant::now() + Duration::from_secs(60);
        let mut pace = Pace::default();
        // One that always wants to dial, in steps of 10 ms.
        let turns: Vec<Instant> = (0..1000).map(|step| pace.turn(start + Duration::from_millis(10 * step))).collect();
        for (index, first) in turns.iter().enumerate() {
            let within = turns[index..].iter().filter(|turn| **turn - *first < Duration::from_secs(1)).count();
            assert!(within <= (BURST + A_SECOND) as usize, "{within}");
        }
    }
}
