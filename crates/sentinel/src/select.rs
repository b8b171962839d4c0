//! Which replica is promoted: a pure decision.

use std::cmp::Ordering;

use model::RunId;

/// A replica, as far as its promotion depends on it. Ages and times in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Subjectively or objectively down.
    pub down: bool,
    /// A connection to it is missing.
    pub disconnected: bool,
    /// Since its last acceptable answer.
    pub available_age: i64,
    /// `slave_priority`; 0 is never promoted.
    pub priority: u32,
    /// Since its last INFO.
    pub info_age: i64,
    /// For how long its link to the master has been down, as its last INFO said.
    pub master_link_down: i64,
    /// Replication offset, as its last INFO said.
    pub offset: u64,
    /// Run id, if known.
    pub run_id: Option<RunId>,
}

/// What the choice depends on besides the candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// For how long the master has been subjectively down; `None` if it is not.
    pub master_down_for: Option<i64>,
    /// `down-after-milliseconds`.
    pub down_after: i64,
    /// The PING period.
    pub ping_period: i64,
    /// The INFO period.
    pub info_period: i64,
}

impl Candidate {
    /// True if it may be promoted at all.
    pub fn eligible(&self, circumstances: Circumstances) -> bool {
        let info_validity = match circumstances.master_down_for {
            Some(_) => 5 * circumstances.ping_period,
            None => 3 * circumstances.info_period,
        };
        let link_down_limit = circumstances.master_down_for.unwrap_or(0) + 10 * circumstances.down_after;
        !self.down
            && !self.disconnected
            && self.available_age <= 5 * circumstances.ping_period
            && self.priority != 0
            && self.info_age <= info_validity
            && self.master_link_down <= link_down_limit
    }

    /// The better one comes first: lower priority, then higher offset, then smaller run id, an unknown one last.
    pub fn compare(&self, other: &Self) -> Ordering {
        let by_run_id = match (&self.run_id, &other.run_id) {
            (Some(a), Some(b)) => a.as_str().to_ascii_lowercase().cmp(&b.as_str().to_ascii_lowercase()),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => Ordering::Equal,
        };
        self.priority.cmp(&other.priority).then(other.offset.cmp(&self.offset)).then(by_run_id)
    }
}

/// The index of the replica to promote; `None` if none is eligible.
pub fn select_replica(candidates: &[Candidate], circumstances: Circumstances) -> Option<usize> {
    let mut best: Option<usize> = None;
    for (index, candidate) in candidates.iter().enumerate() {
        if candidate.eligible(circumstances)
            && best.is_none_or(|best| candidate.compare(&candidates[best]) == Ordering::Less)
        {
            best = Some(index);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Candidate {
        Candidate {
            down: false,
            disconnected: false,
            available_age: 100,
            priority: 100,
            info_age: 500,
            master_link_down: 0,
            offset: 1_000,
            run_id: RunId::parse(&"b".repeat(40)),
        }
    }

    const DOWN: Circumstances =
        Circumstances { master_down_for: Some(2_000), down_after: 5_000, ping_period: 1_000, info_period: 10_000 };

    #[test]
    fn eligibility_table() {
        let up = Circumstances { master_down_for: None, ..DOWN };
        let table = [
            ("a good one", good(), DOWN, true),
            ("down", Candidate { down: true, ..good() }, DOWN, false),
            ("disconnected", Candidate { disconnected: true, ..good() }, DOWN, false),
            ("silent for 5 s", Candidate { available_age: 5_000, ..good() }, DOWN, true),
            ("silent for longer", Candidate { available_age: 5_001, ..good() }, DOWN, false),
            ("priority 0", Candidate { priority: 0, ..good() }, DOWN, false),
            ("old INFO, master down", Candidate { info_age: 5_001, ..good() }, DOWN, false),
            ("the same, master up", Candidate { info_age: 5_001, ..good() }, up, true),
            ("older INFO, master up", Candidate { info_age: 30_001, ..good() }, up, false),
            ("link down within limit", Candidate { master_link_down: 52_000, ..good() }, DOWN, true),
            ("link down too long", Candidate { master_link_down: 52_001, ..good() }, DOWN, false),
        ];
        for (what, candidate, circumstances, eligible) in table {
            assert_eq!(candidate.eligible(circumstances), eligible, "{what}");
        }
    }

    #[test]
    fn order_table() {
        let better = [
            ("lower priority", Candidate { priority: 1, offset: 0, ..good() }),
            ("higher offset", Candidate { offset: 1_001, run_id: None, ..good() }),
            ("smaller run id", Candidate { run_id: RunId::parse(&"A".repeat(40)), ..good() }),
        ];
        for (what, candidate) in better {
            assert_eq!(select_replica(&[good(), candidate.clone()], DOWN), Some(1), "{what}");
            assert_eq!(select_replica(&[candidate, good()], DOWN), Some(0), "{what}");
        }
        let unknown = Candidate { run_id: None, ..good() };
        assert_eq!(select_replica(&[unknown, good()], DOWN), Some(1), "an unknown run id comes last");
        assert_eq!(select_replica(&[Candidate { priority: 0, ..good() }], DOWN), None);
    }
}
