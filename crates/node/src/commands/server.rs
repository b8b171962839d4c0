//! The server as a whole: `INFO`, `COMMAND`, `DEBUG`, `SHUTDOWN`.

use std::time::Duration;

use bytes::Bytes;
use model::{Reply, Time};

use super::{connection::describe, info as render};
use crate::args::{SYNTAX, float, is, text, wrong_arity};
use crate::blocking::{Blocked, Wait};
use crate::dispatch::{Answer, Call, OK, Outcome};
use crate::node::Node;
use crate::table;

pub(crate) fn info(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Text(render::render(node, call.now, &call.args()[1..])).into())
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
    Ok(Reply::Array(names.iter().map(|name| named(name).map_or(Reply::NullArray, describe)).collect()).into())
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

/// There are no scripts, so there is none to kill: what a Sentinel hears of a slow node.
pub(crate) fn script_kill(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    Err("NOTBUSY No scripts in execution right now.".into())
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
