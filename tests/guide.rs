//! The pages for newcomers: what they show is compiled, run and short.

#[allow(clippy::needless_pass_by_value, reason = "so that `map_err` takes it by its name")]
#[path = "guide/driver.rs"]
#[rustfmt::skip]
#[allow(unreachable_pub, missing_docs)]
mod driver;

use std::path::Path;
use std::sync::Arc;

use model::{Outcome, Plan, Seed, Verdict};
use testbed::Run;
use testbed::driver::Driver;
use zoo::{Defect, Zoo};

/// Most lines that an example may have.
const LINES: usize = 40;

/// The first block of `language` in a page.
fn block(page: &str, language: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let (_, rest) = text.split_once(&format!("```{language}\n")).expect("a block");
    rest.split_once("```\n").expect("the end of the block").0.to_owned()
}

fn scenario() -> Plan {
    let source = block("writing-a-scenario.md", "yaml");
    assert!(source.lines().count() < LINES);
    scenario::parse(&source, "page.yaml", &scenario::Options::default()).unwrap_or_else(|error| panic!("{error}"))
}

fn run(driver: Arc<dyn Driver>) -> Verdict {
    Run::new(scenario(), Seed(1), vec![driver]).run().expect("a run").verdict
}

#[test]
fn the_scenario_of_the_page_passes_and_catches() {
    for (driver, expected) in [
        (drivers::by_name(drivers::DEFAULT).expect("the default driver"), Outcome::Pass),
        (Arc::new(Zoo(None)) as Arc<dyn Driver>, Outcome::Pass),
        (Arc::new(Zoo(Some(Defect::AsksWhenLost))), Outcome::Fail),
    ] {
        let verdict = run(Arc::clone(&driver));
        assert_eq!(verdict.outcome, expected, "{}: {:#?}", driver.name(), verdict.findings);
    }
}

#[test]
fn the_driver_of_the_page_is_the_one_that_is_compiled_and_recovers() {
    let page = block("writing-a-driver.md", "rust");
    assert_eq!(page, include_str!("guide/driver.rs"));
    assert!(page.lines().count() < LINES, "{} lines", page.lines().count());
    let verdict = run(Arc::new(driver::Mine));
    assert!(verdict.clients[0].ok > 100, "{verdict:#?}");
    assert!(verdict.failovers[0].first_write.is_some(), "{verdict:#?}");
}
