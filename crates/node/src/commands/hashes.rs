//! Hashes.

use bytes::Bytes;
use model::{Command, Reply};

use super::generic::scan_items;
use super::strings::{finite, sum};
use crate::access::{Access, DataResult};
use crate::args::{bulks, int, number, parse_int, wrong_arity, yes_no};
use crate::keyspace::own;

/// Stores field and value pairs; the number of new fields.
fn store(access: &mut Access<'_>, args: &[Bytes], name: &str) -> Result<i64, crate::access::Failure> {
    if !args.len().is_multiple_of(2) {
        return Err(wrong_arity(name));
    }
    let hash = access.hash_or_new(&args[1])?;
    let mut new = 0;
    for pair in args[2..].chunks_exact(2) {
        new += i64::from(hash.insert(own(&pair[0]), own(&pair[1])).is_none());
    }
    access.changed("hset", &args[1], (args.len() as u64 - 2) / 2);
    Ok(new)
}

pub(crate) fn hset(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    store(access, args, "hset").map(Reply::Int)
}

pub(crate) fn hmset(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    store(access, args, "hmset").map(|_| Reply::OK)
}

pub(crate) fn hsetnx(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    if access.hash(&args[1])?.is_some_and(|hash| hash.contains_key(&args[2])) {
        return Ok(Reply::Int(0));
    }
    store(access, args, "hsetnx").map(Reply::Int)
}

pub(crate) fn hget(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let value = access.hash(&args[1])?.and_then(|hash| hash.get(&args[2]).cloned());
    Ok(value.map_or(Reply::Null, Reply::Bulk))
}

pub(crate) fn hmget(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let hash = access.hash(&args[1])?;
    let value = |field: &Bytes| hash.as_ref().and_then(|hash| hash.get(field).cloned());
    Ok(Reply::Array(args[2..].iter().map(|field| value(field).map_or(Reply::Null, Reply::Bulk)).collect()))
}

pub(crate) fn hgetall(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let Some(hash) = access.hash(&args[1])? else { return Ok(Reply::Map(Vec::new())) };
    Ok(Reply::Map(hash.iter().map(|(f, v)| (Reply::Bulk(f.clone()), Reply::Bulk(v.clone()))).collect()))
}

pub(crate) fn hkeys(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(access.hash(&args[1])?.map_or(Reply::Array(Vec::new()), |hash| bulks(hash.keys())))
}

pub(crate) fn hvals(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(access.hash(&args[1])?.map_or(Reply::Array(Vec::new()), |hash| bulks(hash.values())))
}

pub(crate) fn hlen(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Reply::Int(access.hash(&args[1])?.map_or(0, |hash| hash.len() as i64)))
}

pub(crate) fn hexists(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(yes_no(access.hash(&args[1])?.is_some_and(|hash| hash.contains_key(&args[2]))))
}

pub(crate) fn hstrlen(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let length = access.hash(&args[1])?.and_then(|hash| hash.get(&args[2]).map(Bytes::len));
    Ok(Reply::Int(length.unwrap_or(0) as i64))
}

pub(crate) fn hdel(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let Some(hash) = access.hash(&args[1])? else { return Ok(Reply::Int(0)) };
    let removed = args[2..].iter().filter(|field| hash.remove(*field).is_some()).count();
    if removed > 0 {
        access.changed("hdel", &args[1], removed as u64);
    }
    Ok(Reply::Int(removed as i64))
}

pub(crate) fn hincrby(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let amount = int(&args[3])?;
    let old = match access.hash(&args[1])?.and_then(|hash| hash.get(&args[2])) {
        Some(value) => parse_int(value).ok_or("ERR hash value is not an integer")?,
        None => 0,
    };
    let new = old.checked_add(amount).ok_or("ERR increment or decrement would overflow")?;
    access.hash_or_new(&args[1])?.insert(own(&args[2]), number(new));
    access.changed("hincrby", &args[1], 1);
    Ok(Reply::Int(new))
}

pub(crate) fn hincrbyfloat(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let amount = &args[3];
    finite(amount)?;
    let old = access.hash(&args[1])?.and_then(|hash| hash.get(&args[2]).cloned());
    let new = match old {
        Some(old) => sum(&old, amount, "ERR hash value is not a float")?,
        None => sum(b"0", amount, "ERR hash value is not a float")?,
    };
    access.hash_or_new(&args[1])?.insert(own(&args[2]), new.clone());
    access.changed("hincrbyfloat", &args[1], 1);
    // As a plain value, so that replicas cannot round differently.
    let command = Command::of(&["HSET"]).arg(args[1].clone()).arg(args[2].clone()).arg(new.clone());
    access.propagate_instead(command);
    Ok(Reply::Bulk(new))
}

pub(crate) fn hscan(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let packed = access.is_packed(&args[1]);
    scan_items(args, packed, || {
        let hash = access.hash(&args[1])?;
        Ok(hash.map(|hash| hash.iter().map(|(field, value)| vec![field.clone(), value.clone()]).collect()))
    })
}
