//! What a command is to a client that may have to send it twice: safe to repeat or not, blocking, or bound to its
//! connection. The one table of commands.

use std::time::Duration;

use redis::{Arg, Cmd};

/// What a command is, as far as sending it again and sharing its connection go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nature {
    /// A second execution leaves the data as the first one did.
    Repeatable,
    /// A second execution may change the data again, or it is not known.
    Once,
    /// It blocks the connection for up to this long; `None`: without limit.
    Blocking(Option<Duration>),
    /// It changes what the connection means for every command after it.
    Stateful,
}

/// Commands that only read, or whose second execution changes nothing more. Sorted, for the search.
///
/// Not `SCAN` and its kin: a cursor means something to the process that gave it, and a repetition may go to another.
/// Not `LSET`: another element may stand there by then.
const REPEATABLE: &[&str] = &[
    "BITCOUNT",
    "BITFIELD_RO",
    "BITPOS",
    "DBSIZE",
    "DEL",
    "DUMP",
    "ECHO",
    "EVALSHA_RO",
    "EVAL_RO",
    "EXISTS",
    "EXPIRE",
    "EXPIREAT",
    "EXPIRETIME",
    "FCALL_RO",
    "GEODIST",
    "GEOHASH",
    "GEOPOS",
    "GEORADIUSBYMEMBER_RO",
    "GEORADIUS_RO",
    "GEOSEARCH",
    "GET",
    "GETBIT",
    "GETRANGE",
    "HDEL",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HKEYS",
    "HLEN",
    "HMGET",
    "HMSET",
    "HRANDFIELD",
    "HSET",
    "HSTRLEN",
    "HVALS",
    "INFO",
    "KEYS",
    "LCS",
    "LINDEX",
    "LLEN",
    "LPOS",
    "LRANGE",
    "MGET",
    "MSET",
    "OBJECT",
    "PERSIST",
    "PEXPIRE",
    "PEXPIREAT",
    "PEXPIRETIME",
    "PFADD",
    "PFCOUNT",
    "PING",
    "PSETEX",
    "PTTL",
    "RANDOMKEY",
    "ROLE",
    "SADD",
    "SCARD",
    "SDIFF",
    "SETBIT",
    "SETEX",
    "SETRANGE",
    "SINTER",
    "SINTERCARD",
    "SISMEMBER",
    "SMEMBERS",
    "SMISMEMBER",
    "SORT_RO",
    "SRANDMEMBER",
    "SREM",
    "STRLEN",
    "SUBSTR",
    "SUNION",
    "TIME",
    "TOUCH",
    "TTL",
    "TYPE",
    "UNLINK",
    "XACK",
    "XDEL",
    "XINFO",
    "XLEN",
    "XPENDING",
    "XRANGE",
    "XREVRANGE",
    "ZCARD",
    "ZCOUNT",
    "ZDIFF",
    "ZINTER",
    "ZINTERCARD",
    "ZLEXCOUNT",
    "ZMSCORE",
    "ZRANDMEMBER",
    "ZRANGE",
    "ZRANGEBYLEX",
    "ZRANGEBYSCORE",
    "ZRANK",
    "ZREM",
    "ZREVRANGE",
    "ZREVRANGEBYLEX",
    "ZREVRANGEBYSCORE",
    "ZREVRANK",
    "ZSCORE",
    "ZUNION",
];

/// Commands that write, as Redis flags them: a replica refuses them, whatever their options. Sorted. Scripts and what modules
/// bring are not among them, because only the node knows what those do.
#[rustfmt::skip]
const WRITES: &[&str] = &[
    "APPEND", "BITFIELD", "BITOP", "BLMOVE", "BLMPOP", "BLPOP", "BRPOP", "BRPOPLPUSH", "BZMPOP", "BZPOPMAX", "BZPOPMIN",
    "COPY", "DECR", "DECRBY", "DEL", "EXPIRE", "EXPIREAT", "FLUSHALL", "FLUSHDB", "GEOADD", "GEORADIUS",
    "GEORADIUSBYMEMBER", "GEOSEARCHSTORE", "GETDEL", "GETEX", "GETSET", "HDEL", "HEXPIRE", "HEXPIREAT", "HGETDEL",
    "HGETEX", "HINCRBY", "HINCRBYFLOAT", "HMSET", "HPERSIST", "HPEXPIRE", "HPEXPIREAT", "HSET", "HSETEX", "HSETNX",
    "INCR", "INCRBY", "INCRBYFLOAT", "LINSERT", "LMOVE", "LMPOP", "LPOP", "LPUSH", "LPUSHX", "LREM", "LSET", "LTRIM",
    "MIGRATE", "MOVE", "MSET", "MSETNX", "PERSIST", "PEXPIRE", "PEXPIREAT", "PFADD", "PFDEBUG", "PFMERGE", "PSETEX",
    "RENAME", "RENAMENX", "RESTORE", "RESTORE-ASKING", "RPOP", "RPOPLPUSH", "RPUSH", "RPUSHX", "SADD", "SDIFFSTORE",
    "SET", "SETBIT", "SETEX", "SETNX", "SETRANGE", "SINTERSTORE", "SMOVE", "SORT", "SPOP", "SREM", "SUNIONSTORE",
    "SWAPDB", "UNLINK", "XACK", "XADD", "XAUTOCLAIM", "XCLAIM", "XDEL", "XGROUP", "XREADGROUP", "XSETID", "XTRIM",
    "ZADD", "ZDIFFSTORE", "ZINCRBY", "ZINTERSTORE", "ZMPOP", "ZPOPMAX", "ZPOPMIN", "ZRANGESTORE", "ZREM",
    "ZREMRANGEBYLEX", "ZREMRANGEBYRANK", "ZREMRANGEBYSCORE", "ZUNIONSTORE",
];

/// Commands that make their connection unfit to be shared. Sorted.
const STATEFUL: &[&str] = &[
    "ASKING",
    "AUTH",
    "CLIENT",
    "DISCARD",
    "EXEC",
    "HELLO",
    "MONITOR",
    "MULTI",
    "PSUBSCRIBE",
    "PSYNC",
    "PUNSUBSCRIBE",
    "QUIT",
    "READONLY",
    "READWRITE",
    "RESET",
    "SELECT",
    "SSUBSCRIBE",
    "SUBSCRIBE",
    "SUNSUBSCRIBE",
    "SYNC",
    "UNSUBSCRIBE",
    "UNWATCH",
    "WATCH",
];

/// Commands that block, or do so with an option.
const BLOCKING: &[&str] = &[
    "BLMOVE",
    "BLMPOP",
    "BLPOP",
    "BRPOP",
    "BRPOPLPUSH",
    "BZMPOP",
    "BZPOPMAX",
    "BZPOPMIN",
    "WAIT",
    "WAITAOF",
    "XREAD",
    "XREADGROUP",
];

/// Longer names than this are not in the tables.
const LONGEST: usize = 24;

/// The name of a command, in upper case.
pub(crate) fn name(command: &Cmd) -> String {
    words(command).next().map_or_else(
        || "a command without a name".to_owned(),
        |name| String::from_utf8_lossy(name).to_ascii_uppercase(),
    )
}

/// The words of a command. This and [`nature`] are on the path of every call.
fn words(command: &Cmd) -> impl Iterator<Item = &[u8]> + Clone {
    command.args_iter().map(|arg| match arg {
        Arg::Simple(word) => word,
        // The place of a cursor, which stands for a number.
        _ => b"0".as_slice(),
    })
}

/// True if this is the name of the command; `names` are in upper case.
pub(crate) fn is_one_of(command: &Cmd, names: &[&str]) -> bool {
    words(command).next().is_some_and(|name| names.iter().any(|one| name.eq_ignore_ascii_case(one.as_bytes())))
}

/// True if it is known to write.
pub(crate) fn writes(command: &Cmd) -> bool {
    let mut args = words(command);
    let mut buffer = [0; LONGEST];
    match args.next().and_then(|name| upper(name, &mut buffer)) {
        Some("FUNCTION") => {
            let kinds = ["DELETE", "FLUSH", "LOAD", "RESTORE"];
            args.next().is_some_and(|kind| kinds.iter().any(|one| kind.eq_ignore_ascii_case(one.as_bytes())))
        }
        Some(name) => WRITES.binary_search(&name).is_ok(),
        None => false,
    }
}

/// False if a look at the name is enough to know that the command neither blocks nor changes its connection. Cheap, because
/// hardly any other name begins with the same letter and has the same length.
pub(crate) fn may_be_bound(command: &Cmd) -> bool {
    let Some(name @ [first, ..]) = words(command).next() else { return false };
    let lengths = BOUND.get(usize::from(first.to_ascii_uppercase().wrapping_sub(b'A'))).copied().unwrap_or(0);
    name.len() <= LONGEST
        && lengths & 1 << name.len() != 0
        && (is_one_of(command, BLOCKING) || is_one_of(command, STATEFUL))
}

/// For each first letter the lengths of the names in [`BLOCKING`] and [`STATEFUL`]: bit n stands for n letters.
const BOUND: [u32; 26] = {
    let mut lengths = [0; 26];
    let tables = [BLOCKING, STATEFUL];
    let mut table = 0;
    while table < tables.len() {
        let mut index = 0;
        while index < tables[table].len() {
            let name = tables[table][index].as_bytes();
            lengths[(name[0] - b'A') as usize] |= 1 << name.len();
            index += 1;
        }
        table += 1;
    }
    lengths
};

/// What a command is.
pub(crate) fn nature(command: &Cmd) -> Nature {
    let mut args = words(command);
    let mut buffer = [0; LONGEST];
    let Some(name) = args.next().and_then(|name| upper(name, &mut buffer)) else { return Nature::Once };
    let listed = |table: &[&str]| table.binary_search(&name).is_ok();
    match name {
        "BLPOP" | "BRPOP" | "BZPOPMIN" | "BZPOPMAX" | "BRPOPLPUSH" | "BLMOVE" => Nature::Blocking(seconds(args.last())),
        "BLMPOP" | "BZMPOP" => Nature::Blocking(seconds(args.next())),
        "WAIT" | "WAITAOF" => Nature::Blocking(milliseconds(args.last())),
        "XREAD" | "XREADGROUP" => match args.find(|arg| arg.eq_ignore_ascii_case(b"BLOCK")) {
            Some(_) => Nature::Blocking(milliseconds(args.next())),
            None if name == "XREAD" => Nature::Repeatable,
            None => Nature::Once,
        },
        "SET" if plain_set(args.clone()) => Nature::Repeatable,
        // `INCR` makes it an increment.
        "ZADD" if !has(args.clone(), b"INCR") => Nature::Repeatable,
        "SORT" if !has(args.clone(), b"STORE") => Nature::Repeatable,
        _ if listed(REPEATABLE) => Nature::Repeatable,
        _ if listed(STATEFUL) => Nature::Stateful,
        _ => Nature::Once,
    }
}

/// True if a second execution of all of these, in their order, leaves the data as the first one did.
///
/// That each of them is [`Nature::Repeatable`] is not enough. `EXPIRE k 10` before `HSET k f v` does nothing if `k` is not
/// there; the second time it is, and has a time to live that it was never to have.
pub(crate) fn repeatable<'a>(commands: impl Iterator<Item = &'a Cmd>) -> bool {
    // What commands so far did something to only if it was there.
    let mut conditions: Vec<&[u8]> = Vec::new();
    for command in commands {
        let made = writes(command) && words(command).skip(1).any(|word| conditions.contains(&word));
        if made || nature(command) != Nature::Repeatable {
            return false;
        }
        if acts_on_what_is_there(command) {
            conditions.extend(words(command).nth(1));
        }
    }
    true
}

/// True if the command does nothing to a key that is not there.
fn acts_on_what_is_there(command: &Cmd) -> bool {
    let mut args = words(command);
    let mut buffer = [0; LONGEST];
    match args.next().and_then(|name| upper(name, &mut buffer)) {
        Some("EXPIRE" | "EXPIREAT" | "PEXPIRE" | "PEXPIREAT") => true,
        Some("SET" | "ZADD") => has(args, b"XX"),
        _ => false,
    }
}

/// `name` in upper case, in `buffer`; `None` if it is too long or no text.
fn upper<'a>(name: &[u8], buffer: &'a mut [u8; LONGEST]) -> Option<&'a str> {
    let place = buffer.get_mut(..name.len())?;
    place.copy_from_slice(name);
    place.make_ascii_uppercase();
    std::str::from_utf8(place).ok()
}

/// True for a `SET` whose options neither depend on the old value nor return it.
fn plain_set<'a>(args: impl Iterator<Item = &'a [u8]>) -> bool {
    const TIMES: [&[u8]; 4] = [b"EX", b"PX", b"EXAT", b"PXAT"];
    let mut options = args.skip(2);
    while let Some(option) = options.next() {
        if TIMES.iter().any(|time| option.eq_ignore_ascii_case(time)) {
            options.next();
        } else if !option.eq_ignore_ascii_case(b"KEEPTTL") && !option.eq_ignore_ascii_case(b"XX") {
            return false;
        }
    }
    true
}

fn has<'a>(mut args: impl Iterator<Item = &'a [u8]>, word: &[u8]) -> bool {
    args.any(|arg| arg.eq_ignore_ascii_case(word))
}

fn number(arg: Option<&[u8]>) -> Option<f64> {
    std::str::from_utf8(arg?).ok()?.parse().ok()
}

/// A time-out in seconds; 0 means none, and so does what cannot be read.
fn seconds(arg: Option<&[u8]>) -> Option<Duration> {
    number(arg).filter(|seconds| *seconds > 0.0).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
}

fn milliseconds(arg: Option<&[u8]>) -> Option<Duration> {
    number(arg).filter(|ms| *ms > 0.0).and_then(|ms| Duration::try_from_secs_f64(ms / 1000.0).ok())
}

#[cfg(test)]
mod real;

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str) -> Cmd {
        let mut command = Cmd::new();
        for word in line.split(' ') {
            command.arg(word);
        }
        command
    }

    fn of(line: &str) -> Nature {
        nature(&command(line))
    }

    #[test]
    fn whatever_is_bound_to_its_connection_is_noticed_by_its_name() {
        for name in BLOCKING.iter().chain(STATEFUL) {
            assert!(may_be_bound(&command(&name.to_ascii_lowercase())), "{name}");
            assert!(!REPEATABLE.contains(name), "{name}");
        }
        assert!(!may_be_bound(&command("GET k")) && !may_be_bound(&Cmd::new()));
    }

    #[test]
    fn the_tables_are_sorted() {
        assert!(REPEATABLE.is_sorted() && STATEFUL.is_sorted() && WRITES.is_sorted());
        assert!(REPEATABLE.iter().chain(STATEFUL).chain(WRITES).all(|name| name.len() <= LONGEST));
    }

    #[test]
    fn units() {
        let unit = |lines: &[&str]| {
            let commands: Vec<Cmd> = lines.iter().map(|line| command(line)).collect();
            repeatable(commands.iter())
        };
        assert!(unit(&["SET a 1", "EXPIRE a 10", "GET a", "SET b 1", "EXPIRE b 10"]));
        assert!(unit(&["HSET a f v", "SET b 1 XX", "DEL c"]));
        assert!(!unit(&["SET a 1", "INCR a"]));
        assert!(!unit(&["EXPIRE a 10", "HSET a f v"]));
        assert!(!unit(&["pexpireat a 10", "GET b", "MSET b 1 a 2"]));
        assert!(!unit(&["SET a vvv XX", "SETRANGE a 0 w"]));
        assert!(!unit(&["ZADD z XX 5 m", "ZADD z NX 1 m"]));
    }

    #[test]
    fn natures() {
        let blocks = |ms: u64| Nature::Blocking(Some(Duration::from_millis(ms)));
        let table = [
            ("GET k", Nature::Repeatable),
            ("get k", Nature::Repeatable),
            ("SET k v", Nature::Repeatable),
            ("SET k v EX 10", Nature::Repeatable),
            ("SET k v XX KEEPTTL", Nature::Repeatable),
            ("SET k v NX", Nature::Once),
            ("SET k v ex 10 nx", Nature::Once),
            ("SET k v GET", Nature::Once),
            ("SET k v IFEQ x", Nature::Once),
            ("SET NX GET", Nature::Repeatable),
            ("DEL k", Nature::Repeatable),
            ("EXPIRE k 10", Nature::Repeatable),
            ("ZADD z 1 m", Nature::Repeatable),
            ("ZADD z INCR 1 m", Nature::Once),
            ("SORT l", Nature::Repeatable),
            ("SORT l STORE d", Nature::Once),
            ("INCR k", Nature::Once),
            ("LPUSH l v", Nature::Once),
            ("LPOP l", Nature::Once),
            ("PUBLISH c m", Nature::Once),
            ("EVAL script 0", Nature::Once),
            ("EVAL_RO script 0", Nature::Repeatable),
            ("NO-SUCH-COMMAND", Nature::Once),
            ("BLPOP a b 5", blocks(5000)),
            ("BLPOP a 0", Nature::Blocking(None)),
            ("BLPOP a 0.25", blocks(250)),
            ("BLMPOP 2 1 a LEFT", blocks(2000)),
            ("XREAD STREAMS s 0", Nature::Repeatable),
            ("XREAD BLOCK 1500 STREAMS s $", blocks(1500)),
            ("XREADGROUP GROUP g c STREAMS s >", Nature::Once),
            ("WAIT 1 100", blocks(100)),
            ("SUBSCRIBE c", Nature::Stateful),
            ("WATCH k", Nature::Stateful),
            ("SELECT 1", Nature::Stateful),
        ];
        for (line, nature) in table {
            assert_eq!(of(line), nature, "{line}");
            let bound = matches!(nature, Nature::Blocking(_) | Nature::Stateful);
            assert!(!bound || may_be_bound(&command(line)), "{line}");
        }
        assert_eq!(nature(&Cmd::new()), Nature::Once);
    }
}
