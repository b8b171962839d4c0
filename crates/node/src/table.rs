//! The table of commands: name, arity, flags, where the keys are, and what runs. Subcommands have entries of their own,
//! `client|kill`.

use bytes::Bytes;
use model::Command;

use crate::access::{Access, DataResult, Failure};
use crate::commands::{
    acl, bitfield, bits, client, combine, command, config, connection, debug, dump, generic, geo, hashes, hyperloglog,
    latency, lcs, lists, monitor, multi_pops, pubsub, random, scripting, server, sets, sort, streams, strings,
    tracking, transactions, zsets,
};
use crate::dispatch::{Call, Outcome};
use crate::node::Node;
use crate::replication::commands as replication;

/// What a command is allowed to do and when.
pub(crate) mod flag {
    /// Changes the data set: refused on replicas, and without enough good replicas.
    pub(crate) const WRITE: u32 = 1;
    /// Reads the data set.
    pub(crate) const READONLY: u32 = 1 << 1;
    /// For administrators.
    pub(crate) const ADMIN: u32 = 1 << 2;
    /// Runs while the data set is being loaded.
    pub(crate) const LOADING: u32 = 1 << 3;
    /// Runs on a replica that lost its master and does not serve stale data.
    pub(crate) const STALE: u32 = 1 << 4;
    /// Runs before authentication.
    pub(crate) const NO_AUTH: u32 = 1 << 5;
    /// Must not be part of a transaction.
    pub(crate) const NO_MULTI: u32 = 1 << 6;
    /// Runs in the subscribed state of a RESP2 connection.
    pub(crate) const SUBSCRIBED: u32 = 1 << 7;
    /// Runs at once between `MULTI` and `EXEC`.
    pub(crate) const NOT_QUEUED: u32 = 1 << 8;
    /// May be propagated although it does not change the data set.
    pub(crate) const MAY_REPLICATE: u32 = 1 << 9;
    /// May wait for data.
    pub(crate) const BLOCKING: u32 = 1 << 10;
    /// Has to do with publish/subscribe.
    pub(crate) const PUBSUB: u32 = 1 << 11;
    /// Takes constant or logarithmic time.
    pub(crate) const FAST: u32 = 1 << 12;
    /// Must not be called by a script.
    pub(crate) const NO_SCRIPT: u32 = 1 << 13;
    /// May make the data set larger.
    pub(crate) const DENY_OOM: u32 = 1 << 14;
    /// Where the keys are depends on other arguments.
    pub(crate) const MOVABLE_KEYS: u32 = 1 << 15;
    /// Runs while a script does.
    pub(crate) const ALLOW_BUSY: u32 = 1 << 16;
    /// `MONITOR` is told of it before it runs, if at all.
    pub(crate) const SKIP_MONITOR: u32 = 1 << 17;
    /// Never in the slow log.
    pub(crate) const SKIP_SLOWLOG: u32 = 1 << 18;
    /// May have no keys although it takes some.
    pub(crate) const NO_MANDATORY_KEYS: u32 = 1 << 19;
    /// Not while a data set is loaded beside the old one.
    pub(crate) const NO_ASYNC_LOADING: u32 = 1 << 20;
    /// The flags of queued commands that the checks of `EXEC` look at.
    pub(crate) const QUEUED_MATTERS: u32 = WRITE | MAY_REPLICATE | DENY_OOM;
}

/// Categories of commands, which `ACL` rules name.
pub(crate) mod cat {
    pub(crate) const KEYSPACE: u32 = 1;
    pub(crate) const READ: u32 = 1 << 1;
    pub(crate) const WRITE: u32 = 1 << 2;
    pub(crate) const SET: u32 = 1 << 3;
    pub(crate) const SORTEDSET: u32 = 1 << 4;
    pub(crate) const LIST: u32 = 1 << 5;
    pub(crate) const HASH: u32 = 1 << 6;
    pub(crate) const STRING: u32 = 1 << 7;
    pub(crate) const BITMAP: u32 = 1 << 8;
    pub(crate) const HYPERLOGLOG: u32 = 1 << 9;
    pub(crate) const GEO: u32 = 1 << 10;
    pub(crate) const STREAM: u32 = 1 << 11;
    pub(crate) const PUBSUB: u32 = 1 << 12;
    pub(crate) const ADMIN: u32 = 1 << 13;
    pub(crate) const FAST: u32 = 1 << 14;
    pub(crate) const SLOW: u32 = 1 << 15;
    pub(crate) const BLOCKING: u32 = 1 << 16;
    pub(crate) const DANGEROUS: u32 = 1 << 17;
    pub(crate) const CONNECTION: u32 = 1 << 18;
    pub(crate) const TRANSACTION: u32 = 1 << 19;
    pub(crate) const SCRIPTING: u32 = 1 << 20;

    /// In the order of `ACL CAT`.
    pub(crate) const NAMES: [(u32, &str); 21] = [
        (KEYSPACE, "keyspace"),
        (READ, "read"),
        (WRITE, "write"),
        (SET, "set"),
        (SORTEDSET, "sortedset"),
        (LIST, "list"),
        (HASH, "hash"),
        (STRING, "string"),
        (BITMAP, "bitmap"),
        (HYPERLOGLOG, "hyperloglog"),
        (GEO, "geo"),
        (STREAM, "stream"),
        (PUBSUB, "pubsub"),
        (ADMIN, "admin"),
        (FAST, "fast"),
        (SLOW, "slow"),
        (BLOCKING, "blocking"),
        (DANGEROUS, "dangerous"),
        (CONNECTION, "connection"),
        (TRANSACTION, "transaction"),
        (SCRIPTING, "scripting"),
    ];

    /// The category of this name.
    pub(crate) fn named(name: &str) -> Option<u32> {
        NAMES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(bit, _)| *bit)
    }
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
    pub(crate) flags: u32,
    /// Categories that do not follow from the flags.
    categories: u32,
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
    pub(crate) fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// The categories that it is in.
    pub(crate) fn categories(&self) -> u32 {
        let mut all = self.categories;
        for (flag, categories) in [
            (flag::WRITE, cat::WRITE),
            (flag::ADMIN, cat::ADMIN | cat::DANGEROUS),
            (flag::PUBSUB, cat::PUBSUB),
            (flag::BLOCKING, cat::BLOCKING),
            (flag::FAST, cat::FAST),
        ] {
            if self.has(flag) {
                all |= categories;
            }
        }
        if self.has(flag::READONLY) && all & cat::SCRIPTING == 0 {
            all |= cat::READ;
        }
        if self.has(flag::FAST) { all } else { all | cat::SLOW }
    }

    /// The flags as `COMMAND` shows them.
    pub(crate) fn flag_names(&self) -> impl Iterator<Item = &'static str> {
        const WORDS: [(u32, &str); 18] = [
            (flag::WRITE, "write"),
            (flag::READONLY, "readonly"),
            (flag::DENY_OOM, "denyoom"),
            (flag::ADMIN, "admin"),
            (flag::PUBSUB, "pubsub"),
            (flag::NO_SCRIPT, "noscript"),
            (flag::BLOCKING, "blocking"),
            (flag::LOADING, "loading"),
            (flag::STALE, "stale"),
            (flag::FAST, "fast"),
            (flag::NO_AUTH, "no_auth"),
            (flag::SKIP_MONITOR, "skip_monitor"),
            (flag::SKIP_SLOWLOG, "skip_slowlog"),
            (flag::NO_ASYNC_LOADING, "no_async_loading"),
            (flag::NO_MULTI, "no_multi"),
            (flag::NO_MANDATORY_KEYS, "no_mandatory_keys"),
            (flag::MOVABLE_KEYS, "movablekeys"),
            (flag::ALLOW_BUSY, "allow_busy"),
        ];
        let flags = self.flags;
        WORDS.into_iter().filter(move |(bit, _)| flags & bit != 0).map(|(_, word)| word)
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

/// True for a command that reads or writes, or may, as a script, or publishes; false for others and for unknown ones.
pub fn is_about_data(command: &Command) -> bool {
    lookup(command).is_ok_and(|spec| spec.has(flag::WRITE | flag::READONLY | flag::MAY_REPLICATE))
}

/// The longest name in the table.
const LONGEST: usize = 29;

/// Finds the command, or says why there is none.
pub(crate) fn lookup(command: &Command) -> Result<&'static Spec, Failure> {
    if command.is_empty() {
        return Err("ERR unknown command".into());
    }
    let mut buffer = [0_u8; LONGEST];
    let spec = find(&mut buffer, command.name(), None).ok_or_else(|| command.unknown())?;
    if !has_subcommands(spec.name) || command.len() == 1 {
        return Ok(spec);
    }
    let sub = &command.0[1];
    let spec_of_sub = find(&mut buffer, command.name(), Some(sub));
    spec_of_sub.ok_or_else(|| command.unknown_subcommand(&spec.name.to_ascii_uppercase()).into())
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
    let letter = usize::from(target.first()?.checked_sub(b'a')?);
    let (start, end) = (*LETTERS.get(letter)?, *LETTERS.get(letter + 1)?);
    let candidates = &COMMANDS[start..end];
    let index = candidates.binary_search_by(|spec| spec.name.as_bytes().cmp(target)).ok()?;
    Some(&candidates[index])
}

/// Where in the table the names begin that start with each letter; the last is its end. Every command is looked up, and this
/// saves most of the comparisons.
static LETTERS: [usize; 27] = {
    let mut starts = [COMMANDS.len(); 27];
    let mut index = COMMANDS.len();
    while index > 0 {
        index -= 1;
        let mut letter = (COMMANDS[index].name.as_bytes()[0] - b'a') as usize + 1;
        while letter > 0 {
            letter -= 1;
            starts[letter] = index;
        }
    }
    starts
};

pub(crate) fn has_subcommands(name: &str) -> bool {
    matches!(
        name,
        "acl"
            | "client"
            | "cluster"
            | "command"
            | "config"
            | "latency"
            | "memory"
            | "module"
            | "object"
            | "pubsub"
            | "script"
            | "slowlog"
            | "xgroup"
            | "xinfo"
    )
}

/// All of them.
pub(crate) fn all() -> &'static [Spec] {
    COMMANDS
}

const fn data(
    name: &'static str,
    arity: i8,
    flags: u32,
    categories: u32,
    keys: (i8, i8, i8),
    run: fn(&mut Access<'_>, &[Bytes]) -> DataResult,
) -> Spec {
    Spec { name, arity, flags, categories, keys, run: Run::Data(run) }
}

const fn node(
    name: &'static str,
    arity: i8,
    flags: u32,
    categories: u32,
    keys: (i8, i8, i8),
    run: fn(&mut Node, &mut Call<'_>) -> Outcome,
) -> Spec {
    Spec { name, arity, flags, categories, keys, run: Run::Server(run) }
}

use flag::{
    ADMIN, ALLOW_BUSY, BLOCKING, DENY_OOM, FAST, LOADING, MAY_REPLICATE, MOVABLE_KEYS, NO_ASYNC_LOADING, NO_AUTH,
    NO_MANDATORY_KEYS, NO_MULTI, NO_SCRIPT, NOT_QUEUED, PUBSUB, READONLY, SKIP_MONITOR, SKIP_SLOWLOG, STALE,
    SUBSCRIBED, WRITE,
};

const ANYTIME: u32 = LOADING | STALE;
const NO_KEY: (i8, i8, i8) = (0, 0, 0);
const ONE: (i8, i8, i8) = (1, 1, 1);
const TWO: (i8, i8, i8) = (1, 2, 1);
const REST: (i8, i8, i8) = (1, -1, 1);

/// Sorted by name.
#[rustfmt::skip]
static COMMANDS: &[Spec] = &[
    node("acl", -2, 0, 0, NO_KEY, connection::container),
    node("acl|cat", -2, ANYTIME | NO_SCRIPT, 0, NO_KEY, acl::cat),
    node("acl|deluser", -3, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, acl::deluser),
    node("acl|dryrun", -4, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, acl::dryrun),
    node("acl|genpass", -2, ANYTIME | NO_SCRIPT, 0, NO_KEY, acl::genpass),
    node("acl|getuser", 3, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, acl::getuser),
    node("acl|help", 2, ANYTIME, 0, NO_KEY, command::help),
    node("acl|list", 2, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, acl::list),
    node("acl|load", 2, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, acl::load),
    node("acl|log", -2, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, acl::log),
    node("acl|save", 2, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, acl::save),
    node("acl|setuser", -3, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, acl::setuser),
    node("acl|users", 2, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, acl::users),
    node("acl|whoami", 2, ANYTIME | NO_SCRIPT, 0, NO_KEY, acl::whoami),
    data("append", 3, WRITE | DENY_OOM | FAST, cat::STRING, ONE, strings::append),
    node("asking", 1, FAST, cat::CONNECTION, NO_KEY, server::no_cluster),
    node("auth", -2, ANYTIME | NO_SCRIPT | FAST | NO_AUTH | ALLOW_BUSY, cat::CONNECTION, NO_KEY, connection::auth),
    node("bgrewriteaof", 1, ADMIN | NO_SCRIPT | NO_ASYNC_LOADING, 0, NO_KEY, server::bgrewriteaof),
    node("bgsave", -1, ADMIN | NO_SCRIPT | NO_ASYNC_LOADING, 0, NO_KEY, server::bgsave),
    data("bitcount", -2, READONLY, cat::BITMAP, ONE, bits::bitcount),
    data("bitfield", -2, WRITE | DENY_OOM, cat::BITMAP, ONE, bitfield::bitfield),
    data("bitfield_ro", -2, READONLY | FAST, cat::BITMAP, ONE, bitfield::bitfield_ro),
    data("bitop", -4, WRITE | DENY_OOM, cat::BITMAP, (2, -1, 1), bits::bitop),
    data("bitpos", -3, READONLY, cat::BITMAP, ONE, bits::bitpos),
    node("blmove", 6, WRITE | DENY_OOM | NO_SCRIPT | BLOCKING, cat::LIST, TWO, lists::blmove),
    node("blmpop", -5, WRITE | BLOCKING | MOVABLE_KEYS, cat::LIST, NO_KEY, multi_pops::blmpop),
    node("blpop", -3, WRITE | NO_SCRIPT | BLOCKING, cat::LIST, (1, -2, 1), lists::blpop),
    node("brpop", -3, WRITE | NO_SCRIPT | BLOCKING, cat::LIST, (1, -2, 1), lists::brpop),
    node("brpoplpush", 4, WRITE | DENY_OOM | NO_SCRIPT | BLOCKING, cat::LIST, TWO, lists::brpoplpush),
    node("bzmpop", -5, WRITE | BLOCKING | MOVABLE_KEYS, cat::SORTEDSET, NO_KEY, multi_pops::bzmpop),
    node("bzpopmax", -3, WRITE | NO_SCRIPT | BLOCKING | FAST, cat::SORTEDSET, (1, -2, 1), zsets::bzpopmax),
    node("bzpopmin", -3, WRITE | NO_SCRIPT | BLOCKING | FAST, cat::SORTEDSET, (1, -2, 1), zsets::bzpopmin),
    node("client", -2, 0, 0, NO_KEY, connection::container),
    node("client|caching", 3, ANYTIME | NO_SCRIPT, cat::CONNECTION, NO_KEY, tracking::caching),
    node("client|getname", 2, ANYTIME | NO_SCRIPT, cat::CONNECTION, NO_KEY, client::getname),
    node("client|getredir", 2, ANYTIME | NO_SCRIPT, cat::CONNECTION, NO_KEY, tracking::getredir),
    node("client|help", 2, ANYTIME, cat::CONNECTION, NO_KEY, command::help),
    node("client|id", 2, ANYTIME | NO_SCRIPT, cat::CONNECTION, NO_KEY, client::id),
    node("client|info", 2, ANYTIME | NO_SCRIPT, cat::CONNECTION, NO_KEY, client::info),
    node("client|kill", -3, ANYTIME | ADMIN | NO_SCRIPT, cat::CONNECTION, NO_KEY, client::kill),
    node("client|list", -2, ANYTIME | ADMIN | NO_SCRIPT, cat::CONNECTION, NO_KEY, client::list),
    node("client|no-evict", 3, ANYTIME | ADMIN | NO_SCRIPT, cat::CONNECTION, NO_KEY, client::no_evict),
    node("client|pause", -3, ANYTIME | ADMIN | NO_SCRIPT, cat::CONNECTION, NO_KEY, client::pause),
    node("client|reply", 3, ANYTIME | NO_SCRIPT, cat::CONNECTION, NO_KEY, client::reply),
    node("client|setname", 3, ANYTIME | NO_SCRIPT, cat::CONNECTION, NO_KEY, client::setname),
    node("client|tracking", -3, ANYTIME | NO_SCRIPT, cat::CONNECTION, NO_KEY, tracking::tracking),
    node("client|trackinginfo", 2, ANYTIME | NO_SCRIPT, cat::CONNECTION, NO_KEY, tracking::trackinginfo),
    node("client|unblock", -3, ANYTIME | ADMIN | NO_SCRIPT, cat::CONNECTION, NO_KEY, client::unblock),
    node("client|unpause", 2, ANYTIME | ADMIN | NO_SCRIPT, cat::CONNECTION, NO_KEY, client::unpause),
    node("cluster", -2, 0, 0, NO_KEY, server::no_cluster),
    node("cluster|addslots", -3, ADMIN | STALE | NO_ASYNC_LOADING, 0, NO_KEY, server::no_cluster),
    node("cluster|addslotsrange", -4, ADMIN | STALE | NO_ASYNC_LOADING, 0, NO_KEY, server::no_cluster),
    node("cluster|bumpepoch", 2, ADMIN | STALE | NO_ASYNC_LOADING, 0, NO_KEY, server::no_cluster),
    node("cluster|count-failure-reports", 3, ADMIN | STALE, 0, NO_KEY, server::no_cluster),
    node("cluster|countkeysinslot", 3, STALE, 0, NO_KEY, server::no_cluster),
    node("cluster|delslots", -3, ADMIN | STALE | NO_ASYNC_LOADING, 0, NO_KEY, server::no_cluster),
    node("cluster|delslotsrange", -4, ADMIN | STALE | NO_ASYNC_LOADING, 0, NO_KEY, server::no_cluster),
    node("cluster|failover", -2, ADMIN | STALE | NO_ASYNC_LOADING, 0, NO_KEY, server::no_cluster),
    node("cluster|flushslots", 2, ADMIN | STALE | NO_ASYNC_LOADING, 0, NO_KEY, server::no_cluster),
    node("cluster|forget", 3, ADMIN | STALE | NO_ASYNC_LOADING, 0, NO_KEY, server::no_cluster),
    node("cluster|getkeysinslot", 4, STALE, 0, NO_KEY, server::no_cluster),
    node("cluster|help", 2, ANYTIME, 0, NO_KEY, server::no_cluster),
    node("cluster|info", 2, STALE, 0, NO_KEY, server::no_cluster),
    node("cluster|keyslot", 3, STALE, 0, NO_KEY, server::no_cluster),
    node("cluster|links", 2, STALE, 0, NO_KEY, server::no_cluster),
    node("cluster|meet", -4, ADMIN | STALE | NO_ASYNC_LOADING, 0, NO_KEY, server::no_cluster),
    node("cluster|myid", 2, STALE, 0, NO_KEY, server::no_cluster),
    node("cluster|nodes", 2, STALE, 0, NO_KEY, server::no_cluster),
    node("cluster|replicas", 3, ADMIN | STALE, 0, NO_KEY, server::no_cluster),
    node("cluster|replicate", 3, ADMIN | STALE | NO_ASYNC_LOADING, 0, NO_KEY, server::no_cluster),
    node("cluster|reset", -2, ADMIN | NO_SCRIPT | STALE, 0, NO_KEY, server::no_cluster),
    node("cluster|saveconfig", 2, ADMIN | STALE | NO_ASYNC_LOADING, 0, NO_KEY, server::no_cluster),
    node("cluster|set-config-epoch", 3, ADMIN | STALE | NO_ASYNC_LOADING, 0, NO_KEY, server::no_cluster),
    node("cluster|setslot", -4, ADMIN | STALE | NO_ASYNC_LOADING, 0, NO_KEY, server::no_cluster),
    node("cluster|shards", 2, STALE, 0, NO_KEY, server::no_cluster),
    node("cluster|slaves", 3, ADMIN | STALE, 0, NO_KEY, server::no_cluster),
    node("cluster|slots", 2, STALE, 0, NO_KEY, server::no_cluster),
    node("command", -1, ANYTIME, cat::CONNECTION, NO_KEY, command::all),
    node("command|count", 2, ANYTIME, cat::CONNECTION, NO_KEY, command::count),
    node("command|docs", -2, ANYTIME, cat::CONNECTION, NO_KEY, command::docs),
    node("command|getkeys", -4, ANYTIME, cat::CONNECTION, NO_KEY, command::getkeys),
    node("command|getkeysandflags", -4, ANYTIME, cat::CONNECTION, NO_KEY, command::getkeysandflags),
    node("command|help", 2, ANYTIME, cat::CONNECTION, NO_KEY, command::help),
    node("command|info", -2, ANYTIME, cat::CONNECTION, NO_KEY, command::info),
    node("command|list", -2, ANYTIME, cat::CONNECTION, NO_KEY, command::list),
    node("config", -2, 0, 0, NO_KEY, connection::container),
    node("config|get", -3, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, config::get),
    node("config|help", 2, ANYTIME, 0, NO_KEY, command::help),
    node("config|resetstat", 2, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, config::resetstat),
    node("config|rewrite", 2, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, config::rewrite),
    node("config|set", -4, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, config::set),
    data("copy", -3, WRITE | DENY_OOM, cat::KEYSPACE, TWO, generic::copy),
    data("dbsize", 1, READONLY | FAST, cat::KEYSPACE, NO_KEY, generic::dbsize),
    node("debug", -2, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, debug::debug),
    data("decr", 2, WRITE | DENY_OOM | FAST, cat::STRING, ONE, strings::decr),
    data("decrby", 3, WRITE | DENY_OOM | FAST, cat::STRING, ONE, strings::decrby),
    data("del", -2, WRITE, cat::KEYSPACE, REST, generic::del),
    node("discard", 1, ANYTIME | NO_SCRIPT | FAST | ALLOW_BUSY | NOT_QUEUED, cat::TRANSACTION, NO_KEY, transactions::discard),
    data("dump", 2, READONLY, cat::KEYSPACE, ONE, dump::dump),
    node("echo", 2, ANYTIME | FAST, cat::CONNECTION, NO_KEY, connection::echo),
    node("eval", -3, MAY_REPLICATE | NO_SCRIPT | STALE | MOVABLE_KEYS | SKIP_MONITOR | NO_MANDATORY_KEYS, cat::SCRIPTING, NO_KEY, scripting::eval),
    node("eval_ro", -3, READONLY | NO_SCRIPT | STALE | MOVABLE_KEYS | SKIP_MONITOR | NO_MANDATORY_KEYS, cat::SCRIPTING, NO_KEY, scripting::eval_ro),
    node("evalsha", -3, MAY_REPLICATE | NO_SCRIPT | STALE | MOVABLE_KEYS | SKIP_MONITOR | NO_MANDATORY_KEYS, cat::SCRIPTING, NO_KEY, scripting::evalsha),
    node("evalsha_ro", -3, READONLY | NO_SCRIPT | STALE | MOVABLE_KEYS | SKIP_MONITOR | NO_MANDATORY_KEYS, cat::SCRIPTING, NO_KEY, scripting::evalsha_ro),
    node("exec", 1, ANYTIME | NO_SCRIPT | NOT_QUEUED | SKIP_SLOWLOG, cat::TRANSACTION, NO_KEY, transactions::exec),
    data("exists", -2, READONLY | FAST, cat::KEYSPACE, REST, generic::exists),
    data("expire", -3, WRITE | FAST, cat::KEYSPACE, ONE, generic::expire),
    data("expireat", -3, WRITE | FAST, cat::KEYSPACE, ONE, generic::expireat),
    data("expiretime", 2, READONLY | FAST, cat::KEYSPACE, ONE, generic::expiretime),
    data("flushall", -1, WRITE, cat::DANGEROUS | cat::KEYSPACE, NO_KEY, generic::flushall),
    data("flushdb", -1, WRITE, cat::DANGEROUS | cat::KEYSPACE, NO_KEY, generic::flushdb),
    data("geoadd", -5, WRITE | DENY_OOM, cat::GEO, ONE, geo::geoadd),
    data("geodist", -4, READONLY, cat::GEO, ONE, geo::geodist),
    data("geohash", -2, READONLY, cat::GEO, ONE, geo::geohash),
    data("geopos", -2, READONLY, cat::GEO, ONE, geo::geopos),
    data("georadius", -6, WRITE | DENY_OOM | MOVABLE_KEYS, cat::GEO, ONE, geo::georadius),
    data("georadius_ro", -6, READONLY, cat::GEO, ONE, geo::georadius_ro),
    data("georadiusbymember", -5, WRITE | DENY_OOM | MOVABLE_KEYS, cat::GEO, ONE, geo::georadiusbymember),
    data("georadiusbymember_ro", -5, READONLY, cat::GEO, ONE, geo::georadiusbymember_ro),
    data("geosearch", -7, READONLY, cat::GEO, ONE, geo::geosearch),
    data("geosearchstore", -8, WRITE | DENY_OOM, cat::GEO, TWO, geo::geosearchstore),
    data("get", 2, READONLY | FAST, cat::STRING, ONE, strings::get),
    data("getbit", 3, READONLY | FAST, cat::BITMAP, ONE, bits::getbit),
    data("getdel", 2, WRITE | FAST, cat::STRING, ONE, strings::getdel),
    data("getex", -2, WRITE | FAST, cat::STRING, ONE, strings::getex),
    data("getrange", 4, READONLY, cat::STRING, ONE, strings::getrange),
    data("getset", 3, WRITE | DENY_OOM | FAST, cat::STRING, ONE, strings::getset),
    data("hdel", -3, WRITE | FAST, cat::HASH, ONE, hashes::hdel),
    node("hello", -1, ANYTIME | NO_SCRIPT | FAST | NO_AUTH | ALLOW_BUSY, cat::CONNECTION, NO_KEY, connection::hello),
    data("hexists", 3, READONLY | FAST, cat::HASH, ONE, hashes::hexists),
    data("hget", 3, READONLY | FAST, cat::HASH, ONE, hashes::hget),
    data("hgetall", 2, READONLY, cat::HASH, ONE, hashes::hgetall),
    data("hincrby", 4, WRITE | DENY_OOM | FAST, cat::HASH, ONE, hashes::hincrby),
    data("hincrbyfloat", 4, WRITE | DENY_OOM | FAST, cat::HASH, ONE, hashes::hincrbyfloat),
    data("hkeys", 2, READONLY, cat::HASH, ONE, hashes::hkeys),
    data("hlen", 2, READONLY | FAST, cat::HASH, ONE, hashes::hlen),
    data("hmget", -3, READONLY | FAST, cat::HASH, ONE, hashes::hmget),
    data("hmset", -4, WRITE | DENY_OOM | FAST, cat::HASH, ONE, hashes::hmset),
    data("hrandfield", -2, READONLY, cat::HASH, ONE, random::hrandfield),
    data("hscan", -3, READONLY, cat::HASH, ONE, hashes::hscan),
    data("hset", -4, WRITE | DENY_OOM | FAST, cat::HASH, ONE, hashes::hset),
    data("hsetnx", 4, WRITE | DENY_OOM | FAST, cat::HASH, ONE, hashes::hsetnx),
    data("hstrlen", 3, READONLY | FAST, cat::HASH, ONE, hashes::hstrlen),
    data("hvals", 2, READONLY, cat::HASH, ONE, hashes::hvals),
    data("incr", 2, WRITE | DENY_OOM | FAST, cat::STRING, ONE, strings::incr),
    data("incrby", 3, WRITE | DENY_OOM | FAST, cat::STRING, ONE, strings::incrby),
    data("incrbyfloat", 3, WRITE | DENY_OOM | FAST, cat::STRING, ONE, strings::incrbyfloat),
    node("info", -1, ANYTIME, cat::DANGEROUS, NO_KEY, server::info),
    data("keys", 2, READONLY, cat::DANGEROUS | cat::KEYSPACE, NO_KEY, generic::keys),
    node("lastsave", 1, ANYTIME | FAST, cat::ADMIN | cat::DANGEROUS, NO_KEY, server::lastsave),
    node("latency", -2, 0, 0, NO_KEY, connection::container),
    node("latency|doctor", 2, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, latency::doctor),
    node("latency|graph", 3, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, latency::graph),
    node("latency|help", 2, ANYTIME, 0, NO_KEY, command::help),
    node("latency|histogram", -2, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, latency::histogram),
    node("latency|history", 3, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, latency::history),
    node("latency|latest", 2, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, latency::latest),
    node("latency|reset", -2, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, latency::reset),
    data("lcs", -3, READONLY, cat::STRING, TWO, lcs::lcs),
    data("lindex", 3, READONLY, cat::LIST, ONE, lists::lindex),
    data("linsert", 5, WRITE | DENY_OOM, cat::LIST, ONE, lists::linsert),
    data("llen", 2, READONLY | FAST, cat::LIST, ONE, lists::llen),
    data("lmove", 5, WRITE | DENY_OOM, cat::LIST, TWO, lists::lmove),
    data("lmpop", -4, WRITE | MOVABLE_KEYS, cat::LIST, NO_KEY, multi_pops::lmpop),
    data("lpop", -2, WRITE | FAST, cat::LIST, ONE, lists::lpop),
    data("lpos", -3, READONLY, cat::LIST, ONE, lists::lpos),
    data("lpush", -3, WRITE | DENY_OOM | FAST, cat::LIST, ONE, lists::lpush),
    data("lpushx", -3, WRITE | DENY_OOM | FAST, cat::LIST, ONE, lists::lpushx),
    data("lrange", 4, READONLY, cat::LIST, ONE, lists::lrange),
    data("lrem", 4, WRITE, cat::LIST, ONE, lists::lrem),
    data("lset", 4, WRITE | DENY_OOM, cat::LIST, ONE, lists::lset),
    data("ltrim", 4, WRITE, cat::LIST, ONE, lists::ltrim),
    node("memory", -2, 0, 0, NO_KEY, connection::container),
    node("memory|doctor", 2, 0, 0, NO_KEY, server::memory_doctor),
    node("memory|help", 2, ANYTIME, 0, NO_KEY, command::help),
    node("memory|purge", 2, 0, 0, NO_KEY, server::memory_purge),
    node("memory|stats", 2, 0, 0, NO_KEY, server::memory_stats),
    data("memory|usage", -3, READONLY, 0, (2, 2, 1), generic::memory_usage),
    data("mget", -2, READONLY | FAST, cat::STRING, REST, strings::mget),
    node("module", -2, 0, 0, NO_KEY, connection::container),
    node("module|help", 2, ANYTIME, 0, NO_KEY, command::help),
    node("module|list", 2, ADMIN | NO_SCRIPT, 0, NO_KEY, server::module_list),
    node("module|load", -3, ADMIN | NO_SCRIPT | NO_ASYNC_LOADING, 0, NO_KEY, server::module_refused),
    node("module|loadex", -3, ADMIN | NO_SCRIPT | NO_ASYNC_LOADING, 0, NO_KEY, server::module_refused),
    node("module|unload", 3, ADMIN | NO_SCRIPT | NO_ASYNC_LOADING, 0, NO_KEY, server::module_refused),
    node("monitor", 1, ANYTIME | ADMIN | NO_SCRIPT, 0, NO_KEY, monitor::monitor),
    data("move", 3, WRITE | FAST, cat::KEYSPACE, ONE, generic::move_key),
    data("mset", -3, WRITE | DENY_OOM, cat::STRING, (1, -1, 2), strings::mset),
    data("msetnx", -3, WRITE | DENY_OOM, cat::STRING, (1, -1, 2), strings::msetnx),
    node("multi", 1, ANYTIME | NO_SCRIPT | FAST | ALLOW_BUSY | NOT_QUEUED, cat::TRANSACTION, NO_KEY, transactions::multi),
    node("object", -2, 0, 0, NO_KEY, connection::container),
    data("object|encoding", 3, READONLY, cat::KEYSPACE, (2, 2, 1), generic::object_encoding),
    data("object|freq", 3, READONLY, cat::KEYSPACE, (2, 2, 1), generic::object_freq),
    node("object|help", 2, ANYTIME, cat::KEYSPACE, NO_KEY, command::help),
    data("object|idletime", 3, READONLY, cat::KEYSPACE, (2, 2, 1), generic::object_idletime),
    data("object|refcount", 3, READONLY, cat::KEYSPACE, (2, 2, 1), generic::object_refcount),
    data("persist", 2, WRITE | FAST, cat::KEYSPACE, ONE, generic::persist),
    data("pexpire", -3, WRITE | FAST, cat::KEYSPACE, ONE, generic::pexpire),
    data("pexpireat", -3, WRITE | FAST, cat::KEYSPACE, ONE, generic::pexpireat),
    data("pexpiretime", 2, READONLY | FAST, cat::KEYSPACE, ONE, generic::pexpiretime),
    data("pfadd", -2, WRITE | DENY_OOM | FAST, cat::HYPERLOGLOG, ONE, hyperloglog::pfadd),
    data("pfcount", -2, READONLY | MAY_REPLICATE, cat::HYPERLOGLOG, REST, hyperloglog::pfcount),
    data("pfmerge", -2, WRITE | DENY_OOM, cat::HYPERLOGLOG, REST, hyperloglog::pfmerge),
    node("ping", -1, FAST | SUBSCRIBED, cat::CONNECTION, NO_KEY, connection::ping),
    data("psetex", 4, WRITE | DENY_OOM, cat::STRING, ONE, strings::psetex),
    node("psubscribe", -2, ANYTIME | PUBSUB | NO_SCRIPT | SUBSCRIBED, 0, NO_KEY, pubsub::psubscribe),
    node("psync", -3, ADMIN | NO_SCRIPT | NO_MULTI | NO_ASYNC_LOADING, 0, NO_KEY, replication::psync),
    data("pttl", 2, READONLY | FAST, cat::KEYSPACE, ONE, generic::pttl),
    node("publish", 3, MAY_REPLICATE | ANYTIME | PUBSUB | FAST, 0, NO_KEY, pubsub::publish),
    node("pubsub", -2, 0, 0, NO_KEY, connection::container),
    node("pubsub|channels", -2, ANYTIME | PUBSUB, 0, NO_KEY, pubsub::list_channels),
    node("pubsub|help", 2, ANYTIME, 0, NO_KEY, command::help),
    node("pubsub|numpat", 2, ANYTIME | PUBSUB, 0, NO_KEY, pubsub::numpat),
    node("pubsub|numsub", -2, ANYTIME | PUBSUB, 0, NO_KEY, pubsub::numsub),
    node("pubsub|shardchannels", -2, ANYTIME | PUBSUB, 0, NO_KEY, pubsub::list_shards),
    node("pubsub|shardnumsub", -2, ANYTIME | PUBSUB, 0, NO_KEY, pubsub::shardnumsub),
    node("punsubscribe", -1, ANYTIME | PUBSUB | NO_SCRIPT | SUBSCRIBED, 0, NO_KEY, pubsub::punsubscribe),
    node("quit", -1, ANYTIME | NO_SCRIPT | FAST | NO_AUTH | ALLOW_BUSY | SUBSCRIBED | NOT_QUEUED, cat::CONNECTION, NO_KEY, connection::quit),
    data("randomkey", 1, READONLY, cat::KEYSPACE, NO_KEY, generic::randomkey),
    node("readonly", 1, ANYTIME | FAST, cat::CONNECTION, NO_KEY, server::no_cluster),
    node("readwrite", 1, ANYTIME | FAST, cat::CONNECTION, NO_KEY, server::no_cluster),
    data("rename", 3, WRITE, cat::KEYSPACE, TWO, generic::rename),
    data("renamenx", 3, WRITE | FAST, cat::KEYSPACE, TWO, generic::renamenx),
    node("replconf", -1, ANYTIME | ADMIN | NO_SCRIPT | ALLOW_BUSY, 0, NO_KEY, replication::replconf),
    node("replicaof", 3, ADMIN | NO_SCRIPT | STALE | NO_ASYNC_LOADING, 0, NO_KEY, replication::replicaof),
    node("reset", 1, ANYTIME | NO_SCRIPT | FAST | NO_AUTH | ALLOW_BUSY | SUBSCRIBED | NOT_QUEUED, cat::CONNECTION, NO_KEY, connection::reset),
    data("restore", -4, WRITE | DENY_OOM, cat::DANGEROUS | cat::KEYSPACE, ONE, dump::restore),
    node("role", 1, ANYTIME | NO_SCRIPT | FAST, cat::ADMIN | cat::DANGEROUS, NO_KEY, replication::role),
    data("rpop", -2, WRITE | FAST, cat::LIST, ONE, lists::rpop),
    data("rpoplpush", 3, WRITE | DENY_OOM, cat::LIST, TWO, lists::rpoplpush),
    data("rpush", -3, WRITE | DENY_OOM | FAST, cat::LIST, ONE, lists::rpush),
    data("rpushx", -3, WRITE | DENY_OOM | FAST, cat::LIST, ONE, lists::rpushx),
    data("sadd", -3, WRITE | DENY_OOM | FAST, cat::SET, ONE, sets::sadd),
    node("save", 1, ADMIN | NO_SCRIPT | NO_MULTI | NO_ASYNC_LOADING, 0, NO_KEY, server::save),
    data("scan", -2, READONLY, cat::KEYSPACE, NO_KEY, generic::scan),
    data("scard", 2, READONLY | FAST, cat::SET, ONE, sets::scard),
    node("script", -2, 0, 0, NO_KEY, connection::container),
    node("script|exists", -3, NO_SCRIPT, cat::SCRIPTING, NO_KEY, scripting::exists),
    node("script|flush", -2, NO_SCRIPT, cat::SCRIPTING, NO_KEY, scripting::flush),
    node("script|help", 2, ANYTIME, cat::SCRIPTING, NO_KEY, command::help),
    node("script|kill", 2, NO_SCRIPT | ALLOW_BUSY, cat::SCRIPTING, NO_KEY, scripting::kill),
    node("script|load", 3, NO_SCRIPT | STALE, cat::SCRIPTING, NO_KEY, scripting::load),
    data("sdiff", -2, READONLY, cat::SET, REST, sets::sdiff),
    data("sdiffstore", -3, WRITE | DENY_OOM, cat::SET, REST, sets::sdiffstore),
    node("select", 2, ANYTIME | FAST, cat::CONNECTION, NO_KEY, connection::select),
    data("set", -3, WRITE | DENY_OOM, cat::STRING, ONE, strings::set),
    data("setbit", 4, WRITE | DENY_OOM, cat::BITMAP, ONE, bits::setbit),
    data("setex", 4, WRITE | DENY_OOM, cat::STRING, ONE, strings::setex),
    data("setnx", 3, WRITE | DENY_OOM | FAST, cat::STRING, ONE, strings::setnx),
    data("setrange", 4, WRITE | DENY_OOM, cat::STRING, ONE, strings::setrange),
    node("shutdown", -1, ANYTIME | ADMIN | NO_SCRIPT | NO_MULTI | ALLOW_BUSY, 0, NO_KEY, server::shutdown),
    data("sinter", -2, READONLY, cat::SET, REST, sets::sinter),
    data("sintercard", -3, READONLY | MOVABLE_KEYS, cat::SET, NO_KEY, combine::sintercard),
    data("sinterstore", -3, WRITE | DENY_OOM, cat::SET, REST, sets::sinterstore),
    data("sismember", 3, READONLY | FAST, cat::SET, ONE, sets::sismember),
    node("slaveof", 3, ADMIN | NO_SCRIPT | STALE | NO_ASYNC_LOADING, 0, NO_KEY, replication::replicaof),
    node("slowlog", -2, 0, 0, NO_KEY, connection::container),
    node("slowlog|get", -2, ANYTIME | ADMIN, 0, NO_KEY, server::slowlog_get),
    node("slowlog|help", 2, ANYTIME, 0, NO_KEY, command::help),
    node("slowlog|len", 2, ANYTIME | ADMIN, 0, NO_KEY, server::slowlog_len),
    node("slowlog|reset", 2, ANYTIME | ADMIN, 0, NO_KEY, server::slowlog_reset),
    data("smembers", 2, READONLY, cat::SET, ONE, sets::smembers),
    data("smismember", -3, READONLY | FAST, cat::SET, ONE, sets::smismember),
    data("smove", 4, WRITE | FAST, cat::SET, TWO, sets::smove),
    data("sort", -2, WRITE | DENY_OOM | MOVABLE_KEYS, cat::DANGEROUS | cat::SET | cat::SORTEDSET | cat::LIST, ONE, sort::sort),
    data("sort_ro", -2, READONLY | MOVABLE_KEYS, cat::DANGEROUS | cat::SET | cat::SORTEDSET | cat::LIST, ONE, sort::sort_ro),
    data("spop", -2, WRITE | FAST, cat::SET, ONE, sets::spop),
    node("spublish", 3, MAY_REPLICATE | ANYTIME | PUBSUB | FAST, 0, ONE, pubsub::spublish),
    data("srandmember", -2, READONLY, cat::SET, ONE, sets::srandmember),
    data("srem", -3, WRITE | FAST, cat::SET, ONE, sets::srem),
    data("sscan", -3, READONLY, cat::SET, ONE, sets::sscan),
    node("ssubscribe", -2, ANYTIME | PUBSUB | NO_SCRIPT | SUBSCRIBED, 0, REST, pubsub::ssubscribe),
    data("strlen", 2, READONLY | FAST, cat::STRING, ONE, strings::strlen),
    node("subscribe", -2, ANYTIME | PUBSUB | NO_SCRIPT | SUBSCRIBED, 0, NO_KEY, pubsub::subscribe),
    data("substr", 4, READONLY, cat::STRING, ONE, strings::getrange),
    data("sunion", -2, READONLY, cat::SET, REST, sets::sunion),
    data("sunionstore", -3, WRITE | DENY_OOM, cat::SET, REST, sets::sunionstore),
    node("sunsubscribe", -1, ANYTIME | PUBSUB | NO_SCRIPT | SUBSCRIBED, 0, REST, pubsub::sunsubscribe),
    data("swapdb", 3, WRITE | FAST, cat::DANGEROUS | cat::KEYSPACE, NO_KEY, generic::swapdb),
    node("sync", 1, ADMIN | NO_SCRIPT | NO_MULTI | NO_ASYNC_LOADING, 0, NO_KEY, replication::psync),
    node("time", 1, ANYTIME | FAST, 0, NO_KEY, connection::time),
    data("touch", -2, READONLY | FAST, cat::KEYSPACE, REST, generic::touch),
    data("ttl", 2, READONLY | FAST, cat::KEYSPACE, ONE, generic::ttl),
    data("type", 2, READONLY | FAST, cat::KEYSPACE, ONE, generic::type_of),
    data("unlink", -2, WRITE | FAST, cat::KEYSPACE, REST, generic::unlink),
    node("unsubscribe", -1, ANYTIME | PUBSUB | NO_SCRIPT | SUBSCRIBED, 0, NO_KEY, pubsub::unsubscribe),
    node("unwatch", 1, ANYTIME | NO_SCRIPT | FAST | ALLOW_BUSY, cat::TRANSACTION, NO_KEY, transactions::unwatch),
    node("wait", 3, NO_SCRIPT, cat::CONNECTION, NO_KEY, replication::wait),
    node("watch", -2, ANYTIME | NO_SCRIPT | FAST | ALLOW_BUSY | NOT_QUEUED, cat::TRANSACTION, REST, transactions::watch),
    data("xack", -4, WRITE | FAST, cat::STREAM, ONE, streams::xack),
    data("xadd", -5, WRITE | DENY_OOM | FAST, cat::STREAM, ONE, streams::xadd),
    data("xautoclaim", -6, WRITE | FAST, cat::STREAM, ONE, streams::xautoclaim),
    data("xclaim", -6, WRITE | FAST, cat::STREAM, ONE, streams::xclaim),
    data("xdel", -3, WRITE | FAST, cat::STREAM, ONE, streams::xdel),
    node("xgroup", -2, 0, 0, NO_KEY, connection::container),
    data("xgroup|create", -5, WRITE | DENY_OOM, cat::STREAM, (2, 2, 1), streams::xgroup_create),
    data("xgroup|createconsumer", 5, WRITE | DENY_OOM, cat::STREAM, (2, 2, 1), streams::xgroup_createconsumer),
    data("xgroup|delconsumer", 5, WRITE, cat::STREAM, (2, 2, 1), streams::xgroup_delconsumer),
    data("xgroup|destroy", 4, WRITE, cat::STREAM, (2, 2, 1), streams::xgroup_destroy),
    node("xgroup|help", 2, ANYTIME, cat::STREAM, NO_KEY, command::help),
    data("xgroup|setid", -5, WRITE, cat::STREAM, (2, 2, 1), streams::xgroup_setid),
    node("xinfo", -2, 0, 0, NO_KEY, connection::container),
    data("xinfo|consumers", 4, READONLY, cat::STREAM, (2, 2, 1), streams::xinfo_consumers),
    data("xinfo|groups", 3, READONLY, cat::STREAM, (2, 2, 1), streams::xinfo_groups),
    node("xinfo|help", 2, ANYTIME, cat::STREAM, NO_KEY, command::help),
    data("xinfo|stream", -3, READONLY, cat::STREAM, (2, 2, 1), streams::xinfo_stream),
    data("xlen", 2, READONLY | FAST, cat::STREAM, ONE, streams::xlen),
    data("xpending", -3, READONLY, cat::STREAM, ONE, streams::xpending),
    data("xrange", -4, READONLY, cat::STREAM, ONE, streams::xrange),
    node("xread", -4, READONLY | BLOCKING | MOVABLE_KEYS, cat::STREAM, NO_KEY, streams::xread),
    node("xreadgroup", -7, WRITE | BLOCKING | MOVABLE_KEYS, cat::STREAM, NO_KEY, streams::xreadgroup),
    data("xrevrange", -4, READONLY, cat::STREAM, ONE, streams::xrevrange),
    data("xsetid", -3, WRITE | DENY_OOM | FAST, cat::STREAM, ONE, streams::xsetid),
    data("xtrim", -4, WRITE, cat::STREAM, ONE, streams::xtrim),
    data("zadd", -4, WRITE | DENY_OOM | FAST, cat::SORTEDSET, ONE, zsets::zadd),
    data("zcard", 2, READONLY | FAST, cat::SORTEDSET, ONE, zsets::zcard),
    data("zcount", 4, READONLY | FAST, cat::SORTEDSET, ONE, zsets::zcount),
    data("zdiff", -3, READONLY | MOVABLE_KEYS, cat::SORTEDSET, NO_KEY, combine::zdiff),
    data("zdiffstore", -4, WRITE | DENY_OOM | MOVABLE_KEYS, cat::SORTEDSET, ONE, combine::zdiffstore),
    data("zincrby", 4, WRITE | DENY_OOM | FAST, cat::SORTEDSET, ONE, zsets::zincrby),
    data("zinter", -3, READONLY | MOVABLE_KEYS, cat::SORTEDSET, NO_KEY, combine::zinter),
    data("zintercard", -3, READONLY | MOVABLE_KEYS, cat::SORTEDSET, NO_KEY, combine::zintercard),
    data("zinterstore", -4, WRITE | DENY_OOM | MOVABLE_KEYS, cat::SORTEDSET, ONE, combine::zinterstore),
    data("zlexcount", 4, READONLY | FAST, cat::SORTEDSET, ONE, zsets::zlexcount),
    data("zmpop", -4, WRITE | MOVABLE_KEYS, cat::SORTEDSET, NO_KEY, multi_pops::zmpop),
    data("zmscore", -3, READONLY | FAST, cat::SORTEDSET, ONE, zsets::zmscore),
    data("zpopmax", -2, WRITE | FAST, cat::SORTEDSET, ONE, zsets::zpopmax),
    data("zpopmin", -2, WRITE | FAST, cat::SORTEDSET, ONE, zsets::zpopmin),
    data("zrandmember", -2, READONLY, cat::SORTEDSET, ONE, random::zrandmember),
    data("zrange", -4, READONLY, cat::SORTEDSET, ONE, zsets::zrange),
    data("zrangebylex", -4, READONLY, cat::SORTEDSET, ONE, zsets::zrangebylex),
    data("zrangebyscore", -4, READONLY, cat::SORTEDSET, ONE, zsets::zrangebyscore),
    data("zrangestore", -5, WRITE | DENY_OOM, cat::SORTEDSET, TWO, zsets::zrangestore),
    data("zrank", 3, READONLY | FAST, cat::SORTEDSET, ONE, zsets::zrank),
    data("zrem", -3, WRITE | FAST, cat::SORTEDSET, ONE, zsets::zrem),
    data("zremrangebylex", 4, WRITE, cat::SORTEDSET, ONE, zsets::zremrangebylex),
    data("zremrangebyrank", 4, WRITE, cat::SORTEDSET, ONE, zsets::zremrangebyrank),
    data("zremrangebyscore", 4, WRITE, cat::SORTEDSET, ONE, zsets::zremrangebyscore),
    data("zrevrange", -4, READONLY, cat::SORTEDSET, ONE, zsets::zrevrange),
    data("zrevrangebylex", -4, READONLY, cat::SORTEDSET, ONE, zsets::zrevrangebylex),
    data("zrevrangebyscore", -4, READONLY, cat::SORTEDSET, ONE, zsets::zrevrangebyscore),
    data("zrevrank", 3, READONLY | FAST, cat::SORTEDSET, ONE, zsets::zrevrank),
    data("zscan", -3, READONLY, cat::SORTEDSET, ONE, zsets::zscan),
    data("zscore", 3, READONLY | FAST, cat::SORTEDSET, ONE, zsets::zscore),
    data("zunion", -3, READONLY | MOVABLE_KEYS, cat::SORTEDSET, NO_KEY, combine::zunion),
    data("zunionstore", -4, WRITE | DENY_OOM | MOVABLE_KEYS, cat::SORTEDSET, ONE, combine::zunionstore),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_within_the_buffer() {
        for pair in COMMANDS.windows(2) {
            assert!(pair[0].name < pair[1].name, "{} {}", pair[0].name, pair[1].name);
        }
        assert_eq!(COMMANDS.iter().map(|spec| spec.name.len()).max(), Some(LONGEST));
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
    fn what_is_about_data() {
        for name in ["get", "incr", "blpop", "evalsha", "publish"] {
            assert!(is_about_data(&Command::of(&[name])), "{name}");
        }
        for name in ["ping", "role", "info", "hello", "exec", "subscribe", "x"] {
            assert!(!is_about_data(&Command::of(&[name])), "{name}");
        }
    }

    #[test]
    fn unknown_ones_are_named_as_redis_does() {
        let error = |words: &[&'static str]| lookup(&Command::of(words)).unwrap_err().into_owned();
        assert_eq!(error(&["FOO", "a", "b"]), "ERR unknown command 'FOO', with args beginning with: 'a' 'b' ");
        assert_eq!(error(&["CLIENT", "SETINFO", "x"]), "ERR unknown subcommand 'SETINFO'. Try CLIENT HELP.");
    }
}
