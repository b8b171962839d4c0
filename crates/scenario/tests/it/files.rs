//! The scenario files of the project, and their schema.

use std::path::{Path, PathBuf};

use crate::plans;
use sentinel_lab_scenario::{Options, load, parse, render, schema};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every scenario file, with its text.
fn files() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for folder in ["scenarios", "tests/canary"] {
        for path in sentinel_lab_scenario::files(&root().join(folder)).unwrap() {
            let text = std::fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
    files.sort();
    assert!(files.len() >= 50, "only {} scenario files", files.len());
    files
}

#[test]
fn every_file_is_a_scenario() {
    for (path, _) in files() {
        let plan = load(&path, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
        assert!(!plan.clients.is_empty(), "{}: no client", path.display());
        assert!(!plan.timeline.is_empty(), "{}: nothing happens", path.display());
    }
}

#[test]
fn every_file_fits_the_schema_and_names_it() {
    for (path, text) in files() {
        let errors = plans::schema_errors(&text);
        assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        let reference = text.lines().next().and_then(|line| line.strip_prefix("# yaml-language-server: $schema="));
        let schema = path.parent().unwrap().join(reference.expect("the first line names the schema"));
        assert!(schema.exists(), "{}: no schema at {}", path.display(), schema.display());
    }
}

#[test]
fn every_file_reads_back_from_its_rendering() {
    for (path, text) in files() {
        let plan = parse(&text, "file", &Options::default()).unwrap();
        assert_eq!(parse(&render(&plan), "rendered", &Options::default()), Ok(plan), "{}", path.display());
    }
}

/// `UPDATE_SCHEMA=1 cargo test -p sentinel-lab-scenario` writes it anew.
#[test]
fn the_committed_schema_is_up_to_date() {
    let path = root().join("scenarios/schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, schema()).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == schema(), "scenarios/schema.json is stale: run this test with UPDATE_SCHEMA=1");
}

#[test]
fn the_schema_finds_what_is_wrong_with_one_key() {
    for wrong in [
        "title: t\nrun_for: 100 msec",
        "title: t\nclients: [{id: w}]",
        "title: t\ncluster: {down_after: 5}",
        "title: t\ntimeline: [{at: 5s, kill: slave}]",
        "title: t\ntimeline: [{at: 5s, kill: master, thaw: master}]",
        "title: t\ntimeline: [{kill: master}]",
        "title: t\nfoo: bar",
        "cluster: {}",
    ] {
        assert!(!plans::schema_errors(wrong).is_empty(), "{wrong}");
    }
}
