//! Subjectively and objectively down: pure decisions.

/// What one Sentinel knows about whether an instance answers. Times in milliseconds on its own clock, 0 for never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// When the oldest `PING` without a reply was sent; 0 if none waits.
    pub waiting_since: i64,
    /// True if a connection that there should be is missing.
    pub disconnected: bool,
    /// When the instance last answered acceptably.
    pub last_available: i64,
    /// It is a master in the configuration but has reported itself as a replica since then; 0 if not.
    pub slave_since: i64,
    /// It has a new run id since then and has not answered a `PING` yet; 0 if not.
    pub rebooted_since: i64,
}

/// The limits that [`Signs`] are held against, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `down-after-milliseconds`.
    pub down_after: i64,
    /// The INFO period.
    pub info_period: i64,
    /// `master-reboot-down-after-period`; 0 is off.
    pub reboot_down_after: i64,
}

/// True if the instance is subjectively down at `now`: it has not answered for longer than `down_after`, or it is a
/// master that has called itself a replica for longer than `down_after` and two INFO periods, or it has rebooted and
/// not answered for longer than the configured time.
pub fn subjectively_down(now: i64, signs: Signs, limits: Limits) -> bool {
    let silent = if signs.waiting_since != 0 {
        now - signs.waiting_since
    } else if signs.disconnected {
        now - signs.last_available
    } else {
        0
    };
    silent > limits.down_after
        || (signs.slave_since != 0 && now - signs.slave_since > limits.down_after + 2 * limits.info_period)
        || (signs.rebooted_since != 0
            && limits.reboot_down_after != 0
            && now - signs.rebooted_since > limits.reboot_down_after)
}

/// True if a master is objectively down: this Sentinel and enough others find it down.
pub fn objectively_down(subjectively_down: bool, others_that_agree: usize, quorum: u32) -> bool {
    subjectively_down && others_that_agree + 1 >= quorum as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { down_after: 5_000, info_period: 10_000, reboot_down_after: 0 };

    #[test]
    fn subjectively_down_table() {
        let up = Signs { last_available: 100_000, ..Signs::default() };
        // what is known, now, down?
        let table = [
            ("answers", up, 200_000, false),
            ("a ping waits, within down-after", Signs { waiting_since: 100_000, ..up }, 105_000, false),
            ("a ping waits, longer", Signs { waiting_since: 100_000, ..up }, 105_001, true),
            ("disconnected, within down-after", Signs { disconnected: true, ..up }, 105_000, false),
            ("disconnected, longer", Signs { disconnected: true, ..up }, 105_001, true),
            (
                "disconnected long ago, but a fresh ping waits",
                Signs { disconnected: true, waiting_since: 199_000, ..up },
                200_000,
                false,
            ),
            ("calls itself a slave, not long enough", Signs { slave_since: 100_000, ..up }, 125_000, false),
            ("calls itself a slave, long enough", Signs { slave_since: 100_000, ..up }, 125_001, true),
            ("rebooted, rule off", Signs { rebooted_since: 100_000, ..up }, 900_000, false),
        ];
        for (what, signs, now, down) in table {
            assert_eq!(subjectively_down(now, signs, LIMITS), down, "{what}");
        }
        let limits = Limits { reboot_down_after: 1_000, ..LIMITS };
        let rebooted = Signs { rebooted_since: 100_000, ..up };
        assert!(!subjectively_down(101_000, rebooted, limits));
        assert!(subjectively_down(101_001, rebooted, limits));
    }

    #[test]
    fn objectively_down_table() {
        // own opinion, others, quorum, down?
        for (own, others, quorum, down) in [
            (true, 0, 1, true),
            (true, 0, 2, false),
            (true, 1, 2, true),
            (true, 2, 3, true),
            (true, 1, 3, false),
            (false, 2, 2, false),
        ] {
            assert_eq!(objectively_down(own, others, quorum), down, "{own} {others} {quorum}");
        }
    }
}
