//! `MULTI`, `EXEC`, `DISCARD`, `WATCH`.

use bytes::Bytes;
use model::{Conn, Reply};

use crate::client::Transaction;
use crate::dispatch::{Answer, Call, OK, Outcome};
use crate::node::Node;

impl Node {
    /// A key was changed: who watches it will not get his transaction.
    pub(crate) fn touch(&mut self, key: &(usize, Bytes)) {
        for conn in self.watchers.get(key).into_iter().flatten() {
            if let Some(client) = self.clients.get_mut(conn) {
                client.watch_broken = true;
            }
        }
    }

    pub(crate) fn unwatch(&mut self, conn: Conn) {
        let Some(client) = self.clients.get_mut(&conn) else { return };
        client.watch_broken = false;
        for key in std::mem::take(&mut client.watched) {
            if let Some(conns) = self.watchers.get_mut(&key) {
                conns.retain(|other| *other != conn);
                if conns.is_empty() {
                    self.watchers.remove(&key);
                }
            }
        }
    }
}

pub(crate) fn multi(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let Some(client) = node.clients.get_mut(&call.conn) else { return OK };
    if client.transaction.is_some() {
        return Err("ERR MULTI calls can not be nested".into());
    }
    client.transaction = Some(Transaction::default());
    OK
}

pub(crate) fn discard(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let Some(client) = node.clients.get_mut(&call.conn) else { return OK };
    if client.transaction.take().is_none() {
        return Err("ERR DISCARD without MULTI".into());
    }
    node.unwatch(call.conn);
    OK
}

pub(crate) fn exec(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let unix = node.config.unix_millis(call.now);
    let Some(client) = node.clients.get_mut(&call.conn) else { return OK };
    let Some(transaction) = client.transaction.take() else {
        return Err("ERR EXEC without MULTI".into());
    };
    // A watched key whose time is over counts as changed, unless it was over when the watch began.
    let expired = |(db, key): &(usize, Bytes)| node.data.0[*db].expires_at(key).is_some_and(|at| at < unix);
    let broken = client.watch_broken || client.watched.iter().any(expired);
    node.unwatch(call.conn);
    if transaction.failed {
        return Err("EXECABORT Transaction discarded because of previous errors.".into());
    }
    if broken {
        return Ok(Reply::NullArray.into());
    }
    Ok(Answer::Sent(node.run_transaction(call, transaction)))
}

pub(crate) fn watch(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let Some(client) = node.clients.get_mut(&call.conn) else { return OK };
    if client.transaction.is_some() {
        return Err("ERR WATCH inside MULTI is not allowed".into());
    }
    for key in &call.command.0[1..] {
        let key = (client.db, key.clone());
        if !client.watched.contains(&key) {
            client.watched.push(key.clone());
            node.watchers.entry(key).or_default().push(call.conn);
        }
    }
    OK
}

pub(crate) fn unwatch(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    node.unwatch(call.conn);
    OK
}
