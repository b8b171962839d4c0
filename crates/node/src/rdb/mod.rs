//! The RDB file of a full resynchronisation. It is written in Redis's format version 10 with plain encodings. The reader
//! takes whatever Redis 7.0 saves (modules and functions aside) and checks every length, so no file makes it panic or
//! allocate wildly.
//!
//! | module | holds |
//! |---|---|
//! | `packed` | listpacks, ziplists, sets of integers, LZF |
//! | `streams` | streams |
//! | `crc` | the checksum |

mod crc;
mod packed;
mod streams;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::args::parse_int;
use crate::keyspace::idle::Clock;
use crate::keyspace::{DATABASES, DataSet, Value, ZSet};

const MAGIC: &[u8; 9] = b"REDIS0010";
const VERSION: u16 = 10;
const INT_8: u8 = 0xc0;
const INT_16: u8 = 0xc1;
const INT_32: u8 = 0xc2;
const FUNCTION: u8 = 0xf5;
const IDLE: u8 = 0xf8;
const FREQUENCY: u8 = 0xf9;
const AUX: u8 = 0xfa;
const RESIZE_DB: u8 = 0xfb;
const EXPIRE_MILLIS: u8 = 0xfc;
const EXPIRE_SECONDS: u8 = 0xfd;
const SELECT_DB: u8 = 0xfe;
const EOF: u8 = 0xff;

const STRING: u8 = 0;
const LIST: u8 = 1;
const SET: u8 = 2;
const ZSET_TEXT: u8 = 3;
const HASH: u8 = 4;
const ZSET: u8 = 5;
const HASH_ZIPMAP: u8 = 9;
const LIST_ZIPLIST: u8 = 10;
const SET_INTSET: u8 = 11;
const ZSET_ZIPLIST: u8 = 12;
const HASH_ZIPLIST: u8 = 13;
const LIST_QUICKLIST: u8 = 14;
const STREAM: u8 = 15;
const HASH_LISTPACK: u8 = 16;
const ZSET_LISTPACK: u8 = 17;
const LIST_QUICKLIST_2: u8 = 18;
const STREAM_2: u8 = 19;

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Snapshot {
    pub(crate) data: DataSet,
    /// The history that the data descends from, as text.
    pub(crate) lineage: String,
    /// The database that the stream after the snapshot is in.
    pub(crate) stream_db: usize,
}

/// Why a file was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReadError {
    /// It does not begin as an RDB file does, or is of a newer version.
    NotRdb,
    /// It ends too early.
    Truncated,
    /// An opcode, type or encoding that is not known here.
    Unknown,
    /// A database number out of range.
    NoSuchDb,
    /// The checksum at the end is another.
    Checksum,
}

/// Writes a file.
pub(crate) fn write(data: &DataSet, lineage: &str, stream_db: usize) -> Bytes {
    let mut out = BytesMut::with_capacity(256);
    out.put_slice(MAGIC);
    let stream_db = stream_db.to_string();
    for (name, value) in
        [("redis-ver", "7.0.15"), ("redis-bits", "64"), ("repl-stream-db", &stream_db), ("lineage", lineage)]
    {
        out.put_u8(AUX);
        put_string(&mut out, name.as_bytes());
        put_string(&mut out, value.as_bytes());
    }
    for (index, db) in data.0.iter().enumerate().filter(|(_, db)| db.len() > 0) {
        out.put_u8(SELECT_DB);
        put_length(&mut out, index);
        out.put_u8(RESIZE_DB);
        put_length(&mut out, db.len());
        put_length(&mut out, db.expiring());
        for (key, value, expires_at) in db.iter() {
            if let Some(at) = expires_at {
                out.put_u8(EXPIRE_MILLIS);
                out.put_u64_le(at);
            }
            out.put_u8(kind_of(value));
            put_string(&mut out, key);
            put_value(&mut out, value);
        }
    }
    out.put_u8(EOF);
    let checksum = crc::crc64(&out);
    out.put_u64_le(checksum);
    out.freeze()
}

/// How a value is written.
fn kind_of(value: &Value) -> u8 {
    match value {
        Value::Str(_) => STRING,
        Value::List(_) => LIST,
        Value::Set(_) => SET,
        Value::Hash(_) => HASH,
        Value::ZSet(_) => ZSET,
        Value::Stream(_) => STREAM_2,
    }
}

fn put_value(out: &mut BytesMut, value: &Value) {
    match value {
        Value::Str(text) => {
            put_string(out, text);
        }
        Value::List(list) => {
            put_length(out, list.len());
            for item in list {
                put_string(out, item);
            }
        }
        Value::Set(set) => {
            put_length(out, set.len());
            for item in set {
                put_string(out, item);
            }
        }
        Value::Hash(hash) => {
            put_length(out, hash.len());
            for (field, value) in hash {
                put_string(out, field);
                put_string(out, value);
            }
        }
        Value::ZSet(zset) => {
            put_length(out, zset.len());
            for (member, score) in zset.iter() {
                put_string(out, member);
                out.put_f64_le(score);
            }
        }
        Value::Stream(stream) => {
            streams::put(out, stream);
        }
    }
}

fn put_length(out: &mut BytesMut, length: usize) {
    if length < 64 {
        out.put_u8(length as u8);
    } else if length < 16_384 {
        out.put_u16(length as u16 | 0x4000);
    } else if let Ok(length) = u32::try_from(length) {
        out.put_u8(0x80);
        out.put_u32(length);
    } else {
        out.put_u8(0x81);
        out.put_u64(length as u64);
    }
}

/// A text, or the number that it is.
fn put_string(out: &mut BytesMut, text: &[u8]) {
    const DIGITS_MAX: usize = 11;
    let number = if text.len() <= DIGITS_MAX { parse_int(text) } else { None };
    if let Some(number) = number {
        if let Ok(number) = i8::try_from(number) {
            out.put_u8(INT_8);
            return out.put_i8(number);
        }
        if let Ok(number) = i16::try_from(number) {
            out.put_u8(INT_16);
            return out.put_i16_le(number);
        }
        if let Ok(number) = i32::try_from(number) {
            out.put_u8(INT_32);
            return out.put_i32_le(number);
        }
    }
    put_length(out, text.len());
    out.put_slice(text);
}

/// A value by itself, as `DUMP` gives it: with the version of the format and a checksum behind it.
pub(crate) fn dump(value: &Value) -> Bytes {
    let mut out = BytesMut::new();
    out.put_u8(kind_of(value));
    put_value(&mut out, value);
    out.put_u16_le(VERSION);
    let checksum = crc::crc64(&out);
    out.put_u64_le(checksum);
    out.freeze()
}

/// Reads what [`dump`] wrote, or Redis. An error of the checksum says that the version may be the reason too.
pub(crate) fn restore(payload: &Bytes) -> Result<Value, ReadError> {
    let body = payload.len().checked_sub(10).ok_or(ReadError::Checksum)?;
    let mut footer = &payload[body..];
    let (version, checksum) = (footer.get_u16_le(), footer.get_u64_le());
    if version > VERSION || checksum != crc::crc64(&payload[..body + 2]) {
        return Err(ReadError::Checksum);
    }
    let mut rest = Reader(payload.slice(..body));
    let kind = rest.byte()?;
    let value = rest.value(kind)?;
    if value.is_empty() { Err(ReadError::Truncated) } else { Ok(value) }
}

/// Reads a file.
pub(crate) fn read(file: &Bytes, now: Clock) -> Result<Snapshot, ReadError> {
    let version = file.get(5..9).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u32>().ok());
    if !file.starts_with(b"REDIS") || !version.is_some_and(|version| (1..=10).contains(&version)) {
        return Err(ReadError::NotRdb);
    }
    let mut rest = Reader(file.slice(9..));
    let mut snapshot = Snapshot::default();
    let (mut db, mut expires_at) = (0, None);
    loop {
        match rest.byte()? {
            EOF => {
                let length = file.len() - rest.0.len();
                let checksum = if version >= Some(5) { rest.take(8)?.get_u64_le() } else { 0 };
                // Zero means that there is none.
                if checksum != 0 && checksum != crc::crc64(&file[..length]) {
                    return Err(ReadError::Checksum);
                }
                return Ok(snapshot);
            }
            AUX => {
                let (name, value) = (rest.string()?, rest.string()?);
                let value = String::from_utf8_lossy(&value);
                match &name[..] {
                    b"lineage" => snapshot.lineage = value.into_owned(),
                    b"repl-stream-db" => {
                        snapshot.stream_db = value.parse().ok().filter(|db| *db < DATABASES).unwrap_or(0);
                    }
                    _ => {}
                }
            }
            SELECT_DB => {
                db = rest.length()?;
                if db >= DATABASES {
                    return Err(ReadError::NoSuchDb);
                }
            }
            RESIZE_DB => {
                rest.length()?;
                rest.length()?;
            }
            FUNCTION => {
                rest.string()?;
            }
            IDLE => {
                rest.length()?;
            }
            FREQUENCY => {
                rest.byte()?;
            }
            EXPIRE_MILLIS => expires_at = Some(rest.take(8)?.get_u64_le()),
            EXPIRE_SECONDS => expires_at = Some(u64::from(rest.take(4)?.get_u32_le()) * 1_000),
            kind => {
                let key = rest.string()?;
                let value = rest.value(kind)?;
                if !value.is_empty() {
                    snapshot.data.0[db].insert(&key, value, expires_at, now);
                }
                expires_at = None;
            }
        }
    }
}

struct Reader(Bytes);

impl Reader {
    fn take(&mut self, count: usize) -> Result<Bytes, ReadError> {
        if count > self.0.len() {
            return Err(ReadError::Truncated);
        }
        Ok(self.0.split_to(count))
    }

    fn byte(&mut self) -> Result<u8, ReadError> {
        Ok(self.take(1)?[0])
    }

    /// A length, or an encoding if the two high bits are set.
    fn length_or_encoding(&mut self) -> Result<Result<usize, u8>, ReadError> {
        let head = self.byte()?;
        let length = match head >> 6 {
            0 => u64::from(head),
            1 => u64::from(head & 0x3f) << 8 | u64::from(self.byte()?),
            2 if head == 0x80 => u64::from(self.take(4)?.get_u32()),
            2 if head == 0x81 => self.take(8)?.get_u64(),
            2 => return Err(ReadError::Unknown),
            _ => return Ok(Err(head & 0x3f)),
        };
        usize::try_from(length).map(Ok).map_err(|_| ReadError::Truncated)
    }

    fn length(&mut self) -> Result<usize, ReadError> {
        self.length_or_encoding()?.map_err(|_| ReadError::Unknown)
    }

    fn string(&mut self) -> Result<Bytes, ReadError> {
        let number = match self.length_or_encoding()? {
            Ok(length) => return self.take(length),
            Err(0) => i64::from(self.take(1)?.get_i8()),
            Err(1) => i64::from(self.take(2)?.get_i16_le()),
            Err(2) => i64::from(self.take(4)?.get_i32_le()),
            Err(3) => {
                let (packed, length) = (self.length()?, self.length()?);
                return packed::lzf(&self.take(packed)?, length);
            }
            Err(_) => return Err(ReadError::Unknown),
        };
        Ok(Bytes::from(number.to_string()))
    }

    /// A score in the text form of old files.
    fn score(&mut self) -> Result<f64, ReadError> {
        match self.byte()? {
            253 => Ok(f64::NAN),
            254 => Ok(f64::INFINITY),
            255 => Ok(f64::NEG_INFINITY),
            length => {
                let text = self.take(usize::from(length))?;
                std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).ok_or(ReadError::Unknown)
            }
        }
    }

    fn value(&mut self, kind: u8) -> Result<Value, ReadError> {
        Ok(match kind {
            STRING => Value::Str(self.string()?),
            LIST => {
                let mut list = VecDeque::new();
                for _ in 0..self.length()? {
                    list.push_back(self.string()?);
                }
                Value::List(list)
            }
            SET => {
                let mut set = BTreeSet::new();
                for _ in 0..self.length()? {
                    set.insert(self.string()?);
                }
                Value::Set(set)
            }
            HASH => {
                let mut hash = BTreeMap::new();
                for _ in 0..self.length()? {
                    let field = self.string()?;
                    hash.insert(field, self.string()?);
                }
                Value::Hash(hash)
            }
            ZSET | ZSET_TEXT => {
                let mut zset = ZSet::default();
                for _ in 0..self.length()? {
                    let member = self.string()?;
                    let score = if kind == ZSET { self.take(8)?.get_f64_le() } else { self.score()? };
                    zset.insert(member, score);
                }
                Value::ZSet(zset)
            }
            HASH_ZIPMAP => hash(packed::zipmap(self.string()?)?)?,
            HASH_ZIPLIST => hash(packed::ziplist(self.string()?)?)?,
            HASH_LISTPACK => hash(packed::listpack(self.string()?)?)?,
            ZSET_ZIPLIST => zset(packed::ziplist(self.string()?)?)?,
            ZSET_LISTPACK => zset(packed::listpack(self.string()?)?)?,
            SET_INTSET => Value::Set(packed::intset(self.string()?)?.into_iter().collect()),
            LIST_ZIPLIST => Value::List(packed::ziplist(self.string()?)?.into()),
            LIST_QUICKLIST => {
                let mut list = VecDeque::new();
                for _ in 0..self.length()? {
                    list.extend(packed::ziplist(self.string()?)?);
                }
                Value::List(list)
            }
            LIST_QUICKLIST_2 => {
                let mut list = VecDeque::new();
                for _ in 0..self.length()? {
                    // A large element has a node of its own.
                    match self.length()? {
                        1 => list.push_back(self.string()?),
                        2 => list.extend(packed::listpack(self.string()?)?),
                        _ => return Err(ReadError::Unknown),
                    }
                }
                Value::List(list)
            }
            STREAM | STREAM_2 => Value::Stream(Box::new(streams::read(self, kind == STREAM_2)?)),
            _ => return Err(ReadError::Unknown),
        })
    }
}

fn pairs(elements: Vec<Bytes>) -> Result<impl Iterator<Item = (Bytes, Bytes)>, ReadError> {
    if !elements.len().is_multiple_of(2) {
        return Err(ReadError::Truncated);
    }
    let mut elements = elements.into_iter();
    Ok(std::iter::from_fn(move || Some((elements.next()?, elements.next()?))))
}

fn hash(elements: Vec<Bytes>) -> Result<Value, ReadError> {
    Ok(Value::Hash(pairs(elements)?.collect()))
}

fn zset(elements: Vec<Bytes>) -> Result<Value, ReadError> {
    let mut zset = ZSet::default();
    for (member, score) in pairs(elements)? {
        let score = std::str::from_utf8(&score).ok().and_then(|score| score.parse().ok());
        zset.insert(member, score.ok_or(ReadError::Unknown)?);
    }
    Ok(Value::ZSet(zset))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn b(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    fn sample() -> DataSet {
        let mut data = DataSet::default();
        data.0[0].insert(&b("text"), Value::Str(b(&"x".repeat(20_000))), Some(1_704_067_200_123), 0);
        data.0[0].insert(&b("list"), Value::List((0..100).map(|n| b(&n.to_string())).collect()), None, 0);
        data.0[3].insert(&b("set"), Value::Set([b("a"), b("b")].into()), None, 0);
        data.0[15].insert(&b("hash"), Value::Hash([(b("f"), b("v"))].into()), Some(5), 0);
        data
    }

    #[test]
    fn reads_what_it_writes() {
        let file = write(&sample(), "3f0c9a51:12", 3);
        let snapshot = Snapshot { data: sample(), lineage: "3f0c9a51:12".into(), stream_db: 3 };
        assert_eq!(read(&file, 0), Ok(snapshot));
    }

    #[test]
    fn a_file_cut_anywhere_is_an_error() {
        let file = write(&sample(), "", 0);
        for length in 0..file.len() {
            assert!(read(&file.slice(..length), 0).is_err(), "{length}");
        }
    }

    #[test]
    fn reads_the_smallest_file() {
        let smallest = Bytes::from_static(b"REDIS0009\xff\0\0\0\0\0\0\0\0");
        assert_eq!(read(&smallest, 0), Ok(Snapshot::default()));
    }

    #[test]
    fn nonsense_is_refused() {
        let table: [(&[u8], ReadError); 6] = [
            (b"", ReadError::NotRdb),
            (b"REDIS0099\xff", ReadError::NotRdb),
            (b"REDIS0009\xfe\x20\xff", ReadError::NoSuchDb),
            (b"REDIS0009\x00\x81\xff\xff\xff\xff\xff\xff\xff\xff", ReadError::Truncated),
            (b"REDIS0009\x08\x01k", ReadError::Unknown),
            (b"REDIS0009\xff\0\0\0\0\0\0\0\x01", ReadError::Checksum),
        ];
        for (file, error) in table {
            assert_eq!(read(&Bytes::from_static(file), 0), Err(error), "{file:?}");
        }
    }
}
