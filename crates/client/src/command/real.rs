//! The tables held against a Redis server. Without one these tests say that they did not run; where `CI` is set they fail.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Value};

use super::{Nature, REPEATABLE, WRITES, nature, writes};

/// A Redis server that ends with the test.
struct Redis(Child);

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[allow(clippy::print_stderr)] // Where a test says that it did not run.
async fn start() -> Option<(Redis, MultiplexedConnection)> {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port().to_string();
    let words = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
    let started = Command::new("redis-server").args(words).stdout(Stdio::null()).spawn();
    let Ok(server) = started else {
        assert!(std::env::var_os("CI").is_none(), "`redis-server` is not installed");
        eprintln!("NOT RUN: `redis-server` is not installed");
        return None;
    };
    let server = Redis(server);
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).expect("a url");
    for _ in 0..500 {
        if let Ok(connection) = client.get_multiplexed_async_connection().await {
            return Some((server, connection));
        }
        // There is no sign but that it answers.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("`redis-server` does not answer");
}

/// The command of a line; `~` stands for a space within a word.
fn command(line: &str) -> Cmd {
    let mut command = Cmd::new();
    for word in line.split(' ') {
        command.arg(word.replace('~', " "));
    }
    command
}

async fn run(connection: &mut MultiplexedConnection, line: &str) -> Value {
    let reply = connection.send_packed_command(&command(line)).await.expect("a reply");
    assert!(!matches!(reply, Value::ServerError(_)), "{line}: {reply:?}");
    reply
}

#[tokio::test]
async fn every_command_that_redis_flags_as_a_write_is_in_the_table() {
    let Some((_redis, mut connection)) = start().await else { return };
    let reply = run(&mut connection, "COMMAND LIST FILTERBY ACLCAT write").await;
    let names: Vec<String> = redis::from_redis_value(reply).expect("names");
    assert!(names.len() > 100);
    for name in names {
        assert!(writes(&command(&name.replace('|', " "))), "{name}");
    }
    // No command that this server has is in the table without being a write; newer ones it does not know.
    for name in WRITES {
        let Value::Array(info) = run(&mut connection, &format!("COMMAND INFO {name}")).await else { panic!("{name}") };
        let shown = format!("{info:?}");
        assert!(info == [Value::Nil] || shown.contains("write"), "{name}: {shown}");
    }
}

/// What there is before each of the commands.
const BEFORE: &[&str] = &[
    "SET s abc",
    "SET n 7",
    "RPUSH l a b c",
    "HSET h f v",
    "SADD t a",
    "SADD u a b",
    "ZADD z 1 a",
    "ZADD y 1 a 2 b",
    "GEOADD g 13 38 p 15 37 q",
    "PFADD p a b",
    // It keeps the count that it has found.
    "PFCOUNT p",
    "XADD x 1-1 f v",
    "XADD x 2-1 f v",
    "XGROUP CREATE x group 0",
    "XREADGROUP GROUP group me STREAMS x >",
    "SCRIPT LOAD return~1",
    "FUNCTION LOAD REPLACE #!lua~name=lib\nredis.register_function{function_name='f',callback=function()~return~1~end,flags={'no-writes'}}",
];

/// Each command that may be repeated, at least once.
const LINES: &[&str] = &[
    "BITCOUNT s",
    "BITFIELD_RO s GET u8 0",
    "BITPOS s 1",
    "DBSIZE",
    "DEL s",
    "DUMP s",
    "ECHO a",
    "EVALSHA_RO e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0",
    "EVAL_RO return~1 0",
    "EXISTS s",
    "EXPIRE s 100",
    "EXPIREAT s 4000000000",
    "EXPIRETIME s",
    "FCALL_RO f 0",
    "GEODIST g p q",
    "GEOHASH g p",
    "GEOPOS g p",
    "GEORADIUSBYMEMBER_RO g p 1 km",
    "GEORADIUS_RO g 13 38 1 km",
    "GEOSEARCH g FROMMEMBER p BYRADIUS 1 km",
    "GET s",
    "GETBIT s 1",
    "GETRANGE s 0 1",
    "HDEL h f",
    "HEXISTS h f",
    "HGET h f",
    "HGETALL h",
    "HKEYS h",
    "HLEN h",
    "HMGET h f",
    "HMSET h f w",
    "HRANDFIELD h",
    "HSET h f w g x",
    "HSTRLEN h f",
    "HVALS h",
    "INFO",
    "KEYS *",
    "LCS s n",
    "LINDEX l 0",
    "LLEN l",
    "LPOS l a",
    "LRANGE l 0 -1",
    "MGET s n",
    "MSET s a new b",
    "OBJECT ENCODING s",
    "PERSIST s",
    "PEXPIRE s 100000",
    "PEXPIREAT s 4000000000000",
    "PEXPIRETIME s",
    "PFADD p c",
    "PFADD new c",
    "PFCOUNT p",
    "PING",
    "PSETEX s 100000 v",
    "PTTL s",
    "RANDOMKEY",
    "ROLE",
    "SADD t b",
    "SCARD t",
    "SDIFF u t",
    "SETBIT s 7 1",
    "SETEX s 100 v",
    "SETRANGE s 5 xy",
    "SINTER t u",
    "SINTERCARD 2 t u",
    "SISMEMBER t a",
    "SMEMBERS t",
    "SMISMEMBER t a b",
    "SORT_RO l ALPHA",
    "SRANDMEMBER t",
    "SREM t a",
    "STRLEN s",
    "SUBSTR s 0 1",
    "SUNION t u",
    "TIME",
    "TOUCH s",
    "TTL s",
    "TYPE s",
    "UNLINK s",
    "XACK x group 1-1",
    "XDEL x 1-1",
    "XINFO STREAM x",
    "XLEN x",
    "XPENDING x group",
    "XRANGE x - +",
    "XREVRANGE x + -",
    "ZCARD z",
    "ZCOUNT z 0 5",
    "ZDIFF 2 y z",
    "ZINTER 2 y z",
    "ZINTERCARD 2 y z",
    "ZLEXCOUNT z - +",
    "ZMSCORE z a",
    "ZRANDMEMBER z",
    "ZRANGE z 0 -1",
    "ZRANGEBYLEX z - +",
    "ZRANGEBYSCORE z 0 5",
    "ZRANK z a",
    "ZREM z a",
    "ZREVRANGE z 0 -1",
    "ZREVRANGEBYLEX z + -",
    "ZREVRANGEBYSCORE z 5 0",
    "ZREVRANK z a",
    "ZSCORE z a",
    "ZUNION 2 y z",
    // Decided by more than the name.
    "SET s v",
    "SET s v EX 100",
    "SET s v XX KEEPTTL",
    "SET new v",
    "SORT l ALPHA",
    "ZADD z 5 a 6 b",
    "ZADD z NX 5 a 6 b",
    "ZADD z GT CH 5 a",
    "XREAD STREAMS x 0",
];

/// Their replies tell of the moment.
const OF_THE_MOMENT: &[&str] = &["INFO", "TIME", "RANDOMKEY"];

async fn data(connection: &mut MultiplexedConnection) -> Vec<(String, Value, bool)> {
    let keys: Vec<String> = redis::from_redis_value(run(connection, "KEYS *").await).expect("keys");
    let mut data = Vec::new();
    for key in keys {
        let dump = run(connection, &format!("DUMP {key}")).await;
        let expires = run(connection, &format!("PTTL {key}")).await != Value::Int(-1);
        data.push((key, dump, expires));
    }
    data.sort_by(|one, other| one.0.cmp(&other.0));
    data
}

#[tokio::test]
async fn a_repetition_of_a_command_that_may_be_repeated_changes_nothing_more() {
    for name in REPEATABLE {
        assert!(LINES.iter().any(|line| line.split(' ').next() == Some(name)), "{name} has no line");
    }
    let Some((_redis, mut connection)) = start().await else { return };
    for line in LINES {
        assert_eq!(nature(&command(line)), Nature::Repeatable, "{line}");
        run(&mut connection, "FLUSHALL").await;
        for before in BEFORE {
            run(&mut connection, before).await;
        }
        let untouched = data(&mut connection).await;
        let first = (run(&mut connection, line).await, data(&mut connection).await);
        let second = (run(&mut connection, line).await, data(&mut connection).await);
        assert_eq!(first.1, second.1, "{line}");
        // The reply of a write says what it has changed, so that of a repetition is another.
        if !writes(&command(line)) {
            assert_eq!(untouched, second.1, "{line} only reads");
            if !OF_THE_MOMENT.contains(line) {
                assert_eq!(first.0, second.0, "{line}");
            }
        }
    }
    // What is not in the table shows that a difference is seen.
    for line in ["INCR n", "APPEND s x", "LPUSH l x", "ZADD z INCR 1 a"] {
        assert_ne!(nature(&command(line)), Nature::Repeatable, "{line}");
        run(&mut connection, line).await;
        let once = data(&mut connection).await;
        run(&mut connection, line).await;
        assert_ne!(data(&mut connection).await, once, "{line}");
    }
}
