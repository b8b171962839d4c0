//! RDB files: what Redis 7.0 saved is read, and what is written here it loads.

use std::fs;
use std::time::Duration;

use bytes::Bytes;

use super::live::server;
use crate::keyspace::stream::StreamId;
use crate::keyspace::{DataSet, Value};
use crate::rdb;

/// Saved by redis-server 7.0.15: every type in its small and its large form, groups of a stream, two databases.
const SAVED: &[u8] = include_bytes!("../../tests/data/encodings-7.0.15.rdb");

fn saved() -> DataSet {
    rdb::read(&Bytes::from_static(SAVED), 0).expect("a file of Redis").data
}

fn text(data: &DataSet, key: &str) -> String {
    match data.0[0].get(key.as_bytes()) {
        Some(Value::Str(text)) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("{key}: {other:?}"),
    }
}

#[test]
fn every_encoding_of_redis_is_read() {
    let data = saved();
    let strings = [
        ("raw", "hello"),
        ("int8", "12"),
        ("int16", "-1234"),
        ("int32", "123456789"),
        ("int64", "9223372036854775807"),
    ];
    for (key, value) in strings {
        assert_eq!(text(&data, key), value);
    }
    assert_eq!(text(&data, "lzf"), "abc".repeat(300));
    assert_eq!(data.0[0].expires_at(b"ttl"), Some(4_102_444_800_123));
    let Some(Value::List(list)) = data.0[0].get(b"list") else { panic!("a list") };
    let items: Vec<_> = list.iter().map(|item| String::from_utf8_lossy(item)).collect();
    assert_eq!(items, ["a", "12", "-7", "70000", &"b".repeat(100)]);
    let Some(Value::List(list)) = data.0[0].get(b"biglist") else { panic!("a list") };
    assert_eq!((list.len(), &list[1999][..]), (2_000, &b"element-1999"[..]));
    let Some(Value::List(list)) = data.0[0].get(b"plain") else { panic!("a list") };
    assert_eq!((list[0].len(), &list[1][..]), (9_000, &b"y"[..]));
    let Some(Value::Set(set)) = data.0[0].get(b"intset") else { panic!("a set") };
    let members: Vec<_> = set.iter().map(|item| String::from_utf8_lossy(item)).collect();
    assert_eq!(members, ["-5", "1", "5000000000", "70000"]);
    for (key, count) in [("bigset", 600), ("set", 3)] {
        assert!(matches!(data.0[0].get(key.as_bytes()), Some(Value::Set(set)) if set.len() == count), "{key}");
    }
    for (key, count) in [("bighash", 600), ("hash", 2)] {
        assert!(matches!(data.0[0].get(key.as_bytes()), Some(Value::Hash(hash)) if hash.len() == count), "{key}");
    }
    let Some(Value::ZSet(zset)) = data.0[0].get(b"zset") else { panic!("a sorted set") };
    assert_eq!((zset.score(b"a"), zset.score(b"b"), zset.score(b"c")), (Some(1.5), Some(-2.0), Some(f64::INFINITY)));
    assert!(matches!(data.0[0].get(b"bigzset"), Some(Value::ZSet(zset)) if zset.score(b"m7") == Some(1.75)));
    let Some(Value::Stream(stream)) = data.0[0].get(b"stream") else { panic!("a stream") };
    assert_eq!((stream.entries.len(), stream.last_id, stream.added), (149, StreamId(5_000, 1), 151));
    let group = &stream.groups[&b"g"[..]];
    assert_eq!((group.pending.len(), group.consumers.len()), (4, 2));
    assert!(group.pending.values().all(|pending| !pending.consumer.is_empty()));
    assert_eq!(data.0[7].get(b"seven"), Some(&Value::Str(Bytes::from_static(b"7"))));
}

#[test]
fn a_file_with_every_type_is_read_as_it_was_written() {
    let file = rdb::write(&saved(), "", 0);
    assert_eq!(rdb::read(&file, 0).expect("its own file").data, saved());
}

#[test]
fn a_changed_byte_is_noticed() {
    for at in (0..SAVED.len() - 8).step_by(97) {
        let mut file = SAVED.to_vec();
        file[at] ^= 0x10;
        assert!(rdb::read(&file.into(), 0).is_err(), "byte {at}");
    }
}

/// The real one loads what is written here, and what it saves of that is the same again.
#[test]
fn redis_loads_what_is_written_here() {
    let Some((mut process, _block)) = server("RDB files held against redis-server") else { return };
    process.kill().expect("it ends");
    let path = process.folder().join("dump.rdb");
    fs::write(&path, rdb::write(&saved(), "", 0)).expect("the file is written");
    process.restart().expect("it starts again");
    process.wait_ready().unwrap_or_else(|error| panic!("{error}\n{}", process.log()));
    let mut talk = process.connect().expect("a connection");
    let within = Duration::from_secs(5);
    let length = talk.ask(&["XPENDING", "stream", "g"], within).expect("a reply");
    assert_eq!(length.as_array().and_then(|items| items[0].as_int()), Some(4));
    fs::remove_file(&path).expect("it was there");
    assert_eq!(talk.ask(&["SAVE"], within).expect("a reply"), model::Reply::OK);
    let file = fs::read(&path).expect("it has saved");
    assert_eq!(rdb::read(&file.into(), 0).expect("a file of Redis").data, saved());
}
