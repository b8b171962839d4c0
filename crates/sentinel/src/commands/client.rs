//! `CLIENT` and its subcommands. A Sentinel has no keys, so that nobody is blocked, and who tracks keys hears of none.

use std::time::Duration;

use model::{Command, Conn, Frame, Output, Reply, Text, Time, tracking};

use super::connection::valid_client_name;
use super::{Answer, MaybeAnswer, NOT_AN_INTEGER, SYNTAX, parse, surplus, word};
use crate::Ms;
use crate::machine::{Replies, Sentinel, Session};

impl Sentinel {
    pub(super) fn client(
        &mut self,
        conn: Conn,
        sub: &str,
        command: &Command,
        now: Time,
        out: &mut Vec<Output>,
    ) -> MaybeAnswer {
        if matches!(sub, "pause" | "unblock") && command.len() > 4 {
            return Err(surplus(command, "CLIENT"));
        }
        let ms = self.clock(now);
        let argument = word(command, 2).to_ascii_lowercase();
        Ok(Some(match sub {
            "setname" => {
                let name = command.0[2].clone();
                valid_client_name(&name)?;
                self.session_mut(conn).name = name;
                Reply::OK
            }
            "getname" => {
                let name = &self.session(conn).name;
                if name.is_empty() { Reply::Null } else { Reply::Bulk(name.clone()) }
            }
            "id" => Reply::Int(self.session(conn).id as i64),
            "info" => Reply::Verbatim(self.client_line(conn, ms).str("\n")),
            "list" => self.client_list(command, ms)?,
            "kill" => return self.client_kill(conn, command, out).map(Some),
            "no-evict" => {
                if !matches!(argument.as_str(), "on" | "off") {
                    return Err(SYNTAX.into());
                }
                self.session_mut(conn).no_evict = argument == "on";
                Reply::OK
            }
            "reply" => {
                let session = self.session_mut(conn);
                match argument.as_str() {
                    "on" => {
                        session.replies = Replies::On;
                        Reply::OK
                    }
                    "off" => {
                        session.replies = Replies::Off;
                        return Ok(None);
                    }
                    "skip" => {
                        if session.replies == Replies::On {
                            session.replies = Replies::SkipNext;
                        }
                        return Ok(None);
                    }
                    _ => return Err(SYNTAX.into()),
                }
            }
            "pause" => self.client_pause(command, now)?,
            "unpause" => Reply::OK,
            "unblock" => {
                match word(command, 3).to_ascii_lowercase().as_str() {
                    "timeout" | "error" | "" => {}
                    _ => return Err("ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR".into()),
                }
                parse::<i64>(&command.0[2]).ok_or(NOT_AN_INTEGER)?;
                Reply::Int(0)
            }
            "getredir" => Reply::Int(tracking::redirect(self.session(conn).tracking.as_ref())),
            "trackinginfo" => tracking::info(self.session(conn).tracking.as_ref()),
            "tracking" => {
                let is_client = |id| self.sessions.values().any(|session| session.id == id);
                let before = self.session(conn).tracking.as_ref();
                self.session_mut(conn).tracking = tracking::switch(before, &command.0[2..], is_client)?;
                Reply::OK
            }
            "caching" => {
                tracking::caching(self.session_mut(conn).tracking.as_mut(), &command.0[2])?;
                Reply::OK
            }
            _ => model::help("client"),
        }))
    }

    /// `CLIENT PAUSE milliseconds [WRITE|ALL]`. A Sentinel has nothing that `WRITE` would hold back.
    fn client_pause(&mut self, command: &Command, now: Time) -> Answer {
        let all = match word(command, 3).to_ascii_lowercase().as_str() {
            "all" => true,
            "write" => false,
            "" if command.len() == 3 => true,
            _ => return Err("ERR CLIENT PAUSE mode must be WRITE or ALL".into()),
        };
        let millis = parse::<i64>(&command.0[2]).ok_or("ERR timeout is not an integer or out of range")?;
        // What ends after the last millisecond that Redis can count is over at once.
        let countable = self.clock(now).checked_add(millis).is_some();
        let millis = u64::try_from(millis).map_err(|_| "ERR timeout is negative")?;
        if all && countable && millis > 0 {
            let until = now + Duration::from_millis(millis.min(u64::from(u32::MAX)));
            self.paused_until = self.paused_until.max(Some(until));
        }
        Ok(Reply::OK)
    }

    fn client_list(&self, command: &Command, now: Ms) -> Answer {
        let argument = |at: usize| word(command, at).to_ascii_lowercase();
        let mut listed: Vec<Conn> = self.sessions.keys().copied().collect();
        match (command.len(), argument(2).as_str()) {
            (2, _) => {}
            (4, "type") => {
                let wanted = client_type(&word(command, 3))?;
                listed.retain(|conn| wanted == Some(self.session(*conn).subscriptions() > 0));
            }
            (4.., "id") => {
                let ids: Option<Vec<i64>> = command.0[3..].iter().map(parse).collect();
                let ids = ids.ok_or("ERR Invalid client ID")?;
                listed.retain(|conn| ids.contains(&(self.session(*conn).id as i64)));
            }
            _ => return Err(SYNTAX.into()),
        }
        let lines = listed.into_iter().map(|conn| self.client_line(conn, now));
        Ok(Reply::Verbatim(lines.fold(Text::new(), |text, line| text.text(line).str("\n"))))
    }

    /// A line of `CLIENT LIST`. What depends on sockets and buffers stands there as of an idle client.
    pub(super) fn client_line(&self, conn: Conn, now: Ms) -> Text {
        let session = self.session(conn);
        let Session { id, from, since, last_used, channels, patterns, last_command, user, resp3, tracking, .. } =
            session;
        let name = String::from_utf8_lossy(&session.name).into_owned();
        let (age, idle) = ((now - since) / 1_000, (now - last_used) / 1_000);
        let (sub, psub) = (channels.len(), patterns.len());
        let mut flags = if sub + psub > 0 { "P".to_owned() } else { String::new() };
        flags.push_str(&tracking::flags(tracking.as_ref()));
        if session.leaving {
            flags.push('c');
        }
        if session.no_evict {
            flags.push('e');
        }
        if flags.is_empty() {
            flags.push('N');
        }
        let redirect = tracking::redirect(tracking.as_ref());
        let (fd, resp) = (id + 8, if *resp3 { 3 } else { 2 });
        Text::from(format!("id={id} addr={from} laddr=")).host_port(&self.identity.addr).str(format!(
            " fd={fd} name={name} age={age} idle={idle} flags={flags} db=0 sub={sub} psub={psub} ssub=0 multi=-1 qbuf=0 \
             qbuf-free=20474 argv-mem=0 multi-mem=0 rbs=1024 rbp=0 obl=0 oll=0 omem=0 tot-mem=22272 events=r \
             cmd={last_command} user={user} redir={redirect} resp={resp}"
        ))
    }

    /// `CLIENT KILL addr`, or with filters.
    fn client_kill(&mut self, own: Conn, command: &Command, out: &mut Vec<Output>) -> Answer {
        let mut victims: Vec<Conn> = self.sessions.keys().copied().collect();
        let mut skip_me = true;
        let old_form = command.len() == 3;
        if old_form {
            let addr = word(command, 2);
            victims.retain(|conn| self.session(*conn).from.to_string() == addr);
            skip_me = false;
        } else if !command.len().is_multiple_of(2) {
            return Err(SYNTAX.into());
        }
        for at in (2..command.len()).step_by(2).filter(|_| !old_form) {
            let value = word(command, at + 1);
            match word(command, at).to_ascii_lowercase().as_str() {
                "id" => {
                    let id = parse::<u64>(&command.0[at + 1]).filter(|id| *id > 0);
                    let id = id.ok_or("ERR client-id should be greater than 0")?;
                    victims.retain(|conn| self.session(*conn).id == id);
                }
                "addr" => victims.retain(|conn| self.session(*conn).from.to_string() == value),
                "laddr" => {
                    let here = self.identity.addr.to_string() == value;
                    victims.retain(|_| here);
                }
                "type" => {
                    let wanted = client_type(&value)?;
                    victims.retain(|conn| wanted == Some(self.session(*conn).subscriptions() > 0));
                }
                "user" => {
                    if self.users.get(&value).is_none() {
                        return Err(format!("ERR No such user '{value}'").into());
                    }
                    victims.retain(|conn| self.session(*conn).user == value);
                }
                "skipme" => match value.to_ascii_lowercase().as_str() {
                    "yes" => skip_me = true,
                    "no" => skip_me = false,
                    _ => return Err(SYNTAX.into()),
                },
                _ => return Err(SYNTAX.into()),
            }
        }
        if skip_me {
            victims.retain(|conn| *conn != own);
        }
        if old_form && victims.is_empty() {
            return Err("ERR No such client".into());
        }
        let reply = if old_form { Reply::OK } else { Reply::Int(victims.len() as i64) };
        if victims.contains(&own) {
            // Its own reply goes out before it is closed.
            out.push(Output::Send(own, Frame::Reply(reply.clone())));
        }
        for conn in victims {
            self.hang_up(conn, out);
        }
        Ok(reply)
    }

    /// Closes a client's connection.
    pub(super) fn hang_up(&mut self, conn: Conn, out: &mut Vec<Output>) {
        self.sessions.remove(&conn);
        out.push(Output::Close(conn));
    }
}

/// Whether clients of this type are subscribers; `None` for a type that a Sentinel has none of.
fn client_type(name: &str) -> Result<Option<bool>, std::borrow::Cow<'static, str>> {
    match name.to_ascii_lowercase().as_str() {
        "normal" => Ok(Some(false)),
        "pubsub" => Ok(Some(true)),
        "master" | "replica" | "slave" => Ok(None),
        _ => Err(format!("ERR Unknown client type '{name}'").into()),
    }
}
