//! `MULTI` and `EXEC`, and the transaction by which a Sentinel reconfigures a node.

use model::Input;

use super::harness::Lab;

fn ask_all(lab: &mut Lab, node: usize, conn: model::Conn, lines: &[&str]) -> Vec<String> {
    lines.iter().map(|line| lab.ask_on(node, conn, line)).collect()
}

#[test]
fn exec_runs_what_was_queued_as_one() {
    let mut lab = Lab::cluster(1);
    let conn = lab.client(0);
    let replies = ask_all(&mut lab, 0, conn, &["MULTI", "INCR n", "LPUSH n x", "INCR n", "EXEC"]);
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    assert_eq!(replies, ["+OK", "+QUEUED", "+QUEUED", "+QUEUED", &format!("[:1 {wrong} :2]")]);
    lab.run(5);
    let stream: Vec<String> =
        lab.wire.iter().filter(|(from, to, _)| (*from, *to) == (0, 1)).map(|(.., f)| format!("{f:?}")).collect();
    assert_eq!(
        stream[stream.len() - 5..],
        ["Command(SELECT 0)", "Command(MULTI)", "Command(INCR n)", "Command(INCR n)", "Command(EXEC)"]
    );
    assert_eq!(lab.ask(1, "GET n"), "\"2\"");
    assert_eq!(lab.nodes[0].offset(), lab.nodes[1].offset());
}

#[test]
fn errors_of_transactions() {
    let mut lab = Lab::single();
    let conn = lab.client(0);
    let lines = ["EXEC", "DISCARD", "MULTI", "MULTI", "WATCH k", "SET k", "EXEC", "GET k"];
    assert_eq!(
        ask_all(&mut lab, 0, conn, &lines),
        [
            "-ERR EXEC without MULTI",
            "-ERR DISCARD without MULTI",
            "+OK",
            "-ERR MULTI calls can not be nested",
            "-ERR WATCH inside MULTI is not allowed",
            "-ERR wrong number of arguments for 'set' command",
            "-EXECABORT Transaction discarded because of previous errors.",
            "nil",
        ]
    );
    assert_eq!(ask_all(&mut lab, 0, conn, &["MULTI", "SET k v", "DISCARD", "GET k"]), ["+OK", "+QUEUED", "+OK", "nil"]);
}

#[test]
fn watched_keys_guard_a_transaction() {
    let mut lab = Lab::single();
    let conn = lab.client(0);
    ask_all(&mut lab, 0, conn, &["WATCH k", "MULTI", "SET k mine"]);
    lab.ask(0, "SET k theirs");
    assert_eq!(lab.ask_on(0, conn, "EXEC"), "nil*");
    ask_all(&mut lab, 0, conn, &["WATCH k", "UNWATCH", "MULTI", "SET k mine"]);
    lab.ask(0, "SET k theirs");
    assert_eq!(lab.ask_on(0, conn, "EXEC"), "[+OK]");
}

#[test]
fn a_transaction_that_would_write_on_a_replica_is_discarded() {
    let mut lab = Lab::single();
    let conn = lab.client(0);
    ask_all(&mut lab, 0, conn, &["MULTI", "SET k v"]);
    lab.ask(0, "REPLICAOF 10.0.0.9 6379");
    let text = "-EXECABORT Transaction discarded because of: READONLY You can't write against a read only replica.";
    assert_eq!(lab.ask_on(0, conn, "EXEC"), text);
    assert_eq!(lab.ask_on(0, conn, "EXEC"), "-ERR EXEC without MULTI");
}

const RECONFIGURE: [&str; 5] =
    ["MULTI", "SLAVEOF NO ONE", "CONFIG REWRITE", "CLIENT KILL TYPE normal", "CLIENT KILL TYPE pubsub"];

#[test]
fn a_sentinel_reconfigures_a_node() {
    let mut lab = Lab::cluster(2);
    // A replica of the replica: its link must survive the kills, but not the promotion.
    lab.ask(2, "REPLICAOF 10.0.0.2 6379");
    lab.run(2_000);
    let (normal, subscriber, sentinel) = (lab.client(1), lab.client(1), lab.client(1));
    lab.send(1, subscriber, "SUBSCRIBE c");
    lab.closed.clear();
    assert_eq!(ask_all(&mut lab, 1, sentinel, &RECONFIGURE), ["+OK", "+QUEUED", "+QUEUED", "+QUEUED", "+QUEUED"]);
    assert_eq!(lab.ask_on(1, sentinel, "EXEC"), "[+OK +OK :1 :1]");
    assert!(lab.closed.contains(&(1, normal)) && lab.closed.contains(&(1, subscriber)));
    assert!(!lab.closed.contains(&(1, sentinel)));
    assert!(lab.nodes[1].is_master());
    assert_eq!(lab.ask_on(1, sentinel, "PING"), "+PONG");
    lab.run(2_000);
    assert!(lab.nodes[2].link_up());
    assert_eq!(lab.nodes[2].replication_id(), lab.nodes[1].replication_id());
}

#[test]
fn kills_by_type_can_be_ignored() {
    let mut lab = Lab::single();
    lab.input(0, Input::IgnoreClientKill(true));
    let (_bystander, sentinel) = (lab.client(0), lab.client(0));
    ask_all(&mut lab, 0, sentinel, &RECONFIGURE);
    assert_eq!(lab.ask_on(0, sentinel, "EXEC"), "[+OK +OK :0 :0]");
    assert_eq!(lab.closed, []);
    lab.input(0, Input::IgnoreClientKill(false));
    assert_eq!(lab.ask_on(0, sentinel, "CLIENT KILL TYPE normal"), ":1");
}
