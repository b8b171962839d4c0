//! What is measured, of one client in one scenario over some seeds, from the record of the nodes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use drivers::by_name;
use model::history::{OpResult, What};
use model::{NodeId, OpId, Plan, Seed, Time};
use sentinel_lab_drivers as drivers;
use testbed::{Run, RunOutcome};

/// The client that has to be the best.
pub(crate) const OURS: &str = "sentinel-client";

/// The drivers that are compared; `redis-multiplexed` is left out, since it never moves.
pub(crate) const DRIVERS: [&str; 4] = [OURS, "redis-sentinel", "redis-connection-manager", "deadpool-redis"];

/// Scenarios with one client that writes and one failover.
pub(crate) const SCENARIOS: [&str; 6] = [
    "kill",
    "2-hung/master-hang",
    "graceful-shutdown",
    "1-demotion/kill-reconnect-cached",
    "5-events/switch-missed",
    "4-stale/stale-after-heal",
];

/// Operations of the client are this far apart, so that what is measured is the client and not its pauses.
pub(crate) const EVERY: Duration = Duration::from_millis(10);

/// From the first Sentinel's new answer to the first good write, at the median.
pub(crate) const GOAL: Duration = Duration::from_millis(150);

/// The columns in which a client can be better than another, from the least to the most, with the reason why ours is
/// not the best there in some scenario. A column without a reason is one in which it must be.
pub(crate) const COLUMNS: [(&str, Option<&str>); 9] = [
    ("writable to first write: median", None),
    ("worst", None),
    ("answer to first write: median", None),
    ("worst ", None),
    ("never", None),
    ("failed", None),
    (
        "ambiguous",
        Some(
            "`deadpool-redis` sends a `PING` before every command and waits for its reply. What is under way when the \
             master falls silent is then the `PING`, and the call fails without having run; the price is a round trip \
             for every command and, as *failed* shows, the failed calls.",
        ),
    ),
    ("late writes", None),
    ("most dials in 1 s", None),
];

/// What came of one driver in one scenario, over all seeds.
#[derive(Default)]
pub(crate) struct Sum {
    runs: usize,
    /// From the moment when the new master was writable to the first good write on it.
    from_writable: Vec<Duration>,
    /// The same from the first answer of a Sentinel that named it.
    from_answer: Vec<Duration>,
    failed: u64,
    ambiguous: u64,
    /// Writes acknowledged by the old master after a Sentinel had named the new one.
    late: usize,
    /// The most connections opened within one second of a run.
    dials: usize,
}

/// A scenario of the repository, with the pace of the comparison.
pub(crate) fn plan(scenario: &str) -> Result<Plan, Box<dyn std::error::Error>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../scenarios/{scenario}.yaml"));
    let mut plan = scenario::load(&file, &scenario::Options::default())?;
    for client in &mut plan.clients {
        client.every = EVERY;
    }
    Ok(plan)
}

/// Runs one driver with the seeds from 1 on.
pub(crate) fn sum(plan: &Plan, driver: &str, seeds: u64) -> Result<Sum, Box<dyn std::error::Error>> {
    let mut sum = Sum::default();
    for seed in 1..=seeds {
        let driver = by_name(driver).ok_or("no such driver")?;
        let outcome = Run::new(plan.clone(), Seed(seed), vec![driver]).run()?;
        sum.add(&outcome);
    }
    Ok(sum)
}

impl Sum {
    fn add(&mut self, outcome: &RunOutcome) {
        self.runs += 1;
        let failover = outcome.verdict.failovers.first();
        if let Some((recovery, write)) = failover.and_then(|recovery| Some((recovery, recovery.first_write?))) {
            self.from_writable.extend(recovery.promoted.map(|promoted| write.since(promoted)));
            self.from_answer.extend(recovery.first_answer.map(|answer| write.since(answer)));
        }
        for client in &outcome.verdict.clients {
            self.failed += client.failed;
            self.ambiguous += client.ambiguous;
        }
        self.late += late_writes(outcome);
        self.dials = self.dials.max(most_dials(outcome));
    }

    /// From the first Sentinel's new answer to the first good write, at the median; `None` if that never came.
    pub(crate) fn answer_to_write(&self) -> Option<Duration> {
        median(&self.from_answer)
    }

    /// A value for each of [`COLUMNS`]; times in microseconds, `None` where there was no good write.
    pub(crate) fn values(&self) -> [Option<u64>; COLUMNS.len()] {
        let micros = |time: Option<Duration>| time.map(|time| time.as_micros() as u64);
        let worst = |times: &[Duration]| micros(times.iter().max().copied());
        [
            micros(median(&self.from_writable)),
            worst(&self.from_writable),
            micros(median(&self.from_answer)),
            worst(&self.from_answer),
            Some((self.runs - self.from_answer.len()) as u64),
            Some(self.failed),
            Some(self.ambiguous),
            Some(self.late as u64),
            Some(self.dials as u64),
        ]
    }
}

/// The columns in which the first of the rows has more than another one. No value is worse than any.
pub(crate) fn not_best(rows: &[Sum]) -> Vec<usize> {
    let values: Vec<_> = rows.iter().map(Sum::values).collect();
    let value = |row: usize, column: usize| values[row][column].unwrap_or(u64::MAX);
    let worse = |column: &usize| (1..rows.len()).any(|row| value(0, *column) > value(row, *column));
    (0..COLUMNS.len()).filter(worse).collect()
}

fn median(times: &[Duration]) -> Option<Duration> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied()
}

/// Writes that a node acknowledged after a Sentinel had named one that was promoted later.
fn late_writes(outcome: &RunOutcome) -> usize {
    let mut promoted: BTreeMap<NodeId, Time> = BTreeMap::new();
    let later = |promoted: &BTreeMap<NodeId, Time>, one: NodeId, other: NodeId| {
        promoted.get(&one).copied().unwrap_or_default() > promoted.get(&other).copied().unwrap_or_default()
    };
    let acknowledged: BTreeSet<&OpId> = outcome
        .history
        .records
        .iter()
        .filter_map(|record| match &record.what {
            What::Ended { op, result: OpResult::Ok { .. } } => Some(op),
            _ => None,
        })
        .collect();
    let is_acknowledged = |op: &Option<OpId>| op.as_ref().is_some_and(|op| acknowledged.contains(op));
    let mut newest: Option<NodeId> = None;
    let mut late = 0;
    for record in &outcome.history.records {
        match &record.what {
            What::Role { node, of: None } => {
                promoted.insert(*node, record.at);
            }
            What::Answer { addr, .. } if newest.is_none_or(|newest| later(&promoted, *addr, newest)) => {
                newest = Some(*addr);
            }
            What::Executed(execution) if execution.master && execution.write && is_acknowledged(&execution.op) => {
                late += usize::from(newest.is_some_and(|newest| later(&promoted, newest, execution.node)));
            }
            _ => {}
        }
    }
    late
}

/// The most connections that were opened within one second.
fn most_dials(outcome: &RunOutcome) -> usize {
    let opened = |what: &What| matches!(what, What::Opened { .. });
    let records = outcome.history.records.iter().filter(|record| opened(&record.what));
    let times: Vec<Time> = records.map(|record| record.at).collect();
    let within = |from: usize| times[from..].partition_point(|at| at.since(times[from]) < Duration::from_secs(1));
    (0..times.len()).map(within).max().unwrap_or(0)
}
