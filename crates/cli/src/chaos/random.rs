//! A campaign of random schedules: run, count, shrink what was found, save it.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Instant;

use chaos::campaign::{Campaign, Finding, Summary};
use chaos::case::Ending;
use chaos::profile::{Mix, Profile};
use chaos::regression::{self, Origin};
use chaos::results::{FORMAT, Header, Line, write};
use chaos::shard::Shard;
use chaos::shrink::shrink;

use super::args::ChaosArgs;
use super::pool::Pool;
use super::show::{self, Saved};
use super::stop::Stop;
use crate::exit::Exit;
use crate::print::{self, Progress};
use crate::{clients, jobs};

/// Kinds of failure that are shrunk, per profile and driver; more are seldom independent of each other.
const MOST_SHRUNK: usize = 12;

pub(crate) fn chaos(args: &ChaosArgs) -> Exit {
    let Some(setup) = Setup::of(args) else { return Exit::Unusable };
    let mut results = match args.results.as_deref().map(|path| Results::create(path, &setup.header)).transpose() {
        Ok(results) => results,
        Err(error) => {
            let path = args.results.as_ref().map_or_else(String::new, |path| path.display().to_string());
            print::error(&format!("{path}: {error}"));
            return Exit::Unusable;
        }
    };
    let stop = match Stop::new(args.time_limit) {
        Ok(stop) => stop,
        Err(error) => {
            print::error(&format!("signals cannot be received: {error}"));
            return Exit::Unusable;
        }
    };
    let pool = Pool::new(args.run_limit, args.memory_limit);
    let threads = jobs::threads(args.jobs);
    let mut worst = Exit::Pass;
    let mut stopped: Option<String> = None;
    let mut runs = 0;
    for mix in &setup.mixes {
        for driver in &setup.drivers {
            if stopped.is_some() {
                break;
            }
            let campaign = Campaign {
                mix: mix.clone(),
                driver: driver.clone(),
                seeds: args.seeds.clone(),
                shard: setup.header.partition,
                jobs: threads,
            };
            let began = Instant::now();
            let progress = Progress::new(campaign.runs());
            let mut findings = 0;
            let mut broken_file = None;
            let mut seen = chaos::coverage::Coverage::default();
            let summary = campaign.run(
                |case| pool.carry_out(case),
                |result| {
                    progress.step();
                    seen.add(&result.coverage);
                    findings += u64::from(result.ending >= Ending::Fail);
                    progress.note(&show::progress(&seen, mix, findings));
                    let line = Line::Run { profile: mix.profile.to_string(), result: result.clone() };
                    if let Some(results) = &mut results
                        && let Err(error) = results.line(&line)
                    {
                        broken_file = Some(format!("the results cannot be written: {error}"));
                    }
                    if stopped.is_none() {
                        stopped = stop.reason().map(str::to_owned);
                        if args.fail_fast && result.ending >= Ending::Fail {
                            stopped = Some(format!("seed {} failed", result.seed));
                        }
                    }
                    stopped.is_none() && broken_file.is_none()
                },
            );
            progress.finish();
            runs += summary.runs();
            if let Some(why) = broken_file {
                print::error(&why);
                return Exit::Unusable;
            }
            let complete = summary.runs() == campaign.runs() as u64;
            let saved = if args.no_shrink || stop.reason() == Some("interrupted") {
                summary.findings.iter().map(|_| None).collect()
            } else {
                keep(args, &campaign, &summary, &pool, threads)
            };
            let exit = exit(&summary, mix, complete);
            worst = worst.max(exit);
            let elapsed = began.elapsed();
            match args.format {
                crate::args::Format::Text => {
                    print::out(&show::text(&campaign, &summary, &saved, elapsed, print::style(args.color)));
                }
                crate::args::Format::Json => print::out(&show::json(&campaign, &summary, &saved, elapsed)),
            }
            if saved.iter().flatten().any(|saved| saved.file.as_ref().is_some_and(Result::is_err)) {
                worst = Exit::Unusable;
            }
        }
    }
    if let Some(why) = &stopped {
        print::error(&format!("stopped after {runs} runs: {why}"));
        // The time limit is an end that was asked for; what there is is judged as it is.
        if why == "interrupted" {
            worst = worst.max(Exit::Inconclusive);
        }
    }
    if let Some(results) = results
        && let Err(error) = results.end(runs, stopped)
    {
        print::error(&format!("the results cannot be written: {error}"));
        return Exit::Unusable;
    }
    worst
}

/// How a campaign ends.
pub(super) fn exit(summary: &Summary, mix: &Mix, complete: bool) -> Exit {
    if !summary.findings.is_empty() {
        return Exit::Violation;
    }
    let proven = summary.ended(Ending::Inconclusive) == 0 && summary.coverage.gaps(mix).is_empty();
    // A campaign that was cut short proves what it has done.
    if proven && (complete || summary.runs() > 0) { Exit::Pass } else { Exit::Inconclusive }
}

/// What the arguments come to.
struct Setup {
    drivers: Vec<String>,
    mixes: Vec<Mix>,
    header: Header,
}

impl Setup {
    /// `None` after complaining.
    fn of(args: &ChaosArgs) -> Option<Self> {
        let all = args.driver.iter().any(|name| name == "all");
        let mut drivers = Vec::new();
        for driver in clients::chosen("--driver", &args.driver)? {
            let name = driver.name();
            if !driver.blocks() {
                drivers.push(name.to_owned());
            } else if !all {
                print::error(&format!(
                    "--driver {name}: its runs are in real time and do not repeat, so nothing can be shrunk"
                ));
                return None;
            }
        }
        let mut profiles = Vec::new();
        for name in &args.profile {
            if name == "all" {
                profiles.extend_from_slice(Profile::ALL);
            } else if let Ok(profile) = name.parse() {
                profiles.push(profile);
            } else {
                let names: Vec<&str> = Profile::ALL.iter().map(|profile| profile.name()).collect();
                print::error(&format!(
                    "--profile {name}: there is no such profile; there are {}, and all",
                    names.join(", ")
                ));
                return None;
            }
        }
        let partition = match args.partition.map_or_else(|| Shard::from_env(|name| std::env::var(name).ok()), Ok) {
            Ok(shard) => shard,
            Err(error) => {
                print::error(&error.to_string());
                return None;
            }
        };
        let mix = |profile| Mix { profile, nemeses: args.nemesis.clone(), intensity: args.intensity };
        let binary = match binary() {
            Ok(binary) => binary,
            Err(error) => {
                print::error(&format!("the program's own file cannot be read: {error}"));
                return None;
            }
        };
        let header = Header {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            binary,
            drivers: drivers.clone(),
            profiles: profiles.iter().map(ToString::to_string).collect(),
            nemeses: args.nemesis.iter().map(ToString::to_string).collect(),
            intensity: args.intensity,
            from: args.seeds.start,
            to: args.seeds.end,
            partition,
        };
        Some(Self { drivers, mixes: profiles.into_iter().map(mix).collect(), header })
    }
}

/// SHA-256 of the program's own file.
fn binary() -> std::io::Result<String> {
    use sha2::{Digest as _, Sha256};
    use std::fmt::Write as _;
    let mut hasher = Sha256::new();
    hasher.update(std::fs::read(std::env::current_exe()?)?);
    Ok(hasher.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

/// Shrinks the first run of every finding and writes it where `--save` says.
fn keep(args: &ChaosArgs, campaign: &Campaign, summary: &Summary, pool: &Pool, threads: usize) -> Vec<Option<Saved>> {
    let mut all = Vec::new();
    let some = summary.findings.len().min(MOST_SHRUNK);
    let work = |index: usize| {
        let finding: &Finding = &summary.findings[index];
        let seed = *finding.seeds.first()?;
        let began = Instant::now();
        let shrunk = shrink(&campaign.mix, &campaign.driver, seed, &finding.signature, args.shrink_time, |case| {
            pool.carry_out(case)
        })?;
        let origin = Origin { mix: &campaign.mix, driver: &campaign.driver, seed, signature: &finding.signature };
        let file = args.save.as_deref().map(|folder| regression::save(folder, &origin, &shrunk));
        Some(Saved { text: regression::text(&origin, &shrunk), shrunk, seed, took: began.elapsed(), file })
    };
    jobs::in_order(some, threads, work, |_, saved| {
        all.push(saved);
        true
    });
    all.resize_with(summary.findings.len(), || None);
    all
}

/// The results file.
struct Results(BufWriter<File>);

impl Results {
    fn create(path: &Path, header: &Header) -> std::io::Result<Self> {
        let mut results = Self(BufWriter::new(File::create(path)?));
        results.line(&Line::Campaign(header.clone()))?;
        Ok(results)
    }

    /// Writes a line, to the file at once: what there is must be there if the process is killed.
    fn line(&mut self, line: &Line) -> std::io::Result<()> {
        write(&mut self.0, line)?;
        self.0.flush()
    }

    fn end(mut self, runs: u64, stopped: Option<String>) -> std::io::Result<()> {
        self.line(&Line::End { runs, stopped })
    }
}
