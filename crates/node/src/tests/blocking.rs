//! Pops that wait, `WAIT`, pauses and `SHUTDOWN`.

use super::harness::{Lab, addr};

#[test]
fn pops_are_served_in_order() {
    let mut lab = Lab::cluster(1);
    let (a, b, pusher) = (lab.client(0), lab.client(0), lab.client(0));
    assert_eq!(lab.ask_on(0, a, "BLPOP q 0"), "(none)");
    assert_eq!(lab.ask_on(0, b, "BLPOP x q 0"), "(none)");
    lab.send(0, a, "PING");
    assert_eq!(lab.ask_on(0, pusher, "RPUSH q 1 2 3"), ":3");
    assert_eq!(lab.next(0, a).unwrap(), "[\"q\" \"1\"]");
    assert_eq!(lab.next(0, a).unwrap(), "+PONG", "what was sent meanwhile comes after");
    assert_eq!(lab.next(0, b).unwrap(), "[\"q\" \"2\"]");
    lab.run(10);
    assert_eq!(lab.ask(1, "LRANGE q 0 -1"), "[\"3\"]");
    assert!(lab.wire.iter().any(|(_, to, frame)| *to == 1 && format!("{frame:?}").contains("LPOP q")));
    let position = lab.last_position();
    assert_eq!(position.offset, lab.nodes[0].offset());
}

#[test]
fn pops_end_by_time_and_move_between_lists() {
    let mut lab = Lab::single();
    let (a, b) = (lab.client(0), lab.client(0));
    lab.send(0, a, "BLPOP q 0.5");
    lab.send(0, b, "BLMOVE q r LEFT RIGHT 2");
    lab.run(499);
    assert_eq!(lab.next(0, a), None);
    lab.run(1);
    assert_eq!(lab.next(0, a).unwrap(), "nil*");
    let c = lab.client(0);
    lab.send(0, c, "BRPOP r 0");
    lab.ask(0, "LPUSH q item");
    assert_eq!(lab.next(0, b).unwrap(), "\"item\"");
    assert_eq!(lab.next(0, c).unwrap(), "[\"r\" \"item\"]");
    assert_eq!(lab.ask_on(0, a, "BLPOP q -1"), "-ERR timeout is negative");
    assert_eq!(lab.ask_on(0, a, "BLPOP q x"), "-ERR timeout is not a float or out of range");
}

#[test]
fn a_transaction_neither_waits_nor_leaves_waiting() {
    let mut lab = Lab::single();
    let (a, b) = (lab.client(0), lab.client(0));
    lab.send(0, a, "BLPOP q 0");
    for line in ["MULTI", "BLPOP other 0", "LPUSH q 1", "LPUSH q 2"] {
        lab.send(0, b, line);
        lab.next(0, b);
    }
    assert_eq!(lab.ask_on(0, b, "EXEC"), "[nil* :1 :2]");
    assert_eq!(lab.next(0, a).unwrap(), "[\"q\" \"2\"]", "served after the whole transaction");
}

#[test]
fn a_demoted_master_sends_the_waiting_away() {
    let mut lab = Lab::cluster(1);
    let a = lab.client(0);
    lab.send(0, a, "BLPOP q 0");
    lab.ask(0, "REPLICAOF 10.0.0.2 6379");
    let text = "-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";
    assert_eq!(lab.next(0, a).unwrap(), text);
    assert!(lab.closed.contains(&(0, a)));
    assert_eq!(lab.nodes[0].master_addr(), Some(&addr(1)));
}

#[test]
fn wait_counts_acknowledgements() {
    let mut lab = Lab::cluster(2);
    let a = lab.client(0);
    lab.send(0, a, "SET k v");
    lab.next(0, a);
    assert_eq!(lab.ask_on(0, a, "WAIT 2 1000"), "(none)");
    lab.run(10);
    assert_eq!(lab.next(0, a).unwrap(), ":2", "replicas are asked to acknowledge at once");
    lab.cut(2);
    lab.send(0, a, "SET k w");
    lab.next(0, a);
    assert_eq!(lab.ask_on(0, a, "WAIT 2 1000"), "(none)");
    lab.run(1_010);
    assert_eq!(lab.next(0, a).unwrap(), ":1");
}

#[test]
fn wait_is_for_what_there_was_after_the_last_command() {
    let mut lab = Lab::cluster(1);
    let (a, b) = (lab.client(0), lab.client(0));
    assert_eq!(lab.ask_on(0, a, "BLPOP l 0"), "(none)");
    lab.run(1_100);
    // From here on the replica acknowledges nothing.
    lab.ask(1, "DEBUG SLEEP 30");
    lab.send(0, b, "RPUSH l x");
    assert_eq!(lab.next(0, a).unwrap(), "[\"l\" \"x\"]");
    assert_eq!(lab.ask_on(0, a, "WAIT 1 0"), ":1", "as in Redis, what it was served is not waited for");
    assert_eq!(lab.ask_on(0, a, "WAIT 1 0"), "(none)", "but the last command is over");
}

#[test]
fn a_pause_holds_writes_or_everything() {
    let mut lab = Lab::single();
    let a = lab.client(0);
    lab.ask(0, "CLIENT PAUSE 1000 WRITE");
    assert_eq!(lab.ask_on(0, a, "GET n"), "nil");
    assert_eq!(lab.ask_on(0, a, "INCR n"), "(none)");
    assert_eq!(lab.ask_on(0, a, "GET n"), "(none)");
    lab.run(1_000);
    assert_eq!(lab.next(0, a).unwrap(), ":1");
    assert_eq!(lab.next(0, a).unwrap(), "\"1\"");
    lab.ask(0, "CLIENT PAUSE 1000");
    assert_eq!(lab.ask_on(0, a, "GET n"), "(none)");
}

#[test]
fn shutdown_waits_for_replicas() {
    let mut lab = Lab::cluster(1);
    lab.ask(0, "SET k v");
    let a = lab.client(0);
    assert_eq!(lab.ask_on(0, a, "SHUTDOWN"), "(none)");
    assert_eq!(lab.exited, [0; 0]);
    let writer = lab.client(0);
    assert_eq!(lab.ask_on(0, writer, "SET k w"), "(none)");
    lab.run(1_100);
    assert_eq!((lab.exited.clone(), lab.nodes[0].deadline()), (vec![0], model::Time::NEVER));
}

#[test]
fn shutdown_gives_up_on_a_replica_that_stays_behind_and_can_be_aborted() {
    let mut lab = Lab::cluster(1);
    // The replica stands still: its link is up, but it acknowledges nothing.
    lab.ask(1, "DEBUG SLEEP 30");
    lab.ask(0, "SET k v");
    let a = lab.client(0);
    lab.send(0, a, "SHUTDOWN");
    assert_eq!(lab.ask(0, "SHUTDOWN ABORT"), "+OK");
    assert_eq!(lab.next(0, a).unwrap(), "-ERR Errors trying to SHUTDOWN. Check logs.");
    lab.send(0, a, "SHUTDOWN");
    lab.run(9_999);
    assert_eq!(lab.exited, [0; 0]);
    lab.run(1);
    assert_eq!(lab.exited, [0]);
}

#[test]
fn whoever_is_unblocked_with_an_error_has_failed_and_so_has_who_did_it() {
    let mut lab = Lab::single();
    let (waits, other) = (lab.client(0), lab.client(0));
    let id = lab.ask_on(0, waits, "CLIENT ID");
    assert_eq!(lab.ask_on(0, waits, "BLPOP l 0"), "(none)");
    let unblock = format!("CLIENT UNBLOCK {} ERROR", id.trim_start_matches(':'));
    assert_eq!(lab.ask_on(0, other, &unblock), ":1");
    let calls = lab.ask_on(0, other, "INFO commandstats");
    for name in ["blpop", "client|unblock"] {
        let line = calls.lines().find(|line| line.starts_with(&format!("cmdstat_{name}:"))).unwrap();
        assert!(line.contains(":calls=1,") && line.ends_with("failed_calls=1"), "{line}");
    }
    assert!(lab.ask_on(0, other, "INFO stats").contains("total_error_replies:1\r\n"));
}
