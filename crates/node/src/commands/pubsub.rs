//! Publish/subscribe. What is published on a master also reaches the subscribers of its replicas.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::{Command, Conn, Frame, Output, Reply};

use crate::args::{glob, wrong_subcommand};
use crate::dispatch::{Answer, Call, Outcome};
use crate::node::Node;

impl Node {
    /// Delivers a message to the subscribers of this node; how many there are.
    pub(crate) fn deliver(&self, channel: &Bytes, message: &Bytes, out: &mut Vec<Output>) -> i64 {
        let mut receivers = 0;
        let (name, text) = (Reply::Bulk(channel.clone()), Reply::Bulk(message.clone()));
        for conn in self.channels.get(channel).into_iter().flatten() {
            let push = Reply::Push(vec![Reply::word("message"), name.clone(), text.clone()]);
            out.push(Output::Send(*conn, Frame::Reply(push)));
            receivers += 1;
        }
        for (pattern, conns) in &self.patterns {
            if !glob(pattern, channel) {
                continue;
            }
            for conn in conns {
                let matched = Reply::Bulk(pattern.clone());
                let push = Reply::Push(vec![Reply::word("pmessage"), matched, name.clone(), text.clone()]);
                out.push(Output::Send(*conn, Frame::Reply(push)));
                receivers += 1;
            }
        }
        receivers
    }

    /// Ends every subscription of a connection that goes away or is reset.
    pub(crate) fn unsubscribe_everything(&mut self, conn: Conn) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        for channel in std::mem::take(&mut client.channels) {
            remove(&mut self.channels, &channel, conn);
        }
        for pattern in std::mem::take(&mut client.patterns) {
            remove(&mut self.patterns, &pattern, conn);
        }
    }

    fn subscribe(&mut self, conn: Conn, kind: Kind, name: &Bytes) -> Reply {
        let Some(client) = self.clients.get_mut(&conn) else { return Reply::Null };
        let (own, all) = match kind {
            Kind::Channel => (&mut client.channels, &mut self.channels),
            Kind::Pattern => (&mut client.patterns, &mut self.patterns),
        };
        if own.insert(name.clone()) {
            all.entry(name.clone()).or_default().push(conn);
        }
        let word = if kind == Kind::Channel { "subscribe" } else { "psubscribe" };
        let count = Reply::Int(client.subscriptions() as i64);
        Reply::Push(vec![Reply::word(word), Reply::Bulk(name.clone()), count])
    }

    fn unsubscribe(&mut self, conn: Conn, kind: Kind, name: Option<&Bytes>) -> Reply {
        let Some(client) = self.clients.get_mut(&conn) else { return Reply::Null };
        let (own, all) = match kind {
            Kind::Channel => (&mut client.channels, &mut self.channels),
            Kind::Pattern => (&mut client.patterns, &mut self.patterns),
        };
        if let Some(name) = name
            && own.remove(name)
        {
            remove(all, name, conn);
        }
        let word = if kind == Kind::Channel { "unsubscribe" } else { "punsubscribe" };
        let count = Reply::Int(client.subscriptions() as i64);
        Reply::Push(vec![Reply::word(word), name.map_or(Reply::Null, |name| Reply::Bulk(name.clone())), count])
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Channel,
    Pattern,
}

fn remove(all: &mut BTreeMap<Bytes, Vec<Conn>>, name: &Bytes, conn: Conn) {
    if let Some(conns) = all.get_mut(name) {
        conns.retain(|other| *other != conn);
        if conns.is_empty() {
            all.remove(name);
        }
    }
}

/// One confirmation a channel: the last is the reply, the others go out before it.
fn confirm(node: &mut Node, call: &mut Call<'_>, mut confirmations: Vec<Reply>) -> Outcome {
    let last = confirmations.pop().unwrap_or(Reply::Null);
    for confirmation in confirmations {
        node.send(call.conn, confirmation, call.out);
    }
    Ok(Answer::Reply(last))
}

pub(crate) fn subscribe(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let names = &call.command.0[1..];
    let confirmations = names.iter().map(|name| node.subscribe(call.conn, Kind::Channel, name)).collect();
    confirm(node, call, confirmations)
}

pub(crate) fn psubscribe(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let names = &call.command.0[1..];
    let confirmations = names.iter().map(|name| node.subscribe(call.conn, Kind::Pattern, name)).collect();
    confirm(node, call, confirmations)
}

fn leave(node: &mut Node, call: &mut Call<'_>, kind: Kind) -> Outcome {
    let mut names = call.args()[1..].to_vec();
    if names.is_empty()
        && let Some(client) = node.clients.get(&call.conn)
    {
        let own = if kind == Kind::Channel { &client.channels } else { &client.patterns };
        names = own.iter().cloned().collect();
    }
    let mut confirmations: Vec<Reply> =
        names.iter().map(|name| node.unsubscribe(call.conn, kind, Some(name))).collect();
    if confirmations.is_empty() {
        confirmations.push(node.unsubscribe(call.conn, kind, None));
    }
    confirm(node, call, confirmations)
}

pub(crate) fn unsubscribe(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    leave(node, call, Kind::Channel)
}

pub(crate) fn punsubscribe(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    leave(node, call, Kind::Pattern)
}

pub(crate) fn publish(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let (channel, message) = (&call.command.0[1], &call.command.0[2]);
    let receivers = node.deliver(channel, message, call.out);
    let db = node.clients.get(&call.conn).map_or(0, |client| client.db);
    let command = Command::of(&["PUBLISH"]).arg(channel.clone()).arg(message.clone());
    node.changes.push((db, command));
    Ok(Reply::Int(receivers).into())
}

pub(crate) fn list_channels(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.args();
    if args.len() > 3 {
        return Err(wrong_subcommand("PUBSUB", &args[1]));
    }
    let pattern = args.get(2);
    let names = node.channels.keys().filter(|name| pattern.is_none_or(|pattern| glob(pattern, name)));
    Ok(Reply::Array(names.cloned().map(Reply::Bulk).collect()).into())
}

pub(crate) fn numsub(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let mut counts = Vec::new();
    for name in &call.args()[2..] {
        counts.push(Reply::Bulk(name.clone()));
        counts.push(Reply::Int(node.channels.get(name).map_or(0, Vec::len) as i64));
    }
    Ok(Reply::Array(counts).into())
}

pub(crate) fn numpat(node: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int(node.patterns.len() as i64).into())
}
