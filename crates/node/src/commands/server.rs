//! The server as a whole: `INFO`, `MEMORY`, `SLOWLOG`, `SHUTDOWN`.

use model::{Reply, Time};

use super::info;
use crate::args::{SYNTAX, is, parse_int, wrong_arity, wrong_subcommand};
use crate::blocking::{Blocked, Wait};
use crate::busy::BUSY;
use crate::dispatch::{Answer, Call, OK, Outcome};
use crate::keyspace::Db;
use crate::node::Node;

pub(crate) fn info(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Verbatim(info::render(node, call.now, &call.args()[1..])).into())
}

pub(crate) fn lastsave(node: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int((node.config.unix_millis(node.started) / 1_000) as i64).into())
}

/// Commands take no time here, so that none is slow.
pub(crate) fn slowlog_get(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.args();
    if args.len() > 3 {
        return Err(wrong_subcommand("SLOWLOG", &args[1]));
    }
    match args.get(2).map(|count| parse_int(count)) {
        None | Some(Some(-1..)) => Ok(Reply::Array(Vec::new()).into()),
        Some(_) => Err("ERR count should be greater than or equal to -1".into()),
    }
}

pub(crate) fn slowlog_len(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int(0).into())
}

pub(crate) fn slowlog_reset(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    OK
}

pub(crate) fn memory_purge(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    OK
}

pub(crate) fn memory_doctor(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    let text = "Hi Sam, this instance is empty or is using very little memory, my issues detector can't be used in these \
                conditions. Please, leave for your mission on Earth and fill it with some data. The new Sam and I will be \
                back to our programming as soon as I finished rebooting.\n";
    Ok(Reply::Verbatim(text.into()).into())
}

/// Every field of Redis, of what little there is.
pub(crate) fn memory_stats(node: &mut Node, _: &mut Call<'_>) -> Outcome {
    const FIELDS: [&str; 27] = [
        "peak.allocated",
        "total.allocated",
        "startup.allocated",
        "replication.backlog",
        "clients.slaves",
        "clients.normal",
        "cluster.links",
        "aof.buffer",
        "lua.caches",
        "functions.caches",
        "overhead.total",
        "keys.count",
        "keys.bytes-per-key",
        "dataset.bytes",
        "dataset.percentage",
        "peak.percentage",
        "allocator.allocated",
        "allocator.active",
        "allocator.resident",
        "allocator-fragmentation.ratio",
        "allocator-fragmentation.bytes",
        "allocator-rss.ratio",
        "allocator-rss.bytes",
        "rss-overhead.ratio",
        "rss-overhead.bytes",
        "fragmentation",
        "fragmentation.bytes",
    ];
    let keys: usize = node.data.0.iter().map(Db::len).sum();
    let (total, overhead, data) = info::memory_used(node);
    let mut fields: Vec<(Reply, Reply)> = Vec::with_capacity(FIELDS.len() + node.data.0.len());
    for name in FIELDS {
        let value = match name {
            "aof.buffer" | "cluster.links" | "lua.caches" | "replication.backlog" => 0,
            "keys.count" => keys as u64,
            "keys.bytes-per-key" => data.checked_div(keys as u64).unwrap_or(0),
            "dataset.bytes" => data,
            "overhead.total" | "startup.allocated" => overhead,
            "functions.caches" => 200,
            _ => total,
        };
        let value = match name {
            "dataset.percentage" => Reply::Double(100.0 * data as f64 / total as f64),
            "peak.percentage" => Reply::Double(100.0),
            "fragmentation" | "allocator-fragmentation.ratio" | "allocator-rss.ratio" | "rss-overhead.ratio" => {
                Reply::Double(1.0)
            }
            "allocator-fragmentation.bytes" | "allocator-rss.bytes" | "rss-overhead.bytes" | "fragmentation.bytes" => {
                Reply::Int(0)
            }
            _ => Reply::Int(value as i64),
        };
        if name == "overhead.total" {
            for (index, db) in node.data.0.iter().enumerate().filter(|(_, db)| db.len() > 0) {
                let tables =
                    ["overhead.hashtable.main", "overhead.hashtable.expires", "overhead.hashtable.slot-to-keys"];
                let sizes = [72 * db.len(), 32 * db.expiring(), 0];
                let sizes =
                    tables.into_iter().zip(sizes).map(|(name, size)| (Reply::word(name), Reply::Int(size as i64)));
                fields.push((Reply::bulk(format!("db.{index}")), Reply::Map(sizes.collect())));
            }
        }
        fields.push((Reply::word(name), value));
    }
    Ok(Reply::Map(fields).into())
}

/// There is none.
pub(crate) fn module_list(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(Vec::new()).into())
}

/// `CLUSTER` and what goes with it.
pub(crate) fn no_cluster(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    if call.args().len() == 1 && is(&call.args()[0], "cluster") {
        return Err(wrong_arity("cluster"));
    }
    Err("ERR This instance has cluster support disabled".into())
}

/// There is no disk to save to; as far as the others can tell it was done.
pub(crate) fn save(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    OK
}

pub(crate) fn bgrewriteaof(node: &mut Node, _: &mut Call<'_>) -> Outcome {
    node.stats.aof_rewrites += 1;
    Ok(Reply::Simple("Background append only file rewriting started".into()).into())
}

/// `MODULE LOAD` and its kin, without `enable-module-command`.
pub(crate) fn module_refused(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    let text = "ERR MODULE command not allowed. If the enable-module-command option is set to \"local\", you can run it \
                from a local connection, otherwise you need to set this option in the configuration file, and then restart \
                the server.";
    Err(text.into())
}

pub(crate) fn bgsave(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    match call.args() {
        [_] => {}
        [_, word] if is(word, "SCHEDULE") => {}
        _ => return Err(SYNTAX),
    }
    Ok(Reply::Simple("Background saving started".into()).into())
}

pub(crate) fn shutdown(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let (mut now, mut abort, mut force) = (false, false, false);
    let mut save = None;
    for option in &call.command.0[1..] {
        match () {
            () if is(option, "NOW") => now = true,
            () if is(option, "ABORT") => abort = true,
            () if is(option, "FORCE") => force = true,
            () if is(option, "SAVE") && save != Some(false) => save = Some(true),
            () if is(option, "NOSAVE") && save != Some(true) => save = Some(false),
            () => return Err(SYNTAX),
        }
    }
    if abort && (now || force || save.is_some()) {
        return Err(SYNTAX);
    }
    if abort {
        if node.shutdown_by.take().is_none() {
            return Err("ERR No shutdown in progress.".into());
        }
        let waiting = node.blocked.iter().find(|(_, blocked)| matches!(blocked.wait, Wait::Shutdown));
        if let Some(conn) = waiting.map(|(conn, _)| *conn) {
            let text = "ERR Errors trying to SHUTDOWN. Check logs.";
            node.unblock(conn, Some(Reply::error(text)), false, call.out);
        }
        node.resume(call.out);
        return OK;
    }
    if node.is_busy() && save != Some(false) {
        return Err(BUSY);
    }
    if now || node.replicas_are_level() || node.config.shutdown_timeout.is_zero() {
        node.exit(call.out);
        return Ok(Answer::Silent);
    }
    node.shutdown_by = Some(call.now + node.config.shutdown_timeout);
    node.pause_until(Time::NEVER, false);
    let blocked = Blocked::until_after(Wait::Shutdown, call.command.clone(), call.now, 0);
    node.block(call.conn, blocked);
    Ok(Answer::Blocked)
}
