//! Keys of any type: removal, expiry, names, and the databases as a whole.

use bytes::Bytes;
use model::{Command, Reply};

use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, bulks, glob, int, is, number, parse_int, text, yes_no};
use crate::keyspace::DATABASES;

pub(crate) fn del(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Reply::Int(args[1..].iter().filter(|key| access.delete(key)).count() as i64))
}

pub(crate) fn exists(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Reply::Int(args[1..].iter().filter(|key| access.read(key).is_some()).count() as i64))
}

pub(crate) fn type_of(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Reply::Simple(access.read(&args[1]).map_or("none", |value| value.type_name()).into()))
}

/// The condition under which `EXPIRE` and its kin act.
fn condition(options: &[Bytes], old: Option<u64>, new: i64) -> Result<bool, Failure> {
    let (mut nx, mut xx, mut gt, mut lt) = (false, false, false, false);
    for option in options {
        match () {
            () if is(option, "NX") => nx = true,
            () if is(option, "XX") => xx = true,
            () if is(option, "GT") => gt = true,
            () if is(option, "LT") => lt = true,
            () => return Err(format!("ERR Unsupported option {}", text(option)).into()),
        }
    }
    if nx && (xx || gt || lt) {
        return Err("ERR NX and XX, GT or LT options at the same time are not compatible".into());
    }
    if gt && lt {
        return Err("ERR GT and LT options at the same time are not compatible".into());
    }
    // No expiry time counts as one that never comes.
    let old_at = old.map_or(i64::MAX, |at| at as i64);
    Ok(!(nx && old.is_some()
        || xx && old.is_none()
        || gt && (old.is_none() || new <= old_at)
        || lt && old.is_some() && new >= old_at))
}

fn expire_in(access: &mut Access<'_>, args: &[Bytes], name: &str, unit: i64, relative: bool) -> DataResult {
    let key = &args[1];
    let invalid = || Failure::from(format!("ERR invalid expire time in '{name}' command"));
    let amount = int(&args[2])?.checked_mul(unit).ok_or_else(invalid)?;
    let base = if relative { access.now as i64 } else { 0 };
    let at = base.checked_add(amount).ok_or_else(invalid)?;
    if !access.exists(key) {
        condition(&args[3..], None, at)?;
        return Ok(Reply::Int(0));
    }
    if !condition(&args[3..], access.raw().expires_at(key), at)? {
        return Ok(Reply::Int(0));
    }
    // The stream of the master is never the one to find out that a time is over.
    if at <= access.now as i64 && access.expiry != crate::access::Expiry::Ignore {
        access.delete(key);
        access.propagate_instead(Command::of(&["DEL"]).arg(key.clone()));
    } else {
        access.raw().set_expiry(key, Some(at.max(0) as u64));
        access.changed(key, 1);
        access.propagate_instead(Command::of(&["PEXPIREAT"]).arg(key.clone()).arg(number(at)));
    }
    Ok(Reply::Int(1))
}

pub(crate) fn expire(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    expire_in(access, args, "expire", 1_000, true)
}

pub(crate) fn pexpire(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    expire_in(access, args, "pexpire", 1, true)
}

pub(crate) fn expireat(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    expire_in(access, args, "expireat", 1_000, false)
}

pub(crate) fn pexpireat(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    expire_in(access, args, "pexpireat", 1, false)
}

pub(crate) fn persist(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let timed = access.exists(&args[1]) && access.raw().expires_at(&args[1]).is_some();
    if timed {
        access.raw().set_expiry(&args[1], None);
        access.changed(&args[1], 1);
    }
    Ok(yes_no(timed))
}

/// −2 without the key, −1 without an expiry time, else what `show` makes of it.
fn time_to(access: &mut Access<'_>, key: &Bytes, show: impl FnOnce(u64, u64) -> u64) -> DataResult {
    if access.read(key).is_none() {
        return Ok(Reply::Int(-2));
    }
    let now = access.now;
    Ok(Reply::Int(access.raw().expires_at(key).map_or(-1, |at| show(at, now) as i64)))
}

pub(crate) fn ttl(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    time_to(access, &args[1], |at, now| (at.saturating_sub(now) + 500) / 1_000)
}

pub(crate) fn pttl(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    time_to(access, &args[1], u64::saturating_sub)
}

pub(crate) fn expiretime(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    time_to(access, &args[1], |at, _| (at + 500) / 1_000)
}

pub(crate) fn pexpiretime(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    time_to(access, &args[1], |at, _| at)
}

/// The keys that are not over their time, in order.
fn live_keys(access: &mut Access<'_>) -> Vec<Bytes> {
    let all: Vec<Bytes> = access.raw().iter().map(|(key, _, _)| key.clone()).collect();
    all.into_iter().filter(|key| access.exists(key)).collect()
}

pub(crate) fn keys(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let keys = live_keys(access);
    Ok(bulks(keys.iter().filter(|key| glob(&args[1], key))))
}

/// The cursor is the number of keys already seen, in the order of the keys.
pub(crate) fn scan(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let cursor = parse_int(&args[1]).and_then(|cursor| usize::try_from(cursor).ok());
    let cursor = cursor.ok_or(Failure::from("ERR invalid cursor"))?;
    let (mut count, mut pattern, mut kind) = (10, None, None);
    for option in args[2..].chunks(2) {
        let [name, value] = option else { return Err(SYNTAX) };
        match () {
            () if is(name, "COUNT") => count = usize::try_from(int(value)?).unwrap_or(0),
            () if is(name, "MATCH") => pattern = Some(value),
            () if is(name, "TYPE") => kind = Some(value),
            () => return Err(SYNTAX),
        }
    }
    if count == 0 {
        return Err(SYNTAX);
    }
    let keys = live_keys(access);
    let end = cursor.saturating_add(count).min(keys.len());
    let mut found = Vec::new();
    for key in keys.get(cursor..end).unwrap_or_default() {
        let of_kind = kind.is_none_or(|kind| access.get(key).is_some_and(|value| is(kind, value.type_name())));
        if of_kind && pattern.is_none_or(|pattern| glob(pattern, key)) {
            found.push(Reply::Bulk(key.clone()));
        }
    }
    let next = if end == keys.len() { 0 } else { end };
    Ok(Reply::Array(vec![Reply::Bulk(number(next)), Reply::Array(found)]))
}

pub(crate) fn randomkey(access: &mut Access<'_>, _: &[Bytes]) -> DataResult {
    // The first key is as random as any, and the same in every run.
    Ok(live_keys(access).into_iter().next().map_or(Reply::Null, Reply::Bulk))
}

pub(crate) fn dbsize(access: &mut Access<'_>, _: &[Bytes]) -> DataResult {
    Ok(Reply::Int(access.raw().len() as i64))
}

fn flush_mode(args: &[Bytes]) -> Result<(), Failure> {
    match args {
        [_] => Ok(()),
        [_, mode] if is(mode, "SYNC") || is(mode, "ASYNC") => Ok(()),
        _ => Err(SYNTAX),
    }
}

fn flush(access: &mut Access<'_>, db: usize) {
    let keys = access.data.0[db].clear();
    access.effects.dirty += keys.len() as u64;
    access.effects.touched.extend(keys.into_iter().map(|key| (db, key)));
}

pub(crate) fn flushdb(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    flush_mode(args)?;
    flush(access, access.db);
    // Propagated even if there was nothing to remove.
    access.effects.dirty += 1;
    Ok(Reply::OK)
}

pub(crate) fn flushall(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    flush_mode(args)?;
    for db in 0..DATABASES {
        flush(access, db);
    }
    access.effects.dirty += 1;
    Ok(Reply::OK)
}

fn rename_key(access: &mut Access<'_>, args: &[Bytes], only_new: bool) -> Result<bool, Failure> {
    let (from, to) = (&args[1], &args[2]);
    if !access.exists(from) {
        return Err("ERR no such key".into());
    }
    if from == to {
        return Ok(!only_new);
    }
    if only_new && access.exists(to) {
        return Ok(false);
    }
    let expires_at = access.raw().expires_at(from);
    if let Some(value) = access.raw().remove(from) {
        let list = value.type_name() == "list";
        access.changed(from, 0);
        access.store(to, value, expires_at);
        if list {
            access.effects.ready.push(to.clone());
        }
    }
    Ok(true)
}

pub(crate) fn rename(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    rename_key(access, args, false).map(|_| Reply::OK)
}

pub(crate) fn renamenx(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    rename_key(access, args, true).map(yes_no)
}
