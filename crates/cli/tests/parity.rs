//! `sentinel-lab parity` as it is called.

use std::process::{Command, Output};

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
