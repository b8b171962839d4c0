//! The commands that a Sentinel has besides `SENTINEL`: a short list, everything else is unknown.

use std::borrow::Cow;

use bytes::Bytes;
use model::{Command, Conn, Frame, Output, Reply, RunId, Text, Time};

use crate::machine::{Sentinel, glob};
use crate::tables::TABLE;
use crate::timer::HELLO;

/// What a command leads to besides its reply.
pub(crate) type Answer = Result<Reply, Cow<'static, str>>;

const NOAUTH: &str = "NOAUTH Authentication required.";
const HELLO_NOAUTH: &str = "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO \
     <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version \
     at the same time";
const WRONGPASS: &str = "WRONGPASS invalid username-password pair or user is disabled.";
const NO_PASSWORD: &str = "ERR AUTH <password> called without any password configured for the default user. Are you \
     sure your configuration is correct?";
pub(crate) const NOT_AN_INTEGER: &str = "ERR value is not an integer or out of range";
const SYNTAX: &str = "ERR syntax error";

impl Sentinel {
    /// A command arrived from a client or another Sentinel.
    pub(crate) fn command(&mut self, conn: Conn, command: &Command, now: Time, out: &mut Vec<Output>) {
        if command.is_empty() || !self.sessions.contains_key(&conn) {
            return;
        }
        let reply = self.dispatch(conn, command, now, out);
        match reply {
            Ok(Some(reply)) => out.push(Output::Send(conn, Frame::Reply(reply))),
            Ok(None) => {}
            Err(text) => out.push(Output::Send(conn, Frame::Reply(Reply::Error(text)))),
        }
    }

    fn dispatch(
        &mut self,
        conn: Conn,
        command: &Command,
        now: Time,
        out: &mut Vec<Output>,
    ) -> Result<Option<Reply>, Cow<'static, str>> {
        let name = word(command, 0).to_ascii_lowercase();
        let Some(entry) = TABLE.iter().find(|entry| entry.name == name) else { return Err(unknown_command(command)) };
        if !entry.arity_fits(command.len()) {
            return Err(wrong_arity(&name));
        }
        let session = self.session(conn);
        if !session.authenticated && !matches!(name.as_str(), "auth" | "hello") {
            return Err(NOAUTH.into());
        }
        let restricted = !session.resp3 && session.subscriptions() > 0;
        if restricted && !matches!(name.as_str(), "ping" | "subscribe" | "psubscribe" | "unsubscribe" | "punsubscribe")
        {
            return Err(format!(
                "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed \
                 in this context"
            )
            .into());
        }
        Ok(Some(match name.as_str() {
            "ping" => ping(command, restricted)?,
            "auth" => self.auth(conn, command)?,
            "hello" => self.hello_command(conn, command, out)?,
            "client" => return self.client(conn, command, out),
            "command" => command_command(command)?,
            "acl" => self.acl(command)?,
            "info" => self.info(command, now),
            "role" => {
                let names = self.masters.iter().map(|master| Reply::bulk(master.name().to_owned())).collect();
                Reply::Array(vec![Reply::word("sentinel"), Reply::Array(names)])
            }
            "publish" => self.publish(command, now, out)?,
            "subscribe" | "psubscribe" | "unsubscribe" | "punsubscribe" => {
                self.subscription(conn, &name, command, out);
                return Ok(None);
            }
            "shutdown" => {
                out.push(Output::Exit);
                return Ok(None);
            }
            _ => self.sentinel_command(command, now, out)?,
        }))
    }

    fn session(&self, conn: Conn) -> &crate::machine::Session {
        &self.sessions[&conn]
    }

    fn session_mut(&mut self, conn: Conn) -> &mut crate::machine::Session {
        self.sessions.get_mut(&conn).expect("checked on arrival")
    }

    fn check_password(&self, user: Option<&str>, password: &str) -> Result<(), &'static str> {
        let user = user.unwrap_or("default");
        let accepted = match self.credentials() {
            // The default user of a Sentinel without a password takes any.
            None => user == "default",
            Some(auth) => auth.user.as_deref().unwrap_or("default") == user && auth.password == password,
        };
        if accepted { Ok(()) } else { Err(WRONGPASS) }
    }

    fn auth(&mut self, conn: Conn, command: &Command) -> Answer {
        let (user, password) = match command.len() {
            2 => {
                if self.credentials().is_none_or(|auth| auth.user.is_some()) {
                    return Err(NO_PASSWORD.into());
                }
                (None, word(command, 1))
            }
            3 => (Some(word(command, 1)), word(command, 2)),
            _ => return Err(SYNTAX.into()),
        };
        self.check_password(user.as_deref(), &password)?;
        self.session_mut(conn).authenticated = true;
        Ok(Reply::OK)
    }

    fn hello_command(&mut self, conn: Conn, command: &Command, out: &mut Vec<Output>) -> Answer {
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
        let mut authenticated = self.session(conn).authenticated;
        while at < command.len() {
            let option = word(command, at).to_ascii_uppercase();
            match option.as_str() {
                "AUTH" if at + 2 < command.len() => {
                    self.check_password(Some(&word(command, at + 1)), &word(command, at + 2))?;
                    authenticated = true;
                    at += 3;
                }
                "SETNAME" if at + 1 < command.len() => {
                    name = command.get(at + 1).cloned();
                    at += 2;
                }
                _ => return Err(format!("ERR Syntax error in HELLO option '{}'", word(command, at)).into()),
            }
        }
        if !authenticated {
            return Err(HELLO_NOAUTH.into());
        }
        if let Some(name) = &name {
            valid_client_name(name)?;
        }
        let session = self.session_mut(conn);
        session.authenticated = true;
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

    fn client(
        &mut self,
        conn: Conn,
        command: &Command,
        out: &mut Vec<Output>,
    ) -> Result<Option<Reply>, Cow<'static, str>> {
        let sub = word(command, 1).to_ascii_lowercase();
        let arity = |wanted: usize| {
            let fits = command.len() == wanted;
            if fits { Ok(()) } else { Err(wrong_arity(&format!("client|{sub}"))) }
        };
        Ok(Some(match sub.as_str() {
            "setname" => {
                arity(3)?;
                let name = command.0[2].clone();
                valid_client_name(&name)?;
                self.session_mut(conn).name = name;
                Reply::OK
            }
            "getname" => {
                arity(2)?;
                let name = &self.session(conn).name;
                if name.is_empty() { Reply::Null } else { Reply::Bulk(name.clone()) }
            }
            "id" => {
                arity(2)?;
                Reply::Int(self.session(conn).id as i64)
            }
            "info" => {
                arity(2)?;
                Reply::Text(self.client_line(conn).str("\n"))
            }
            "list" => {
                let lines =
                    self.sessions.keys().fold(Text::new(), |text, conn| text.text(self.client_line(*conn)).str("\n"));
                Reply::Text(lines)
            }
            "kill" => return self.client_kill(conn, command, out).map(Some),
            "no-evict" => {
                arity(3)?;
                match word(command, 2).to_ascii_lowercase().as_str() {
                    "on" | "off" => Reply::OK,
                    _ => return Err(SYNTAX.into()),
                }
            }
            "reply" => {
                arity(3)?;
                // Replies cannot be switched off here; ON is what they are.
                match word(command, 2).to_ascii_lowercase().as_str() {
                    "on" => Reply::OK,
                    _ => return Err(SYNTAX.into()),
                }
            }
            "pause" | "unpause" => Reply::OK,
            "unblock" => Reply::Int(0),
            "getredir" => Reply::Int(-1),
            _ => return Err(unknown_subcommand(&word(command, 1), "CLIENT")),
        }))
    }

    fn client_line(&self, conn: Conn) -> Text {
        let session = self.session(conn);
        let id = session.id;
        let (name, sub, psub) =
            (String::from_utf8_lossy(&session.name).into_owned(), session.channels.len(), session.patterns.len());
        let flags = if sub + psub > 0 { "P" } else { "N" };
        let resp = if session.resp3 { 3 } else { 2 };
        Text::from(format!("id={id} addr={} laddr=", session.from)).host_port(&self.identity.addr).str(format!(
            " fd={} name={name} age=0 idle=0 flags={flags} db=0 sub={sub} psub={psub} ssub=0 multi=-1 qbuf=0 \
             qbuf-free=20474 argv-mem=0 multi-mem=0 rbs=1024 rbp=0 obl=0 oll=0 omem=0 tot-mem=22272 events=r cmd=client \
             user=default redir=-1 resp={resp}",
            id + 8
        ))
    }

    /// `CLIENT KILL addr`, or with filters `ID`, `ADDR`, `TYPE`, `SKIPME`.
    fn client_kill(&mut self, own: Conn, command: &Command, out: &mut Vec<Output>) -> Answer {
        let mut victims: Vec<Conn> = self.sessions.keys().copied().collect();
        let mut skip_me = true;
        let old_form = command.len() == 3;
        if old_form {
            let addr = word(command, 2);
            victims.retain(|conn| self.session(*conn).from.to_string() == addr);
            skip_me = false;
        } else if command.len() < 4 || !command.len().is_multiple_of(2) {
            return Err(SYNTAX.into());
        }
        for at in (2..command.len()).step_by(2).filter(|_| !old_form) {
            let value = word(command, at + 1);
            match word(command, at).to_ascii_lowercase().as_str() {
                "id" => {
                    let id: u64 = parse(&command.0[at + 1]).ok_or("ERR client-id should be greater than 0")?;
                    victims.retain(|conn| self.session(*conn).id == id);
                }
                "addr" => victims.retain(|conn| self.session(*conn).from.to_string() == value),
                "type" => {
                    let pubsub = match value.to_ascii_lowercase().as_str() {
                        "normal" => Some(false),
                        "pubsub" => Some(true),
                        "master" | "replica" | "slave" => None,
                        _ => return Err(format!("ERR Unknown client type '{value}'").into()),
                    };
                    victims.retain(|conn| pubsub == Some(self.session(*conn).subscriptions() > 0));
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
        if let Some(at) = victims.iter().position(|conn| *conn == own) {
            // Its own reply goes out before it is closed.
            victims.remove(at);
            out.push(Output::Send(own, Frame::Reply(reply.clone())));
            victims.push(own);
        }
        for conn in victims {
            self.sessions.remove(&conn);
            out.push(Output::Close(conn));
        }
        Ok(reply)
    }

    fn acl(&self, command: &Command) -> Answer {
        let user = self.credentials().and_then(|auth| auth.user.clone()).unwrap_or_else(|| "default".to_owned());
        match word(command, 1).to_ascii_lowercase().as_str() {
            "whoami" => Ok(Reply::bulk(user)),
            "users" => Ok(Reply::Array(vec![Reply::bulk(user)])),
            _ => Err(unknown_subcommand(&word(command, 1), "ACL")),
        }
    }

    /// `PUBLISH`: another Sentinel's hello, and nothing else.
    fn publish(&mut self, command: &Command, now: Time, out: &mut Vec<Output>) -> Answer {
        if command.0[1] != HELLO.as_bytes() {
            return Err("ERR Only HELLO messages are accepted by Sentinel instances.".into());
        }
        let now = self.clock(now);
        self.hello(&word(command, 2), now, out);
        Ok(Reply::Int(1))
    }

    fn subscription(&mut self, conn: Conn, name: &str, command: &Command, out: &mut Vec<Output>) {
        let patterns = name.starts_with('p');
        let session = self.session_mut(conn);
        let set = if patterns { &session.patterns } else { &session.channels };
        let leaving = name.ends_with("unsubscribe");
        let mut topics: Vec<Option<Bytes>> = command.0[1..].iter().cloned().map(Some).collect();
        if leaving && topics.is_empty() {
            topics = set.iter().cloned().map(Some).collect();
            if topics.is_empty() {
                topics.push(None);
            }
        }
        for topic in topics {
            let set = if patterns { &mut session.patterns } else { &mut session.channels };
            if let Some(topic) = &topic {
                if leaving {
                    set.remove(topic);
                } else {
                    set.insert(topic.clone());
                }
            }
            let kind = match name {
                "subscribe" => "subscribe",
                "psubscribe" => "psubscribe",
                "unsubscribe" => "unsubscribe",
                _ => "punsubscribe",
            };
            let count = session.subscriptions() as i64;
            let topic = topic.map_or(Reply::Null, Reply::Bulk);
            let message = Reply::Push(vec![Reply::word(kind), topic, Reply::Int(count)]);
            out.push(Output::Send(conn, Frame::Reply(message)));
        }
    }

    /// `SENTINEL IS-MASTER-DOWN-BY-ADDR ip port current-epoch runid`
    pub(crate) fn is_master_down(&mut self, command: &Command, now: Time, out: &mut Vec<Output>) -> Answer {
        let host = word(command, 2);
        let port: i64 = parse(&command.0[3]).ok_or(NOT_AN_INTEGER)?;
        let epoch: i64 = parse(&command.0[4]).ok_or(NOT_AN_INTEGER)?;
        let found = self.masters.iter().position(|master| {
            i64::from(master.base.addr.port) == port && master.base.addr.host.eq_ignore_ascii_case(&host)
        });
        let Some(m) = found else {
            return Ok(Reply::Array(vec![Reply::Int(0), Reply::word("*"), Reply::Int(0)]));
        };
        let down = self.tilt_since.is_none() && self.masters[m].base.s_down;
        let candidate = word(command, 5);
        let (mut leader, mut leader_epoch) = (None, 0);
        if candidate != "*"
            && let Some(candidate) = RunId::parse(&candidate)
        {
            let now = self.clock(now);
            self.vote(m, epoch as u64, &candidate, now, out);
            let ballot = &self.masters[m].ballot;
            leader = ballot.leader.as_ref().map(|leader| Reply::bulk(leader.to_string()));
            leader_epoch = ballot.epoch as i64;
        }
        let leader = leader.unwrap_or(Reply::word("*"));
        Ok(Reply::Array(vec![Reply::Int(i64::from(down)), leader, Reply::Int(leader_epoch)]))
    }

    fn info(&self, command: &Command, now: Time) -> Reply {
        let asked: Vec<String> =
            command.0[1..].iter().map(|arg| String::from_utf8_lossy(arg).to_ascii_lowercase()).collect();
        let wants = |section: &str| {
            asked.is_empty()
                || asked
                    .iter()
                    .any(|asked| matches!(asked.as_str(), "all" | "default" | "everything") || asked == section)
        };
        let mut sections = Vec::new();
        if wants("server") {
            sections.push(self.info_server(now));
        }
        if wants("clients") {
            sections.push(Text::from(format!(
                "# Clients\r\nconnected_clients:{}\r\ncluster_connections:0\r\nmaxclients:10000\r\n\
                 client_recent_max_input_buffer:0\r\nclient_recent_max_output_buffer:0\r\nblocked_clients:0\r\n\
                 tracking_clients:0\r\nclients_in_timeout_table:0\r\n",
                self.sessions.len()
            )));
        }
        if wants("sentinel") {
            sections.push(self.info_sentinel(now));
        }
        let mut text = Text::new();
        for (index, section) in sections.into_iter().enumerate() {
            if index > 0 {
                text = text.str("\r\n");
            }
            text = text.text(section);
        }
        Reply::Text(text)
    }

    fn info_server(&self, now: Time) -> Text {
        let uptime = self.uptime(now);
        Text::from(format!(
            "# Server\r\nredis_version:7.0.15\r\nredis_git_sha1:00000000\r\nredis_git_dirty:0\r\nredis_mode:sentinel\r\n\
             os:Linux\r\narch_bits:64\r\nrun_id:{}\r\ntcp_port:",
            self.process_id
        ))
        .port(&self.identity.addr)
        .str(format!(
            "\r\nserver_time_usec:{}\r\nuptime_in_seconds:{}\r\nuptime_in_days:{}\r\nhz:10\r\nconfigured_hz:10\r\n",
            self.clock(now) * 1_000,
            uptime.as_secs(),
            uptime.as_secs() / 86_400
        ))
    }

    fn info_sentinel(&self, now: Time) -> Text {
        let now = self.clock(now);
        let tilt_for = self.tilt_since.map_or(-1, |since| (now - since) / 1_000);
        let failure_flags = u8::from(self.crash_after_election) + 2 * u8::from(self.crash_after_promotion);
        let mut text = Text::from(format!(
            "# Sentinel\r\nsentinel_masters:{}\r\nsentinel_tilt:{}\r\nsentinel_tilt_since_seconds:{tilt_for}\r\n\
             sentinel_running_scripts:0\r\nsentinel_scripts_queue_length:0\r\nsentinel_simulate_failure_flags:{failure_flags}\r\n",
            self.masters.len(),
            u8::from(self.tilt_since.is_some()),
        ));
        for (index, master) in self.masters.iter().enumerate() {
            let status = if master.o_down {
                "odown"
            } else if master.base.s_down {
                "sdown"
            } else {
                "ok"
            };
            text = text
                .str(format!("master{index}:name={},status={status},address=", master.name()))
                .host_port(&master.base.addr)
                .str(format!(",slaves={},sentinels={}\r\n", master.replicas.len(), master.peers.len() + 1));
        }
        text
    }

    /// Masters whose name matches a glob.
    pub(crate) fn matching(&self, pattern: &[u8]) -> Vec<usize> {
        (0..self.masters.len()).filter(|m| glob(pattern, self.masters[*m].name().as_bytes())).collect()
    }
}

fn ping(command: &Command, restricted: bool) -> Answer {
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

fn command_command(command: &Command) -> Answer {
    match word(command, 1).to_ascii_lowercase().as_str() {
        "count" => Ok(Reply::Int(TABLE.len() as i64)),
        "list" => Ok(Reply::Array(TABLE.iter().map(|entry| Reply::word(entry.name)).collect())),
        "docs" => Ok(Reply::Map(Vec::new())),
        "" | "info" => {
            let asked = command.0.get(2..).unwrap_or_default();
            let entry = |entry: &crate::tables::Entry| {
                Reply::Array(vec![
                    Reply::word(entry.name),
                    Reply::Int(entry.arity),
                    Reply::Set(Vec::new()),
                    Reply::Int(0),
                    Reply::Int(0),
                    Reply::Int(0),
                ])
            };
            if asked.is_empty() {
                return Ok(Reply::Array(TABLE.iter().map(entry).collect()));
            }
            let find = |name: &Bytes| TABLE.iter().find(|entry| name.eq_ignore_ascii_case(entry.name.as_bytes()));
            Ok(Reply::Array(asked.iter().map(|name| find(name).map_or(Reply::NullArray, entry)).collect()))
        }
        _ => Err(unknown_subcommand(&word(command, 1), "COMMAND")),
    }
}

/// Argument `index` as text; empty if there is none.
pub(crate) fn word(command: &Command, index: usize) -> String {
    command.get(index).map(|arg| String::from_utf8_lossy(arg).into_owned()).unwrap_or_default()
}

/// An argument as a number, as strictly as Redis reads it.
pub(crate) fn parse<T: std::str::FromStr>(arg: &Bytes) -> Option<T> {
    let text = std::str::from_utf8(arg).ok()?;
    let digits = text.strip_prefix('-').unwrap_or(text);
    let canonical = digits == "0" || (!digits.is_empty() && !digits.starts_with('0') && !digits.starts_with('+'));
    if canonical { text.parse().ok() } else { None }
}

pub(crate) fn wrong_arity(name: &str) -> Cow<'static, str> {
    format!("ERR wrong number of arguments for '{name}' command").into()
}

pub(crate) fn unknown_subcommand(sub: &str, command: &str) -> Cow<'static, str> {
    let sub: String = sub.chars().take(128).collect();
    format!("ERR unknown subcommand '{sub}'. Try {command} HELP.").into()
}

fn unknown_command(command: &Command) -> Cow<'static, str> {
    use std::fmt::Write as _;
    let name: String = word(command, 0).chars().take(128).collect();
    let mut args = String::new();
    for index in 1..command.len() {
        if args.len() >= 128 {
            break;
        }
        let arg: String = word(command, index).chars().take(128 - args.len()).collect();
        let _ = write!(args, "'{arg}' ");
    }
    format!("ERR unknown command '{name}', with args beginning with: {args}").into()
}

fn valid_client_name(name: &[u8]) -> Result<(), Cow<'static, str>> {
    if name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
        Ok(())
    } else {
        Err("ERR Client names cannot contain spaces, newlines or special characters.".into())
    }
}
