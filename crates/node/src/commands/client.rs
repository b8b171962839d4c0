//! `CLIENT`: names, lists, kills and pauses.

use std::time::Duration;

use model::{Addr, Conn, Reply, Text, Time, tracking};

use super::connection::valid_name;
use crate::access::Failure;
use crate::args::{SYNTAX, int, is, parse_int, text, wrong_subcommand};
use crate::client::{Client, ClientType};
use crate::dispatch::{Answer, Call, OK, Outcome};
use crate::node::Node;

pub(crate) fn setname(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let name = call.args()[2].clone();
    valid_name(&name)?;
    if let Some(client) = node.clients.get_mut(&call.conn) {
        client.name = Some(name).filter(|name| !name.is_empty());
    }
    OK
}

pub(crate) fn getname(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let name = node.clients.get(&call.conn).and_then(|client| client.name.clone());
    Ok(name.map_or(Reply::Null, Reply::Bulk).into())
}

pub(crate) fn id(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int(node.clients.get(&call.conn).map_or(0, |client| client.id as i64)).into())
}

fn kind(word: &[u8]) -> Result<ClientType, Failure> {
    match () {
        () if is(word, "normal") => Ok(ClientType::Normal),
        () if is(word, "pubsub") => Ok(ClientType::Pubsub),
        () if is(word, "replica") || is(word, "slave") => Ok(ClientType::Replica),
        () if is(word, "master") => Ok(ClientType::Master),
        () => Err(format!("ERR Unknown client type '{}'", text(word)).into()),
    }
}

/// This end of a connection. From which port the master was dialled only the system knows.
fn local_addr(node: &Node, client: &Client) -> Addr {
    let own = &node.config.identity.addr;
    let port = if client.master { EPHEMERAL + (client.id % u64::from(u16::MAX - EPHEMERAL)) as u16 } else { own.port };
    Addr::new(&own.host, port)
}

/// The first port of those that systems give to who dials.
const EPHEMERAL: u16 = 32_768;

/// Every client, the link to the master among them, in the order in which they came.
fn everybody(node: &Node) -> Vec<(Option<Conn>, &Client)> {
    let mut all: Vec<(Option<Conn>, &Client)> =
        node.clients.iter().map(|(conn, client)| (Some(*conn), client)).collect();
    all.extend(node.repl.upstream.as_ref().and_then(|upstream| upstream.client.as_ref()).map(|link| (None, link)));
    all.sort_by_key(|(_, client)| client.id);
    all
}

/// One line of `CLIENT LIST`, with the fields of Redis 7.0 that mean something here.
fn describe(node: &Node, now: Time, conn: Option<Conn>, client: &Client, lines: Text) -> Text {
    let mut flags = String::new();
    for (set, flag) in [
        (conn.is_some_and(|conn| node.monitors.contains(&conn)), 'O'),
        (client.kind() == ClientType::Replica, 'S'),
        (client.master, 'M'),
        (client.subscriptions() > 0, 'P'),
        (client.transaction.is_some(), 'x'),
        (conn.is_some_and(|conn| node.blocked.contains_key(&conn)), 'b'),
    ] {
        if set {
            flags.push(flag);
        }
    }
    flags.push_str(&tracking::flags(client.tracking.as_ref()));
    if client.watch_broken {
        flags.push('d');
    }
    if client.leaving {
        flags.push('c');
    }
    if client.no_evict {
        flags.push('e');
    }
    if flags.is_empty() {
        flags.push('N');
    }
    let name = client.name.as_ref().map_or_else(String::new, |name| text(name).into_owned());
    let user = text(&client.user);
    let redirect = tracking::redirect(client.tracking.as_ref());
    let queued = client.transaction.as_ref().map_or(-1, |transaction| transaction.queue.len() as i64);
    let rest = format!(
        " fd={} name={name} age={} idle={} flags={flags} db={} sub={} psub={} ssub={} multi={queued} qbuf=0 qbuf-free=0 \
         argv-mem=0 multi-mem=0 rbs=1024 rbp=0 obl=0 oll=0 omem=0 tot-mem=0 events=r cmd={} user={user} redir={redirect} \
         resp={}\n",
        client.id + 5,
        now.since(client.since).as_secs(),
        now.since(client.active_at).as_secs(),
        client.db,
        client.channels.len(),
        client.patterns.len(),
        client.shards.len(),
        client.last_command,
        client.resp,
    );
    let head = lines.str(format!("id={} addr=", client.id)).host_port(&client.from).str(" laddr=");
    head.host_port(&local_addr(node, client)).str(rest)
}

pub(crate) fn info(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let Some(client) = node.clients.get(&call.conn) else { return Ok(Answer::Silent) };
    Ok(Reply::Verbatim(describe(node, call.now, Some(call.conn), client, Text::new())).into())
}

pub(crate) fn list(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.args();
    let (mut of_kind, mut ids) = (None, None);
    match args.get(2) {
        None => {}
        Some(option) if is(option, "TYPE") && args.len() == 4 => of_kind = Some(kind(&args[3])?),
        Some(option) if is(option, "ID") && args.len() > 3 => {
            let parsed: Option<Vec<i64>> = args[3..].iter().map(|id| parse_int(id)).collect();
            ids = Some(parsed.ok_or("ERR Invalid client ID")?);
        }
        Some(_) => return Err(SYNTAX),
    }
    let wanted = everybody(node).into_iter().filter(|(_, client)| {
        of_kind.is_none_or(|kind| client.kind() == kind)
            && ids.as_ref().is_none_or(|ids| ids.contains(&(client.id as i64)))
    });
    let lines = wanted.fold(Text::new(), |lines, (conn, client)| describe(node, call.now, conn, client, lines));
    Ok(Reply::Verbatim(lines).into())
}

/// Which connections `CLIENT KILL` is for.
#[derive(Default)]
struct Filter {
    id: Option<u64>,
    kind: Option<ClientType>,
    addr: Option<String>,
    laddr: Option<String>,
    user: Option<String>,
    include_me: bool,
}

impl Filter {
    fn parse(args: &[bytes::Bytes]) -> Result<Self, Failure> {
        let mut filter = Self::default();
        for option in args.chunks(2) {
            let [name, value] = option else { return Err(SYNTAX) };
            match () {
                () if is(name, "ID") => {
                    let id = parse_int(value).and_then(|id| u64::try_from(id).ok()).filter(|id| *id > 0);
                    filter.id = Some(id.ok_or("ERR client-id should be greater than 0")?);
                }
                () if is(name, "TYPE") => filter.kind = Some(kind(value)?),
                () if is(name, "ADDR") => filter.addr = Some(text(value).into_owned()),
                () if is(name, "LADDR") => filter.laddr = Some(text(value).into_owned()),
                () if is(name, "USER") => filter.user = Some(text(value).into_owned()),
                () if is(name, "SKIPME") && is(value, "yes") => filter.include_me = false,
                () if is(name, "SKIPME") && is(value, "no") => filter.include_me = true,
                () => return Err(SYNTAX),
            }
        }
        Ok(filter)
    }

    fn hits(&self, node: &Node, client: &Client) -> bool {
        self.id.is_none_or(|id| id == client.id)
            && self.kind.is_none_or(|kind| kind == client.kind())
            && self.addr.as_ref().is_none_or(|addr| *addr == client.from.to_string())
            && self.laddr.as_ref().is_none_or(|addr| *addr == local_addr(node, client).to_string())
            && self.user.as_ref().is_none_or(|name| *name == text(&client.user))
    }
}

pub(crate) fn kill(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.args();
    let old_form = args.len() == 3;
    let filter = if old_form {
        Filter { addr: Some(text(&args[2]).into_owned()), include_me: true, ..Filter::default() }
    } else {
        Filter::parse(&args[2..])?
    };
    if let Some(user) = filter.user.as_ref().filter(|user| !node.users.contains_key(user.as_bytes())) {
        return Err(format!("ERR No such user '{user}'").into());
    }
    if filter.kind.is_some() && node.ignore_client_kill {
        return Ok(Reply::Int(0).into());
    }
    let hit = |(conn, client): &(Option<Conn>, &Client)| {
        (filter.include_me || *conn != Some(call.conn)) && filter.hits(node, client)
    };
    let conns: Vec<Option<Conn>> = everybody(node).into_iter().filter(hit).map(|(conn, _)| conn).collect();
    if old_form && conns.is_empty() {
        return Err("ERR No such client".into());
    }
    for conn in &conns {
        match *conn {
            // It still hears how many it killed.
            Some(conn) if conn == call.conn => node.closing.push(conn),
            Some(conn) => node.close(call.now, conn, call.out),
            None => {
                node.abandon_link(call.now, call.out);
                node.dial(call.now, call.out);
            }
        }
    }
    if old_form { OK } else { Ok(Reply::Int(conns.len() as i64).into()) }
}

pub(crate) fn no_evict(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let mode = &call.args()[2];
    if !is(mode, "on") && !is(mode, "off") {
        return Err(SYNTAX);
    }
    let on = is(mode, "on");
    if let Some(client) = node.clients.get_mut(&call.conn) {
        client.no_evict = on;
    }
    OK
}

pub(crate) fn reply(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let mode = call.args()[2].clone();
    let Some(client) = node.clients.get_mut(&call.conn) else { return Ok(Answer::Silent) };
    match () {
        () if is(&mode, "on") => {
            (client.replies.off, client.replies.skip) = (false, false);
            OK
        }
        () if is(&mode, "off") => {
            client.replies.off = true;
            Ok(Answer::Silent)
        }
        () if is(&mode, "skip") => {
            client.replies.skip_next = !client.replies.off;
            Ok(Answer::Silent)
        }
        () => Err(SYNTAX),
    }
}

pub(crate) fn pause(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.args();
    if args.len() > 4 {
        return Err(wrong_subcommand("CLIENT", &args[1]));
    }
    let all = match args.get(3) {
        None => true,
        Some(mode) if is(mode, "ALL") => true,
        Some(mode) if is(mode, "WRITE") => false,
        Some(_) => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".into()),
    };
    let millis = parse_int(&args[2]).ok_or("ERR timeout is not an integer or out of range")?;
    let millis = u64::try_from(millis).map_err(|_| "ERR timeout is negative")?;
    // What ends after the last millisecond that Redis can count is over at once.
    if i64::try_from(node.config.unix_millis(call.now).saturating_add(millis)).is_ok() {
        node.pause_until(call.now + Duration::from_millis(millis), all);
    }
    OK
}

pub(crate) fn unpause(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    if node.shutdown_by.is_none() {
        node.resume(call.out);
    }
    OK
}

/// Ends the wait of another connection, as if its time were over or with an error.
pub(crate) fn unblock(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.args();
    let with_error = match &args[3..] {
        [] => false,
        [mode] if is(mode, "TIMEOUT") => false,
        [mode] if is(mode, "ERROR") => true,
        [_] => return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".into()),
        _ => return Err(wrong_subcommand("CLIENT", &args[1])),
    };
    let id = int(&args[2])?;
    let conn = node.clients.iter().find(|(_, client)| client.id as i64 == id).map(|(conn, _)| *conn);
    let Some((conn, nothing)) = conn.and_then(|conn| Some((conn, node.ends_with(conn)?))) else {
        return Ok(Reply::Int(0).into());
    };
    let reply = if with_error { Reply::error("UNBLOCKED client unblocked via CLIENT UNBLOCK") } else { nothing };
    node.unblock(conn, Some(reply), false, call.out);
    if with_error {
        // Redis counts it as a failure of both.
        node.stats.failed("client|unblock");
    }
    Ok(Reply::Int(1).into())
}
