//! Ids, the ends of ranges, and entries as they are replied.

use bytes::Bytes;
use model::Reply;

use crate::access::Failure;
use crate::args::{self, number};
use crate::keyspace::stream::StreamId;

pub(super) const INVALID_ID: Failure =
    std::borrow::Cow::Borrowed("ERR Invalid stream ID specified as stream command argument");

pub(super) fn unsigned(bytes: &[u8]) -> Option<u64> {
    let bytes = bytes.trim_ascii_start();
    args::unsigned(bytes.strip_prefix(b"+").unwrap_or(bytes))
}

/// `ms-seq`, or `ms` alone, which then means `ms-<seq>`.
pub(super) fn id(bytes: &[u8], seq: u64) -> Result<StreamId, Failure> {
    let mut parts = bytes.splitn(2, |byte| *byte == b'-');
    let ms = parts.next().and_then(unsigned).ok_or(INVALID_ID)?;
    let seq = parts.next().map_or(Some(seq), unsigned).ok_or(INVALID_ID)?;
    Ok(StreamId(ms, seq))
}

/// An end of a range: `-`, `+`, an id, or an id after `(`, which is left out.
pub(super) fn bound(bytes: &[u8], low: bool) -> Result<StreamId, Failure> {
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

pub(super) fn id_reply(id: StreamId) -> Reply {
    Reply::Bulk(number(id))
}

pub(super) fn entry(id: StreamId, fields: &[(Bytes, Bytes)]) -> Reply {
    let fields = fields.iter().flat_map(|(field, value)| [Reply::Bulk(field.clone()), Reply::Bulk(value.clone())]);
    Reply::Array(vec![id_reply(id), Reply::Array(fields.collect())])
}
