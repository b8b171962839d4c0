//! The arguments: types only, no execution.

use std::convert::Infallible;
use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::chaos::args::{ChaosArgs, MergeArgs, seeds};

/// Take Redis Sentinel clients through failovers in virtual time.
///
/// A scenario file says what happens to a cluster and its clients. The cluster is a fake one with the real algorithm,
/// the clients are real and talk TCP, and the clock is virtual: 45 seconds pass in milliseconds, and the same seed gives
/// the same run.
#[derive(Debug, Parser)]
#[command(
    name = "sentinel-lab",
    version,
    after_help = "Exit codes: 0 all runs pass, 1 a violation, 2 unusable arguments or scenario, 3 inconclusive, 141 the \
                  reader of standard output went away before all was written."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run scenarios and judge them
    Run(RunArgs),
    /// Serve the cluster of a scenario in real time, for clients in any language
    Serve(ServeArgs),
    /// Read scenario files and report every error, without running them
    Check(CheckArgs),
    /// Run scenarios in the lab and on real Redis processes, and name every difference
    Parity(ParityArgs),
    /// Find out what random faults, or every fault at every moment, do to a client, and shrink that to a few lines
    Chaos(ChaosArgs),
    /// Join the results of the shards of a campaign
    Merge(MergeArgs),
    /// Do runs as told on standard input
    #[command(hide = true)]
    ChaosWorker,
    /// Run clients against scenarios and print which survives what
    Matrix(MatrixArgs),
    /// List the clients that can be put under test
    Drivers(DriversArgs),
    /// Print the JSON Schema of scenario files, for editors
    Schema(SchemaArgs),
}

#[derive(Debug, ClapArgs)]
pub(crate) struct RunArgs {
    /// Scenario files, or folders whose *.yaml files are run, also those of folders in them
    #[arg(required = true, value_name = "FILE|FOLDER")]
    pub paths: Vec<PathBuf>,

    /// Root seed of the first run
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Run each scenario this often, with the seeds that follow
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub repeat: u64,

    /// What other commands have for that; says what to write here
    #[arg(long = "seeds", hide = true, value_name = "A..B", value_parser = seed_and_repeat)]
    _seeds: Option<Infallible>,

    /// Runs at a time [default: the number of cores]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub jobs: Option<u64>,

    /// Driver of the clients that name none; several, or `all`, run one after the other (`sentinel-lab drivers` lists them).
    /// `exec:COMMAND` is a program in any language, in real time: see docs/writing-a-driver.md
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values_t = [drivers::DEFAULT.to_owned()])]
    pub driver: Vec<String>,

    /// Write what happened as NDJSON, one record a line; every run begins with a line that describes it
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,

    /// Run everything twice and name the first record that differs
    #[arg(long)]
    pub check_determinism: bool,

    /// Show the timeline of every run, not only of those that did not pass
    #[arg(long)]
    pub timeline: bool,

    /// What to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,

    /// Colours
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

/// What `run` has for the `--seeds` of `chaos` and `matrix`.
fn seed_and_repeat(text: &str) -> Result<Infallible, String> {
    let [seed, repeat] = match (seeds(text), text.parse::<u64>()) {
        (Ok(seeds), _) if seeds.end < u64::MAX => [seeds.start, seeds.end - seeds.start],
        (_, Ok(repeat)) if repeat > 0 => [1, repeat],
        _ => [1, 5],
    };
    Err(format!("`run` counts its runs: write `--seed {seed} --repeat {repeat}` for {repeat} from seed {seed} on"))
}

/// How many seeds `matrix` takes; where a range was meant, as `chaos` has it, the error says how to write that.
fn number_of_seeds(text: &str) -> Result<u64, String> {
    const MOST: u64 = 100_000;
    match (text.parse::<u64>(), seeds(text)) {
        (Ok(number), _) if (1..=MOST).contains(&number) => Ok(number),
        (Err(_), Ok(range)) if range.end < u64::MAX => Err(format!(
            "`matrix` counts its seeds: write `--seed {} --seeds {}` for the same ones",
            range.start,
            range.end - range.start
        )),
        _ => Err(format!("from 1 to {MOST} seeds can be tried")),
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct ServeArgs {
    /// The scenario file, whose clients are not run; or FILE.conf, the configuration of one Sentinel, which is kept as Redis does
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Run the scenario's timeline too, end with it, and judge what came of it
    #[arg(long)]
    pub timeline: bool,

    /// Port of redis-1; the other data nodes have those that follow [default: free ones]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,

    /// Port of sentinel-1; the other Sentinels have those that follow [default: free ones]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub sentinel_port: Option<u16>,

    /// Loopback address of all nodes
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = loopback)]
    pub bind: IpAddr,

    /// Where the certificate goes that clients are to trust, if the cluster speaks TLS [default: a file in the folder for temporary
    /// ones, which is removed at the end]
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,

    /// Seed of what the cluster draws: elections, ids [default: another one each time]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// Take faults from standard input, one a line, as in a timeline: `kill: master`, `{hang: sentinel-1, for: 5s}`
    #[arg(long)]
    pub stdin: bool,

    /// Print the addresses only, not what happens
    #[arg(long, short)]
    pub quiet: bool,

    /// What to print: text for people, or a JSON object with the addresses and then one for each thing that happens
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// An address of this machine that nobody else reaches.
fn loopback(text: &str) -> Result<IpAddr, String> {
    match text.parse::<IpAddr>() {
        Ok(addr) if addr.is_loopback() => Ok(addr),
        Ok(_) => Err("nodes have no protection; only a loopback address will do, such as 127.0.0.1 or ::1".to_owned()),
        Err(_) => Err("write an IP address, such as 127.0.0.1 or ::1".to_owned()),
    }
}

#[derive(Debug, ClapArgs)]
pub(crate) struct CheckArgs {
    /// Scenario files, or folders whose *.yaml files are read, also those of folders in them
    #[arg(required = true, value_name = "FILE|FOLDER")]
    pub paths: Vec<PathBuf>,
}

/// Needs redis-server and redis-sentinel. Each scenario is run on real processes on loopback, in real time, and many times
/// in the lab. The clients of a scenario are not run. A step that real processes cannot take is refused.
#[derive(Debug, ClapArgs)]
pub(crate) struct ParityArgs {
    /// Scenario files, or folders whose *.yaml files are run, also those of folders in them
    #[arg(required = true, value_name = "FILE|FOLDER")]
    pub paths: Vec<PathBuf>,

    /// Real runs of each scenario
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub repeat: u64,

    /// Runs of each scenario in the lab, with the seeds from 0 on
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub lab_runs: u64,

    /// Real clusters at a time. They mostly wait, but more than the machine can serve at once distort the times
    #[arg(long, short, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    pub jobs: u64,

    /// Take down_after from here instead of from the scenario; several one after the other: 1s,3s
    #[arg(long, value_name = "TIME", value_delimiter = ',', value_parser = humantime::parse_duration)]
    pub down_after: Vec<std::time::Duration>,

    /// Show every event at leader and followers, real and lab side by side
    #[arg(long)]
    pub timeline: bool,

    /// What to print
    #[arg(long, value_enum, default_value_t = ParityFormat::Text)]
    pub format: ParityFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ParityFormat {
    /// Phases and differences for people
    Text,
    /// One JSON document a scenario, a line each
    Json,
    /// One table of the medians of all scenarios
    Markdown,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct DriversArgs {
    /// List the clients that are wrong on purpose instead
    #[arg(long)]
    pub zoo: bool,
}

/// Exit codes: 0 every cell passes or is not applicable, 1 one fails, 2 unusable arguments or scenario, 3 one is inconclusive
/// and none fails. With `--drivers zoo`: 0 if each scenario names wrong clients and catches those, and the client without a defect
/// passes; else 1.
#[derive(Debug, ClapArgs)]
pub(crate) struct MatrixArgs {
    /// Scenario files, or folders whose *.yaml files are run, also those of folders in them
    #[arg(value_name = "FILE|FOLDER", default_value = "scenarios")]
    pub paths: Vec<PathBuf>,

    /// Clients to run, by name; `all` drivers; `exec:COMMAND`, a program in any language, in real time; or `zoo`, the clients
    /// that are wrong on purpose, for which scenario catches which
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values_t = ["all".to_owned()])]
    pub drivers: Vec<String>,

    /// Root seed of the first run of each scenario and driver
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,

    /// Runs of each scenario with each driver, with the seeds that follow; a driver in real time runs once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = number_of_seeds)]
    pub seeds: u64,

    /// Runs in virtual time at a time [default: the number of cores]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub jobs: Option<u64>,

    /// What to print
    #[arg(long, value_enum, default_value_t = MatrixFormat::Text)]
    pub format: MatrixFormat,

    /// Write to a file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Colours
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MatrixFormat {
    /// A table for people, and a reason for every cell that did not pass
    Text,
    /// One JSON document
    Json,
    /// A page of Markdown
    Markdown,
}

#[derive(Debug, ClapArgs)]
pub(crate) struct SchemaArgs {
    /// Write to a file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One line a run for people, and the reasons where one did not pass
    Text,
    /// One JSON document a run, a line each, with a digest of the history
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    Always,
    Never,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_are_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn matrix_counts_its_seeds() {
        assert_eq!(number_of_seeds("100000"), Ok(100_000));
        assert!(number_of_seeds("3..8").expect_err("a range").contains("`--seed 3 --seeds 5`"));
        for wrong in ["0", "100001", "x", "5..", "-1"] {
            assert!(number_of_seeds(wrong).expect_err(wrong).contains("from 1 to 100000 seeds"), "{wrong}");
        }
    }

    #[test]
    fn run_says_what_it_has_for_seeds() {
        let told = |seeds: &str| {
            let args = Args::try_parse_from(["sentinel-lab", "run", "--seeds", seeds, "kill.yaml"]);
            args.expect_err("no argument of run").to_string()
        };
        for (seeds, right) in [
            ("1..6", "--seed 1 --repeat 5"),
            ("7..=9", "--seed 7 --repeat 3"),
            ("20", "--seed 1 --repeat 20"),
            ("x", "--seed 1 --repeat 5"),
        ] {
            assert!(told(seeds).contains(&format!("write `{right}`")), "{}", told(seeds));
        }
    }
}
