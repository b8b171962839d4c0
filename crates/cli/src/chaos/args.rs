//! The arguments of `chaos` and `merge`.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use chaos::nemesis::Nemesis;
use chaos::profile::Profile;
use chaos::shard::Shard;
use clap::{Args as ClapArgs, ValueEnum};

#[derive(Debug, ClapArgs)]
#[command(after_long_help = profiles())]
pub(crate) struct ChaosArgs {
    /// Driver of the clients, or several, one after the other (`sentinel-lab drivers` lists them). What a schedule asks of the
    /// clients is drawn from what the driver can do
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values_t = [drivers::DEFAULT.to_owned()])]
    pub driver: Vec<String>,

    /// Not at random: these scenarios, or all *.yaml files of folders, each with every fault at every event of its failover
    /// and before and after every message, one at a time
    #[arg(long, value_name = "SCENARIO", num_args = 1.., conflicts_with_all = ["profile", "nemesis", "intensity"])]
    pub systematic: Vec<PathBuf>,

    /// With --systematic: so many cases of each scenario at the most, first those at events, of the rest moments evenly
    /// spread [default: all; a scenario has some hundred thousand]
    #[arg(long, value_name = "N", requires = "systematic", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,

    /// What kind of chaos: gentle, partitions, flapping, lying-sentinels, mean; several, or `all`
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values_t = [Profile::DEFAULT.to_string()])]
    pub profile: Vec<String>,

    /// Only these groups of faults, instead of the profile's weights
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = nemesis)]
    pub nemesis: Vec<Nemesis>,

    /// How many faults surround each failover: up to so many times the profile's number
    #[arg(long, value_name = "1..5", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub intensity: u8,

    /// Seeds, the last one not included; each is a schedule and a run. `A..` goes on until the time limit. With --systematic
    /// each is a run of the scenario that is taken apart [default: 1..1001, with --systematic 1..2]
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub seeds: Option<Range<u64>>,

    /// Runs at a time, each in a process of its own [default: the number of cores]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub jobs: Option<u64>,

    /// Begin no further run after this long, such as 10m; what was found is still shrunk, each for --shrink-time at most. Then not all was run, which is inconclusive, unless seeds without an
    /// end were asked for: `--seeds 1.. --time-limit 10m`
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub time_limit: Option<Duration>,

    /// Stop at the first run of a driver that fails; the next driver follows. Runs that were under way beside it count too
    #[arg(long)]
    pub fail_fast: bool,

    /// Only a part of the seeds, m/n; by default what the variables of array jobs say (JOB_COMPLETION_INDEX and
    /// JOB_COMPLETIONS, SLURM_ARRAY_TASK_ID, AWS_BATCH_JOB_ARRAY_INDEX, TEST_SHARD_INDEX and TEST_TOTAL_SHARDS)
    #[arg(long, value_name = "M/N")]
    pub partition: Option<Shard>,

    /// Write every run as a line of JSON, over what the file has; `merge` joins such files of several shards
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,

    /// Write each finding, shrunk where that can be, as a scenario file of its own into this folder
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,

    /// Run nothing, but write what each seed draws for the first driver, or each case is, as a scenario file into this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["save", "results", "time_limit", "fail_fast"])]
    pub schedules: Option<PathBuf>,

    /// Leave findings as large as they were found. Without this the first 12 of a campaign are shrunk, and the others left so
    #[arg(long)]
    pub no_shrink: bool,

    /// How long the shrinking of one finding may take
    #[arg(long, value_name = "TIME", default_value = "45s", value_parser = duration)]
    pub shrink_time: Duration,

    /// A run that takes more memory than this is a finding
    #[arg(long, value_name = "MIB", default_value_t = 1_024, value_parser = clap::value_parser!(u64).range(64..))]
    pub memory_limit: u64,

    /// A run that takes more real time than this is a finding
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = some_time)]
    pub run_limit: Duration,

    /// What to print
    #[arg(long, value_enum, default_value_t = ChaosFormat::Text)]
    pub format: ChaosFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ChaosFormat {
    /// A report for people of each campaign: of each profile or scenario with each driver
    Text,
    /// One JSON document a campaign, a line each
    Json,
    /// A table in Markdown with a row for each driver, which says what seed first showed something, and how small that became
    Markdown,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct MergeArgs {
    /// Files that `chaos --results` wrote, one of each shard
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// What to print
    #[arg(long, value_enum, default_value_t = MergeFormat::Text)]
    pub format: MergeFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MergeFormat {
    /// A report for people of each profile or scenario
    Text,
    /// One JSON document of all that was joined
    Json,
}

pub(crate) fn seeds(text: &str) -> Result<Range<u64>, String> {
    let parsed = text.split_once("..").and_then(|(from, to)| {
        let (from, to) = (from.trim().parse().ok()?, to.trim());
        Some(match to.strip_prefix('=') {
            Some(last) => from..last.parse::<u64>().ok()?.checked_add(1)?,
            None if to.is_empty() => from..u64::MAX,
            None => from..to.parse().ok()?,
        })
    });
    match parsed {
        Some(seeds) if seeds.start < seeds.end => Ok(seeds),
        Some(_) => Err("there is no seed in it".to_owned()),
        None => Err("write `1..1001` for the thousand seeds from 1, `1..` for all from 1".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "write a number with a unit: `90s`, `10m`".to_owned())
}

fn some_time(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|time| if time.is_zero() { Err("nothing runs in no time".to_owned()) } else { Ok(time) })
}

fn nemesis(text: &str) -> Result<Nemesis, String> {
    text.parse().map_err(|()| {
        let names: Vec<&str> = Nemesis::ALL.iter().map(|nemesis| nemesis.name()).collect();
        format!("there is no such nemesis; there are {}", names.join(", "))
    })
}

/// What `--help` says about nemeses and profiles.
fn profiles() -> String {
    let mut text = String::from("Nemeses:\n");
    for nemesis in Nemesis::ALL {
        let _ = writeln!(text, "  {nemesis:9} {}", nemesis.about());
    }
    text += "\nProfiles, with the weights of their nemeses:\n";
    for profile in Profile::ALL {
        let weights = Nemesis::ALL.iter().filter(|nemesis| profile.weight(**nemesis) > 0);
        let weights: Vec<String> = weights.map(|nemesis| format!("{nemesis} {}", profile.weight(*nemesis))).collect();
        let _ = writeln!(text, "  {profile:15} {}", weights.join(", "));
    }
    text + "\nA finding is a kind of violation by a driver, however many runs show it: the rule (I1 to I9, or one of the cluster's own), and \
         which way of violating it: for I1 operations that failed, were executed elsewhere, or of which nothing came, for I2 the \
         node that accepted a command, for I6 what there was too much of, for I9 whose reply it was. It is told with the number of \
         runs, their first seeds, and what was wrong with the first, which is the one that is shrunk: to what still shows this kind. A \
         panic, a crash, a hang and too much memory are kinds too.\n"
        + "\nExit codes: 0 nothing is wrong, 1 a violation, 2 unusable arguments, 3 inconclusive: a kind of fault never fired, a \
         client did too little, or not all was run, 141 the reader of standard output went away before all was written."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range() {
        assert_eq!(seeds("1..5"), Ok(1..5));
        assert_eq!(seeds("1..=5"), Ok(1..6));
        assert_eq!(seeds("7.."), Ok(7..u64::MAX));
        for text in ["5", "5..5", "9..1", "a..b", "0..=18446744073709551615"] {
            assert!(seeds(text).is_err(), "{text}");
        }
    }
}
