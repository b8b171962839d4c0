//! The server as a whole: `INFO`, `COMMAND`, `DEBUG`, `SHUTDOWN`.

use std::time::Duration;

use bytes::Bytes;
use model::{Command, Reply, Time};

use super::{connection::describe, info as render};
use crate::args::{SYNTAX, float, glob, is, text, wrong_arity};
use crate::blocking::{Blocked, Wait};
use crate::dispatch::{Answer, Call, OK, Outcome};
use crate::keys;
use crate::node::Node;
use crate::table;

pub(crate) fn info(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Verbatim(render::render(node, call.now, &call.args()[1..])).into())
}

/// Commands proper, without subcommands.
fn commands() -> impl Iterator<Item = &'static table::Spec> {
    table::all().iter().filter(|spec| !spec.name.contains('|'))
}

fn named(name: &Bytes) -> Option<&'static table::Spec> {
    commands().find(|spec| is(name, spec.name))
}

pub(crate) fn command(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(commands().map(describe).collect()).into())
}

pub(crate) fn command_count(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int(commands().count() as i64).into())
}

pub(crate) fn command_info(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    let names = &call.args()[2..];
    if names.is_empty() {
        return Ok(Reply::Array(commands().map(describe).collect()).into());
    }
    Ok(Reply::Array(names.iter().map(|name| named(name).map_or(Reply::Null, describe)).collect()).into())
}

/// Names and arities; there are no texts to give.
pub(crate) fn command_docs(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    let names = &call.args()[2..];
    let wanted = commands().filter(|spec| names.is_empty() || names.iter().any(|name| is(name, spec.name)));
    Ok(Reply::Map(wanted.map(|spec| (Reply::word(spec.name), Reply::Map(Vec::new()))).collect()).into())
}

pub(crate) fn lastsave(node: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int((node.config.unix_millis(node.started) / 1_000) as i64).into())
}

/// The keys of the command that is given as arguments.
pub(crate) fn command_getkeys(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    let command = Command(call.args()[2..].to_vec());
    let spec = table::lookup(&command).map_err(|_| "ERR Invalid command specified")?;
    if !spec.takes(command.len()) {
        return Err("ERR Invalid number of arguments specified for command".into());
    }
    let found: Vec<Reply> = keys::of(spec, &command).map(|(key, _)| Reply::Bulk(key.clone())).collect();
    if found.is_empty() {
        return Err("ERR The command has no key arguments".into());
    }
    Ok(Reply::Array(found).into())
}

pub(crate) fn command_list(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = &call.args()[2..];
    let wanted: Box<dyn Fn(&table::Spec) -> bool> = match args {
        [] => Box::new(|spec| !spec.name.contains('|')),
        [filter, kind, name] if is(filter, "FILTERBY") && is(kind, "ACLCAT") => {
            let bit = table::cat::named(&text(name)).unwrap_or(0);
            Box::new(move |spec| spec.categories() & bit != 0)
        }
        [filter, kind, pattern] if is(filter, "FILTERBY") && is(kind, "PATTERN") => {
            let pattern = pattern.to_ascii_lowercase();
            Box::new(move |spec| glob(&pattern, spec.name.as_bytes()))
        }
        [filter, kind, _] if is(filter, "FILTERBY") && is(kind, "MODULE") => Box::new(|_| false),
        _ => return Err(SYNTAX),
    };
    Ok(Reply::Array(table::all().iter().filter(|spec| wanted(spec)).map(|spec| Reply::word(spec.name)).collect())
        .into())
}

fn nothing() -> Outcome {
    Ok(Reply::Array(Vec::new()).into())
}

/// Commands take no time here, so that none is slow.
pub(crate) fn slowlog_get(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    nothing()
}

pub(crate) fn slowlog_len(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int(0).into())
}

pub(crate) fn slowlog_reset(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    OK
}

pub(crate) fn latency_latest(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    nothing()
}

pub(crate) fn latency_history(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    nothing()
}

pub(crate) fn latency_reset(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int(0).into())
}

pub(crate) fn memory_purge(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    OK
}

pub(crate) fn memory_doctor(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    let text = "Hi Sam, this instance is empty or is using very little memory, my issues detector can't be used in these \
                conditions. Please, leave for your mission on Earth and fill it with some data. The new Sam and I will be \
                back to our programming as soon as I finished rebooting.\n";
    Ok(Reply::word(text).into())
}

/// There is no disk to save to; as far as the others can tell it was done.
pub(crate) fn save(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    OK
}

pub(crate) fn bgsave(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    match call.args() {
        [_] => {}
        [_, word] if is(word, "SCHEDULE") => {}
        _ => return Err(SYNTAX),
    }
    Ok(Reply::Simple("Background saving started".into()).into())
}

pub(crate) fn debug(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    if call.args().len() < 2 {
        return Err(wrong_arity("debug"));
    }
    if !node.config.debug_command {
        let text = "ERR DEBUG command not allowed. If the enable-debug-command option is set to \"local\", you can run \
                    it from a local connection, otherwise you need to set this option in the configuration file, and \
                    then restart the server.";
        return Err(text.into());
    }
    let args = call.args();
    if is(&args[1], "SLEEP") && args.len() == 3 {
        let seconds = float(&args[2]).unwrap_or(0.0).clamp(0.0, 1e9);
        node.sleep(call.now + Duration::from_secs_f64(seconds));
        return OK;
    }
    Err(format!("ERR unknown subcommand or wrong number of arguments for '{}'. Try DEBUG HELP.", text(&args[1])).into())
}

pub(crate) fn shutdown(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let (mut now, mut abort, mut other) = (false, false, false);
    for option in &call.command.0[1..] {
        match () {
            () if is(option, "NOW") => now = true,
            () if is(option, "ABORT") => abort = true,
            () if ["SAVE", "NOSAVE", "FORCE"].iter().any(|word| is(option, word)) => other = true,
            () => return Err(SYNTAX),
        }
    }
    if abort && (now || other) {
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
