//! What was delivered and is not acknowledged: `XACK`, `XPENDING`, `XCLAIM`, `XAUTOCLAIM`.

use bytes::Bytes;
use model::{Command, Reply};

use super::groups::NEW_CONSUMER;
use super::ids::{bound, entry, id, id_reply};
use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, int, is, number, text};
use crate::keyspace::stream::{Consumer, Group, Pending, StreamId};

fn no_group(key: &[u8], group: &[u8]) -> Failure {
    format!("NOGROUP No such key '{}' or consumer group '{}'", text(key), text(group)).into()
}

fn group<'a>(access: &'a mut Access<'_>, key: &Bytes, name: &Bytes) -> Result<Option<&'a mut Group>, Failure> {
    Ok(access.stream(key)?.and_then(|stream| stream.groups.get_mut(name)))
}

/// How a delivery travels to replicas.
pub(super) fn claim(
    key: &Bytes,
    group: &Bytes,
    consumer: &Bytes,
    id: StreamId,
    at: u64,
    times: u64,
    last: StreamId,
) -> Command {
    let command = Command::of(&["XCLAIM"]).arg(key.clone()).arg(group.clone()).arg(consumer.clone()).arg("0");
    let command = command.arg(number(id)).arg("TIME").arg(number(at)).arg("RETRYCOUNT").arg(number(times));
    command.arg("FORCE").arg("JUSTID").arg("LASTID").arg(number(last))
}

pub(crate) fn xack(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    access.counts = true;
    let Some(group) = group(access, &args[1], &args[2])? else { return Ok(Reply::Int(0)) };
    let ids = args[3..].iter().map(|arg| id(arg, 0)).collect::<Result<Vec<_>, _>>()?;
    let done = ids.iter().filter(|id| group.pending.remove(id).is_some()).count();
    if done > 0 {
        access.changed("", &args[1], done as u64);
    }
    Ok(Reply::Int(done as i64))
}

/// Which pending entries `XPENDING` is asked for.
struct Wanted<'a> {
    idle: u64,
    low: StreamId,
    high: StreamId,
    count: i64,
    consumer: Option<&'a Bytes>,
}

impl<'a> Wanted<'a> {
    fn parse(args: &'a [Bytes]) -> Result<Self, Failure> {
        if !(3..=6).contains(&args.len()) {
            return Err(SYNTAX);
        }
        let (idle, rest) = if is(&args[0], "IDLE") { (int(&args[1])?, &args[2..]) } else { (0, args) };
        let [low, high, count, rest @ ..] = rest else { return Err(SYNTAX) };
        let count = int(count)?;
        let (low, high) = (bound(low, true)?, bound(high, false)?);
        Ok(Self { idle: idle.max(0) as u64, low, high, count, consumer: rest.first() })
    }
}

/// How many entries of a group are pending, the first and the last, and how many of each consumer.
fn summary(group: &Group) -> Reply {
    let (Some((first, _)), Some((last, _))) = (group.pending.first_key_value(), group.pending.last_key_value()) else {
        return Reply::Array(vec![Reply::Int(0), Reply::Null, Reply::Null, Reply::NullArray]);
    };
    let mut counts = Vec::new();
    for name in group.consumers.keys() {
        let own = group.pending.values().filter(|pending| pending.consumer == *name).count();
        if own > 0 {
            counts.push(Reply::Array(vec![Reply::Bulk(name.clone()), Reply::Bulk(number(own))]));
        }
    }
    let total = Reply::Int(group.pending.len() as i64);
    Reply::Array(vec![total, id_reply(*first), id_reply(*last), Reply::Array(counts)])
}

pub(crate) fn xpending(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let now = access.now;
    // What is asked for is read before the group is looked for.
    let wanted = if args.len() == 3 { None } else { Some(Wanted::parse(&args[3..])?) };
    let Some(group) = group(access, &args[1], &args[2])? else { return Err(no_group(&args[1], &args[2])) };
    let Some(Wanted { idle, low, high, count, consumer }) = wanted else {
        return Ok(summary(group));
    };
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
        access.changed("", key, 1);
        access.propagate_also(Command::of(&["XACK"]).arg(key.clone()).arg(name.clone()).arg(number(id)));
        return Ok(None);
    };
    let reply = if just_id { id_reply(id) } else { entry(id, fields) };
    let new = group.consumers.insert(consumer.clone(), Consumer { seen: now }).is_none();
    group.pending.insert(id, Pending { consumer: consumer.clone(), at, times });
    let last = group.last_id;
    access.changed(if new { NEW_CONSUMER } else { "" }, key, 1);
    access.propagate_also(claim(key, name, consumer, id, at, times, last));
    Ok(Some(reply))
}

pub(crate) fn xclaim(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (key, name, consumer) = (&args[1], &args[2], &args[3]);
    let now = access.now;
    access.counts = true;
    let Some(_) = group(access, key, name)? else { return Err(no_group(key, name)) };
    access.counts = false;
    let idle = int(&args[4]).map_err(|_| "ERR Invalid min-idle-time argument for XCLAIM")?.max(0) as u64;
    let count = args[5..].iter().take_while(|arg| id(arg, 0).is_ok()).count();
    let (mut at, mut times, mut force, mut just_id, mut last) = (now, None, false, false, None);
    let mut rest = args[5 + count..].iter();
    while let Some(option) = rest.next() {
        let mut value = || rest.next().ok_or(SYNTAX);
        let count = |value: &Bytes| {
            let invalid =
                |_| Failure::from(format!("ERR Invalid {} option argument for XCLAIM", text(option).to_uppercase()));
            int(value).map(|count| count.max(0) as u64).map_err(invalid)
        };
        match () {
            () if is(option, "IDLE") => at = now.saturating_sub(count(value()?)?),
            () if is(option, "TIME") => at = count(value()?)?,
            () if is(option, "RETRYCOUNT") => times = Some(count(value()?)?),
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
        access.changed("", key, 1);
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
    access.counts = true;
    let Some(group) = group(access, key, name)? else { return Err(no_group(key, name)) };
    // Ten times as many are looked at as are wanted, at the most.
    let seen: Vec<(StreamId, u64, u64)> = group
        .pending
        .range(from..)
        .take(count.saturating_mul(10).saturating_add(1))
        .map(|(id, pending)| (*id, pending.at, pending.times))
        .collect();
    access.counts = false;
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
