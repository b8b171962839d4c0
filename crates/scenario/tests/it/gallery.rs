//! The gallery's table, `scenarios/README.md`, and its folders say the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use model::verdict::Rule;
use sentinel_lab_scenario::{Options, parse};

/// Ways of failing that the gallery is about.
const MODES: usize = 72;

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

/// The cells of every row of a table, without its heading.
fn rows(text: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| mode ")).map(cells);
    rows.collect()
}

/// Every file in a folder of the gallery, as the table names it.
fn files() -> BTreeSet<String> {
    let all = sentinel_lab_scenario::files(&scenarios()).unwrap();
    let names = all.iter().map(|path| path.strip_prefix(scenarios()).unwrap().to_str().unwrap().to_owned());
    names.filter(|name| name.starts_with(|c: char| c.is_ascii_digit())).collect()
}

#[test]
fn the_table_of_the_gallery_and_its_folders_agree() {
    let text = std::fs::read_to_string(scenarios().join("README.md")).unwrap();
    let modes = rows(&text);
    let ids: BTreeSet<&String> = modes.iter().map(|row| &row[0]).collect();
    assert_eq!((modes.len(), ids.len()), (MODES, MODES), "a row for each mode, and each once");
    let mut there = BTreeSet::new();
    for row in &modes {
        let [id, file, rules, seen] = row.as_slice() else { panic!("four cells: {row:?}") };
        let name = file.split(['[', ']']).nth(1).unwrap_or_default().to_owned();
        assert!(name.ends_with(&format!("/{id}.yaml")), "{id}: its file is called {name}");
        assert_eq!(*file, format!("[{name}]({name})"));
        let scenario = std::fs::read_to_string(scenarios().join(&name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(scenario.contains(&format!("\n# Seen: {seen}.\n")), "{name}: the threads are not those of the table");
        let plan = parse(&scenario, &name, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
        let told: BTreeSet<String> = rules.split(", ").map(str::to_owned).collect();
        let broken: BTreeSet<String> = plan.expect.catches.values().copied().map(Rule::word).collect();
        assert_eq!(told, broken, "{id}: what the table has, and what its wrong clients break");
        there.insert(name);
    }
    assert_eq!(files(), there, "the files of the folders, and those of the table");
}

#[test]
fn every_scenario_of_the_gallery_says_what_is_wrong_and_what_is_right() {
    for name in files() {
        let text = std::fs::read_to_string(scenarios().join(&name)).unwrap();
        let comment: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# ")).collect();
        let comment = comment.join(" ");
        for needed in ["wrong", "correct", "Seen: "] {
            assert!(comment.contains(needed), "{name}: its comment does not say `{needed}`");
        }
    }
}
