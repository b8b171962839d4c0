//! What came of a campaign, in words and as JSON.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use chaos::campaign::{Campaign, Missing, Source, Summary};
use chaos::case::{Ending, is_of_the_cluster};
use chaos::coverage::Coverage;
use chaos::kind::Kind;
use chaos::phase::PHASES;
use chaos::profile::Mix;
use chaos::shard::Shard;
use chaos::shrink::Shrunk;
use serde_json::json;

use super::args::ChaosArgs;
use crate::run::quoted;

/// A finding that is to be shown as a scenario file.
pub(super) struct Saved {
    pub(super) shrunk: Shrunk,
    pub(super) seed: u64,
    pub(super) took: Duration,
    /// The text of the scenario file.
    pub(super) text: String,
    /// Where it was written, if it was to be.
    pub(super) file: Option<std::io::Result<PathBuf>>,
}

/// What the progress bar says.
pub(super) fn progress(coverage: &Coverage, mix: Option<&Mix>, findings: u64) -> String {
    let wanted: Vec<&str> = match mix {
        Some(mix) => mix.kinds().into_iter().map(Kind::name).collect(),
        None => coverage.faults.keys().map(String::as_str).collect(),
    };
    let fired = wanted.iter().filter(|kind| coverage.faults.get(**kind).is_some_and(|counts| counts[1] > 0)).count();
    let came = coverage.phases.values().filter(|counts| counts[0] > 0).count();
    format!("{fired}/{} faults, {came}/{} phases, {findings} failed", wanted.len(), PHASES.len())
}

pub(super) fn text(
    args: &ChaosArgs,
    campaign: &Campaign,
    summary: &Summary,
    saved: &[Option<Saved>],
    elapsed: Duration,
) -> String {
    let mut text = format!("{}, driver {}\n", campaign.source, campaign.driver);
    if let Some(why) = nothing_to_do(campaign) {
        return format!("{text}  {why}");
    }
    for line in account(campaign, summary) {
        let _ = writeln!(text, "  {line}");
    }
    let seconds = elapsed.as_secs_f64().max(0.001);
    let virtual_seconds = summary.virtual_ms as f64 / 1_000.0;
    let _ = writeln!(
        text,
        "  {} runs in {:.1} s ({:.0} a second, shrinking included; {:.0} s of cluster time): {}",
        summary.runs(),
        seconds,
        summary.runs() as f64 / seconds,
        virtual_seconds,
        endings(summary),
    );
    text += &coverage(summary, campaign.source.mix());
    text += &missing(campaign.source.mix().is_none(), summary);
    for (index, finding) in summary.findings.iter().enumerate() {
        let known = known(campaign.source.mix().is_none(), &finding.seeds);
        let _ = writeln!(text, "\n  {} in {} runs ({known})", finding.signature, finding.runs);
        let _ = writeln!(text, "    {}", finding.text);
        let of_the_cluster = is_of_the_cluster(&finding.signature);
        if of_the_cluster && let Some(number) = finding.seeds.first() {
            let _ = writeln!(text, "    replay: {}", replay(args, campaign, *number));
        }
        let Some(saved) = saved.get(index).and_then(Option::as_ref) else { continue };
        let [before, after] = saved.shrunk.faults;
        let cut_short = saved.shrunk.cut_short.map(|why| format!(", {why}")).unwrap_or_default();
        let _ = match saved.shrunk.runs {
            0 => writeln!(text, "    not shrunk{cut_short}"),
            runs => writeln!(
                text,
                "    shrunk from {before} faults to {after} in {runs} runs, {:.1} s{cut_short}",
                saved.took.as_secs_f64()
            ),
        };
        match &saved.file {
            Some(Ok(path)) if of_the_cluster => {
                let _ = writeln!(text, "    saved as {}", path.display());
            }
            Some(Ok(path)) => {
                let driver = &campaign.driver;
                let _ = writeln!(
                    text,
                    "    replay: sentinel-lab run {} --seed {} --driver {driver}",
                    path.display(),
                    saved.seed
                );
            }
            Some(Err(error)) => {
                let _ = writeln!(text, "    error: it cannot be saved: {error}");
            }
            None => {}
        }
        for line in saved.text.lines() {
            let _ = writeln!(text, "      {line}");
        }
    }
    text.trim_end().to_owned()
}

/// Why a campaign has no runs at all, if it has none.
fn nothing_to_do(campaign: &Campaign) -> Option<String> {
    let what = if campaign.source.mix().is_some() { "seeds" } else { "cases" };
    (campaign.runs() == 0).then(|| format!("part {} of the {what} is empty", campaign.shard))
}

/// What a scenario was taken apart into, and how much of that was run; nothing of random chaos.
fn account(campaign: &Campaign, summary: &Summary) -> Vec<String> {
    let Source::Systematic(subject) = &campaign.source else { return Vec::new() };
    let mut lines = subject.account();
    let part = if campaign.shard == Shard::WHOLE { String::new() } else { format!(", part {}", campaign.shard) };
    lines.push(format!("{} of the {} chosen cases were run{part}", summary.runs(), subject.cases()));
    lines
}

/// The command that does the run of this number again, as chaos and nothing else does it: audited.
fn replay(args: &ChaosArgs, campaign: &Campaign, number: u64) -> String {
    let mut command = format!("sentinel-lab chaos --driver {}", campaign.driver);
    let _ = match &campaign.source {
        Source::Random { mix: Mix { profile, nemeses, intensity, .. }, .. } => {
            let _ = write!(command, " --profile {profile}");
            if !nemeses.is_empty() {
                let names: Vec<&str> = nemeses.iter().map(|nemesis| nemesis.name()).collect();
                let _ = write!(command, " --nemesis {}", names.join(","));
            }
            if *intensity > 1 {
                let _ = write!(command, " --intensity {intensity}");
            }
            write!(command, " --seeds {number}..{}", number + 1)
        }
        Source::Systematic(subject) => {
            command += " --systematic";
            for path in &args.systematic {
                let _ = write!(command, " {}", quoted(&path.display().to_string()));
            }
            if let Some(limit) = args.limit {
                let _ = write!(command, " --limit {limit}");
            }
            let seed = subject.seed();
            // The part of as many as there are cases that holds this one.
            write!(command, " --seeds {seed}..{} --partition {number}/{}", seed + 1, subject.cases())
        }
    };
    command
}

/// One case, as it is known.
pub(super) fn one(campaign: &Campaign, id: u64) -> String {
    match &campaign.source {
        Source::Random { .. } => format!("seed {id}"),
        Source::Systematic(subject) => format!("case {id} ({})", subject.describe(id as usize)),
    }
}

/// By what the cases of a finding are known: `seeds 3, 17`.
pub(super) fn known(systematic: bool, seeds: &[u64]) -> String {
    let numbers: Vec<String> = seeds.iter().map(ToString::to_string).collect();
    format!("{} {}", if systematic { "cases" } else { "seeds" }, numbers.join(", "))
}

pub(super) fn endings(summary: &Summary) -> String {
    let words = [
        (Ending::Pass, "passed"),
        (Ending::Inconclusive, "inconclusive"),
        (Ending::Fail, "failed"),
        (Ending::Broken, "broke"),
    ];
    let counts = words.iter().map(|(ending, word)| (summary.ended(*ending), word));
    let counts: Vec<String> =
        counts.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    counts.join(", ")
}

/// How often each fault fired and each phase came.
pub(super) fn coverage(summary: &Summary, mix: Option<&Mix>) -> String {
    let mut text = String::new();
    let coverage = &summary.coverage;
    let [planned, fired] = coverage.total();
    let _ = writeln!(text, "  {fired} of {planned} faults fired and hit:");
    text += &columns(coverage.faults.iter().map(|(name, counts)| format!("{name} {}/{}", counts[1], counts[0])));
    let _ =
        writeln!(text, "  phases, each with the number of runs that came to it and of the faults that fired in it:");
    let phases = PHASES.iter().map(|phase| {
        let [runs, faults] = coverage.phases.get(phase.as_str()).copied().unwrap_or_default();
        format!("{phase} {runs}/{faults}")
    });
    text += &columns(phases);
    for gap in summary.gaps(mix) {
        let _ = writeln!(text, "  inconclusive: {gap}");
    }
    text
}

pub(super) fn missing(systematic: bool, summary: &Summary) -> String {
    let mut text = String::new();
    for (what, Missing { runs, seeds }) in &summary.missing {
        let _ = writeln!(text, "  inconclusive in {runs} runs ({}): {what}", known(systematic, seeds));
    }
    text
}

/// Entries in lines of at most 110 characters.
fn columns(entries: impl Iterator<Item = String>) -> String {
    let mut text = String::new();
    let mut line = String::new();
    for entry in entries {
        if !line.is_empty() && line.len() + entry.len() > 104 {
            let _ = writeln!(text, "    {line}");
            line.clear();
        }
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(&entry);
    }
    if !line.is_empty() {
        let _ = writeln!(text, "    {line}");
    }
    text
}

pub(super) fn json(campaign: &Campaign, summary: &Summary, saved: &[Option<Saved>], elapsed: Duration) -> String {
    let findings: Vec<_> = summary
        .findings
        .iter()
        .enumerate()
        .map(|(index, finding)| {
            let saved = saved.get(index).and_then(Option::as_ref);
            json!({
                "finding": finding,
                "faults": saved.map(|saved| saved.shrunk.faults[1]),
                "shrink_runs": saved.map(|saved| saved.shrunk.runs),
                "shrink_cut_short": saved.map(|saved| saved.shrunk.cut_short),
                "shrink_ms": saved.map(|saved| saved.took.as_millis() as u64),
                "scenario": saved.map(|saved| &saved.text),
            })
        })
        .collect();
    json!({
        "profile": campaign.source.name(),
        "account": account(campaign, summary),
        "driver": campaign.driver,
        "runs": summary.runs(),
        "endings": summary.endings,
        "virtual_ms": summary.virtual_ms,
        "wall_ms": elapsed.as_millis() as u64,
        "coverage": summary.coverage,
        "gaps": nothing_to_do(campaign).map_or_else(|| summary.gaps(campaign.source.mix()), |why| vec![why]),
        "missing": summary.missing,
        "findings": findings,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::args::{Args, Command};
    use crate::chaos::setup::Setup;

    /// What is told of a violation of the cluster's own rules in the run of this number.
    fn told(arguments: &str, number: u64) -> String {
        let command = Args::parse_from(format!("sentinel-lab chaos {arguments}").split(' ')).command;
        let Command::Chaos(args) = command else { panic!("it is chaos") };
        let campaign = Setup::of(&args).expect("a campaign").campaigns(1).next().expect("a campaign");
        let mut summary = Summary::default();
        summary.findings.push(chaos::campaign::Finding {
            signature: "cluster: agreement".to_owned(),
            driver: campaign.driver.clone(),
            runs: 1,
            seeds: vec![number],
            text: "two masters".to_owned(),
        });
        text(&args, &campaign, &summary, &[], Duration::ZERO)
    }

    #[test]
    fn what_only_chaos_judges_is_replayed_by_chaos() {
        let text = told("--profile gentle --nemesis reaper,reaper --intensity 2 --seeds 1..99", 17);
        let replay = "replay: sentinel-lab chaos --driver sentinel-client --profile gentle --nemesis reaper \
                      --intensity 2 --seeds 17..18";
        assert!(text.ends_with(replay), "{text}");
        let kill = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios/kill.yaml");
        let text = told(&format!("--systematic {kill} --limit 8 --seeds 3..4"), 5);
        assert!(text.ends_with(&format!("--systematic {kill} --limit 8 --seeds 3..4 --partition 5/8")), "{text}");
    }
}
