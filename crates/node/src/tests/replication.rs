//! The handshake, the stream, what INFO and ROLE show of them, and resynchronisation.

use model::machine::Note;
use model::plan::Credentials;
use model::{Frame, Reply, Time};

use super::harness::{Lab, addr, config};
use crate::Config;

/// Commands and simple replies between two nodes, in order.
fn talk(lab: &Lab) -> Vec<String> {
    let line = |(from, _, frame): &(usize, usize, Frame)| match frame {
        Frame::Command(command) => format!("{from}: {command:?}"),
        Frame::Reply(Reply::Simple(text)) => format!("{from}: +{text}"),
        Frame::Reply(Reply::Error(text)) => format!("{from}: -{text}"),
        Frame::Reply(other) => format!("{from}: {other:?}"),
        Frame::Snapshot(_) => format!("{from}: (snapshot)"),
        Frame::Malformed(what) => format!("{from}: ({what})"),
    };
    lab.wire.iter().map(line).collect()
}

#[test]
fn the_handshake_is_that_of_redis() {
    let lab = Lab::cluster(1);
    let id = lab.nodes[0].replication_id();
    let resync = format!("0: +FULLRESYNC {id} 0");
    let expected = [
        "1: PING",
        "0: +PONG",
        "1: REPLCONF listening-port 6379",
        "1: REPLCONF capa eof capa psync2 capa lineage",
        "0: +OK",
        "0: +OK",
        "1: PSYNC ? -1",
        &resync,
        "0: (snapshot)",
        "1: REPLCONF ACK 0",
    ];
    assert_eq!(talk(&lab)[..expected.len()], expected);
}

#[test]
fn replicas_authenticate() {
    for user in [None, Some("app".to_owned())] {
        let auth = Some(Credentials { user: user.clone(), password: "pw".into() });
        let replica = Config { auth: auth.clone(), replica_of: Some(addr(0)), ..config(1) };
        let mut lab = Lab::of(vec![Config { auth, ..config(0) }, replica]);
        lab.run(1_000);
        assert!(lab.nodes[1].link_up());
        let auth = user.map_or("1: AUTH pw".to_owned(), |user| format!("1: AUTH {user} pw"));
        assert_eq!(talk(&lab)[1..3], ["0: -NOAUTH Authentication required.", &auth]);
    }
    let replica = Config { replica_of: Some(addr(0)), ..config(1) };
    let auth = Some(Credentials { user: None, password: "pw".into() });
    let mut lab = Lab::of(vec![Config { auth, ..config(0) }, replica]);
    lab.run(3_000);
    assert!(!lab.nodes[1].link_up());
}

#[test]
fn the_stream_counts_its_bytes() {
    let mut lab = Lab::cluster(1);
    let before = lab.wire.len();
    lab.ask(0, "SET k v");
    lab.ask(0, "PUBLISH ch msg");
    lab.run(10);
    assert_eq!(talk(&lab)[before..before + 3], ["0: SELECT 0", "0: SET k v", "0: PUBLISH ch msg"]);
    // The number that redis-server 7.0.15 counted for the same stream.
    assert_eq!((lab.nodes[0].offset(), lab.nodes[1].offset()), (84, 84));
    lab.run(1_000);
    assert_eq!(lab.ask(0, "ROLE"), "[\"master\" :84 [[\"10.0.0.2\" \"6379\" \"84\"]]]");
    assert_eq!(lab.ask(1, "ROLE"), "[\"slave\" \"10.0.0.1\" :6379 \"connected\" :84]");
}

#[test]
fn info_is_laid_out_as_in_redis() {
    let mut lab = Lab::cluster(1);
    lab.ask(0, "SET k v");
    lab.run(1_100);
    let id = lab.nodes[0].replication_id().clone();
    let tail = format!(
        "master_failover_state:no-failover\r\nmaster_replid:{id}\r\n\
         master_replid2:0000000000000000000000000000000000000000\r\nmaster_repl_offset:50\r\nsecond_repl_offset:-1\r\n\
         repl_backlog_active:1\r\nrepl_backlog_size:1048576\r\nrepl_backlog_first_byte_offset:1\r\n\
         repl_backlog_histlen:50\r\n\""
    );
    let info = lab.ask(0, "INFO replication");
    let (before, lag) = info.split_once("lag=").unwrap();
    assert_eq!(
        before,
        "\"# Replication\r\nrole:master\r\nconnected_slaves:1\r\nslave0:ip=10.0.0.2,port=6379,state=online,offset=50,"
    );
    assert_eq!(lag.split_once("\r\n").unwrap().1, tail);
    let replica = lab.ask(1, "INFO replication");
    let (before, after) = replica.split_once("master_last_io_seconds_ago:").unwrap();
    assert_eq!(
        before,
        "\"# Replication\r\nrole:slave\r\nmaster_host:10.0.0.1\r\nmaster_port:6379\r\nmaster_link_status:up\r\n"
    );
    assert_eq!(
        after.split_once("\r\n").unwrap().1,
        format!(
            "master_sync_in_progress:0\r\nslave_read_repl_offset:50\r\nslave_repl_offset:50\r\nslave_priority:100\r\n\
             slave_read_only:1\r\nreplica_announced:1\r\nconnected_slaves:0\r\n{tail}"
        )
    );
    lab.cut(0);
    lab.run(3_100);
    let down = lab.ask(1, "INFO replication");
    let expected = "master_link_status:down\r\nmaster_last_io_seconds_ago:-1\r\nmaster_sync_in_progress:0\r\n\
                    slave_read_repl_offset:50\r\nslave_repl_offset:50\r\nmaster_link_down_since_seconds:3\r\n\
                    slave_priority:100\r\n";
    assert!(down.contains(expected), "{down}");
}

#[test]
fn a_replica_that_never_had_a_master_says_so() {
    let mut lab = Lab::of(vec![Config { replica_of: Some(addr(5)), ..config(0) }]);
    lab.run(1_500);
    let info = lab.ask(0, "INFO replication");
    assert!(info.contains("slave_repl_offset:1\r\nmaster_link_down_since_seconds:-1\r\n"), "{info}");
    assert!(info.contains("repl_backlog_active:0\r\n"));
}

#[test]
fn a_lost_link_goes_on_where_it_was() {
    let mut lab = Lab::cluster(1);
    lab.ask(0, "SET a 1");
    lab.run(10);
    lab.cut(1);
    lab.notes.clear();
    lab.ask(0, "SET b 2");
    lab.run(2_000);
    lab.heal(1);
    lab.run(1_100);
    let up = |full| (1, Note::ReplicaLink { up: true, full });
    assert!(lab.notes.contains(&up(false)) && !lab.notes.contains(&up(true)));
    assert_eq!(lab.ask(1, "MGET a b"), "[\"1\" \"2\"]");
    assert!(lab.ask(0, "INFO stats").contains("sync_full:1\r\nsync_partial_ok:1\r\n"));
}

#[test]
fn beyond_the_backlog_only_a_snapshot_helps() {
    let mut lab =
        Lab::of(vec![Config { backlog_size: 200, ..config(0) }, Config { replica_of: Some(addr(0)), ..config(1) }]);
    lab.run(1_500);
    lab.cut(1);
    for n in 0..20 {
        lab.ask(0, &format!("SET k{n} v"));
    }
    lab.heal(1);
    lab.notes.clear();
    lab.run(1_500);
    assert!(lab.notes.contains(&(1, Note::ReplicaLink { up: true, full: true })));
    assert_eq!(lab.ask(1, "DBSIZE"), ":20");
    assert_eq!(lab.nodes[1].offset(), lab.nodes[0].offset());
    assert_eq!(lab.nodes[1].lineage(), lab.nodes[0].lineage());
}

#[test]
fn replicas_of_replicas_follow_the_same_stream() {
    let mut lab = Lab::cluster(2);
    lab.ask(2, "REPLICAOF 10.0.0.2 6379");
    lab.run(2_000);
    let conn = lab.client(0);
    for line in ["SELECT 3", "SET k v", "MULTI", "INCR n", "INCR n", "EXEC"] {
        lab.send(0, conn, line);
    }
    let subscriber = lab.client(2);
    lab.ask_on(2, subscriber, "SUBSCRIBE c");
    lab.ask(0, "PUBLISH c hi");
    lab.run(100);
    assert_eq!(lab.next(2, subscriber).unwrap(), ">[\"message\" \"c\" \"hi\"]");
    let conn = lab.client(2);
    lab.ask_on(2, conn, "SELECT 3");
    assert_eq!(lab.ask_on(2, conn, "MGET k n"), "[\"v\" \"2\"]");
    let offsets: Vec<u64> = lab.nodes.iter().map(crate::Node::offset).collect();
    assert_eq!(offsets, [offsets[0]; 3]);
    // In the middle of the stream a new sub-replica must learn the selected database too.
    lab.restart(2, Some(addr(1)));
    lab.run(2_000);
    let conn = lab.client(0);
    lab.send(0, conn, "SELECT 3");
    lab.send(0, conn, "SET late v");
    lab.run(100);
    let conn = lab.client(2);
    lab.ask_on(2, conn, "SELECT 3");
    assert_eq!(lab.ask_on(2, conn, "GET late"), "\"v\"");
}

#[test]
fn a_replica_without_master_takes_no_replicas() {
    let mut lab = Lab::of(vec![
        Config { replica_of: Some(addr(7)), ..config(0) },
        Config { replica_of: Some(addr(0)), ..config(1) },
    ]);
    lab.run(2_500);
    assert!(talk(&lab).contains(&"0: -NOMASTERLINK Can't SYNC while not connected with my master".to_owned()));
    assert!(!lab.nodes[1].link_up());
}

#[test]
fn pings_flow_every_ten_seconds_and_acknowledgements_every_second() {
    let mut lab = Lab::cluster(1);
    let before = lab.wire.len();
    lab.run(30_000);
    let talk = talk(&lab)[before..].to_vec();
    let count = |text: &str| talk.iter().filter(|line| line.starts_with(text)).count();
    assert_eq!((count("0: PING"), count("1: REPLCONF ACK")), (3, 30));
}

#[test]
fn a_silent_replica_is_given_up_after_the_timeout() {
    let mut lab = Lab::cluster(1);
    lab.ask(1, "DEBUG SLEEP 100");
    lab.run(58_000);
    assert!(lab.ask(0, "INFO replication").contains("connected_slaves:1"));
    lab.run(4_000);
    assert!(lab.ask(0, "INFO replication").contains("connected_slaves:0"));
}

#[test]
fn a_master_may_wait_for_more_replicas_before_it_sends_a_snapshot() {
    let delay = std::time::Duration::from_secs(5);
    let mut lab = Lab::of(vec![
        Config { diskless_sync_delay: delay, ..config(0) },
        Config { replica_of: Some(addr(0)), ..config(1) },
    ]);
    lab.run(4_000);
    let info = lab.ask(0, "INFO replication");
    assert!(info.contains("slave0:ip=10.0.0.2,port=6379,state=wait_bgsave,offset=0,lag=0\r\n"), "{info}");
    assert_eq!(lab.ask(0, "ROLE"), "[\"master\" :0 []]");
    assert_eq!(lab.ask(1, "ROLE"), "[\"slave\" \"10.0.0.1\" :6379 \"handshake\" :-1]");
    lab.ask(0, "SET k v");
    lab.run(1_100);
    assert_eq!(lab.ask(1, "GET k"), "\"v\"");
    assert_eq!(lab.now, Time::from_millis(5_100));
}

#[test]
fn the_master_is_a_client_of_its_replica() {
    let mut lab = Lab::cluster(1);
    lab.ask(0, "SELECT 3");
    lab.ask(0, "SET k v");
    lab.run(10);
    let listed = lab.ask(1, "CLIENT LIST TYPE master");
    assert!(listed.starts_with("\"id=3 addr=10.0.0.1:6379 laddr=10.0.0.2:3"), "{listed}");
    let rest = "flags=M db=0 sub=0 psub=0 ssub=0 multi=-1";
    assert!(listed.contains(rest) && listed.contains("cmd=set user=(superuser) redir=-1 resp=2"), "{listed}");
    assert_eq!(lab.ask(0, "CLIENT LIST TYPE master"), "\"\"");
    assert_eq!(lab.ask(1, "CLIENT KILL ID 3"), ":1");
    assert_eq!(lab.ask(1, "CLIENT LIST TYPE master"), "\"\"");
    lab.run(100);
    assert!(lab.nodes[1].link_up() && lab.ask(1, "CLIENT LIST TYPE master").contains("flags=M"));
}

/// The numbers of redis-server 7.0.15, in the same steps.
#[test]
fn synchronisations_are_counted() {
    let mut lab = Lab::of(vec![config(0), config(1)]);
    let mut counts = |commands: &[(usize, &str)]| {
        for (node, command) in commands {
            lab.ask(*node, command);
        }
        lab.run(4_000);
        assert!(lab.nodes[1].link_up());
        let stats = lab.ask(0, "INFO stats");
        let count = |name| stats.lines().find_map(|line| line.strip_prefix(name)?.parse::<u8>().ok()).unwrap();
        ["sync_full:", "sync_partial_ok:", "sync_partial_err:"].map(count)
    };
    assert_eq!(counts(&[(1, "REPLICAOF 10.0.0.1 6379")]), [1, 0, 1], "a master asks to go on from its own history");
    assert_eq!(counts(&[(0, "CLIENT KILL TYPE replica")]), [1, 1, 1]);
    let diverges = [(1, "REPLICAOF NO ONE"), (1, "SET x 1"), (1, "REPLICAOF 10.0.0.1 6379")];
    assert_eq!(counts(&diverges), [2, 1, 2]);
    let stranger = counts(&[(0, "PSYNC nonsense 5")]);
    assert_eq!(stranger, [3, 1, 3], "whatever is no question mark is a history");
}

#[test]
fn who_understands_no_ids_is_told_none() {
    let mut lab = Lab::cluster(1);
    lab.run(10);
    let id = lab.nodes[0].replication_id().to_string();
    let next = lab.nodes[0].offset() + 1;
    for (capa, answer) in [("eof", "+CONTINUE".to_owned()), ("psync2", format!("+CONTINUE {id}"))] {
        let replica = lab.client(0);
        lab.ask_on(0, replica, &format!("REPLCONF capa {capa}"));
        assert_eq!(lab.ask_on(0, replica, &format!("PSYNC {} {next}", id.to_uppercase())), answer);
    }
}

#[test]
fn who_asks_by_sync_is_told_nothing_but_the_data_set() {
    let mut lab = Lab::cluster(0);
    let replica = lab.client(0);
    assert_eq!(lab.ask_on(0, replica, "SYNC"), "(none)");
    lab.run(6_000);
    assert_eq!(lab.next(0, replica), None);
    lab.ask(0, "SET k v");
    lab.run(120_000);
    let stream = format!("{:?}", lab.streams[&(0, replica)]);
    assert!(stream.starts_with("[SELECT 0, SET k v, PING"), "{stream}");
}

#[test]
fn a_master_that_hands_over_makes_its_replica_the_master() {
    let mut lab = Lab::cluster(1);
    lab.run(10);
    let (id, next) = (lab.nodes[0].replication_id().to_string(), lab.nodes[0].offset() + 1);
    let master = lab.client(1);
    lab.ask_on(1, master, "REPLCONF capa psync2");
    let answer = lab.ask_on(1, master, &format!("PSYNC {id} {next} FAILOVER"));
    assert!(lab.nodes[1].is_master());
    assert_eq!(answer, format!("+CONTINUE {}", lab.nodes[1].replication_id()), "what it knows goes on under a new id");
}
