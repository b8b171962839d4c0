//! Streams and their consumer groups.

use std::collections::BTreeMap;

use bytes::Bytes;
use model::{Command, Reply};

use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, int, is, number, parse_int, text, wrong_arity};
use crate::blocking;
use crate::commands::lists::Pop;
use crate::dispatch::{Answer, Call, Outcome};
use crate::keyspace::stream::{Consumer, Group, Pending, Stream, StreamId};
use crate::keyspace::{Value, own};
use crate::node::Node;

const INVALID_ID: Failure = std::borrow::Cow::Borrowed("ERR Invalid stream ID specified as stream command argument");

fn unsigned(bytes: &[u8]) -> Option<u64> {
    let digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(bytes).ok()?.parse().ok()).flatten()
}

/// `ms-seq`, or `ms` alone, which then means `ms-<seq>`.
fn id(bytes: &[u8], seq: u64) -> Result<StreamId, Failure> {
    let mut parts = bytes.splitn(2, |byte| *byte == b'-');
    let ms = parts.next().and_then(unsigned).ok_or(INVALID_ID)?;
    let seq = parts.next().map_or(Some(seq), unsigned).ok_or(INVALID_ID)?;
    Ok(StreamId(ms, seq))
}

/// An end of a range: `-`, `+`, an id, or an id after `(`, which is left out.
fn bound(bytes: &[u8], low: bool) -> Result<StreamId, Failure> {
    match bytes {
        b"-" => Ok(StreamId::default()),
        b"+" => Ok(StreamId::MAX),
        [b'(', rest @ ..] if low => id(rest, 0)?.next().ok_or("ERR invalid start ID for the interval".into()),
        [b'(', rest @ ..] => {
            let StreamId(ms, seq) = id(rest, u64::MAX)?;
            let before =
                if seq > 0 { Some(StreamId(ms, seq - 1)) } else { ms.checked_sub(1).map(|ms| StreamId(ms, u64::MAX)) };
            before.ok_or("ERR invalid end ID for the interval".into())
        }
        rest => id(rest, if low { 0 } else { u64::MAX }),
    }
}

fn id_reply(id: StreamId) -> Reply {
    Reply::Bulk(number(id))
}

fn entry(id: StreamId, fields: &[(Bytes, Bytes)]) -> Reply {
    let fields = fields.iter().flat_map(|(field, value)| [Reply::Bulk(field.clone()), Reply::Bulk(value.clone())]);
    Reply::Array(vec![id_reply(id), Reply::Array(fields.collect())])
}

/// How a stream is cut short.
enum Trim {
    Length(usize),
    Before(StreamId),
}

/// What stands before the id of `XADD`, or is all there is of `XTRIM`. `~` cuts as exactly.
struct Trimming {
    trim: Option<Trim>,
    /// Not `NOMKSTREAM`.
    make: bool,
    /// Where the options end.
    end: usize,
}

/// Reads the options from word 2 on, in the order in which Redis does; `adding` for `XADD`, where they end at the first word
/// that is none.
fn trimming(args: &[Bytes], adding: bool) -> Result<Trimming, Failure> {
    let (mut trim, mut make, mut approximate, mut limit, mut at) = (None, true, false, None, 2);
    while let Some(word) = args.get(at) {
        let more = args.len() - 1 - at;
        let by_length = is(word, "MAXLEN");
        if adding && &word[..] == b"*" {
            break;
        } else if (by_length || is(word, "MINID")) && more > 0 {
            if trim.is_some() {
                return Err("ERR syntax error, MAXLEN and MINID options at the same time are not compatible".into());
            }
            approximate = false;
            if more > 1 && matches!(&args[at + 1][..], b"=" | b"~") {
                at += 1;
                approximate = &args[at][..] == b"~";
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
    if limit.is_some() && !approximate {
        return Err("ERR syntax error, LIMIT cannot be used without the special ~ option".into());
    }
    Ok(Trimming { trim, make, end: at })
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

impl Trim {
    fn apply(&self, stream: &mut Stream) -> usize {
        let before = stream.entries.len();
        match self {
            Self::Length(most) => {
                while stream.entries.len() > *most {
                    stream.entries.pop_first();
                }
            }
            Self::Before(id) => stream.entries = stream.entries.split_off(id),
        }
        before - stream.entries.len()
    }

    fn words(&self, command: Command) -> Command {
        match self {
            Self::Length(most) => command.arg("MAXLEN").arg("=").arg(number(most)),
            Self::Before(id) => command.arg("MINID").arg("=").arg(number(id)),
        }
    }
}

pub(crate) fn xadd(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let key = &args[1];
    let Trimming { trim, make, end } = trimming(args, true)?;
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
    if !there && !make {
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
    let stream = access.stream_or_new(key)?;
    let pairs = fields.chunks_exact(2).map(|pair| (own(&pair[0]), own(&pair[1]))).collect();
    stream.entries.insert(new, pairs);
    stream.last_id = new;
    stream.added += 1;
    if let Some(trim) = &trim {
        trim.apply(stream);
    }
    access.changed(key, 1);
    access.effects.ready.push(key.clone());
    let command = Command::of(&["XADD"]).arg(key.clone());
    let command = trim.map_or(command.clone(), |trim| trim.words(command)).arg(number(new));
    access.propagate_instead(fields.iter().fold(command, |command, word| command.arg(word.clone())));
    Ok(id_reply(new))
}

pub(crate) fn xlen(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Reply::Int(access.stream(&args[1])?.map_or(0, |stream| stream.entries.len() as i64)))
}

fn xrange_of(access: &mut Access<'_>, args: &[Bytes], reverse: bool) -> DataResult {
    let (low, high) = if reverse { (&args[3], &args[2]) } else { (&args[2], &args[3]) };
    let (low, high) = (bound(low, true)?, bound(high, false)?);
    let count = match &args[4..] {
        [] => usize::MAX,
        [word, count] if is(word, "COUNT") => usize::try_from(int(count)?).unwrap_or(0),
        _ => return Err(SYNTAX),
    };
    let Some(stream) = access.stream(&args[1])?.filter(|_| low <= high) else { return Ok(Reply::Array(Vec::new())) };
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
    let ids = args[2..].iter().map(|arg| id(arg, 0)).collect::<Result<Vec<_>, _>>()?;
    let Some(stream) = access.stream(&args[1])? else { return Ok(Reply::Int(0)) };
    let mut removed = 0;
    for id in ids {
        if stream.entries.remove(&id).is_some() {
            removed += 1;
            stream.max_deleted = stream.max_deleted.max(id);
        }
    }
    if removed > 0 {
        access.changed(&args[1], removed);
    }
    Ok(Reply::Int(removed as i64))
}

pub(crate) fn xtrim(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let Some(trim) = trimming(args, false)?.trim else { return Err(SYNTAX) };
    let Some(stream) = access.stream(&args[1])? else { return Ok(Reply::Int(0)) };
    let removed = trim.apply(stream);
    if removed > 0 {
        access.changed(&args[1], removed as u64);
        access.propagate_instead(trim.words(Command::of(&["XTRIM"]).arg(args[1].clone())));
    }
    Ok(Reply::Int(removed as i64))
}

fn no_group(key: &[u8], group: &[u8]) -> Failure {
    format!("NOGROUP No such key '{}' or consumer group '{}'", text(key), text(group)).into()
}

fn group<'a>(access: &'a mut Access<'_>, key: &Bytes, name: &Bytes) -> Result<Option<&'a mut Group>, Failure> {
    Ok(access.stream(key)?.and_then(|stream| stream.groups.get_mut(name)))
}

/// What `XREAD` and `XREADGROUP` read.
#[derive(Clone, Debug)]
pub(crate) struct Reading {
    keys: Vec<Bytes>,
    /// After which id; `None` for what the group has not seen yet (`>`).
    after: Vec<Option<StreamId>>,
    count: usize,
    group: Option<(Bytes, Bytes)>,
    no_ack: bool,
}

impl Reading {
    pub(crate) fn keys(&self) -> &[Bytes] {
        &self.keys
    }

    /// True if an entry that is read is gone for the others.
    pub(crate) fn consumes(&self) -> bool {
        self.group.is_some()
    }

    /// Streams with something to read; `None` if there is none.
    pub(crate) fn attempt(&self, access: &mut Access<'_>) -> Result<Option<Reply>, Failure> {
        let mut found = Vec::new();
        for (key, after) in self.keys.iter().zip(&self.after) {
            let entries = match &self.group {
                None => self.read(access, key, after.unwrap_or_default())?,
                Some((group, consumer)) => self.read_group(access, key, *after, group, consumer)?,
            };
            if let Some(entries) = entries {
                found.push((Reply::Bulk(key.clone()), Reply::Array(entries)));
            }
        }
        if found.is_empty() {
            return Ok(None);
        }
        if access.resp3 {
            return Ok(Some(Reply::Map(found)));
        }
        Ok(Some(Reply::Array(found.into_iter().map(|(key, entries)| Reply::Array(vec![key, entries])).collect())))
    }

    fn read(&self, access: &mut Access<'_>, key: &Bytes, after: StreamId) -> Result<Option<Vec<Reply>>, Failure> {
        let Some(stream) = access.stream(key)? else { return Ok(None) };
        let Some(from) = after.next() else { return Ok(None) };
        let entries = stream.entries.range(from..).take(self.count).map(|(id, fields)| entry(*id, fields));
        let entries: Vec<Reply> = entries.collect();
        Ok((!entries.is_empty()).then_some(entries))
    }

    fn read_group(
        &self,
        access: &mut Access<'_>,
        key: &Bytes,
        after: Option<StreamId>,
        name: &Bytes,
        consumer: &Bytes,
    ) -> Result<Option<Vec<Reply>>, Failure> {
        let now = access.now;
        let missing = || {
            let text = format!(
                "NOGROUP No such key '{}' or consumer group '{}' in XREADGROUP with GROUP option",
                text(key),
                text(name)
            );
            Failure::from(text)
        };
        let Some(stream) = access.stream(key)? else { return Err(missing()) };
        let Some(group) = stream.groups.get_mut(name) else { return Err(missing()) };
        let new_consumer = group.consumers.insert(consumer.clone(), Consumer { seen: now }).is_none();
        let mut commands = Vec::new();
        if new_consumer {
            let command = Command::of(&["XGROUP", "CREATECONSUMER"]).arg(key.clone()).arg(name.clone());
            commands.push(command.arg(consumer.clone()));
        }
        let mut entries = Vec::new();
        if let Some(after) = after {
            let own = group.pending.range(after.next().unwrap_or(StreamId::MAX)..);
            for (id, _) in own.filter(|(_, pending)| pending.consumer == *consumer).take(self.count) {
                entries.push(match stream.entries.get(id) {
                    Some(fields) => entry(*id, fields),
                    None => Reply::Array(vec![id_reply(*id), Reply::NullArray]),
                });
            }
        } else {
            let from = group.last_id.next().unwrap_or(StreamId::MAX);
            let place = Place { added: stream.added, ..Place::of(&stream.entries, stream.last_id, stream.max_deleted) };
            for (id, fields) in stream.entries.range(from..).take(self.count) {
                entries.push(entry(*id, fields));
                group.last_id = *id;
                group.read = if group.read >= 0 && !place.gap_after(*id) {
                    group.read + 1
                } else {
                    place.of_entry(*id).map_or(-1, |place| place as i64)
                };
                if !self.no_ack {
                    group.pending.insert(*id, Pending { consumer: consumer.clone(), at: now, times: 1 });
                    commands.push(claim(key, name, consumer, *id, now, 1, *id));
                }
            }
            if self.no_ack && !entries.is_empty() {
                let command = Command::of(&["XGROUP", "SETID"]).arg(key.clone()).arg(name.clone());
                commands.push(command.arg(number(group.last_id)).arg("ENTRIESREAD").arg(number(group.read)));
            }
        }
        if !commands.is_empty() {
            access.changed(key, commands.len() as u64);
            for command in commands {
                access.propagate_also(command);
            }
        }
        Ok((after.is_some() || !entries.is_empty()).then_some(entries))
    }
}

/// How a delivery travels to replicas.
fn claim(key: &Bytes, group: &Bytes, consumer: &Bytes, id: StreamId, at: u64, times: u64, last: StreamId) -> Command {
    let command = Command::of(&["XCLAIM"]).arg(key.clone()).arg(group.clone()).arg(consumer.clone()).arg("0");
    let command = command.arg(number(id)).arg("TIME").arg(number(at)).arg("RETRYCOUNT").arg(number(times));
    command.arg("FORCE").arg("JUSTID").arg("LASTID").arg(number(last))
}

fn reading(node: &mut Node, call: &mut Call<'_>, with_group: bool) -> Outcome {
    let args = call.command.0.clone();
    let db = node.clients.get(&call.conn).map_or(0, |client| client.db);
    let (mut count, mut block, mut no_ack, mut group) = (usize::MAX, None, false, None);
    let mut at = 1;
    let streams = loop {
        let word = args.get(at).ok_or(SYNTAX)?;
        let next = args.get(at + 1);
        match () {
            () if is(word, "COUNT") => {
                count =
                    usize::try_from(int(next.ok_or(SYNTAX)?)?).ok().filter(|count| *count > 0).unwrap_or(usize::MAX);
                at += 2;
            }
            () if is(word, "BLOCK") => {
                let millis = parse_int(next.ok_or(SYNTAX)?).ok_or("ERR timeout is not an integer or out of range")?;
                block = Some(u64::try_from(millis).map_err(|_| "ERR timeout is negative")?);
                at += 2;
            }
            () if with_group && is(word, "GROUP") => {
                group = Some((next.ok_or(SYNTAX)?.clone(), args.get(at + 2).ok_or(SYNTAX)?.clone()));
                at += 3;
            }
            () if with_group && is(word, "NOACK") => {
                no_ack = true;
                at += 1;
            }
            () if is(word, "STREAMS") => break &args[at + 1..],
            () => return Err(SYNTAX),
        }
    };
    if with_group && group.is_none() {
        return Err("ERR Missing GROUP option for XREADGROUP".into());
    }
    if streams.is_empty() || !streams.len().is_multiple_of(2) {
        let name = if with_group { "xreadgroup" } else { "xread" };
        return Err(format!(
            "ERR Unbalanced '{name}' list of streams: for each stream key an ID or '{}' must be specified.",
            if with_group { '>' } else { '$' }
        )
        .into());
    }
    let (keys, ids) = streams.split_at(streams.len() / 2);
    let mut after = Vec::new();
    for (key, wanted) in keys.iter().zip(ids) {
        after.push(match &wanted[..] {
            b">" if with_group => None,
            b"$" if !with_group => {
                let last = node.data.0[db].get(key).map_or(StreamId::default(), |value| match value {
                    Value::Stream(stream) => stream.last_id,
                    _ => StreamId::default(),
                });
                Some(last)
            }
            b">" => return Err("ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.".into()),
            b"$" => return Err("ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.".into()),
            wanted => Some(id(wanted, 0)?),
        });
    }
    let pop = Pop::Read(Reading { keys: keys.to_vec(), after, count, group, no_ack });
    if let Some(millis) = block {
        return blocking::pop_or_wait(node, call, pop, millis.saturating_mul(1_000));
    }
    let (result, _) = node.attempt_pop(call.now, call.conn, db, &pop);
    Ok(Answer::Reply(result?.unwrap_or(Reply::NullArray)))
}

pub(crate) fn xread(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    reading(node, call, false)
}

pub(crate) fn xreadgroup(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    reading(node, call, true)
}

pub(crate) fn xack(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let ids = args[3..].iter().map(|arg| id(arg, 0)).collect::<Result<Vec<_>, _>>()?;
    let Some(group) = group(access, &args[1], &args[2])? else { return Ok(Reply::Int(0)) };
    let done = ids.iter().filter(|id| group.pending.remove(id).is_some()).count();
    if done > 0 {
        access.changed(&args[1], done as u64);
    }
    Ok(Reply::Int(done as i64))
}

pub(crate) fn xpending(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let now = access.now;
    let Some(group) = group(access, &args[1], &args[2])? else { return Err(no_group(&args[1], &args[2])) };
    if args.len() == 3 {
        let (Some((first, _)), Some((last, _))) = (group.pending.first_key_value(), group.pending.last_key_value())
        else {
            return Ok(Reply::Array(vec![Reply::Int(0), Reply::Null, Reply::Null, Reply::NullArray]));
        };
        let mut counts = Vec::new();
        for name in group.consumers.keys() {
            let own = group.pending.values().filter(|pending| pending.consumer == *name).count();
            if own > 0 {
                counts.push(Reply::Array(vec![Reply::Bulk(name.clone()), Reply::Bulk(number(own))]));
            }
        }
        let total = Reply::Int(group.pending.len() as i64);
        return Ok(Reply::Array(vec![total, id_reply(*first), id_reply(*last), Reply::Array(counts)]));
    }
    let mut rest = &args[3..];
    let mut idle = 0;
    if is(&rest[0], "IDLE") && rest.len() > 1 {
        idle = int(&rest[1])?.max(0) as u64;
        rest = &rest[2..];
    }
    let (low, high, count, consumer) = match rest {
        [low, high, count] => (low, high, count, None),
        [low, high, count, consumer] => (low, high, count, Some(consumer)),
        _ => return Err(SYNTAX),
    };
    let (low, high, count) = (bound(low, true)?, bound(high, false)?, int(count)?);
    if low > high {
        return Ok(Reply::Array(Vec::new()));
    }
    let wanted = group.pending.range(low..=high).filter(|(_, pending)| {
        consumer.is_none_or(|name| pending.consumer == *name) && now.saturating_sub(pending.at) >= idle
    });
    let line = |(id, pending): (&StreamId, &Pending)| {
        Reply::Array(vec![
            id_reply(*id),
            Reply::Bulk(pending.consumer.clone()),
            Reply::Int(now.saturating_sub(pending.at) as i64),
            Reply::Int(pending.times as i64),
        ])
    };
    Ok(Reply::Array(wanted.take(usize::try_from(count).unwrap_or(0)).map(line).collect()))
}

/// Gives a pending entry to a consumer; the reply, or `None` if the entry is gone from the stream.
fn hand_over(
    access: &mut Access<'_>,
    names: (&Bytes, &Bytes, &Bytes),
    id: StreamId,
    (at, times): (u64, u64),
    just_id: bool,
) -> Result<Option<Reply>, Failure> {
    let (key, name, consumer) = names;
    let now = access.now;
    let Some(stream) = access.stream(key)? else { return Ok(None) };
    let Some(group) = stream.groups.get_mut(name) else { return Ok(None) };
    let Some(fields) = stream.entries.get(&id) else {
        group.pending.remove(&id);
        access.changed(key, 1);
        access.propagate_also(Command::of(&["XACK"]).arg(key.clone()).arg(name.clone()).arg(number(id)));
        return Ok(None);
    };
    let reply = if just_id { id_reply(id) } else { entry(id, fields) };
    group.consumers.insert(consumer.clone(), Consumer { seen: now });
    group.pending.insert(id, Pending { consumer: consumer.clone(), at, times });
    let last = group.last_id;
    access.changed(key, 1);
    access.propagate_also(claim(key, name, consumer, id, at, times, last));
    Ok(Some(reply))
}

pub(crate) fn xclaim(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (key, name, consumer) = (&args[1], &args[2], &args[3]);
    let idle = int(&args[4]).map_err(|_| "ERR Invalid min-idle-time argument for XCLAIM")?.max(0) as u64;
    let now = access.now;
    let Some(_) = group(access, key, name)? else { return Err(no_group(key, name)) };
    let count = args[5..].iter().take_while(|arg| id(arg, 0).is_ok()).count();
    let (mut at, mut times, mut force, mut just_id, mut last) = (now, None, false, false, None);
    let mut rest = args[5 + count..].iter();
    while let Some(option) = rest.next() {
        let mut value = || rest.next().ok_or(SYNTAX);
        match () {
            () if is(option, "IDLE") => at = now.saturating_sub(int(value()?)?.max(0) as u64),
            () if is(option, "TIME") => at = int(value()?)?.max(0) as u64,
            () if is(option, "RETRYCOUNT") => times = Some(int(value()?)?.max(0) as u64),
            () if is(option, "LASTID") => last = Some(id(value()?, 0)?),
            () if is(option, "FORCE") => force = true,
            () if is(option, "JUSTID") => just_id = true,
            () => return Err(format!("ERR Unrecognized XCLAIM option '{}'", text(option)).into()),
        }
    }
    let mut replies = Vec::new();
    for arg in &args[5..5 + count] {
        let id = id(arg, 0)?;
        let Some(group) = group(access, key, name)? else { break };
        if let Some(last) = last {
            group.last_id = group.last_id.max(last);
        }
        let before = group.pending.get(&id).map(|pending| (pending.at, pending.times));
        let old_times = match before {
            Some((since, _)) if now.saturating_sub(since) < idle => continue,
            Some((_, times)) => times,
            None if force => 0,
            None => continue,
        };
        let times = times.unwrap_or(if just_id { old_times } else { old_times + 1 });
        replies.extend(hand_over(access, (key, name, consumer), id, (at, times), just_id)?);
    }
    if last.is_some() && access.effects.dirty == 0 {
        access.changed(key, 1);
    }
    Ok(Reply::Array(replies))
}

pub(crate) fn xautoclaim(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (key, name, consumer) = (&args[1], &args[2], &args[3]);
    let idle = int(&args[4]).map_err(|_| "ERR Invalid min-idle-time argument for XAUTOCLAIM")?.max(0) as u64;
    let from = bound(&args[5], true)?;
    let (mut count, mut just_id) = (100, false);
    let mut rest = args[6..].iter();
    while let Some(option) = rest.next() {
        match () {
            () if is(option, "COUNT") => {
                let value = int(rest.next().ok_or(SYNTAX)?)?;
                count = usize::try_from(value).ok().filter(|count| *count > 0).ok_or("ERR COUNT must be > 0")?;
            }
            () if is(option, "JUSTID") => just_id = true,
            () => return Err(SYNTAX),
        }
    }
    let now = access.now;
    let Some(group) = group(access, key, name)? else { return Err(no_group(key, name)) };
    // Ten times as many are looked at as are wanted, at the most.
    let seen: Vec<(StreamId, u64, u64)> = group
        .pending
        .range(from..)
        .take(count.saturating_mul(10).saturating_add(1))
        .map(|(id, pending)| (*id, pending.at, pending.times))
        .collect();
    let (mut claimed, mut gone, mut next) = (Vec::new(), Vec::new(), StreamId::default());
    for (index, (id, at, times)) in seen.into_iter().enumerate() {
        if claimed.len() + gone.len() == count || index == count.saturating_mul(10) {
            next = id;
            break;
        }
        if now.saturating_sub(at) < idle {
            continue;
        }
        let times = if just_id { times } else { times + 1 };
        match hand_over(access, (key, name, consumer), id, (now, times), just_id)? {
            Some(reply) => claimed.push(reply),
            None => gone.push(id_reply(id)),
        }
    }
    Ok(Reply::Array(vec![id_reply(next), Reply::Array(claimed), Reply::Array(gone)]))
}

pub(crate) fn xgroup_create(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (key, name) = (&args[2], &args[3]);
    let (mut make, mut read) = (false, -1);
    let mut rest = args[5..].iter();
    while let Some(option) = rest.next() {
        match () {
            () if is(option, "MKSTREAM") => make = true,
            () if is(option, "ENTRIESREAD") => read = int(rest.next().ok_or(SYNTAX)?)?,
            () => return Err(SYNTAX),
        }
    }
    if access.stream(key)?.is_none() && !make {
        return Err("ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.".into());
    }
    let stream = access.stream_or_new(key)?;
    let last_id = if &args[4][..] == b"$" { stream.last_id } else { id(&args[4], 0)? };
    if stream.groups.contains_key(name) {
        return Err("BUSYGROUP Consumer Group name already exists".into());
    }
    stream.groups.insert(name.clone(), Group { last_id, read, ..Group::default() });
    access.changed(key, 1);
    Ok(Reply::OK)
}

/// The group that an `XGROUP` command names.
fn named<'a>(access: &'a mut Access<'_>, args: &[Bytes]) -> Result<&'a mut Group, Failure> {
    let Some(stream) = access.stream(&args[2])? else {
        return Err("ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.".into());
    };
    let missing = || format!("NOGROUP No such consumer group '{}' for key name '{}'", text(&args[3]), text(&args[2]));
    stream.groups.get_mut(&args[3]).ok_or_else(|| missing().into())
}

pub(crate) fn xgroup_setid(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let last = access.stream(&args[2])?.map(|stream| stream.last_id).unwrap_or_default();
    let group = named(access, args)?;
    group.last_id = if &args[4][..] == b"$" { last } else { id(&args[4], 0)? };
    group.read = match &args[5..] {
        [] => -1,
        [word, read] if is(word, "ENTRIESREAD") => int(read)?,
        _ => return Err(SYNTAX),
    };
    access.changed(&args[2], 1);
    Ok(Reply::OK)
}

pub(crate) fn xgroup_destroy(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let gone = access.stream(&args[2])?.is_some_and(|stream| stream.groups.remove(&args[3]).is_some());
    if gone {
        access.changed(&args[2], 1);
        access.effects.ready.push(args[2].clone());
    }
    Ok(crate::args::yes_no(gone))
}

pub(crate) fn xgroup_createconsumer(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let now = access.now;
    let group = named(access, args)?;
    let new = !group.consumers.contains_key(&args[4]);
    if new {
        group.consumers.insert(args[4].clone(), Consumer { seen: now });
        access.changed(&args[2], 1);
    }
    Ok(crate::args::yes_no(new))
}

pub(crate) fn xgroup_delconsumer(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let group = named(access, args)?;
    let before = group.pending.len();
    group.pending.retain(|_, pending| pending.consumer != args[4]);
    let dropped = before - group.pending.len();
    if group.consumers.remove(&args[4]).is_some() {
        access.changed(&args[2], 1);
    }
    Ok(Reply::Int(dropped as i64))
}

/// What tells how many entries came before another, as Redis estimates it.
struct Place {
    length: u64,
    first: StreamId,
    last: StreamId,
    max_deleted: StreamId,
    added: u64,
}

impl Place {
    fn of(entries: &BTreeMap<StreamId, Vec<(Bytes, Bytes)>>, last: StreamId, max_deleted: StreamId) -> Self {
        let first = entries.first_key_value().map_or(StreamId::default(), |(id, _)| *id);
        Self { length: entries.len() as u64, first, last, max_deleted, added: 0 }
    }

    /// True if entries may be missing from this one on.
    fn gap_after(&self, id: StreamId) -> bool {
        self.length > 0 && self.max_deleted != StreamId::default() && id <= self.max_deleted
    }

    /// How many entries were ever added up to this one; `None` if that cannot be told.
    fn of_entry(&self, id: StreamId) -> Option<u64> {
        if self.added == 0 || id == self.last || (self.length == 0 && id <= self.last) {
            return Some(self.added);
        }
        let whole = self.max_deleted == StreamId::default() || self.max_deleted < self.first;
        match id.cmp(&self.first) {
            _ if id > self.last || !whole => None,
            std::cmp::Ordering::Less => Some(self.added - self.length),
            std::cmp::Ordering::Equal => Some(self.added - self.length + 1),
            std::cmp::Ordering::Greater => None,
        }
    }
}

/// `entries-read` and `lag` of a group.
fn progress(stream: &Stream, group: &Group) -> [(Reply, Reply); 2] {
    let place = Place { added: stream.added, ..Place::of(&stream.entries, stream.last_id, stream.max_deleted) };
    let read = u64::try_from(group.read).ok();
    let counted = read.filter(|_| !place.gap_after(group.last_id)).or_else(|| place.of_entry(group.last_id));
    let lag = if stream.added == 0 { Some(0) } else { counted.map(|read| stream.added as i64 - read as i64) };
    [
        (Reply::word("entries-read"), read.map_or(Reply::Null, |read| Reply::Int(read as i64))),
        (Reply::word("lag"), lag.map_or(Reply::Null, Reply::Int)),
    ]
}

/// `XINFO STREAM key FULL [COUNT n]`: everything, of long lists the first `count` entries, 0 for all of them.
fn full(stream: &Stream, count: usize) -> Vec<(Reply, Reply)> {
    let many = if count == 0 { usize::MAX } else { count };
    let number = |n: usize| Reply::Int(n as i64);
    let group = |(name, group): (&Bytes, &Group)| {
        let pending = group.pending.iter().take(many).map(|(id, pending)| {
            let consumer = Reply::Bulk(pending.consumer.clone());
            Reply::Array(vec![id_reply(*id), consumer, Reply::Int(pending.at as i64), Reply::Int(pending.times as i64)])
        });
        let consumer = |(name, consumer): (&Bytes, &Consumer)| {
            let own = || group.pending.iter().filter(|(_, pending)| pending.consumer == *name);
            let pending = own().take(many).map(|(id, pending)| {
                Reply::Array(vec![id_reply(*id), Reply::Int(pending.at as i64), Reply::Int(pending.times as i64)])
            });
            Reply::Map(vec![
                (Reply::word("name"), Reply::Bulk(name.clone())),
                (Reply::word("seen-time"), Reply::Int(consumer.seen as i64)),
                (Reply::word("pel-count"), number(own().count())),
                (Reply::word("pending"), Reply::Array(pending.collect())),
            ])
        };
        let [read, lag] = progress(stream, group);
        Reply::Map(vec![
            (Reply::word("name"), Reply::Bulk(name.clone())),
            (Reply::word("last-delivered-id"), id_reply(group.last_id)),
            read,
            lag,
            (Reply::word("pel-count"), number(group.pending.len())),
            (Reply::word("pending"), Reply::Array(pending.collect())),
            (Reply::word("consumers"), Reply::Array(group.consumers.iter().map(consumer).collect())),
        ])
    };
    let entries = stream.entries.iter().take(many).map(|(id, fields)| entry(*id, fields));
    vec![
        (Reply::word("entries"), Reply::Array(entries.collect())),
        (Reply::word("groups"), Reply::Array(stream.groups.iter().map(group).collect())),
    ]
}

pub(crate) fn xinfo_stream(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let Some(stream) = access.stream(&args[2])? else { return Err("ERR no such key".into()) };
    let edge =
        |found: Option<(&StreamId, &Vec<(Bytes, Bytes)>)>| found.map_or(Reply::Null, |(id, fields)| entry(*id, fields));
    let rest = match &args[3..] {
        [] => vec![
            (Reply::word("groups"), Reply::Int(stream.groups.len() as i64)),
            (Reply::word("first-entry"), edge(stream.entries.first_key_value())),
            (Reply::word("last-entry"), edge(stream.entries.last_key_value())),
        ],
        [word] if is(word, "FULL") => full(stream, 10),
        [word, option, count] if is(word, "FULL") && is(option, "COUNT") => {
            full(stream, usize::try_from(int(count)?).unwrap_or(10))
        }
        _ => {
            let name = text(&args[1]);
            let text = format!("ERR unknown subcommand or wrong number of arguments for '{name}'. Try XINFO HELP.");
            return Err(text.into());
        }
    };
    let first_id = stream.entries.first_key_value().map_or(StreamId::default(), |(id, _)| *id);
    // The tree of Redis, about a hundred entries a node.
    let nodes = stream.entries.len().div_ceil(100);
    let mut fields = vec![
        (Reply::word("length"), Reply::Int(stream.entries.len() as i64)),
        (Reply::word("radix-tree-keys"), Reply::Int(nodes as i64)),
        (Reply::word("radix-tree-nodes"), Reply::Int(nodes as i64 + 1)),
        (Reply::word("last-generated-id"), id_reply(stream.last_id)),
        (Reply::word("max-deleted-entry-id"), id_reply(stream.max_deleted)),
        (Reply::word("entries-added"), Reply::Int(stream.added as i64)),
        (Reply::word("recorded-first-entry-id"), id_reply(first_id)),
    ];
    fields.extend(rest);
    Ok(Reply::Map(fields))
}

pub(crate) fn xinfo_groups(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let Some(stream) = access.stream(&args[2])? else { return Err("ERR no such key".into()) };
    let describe = |(name, group): (&Bytes, &Group)| {
        let [read, lag] = progress(stream, group);
        Reply::Map(vec![
            (Reply::word("name"), Reply::Bulk(name.clone())),
            (Reply::word("consumers"), Reply::Int(group.consumers.len() as i64)),
            (Reply::word("pending"), Reply::Int(group.pending.len() as i64)),
            (Reply::word("last-delivered-id"), id_reply(group.last_id)),
            read,
            lag,
        ])
    };
    Ok(Reply::Array(stream.groups.iter().map(describe).collect()))
}

pub(crate) fn xinfo_consumers(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let now = access.now;
    let Some(stream) = access.stream(&args[2])? else { return Err("ERR no such key".into()) };
    let missing = || format!("NOGROUP No such consumer group '{}' for key name '{}'", text(&args[3]), text(&args[2]));
    let group = stream.groups.get(&args[3]).ok_or_else(missing)?;
    let describe = |(name, consumer): (&Bytes, &Consumer)| {
        let own = group.pending.values().filter(|pending| pending.consumer == *name).count();
        Reply::Map(vec![
            (Reply::word("name"), Reply::Bulk(name.clone())),
            (Reply::word("pending"), Reply::Int(own as i64)),
            (Reply::word("idle"), Reply::Int(now.saturating_sub(consumer.seen) as i64)),
        ])
    };
    Ok(Reply::Array(group.consumers.iter().map(describe).collect()))
}
