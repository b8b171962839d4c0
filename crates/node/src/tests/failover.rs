//! Promotion, demotion, and which writes survive them.

use model::Time;
use model::machine::Note;

use super::harness::{Lab, addr};

fn resyncs(lab: &Lab, node: usize) -> Vec<bool> {
    let full = |(index, note): &(usize, Note)| match note {
        Note::ReplicaLink { up: true, full } if *index == node => Some(*full),
        _ => None,
    };
    lab.notes.iter().filter_map(full).collect()
}

#[test]
fn a_promoted_replica_takes_the_others_with_it() {
    let mut lab = Lab::cluster(2);
    lab.ask(0, "SET k v");
    let write = lab.last_position();
    lab.run(10);
    lab.cut(0);
    lab.notes.clear();
    assert_eq!(lab.ask(1, "REPLICAOF NO ONE"), "+OK");
    assert_eq!(lab.ask(2, "REPLICAOF 10.0.0.2 6379"), "+OK");
    assert_eq!(lab.ask(2, "REPLICAOF 10.0.0.2 6379"), "+OK Already connected to specified master");
    lab.run(2_000);
    assert_eq!(resyncs(&lab, 2), [false]);
    let info = lab.ask(1, "INFO replication");
    let old = lab.nodes[0].replication_id().clone();
    assert!(
        info.contains(&format!("master_replid2:{old}\r\n")) && info.contains("second_repl_offset:51\r\n"),
        "{info}"
    );
    let info = lab.ask(2, "INFO replication");
    assert!(
        info.contains(&format!("master_replid2:{old}\r\n")) && info.contains("second_repl_offset:51\r\n"),
        "{info}"
    );
    assert!(
        lab.notes.contains(&(1, Note::Role { of: None })) && lab.notes.contains(&(2, Note::Role { of: Some(addr(1)) }))
    );
    lab.ask(1, "SET k w");
    let later = lab.last_position();
    lab.run(10);
    assert_eq!(lab.ask(2, "GET k"), "\"w\"");
    for node in [1, 2] {
        assert!(lab.holds(node, &write) && lab.holds(node, &later), "{node}");
    }
    assert!(!lab.holds(0, &later));
}

#[test]
fn a_demoted_master_without_writes_of_its_own_goes_on() {
    let mut lab = Lab::cluster(1);
    lab.ask(0, "SET k v");
    let write = lab.last_position();
    lab.run(10);
    lab.ask(1, "REPLICAOF NO ONE");
    lab.ask(1, "SET k w");
    let later = lab.last_position();
    lab.notes.clear();
    lab.ask(0, "REPLICAOF 10.0.0.2 6379");
    lab.run(2_000);
    assert_eq!(resyncs(&lab, 0), [false]);
    assert_eq!(lab.ask(0, "GET k"), "\"w\"");
    assert!(lab.holds(0, &write) && lab.holds(0, &later));
    assert_eq!(lab.nodes[0].lineage(), lab.nodes[1].lineage());
}

#[test]
fn writes_of_a_deposed_master_are_lost_by_a_full_resynchronisation() {
    let mut lab = Lab::cluster(2);
    lab.ask(0, "SET kept 1");
    let kept = lab.last_position();
    lab.run(10);
    lab.cut(0);
    // As many bytes as the promoted node writes: offsets alone do not tell the histories apart.
    let conn = lab.client(0);
    lab.ask_on(0, conn, "SELECT 1");
    lab.ask_on(0, conn, "SET lost 1");
    let lost = lab.last_position();
    lab.ask(1, "REPLICAOF NO ONE");
    lab.ask(2, "REPLICAOF 10.0.0.2 6379");
    lab.ask(1, "SET lost 2");
    assert_eq!(lab.nodes[1].offset(), lost.offset);
    lab.ask(1, "SET more 3");
    let later = lab.last_position();
    lab.run(2_000);
    assert!(lab.holds(0, &lost) && !lab.holds(1, &lost) && !lab.holds(2, &lost));
    lab.notes.clear();
    lab.heal(0);
    lab.ask(0, "REPLICAOF 10.0.0.2 6379");
    lab.run(2_000);
    assert_eq!(resyncs(&lab, 0), [true]);
    for node in 0..3 {
        assert!(lab.holds(node, &kept) && lab.holds(node, &later) && !lab.holds(node, &lost), "{node}");
        assert_eq!(lab.ask(node, "MGET kept lost more"), "[\"1\" \"2\" \"3\"]");
    }
}

#[test]
fn a_replica_that_lagged_behind_the_promoted_one_catches_up_in_the_old_history() {
    let mut lab = Lab::cluster(2);
    lab.ask(0, "SET a 1");
    lab.run(10);
    lab.cut(2);
    lab.ask(0, "SET b 2");
    let unseen = lab.last_position();
    lab.run(10);
    assert!(!lab.holds(2, &unseen));
    lab.cut(0);
    lab.ask(1, "REPLICAOF NO ONE");
    lab.ask(1, "SET c 3");
    let later = lab.last_position();
    lab.notes.clear();
    lab.heal(2);
    lab.ask(2, "REPLICAOF 10.0.0.2 6379");
    // Until the stream has arrived nothing is claimed that is not there.
    let mut claimed_early = false;
    while lab.nodes[2].offset() < lab.nodes[1].offset() {
        let has = lab.ask(2, "GET b") == "\"2\"";
        claimed_early |= lab.holds(2, &unseen) && !has;
        assert!(lab.step(Time::from_millis(10_000)));
    }
    assert!(!claimed_early);
    assert_eq!(resyncs(&lab, 2), [false]);
    assert_eq!(lab.ask(2, "MGET a b c"), "[\"1\" \"2\" \"3\"]");
    assert!(lab.holds(2, &unseen) && lab.holds(2, &later));
    assert_eq!(lab.nodes[2].lineage(), lab.nodes[1].lineage());
}

#[test]
fn a_restarted_node_is_empty_and_holds_nothing() {
    let mut lab = Lab::cluster(1);
    lab.ask(0, "SET k v");
    let write = lab.last_position();
    lab.run(10);
    let before = lab.nodes[0].run_id().clone();
    lab.restart(0, None);
    assert_ne!(*lab.nodes[0].run_id(), before);
    assert!(!lab.holds(0, &write) && lab.holds(1, &write));
    // The replica finds the master it knows, takes its empty data set, and the write is gone.
    lab.notes.clear();
    lab.run(2_500);
    assert_eq!(resyncs(&lab, 1), [true]);
    assert_eq!(lab.ask(1, "GET k"), "nil");
    assert!(!lab.holds(1, &write));
}

#[test]
fn writes_before_the_first_replica_are_part_of_the_history() {
    let mut lab = Lab::single();
    lab.ask(0, "SET k v");
    let write = lab.last_position();
    assert_eq!(lab.nodes[0].offset(), 0, "nothing is counted while nobody listens");
    let mut configs = vec![lab.nodes[0].config().clone()];
    configs.push(crate::Config { replica_of: Some(addr(0)), ..super::harness::config(1) });
    let mut pair = Lab::of(configs);
    pair.nodes[0] = lab.nodes.remove(0);
    pair.run(2_000);
    assert_eq!(pair.ask(1, "GET k"), "\"v\"");
    assert!(pair.holds(0, &write) && pair.holds(1, &write));
}

#[test]
fn an_interrupted_snapshot_changes_nothing() {
    let mut lab = Lab::cluster(1);
    lab.ask(0, "SET k v");
    let write = lab.last_position();
    lab.run(10);
    lab.restart(0, None);
    // Stop the replica's new link between the master's answer and its snapshot.
    let replied = |lab: &Lab| lab.wire.iter().filter(|(.., f)| format!("{f:?}").contains("FULLRESYNC")).count() == 2;
    while !replied(&lab) {
        assert!(lab.now < Time::from_millis(10_000));
        lab.run(1);
    }
    lab.cut(0);
    lab.run(100);
    assert!(lab.holds(1, &write));
    assert_eq!(lab.ask(1, "GET k"), "\"v\"");
}

#[test]
fn a_resumed_stream_goes_on_in_its_database() {
    let mut lab = Lab::cluster(2);
    let conn = lab.client(0);
    lab.ask_on(0, conn, "SELECT 3");
    lab.ask_on(0, conn, "SET a 1");
    lab.run(10);
    lab.cut(2);
    lab.ask_on(0, conn, "SET b 2");
    lab.run(10);
    lab.cut(0);
    lab.ask(1, "REPLICAOF NO ONE");
    lab.heal(2);
    lab.ask(2, "REPLICAOF 10.0.0.2 6379");
    lab.run(2_000);
    let conn = lab.client(2);
    lab.ask_on(2, conn, "SELECT 3");
    assert_eq!(lab.ask_on(2, conn, "MGET a b"), "[\"1\" \"2\"]");
}
