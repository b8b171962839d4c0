//! `CONFIG`: the parameters that the node has, and those fixed ones that clients ask for.

use std::time::Duration;

use bytes::Bytes;
use model::plan::Credentials;
use model::{Limits, Output, OutputLimit, Reply, Text};

use super::parameters::{self, OTHERS};
use super::values::{Invalid, memory, memory_value, within, word, words, yes_no};
use crate::access::Failure;
use crate::acl::DEFAULT;
use crate::args::{SYNTAX, glob, is, text, wrong_arity};
use crate::config::Config;
use crate::dispatch::{Call, OK, Outcome};
use crate::node::Node;
use crate::stats::Stats;

/// Changes one field.
type Setter = fn(&mut Config, &str) -> Result<(), Invalid>;

struct Parameter {
    name: &'static str,
    get: fn(&Config) -> String,
    /// `None` if it cannot be changed at run time.
    set: Option<Setter>,
}

/// A number that is not negative.
fn count(value: &str) -> Result<u32, Invalid> {
    within(value, 0, i64::from(i32::MAX)).map(|number| number as u32)
}

/// Whole seconds, so many at least.
fn seconds(value: &str, least: i64) -> Result<Duration, Invalid> {
    within(value, least, i64::from(i32::MAX)).map(|seconds| Duration::from_secs(seconds as u64))
}

fn yes_or_no(yes: bool) -> String {
    word(yes).to_owned()
}

/// Bytes, so many at least.
fn size(value: &str, least: u64) -> Result<u64, Invalid> {
    memory(value, least, i64::MAX as u64)
}

fn password(config: &Config) -> String {
    config.auth.as_ref().map_or_else(String::new, |auth| auth.password.clone())
}

/// `client-output-buffer-limit` as it is shown.
fn output_limits(limits: &Limits) -> String {
    let classes = [("normal", limits.normal), ("slave", limits.replica), ("pubsub", limits.pubsub)];
    let classes = classes
        .map(|(name, OutputLimit { hard, soft, lasting })| format!("{name} {hard} {soft} {}", lasting.as_secs()));
    classes.join(" ")
}

/// Those of the classes that are named are changed.
fn set_output_limits(limits: &mut Limits, value: &str) -> Result<(), Invalid> {
    let words = words(value);
    if !words.len().is_multiple_of(4) {
        return Err("Wrong number of arguments in buffer limit configuration.".into());
    }
    for words in words.chunks_exact(4) {
        let limit = match words[0].to_ascii_lowercase().as_str() {
            "normal" => &mut limits.normal,
            "slave" | "replica" => &mut limits.replica,
            "pubsub" => &mut limits.pubsub,
            _ => return Err("Invalid client class specified in buffer limit configuration.".into()),
        };
        let (hard, soft, seconds) = (memory_value(words[1]), memory_value(words[2]), words[3].parse::<u64>().ok());
        let (Some(hard), Some(soft), Some(seconds)) = (hard, soft, seconds) else {
            return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration.".into());
        };
        *limit = OutputLimit { hard, soft, lasting: Duration::from_secs(seconds) };
    }
    Ok(())
}

/// What a smaller `repl-backlog-size` becomes.
const LEAST_BACKLOG: u64 = 16 * 1024;

static PARAMETERS: &[Parameter] = &[
    // Shown by `address`. A node stays where it is, as if every other address and port was taken.
    Parameter {
        name: "bind",
        get: |_| String::new(),
        set: Some(|_, _| Err("Failed to bind to specified addresses.".into())),
    },
    Parameter {
        name: "client-output-buffer-limit",
        get: |config| output_limits(&config.limits),
        set: Some(|config, value| set_output_limits(&mut config.limits, value)),
    },
    Parameter {
        name: "client-query-buffer-limit",
        get: |config| config.limits.query_buffer.to_string(),
        set: Some(|config, value| size(value, 1 << 20).map(|bytes| config.limits.query_buffer = bytes)),
    },
    Parameter { name: "enable-debug-command", get: |config| yes_or_no(config.debug_command), set: None },
    Parameter {
        name: "masterauth",
        get: |config| {
            config.master_auth.as_ref().or(config.auth.as_ref()).map_or_else(String::new, |a| a.password.clone())
        },
        set: Some(|config, value| {
            let user = config.master_auth.take().and_then(|auth| auth.user);
            config.master_auth = Some(Credentials { user, password: value.to_owned() });
            Ok(())
        }),
    },
    Parameter {
        name: "masteruser",
        get: |config| config.master_auth.as_ref().and_then(|auth| auth.user.clone()).unwrap_or_default(),
        set: Some(|config, value| {
            let password = config.master_auth.take().map(|auth| auth.password).unwrap_or_default();
            config.master_auth = Some(Credentials { user: (!value.is_empty()).then(|| value.to_owned()), password });
            Ok(())
        }),
    },
    Parameter {
        name: "maxclients",
        get: |config| config.max_clients.to_string(),
        set: Some(|config, value| {
            config.max_clients = within(value, 1, i64::from(u32::MAX))? as u32;
            Ok(())
        }),
    },
    Parameter {
        name: "maxmemory",
        get: |config| config.max_memory.to_string(),
        set: Some(|config, value| memory(value, 0, u64::MAX).map(|bytes| config.max_memory = bytes)),
    },
    Parameter {
        name: "min-replicas-max-lag",
        get: |config| config.min_replicas_max_lag.as_secs().to_string(),
        set: Some(|config, value| seconds(value, 0).map(|lag| config.min_replicas_max_lag = lag)),
    },
    Parameter {
        name: "min-replicas-to-write",
        get: |config| config.min_replicas_to_write.to_string(),
        set: Some(|config, value| count(value).map(|count| config.min_replicas_to_write = count)),
    },
    Parameter {
        name: "port",
        get: |config| config.identity.addr.port.to_string(),
        set: Some(|config, value| {
            let same = within(value, 0, 65_535)? == i64::from(config.identity.addr.port);
            if same { Ok(()) } else { Err("Unable to listen on this port. Check server logs.".into()) }
        }),
    },
    Parameter {
        name: "proto-max-bulk-len",
        get: |config| config.limits.bulk.to_string(),
        set: Some(|config, value| size(value, 1 << 20).map(|bytes| config.limits.bulk = bytes)),
    },
    Parameter {
        name: "repl-backlog-size",
        get: |config| config.backlog_size.to_string(),
        set: Some(|config, value| size(value, 1).map(|bytes| config.backlog_size = bytes.max(LEAST_BACKLOG))),
    },
    Parameter {
        name: "repl-diskless-sync-delay",
        get: |config| config.diskless_sync_delay.as_secs().to_string(),
        set: Some(|config, value| seconds(value, 0).map(|delay| config.diskless_sync_delay = delay)),
    },
    Parameter {
        name: "repl-ping-replica-period",
        get: |config| config.ping_period.as_secs().to_string(),
        set: Some(|config, value| seconds(value, 1).map(|period| config.ping_period = period)),
    },
    Parameter {
        name: "repl-timeout",
        get: |config| config.repl_timeout.as_secs().to_string(),
        set: Some(|config, value| seconds(value, 1).map(|timeout| config.repl_timeout = timeout)),
    },
    Parameter {
        name: "replica-announce-ip",
        get: |config| config.announce_ip.clone().unwrap_or_default(),
        set: Some(|config, value| {
            config.announce_ip = (!value.is_empty()).then(|| value.to_owned());
            Ok(())
        }),
    },
    Parameter {
        name: "replica-priority",
        get: |config| config.priority.to_string(),
        set: Some(|config, value| count(value).map(|priority| config.priority = priority)),
    },
    Parameter {
        name: "replica-read-only",
        get: |config| yes_or_no(config.replica_read_only),
        set: Some(|config, value| yes_no(value).map(|yes| config.replica_read_only = yes)),
    },
    Parameter {
        name: "replica-serve-stale-data",
        get: |config| yes_or_no(config.serve_stale_data),
        set: Some(|config, value| yes_no(value).map(|serve| config.serve_stale_data = serve)),
    },
    // The same.
    Parameter { name: "replicaof", get: |_| String::new(), set: None },
    Parameter {
        name: "requirepass",
        get: password,
        set: Some(|config, value| {
            let password = value.to_owned();
            config.auth = (!value.is_empty()).then_some(Credentials { user: None, password });
            Ok(())
        }),
    },
    Parameter {
        name: "shutdown-timeout",
        get: |config| config.shutdown_timeout.as_secs().to_string(),
        set: Some(|config, value| seconds(value, 0).map(|timeout| config.shutdown_timeout = timeout)),
    },
    Parameter {
        name: "timeout",
        get: |config| config.timeout.as_secs().to_string(),
        set: Some(|config, value| seconds(value, 0).map(|timeout| config.timeout = timeout)),
    },
];

/// Older names.
const ALIASES: [(&str, &str); 19] = [
    ("cluster-slave-no-failover", "cluster-replica-no-failover"),
    ("cluster-slave-validity-factor", "cluster-replica-validity-factor"),
    ("hash-max-ziplist-entries", "hash-max-listpack-entries"),
    ("hash-max-ziplist-value", "hash-max-listpack-value"),
    ("list-max-ziplist-size", "list-max-listpack-size"),
    ("lua-time-limit", "busy-reply-threshold"),
    ("min-slaves-max-lag", "min-replicas-max-lag"),
    ("min-slaves-to-write", "min-replicas-to-write"),
    ("repl-ping-slave-period", "repl-ping-replica-period"),
    ("slave-announce-ip", "replica-announce-ip"),
    ("slave-announce-port", "replica-announce-port"),
    ("slave-ignore-maxmemory", "replica-ignore-maxmemory"),
    ("slave-lazy-flush", "replica-lazy-flush"),
    ("slave-priority", "replica-priority"),
    ("slave-read-only", "replica-read-only"),
    ("slave-serve-stale-data", "replica-serve-stale-data"),
    ("slaveof", "replicaof"),
    ("zset-max-ziplist-entries", "zset-max-listpack-entries"),
    ("zset-max-ziplist-value", "zset-max-listpack-value"),
];

/// The name that a parameter has today.
fn proper(name: &[u8]) -> String {
    let proper = ALIASES.iter().find(|(alias, _)| is(name, alias)).map(|(_, proper)| (*proper).to_owned());
    proper.unwrap_or_else(|| text(name).to_ascii_lowercase())
}

/// All of them with their values.
fn values(config: &Config) -> impl Iterator<Item = (&'static str, String)> {
    let own = PARAMETERS.iter().map(|parameter| (parameter.name, (parameter.get)(config)));
    own.chain(OTHERS.iter().map(|parameter| (parameter.name, config.other(parameter.name).to_owned())))
}

/// Of those parameters whose values are addresses.
fn address(node: &Node, name: &str) -> Option<Reply> {
    match name {
        "bind" => Some(Reply::host(&node.config.identity.addr)),
        "replicaof" => Some(Reply::Text(node.master_addr().map_or_else(Text::new, |addr| Text::new().spaced(addr)))),
        _ => None,
    }
}

pub(crate) fn get(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let patterns = &call.args()[2..];
    // By the first that it matches: a name is shown as it was sent.
    let exact = |pattern: &Bytes| !pattern.iter().any(|byte| b"[*?".contains(byte));
    let shown = |name: &'static str| {
        let hidden = parameters::find(name).is_some_and(|parameter| parameter.hidden);
        let finds =
            |pattern: &&Bytes| glob(&pattern.to_ascii_lowercase(), name.as_bytes()) && (!hidden || exact(pattern));
        let pattern = patterns.iter().find(finds)?;
        Some(if exact(pattern) { Reply::Bulk(pattern.clone()) } else { Reply::word(name) })
    };
    let mut found = Vec::new();
    for (name, value) in values(&node.config) {
        let aliases = ALIASES.iter().filter(|(_, proper)| *proper == name).map(|(alias, _)| *alias);
        for name in [name].into_iter().chain(aliases) {
            let Some(key) = shown(name) else { continue };
            let address = address(node, proper(name.as_bytes()).as_str());
            found.push((key, address.unwrap_or_else(|| Reply::bulk(value.clone()))));
        }
    }
    Ok(Reply::Map(found).into())
}

/// How a parameter is changed.
enum Change {
    Own(Setter),
    Other(&'static parameters::Parameter),
}

/// How the parameter of this name is changed; or that it never is, or is not there.
fn change(name: &str) -> Result<Change, Failure> {
    let known = proper(name.as_bytes());
    let (change, never) = if let Some(own) = PARAMETERS.iter().find(|parameter| parameter.name == known) {
        (own.set.map(Change::Own), None)
    } else {
        let other = parameters::find(&known)
            .ok_or_else(|| format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'"))?;
        (Some(Change::Other(other)), other.never())
    };
    match (change, never) {
        (Some(change), None) => Ok(change),
        (_, why) => Err(failed(name, why.unwrap_or("can't set immutable config"))),
    }
}

fn failed(name: &str, why: &str) -> Failure {
    format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}").into()
}

/// All or nothing: a value that is not taken leaves every parameter as it was. Redis looks at all names, which it shows as
/// they were sent, before it looks at a value, where it shows them in lower case.
pub(crate) fn set(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let pairs = &call.args()[2..];
    if !pairs.len().is_multiple_of(2) {
        return Err(if pairs.len() == 1 { wrong_arity("config|set") } else { SYNTAX });
    }
    let mut changes: Vec<(String, Change, &Bytes)> = Vec::new();
    for pair in pairs.chunks_exact(2) {
        let name = text(&pair[0]);
        let change = change(&name)?;
        // Redis takes an older name beside the newer one.
        if changes.iter().any(|(seen, ..)| seen.eq_ignore_ascii_case(&name)) {
            return Err(failed(&name, "duplicate parameter"));
        }
        changes.push((name.to_ascii_lowercase(), change, &pair[1]));
    }
    let mut config = node.config.clone();
    for (name, change, value) in changes {
        let value = text(value);
        let taken = match change {
            Change::Own(set) => set(&mut config, &value),
            Change::Other(parameter) => parameter.take(&value).map(|kept| {
                config.others.insert(parameter.name, kept);
            }),
        };
        taken.map_err(|why| failed(&name, &why))?;
    }
    if config.auth != node.config.auth
        && let Some(user) = node.users.get_mut(&DEFAULT)
    {
        user.set_password(config.auth.as_ref().map_or("", |auth| auth.password.as_str()));
    }
    if config.limits != node.config.limits {
        for conn in node.clients.keys() {
            call.out.push(Output::Limits(*conn, Box::new(config.limits.clone())));
        }
    }
    if config.backlog_size != node.config.backlog_size
        && let Some(backlog) = &mut node.repl.backlog
    {
        backlog.resize(config.backlog_size);
    }
    node.config = config;
    node.count_good_replicas(call.now);
    OK
}

pub(crate) fn rewrite(node: &mut Node, _: &mut Call<'_>) -> Outcome {
    node.file = Config { replica_of: node.master_addr().cloned(), ..node.config.clone() };
    OK
}

pub(crate) fn resetstat(node: &mut Node, _: &mut Call<'_>) -> Outcome {
    node.stats = Stats::default();
    OK
}
