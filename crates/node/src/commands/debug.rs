//! `DEBUG`, as far as tests of clients use it.

use std::time::Duration;

use model::Reply;

use crate::args::{float, is, text, wrong_arity, wrong_subcommand};
use crate::dispatch::{Call, OK, Outcome};
use crate::node::Node;

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
        node.sleep(call.now + Duration::from_secs_f64(seconds), None);
        return OK;
    }
    match args {
        [_, word] if is(word, "HELP") => return Ok(model::help("debug").into()),
        // Nothing is kept of a log.
        [_, word, _] if is(word, "LOG") => return OK,
        // Where it is in memory, and how long it would be in a file, is made up.
        [_, word, key] if is(word, "OBJECT") => {
            let db = node.clients.get(&call.conn).map_or(0, |client| client.db);
            let encoding = node.data.0[db].encoding(key).ok_or("ERR no such key")?;
            let ((lru, idle), _) = node.with_access(call.now, call.conn, db, false, |access| {
                (access.accessed(key).unwrap_or_default(), access.idle(key).unwrap_or_default())
            });
            let text = format!(
                "Value at:0x7f0000000000 refcount:1 encoding:{encoding} serializedlength:1 lru:{lru} lru_seconds_idle:{idle}"
            );
            return Ok(Reply::Simple(text.into()).into());
        }
        [_, word, error] if is(word, "ERROR") => {
            let error = text(error).replace(['\r', '\n'], " ");
            return Ok(Reply::error(error).into());
        }
        _ => {}
    }
    Err(wrong_subcommand("DEBUG", &args[1]))
}
