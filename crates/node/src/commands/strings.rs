//! Strings and counters.

use bytes::Bytes;
use model::{Command, Reply};

use crate::access::{Access, DataResult, Failure};
use crate::args::{NOT_AN_INTEGER, SYNTAX, int, is, number, parse_int, wrong_arity, yes_no};
use crate::keyspace::{Form, Value, own};
use crate::long_double::{LongDouble, Read};

/// The condition and the expiry time that `SET` and `GETEX` can be given.
#[derive(Default)]
struct Options<'a> {
    only_new: bool,
    only_present: bool,
    keep_ttl: bool,
    persist: bool,
    get: bool,
    /// `EX` or one of its kin, and the amount, which nobody has looked at.
    expires: Option<(&'a [u8], &'a [u8])>,
}

impl Options<'_> {
    /// In Unix milliseconds.
    fn expires_at(&self, now: u64, command: &str) -> Result<Option<u64>, Failure> {
        self.expires.map(|(option, amount)| expiry(option, amount, now, command)).transpose()
    }
}

/// An expiry time given as `amount` in the unit and from the origin of `option`, in Unix milliseconds.
fn expiry(option: &[u8], amount: &[u8], now: u64, command: &str) -> Result<u64, Failure> {
    let invalid = || Failure::from(format!("ERR invalid expire time in '{command}' command"));
    let amount = int(amount)?;
    let seconds = is(option, "EX") || is(option, "EXAT");
    let relative = is(option, "EX") || is(option, "PX");
    let millis = if seconds { amount.checked_mul(1_000).ok_or_else(invalid)? } else { amount };
    if amount <= 0 {
        return Err(invalid());
    }
    let base = if relative { now as i64 } else { 0 };
    base.checked_add(millis).map(|at| at as u64).ok_or_else(invalid)
}

fn options(args: &[Bytes], setting: bool) -> Result<Options<'_>, Failure> {
    let mut options = Options::default();
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let timed = options.expires.is_some() || options.keep_ttl || options.persist;
        if setting && is(arg, "NX") && !options.only_present {
            options.only_new = true;
        } else if setting && is(arg, "XX") && !options.only_new {
            options.only_present = true;
        } else if setting && is(arg, "GET") {
            options.get = true;
        } else if setting && is(arg, "KEEPTTL") && !timed {
            options.keep_ttl = true;
        } else if !setting && is(arg, "PERSIST") && !timed {
            options.persist = true;
        } else if ["EX", "PX", "EXAT", "PXAT"].iter().any(|word| is(arg, word)) && !timed {
            options.expires = Some((arg, rest.next().ok_or(SYNTAX)?));
        } else {
            return Err(SYNTAX);
        }
    }
    Ok(options)
}

fn bulk_or_null(value: Option<&Bytes>) -> Reply {
    value.map_or(Reply::Null, |value| Reply::Bulk(value.clone()))
}

/// `SET key value PXAT millis`: how a value with an expiry time travels to replicas.
fn set_until(key: &Bytes, value: &Bytes, at: u64) -> Command {
    Command::of(&["SET"]).arg(key.clone()).arg(value.clone()).arg("PXAT").arg(number(at))
}

pub(crate) fn set(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (key, value) = (&args[1], &args[2]);
    let options = options(&args[3..], true)?;
    let expires_at = options.expires_at(access.now, "set")?;
    access.counts = options.get;
    let old = if options.get { bulk_or_null(access.string(key)?) } else { Reply::OK };
    let present = access.exists(key);
    if (options.only_new && present) || (options.only_present && !present) {
        return Ok(if options.get { old } else { Reply::Null });
    }
    let kept = if options.keep_ttl { access.raw().expires_at(key) } else { None };
    access.store("set", key, Value::Str(own(value)), expires_at.or(kept));
    if let Some(at) = expires_at {
        access.tell("expire", key);
        access.propagate_instead(set_until(key, value, at));
    } else if options.get {
        let without_get = args.iter().enumerate().filter(|(index, arg)| *index < 3 || !is(arg, "GET"));
        access.propagate_instead(Command(without_get.map(|(_, arg)| arg.clone()).collect()));
    }
    Ok(old)
}

fn set_for(access: &mut Access<'_>, args: &[Bytes], unit: &[u8], name: &str) -> DataResult {
    let at = expiry(unit, &args[2], access.now, name)?;
    access.store("set", &args[1], Value::Str(own(&args[3])), Some(at));
    access.tell("expire", &args[1]);
    access.propagate_instead(set_until(&args[1], &args[3], at));
    Ok(Reply::OK)
}

pub(crate) fn setex(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    set_for(access, args, b"EX", "setex")
}

pub(crate) fn psetex(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    set_for(access, args, b"PX", "psetex")
}

pub(crate) fn setnx(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let new = !access.exists(&args[1]);
    if new {
        access.store("set", &args[1], Value::Str(own(&args[2])), None);
    }
    Ok(yes_no(new))
}

pub(crate) fn get(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    access.string(&args[1]).map(bulk_or_null)
}

pub(crate) fn getset(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    access.counts = true;
    let old = bulk_or_null(access.string(&args[1])?);
    access.store("set", &args[1], Value::Str(own(&args[2])), None);
    access.propagate_instead(Command::of(&["SET"]).arg(args[1].clone()).arg(args[2].clone()));
    Ok(old)
}

pub(crate) fn getdel(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    access.counts = true;
    let old = bulk_or_null(access.string(&args[1])?);
    if access.delete(&args[1]) {
        access.propagate_instead(Command::of(&["DEL"]).arg(args[1].clone()));
    }
    Ok(old)
}

pub(crate) fn getex(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let options = options(&args[2..], false)?;
    let key = &args[1];
    access.counts = true;
    let Some(value) = access.string(key)?.cloned() else { return Ok(Reply::Null) };
    if let Some(at) = options.expires_at(access.now, "getex")? {
        if at <= access.now {
            access.delete(key);
            access.propagate_instead(Command::of(&["DEL"]).arg(key.clone()));
        } else {
            access.raw().set_expiry(key, Some(at));
            access.changed("expire", key, 1);
            access.propagate_instead(Command::of(&["PEXPIREAT"]).arg(key.clone()).arg(number(at)));
        }
    } else if options.persist && access.raw().expires_at(key).is_some() {
        access.raw().set_expiry(key, None);
        access.changed("persist", key, 1);
        access.propagate_instead(Command::of(&["PERSIST"]).arg(key.clone()));
    }
    Ok(Reply::Bulk(value))
}

pub(crate) fn getrange(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (start, end) = (int(&args[2])?, int(&args[3])?);
    let Some(value) = access.string(&args[1])? else { return Ok(Reply::word("")) };
    let length = value.len() as i64;
    let clamp = |index: i64| if index < 0 { (length.saturating_add(index)).max(0) } else { index };
    let (from, to) = (clamp(start), clamp(end).min(length - 1));
    if from > to || length == 0 || (start < 0 && end < 0 && start > end) {
        return Ok(Reply::word(""));
    }
    Ok(Reply::Bulk(value.slice(from as usize..=to as usize)))
}

pub(crate) fn strlen(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Reply::Int(access.string(&args[1])?.map_or(0, |value| value.len() as i64)))
}

pub(crate) fn append(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let key = &args[1];
    let found = access.string(key)?;
    let form = if found.is_some() { Form::Loose } else { Form::ByValue };
    let mut value = found.map_or_else(Vec::new, |value| value.to_vec());
    if value.len() + args[2].len() > access.string_max() {
        return Err(TOO_LONG);
    }
    value.extend_from_slice(&args[2]);
    let length = value.len() as i64;
    let expires_at = access.raw().expires_at(key);
    access.store_text("append", key, (value.into(), form), expires_at);
    Ok(Reply::Int(length))
}

pub(crate) fn mget(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let values = args[1..].iter().map(|key| match access.get(key) {
        Some(Value::Str(value)) => Reply::Bulk(value.clone()),
        _ => Reply::Null,
    });
    Ok(Reply::Array(values.collect()))
}

fn store_pairs(access: &mut Access<'_>, args: &[Bytes]) {
    for pair in args[1..].chunks_exact(2) {
        access.store("set", &pair[0], Value::Str(own(&pair[1])), None);
    }
}

pub(crate) fn mset(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    if args.len().is_multiple_of(2) {
        return Err(wrong_arity("mset"));
    }
    store_pairs(access, args);
    Ok(Reply::OK)
}

pub(crate) fn msetnx(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    if args.len().is_multiple_of(2) {
        return Err(wrong_arity("msetnx"));
    }
    let new = !args[1..].iter().step_by(2).any(|key| access.exists(key));
    if new {
        store_pairs(access, args);
    }
    Ok(yes_no(new))
}

fn add(access: &mut Access<'_>, key: &Bytes, amount: i64) -> DataResult {
    let old = access.string(key)?.map_or(Some(0), |value| parse_int(value)).ok_or(NOT_AN_INTEGER)?;
    let Some(new) = old.checked_add(amount) else {
        return Err("ERR increment or decrement would overflow".into());
    };
    let expires_at = access.raw().expires_at(key);
    access.store("incrby", key, Value::Str(number(new)), expires_at);
    Ok(Reply::Int(new))
}

pub(crate) fn incr(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    add(access, &args[1], 1)
}

pub(crate) fn decr(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    add(access, &args[1], -1)
}

pub(crate) fn incrby(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let amount = int(&args[2])?;
    add(access, &args[1], amount)
}

pub(crate) fn decrby(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let Some(amount) = int(&args[2])?.checked_neg() else {
        return Err("ERR decrement would overflow".into());
    };
    add(access, &args[1], amount)
}

const NOT_A_FLOAT: &str = "ERR value is not a valid float";

/// An amount to be added to a field of a hash: infinity is refused before anything else is looked at.
pub(crate) fn finite(amount: &[u8]) -> Result<(), Failure> {
    match LongDouble::read(amount).ok_or(NOT_A_FLOAT)? {
        Read::Finite(_) => Ok(()),
        Read::Infinite => Err("ERR value is NaN or Infinity".into()),
    }
}

/// The sum of two floats as Redis shows it.
pub(crate) fn sum(old: &[u8], amount: &[u8], not_a_float: &'static str) -> Result<Bytes, Failure> {
    let (old, amount) = (LongDouble::read(old).ok_or(not_a_float)?, LongDouble::read(amount).ok_or(NOT_A_FLOAT)?);
    let sum = match (old, amount) {
        (Read::Finite(old), Read::Finite(amount)) => old.plus(&amount),
        _ => None,
    };
    Ok(Bytes::from(sum.ok_or("ERR increment would produce NaN or Infinity")?.show()))
}

pub(crate) fn incrbyfloat(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let key = &args[1];
    let old = access.string(key)?.cloned().unwrap_or(Bytes::from_static(b"0"));
    let value = sum(&old, &args[2], NOT_A_FLOAT)?;
    let expires_at = access.raw().expires_at(key);
    access.store_text("incrbyfloat", key, (value.clone(), Form::Text), expires_at);
    // As a plain value, so that replicas cannot round differently.
    access.propagate_instead(Command::of(&["SET"]).arg(key.clone()).arg(value.clone()).arg("KEEPTTL"));
    Ok(Reply::Bulk(value))
}

const TOO_LONG: Failure = std::borrow::Cow::Borrowed("ERR string exceeds maximum allowed size (proto-max-bulk-len)");

pub(crate) fn setrange(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (key, patch) = (&args[1], &args[3]);
    let offset = usize::try_from(int(&args[2])?).map_err(|_| "ERR offset is out of range")?;
    let old = access.string(key)?.cloned().unwrap_or_default();
    if patch.is_empty() {
        return Ok(Reply::Int(old.len() as i64));
    }
    let end = offset.checked_add(patch.len()).filter(|end| *end <= access.string_max()).ok_or(TOO_LONG)?;
    let mut value = old.to_vec();
    value.resize(end.max(value.len()), 0);
    value[offset..end].copy_from_slice(patch);
    let length = value.len() as i64;
    let expires_at = access.raw().expires_at(key);
    access.store_text("setrange", key, (value.into(), Form::Loose), expires_at);
    Ok(Reply::Int(length))
}
