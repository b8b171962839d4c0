//! How fast a client dials: [`BURST`] connections at once, and [`A_SECOND`] a second after that.

use std::collections::BTreeSet;
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
    /// The same of turns that were given and are not wanted any more.
    returned: BTreeSet<Instant>,
}

/// A turn to dial.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// When it is.
    pub(crate) at: Instant,
    due: Instant,
}

impl Pace {
    /// When one more may dial that asks `now`. Each turn is given once.
    pub(crate) fn turn(&mut self, now: Instant) -> Turn {
        let apart = Duration::from_secs(1) / A_SECOND;
        // Those that are past are as good as never given.
        self.returned = self.returned.split_off(&now);
        let due = self.returned.pop_first().unwrap_or_else(|| {
            let due = self.due.map_or(now, |due| due.max(now));
            self.due = Some(due + apart);
            due
        });
        Turn { at: now.max(due.checked_sub(apart * (BURST - 1)).unwrap_or(now)), due }
    }

    /// This turn is not wanted any more.
    pub(crate) fn give_back(&mut self, turn: Turn) {
        self.returned.insert(turn.due);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_evenly() {
        let start = Instant::now() + Duration::from_secs(60);
        let mut pace = Pace::default();
        let turns: Vec<u128> = (0..16).map(|_| (pace.turn(start).at - start).as_millis()).collect();
        assert_eq!(turns[..12], [0; 12]);
        assert_eq!(turns[12..], [125, 250, 375, 500]);
        let later = start + Duration::from_secs(10);
        assert_eq!(pace.turn(later).at, later, "after a rest there is a burst again");
    }

    #[test]
    fn a_turn_that_is_given_back_is_the_next_ones() {
        let start = Instant::now() + Duration::from_secs(60);
        let mut pace = Pace::default();
        let turns: Vec<Turn> = (0..16).map(|_| pace.turn(start)).collect();
        for turn in [turns[14], turns[12]] {
            pace.give_back(turn);
        }
        let next: Vec<u128> = (0..3).map(|_| (pace.turn(start).at - start).as_millis()).collect();
        assert_eq!(next, [125, 375, 625], "the earlier one first, and then a new one");
    }

    #[test]
    fn no_second_has_more_than_the_cap() {
        let start = Instant::now() + Duration::from_secs(60);
        let mut pace = Pace::default();
        // One that always wants to dial, in steps of 10 ms.
        let turns: Vec<Instant> =
            (0..1000).map(|step| pace.turn(start + Duration::from_millis(10 * step)).at).collect();
        for (index, first) in turns.iter().enumerate() {
            let within = turns[index..].iter().filter(|turn| **turn - *first < Duration::from_secs(1)).count();
            assert!(within <= (BURST + A_SECOND) as usize, "{within}");
        }
    }
}
