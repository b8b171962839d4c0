//! `PING`, `AUTH` and `HELLO`.

use std::borrow::Cow;

use model::{Command, Conn, Output, Reply};

use super::{Answer, SYNTAX, parse, word, wrong_arity};
use crate::Ms;
use crate::machine::Sentinel;

const HELLO_NOAUTH: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO \
     AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same \
     time";
const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. Are you \
     sure your configuration is correct?";

pub(super) fn ping(command: &Command, restricted: bool) -> Answer {
    match (command.get(1), command.len()) {
        (argument, ..=2) if restricted => {
            let argument = argument.cloned().unwrap_or_default();
            Ok(Reply::Array(vec![Reply::word("pong"), Reply::Bulk(argument)]))
        }
        (None, _) => Ok(Reply::PONG),
        (Some(argument), 2) => Ok(Reply::Bulk(argument.clone())),
        _ => Err(wrong_arity("ping")),
    }
}

impl Sentinel {
    /// Logs a client in; what fails is in the log of the access list.
    fn login(&mut self, conn: Conn, user: &str, password: &[u8], object: &str, now: Ms) -> Result<(), &'static str> {
        if self.users.login(user, password) {
            let session = self.session_mut(conn);
            user.clone_into(&mut session.user);
            session.authenticated = true;
            return Ok(());
        }
        self.log_denial(conn, "auth", object.to_owned(), user.to_owned(), now);
        Err(WRONGPASS)
    }

    pub(super) fn auth(&mut self, conn: Conn, command: &Command, now: Ms) -> Answer {
        let (user, password) = match command.len() {
            2 => {
                if self.users.open() {
                    return Err(NO_PASSWORD.into());
                }
                ("default".to_owned(), &command.0[1])
            }
            3 => (word(command, 1), &command.0[2]),
            _ => return Err(SYNTAX.into()),
        };
        self.login(conn, &user, password, "AUTH", now)?;
        Ok(Reply::OK)
    }

    pub(super) fn hello_command(&mut self, conn: Conn, command: &Command, now: Ms, out: &mut Vec<Output>) -> Answer {
        let mut version = if self.session(conn).resp3 { 3 } else { 2 };
        let mut at = 1;
        if let Some(asked) = command.get(1) {
            version = match parse::<i64>(asked) {
                Some(version @ (2 | 3)) => version,
                Some(_) => return Err("NOPROTO unsupported protocol version".into()),
                None => return Err("ERR Protocol version is not an integer or out of range".into()),
            };
            at = 2;
        }
        let mut name = None;
        while at < command.len() {
            match word(command, at).to_ascii_uppercase().as_str() {
                "AUTH" if at + 2 < command.len() => {
                    self.login(conn, &word(command, at + 1), &command.0[at + 2], "HELLO", now)?;
                    at += 3;
                }
                "SETNAME" if at + 1 < command.len() => {
                    let given = command.0[at + 1].clone();
                    valid_client_name(&given)?;
                    name = Some(given);
                    at += 2;
                }
                _ => return Err(format!("ERR Syntax error in HELLO option '{}'", word(command, at)).into()),
            }
        }
        if !self.session(conn).authenticated {
            return Err(HELLO_NOAUTH.into());
        }
        let session = self.session_mut(conn);
        session.resp3 = version == 3;
        if let Some(name) = name {
            session.name = name;
        }
        let id = session.id;
        out.push(Output::Protocol(conn, version as u8));
        let field = |name: &'static str, value: Reply| (Reply::word(name), value);
        Ok(Reply::Map(vec![
            field("server", Reply::word("redis")),
            field("version", Reply::word("7.0.15")),
            field("proto", Reply::Int(version)),
            field("id", Reply::Int(id as i64)),
            field("mode", Reply::word("sentinel")),
            field("modules", Reply::Array(Vec::new())),
        ]))
    }
}

pub(super) fn valid_client_name(name: &[u8]) -> Result<(), Cow<'static, str>> {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        Ok(())
    } else {
        Err("ERR Client names cannot contain spaces, newlines or special characters.".into())
    }
}
