//! `ACL` and its subcommands, and the log of what was denied.

use std::borrow::Cow;

use model::{Command, Conn, Output, Reply, Text};
use rand::RngExt as _;

use super::table::{self, CATEGORIES, TABLE};
use super::{Answer, NOT_AN_INTEGER, channels_of, look_up, parse, surplus, word};
use crate::Ms;
use crate::acl::{Denied, Selector, User};
use crate::machine::Sentinel;

const NO_FILE: &str = "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the \
     ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to \
     store users in the Redis configuration.";
const BITS: &str = "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to \
     4096";
/// Entries of the log that are kept (`acllog-max-len`).
const LOG_MAX: usize = 128;
/// What is denied again within this time is counted in the entry that there is.
const LOG_GROUPS: Ms = 60_000;

/// Something that was denied.
#[derive(Clone, Debug)]
pub(crate) struct Denial {
    count: i64,
    reason: &'static str,
    object: String,
    user: String,
    at: Ms,
    client: Text,
}

impl Sentinel {
    pub(super) fn acl_command(
        &mut self,
        conn: Conn,
        sub: &str,
        command: &Command,
        now: Ms,
        out: &mut Vec<Output>,
    ) -> Answer {
        if matches!(sub, "cat" | "genpass" | "log") && command.len() > 3 {
            return Err(surplus(command, "ACL"));
        }
        Ok(match sub {
            "whoami" => Reply::bulk(self.session(conn).user.clone()),
            "users" => Reply::Array(self.users.iter().map(|user| Reply::bulk(user.name.clone())).collect()),
            "list" => {
                let line = |user: &User| Reply::bulk(format!("user {} {}", user.name, user.rules()));
                Reply::Array(self.users.iter().map(line).collect())
            }
            "getuser" => self.users.get(&word(command, 2)).map_or(Reply::Null, describe),
            "setuser" => self.set_user(command, out)?,
            "deluser" => {
                let names: Vec<String> = (2..command.len()).map(|at| word(command, at)).collect();
                if names.iter().any(|name| name == "default") {
                    return Err("ERR The 'default' user cannot be removed".into());
                }
                let gone: Vec<&String> = names.iter().filter(|name| self.users.remove(name)).collect();
                let victims: Vec<Conn> = self
                    .sessions
                    .iter()
                    .filter(|(_, session)| gone.contains(&&session.user))
                    .map(|(conn, _)| *conn)
                    .collect();
                let reply = Reply::Int(gone.len() as i64);
                if victims.contains(&conn) {
                    out.push(Output::Send(conn, model::Frame::Reply(reply.clone())));
                }
                for victim in victims {
                    self.hang_up(victim, out);
                }
                reply
            }
            "cat" => cat(command)?,
            "genpass" => self.generate_password(command)?,
            "log" => self.denials(command, now)?,
            "dryrun" => self.dry_run(command)?,
            "load" | "save" => return Err(NO_FILE.into()),
            _ => model::help("acl"),
        })
    }

    /// The rules are applied to a copy: one that is wrong leaves the user as it was.
    fn set_user(&mut self, command: &Command, out: &mut Vec<Output>) -> Answer {
        let name = word(command, 2);
        if name.contains([' ', '\0']) {
            return Err("ERR Usernames can't contain spaces or null characters".into());
        }
        let mut user = self.users.get(&name).cloned().unwrap_or_else(|| User::new(&name));
        let rules: Vec<String> = (3..command.len()).map(|at| word(command, at)).collect();
        user.apply_all(&rules).map_err(|error| Cow::Owned(format!("ERR {error}")))?;
        // Subscribers who may not hear what they subscribed to are dropped.
        let deaf = |session: &&crate::machine::Session| {
            let may = |topics: &std::collections::BTreeSet<bytes::Bytes>, literal| {
                topics.iter().all(|topic| user.may_hear(&String::from_utf8_lossy(topic), literal))
            };
            session.user == name && !(may(&session.channels, false) && may(&session.patterns, true))
        };
        let victims = self.sessions.iter().filter(|(_, session)| deaf(session)).map(|(conn, _)| *conn);
        let victims: Vec<Conn> = victims.collect();
        for victim in victims {
            self.hang_up(victim, out);
        }
        self.users.put(user);
        Ok(Reply::OK)
    }

    fn generate_password(&mut self, command: &Command) -> Answer {
        let bits = match command.get(2) {
            None => 256,
            Some(bits) => parse::<i64>(bits).ok_or(NOT_AN_INTEGER)?,
        };
        if !(1..=4096).contains(&bits) {
            return Err(BITS.into());
        }
        let digits = (bits as usize).div_ceil(4);
        let password: String = (0..digits).filter_map(|_| char::from_digit(self.rng.random_range(0..16), 16)).collect();
        Ok(Reply::bulk(password))
    }

    fn dry_run(&self, command: &Command) -> Answer {
        let name = word(command, 2);
        let user = self.users.get(&name).ok_or_else(|| format!("ERR User '{name}' not found"))?;
        let asked = Command(command.0[3..].to_vec());
        let unknown = || Cow::Owned(format!("ERR Command '{}' not found", word(&asked, 0)));
        let index = look_up(&asked).map_err(|_| unknown())?;
        let spec = &TABLE[index];
        if !spec.arity_fits(asked.len()) {
            return Err(super::wrong_arity(spec.name));
        }
        let words: Vec<String> = (1..asked.len()).map(|at| word(&asked, at)).collect();
        let args: Vec<&str> = words.iter().map(String::as_str).collect();
        let (channels, literal) = channels_of(spec.name, &args);
        Ok(match user.check(index, &args, channels, literal) {
            Ok(()) => Reply::OK,
            Err(Denied::Command) => {
                Reply::bulk(format!("This user has no permissions to run the '{}' command", spec.name))
            }
            Err(Denied::Channel) => {
                let refused = channels.iter().find(|channel| !user.may_hear(channel, literal)).unwrap_or(&"");
                Reply::bulk(format!("This user has no permissions to access the '{refused}' channel"))
            }
        })
    }

    /// Remembers what was denied.
    pub(super) fn log_denial(&mut self, conn: Conn, reason: &'static str, object: String, user: String, now: Ms) {
        let client = self.client_line(conn, now);
        let same = self.denials.iter().position(|denial| {
            denial.reason == reason && denial.object == object && denial.user == user && now - denial.at <= LOG_GROUPS
        });
        let count = same.map_or(0, |at| self.denials.remove(at).count);
        self.denials.insert(0, Denial { count: count + 1, reason, object, user, at: now, client });
        self.denials.truncate(LOG_MAX);
    }

    fn denials(&mut self, command: &Command, now: Ms) -> Answer {
        let most = match command.get(2) {
            None => 10,
            Some(reset) if reset.eq_ignore_ascii_case(b"reset") => {
                self.denials.clear();
                return Ok(Reply::OK);
            }
            Some(count) => parse::<i64>(count).ok_or(NOT_AN_INTEGER)?.max(0),
        };
        let entry = |denial: &Denial| {
            let field = |name: &'static str, value: Reply| (Reply::word(name), value);
            Reply::Map(vec![
                field("count", Reply::Int(denial.count)),
                field("reason", Reply::word(denial.reason)),
                field("context", Reply::word("toplevel")),
                field("object", Reply::bulk(denial.object.clone())),
                field("username", Reply::bulk(denial.user.clone())),
                field("age-seconds", Reply::Double((now - denial.at) as f64 / 1_000.0)),
                field("client-info", Reply::Text(denial.client.clone())),
            ])
        };
        Ok(Reply::Array(self.denials.iter().take(most as usize).map(entry).collect()))
    }
}

/// `ACL GETUSER`
fn describe(user: &User) -> Reply {
    let field = |name: &'static str, value: Reply| (Reply::word(name), value);
    let permissions = |selector: &Selector| {
        vec![
            field("commands", Reply::bulk(selector.commands())),
            field("keys", Reply::bulk(selector.keys())),
            field("channels", Reply::bulk(selector.channels())),
        ]
    };
    let mut fields = vec![
        field("flags", Reply::Set(user.flags().into_iter().map(Reply::word).collect())),
        field("passwords", Reply::Array(user.passwords().iter().cloned().map(Reply::bulk).collect())),
    ];
    fields.extend(permissions(&user.selectors()[0]));
    let others = user.selectors()[1..].iter().map(|selector| Reply::Map(permissions(selector)));
    fields.push(field("selectors", Reply::Array(others.collect())));
    Reply::Map(fields)
}

/// `ACL CAT [category]`
fn cat(command: &Command) -> Answer {
    if command.len() == 2 {
        return Ok(Reply::Array(CATEGORIES.iter().map(|category| Reply::word(category)).collect()));
    }
    let asked = word(command, 2);
    let category = asked.to_ascii_lowercase();
    if !CATEGORIES.contains(&category.as_str()) {
        return Err(format!("ERR Unknown category '{asked}'").into());
    }
    let members = table::TABLE.iter().filter(|spec| spec.is_in(&category));
    Ok(Reply::Array(members.map(|spec| Reply::word(spec.name)).collect()))
}
