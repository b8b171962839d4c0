//! `COMMAND`, and `HELP` of every container.

use bytes::Bytes;
use model::{Command, Reply};

use crate::args::{SYNTAX, glob, is, text};
use crate::dispatch::{Call, Outcome};
use crate::keys;
use crate::node::Node;
use crate::table::{self, flag};

/// `CONTAINER HELP`
pub(crate) fn help(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    Ok(model::help(&text(&call.args()[0])).into())
}

/// Commands proper, without subcommands.
fn commands() -> impl Iterator<Item = &'static table::Spec> {
    table::all().iter().filter(|spec| !spec.name.contains('|'))
}

/// A command or a subcommand, `client|kill`.
fn named(name: &Bytes) -> Option<&'static table::Spec> {
    table::all().iter().find(|spec| is(name, spec.name))
}

pub(crate) fn all(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Array(commands().map(describe).collect()).into())
}

pub(crate) fn count(_: &mut Node, _: &mut Call<'_>) -> Outcome {
    Ok(Reply::Int(commands().count() as i64).into())
}

pub(crate) fn info(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    let names = &call.args()[2..];
    if names.is_empty() {
        return Ok(Reply::Array(commands().map(describe).collect()).into());
    }
    Ok(Reply::Array(names.iter().map(|name| named(name).map_or(Reply::Null, describe)).collect()).into())
}

/// Names and arities; there are no texts to give.
pub(crate) fn docs(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    let names = &call.args()[2..];
    let wanted = commands().filter(|spec| names.is_empty() || names.iter().any(|name| is(name, spec.name)));
    Ok(Reply::Map(wanted.map(|spec| (Reply::word(spec.name), Reply::Map(Vec::new()))).collect()).into())
}

pub(crate) fn getkeys(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    keys_of(call, |key, _| Reply::Bulk(key.clone()))
}

/// The keys of the command that is given as arguments.
fn keys_of(call: &Call<'_>, show: impl Fn(&Bytes, keys::Need) -> Reply) -> Outcome {
    let command = Command(call.args()[2..].to_vec());
    let spec = table::lookup(&command).map_err(|_| "ERR Invalid command specified")?;
    if !keys::has_any(spec) {
        return Err("ERR The command has no key arguments".into());
    }
    if !spec.takes(command.len()) {
        return Err("ERR Invalid number of arguments specified for command".into());
    }
    let found: Vec<Reply> = keys::of(spec, &command).into_iter().map(|(key, need)| show(key, need)).collect();
    if found.is_empty() && !spec.has(flag::NO_MANDATORY_KEYS) {
        return Err("ERR Invalid arguments specified for command".into());
    }
    Ok(Reply::Array(found).into())
}

pub(crate) fn list(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = &call.args()[2..];
    let wanted: Box<dyn Fn(&table::Spec) -> bool> = match args {
        [] => Box::new(|_| true),
        [filter, kind, name] if is(filter, "FILTERBY") && is(kind, "ACLCAT") => {
            let bit = table::cat::named(&text(name)).unwrap_or(0);
            Box::new(move |spec| spec.categories() & bit != 0)
        }
        [filter, kind, pattern] if is(filter, "FILTERBY") && is(kind, "PATTERN") => {
            let pattern = pattern.to_ascii_lowercase();
            Box::new(move |spec| glob(&pattern, spec.name.as_bytes()))
        }
        [filter, kind, _] if is(filter, "FILTERBY") && is(kind, "MODULE") => Box::new(|_| false),
        _ => return Err(SYNTAX),
    };
    Ok(Reply::Array(table::all().iter().filter(|spec| wanted(spec)).map(|spec| Reply::word(spec.name)).collect())
        .into())
}

/// A command as `COMMAND` shows it.
fn describe(spec: &table::Spec) -> Reply {
    let word = |word: String| Reply::Simple(word.into());
    let (first, last, step) = spec.keys;
    let subcommands = table::all().iter().filter(|other| {
        table::has_subcommands(spec.name)
            && other.name.strip_prefix(spec.name).is_some_and(|rest| rest.starts_with('|'))
    });
    let subcommands: Vec<Reply> = subcommands.map(describe).collect();
    let categories = table::cat::NAMES.iter().filter(|(bit, _)| spec.categories() & bit != 0);
    let (tips, places) = keys::notes(spec).map_or(("", &[][..]), |notes| (notes.tips, &notes.places));
    Reply::Array(vec![
        Reply::word(spec.name),
        Reply::Int(i64::from(spec.arity)),
        Reply::Set(spec.flag_names().map(|name| word(name.to_owned())).collect()),
        Reply::Int(i64::from(first)),
        Reply::Int(i64::from(last)),
        Reply::Int(i64::from(step)),
        Reply::Set(categories.map(|(_, name)| word(format!("@{name}"))).collect()),
        Reply::Set(tips.split_whitespace().map(Reply::word).collect()),
        Reply::Set(places.iter().map(place).collect()),
        if subcommands.is_empty() { Reply::Set(subcommands) } else { Reply::Array(subcommands) },
    ])
}

fn place(place: &'static keys::Place) -> Reply {
    let flags = place.flags.split(',').map(|flag| Reply::Simple(flag.into())).collect();
    let mut fields = vec![
        (Reply::word("flags"), Reply::Set(flags)),
        (Reply::word("begin_search"), search(place.begin)),
        (Reply::word("find_keys"), search(place.find)),
    ];
    if let Some(notes) = place.notes {
        fields.insert(0, (Reply::word("notes"), Reply::word(notes)));
    }
    Reply::Map(fields)
}

/// How keys are looked for: a kind and its numbers, `range:0:1:0`.
fn search(text: &'static str) -> Reply {
    let mut values = text.split(':');
    let kind = values.next().unwrap_or_default();
    let names: &[&str] = match kind {
        "index" => &["index"],
        "keyword" => &["keyword", "startfrom"],
        "range" => &["lastkey", "keystep", "limit"],
        "keynum" => &["keynumidx", "firstkey", "keystep"],
        _ => &[],
    };
    let value = |value: &'static str| value.parse().map_or_else(|_| Reply::word(value), Reply::Int);
    let fields = names.iter().zip(values).map(|(name, text)| (Reply::word(name), value(text))).collect();
    Reply::Map(vec![(Reply::word("type"), Reply::word(kind)), (Reply::word("spec"), Reply::Map(fields))])
}

/// The same as [`getkeys`], with what the command does to each.
pub(crate) fn getkeysandflags(_: &mut Node, call: &mut Call<'_>) -> Outcome {
    keys_of(call, |key, need| {
        let flags = need.0.split(',').map(|flag| Reply::Simple(flag.into())).collect();
        Reply::Array(vec![Reply::Bulk(key.clone()), Reply::Set(flags)])
    })
}
