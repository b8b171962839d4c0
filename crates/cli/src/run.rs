//! `sentinel-lab run`: runs scenarios and says what came out.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::sync::Arc;

use model::{Seed, Time};
use report::Tally;
use testbed::driver::Driver;
use testbed::{Run, RunError, RunOutcome};

use crate::args::{Format, RunArgs};
use crate::check::{Scenario, read};
use crate::determinism::first_difference;
use crate::exit::Exit;
use crate::print::{self, Progress};
use crate::{clients, jobs};

/// One run to do: which scenario, with which driver, from which seed.
struct Job<'a> {
    scenario: &'a Scenario,
    driver: &'a Arc<dyn Driver>,
    seed: u64,
}

/// What came of a job.
struct Done {
    outcome: Result<RunOutcome, RunError>,
    /// How a second run of the same seed differed.
    difference: Option<String>,
}

pub(crate) fn run(args: &RunArgs) -> Exit {
    let Some(drivers) = clients::chosen("--driver", &args.driver) else { return Exit::Unusable };
    let Some(scenarios) = read(&args.paths) else { return Exit::Unusable };
    let Some(programs) = clients::programs(&scenarios) else { return Exit::Unusable };
    let history = match args.history.as_ref().map(File::create).transpose() {
        Ok(file) => file.map(BufWriter::new),
        Err(error) => {
            let path = args.history.as_ref().map_or_else(String::new, |path| path.display().to_string());
            print::error(&format!("{path}: {error}"));
            return Exit::Unusable;
        }
    };
    let mut jobs = Vec::new();
    for scenario in &scenarios {
        for driver in &drivers {
            jobs.extend((0..args.repeat).map(|n| Job { scenario, driver, seed: args.seed.wrapping_add(n) }));
        }
    }
    let mut output = Output::new(args, &scenarios, jobs.len(), history);
    for driver in drivers.iter().chain(&programs).filter(|driver| args.check_determinism && !driver.repeats()) {
        output.progress.error(&format!("{}: its runs do not repeat, so that is not checked", driver.name()));
    }
    let work = |index: usize| {
        let job: &Job<'_> = &jobs[index];
        carry_out(job, &programs, args.check_determinism)
    };
    let threads = jobs::threads(args.jobs);
    jobs::in_order(jobs.len(), threads, work, |index, done| output.take(&jobs[index], &done));
    output.finish()
}

fn carry_out(job: &Job<'_>, programs: &[Arc<dyn Driver>], twice: bool) -> Done {
    let drivers = clients::led_by(job.driver, programs);
    let repeats = clients::taking_part(&job.scenario.plan, &drivers).all(Driver::repeats);
    let once = || Run::new(job.scenario.plan.clone(), Seed(job.seed), drivers.clone()).run();
    let outcome = once();
    let difference = match (&outcome, twice && repeats) {
        (Ok(first), true) => match once() {
            Ok(second) => first_difference(&first.history, &second.history),
            Err(error) => Some(format!("the second run broke: {error}")),
        },
        _ => None,
    };
    Done { outcome, difference }
}

/// Prints results as they come and remembers the worst.
struct Output<'a> {
    args: &'a RunArgs,
    style: report::Style,
    progress: Progress,
    history: Option<BufWriter<File>>,
    name_width: usize,
    several_drivers: bool,
    last_driver: String,
    tally: Tally,
    tallied: u64,
    troubles: usize,
    worst: Exit,
}

impl<'a> Output<'a> {
    fn new(args: &'a RunArgs, scenarios: &[Scenario], runs: usize, history: Option<BufWriter<File>>) -> Self {
        let style = print::style(args.color);
        let name_width = scenarios.iter().map(|scenario| scenario.name.chars().count()).max().unwrap_or(0);
        Self {
            args,
            style,
            progress: Progress::new(runs),
            history,
            name_width: name_width.max(8),
            several_drivers: args.driver.len() > 1 || args.driver.iter().any(|name| name == "all" || name == "zoo"),
            last_driver: String::new(),
            tally: Tally::default(),
            tallied: 0,
            troubles: 0,
            worst: Exit::Pass,
        }
    }

    /// Takes the result of one job. False if it makes no sense to go on.
    fn take(&mut self, job: &Job<'_>, done: &Done) -> bool {
        self.progress.step();
        let exit = match &done.outcome {
            Ok(outcome) => {
                // The file first: where nothing can be printed the process ends.
                let written = self.write_history(outcome);
                self.print(job, outcome);
                if let Err(error) = written {
                    self.progress.error(&format!("the history cannot be written: {error}"));
                    self.worst = self.worst.max(Exit::Unusable);
                    return false;
                }
                Exit::of(outcome.verdict.outcome)
            }
            Err(error @ RunError::NotApplicable { .. }) => {
                self.progress.error(&format!("{}: not applicable: {error}", job.scenario.file));
                Exit::Inconclusive
            }
            Err(error) => {
                // What is not the client's fault, such as a program that ends, is not held against it.
                let exit = if matches!(error, RunError::Driver { .. }) { Exit::Unusable } else { Exit::Violation };
                let replay = replay(&job.scenario.file, job.driver.name(), job.seed);
                self.progress.error(&format!("{}, seed {}: {error}\nreplay: {replay}", job.scenario.file, job.seed));
                exit
            }
        };
        if let Some(difference) = &done.difference {
            let place = format!("{}, seed {}", job.scenario.file, job.seed);
            self.progress.error(&format!("{place}: two runs of one seed were not the same: {difference}"));
            self.worst = self.worst.max(Exit::Violation);
        }
        if exit != Exit::Pass {
            self.troubles += 1;
            self.progress.trouble(self.troubles);
        }
        self.worst = self.worst.max(exit);
        true
    }

    fn print(&mut self, job: &Job<'_>, outcome: &RunOutcome) {
        let replay = replay(&job.scenario.file, job.driver.name(), job.seed);
        let run = report::Run {
            name: &job.scenario.name,
            file: Some(&job.scenario.file),
            seed: job.seed,
            driver: job.driver.name(),
            plan: &job.scenario.plan,
            history: &outcome.history,
            verdict: &outcome.verdict,
            virtual_time: outcome.virtual_time,
            wall_time: outcome.wall_time,
            replay: &replay,
        };
        if self.args.format == Format::Json {
            self.progress.out(&report::json::json(&run));
            return;
        }
        self.heading(job.driver.name());
        let passed = Exit::of(outcome.verdict.outcome) == Exit::Pass;
        self.tally.add(&outcome.verdict);
        self.tallied += 1;
        // Of many runs of one scenario those are shown that did not pass, and what all came to.
        if self.args.repeat == 1 || !passed {
            self.progress.out(&report::line(&run, self.name_width, self.style));
        }
        if !passed {
            self.progress.out(&report::failure(&run, self.style));
        } else if self.args.timeline {
            self.progress.out(&report::timeline(&outcome.history, Time::ZERO, Time::NEVER, self.style));
        }
        if self.args.repeat > 1 && self.tallied == self.args.repeat {
            self.progress.out(&self.tally.text(self.style));
            self.tally = Tally::default();
            self.tallied = 0;
        }
    }

    /// The head of the table, once a driver.
    fn heading(&mut self, driver: &str) {
        if self.last_driver == driver {
            return;
        }
        if self.several_drivers {
            self.progress.out(&format!("driver {driver}"));
        }
        if self.last_driver.is_empty() && self.args.repeat == 1 {
            self.progress.out(&report::header(self.name_width, self.style));
        }
        driver.clone_into(&mut self.last_driver);
    }

    fn write_history(&mut self, outcome: &RunOutcome) -> std::io::Result<()> {
        match &mut self.history {
            Some(file) => outcome.history.write_ndjson(&mut *file).and_then(|()| file.flush()),
            None => Ok(()),
        }
    }

    fn finish(self) -> Exit {
        self.progress.finish();
        self.worst
    }
}

/// The command that repeats a run.
pub(crate) fn replay(file: &str, driver: &str, seed: u64) -> String {
    let driver = if driver == drivers::DEFAULT { String::new() } else { format!(" --driver {}", quoted(driver)) };
    format!("cargo run --release -- run {} --seed {seed}{driver}", quoted(file))
}

/// `word` as a shell takes it.
pub(crate) fn quoted(word: &str) -> String {
    if word.chars().all(|c| c.is_alphanumeric() || "/._,-".contains(c)) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
