//! `EVAL` and its kin, and `SCRIPT`. What a script changes travels to replicas as the commands that changed it.

use bytes::Bytes;
use model::{Command, Reply};

use crate::access::Failure;
use crate::acl::Denied;
use crate::args::{int, is, text, yes_no};
use crate::busy::{Caller, Permit};
use crate::dispatch::{Answer, Call, OK, OUT_OF_MEMORY, Outcome};
use crate::node::Node;
use crate::script::{self, Program};
use crate::table::{self, Spec, flag};

/// What a script says about itself in its first line, `#!lua flags=no-writes`.
#[derive(Clone, Copy, Default)]
struct Declared {
    /// It has such a line.
    present: bool,
    no_writes: bool,
    allow_oom: bool,
    allow_stale: bool,
}

/// The declaration, and the script without it.
fn declared(script: &[u8]) -> Result<(Declared, &[u8]), Failure> {
    if !script.starts_with(b"#!") {
        return Ok((Declared::default(), script));
    }
    let end = script.iter().position(|byte| *byte == b'\n').ok_or("ERR Invalid script shebang")?;
    let line = text(&script[2..end]);
    let mut words = line.split_ascii_whitespace();
    let engine = words.next().unwrap_or_default();
    if engine != "lua" {
        return Err(format!("ERR Unexpected engine in script shebang: #!{engine}").into());
    }
    let mut found = Declared { present: true, ..Declared::default() };
    for word in words {
        let flags = word.strip_prefix("flags=").ok_or_else(|| format!("ERR Unknown lua shebang option: {word}"))?;
        for name in flags.split(',').filter(|name| !name.is_empty()) {
            match name {
                "no-writes" => found.no_writes = true,
                "allow-oom" => found.allow_oom = true,
                "allow-stale" => found.allow_stale = true,
                "no-cluster" | "allow-cross-slot-keys" => {}
                _ => return Err(format!("ERR Unexpected flag in script shebang: {name}").into()),
            }
        }
    }
    Ok((found, &script[end..]))
}

/// The flags of a command. What a script declares about itself stands in place of what scripts may do in general.
pub(crate) fn flags(node: &Node, spec: &Spec, command: &Command) -> u32 {
    let script = match spec.name {
        "eval" | "eval_ro" => command.0.get(1),
        "evalsha" | "evalsha_ro" => node.scripts.get(&text(&command.0[1]).to_ascii_lowercase()),
        _ => None,
    };
    let Some(Declared { present: true, no_writes, allow_oom, allow_stale }) =
        script.and_then(|script| Some(declared(script).ok()?.0))
    else {
        return spec.flags;
    };
    let mut flags = spec.flags & !(flag::STALE | flag::DENY_OOM | flag::WRITE | flag::MAY_REPLICATE);
    for (set, flag) in
        [(!no_writes, flag::WRITE), (!no_writes && !allow_oom, flag::DENY_OOM), (allow_stale, flag::STALE)]
    {
        if set {
            flags |= flag;
        }
    }
    flags
}

/// The keys of a call, and the other arguments.
fn keys_and_args(args: &[Bytes]) -> Result<(&[Bytes], &[Bytes]), Failure> {
    let keys = int(&args[2])?;
    if keys > args.len() as i64 - 3 {
        return Err("ERR Number of keys can't be greater than number of args".into());
    }
    let keys = usize::try_from(keys).map_err(|_| "ERR Number of keys can't be negative")?;
    Ok(args[3..].split_at(keys))
}

fn run(node: &mut Node, call: &mut Call<'_>, script: &Bytes, sha: &str, read_only: bool) -> Outcome {
    let (keys, argv) = keys_and_args(&call.command.0)?;
    let (declared, body) = declared(script)?;
    if !declared.allow_stale && !node.is_master() && !node.link_up() && !node.config.serve_stale_data {
        return Err("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.".into());
    }
    if declared.present && !declared.no_writes && read_only {
        return Err("ERR Can not execute a script with write flag using *_ro command.".into());
    }
    if declared.present && !declared.no_writes && node.is_read_only() {
        return Err("READONLY You can't write against a read only replica.".into());
    }
    if declared.present && !declared.no_writes && !declared.allow_oom && node.is_out_of_memory() {
        return Err(OUT_OF_MEMORY);
    }
    let program = Program {
        script: script.slice_ref(body),
        sha: sha.to_owned(),
        keys: keys.to_vec(),
        argv: argv.to_vec(),
        random: node.random,
    };
    let permit = Permit { read_only: read_only || declared.no_writes, allow_oom: declared.allow_oom };
    node.run_script(call, program, permit)
}

impl Node {
    /// Runs one command for a script. Its error is counted here, and not again if the script ends with it.
    pub(crate) fn call_from_script(&mut self, call: &mut Call<'_>, caller: &mut Caller) -> Reply {
        let spec = match self.admitted(call, caller) {
            Ok(spec) => spec,
            Err(error) => {
                self.stats.error(&error);
                match table::lookup(call.command) {
                    Ok(spec) => self.stats.rejected(spec.name),
                    Err(_) => self.stats.begins(),
                }
                return Reply::Error(error);
            }
        };
        let outcome = self.run(spec, call).0;
        if !spec.has(flag::SKIP_MONITOR | flag::ADMIN) {
            self.tell_monitors(call.now, call.conn, call.command, true, call.out);
        }
        match outcome {
            Ok(Answer::Reply(reply) | Answer::Sent(reply)) => reply,
            Ok(Answer::Silent | Answer::Blocked) => Reply::Null,
            Err(error) => Reply::Error(error),
        }
    }

    /// What a script may call; the error if it must not.
    fn admitted(&self, call: &Call<'_>, caller: &mut Caller) -> Result<&'static Spec, Failure> {
        let Permit { read_only, allow_oom } = caller.permit;
        let command = call.command;
        let spec = table::lookup(command).map_err(|_| "ERR Unknown Redis command called from script")?;
        if !spec.takes(command.len()) {
            return Err("ERR Wrong number of args calling Redis command from script".into());
        }
        if spec.has(flag::NO_SCRIPT) {
            return Err("ERR This Redis command is not allowed from script".into());
        }
        match self.clients.get(&call.conn).and_then(|client| self.denied(client, spec, command)) {
            None => {}
            Some(Denied::Command) => {
                return Err("ERR The user executing the script can't run this command or subcommand".into());
            }
            Some(Denied::Key) => {
                let text = "ERR The user executing the script can't access at least one of the keys mentioned in the \
                            command arguments";
                return Err(text.into());
            }
            Some(Denied::Channel) => {
                return Err(
                    "ERR The user executing the script can't publish to the channel mentioned in the command".into()
                );
            }
        }
        if spec.has(flag::WRITE) {
            if read_only {
                return Err("ERR Write commands are not allowed from read-only scripts.".into());
            }
            if self.is_read_only() {
                return Err("READONLY You can't write against a read only replica.".into());
            }
            if self.lacks_good_replicas() {
                return Err("NOREPLICAS Not enough good replicas to write.".into());
            }
            caller.wrote = true;
        }
        if !self.is_master() && !self.link_up() && !self.config.serve_stale_data && !spec.has(flag::STALE) {
            return Err("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.".into());
        }
        if spec.has(flag::DENY_OOM) && !allow_oom && self.is_out_of_memory() {
            return Err(OUT_OF_MEMORY);
        }
        Ok(spec)
    }

    /// Keeps a script; its digest.
    fn load_script(&mut self, script: &Bytes) -> Result<String, Failure> {
        let sha = script::digest(script);
        if !self.scripts.contains_key(&sha) {
            let (_, body) = declared(script)?;
            script::check(body).map_err(|why| format!("ERR Error compiling script (new function): {why}"))?;
            self.scripts.insert(sha.clone(), crate::keyspace::own(script));
        }
        Ok(sha)
    }
}

fn eval_text(node: &mut Node, call: &mut Call<'_>, read_only: bool) -> Outcome {
    // Before what the script does, and not after it as every other command.
    node.tell_monitors(call.now, call.conn, call.command, false, call.out);
    keys_and_args(&call.command.0)?;
    let script = call.command.0[1].clone();
    let sha = node.load_script(&script)?;
    run(node, call, &script, &sha, read_only)
}

pub(crate) fn eval(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    eval_text(node, call, false)
}

pub(crate) fn eval_ro(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    eval_text(node, call, true)
}

fn eval_known(node: &mut Node, call: &mut Call<'_>, read_only: bool) -> Outcome {
    // Before what the script does, and not after it as every other command.
    node.tell_monitors(call.now, call.conn, call.command, false, call.out);
    let sha = text(&call.command.0[1]).to_ascii_lowercase();
    let Some(script) = node.scripts.get(&sha).cloned() else {
        // What cannot be a digest is not even looked for.
        if sha.len() == 40 {
            keys_and_args(&call.command.0)?;
        }
        return Err("NOSCRIPT No matching script. Please use EVAL.".into());
    };
    run(node, call, &script, &sha, read_only)
}

pub(crate) fn evalsha(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    eval_known(node, call, false)
}

pub(crate) fn evalsha_ro(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    eval_known(node, call, true)
}

pub(crate) fn load(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    Ok(Reply::bulk(node.load_script(&call.command.0[2])?).into())
}

pub(crate) fn exists(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let known = |sha: &Bytes| yes_no(node.scripts.contains_key(&text(sha).to_ascii_lowercase()));
    Ok(Reply::Array(call.args()[2..].iter().map(known).collect()).into())
}

pub(crate) fn flush(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    match call.args() {
        [_, _] => {}
        [_, _, mode] if is(mode, "SYNC") || is(mode, "ASYNC") => {}
        _ => return Err("ERR SCRIPT FLUSH only support SYNC|ASYNC option".into()),
    }
    node.scripts.clear();
    OK
}

pub(crate) fn kill(node: &mut Node, _: &mut Call<'_>) -> Outcome {
    let script = node.script_under_way().ok_or("NOTBUSY No scripts in execution right now.")?;
    if script.caller.wrote {
        let text = "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait \
                    the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.";
        return Err(text.into());
    }
    script.killed = true;
    OK
}
