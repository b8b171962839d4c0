//! [`Phases`]: a recovery as durations that add up to its total.

use std::time::Duration;

use model::Time;
use model::verdict::Recovery;

/// How long each phase of a recovery took. A phase whose end is not known is `None`, and its time counts to the next;
/// a manual failover, say, has no time in which the master is seen down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    /// From the fault to `+odown`.
    pub down: Option<Duration>,
    /// To the election of a leader.
    pub elect: Option<Duration>,
    /// To the new master's taking writes.
    pub promote: Option<Duration>,
    /// To the majority's answering it: T0.
    pub switch: Option<Duration>,
    /// To the first acknowledged write on it.
    pub client: Option<Duration>,
    /// From the fault to that write.
    pub total: Option<Duration>,
}

impl Phases {
    /// Names of the phases, in order, without the total.
    pub const NAMES: [&'static str; 5] = ["down", "elect", "promote", "switch", "client"];

    /// The phases of a recovery; none if no fault is known to have begun it.
    pub fn of(recovery: &Recovery) -> Self {
        let Some(mut last) = recovery.fault else { return Self::default() };
        // A client that asked the leader may write before the majority answers the new master.
        let end = recovery.first_write.unwrap_or(Time::NEVER);
        let mut phase = |moment: Option<Time>| {
            let moment = moment?.clamp(last, end.max(last));
            let took = moment.since(last);
            last = moment;
            Some(took)
        };
        Self {
            down: phase(recovery.odown),
            elect: phase(recovery.elected),
            promote: phase(recovery.promoted),
            switch: phase(recovery.converged),
            client: phase(recovery.first_write),
            total: recovery.total(),
        }
    }

    /// The phases in order, without the total.
    pub fn parts(&self) -> [Option<Duration>; 5] {
        [self.down, self.elect, self.promote, self.switch, self.client]
    }

    /// Those of the change of master that took longest; a change that no write followed took longest of all.
    pub(crate) fn slowest(failovers: &[Recovery]) -> Option<Self> {
        failovers.iter().map(Self::of).max_by_key(|phases| phases.total.unwrap_or(Duration::MAX))
    }
}

/// `6.42s`; `-` if there is none.
pub(crate) fn short(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "-".to_owned(), |duration| format!("{:.2}s", duration.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault, `+odown`, elected, promoted, T0, first write, in milliseconds; 0 if it did not come.
    fn told(ms: [u64; 6]) -> String {
        let [fault, odown, elected, promoted, converged, first_write] =
            ms.map(|ms| (ms > 0).then(|| Time::from_millis(ms)));
        let recovery = Recovery { fault, odown, elected, promoted, converged, first_write, ..Recovery::default() };
        let phases = Phases::of(&recovery);
        let parts = phases.parts().map(short).join(" ");
        format!("{parts} = {}", short(phases.total))
    }

    #[test]
    fn phases_add_up() {
        let table = [
            ([10_000, 15_000, 15_100, 15_400, 16_000, 16_500], "5.00s 0.10s 0.30s 0.60s 0.50s = 6.50s"),
            ([10_000, 0, 10_010, 10_400, 10_500, 11_000], "- 0.01s 0.39s 0.10s 0.50s = 1.00s"),
            ([10_000, 15_000, 15_100, 15_400, 16_000, 15_900], "5.00s 0.10s 0.30s 0.50s 0.00s = 5.90s"),
            ([10_000, 15_000, 15_100, 15_400, 16_000, 0], "5.00s 0.10s 0.30s 0.60s - = -"),
            ([0, 15_000, 15_100, 15_400, 16_000, 16_500], "- - - - - = -"),
        ];
        for (ms, text) in table {
            assert_eq!(told(ms), text);
        }
    }
}
