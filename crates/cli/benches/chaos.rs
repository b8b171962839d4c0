//! Chaos in the default profile, end to end: worker processes and the default client, over real sockets and over connections within
//! the process. How many runs a second with one job and with two, and how many times faster than real clusters that is on a core.
//!
//! `-- memory [RUNS]` does one long campaign instead (50,000 runs if not said otherwise) and looks at what the command and
//! its workers hold after a tenth of it and at the end; it ends with a failure if that has grown.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use serde_json::Value;

const LAB: &str = env!("CARGO_BIN_EXE_sentinel-lab");
const DRIVERS: [&str; 2] = ["sentinel-client", "sentinel-client-memory"];
/// Runs that are measured, and before them those that warm up.
const RUNS: u64 = 2_000;
const WARM_UP: u64 = 100;
/// By how much the memory may differ between two looks: pages that the allocators keep come and go.
const SLACK: f64 = 1.1;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    match arguments.next().as_deref() {
        Some("memory") => memory(arguments.next().and_then(|runs| runs.parse().ok()).unwrap_or(50_000)),
        _ => speed(),
    }
}

fn campaign(driver: &str, profile: &str, seeds: std::ops::Range<u64>, jobs: u32) -> Command {
    let mut command = Command::new(LAB);
    command.args(["chaos", "--driver", driver, "--no-shrink", "--format", "json", "--profile", profile]);
    command.args(["--seeds", &format!("{}..{}", seeds.start, seeds.end), "--jobs", &jobs.to_string()]);
    command
}

#[allow(clippy::print_stdout)] // A benchmark reports there.
fn speed() -> ExitCode {
    println!("load before: {}", load());
    let mut single = 0.0;
    for (driver, jobs) in DRIVERS.into_iter().flat_map(|driver| [(driver, 1), (driver, 2)]) {
        let run = |seeds: std::ops::Range<u64>| -> Value {
            let output = campaign(driver, "mean", seeds, jobs).output().expect("the command runs");
            serde_json::from_slice(&output.stdout).expect("its report")
        };
        run(1..WARM_UP + 1);
        let report = run(1..RUNS + 1);
        let number = |key: &str| report[key].as_f64().expect("a number");
        let seconds = number("wall_ms") / 1_000.0;
        let rate = number("runs") / seconds;
        let faster = number("virtual_ms") / number("wall_ms") / f64::from(jobs);
        println!(
            "{driver}, {jobs} jobs: {} runs in {seconds:.1} s: {rate:.0} a second, {faster:.0} times as fast as a real cluster per job",
            number("runs")
        );
        if jobs == 1 {
            single = rate;
        } else {
            println!("{:.2} times the rate of one job", rate / single);
        }
    }
    println!("load after: {}", load());
    ExitCode::SUCCESS
}

#[allow(clippy::print_stdout)]
fn memory(runs: u64) -> ExitCode {
    let began = Instant::now();
    let mut command = campaign(DRIVERS[1], "all", 10_000..10_000 + runs / 5, 2);
    command.args(["--results", "/dev/stdout"]).stdout(Stdio::piped());
    let mut child = command.spawn().expect("the command runs");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let (mut done, mut early, mut late) = (0, 0, 0);
    for line in output.lines() {
        if !line.expect("a line").contains("\"kind\":\"run\"") {
            continue;
        }
        done += 1;
        if done % (runs / 10) == 0 {
            late = resident(child.id());
            early = if done == runs / 10 { late } else { early };
            println!("{done} runs: {:.1} MiB, after {:.0} s", mib(late), began.elapsed().as_secs_f64());
        }
    }
    let _ = child.wait();
    if late as f64 <= early as f64 * SLACK && early > 0 {
        println!("memory is flat: {:.1} MiB after a tenth, {:.1} MiB at the end", mib(early), mib(late));
        return ExitCode::SUCCESS;
    }
    println!("memory has grown: from {:.1} MiB to {:.1} MiB", mib(early), mib(late));
    ExitCode::FAILURE
}

/// Bytes that a process and its children hold.
fn resident(pid: u32) -> u64 {
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let of = |pid: u32| {
        let status = read(format!("/proc/{pid}/status").into());
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib << 10)
    };
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let children = tasks.flat_map(|task| {
        let children = read(task.path().join("children"));
        children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()).collect::<Vec<_>>()
    });
    of(pid) + children.map(of).sum::<u64>()
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// What else the machine does.
fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}
