//! The commands of clients and other Sentinels.
//!
//! | module | holds |
//! |---|---|
//! | [`table`] | every command, as `COMMAND` shows it |
//! | `connection` | `PING`, `AUTH`, `HELLO` |
//! | `client` | `CLIENT` |
//! | `acl` | `ACL` |
//! | `command` | `COMMAND` |
//! | `info` | `INFO` and `ROLE` |
//! | `pubsub` | subscribing, and `PUBLISH`, which takes hellos only |
//! | `docs` | the texts of `COMMAND DOCS` |
//!
//! `SENTINEL` is in [`admin`](crate::admin).

mod acl;
mod client;
mod command;
mod connection;
pub(crate) mod docs;
mod info;
mod pubsub;
pub(crate) mod table;

use std::borrow::Cow;

use bytes::Bytes;
use model::{Command, Conn, Frame, Output, Reply, Time};

pub(crate) use self::acl::Denial;
use self::table::TABLE;
use crate::acl::Denied;
use crate::machine::{Replies, Sentinel, Session};

/// A reply, or the text of an error.
pub(crate) type Answer = Result<Reply, Cow<'static, str>>;
/// The same, where there may be no reply, or where it is already on its way.
pub(crate) type MaybeAnswer = Result<Option<Reply>, Cow<'static, str>>;

const NOAUTH: &str = "NOAUTH Authentication required.";
pub(crate) const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
const SYNTAX: &str = "ERR syntax error";

impl Sentinel {
    /// A command arrived from a client or another Sentinel.
    pub(crate) fn command(&mut self, conn: Conn, command: &Command, now: Time, out: &mut Vec<Output>) {
        if command.is_empty() || self.sessions.get(&conn).is_none_or(|session| session.leaving) {
            return;
        }
        if self.paused_until.is_some_and(|until| now < until) {
            self.postponed.push_back((conn, command.clone()));
            return;
        }
        let before = out.len();
        let reply = match self.dispatch(conn, command, now, out) {
            Ok(reply) => reply,
            Err(text) => {
                self.errors += 1;
                Some(Reply::Error(one_line(text)))
            }
        };
        if let Some(reply) = reply {
            out.push(Output::Send(conn, Frame::Reply(reply)));
        }
        self.executed += 1;
        self.received_bytes += command.encoded_len();
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        // It is for one command that is not `CLIENT`.
        if let Some(tracking) = &mut session.tracking
            && !look_up(command).is_ok_and(|index| TABLE[index].name.starts_with("client|"))
        {
            tracking.caching = false;
        }
        match session.replies {
            Replies::On => {}
            Replies::SkipNext => session.replies = Replies::Skip,
            Replies::Skip | Replies::Off => {
                if session.replies == Replies::Skip {
                    session.replies = Replies::On;
                }
                let own = |output: &Output| {
                    matches!(output, Output::Send(to, Frame::Reply(reply))
                        if *to == conn && !matches!(reply, Reply::Push(_)))
                };
                let tail = out.split_off(before);
                out.extend(tail.into_iter().filter(|output| !own(output)));
            }
        }
    }

    /// What arrived is no command, nor will be what follows.
    pub(crate) fn malformed(&mut self, conn: Conn, error: Cow<'static, str>, out: &mut Vec<Output>) {
        let Some(session) = self.sessions.get_mut(&conn) else { return };
        self.errors += 1;
        if matches!(session.replies, Replies::On) {
            out.push(Output::Send(conn, Frame::Reply(Reply::Error(error))));
            self.hang_up(conn, out);
        } else {
            session.leaving = true;
            out.push(Output::Leave(conn));
        }
    }

    /// Closes those that are leaving and to whom something is said.
    pub(crate) fn close_leaving(&mut self, out: &mut Vec<Output>) {
        if !out.iter().any(|output| matches!(output, Output::Send(..))) {
            return;
        }
        let leaving: Vec<Conn> =
            self.sessions.iter().filter(|(_, session)| session.leaving).map(|(conn, _)| *conn).collect();
        for conn in leaving {
            let before = out.len();
            out.retain(|output| !matches!(output, Output::Send(to, _) if *to == conn));
            if out.len() < before {
                self.hang_up(conn, out);
            }
        }
    }

    /// Carries out what was held back while clients were paused.
    pub(crate) fn resume(&mut self, now: Time, out: &mut Vec<Output>) {
        self.paused_until = None;
        while self.paused_until.is_none()
            && let Some((conn, command)) = self.postponed.pop_front()
        {
            self.command(conn, &command, now, out);
        }
    }

    /// The checks come in Redis's order: unknown, number of arguments, login, permission, context.
    fn dispatch(&mut self, conn: Conn, command: &Command, now: Time, out: &mut Vec<Output>) -> MaybeAnswer {
        // HTTP: a browser that was tricked into it.
        if command.is("POST") || command.is("HOST:") {
            out.push(Output::Discard(conn));
            self.hang_up(conn, out);
            return Ok(None);
        }
        let ms = self.clock(now);
        let known = look_up(command);
        let session = self.session_mut(conn);
        session.last_command = known.as_ref().map_or("NULL", |index| TABLE[*index].name);
        session.last_used = ms;
        let index = known?;
        let spec = &TABLE[index];
        if !spec.arity_fits(command.len()) {
            return Err(wrong_arity(spec.name));
        }
        let session = self.session(conn);
        if !session.authenticated && !spec.has("no_auth") {
            return Err(NOAUTH.into());
        }
        if session.authenticated {
            self.permit(conn, index, command, ms)?;
        }
        let session = self.session(conn);
        let (name, sub) = spec.name.split_once('|').unwrap_or((spec.name, ""));
        let restricted = !session.resp3 && session.subscriptions() > 0;
        if restricted && !matches!(name, "ping" | "subscribe" | "psubscribe" | "unsubscribe" | "punsubscribe") {
            return Err(format!(
                "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
                 in this context",
                spec.name
            )
            .into());
        }
        Ok(Some(match name {
            "ping" => connection::ping(command, restricted)?,
            "auth" => self.auth(conn, command, ms)?,
            "hello" => self.hello_command(conn, command, ms, out)?,
            "client" => return self.client(conn, sub, command, now, out),
            "command" => command::command(sub, command)?,
            "acl" => self.acl_command(conn, sub, command, ms, out)?,
            "info" => self.info(command, now),
            "role" => self.role(),
            "publish" => self.publish(command, now, out)?,
            "subscribe" | "psubscribe" | "unsubscribe" | "punsubscribe" => {
                self.subscription(conn, name, command, out);
                return Ok(None);
            }
            "shutdown" => return shutdown(command, out).map(Some),
            _ => self.sentinel_command(sub, command, now, out)?,
        }))
    }

    /// Holds a command against the rules of its user.
    fn permit(&mut self, conn: Conn, index: usize, command: &Command, now: crate::Ms) -> Result<(), Cow<'static, str>> {
        let words: Vec<String> = (1..command.len()).map(|at| word(command, at)).collect();
        let args: Vec<&str> = words.iter().map(String::as_str).collect();
        let (channels, literal) = channels_of(TABLE[index].name, &args);
        let user = self.users.get(&self.session(conn).user);
        let denied = match user.map(|user| user.check(index, &args, channels, literal)) {
            None | Some(Ok(())) => return Ok(()),
            Some(Err(denied)) => denied,
        };
        let name = self.session(conn).user.clone();
        let (reason, object, text) = match denied {
            Denied::Command => {
                let name = TABLE[index].name;
                let text = format!("NOPERM this user has no permissions to run the '{name}' command");
                ("command", name.to_owned(), Cow::Owned(text))
            }
            Denied::Channel => (
                "channel",
                channels.first().map(|channel| (*channel).to_owned()).unwrap_or_default(),
                "NOPERM this user has no permissions to access one of the channels used as arguments".into(),
            ),
        };
        self.log_denial(conn, reason, object, name, now);
        Err(text)
    }

    pub(crate) fn session(&self, conn: Conn) -> &Session {
        &self.sessions[&conn]
    }

    pub(crate) fn session_mut(&mut self, conn: Conn) -> &mut Session {
        self.sessions.get_mut(&conn).expect("checked on arrival")
    }
}

/// The channels that a command names, and whether they are patterns, which must be allowed to the letter.
fn channels_of<'a>(name: &str, args: &'a [&'a str]) -> (&'a [&'a str], bool) {
    match name {
        "subscribe" => (args, false),
        "psubscribe" => (args, true),
        "publish" => (&args[..args.len().min(1)], false),
        _ => (&[], false),
    }
}

/// The command in the table, with its subcommand where it has those.
fn look_up(command: &Command) -> Result<usize, Cow<'static, str>> {
    let name = word(command, 0).to_ascii_lowercase();
    let known = if name.contains('|') { None } else { table::find(&name) };
    let index = known.ok_or_else(|| command.unknown())?;
    if command.len() == 1 || !table::has_subcommands(index) {
        return Ok(index);
    }
    let sub = word(command, 1);
    table::find(&format!("{name}|{}", sub.to_ascii_lowercase()))
        .ok_or_else(|| command.unknown_subcommand(&name.to_ascii_uppercase()).into())
}

fn shutdown(command: &Command, out: &mut Vec<Output>) -> Answer {
    let (mut abort, mut save, mut others) = (false, None, false);
    for at in 1..command.len() {
        match word(command, at).to_ascii_lowercase().as_str() {
            "nosave" if save != Some(true) => save = Some(false),
            "save" if save != Some(false) => save = Some(true),
            "now" | "force" => others = true,
            "abort" => abort = true,
            _ => return Err(SYNTAX.into()),
        }
    }
    if abort {
        let alone = save.is_none() && !others;
        return Err(if alone { "ERR No shutdown in progress.".into() } else { SYNTAX.into() });
    }
    out.push(Output::Exit);
    Ok(Reply::OK)
}

/// Argument `index` as text; empty if there is none.
pub(crate) fn word(command: &Command, index: usize) -> String {
    command.get(index).map(|arg| model::raw::text(arg).into_owned()).unwrap_or_default()
}

/// An argument as a number, as strictly as Redis reads it.
pub(crate) fn parse<T: TryFrom<i64>>(arg: &Bytes) -> Option<T> {
    model::words::integer(arg).and_then(|number| T::try_from(number).ok())
}

/// An error is one line, whatever the client put into it.
fn one_line(text: Cow<'static, str>) -> Cow<'static, str> {
    if text.contains(['\r', '\n']) { text.replace(['\r', '\n'], " ").into() } else { text }
}

pub(crate) fn wrong_arity(name: &str) -> Cow<'static, str> {
    format!("ERR wrong number of arguments for '{name}' command").into()
}

/// Too many arguments for a subcommand that takes a varying number.
fn surplus(command: &Command, name: &str) -> Cow<'static, str> {
    let sub = word(command, 1);
    format!("ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {name} HELP.").into()
}
