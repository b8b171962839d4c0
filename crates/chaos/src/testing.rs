//! Chaos, and scenarios, in a project's own `cargo test`.
//!
//! ```no_run
//! use sentinel_lab_chaos::testing::survives;
//! use sentinel_lab_chaos::profile::Profile;
//! // A `Driver` of your own; here it is one of the lab's.
//! use drivers::SentinelClient as MyClient;
//!
//! #[test]
//! fn my_client_survives() {
//!     survives(MyClient, Profile::Mean, 1..201);
//! }
//! ```
//!
//! [`chaos_test!`](crate::chaos_test) writes that test. And [`scenarios`] makes a test of each scenario file of a folder,
//! for `tests/scenarios.rs` with `harness = false` in `Cargo.toml`:
//!
//! ```no_run
//! # use drivers::SentinelClient as MyClient;
//! fn main() -> std::process::ExitCode {
//!     sentinel_lab_chaos::testing::scenarios("tests/scenarios", MyClient, 1..4)
//! }
//! ```

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use model::verdict::Severity;
use model::{Outcome, Seed};
use testbed::Run;
use testbed::driver::Driver;

use crate::campaign::{Campaign, Source, Summary};
use crate::case::{Case, Ending, carry_out};
use crate::jobs;
use crate::profile::{Mix, Profile};
use crate::regression::{replay, text};
use crate::shard::Shard;

/// Real time that the virtual clock may stand still, before a run is given up as hung.
const WATCHDOG: Duration = Duration::from_secs(60);
/// Real time that goes into making a finding small.
const SHRINKING: Duration = Duration::from_secs(45);

/// Puts a client through the schedules of a profile with these seeds, on all cores, in this process.
///
/// # Panics
/// At the first seed with which the client, or the cluster, violates an invariant, panics or hangs. The message is a
/// scenario file that shows it, shrunk. Also if fewer than half of the runs gave evidence for anything. What a schedule asks of its
/// clients is drawn from what the driver [can](Driver::can) do.
///
/// A kind of fault that never fired, or a phase to which no failover came, is no failure here, as `sentinel-lab chaos` has it: among 10
/// or 100 seeds that is chance. A test of some 1,000 that is to say so takes [`campaign`] and [`Summary::gaps`].
pub fn survives(driver: impl Driver + 'static, profile: Profile, seeds: Range<u64>) {
    if let Err(message) = campaign(Arc::new(driver), &Mix::of(profile), seeds) {
        panic!("{message}");
    }
}

/// As [`survives`], for any mix, and with the result as a value.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use drivers::SentinelClient as MyClient;
/// use sentinel_lab_chaos::profile::{Mix, Profile};
/// use sentinel_lab_chaos::testing::campaign;
///
/// let mix = Mix::of(Profile::Mean).for_driver(&MyClient);
/// let summary = campaign(Arc::new(MyClient), &mix, 1..1001).expect("it survives");
/// assert_eq!(summary.gaps(Some(&mix)), Vec::<String>::new());
/// ```
///
/// # Errors
/// What [`survives`] panics with.
pub fn campaign(driver: Arc<dyn Driver>, mix: &Mix, seeds: Range<u64>) -> Result<Summary, String> {
    let name = driver.name().to_owned();
    let drivers = [driver];
    let execute = |case: &Case| carry_out(case, &drivers, WATCHDOG);
    let source = Source::Random { mix: mix.clone().for_driver(&*drivers[0]), seeds };
    let campaign = Campaign { source, driver: name, shard: Shard::WHOLE, jobs: jobs::threads(None) };
    let summary = campaign.run(execute, |result| result.ending < Ending::Fail);
    let driver = &campaign.driver;
    if let Some(finding) = summary.findings.first() {
        let began = Instant::now();
        let in_time = || if began.elapsed() < SHRINKING { Ok(()) } else { Err("cut short by the time for it") };
        let shrunk = campaign.shrink(finding, |case| in_time().map(|()| execute(case)));
        let again = |(origin, shrunk)| text(&origin, &shrunk);
        let scenario = shrunk.map_or_else(|| "it could not be shown a second time".to_owned(), again);
        return Err(format!("{driver}: {}: {}\n\n{scenario}", finding.signature, finding.text));
    }
    if let Some(few) = summary.few() {
        let missing: Vec<String> =
            summary.missing.iter().map(|(what, missing)| format!("\n  in {} runs: {what}", missing.runs)).collect();
        return Err(format!("{driver}: {few}{}", missing.concat()));
    }
    Ok(summary)
}

/// Makes a test of each scenario file in `folder` and the folders in it, and runs them as `cargo test` and nextest ask for
/// by their arguments: names, `--list`, `--exact`, `--test-threads`. A test is named by the path of its file, takes a
/// client through the scenario once for each of these seeds, or with the one that a comment at its head names (`# seed: 17`,
/// as in what chaos has found), and fails with the reasons and the seed.
///
/// A folder that cannot be read or holds no scenario is a test that fails, as is a file that is no scenario.
pub fn scenarios(folder: impl AsRef<Path>, driver: impl Driver + 'static, seeds: Range<u64>) -> ExitCode {
    let driver: Arc<dyn Driver> = Arc::new(driver);
    let folder = folder.as_ref();
    let broken = |why: String| vec![Trial::test(folder.display().to_string(), || Err(why.into()))];
    let tests = match scenario::files(folder) {
        Ok(files) if files.is_empty() => broken("there is no *.yaml file in it".to_owned()),
        Ok(files) => {
            let test = |file: PathBuf| {
                let name = file.strip_prefix(folder).unwrap_or(&file).with_extension("").display().to_string();
                let (driver, seeds) = (Arc::clone(&driver), seeds.clone());
                Trial::test(name, move || passes(&file, &driver, seeds).map_err(Failed::from))
            };
            files.into_iter().map(test).collect()
        }
        Err(error) => broken(error.to_string()),
    };
    libtest_mimic::run(&Arguments::from_args(), tests).exit_code()
}

/// Takes a client through a scenario file with the seed that its comments name, or else with these.
///
/// # Errors
/// Why the first one did not pass.
fn passes(file: &Path, driver: &Arc<dyn Driver>, seeds: Range<u64>) -> Result<(), String> {
    let plan = scenario::load(file, &scenario::Options::default()).map_err(|error| error.to_string())?;
    // A finding shows itself with its own seed, and with others it may show nothing.
    let own = std::fs::read_to_string(file).ok().and_then(|source| replay(&source).seed);
    for seed in own.map_or(seeds, |seed| seed..seed + 1) {
        let outcome = Run::new(plan.clone(), Seed(seed), vec![Arc::clone(driver)]).run();
        let verdict = outcome.map_err(|error| format!("seed {seed}: {error}"))?.verdict;
        if verdict.outcome != Outcome::Pass {
            let reasons = verdict.findings.iter().filter(|finding| finding.severity != Severity::Waived);
            let reasons: Vec<String> =
                reasons.map(|finding| format!("\n  {} {}: {}", finding.at, finding.rule, finding.text)).collect();
            return Err(format!("{}, seed {seed}, driver {}:{}", file.display(), driver.name(), reasons.concat()));
        }
    }
    Ok(())
}

/// A test that puts a client under chaos: its name, the driver, and, if they are not the default ones, the profile and
/// the seeds.
///
/// ```ignore
/// sentinel_lab_chaos::chaos_test!(my_client_survives, MyClient);
/// sentinel_lab_chaos::chaos_test!(my_client_survives_partitions, MyClient, Profile::Partitions, 1..501);
/// ```
#[macro_export]
macro_rules! chaos_test {
    ($name:ident, $driver:expr) => {
        $crate::chaos_test!($name, $driver, $crate::profile::Profile::DEFAULT, 1..101);
    };
    ($name:ident, $driver:expr, $profile:expr, $seeds:expr) => {
        #[test]
        fn $name() {
            $crate::testing::survives($driver, $profile, $seeds);
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(file: &Path, driver: impl Driver + 'static) -> Result<(), String> {
        super::passes(file, &(Arc::new(driver) as Arc<dyn Driver>), 3..5)
    }

    #[test]
    fn a_scenario_is_passed_or_the_reason_told() {
        let kill = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios/kill.yaml");
        assert_eq!(passes(&kill, drivers::SentinelClient), Ok(()));
        let text = passes(&kill, drivers::RedisMultiplexed).unwrap_err();
        assert!(text.contains("kill.yaml, seed 3, driver redis-multiplexed:\n  "), "{text}");
        assert!(text.contains("I1"), "{text}");
        let none = kill.with_file_name("kil.yaml");
        let text = passes(&none, drivers::SentinelClient).unwrap_err();
        assert!(text.contains("kil.yaml"), "{text}");
    }
}
