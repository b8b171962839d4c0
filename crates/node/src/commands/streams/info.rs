//! `XINFO`.

use bytes::Bytes;
use model::Reply;

use super::ids::{entry, id_reply};
use super::progress::progress;
use crate::access::{Access, DataResult};
use crate::args::{int, is, text};
use crate::keyspace::stream::{Consumer, Group, Stream, StreamId};

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
    let keys: Vec<[u8; 16]> = stream.nodes().map(|(first, _)| tree_key(first)).collect();
    let mut fields = vec![
        (Reply::word("length"), Reply::Int(stream.entries.len() as i64)),
        (Reply::word("radix-tree-keys"), Reply::Int(keys.len() as i64)),
        (Reply::word("radix-tree-nodes"), Reply::Int(tree_nodes(&keys, 0) as i64)),
        (Reply::word("last-generated-id"), id_reply(stream.last_id)),
        (Reply::word("max-deleted-entry-id"), id_reply(stream.max_deleted)),
        (Reply::word("entries-added"), Reply::Int(stream.added as i64)),
        (Reply::word("recorded-first-entry-id"), id_reply(first_id)),
    ];
    fields.extend(rest);
    Ok(Reply::Map(fields))
}

/// An id as Redis keeps it in its radix tree.
fn tree_key(id: StreamId) -> [u8; 16] {
    (u128::from(id.0) << 64 | u128::from(id.1)).to_be_bytes()
}

/// The nodes of a radix tree of these keys, which are in order and alike up to `depth`: one for the bytes that all have in
/// common, one where they part, and one where each ends.
fn tree_nodes(keys: &[[u8; 16]], depth: usize) -> usize {
    let ([first, ..], [.., last]) = (keys, keys) else { return 1 };
    let common = first[depth..].iter().zip(&last[depth..]).take_while(|(a, b)| a == b).count();
    let parts = depth + common;
    let below = if parts == first.len() {
        1
    } else {
        1 + keys.chunk_by(|a, b| a[parts] == b[parts]).map(|part| tree_nodes(part, parts + 1)).sum::<usize>()
    };
    usize::from(common > 0) + below
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
