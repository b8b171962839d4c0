//! `CLIENT TRACKING`: clients that keep what they read are told when it changes.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::tracking::{self, Tracked, Tracking};
use model::{Conn, Output, Reply, Time};

use crate::client::Client;
use crate::dispatch::{Answer, Call, OK, Outcome};
use crate::node::Node;

/// Where invalidations go on RESP2 connections.
const CHANNEL: &str = "__redis__:invalidate";

/// Who must hear of a change.
#[derive(Clone, Debug)]
pub(crate) enum Invalid {
    /// Who has read the key, and whether its time was over.
    Read(Conn, Bytes, bool),
    /// Who tracks anything: everything is gone.
    Everything(Conn),
    /// Whoever tracks a prefix of the key, whose time may have been over.
    Prefixed(Bytes, bool),
}

/// What those who track prefixes hear at the end of a pass of the event loop.
#[derive(Debug)]
pub(crate) struct Broadcasts {
    /// The keys of each prefix, with who changed them first.
    keys: BTreeMap<Bytes, BTreeMap<Bytes, Option<Conn>>>,
    /// The end of the pass; [`Time::NEVER`] if there is nothing to tell.
    pub(crate) due: Time,
}

impl Default for Broadcasts {
    fn default() -> Self {
        Self { keys: BTreeMap::new(), due: Time::NEVER }
    }
}

impl Broadcasts {
    /// What there is to tell is told in the pass of `now`, or of when it came up.
    pub(crate) fn schedule(&mut self, now: Time) {
        self.due = if self.keys.is_empty() { Time::NEVER } else { self.due.min(now) };
    }
}

impl Node {
    /// Remembers which keys a connection has read.
    pub(crate) fn remember_reads<'a>(&mut self, conn: Conn, keys: impl Iterator<Item = &'a Bytes>) {
        let Some(tracking) = self.clients.get(&conn).and_then(|client| client.tracking.as_ref()) else { return };
        let wanted = match tracking.mode {
            Tracked::Broadcast => false,
            Tracked::Read => true,
            Tracked::OptIn => tracking.caching,
            Tracked::OptOut => !tracking.caching,
        };
        if !wanted {
            return;
        }
        for key in keys {
            self.tracked.entry(key.clone()).or_default().insert(conn);
        }
    }

    /// Notes that a key was changed, or is gone `by_time`, which is nobody's own change; those who track it are told by
    /// [`Node::send_invalidations`].
    pub(crate) fn invalidate(&mut self, key: &Bytes, by_time: bool) {
        let readers = self.tracked.remove(key).unwrap_or_default();
        self.invalid.extend(readers.into_iter().map(|conn| Invalid::Read(conn, key.clone(), by_time)));
        self.invalid.push(Invalid::Prefixed(key.clone(), by_time));
    }

    /// Everything is gone, by `FLUSHALL` or a resynchronisation.
    pub(crate) fn invalidate_everything(&mut self) {
        self.tracked.clear();
        let tracking = self.clients.iter().filter(|(_, client)| client.tracking.is_some());
        self.invalid.extend(tracking.map(|(conn, _)| Invalid::Everything(*conn)));
    }

    /// Tells what became invalid, after the reply to the command that changed it. `writer` made the changes. Who tracks
    /// prefixes is told later, by [`Node::broadcast`].
    pub(crate) fn send_invalidations(&mut self, writer: Option<Conn>, out: &mut Vec<Output>) {
        for invalid in std::mem::take(&mut self.invalid) {
            match invalid {
                Invalid::Everything(conn) => self.tell_invalid(conn, Reply::Null, out),
                Invalid::Read(conn, key, by_time) => {
                    let own = !by_time && writer == Some(conn);
                    if !of(self, conn).is_some_and(|tracking| tracking.no_loop && own) {
                        self.tell_invalid(conn, Reply::Array(vec![Reply::Bulk(key)]), out);
                    }
                }
                Invalid::Prefixed(key, by_time) => {
                    let writer = writer.filter(|_| !by_time);
                    let tracking = self.clients.values().filter_map(|client| client.tracking.as_ref());
                    for prefix in tracking.flat_map(|tracking| &tracking.prefixes) {
                        if key.starts_with(prefix) {
                            let keys = self.broadcasts.keys.entry(prefix.clone()).or_default();
                            keys.entry(key.clone()).or_insert(writer);
                        }
                    }
                }
            }
        }
    }

    /// Tells everybody who tracks a prefix which of its keys were changed.
    pub(crate) fn broadcast(&mut self, out: &mut Vec<Output>) {
        self.broadcasts.due = Time::NEVER;
        for (prefix, keys) in std::mem::take(&mut self.broadcasts.keys) {
            let of_prefix = |(conn, client): (&Conn, &Client)| {
                let tracking = client.tracking.as_ref()?;
                tracking.prefixes.contains(&prefix).then_some((*conn, tracking.no_loop))
            };
            let receivers: Vec<(Conn, bool)> = self.clients.iter().filter_map(of_prefix).collect();
            for (conn, no_loop) in receivers {
                let of_others = keys.iter().filter(|(_, writer)| !no_loop || **writer != Some(conn));
                let keys: Vec<Reply> = of_others.map(|(key, _)| Reply::Bulk(key.clone())).collect();
                if !keys.is_empty() {
                    self.tell_invalid(conn, Reply::Array(keys), out);
                }
            }
        }
    }

    /// Tells a connection that tracks, or the one that hears it for that, what is invalid.
    fn tell_invalid(&mut self, conn: Conn, keys: Reply, out: &mut Vec<Output>) {
        let Some(client) = self.clients.get(&conn) else { return };
        let Some(tracking) = &client.tracking else { return };
        let target = match tracking.redirect {
            None => Some((conn, client)),
            Some(id) => self.clients.iter().find(|(_, other)| other.id == id).map(|(conn, other)| (*conn, other)),
        };
        let Some((to, receiver)) = target else {
            if client.resp == 3 {
                let id = Reply::Int(tracking::redirect(Some(tracking)));
                let broken = Reply::Push(vec![Reply::word("tracking-redir-broken"), id]);
                self.say(conn, broken, out);
            }
            if let Some(tracking) = self.clients.get_mut(&conn).and_then(|client| client.tracking.as_mut()) {
                tracking.broken = true;
            }
            return;
        };
        let push = if receiver.resp == 3 {
            Reply::Push(vec![Reply::word("invalidate"), keys])
        } else if receiver.subscriptions() > 0 && to != conn {
            Reply::Push(vec![Reply::word("message"), Reply::word(CHANNEL), keys])
        } else {
            return;
        };
        self.say(to, push, out);
    }

    pub(crate) fn stop_tracking(&mut self, conn: Conn) {
        if self.clients.get_mut(&conn).and_then(|client| client.tracking.take()).is_some() {
            self.tracking -= 1;
            self.tracked.retain(|_, readers| {
                readers.remove(&conn);
                !readers.is_empty()
            });
            // A prefix that nobody tracks any more is forgotten with its keys.
            let tracked = |prefix: &Bytes| {
                let mut tracking = self.clients.values().filter_map(|client| client.tracking.as_ref());
                tracking.any(|tracking| tracking.prefixes.contains(prefix))
            };
            self.broadcasts.keys.retain(|prefix, _| tracked(prefix));
        }
    }
}

pub(crate) fn tracking(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let Some(client) = node.clients.get(&call.conn) else { return Ok(Answer::Silent) };
    let is_client = |id| node.clients.values().any(|client| client.id == id);
    let Some(tracking) = tracking::switch(client.tracking.as_ref(), &call.args()[2..], is_client)? else {
        node.stop_tracking(call.conn);
        return OK;
    };
    if let Some(client) = node.clients.get_mut(&call.conn) {
        node.tracking += usize::from(client.tracking.replace(tracking).is_none());
    }
    OK
}

pub(crate) fn caching(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let tracking = node.clients.get_mut(&call.conn).and_then(|client| client.tracking.as_mut());
    tracking::caching(tracking, &call.args()[2])?;
    OK
}

fn of(node: &Node, conn: Conn) -> Option<&Tracking> {
    node.clients.get(&conn)?.tracking.as_ref()
}

pub(crate) fn getredir(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int(tracking::redirect(of(node, call.conn))).into())
}

pub(crate) fn trackinginfo(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    Ok(tracking::info(of(node, call.conn)).into())
}
