//! `CONFIG`, and the parameters that refuse writes or reads.

use super::harness::Lab;

#[test]
fn get_and_set() {
    let mut lab = Lab::single();
    let table = [
        ("CONFIG GET save appendonly", "{\"appendonly\" \"no\" \"save\" \"\"}"),
        ("CONFIG GET slave-prio*", "{\"slave-priority\" \"100\"}"),
        ("CONFIG SET slave-priority 7", "+OK"),
        ("CONFIG GET replica-priority", "{\"replica-priority\" \"7\"}"),
        ("CONFIG GET", "-ERR wrong number of arguments for 'config|get' command"),
        ("CONFIG SET maxmemory", "-ERR wrong number of arguments for 'config|set' command"),
        ("CONFIG SET foo 1", "-ERR Unknown option or number of arguments for CONFIG SET - 'foo'"),
        (
            "CONFIG SET replica-priority x",
            "-ERR CONFIG SET failed (possibly related to argument 'replica-priority') - argument couldn't be parsed \
             into an integer",
        ),
        (
            "CONFIG SET port 1",
            "-ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on this port. Check server \
             logs.",
        ),
        ("CONFIG SET maxmemory 0", "+OK"),
        ("CONFIG FOO", "-ERR unknown subcommand 'FOO'. Try CONFIG HELP."),
    ];
    for (line, reply) in table {
        assert_eq!(lab.ask(0, line), reply, "{line}");
    }
    assert_eq!(lab.nodes[0].priority(), 7);
    lab.ask(0, "CONFIG SET replica-priority 9 foo 1");
    assert_eq!(lab.nodes[0].priority(), 7, "all or nothing");
}

#[test]
fn a_password_can_be_set_and_removed() {
    let mut lab = Lab::single();
    let admin = lab.client(0);
    assert_eq!(lab.ask_on(0, admin, "CONFIG SET requirepass pw"), "+OK");
    assert_eq!(lab.ask(0, "GET k"), "-NOAUTH Authentication required.");
    assert_eq!(lab.ask_on(0, admin, "CONFIG SET requirepass "), "+OK");
    assert_eq!(lab.ask(0, "GET k"), "nil");
}

#[test]
fn writes_need_good_replicas() {
    let refused = "-NOREPLICAS Not enough good replicas to write.";
    let mut lab = Lab::cluster(1);
    lab.ask(0, "CONFIG SET min-replicas-to-write 2");
    assert_eq!(lab.ask(0, "SET k v"), refused);
    assert_eq!(lab.ask(0, "GET k"), "nil");
    lab.ask(0, "CONFIG SET min-replicas-to-write 1 min-replicas-max-lag 3");
    assert_eq!(lab.ask(0, "SET k v"), "+OK");
    assert!(lab.ask(0, "INFO replication").contains("\r\nconnected_slaves:1\r\nmin_slaves_good_slaves:1\r\nslave0:"));
    // The replica stands still, so that its lag grows while its link stays.
    lab.ask(1, "DEBUG SLEEP 60");
    lab.run(2_000);
    assert_eq!(lab.ask(0, "SET k v"), "+OK");
    lab.run(4_000);
    assert_eq!(lab.ask(0, "SET k v"), refused);
}

#[test]
fn a_replica_without_its_master_may_refuse_everything() {
    let mut lab = Lab::cluster(1);
    lab.ask(1, "CONFIG SET replica-serve-stale-data no");
    assert_eq!(lab.ask(1, "GET k"), "nil");
    lab.cut(0);
    let down = "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.";
    for line in ["GET k", "PING"] {
        assert_eq!(lab.ask(1, line), down, "{line}");
    }
    assert_eq!(lab.ask(1, "SET k v"), "-READONLY You can't write against a read only replica.");
    assert!(lab.ask(1, "ROLE").starts_with("[\"slave\" \"10.0.0.1\" :6379 \"connect"));
    assert_eq!(lab.ask(1, "SUBSCRIBE c"), ">[\"subscribe\" \"c\" :1]");
}

#[test]
fn what_a_replica_takes_from_its_clients_is_in_no_history() {
    let mut lab = Lab::cluster(2);
    assert_eq!(lab.ask(1, "SET k own"), "-READONLY You can't write against a read only replica.");
    lab.ask(1, "CONFIG SET replica-read-only no");
    assert_eq!(lab.ask(1, "SET k own"), "+OK");
    let position = lab.last_position();
    lab.run(2_000);
    assert_eq!((0..3).map(|node| lab.holds(node, &position)).collect::<Vec<_>>(), [false, true, false]);
    assert_eq!((lab.ask(0, "GET k"), lab.ask(2, "GET k")), ("nil".to_owned(), "nil".to_owned()));
    // The snapshot of another master replaces it.
    lab.ask(1, "REPLICAOF NO ONE");
    lab.ask(1, "SET other v");
    assert!(lab.holds(1, &position));
    lab.ask(1, "REPLICAOF 10.0.0.1 6379");
    lab.run(2_000);
    assert!(lab.nodes[1].link_up() && !lab.holds(1, &position));
}

#[test]
fn an_idle_client_is_closed_at_a_whole_second() {
    let mut lab = Lab::single();
    let (idle, listens, waits) = (lab.client(0), lab.client(0), lab.client(0));
    lab.send(0, listens, "SUBSCRIBE c");
    lab.send(0, waits, "BLPOP l 0");
    lab.run(300);
    lab.ask_on(0, idle, "CONFIG SET timeout 2");
    lab.run(2_600);
    assert_eq!(lab.closed, []);
    // It was last heard in the first second; in the fourth it has been silent for more than two.
    lab.run(200);
    assert_eq!(lab.closed, [(0, idle)]);
    lab.run(60_000);
    assert_eq!(lab.closed, [(0, idle)]);
    lab.ask(0, "LPUSH l x");
    assert!(lab.next(0, waits).is_some());
    lab.run(3_200);
    assert!(lab.closed.contains(&(0, waits)) && !lab.closed.contains(&(0, listens)));
}

#[test]
fn a_smaller_backlog_keeps_the_end() {
    let mut lab = Lab::cluster(1);
    for _ in 0..3 {
        lab.ask(0, &format!("SET k {}", "x".repeat(10_000)));
    }
    assert_eq!(lab.ask(0, "CONFIG SET repl-backlog-size 1"), "+OK");
    assert_eq!(lab.ask(0, "CONFIG GET repl-backlog-size"), "{\"repl-backlog-size\" \"16384\"}");
    let info = lab.ask(0, "INFO replication");
    let kept = info.lines().find_map(|line| line.strip_prefix("repl_backlog_histlen:")?.parse::<u64>().ok());
    assert!(kept.is_some_and(|kept| (10_000..=16_384).contains(&kept)), "{info}");
}
