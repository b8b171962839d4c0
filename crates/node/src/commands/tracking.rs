//! `CLIENT TRACKING`: clients that keep what they read are told when it changes.

use bytes::Bytes;
use model::tracking::{self, Tracked, Tracking};
use model::{Conn, Output, Reply};

use crate::dispatch::{Answer, Call, OK, Outcome};
use crate::node::Node;

/// Where invalidations go on RESP2 connections.
const CHANNEL: &str = "__redis__:invalidate";

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

    /// Notes that keys were changed by `writer`; those who read them are told by [`Node::send_invalidations`].
    pub(crate) fn invalidate<'a>(&mut self, keys: impl Iterator<Item = &'a Bytes>) {
        for key in keys {
            for conn in self.tracked.remove(key).unwrap_or_default() {
                self.invalid.push((conn, Some(key.clone())));
            }
            for (conn, client) in &self.clients {
                let Some(tracking) = &client.tracking else { continue };
                let watches = tracking.prefixes.iter().any(|prefix| key.starts_with(prefix));
                let sent = |told: &(Conn, Option<Bytes>)| told.0 == *conn && told.1.as_ref() == Some(key);
                if tracking.mode == Tracked::Broadcast && watches && !self.invalid.iter().any(sent) {
                    self.invalid.push((*conn, Some(key.clone())));
                }
            }
        }
    }

    /// Everything is gone, by `FLUSHALL` or a resynchronisation.
    pub(crate) fn invalidate_everything(&mut self) {
        self.tracked.clear();
        let tracking = self.clients.iter().filter(|(_, client)| client.tracking.is_some());
        self.invalid.extend(tracking.map(|(conn, _)| (*conn, None)));
    }

    /// Tells what became invalid, after the reply to the command that changed it. `writer` made the changes.
    pub(crate) fn send_invalidations(&mut self, writer: Option<Conn>, out: &mut Vec<Output>) {
        for (conn, key) in std::mem::take(&mut self.invalid) {
            let Some(client) = self.clients.get(&conn) else { continue };
            let Some(tracking) = &client.tracking else { continue };
            if tracking.no_loop && writer == Some(conn) && key.is_some() {
                continue;
            }
            let keys = key.map_or(Reply::Null, |key| Reply::Array(vec![Reply::Bulk(key)]));
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
                continue;
            };
            let push = if receiver.resp == 3 {
                Reply::Push(vec![Reply::word("invalidate"), keys])
            } else if receiver.subscriptions() > 0 && to != conn {
                Reply::Push(vec![Reply::word("message"), Reply::word(CHANNEL), keys])
            } else {
                continue;
            };
            self.say(to, push, out);
        }
    }

    pub(crate) fn stop_tracking(&mut self, conn: Conn) {
        if self.clients.get_mut(&conn).and_then(|client| client.tracking.take()).is_some() {
            self.tracking -= 1;
            self.tracked.retain(|_, readers| {
                readers.remove(&conn);
                !readers.is_empty()
            });
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
