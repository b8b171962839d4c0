//! What is in a stream: `XADD`, `XDEL`, `XLEN`, `XRANGE`, `XTRIM`.

use bytes::Bytes;
use model::{Command, Reply};

use super::ids::{INVALID_ID, bound, entry, id, id_reply, unsigned};
use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, int, is, number, wrong_arity};
use crate::keyspace::own;
use crate::keyspace::stream::{NodeMax, Stream, StreamId, Trim};

/// What stands before the id of `XADD`, or is all there is of `XTRIM`.
struct Trimming {
    trim: Option<Trim>,
    /// Not `NOMKSTREAM`.
    make: bool,
    /// Where the threshold stands after `~`, which cuts off whole nodes only: replicas hear `=` and what was done.
    approximate: Option<usize>,
    /// How many entries may be cut off, if it was said.
    limit: Option<usize>,
    /// Where the options end.
    end: usize,
}

/// Reads the options from word 2 on, in the order in which Redis does; `adding` for `XADD`, where they end at the first word
/// that is none.
fn trimming(args: &[Bytes], adding: bool) -> Result<Trimming, Failure> {
    let (mut trim, mut make, mut approximate, mut limit, mut at) = (None, true, None, None, 2);
    while let Some(word) = args.get(at) {
        let more = args.len() - 1 - at;
        let by_length = is(word, "MAXLEN");
        if adding && &word[..] == b"*" {
            break;
        } else if (by_length || is(word, "MINID")) && more > 0 {
            if trim.is_some() {
                return Err("ERR syntax error, MAXLEN and MINID options at the same time are not compatible".into());
            }
            approximate = None;
            if more > 1 && matches!(&args[at + 1][..], b"=" | b"~") {
                at += 1;
                approximate = (&args[at][..] == b"~").then_some(at + 1);
            }
            at += 1;
            let threshold = &args[at];
            trim = Some(if by_length {
                let negative = |_| Failure::from("ERR The MAXLEN argument must be >= 0.");
                Trim::Length(usize::try_from(int(threshold)?).map_err(negative)?)
            } else {
                Trim::Before(id(threshold, 0)?)
            });
        } else if is(word, "LIMIT") && more > 0 {
            at += 1;
            limit = Some(int(&args[at])?);
            if limit < Some(0) {
                return Err("ERR The LIMIT argument must be >= 0.".into());
            }
        } else if adding && is(word, "NOMKSTREAM") {
            make = false;
        } else if adding {
            break;
        } else {
            return Err(SYNTAX);
        }
        at += 1;
    }
    if let Some(word) = args.get(at) {
        id_to_add(word)?;
    }
    if limit > Some(0) && trim.is_none() {
        return Err("ERR syntax error, LIMIT cannot be used without specifying a trimming strategy".into());
    }
    if !adding && trim.is_none() {
        return Err("ERR syntax error, XTRIM must be called with a trimming strategy".into());
    }
    if limit.is_some() && approximate.is_none() {
        return Err("ERR syntax error, LIMIT cannot be used without the special ~ option".into());
    }
    let limit = limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX));
    Ok(Trimming { trim, make, approximate, limit, end: at })
}

/// The id that `XADD` is given.
enum Wanted {
    /// `*`
    Next,
    /// `ms-*`
    NextWithin(u64),
    /// All of it.
    Exactly(StreamId),
}

fn id_to_add(word: &[u8]) -> Result<Wanted, Failure> {
    match word.strip_suffix(b"-*") {
        _ if word == b"*" => Ok(Wanted::Next),
        Some(ms) => unsigned(ms).map(Wanted::NextWithin).ok_or(INVALID_ID),
        None => id(word, 0).map(Wanted::Exactly),
    }
}

impl Trimming {
    /// Cuts off what it says; how many entries that were.
    fn apply(&self, stream: &mut Stream, node: NodeMax) -> usize {
        let Some(trim) = self.trim else { return 0 };
        let before = stream.entries.len();
        if self.approximate.is_none() {
            while let Some((id, _)) = stream.entries.first_key_value() {
                let (id, length) = (*id, stream.entries.len());
                if !matches!(trim, Trim::Length(most) if length > most)
                    && !matches!(trim, Trim::Before(least) if id < least)
                {
                    break;
                }
                stream.remove(id);
            }
            return before - stream.entries.len();
        }
        let usual = if node.entries == 0 { 10_000 } else { node.entries.saturating_mul(100).min(1_000_000) };
        let limit = self.limit.unwrap_or(usual);
        let mut left = if limit == 0 { usize::MAX } else { limit };
        while let Some(cut) = stream.trim_node(trim, left) {
            left -= cut;
        }
        before - stream.entries.len()
    }

    /// The command as replicas hear it, who are to have what is left.
    fn told(&self, args: &[Bytes], stream: &Stream) -> Command {
        let mut words = args.to_vec();
        if let (Some(at), Some(trim)) = (self.approximate, &self.trim) {
            words[at - 1] = Bytes::from_static(b"=");
            words[at] = match trim {
                Trim::Length(_) => number(stream.entries.len()),
                Trim::Before(_) => number(stream.entries.first_key_value().map_or(StreamId::default(), |(id, _)| *id)),
            };
        }
        Command(words)
    }
}

/// How large the nodes of streams may grow.
fn node_max(access: &Access<'_>) -> NodeMax {
    NodeMax { entries: access.parameter("stream-node-max-entries"), bytes: access.parameter("stream-node-max-bytes") }
}

pub(crate) fn xadd(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let key = &args[1];
    let trimming = trimming(args, true)?;
    let end = trimming.end;
    let wanted = args.get(end).ok_or_else(|| wrong_arity("xadd"))?;
    let fields = &args[end + 1..];
    if fields.is_empty() || !fields.len().is_multiple_of(2) {
        return Err(wrong_arity("xadd"));
    }
    let wanted = id_to_add(wanted)?;
    if matches!(wanted, Wanted::Exactly(id) if id == StreamId::default()) {
        return Err("ERR The ID specified in XADD must be greater than 0-0".into());
    }
    let now = access.now;
    let (last, there) = access.stream(key)?.map_or((StreamId::default(), false), |stream| (stream.last_id, true));
    if !there && !trimming.make {
        return Ok(Reply::Null);
    }
    if last == StreamId::MAX {
        return Err("ERR The stream has exhausted the last possible ID, unable to add more items".into());
    }
    let new = match wanted {
        Wanted::Next if now > last.0 => Some(StreamId(now, 0)),
        Wanted::Next => last.next(),
        Wanted::NextWithin(ms) => match ms.cmp(&last.0) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => last.1.checked_add(1).map(|seq| StreamId(ms, seq)),
            std::cmp::Ordering::Greater => Some(StreamId(ms, 0)),
        },
        Wanted::Exactly(id) => Some(id),
    };
    let new = new
        .filter(|new| *new > last)
        .ok_or("ERR The ID specified in XADD is equal or smaller than the target stream top item")?;
    let node = node_max(access);
    let stream = access.stream_or_new(key)?;
    let pairs = fields.chunks_exact(2).map(|pair| (own(&pair[0]), own(&pair[1]))).collect();
    stream.append(new, pairs, node);
    stream.last_id = new;
    stream.added += 1;
    let trimmed = trimming.apply(stream, node);
    let mut told = trimming.told(args, stream);
    access.changed("xadd", key, 1);
    if trimmed > 0 {
        access.tell("xtrim", key);
    }
    access.effects.ready.push((access.db, key.clone()));
    if !matches!(wanted, Wanted::Exactly(_)) {
        told.0[end] = number(new);
    }
    access.propagate_instead(told);
    Ok(id_reply(new))
}

pub(crate) fn xlen(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Reply::Int(access.stream(&args[1])?.map_or(0, |stream| stream.entries.len() as i64)))
}

fn xrange_of(access: &mut Access<'_>, args: &[Bytes], reverse: bool) -> DataResult {
    let (low, high) = if reverse { (&args[3], &args[2]) } else { (&args[2], &args[3]) };
    let (low, high) = (bound(low, true)?, bound(high, false)?);
    let mut count = usize::MAX;
    for option in args[4..].chunks(2) {
        match option {
            [word, value] if is(word, "COUNT") => count = usize::try_from(int(value)?).unwrap_or(0),
            _ => return Err(SYNTAX),
        }
    }
    let Some(stream) = access.stream(&args[1])? else { return Ok(Reply::Array(Vec::new())) };
    if count == 0 {
        return Ok(Reply::NullArray);
    }
    if low > high {
        return Ok(Reply::Array(Vec::new()));
    }
    let entries = stream.entries.range(low..=high).map(|(id, fields)| entry(*id, fields));
    Ok(Reply::Array(if reverse { entries.rev().take(count).collect() } else { entries.take(count).collect() }))
}

pub(crate) fn xrange(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    xrange_of(access, args, false)
}

pub(crate) fn xrevrange(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    xrange_of(access, args, true)
}

pub(crate) fn xdel(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let Some(stream) = access.stream(&args[1])? else { return Ok(Reply::Int(0)) };
    let ids = args[2..].iter().map(|arg| id(arg, 0)).collect::<Result<Vec<_>, _>>()?;
    let mut removed = 0;
    for id in ids {
        if stream.remove(id) {
            removed += 1;
            stream.max_deleted = stream.max_deleted.max(id);
        }
    }
    if removed > 0 {
        access.changed("xdel", &args[1], removed);
    }
    Ok(Reply::Int(removed as i64))
}

pub(crate) fn xtrim(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let trimming = trimming(args, false)?;
    let node = node_max(access);
    let Some(stream) = access.stream(&args[1])? else { return Ok(Reply::Int(0)) };
    let removed = trimming.apply(stream, node);
    if removed > 0 {
        let told = trimming.told(args, stream);
        access.changed("xtrim", &args[1], removed as u64);
        access.propagate_instead(told);
    }
    Ok(Reply::Int(removed as i64))
}

/// The last id, and what else a rewrite of the stream would have to tell.
pub(crate) fn xsetid(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let smaller = |than: &str| Failure::from(format!("ERR The ID specified in XSETID is smaller than {than}"));
    let last = id(&args[2], 0)?;
    let (mut added, mut deleted) = (None, StreamId::default());
    for option in args[3..].chunks(2) {
        match option {
            [name, value] if is(name, "ENTRIESADDED") => {
                added = Some(u64::try_from(int(value)?).map_err(|_| "ERR entries_added must be positive")?);
            }
            [name, value] if is(name, "MAXDELETEDID") => {
                deleted = id(value, 0)?;
                if last < deleted {
                    return Err(smaller("the provided max_deleted_entry_id"));
                }
            }
            _ => return Err(SYNTAX),
        }
    }
    let stream = access.stream(&args[1])?.ok_or("ERR no such key")?;
    if stream.entries.last_key_value().is_some_and(|(top, _)| last < *top) {
        return Err(smaller("the target stream top item"));
    }
    if added.is_some_and(|added| added < stream.entries.len() as u64) {
        return Err("ERR The entries_added specified in XSETID is smaller than the target stream length".into());
    }
    stream.last_id = last;
    stream.added = added.unwrap_or(stream.added);
    if deleted != StreamId::default() {
        stream.max_deleted = deleted;
    }
    // Redis breaks no WATCH here.
    access.tell("xsetid", &args[1]);
    access.effects.dirty += 1;
    Ok(Reply::OK)
}
