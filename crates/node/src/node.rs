//! [`Node`]: the machine. Inputs are taken apart here; what a command does is in [`crate::commands`], how replicas
//! are kept in [`crate::replication`].

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::mem;

use bytes::Bytes;
use model::history::Position;
use model::machine::Note;
use model::seed::Rng;
use model::{Addr, Command, Conn, Frame, Input, Limits, Output, Reply, RunId, Seed, Time};

use crate::acl::{DEFAULT, User, Users, users};
use crate::blocking::Blocked;
use crate::busy::UnderWay;
use crate::client::Client;
use crate::commands::events::Event;
use crate::commands::info::memory_used;
use crate::commands::tracking::{Broadcasts, Invalid};
use crate::config::Config;
use crate::keyspace::DataSet;
use crate::keyspace::idle::{SharedNumbers, clock};
use crate::replication::Replication;
use crate::replication::replica::Upstream;
use crate::script::Random;
use crate::stats::Stats;

/// One Redis data node: a state machine without I/O, of the shape that [`model::machine`] describes.
#[derive(Debug)]
pub struct Node {
    pub(crate) config: Config,
    /// Its configuration file.
    pub(crate) file: Config,
    pub(crate) run_id: RunId,
    pub(crate) started: Time,
    pub(crate) clients: BTreeMap<Conn, Client>,
    pub(crate) last_client_id: u64,
    pub(crate) data: DataSet,
    pub(crate) numbers: SharedNumbers,
    pub(crate) channels: BTreeMap<Bytes, Vec<Conn>>,
    pub(crate) patterns: BTreeMap<Bytes, Vec<Conn>>,
    pub(crate) shards: BTreeMap<Bytes, Vec<Conn>>,
    pub(crate) watchers: BTreeMap<(usize, Bytes), Vec<Conn>>,
    pub(crate) blocked: BTreeMap<Conn, Blocked>,
    pub(crate) last_block: u64,
    /// Lists that were pushed to while somebody waits for them.
    pub(crate) ready: VecDeque<(usize, Bytes)>,
    /// Connections whose pending commands may go on.
    pub(crate) unblocked: VecDeque<Conn>,
    /// Changes of the data set so far, as Redis counts them.
    pub(crate) dirty: u64,
    /// What the command under way changed and the replicas must hear, each with its database.
    pub(crate) changes: Vec<(usize, Command)>,
    /// What the command under way did to keys, if anybody may want to hear of it.
    pub(crate) events: Vec<Event>,
    pub(crate) users: Users,
    /// What scripts draw from.
    pub(crate) random: Random,
    /// What `ACL GENPASS` draws from.
    pub(crate) dice: Rng,
    /// Scripts by their digests.
    pub(crate) scripts: BTreeMap<String, Bytes>,
    /// Who has read which key and wants to hear of changes.
    pub(crate) tracked: BTreeMap<Bytes, BTreeSet<Conn>>,
    /// How many connections have `CLIENT TRACKING` on.
    pub(crate) tracking: usize,
    /// Who must hear of which change.
    pub(crate) invalid: Vec<Invalid>,
    pub(crate) broadcasts: Broadcasts,
    /// `MONITOR`, in the order in which they began to listen.
    pub(crate) monitors: Vec<Conn>,
    pub(crate) repl: Replication,
    pub(crate) pause: Option<Pause>,
    /// `SHUTDOWN` waits for replicas, at the latest until then.
    pub(crate) shutdown_by: Option<Time>,
    pub(crate) asleep: Option<Asleep>,
    pub(crate) loading_until: Option<Time>,
    pub(crate) ignore_client_kill: bool,
    pub(crate) stats: Stats,
    /// Connections to close when the command under way is answered.
    pub(crate) closing: Vec<Conn>,
    /// The first input has come.
    pub(crate) begun: bool,
    /// The process has ended.
    pub(crate) ended: bool,
}

/// `CLIENT PAUSE`, or the pause of `SHUTDOWN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) until: Time,
    /// Everything, not only writes.
    pub(crate) all: bool,
}

/// `DEBUG SLEEP`, or a script that takes long: nobody is served.
#[derive(Debug)]
pub(crate) struct Asleep {
    /// When it wakes, or the script goes on.
    pub(crate) until: Time,
    pub(crate) script: Option<UnderWay>,
    /// What came.
    pub(crate) inputs: VecDeque<Input>,
}

impl Node {
    /// A node that starts at `now`. `boot` counts the starts of this process: every one has an empty data set, its own
    /// run id and its own replication id. It draws from the stream `node:<name>` of `seed`.
    pub fn new(config: Config, seed: Seed, boot: u32, now: Time) -> Self {
        let mut rng = seed.derive(&format!("node:{}", config.identity.node)).stream(&format!("boot:{boot}"));
        let run_id = RunId::random(&mut rng);
        let repl = Replication::new(rng, config.replica_of.clone(), now);
        let users = users(config.auth.as_ref());
        let dice = seed.derive(&format!("node:{}", config.identity.node)).stream(&format!("dice:{boot}"));
        let numbers = SharedNumbers::new(clock(config.unix_millis(now)));
        Self {
            file: config.clone(),
            config,
            run_id,
            started: now,
            clients: BTreeMap::new(),
            last_client_id: 2,
            data: DataSet::default(),
            numbers,
            channels: BTreeMap::new(),
            patterns: BTreeMap::new(),
            shards: BTreeMap::new(),
            watchers: BTreeMap::new(),
            blocked: BTreeMap::new(),
            last_block: 0,
            ready: VecDeque::new(),
            unblocked: VecDeque::new(),
            dirty: 0,
            changes: Vec::new(),
            events: Vec::new(),
            users,
            random: Random::default(),
            dice,
            scripts: BTreeMap::new(),
            tracked: BTreeMap::new(),
            tracking: 0,
            invalid: Vec::new(),
            broadcasts: Broadcasts::default(),
            monitors: Vec::new(),
            repl,
            pause: None,
            shutdown_by: None,
            asleep: None,
            loading_until: None,
            ignore_client_kill: false,
            stats: Stats::default(),
            closing: Vec::new(),
            begun: false,
            ended: false,
        }
    }

    /// Its configuration file, which it starts from the next time: as it was at the start, or when `CONFIG REWRITE` was last told.
    pub fn file(&self) -> &Config {
        &self.file
    }

    /// Takes an input and whatever is due at `now`. The first call, which should be an [`Input::Tick`] at the start,
    /// also tells the role and, on a replica, dials the master.
    pub fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        if self.ended {
            return;
        }
        let ticks = input == Input::Tick;
        if self.broadcasts.due < now && self.asleep.is_none() {
            self.broadcast(out);
        }
        self.handle_one(now, input, out);
        // A pass of Redis's event loop takes whatever has come; here it ends with the tick.
        if ticks && self.asleep.is_none() {
            self.broadcast(out);
        }
        self.broadcasts.schedule(now);
    }

    fn handle_one(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        if let Some(asleep) = &mut self.asleep {
            if input != Input::Tick {
                asleep.inputs.push_back(input);
            }
            if now >= asleep.until && self.run_slice(now, out) {
                self.wake(now, out);
            } else {
                self.serve_while_busy(now, out);
            }
            return;
        }
        self.begin(now, out);
        self.input(now, input, out);
        self.settle(now, out);
        self.cron(now, out);
        self.settle(now, out);
    }

    /// Handles what came while it slept; one of those commands may send it to sleep again.
    fn wake(&mut self, now: Time, out: &mut Vec<Output>) {
        let mut inputs = self.asleep.take().map(|asleep| asleep.inputs).unwrap_or_default();
        self.settle(now, out);
        while let Some(input) = inputs.pop_front() {
            self.input(now, input, out);
            self.settle(now, out);
            if let Some(asleep) = &mut self.asleep {
                asleep.inputs.append(&mut inputs);
                return;
            }
        }
        self.cron(now, out);
        self.settle(now, out);
    }

    pub(crate) fn sleep(&mut self, until: Time, script: Option<UnderWay>) {
        self.asleep = Some(Asleep { until, script, inputs: VecDeque::new() });
    }

    pub(crate) fn input(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Tick | Input::ClockJump(_) => {}
            Input::Connected(conn) => self.upstream_connected(now, conn, out),
            Input::Accepted(conn, from) => self.accept(now, conn, from, out),
            Input::Received(conn, frame) if conn.is_outbound() => self.upstream_received(now, conn, frame, out),
            Input::Received(conn, frame) => self.received(now, conn, frame, out),
            Input::Closed(conn) if conn.is_outbound() => self.upstream_closed(now, conn, out),
            Input::Closed(conn) => self.forget(now, conn, out),
            Input::LoadingUntil(until) => self.loading_until = Some(until),
            Input::IgnoreClientKill(ignore) => self.ignore_client_kill = ignore,
        }
    }

    fn accept(&mut self, now: Time, conn: Conn, from: Addr, out: &mut Vec<Output>) {
        // Redis counts the link to its master too.
        let held = self.clients.len() + usize::from(self.link_up());
        if held >= self.config.max_clients as usize {
            self.stats.rejected += 1;
            out.push(Output::Send(conn, Frame::Reply(Reply::error("ERR max number of clients reached"))));
            out.push(Output::Close(conn));
            return;
        }
        self.last_client_id += 1;
        self.stats.connections += 1;
        let mut client = Client::new(self.last_client_id, from, now, self.is_open());
        client.unrestricted = self.users.get(&DEFAULT).is_none_or(User::unrestricted);
        self.clients.insert(conn, client);
        if self.config.limits != Limits::default() {
            out.push(Output::Limits(conn, Box::new(self.config.limits.clone())));
        }
    }

    /// True if a new connection need not authenticate.
    pub fn is_open(&self) -> bool {
        self.users.get(&DEFAULT).is_some_and(|user| user.enabled && user.no_password)
    }

    /// From here on the connection acts as this user.
    pub(crate) fn become_user(&mut self, conn: Conn, name: &Bytes, authenticated: bool) {
        let unrestricted = self.users.get(name).is_some_and(User::unrestricted);
        if let Some(client) = self.clients.get_mut(&conn) {
            client.user = name.clone();
            client.unrestricted = unrestricted;
            client.authenticated = authenticated;
        }
    }

    fn received(&mut self, now: Time, conn: Conn, frame: Frame, out: &mut Vec<Output>) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        if client.leaving {
            return;
        }
        if self.blocked.contains_key(&conn) || !client.pending.is_empty() {
            client.pending.push_back(frame);
        } else {
            self.take(now, conn, frame, out);
        }
    }

    fn take(&mut self, now: Time, conn: Conn, frame: Frame, out: &mut Vec<Output>) {
        if let Some(client) = self.clients.get_mut(&conn) {
            client.answered = false;
        }
        match frame {
            Frame::Command(command) => self.process(now, conn, command, out),
            Frame::Malformed(error) => {
                self.stats.error(&error);
                self.send(conn, Reply::Error(error), out);
                self.closing.push(conn);
            }
            Frame::Reply(_) | Frame::Snapshot(_) => {}
        }
    }

    /// Serves and resumes blocked connections until nothing moves any more.
    fn settle(&mut self, now: Time, out: &mut Vec<Output>) {
        loop {
            if self.asleep.is_some() || self.ended {
                return;
            }
            for conn in mem::take(&mut self.closing) {
                self.leave(now, conn, out);
            }
            if mem::take(&mut self.repl.asks) {
                self.feed(Command::of(&["REPLCONF", "GETACK", "*"]), out);
            }
            self.serve_ready(now, out);
            let Some(conn) = self.unblocked.pop_front() else { return };
            if let Some(client) = self.clients.get_mut(&conn) {
                client.active_at = now;
            }
            while !self.blocked.contains_key(&conn) && self.asleep.is_none() && self.closing.is_empty() && !self.ended {
                let Some(frame) = self.clients.get_mut(&conn).and_then(|client| client.pending.pop_front()) else {
                    break;
                };
                self.take(now, conn, frame, out);
            }
            if self.asleep.is_some() || !self.closing.is_empty() {
                self.unblocked.push_front(conn);
            }
        }
    }

    /// Sends a reply, if the client wants to hear it.
    pub(crate) fn send(&mut self, conn: Conn, reply: Reply, out: &mut Vec<Output>) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        // What is answered would end up in the stream.
        if client.replica.is_some() {
            self.closing.push(conn);
            return;
        }
        // What subscriptions come to is told in any case.
        if client.replies.heard() || matches!(reply, Reply::Push(_)) {
            self.say(conn, reply, out);
        }
    }

    /// Says something to a client. Of one that is leaving Redis only notices then that nothing else keeps it.
    pub(crate) fn say(&mut self, conn: Conn, reply: Reply, out: &mut Vec<Output>) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        client.answered = true;
        if client.leaving {
            self.closing.push(conn);
        } else {
            out.push(Output::Send(conn, Frame::Reply(reply)));
        }
    }

    /// Closes a connection after what was said on it. If its command had no answer it may stay: see [`Output::Leave`].
    fn leave(&mut self, now: Time, conn: Conn, out: &mut Vec<Output>) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        if client.answered || client.replica.is_some() {
            return self.close(now, conn, out);
        }
        client.leaving = true;
        client.pending.clear();
        out.push(Output::Leave(conn));
    }

    /// Closes a connection from this side.
    pub(crate) fn close(&mut self, now: Time, conn: Conn, out: &mut Vec<Output>) {
        if self.clients.contains_key(&conn) {
            self.forget(now, conn, out);
            out.push(Output::Close(conn));
        }
    }

    /// Removes every trace of a connection.
    fn forget(&mut self, now: Time, conn: Conn, out: &mut Vec<Output>) {
        self.unsubscribe_everything(conn);
        self.unwatch(conn);
        self.stop_tracking(conn);
        self.monitors.retain(|other| *other != conn);
        self.blocked.remove(&conn);
        self.unblocked.retain(|other| *other != conn);
        if self.clients.remove(&conn).is_some_and(|client| client.replica.is_some()) {
            self.replica_gone(now, conn);
            self.check_shutdown(now, out);
        }
    }

    /// When [`Node::handle`] must be called next; [`Time::NEVER`] if only an input can move the node.
    pub fn deadline(&self) -> Time {
        if self.ended {
            return Time::NEVER;
        }
        match &self.asleep {
            Some(asleep) => asleep.until,
            None => self.next_cron().min(self.broadcasts.due),
        }
    }

    /// True for a master.
    pub fn is_master(&self) -> bool {
        self.repl.upstream.is_none()
    }

    /// The master that it follows; `None` for a master.
    pub fn master_addr(&self) -> Option<&Addr> {
        self.repl.upstream.as_ref().map(|upstream| &upstream.master)
    }

    /// The database that a client has selected; 0 if there is no such client.
    pub fn database(&self, conn: model::machine::Conn) -> u32 {
        self.clients.get(&conn).map_or(0, |client| client.db as u32)
    }

    /// Replication offset: bytes of the stream that it produced or applied.
    pub fn offset(&self) -> u64 {
        self.repl.offset
    }

    /// `run_id` of this process.
    pub fn run_id(&self) -> &RunId {
        &self.run_id
    }

    /// Replication id of the history that it writes or follows.
    pub fn replication_id(&self) -> &RunId {
        &self.repl.id
    }

    /// `replica-priority`
    pub fn priority(&self) -> u32 {
        self.config.priority
    }

    /// Its configuration, as `CONFIG SET` has left it.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// True for a replica that is in sync with its master.
    pub fn link_up(&self) -> bool {
        self.repl.upstream.as_ref().is_some_and(Upstream::is_up)
    }

    /// The stretches of replication history that the data set descends from, oldest first; the last is the current
    /// one; before them, if there are any, are the writes that clients made to a replica. A write that a master ran at a position `p` is part of this data set if there is a stretch of the same
    /// replication id that reaches `p.offset`.
    pub fn lineage(&self) -> Vec<Position> {
        let stray = (self.repl.stray > 0).then(|| Position::new(&self.run_id, self.repl.stray));
        stray.into_iter().chain(self.repl.lineage()).collect()
    }

    /// Where the change that was just made is: in the history, or, made by a client of a replica, in none but this node's own.
    pub(crate) fn position(&mut self) -> Position {
        if self.is_master() {
            return Position::new(&self.repl.id, self.repl.offset);
        }
        self.repl.stray += 1;
        Position::new(&self.run_id, self.repl.stray)
    }

    /// True if clients must not write here: a replica that is not said to be writable.
    pub(crate) fn is_read_only(&self) -> bool {
        !self.is_master() && self.config.replica_read_only
    }

    /// True if more is in use than `maxmemory` allows, of which replicas take no notice unless they are told to.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.config.max_memory > 0
            && (self.is_master() || self.config.other("replica-ignore-maxmemory") == "no")
            && memory_used(self).0 > self.config.max_memory
    }

    pub(crate) fn note_role(&self, out: &mut Vec<Output>) {
        out.push(Output::Note(Note::Role { of: self.master_addr().cloned() }));
    }
}
