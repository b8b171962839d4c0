//! Campaigns: run, count, shrink what was found, save it.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::time::Instant;

use chaos::campaign::{Campaign, Finding, Summary};
use chaos::case::{Case, Ending};
use chaos::profile::Mix;
use chaos::regression;
use chaos::results::{Header, Line, write};
use chaos::shrink::Shrunk;

use super::args::{ChaosArgs, ChaosFormat};
use super::pool::Pool;
use super::setup::Setup;
use super::show::{self, Saved};
use super::stop::{INTERRUPTED, Stop};
use super::table::Table;
use crate::exit::Exit;
use crate::jobs;
use crate::print::{self, Progress};

/// Findings that are shrunk, per campaign; more are seldom independent of each other. The help of `--no-shrink` says so.
const MOST_SHRUNK: usize = 12;
/// Why the others are not.
const ENOUGH: &str = "as only the first 12 of a campaign are";
/// Of how many findings a table shows the smallest.
const MOST_COMPARED: usize = 3;

pub(crate) fn chaos(args: &ChaosArgs) -> Exit {
    let Some(setup) = Setup::of(args) else { return Exit::Unusable };
    if let Some(folder) = &args.schedules {
        return write_schedules(&setup, folder);
    }
    if let Some(folder) = &args.save
        && let Err(error) = std::fs::create_dir_all(folder)
    {
        print::error(&format!("--save {}: {error}", folder.display()));
        return Exit::Unusable;
    }
    let mut results = match args.results.as_deref().map(|path| Results::create(path, &setup.header)).transpose() {
        Ok(results) => results,
        Err(why) => {
            print::error(&why);
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
    // Why a campaign ended at its first failure, and its results are not all.
    let mut cut_short: Option<String> = None;
    let mut runs = 0;
    let mut table = Table::new(args);
    let campaigns = setup.sources.len() as u32;
    for (campaign, left) in setup.campaigns(threads).zip((1..=campaigns).rev()) {
        // Its first failure was enough.
        if args.fail_fast && table.has_failed(&campaign.driver) {
            continue;
        }
        // What came when all before was done stops what is still to come.
        if runs > 0
            && campaign.runs() > 0
            && let Some(why) = stop.reason(setup.open)
        {
            stopped = Some(why.to_owned());
            break;
        }
        // Seeds without end fill the time that there is: each campaign has an equal part of it.
        let share = if setup.open { stop.share(left) } else { None };
        let began = Instant::now();
        let over = || share.is_some_and(|share| began.elapsed() >= share);
        let progress = Progress::new((!setup.open).then(|| campaign.runs()));
        let mut findings = 0;
        let mut failed = None;
        let mut reason = None;
        let mut seen = chaos::coverage::Coverage::default();
        let name = campaign.source.name();
        let summary = campaign.run(
            |case| pool.carry_out(case),
            |result| {
                progress.step();
                seen.add(&result.coverage);
                findings += u64::from(result.ending >= Ending::Fail);
                progress.note(&show::progress(&seen, campaign.source.mix(), findings));
                let line = Line::Run { profile: name.clone(), result: result.clone() };
                // Without its results nothing more is run; what was found is shown and saved all the same.
                if let Some(Err(why)) = results.as_mut().map(|results| results.line(&line)) {
                    results = None;
                    worst = Exit::Unusable;
                    stopped = Some(why);
                }
                let enough = args.fail_fast && result.ending >= Ending::Fail;
                if enough {
                    failed.get_or_insert_with(|| format!("{} failed", show::one(&campaign, result.id())));
                }
                if failed.is_none() {
                    reason = reason.or_else(|| stop.reason(setup.open));
                }
                stopped.is_none() && reason.is_none() && !enough && !over()
            },
        );
        progress.finish();
        runs += summary.runs();
        let saved = keep(args, &campaign, &summary, &pool, threads, &stop);
        worst = worst.max(exit(&summary, campaign.source.mix()));
        // What came when all was run, or was under way, has stopped nothing, but for a signal while findings were shrunk.
        let unfinished = summary.runs() < campaign.runs() as u64;
        let unshrunk = !args.no_shrink && !summary.findings.is_empty() && stop.interrupted();
        let reason = reason.filter(|_| unfinished).or(unshrunk.then_some(INTERRUPTED));
        stopped = stopped.or(reason.map(str::to_owned));
        let elapsed = began.elapsed();
        table.add(&campaign, &summary, &saved);
        match args.format {
            ChaosFormat::Text => print::out(&show::text(args, &campaign, &summary, &saved, elapsed)),
            ChaosFormat::Json => print::out(&show::json(&campaign, &summary, &saved, elapsed)),
            ChaosFormat::Markdown => {}
        }
        cut_short = cut_short.or(failed);
        for (finding, saved) in summary.findings.iter().zip(&saved) {
            let Some(Saved { file: Some(Err(error)), text, .. }) = saved else { continue };
            worst = Exit::Unusable;
            let folder = args.save.as_deref().unwrap_or(Path::new("")).display();
            print::error(&format!(
                "--save {folder}: {} of {} cannot be saved: {error}",
                finding.signature, finding.driver
            ));
            // The other forms have it.
            if args.format == ChaosFormat::Markdown {
                print::diagnostics(text);
            }
        }
        if stopped.is_some() {
            break;
        }
    }
    if args.format == ChaosFormat::Markdown {
        print::out(&table.text());
    }
    if let Some(why) = &stopped {
        print::error(&format!("stopped after {runs} runs: {why}"));
        // What was not run proves nothing.
        worst = worst.max(Exit::Inconclusive);
    }
    if let Some(results) = results
        && let Err(why) = results.end(runs, stopped.or(cut_short))
    {
        print::error(&why);
        return Exit::Unusable;
    }
    worst
}

/// Writes the cases of all campaigns of the first driver, and runs none.
fn write_schedules(setup: &Setup, folder: &Path) -> Exit {
    let first = setup.header.drivers.first();
    for campaign in setup.campaigns(1).filter(|campaign| first == Some(&campaign.driver)) {
        let by = campaign.source.to_string();
        for case in campaign.cases() {
            match regression::save_case(folder, &by, &case) {
                Ok(path) => print::out(&path.display().to_string()),
                Err(error) => {
                    print::error(&format!("{}: {error}", folder.display()));
                    return Exit::Unusable;
                }
            }
        }
    }
    Exit::Pass
}

/// How a campaign ends that did what it should. Some runs may show nothing, which is told, if most do.
pub(super) fn exit(summary: &Summary, mix: Option<&Mix>) -> Exit {
    if !summary.findings.is_empty() {
        return Exit::Violation;
    }
    if summary.gaps(mix).is_empty() { Exit::Pass } else { Exit::Inconclusive }
}

/// Shrinks the first run of the first findings, unless that is not wanted, and writes that of every finding where `--save` says: as it
/// is, if it was not shrunk or did not fail again. Once its time is over or a signal has come nothing more is run.
fn keep(
    args: &ChaosArgs,
    campaign: &Campaign,
    summary: &Summary,
    pool: &Pool,
    threads: usize,
    stop: &Stop,
) -> Vec<Option<Saved>> {
    let mut all = Vec::new();
    let most = if args.format == ChaosFormat::Markdown { MOST_COMPARED } else { MOST_SHRUNK };
    let wanted = |index| !args.no_shrink && index < most;
    let count = summary.findings.len();
    let progress = Progress::new((!args.no_shrink).then_some(count.min(most)));
    progress.note("made small");
    let work = |index: usize| {
        let finding: &Finding = &summary.findings[index];
        let began = Instant::now();
        let cut_short = || match began.elapsed() {
            _ if stop.interrupted() => Some(INTERRUPTED),
            elapsed if elapsed >= args.shrink_time => Some("cut short by --shrink-time"),
            _ => None,
        };
        let execute = |case: &Case| cut_short().map_or_else(|| Ok(pool.carry_out(case)), Err);
        let shrunk = if wanted(index) { campaign.shrink(finding, execute) } else { None };
        let whole = || {
            let shown = args.save.is_some() || !args.no_shrink && args.format != ChaosFormat::Markdown;
            let (origin, whole) = shown.then(|| campaign.unshrunk(finding))??;
            let why = if args.no_shrink {
                None
            } else if wanted(index) {
                Some(cut_short().unwrap_or("as it did not fail again"))
            } else {
                Some(ENOUGH)
            };
            Some((origin, Shrunk { cut_short: why, ..whole }))
        };
        Some((shrunk.or_else(whole)?, began.elapsed()))
    };
    jobs::in_order(count, threads, work, |_, kept| {
        progress.step();
        all.push(kept.map(|((origin, shrunk), took)| {
            let file = args.save.as_deref().map(|folder| regression::save(folder, &origin, &shrunk));
            Saved { text: regression::text(&origin, &shrunk), shrunk, seed: origin.seed, took, file }
        }));
        true
    });
    progress.finish();
    all
}

/// The results file. What goes wrong with it is told as a whole message.
struct Results<'a> {
    path: &'a Path,
    file: BufWriter<File>,
}

impl<'a> Results<'a> {
    fn create(path: &'a Path, header: &Header) -> Result<Self, String> {
        let file = File::create(path).map_err(|error| complaint(path, &error))?;
        let mut results = Self { path, file: BufWriter::new(file) };
        results.line(&Line::Campaign(header.clone()))?;
        Ok(results)
    }

    /// Writes a line, to the file at once: what there is must be there if the process is killed.
    fn line(&mut self, line: &Line) -> Result<(), String> {
        write(&mut self.file, line).and_then(|()| self.file.flush()).map_err(|error| complaint(self.path, &error))
    }

    fn end(mut self, runs: u64, stopped: Option<String>) -> Result<(), String> {
        self.line(&Line::End { runs, stopped })
    }
}

fn complaint(path: &Path, error: &std::io::Error) -> String {
    format!("--results {}: it cannot be written: {error}", path.display())
}
