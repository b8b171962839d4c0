//! Campaigns of real clients: one that clings is caught and its failure made small, results are joined, runs repeat.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::fault::{Fault, Target};
use model::plan::{Need, Workload};
use sentinel_lab_chaos::campaign::{Campaign, Source, Summary};
use sentinel_lab_chaos::case::{Case, CaseResult, Ending, Failure, carry_out};
use sentinel_lab_chaos::profile::{Mix, Profile};
use sentinel_lab_chaos::regression::{Origin, replay, text};
use sentinel_lab_chaos::results::{FORMAT, Header, Line, MergeError, merge, write};
use sentinel_lab_chaos::schedule::plan;
use sentinel_lab_chaos::shard::Shard;
use sentinel_lab_chaos::shrink::{Shrunk, shrink};
use sentinel_lab_chaos::{chaos_test, testing};
use testbed::driver::{BoxFuture, CallError, Driver, Session, Settings};
use zoo::{Defect, Zoo};

const HEAL: Fault = Fault::Heal(Target::All);

const WATCHDOG: Duration = Duration::from_secs(60);

fn execute(case: &Case) -> CaseResult {
    carry_out(case, &drivers::all(), WATCHDOG)
}

fn case(driver: &str, mix: &Mix, seed: u64) -> Case {
    Case::random(seed, driver, plan(mix, seed))
}

chaos_test!(the_default_client_survives_a_little, drivers::SentinelClient, Profile::Gentle, 1..6);

#[test]
#[should_panic(expected = "redis-multiplexed: I1 converge")]
fn a_client_that_clings_does_not_survive() {
    testing::survives(drivers::RedisMultiplexed, Profile::Gentle, 1..100);
}

/// A client that can do so much and no more, and is otherwise the default one.
struct Able(fn(Need) -> bool);

impl Driver for Able {
    fn name(&self) -> &'static str {
        "able"
    }
    fn about(&self) -> &'static str {
        "the default client, used for little"
    }
    fn can(&self, need: Need) -> bool {
        self.0(need)
    }
    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        drivers::SentinelClient.open(settings)
    }
}

const COUNTS: Able = Able(|need| need == Need::Workload(Workload::Counter));

#[test]
fn a_client_is_asked_for_what_it_can_do() {
    for profile in Profile::ALL {
        let mix = Mix::of(*profile);
        let (able, counts) = (mix.clone().for_driver(&drivers::SentinelClient), mix.clone().for_driver(&COUNTS));
        for seed in 1..40 {
            assert_eq!(plan(&able, seed), plan(&mix, seed), "{profile}, seed {seed}: who can do all draws the same");
            let few = plan(&counts, seed);
            assert!(
                few.clients.iter().all(|client| few.needs(client).all(|need| COUNTS.can(need))),
                "{profile}, seed {seed}: {:?}",
                few.clients
            );
        }
    }
    let summary = testing::campaign(Arc::new(COUNTS), &Mix::of(Profile::Gentle), 1..9).expect("it survives");
    assert_eq!(summary.runs(), 8);
    assert_eq!(summary.missing.keys().find(|what| what.contains("able")), None, "every schedule applies");
}

/// No evidence is no pass, and little of it neither.
#[test]
fn a_client_of_which_too_little_is_shown_does_not_survive() {
    let told = testing::campaign(Arc::new(Able(|_| false)), &Mix::of(Profile::Gentle), 1..4).unwrap_err();
    assert!(told.starts_with("able: only 0 of 3 runs showed anything about the client\n  in "), "{told}");
    assert!(told.contains("the workload "), "{told}");
    let mut summary = Summary::default();
    for (ending, runs, few) in [
        (Ending::Inconclusive, 2, Some("only 0 of 2 runs showed anything about the client")),
        (Ending::Pass, 1, Some("only 1 of 3 runs showed anything about the client")),
        (Ending::Fail, 1, None),
    ] {
        summary.endings.insert(ending, runs);
        assert_eq!(summary.few().as_deref(), few);
        assert_eq!(summary.gaps(None), few.into_iter().collect::<Vec<_>>());
    }
}

/// Whatever the clients do and how the errors read, the cause is one.
#[test]
fn one_defect_makes_few_findings() {
    let client = Zoo(Some(Defect::NeverRediscovers));
    let (name, drivers) = (client.name().to_owned(), [Arc::new(client) as Arc<dyn Driver>]);
    let source = Source::Random { mix: Mix::of(Profile::Mean), seeds: 1..41 };
    let campaign = Campaign { source, driver: name, shard: Shard::WHOLE, jobs: 2 };
    let summary = campaign.run(|case| carry_out(case, &drivers, WATCHDOG), |_| true);
    let told: Vec<_> = summary.findings.iter().map(|it| (it.signature.as_str(), it.runs, it.seeds[0])).collect();
    assert!((2..=4).contains(&told.len()), "{told:?}");
    assert!(told.iter().filter(|(_, runs, _)| *runs > 10).count() > 1, "{told:?}");
    assert!(told.iter().any(|(kind, ..)| *kind == "I1 converge: elsewhere"), "{told:?}");
}

/// What is found with many faults comes down to few, as a file that reads back and fails alike.
#[test]
fn findings_shrink_to_a_scenario_file_that_shows_them() {
    let (mix, driver) = (Mix::of(Profile::Mean), "redis-multiplexed");
    let found = (1..50).map(|seed| execute(&case(driver, &mix, seed))).find_map(|result| {
        let failure = result.failures.into_iter().find(|failure| failure.signature.starts_with("I1"))?;
        Some((result.seed, failure.signature))
    });
    let (seed, signature) = found.expect("a seed that shows it");
    let shrunk = shrink(&mix, driver, seed, &signature, |case| Ok(execute(case))).expect("it fails again");
    assert!(shrunk.faults[1] <= 3 && shrunk.faults[1] <= shrunk.faults[0], "{:?}", shrunk.faults);
    assert_eq!(shrunk.failure.signature, signature);

    let by = format!("chaos of profile {mix}");
    let origin = Origin { by, number: seed, driver: driver.to_owned(), seed, signature: signature.clone() };
    let file = text(&origin, &shrunk);
    let how = replay(&file);
    assert_eq!((how.seed, how.driver.as_deref()), (Some(seed), Some(driver)));
    let plan = scenario::parse(&file, "found.yaml", &scenario::Options::default()).expect("a scenario");
    let again = execute(&Case::random(seed, driver, plan));
    assert!(again.failures.iter().any(|failure| failure.signature == signature), "{:?}", again.failures);
    for (index, step) in shrunk.plan.timeline.iter().enumerate().filter(|(_, step)| step.fault != HEAL) {
        let mut less = shrunk.plan.clone();
        less.timeline.remove(index);
        let same = execute(&Case::random(seed, driver, less)).failures.iter().any(|it| it.signature == signature);
        assert!(!same, "{} is one too many", step.fault);
    }
}

/// When `execute` has said why it does no run more, it is not asked again; what was found until then is kept, and so is why.
#[test]
fn shrinking_that_is_cut_short_says_so() {
    let (mix, driver, seed) = (Mix::of(Profile::Gentle), "redis-multiplexed", 1);
    let failure = Failure { signature: "cluster: agreement".to_owned(), text: "two masters".to_owned() };
    let shrunk = |most: u64| {
        let asked = Cell::new(0);
        let execute = |case: &Case| {
            asked.set(asked.get() + 1);
            let failed = || CaseResult::lost(case, failure.signature.clone(), failure.text.clone());
            if asked.get() <= most { Ok(failed()) } else { Err("out of time") }
        };
        (shrink(&mix, driver, seed, &failure.signature, execute), asked.get())
    };
    let (none, asked) = shrunk(0);
    assert!(none.is_none() && asked == 1, "{none:?}, {asked}");
    let (cut, asked) = shrunk(2);
    let cut = cut.expect("it failed twice");
    assert_eq!((cut.runs, cut.cut_short, asked), (2, Some("out of time"), 3));
    let (whole, asked) = shrunk(u64::MAX);
    let whole = whole.expect("it always fails");
    assert_eq!((whole.runs, whole.cut_short), (asked, None));

    let (by, signature) = (format!("chaos of profile {mix}"), failure.signature.clone());
    let origin = Origin { by, number: seed, driver: driver.to_owned(), seed, signature };
    let file = text(&origin, &cut);
    assert!(file.contains(" in 2 runs, out of time.\n") && file.contains("not by `run`"), "{file}");
    let file = text(&origin, &Shrunk { failure: Failure { signature: "I1".to_owned(), ..failure }, ..whole });
    assert!(!file.contains("out of time") && !file.contains("not by `run`"), "{file}");
}

/// What chaos once found, the violations of the cluster's own rules too, it finds no more; with other seeds neither, as a
/// cure that fits one order of events only is none.
#[test]
fn regressions_stand_before_the_audit() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/regressions");
    let files = scenario::files(&folder).expect("the folder");
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let how = replay(&std::fs::read_to_string(&file).expect("a file"));
        let plan = scenario::load(&file, &scenario::Options::default()).expect("a scenario");
        for seed in std::iter::once(how.seed.expect("its seed")).chain(1..16) {
            let result = execute(&Case::random(seed, drivers::DEFAULT, plan.clone()));
            assert_eq!(result.failures, [], "{} with seed {seed}", file.display());
        }
    }
}

/// What several clients of a run lack is told of one run.
#[test]
fn runs_are_counted_that_lack_evidence_and_not_their_clients() {
    let case = Case::random(7, drivers::DEFAULT, plan(&Mix::of(Profile::Gentle), 7));
    let mut result = CaseResult::lost(&case, "watchdog".to_owned(), "it hung".to_owned());
    result.missing = ["client-1", "client-2"].map(|id| format!("no operation of {id} succeeded")).to_vec();
    let mut summary = Summary::default();
    summary.add(&result);
    let missing: Vec<(&str, u64)> =
        summary.missing.iter().map(|(text, missing)| (text.as_str(), missing.runs)).collect();
    assert_eq!(missing, [("no operation of _ succeeded", 1)]);
}

#[test]
fn a_run_is_the_same_alone_and_among_others() {
    let mix = Mix::of(Profile::Mean);
    let seeds = || 1..9_u64;
    let alone: Vec<CaseResult> = seeds().map(|seed| execute(&case(drivers::DEFAULT, &mix, seed))).collect();
    let beside: Vec<CaseResult> = std::thread::scope(|scope| {
        let mix = &mix;
        let threads: Vec<_> =
            seeds().map(|seed| scope.spawn(move || execute(&case(drivers::DEFAULT, mix, seed)))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a result")).collect()
    });
    for (one, other) in alone.iter().zip(&beside) {
        assert_eq!(one.digest, other.digest, "seed {}", one.seed);
    }
}

fn header(index: u64, of: u64) -> Header {
    Header {
        format: FORMAT,
        version: "1".into(),
        binary: "b".into(),
        drivers: vec!["d".into()],
        profiles: vec!["mean".into()],
        nemeses: Vec::new(),
        intensity: 1,
        run_limit_ms: 60_000,
        memory_limit_mib: 1_024,
        scenarios: Vec::new(),
        limit: None,
        from: 1,
        to: 5,
        partition: Shard { index, of },
    }
}

fn file(header: &Header, results: &[CaseResult], ended: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut put = |line: &Line| write(&mut bytes, line).expect("memory takes everything");
    put(&Line::Campaign(header.clone()));
    for result in results {
        put(&Line::Run { profile: "mean".into(), result: result.clone() });
    }
    if ended {
        put(&Line::End { runs: results.len() as u64, stopped: None });
    }
    bytes
}

#[test]
fn shards_are_joined_and_missing_ones_named() {
    let mix = Mix::of(Profile::Gentle);
    let result = execute(&case(drivers::DEFAULT, &mix, 1));
    let third = CaseResult { seed: 3, ..result.clone() };
    let files = [
        file(&header(1, 3), std::slice::from_ref(&result), true),
        file(&header(3, 3), std::slice::from_ref(&third), false),
    ];
    let joined = merge(files.iter().map(|bytes| ("f".to_owned(), bytes.as_slice()))).expect("one campaign");
    assert_eq!(joined.summaries["mean"].runs(), 2);
    assert_eq!(joined.summaries["mean"].ended(result.ending), 2);
    assert!(result.ending <= Ending::Inconclusive, "{:?}", result.failures);
    assert_eq!(joined.missing, [Shard { index: 2, of: 3 }]);
    assert_eq!(joined.incomplete, ["f: shard 3/3 breaks off after 1 runs"]);
}

/// Two kinds that the first seed shows come in the other order in the second shard.
#[test]
fn what_is_joined_does_not_depend_on_the_order_of_the_files() {
    let failure = |signature: &str| Failure { signature: signature.to_owned(), text: String::new() };
    let (one, other) = (failure("I1 converge: failed"), failure("I2 no stale node: by a replica"));
    let of = |seed, failures: Vec<Failure>| {
        let case = Case::random(seed, "d", plan(&Mix::of(Profile::Gentle), 1));
        CaseResult { failures, ..CaseResult::lost(&case, String::new(), String::new()) }
    };
    let first = file(&header(1, 2), &[of(1, vec![other.clone(), one.clone()])], false);
    let second = file(&header(2, 2), &[of(2, vec![one]), of(4, vec![other])], false);
    let join = |files: [(&str, &[u8]); 2]| {
        merge(files.map(|(name, bytes)| (name.to_owned(), bytes))).expect("shards of one campaign")
    };
    let joined = join([("a", &first), ("b", &second)]);
    assert_eq!(joined, join([("b", &second), ("a", &first)]));
    let findings = &joined.summaries["mean"].findings;
    let told: Vec<_> = findings.iter().map(|it| (&it.signature[..2], it.runs, it.seeds.as_slice())).collect();
    assert_eq!(told, [("I1", 2, &[1, 2][..]), ("I2", 2, &[1, 4][..])]);
}

#[test]
fn runs_that_are_missing_or_doubled_are_refused() {
    let lost = |seed| CaseResult { seed, ..execute(&case(drivers::DEFAULT, &Mix::of(Profile::Gentle), 1)) };
    let [one, two, three] = [1, 2, 3].map(lost);
    let join = |bytes: &[u8]| merge([("f".to_owned(), bytes)]).map_err(|error| error.to_string());
    let refused = |results: &[CaseResult]| join(&file(&header(1, 1), results, true)).unwrap_err();
    assert!(join(&file(&header(1, 1), &[one.clone(), two.clone(), three.clone()], true)).is_ok());
    assert!(
        refused(&[one.clone(), three.clone()])
            .starts_with("f:3: run 3 of mean with sentinel-client where run 2 should be")
    );
    assert!(
        refused(&[one.clone(), one.clone()])
            .starts_with("f:3: run 1 of mean with sentinel-client where run 2 should be")
    );
    assert!(refused(&[two]).starts_with("f:2: run 2 of mean with sentinel-client where run 1 should be"));
    let absurd = Header { from: u64::MAX, ..header(5, u64::MAX) };
    assert!(join(&file(&absurd, &[one.clone(), one.clone()], true)).is_err(), "and no panic");
    let mut short = file(&header(1, 1), std::slice::from_ref(&one), false);
    write(&mut short, &Line::End { runs: 2, stopped: None }).expect("memory takes everything");
    assert!(join(&short).unwrap_err().starts_with("f:3: 1 runs are above instead of 2"));
}

#[test]
fn shards_of_different_campaigns_are_refused() {
    let other = Header { binary: "c".into(), ..header(2, 2) };
    let join = |files: &[Vec<u8>]| merge(files.iter().map(|bytes| ("f".to_owned(), bytes.as_slice()))).unwrap_err();
    let error = join(&[file(&header(1, 2), &[], true), file(&other, &[], true)]);
    assert!(error.to_string().contains("the binary is b there and c here"), "{error}");
    let other = Header { run_limit_ms: 1, ..header(2, 2) };
    let error = join(&[file(&header(1, 2), &[], true), file(&other, &[], true)]);
    assert!(error.to_string().contains("--run-limit is 60000 ms there and 1 ms here"), "{error}");
    let error = join(&[file(&header(1, 2), &[], true), file(&header(1, 2), &[], true)]);
    assert!(matches!(error, MergeError::Twice { .. }), "{error}");
    let error = join(&[b"{\"kind\":\"nonsense\"}\n".to_vec()]);
    assert!(error.to_string().starts_with("f:1: "), "{error}");
    assert!(join(&[Vec::new()]).to_string().contains("the file is empty"));
}

/// A client that panics is a finding with its seed.
#[test]
fn a_panic_is_a_finding() {
    struct Panics;
    impl Driver for Panics {
        fn name(&self) -> &'static str {
            "panics"
        }
        fn about(&self) -> &'static str {
            "panics"
        }
        fn open(&self, _: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
            panic!("on purpose")
        }
    }
    let mix = Mix::of(Profile::Gentle);
    let case = case("panics", &mix, 3);
    let result = carry_out(&case, &[Arc::new(Panics)], WATCHDOG);
    assert_eq!((result.seed, result.ending), (3, Ending::Broken));
    assert!(result.failures[0].signature.contains("on purpose"), "{:?}", result.failures);
}
