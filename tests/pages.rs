//! The pages that `sentinel-lab matrix` makes are up to date: every scenario, driver and defect is on them, and what they
//! say of the zoo and of the default driver is so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Outcome, Plan, Seed};
use testbed::Run;
use testbed::driver::Driver;
use zoo::{Defect, Zoo};

/// Seeds of which one must show what a page says.
const SEEDS: u64 = 3;

/// Defects that no scenario catches, and why.
const UNCAUGHT: &[(&str, &str)] =
    &[("needs-replica", "whether a client reads from the master when there is no replica is its own choice")];

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn page(name: &str) -> String {
    let file = root("docs").join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The cells of the rows of the table whose head begins with `first`, without head and ruler.
fn table<'a>(page: &'a str, first: &str) -> Vec<Vec<&'a str>> {
    let head = format!("| {first} |");
    let lines = page.lines().skip_while(|line| !line.starts_with(&head)).take_while(|line| line.starts_with('|'));
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// Every scenario by the name of its file.
fn scenarios() -> BTreeMap<String, Plan> {
    let files = scenario::files(&root("scenarios")).expect("the scenarios");
    let load = |file: &PathBuf| {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, scenario::load(file, &scenario::Options::default()).unwrap_or_else(|error| panic!("{error}")))
    };
    // What chaos found once is no page of the gallery.
    files.iter().filter(|file| !file.iter().any(|part| part == "regressions")).map(load).collect()
}

fn outcome(plan: &Plan, seed: u64, driver: Zoo) -> Outcome {
    let drivers = std::iter::once(Arc::new(driver) as Arc<dyn Driver>).chain(drivers::all()).collect();
    Run::new(plan.clone(), Seed(seed), drivers)
        .run()
        .unwrap_or_else(|error| panic!("{driver:?}: {error}"))
        .verdict
        .outcome
}

fn fails(plan: &Plan, defect: Defect) -> bool {
    (1..=SEEDS).any(|seed| outcome(plan, seed, Zoo(Some(defect))) == Outcome::Fail)
}

fn short(defect: Defect) -> &'static str {
    defect.name().trim_start_matches("wrong-")
}

#[test]
fn every_defect_is_caught_by_what_the_page_names() {
    let scenarios = scenarios();
    let page = page("zoo.md");
    let rows = table(&page, "defect");
    let named: BTreeSet<&str> = rows.iter().skip(2).map(|row| row[0]).collect();
    assert_eq!(named, Defect::ALL.iter().copied().map(short).collect());
    for row in rows.iter().skip(2) {
        let defect = *Defect::ALL.iter().find(|defect| short(**defect) == row[0]).expect("a defect");
        if row[2] == "**nothing**" {
            assert!(UNCAUGHT.iter().any(|(uncaught, _)| *uncaught == row[0]), "nothing catches {}", row[0]);
            continue;
        }
        let by: Vec<&str> = row[2].split(", ").collect();
        let plan = scenarios.get(by[0]).unwrap_or_else(|| panic!("{}: no scenario {}", row[0], by[0]));
        assert!(fails(plan, defect), "{} does not catch {}", by[0], row[0]);
    }
}

#[test]
fn every_scenario_catches_what_the_page_names() {
    let scenarios = scenarios();
    let page = page("zoo.md");
    let rows = table(&page, "scenario");
    let named: Vec<&str> = rows.iter().skip(2).map(|row| row[0]).collect();
    assert_eq!(named.iter().copied().collect::<BTreeSet<_>>(), scenarios.keys().map(String::as_str).collect());
    for row in rows.iter().skip(2) {
        let plan = &scenarios[row[0]];
        let first = row[1].split(", ").next().expect("a word");
        let defect = Defect::ALL.iter().find(|defect| short(**defect) == first);
        let defect = *defect.unwrap_or_else(|| panic!("{} catches {first}", row[0]));
        assert!(fails(plan, defect), "{} does not catch {first}", row[0]);
        assert_eq!(outcome(plan, 1, Zoo(None)), Outcome::Pass, "{} without a defect", row[0]);
    }
}

/// The test of the scenarios holds the default driver to what the page says of it.
#[test]
fn the_matrix_has_every_scenario_and_driver() {
    let page = page("matrix.md");
    let rows = table(&page, "scenario");
    let drivers = drivers::all();
    let drivers: Vec<&str> = drivers.iter().map(|driver| driver.name()).collect();
    assert_eq!(rows[0][1..], drivers);
    let named: BTreeSet<&str> = rows[2..rows.len() - 1].iter().map(|row| row[0]).collect();
    assert_eq!(named, scenarios().keys().map(String::as_str).collect());
    for row in &rows[2..rows.len() - 1] {
        assert!(row[1].starts_with("pass"), "{}: {} is not what the default driver does", row[0], row[1]);
    }
}
