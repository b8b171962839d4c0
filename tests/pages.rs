//! The pages that `sentinel-lab matrix` makes are up to date: every scenario, driver and defect is on them, and what they
//! say of the zoo and of the default driver is so. And each scenario catches the wrong clients that it exists for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::verdict::{Rule, Severity};
use model::{Outcome, Plan, Seed, Verdict};
use testbed::Run;
use testbed::driver::Driver;
use zoo::{Defect, Zoo};

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
    // What chaos found is no page of the gallery.
    let found = |file: &&PathBuf| file.iter().any(|part| part == "regressions" || part == "findings");
    files.iter().filter(|file| !found(file)).map(load).collect()
}

fn run(plan: &Plan, driver: Arc<dyn Driver>) -> Verdict {
    let name = driver.name().to_owned();
    let drivers = std::iter::once(driver).chain(drivers::all()).collect();
    Run::new(plan.clone(), Seed(1), drivers).run().unwrap_or_else(|error| panic!("{name}: {error}")).verdict
}

fn violated(verdict: &Verdict) -> BTreeSet<Rule> {
    let violations = verdict.findings.iter().filter(|finding| finding.severity == Severity::Violation);
    violations.map(|finding| finding.rule).collect()
}

/// A scenario that some wrong client fails is not worth much: some fail everywhere. It is worth the one that it was written for.
#[test]
fn every_scenario_catches_the_wrong_clients_that_it_exists_for() {
    let scenarios: Vec<(String, Plan)> = scenarios().into_iter().collect();
    let share = scenarios.len().div_ceil(std::thread::available_parallelism().map_or(1, usize::from));
    std::thread::scope(|scope| {
        for share in scenarios.chunks(share) {
            scope.spawn(|| share.iter().for_each(|(name, plan)| catches_what_it_exists_for(name, plan)));
        }
    });
}

fn catches_what_it_exists_for(name: &str, plan: &Plan) {
    assert_eq!(run(plan, Arc::new(Zoo(None))).outcome, Outcome::Pass, "{name} without a defect");
    assert!(!plan.expect.catches.is_empty(), "{name} names no wrong client under `expect: {{catches: ..}}`");
    for (driver, rule) in &plan.expect.catches {
        let wrong = zoo::by_name(driver).unwrap_or_else(|| panic!("{name}: there is no {driver}"));
        let violated = violated(&run(plan, wrong));
        assert!(violated.contains(rule), "{name}: {driver} violates {violated:?}, not {rule}");
    }
}

#[test]
fn some_scenario_exists_for_every_wrong_client() {
    let wanted: BTreeSet<String> = scenarios().into_values().flat_map(|plan| plan.expect.catches.into_keys()).collect();
    let uncaught: Vec<&str> =
        Defect::ALL.iter().map(|defect| defect.name()).filter(|name| !wanted.contains(*name)).collect();
    assert_eq!(uncaught, [""; 0]);
}

#[test]
fn the_page_of_the_zoo_says_what_scenarios_exist_for() {
    let page = page("zoo.md");
    let rows = table(&page, "wrong client");
    let named: BTreeSet<&str> = rows.iter().skip(2).map(|row| row[0]).collect();
    assert_eq!(named, Defect::ALL.iter().map(|defect| defect.name()).collect());
    let rows = table(&page, "scenario");
    let told: BTreeMap<&str, &str> = rows.iter().skip(2).map(|row| (row[0], row[1])).collect();
    let scenarios = scenarios();
    assert_eq!(told.keys().copied().collect::<BTreeSet<_>>(), scenarios.keys().map(String::as_str).collect());
    for (name, plan) in &scenarios {
        let own = plan.expect.catches.iter().map(|(driver, rule)| format!("**{driver}** ({})", rule.word()));
        assert_eq!(told[name.as_str()], own.collect::<Vec<_>>().join(", "), "{name}");
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
    let named: BTreeSet<&str> = rows[2..].iter().map(|row| row[0]).collect();
    assert_eq!(named, scenarios().keys().map(String::as_str).collect());
    for row in &rows[2..] {
        assert!(row[1].starts_with("pass"), "{}: {} is not what the default driver does", row[0], row[1]);
    }
}
