//! `REPLICAOF`: a replica becomes a master, or a node a replica of another.

use model::{Addr, Output, Time};

use super::replica::Upstream;
use crate::node::Node;

impl Node {
    /// `REPLICAOF NO ONE`
    pub(crate) fn promote(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.is_master() {
            return;
        }
        self.abandon_link(now, out);
        self.repl.upstream = None;
        // The replicas must learn the new id, which they do by asking how to go on.
        self.disconnect_replicas(now, out);
        let old = self.repl.id.clone();
        self.repl.begin_history();
        self.repl.second = Some((old, self.repl.offset + 1));
        self.repl.selected = None;
        self.note_role(out);
    }

    /// `REPLICAOF host port`, of another master than the present one.
    pub(crate) fn demote(&mut self, now: Time, master: Addr, out: &mut Vec<Output>) {
        let was_master = self.is_master();
        self.abandon_link(now, out);
        self.dismiss_blocked(now, out);
        let before = self.repl.upstream.take();
        let mut upstream = Upstream::new(master, now);
        if was_master {
            // What it wrote itself is a place in a history too: the new master may let it go on from there.
            self.repl.ensure_backlog(self.config.backlog_size);
            upstream.resumable = true;
            upstream.stream.db = self.repl.selected.unwrap_or(0);
        } else if let Some(before) = before {
            upstream.resumable = before.resumable;
            upstream.down_since = before.down_since;
            upstream.stream.db = before.stream.db;
        }
        self.repl.upstream = Some(upstream);
        self.repl.selected = None;
        self.note_role(out);
        if !self.is_loading(now) {
            self.dial(now, out);
        }
    }
}
