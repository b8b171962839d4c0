//! `sentinel-lab matrix`: runs clients against scenarios and says which survives what.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use model::verdict::{Finding, Recovery, Rule, Severity};
use model::words::plain;
use model::{Outcome, Seed};
use report::matrix::{Cell, Column, Matrix, Standing, Why, weight};
use testbed::driver::Driver;
use testbed::{Run, RunError, RunOutcome};

use crate::args::{MatrixArgs, MatrixFormat};
use crate::check::{Scenario, read};
use crate::exit::Exit;
use crate::print::{self, Progress};
use crate::{clients, jobs, run};

/// Runs in real time at a time. They mostly wait, but more than the machine can serve at once distort their times.
const REAL_TIME_JOBS: usize = 16;

pub(crate) fn matrix(args: &MatrixArgs) -> Exit {
    let Some(drivers) = clients::chosen("--drivers", &args.drivers) else { return Exit::Unusable };
    let Some(mut scenarios) = read(&args.paths) else { return Exit::Unusable };
    // What chaos found once, or of one client, says nothing about clients in general.
    let found = |file: &str| Path::new(file).iter().any(|part| part == "regressions" || part == "findings");
    scenarios.retain(|scenario| !found(&scenario.file));
    let Some(programs) = clients::programs(&scenarios) else { return Exit::Unusable };
    let zoo = args.drivers == ["zoo"];
    let matrix = fill(args, &scenarios, &drivers, &programs);
    let text = match args.format {
        MatrixFormat::Json => matrix.json(),
        _ if zoo => matrix.zoo(),
        MatrixFormat::Text => matrix.text(print::style(args.color)),
        MatrixFormat::Markdown => matrix.markdown(),
    };
    match &args.output {
        Some(path) => {
            if let Err(error) = std::fs::write(path, format!("{}\n", text.trim_end())) {
                print::error(&format!("--output {}: it cannot be written: {error}", path.display()));
                // All the runs were made for it.
                print::out(text.trim_end());
                return Exit::Unusable;
            }
        }
        None => print::out(text.trim_end()),
    }
    if zoo {
        let amiss = matrix.amiss();
        for text in &amiss {
            print::error(text);
        }
        return if amiss.is_empty() { Exit::Pass } else { Exit::Violation };
    }
    matrix.cells.iter().map(exit).max().unwrap_or(Exit::Pass)
}

fn exit(cell: &Cell) -> Exit {
    match cell.result {
        Standing::NotApplicable | Standing::Pass => Exit::Pass,
        Standing::Inconclusive => Exit::Inconclusive,
        Standing::Fail | Standing::Broken => Exit::Violation,
    }
}

/// Makes all runs: those in virtual time first, then those in real time, which want the machine for themselves.
fn fill(
    args: &MatrixArgs,
    scenarios: &[Scenario],
    drivers: &[Arc<dyn Driver>],
    programs: &[Arc<dyn Driver>],
) -> Matrix {
    let (mut virtual_time, mut real_time) = (Vec::new(), Vec::new());
    for (row, scenario) in scenarios.iter().enumerate() {
        for (column, driver) in drivers.iter().enumerate() {
            // No two runs in real time are the same, and one takes as long as it says.
            let blocks = clients::taking_part(&scenario.plan, &clients::led_by(driver, programs)).any(Driver::blocks);
            let (jobs, seeds) = if blocks { (&mut real_time, 1) } else { (&mut virtual_time, args.seeds) };
            jobs.extend((0..seeds).map(|n| (row, column, args.seed.wrapping_add(n))));
        }
    }
    let mut matrix = Matrix {
        scenarios: scenarios.iter().map(|scenario| scenario.name.clone()).collect(),
        catches: scenarios.iter().map(|scenario| scenario.plan.expect.catches.clone()).collect(),
        drivers: drivers.iter().map(|driver| column(&**driver)).collect(),
        seeds: args.seeds,
        command: command(args),
        cells: Vec::new(),
        guideline: Vec::new(),
    };
    let names: Vec<String> = matrix.scenarios.clone();
    let shown = Mutex::new(&mut matrix);
    let cells = Mutex::new(vec![Cell::default(); scenarios.len() * drivers.len()]);
    let progress = Progress::new(virtual_time.len() + real_time.len());
    for (runs, threads) in [(virtual_time, jobs::threads(args.jobs)), (real_time, REAL_TIME_JOBS)] {
        let work = |index: usize| {
            let (row, column, seed): (usize, usize, u64) = runs[index];
            let driver = &drivers[column];
            Run::new(scenarios[row].plan.clone(), Seed(seed), clients::led_by(driver, programs)).run()
        };
        jobs::in_order(runs.len(), threads, work, |index, outcome| {
            let (row, column, seed) = runs[index];
            progress.step();
            if let Ok(outcome) = &outcome {
                let place = format!("{}, seed {seed}", names[row]);
                let mut matrix = shown.lock().expect("nobody panics with the matrix");
                matrix.conform(column, &place, &outcome.verdict.conformance);
            }
            let made = Made { file: &scenarios[row].file, driver: drivers[column].name(), seed };
            let cell = row * drivers.len() + column;
            cells.lock().expect("nobody panics with the cells")[cell].add(made.cell(outcome));
            true
        });
    }
    progress.finish();
    matrix.cells = cells.into_inner().expect("nobody panics with the cells");
    matrix
}

fn column(driver: &dyn Driver) -> Column {
    Column { name: driver.name().to_owned(), about: driver.about().to_owned(), real_time: driver.blocks() }
}

/// How a run was made.
struct Made<'a> {
    file: &'a str,
    driver: &'a str,
    seed: u64,
}

impl Made<'_> {
    /// What came of it.
    fn cell(&self, outcome: Result<RunOutcome, RunError>) -> Cell {
        let verdict = match outcome {
            Ok(RunOutcome { verdict, .. }) => verdict,
            Err(RunError::NotApplicable { driver, need, .. }) => {
                let why = drivers::why_not(&driver, need).map(|why| format!(" ({why})")).unwrap_or_default();
                return Cell { lacks: Some(format!("{need}{why}")), ..Cell::default() };
            }
            Err(error) => {
                let cell = Cell { result: Standing::Broken, runs: 1, not_passed: 1, ..Cell::default() };
                let reason = error.to_string();
                let cause = plain(&reason);
                return self.explained(cell, None, reason, cause);
            }
        };
        let result = match verdict.outcome {
            Outcome::Pass => Standing::Pass,
            Outcome::Inconclusive => Standing::Inconclusive,
            Outcome::Fail => Standing::Fail,
        };
        let of = |severity: Severity| verdict.findings.iter().filter(move |finding| finding.severity == severity);
        let rules: BTreeSet<Rule> = of(Severity::Violation).map(|finding| finding.rule).collect();
        let documented = drivers::documented(self.driver, &verdict);
        let cell = Cell {
            result,
            runs: 1,
            not_passed: u64::from(result != Standing::Pass),
            unproven: u64::from(of(Severity::NoEvidence).next().is_some()),
            worst_recovery: verdict.failovers.iter().filter_map(Recovery::total).max(),
            rules: rules.into_iter().collect(),
            documented: documented.map(|found| format!("\"{}\" ({})", found.quote, found.source)),
            ..Cell::default()
        };
        // The first of the gravest.
        let gravity = |finding: &&Finding| (finding.severity, weight(&finding.rule));
        match verdict.findings.iter().min_by_key(gravity).filter(|_| result != Standing::Pass) {
            None => cell,
            Some(first) => {
                let more =
                    if first.count > 1 { format!("; and {} more of the kind", first.count - 1) } else { String::new() };
                let cause = format!("{}: {}", first.rule, first.gist());
                self.explained(cell, Some(first.rule), format!("{}: {}{more}", first.rule, first.text), cause)
            }
        }
    }

    fn explained(&self, cell: Cell, rule: Option<Rule>, reason: String, cause: String) -> Cell {
        let replay = run::replay(self.file, self.driver, self.seed);
        let why = Why { reason, rule, cause, seed: self.seed, replay, mark: cell.mark() };
        Cell { why: Some(why), ..cell }
    }
}

/// The command line that fills the same matrix.
fn command(args: &MatrixArgs) -> String {
    let paths: Vec<String> = args.paths.iter().map(|path| path.display().to_string()).collect();
    let seed = if args.seed == 1 { String::new() } else { format!(" --seed {}", args.seed) };
    format!(
        "cargo run --release -- matrix {} --drivers {} --seeds {}{seed}",
        paths.join(" "),
        run::quoted(&args.drivers.join(",")),
        args.seeds
    )
}
