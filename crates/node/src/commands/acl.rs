//! `ACL`: users and their rights.

use bytes::Bytes;
use model::{Reply, words};
use rand::RngExt as _;

use crate::access::Failure;
use crate::acl::{DEFAULT, Denied, Selector, User};
use crate::args::{int, is, text, wrong_subcommand};
use crate::dispatch::{Call, OK, Outcome};
use crate::node::Node;
use crate::table::{self, cat};

const NO_FILE: &str = "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the \
                       ACL SETUSER command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file \
                       set) in order to store users in the Redis configuration.";

/// All rules or none.
pub(crate) fn setuser(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.args();
    let name = args[2].clone();
    if name.iter().any(|byte| *byte == b' ' || *byte == 0) {
        return Err("ERR Usernames can't contain spaces or null characters".into());
    }
    let mut user = node.users.get(&name).cloned().unwrap_or_else(User::new);
    let rules = words::join_parentheses(&args[3..]).map_err(|first| {
        format!("ERR Unmatched parenthesis in acl selector starting at '{}'.", text(&args[3 + first]))
    })?;
    for rule in &rules {
        user.apply(rule).map_err(|why| format!("ERR Error in ACL SETUSER modifier '{}': {why}", text(rule)))?;
    }
    let unrestricted = user.unrestricted();
    for client in node.clients.values_mut().filter(|client| client.user == name) {
        client.unrestricted = unrestricted;
    }
    node.users.insert(name, user);
    OK
}

fn describe(selector: &Selector) -> Vec<(Reply, Reply)> {
    vec![
        (Reply::word("commands"), Reply::bulk(selector.show_commands())),
        (Reply::word("keys"), Reply::bulk(selector.show_keys())),
        (Reply::word("channels"), Reply::bulk(selector.show_channels())),
    ]
}

pub(crate) fn getuser(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let Some(user) = node.users.get(&call.args()[2]) else { return Ok(Reply::Null.into()) };
    let mut fields = vec![
        (Reply::word("flags"), Reply::Set(user.flags().into_iter().map(Reply::word).collect())),
        (Reply::word("passwords"), Reply::Array(user.passwords.iter().cloned().map(Reply::bulk).collect())),
    ];
    fields.extend(describe(user.root()));
    let selectors = user.selectors().iter().map(|selector| Reply::Map(describe(selector)));
    fields.push((Reply::word("selectors"), Reply::Array(selectors.collect())));
    Ok(Reply::Map(fields).into())
}

pub(crate) fn deluser(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let names = &call.command.0[2..];
    if names.contains(&DEFAULT) {
        return Err("ERR The 'default' user cannot be removed".into());
    }
    let mut removed = 0;
    for name in names {
        removed += i64::from(node.users.remove(name).is_some());
        let conns: Vec<_> =
            node.clients.iter().filter(|(_, client)| client.user == *name).map(|(conn, _)| *conn).collect();
        for conn in conns {
            if conn == call.conn {
                node.closing.push(conn);
            } else {
                node.close(call.now, conn, call.out);
            }
        }
    }
    Ok(Reply::Int(removed).into())
}

pub(crate) fn list(node: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(node.users.iter().map(|(name, user)| Reply::bulk(user.line(&text(name)))).collect()).into())
}

pub(crate) fn users(node: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(node.users.keys().cloned().map(Reply::Bulk).collect()).into())
}

pub(crate) fn whoami(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    Ok(node.clients.get(&call.conn).map_or(Reply::Null, |client| Reply::Bulk(client.user.clone())).into())
}

/// These subcommands take one argument or none.
fn one_argument(call: &Call<'_>) -> Result<(), Failure> {
    if call.args().len() > 3 { Err(wrong_subcommand("ACL", &call.args()[1])) } else { Ok(()) }
}

pub(crate) fn cat(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    one_argument(call)?;
    let Some(name) = call.args().get(2) else {
        return Ok(Reply::Array(cat::NAMES.iter().map(|(_, name)| Reply::word(name)).collect()).into());
    };
    let bit = cat::named(&text(name)).ok_or_else(|| format!("ERR Unknown category '{}'", text(name)))?;
    let within = table::all().iter().filter(|spec| spec.categories() & bit != 0);
    Ok(Reply::Array(within.map(|spec| Reply::word(spec.name)).collect()).into())
}

pub(crate) fn save(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    Err(NO_FILE.into())
}

pub(crate) fn load(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    Err(NO_FILE.into())
}

/// Denials are in the history of the run, not kept here.
pub(crate) fn log(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    one_argument(call)?;
    match call.args().get(2) {
        Some(word) if is(word, "RESET") => OK,
        Some(count) => int(count).map(|_| Reply::Array(Vec::new()).into()),
        None => Ok(Reply::Array(Vec::new()).into()),
    }
}

pub(crate) fn genpass(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    one_argument(call)?;
    let bits = match call.args().get(2) {
        None => 256,
        Some(bits) => Some(int(bits)?).filter(|bits| (1..=4096).contains(bits)).ok_or(
            "ERR ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        )?,
    };
    let digits = (0..(bits + 3) / 4).map(|_| char::from_digit(node.dice.random_range(0..16), 16).unwrap_or('0'));
    Ok(Reply::bulk(digits.collect::<String>()).into())
}

pub(crate) fn dryrun(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.args();
    let user = node.users.get(&args[2]).ok_or_else(|| format!("ERR User '{}' not found", text(&args[2])))?;
    let command = model::Command(args[3..].to_vec());
    let spec = table::lookup(&command).map_err(|_| format!("ERR Command '{}' not found", text(&args[3])))?;
    if !spec.takes(command.len()) {
        return Err(crate::args::wrong_arity(spec.name));
    }
    let why = match user.denies_word(spec, &command) {
        None => return OK,
        Some((Denied::Command, _)) => format!("This user has no permissions to run the '{}' command", spec.name),
        Some((Denied::Key, key)) => format!("This user has no permissions to access the '{}' key", text(key)),
        Some((Denied::Channel, channel)) => {
            format!("This user has no permissions to access the '{}' channel", text(channel))
        }
    };
    Ok(Reply::bulk(why).into())
}

/// The error that a denied command gets.
pub(crate) fn refusal(denied: Denied, name: &str) -> Failure {
    match denied {
        Denied::Command => format!("NOPERM this user has no permissions to run the '{name}' command").into(),
        Denied::Key => "NOPERM this user has no permissions to access one of the keys used as arguments".into(),
        Denied::Channel => "NOPERM this user has no permissions to access one of the channels used as arguments".into(),
    }
}

/// Whether there is such a user with such a password.
pub(crate) fn authenticate(node: &Node, user: &[u8], password: &[u8]) -> Result<Bytes, Failure> {
    match node.users.get_key_value(user) {
        Some((name, user)) if user.takes(password) => Ok(name.clone()),
        _ => Err("WRONGPASS invalid username-password pair or user is disabled.".into()),
    }
}
