//! Where the keys of a command are, and what it does to them.

use bytes::Bytes;
use model::Command;

use crate::args::{is, parse_int};
use crate::table::{Spec, flag};

/// What a command does to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) read: bool,
    pub(crate) write: bool,
}

/// Commands that write keys without telling what was there.
const BLIND: &[&str] = &[
    "del",
    "unlink",
    "flushall",
    "flushdb",
    "mset",
    "psetex",
    "set",
    "setex",
    "setnx",
    "msetnx",
    "append",
    "incr",
    "decr",
    "incrby",
    "decrby",
    "lpush",
    "rpush",
    "lpushx",
    "rpushx",
    "sadd",
    "srem",
    "hset",
    "hmset",
    "hsetnx",
    "hdel",
    "zadd",
    "zrem",
    "expire",
    "pexpire",
    "expireat",
    "pexpireat",
    "persist",
    "xadd",
    "xack",
    "xdel",
    "xtrim",
    "ltrim",
    "lrem",
    "lset",
    "linsert",
    "setrange",
];

fn need(spec: &Spec, command: &Command) -> Need {
    if !spec.has(flag::WRITE) {
        // A script may do both to what it names.
        return Need { read: true, write: matches!(spec.name, "eval" | "evalsha") };
    }
    let tells = spec.is("set") && command.0.iter().skip(3).any(|option| is(option, "GET"));
    Need { read: tells || !BLIND.contains(&spec.name), write: true }
}

/// First, last and step, as indices of the words.
fn places(spec: &Spec, command: &Command) -> (usize, usize, usize) {
    let count = command.len();
    if spec.has(flag::MOVABLE_KEYS) {
        if let "xread" | "xreadgroup" = spec.name {
            let Some(streams) = command.0.iter().position(|word| is(word, "STREAMS")) else { return (1, 0, 1) };
            return (streams + 1, streams + (count - streams - 1) / 2, 1);
        }
        let keys = command.get(2).and_then(|keys| parse_int(keys)).and_then(|keys| usize::try_from(keys).ok());
        return (3, keys.unwrap_or(0).min(count.saturating_sub(3)) + 2, 1);
    }
    let (first, last, step) = spec.keys;
    // Sharded channels stand where keys do, and are none.
    if first == 0 || spec.has(flag::PUBSUB) {
        return (1, 0, 1);
    }
    let last = if last < 0 { count as i64 + i64::from(last) } else { i64::from(last) };
    (first as usize, last.clamp(0, count as i64 - 1) as usize, step.max(1) as usize)
}

/// The keys of a command that has the right number of words.
pub(crate) fn of<'a>(spec: &Spec, command: &'a Command) -> impl Iterator<Item = (&'a Bytes, Need)> {
    let need = need(spec, command);
    let (first, last, step) = places(spec, command);
    let keys = command.0.get(first..(last + 1).max(first)).unwrap_or_default();
    keys.iter().step_by(step).map(move |key| (key, need))
}
