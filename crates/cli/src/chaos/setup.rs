//! [`Setup`]: what the arguments come to: which campaigns, and the header of their results.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::sync::Arc;

use chaos::campaign::{Campaign, Source};
use chaos::nemesis::Nemesis;
use chaos::profile::{Mix, Profile};
use chaos::results::{FORMAT, Header};
use chaos::shard::Shard;
use chaos::systematic::Subject;
use sha2::{Digest as _, Sha256};
use testbed::driver::Driver;

use super::args::ChaosArgs;
use crate::check::{Scenario, read};
use crate::{clients, print};

/// What the arguments come to.
pub(super) struct Setup {
    /// What is run with which driver, in this order.
    pub(super) sources: Vec<(Source, String)>,
    /// True if the seeds have no end but the time limit.
    pub(super) open: bool,
    pub(super) header: Header,
}

impl Setup {
    /// `None` after complaining.
    pub(super) fn of(args: &ChaosArgs) -> Option<Self> {
        let all = args.driver.iter().any(|name| name == "all");
        let mut drivers = Vec::new();
        for driver in clients::chosen("--driver", &args.driver)? {
            let name = driver.name();
            if !driver.blocks() {
                drivers.push(Arc::clone(&driver));
                if !driver.repeats() {
                    print::diagnostics(&format!(
                        "note: --driver {name}: its runs do not repeat byte for byte, so digests may differ from one to the next; README.md says why under How true it is"
                    ));
                }
            } else if !all {
                print::error(&format!(
                    "--driver {name}: its runs are in real time and do not repeat, so nothing can be shrunk"
                ));
                return None;
            }
        }
        let seeds = args.seeds.clone().unwrap_or(if args.systematic.is_empty() { 1..1_001 } else { 1..2 });
        let open = seeds.end == u64::MAX;
        if open && (args.time_limit.is_none() || !args.systematic.is_empty()) {
            print::error("--seeds without an end need a --time-limit, and random schedules");
            return None;
        }
        let mut profiles = Vec::new();
        for name in args.profile.iter().filter(|_| args.systematic.is_empty()) {
            if name == "all" {
                profiles.extend_from_slice(Profile::ALL);
            } else if let Ok(profile) = name.parse() {
                profiles.push(profile);
            } else {
                let names: Vec<&str> = Profile::ALL.iter().map(|profile| profile.name()).collect();
                print::error(&format!(
                    "--profile {name}: there is no such profile; there are {}, and all",
                    names.join(", ")
                ));
                return None;
            }
        }
        let partition = match args.partition.map_or_else(|| Shard::from_env(|name| std::env::var(name).ok()), Ok) {
            Ok(shard) => shard,
            Err(error) => {
                print::error(&error.to_string());
                return None;
            }
        };
        let mut named = BTreeSet::new();
        profiles.retain(|profile| named.insert(*profile));
        let mut named = BTreeSet::new();
        let nemeses: Vec<Nemesis> = args.nemesis.iter().copied().filter(|nemesis| named.insert(*nemesis)).collect();
        let binary = match binary() {
            Ok(binary) => binary,
            Err(error) => {
                print::error(&format!("the program's own file cannot be read: {error}"));
                return None;
            }
        };
        let scenarios = if args.systematic.is_empty() { Vec::new() } else { read(&args.systematic)? };
        let mut named = BTreeMap::new();
        for Scenario { name, file, .. } in &scenarios {
            if let Some(first) = named.insert(name, file) {
                print::error(&format!(
                    "--systematic: {first} and {file} have one name, by which results are filed; name one only, or run them apart"
                ));
                return None;
            }
        }
        let header = Header {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            binary,
            drivers: drivers.iter().map(|driver| driver.name().to_owned()).collect(),
            profiles: profiles.iter().map(ToString::to_string).collect(),
            nemeses: nemeses.iter().map(ToString::to_string).collect(),
            intensity: args.intensity,
            scenarios: scenarios
                .iter()
                .map(|scenario| (scenario.name.clone(), sha256(scenario::render(&scenario.plan).as_bytes())))
                .collect(),
            limit: args.limit,
            run_limit_ms: u64::try_from(args.run_limit.as_millis()).unwrap_or(u64::MAX),
            memory_limit_mib: args.memory_limit,
            from: seeds.start,
            to: seeds.end,
            partition,
        };
        let mut sources = Vec::new();
        for profile in profiles {
            for driver in &drivers {
                let mix = Mix { nemeses: nemeses.clone(), intensity: args.intensity, ..Mix::of(profile) };
                let mix = mix.for_driver(&**driver);
                sources.push((Source::Random { mix, seeds: seeds.clone() }, driver.name().to_owned()));
            }
        }
        for scenario in &scenarios {
            for driver in &drivers {
                for seed in seeds.clone() {
                    sources.push((systematic(scenario, driver, seed, args.limit)?, driver.name().to_owned()));
                }
            }
        }
        Some(Self { sources, open, header })
    }

    /// What is to be run, so many at a time.
    pub(super) fn campaigns(&self, jobs: usize) -> impl Iterator<Item = Campaign> {
        let shard = self.header.partition;
        let campaign = move |(source, driver): (Source, String)| Campaign { source, driver, shard, jobs };
        self.sources.iter().cloned().map(campaign)
    }
}

/// A scenario taken apart; `None` after complaining.
fn systematic(scenario: &Scenario, driver: &Arc<dyn Driver>, seed: u64, limit: Option<u64>) -> Option<Source> {
    let drivers = clients::led_by(driver, &[]);
    let named = scenario.plan.clients.iter().filter_map(|client| client.driver.as_deref());
    let known = |name: &&str| drivers.iter().any(|driver| driver.name() == *name && !driver.blocks());
    if let Some(name) = named.clone().find(|name| !known(name)) {
        print::error(&format!(
            "{}: the driver {name}: its runs are in real time and do not repeat, so nothing can be shrunk",
            scenario.file
        ));
        return None;
    }
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    match Subject::new(&scenario.name, scenario.plan.clone(), seed, drivers, limit) {
        Ok(subject) => Some(Source::Systematic(Arc::new(subject))),
        Err(error) => {
            print::error(&format!("--driver {}: {error}", driver.name()));
            None
        }
    }
}

/// SHA-256 of the program's own file.
fn binary() -> std::io::Result<String> {
    // In pieces: a process that lasts for hours should not have held all of it.
    let mut file = BufReader::with_capacity(1 << 16, std::fs::File::open(std::env::current_exe()?)?);
    let mut hasher = Sha256::new();
    loop {
        let piece = file.fill_buf()?;
        if piece.is_empty() {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(piece);
        let length = piece.len();
        file.consume(length);
    }
}

/// SHA-256, as 64 hex digits.
fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
