//! The audit of the cluster: nothing to say of a failover as it is, and a word on each record of it that is forged.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use model::history::{Record, What};
use model::{EventName, Fault, History, NodeId, Plan, Seed};
use sentinel_lab_chaos::audit::audit;
use testbed::Run;

const KILL: &str = "
title: the master dies
cluster: {replicas: 2, sentinels: 3, quorum: 2, down_after: 1s, failover_timeout: 3s}
timeline:
  - {at: 8s, kill: master}
  - {at: 14s, heal: all}
run_for: 40s
";

fn run(plan: &Plan) -> History {
    run_with(plan, Seed(1))
}

fn run_with(plan: &Plan, seed: Seed) -> History {
    Run::new(plan.clone(), seed, Vec::new()).run().expect("a run").history
}

/// Longer than Sentinels need to find out that a master says it is a replica.
const FOUND_OUT: Duration = Duration::from_secs(60);

fn killed() -> (Plan, History) {
    let plan = scenario::parse(KILL, "kill.yaml", &scenario::Options::default()).expect("a scenario");
    let history = run(&plan);
    assert_eq!(audit(&plan, &history), []);
    (plan, history)
}

fn rules(plan: &Plan, history: &History) -> Vec<&'static str> {
    audit(plan, history).iter().map(|wrong| wrong.rule).collect()
}

/// The first record of an event, and where it stands.
fn first(history: &History, name: EventName) -> (usize, NodeId, String) {
    let event = |(index, what): (usize, &What)| match what {
        What::Event { node, event, payload } if *event == name => Some((index, *node, payload.clone())),
        _ => None,
    };
    history.records.iter().map(|record| &record.what).enumerate().find_map(event).expect("the event")
}

#[test]
fn two_leaders_in_an_epoch() {
    let (plan, mut history) = killed();
    let (index, leader, payload) = first(&history, EventName::ElectedLeader);
    let (tried, ..) = first(&history, EventName::TryFailover);
    let other = [1, 2].map(NodeId::sentinel).into_iter().find(|node| *node != leader).expect("a follower");
    // The follower has the epoch, tries too and is elected too.
    let at = history.records[index].at;
    let mut forged = Vec::new();
    for what in [
        What::Event { node: other, event: EventName::TryFailover, payload: payload.clone() },
        What::Event { node: other, event: EventName::ElectedLeader, payload },
    ] {
        let mut record = history.records[tried].clone();
        (record.at, record.what) = (at, what);
        forged.push(record);
    }
    history.records.splice(index + 1..=index, forged);
    assert_eq!(rules(&plan, &history), ["one leader"]);
    // With several masters the epoch may be a later one when the votes are there, and they are votes of that.
    let mut later = history.records[index].clone();
    later.what = What::Event { node: other, event: EventName::NewEpoch, payload: "2".to_owned() };
    history.records.insert(index + 2, later);
    assert_eq!(rules(&plan, &history), [""; 0]);
}

#[test]
fn objectively_down_without_a_quorum() {
    let (plan, mut history) = killed();
    let (_, node, _) = first(&history, EventName::ObjectivelyDown);
    history.records.retain(|record| {
        !matches!(&record.what, What::Event { node: by, event: EventName::SubjectivelyDown, payload }
            if *by != node && payload.starts_with("master"))
    });
    assert!(rules(&plan, &history).contains(&"quorum"));
}

#[test]
fn an_epoch_that_does_not_grow() {
    let (plan, mut history) = killed();
    let (index, ..) = first(&history, EventName::NewEpoch);
    let again = history.records[index].clone();
    history.records.insert(index + 1, again);
    assert_eq!(rules(&plan, &history), ["epochs"]);
}

#[test]
fn a_switch_to_a_node_that_nobody_promoted() {
    let (plan, mut history) = killed();
    history.records.retain(|record| !matches!(&record.what, What::Event { event: EventName::PromotedSlave, .. }));
    assert_eq!(rules(&plan, &history), ["epochs"; 3]);
}

#[test]
fn sentinels_that_disagree_and_nodes_that_follow_another_in_the_end() {
    let (plan, history) = killed();
    let change = |change: &dyn Fn(&mut What) -> bool| {
        let mut forged = history.clone();
        assert!(forged.records.iter_mut().any(|record| change(&mut record.what)));
        rules(&plan, &forged)
    };
    let other = change(&|what| match what {
        What::FinalAnswer { addr, .. } => {
            *addr = NodeId::data(if *addr == NodeId::data(2) { 3 } else { 2 });
            true
        }
        _ => false,
    });
    assert_eq!(other, ["agreement"]);
    let follows = change(&|what| match what {
        What::Final(data) if data.of.is_some() => {
            data.of = Some(data.node);
            true
        }
        _ => false,
    });
    assert_eq!(follows, ["agreement"]);
}

/// A Sentinel that has not yet heard of a failover may make the new master a replica.
#[test]
fn a_master_that_says_it_is_a_replica_takes_longer_to_be_found_out() {
    let (mut plan, mut history) = killed();
    for record in &mut history.records {
        if let What::Final(data) = &mut record.what
            && data.of.is_some()
        {
            data.of = Some(data.node);
        }
    }
    assert_eq!(rules(&plan, &history), ["agreement"; 2]);
    let switched = |record: &Record| matches!(&record.what, What::Event { event: EventName::SwitchMaster, .. });
    let switch = history.records.iter().position(switched).expect("a switch");
    let what = What::Event {
        node: NodeId::sentinel(1),
        event: EventName::RoleChanged,
        payload: "master mymaster 10.0.0.2 6379 new reported role is slave".into(),
    };
    history.records.insert(switch, Record { at: history.records[switch].at, what });
    assert_eq!(audit(&plan, &history), []);
    plan.run_for += FOUND_OUT;
    assert_eq!(rules(&plan, &history), ["agreement"; 2]);
}

/// What Redis itself does to a failover that is overtaken is not held against it, and that alone is why.
#[test]
fn a_failover_that_is_overtaken_ends_in_disagreement() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../parity/flaws/overtaken.yaml");
    let mut plan = scenario::load(&file, &scenario::Options::default()).expect("a scenario");
    let mut history = run(&plan);
    plan.run_for += FOUND_OUT;
    let answers = history.records.iter().filter_map(final_answer).map(|(node, addr)| format!("{node} {addr}"));
    assert_eq!(answers.collect::<Vec<_>>(), ["sentinel-1 redis-2", "sentinel-2 redis-1", "sentinel-3 redis-1"]);
    assert_eq!(audit(&plan, &history), []);
    history.records.retain(|record| !matches!(&record.what, What::Event { event: EventName::FailoverEnd, .. }));
    assert_eq!(rules(&plan, &history), ["agreement"]);
}

/// The same, where the Sentinel that is overtaken is killed before its failover is over, and goes on from its file. If it has not
/// written that since, it hears of the later epoch again, and agrees.
#[test]
fn a_failover_that_is_overtaken_stays_in_the_file() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../parity/flaws/overtaken-and-killed.yaml");
    let mut plan = scenario::load(&file, &scenario::Options::default()).expect("a scenario");
    for (names, flushed) in [(["redis-2", "redis-1", "redis-1"], true), (["redis-1"; 3], false)] {
        if !flushed {
            plan.timeline.retain(|step| !matches!(step.fault, Fault::Send { .. }));
        }
        let history = run(&plan);
        let answers: Vec<_> =
            history.records.iter().filter_map(final_answer).map(|(_, addr)| addr.to_string()).collect();
        assert_eq!(answers, names);
        let mut plan = plan.clone();
        plan.run_for += FOUND_OUT;
        assert_eq!(audit(&plan, &history), []);
        let mut without = history.clone();
        let promoted = |record: &Record| matches!(&record.what, What::Event { event: EventName::PromotedSlave, .. });
        let later = without.records.iter().rposition(promoted).expect("a promotion");
        without.records.remove(later);
        assert_eq!(rules(&plan, &without).contains(&"agreement"), flushed);
    }
}

/// The same, where the clock of the Sentinel that is overtaken was put back, so that its failover is not even over.
const PUT_BACK: &str = "
title: a failover is overtaken and its clock put back
cluster: {replicas: 2, sentinels: 3, quorum: 2, down_after: 1s, failover_timeout: 3500ms}
timeline:
  - {at: 9s, freeze: master}
  - {on: +slave-reconf-sent, clock_jump: {of: sentinel:leader, by: -60s}}
  - {on: +switch-master, after: 2s, thaw: old-master}
  - {at: 22s, shutdown: master}
  - {at: 22s, clock_jump: {of: sentinel:leader, by: -60s}}
  - {at: 35s, heal: all}
run_for: 90s
";

#[test]
fn a_failover_that_is_overtaken_may_not_even_end() {
    let plan = scenario::parse(PUT_BACK, "put-back.yaml", &scenario::Options::default()).expect("a scenario");
    let mut history = run_with(&plan, Seed(7));
    let named: BTreeSet<_> = history.records.iter().filter_map(final_answer).map(|(_, addr)| addr).collect();
    assert_eq!(named.len(), 2, "{named:?}");
    assert_eq!(audit(&plan, &history), []);
    let (first, ..) = first(&history, EventName::PromotedSlave);
    history.records.remove(first);
    assert_eq!(rules(&plan, &history), ["epochs", "epochs", "agreement"]);
}

#[test]
fn two_promotions_in_an_epoch_end_in_disagreement() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../parity/flaws/two-in-an-epoch.yaml");
    let mut plan = scenario::load(&file, &scenario::Options::default()).expect("a scenario");
    let mut history = run(&plan);
    plan.run_for += FOUND_OUT;
    let named: BTreeSet<_> = history.records.iter().filter_map(final_answer).map(|(_, addr)| addr).collect();
    assert_eq!(named.len(), 2, "{named:?}");
    assert_eq!(audit(&plan, &history), []);
    let promoted = |record: &Record| matches!(&record.what, What::Event { event: EventName::PromotedSlave, .. });
    let first = history.records.iter().position(promoted).expect("a promotion");
    history.records.remove(first);
    assert_eq!(rules(&plan, &history), ["agreement"]);
}

/// The new master goes by a name that nobody knows. The leader announces it in every pass, and can switch to it when the name is known
/// again; the others have taken the epoch without the address.
const UNKNOWN_NAME: &str = "
title: the name of the new master does not resolve
cluster:
  replicas: 2
  sentinels: 3
  quorum: 2
  down_after: 1s
  failover_timeout: 3s
  hosts: {db-1.lab: redis-1, db-2.lab: redis-2, db-3.lab: redis-3}
  resolve_hostnames: true
  announce_hostnames: true
  priorities: {redis-2: 0}
timeline:
  - {at: 8s, kill: master}
  - {at: 8s, resolve: {name: db-3.lab}}
  - {at: 15s, resolve: {name: db-3.lab, to: redis-3}}
  - {at: 15s, heal: all}
run_for: 40s
";

#[test]
fn a_switch_to_a_name_that_nobody_knows_ends_in_disagreement() {
    let mut plan = scenario::parse(UNKNOWN_NAME, "name.yaml", &scenario::Options::default()).expect("a scenario");
    let mut history = run(&plan);
    plan.run_for += FOUND_OUT;
    let switched = |record: &&Record| matches!(&record.what, What::Event { event: EventName::SwitchMaster, .. });
    assert!(history.records.iter().filter(switched).count() > 20);
    let named = |history: &History| history.records.iter().filter_map(final_answer).map(|(_, addr)| addr).collect();
    let answers: BTreeSet<NodeId> = named(&history);
    assert_eq!(answers.len(), 2, "{answers:?}");
    assert_eq!(audit(&plan, &history), []);
    history.records.retain(|record| !matches!(&record.what, What::Fault { fault, .. } if fault.starts_with("resolve")));
    let wrong: BTreeSet<_> = rules(&plan, &history).into_iter().collect();
    assert_eq!(wrong, BTreeSet::from(["epochs", "agreement"]));

    // After the next failover they must agree, and do.
    let mut history = run(&plan);
    assert_eq!(audit(&plan, &history), []);
    let answers: BTreeSet<NodeId> = named(&history);
    assert_eq!(answers.len(), 1, "{answers:?}");
    for record in &mut history.records {
        if let What::FinalAnswer { node, addr, .. } = &mut record.what
            && *node == NodeId::sentinel(1)
        {
            *addr = NodeId::data(2);
        }
    }
    assert_eq!(rules(&plan, &history), ["agreement"]);
}

/// Two Sentinels promote two nodes in one epoch, one by hand and one elected, and a third switches to the first of them.
const TWO_IN_AN_EPOCH: &str = "
title: one fails over by hand, another by election
cluster: {replicas: 3, sentinels: 3, quorum: 2, down_after: 2s, failover_timeout: 3s}
timeline:
  - {at: 10700ms, shutdown: master, for: 1600ms}
  - {at: 13s, failover: {}}
run_for: 30s
";

#[test]
fn a_node_that_was_promoted_beside_another_may_be_switched_to() {
    let plan = scenario::parse(TWO_IN_AN_EPOCH, "two.yaml", &scenario::Options::default()).expect("a scenario");
    let both = |seed: &Seed| {
        let history = run_with(&plan, *seed);
        let promoted = |record: &&Record| matches!(&record.what, What::Event { event: EventName::PromotedSlave, .. });
        history.records.iter().filter(promoted).count() == 2
    };
    let seed = (0..200).map(Seed).find(both).expect("a seed with two promotions");
    let mut history = run_with(&plan, seed);
    assert_eq!(audit(&plan, &history), []);
    let (first, ..) = first(&history, EventName::PromotedSlave);
    history.records.remove(first);
    assert!(rules(&plan, &history).contains(&"epochs"));
}

/// A Sentinel in tilt mode forgets nothing, so that its first pass after it goes by what it heard before.
#[test]
fn answers_outlive_a_tilt() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../parity/flaws/opinions-outlive-tilt.yaml");
    let plan = scenario::load(&file, &scenario::Options::default()).expect("a scenario");
    let history = run(&plan);
    assert_eq!(audit(&plan, &history), []);
    let without = |event: EventName| {
        let mut history = history.clone();
        history.records.retain(|record| !matches!(&record.what, What::Event { event: of, .. } if *of == event));
        rules(&plan, &history)
    };
    assert_eq!(without(EventName::Tilt), ["quorum"]);
}

fn final_answer(record: &Record) -> Option<(NodeId, NodeId)> {
    match &record.what {
        What::FinalAnswer { node, addr, .. } => Some((*node, *addr)),
        _ => None,
    }
}
