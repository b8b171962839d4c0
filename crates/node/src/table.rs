//! The table of commands: name, arity, flags, where the keys are, and what runs. Subcommands have entries of their own,
//! `client|kill`.

use bytes::Bytes;
use model::Command;

use crate::access::{Access, DataResult, Failure};
use crate::commands::{
    client, config, connection, generic, hashes, lists, pubsub, server, sets, strings, transactions,
};
use crate::dispatch::{Call, Outcome};
use crate::node::Node;
use crate::replication::commands as replication;

/// What a command is allowed to do and when.
pub(crate) mod flag {
    /// Changes the data set: refused on replicas, and without enough good replicas.
    pub(crate) const WRITE: u16 = 1;
    /// Reads the data set.
    pub(crate) const READONLY: u16 = 1 << 1;
    /// For administrators.
    pub(crate) const ADMIN: u16 = 1 << 2;
    /// Runs while the data set is being loaded.
    pub(crate) const LOADING: u16 = 1 << 3;
    /// Runs on a replica that lost its master and does not serve stale data.
    pub(crate) const STALE: u16 = 1 << 4;
    /// Runs before authentication.
    pub(crate) const NO_AUTH: u16 = 1 << 5;
    /// Must not be part of a transaction.
    pub(crate) const NO_MULTI: u16 = 1 << 6;
    /// Runs in the subscribed state of a RESP2 connection.
    pub(crate) const SUBSCRIBED: u16 = 1 << 7;
    /// Runs at once between `MULTI` and `EXEC`.
    pub(crate) const NOT_QUEUED: u16 = 1 << 8;
    /// May be propagated although it does not change the data set.
    pub(crate) const MAY_REPLICATE: u16 = 1 << 9;
    /// May wait for data.
    pub(crate) const BLOCKING: u16 = 1 << 10;
    /// Has to do with publish/subscribe.
    pub(crate) const PUBSUB: u16 = 1 << 11;
    /// Takes constant or logarithmic time.
    pub(crate) const FAST: u16 = 1 << 12;
    /// The flags of queued commands that the checks of `EXEC` look at.
    pub(crate) const QUEUED_MATTERS: u16 = WRITE | MAY_REPLICATE;
}

/// What a command runs.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// A command on one database, which knows nothing of connections.
    Data(fn(&mut Access<'_>, &[Bytes]) -> DataResult),
    /// A command on the node.
    Server(fn(&mut Node, &mut Call<'_>) -> Outcome),
}

/// One command, or one subcommand.
#[derive(Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    /// Number of words if positive, the least number of words if negative.
    pub(crate) arity: i8,
    pub(crate) flags: u16,
    /// First key, last key (from the end if negative) and step; zeros without keys.
    pub(crate) keys: (i8, i8, i8),
    pub(crate) run: Run,
}

impl std::fmt::Debug for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Spec {
    pub(crate) fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// True if the command may have this many words.
    pub(crate) fn takes(&self, words: usize) -> bool {
        match usize::try_from(self.arity) {
            Ok(exact) => words == exact,
            Err(_) => words >= usize::from(self.arity.unsigned_abs()),
        }
    }
}

/// True for a command that writes; false for others and for unknown ones.
pub fn is_write(command: &Command) -> bool {
    lookup(command).is_ok_and(|spec| spec.has(flag::WRITE))
}

/// The longest name in the table.
const LONGEST: usize = 20;

/// Finds the command, or says why there is none.
pub(crate) fn lookup(command: &Command) -> Result<&'static Spec, Failure> {
    if command.is_empty() {
        return Err("ERR unknown command".into());
    }
    let mut buffer = [0_u8; LONGEST];
    let spec = find(&mut buffer, command.name(), None).ok_or_else(|| unknown(command))?;
    if !has_subcommands(spec.name) || command.len() == 1 {
        return Ok(spec);
    }
    let sub = &command.0[1];
    find(&mut buffer, command.name(), Some(sub)).ok_or_else(|| {
        let shown = String::from_utf8_lossy(&sub[..sub.len().min(128)]);
        format!("ERR unknown subcommand '{shown}'. Try {} HELP.", spec.name.to_ascii_uppercase()).into()
    })
}

/// Looks up `name` or `name|sub` in lower case.
fn find(buffer: &mut [u8; LONGEST], name: &[u8], sub: Option<&[u8]>) -> Option<&'static Spec> {
    let length = name.len() + sub.map_or(0, |sub| sub.len() + 1);
    let target = buffer.get_mut(..length)?;
    target[..name.len()].copy_from_slice(name);
    if let Some(sub) = sub {
        target[name.len()] = b'|';
        target[name.len() + 1..].copy_from_slice(sub);
    } else if name.contains(&b'|') {
        return None;
    }
    target.make_ascii_lowercase();
    let index = COMMANDS.binary_search_by(|spec| spec.name.as_bytes().cmp(target)).ok()?;
    Some(&COMMANDS[index])
}

fn has_subcommands(name: &str) -> bool {
    matches!(name, "acl" | "client" | "command" | "config" | "pubsub" | "script")
}

/// `unknown command 'X', with args beginning with: 'a' 'b' `
fn unknown(command: &Command) -> Failure {
    use std::fmt::Write as _;
    let shown = |word: &Bytes, most: usize| String::from_utf8_lossy(&word[..word.len().min(most)]).into_owned();
    let mut args = String::new();
    for arg in &command.0[1..] {
        if args.len() >= 128 {
            break;
        }
        let _ = write!(args, "'{}' ", shown(arg, 128 - args.len()));
    }
    let name = shown(&command.0[0], 128);
    format!("ERR unknown command '{name}', with args beginning with: {args}").replace(['\r', '\n'], " ").into()
}

/// All of them.
pub(crate) fn all() -> &'static [Spec] {
    COMMANDS
}

const fn data(
    name: &'static str,
    arity: i8,
    flags: u16,
    keys: (i8, i8, i8),
    run: fn(&mut Access<'_>, &[Bytes]) -> DataResult,
) -> Spec {
    Spec { name, arity, flags, keys, run: Run::Data(run) }
}

const fn node(name: &'static str, arity: i8, flags: u16, run: fn(&mut Node, &mut Call<'_>) -> Outcome) -> Spec {
    Spec { name, arity, flags, keys: (0, 0, 0), run: Run::Server(run) }
}

const fn keyed(
    name: &'static str,
    arity: i8,
    flags: u16,
    keys: (i8, i8, i8),
    run: fn(&mut Node, &mut Call<'_>) -> Outcome,
) -> Spec {
    Spec { name, arity, flags, keys, run: Run::Server(run) }
}

use flag::{
    ADMIN, BLOCKING, FAST, LOADING, MAY_REPLICATE, NO_AUTH, NO_MULTI, NOT_QUEUED, PUBSUB, READONLY, STALE, SUBSCRIBED,
    WRITE,
};

const ANYTIME: u16 = LOADING | STALE;
const NO_KEY: (i8, i8, i8) = (0, 0, 0);
const ONE: (i8, i8, i8) = (1, 1, 1);
const TWO: (i8, i8, i8) = (1, 2, 1);
const REST: (i8, i8, i8) = (1, -1, 1);

/// Sorted by name.
#[rustfmt::skip]
static COMMANDS: &[Spec] = &[
    node("acl", -2, ANYTIME, connection::container),
    node("acl|whoami", 2, ANYTIME, connection::acl_whoami),
    data("append", 3, WRITE | FAST, ONE, strings::append),
    node("auth", -2, ANYTIME | NO_AUTH | FAST, connection::auth),
    keyed("blmove", 6, WRITE | BLOCKING, TWO, lists::blmove),
    keyed("blpop", -3, WRITE | BLOCKING, (1, -2, 1), lists::blpop),
    keyed("brpop", -3, WRITE | BLOCKING, (1, -2, 1), lists::brpop),
    keyed("brpoplpush", 4, WRITE | BLOCKING, TWO, lists::brpoplpush),
    node("client", -2, ANYTIME, connection::container),
    node("client|getname", 2, ANYTIME, client::getname),
    node("client|id", 2, ANYTIME, client::id),
    node("client|info", 2, ANYTIME, client::info),
    node("client|kill", -3, ANYTIME | ADMIN, client::kill),
    node("client|list", -2, ANYTIME | ADMIN, client::list),
    node("client|no-evict", 3, ANYTIME | ADMIN, client::no_evict),
    node("client|pause", -3, ANYTIME | ADMIN, client::pause),
    node("client|reply", 3, ANYTIME, client::reply),
    node("client|setname", 3, ANYTIME, client::setname),
    node("client|unpause", 2, ANYTIME | ADMIN, client::unpause),
    node("command", -1, ANYTIME, server::command),
    node("command|count", 2, ANYTIME, server::command_count),
    node("command|docs", -2, ANYTIME, server::command_docs),
    node("command|info", -2, ANYTIME, server::command_info),
    node("config", -2, ANYTIME, connection::container),
    node("config|get", -3, ANYTIME | ADMIN, config::get),
    node("config|resetstat", 2, ANYTIME | ADMIN, config::resetstat),
    node("config|rewrite", 2, ANYTIME | ADMIN, config::rewrite),
    node("config|set", -4, ANYTIME | ADMIN, config::set),
    data("dbsize", 1, READONLY | FAST, NO_KEY, generic::dbsize),
    node("debug", -2, ANYTIME | ADMIN, server::debug),
    data("decr", 2, WRITE | FAST, ONE, strings::decr),
    data("decrby", 3, WRITE | FAST, ONE, strings::decrby),
    data("del", -2, WRITE, REST, generic::del),
    node("discard", 1, ANYTIME | FAST | NOT_QUEUED, transactions::discard),
    node("echo", 2, ANYTIME | FAST, connection::echo),
    node("exec", 1, ANYTIME | NOT_QUEUED, transactions::exec),
    data("exists", -2, READONLY | FAST, REST, generic::exists),
    data("expire", -3, WRITE | FAST, ONE, generic::expire),
    data("expireat", -3, WRITE | FAST, ONE, generic::expireat),
    data("expiretime", 2, READONLY | FAST, ONE, generic::expiretime),
    data("flushall", -1, WRITE, NO_KEY, generic::flushall),
    data("flushdb", -1, WRITE, NO_KEY, generic::flushdb),
    data("get", 2, READONLY | FAST, ONE, strings::get),
    data("getdel", 2, WRITE | FAST, ONE, strings::getdel),
    data("getex", -2, WRITE | FAST, ONE, strings::getex),
    data("getrange", 4, READONLY, ONE, strings::getrange),
    data("getset", 3, WRITE | FAST, ONE, strings::getset),
    data("hdel", -3, WRITE | FAST, ONE, hashes::hdel),
    node("hello", -1, ANYTIME | NO_AUTH | FAST, connection::hello),
    data("hexists", 3, READONLY | FAST, ONE, hashes::hexists),
    data("hget", 3, READONLY | FAST, ONE, hashes::hget),
    data("hgetall", 2, READONLY, ONE, hashes::hgetall),
    data("hincrby", 4, WRITE | FAST, ONE, hashes::hincrby),
    data("hkeys", 2, READONLY, ONE, hashes::hkeys),
    data("hlen", 2, READONLY | FAST, ONE, hashes::hlen),
    data("hmget", -3, READONLY | FAST, ONE, hashes::hmget),
    data("hmset", -4, WRITE | FAST, ONE, hashes::hmset),
    data("hset", -4, WRITE | FAST, ONE, hashes::hset),
    data("hsetnx", 4, WRITE | FAST, ONE, hashes::hsetnx),
    data("hstrlen", 3, READONLY | FAST, ONE, hashes::hstrlen),
    data("hvals", 2, READONLY, ONE, hashes::hvals),
    data("incr", 2, WRITE | FAST, ONE, strings::incr),
    data("incrby", 3, WRITE | FAST, ONE, strings::incrby),
    data("incrbyfloat", 3, WRITE | FAST, ONE, strings::incrbyfloat),
    node("info", -1, ANYTIME, server::info),
    data("keys", 2, READONLY, NO_KEY, generic::keys),
    node("lastsave", 1, ANYTIME | FAST, server::lastsave),
    data("lindex", 3, READONLY, ONE, lists::lindex),
    data("llen", 2, READONLY | FAST, ONE, lists::llen),
    data("lmove", 5, WRITE, TWO, lists::lmove),
    data("lpop", -2, WRITE | FAST, ONE, lists::lpop),
    data("lpush", -3, WRITE | FAST, ONE, lists::lpush),
    data("lpushx", -3, WRITE | FAST, ONE, lists::lpushx),
    data("lrange", 4, READONLY, ONE, lists::lrange),
    data("lrem", 4, WRITE, ONE, lists::lrem),
    data("lset", 4, WRITE, ONE, lists::lset),
    data("ltrim", 4, WRITE, ONE, lists::ltrim),
    data("mget", -2, READONLY | FAST, REST, strings::mget),
    data("mset", -3, WRITE, (1, -1, 2), strings::mset),
    data("msetnx", -3, WRITE, (1, -1, 2), strings::msetnx),
    node("multi", 1, ANYTIME | FAST | NOT_QUEUED, transactions::multi),
    data("persist", 2, WRITE | FAST, ONE, generic::persist),
    data("pexpire", -3, WRITE | FAST, ONE, generic::pexpire),
    data("pexpireat", -3, WRITE | FAST, ONE, generic::pexpireat),
    data("pexpiretime", 2, READONLY | FAST, ONE, generic::pexpiretime),
    node("ping", -1, FAST | SUBSCRIBED, connection::ping),
    data("psetex", 4, WRITE, ONE, strings::psetex),
    node("psubscribe", -2, ANYTIME | PUBSUB | SUBSCRIBED, pubsub::psubscribe),
    node("psync", -3, ADMIN | NO_MULTI, replication::psync),
    data("pttl", 2, READONLY | FAST, ONE, generic::pttl),
    node("publish", 3, ANYTIME | FAST | PUBSUB | MAY_REPLICATE, pubsub::publish),
    node("pubsub", -2, ANYTIME, connection::container),
    node("pubsub|channels", -2, ANYTIME | PUBSUB, pubsub::list_channels),
    node("pubsub|numpat", 2, ANYTIME | PUBSUB, pubsub::numpat),
    node("pubsub|numsub", -2, ANYTIME | PUBSUB, pubsub::numsub),
    node("punsubscribe", -1, ANYTIME | PUBSUB | SUBSCRIBED, pubsub::punsubscribe),
    node("quit", -1, ANYTIME | NO_AUTH | FAST | SUBSCRIBED | NOT_QUEUED, connection::quit),
    data("randomkey", 1, READONLY, NO_KEY, generic::randomkey),
    data("rename", 3, WRITE, TWO, generic::rename),
    data("renamenx", 3, WRITE | FAST, TWO, generic::renamenx),
    node("replconf", -1, ANYTIME | ADMIN, replication::replconf),
    node("replicaof", 3, STALE | ADMIN, replication::replicaof),
    node("reset", 1, ANYTIME | NO_AUTH | FAST | SUBSCRIBED | NOT_QUEUED, connection::reset),
    node("role", 1, ANYTIME | FAST | ADMIN, replication::role),
    data("rpop", -2, WRITE | FAST, ONE, lists::rpop),
    data("rpoplpush", 3, WRITE, TWO, lists::rpoplpush),
    data("rpush", -3, WRITE | FAST, ONE, lists::rpush),
    data("rpushx", -3, WRITE | FAST, ONE, lists::rpushx),
    data("sadd", -3, WRITE | FAST, ONE, sets::sadd),
    data("scan", -2, READONLY, NO_KEY, generic::scan),
    data("scard", 2, READONLY | FAST, ONE, sets::scard),
    node("script", -2, 0, connection::container),
    node("script|kill", 2, 0, server::script_kill),
    node("select", 2, ANYTIME | FAST, connection::select),
    data("set", -3, WRITE, ONE, strings::set),
    data("setex", 4, WRITE, ONE, strings::setex),
    data("setnx", 3, WRITE | FAST, ONE, strings::setnx),
    node("shutdown", -1, ANYTIME | ADMIN | NO_MULTI, server::shutdown),
    data("sismember", 3, READONLY | FAST, ONE, sets::sismember),
    node("slaveof", 3, STALE | ADMIN, replication::replicaof),
    data("smembers", 2, READONLY, ONE, sets::smembers),
    data("smismember", -3, READONLY | FAST, ONE, sets::smismember),
    data("spop", -2, WRITE | FAST, ONE, sets::spop),
    data("srem", -3, WRITE | FAST, ONE, sets::srem),
    data("strlen", 2, READONLY | FAST, ONE, strings::strlen),
    node("subscribe", -2, ANYTIME | PUBSUB | SUBSCRIBED, pubsub::subscribe),
    node("time", 1, ANYTIME | FAST, connection::time),
    data("touch", -2, READONLY | FAST, REST, generic::exists),
    data("ttl", 2, READONLY | FAST, ONE, generic::ttl),
    data("type", 2, READONLY | FAST, ONE, generic::type_of),
    data("unlink", -2, WRITE | FAST, REST, generic::del),
    node("unsubscribe", -1, ANYTIME | PUBSUB | SUBSCRIBED, pubsub::unsubscribe),
    node("unwatch", 1, ANYTIME | FAST, transactions::unwatch),
    node("wait", 3, BLOCKING, replication::wait),
    keyed("watch", -2, ANYTIME | FAST | NOT_QUEUED, REST, transactions::watch),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_within_the_buffer() {
        for pair in COMMANDS.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} {}", pair[0].name, pair[1].name);
        }
        assert_eq!(COMMANDS.iter().map(|spec| spec.name.len()).max(), Some("config|resetstat".len()));
        const { assert!("config|resetstat".len() <= LONGEST) };
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert!(lookup(&Command::of(&["GeT", "k"])).unwrap().is("get"));
        assert!(lookup(&Command::of(&["Client", "KILL"])).unwrap().is("client|kill"));
        assert!(lookup(&Command::of(&["client|kill", "x"])).is_err());
        assert!(is_write(&Command::of(&["incr", "k"])) && !is_write(&Command::of(&["get", "k"])));
        assert!(!is_write(&Command::default()));
    }

    #[test]
    fn unknown_ones_are_named_as_redis_does() {
        let error = |words: &[&'static str]| lookup(&Command::of(words)).unwrap_err().into_owned();
        assert_eq!(error(&["FOO", "a", "b"]), "ERR unknown command 'FOO', with args beginning with: 'a' 'b' ");
        assert_eq!(error(&["CLIENT", "SETINFO", "x"]), "ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.");
    }
}
