//! [`Table`]: a page of Markdown with a row for each driver: what was first found about it, with which seed, and how small
//! that became.

use std::fmt::Write as _;

use chaos::campaign::{Campaign, Summary};
use chaos::case::Ending;
use chaos::shrink::Shrunk;

use super::args::ChaosArgs;
use super::show::Saved;
use crate::clients;

/// What is known of the drivers, in the order in which they were run.
pub(super) struct Table {
    command: String,
    rows: Vec<Row>,
}

struct Row {
    driver: String,
    /// Runs until it failed, or all.
    runs: u64,
    found: Option<Found>,
}

/// The first thing that was found.
struct Found {
    by: String,
    number: u64,
    signature: String,
    /// How it was made small, and in how many seconds; none if it was not.
    shrunk: Option<(Shrunk, u64)>,
}

impl Table {
    pub(super) fn new(args: &ChaosArgs) -> Self {
        let mut command = format!("cargo run --release -- chaos --driver {}", args.driver.join(","));
        if args.systematic.is_empty() {
            let _ = write!(command, " --profile {}", args.profile.join(","));
        }
        for scenario in &args.systematic {
            let _ = write!(command, " --systematic {}", scenario.display());
        }
        if let Some(limit) = args.limit {
            let _ = write!(command, " --limit {limit}");
        }
        if let Some(seeds) = &args.seeds {
            let _ = write!(command, " --seeds {}..{}", seeds.start, seeds.end);
        }
        if args.fail_fast {
            command += " --fail-fast";
        }
        Self { command: command + " --format markdown", rows: Vec::new() }
    }

    /// True if something was found about a driver.
    pub(super) fn has_failed(&self, driver: &str) -> bool {
        self.rows.iter().any(|row| row.driver == driver && row.found.is_some())
    }

    pub(super) fn add(&mut self, campaign: &Campaign, summary: &Summary, saved: &[Option<Saved>]) {
        // Of what the first seed shows, that of which least was left.
        let saved = saved.iter().map(Option::as_ref).chain(std::iter::repeat(None));
        let first = summary.findings.iter().zip(saved).min_by_key(|(finding, saved)| {
            (finding.seeds.first().copied(), saved.map_or(usize::MAX, |saved| saved.shrunk.faults[1]))
        });
        let found = first.map(|(finding, saved)| Found {
            by: campaign.source.name(),
            number: finding.seeds.first().copied().unwrap_or_default(),
            signature: finding.signature.clone(),
            shrunk: saved.map(|saved| (saved.shrunk.clone(), saved.took.as_secs_f64().ceil() as u64)),
        });
        let runs = summary.runs();
        match self.rows.iter_mut().find(|row| row.driver == campaign.driver) {
            Some(row) => {
                row.runs += runs;
                row.found = row.found.take().or(found);
            }
            None => self.rows.push(Row { driver: campaign.driver.clone(), runs, found }),
        }
        debug_assert_eq!(summary.findings.is_empty(), summary.ended(Ending::Fail) + summary.ended(Ending::Broken) == 0);
    }

    pub(super) fn text(&self) -> String {
        let registry = clients::registry();
        let about =
            |name: &str| registry.iter().find(|driver| driver.name() == name).map_or("", |driver| driver.about());
        let mut text = format!(
            "Made by `{}`. A row says with which seed something was first found about a client, the smallest thing that it shows, and \
             how many of its faults were left when that had been made small.\n\n\
             | client | what it does | found by | seed | what | faults | runs to shrink | time |\n\
             |---|---|---|--:|---|--:|--:|--:|\n",
            self.command
        );
        for Row { driver, runs, found } in &self.rows {
            let _ = write!(text, "| {driver} | {} ", about(driver));
            let _ = match found {
                None => writeln!(text, "| **nothing** in {runs} runs | | | | | |"),
                Some(Found { by, number, signature, shrunk }) => {
                    let shrunk = shrunk.as_ref().map_or_else(
                        || "| | ".to_owned(),
                        |(Shrunk { faults: [drawn, left], runs, cut_short, .. }, seconds)| {
                            let cut_short = cut_short.map(|why| format!(", {why}")).unwrap_or_default();
                            format!("{drawn} → {left} | {runs} | {seconds} s{cut_short}")
                        },
                    );
                    writeln!(text, "| {by} | {number} | {} | {shrunk} |", signature.replace('|', "\\|"))
                }
            };
        }
        text.trim_end().to_owned()
    }
}
