//! The data commands and expiry.

use super::harness::Lab;

/// Runs a script of lines `command => reply`.
fn script(lab: &mut Lab, script: &str) {
    let conn = lab.client(0);
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (command, reply) = line.split_once(" => ").unwrap();
        assert_eq!(lab.ask_on(0, conn, command), reply, "{command}");
    }
}

const WRONGTYPE: &str = "-WRONGTYPE Operation against a key holding the wrong kind of value";

#[test]
fn strings() {
    script(
        &mut Lab::single(),
        r#"
        SET k v => +OK
        SET k w NX => nil
        SET k w XX GET => "v"
        SET new w XX => nil
        SET k v EX 0 => -ERR invalid expire time in 'set' command
        SET k v EX x => -ERR value is not an integer or out of range
        SET k v NX XX => -ERR syntax error
        SET k v EX 10 KEEPTTL => -ERR syntax error
        SETEX k 0 v => -ERR invalid expire time in 'setex' command
        SET k v EX 10 => +OK
        TTL k => :10
        SET k v2 KEEPTTL => +OK
        PTTL k => :10000
        GETEX k PERSIST => "v2"
        TTL k => :-1
        GETSET k v3 => "v2"
        GETDEL k => "v3"
        GETDEL k => nil
        SETNX k 1 => :1
        SETNX k 2 => :0
        APPEND k 0 => :2
        STRLEN k => :2
        GETRANGE k 0 -1 => "10"
        GETRANGE k -1 -1 => "0"
        INCR k => :11
        INCRBY k 9223372036854775807 => -ERR increment or decrement would overflow
        DECRBY k 1 => :10
        INCRBYFLOAT k 0.5 => "10.5"
        INCR k => -ERR value is not an integer or out of range
        MSET a 1 b 2 => +OK
        MSET a 1 b => -ERR wrong number of arguments for 'mset' command
        MSETNX b 3 c 4 => :0
        MGET a b c => ["1" "2" nil]
        "#,
    );
}

#[test]
fn keys() {
    script(
        &mut Lab::single(),
        r#"
        MSET a 1 b 2 c 3 => +OK
        DEL a x => :1
        UNLINK b => :1
        EXISTS c c x => :2
        TYPE c => +string
        TYPE x => +none
        EXPIRE x 10 => :0
        EXPIRE c 10 => :1
        EXPIRE c 5 GT => :0
        EXPIRE c 20 NX => :0
        EXPIRE c 1 FOO => -ERR Unsupported option FOO
        PERSIST c => :1
        PERSIST c => :0
        TTL x => :-2
        EXPIRE c -1 => :1
        EXISTS c => :0
        RENAME x y => -ERR no such key
        SET a 1 => +OK
        RENAME a b => +OK
        SET c 1 => +OK
        RENAMENX b c => :0
        KEYS * => ["b" "c"]
        SCAN 0 COUNT 10 MATCH b => ["0" ["b"]]
        SCAN x => -ERR invalid cursor
        DBSIZE => :2
        FLUSHDB => +OK
        DBSIZE => :0
        "#,
    );
}

#[test]
fn lists() {
    script(
        &mut Lab::single(),
        r#"
        RPUSH l a b c => :3
        LPUSH l z => :4
        LRANGE l 0 -1 => ["z" "a" "b" "c"]
        LINDEX l -1 => "c"
        LINDEX l 9 => nil
        LSET l 0 a => +OK
        LREM l -1 a => :1
        LRANGE l 0 -1 => ["a" "b" "c"]
        LMOVE l m LEFT RIGHT => "a"
        RPOPLPUSH l m => "c"
        LRANGE m 0 -1 => ["c" "a"]
        LPOP l => "b"
        EXISTS l => :0
        LPOP l => nil
        LPOP l 2 => nil*
        RPOP m 5 => ["a" "c"]
        LPUSHX m x => :0
        LPOP m -1 => -ERR value is out of range, must be positive
        "#,
    );
}

#[test]
fn hashes_and_sets() {
    script(
        &mut Lab::single(),
        r#"
        HSET h a 1 b 2 => :2
        HSET h a => -ERR wrong number of arguments for 'hset' command
        HSET h a 1 c => -ERR wrong number of arguments for 'hset' command
        HGET h a => "1"
        HMGET h a x => ["1" nil]
        HGETALL h => {"a" "1" "b" "2"}
        HINCRBY h a 5 => :6
        HSETNX h a 1 => :0
        HEXISTS h x => :0
        HDEL h a x => :1
        HKEYS h => ["b"]
        HLEN h => :1
        HSET h s x => :1
        HINCRBY h s 1 => -ERR hash value is not an integer
        SADD s a b a => :2
        SISMEMBER s a => :1
        SMEMBERS s => ~["a" "b"]
        SREM s a x => :1
        SCARD s => :1
        SPOP s => "b"
        SPOP s => nil
        "#,
    );
}

#[test]
fn types_are_not_mixed() {
    let mut lab = Lab::single();
    lab.ask(0, "SET k v");
    for command in ["LPUSH k x", "LPOP k", "HGET k f", "SADD k m", "HSET k f v", "SMEMBERS k", "LRANGE k 0 1"] {
        assert_eq!(lab.ask(0, command), WRONGTYPE, "{command}");
    }
    lab.ask(0, "RPUSH l x");
    for command in ["GET l", "INCR l", "APPEND l x", "GETSET l x"] {
        assert_eq!(lab.ask(0, command), WRONGTYPE, "{command}");
    }
    assert_eq!(lab.ask(0, "SET l v"), "+OK");
}

#[test]
fn a_key_is_gone_when_its_time_is_over() {
    let mut lab = Lab::cluster(1);
    lab.ask(0, "SET k v PX 1000");
    lab.run(10);
    assert_eq!((lab.ask(0, "GET k"), lab.ask(1, "GET k")), ("\"v\"".into(), "\"v\"".into()));
    let set =
        lab.wire.iter().any(|(_, to, frame)| *to == 1 && format!("{frame:?}").contains("SET k v PXAT 1704067203000"));
    assert!(set, "replicas hear the moment, not the span");
    lab.cut(1);
    lab.run(1_200);
    assert_eq!((lab.ask(0, "DBSIZE"), lab.ask(0, "GET k")), (":0".into(), "nil".into()));
    // Nobody told the replica, which therefore keeps the key, but does not show it.
    assert_eq!((lab.ask(1, "GET k"), lab.ask(1, "DBSIZE")), ("nil".into(), ":1".into()));
    lab.heal(1);
    lab.run(3_000);
    assert_eq!(lab.ask(1, "DBSIZE"), ":0");
}

#[test]
fn a_key_whose_time_is_over_is_not_the_change_of_who_finds_it_so() {
    for mode in ["NOLOOP", "BCAST NOLOOP"] {
        let mut lab = Lab::single();
        let conn = lab.client(0);
        lab.ask_on(0, conn, "HELLO 3");
        lab.ask_on(0, conn, &format!("CLIENT TRACKING ON {mode}"));
        lab.ask_on(0, conn, "SET k v PX 5");
        lab.ask_on(0, conn, "GET k");
        // The command comes first, before the node looks for keys that are over their time.
        lab.now += std::time::Duration::from_millis(6);
        assert_eq!(lab.ask_on(0, conn, "GET k"), "nil", "{mode}");
        lab.run(1);
        assert_eq!(lab.next(0, conn).as_deref(), Some(">[\"invalidate\" [\"k\"]]"), "{mode}");
        lab.ask_on(0, conn, "SET k w");
        lab.run(1);
        assert_eq!(lab.next(0, conn), None, "{mode}");
    }
}
