//! Publish/subscribe. What is published on a master also reaches the subscribers of its replicas.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use model::{Conn, Output, Reply};

use crate::args::{glob, wrong_subcommand};
use crate::client::Client;
use crate::dispatch::{Answer, Call, Outcome, Within};
use crate::node::Node;

impl Node {
    /// Delivers a message to the subscribers of this node; how many there are.
    pub(crate) fn deliver(&mut self, channel: &Bytes, message: &Bytes, out: &mut Vec<Output>) -> i64 {
        let receivers = self.deliver_to(Kind::Channel, channel, message, out);
        let matching = self.patterns.iter().filter(|(pattern, _)| glob(pattern, channel));
        let pushes: Vec<(Conn, Reply)> = matching
            .flat_map(|(pattern, conns)| {
                let parts = [pattern, channel, message].map(|part| Reply::Bulk(part.clone()));
                let push = Reply::Push([Reply::word("pmessage")].into_iter().chain(parts).collect());
                conns.iter().map(move |conn| (*conn, push.clone()))
            })
            .collect();
        let matched = pushes.len() as i64;
        for (conn, push) in pushes {
            self.say(conn, push, out);
        }
        receivers + matched
    }

    /// The same of a sharded channel.
    pub(crate) fn deliver_sharded(&mut self, channel: &Bytes, message: &Bytes, out: &mut Vec<Output>) -> i64 {
        self.deliver_to(Kind::Shard, channel, message, out)
    }

    fn deliver_to(&mut self, kind: Kind, channel: &Bytes, message: &Bytes, out: &mut Vec<Output>) -> i64 {
        let (all, word) = match kind {
            Kind::Shard => (&self.shards, "smessage"),
            Kind::Channel | Kind::Pattern => (&self.channels, "message"),
        };
        let conns = all.get(channel).cloned().unwrap_or_default();
        for conn in &conns {
            let push = Reply::Push(vec![Reply::word(word), Reply::Bulk(channel.clone()), Reply::Bulk(message.clone())]);
            self.say(*conn, push, out);
        }
        conns.len() as i64
    }

    /// Ends every subscription of a connection that goes away or is reset.
    pub(crate) fn unsubscribe_everything(&mut self, conn: Conn) {
        for kind in [Kind::Channel, Kind::Pattern, Kind::Shard] {
            let Some((own, all)) = self.subscribed(conn, kind) else { return };
            for name in std::mem::take(own) {
                remove(all, &name, conn);
            }
        }
    }

    /// What a connection is subscribed to, and who is subscribed to what.
    fn subscribed(&mut self, conn: Conn, kind: Kind) -> Option<(&mut BTreeSet<Bytes>, &mut Subscribers)> {
        let client = self.clients.get_mut(&conn)?;
        Some(match kind {
            Kind::Channel => (&mut client.channels, &mut self.channels),
            Kind::Pattern => (&mut client.patterns, &mut self.patterns),
            Kind::Shard => (&mut client.shards, &mut self.shards),
        })
    }

    /// How many subscriptions are left, as the confirmation says: sharded channels are counted apart.
    fn subscriptions(&self, conn: Conn, kind: Kind) -> Reply {
        let count = |client: &Client| match kind {
            Kind::Shard => client.shards.len(),
            Kind::Channel | Kind::Pattern => client.channels.len() + client.patterns.len(),
        };
        Reply::Int(self.clients.get(&conn).map_or(0, count) as i64)
    }

    fn subscribe(&mut self, conn: Conn, kind: Kind, name: &Bytes) -> Reply {
        let Some((own, all)) = self.subscribed(conn, kind) else { return Reply::Null };
        if own.insert(name.clone()) {
            all.entry(name.clone()).or_default().push(conn);
        }
        let word = match kind {
            Kind::Channel => "subscribe",
            Kind::Pattern => "psubscribe",
            Kind::Shard => "ssubscribe",
        };
        Reply::Push(vec![Reply::word(word), Reply::Bulk(name.clone()), self.subscriptions(conn, kind)])
    }

    fn unsubscribe(&mut self, conn: Conn, kind: Kind, name: Option<&Bytes>) -> Reply {
        let Some((own, all)) = self.subscribed(conn, kind) else { return Reply::Null };
        if let Some(name) = name
            && own.remove(name)
        {
            remove(all, name, conn);
        }
        let word = match kind {
            Kind::Channel => "unsubscribe",
            Kind::Pattern => "punsubscribe",
            Kind::Shard => "sunsubscribe",
        };
        let name = name.map_or(Reply::Null, |name| Reply::Bulk(name.clone()));
        Reply::Push(vec![Reply::word(word), name, self.subscriptions(conn, kind)])
    }
}

/// Who is subscribed to what.
type Subscribers = BTreeMap<Bytes, Vec<Conn>>;

#[derive(Clone, Copy)]
enum Kind {
    Channel,
    Pattern,
    Shard,
}

fn remove(all: &mut Subscribers, name: &Bytes, conn: Conn) {
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

fn join(node: &mut Node, call: &mut Call<'_>, kind: Kind) -> Outcome {
    let names = &call.command.0[1..];
    let confirmations = names.iter().map(|name| node.subscribe(call.conn, kind, name)).collect();
    confirm(node, call, confirmations)
}

pub(crate) fn subscribe(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    join(node, call, Kind::Channel)
}

pub(crate) fn psubscribe(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    join(node, call, Kind::Pattern)
}

pub(crate) fn ssubscribe(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    if call.within != Within::Nothing {
        return Err("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client".into());
    }
    join(node, call, Kind::Shard)
}

fn leave(node: &mut Node, call: &mut Call<'_>, kind: Kind) -> Outcome {
    let mut names = call.args()[1..].to_vec();
    if names.is_empty()
        && let Some((own, _)) = node.subscribed(call.conn, kind)
    {
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

pub(crate) fn sunsubscribe(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    leave(node, call, Kind::Shard)
}

pub(crate) fn publish(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let (channel, message) = (&call.command.0[1], &call.command.0[2]);
    let receivers = node.deliver(channel, message, call.out);
    propagate(node, call);
    Ok(Reply::Int(receivers).into())
}

pub(crate) fn spublish(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let (channel, message) = (&call.command.0[1], &call.command.0[2]);
    let receivers = node.deliver_sharded(channel, message, call.out);
    propagate(node, call);
    Ok(Reply::Int(receivers).into())
}

/// What is published reaches the subscribers of replicas too.
fn propagate(node: &mut Node, call: &Call<'_>) {
    let db = node.clients.get(&call.conn).map_or(0, |client| client.db);
    node.changes.push((db, call.command.clone()));
}

/// Those that match a pattern, if there is one.
fn list(all: &Subscribers, args: &[Bytes]) -> Outcome {
    if args.len() > 3 {
        return Err(wrong_subcommand("PUBSUB", &args[1]));
    }
    let pattern = args.get(2);
    let names = all.keys().filter(|name| pattern.is_none_or(|pattern| glob(pattern, name)));
    Ok(Reply::Array(names.cloned().map(Reply::Bulk).collect()).into())
}

pub(crate) fn list_channels(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    list(&node.channels, call.args())
}

pub(crate) fn list_shards(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    list(&node.shards, call.args())
}

/// How many are subscribed to each.
fn counts(all: &Subscribers, names: &[Bytes]) -> Outcome {
    let count = |name: &Bytes| Reply::Int(all.get(name).map_or(0, Vec::len) as i64);
    let counts = names.iter().flat_map(|name| [Reply::Bulk(name.clone()), count(name)]);
    Ok(Reply::Array(counts.collect()).into())
}

pub(crate) fn numsub(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    counts(&node.channels, &call.args()[2..])
}

pub(crate) fn shardnumsub(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    counts(&node.shards, &call.args()[2..])
}

pub(crate) fn numpat(node: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int(node.patterns.len() as i64).into())
}
