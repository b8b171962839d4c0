//! The commands of replication: `PSYNC`, `REPLCONF`, `REPLICAOF`, `ROLE`, `WAIT`.

use bytes::Bytes;
use model::{Addr, Command, Frame, Output, Reply, RunId};

use super::replica::LinkState;
use crate::args::{SYNTAX, int, is, number, parse_int, text};
use crate::blocking::{Blocked, Wait};
use crate::client::{Capabilities, ReplicaLink};
use crate::dispatch::{Answer, Call, OK, Outcome, Within};
use crate::node::Node;

pub(crate) fn replicaof(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.args();
    if is(&args[1], "NO") && is(&args[2], "ONE") {
        node.promote(call.now, call.out);
        return OK;
    }
    if node.clients.get(&call.conn).is_some_and(|client| client.replica.is_some()) {
        return Err("ERR Command is not valid when client is a replica.".into());
    }
    let port = parse_int(&args[2]).and_then(|port| u16::try_from(port).ok()).ok_or("ERR Invalid master port")?;
    let master = Addr::new(&text(&args[1]), port);
    if node.master_addr() == Some(&master) {
        return Ok(Reply::Simple("OK Already connected to specified master".into()).into());
    }
    node.demote(call.now, master, call.out);
    OK
}

pub(crate) fn replconf(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    if call.args().len().is_multiple_of(2) {
        return Err(SYNTAX);
    }
    for pair in call.command.0[1..].chunks_exact(2) {
        let [option, value] = pair else { continue };
        let Some(client) = node.clients.get_mut(&call.conn) else { continue };
        match () {
            () if is(option, "listening-port") => client.listening_port = int(value)? as u16,
            () if is(option, "ip-address") => client.announced_host = Some(value.clone()),
            () if is(option, "capa") => {
                client.capabilities.eof |= is(value, "eof");
                client.capabilities.psync2 |= is(value, "psync2");
                client.capabilities.lineage |= is(value, "lineage");
            }
            // What a snapshot is to hold; this one always holds everything.
            () if is(option, "rdb-only") => {
                if !(0..=1).contains(&int(value)?) {
                    return Err("ERR value is out of range, value must between 0 and 1".into());
                }
            }
            () if is(option, "rdb-filter-only") => {
                client.filters = true;
                if let Some(other) = text(value).split_ascii_whitespace().find(|word| *word != "functions") {
                    return Err(format!("ERR Unsupported rdb-filter-only option: {other}").into());
                }
            }
            () if is(option, "ack") => {
                if let Some(offset) = parse_int(value) {
                    node.acknowledged(call.now, call.conn, offset.max(0) as u64, call.out);
                }
                return Ok(Answer::Silent);
            }
            () if is(option, "getack") => {
                node.acknowledge(call.out);
                return Ok(Answer::Silent);
            }
            () => return Err(format!("ERR Unrecognized REPLCONF option: {}", text(option)).into()),
        }
    }
    OK
}

/// Grants what is missing if it is at hand, else a snapshot; to `SYNC`, which names no history, always that.
pub(crate) fn psync(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let command = call.command;
    let old = command.len() == 1;
    let args = if old { &[Bytes::new(), "?".into(), "-1".into()] } else { &command.0[..] };
    let id = text(&args[1]);
    if node.monitors.contains(&call.conn) || node.clients.get(&call.conn).is_none_or(|client| client.replica.is_some())
    {
        return Ok(Answer::Silent);
    }
    // The master hands over, and asks its successor for what it has missed.
    if args.get(3).is_some_and(|word| is(word, "FAILOVER")) {
        if node.is_master() {
            return Err("ERR PSYNC FAILOVER can't be sent to a master.".into());
        }
        if !id.eq_ignore_ascii_case(node.repl.id.as_str()) {
            return Err("ERR PSYNC FAILOVER replid must match my replid.".into());
        }
        node.promote(call.now, call.out);
    }
    let Some(client) = node.clients.get(&call.conn) else { return Ok(Answer::Silent) };
    if !node.is_master() && !node.link_up() {
        return Err("NOMASTERLINK Can't SYNC while not connected with my master".into());
    }
    if client.filters && !client.capabilities.eof {
        return Err("ERR Filtered replica requires EOF capability".into());
    }
    let from = int(&args[2])?;
    let host = client.announced_host.as_ref().map_or_else(|| client.from.host.to_string(), |host| text(host).into());
    let addr = Addr::new(&host, client.listening_port);
    let capabilities = client.capabilities;
    let asks_for_part = !id.starts_with('?');
    let id = RunId::parse(&id.to_ascii_lowercase());
    let next = u64::try_from(from).ok().filter(|next| *next > 0);
    let missing = match (&id, next) {
        (Some(id), Some(next)) if node.grants(id, next) => {
            let backlog = node.repl.backlog.as_ref();
            backlog.and_then(|backlog| backlog.after(next - 1)).map(|rest| rest.cloned().collect::<Vec<Command>>())
        }
        _ => None,
    };
    let conn = call.conn;
    let mut link = ReplicaLink { addr, snapshot_due: None, old, acked: 0, acked_at: call.now };
    let Some(missing) = missing else {
        if asks_for_part {
            node.stats.sync_partial_err += 1;
        }
        node.stats.sync_full += 1;
        if node.repl.backlog.is_none() && node.is_master() {
            // Nothing was counted while nobody listened, so a place in the old history would mean nothing.
            node.repl.begin_history();
            node.repl.second = None;
            node.repl.ensure_backlog(node.config.backlog_size);
        }
        let delay = node.config.diskless_sync_delay;
        link.snapshot_due = Some(node.snapshot_deadline().min(call.now + delay));
        node.attach(conn, link);
        if delay.is_zero() {
            node.send_snapshots(call.now, call.out);
        }
        return Ok(Answer::Silent);
    };
    node.stats.sync_partial_ok += 1;
    node.attach(conn, link);
    let Capabilities { psync2, lineage, .. } = capabilities;
    let mut answer = String::from("CONTINUE");
    if psync2 {
        answer.push(' ');
        answer.push_str(node.repl.id.as_str());
    }
    if lineage && id.as_ref() != Some(&node.repl.id) {
        answer.push(' ');
        answer.push_str(&node.repl.lineage_text());
    }
    call.out.push(Output::Send(conn, Frame::Reply(Reply::Simple(answer.into()))));
    call.out.extend(missing.into_iter().map(|command| Output::Send(conn, Frame::Command(command))));
    node.count_good_replicas(call.now);
    Ok(Answer::Silent)
}

impl Node {
    /// True if the history `id` up to the byte before `next` is part of this node's.
    fn grants(&self, id: &RunId, next: u64) -> bool {
        *id == self.repl.id || self.repl.second.as_ref().is_some_and(|(second, end)| id == second && next <= *end)
    }

    fn attach(&mut self, conn: model::Conn, link: ReplicaLink) {
        if let Some(client) = self.clients.get_mut(&conn) {
            client.replica = Some(link);
            self.repl.replicas.push(conn);
        }
    }
}

#[allow(clippy::unnecessary_wraps)] // Handlers share a signature.
pub(crate) fn role(node: &mut Node, _: &mut Call<'_>) -> Outcome {
    let Some(upstream) = &node.repl.upstream else {
        let replicas = node.online_replicas().map(|link| {
            let acked = Reply::Bulk(number(link.acked));
            Reply::Array(vec![Reply::host(&link.addr), Reply::port(&link.addr), acked])
        });
        let replicas = Reply::Array(replicas.collect());
        let offset = Reply::Int(node.repl.offset as i64);
        return Ok(Reply::Array(vec![Reply::word("master"), offset, replicas]).into());
    };
    let state = match upstream.state {
        LinkState::Connect => "connect",
        LinkState::Connecting => "connecting",
        LinkState::Handshake => "handshake",
        LinkState::Sync => "sync",
        LinkState::Connected => "connected",
    };
    let offset = if upstream.is_up() { node.repl.offset as i64 } else { -1 };
    Ok(Reply::Array(vec![
        Reply::word("slave"),
        Reply::host(&upstream.master),
        Reply::Int(i64::from(upstream.master.port)),
        Reply::word(state),
        Reply::Int(offset),
    ])
    .into())
}

pub(crate) fn wait(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    if !node.is_master() {
        let why = "Please also note that since Redis 4.0 if a replica is configured to be writable (which is not the \
                   default) writes to replicas are just local and are not propagated.";
        return Err(format!("ERR WAIT cannot be used with replica instances. {why}").into());
    }
    let count = int(&call.args()[1])?;
    let millis = parse_int(&call.args()[2]).ok_or("ERR timeout is not an integer or out of range")?;
    let millis = u64::try_from(millis).map_err(|_| "ERR timeout is negative")?;
    let offset = node.clients.get(&call.conn).map_or(0, |client| client.offset);
    let reached = node.replicas_at(offset);
    if reached >= count || call.within != Within::Nothing {
        return Ok(Reply::Int(reached).into());
    }
    let wait = Wait::Replicas { count, offset };
    let blocked = Blocked::until_after(wait, call.command.clone(), call.now, millis.saturating_mul(1_000));
    node.block(call.conn, blocked);
    node.repl.asks = true;
    Ok(Answer::Blocked)
}
