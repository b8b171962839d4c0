//! Streams in a file: entries in listpacks under the id of their first, then the ids and counters, then the groups.

use std::collections::BTreeMap;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::packed::listpack;
use super::{ReadError, Reader, put_length, put_string};
use crate::args::parse_int;
use crate::keyspace::listpack::Listpack;
use crate::keyspace::stream::{Consumer, Group, Node, Pending, Stream, StreamId, elements};

/// The entry has the fields of the first one, which are not told again.
const SAME_FIELDS: i64 = 2;
const DELETED: i64 = 1;

fn put_id(out: &mut BytesMut, id: StreamId) {
    put_length(out, id.0 as usize);
    put_length(out, id.1 as usize);
}

fn put_raw_id(out: &mut BytesMut, id: StreamId) {
    out.put_u64(id.0);
    out.put_u64(id.1);
}

/// Node by node, with what was deleted and still takes its place.
pub(super) fn put(out: &mut BytesMut, stream: &Stream) {
    put_length(out, stream.nodes().count());
    for (first, node) in stream.nodes() {
        put_length(out, 16);
        put_raw_id(out, first);
        let mut pack = Listpack::new();
        for n in [node.live, node.deleted.len(), node.fields.len()] {
            pack.int(n as i64);
        }
        for field in &node.fields {
            pack.text(field);
        }
        pack.int(0);
        let mut entries: BTreeMap<_, _> = stream.of_node(first).map(|entry| (entry, 0)).collect();
        entries.extend(node.deleted.iter().map(|entry| (entry, DELETED)));
        for ((id, fields), deleted) in entries {
            let same = node.has_fields(fields);
            pack.int(deleted | if same { SAME_FIELDS } else { 0 });
            pack.int(id.0.wrapping_sub(first.0) as i64);
            pack.int(id.1.wrapping_sub(first.1) as i64);
            if !same {
                pack.int(fields.len() as i64);
            }
            for (field, value) in fields {
                if !same {
                    pack.text(field);
                }
                pack.text(value);
            }
            pack.int(elements(fields.len(), same) as i64);
        }
        put_string(out, &pack.finish());
    }
    put_length(out, stream.entries.len());
    put_id(out, stream.last_id);
    put_id(out, stream.entries.first_key_value().map_or(StreamId::default(), |(id, _)| *id));
    put_id(out, stream.max_deleted);
    put_length(out, stream.added as usize);
    put_length(out, stream.groups.len());
    for (name, group) in &stream.groups {
        put_string(out, name);
        put_id(out, group.last_id);
        // -1, which means unknown, is told as the length that it is without a sign.
        put_length(out, group.read as usize);
        put_length(out, group.pending.len());
        for (id, pending) in &group.pending {
            put_raw_id(out, *id);
            out.put_u64_le(pending.at);
            put_length(out, pending.times as usize);
        }
        put_length(out, group.consumers.len());
        for (name, consumer) in &group.consumers {
            put_string(out, name);
            out.put_u64_le(consumer.seen);
            let own: Vec<_> = group.pending.iter().filter(|(_, pending)| pending.consumer == *name).collect();
            put_length(out, own.len());
            for (id, _) in own {
                put_raw_id(out, *id);
            }
        }
    }
}

fn id(rest: &mut Reader) -> Result<StreamId, ReadError> {
    Ok(StreamId(rest.length()? as u64, rest.length()? as u64))
}

fn raw_id(rest: &mut Reader) -> Result<StreamId, ReadError> {
    let mut bytes = rest.take(16)?;
    Ok(StreamId(bytes.get_u64(), bytes.get_u64()))
}

/// `second`: the form of Redis 7.0, with more counters.
pub(super) fn read(rest: &mut Reader, second: bool) -> Result<Stream, ReadError> {
    let mut stream = Stream::default();
    for _ in 0..rest.length()? {
        let mut key = Reader(rest.string()?);
        let first = raw_id(&mut key)?;
        entries(&mut stream, first, rest.string()?)?;
    }
    let count = rest.length()?;
    stream.last_id = id(rest)?;
    stream.added = count as u64;
    if second {
        id(rest)?;
        stream.max_deleted = id(rest)?;
        stream.added = rest.length()? as u64;
    }
    for _ in 0..rest.length()? {
        let name = rest.string()?;
        let mut group = Group { last_id: id(rest)?, read: -1, ..Group::default() };
        if second {
            group.read = rest.length()? as i64;
        }
        for _ in 0..rest.length()? {
            let id = raw_id(rest)?;
            let at = rest.take(8)?.get_u64_le();
            let times = rest.length()? as u64;
            group.pending.insert(id, Pending { consumer: Bytes::new(), at, times });
        }
        for _ in 0..rest.length()? {
            let name = rest.string()?;
            let seen = rest.take(8)?.get_u64_le();
            for _ in 0..rest.length()? {
                let id = raw_id(rest)?;
                group.pending.get_mut(&id).ok_or(ReadError::Unknown)?.consumer = name.clone();
            }
            group.consumers.insert(name, Consumer { seen });
        }
        stream.groups.insert(name, group);
    }
    Ok(stream)
}

fn entries(into: &mut Stream, first: StreamId, pack: Bytes) -> Result<(), ReadError> {
    let bytes = pack.len();
    let mut elements = listpack(pack)?.into_iter();
    let mut text = || elements.next().ok_or(ReadError::Truncated);
    let int = |text: Bytes| parse_int(&text).ok_or(ReadError::Unknown);
    let (live, deleted) = (int(text()?)?, int(text()?)?);
    let mut shared = Vec::new();
    for _ in 0..int(text()?)? {
        shared.push(text()?);
    }
    text()?;
    let mut node = Node { fields: shared.clone(), live: 0, deleted: BTreeMap::new(), bytes };
    let mut found = Vec::new();
    for _ in 0..live.saturating_add(deleted) {
        let flags = int(text()?)?;
        let (ms, seq) = (int(text()?)?, int(text()?)?);
        let mut fields = Vec::new();
        if flags & SAME_FIELDS != 0 {
            for field in &shared {
                fields.push((field.clone(), text()?));
            }
        } else {
            for _ in 0..int(text()?)? {
                fields.push((text()?, text()?));
            }
        }
        text()?;
        let id = StreamId(first.0.wrapping_add(ms as u64), first.1.wrapping_add(seq as u64));
        if flags & DELETED == 0 {
            found.push((id, fields));
        } else {
            node.deleted.insert(id, fields);
        }
    }
    node.live = found.len();
    into.add_node(first, node, found);
    Ok(())
}
