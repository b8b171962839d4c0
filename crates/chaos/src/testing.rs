//! Chaos in a project's own `cargo test`.
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
//! [`chaos_test!`](crate::chaos_test) writes that test.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use testbed::driver::Driver;

use crate::campaign::{Campaign, Summary};
use crate::case::{Case, Ending, carry_out};
use crate::jobs;
use crate::profile::{Mix, Profile};
use crate::regression::{Origin, text};
use crate::shard::Shard;
use crate::shrink::shrink;

/// Real time that the virtual clock may stand still, before a run is given up as hung.
const WATCHDOG: Duration = Duration::from_secs(60);
/// Real time that goes into making a finding small.
const SHRINKING: Duration = Duration::from_secs(45);

/// Puts a client through the schedules of a profile with these seeds, on all cores, in this process.
///
/// # Panics
/// At the first seed with which the client, or the cluster, violates an invariant, panics or hangs. The message is a
/// scenario file that shows it, shrunk. Also if none of the runs gave evidence for anything.
pub fn survives(driver: impl Driver + 'static, profile: Profile, seeds: Range<u64>) {
    if let Err(message) = campaign(Arc::new(driver), &Mix::of(profile), seeds) {
        panic!("{message}");
    }
}

/// As [`survives`], for any mix, and with the result as a value.
///
/// # Errors
/// What [`survives`] panics with.
pub fn campaign(driver: Arc<dyn Driver>, mix: &Mix, seeds: Range<u64>) -> Result<Summary, String> {
    let name = driver.name().to_owned();
    let drivers = [driver];
    let execute = |case: &Case| carry_out(case, &drivers, WATCHDOG);
    let campaign = Campaign { mix: mix.clone(), driver: name, seeds, shard: Shard::WHOLE, jobs: jobs::threads(None) };
    let summary = campaign.run(execute, |result| result.ending < Ending::Fail);
    let driver = &campaign.driver;
    if let Some(finding) = summary.findings.first() {
        let (seed, signature) = (finding.seeds.first().copied().unwrap_or_default(), &finding.signature);
        let shrunk = shrink(mix, driver, seed, signature, SHRINKING, execute);
        let origin = Origin { mix, driver, seed, signature };
        let scenario = shrunk.map_or_else(|| "it could not be shown a second time".to_owned(), |s| text(&origin, &s));
        return Err(format!("{driver}: {signature}: {}\n\n{scenario}", finding.text));
    }
    if summary.ended(Ending::Pass) == 0 {
        let missing: Vec<&str> = summary.missing.keys().map(String::as_str).collect();
        return Err(format!("{driver}: no run gave evidence for anything: {}", missing.join("; ")));
    }
    Ok(summary)
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
