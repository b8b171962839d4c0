//! `sentinel-lab parity` as it is called.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

const BY_HAND: &str = "
title: a failover by hand
cluster: {master: mymaster, replicas: 2, sentinels: 3, down_after: 1s, failover_timeout: 6s}
timeline:
  - {at: 4s, failover: {via: sentinel-1}}
run_for: 8s
";

const OF_LINKS: &str = "
title: not for processes
cluster: {master: mymaster, replicas: 2, sentinels: 3}
timeline:
  - {at: 1s, kill: master}
  - {at: 2s, hang: redis-2}
  - at: 3s
    partition: [master, replicas]
";

/// Runs it on a scenario of this text.
fn parity(scenario: &str, arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("it.yaml"), scenario).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel-lab"));
    command.current_dir(folder.path()).args(["parity", "it.yaml"]).args(arguments);
    command.output().expect("it runs")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn what_processes_cannot_do_is_named_with_its_place() {
    let output = parity(OF_LINKS, &[]);
    assert_eq!(output.status.code(), Some(2));
    let complaints = text(&output.stderr);
    for start in [
        "it.yaml:6:5: step 2 of the timeline: real processes cannot play hang redis-2: they can take kill, restart,",
        "it.yaml:7:5: step 3 of the timeline: real processes cannot play partition master and replicas: they can take",
    ] {
        assert!(complaints.contains(start), "{complaints}");
    }
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn as_json() {
    if real::required("the JSON form of parity").is_none() {
        return;
    }
    let output = parity(BY_HAND, &["--repeat", "2", "--lab-runs", "40", "--format", "json"]);
    let document = text(&output.stdout);
    assert_eq!(document.lines().count(), 1, "{document} {}", text(&output.stderr));
    let document: Value = serde_json::from_str(document).expect("JSON");
    assert_eq!(
        [&document["name"], &document["real_runs"], &document["lab_runs"]],
        ["it", "2", "40"].map(word).each_ref()
    );
    let phases = document["episodes"][0]["phases"].as_array().expect("phases");
    let names: Vec<_> = phases.iter().filter_map(|row| row["phase"].as_str()).collect();
    assert!(
        ["elected", "told", "promoted", "switched", "all_switched"].iter().all(|it| names.contains(it)),
        "{names:?}"
    );
    for row in phases {
        let count = |side: &str| row[side]["count"].as_u64();
        assert_eq!([count("real"), count("lab")], [Some(2), Some(40)], "{row}");
    }
    let differences = |key: &str| document[key].as_array().expect("an array").len();
    let code = i32::from(differences("times_differ") + differences("events_differ") > 0);
    assert_eq!(output.status.code(), Some(code), "{document}");
}

fn word(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| text.into(), Value::from)
}

#[test]
fn as_markdown() {
    if real::required("the table of parity").is_none() {
        return;
    }
    let arguments = ["--repeat", "1", "--lab-runs", "40", "--down-after", "1s,2s", "--format", "markdown"];
    let output = parity(BY_HAND, &arguments);
    let table: Vec<&str> = text(&output.stdout).lines().collect();
    let [head, rule, first, second] = table[..] else { panic!("{table:?} {}", text(&output.stderr)) };
    assert!(head.starts_with("| scenario | runs | elected | told |"), "{head}");
    assert!(rule.starts_with("|---|---|---|"), "{rule}");
    assert!(first.starts_with("| it 1s | 1 / 40 | "), "{first}");
    assert!(second.starts_with("| it 2s | 1 / 40 | "), "{second}");
    let cells = |line: &str| line.split('|').count();
    assert!([rule, first, second].iter().all(|line| cells(line) == cells(head)), "{table:?}");
    let code = i32::from(!output.stderr.is_empty());
    assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
}

const QUICK: &str = "
title: nothing much
cluster: {master: mymaster, replicas: 1, sentinels: 1, quorum: 1, down_after: 1s, failover_timeout: 6s}
timeline:
  - {at: 2s, freeze: master, for: 100ms}
run_for: 4s
";

/// The folders of the real processes below this one.
fn rooms(temp: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(temp).expect("read").flatten().map(|entry| entry.path());
    entries.filter(|path| path.to_string_lossy().contains("sentinel-lab-real-")).collect()
}

/// The processes that live below a folder: Redis goes to its own, and writes over its command line.
fn processes_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir("/proc").expect("read").flatten();
    let homes = entries.filter_map(|entry| std::fs::read_link(entry.path().join("cwd")).ok());
    homes.filter(|home| home.starts_with(folder)).collect()
}

/// Looks every 20 ms, for as long as anything may take: real processes tell nobody that they have started.
fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !done() {
        assert!(Instant::now() < deadline, "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_one_leaves_nothing_and_says_what_it_has() {
    if real::required("parity that is interrupted").is_none() {
        return;
    }
    for signal in ["-INT", "-TERM"] {
        let folder = tempfile::tempdir().expect("a folder");
        let temp = folder.path().join("temp");
        std::fs::create_dir(&temp).expect("made");
        std::fs::write(folder.path().join("it.yaml"), QUICK).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel-lab"));
        command.current_dir(folder.path()).env("TMPDIR", &temp);
        command.args(["parity", "it.yaml", "--repeat", "50", "--lab-runs", "20", "--jobs", "1"]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        wait_until("the first cluster", || rooms(&temp).len() == 3);
        if signal == "-INT" {
            let first = rooms(&temp);
            wait_until("the second cluster", || rooms(&temp).iter().filter(|room| !first.contains(room)).count() == 3);
        }
        wait_until("its processes", || !processes_in(&temp).is_empty());
        let told = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(told.expect("kill").success());
        let output = child.wait_with_output().expect("ends");
        assert_eq!(rooms(&temp), Vec::<PathBuf>::new());
        assert_eq!(processes_in(&temp), Vec::<PathBuf>::new());
        let complaints = text(&output.stderr);
        if signal == "-INT" {
            assert!(complaints.contains("interrupted after 1 of 50 real runs"), "{complaints}");
            assert!(text(&output.stdout).contains("(1 real runs, 20 in the lab"), "{}", text(&output.stdout));
        } else {
            assert!(complaints.contains("interrupted after 0 of 50 real runs"), "{complaints}");
            assert_eq!(text(&output.stdout), "");
            assert_eq!(output.status.code(), Some(3));
        }
        assert!([Some(3), Some(1)].contains(&output.status.code()), "{:?}", output.status);
    }
}
