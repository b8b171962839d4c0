//! A short parity set: three scenarios of `crates/parity/scenarios`, without their ends, in the lab and on real processes.
//! The whole set, which takes minutes, is `just parity`.
//!
//! What happens, and in which order at leader and followers, must be what happens in the lab. Of times, the median of the
//! few real runs must lie where medians of so many lab runs lie, widened by 10 % or 120 ms, whichever is larger: the few
//! are then not taken for the many, and a phase that the fake has wrong by more than that is found. A loaded machine makes
//! the real ones late, never early and not both times; so what is found late is played once more, which is said.

use std::time::Duration;

use model::{History, NodeId, Plan, Seed};
use parity::episode::Phase;
use parity::{Comparison, compare, episodes};
use real::Binaries;

const REAL_RUNS: usize = 5;
const LAB_RUNS: u64 = 200;
/// Real clusters at a time.
const AT_A_TIME: usize = 5;
/// How often chance may fail a comparison of events, and a phase.
const BY_CHANCE: f64 = 1e-4;

/// A scenario of the set, cut off after its first moment.
fn plan(name: &str, run_for: Duration) -> Plan {
    let path = format!("{}/../crates/parity/scenarios/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
    let mut plan = scenario::load(path.as_ref(), &scenario::Options::default()).expect("a scenario");
    let first = plan.timeline[0].when.clone();
    plan.timeline.retain(|step| step.when == first);
    plan.run_for = run_for;
    parity::playable(&plan).expect("real processes can play it");
    plan
}

fn live(plan: &Plan, binaries: &Binaries) -> Vec<History> {
    let mut histories = Vec::new();
    while histories.len() < REAL_RUNS {
        let count = AT_A_TIME.min(REAL_RUNS - histories.len());
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..count).map(|_| scope.spawn(|| parity::live(plan, binaries, &|| false))).collect();
            let ended = runs.into_iter().map(|run| run.join().expect("no panic").expect("a real run"));
            histories.extend(ended.map(|history| history.expect("nobody stops it")));
        });
    }
    histories
}

/// The durations of a phase in the first failover of each run.
fn durations(runs: &[History], phase: Phase) -> Vec<f64> {
    runs.iter().filter_map(|run| episodes(run).first()?.phases.get(&phase).copied()).collect()
}

/// What is wrong with the times.
fn out_of_time(real: &[History], lab: &[History]) -> Vec<String> {
    let mut complaints = Vec::new();
    for phase in Phase::ALL {
        let times = durations(real, *phase);
        // Whether it happens as often is a matter of events.
        let Some(spread) = parity::statistics::Spread::of(times) else { continue };
        let in_lab = durations(lab, *phase);
        let Some((low, high)) = parity::statistics::median_range(in_lab, REAL_RUNS, BY_CHANCE) else { continue };
        let allowed = parity::compare::allowed(spread.median);
        if spread.median < low - allowed || spread.median > high + allowed {
            complaints.push(format!(
                "phase `{}` takes {:.0} ms; medians of the lab are from {low:.0} to {high:.0} ms, {allowed:.0} ms are allowed",
                phase.name(),
                spread.median
            ));
        }
    }
    complaints
}

fn compared(name: &str, real: &[History], lab: &[History]) -> (Comparison, Vec<String>) {
    let comparison = compare(name, real, lab, BY_CHANCE);
    let mut complaints = comparison.events_differ.clone();
    complaints.extend(out_of_time(real, lab));
    (comparison, complaints)
}

#[allow(clippy::print_stderr)]
fn same(name: &str, run_for: Duration) {
    let Some(binaries) = real::required(&format!("parity of {name} with real processes")) else { return };
    let plan = plan(name, run_for);
    let lab: Vec<History> = (0..LAB_RUNS).map(|seed| parity::lab(&plan, Seed(seed))).collect();
    let (comparison, complaints) = compared(name, &live(&plan, &binaries), &lab);
    eprintln!("{}", parity::render::text(&comparison, false));
    if complaints.is_empty() {
        return;
    }
    eprintln!("{name}: once more, for the machine may have been busy: {complaints:#?}");
    let (comparison, again) = compared(name, &live(&plan, &binaries), &lab);
    assert!(again.is_empty(), "{name}, twice: {again:#?}\n{}", parity::render::text(&comparison, true));
}

/// One after the other: as many clusters at a time as the times stand.
#[test]
fn real_and_fake_fail_over_alike() {
    let seconds = Duration::from_secs;
    same("kill", seconds(10));
    same("manual-failover", seconds(9));
    same("majority-lost", seconds(8));
}

/// The check can fail: a quorum that waits twice as long is found out, and one whose replica is promoted by nobody.
#[test]
fn what_is_not_alike_is_told() {
    let plan = plan("kill", Duration::from_secs(12));
    let of = |plan: &Plan, seeds: std::ops::Range<u64>| -> Vec<History> {
        seeds.map(|seed| parity::lab(plan, Seed(seed))).collect()
    };
    let lab = of(&plan, 0..LAB_RUNS);
    for seed in 0..20 {
        let few = of(&plan, 1_000 + seed * 5..1_005 + seed * 5);
        let (_, complaints) = compared("the lab itself", &few, &lab);
        assert_eq!(complaints, Vec::<String>::new(), "seed {seed}");
    }
    let mut slow = plan.clone();
    slow.cluster.groups[0].down_after = Duration::from_millis(1_500);
    let (_, complaints) = compared("slow", &of(&slow, 0..5), &lab);
    assert!(complaints.iter().any(|words| words.starts_with("phase `down` takes")), "{complaints:?}");
    let mut alone = plan.clone();
    alone.cluster.groups[0].priorities = vec![100, 0, 0];
    let (_, complaints) = compared("nobody", &of(&alone, 0..5), &lab);
    let told = |words: &String| words.contains("leader: +switch-master at 0 of 5 real, 200 of 200 lab");
    assert!(complaints.iter().any(told), "{complaints:?}");
    let mut calm = plan;
    calm.timeline[0].fault = model::Fault::Kill(model::Target::Node(NodeId::data(2)));
    let (_, complaints) = compared("another fault", &of(&calm, 0..5), &lab);
    assert!(!complaints.is_empty(), "another fault is no parity");
}
