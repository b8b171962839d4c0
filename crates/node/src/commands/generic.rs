//! Keys of any type: removal, expiry, names, and the databases as a whole.

use bytes::Bytes;
use model::{Command, Reply};

use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, bulks, glob, int, is, number, parse_int, text, unsigned, yes_no};
use crate::keyspace::{DATABASES, Form, Value};

pub(crate) fn del(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Reply::Int(args[1..].iter().filter(|key| access.delete(key)).count() as i64))
}

/// What is in many pieces is freed later, which shows in `INFO` only.
pub(crate) fn unlink(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    const PIECES_AT_ONCE: usize = 64;
    let mut count = 0;
    for key in &args[1..] {
        let pieces = access.raw().get(key).map_or(0, Value::pieces);
        if access.delete(key) {
            count += 1;
            access.effects.freed_lazily += u64::from(pieces > PIECES_AT_ONCE);
        }
    }
    Ok(Reply::Int(count))
}

pub(crate) fn exists(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Reply::Int(args[1..].iter().filter(|key| access.peek(key).is_some()).count() as i64))
}

pub(crate) fn touch(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Reply::Int(args[1..].iter().filter(|key| access.get(key).is_some()).count() as i64))
}

pub(crate) fn type_of(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Reply::Simple(access.peek(&args[1]).map_or("none", |value| value.type_name()).into()))
}

/// The condition under which `EXPIRE` and its kin act.
#[derive(Default)]
struct Condition {
    new: bool,
    present: bool,
    later: bool,
    earlier: bool,
}

impl Condition {
    fn parse(options: &[Bytes]) -> Result<Self, Failure> {
        let mut found = Self::default();
        for option in options {
            match () {
                () if is(option, "NX") => found.new = true,
                () if is(option, "XX") => found.present = true,
                () if is(option, "GT") => found.later = true,
                () if is(option, "LT") => found.earlier = true,
                () => return Err(format!("ERR Unsupported option {}", text(option)).into()),
            }
        }
        if found.new && (found.present || found.later || found.earlier) {
            return Err("ERR NX and XX, GT or LT options at the same time are not compatible".into());
        }
        if found.later && found.earlier {
            return Err("ERR GT and LT options at the same time are not compatible".into());
        }
        Ok(found)
    }

    /// No expiry time counts as one that never comes.
    fn holds(&self, old: Option<u64>, new: i64) -> bool {
        let old_at = old.map_or(i64::MAX, |at| at as i64);
        !(self.new && old.is_some()
            || self.present && old.is_none()
            || self.later && (old.is_none() || new <= old_at)
            || self.earlier && old.is_some() && new >= old_at)
    }
}

fn expire_in(access: &mut Access<'_>, args: &[Bytes], name: &str, unit: i64, relative: bool) -> DataResult {
    let key = &args[1];
    let condition = Condition::parse(&args[3..])?;
    let invalid = || Failure::from(format!("ERR invalid expire time in '{name}' command"));
    let amount = int(&args[2])?.checked_mul(unit).ok_or_else(invalid)?;
    let base = if relative { access.now as i64 } else { 0 };
    let at = base.checked_add(amount).ok_or_else(invalid)?;
    if !access.exists(key) || !condition.holds(access.raw().expires_at(key), at) {
        return Ok(Reply::Int(0));
    }
    // The stream of the master is never the one to find out that a time is over.
    if at <= access.now as i64 && access.expiry != crate::access::Expiry::Ignore {
        access.delete(key);
        access.propagate_instead(Command::of(&["DEL"]).arg(key.clone()));
    } else {
        access.raw().set_expiry(key, Some(at.max(0) as u64));
        access.changed("expire", key, 1);
        let told = Command::of(&["PEXPIREAT"]).arg(key.clone()).arg(number(at));
        access.propagate_instead(args[3..].iter().fold(told, |told, word| told.arg(word.clone())));
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
        access.changed("persist", &args[1], 1);
    }
    Ok(yes_no(timed))
}

/// −2 without the key, −1 without an expiry time, else what `show` makes of it.
fn time_to(access: &mut Access<'_>, key: &Bytes, show: impl FnOnce(u64, u64) -> u64) -> DataResult {
    if access.peek(key).is_none() {
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
    all.into_iter().filter(|key| access.is_live(key)).collect()
}

pub(crate) fn keys(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let keys = live_keys(access);
    Ok(bulks(keys.iter().filter(|key| glob(&args[1], key))))
}

/// What `SCAN` and its kin are asked for. Within a collection the cursor is the number of items already seen, in their
/// order.
struct ScanOptions<'a> {
    cursor: usize,
    count: usize,
    pattern: Option<&'a Bytes>,
    kind: Option<&'a Bytes>,
}

impl<'a> ScanOptions<'a> {
    fn parse(cursor: usize, options: &'a [Bytes], typed: bool) -> Result<Self, Failure> {
        let mut parsed = Self { cursor, count: 10, pattern: None, kind: None };
        for option in options.chunks(2) {
            let [name, value] = option else { return Err(SYNTAX) };
            match () {
                () if is(name, "COUNT") => parsed.count = usize::try_from(int(value)?).unwrap_or(0),
                () if is(name, "MATCH") => parsed.pattern = Some(value),
                () if typed && is(name, "TYPE") => parsed.kind = Some(value),
                () => return Err(SYNTAX),
            }
        }
        if parsed.count == 0 {
            return Err(SYNTAX);
        }
        Ok(parsed)
    }
}

fn cursor(arg: &[u8]) -> Result<usize, Failure> {
    let (minus, digits) = arg.strip_prefix(b"-").map_or((false, arg), |digits| (true, digits));
    let digits = digits.strip_prefix(b"+").filter(|_| !minus).unwrap_or(digits);
    let number = if arg.is_empty() { Some(0) } else { unsigned(digits) };
    // As C reads it: nothing is 0, and -1 the largest.
    let cursor = number.map(|number| if minus { number.wrapping_neg() } else { number } as usize);
    cursor.ok_or(Failure::from("ERR invalid cursor"))
}

/// The next items of a collection, each of one or two words, and the cursor after them: all of them, if it is `packed`. Of a
/// collection that is not there no option is read.
pub(crate) fn scan_items(
    args: &[Bytes],
    packed: bool,
    items: impl FnOnce() -> Result<Option<Vec<Vec<Bytes>>>, Failure>,
) -> DataResult {
    let cursor = cursor(&args[2])?;
    let Some(items) = items()? else {
        return Ok(Reply::Array(vec![Reply::Bulk(number(0)), Reply::Array(Vec::new())]));
    };
    let options = ScanOptions::parse(cursor, &args[3..], false)?;
    let (start, count) = if packed { (0, items.len()) } else { (options.cursor, options.count) };
    let end = start.saturating_add(count).min(items.len());
    let page = items.get(start..end).unwrap_or_default();
    let wanted = |item: &&Vec<Bytes>| options.pattern.is_none_or(|pattern| glob(pattern, &item[0]));
    let found = page.iter().filter(wanted).flatten().cloned().map(Reply::Bulk).collect();
    let next = if end == items.len() { 0 } else { end };
    Ok(Reply::Array(vec![Reply::Bulk(number(next)), Reply::Array(found)]))
}

pub(crate) fn scan(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let options = ScanOptions::parse(cursor(&args[1])?, &args[2..], true)?;
    let (mut keys, next) = access.raw().scan(options.cursor as u64, options.count);
    keys.retain(|key| {
        options.pattern.is_none_or(|pattern| glob(pattern, key))
            && match options.kind {
                Some(kind) => access.peek(key).is_some_and(|value| is(kind, value.type_name())),
                None => access.is_live(key),
            }
    });
    Ok(Reply::Array(vec![Reply::Bulk(number(next)), bulks(keys.iter())]))
}

fn database(arg: &[u8]) -> Option<usize> {
    parse_int(arg).and_then(|db| usize::try_from(db).ok()).filter(|db| *db < DATABASES)
}

pub(crate) fn swapdb(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let index = |text: &Bytes| parse_int(text).and_then(|index| i32::try_from(index).ok());
    let first = index(&args[1]).ok_or("ERR invalid first DB index")?;
    let second = index(&args[2]).ok_or("ERR invalid second DB index")?;
    let both = [first, second].map(|db| usize::try_from(db).ok().filter(|db| *db < DATABASES));
    let [Some(first), Some(second)] = both else { return Err("ERR DB index is out of range".into()) };
    for (db, other) in [(first, second), (second, first)] {
        let keys: Vec<Bytes> = access.data.0[db].iter().map(|(key, _, _)| key.clone()).collect();
        access.effects.touched.extend(keys.iter().flat_map(|key| [(db, key.clone()), (other, key.clone())]));
        access.effects.ready.extend(keys.into_iter().map(|key| (other, key)));
    }
    access.data.0.swap(first, second);
    access.effects.dirty += 1;
    Ok(Reply::OK)
}

/// `key` as it is in the database of the command.
fn whole(access: &mut Access<'_>, key: &Bytes) -> Option<(Value, Form, Option<u64>)> {
    let value = access.get(key)?.clone();
    Some((value, access.raw().form(key), access.raw().expires_at(key)))
}

/// Stores into database `db` without an event; false if the key is there already.
fn store_in(
    access: &mut Access<'_>,
    db: usize,
    key: &Bytes,
    (value, form, expires_at): (Value, Form, Option<u64>),
    replace: bool,
) -> bool {
    let here = std::mem::replace(&mut access.db, db);
    let free = replace || !access.exists(key);
    if free {
        access.store("", key, value, expires_at);
        access.raw().set_form(key, form);
        access.effects.ready.push((access.db, key.clone()));
    }
    access.db = here;
    free
}

/// An event in database `db`.
fn tell_in(access: &mut Access<'_>, db: usize, event: &'static str, key: &Bytes) {
    let here = std::mem::replace(&mut access.db, db);
    access.tell(event, key);
    access.db = here;
}

pub(crate) fn move_key(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    int(&args[2])?;
    let db = database(&args[2]).ok_or("ERR DB index is out of range")?;
    if db == access.db {
        return Err("ERR source and destination objects are the same".into());
    }
    let Some(found) = whole(access, &args[1]) else { return Ok(Reply::Int(0)) };
    let moved = store_in(access, db, &args[1], found, false);
    if moved {
        access.raw().remove(&args[1]);
        access.changed("move_from", &args[1], 1);
        tell_in(access, db, "move_to", &args[1]);
    }
    Ok(yes_no(moved))
}

pub(crate) fn copy(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (mut db, mut replace) = (access.db, false);
    let mut rest = args[3..].iter();
    while let Some(option) = rest.next() {
        match () {
            () if is(option, "REPLACE") => replace = true,
            () if is(option, "DB") => {
                let wanted = rest.next().ok_or(SYNTAX)?;
                int(wanted)?;
                db = database(wanted).ok_or("ERR DB index is out of range")?;
            }
            () => return Err(SYNTAX),
        }
    }
    if db == access.db && args[1] == args[2] {
        return Err("ERR source and destination objects are the same".into());
    }
    access.counts = true;
    let Some(found) = whole(access, &args[1]) else { return Ok(Reply::Int(0)) };
    let copied = store_in(access, db, &args[2], found, replace);
    if copied {
        tell_in(access, db, "copy_to", &args[2]);
    }
    Ok(yes_no(copied))
}

pub(crate) fn object_encoding(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    if access.peek(&args[2]).is_none() {
        return Ok(Reply::Null);
    }
    Ok(access.raw().encoding(&args[2]).map_or(Reply::Null, Reply::word))
}

pub(crate) fn object_refcount(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    if access.peek(&args[2]).is_none() {
        return Ok(Reply::Null);
    }
    let shared = access.raw().shared(&args[2]).is_some();
    Ok(Reply::Int(if shared { i64::from(i32::MAX) } else { 1 }))
}

pub(crate) fn object_idletime(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    if access.peek(&args[2]).is_none() {
        return Ok(Reply::Null);
    }
    if access.config.other("maxmemory-policy").ends_with("-lfu") {
        return Err(
            "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
             policies at runtime LRU and LFU data will take some time to adjust."
                .into(),
        );
    }
    Ok(access.idle(&args[2]).map_or(Reply::Null, |seconds| Reply::Int(seconds.into())))
}

pub(crate) fn object_freq(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    if access.peek(&args[2]).is_none() {
        return Ok(Reply::Null);
    }
    Err("ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between \
         policies at runtime LRU and LFU data will take some time to adjust."
        .into())
}

/// A rough figure: the bytes of the key and the value, and some for the entry.
pub(crate) fn memory_usage(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    match &args[3..] {
        [] => {}
        [option, samples] if is(option, "SAMPLES") => {
            if int(samples)? < 0 {
                return Err(SYNTAX);
            }
        }
        _ => return Err(SYNTAX),
    }
    access.counts = false;
    let length = args[2].len();
    Ok(access.peek(&args[2]).map_or(Reply::Null, |value| Reply::Int((value.bytes() + length + 48) as i64)))
}

pub(crate) fn randomkey(access: &mut Access<'_>, _: &[Bytes]) -> DataResult {
    // The first key of a scan is as random as any, and the same in every run.
    let mut cursor = 0;
    loop {
        let (keys, next) = access.raw().scan(cursor, 1);
        if let Some(key) = keys.into_iter().find(|key| access.is_live(key)) {
            return Ok(Reply::Bulk(key));
        }
        if next == 0 {
            return Ok(Reply::Null);
        }
        cursor = u64::from(next);
    }
}

pub(crate) fn dbsize(access: &mut Access<'_>, _: &[Bytes]) -> DataResult {
    Ok(Reply::Int(access.raw().len() as i64))
}

/// Whether the values are freed later.
fn flush_mode(args: &[Bytes]) -> Result<bool, Failure> {
    match args {
        [_] => Ok(false),
        [_, mode] if is(mode, "SYNC") => Ok(false),
        [_, mode] if is(mode, "ASYNC") => Ok(true),
        _ => Err(SYNTAX),
    }
}

fn flush(access: &mut Access<'_>, db: usize, later: bool) {
    let keys = access.data.0[db].clear();
    access.effects.freed_lazily += if later { keys.len() as u64 } else { 0 };
    access.effects.dirty += keys.len() as u64;
    access.effects.flushed = true;
    access.effects.touched.extend(keys.into_iter().map(|key| (db, key)));
}

pub(crate) fn flushdb(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let later = flush_mode(args)?;
    flush(access, access.db, later);
    // Propagated even if there was nothing to remove.
    access.effects.dirty += 1;
    Ok(Reply::OK)
}

pub(crate) fn flushall(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let later = flush_mode(args)?;
    for db in 0..DATABASES {
        flush(access, db, later);
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
    let (form, expires_at) = (access.raw().form(from), access.raw().expires_at(from));
    if let Some(value) = access.raw().remove(from) {
        let list = value.type_name() == "list";
        access.changed("rename_from", from, 0);
        access.store("rename_to", to, value, expires_at);
        access.raw().set_form(to, form);
        if list {
            access.effects.ready.push((access.db, to.clone()));
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
