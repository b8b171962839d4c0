//! `CONFIG`: the parameters that the node has, and those fixed ones that clients ask for.

use std::time::Duration;

use model::Reply;
use model::plan::Credentials;

use crate::access::Failure;
use crate::acl::DEFAULT;
use crate::args::{glob, is, text};
use crate::config::Config;
use crate::dispatch::{Call, OK, Outcome};
use crate::node::Node;
use crate::stats::Stats;

/// Why a value is not taken, in Redis's words.
type Invalid = &'static str;

/// Changes one field.
type Setter = fn(&mut Config, &str) -> Result<(), Invalid>;

struct Parameter {
    name: &'static str,
    get: fn(&Config) -> String,
    /// `None` if it cannot be changed at run time.
    set: Option<Setter>,
}

const NOT_AN_INTEGER: Invalid = "argument couldn't be parsed into an integer";

fn whole<T: std::str::FromStr>(value: &str) -> Result<T, Invalid> {
    value.parse().map_err(|_| NOT_AN_INTEGER)
}

/// A number that is not negative.
fn count<T: TryFrom<i64>>(value: &str) -> Result<T, Invalid> {
    let number: i64 = whole(value)?;
    let within = T::try_from(number).ok().filter(|_| (0..=i64::from(i32::MAX)).contains(&number));
    within.ok_or("argument must be between 0 and 2147483647 inclusive")
}

fn seconds(value: &str) -> Result<Duration, Invalid> {
    whole(value).map(Duration::from_secs)
}

fn yes_no(value: &str) -> Result<bool, Invalid> {
    match value.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("argument must be 'yes' or 'no'"),
    }
}

fn word(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn password(config: &Config) -> String {
    config.auth.as_ref().map_or_else(String::new, |auth| auth.password.clone())
}

macro_rules! fixed {
    ($name:literal, $value:literal) => {
        Parameter { name: $name, get: |_| $value.to_owned(), set: None }
    };
}

static PARAMETERS: &[Parameter] = &[
    fixed!("appendonly", "no"),
    fixed!("bind", "* -::*"),
    fixed!("client-output-buffer-limit", "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"),
    fixed!("client-query-buffer-limit", "1073741824"),
    fixed!("cluster-enabled", "no"),
    fixed!("databases", "16"),
    Parameter { name: "enable-debug-command", get: |config| word(config.debug_command), set: None },
    fixed!("hz", "10"),
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
            let within: i64 = whole(value)?;
            config.max_clients = u32::try_from(within)
                .ok()
                .filter(|most| *most > 0)
                .ok_or("argument must be between 1 and 4294967295 inclusive")?;
            Ok(())
        }),
    },
    fixed!("maxmemory", "0"),
    fixed!("maxmemory-policy", "noeviction"),
    Parameter {
        name: "min-replicas-max-lag",
        get: |config| config.min_replicas_max_lag.as_secs().to_string(),
        set: Some(|config, value| seconds(value).map(|lag| config.min_replicas_max_lag = lag)),
    },
    Parameter {
        name: "min-replicas-to-write",
        get: |config| config.min_replicas_to_write.to_string(),
        set: Some(|config, value| count(value).map(|count| config.min_replicas_to_write = count)),
    },
    fixed!("notify-keyspace-events", ""),
    Parameter { name: "port", get: |config| config.identity.addr.port.to_string(), set: None },
    fixed!("proto-max-bulk-len", "536870912"),
    Parameter { name: "repl-backlog-size", get: |config| config.backlog_size.to_string(), set: None },
    fixed!("repl-diskless-sync", "yes"),
    Parameter {
        name: "repl-diskless-sync-delay",
        get: |config| config.diskless_sync_delay.as_secs().to_string(),
        set: Some(|config, value| seconds(value).map(|delay| config.diskless_sync_delay = delay)),
    },
    Parameter {
        name: "repl-ping-replica-period",
        get: |config| config.ping_period.as_secs().to_string(),
        set: Some(|config, value| match seconds(value)? {
            Duration::ZERO => Err("argument must be between 1 and 2147483647 inclusive"),
            period => {
                config.ping_period = period;
                Ok(())
            }
        }),
    },
    Parameter {
        name: "repl-timeout",
        get: |config| config.repl_timeout.as_secs().to_string(),
        set: Some(|config, value| match seconds(value)? {
            Duration::ZERO => Err("argument must be between 1 and 2147483647 inclusive"),
            timeout => {
                config.repl_timeout = timeout;
                Ok(())
            }
        }),
    },
    Parameter {
        name: "replica-priority",
        get: |config| config.priority.to_string(),
        set: Some(|config, value| count(value).map(|priority| config.priority = priority)),
    },
    fixed!("replica-read-only", "yes"),
    Parameter {
        name: "replica-serve-stale-data",
        get: |config| word(config.serve_stale_data),
        set: Some(|config, value| yes_no(value).map(|serve| config.serve_stale_data = serve)),
    },
    Parameter {
        name: "requirepass",
        get: password,
        set: Some(|config, value| {
            let password = value.to_owned();
            config.auth = (!value.is_empty()).then_some(Credentials { user: None, password });
            Ok(())
        }),
    },
    fixed!("save", ""),
    Parameter {
        name: "shutdown-timeout",
        get: |config| config.shutdown_timeout.as_secs().to_string(),
        set: Some(|config, value| seconds(value).map(|timeout| config.shutdown_timeout = timeout)),
    },
    fixed!("tcp-keepalive", "300"),
    fixed!("timeout", "0"),
];

/// Names from before Redis 5.
const ALIASES: [(&str, &str); 6] = [
    ("min-slaves-max-lag", "min-replicas-max-lag"),
    ("min-slaves-to-write", "min-replicas-to-write"),
    ("repl-ping-slave-period", "repl-ping-replica-period"),
    ("slave-priority", "replica-priority"),
    ("slave-read-only", "replica-read-only"),
    ("slave-serve-stale-data", "replica-serve-stale-data"),
];

fn parameter(name: &[u8]) -> Option<&'static Parameter> {
    let proper = ALIASES.iter().find(|(alias, _)| is(name, alias)).map(|(_, proper)| proper.as_bytes());
    PARAMETERS.iter().find(|parameter| is(proper.unwrap_or(name), parameter.name))
}

pub(crate) fn get(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let patterns: Vec<Vec<u8>> = call.args()[2..].iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
    let wanted = |name: &str| patterns.iter().any(|pattern| glob(pattern, name.as_bytes()));
    let mut found = Vec::new();
    for parameter in PARAMETERS {
        let aliases = ALIASES.iter().filter(|(_, proper)| *proper == parameter.name).map(|(alias, _)| *alias);
        for name in [parameter.name].into_iter().chain(aliases).filter(|name| wanted(name)) {
            found.push((Reply::word(name), Reply::bulk((parameter.get)(&node.config))));
        }
    }
    Ok(Reply::Map(found).into())
}

/// All or nothing: a value that is not taken leaves every parameter as it was.
pub(crate) fn set(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let pairs = &call.args()[2..];
    if !pairs.len().is_multiple_of(2) {
        return Err(crate::args::wrong_arity("config|set"));
    }
    let mut config = node.config.clone();
    for pair in pairs.chunks_exact(2) {
        let name = text(&pair[0]);
        let Some(parameter) = parameter(&pair[0]) else {
            return Err(format!("ERR Unknown option or number of arguments for CONFIG SET - '{name}'").into());
        };
        let failed = |why: &str| -> Failure {
            format!("ERR CONFIG SET failed (possibly related to argument '{name}') - {why}").into()
        };
        let Some(set) = parameter.set else {
            // Setting what it is already is not a change.
            if (parameter.get)(&config).as_bytes() == pair[1] {
                continue;
            }
            return Err(failed("can't set immutable config"));
        };
        set(&mut config, &text(&pair[1])).map_err(failed)?;
    }
    if config.auth != node.config.auth
        && let Some(user) = node.users.get_mut(&DEFAULT)
    {
        user.set_password(config.auth.as_ref().map_or("", |auth| auth.password.as_str()));
    }
    node.config = config;
    node.count_good_replicas(call.now);
    OK
}

/// There is no file to write to; as far as the others can tell it was written.
pub(crate) fn rewrite(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    OK
}

pub(crate) fn resetstat(node: &mut Node, _: &mut Call<'_>) -> Outcome {
    node.stats = Stats::default();
    OK
}
