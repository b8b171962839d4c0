//! What the table in `crates/client/COMPARISON.md` claims, with few seeds: the default client is the best or equal in
//! every column that has no reason why not, and writes soon after the first Sentinel's new answer.

#[path = "../../examples/comparison/measure.rs"]
mod measure;

use measure::{COLUMNS, DRIVERS, GOAL, OURS, SCENARIOS, Sum};

const SEEDS: u64 = 2;

fn rows(scenario: &str) -> Vec<Sum> {
    let plan = measure::plan(scenario).unwrap_or_else(|error| panic!("{scenario}: {error}"));
    let sum = |driver: &&str| measure::sum(&plan, driver, SEEDS).unwrap_or_else(|error| panic!("{scenario}: {error}"));
    DRIVERS.iter().map(sum).collect()
}

#[test]
fn the_default_client_is_the_best_or_equal_and_meets_the_goal() {
    assert_eq!(DRIVERS[0], OURS);
    assert_eq!(sentinel_lab_drivers::DEFAULT, OURS);
    for scenario in SCENARIOS {
        let rows = rows(scenario);
        for column in measure::not_best(&rows) {
            let values: Vec<_> = rows.iter().map(|row| row.values()[column]).collect();
            assert!(COLUMNS[column].1.is_some(), "{scenario}: {}: {values:?}", COLUMNS[column].0);
        }
        let median = rows[0].answer_to_write().unwrap_or_else(|| panic!("{scenario}: no good write"));
        assert!(median <= GOAL, "{scenario}: {median:?}");
    }
}

/// The comparison can come out otherwise: a client that never leaves the old master is not the best.
#[test]
fn a_client_that_clings_is_seen_to_be_worse() {
    let mut rows = rows("1-demotion/kill-reconnect-cached");
    let clings = DRIVERS.iter().position(|driver| *driver == "redis-connection-manager").expect("it is compared");
    rows.swap(0, clings);
    let worse: Vec<&str> = measure::not_best(&rows).into_iter().map(|column| COLUMNS[column].0).collect();
    for column in ["writable to first write: median", "answer to first write: median", "never", "failed", "late writes"]
    {
        assert!(worse.contains(&column), "{column}: {worse:?}");
    }
}
