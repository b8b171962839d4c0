//! Whatever stands in a file: an answer comes soon, and never as a panic.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use sentinel_lab_scenario::{Options, parse};

const SCENARIO: &str = "\
title: &title the master is killed
cluster:
  masters: [{name: a, quorum: 1}, {name: b, down_after: 1m 30s}]
  zones: {x: [redis-1, sentinel-1]}
  priorities: {redis-2: 0}
clients:
  - {id: writer, count: 3, workload: counter, rate: 10/s, zone: x}
timeline:
  - {at: 10s, kill: master:b, for: 5s}
  - {on: +switch-master, after: 2s, override: {of: sentinel-1, answer: {slow: 300ms}}}
  - {at: 20s, partition: {from: [zone:x], to: [redis-2, client:writer-1], one_way: true}}
  - {at: 30s, clock_jump: {of: sentinel-2, by: -3s}}
expect: {recovered_within: 12s, waive: {I4: *title}}
";

/// Parses, and looks at the errors as a user would.
fn survives(source: &str) -> Option<String> {
    let errors = parse(source, "hostile.yaml", &Options::default()).err()?;
    assert!(!errors.problems().is_empty());
    let handler = miette::GraphicalReportHandler::new_themed(miette::GraphicalTheme::unicode_nocolor());
    assert!(errors.snippets(&handler).len() >= errors.problems().len());
    Some(errors.to_string())
}

#[test]
fn the_scenario_itself_is_right() {
    assert_eq!(survives(SCENARIO), None);
}

#[test]
fn alias_bombs_are_defused() {
    let mut bomb = "title: t\na0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let alias = format!("*a{}", level - 1);
        let line = format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 9].join(", "));
        bomb.push_str(&line);
    }
    assert!(survives(&bomb).is_some());
}

#[test]
fn depth_and_size_are_limited() {
    assert!(survives(&"[".repeat(100_000)).is_some());
    assert!(survives(&"a: ".repeat(10_000)).is_some());
    assert!(survives(&"- ".repeat(100_000)).is_some());
    assert!(survives(&"x".repeat(2 << 20)).unwrap().contains("too large"));
    assert!(
        survives(&format!("title: t\nclients: [{}]", "{id: w, count: 1000, workload: queue},".repeat(5_000))).is_some()
    );
}

#[test]
fn odd_bytes() {
    for source in
        ["\u{feff}", "\0", "title: \u{7}", "\u{2028}", "%YAML 1.2\n---\n", "? [a]\n: b", "~: x", "<<: 3", "!!binary x"]
    {
        assert!(survives(source).is_some(), "{source:?}");
    }
}

/// Pieces that matter to YAML or to a scenario.
const PIECES: [&str; 26] = [
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "- ",
    "\n",
    "  ",
    "&a ",
    "*a",
    "<<: *a",
    "!!int ",
    "'",
    "\"",
    "|",
    ">",
    "#",
    "null",
    "~",
    "18446744073709551615s1000ms",
    "-1",
    "1e999",
    "🔑",
    "master",
    "---\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn mutated_scenarios(edits in vec((any::<Index>(), 0_usize..8, any::<Index>()), 1..6)) {
        let mut source: Vec<char> = SCENARIO.chars().collect();
        for (at, removed, piece) in edits {
            let start = at.index(source.len() + 1);
            let end = (start + removed).min(source.len());
            source.splice(start..end, PIECES[piece.index(PIECES.len())].chars());
        }
        survives(&source.into_iter().collect::<String>());
    }

    #[test]
    fn any_text(source in "\\PC{0,80}") {
        survives(&source);
    }
}
