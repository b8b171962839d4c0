//! The table of what chaos finds about clients that are wrong on purpose (docs/chaos-zoo.md): it has every defect, each found
//! within 500 seeds and made small, and a sample of it is so.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sentinel_lab_chaos::case::{Case, Ending, carry_out};
use sentinel_lab_chaos::profile::{Mix, Profile};
use sentinel_lab_chaos::schedule::plan;
use testbed::driver::Driver;
use zoo::{Defect, Zoo};

const WATCHDOG: Duration = Duration::from_secs(60);
/// Defects that random faults cannot reach, which the page says with the reasons.
const UNREACHED: [Defect; 5] =
    [Defect::FlushesOthers, Defect::KnowsNoOthers, Defect::NoJitter, Defect::FreezesReplicas, Defect::FailsAtRefusal];
/// Every so many rows one is tried.
const SAMPLE: usize = 7;

fn rows(page: &str) -> Vec<Vec<&str>> {
    let lines = page.lines().skip_while(|line| !line.starts_with("| client |")).skip(2);
    let cells = |line| str::trim_matches(line, '|').split(" | ").map(str::trim).collect();
    lines.take_while(|line| line.starts_with('|')).map(cells).collect()
}

#[test]
fn every_defect_is_found_within_500_seeds_and_made_small() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/chaos-zoo.md");
    let page = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let rows = rows(&page);
    for defect in &UNREACHED {
        assert!(page.contains(&format!("- {}: ", defect.name())), "{defect:?} is neither found nor explained");
    }
    let reached: Vec<Defect> = Defect::ALL.iter().copied().filter(|defect| !UNREACHED.contains(defect)).collect();
    let names: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(names, reached.iter().map(|defect| defect.name()).collect::<Vec<_>>());
    for (index, (row, defect)) in rows.iter().zip(&reached).enumerate() {
        let [_, _, profile, seed, signature, faults, _, time] = row[..] else { panic!("eight cells: {row:?}") };
        let seed: u64 = seed.parse().expect("a seed");
        let left = faults.split(" → ").nth(1).and_then(|left| left.parse::<u64>().ok());
        let seconds = time.strip_suffix(" s").and_then(|seconds| seconds.parse::<u64>().ok());
        assert!(seed <= 500 && left.is_some_and(|left| left <= 3), "{row:?}");
        assert!(seconds.is_some_and(|seconds| seconds < 60), "{row:?}");
        if index % SAMPLE == 0 {
            let mix = Mix::of(profile.parse::<Profile>().expect("a profile"));
            let run = |client: Zoo| {
                let drivers: [Arc<dyn Driver>; 1] = [Arc::new(client)];
                carry_out(&Case::random(seed, client.name(), plan(&mix, seed)), &drivers, WATCHDOG)
            };
            let result = run(Zoo(Some(*defect)));
            assert_eq!(result.ending, Ending::Fail, "{row:?}");
            let signatures: Vec<&str> = result.failures.iter().map(|failure| failure.signature.as_str()).collect();
            assert!(signatures.contains(&signature), "{row:?}: {signatures:?}");
            assert_eq!(run(Zoo(None)).failures, [], "the client without a defect, {row:?}");
        }
    }
}
