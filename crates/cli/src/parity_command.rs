//! `sentinel-lab parity`: scenarios in the lab and on real processes, side by side.

use std::time::Duration;

use model::{History, Plan, Seed};
use parity::render;
use real::{Binaries, RealError};

use crate::args::{ParityArgs, ParityFormat};
use crate::chaos::Stop;
use crate::check::{Scenario, read};
use crate::exit::Exit;
use crate::jobs;
use crate::print::{self, Progress};

/// A scenario as it is compared.
struct Case {
    name: String,
    plan: Plan,
}

pub(crate) fn parity(args: &ParityArgs) -> Exit {
    let Some(scenarios) = read(&args.paths) else { return Exit::Unusable };
    if !all_playable(&scenarios) {
        return Exit::Unusable;
    }
    if args.down_after.contains(&Duration::ZERO) {
        print::error("--down-after 0s: Sentinel wants at least 1ms");
        return Exit::Unusable;
    }
    let binaries = match Binaries::find() {
        Ok(binaries) => binaries,
        Err(missing) => {
            print::error(&missing.to_string());
            return Exit::Unusable;
        }
    };
    let stop = match Stop::new(None) {
        Ok(stop) => stop,
        Err(error) => {
            print::error(&format!("signals cannot be received: {error}"));
            return Exit::Unusable;
        }
    };
    let stopped = || stop.interrupted();
    let cases = cases(&scenarios, &args.down_after);
    let repeat = args.repeat as usize;
    let progress = Progress::new(cases.len() * repeat);
    let live = |index: usize| parity::live(&cases[index / repeat].plan, &binaries, &stopped);
    let mut output =
        Output { args, progress, runs: Vec::new(), broken: false, made: 0, compared: Vec::new(), worst: Exit::Pass };
    let mut at = 0;
    jobs::in_order(cases.len() * repeat, args.jobs as usize, live, |index, run| {
        output.take(run);
        at = index / repeat;
        if (index + 1).is_multiple_of(repeat) && !stopped() {
            output.compare(&cases[at]);
        }
        !stopped()
    });
    if stopped() {
        output.interrupted(&cases[at], cases.len() * repeat);
    }
    output.finish()
}

/// Complains about every step that real processes cannot take.
fn all_playable(scenarios: &[Scenario]) -> bool {
    let mut all = true;
    for scenario in scenarios {
        let Err(problems) = parity::playable(&scenario.plan) else { continue };
        let places = scenario::step_places(&std::fs::read_to_string(&scenario.file).unwrap_or_default());
        for problem in problems {
            let place = problem.step.and_then(|step| places.get(step));
            let place = place.map_or(String::new(), |place| format!(":{}:{}", place.line, place.column));
            print::error(&format!("{}{place}: {problem}", scenario.file));
        }
        all = false;
    }
    all
}

/// Every scenario with every `down_after` that was asked for.
fn cases(scenarios: &[Scenario], down_after: &[Duration]) -> Vec<Case> {
    let mut cases = Vec::new();
    for scenario in scenarios {
        if down_after.is_empty() {
            cases.push(Case { name: scenario.name.clone(), plan: scenario.plan.clone() });
        }
        for time in down_after {
            let mut plan = scenario.plan.clone();
            plan.cluster.groups.iter_mut().for_each(|group| group.down_after = *time);
            cases.push(Case { name: format!("{} {}", scenario.name, humantime::format_duration(*time)), plan });
        }
    }
    cases
}

struct Output<'a> {
    args: &'a ParityArgs,
    progress: Progress,
    /// The real runs of the present case.
    runs: Vec<History>,
    /// One of them could not be carried out.
    broken: bool,
    /// How many there were in all.
    made: usize,
    compared: Vec<parity::Comparison>,
    worst: Exit,
}

impl Output<'_> {
    fn take(&mut self, run: Result<Option<History>, RealError>) {
        self.progress.step();
        match run {
            Ok(Some(history)) => {
                self.made += 1;
                self.runs.push(history);
            }
            Ok(None) => {}
            Err(error) => {
                self.progress.error(&error.to_string());
                self.broken = true;
            }
        }
    }

    /// What there is of the present case is compared too.
    fn interrupted(&mut self, case: &Case, wanted: usize) {
        if !self.runs.is_empty() {
            self.compare(case);
        }
        self.progress.error(&format!("interrupted after {} of {wanted} real runs", self.made));
        self.worst = self.worst.max(Exit::Inconclusive);
    }

    fn compare(&mut self, case: &Case) {
        let real = std::mem::take(&mut self.runs);
        if std::mem::take(&mut self.broken) {
            self.progress.error(&format!("{}: a real run broke, so that there is no evidence", case.name));
            self.worst = self.worst.max(Exit::Inconclusive);
            return;
        }
        let lab: Vec<History> = (0..self.args.lab_runs).map(|seed| parity::lab(&case.plan, Seed(seed))).collect();
        let comparison = parity::compare(&case.name, &real, &lab, parity::compare::BY_CHANCE);
        if comparison.differences().next().is_some() {
            self.worst = self.worst.max(Exit::Violation);
        }
        match self.args.format {
            ParityFormat::Text => self.progress.out(&render::text(&comparison, self.args.timeline)),
            ParityFormat::Json => self.progress.out(&render::json(&comparison)),
            ParityFormat::Markdown => self.compared.push(comparison),
        }
    }

    fn finish(self) -> Exit {
        self.progress.finish();
        if self.args.format == ParityFormat::Markdown && !self.compared.is_empty() {
            print::out(&render::markdown(&self.compared));
            for comparison in &self.compared {
                for difference in comparison.differences() {
                    print::error(&format!("{}: {difference}", comparison.name));
                }
            }
        }
        self.worst
    }
}
