//! The master's side, which a replica with replicas of its own shares: feeding the stream, snapshots, counting who
//! keeps up.

use std::mem;

use model::{Command, Conn, Frame, Output, Reply, Time};

use crate::blocking::Wait;
use crate::node::Node;
use crate::rdb;

impl Node {
    /// Sends what the last command changed to the replicas. More than one change travels as a transaction, in the database
    /// of the first.
    pub(crate) fn propagate(&mut self, out: &mut Vec<Output>) {
        if self.changes.is_empty() {
            return;
        }
        let changes = mem::take(&mut self.changes);
        if !self.is_fed() {
            return;
        }
        let together = changes.len() > 1;
        if together {
            self.feed_in(changes[0].0, Command::of(&["MULTI"]), out);
        }
        for (db, command) in changes {
            self.feed_in(db, command, out);
        }
        if together {
            self.feed(Command::of(&["EXEC"]), out);
        }
    }

    /// Appends one command to the stream, which selects its database before it if it is in another one.
    fn feed_in(&mut self, db: usize, command: Command, out: &mut Vec<Output>) {
        if self.repl.selected != Some(db) {
            self.feed(Command::of(&["SELECT"]).arg(db.to_string()), out);
            self.repl.selected = Some(db);
        }
        self.feed(command, out);
    }

    /// True if there is a stream to which changes go: a master's, once it has had a replica.
    pub(crate) fn is_fed(&self) -> bool {
        self.is_master() && (self.repl.backlog.is_some() || !self.repl.replicas.is_empty())
    }

    /// Appends one command to the stream.
    pub(crate) fn feed(&mut self, command: Command, out: &mut Vec<Output>) {
        if self.repl.backlog.is_none() && self.repl.replicas.is_empty() {
            return;
        }
        self.repl.offset += command.encoded_len();
        for conn in &self.repl.replicas {
            let online = |link: &crate::client::ReplicaLink| link.snapshot_due.is_none();
            if self.clients.get(conn).and_then(|client| client.replica.as_ref()).is_some_and(online) {
                out.push(Output::Send(*conn, Frame::Command(command.clone())));
            }
        }
        if let Some(backlog) = &mut self.repl.backlog {
            backlog.push(command);
        }
    }

    /// Sends a snapshot to every replica that waits for one.
    pub(crate) fn send_snapshots(&mut self, now: Time, out: &mut Vec<Output>) {
        let waits = |node: &Self, conn: &Conn| {
            node.clients[conn].replica.as_ref().is_some_and(|link| link.snapshot_due.is_some())
        };
        let conns: Vec<Conn> = self.repl.replicas.iter().copied().filter(|conn| waits(self, conn)).collect();
        // The stream after the snapshot selects its database anew, for these replicas know none.
        self.repl.selected = None;
        let stream_db = self.repl.upstream.as_ref().map_or(0, |upstream| upstream.stream.db);
        let snapshot = rdb::write(&self.data, &self.repl.lineage_text(), stream_db);
        for conn in conns {
            let Some(link) = self.clients.get_mut(&conn).and_then(|client| client.replica.as_mut()) else { continue };
            link.snapshot_due = None;
            link.acked_at = now;
            if !link.old {
                let text = format!("FULLRESYNC {} {}", self.repl.id, self.repl.offset);
                out.push(Output::Send(conn, Frame::Reply(Reply::Simple(text.into()))));
            }
            out.push(Output::Send(conn, Frame::Snapshot(snapshot.clone())));
        }
        self.count_good_replicas(now);
    }

    /// The replica links that are online.
    pub(crate) fn online_replicas(&self) -> impl Iterator<Item = &crate::client::ReplicaLink> {
        self.repl
            .replicas
            .iter()
            .filter_map(|conn| self.clients.get(conn)?.replica.as_ref())
            .filter(|link| link.snapshot_due.is_none())
    }

    /// How many replicas have acknowledged `offset`.
    pub(crate) fn replicas_at(&self, offset: u64) -> i64 {
        self.online_replicas().filter(|link| link.acked >= offset).count() as i64
    }

    /// Counts the replicas for `min-replicas-to-write`; done once a second and when one comes or goes.
    pub(crate) fn count_good_replicas(&mut self, now: Time) {
        let most = self.config.min_replicas_max_lag.as_secs();
        self.repl.good_replicas =
            self.online_replicas().filter(|link| seconds_between(link.acked_at, now) <= most).count();
    }

    /// True if `min-replicas-to-write` forbids writes.
    pub(crate) fn lacks_good_replicas(&self) -> bool {
        self.config.min_replicas_to_write > 0
            && self.is_master()
            && !self.config.min_replicas_max_lag.is_zero()
            && self.repl.good_replicas < self.config.min_replicas_to_write as usize
    }

    /// The link of a replica is gone.
    pub(crate) fn replica_gone(&mut self, now: Time, conn: Conn) {
        self.repl.replicas.retain(|other| *other != conn);
        self.count_good_replicas(now);
    }

    /// `REPLCONF ACK`: serves `WAIT` and a waiting `SHUTDOWN`.
    pub(crate) fn acknowledged(&mut self, now: Time, conn: Conn, offset: u64, out: &mut Vec<Output>) {
        let Some(link) = self.clients.get_mut(&conn).and_then(|client| client.replica.as_mut()) else { return };
        link.acked = link.acked.max(offset);
        link.acked_at = now;
        let waits: Vec<(Conn, i64, u64)> = self
            .blocked
            .iter()
            .filter_map(|(conn, blocked)| match blocked.wait {
                Wait::Replicas { count, offset } => Some((*conn, count, offset)),
                _ => None,
            })
            .collect();
        for (conn, count, offset) in waits {
            let reached = self.replicas_at(offset);
            if reached >= count {
                self.unblock(conn, Some(Reply::Int(reached)), false, out);
            }
        }
        self.check_shutdown(now, out);
    }

    /// Closes the links of all replicas, so that they ask again how to go on.
    pub(crate) fn disconnect_replicas(&mut self, now: Time, out: &mut Vec<Output>) {
        for conn in self.repl.replicas.clone() {
            self.close(now, conn, out);
        }
    }

    /// When a replica that stays silent is given up.
    pub(crate) fn silent_replica_deadline(&self) -> Time {
        let timeout = self.config.repl_timeout;
        self.online_replicas().filter(|link| !link.old).map(|link| link.acked_at + timeout).min().unwrap_or(Time::NEVER)
    }

    /// Gives up replicas that were silent for too long.
    pub(crate) fn drop_silent_replicas(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.silent_replica_deadline() > now {
            return;
        }
        for conn in self.repl.replicas.clone() {
            let link = self.clients.get(&conn).and_then(|client| client.replica.as_ref());
            let silent = |link: &crate::client::ReplicaLink| {
                link.snapshot_due.is_none() && !link.old && link.acked_at + self.config.repl_timeout <= now
            };
            if link.is_some_and(silent) {
                self.close(now, conn, out);
            }
        }
    }

    /// When the next waiting snapshot is due.
    pub(crate) fn snapshot_deadline(&self) -> Time {
        let due = |conn: &Conn| self.clients.get(conn)?.replica.as_ref()?.snapshot_due;
        self.repl.replicas.iter().filter_map(due).min().unwrap_or(Time::NEVER)
    }

    /// True if every replica has acknowledged everything.
    pub(crate) fn replicas_are_level(&self) -> bool {
        let level = |conn: &Conn| {
            self.clients
                .get(conn)
                .and_then(|client| client.replica.as_ref())
                .is_none_or(|l| l.acked == self.repl.offset)
        };
        self.repl.replicas.iter().all(level)
    }

    /// Ends the process if `SHUTDOWN` waits and need not wait any longer.
    pub(crate) fn check_shutdown(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.shutdown_by.is_some_and(|by| by <= now || self.replicas_are_level()) {
            self.exit(out);
        }
    }

    pub(crate) fn exit(&mut self, out: &mut Vec<Output>) {
        if !self.ended {
            self.ended = true;
            out.push(Output::Exit);
        }
    }
}

/// Difference of two moments in whole seconds of the clock, which is how Redis measures a lag.
pub(crate) fn seconds_between(earlier: Time, later: Time) -> u64 {
    let seconds = |time: Time| time.since(Time::ZERO).as_secs();
    seconds(later).saturating_sub(seconds(earlier))
}
