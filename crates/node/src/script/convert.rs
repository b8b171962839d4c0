//! Between the values of Lua and replies.

use bytes::Bytes;
use mlua::{Lua, MultiValue, Table, Value};
use model::{Reply, double_text};

use super::Failed;

/// Tables may hold one another; deeper than this they are cut.
const DEPTH_MAX: usize = 100;
const TOO_DEEP: &str = "ERR reached lua stack limit";

/// What marks an error that is in the statistics already.
pub(super) const COUNTED: &str = "ignore_error_stats_update";

/// The words of a command that a script gives.
pub(super) fn words(args: &MultiValue) -> Result<Vec<Bytes>, &'static str> {
    if args.is_empty() {
        return Err("ERR Please specify at least one argument for this redis lib call");
    }
    let word = |value: &Value| match value {
        Value::String(text) => Ok(Bytes::copy_from_slice(&text.as_bytes())),
        Value::Integer(number) => Ok(Bytes::from(number.to_string())),
        Value::Number(number) => Ok(Bytes::from(double_text(*number))),
        _ => Err("ERR Lua redis lib command arguments must be strings or integers"),
    };
    args.iter().map(word).collect()
}

fn sequence<'a>(lua: &Lua, items: impl IntoIterator<Item = &'a Reply>, resp3: bool) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (index, item) in items.into_iter().enumerate() {
        table.raw_set(index + 1, to_lua(lua, item, resp3)?)?;
    }
    Ok(table)
}

/// True of the table of an error that is in the statistics already.
pub(super) fn is_counted(error: &Table) -> bool {
    matches!(error.raw_get(COUNTED), Ok(Value::Boolean(true)))
}

pub(super) fn within(lua: &Lua, name: &str, value: impl mlua::IntoLua) -> mlua::Result<Value> {
    let table = lua.create_table()?;
    table.raw_set(name, value)?;
    Ok(Value::Table(table))
}

/// A reply as a script sees it.
pub(super) fn to_lua(lua: &Lua, reply: &Reply, resp3: bool) -> mlua::Result<Value> {
    let string = |bytes: &[u8]| lua.create_string(bytes).map(Value::String);
    match reply {
        Reply::Simple(text) => within(lua, "ok", string(text.as_bytes())?),
        Reply::Error(text) => {
            let table = lua.create_table()?;
            table.raw_set("err", string(text.as_bytes())?)?;
            table.raw_set(COUNTED, true)?;
            Ok(Value::Table(table))
        }
        Reply::Int(number) => Ok(Value::Number(*number as f64)),
        Reply::Bulk(bytes) => string(bytes),
        Reply::BigNumber(digits) if resp3 => within(lua, "big_number", string(digits.as_bytes())?),
        Reply::BigNumber(digits) => string(digits.as_bytes()),
        Reply::Bool(value) if resp3 => Ok(Value::Boolean(*value)),
        Reply::Bool(value) => Ok(Value::Number(f64::from(u8::from(*value)))),
        Reply::Verbatim(text) if resp3 => {
            let verbatim = lua.create_table()?;
            verbatim.raw_set("format", "txt")?;
            verbatim.raw_set("string", string(text.to_string().as_bytes())?)?;
            within(lua, "verbatim_string", verbatim)
        }
        Reply::Text(text) | Reply::Status(text) | Reply::Verbatim(text) => string(text.to_string().as_bytes()),
        Reply::Double(number) if resp3 => within(lua, "double", *number),
        Reply::Double(number) => string(double_text(*number).as_bytes()),
        Reply::Decimal(digits) if resp3 => within(lua, "double", digits.parse::<f64>().unwrap_or(f64::NAN)),
        Reply::Decimal(digits) => string(digits.as_bytes()),
        Reply::Null | Reply::NullArray if resp3 => Ok(Value::Nil),
        Reply::Null | Reply::NullArray => Ok(Value::Boolean(false)),
        Reply::Set(items) if resp3 => {
            let set = lua.create_table()?;
            for item in items {
                set.raw_set(to_lua(lua, item, true)?, true)?;
            }
            within(lua, "set", set)
        }
        Reply::Map(pairs) if resp3 => {
            let map = lua.create_table()?;
            for (key, value) in pairs {
                map.raw_set(to_lua(lua, key, true)?, to_lua(lua, value, true)?)?;
            }
            within(lua, "map", map)
        }
        Reply::Map(pairs) => {
            let flat = pairs.iter().flat_map(|(key, value)| [key, value]);
            sequence(lua, flat, resp3).map(Value::Table)
        }
        other => sequence(lua, other.as_array().unwrap_or_default(), resp3).map(Value::Table),
    }
}

/// What a script returned, as a reply. Numbers lose their fraction. `resp3` is true after `redis.setresp(3)`. The errors in it
/// are added to `errors`.
pub(super) fn from_lua(value: &Value, resp3: bool, depth: usize, errors: &mut Vec<Failed>) -> Reply {
    match value {
        Value::String(text) => Reply::Bulk(Bytes::copy_from_slice(&text.as_bytes())),
        Value::Integer(number) => Reply::Int(*number),
        // Beyond the range of integers the processor gives the lowest one.
        Value::Number(number) if number.abs() < 9.2e18 => Reply::Int(*number as i64),
        Value::Number(_) => Reply::Int(i64::MIN),
        Value::Boolean(value) if resp3 => Reply::Bool(*value),
        Value::Boolean(true) => Reply::Int(1),
        Value::Table(table) if depth < DEPTH_MAX => from_table(table, resp3, depth, errors).unwrap_or(Reply::Null),
        Value::Table(_) => {
            errors.push(Failed { text: TOO_DEEP.to_owned(), counted: false });
            Reply::error(TOO_DEEP)
        }
        _ => Reply::Null,
    }
}

fn from_table(table: &Table, resp3: bool, depth: usize, errors: &mut Vec<Failed>) -> mlua::Result<Reply> {
    let text = |name: &str| match table.raw_get::<Value>(name) {
        Ok(Value::String(text)) => Some(text.to_string_lossy().clone().replace(['\r', '\n'], " ")),
        _ => None,
    };
    if let Some(text) = text("err") {
        errors.push(Failed { text: text.clone(), counted: is_counted(table) });
        return Ok(Reply::error(text));
    }
    if let Some(text) = text("ok") {
        return Ok(Reply::Simple(text.into()));
    }
    match table.raw_get::<Value>("double")? {
        Value::Number(number) => return Ok(Reply::Double(number)),
        Value::Integer(number) => return Ok(Reply::Double(number as f64)),
        _ => {}
    }
    let mut inner = |value: &Value| from_lua(value, resp3, depth + 1, errors);
    if let Value::Table(map) = table.raw_get::<Value>("map")? {
        let pairs = map.pairs::<Value, Value>().collect::<mlua::Result<Vec<_>>>()?;
        return Ok(Reply::Map(pairs.iter().map(|(key, value)| (inner(key), inner(value))).collect()));
    }
    if let Value::Table(set) = table.raw_get::<Value>("set")? {
        let pairs = set.pairs::<Value, Value>().collect::<mlua::Result<Vec<_>>>()?;
        return Ok(Reply::Set(pairs.iter().map(|(member, _)| inner(member)).collect()));
    }
    if let Some(digits) = text("big_number") {
        return Ok(Reply::BigNumber(digits));
    }
    if let Value::Table(verbatim) = table.raw_get::<Value>("verbatim_string")? {
        let part = |name: &str| verbatim.raw_get::<Option<mlua::LuaString>>(name);
        // Whatever the format is called, it is shown as text.
        if let (Some(_), Some(text)) = (part("format")?, part("string")?) {
            return Ok(Reply::Verbatim(text.to_string_lossy().clone().into()));
        }
    }
    let mut items = Vec::new();
    loop {
        let item: Value = table.raw_get(items.len() + 1)?;
        if item.is_nil() {
            return Ok(Reply::Array(items));
        }
        items.push(inner(&item));
    }
}
