//! `sentinel-lab matrix`: runs clients against scenarios and says which survives what.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use model::verdict::{Recovery, Rule, Severity};
use model::{Outcome, Seed, Verdict};
use report::matrix::{Cell, Column, Matrix, Standing};
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
                print::error(&format!("{}: {error}", path.display()));
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
            let replay = run::replay(&scenarios[row].file, drivers[column].name(), seed);
            take(
                &mut cells.lock().expect("nobody panics with the cells")[row * drivers.len() + column],
                outcome,
                replay,
            );
            true
        });
    }
    progress.finish();
    matrix.cells = cells.into_inner().expect("nobody panics with the cells");
    for (index, cell) in matrix.cells.iter_mut().enumerate() {
        if cell.result == Standing::Fail {
            let plan = &scenarios[index / drivers.len()].plan;
            let found = drivers::documented(drivers[index % drivers.len()].name(), &cell.rules, plan);
            cell.documented = found.map(|found| format!("\"{}\" ({})", found.quote, found.source));
        }
    }
    matrix
}

fn column(driver: &dyn Driver) -> Column {
    Column { name: driver.name().to_owned(), about: driver.about().to_owned(), real_time: driver.blocks() }
}

/// Adds a run to its cell.
fn take(cell: &mut Cell, outcome: Result<RunOutcome, RunError>, replay: String) {
    let (result, reason, verdict) = match outcome {
        Err(RunError::NotApplicable { driver, need, .. }) => {
            let why = drivers::why_not(&driver, need).map(|why| format!(" ({why})")).unwrap_or_default();
            cell.lacks = Some(format!("{need}{why}"));
            return;
        }
        Err(error) => (Standing::Broken, Some(error.to_string()), None),
        Ok(RunOutcome { verdict, .. }) => match verdict.outcome {
            Outcome::Pass => (Standing::Pass, None, Some(verdict)),
            Outcome::Inconclusive => (Standing::Inconclusive, reason(&verdict), Some(verdict)),
            Outcome::Fail => (Standing::Fail, reason(&verdict), Some(verdict)),
        },
    };
    cell.runs += 1;
    if result != Standing::Pass {
        cell.not_passed += 1;
        if result > cell.result {
            cell.reason = reason;
            cell.replay = Some(replay);
        }
    }
    cell.result = cell.result.max(result);
    let Some(verdict) = verdict else { return };
    let worst = verdict.failovers.iter().filter_map(Recovery::total).max();
    cell.worst_recovery = cell.worst_recovery.max(worst);
    let violations = verdict.findings.iter().filter(|finding| finding.severity == Severity::Violation);
    let rules: BTreeSet<Rule> = cell.rules.drain(..).chain(violations.map(|finding| finding.rule)).collect();
    cell.rules = rules.into_iter().collect();
}

/// The first thing that speaks against a run, in words.
fn reason(verdict: &Verdict) -> Option<String> {
    let worst = verdict.findings.iter().map(|finding| finding.severity).min()?;
    let first = verdict.findings.iter().find(|finding| finding.severity == worst)?;
    let more = if first.count > 1 { format!("; and {} more of the kind", first.count - 1) } else { String::new() };
    Some(format!("{}: {}{more}", first.rule, first.text))
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
