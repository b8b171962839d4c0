//! Puts every driver through the same failovers with the same seeds and prints what came out, as Markdown:
//!
//! ```sh
//! cargo run --release -p sentinel-lab-drivers --example comparison > crates/client/COMPARISON.md
//! ```
//!
//! An argument is the number of seeds. Ends with an error if the default client is not the best in a column for which
//! there is no reason, or misses the goal; `tests/client/comparison.rs` holds the same with few seeds.

mod measure;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;

use drivers::all;
use measure::{COLUMNS, DRIVERS, EVERY, GOAL, OURS, SCENARIOS, Sum};
use sentinel_lab_drivers as drivers;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seeds: u64 = std::env::args().nth(1).map_or(Ok(50), |text| text.parse())?;
    let mut tables = String::new();
    let mut goal = String::new();
    let mut worse = BTreeSet::new();
    let mut unmet = Vec::new();
    for scenario in SCENARIOS {
        let plan = measure::plan(scenario)?;
        let rows: Vec<Sum> =
            DRIVERS.iter().map(|driver| measure::sum(&plan, driver, seeds)).collect::<Result<_, _>>()?;
        write!(tables, "\n## {scenario}: {}\n\n| client |", plan.title)?;
        for (column, _) in COLUMNS {
            write!(tables, " {} |", column.trim())?;
        }
        writeln!(tables, "\n|---|{}", "--:|".repeat(COLUMNS.len()))?;
        for (driver, sum) in DRIVERS.iter().zip(&rows) {
            tables += &row(driver, sum);
        }
        for column in measure::not_best(&rows) {
            worse.insert(column);
            if COLUMNS[column].1.is_none() {
                unmet.push(format!("{scenario}: not the best in `{}`", COLUMNS[column].0));
            }
        }
        let median = rows[0].answer_to_write();
        let text = median.map_or("never".to_owned(), |median| format!("{} ms", median.as_micros() as f64 / 1e3));
        writeln!(goal, "| {scenario} | {text} |")?;
        if median.is_none_or(|median| median > GOAL) {
            unmet.push(format!("{scenario}: {text} from the first answer to the first good write at the median"));
        }
    }
    let text = heading(seeds, &goal, &worse) + &tables;
    std::io::stdout().write_all(text.as_bytes())?;
    if unmet.is_empty() { Ok(()) } else { Err(unmet.join("; ").into()) }
}

fn heading(seeds: u64, goal: &str, worse: &BTreeSet<usize>) -> String {
    let abouts = all().into_iter().filter(|driver| DRIVERS.contains(&driver.name()));
    let lines: Vec<String> = abouts
        .map(|driver| format!("- `{}` ({}): {}", driver.name(), version(driver.name()), driver.about()))
        .collect();
    let reasons: Vec<String> = worse
        .iter()
        .map(|column| format!("- *{}*: {}\n", COLUMNS[*column].0.trim(), COLUMNS[*column].1.unwrap_or("no reason")))
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
         lost. Over all seeds. Those of `{OURS}` came before the announcement had reached it.\n\
         - *most dials in 1 s*: connections opened to all nodes together, the start included; the most of any run.\n\n\
         The goal is a first good write of `{OURS}` within {} ms of the first Sentinel's new answer, at the median:\n\n\
         | scenario | at the median |\n|---|--:|\n{goal}\n\
         `{OURS}` is the best or equal in every column of every table but these, where another has less in some:\n\n\
         {}",
        EVERY.as_millis(),
        lines.join("\n"),
        GOAL.as_millis(),
        reasons.concat(),
    )
}

/// The version of the crate that a driver wraps, from the lock file.
fn version(driver: &str) -> String {
    let package = match driver {
        "sentinel-client" | "deadpool-redis" => driver,
        _ => "redis",
    };
    let lock = include_str!("../../../../Cargo.lock");
    let name = format!("name = \"{package}\"\nversion = \"");
    let found = lock.split(&name).nth(1).and_then(|rest| rest.split('"').next());
    format!("{package} {}", found.unwrap_or("?"))
}

/// Times, which are the first four columns, in milliseconds.
fn row(driver: &str, sum: &Sum) -> String {
    let cells = sum.values().into_iter().enumerate().map(|(column, value)| match value {
        Some(micros) if column < 4 => format!("{} ms", micros / 1_000),
        Some(count) => count.to_string(),
        None => "-".to_owned(),
    });
    format!("| `{driver}` | {} |\n", cells.collect::<Vec<_>>().join(" | "))
}
