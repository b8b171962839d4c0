//! `XREAD` and `XREADGROUP`, which may wait.

use bytes::Bytes;
use model::{Command, Reply};

use super::groups::NEW_CONSUMER;
use super::ids::{entry, id, id_reply};
use super::pending::claim;
use super::progress::Place;
use crate::access::{Access, Failure};
use crate::args::{SYNTAX, int, is, number, parse_int, text};
use crate::blocking;
use crate::commands::lists::Pop;
use crate::dispatch::{Answer, Call, Outcome, Within};
use crate::keyspace::stream::{Consumer, Pending, StreamId};
use crate::node::Node;

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

    /// True if it reads this stream for a group.
    pub(crate) fn is_for_group_at(&self, key: &Bytes) -> bool {
        self.group.is_some() && self.keys.contains(key)
    }

    /// What whoever waits for a group is told if there is none any more.
    pub(crate) fn gone(&self, access: &mut Access<'_>, key: &Bytes) -> Option<Failure> {
        let (name, _) = self.group.as_ref()?;
        match access.stream(key) {
            Ok(Some(stream)) if stream.groups.contains_key(name) => None,
            Ok(Some(_)) => Some("NOGROUP the consumer group this client was blocked on no longer exists".into()),
            _ => Some("UNBLOCKED the stream key no longer exists".into()),
        }
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
        let missing = || no_group(key, name);
        let Some(stream) = access.stream(key)? else { return Err(missing()) };
        let Some(group) = stream.groups.get_mut(name) else { return Err(missing()) };
        // Who finds nothing new is not known by that.
        if after.is_none() && group.last_id.next().is_none_or(|from| stream.entries.range(from..).next().is_none()) {
            return Ok(None);
        }
        let new_consumer = group.consumers.insert(consumer.clone(), Consumer { seen: now }).is_none();
        let mut commands = Vec::new();
        if new_consumer {
            let command = Command::of(&["XGROUP", "CREATECONSUMER"]).arg(key.clone()).arg(name.clone());
            commands.push(command.arg(consumer.clone()));
        }
        let mut entries = Vec::new();
        if let Some(after) = after {
            // An entry that is read again is delivered again, which Redis does not tell its replicas.
            let own = group.pending.range_mut(after.next().unwrap_or(StreamId::MAX)..);
            for (id, pending) in own.filter(|(_, pending)| pending.consumer == *consumer).take(self.count) {
                entries.push(match stream.entries.get(id) {
                    Some(fields) => {
                        (pending.at, pending.times) = (now, pending.times + 1);
                        entry(*id, fields)
                    }
                    None => Reply::Array(vec![id_reply(*id), Reply::NullArray]),
                });
            }
        } else {
            let from = group.last_id.next().unwrap_or(StreamId::MAX);
            let place = Place::of(&stream.entries, (stream.last_id, stream.max_deleted), stream.added);
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
            access.changed(if new_consumer { NEW_CONSUMER } else { "" }, key, commands.len() as u64);
            for command in commands {
                access.propagate_also(command);
            }
        }
        Ok((after.is_some() || !entries.is_empty()).then_some(entries))
    }
}

fn no_group(key: &Bytes, name: &Bytes) -> Failure {
    let (key, name) = (text(key), text(name));
    format!("NOGROUP No such key '{key}' or consumer group '{name}' in XREADGROUP with GROUP option").into()
}

fn only_of_groups(option: &str) -> Failure {
    format!("ERR The {option} option is only supported by XREADGROUP. You called XREAD instead.").into()
}

/// The last id of a stream, in which there must be the group if one is given.
fn last_id(access: &mut Access<'_>, key: &Bytes, group: Option<&(Bytes, Bytes)>) -> Result<StreamId, Failure> {
    let stream = access.stream(key)?;
    match group {
        Some((name, _)) if stream.as_ref().is_none_or(|stream| !stream.groups.contains_key(name)) => {
            Err(no_group(key, name))
        }
        _ => Ok(stream.map_or(StreamId::default(), |stream| stream.last_id)),
    }
}

fn reading(node: &mut Node, call: &mut Call<'_>, with_group: bool) -> Outcome {
    let args = call.command.0.clone();
    let db = node.clients.get(&call.conn).map_or(0, |client| client.db);
    let (mut count, mut block, mut no_ack, mut group) = (usize::MAX, None, false, None);
    let name = if with_group { "xreadgroup" } else { "xread" };
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
            () if is(word, "BLOCK") && matches!(call.within, Within::Script(_)) => {
                return Err(format!("ERR {name} command is not allowed with BLOCK option from scripts").into());
            }
            () if is(word, "BLOCK") => {
                let millis = parse_int(next.ok_or(SYNTAX)?).ok_or("ERR timeout is not an integer or out of range")?;
                block = Some(u64::try_from(millis).map_err(|_| "ERR timeout is negative")?);
                at += 2;
            }
            () if is(word, "GROUP") => {
                group = Some((next.ok_or(SYNTAX)?.clone(), args.get(at + 2).ok_or(SYNTAX)?.clone()));
                with_group.then_some(()).ok_or_else(|| only_of_groups("GROUP"))?;
                at += 3;
            }
            () if is(word, "NOACK") => {
                with_group.then_some(()).ok_or_else(|| only_of_groups("NOACK"))?;
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
        return Err("ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.".into());
    }
    let (keys, ids) = streams.split_at(streams.len() / 2);
    let mut after = Vec::new();
    for (key, wanted) in keys.iter().zip(ids) {
        // Every stream is looked up twice, here and as it is read.
        let last = node.with_access(call.now, call.conn, db, true, |access| last_id(access, key, group.as_ref())).0?;
        after.push(match &wanted[..] {
            b">" if with_group => None,
            b"$" if !with_group => Some(last),
            b">" => return Err("ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.".into()),
            b"$" => return Err("ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.".into()),
            wanted => Some(id(wanted, 0)?),
        });
    }
    let pop = Pop::Read(Reading { keys: keys.to_vec(), after, count, group, no_ack });
    if let Some(millis) = block {
        return blocking::pop_or_wait(node, call, pop, millis.saturating_mul(1_000));
    }
    let (result, _) = node.attempt_pop(call.now, call.conn, db, &pop, true);
    Ok(Answer::Reply(result?.unwrap_or(Reply::NullArray)))
}

pub(crate) fn xread(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    reading(node, call, false)
}

pub(crate) fn xreadgroup(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    reading(node, call, true)
}
