//! Connections that wait: for an item of a list, for acknowledgements of replicas, for the end of a pause.

use std::collections::VecDeque;

use bytes::Bytes;
use model::{Command, Conn, Frame, Output, Reply, Time};

use crate::access::{Access, Expiry, Failure};
use crate::commands::lists::Pop;
use crate::dispatch::{Answer, Call, Outcome, Within, note};
use crate::node::{Node, Pause};
use crate::table::{self, flag};

/// A connection that waits.
#[derive(Clone, Debug)]
pub(crate) struct Blocked {
    pub(crate) wait: Wait,
    /// The command, which is answered when the wait ends.
    command: Command,
    pub(crate) until: Time,
    /// The order in which they came.
    number: u64,
}

/// What a connection waits for.
#[derive(Clone, Debug)]
pub(crate) enum Wait {
    /// `BLPOP` and its kin, in this database.
    Pop { db: usize, pop: Pop },
    /// `WAIT`: this many replicas at this offset.
    Replicas { count: i64, offset: u64 },
    /// The end of a pause; then the command runs.
    Pause,
    /// `SHUTDOWN`
    Shutdown,
}

impl Blocked {
    /// Waits for `micros`, forever if that is 0.
    pub(crate) fn until_after(wait: Wait, command: Command, now: Time, micros: u64) -> Self {
        let until = if micros == 0 { Time::NEVER } else { Time::from_micros(now.as_micros().saturating_add(micros)) };
        Self { wait, command, until, number: 0 }
    }

    pub(crate) fn postponed(command: Command) -> Self {
        Self { wait: Wait::Pause, command, until: Time::NEVER, number: 0 }
    }
}

impl Node {
    pub(crate) fn block(&mut self, conn: Conn, mut blocked: Blocked) {
        self.last_block += 1;
        blocked.number = self.last_block;
        self.blocked.insert(conn, blocked);
    }

    /// Tries a pop in database `db` for a connection; the second value is true if it changed the data set.
    pub(crate) fn attempt_pop(
        &mut self,
        now: Time,
        conn: Conn,
        db: usize,
        pop: &Pop,
        counts: bool,
    ) -> (Result<Option<Reply>, Failure>, bool) {
        self.with_access(now, conn, db, counts, |access| pop.attempt(access))
    }

    /// Does something to database `db` for a connection; the second value is true if it changed the data set. `counts` says
    /// whether lookups are hits and misses.
    pub(crate) fn with_access<T>(
        &mut self,
        now: Time,
        conn: Conn,
        db: usize,
        counts: bool,
        run: impl FnOnce(&mut Access<'_>) -> T,
    ) -> (T, bool) {
        let resp3 = self.clients.get(&conn).is_some_and(|client| client.resp == 3);
        let (unix, notify) = (self.config.unix_millis(now), self.notifies());
        let expiry = if self.is_master() { Expiry::Delete } else { Expiry::Hide };
        let mut access = Access::new((&mut self.data, &mut self.numbers), &self.config, db, unix, expiry);
        access.resp3 = resp3;
        access.counts = counts;
        access.notify = notify;
        let result = run(&mut access);
        let effects = access.effects;
        let changed = self.absorb(db, effects, None);
        (result, changed)
    }

    /// True if somebody waits for entries of this stream for a group.
    pub(crate) fn is_read_for_group(&self, db: usize, key: &Bytes) -> bool {
        self.blocked.values().any(|blocked| match &blocked.wait {
            Wait::Pop { db: its, pop: Pop::Read(reading) } => *its == db && reading.is_for_group_at(key),
            _ => false,
        })
    }

    /// Gives new list items to those who wait for them, first come first served.
    pub(crate) fn serve_ready(&mut self, now: Time, out: &mut Vec<Output>) {
        while let Some((db, key)) = self.ready.pop_front() {
            let mut waiting: Vec<(u64, Conn)> = Vec::new();
            for (conn, blocked) in &self.blocked {
                if let Wait::Pop { db: its, pop } = &blocked.wait
                    && *its == db
                    && pop.keys().contains(&key)
                {
                    waiting.push((blocked.number, *conn));
                }
            }
            waiting.sort_unstable();
            for (_, conn) in waiting {
                let Some(Blocked { wait: Wait::Pop { pop, .. }, .. }) = self.blocked.get(&conn) else { continue };
                let pop = only(pop, &key);
                if let Pop::Read(reading) = &pop
                    && let (Some(gone), _) = self.with_access(now, conn, db, false, |access| reading.gone(access, &key))
                {
                    self.unblock(conn, Some(Reply::Error(gone)), false, out);
                    continue;
                }
                let (result, changed) = self.attempt_pop(now, conn, db, &pop, false);
                match result {
                    Ok(None) if pop.consumes() => break,
                    Ok(None) => {}
                    Ok(Some(reply)) => {
                        self.tell_events(out);
                        self.propagate(out);
                        self.unblock(conn, Some(reply), changed, out);
                        self.send_invalidations(None, out);
                    }
                    // BLPOP stays blocked on a key of the wrong type; BLMOVE fails if its destination is one.
                    Err(error) if matches!(pop, Pop::Move { .. } | Pop::Read(_)) => {
                        self.unblock(conn, Some(Reply::Error(error)), false, out);
                    }
                    Err(_) => break,
                }
            }
        }
    }

    /// Ends a wait, answers the command if there is something to answer, and lets the connection go on.
    pub(crate) fn unblock(&mut self, conn: Conn, reply: Option<Reply>, changed: bool, out: &mut Vec<Output>) {
        let Some(blocked) = self.blocked.remove(&conn) else { return };
        if let Some(reply) = reply {
            let position = changed.then(|| self.position());
            let outcome = match &reply {
                Reply::Error(error) => {
                    self.stats.error(error);
                    if let Ok(spec) = table::lookup(&blocked.command) {
                        self.stats.concluded(spec.name);
                    }
                    model::machine::Executed::Refused(reply.clone())
                }
                reply => model::machine::Executed::Ran(reply.clone()),
            };
            note(conn, outcome, blocked.command, position, out);
            self.send(conn, reply, out);
            self.end_command(conn);
        } else if let Some(client) = self.clients.get_mut(&conn) {
            client.pending.push_front(Frame::Command(blocked.command));
        }
        self.unblocked.push_back(conn);
    }

    /// What a connection that waits is answered when nothing came; `None` if it does not wait for anything that could.
    pub(crate) fn ends_with(&self, conn: Conn) -> Option<Reply> {
        match &self.blocked.get(&conn)?.wait {
            Wait::Pop { pop, .. } => Some(pop.nothing(false)),
            Wait::Replicas { offset, .. } => Some(Reply::Int(self.replicas_at(*offset))),
            Wait::Pause | Wait::Shutdown => None,
        }
    }

    /// Ends the waits whose time is over.
    pub(crate) fn end_waits(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.blocked.is_empty() {
            return;
        }
        let over: VecDeque<Conn> =
            self.blocked.iter().filter(|(_, blocked)| blocked.until <= now).map(|(conn, _)| *conn).collect();
        for conn in over {
            let reply = self.ends_with(conn);
            self.unblock(conn, reply, false, out);
        }
    }

    /// The node becomes a replica: whoever waits for data is sent away, as in Redis 7.0.
    pub(crate) fn dismiss_blocked(&mut self, now: Time, out: &mut Vec<Output>) {
        let waits = |wait: &Wait| !matches!(wait, Wait::Pause);
        let conns: Vec<Conn> =
            self.blocked.iter().filter(|(_, blocked)| waits(&blocked.wait)).map(|(conn, _)| *conn).collect();
        for conn in conns {
            let text = "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)";
            self.unblock(conn, Some(Reply::error(text)), false, out);
            self.close(now, conn, out);
        }
    }

    /// True if a command with these flags must wait for the end of a pause.
    pub(crate) fn is_paused(&self, now: Time, flags: u32) -> bool {
        self.pause
            .is_some_and(|pause| now < pause.until && (pause.all || flags & (flag::WRITE | flag::MAY_REPLICATE) != 0))
    }

    pub(crate) fn pause_until(&mut self, until: Time, all: bool) {
        let before = self.pause.unwrap_or(Pause { until, all: false });
        self.pause = Some(Pause { until: before.until.max(until), all: before.all || all });
    }

    /// Ends the pause and lets everybody go on.
    pub(crate) fn resume(&mut self, out: &mut Vec<Output>) {
        self.pause = None;
        let postponed = |blocked: &Blocked| matches!(blocked.wait, Wait::Pause);
        let mut conns: Vec<(u64, Conn)> = self
            .blocked
            .iter()
            .filter(|(_, blocked)| postponed(blocked))
            .map(|(conn, blocked)| (blocked.number, *conn))
            .collect();
        conns.sort_unstable();
        for (_, conn) in conns {
            self.unblock(conn, None, false, out);
        }
    }
}

/// Answers at once if there is something, else waits for it: `micros` long, for ever if that is 0.
pub(crate) fn pop_or_wait(node: &mut Node, call: &mut Call<'_>, pop: Pop, micros: u64) -> Outcome {
    let db = node.clients.get(&call.conn).map_or(0, |client| client.db);
    let (result, _) = node.attempt_pop(call.now, call.conn, db, &pop, matches!(pop, Pop::Read(_)));
    if let Some(reply) = result? {
        return Ok(reply.into());
    }
    if call.within != Within::Nothing {
        return Ok(pop.nothing(true).into());
    }
    let blocked = Blocked::until_after(Wait::Pop { db, pop }, call.command.clone(), call.now, micros);
    node.block(call.conn, blocked);
    Ok(Answer::Blocked)
}

/// The same pop, of this one key.
fn only(pop: &Pop, key: &Bytes) -> Pop {
    match pop {
        Pop::First { end, .. } => Pop::First { keys: vec![key.clone()], end: *end },
        Pop::Score { highest, .. } => Pop::Score { keys: vec![key.clone()], highest: *highest },
        Pop::Several(several) => Pop::Several(several.only(key)),
        whole @ (Pop::Move { .. } | Pop::Read(_)) => whole.clone(),
    }
}
