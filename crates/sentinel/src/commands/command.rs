//! `COMMAND` and its subcommands.

use model::{Command, Reply};

use super::docs::DOCS;
use super::table::{self, Spec, TABLE};
use super::{Answer, SYNTAX, word};
use crate::machine::glob;

pub(super) fn command(sub: &str, command: &Command) -> Answer {
    let asked = || command.0.iter().skip(2);
    let named = |name: &bytes::Bytes| {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        table::find(&name).map(|index| &TABLE[index])
    };
    Ok(match sub {
        "" => Reply::Array(table::commands().map(Spec::entry).collect()),
        "info" if command.len() == 2 => Reply::Array(table::commands().map(Spec::entry).collect()),
        "info" => Reply::Array(asked().map(|name| named(name).map_or(Reply::Null, Spec::entry)).collect()),
        "count" => Reply::Int(table::commands().count() as i64),
        "list" => list(command)?,
        "docs" if command.len() == 2 => Reply::Map(table::commands().filter_map(|spec| docs(spec.name)).collect()),
        "docs" => Reply::Map(asked().filter_map(|name| docs(named(name)?.name)).collect()),
        "getkeys" | "getkeysandflags" => {
            // No command of a Sentinel has keys.
            return Err(match named(&command.0[2]) {
                None => "ERR Invalid command specified".into(),
                Some(_) => "ERR The command has no key arguments".into(),
            });
        }
        _ => model::help("command"),
    })
}

fn list(command: &Command) -> Answer {
    let names = |keep: &dyn Fn(&Spec) -> bool| {
        Ok(Reply::Array(TABLE.iter().filter(|spec| keep(spec)).map(|spec| Reply::word(spec.name)).collect()))
    };
    if command.len() == 2 {
        return names(&|_| true);
    }
    if command.len() != 5 || !word(command, 2).eq_ignore_ascii_case("filterby") {
        return Err(SYNTAX.into());
    }
    let value = word(command, 4).to_ascii_lowercase();
    match word(command, 3).to_ascii_lowercase().as_str() {
        "module" => names(&|_| false),
        "aclcat" => names(&|spec| spec.is_in(&value)),
        "pattern" => names(&|spec| glob(value.as_bytes(), spec.name.as_bytes())),
        _ => Err(SYNTAX.into()),
    }
}

/// What `COMMAND DOCS` says of a command: the words about it, not those about its arguments.
fn docs(name: &'static str) -> Option<(Reply, Reply)> {
    let (_, fields) = DOCS.iter().find(|(documented, _)| *documented == name)?;
    let titles = ["summary", "since", "group", "complexity"];
    let fields = titles.into_iter().zip(fields).filter(|(_, text)| !text.is_empty());
    let mut fields: Vec<(Reply, Reply)> = fields.map(|(title, text)| (Reply::word(title), Reply::word(text))).collect();
    let under = format!("{name}|");
    let subcommands = TABLE.iter().filter(|spec| spec.name.starts_with(&under));
    let subcommands: Vec<(Reply, Reply)> = subcommands.filter_map(|spec| docs(spec.name)).collect();
    if !subcommands.is_empty() {
        fields.push((Reply::word("subcommands"), Reply::Map(subcommands)));
    }
    Some((Reply::word(name), Reply::Map(fields)))
}
