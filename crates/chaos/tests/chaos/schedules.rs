//! Schedules: valid in the language, a function of their seed, not vacuous, and each fault of the language in one of them.

use std::collections::BTreeSet;
use std::time::Duration;

use model::plan::{Need, Workload};
use model::{Fault, Plan, Seed, Target};
use sentinel_lab_chaos::kind::Kind;
use sentinel_lab_chaos::profile::{Mix, Profile};
use sentinel_lab_chaos::schedule::{Schedule, draw, plan};

use proptest::strategy::ValueTree as _;

fn plans(seeds: u64) -> impl Iterator<Item = (Mix, u64, Plan)> {
    Profile::ALL.iter().flat_map(move |profile| {
        let mix = Mix::of(*profile);
        (1..=seeds).map(move |seed| (mix.clone(), seed, plan(&mix, seed)))
    })
}

#[test]
fn every_schedule_is_a_scenario_file_and_reads_back() {
    for (mix, seed, plan) in plans(200) {
        let text = scenario::render(&plan);
        let read = scenario::parse(&text, "schedule.yaml", &scenario::Options::default());
        assert_eq!(read.as_ref(), Ok(&plan), "{mix}, seed {seed}:\n{text}");
    }
}

#[test]
fn a_schedule_is_a_function_of_its_seed() {
    for (mix, seed, first) in plans(20) {
        assert_eq!(first, plan(&mix, seed));
        assert_ne!(first.timeline, plan(&mix, seed + 1_000).timeline, "{mix}, seed {seed}");
    }
}

#[test]
fn every_schedule_changes_the_master_and_heals_in_the_end() {
    for (mix, seed, plan) in plans(100) {
        assert!(Schedule::faults(&plan) > 0, "{mix}, seed {seed}");
        let heals = |step: &&model::plan::Step| step.fault == Fault::Heal(Target::All);
        assert_eq!(plan.timeline.iter().filter(heals).count(), 1, "{mix}, seed {seed}");
    }
}

#[test]
fn every_schedule_holds_some_client_to_success() {
    let reads_only = |plan: &Plan| plan.clients.iter().all(|client| client.workload == Workload::ReplicaReads);
    let stale = |plan: &Plan| plan.cluster.groups[0].serve_stale_data;
    let plans: Vec<Plan> = plans(400).map(|(.., plan)| plan).collect();
    assert!(plans.iter().any(reads_only) && plans.iter().any(|plan| !stale(plan)), "both are drawn");
    assert_eq!(plans.iter().find(|plan| reads_only(plan) && !stale(plan)), None);
}

/// Whatever the language has of clusters and clients is drawn sometimes, and what a driver lacks never.
#[test]
fn schedules_have_everything_that_the_driver_can_do() {
    type Trait = (&'static str, fn(&Plan) -> bool);
    let traits: [Trait; 14] = [
        ("ipv6", |plan| plan.cluster.addresses.values().any(|addr| addr.host.contains(':'))),
        ("nat", |plan| plan.cluster.nat),
        ("names of sentinels", |plan| !plan.cluster.hosts.is_empty() && !plan.cluster.announce_hostnames),
        ("names", |plan| plan.cluster.resolve_hostnames && plan.cluster.announce_hostnames),
        ("tls at data nodes", |plan| plan.cluster.tls.data && !plan.cluster.tls.sentinels),
        ("tls at sentinels", |plan| plan.cluster.tls.sentinels && !plan.cluster.tls.data),
        ("server name", |plan| plan.cluster.tls.server_name.is_some()),
        ("reboot_down_after", |plan| !plan.cluster.groups[0].reboot_down_after.is_zero()),
        ("callers", |plan| plan.clients.iter().any(|client| client.callers > 1)),
        ("database", |plan| plan.clients.iter().any(|client| client.database > 0)),
        ("patterns", |plan| plan.clients.iter().any(|client| client.patterns)),
        ("order of sentinels", |plan| plan.clients.iter().any(|client| !client.sentinels.is_empty())),
        ("reopen_after", |plan| plan.clients.iter().any(|client| client.reopen_after.is_some())),
        ("start", |plan| plan.clients.iter().any(|client| client.start != Duration::from_secs(3))),
    ];
    let drawn: Vec<Plan> = plans(150).map(|(.., plan)| plan).collect();
    for (name, has) in traits {
        assert!(drawn.iter().any(has), "{name} is never drawn");
    }
    let workloads = |drawn: &[Plan]| -> BTreeSet<&str> {
        drawn.iter().flat_map(|plan| plan.clients.iter().map(|client| client.workload.name())).collect()
    };
    assert_eq!(workloads(&drawn), Workload::ALL.iter().map(|workload| workload.name()).collect());

    let lacks = Need::all().filter(|need| *need != Need::Workload(Workload::Counter)).collect();
    let mix = Mix { lacks, ..Mix::of(Profile::Mean) };
    for plan in (1..=300).map(|seed| plan(&mix, seed)) {
        for client in &plan.clients {
            assert_eq!(plan.needs(client).collect::<Vec<_>>(), [Need::Workload(Workload::Counter)], "{}", plan.title);
        }
    }
}

#[test]
fn each_profile_has_the_faults_that_it_promises_and_no_others() {
    for profile in Profile::ALL {
        let mix = Mix::of(*profile);
        let plans = (1..=1_500).map(|seed| plan(&mix, seed));
        let drawn: BTreeSet<Kind> =
            plans.flat_map(|plan| plan.timeline.into_iter().map(|step| Kind::of(&step.fault))).collect();
        let promised: BTreeSet<Kind> = mix.kinds().into_iter().collect();
        let missing: Vec<_> = promised.difference(&drawn).collect();
        assert!(missing.is_empty(), "{profile}: {missing:?}");
    }
}

/// The events that the faults of one profile bring about are the same wherever they run.
#[test]
fn the_world_alone_plays_a_schedule_twice_alike() {
    for (mix, seed, mut plan) in plans(3) {
        plan.clients.clear();
        let play = || {
            let mut world = sim::World::new(&plan, Seed(seed));
            world.advance(plan.run_for.into());
            world.finish(plan.run_for.into()).digest()
        };
        assert_eq!(play(), play(), "{mix}, seed {seed}");
    }
}

/// Shrinking ends, and ends small: with a test that everything fails, at one failover and nothing else.
#[test]
fn shrinking_goes_to_one_failover() {
    let mix = Mix::of(Profile::Mean);
    let mut tree = draw(&mix, 7);
    while tree.simplify() {}
    let plan = tree.current().plan("small");
    assert_eq!(Schedule::faults(&plan), 1, "{}", scenario::render(&plan));
    assert_eq!((plan.clients.len(), plan.cluster.groups.len(), plan.cluster.sentinels), (1, 1, 3));
}
