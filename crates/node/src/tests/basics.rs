//! Connections, errors and introspection, word for word as redis-server 7.0.15 answered.

use model::machine::{Executed, Note};
use model::plan::Credentials;
use model::{Command, Conn, Input, Output, Reply};

use super::harness::{Lab, addr, config};
use crate::Config;

fn check(lab: &mut Lab, node: usize, conn: Conn, table: &[(&str, &str)]) {
    for (line, reply) in table {
        assert_eq!(lab.ask_on(node, conn, line), *reply, "{line}");
    }
}

#[test]
fn replies_recorded_from_redis() {
    let mut lab = Lab::single();
    let conn = lab.client(0);
    check(
        &mut lab,
        0,
        conn,
        &[
            ("FOO a b", "-ERR unknown command 'FOO', with args beginning with: 'a' 'b' "),
            ("GET", "-ERR wrong number of arguments for 'get' command"),
            ("CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP."),
            ("CLIENT", "-ERR wrong number of arguments for 'client' command"),
            ("CLIENT SETINFO lib-name x", "-ERR unknown subcommand 'SETINFO'. Try CLIENT HELP."),
            ("CLIENT KILL TYPE foo", "-ERR Unknown client type 'foo'"),
            ("CLIENT KILL 1.2.3.4:5", "-ERR No such client"),
            ("CLIENT KILL ID x", "-ERR client-id should be greater than 0"),
            ("CLIENT KILL ID 999", ":0"),
            ("CLIENT KILL FOO bar", "-ERR syntax error"),
            ("CLIENT KILL", "-ERR wrong number of arguments for 'client|kill' command"),
            ("CLIENT NO-EVICT x", "-ERR syntax error"),
            ("CLIENT REPLY x", "-ERR syntax error"),
            ("CLIENT PAUSE x", "-ERR timeout is not an integer or out of range"),
            ("CLIENT PAUSE 100 FOO", "-ERR CLIENT PAUSE mode must be WRITE or ALL"),
            ("CLIENT UNPAUSE", "+OK"),
            ("CLIENT GETNAME", "nil"),
            ("CLIENT SETNAME me", "+OK"),
            ("CLIENT GETNAME", "\"me\""),
            ("CLIENT LIST ID 3 x", "-ERR Invalid client ID"),
            ("HELLO 4", "-NOPROTO unsupported protocol version"),
            ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
            ("HELLO 2 FOO", "-ERR Syntax error in HELLO option 'FOO'"),
            ("HELLO 2 AUTH a b", "-WRONGPASS invalid username-password pair or user is disabled."),
            (
                "AUTH x",
                "-ERR AUTH <password> called without any password configured for the default user. Are you sure your \
             configuration is correct?",
            ),
            ("AUTH default x", "+OK"),
            ("AUTH a b", "-WRONGPASS invalid username-password pair or user is disabled."),
            ("AUTH a b c", "-ERR syntax error"),
            ("SELECT 16", "-ERR DB index is out of range"),
            ("SELECT x", "-ERR value is not an integer or out of range"),
            ("SELECT 1", "+OK"),
            ("SET k v", "+OK"),
            ("SELECT 0", "+OK"),
            ("GET k", "nil"),
            ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
            ("PING hi", "\"hi\""),
            ("RESET", "+RESET"),
            ("WAIT x 0", "-ERR value is not an integer or out of range"),
            ("WAIT 0 x", "-ERR timeout is not an integer or out of range"),
            ("WAIT 0 -1", "-ERR timeout is negative"),
            ("REPLICAOF a x", "-ERR Invalid master port"),
            ("PUBSUB NUMSUB a", "[\"a\" :0]"),
            ("PUBSUB FOO", "-ERR unknown subcommand 'FOO'. Try PUBSUB HELP."),
            ("SHUTDOWN FOO", "-ERR syntax error"),
            ("SHUTDOWN ABORT", "-ERR No shutdown in progress."),
            ("REPLCONF foo bar", "-ERR Unrecognized REPLCONF option: foo"),
            ("SENTINEL MASTERS", "-ERR unknown command 'SENTINEL', with args beginning with: 'MASTERS' "),
            ("SCRIPT KILL", "-NOTBUSY No scripts in execution right now."),
            ("TIME", "[\"1704067200\" \"0\"]"),
            ("QUIT", "+OK"),
        ],
    );
    assert_eq!(lab.closed, [(0, conn)]);
}

#[test]
fn hello_changes_the_protocol_before_its_reply() {
    let mut lab = Lab::single();
    let conn = lab.client(0);
    let map = |proto| {
        format!(
            "{{\"server\" \"redis\" \"version\" \"7.0.15\" \"proto\" :{proto} \"id\" :3 \"mode\" \"standalone\" \
             \"role\" \"master\" \"modules\" []}}"
        )
    };
    assert_eq!(lab.ask_on(0, conn, "HELLO"), map(2));
    assert_eq!(lab.protocols, []);
    let mut out = Vec::new();
    let command = Command::of(&["HELLO", "3"]);
    lab.nodes[0].handle(lab.now, Input::Received(conn, model::Frame::Command(command)), &mut out);
    let protocol = out.iter().position(|output| *output == Output::Protocol(conn, 3)).unwrap();
    assert!(out[protocol + 1..].iter().any(|output| matches!(output, Output::Send(to, _) if *to == conn)));
}

#[test]
fn passwords_and_users() {
    let noauth = "-NOAUTH Authentication required.";
    let none = "-ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                configuration is correct?";
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
    for user in [None, Some("app".to_owned())] {
        let auth = Some(Credentials { user: user.clone(), password: "pw".into() });
        let mut lab = Lab::of(vec![Config { auth, ..config(0) }]);
        let conn = lab.client(0);
        let named = format!("AUTH {} pw", user.as_deref().unwrap_or("default"));
        check(&mut lab, 0, conn, &[("GET k", noauth), ("PING", noauth)]);
        assert_eq!(lab.ask(0, "AUTH bad"), if user.is_none() { wrong } else { none });
        assert!(lab.ask_on(0, conn, "HELLO 3").starts_with("-NOAUTH HELLO must be called with the client already"));
        check(&mut lab, 0, conn, &[(named.as_str(), "+OK"), ("GET k", "nil"), ("RESET", "+RESET"), ("GET k", noauth)]);
        assert_eq!(lab.ask(0, "AUTH pw"), if user.is_none() { "+OK" } else { none });
    }
}

#[test]
fn subscribers_of_resp2_may_do_little_else() {
    let mut lab = Lab::single();
    let conn = lab.client(0);
    check(
        &mut lab,
        0,
        conn,
        &[
            ("SUBSCRIBE c", ">[\"subscribe\" \"c\" :1]"),
            ("PSUBSCRIBE n*", ">[\"psubscribe\" \"n*\" :2]"),
            ("PING", "[\"pong\" \"\"]"),
            (
                "CLIENT LIST",
                "-ERR Can't execute 'client|list': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are \
             allowed in this context",
            ),
        ],
    );
    assert_eq!(lab.ask(0, "PUBLISH c hi"), ":1");
    assert_eq!(lab.ask(0, "PUBLISH news hi"), ":1");
    assert_eq!(lab.next(0, conn).unwrap(), ">[\"message\" \"c\" \"hi\"]");
    assert_eq!(lab.next(0, conn).unwrap(), ">[\"pmessage\" \"n*\" \"news\" \"hi\"]");
    check(
        &mut lab,
        0,
        conn,
        &[("UNSUBSCRIBE", ">[\"unsubscribe\" \"c\" :1]"), ("PUNSUBSCRIBE n*", ">[\"punsubscribe\" \"n*\" :0]")],
    );
    check(&mut lab, 0, conn, &[("UNSUBSCRIBE", ">[\"unsubscribe\" nil :0]"), ("GET k", "nil")]);
    let modern = lab.client(0);
    lab.send(0, modern, "HELLO 3");
    lab.next(0, modern);
    check(&mut lab, 0, modern, &[("SUBSCRIBE c", ">[\"subscribe\" \"c\" :1]"), ("PING", "+PONG"), ("GET k", "nil")]);
}

#[test]
fn info_has_the_sections_that_are_asked_for() {
    let mut lab = Lab::single();
    lab.ask(0, "SET k v");
    assert_eq!(lab.ask(0, "INFO keyspace"), "\"# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n\"");
    let all = lab.ask(0, "INFO");
    let heads: Vec<&str> =
        all.split("\r\n").filter_map(|line| line.trim_start_matches('"').strip_prefix("# ")).collect();
    let order = [
        "Server",
        "Clients",
        "Memory",
        "Persistence",
        "Stats",
        "Replication",
        "CPU",
        "Modules",
        "Errorstats",
        "Cluster",
        "Keyspace",
    ];
    assert_eq!(heads, order);
    assert!(all.contains("\r\nrun_id:") && all.contains("\r\ntcp_port:6379\r\n"));
}

#[test]
fn every_command_is_told_once_with_its_outcome() {
    let mut lab = Lab::single();
    let conn = lab.client(0);
    lab.notes.clear();
    for line in ["SET k v", "LPUSH k x", "NOSUCH", "MULTI", "INCR n", "EXEC"] {
        lab.send(0, conn, line);
    }
    let told: Vec<(String, bool, bool)> = lab
        .notes
        .iter()
        .filter_map(|(_, note)| match note {
            Note::Executed { outcome, command, position, .. } => {
                Some((format!("{command:?}"), matches!(outcome, Executed::Ran(_)), position.is_some()))
            }
            _ => None,
        })
        .collect();
    let expected = [
        ("SET k v", true, true),
        ("LPUSH k x", false, false),
        ("NOSUCH", false, false),
        ("MULTI", true, false),
        ("INCR n", true, true),
        ("EXEC", true, false),
    ];
    assert_eq!(told, expected.map(|(line, ran, position)| (line.to_owned(), ran, position)));
}

#[test]
fn loading_refuses_what_redis_refuses() {
    let mut lab = Lab::single();
    let loading = "-LOADING Redis is loading the dataset in memory";
    lab.input(0, Input::LoadingUntil(model::Time::from_millis(500)));
    let conn = lab.client(0);
    check(&mut lab, 0, conn, &[("PING", loading), ("GET k", loading), ("ECHO x", "\"x\""), ("SELECT 1", "+OK")]);
    assert!(lab.ask(0, "INFO persistence").contains("\r\nloading:1\r\n"));
    lab.run(500);
    check(&mut lab, 0, conn, &[("PING", "+PONG")]);
}

#[test]
fn asleep_it_answers_nothing_and_then_everything() {
    let mut lab = Lab::single();
    let conn = lab.client(0);
    lab.send(0, conn, "DEBUG SLEEP 2");
    lab.heard.clear();
    lab.send(0, conn, "INCR n");
    let other = lab.client(0);
    lab.send(0, other, "PING");
    lab.run(1_999);
    assert_eq!((lab.next(0, conn), lab.next(0, other)), (None, None));
    lab.run(1);
    assert_eq!((lab.next(0, conn).unwrap(), lab.next(0, other).unwrap()), (":1".into(), "+PONG".into()));
}

#[test]
fn an_idle_master_needs_no_waking() {
    let mut lab = Lab::single();
    lab.run(0);
    assert_eq!(lab.nodes[0].deadline(), model::Time::NEVER);
    assert!(lab.notes.contains(&(0, Note::Role { of: None })));
    assert_eq!(lab.nodes[0].config().identity.addr, addr(0));
}

#[test]
fn client_list_names_everybody() {
    let mut lab = Lab::single();
    let conn = lab.client(0);
    lab.send(0, conn, "CLIENT SETNAME me");
    lab.next(0, conn);
    let list = lab.ask_on(0, conn, "CLIENT LIST");
    assert!(
        list.starts_with("\"id=3 addr=10.200.0.1:50000 laddr=10.0.0.1:6379 fd=8 name=me age=0 idle=0 flags=N db=0 ")
    );
    assert!(list.contains(" cmd=client|list user=default redir=-1 resp=2\n"), "{list}");
    let mut text = Vec::new();
    lab.nodes[0].handle(
        lab.now,
        Input::Received(conn, model::Frame::Command(Command::of(&["CLIENT", "INFO"]))),
        &mut text,
    );
    let has_text = |output: &Output| matches!(output, Output::Send(_, model::Frame::Reply(Reply::Verbatim(_))));
    assert!(text.iter().any(has_text), "addresses are rendered for the reader");
}

#[test]
fn client_reply_off_and_skip() {
    let mut lab = Lab::single();
    let conn = lab.client(0);
    check(
        &mut lab,
        0,
        conn,
        &[
            ("CLIENT REPLY SKIP", "(none)"),
            ("INCR n", "(none)"),
            ("INCR n", ":2"),
            ("CLIENT REPLY OFF", "(none)"),
            ("INCR n", "(none)"),
            ("CLIENT REPLY ON", "+OK"),
            ("GET n", "\"3\""),
        ],
    );
}
