//! What is known of a driver besides what runs show: failures that its client's own documentation announces, so that whoever reads
//! it is not surprised, and why it cannot do what its client seems to be able to.

use model::Verdict;
use model::plan::Need;
use model::verdict::{Finding, Invariant, Rule, Severity};

/// A failure that is announced. All announcements are about connections that are lost.
#[derive(Clone, Copy, Debug)]
pub struct Documented {
    /// The driver.
    pub driver: &'static str,
    /// The rules whose violation the words account for where a lost connection is the reason, with what follows from that, and no other.
    pub rules: &'static [Rule],
    /// The words.
    pub quote: &'static str,
    /// Where they stand: crate, version, file, line.
    pub source: &'static str,
}

/// All of them.
pub const DOCUMENTED: &[Documented] = &[
    Documented {
        driver: "redis-multiplexed",
        rules: &[Rule::Invariant(Invariant::I1), Rule::FailedAtMost],
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
    Documented {
        driver: "rustis",
        rules: &[Rule::FailedAtMost],
        quote: "On `false` a command in flight when the socket dies is failed [..] Only commands sent with `retry_on_error` \
                accumulate across a disconnection: the others are failed immediately",
        source: "rustis 0.27.2, src/client/config.rs:464 and 161, of retry_on_error, which is false by default",
    },
];

/// Drivers, what each cannot do, and why.
const WHY_NOT: &[(&str, Need, &str)] = &[
    (
        "deadpool-redis",
        Need::Tls,
        "its configuration has no place for an authority: deadpool-redis 0.23.1, src/sentinel/config.rs, SentinelNodeConnectionInfo",
    ),
    (
        "rustis",
        Need::Tls,
        "its feature tokio-rustls brings aws-lc-rs, a second provider of cryptography, next to which rustls has no default: rustis \
         0.27.2, Cargo.toml",
    ),
];

/// Why a driver cannot do what its client seems to be able to; `None` if there is nothing to explain.
pub fn why_not(driver: &str, need: Need) -> Option<&'static str> {
    WHY_NOT.iter().find(|(of, what, _)| (*of, *what) == (driver, need)).map(|(_, _, why)| *why)
}

/// The announcement by the documentation of `driver` of everything that the verdict holds against it.
pub fn documented(driver: &str, verdict: &Verdict) -> Option<&'static Documented> {
    announced(DOCUMENTED, driver, &verdict.findings)
}

fn announced<'a>(table: &'a [Documented], driver: &str, findings: &[Finding]) -> Option<&'a Documented> {
    let violations: Vec<&Finding> = findings.iter().filter(|finding| finding.severity == Severity::Violation).collect();
    table.iter().filter(|_| !violations.is_empty()).find(|entry| {
        let accounts = |finding: &Finding| finding.connection_lost && entry.rules.contains(&finding.rule);
        let follows = |finding: &Finding| {
            let reason = |of: &&Finding| of.rule == Rule::Invariant(Invariant::I1) && of.client == finding.client;
            follows(finding.rule) && violations.iter().copied().find(|of| reason(of)).is_some_and(accounts)
        };
        entry.driver == driver && violations.iter().all(|finding| accounts(finding) || follows(finding))
    })
}

/// True of what is the time until a client has converged, or until it reads again: if it does not converge, that is the reason.
fn follows(rule: Rule) -> bool {
    matches!(rule, Rule::RecoveredWithin | Rule::LongestGap | Rule::BackToReplicaWithin)
}

#[cfg(test)]
mod tests {
    use model::{ClientId, Time};

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
    fn what_is_explained_is_so() {
        for (driver, need, why) in WHY_NOT {
            assert_eq!(why_not(driver, *need), Some(*why));
            assert!(crate::by_name(driver).is_none_or(|driver| !driver.can(*need)), "{driver} can do {need}");
        }
    }

    #[test]
    fn what_is_not_announced_is_not_excused() {
        let [i1, i3] = [Invariant::I1, Invariant::I3].map(Rule::Invariant);
        let entry = Documented {
            driver: "a",
            rules: &[Rule::Invariant(Invariant::I1), Rule::FailedAtMost],
            quote: "it does",
            source: "b",
        };
        let finding = |rule, connection_lost| Finding {
            severity: Severity::Violation,
            rule,
            client: Some(ClientId::new("c")),
            at: Time::ZERO,
            text: String::new(),
            count: 1,
            connection_lost,
        };
        let found = |driver, findings: &[Finding]| announced(&[entry], driver, findings).is_some();
        let lost = || finding(i1, true);
        assert!(found("a", &[lost()]));
        assert!(!found("b", &[lost()]) && !found("a", &[]));
        assert!(!found("a", &[finding(i1, false)]), "on a connection that was never lost");
        assert!(!found("a", &[lost(), finding(i3, true)]), "of which it says nothing");
        assert!(found("a", &[lost(), finding(Rule::RecoveredWithin, false)]), "for the same reason");
        assert!(!found("a", &[finding(Rule::RecoveredWithin, false)]), "for a reason of its own");
        assert!(!found("a", &[finding(i1, false), finding(Rule::RecoveredWithin, false)]), "for another one");
        let of_another = Finding { client: Some(ClientId::new("d")), ..finding(Rule::RecoveredWithin, false) };
        assert!(!found("a", &[lost(), of_another]));
        assert!(!found("a", &[lost(), finding(Rule::FailedAtMost, false)]), "some failed otherwise");
        assert!(found("a", &[lost(), finding(Rule::FailedAtMost, true)]));
    }
}
