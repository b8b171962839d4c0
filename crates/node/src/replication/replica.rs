//! The replica's side: dialling the master, the handshake, the snapshot and the stream.

use std::collections::VecDeque;

use bytes::Bytes;
use model::machine::Note;
use model::{Addr, Command, Conn, Frame, Output, Reply, RunId, Time};

use crate::access::{Access, Expiry};
use crate::args::parse_int;
use crate::client::Client;
use crate::keyspace::DATABASES;
use crate::keyspace::idle::clock;
use crate::node::Node;
use crate::rdb;
use crate::table::{self, Run, flag};

/// The link to the master.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    pub(crate) master: Addr,
    pub(crate) state: LinkState,
    conn: Option<Conn>,
    /// Replies that are due, in order.
    expected: VecDeque<Expected>,
    pub(crate) last_io: Time,
    /// When the link was lost; `None` if it never was.
    pub(crate) down_since: Option<Time>,
    /// The data set is a place in a history that can be gone on with.
    pub(crate) resumable: bool,
    /// The place in history that the snapshot under way stands for.
    target: Option<(RunId, u64)>,
    pub(crate) stream: Stream,
    /// The link as `CLIENT LIST` shows it, once it is in sync.
    pub(crate) client: Option<Client>,
}

/// `ROLE` has the same states: `connect`, `connecting`, `handshake`, `sync`, `connected`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkState {
    Connect,
    Connecting,
    Handshake,
    /// The master's id and offset are known, the snapshot is under way.
    Sync,
    Connected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Ping,
    Auth,
    /// `REPLCONF`, whose errors do not matter.
    Conf,
    Psync,
}

/// Where the stream of the master stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    pub(crate) db: usize,
    /// Commands since `MULTI`, which `EXEC` applies.
    transaction: Option<Vec<Command>>,
}

impl Upstream {
    pub(crate) fn new(master: Addr, now: Time) -> Self {
        Self {
            master,
            state: LinkState::Connect,
            conn: None,
            expected: VecDeque::new(),
            last_io: now,
            down_since: None,
            resumable: false,
            target: None,
            stream: Stream::default(),
            client: None,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state == LinkState::Connected
    }
}

fn reply_error(reply: &Reply) -> Option<&str> {
    reply.error_code()
}

impl Node {
    /// Dials the master.
    pub(crate) fn dial(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(upstream) = &mut self.repl.upstream else { return };
        let conn = Conn::outbound(self.repl.next_conn);
        self.repl.next_conn += 1;
        upstream.conn = Some(conn);
        upstream.state = LinkState::Connecting;
        upstream.expected.clear();
        upstream.last_io = now;
        out.push(Output::Connect(conn, upstream.master.clone()));
    }

    fn ask(&mut self, command: Command, expected: Expected, out: &mut Vec<Output>) {
        let Some(upstream) = &mut self.repl.upstream else { return };
        let Some(conn) = upstream.conn else { return };
        upstream.expected.push_back(expected);
        out.push(Output::Send(conn, Frame::Command(command)));
    }

    fn is_upstream(&self, conn: Conn) -> bool {
        self.repl.upstream.as_ref().is_some_and(|upstream| upstream.conn == Some(conn))
    }

    pub(crate) fn upstream_connected(&mut self, now: Time, conn: Conn, out: &mut Vec<Output>) {
        if !self.is_upstream(conn) {
            return;
        }
        if let Some(upstream) = &mut self.repl.upstream {
            upstream.state = LinkState::Handshake;
            upstream.last_io = now;
        }
        self.ask(Command::of(&["PING"]), Expected::Ping, out);
    }

    pub(crate) fn upstream_closed(&mut self, now: Time, conn: Conn, out: &mut Vec<Output>) {
        if self.is_upstream(conn) {
            self.lose_link(now, out);
            if let Some(upstream) = &self.repl.upstream
                && upstream.down_since == Some(now)
                && !self.is_loading(now)
            {
                self.dial(now, out);
            }
        }
    }

    /// Forgets the connection to the master. A link that was in sync counts as down from now on.
    fn lose_link(&mut self, now: Time, out: &mut Vec<Output>) {
        let Some(upstream) = &mut self.repl.upstream else { return };
        let was_up = upstream.is_up();
        upstream.conn = None;
        upstream.state = LinkState::Connect;
        upstream.stream.transaction = None;
        upstream.client = None;
        if was_up {
            upstream.down_since = Some(now);
            upstream.resumable = true;
            out.push(Output::Note(Note::ReplicaLink { up: false, full: false }));
        }
    }

    /// Hangs up; the next pass dials again.
    pub(crate) fn abandon_link(&mut self, now: Time, out: &mut Vec<Output>) {
        if let Some(conn) = self.repl.upstream.as_ref().and_then(|upstream| upstream.conn) {
            out.push(Output::Close(conn));
            self.lose_link(now, out);
        }
    }

    pub(crate) fn upstream_received(&mut self, now: Time, conn: Conn, frame: Frame, out: &mut Vec<Output>) {
        if !self.is_upstream(conn) {
            return;
        }
        let Some(upstream) = &mut self.repl.upstream else { return };
        upstream.last_io = now;
        match (upstream.state, frame) {
            (LinkState::Handshake, Frame::Reply(reply)) => self.handshake(now, &reply, out),
            (LinkState::Sync, Frame::Snapshot(file)) => self.load_snapshot(now, &file, out),
            (LinkState::Connected, Frame::Command(command)) => self.follow(now, command, out),
            _ => self.abandon_link(now, out),
        }
    }

    fn handshake(&mut self, now: Time, reply: &Reply, out: &mut Vec<Output>) {
        let Some(upstream) = &mut self.repl.upstream else { return };
        match upstream.expected.pop_front() {
            Some(Expected::Ping) => match reply_error(reply) {
                None | Some("NOAUTH" | "NOPERM") => self.introduce(out),
                Some(_) => self.abandon_link(now, out),
            },
            Some(Expected::Auth) if reply_error(reply).is_some() => self.abandon_link(now, out),
            Some(Expected::Auth | Expected::Conf) => {
                if upstream.expected.is_empty() {
                    self.ask_for_stream(out);
                }
            }
            Some(Expected::Psync) => self.psync_answer(now, reply, out),
            None => self.abandon_link(now, out),
        }
    }

    /// Who we are and what we understand, all at once.
    fn introduce(&mut self, out: &mut Vec<Output>) {
        if let Some(auth) = self.config.master_auth.clone().or_else(|| self.config.auth.clone()) {
            let user = auth.user.into_iter().map(Bytes::from);
            let command = user.fold(Command::of(&["AUTH"]), Command::arg).arg(auth.password);
            self.ask(command, Expected::Auth, out);
        }
        let port = match self.config.other("replica-announce-port") {
            "0" => self.config.identity.addr.port.to_string(),
            announced => announced.to_owned(),
        };
        self.ask(Command::of(&["REPLCONF", "listening-port"]).arg(port), Expected::Conf, out);
        if let Some(host) = &self.config.announce_ip {
            self.ask(Command::of(&["REPLCONF", "ip-address"]).arg(host.clone()), Expected::Conf, out);
        }
        // A real master passes over what it does not know.
        let capa = ["REPLCONF", "capa", "eof", "capa", "psync2", "capa", "lineage"];
        self.ask(Command::of(&capa), Expected::Conf, out);
    }

    fn ask_for_stream(&mut self, out: &mut Vec<Output>) {
        let resumable = self.repl.upstream.as_ref().is_some_and(|upstream| upstream.resumable);
        let command = if resumable {
            let next = (self.repl.offset + 1).to_string();
            Command::of(&["PSYNC"]).arg(self.repl.id.as_str().to_owned()).arg(next)
        } else {
            Command::of(&["PSYNC", "?", "-1"])
        };
        self.ask(command, Expected::Psync, out);
    }

    fn psync_answer(&mut self, now: Time, reply: &Reply, out: &mut Vec<Output>) {
        let text = match reply {
            Reply::Simple(text) => text.clone(),
            _ => return self.abandon_link(now, out),
        };
        let mut words = text.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("FULLRESYNC"), Some(id), Some(offset)) => {
                let (Some(id), Ok(offset)) = (RunId::parse(id), offset.parse()) else {
                    return self.abandon_link(now, out);
                };
                if let Some(upstream) = &mut self.repl.upstream {
                    upstream.resumable = false;
                    upstream.target = Some((id, offset));
                    upstream.state = LinkState::Sync;
                }
            }
            (Some("CONTINUE"), id, lineage) => {
                if let Some(id) = id.and_then(RunId::parse)
                    && id != self.repl.id
                {
                    self.repl.continue_as(id, lineage);
                    self.disconnect_replicas(now, out);
                }
                self.in_sync(now, false, out);
            }
            _ => self.abandon_link(now, out),
        }
    }

    fn load_snapshot(&mut self, now: Time, file: &Bytes, out: &mut Vec<Output>) {
        let target = self.repl.upstream.as_mut().and_then(|upstream| upstream.target.take());
        let (Ok(snapshot), Some((id, offset))) = (rdb::read(file, clock(self.config.unix_millis(now))), target) else {
            return self.abandon_link(now, out);
        };
        // Its own replicas followed a history that ends here.
        self.disconnect_replicas(now, out);
        self.repl.backlog = None;
        self.repl.id = id;
        self.repl.second = None;
        self.repl.offset = offset;
        let keys: Vec<_> = self.watchers.keys().cloned().collect();
        for key in keys {
            self.touch(&key);
        }
        self.data = snapshot.data;
        self.invalidate_everything();
        self.send_invalidations(None, out);
        self.repl.descend(&snapshot.lineage);
        self.repl.stray = 0;
        if let Some(upstream) = &mut self.repl.upstream {
            upstream.stream = Stream { db: snapshot.stream_db, transaction: None };
        }
        self.in_sync(now, true, out);
        // Tells the master that the stream may begin.
        self.acknowledge(out);
    }

    fn in_sync(&mut self, now: Time, full: bool, out: &mut Vec<Output>) {
        self.repl.ensure_backlog(self.config.backlog_size);
        if let Some(upstream) = &mut self.repl.upstream {
            self.last_client_id += 1;
            upstream.client = Some(Client::of_master(self.last_client_id, upstream.master.clone(), now));
            upstream.state = LinkState::Connected;
            upstream.resumable = true;
            upstream.last_io = now;
        }
        out.push(Output::Note(Note::ReplicaLink { up: true, full }));
    }

    /// `REPLCONF ACK`, to which there is no reply.
    pub(crate) fn acknowledge(&mut self, out: &mut Vec<Output>) {
        let Some(conn) = self.repl.upstream.as_ref().filter(|up| up.is_up()).and_then(|up| up.conn) else { return };
        let command = Command::of(&["REPLCONF", "ACK"]).arg(self.repl.offset.to_string());
        out.push(Output::Send(conn, Frame::Command(command)));
    }

    /// Takes one command of the stream. The offset moves, and replicas of this replica hear of it, when it is applied,
    /// which for a transaction is at its end.
    fn follow(&mut self, now: Time, command: Command, out: &mut Vec<Output>) {
        let Some(upstream) = &mut self.repl.upstream else { return };
        if command.is("EXEC")
            && let Some(commands) = upstream.stream.transaction.take()
        {
            self.feed(Command::of(&["MULTI"]), out);
            for command in commands.into_iter().chain([command]) {
                self.apply(now, &command, out);
                self.feed(command, out);
            }
        } else if let Some(commands) = &mut upstream.stream.transaction {
            commands.push(command);
        } else if command.is("MULTI") {
            upstream.stream.transaction = Some(Vec::new());
            self.apply(now, &command, out);
        } else {
            self.apply(now, &command, out);
            self.feed(command, out);
        }
    }

    /// Runs a command of the stream, counts it and shows it to those who monitor, as one of a client.
    fn apply(&mut self, now: Time, command: &Command, out: &mut Vec<Output>) {
        let Some(upstream) = &mut self.repl.upstream else { return };
        let Ok(spec) = table::lookup(command) else { return };
        let word = |index: usize| command.get(index).map_or(&b""[..], |word| word);
        if spec.is("select") {
            let db = parse_int(word(1)).and_then(|db| usize::try_from(db).ok()).filter(|db| *db < DATABASES);
            upstream.stream.db = db.unwrap_or(upstream.stream.db);
        }
        let db = upstream.stream.db;
        if let Some(client) = &mut upstream.client {
            client.db = db;
            client.active_at = now;
            client.last_command = spec.name;
        }
        if !spec.takes(command.len()) {
            return;
        }
        self.stats.begins();
        match spec.run {
            Run::Data(handler) => {
                let (unix, notify) = (self.config.unix_millis(now), self.notifies());
                let mut access =
                    Access::new((&mut self.data, &mut self.numbers), &self.config, db, unix, Expiry::Ignore);
                access.notify = notify;
                // What the master ran cannot fail here; if it does, Redis goes on as well.
                let _ = handler(&mut access, &command.0);
                let effects = access.effects;
                self.absorb(db, effects, None);
                self.changes.clear();
                self.tell_events(out);
                self.send_invalidations(None, out);
            }
            Run::Server(_) => match spec.name {
                "replconf" if word(1).eq_ignore_ascii_case(b"GETACK") => self.acknowledge(out),
                "publish" => _ = self.deliver(&command.0[1], &command.0[2], out),
                "spublish" => _ = self.deliver_sharded(&command.0[1], &command.0[2], out),
                _ => {}
            },
        }
        self.stats.called(spec.name);
        if !self.monitors.is_empty()
            && !spec.has(flag::SKIP_MONITOR | flag::ADMIN)
            && let Some(client) = self.repl.upstream.as_ref().and_then(|upstream| upstream.client.as_ref())
        {
            let from = client.from.clone();
            self.show_to_monitors(now, db, Some(&from), command, out);
        }
    }
}
