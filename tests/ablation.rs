//! The scenarios of the gallery catch the wrong clients that they exist for because of what they are about: without that, these get away.
//!
//! What a scenario is about is what sets it apart from the plainest ones, in which the master goes and another comes. Its parts are
//! each kind of fault of its timeline but for the [plain](is_plain) ones, and each of the [`SETTINGS`] that it has; where there are none, the
//! plain faults, one by one. Without any of its parts a scenario must let at least one of its wrong clients get away, or that part is of no
//! use; and each of its wrong clients must get away without at least one of them, or it is caught for something else.
//!
//! Moreover the same clients must get away where nothing happens but [a plain kill](plain) of their master, unless that is all that
//! the scenario is: who breaks a rule in any failover proves nothing for what else happens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::Seed;
use model::fault::{Fault, Target};
use model::plan::{Client, Cluster, Group, Plan, Step, Tls, Trigger};
use model::verdict::{Rule, Severity};
use testbed::Run;
use testbed::driver::Driver;

/// A setting that a scenario can be about, and how it is taken away.
type Setting = (&'static str, fn(&mut Plan));

/// All of them, but for what a client does, its callers and patterns, and for priorities, which [a plain kill](plain) is without.
const SETTINGS: &[Setting] = &[
    ("passwords", |plan| {
        plan.cluster.groups.iter_mut().for_each(|group| group.auth = None);
        plan.cluster.sentinel_auth = None;
    }),
    ("tls", |plan| plan.cluster.tls = Tls::default()),
    ("server_name", |plan| plan.cluster.tls.server_name = None),
    ("nat", |plan| plan.cluster.nat = false),
    ("ipv6", |plan| plan.cluster.addresses.clear()),
    ("hosts", |plan| {
        plan.cluster.hosts.clear();
        plan.cluster.resolve_hostnames = false;
        plan.cluster.announce_hostnames = false;
    }),
    ("replication_lag", |plan| plan.cluster.groups.iter_mut().for_each(|group| group.replication_lag = Duration::ZERO)),
    ("min_replicas_to_write", |plan| plan.cluster.groups.iter_mut().for_each(|group| group.min_replicas_to_write = 0)),
    ("serve_stale_data", |plan| plan.cluster.groups.iter_mut().for_each(|group| group.serve_stale_data = true)),
    ("masters", |plan| {
        plan.cluster.groups.truncate(1);
        plan.clients.retain(|client| client.master == plan.cluster.groups[0].name);
    }),
    ("count", |plan| plan.clients.dedup_by(|next, first| series(next) == series(first))),
    ("sentinels", |plan| plan.clients.iter_mut().for_each(|client| client.sentinels.clear())),
    ("database", |plan| plan.clients.iter_mut().for_each(|client| client.database = 0)),
    ("reopen_after", |plan| plan.clients.iter_mut().for_each(|client| client.reopen_after = None)),
];

/// What the ids of clients have in common that stand under one `count`.
fn series(client: &Client) -> &str {
    client.id.trim_end_matches(|letter: char| letter.is_ascii_digit())
}

/// Faults that any scenario may have: the master goes, clients lose their connections and have to look for one, what was done ends.
fn is_plain(fault: &Fault) -> bool {
    match fault {
        Fault::Kill(target) | Fault::Shutdown(target) => matches!(target, Target::Master(_)),
        Fault::Failover { .. } | Fault::Cut(_) | Fault::Restart(_) | Fault::Thaw(_) | Fault::Heal(_) => true,
        _ => false,
    }
}

/// The parts of a scenario, each with what is left without it.
fn parts(plan: &Plan) -> Vec<(String, Plan)> {
    let mut parts = Vec::new();
    let kinds: BTreeSet<&str> =
        plan.timeline.iter().map(|step| &step.fault).filter(|fault| !is_plain(fault)).map(Fault::name).collect();
    for kind in kinds {
        let mut without = plan.clone();
        without.timeline.retain(|step| is_plain(&step.fault) || step.fault.name() != kind);
        parts.push((kind.to_owned(), without));
    }
    for (name, take_away) in SETTINGS {
        let mut without = plan.clone();
        take_away(&mut without);
        if without != *plan {
            parts.push(((*name).to_owned(), without));
        }
    }
    if parts.is_empty() {
        for (index, step) in plan.timeline.iter().enumerate() {
            if !matches!(step.fault, Fault::Restart(_) | Fault::Thaw(_) | Fault::Heal(_)) {
                let mut without = plan.clone();
                without.timeline.remove(index);
                parts.push((format!("entry {} of the timeline, {},", index + 1, step.fault.name()), without));
            }
        }
    }
    parts
}

/// The same clients, on a cluster of the same size and times, whose master is killed for good.
fn plain(plan: &Plan) -> Plan {
    let group = |group: &Group| Group {
        replicas: group.replicas,
        quorum: group.quorum,
        down_after: group.down_after,
        failover_timeout: group.failover_timeout,
        ..Group::new(&group.name)
    };
    let mut plain = plan.clone();
    plain.cluster = Cluster {
        groups: plan.cluster.groups.iter().map(group).collect(),
        sentinels: plan.cluster.sentinels,
        ..Cluster::standard()
    };
    plain.clients.iter_mut().for_each(|client| Cluster::DEFAULT_ZONE.clone_into(&mut client.zone));
    let when = Trigger::At(Duration::from_secs(10));
    plain.timeline = vec![Step { when, fault: Fault::Kill(Target::Master(None)), lasting: None }];
    plain.expect.failovers = None;
    plain
}

/// The wrong clients that are caught by a plain kill, where there is more to the scenario than its master's death and return. What the
/// client without a defect violates there too is no rule for a plain kill.
fn plainly_caught(name: &str, plan: &Plan) -> Vec<String> {
    let plain = plain(plan);
    let dies = |step: &Step| match &step.fault {
        Fault::Kill(target) | Fault::Shutdown(target) => matches!(target, Target::Master(_)),
        fault => matches!(fault, Fault::Restart(_)),
    };
    if plan.cluster == plain.cluster && plan.timeline.iter().all(dies) {
        return Vec::new();
    }
    let caught = plan
        .expect
        .catches
        .iter()
        .filter(|(driver, rule)| violates(&plain, driver, **rule) && !violates(&plain, "correct", **rule));
    caught.map(|(driver, rule)| format!("{name} catches {driver} ({}), as a plain kill does", rule.word())).collect()
}

fn violates(plan: &Plan, driver: &str, rule: Rule) -> bool {
    let wrong = zoo::by_name(driver).unwrap_or_else(|| panic!("there is no {driver}"));
    let drivers: Vec<Arc<dyn Driver>> = std::iter::once(wrong).chain(drivers::all()).collect();
    let run = Run::new(plan.clone(), Seed(1), drivers).run().unwrap_or_else(|error| panic!("{driver}: {error}"));
    let mut findings = run.verdict.findings.iter();
    findings.any(|finding| finding.severity == Severity::Violation && finding.rule == rule)
}

/// What a scenario has for no purpose, and the wrong clients that it catches for something else than what it is about.
fn idle(name: &str, plan: &Plan) -> Vec<String> {
    let parts = parts(plan);
    let without: Vec<BTreeSet<&str>> = parts
        .iter()
        .map(|(_, without)| {
            let caught = plan.expect.catches.iter().filter(|(driver, rule)| violates(without, driver, **rule));
            caught.map(|(driver, _)| driver.as_str()).collect()
        })
        .collect();
    let catches: BTreeSet<&str> = plan.expect.catches.keys().map(String::as_str).collect();
    let useless = parts.iter().zip(&without).filter(|(_, caught)| **caught == catches);
    let useless = useless.map(|((part, _), _)| format!("{name} without {part} catches all that it catches"));
    let elsewhere = catches.iter().filter(|driver| without.iter().all(|caught| caught.contains(*driver)));
    let elsewhere = elsewhere.map(|driver| format!("{name} catches {driver} whichever part of it is taken away"));
    useless.chain(elsewhere).chain(plainly_caught(name, plan)).collect()
}

#[test]
fn every_scenario_catches_wrong_clients_by_what_it_is_about() {
    let files = scenario::files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios")).expect("the scenarios");
    let gallery: BTreeMap<String, Plan> = files
        .iter()
        .filter(|file| !file.iter().any(|part| part == "regressions" || part == "findings"))
        .map(|file| {
            let plan = scenario::load(file, &scenario::Options::default()).unwrap_or_else(|error| panic!("{error}"));
            (file.file_stem().expect("a name").to_string_lossy().into_owned(), plan)
        })
        .collect();
    let scenarios: Vec<(&String, &Plan)> = gallery.iter().collect();
    let (next, found) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((name, plan)) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let idle = idle(name, plan);
                    found.lock().unwrap_or_else(PoisonError::into_inner).extend(idle);
                }
            });
        }
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort();
    assert!(found.is_empty(), "{}", found.join("\n"));
}
