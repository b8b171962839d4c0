//! Failovers of the whole cluster, and that a run can be repeated.

use std::time::Duration;

use crate::common::{Lab, MASTER, at, node, plan};
use model::history::{NodeState, What};
use model::plan::{Group, Step, Trigger};
use model::{EventName, Fault, NodeId, Seed, Target, Time};
use sentinel_lab_sim::World;

fn killed_master() -> model::Plan {
    let mut plan = plan();
    plan.timeline = vec![at(10, Fault::Kill(Target::Master(None)), None)];
    plan
}

#[test]
fn a_killed_master_is_replaced_at_every_sentinel() {
    let mut lab = Lab::new(&killed_master());
    lab.run_to(30_000);
    assert_eq!(lab.faults(), [("kill master".to_owned(), vec![MASTER])]);
    assert_eq!(lab.states(MASTER), [(10_000, NodeState::Down)]);
    let switched = lab.events(EventName::SwitchMaster);
    assert_eq!(switched.len(), 3, "{switched:?}");
    for (at, _) in switched {
        assert!(at > Time::from_millis(15_000) && at < Time::from_millis(20_000), "{at}");
    }
    let master = lab.world.master("mymaster").expect("a master");
    assert_ne!(master, MASTER);

    let history = lab.world.finish(Time::from_millis(30_000));
    let of = |wanted: NodeId| {
        history.records.iter().find_map(|record| match &record.what {
            What::Final(data) if data.node == wanted => Some((data.of, data.up)),
            _ => None,
        })
    };
    let other = NodeId::data(if master.number == 2 { 3 } else { 2 });
    assert_eq!(of(master), Some((None, true)));
    assert_eq!(of(other), Some((Some(master), true)));
    assert_eq!(of(MASTER), Some((None, false)));
    let answers = history
        .records
        .iter()
        .filter(|record| matches!(&record.what, What::FinalAnswer { addr, up: true, .. } if *addr == master));
    assert_eq!(answers.count(), 3);
}

#[test]
fn a_restarted_master_becomes_a_replica_of_the_new_one() {
    let mut plan = killed_master();
    plan.timeline.push(Step {
        when: Trigger::On { event: EventName::SwitchMaster, after: Duration::from_secs(1) },
        fault: Fault::Restart(Target::OldMaster(None)),
        lasting: None,
    });
    let mut lab = Lab::new(&plan);
    lab.run_to(60_000);
    let restarted = lab.faults().pop().expect("a fault");
    assert_eq!(restarted, ("restart old-master".to_owned(), vec![MASTER]));
    assert_eq!(lab.healed().len(), 1, "the restart undoes the kill");
    let master = lab.world.master("mymaster").expect("a master");
    let mut roles = lab.history().records.iter().filter_map(|record| match &record.what {
        What::Role { node, of } if *node == MASTER => Some(*of),
        _ => None,
    });
    assert_eq!(roles.next_back(), Some(Some(master)));
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let run = |seed: u64| {
        let world = World::new(&killed_master(), Seed(seed));
        world.finish(Time::from_millis(40_000)).digest()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

#[test]
fn it_does_not_matter_how_the_host_steps() {
    let mut steps = Lab::new(&killed_master());
    steps.run_to(40_000);
    let leap = World::new(&killed_master(), Seed(1)).finish(Time::from_millis(40_000));
    assert_eq!(steps.world.finish(Time::from_millis(40_000)).digest(), leap.digest());
}

/// Whoever is not elected gives up after `election-timeout`, 10 s, or after `failover-timeout` if that is less, counted from
/// when the attempt began and up to a second more; and tries again when twice `failover-timeout` is over.
#[test]
fn an_attempt_without_votes_is_given_up() {
    for (failover_timeout, patience) in [(60, 10_000), (4, 4_000)] {
        let mut plan = plan();
        plan.cluster.groups[0].quorum = 1;
        plan.cluster.groups[0].failover_timeout = Duration::from_secs(failover_timeout);
        let lonely = vec![Target::Node(NodeId::sentinel(1))];
        let cut = Fault::Partition { from: lonely, to: vec![Target::All], one_way: false };
        plan.timeline = vec![at(10, cut, None)];
        let mut lab = Lab::new(&plan);
        lab.run_to(200_000);
        let of = |lab: &Lab, event| lab.events(event).into_iter().map(|(at, _)| at.as_millis()).collect::<Vec<_>>();
        let (tried, given_up) = (of(&lab, EventName::TryFailover), of(&lab, EventName::AbortNotElected));
        assert!(tried.len() > 1 && given_up.len() + 1 >= tried.len(), "{tried:?} {given_up:?}");
        for (tried, given_up) in tried.iter().zip(&given_up) {
            let waited = given_up - tried;
            assert!((patience..patience + 1_200).contains(&waited), "{waited} ms at a timeout of {failover_timeout} s");
        }
        for pair in tried.windows(2) {
            let waited = pair[1] - pair[0];
            let least = 2_000 * failover_timeout;
            assert!((least..least + 1_200).contains(&waited), "{waited} ms at a timeout of {failover_timeout} s");
        }
    }
}

/// How long a Sentinel must stand still to find itself in tilt, give or take one pass of 100 ms at most.
#[test]
fn tilt_begins_beyond_two_seconds() {
    for (frozen, tilt) in [(1_880, false), (2_010, true)] {
        let mut plan = plan();
        let lasting = Some(Duration::from_millis(frozen));
        plan.timeline = vec![Step { lasting, ..at(10, Fault::Freeze(Target::Node(NodeId::sentinel(1))), None) }];
        let mut lab = Lab::new(&plan);
        lab.run_to(20_000);
        assert_eq!(!lab.events(EventName::Tilt).is_empty(), tilt, "after {frozen} ms");
    }
}

/// A failover that was held up until its time-out ends in the pass in which it tells the last replica: Redis closes the
/// links to the replicas in that pass, before anything was written. The leader says that the replica was told, and it was
/// not.
#[test]
fn who_is_told_in_the_last_pass_of_a_failover_hears_nothing() {
    let overtaken = |seed: u64| {
        let mut plan = plan();
        plan.cluster.groups[0].down_after = Duration::from_secs(1);
        plan.cluster.groups[0].failover_timeout = Duration::from_secs(4);
        let by_hand = Fault::Failover { via: Some(Target::Node(NodeId::sentinel(1))), master: None };
        let held_up = Step {
            when: Trigger::On { event: EventName::PromotedSlave, after: Duration::ZERO },
            fault: Fault::Freeze(Target::Node(NodeId::sentinel(1))),
            lasting: Some(Duration::from_millis(2_100)),
        };
        plan.timeline = vec![at(8, by_hand, None), held_up, at(24, Fault::Kill(Target::Master(None)), None)];
        let mut lab = Lab { world: World::new(&plan, Seed(seed)), effects: Vec::new() };
        lab.run_to(90_000);
        lab
    };
    let mut told = 0;
    for seed in 1..=10 {
        let lab = overtaken(seed);
        let after =
            |event| lab.events(event).into_iter().filter(|(at, _)| *at > Time::from_millis(35_000)).collect::<Vec<_>>();
        let sent = after(EventName::SlaveReconfSent);
        if sent.is_empty() {
            continue;
        }
        told += 1;
        let turned = lab.history().records.iter().filter(|record| {
            record.at > Time::from_millis(35_000) && matches!(record.what, What::Role { .. } | What::ReplicaLink { .. })
        });
        assert_eq!(turned.count(), 0, "seed {seed}: a replica has changed its master");
        assert_eq!(after(EventName::FixSlaveConfig), [], "seed {seed}");
    }
    assert!(told > 2, "{told} of 10 failovers were overtaken");
}

/// No more replicas than `parallel-syncs` are on their way to the new master at a time.
#[test]
fn replicas_are_turned_so_many_at_a_time() {
    for at_a_time in [1, 3] {
        let mut plan = killed_master();
        plan.cluster.groups[0].replicas = 4;
        plan.cluster.groups[0].parallel_syncs = at_a_time;
        let mut lab = Lab::new(&plan);
        lab.run_to(40_000);
        let mut steps: Vec<(Time, i32)> = Vec::new();
        for (event, step) in [(EventName::SlaveReconfSent, 1), (EventName::SlaveReconfDone, -1)] {
            steps.extend(lab.events(event).into_iter().map(|(at, _)| (at, step)));
        }
        assert_eq!(steps.len(), 6, "three are told and done");
        // What ends at a moment ends before what begins then.
        steps.sort_unstable();
        let under_way = steps.iter().scan(0, |count, (_, step)| {
            *count += step;
            Some(*count)
        });
        assert_eq!(under_way.max(), Some(i32::from(at_a_time)));
    }
}

/// A replica that was told of the new master and says nothing of it for `slave-reconf-timeout`, 10 s, counts as done.
#[test]
fn a_replica_that_does_not_turn_is_waited_for_ten_seconds() {
    let mut plan = plan();
    plan.cluster.groups[0].down_after = Duration::from_secs(60);
    plan.cluster.groups[0].failover_timeout = Duration::from_secs(120);
    plan.cluster.groups[0].priorities = vec![100, 1, 100];
    // With one at a time Redis does not look at its time, and waits for `failover-timeout`.
    plan.cluster.groups[0].parallel_syncs = 2;
    let freeze = Step {
        when: Trigger::On { event: EventName::SlaveReconfSent, after: Duration::ZERO },
        fault: Fault::Freeze(Target::Node(NodeId::data(3))),
        lasting: None,
    };
    plan.timeline = vec![at(10, Fault::Failover { via: None, master: None }, None), freeze];
    let mut lab = Lab::new(&plan);
    lab.run_to(60_000);
    let [(sent, _)] = lab.events(EventName::SlaveReconfSent)[..] else { panic!("one replica is told") };
    let [(gave_up, _)] = lab.events(EventName::SlaveReconfSentTimeout)[..] else { panic!("one is given up") };
    let waited = gave_up.as_millis() - sent.as_millis();
    assert!((10_000..10_200).contains(&waited), "{waited} ms");
    assert_eq!(lab.events(EventName::FailoverEnd)[0].0, gave_up);
}

/// A replica whose master says nothing for `repl-timeout`, 60 s, gives the link up. A master speaks every 10 s.
#[test]
fn a_silent_master_is_given_up_after_repl_timeout() {
    let mut plan = plan();
    plan.cluster.groups[0].down_after = Duration::from_secs(1_000);
    plan.timeline = vec![at(20, Fault::Freeze(Target::Node(MASTER)), None)];
    let mut lab = Lab::new(&plan);
    lab.run_to(200_000);
    let lost = lab.history().records.iter().filter(|record| matches!(record.what, What::ReplicaLink { up: false, .. }));
    let lost: Vec<u64> = lost.map(|record| record.at.as_millis()).collect();
    assert_eq!(lost.len(), 2, "{lost:?}");
    assert!(lost.iter().all(|at| (70_000..81_100).contains(at)), "{lost:?}");
}

#[test]
fn groups_fail_over_apart() {
    let mut plan = plan();
    let mut cache = Group::new("cache");
    cache.down_after = Duration::from_secs(5);
    plan.cluster.groups.push(cache);
    plan.timeline = vec![at(10, Fault::Kill(Target::Master(Some("cache".into()))), None)];
    let mut lab = Lab::new(&plan);
    lab.run_to(30_000);
    assert_eq!(lab.faults()[0].1, [NodeId::data(4)]);
    assert_eq!(lab.world.master("mymaster"), Some(MASTER));
    let master = lab.world.master("cache").expect("a master");
    assert!([5, 6].contains(&master.number), "{master}");
}

#[test]
fn a_step_may_follow_an_event() {
    let mut plan = killed_master();
    plan.timeline.push(Step {
        when: Trigger::On { event: EventName::ElectedLeader, after: Duration::from_millis(10) },
        fault: Fault::Freeze(Target::SentinelLeader),
        lasting: Some(Duration::from_secs(3)),
    });
    let mut lab = Lab::new(&plan);
    lab.run_to(40_000);
    let (elected, leader) = lab.events(EventName::ElectedLeader)[0];
    let frozen = elected.as_millis() + 10;
    assert_eq!(lab.states(leader), [(frozen, NodeState::Frozen), (frozen + 3_000, NodeState::Up)]);
    assert!(lab.events(EventName::Tilt).iter().any(|(_, sentinel)| *sentinel == leader));
}

#[test]
fn targets_are_resolved_when_the_fault_fires() {
    let mut lab = Lab::ready();
    lab.world.inject(Time::from_millis(4_000), &Fault::Freeze(node("sentinels:minority")), None);
    lab.world.inject(Time::from_millis(4_000), &Fault::Heal(node("all")), None);
    lab.inject(&Fault::Freeze(node("sentinels:majority")));
    lab.inject(&Fault::Heal(node("all")));
    lab.inject(&Fault::Cut(node("replica:best")));
    lab.inject(&Fault::Cut(node("replica:other")));
    lab.inject(&Fault::Cut(node("replicas")));
    lab.inject(&Fault::Cut(node("sentinel:leader")));
    lab.inject(&Fault::Cut(node("old-master")));
    lab.inject(&Fault::Cut(node("zone:default")));
    lab.inject(&Fault::Cut(node("master:none")));
    let hit: Vec<Vec<NodeId>> = lab.faults().into_iter().map(|(_, nodes)| nodes).collect();
    let [s1, s2, s3] = [1, 2, 3].map(NodeId::sentinel);
    let [r1, r2, r3] = [1, 2, 3].map(NodeId::data);
    let all = vec![r1, r2, r3, s1, s2, s3];
    assert_eq!(hit[..4], [vec![s1], all.clone(), vec![s1, s2], all.clone()]);
    let (best, other) = (hit[4][0], hit[5][0]);
    assert!(best != other && [best, other].iter().all(|node| [r2, r3].contains(node)), "{best} {other}");
    assert_eq!(hit[6], [r2, r3]);
    assert_eq!(hit[7..], [vec![s1], vec![], all, vec![]]);
}

/// The best replica and the first other one.
fn ranked(lab: &mut Lab) -> [NodeId; 2] {
    ["replica:best", "replica:other"].map(|target| lab.inject(&Fault::Cut(node(target)))[0])
}

#[test]
fn the_best_replica_has_the_lowest_priority_that_is_not_0() {
    let [r2, r3] = [2, 3].map(NodeId::data);
    for (priorities, expected) in [([100, 0, 100], [r3, r2]), ([100, 50, 100], [r2, r3]), ([100, 100, 50], [r3, r2])] {
        let mut plan = plan();
        plan.cluster.groups[0].priorities = priorities.to_vec();
        let mut lab = Lab::new(&plan);
        lab.run_to(4_000);
        assert_eq!(ranked(&mut lab), expected, "{priorities:?}");
    }
}

#[test]
fn the_best_replica_has_the_most_data() {
    for behind in [2, 3].map(NodeId::data) {
        let mut lab = Lab::ready();
        let sides = (vec![Target::Master(None)], vec![Target::Node(behind)]);
        lab.inject(&Fault::Partition { from: sides.0, to: sides.1, one_way: false });
        let conn = lab.open(MASTER);
        lab.send(conn, "SET k v");
        lab.run_for(10);
        assert_eq!(ranked(&mut lab)[1], behind);
    }
}
