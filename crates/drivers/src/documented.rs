//! What is known of a driver besides what runs show: failures that its client's own documentation announces, so that whoever reads
//! it is not surprised, and why it cannot do what its client seems to be able to.

use model::Plan;
use model::plan::{Need, Workload};
use model::verdict::{Invariant, Rule};

/// A failure that is announced.
#[derive(Clone, Copy, Debug)]
pub struct Documented {
    /// The driver.
    pub driver: &'static str,
    /// The rules whose violation the words account for, with what follows from it, and no other.
    pub rules: &'static [Rule],
    /// Plans of which they say nothing, whatever the rule.
    pub except: fn(&Plan) -> bool,
    /// The words.
    pub quote: &'static str,
    /// Where they stand: crate, version, file, line.
    pub source: &'static str,
}

/// True if a client of the plan does this.
fn has(plan: &Plan, workload: Workload) -> bool {
    plan.clients.iter().any(|client| client.workload == workload)
}

/// What follows from a connection, or an address, that is held for ever.
const CLINGS: &[Rule] = &[Rule::Invariant(Invariant::I1), Rule::Invariant(Invariant::I2), Rule::AcknowledgedWritesLost];

/// All of them.
pub const DOCUMENTED: &[Documented] = &[
    Documented {
        driver: "redis-multiplexed",
        rules: CLINGS,
        // They are about a connection that is not opened again. That what it had cached is given without it is said nowhere.
        except: |plan| has(plan, Workload::CachedReads),
        quote: "For automatic reconnections consider using `ConnectionManager` with the `connection-manager` feature.",
        source: "redis 1.8.1, src/lib.rs:84",
    },
    Documented {
        driver: "fred",
        rules: &[Rule::Invariant(Invariant::I3)],
        except: |_| false,
        quote: "The maximum number of times the client will attempt to send a command. This value be incremented whenever \
                the connection closes while the command is in-flight. Default: `3`",
        source: "fred 10.1.0, src/types/config.rs:411",
    },
    Documented {
        driver: "rustis",
        rules: &[Rule::FailedAtMost],
        // They are about connections that are lost, and not about what a node refuses.
        except: |plan| plan.cluster.groups.iter().any(|group| group.min_replicas_to_write > 0),
        quote: "On `false` a command in flight when the socket dies is failed",
        source: "rustis 0.27.2, src/client/config.rs:464, of retry_on_error, which is false by default",
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

/// The announcement by the documentation of `driver` that it breaks all of `rules` in `plan`.
pub fn documented(driver: &str, rules: &[Rule], plan: &Plan) -> Option<&'static Documented> {
    announced(DOCUMENTED, driver, rules, plan)
}

fn announced<'a>(table: &'a [Documented], driver: &str, rules: &[Rule], plan: &Plan) -> Option<&'a Documented> {
    let broken = |rule: &Rule| rules.contains(rule);
    table.iter().find(|entry| {
        let accounts = |rule: &Rule| entry.rules.contains(rule);
        let accounted = |rule: &Rule| accounts(rule) || follows(*rule).is_some_and(|of| broken(&of) && accounts(&of));
        entry.driver == driver && !(entry.except)(plan) && rules.iter().all(accounted)
    })
}

/// The rule that is the reason where both are broken: operations that fail because the client does not converge are counted, and
/// are the time until it has, or until it reads again.
fn follows(rule: Rule) -> Option<Rule> {
    let counted = [Rule::FailedAtMost, Rule::RecoveredWithin, Rule::LongestGap, Rule::BackToReplicaWithin];
    counted.contains(&rule).then_some(Rule::Invariant(Invariant::I1))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::plan::{Client, Cluster, Expect};

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
            rules: &[Rule::Invariant(Invariant::I1)],
            except: |plan| has(plan, Workload::Jobs),
            quote: "it does",
            source: "b",
        };
        let plan = |workload| Plan {
            title: "a plan".to_owned(),
            cluster: Cluster::standard(),
            clients: vec![Client::new("c", workload)],
            timeline: Vec::new(),
            run_for: Duration::from_secs(1),
            expect: Expect::default(),
        };
        let table = [entry];
        let found = |driver, rules: &[Rule], workload| announced(&table, driver, rules, &plan(workload)).is_some();
        assert!(found("a", &[i1], Workload::Counter));
        assert!(!found("a", &[i1], Workload::Jobs), "excepted");
        assert!(!found("a", &[i1, i3], Workload::Counter));
        assert!(found("a", &[i1, Rule::FailedAtMost], Workload::Counter), "for the same reason");
        assert!(!found("a", &[Rule::FailedAtMost], Workload::Counter), "for a reason of its own");
        assert!(!found("b", &[i1], Workload::Counter));
    }
}
