//! Puts every driver through the same failovers with the same seeds and prints what came out, as Markdown:
//!
//! ```sh
//! cargo run --release -p sentinel-lab-drivers --example comparison > crates/client/COMPARISON.md
//! ```
//!
//! An argument is the number of seeds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use drivers::{all, by_name};
use model::history::{OpResult, What};
use model::{NodeId, OpId, Plan, Seed, Time};
use sentinel_lab_drivers as drivers;
use testbed::{Run, RunOutcome};

/// The drivers that are compared; `redis-multiplexed` is left out, since it never moves.
const DRIVERS: [&str; 4] = ["sentinel-client", "redis-sentinel", "redis-connection-manager", "deadpool-redis"];

/// Scenarios with one client that writes and one failover.
const SCENARIOS: [&str; 6] = [
    "kill",
    "2-hung/master-hang",
    "graceful-shutdown",
    "1-demotion/kill-reconnect-cached",
    "5-events/switch-missed",
    "4-stale/stale-after-heal",
];

/// Operations of the client are this far apart, so that what is measured is the client and not its pauses.
const EVERY: Duration = Duration::from_millis(10);

/// What came of one driver in one scenario, over all seeds.
#[derive(Default)]
struct Sum {
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

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seeds: u64 = std::env::args().nth(1).map_or(Ok(50), |text| text.parse())?;
    let mut text = heading(seeds);
    for scenario in SCENARIOS {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../scenarios/{scenario}.yaml"));
        let mut plan = scenario::load(&file, &scenario::Options::default())?;
        for client in &mut plan.clients {
            client.every = EVERY;
        }
        write!(text, "\n## {scenario}: {}\n\n", plan.title)?;
        text += "| client | writable to first write: median | worst | answer to first write: median | worst | never \
                 | failed | ambiguous | late writes | most dials in 1 s |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n";
        for driver in DRIVERS {
            text += &row(driver, &sum(&plan, driver, seeds)?);
        }
    }
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

fn heading(seeds: u64) -> String {
    let abouts = all().into_iter().filter(|driver| DRIVERS.contains(&driver.name()));
    let lines: Vec<String> = abouts
        .map(|driver| format!("- `{}` ({}): {}", driver.name(), version(driver.name()), driver.about()))
        .collect();
    format!(
        "# Clients of Redis Sentinel in the same failovers\n\n\
         Written by `cargo run --release -p sentinel-lab-drivers --example comparison -- {seeds}`: the \
         scenarios of the repository \
         with {seeds} seeds each, the same for every client, in virtual time, with one client that writes every \
         {} ms.\n\n{}\n\n\
         - *writable to first write*: from the moment when the new master accepts writes to the first one that it \
         acknowledges. Most of it is the time that the Sentinels take to tell anybody.\n\
         - *answer to first write*: the same from the moment when the first Sentinel answers with the new address. \
         Zero if the write came first.\n\
         - *never*: runs without a good write on the new master.\n\
         - *failed*, *ambiguous*: operations, over all seeds.\n\
         - *late writes*: writes that the old master acknowledged after a Sentinel had named the new one. They are \
         lost. Over all seeds.\n\n\
         Where `sentinel-client` is not the best: `deadpool-redis` has fewer ambiguous operations, because it sends a \
         `PING` before every command, which meets the dead connection in the command's place; the price is a round \
         trip for every command. And `sentinel-client` opens a few connections more, because it listens to every \
         Sentinel and keeps a connection for questions to each. Its \
         few late writes came before the announcement had reached it: its first good write on the new master \
         follows the first Sentinel's new answer as fast as the table says.\n",
        EVERY.as_millis(),
        lines.join("\n"),
    )
}

/// The version of the crate that a driver wraps, from the lock file.
fn version(driver: &str) -> String {
    let package = match driver {
        "sentinel-client" | "deadpool-redis" => driver,
        _ => "redis",
    };
    let lock = include_str!("../../../Cargo.lock");
    let name = format!("name = \"{package}\"\nversion = \"");
    let found = lock.split(&name).nth(1).and_then(|rest| rest.split('"').next());
    format!("{package} {}", found.unwrap_or("?"))
}

fn sum(plan: &Plan, driver: &str, seeds: u64) -> Result<Sum, Box<dyn std::error::Error>> {
    let mut sum = Sum::default();
    for seed in 1..=seeds {
        let driver = by_name(driver).ok_or("no such driver")?;
        let outcome = Run::new(plan.clone(), Seed(seed), vec![Arc::clone(&driver)]).run()?;
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

fn row(driver: &str, sum: &Sum) -> String {
    let (median, worst) = median_and_worst(&sum.from_writable);
    let (median_answer, worst_answer) = median_and_worst(&sum.from_answer);
    let never = sum.runs - sum.from_answer.len();
    let Sum { failed, ambiguous, late, dials, .. } = sum;
    format!(
        "| `{driver}` | {median} | {worst} | {median_answer} | {worst_answer} | {never} | {failed} | {ambiguous} \
         | {late} | {dials} |\n"
    )
}

fn median_and_worst(times: &[Duration]) -> (String, String) {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let text = |time: Option<&Duration>| time.map_or("-".to_owned(), |time| format!("{} ms", time.as_millis()));
    (text(sorted.get(sorted.len() / 2)), text(sorted.last()))
}
