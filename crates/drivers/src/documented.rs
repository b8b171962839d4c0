//! Failures that a client's own documentation announces: whoever reads it is not surprised.

use model::verdict::{Invariant, Rule};

/// A failure that is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Documented {
    /// The driver.
    pub driver: &'static str,
    /// The rules whose violation the words account for, and no other.
    pub rules: &'static [Rule],
    /// The words.
    pub quote: &'static str,
    /// Where they stand: crate, version, file, line.
    pub source: &'static str,
}

/// What follows from a connection, or an address, that is held for ever.
const CLINGS: &[Rule] = &[
    Rule::Invariant(Invariant::I1),
    Rule::Invariant(Invariant::I2),
    Rule::RecoveredWithin,
    Rule::AcknowledgedWritesLost,
];

/// All of them.
pub const DOCUMENTED: &[Documented] = &[
    Documented {
        driver: "redis-multiplexed",
        rules: CLINGS,
        quote: "For automatic reconnections consider using `ConnectionManager` with the `connection-manager` feature.",
        source: "redis 1.8.1, src/lib.rs:84",
    },
    Documented {
        driver: "fred",
        rules: &[Rule::Invariant(Invariant::I3)],
        quote: "The maximum number of times the client will attempt to send a command. This value be incremented whenever \
                the connection closes while the command is in-flight. Default: `3`",
        source: "fred 10.1.0, src/types/config.rs:411",
    },
];

/// The announcement by the documentation of `driver` that it breaks all of `rules`.
pub fn documented(driver: &str, rules: &[Rule]) -> Option<&'static Documented> {
    announced(DOCUMENTED, driver, rules)
}

fn announced<'a>(table: &'a [Documented], driver: &str, rules: &[Rule]) -> Option<&'a Documented> {
    table.iter().find(|entry| entry.driver == driver && rules.iter().all(|rule| entry.rules.contains(rule)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_announcement_is_of_a_driver_and_says_where_it_stands() {
        for entry in DOCUMENTED {
            let here = crate::by_name(entry.driver).is_some();
            assert!(here || cfg!(not(all(feature = "bb8", feature = "fred", feature = "r2d2", feature = "rustis"))));
            assert!(!entry.quote.is_empty() && !entry.source.is_empty() && !entry.rules.is_empty());
        }
    }

    #[test]
    fn what_is_not_announced_is_not_excused() {
        let [i1, i3] = [Invariant::I1, Invariant::I3].map(Rule::Invariant);
        let table =
            [Documented { driver: "a", rules: &[Rule::Invariant(Invariant::I1)], quote: "it does", source: "b" }];
        assert_eq!(announced(&table, "a", &[i1]), Some(&table[0]));
        assert_eq!(announced(&table, "a", &[i1, i3]), None);
        assert_eq!(announced(&table, "b", &[i1]), None);
    }
}
