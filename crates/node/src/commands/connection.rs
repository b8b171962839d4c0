//! What concerns the connection itself: greeting, authentication, the selected database, the end.

use bytes::Bytes;
use model::{Output, Reply};

use super::acl::authenticate;
use crate::access::Failure;
use crate::acl::DEFAULT;
use crate::args::{SYNTAX, int, is, parse_int, text, wrong_arity};
use crate::dispatch::{Answer, Call, OK, Outcome};
use crate::keyspace::DATABASES;
use crate::node::Node;

/// A command that only has subcommands, sent without one.
pub(crate) fn container(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    Err(wrong_arity(&text(&call.args()[0]).to_ascii_lowercase()))
}

pub(crate) fn ping(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.args();
    if args.len() > 2 {
        return Err(wrong_arity("ping"));
    }
    let subscribed = node.clients.get(&call.conn).is_some_and(|client| client.resp == 2 && client.subscriptions() > 0);
    let message = args.get(1).cloned();
    if subscribed {
        let message = Reply::Bulk(message.unwrap_or_default());
        return Ok(Reply::Array(vec![Reply::word("pong"), message]).into());
    }
    Ok(message.map_or(Reply::PONG, Reply::Bulk).into())
}

pub(crate) fn echo(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    Ok(Reply::Bulk(call.args()[1].clone()).into())
}

pub(crate) fn time(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let micros = node.config.unix_micros(call.now);
    let part = |n: u64| Reply::bulk(n.to_string());
    Ok(Reply::Array(vec![part(micros / 1_000_000), part(micros % 1_000_000)]).into())
}

pub(crate) fn quit(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    node.closing.push(call.conn);
    OK
}

pub(crate) fn select(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let within = format!("ERR value is out of range, value must between {} and {}", i32::MIN, i32::MAX);
    let db = i32::try_from(int(&call.args()[1])?).map_err(|_| within)?;
    let db = usize::try_from(db).ok().filter(|db| *db < DATABASES).ok_or("ERR DB index is out of range")?;
    if let Some(client) = node.clients.get_mut(&call.conn) {
        client.db = db;
    }
    OK
}

pub(crate) fn reset(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let conn = call.conn;
    node.unwatch(conn);
    node.unsubscribe_everything(conn);
    node.stop_tracking(conn);
    node.monitors.retain(|other| *other != conn);
    node.become_user(conn, &DEFAULT, node.is_open());
    if let Some(client) = node.clients.get_mut(&conn) {
        client.transaction = None;
        client.db = 0;
        client.name = None;
        client.resp = 2;
        (client.replies.off, client.replies.skip_next) = (false, false);
        call.out.push(Output::Protocol(conn, 2));
    }
    Ok(Reply::Simple("RESET".into()).into())
}

pub(crate) fn auth(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.args();
    let (user, password): (&[u8], &Bytes) = match args {
        [_, password] => (b"default", password),
        [_, user, password] => (user, password),
        _ => return Err(SYNTAX),
    };
    if args.len() == 2 && node.users.get(&DEFAULT).is_some_and(|user| user.no_password) {
        let text = "ERR AUTH <password> called without any password configured for the default user. Are you sure \
                    your configuration is correct?";
        return Err(text.into());
    }
    let user = authenticate(node, user, password)?;
    node.become_user(call.conn, &user, true);
    OK
}

/// The name that a client may give itself: printable, without spaces.
pub(crate) fn valid_name(name: &[u8]) -> Result<(), Failure> {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        return Ok(());
    }
    Err("ERR Client names cannot contain spaces, newlines or special characters.".into())
}

pub(crate) fn hello(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.command.0.clone();
    let version = match args.get(1) {
        Some(version) => {
            let version = parse_int(version).ok_or("ERR Protocol version is not an integer or out of range")?;
            if !(2..=3).contains(&version) {
                return Err("NOPROTO unsupported protocol version".into());
            }
            Some(version as u8)
        }
        None => None,
    };
    let (mut name, mut user) = (None, None);
    let mut rest = args.get(2..).unwrap_or_default();
    while let Some(option) = rest.first() {
        if is(option, "AUTH") && rest.len() >= 3 {
            user = Some(authenticate(node, &rest[1], &rest[2])?);
            rest = &rest[3..];
        } else if is(option, "SETNAME") && rest.len() >= 2 {
            valid_name(&rest[1])?;
            name = Some(rest[1].clone());
            rest = &rest[2..];
        } else {
            return Err(format!("ERR Syntax error in HELLO option '{}'", text(option)).into());
        }
    }
    let role = if node.is_master() { "master" } else { "replica" };
    if let Some(user) = user {
        node.become_user(call.conn, &user, true);
    }
    let Some(client) = node.clients.get_mut(&call.conn) else { return Ok(Answer::Silent) };
    if !client.authenticated {
        let text = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> \
                    <pass> option can be used to authenticate the client and select the RESP protocol version at the \
                    same time";
        return Err(text.into());
    }
    if name.is_some() {
        client.name = name.filter(|name| !name.is_empty());
    }
    if let Some(version) = version {
        client.resp = version;
        call.out.push(Output::Protocol(call.conn, version));
    }
    Ok(Reply::Map(vec![
        (Reply::word("server"), Reply::word("redis")),
        (Reply::word("version"), Reply::word("7.0.15")),
        (Reply::word("proto"), Reply::Int(i64::from(client.resp))),
        (Reply::word("id"), Reply::Int(client.id as i64)),
        (Reply::word("mode"), Reply::word("standalone")),
        (Reply::word("role"), Reply::word(role)),
        (Reply::word("modules"), Reply::Array(Vec::new())),
    ])
    .into())
}
