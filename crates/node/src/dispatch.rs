//! How a command of a client is checked, queued, run, propagated and reported: Redis's `processCommand` and `call`.

use std::borrow::Cow;

use bytes::Bytes;
use model::machine::{Executed, Note};
use model::{Command, Conn, Frame, Output, Reply, Time};

use crate::access::{Access, DataResult, Effects, Expiry, Failure};
use crate::acl::{Denied, User};
use crate::args::wrong_arity;
use crate::blocking::Blocked;
use crate::busy::BUSY;
use crate::client::{Client, NO_COMMAND, Transaction};
use crate::commands::acl::refusal;
use crate::commands::scripting;
use crate::keys;
use crate::node::Node;
use crate::table::{self, Run, Spec, flag};

/// What a server command gives besides an error.
#[derive(Debug)]
pub(crate) enum Answer {
    Reply(Reply),
    /// It was sent already, part by part.
    Sent(Reply),
    /// Nothing is sent.
    Silent,
    /// The reply comes later; see [`crate::blocking`].
    Blocked,
}

pub(crate) type Outcome = Result<Answer, Failure>;

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

pub(crate) const OUT_OF_MEMORY: Failure = Cow::Borrowed("OOM command not allowed when used memory > 'maxmemory'.");

pub(crate) const OK: Outcome = Ok(Answer::Reply(Reply::OK));

/// What a command is part of. Only one on its own may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Within<'a> {
    Nothing,
    Transaction,
    /// One that this command has called.
    Script(&'a Command),
}

/// One run of a command for a client.
pub(crate) struct Call<'a> {
    pub(crate) now: Time,
    pub(crate) conn: Conn,
    pub(crate) command: &'a Command,
    pub(crate) within: Within<'a>,
    pub(crate) out: &'a mut Vec<Output>,
}

impl Call<'_> {
    /// The words of the command, its name first.
    pub(crate) fn args(&self) -> &[Bytes] {
        &self.command.0
    }
}

impl Node {
    /// Takes one command of a client that is not blocked.
    pub(crate) fn process(&mut self, now: Time, conn: Conn, command: Command, out: &mut Vec<Output>) {
        if command.is_empty() {
            return;
        }
        // HTTP: a browser that was tricked into it.
        if command.is("POST") || command.is("HOST:") {
            out.push(Output::Discard(conn));
            return self.close(now, conn, out);
        }
        let known = table::lookup(&command);
        let Some(client) = self.clients.get_mut(&conn) else { return };
        client.active_at = now;
        client.last_command = known.as_ref().map_or(NO_COMMAND, |spec| spec.name);
        let spec = match known {
            Ok(spec) => spec,
            Err(error) => return self.reject(conn, None, command, error, out),
        };
        if !spec.takes(command.len()) {
            return self.reject(conn, Some(spec), command, wrong_arity(spec.name), out);
        }
        let own_flags = scripting::flags(self, spec, &command);
        let client = &self.clients[&conn];
        let flags = match &client.transaction {
            Some(transaction) if spec.is("exec") => own_flags | transaction.flags,
            _ => own_flags,
        };
        let stale_ok = match &client.transaction {
            Some(transaction) if spec.is("exec") => transaction.queue.iter().all(|(spec, _)| spec.has(flag::STALE)),
            _ => own_flags & flag::STALE != 0,
        };
        let loading_ok = match &client.transaction {
            Some(transaction) if spec.is("exec") => transaction.queue.iter().all(|(spec, _)| spec.has(flag::LOADING)),
            _ => spec.has(flag::LOADING),
        };
        if let Some(error) = self.refusal(now, (conn, client), (spec, &command), flags, stale_ok, loading_ok) {
            return self.reject(conn, Some(spec), command, error, out);
        }
        if self.is_paused(now, flags) && !self.clients[&conn].kind().is_replica() {
            self.block(conn, Blocked::postponed(command));
            return;
        }
        let Some(client) = self.clients.get_mut(&conn) else { return };
        if let Some(transaction) = &mut client.transaction
            && !spec.has(flag::NOT_QUEUED)
        {
            transaction.flags |= own_flags & flag::QUEUED_MATTERS;
            transaction.queue.push((spec, command));
            self.send(conn, Reply::QUEUED, out);
            self.end_command(conn);
            return;
        }
        self.call(now, conn, spec, command, out);
    }

    /// Why this command must not run now, in Redis's order of checks.
    fn refusal(
        &self,
        now: Time,
        (conn, client): (Conn, &Client),
        (spec, command): (&Spec, &Command),
        flags: u32,
        stale: bool,
        loading: bool,
    ) -> Option<Failure> {
        let write = flags & flag::WRITE != 0;
        if !client.authenticated && !self.is_open() && !spec.has(flag::NO_AUTH) {
            return Some("NOAUTH Authentication required.".into());
        }
        if let Some(denied) = self.denied(client, spec, command) {
            return Some(refusal(denied, spec.name));
        }
        if client.transaction.is_some() && spec.has(flag::NO_MULTI) {
            return Some("ERR Command not allowed inside a transaction".into());
        }
        // Of a transaction everything is refused, as what is queued takes memory too.
        let queued = client.transaction.is_some() && !matches!(spec.name, "exec" | "discard" | "quit" | "reset");
        if (queued || flags & flag::DENY_OOM != 0) && self.is_out_of_memory() {
            return Some(OUT_OF_MEMORY);
        }
        if write && self.lacks_good_replicas() {
            return Some("NOREPLICAS Not enough good replicas to write.".into());
        }
        if write && self.is_read_only() {
            return Some("READONLY You can't write against a read only replica.".into());
        }
        if client.resp == 2 && client.subscriptions() > 0 && !spec.has(flag::SUBSCRIBED) {
            let text = "only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context";
            return Some(format!("ERR Can't execute '{}': {text}", spec.name).into());
        }
        if !self.is_master() && !self.link_up() && !self.config.serve_stale_data && !stale {
            return Some("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.".into());
        }
        if self.loading_until.is_some_and(|until| now < until) && !loading {
            return Some("LOADING Redis is loading the dataset in memory".into());
        }
        if self.is_busy() && !spec.has(flag::ALLOW_BUSY) {
            return Some(BUSY);
        }
        let touches = flags & (flag::WRITE | flag::READONLY | flag::MAY_REPLICATE) != 0;
        if touches && (client.replica.is_some() || self.monitors.contains(&conn)) {
            return Some("ERR Replica can't interact with the keyspace".into());
        }
        None
    }

    /// Why the user of a connection may not run a command, if so.
    pub(crate) fn denied(&self, client: &Client, spec: &Spec, command: &Command) -> Option<Denied> {
        if client.unrestricted {
            return None;
        }
        self.users.get(&client.user)?.denies(spec, command)
    }

    fn reads_everything(&self, client: &Client) -> bool {
        client.unrestricted || self.users.get(&client.user).is_some_and(User::reads_everything)
    }

    /// Answers a command that is not run. A rejected command spoils the transaction that it was to be part of.
    fn reject(
        &mut self,
        conn: Conn,
        spec: Option<&'static Spec>,
        command: Command,
        error: Failure,
        out: &mut Vec<Output>,
    ) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        let mut error = error;
        if let Some(transaction) = &mut client.transaction {
            transaction.failed = true;
        }
        if spec.is_some_and(|spec| spec.is("exec")) {
            client.transaction = None;
            self.unwatch(conn);
            let reason = error.strip_prefix("ERR ").unwrap_or(&error);
            error = format!("EXECABORT Transaction discarded because of: {reason}").into();
        }
        self.stats.error(&error);
        if let Some(spec) = spec {
            self.stats.rejected(spec.name);
        }
        self.end_caching(conn, spec);
        let reply = Reply::Error(error);
        note(conn, Executed::Refused(reply.clone()), command, None, out);
        self.send(conn, reply, out);
        self.end_command(conn);
    }

    /// Runs a command that passed the checks.
    fn call(&mut self, now: Time, conn: Conn, spec: &'static Spec, command: Command, out: &mut Vec<Output>) {
        let mut call = Call { now, conn, command: &command, within: Within::Nothing, out };
        let done = self.run(spec, &mut call);
        self.conclude(now, conn, (spec, command), done, out);
    }

    /// Lets everybody know what a command did, if it is over.
    pub(crate) fn conclude(
        &mut self,
        now: Time,
        conn: Conn,
        (spec, command): (&'static Spec, Command),
        (outcome, changed): (Outcome, bool),
        out: &mut Vec<Output>,
    ) {
        let blocked = matches!(outcome, Ok(Answer::Blocked));
        let changed = changed && !blocked;
        self.propagate(out);
        let position = changed.then(|| self.position());
        if let Some(client) = self.clients.get_mut(&conn) {
            client.offset = self.repl.offset;
        }
        let told = (!self.monitors.is_empty()).then(|| command.clone());
        self.answer(conn, outcome, command, position, out);
        if let Some(command) = told {
            self.tell_monitors_of(now, conn, spec, &command, out);
        }
        self.end_caching(conn, Some(spec));
        if !self.invalid.is_empty() {
            self.send_invalidations(Some(conn), out);
        }
        if !blocked {
            self.end_command(conn);
        }
    }

    /// `CLIENT REPLY SKIP` is for one command.
    pub(crate) fn end_command(&mut self, conn: Conn) {
        if let Some(client) = self.clients.get_mut(&conn) {
            client.replies = client.replies.next();
        }
    }

    fn answer(
        &mut self,
        conn: Conn,
        outcome: Outcome,
        command: Command,
        position: Option<model::history::Position>,
        out: &mut Vec<Output>,
    ) {
        let sent = matches!(outcome, Ok(Answer::Sent(_)));
        let Some(reply) = reply_of(outcome) else { return };
        note(conn, executed(&reply), command, position, out);
        if !sent {
            self.send(conn, reply, out);
        }
    }

    /// `CLIENT CACHING` is for one command that is not `CLIENT`, or one transaction.
    fn end_caching(&mut self, conn: Conn, spec: Option<&Spec>) {
        if self.tracking == 0 || spec.is_some_and(|spec| spec.name.starts_with("client|")) {
            return;
        }
        let Some(Client { tracking: Some(tracking), transaction: None, .. }) = self.clients.get_mut(&conn) else {
            return;
        };
        tracking.caching = false;
    }

    /// Runs the handler, counts it and tells what it did to keys. The flag says whether the data set was changed.
    pub(crate) fn run(&mut self, spec: &'static Spec, call: &mut Call<'_>) -> (Outcome, bool) {
        self.stats.begins();
        let result = self.run_handler(spec, call);
        self.tell_events(call.out);
        if let Err(error) = &result.0 {
            self.stats.error(error);
        }
        self.stats.called(spec.name);
        result
    }

    fn run_handler(&mut self, spec: &'static Spec, call: &mut Call<'_>) -> (Outcome, bool) {
        let client = self.clients.get(&call.conn);
        let (db, resp3) = client.map_or((0, false), |client| (client.db, client.resp == 3));
        let all_keys = client.is_none_or(|client| self.reads_everything(client));
        // What a script says that it reads is tracked with each of its reads, and not what it reads.
        if spec.has(flag::READONLY)
            && !matches!(spec.name, "eval_ro" | "evalsha_ro")
            && client.is_some_and(|client| client.tracking.is_some())
        {
            let keys = match call.within {
                Within::Script(caller) => {
                    table::lookup(caller).map_or_else(|_| Vec::new(), |spec| keys::of(spec, caller))
                }
                Within::Nothing | Within::Transaction => keys::of(spec, call.command),
            };
            self.remember_reads(call.conn, keys.into_iter().map(|(key, _)| key));
        }
        match spec.run {
            Run::Data(handler) => {
                let counts = spec.has(flag::READONLY);
                let (result, changed) = self.run_data(call.now, (db, resp3), (counts, all_keys), handler, call.command);
                (result.map(Answer::Reply), changed)
            }
            Run::Server(handler) => {
                let before = self.dirty;
                let outcome = handler(self, call);
                // Those of a transaction were told one by one.
                (outcome, self.dirty > before && !spec.is("exec"))
            }
        }
    }

    /// Runs a data command in database `db` for a client, which may speak version 3 of the protocol. `counts` says whether
    /// its lookups are hits and misses, `all_keys` whether its user may read every key.
    fn run_data(
        &mut self,
        now: Time,
        (db, resp3): (usize, bool),
        (counts, all_keys): (bool, bool),
        handler: fn(&mut Access<'_>, &[Bytes]) -> DataResult,
        command: &Command,
    ) -> (DataResult, bool) {
        let expiry = if self.is_master() { Expiry::Delete } else { Expiry::Hide };
        let (unix, notify) = (self.config.unix_millis(now), self.notifies());
        let mut access = Access::new((&mut self.data, &mut self.numbers), &self.config, db, unix, expiry);
        access.resp3 = resp3;
        access.counts = counts;
        access.all_keys = all_keys;
        access.notify = notify;
        let result = handler(&mut access, &command.0);
        let effects = access.effects;
        let changed = self.absorb(db, effects, Some(command));
        (result, changed)
    }

    /// Acts on what a data command left behind; `true` if it changed the data set. `command` is what to propagate
    /// unless the effects name something else.
    pub(crate) fn absorb(&mut self, db: usize, effects: Effects, command: Option<&Command>) -> bool {
        self.stats.hits += effects.hits;
        self.stats.misses += effects.misses;
        self.stats.freed_lazily += effects.freed_lazily;
        self.stats.expired += effects.expired.len() as u64;
        self.events.extend(effects.events);
        for key in &effects.expired {
            self.changes.push((db, Command::of(&["DEL"]).arg(key.clone())));
        }
        if !self.watchers.is_empty() {
            for key in &effects.touched {
                self.touch(key);
            }
        }
        if !self.blocked.is_empty() {
            self.ready.extend(effects.ready);
            // Who reads for a group is told when that is gone.
            let gone = effects.touched.iter().filter(|(db, key)| self.is_read_for_group(*db, key));
            let gone: Vec<_> = gone.cloned().collect();
            self.ready.extend(gone);
        }
        if self.tracking > 0 {
            if effects.flushed {
                self.invalidate_everything();
            } else {
                let mut expired = effects.expired.iter().peekable();
                for (_, key) in &effects.touched {
                    let by_time = expired.next_if_eq(&key).is_some();
                    self.invalidate(key, by_time);
                }
            }
        }
        if effects.dirty == 0 {
            return false;
        }
        self.dirty += effects.dirty;
        if !self.is_fed() {
            return true;
        }
        match effects.instead {
            Some(commands) => self.changes.extend(commands.into_iter().map(|command| (db, command))),
            None => self.changes.extend(command.cloned().map(|command| (db, command))),
        }
        true
    }

    /// `EXEC` of the transaction: runs what was queued, all of it propagated as one. Each command is answered as it ends, so that
    /// what it does to the connection, and what the client is told meanwhile, stands between the elements of the reply.
    pub(crate) fn run_transaction(&mut self, call: &mut Call<'_>, transaction: Transaction) -> Reply {
        let mut replies = Vec::with_capacity(transaction.queue.len());
        let mut notes = Vec::with_capacity(transaction.queue.len());
        let start = call.out.len();
        self.send(call.conn, Reply::ArrayOf(transaction.queue.len()), call.out);
        for (spec, command) in transaction.queue {
            let mut inner = Call {
                now: call.now,
                conn: call.conn,
                command: &command,
                within: Within::Transaction,
                out: &mut *call.out,
            };
            let (outcome, changed) = self.run(spec, &mut inner);
            let reply = reply_of(outcome);
            if let Some(reply) = &reply {
                self.send(call.conn, reply.clone(), call.out);
            }
            let reply = reply.unwrap_or(Reply::Null);
            self.tell_monitors_of(call.now, call.conn, spec, &command, call.out);
            notes.push((executed(&reply), command, changed));
            replies.push(reply);
        }
        gather(call.conn, start, call.out);
        self.propagate(call.out);
        let changed = notes.iter().any(|(.., changed)| *changed);
        let position = changed.then(|| self.position());
        for (executed, command, changed) in notes {
            note(call.conn, executed, command, position.clone().filter(|_| changed), call.out);
        }
        Reply::Array(replies)
    }
}

/// Makes one reply of an array and its elements, which were said to `conn` from `start` on, unless there is something between
/// them: in the network they are one message.
fn gather(conn: Conn, start: usize, out: &mut Vec<Output>) {
    let own = |output: &&Output| match output {
        Output::Send(to, _) | Output::Protocol(to, _) => *to == conn,
        _ => false,
    };
    let element =
        |output: &Output| matches!(output, Output::Send(_, Frame::Reply(reply)) if !matches!(reply, Reply::Push(_)));
    let mut said = out[start..].iter().filter(own);
    let Some(Output::Send(_, Frame::Reply(Reply::ArrayOf(len)))) = said.next() else { return };
    if said.clone().count() != *len || !said.all(element) {
        return;
    }
    let mut items = Vec::with_capacity(*len);
    for output in out.split_off(start) {
        match output {
            Output::Send(to, Frame::Reply(Reply::ArrayOf(_))) if to == conn => {}
            Output::Send(to, Frame::Reply(reply)) if to == conn => items.push(reply),
            other => out.push(other),
        }
    }
    out.push(Output::Send(conn, Frame::Reply(Reply::Array(items))));
}

/// What a command came to. `None` if it has no reply, or none yet.
fn reply_of(outcome: Outcome) -> Option<Reply> {
    match outcome {
        Ok(Answer::Reply(reply) | Answer::Sent(reply)) => Some(reply),
        Ok(Answer::Silent | Answer::Blocked) => None,
        Err(error) => Some(Reply::Error(error)),
    }
}

fn executed(reply: &Reply) -> Executed {
    match reply {
        Reply::Error(_) => Executed::Refused(reply.clone()),
        reply => Executed::Ran(reply.clone()),
    }
}

/// Tells the history how a command of a client ended.
pub(crate) fn note(
    conn: Conn,
    outcome: Executed,
    command: Command,
    position: Option<model::history::Position>,
    out: &mut Vec<Output>,
) {
    out.push(Output::Note(Note::Executed { conn, outcome, command, position }));
}
