//! Sets.

use std::collections::BTreeSet;

use bytes::Bytes;
use model::{Command, Reply};

use super::generic::scan_items;
use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, int, positive, yes_no};
use crate::keyspace::{Value, own};

pub(crate) fn sadd(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let set = access.set_or_new(&args[1])?;
    let added = args[2..].iter().filter(|item| set.insert(own(item))).count();
    if added > 0 {
        access.changed("sadd", &args[1], added as u64);
    }
    Ok(Reply::Int(added as i64))
}

pub(crate) fn srem(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let Some(set) = access.set(&args[1])? else { return Ok(Reply::Int(0)) };
    let removed = args[2..].iter().filter(|item| set.remove(*item)).count();
    if removed > 0 {
        access.changed("srem", &args[1], removed as u64);
    }
    Ok(Reply::Int(removed as i64))
}

pub(crate) fn smembers(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let set = access.set(&args[1])?;
    Ok(Reply::Set(set.map_or_else(Vec::new, |set| set.iter().cloned().map(Reply::Bulk).collect())))
}

pub(crate) fn sismember(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(yes_no(access.set(&args[1])?.is_some_and(|set| set.contains(&args[2]))))
}

pub(crate) fn smismember(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let set = access.set(&args[1])?;
    let is_in = |item: &Bytes| set.as_ref().is_some_and(|set| set.contains(item));
    Ok(Reply::Array(args[2..].iter().map(|item| yes_no(is_in(item))).collect()))
}

pub(crate) fn scard(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Reply::Int(access.set(&args[1])?.map_or(0, |set| set.len() as i64)))
}

/// Takes the first members: as random as any, and the same in every run. Replicas hear which they were.
pub(crate) fn spop(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    if args.len() > 3 {
        return Err(SYNTAX);
    }
    let count = match args.get(2) {
        Some(count) => positive(count)?,
        None => 1,
    };
    let mut popped = Vec::new();
    let whole = args.len() == 3 && count > 0;
    if let Some(set) = access.set(&args[1])? {
        // Redis looks a set up again that it gives as a whole.
        let again = whole && set.len() <= count;
        while popped.len() < count
            && let Some(item) = set.pop_first()
        {
            popped.push(item);
        }
        access.effects.hits += u64::from(again);
    }
    if !popped.is_empty() {
        access.changed("spop", &args[1], popped.len() as u64);
        let removed = popped.iter().fold(Command::of(&["SREM"]).arg(args[1].clone()), |c, item| c.arg(item.clone()));
        access.propagate_instead(removed);
    }
    let mut popped = popped.into_iter().map(Reply::Bulk);
    Ok(if args.len() == 3 { Reply::Set(popped.collect()) } else { popped.next().unwrap_or(Reply::Null) })
}

pub(crate) fn sscan(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let packed = access.is_packed(&args[1]);
    scan_items(args, packed, || {
        Ok(access.set(&args[1])?.map(|set| set.iter().map(|item| vec![item.clone()]).collect()))
    })
}

pub(crate) fn smove(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (from, to, item) = (&args[1], &args[2], &args[3]);
    let Some(there) = access.set(from)?.map(|set| set.contains(item)) else { return Ok(yes_no(false)) };
    access.set(to)?;
    if there && from != to {
        access.set(from)?.map(|set| set.remove(item));
        access.changed("srem", from, 1);
        let new = access.set_or_new(to)?.insert(item.clone());
        access.changed(if new { "sadd" } else { "" }, to, 1);
    }
    Ok(yes_no(there))
}

/// The first members: as random as any, and the same in every run. A negative count may repeat them.
pub(crate) fn srandmember(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let count = match &args[2..] {
        [] => None,
        [count] => match int(count)? {
            i64::MIN => {
                let most = i64::MAX;
                return Err(format!("ERR value is out of range, value must between -{most} and {most}").into());
            }
            count => Some(count),
        },
        _ => return Err(SYNTAX),
    };
    let set = access.set(&args[1])?;
    let Some(set) = set else { return Ok(if count.is_some() { Reply::Array(Vec::new()) } else { Reply::Null }) };
    let members = || set.iter().cloned().map(Reply::Bulk);
    Ok(match count {
        None => members().next().unwrap_or(Reply::Null),
        Some(count @ 0..) => Reply::Array(members().take(count as usize).collect()),
        Some(count) if count < -1_000_000 => return Err("ERR value is out of range".into()),
        Some(count) => Reply::Array(members().cycle().take(count.unsigned_abs() as usize).collect()),
    })
}

/// How sets are combined, sorted ones too.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Combine {
    Union,
    Intersect,
    Subtract,
}

fn combine(access: &mut Access<'_>, keys: &[Bytes], how: Combine) -> Result<BTreeSet<Bytes>, Failure> {
    let mut result: Option<BTreeSet<Bytes>> = None;
    access.counts = true;
    for key in keys {
        let set = access.set(key)?.cloned().unwrap_or_default();
        result = Some(match (result, how) {
            (None, _) => set,
            (Some(result), Combine::Union) => &result | &set,
            (Some(result), Combine::Intersect) => &result & &set,
            (Some(result), Combine::Subtract) => &result - &set,
        });
    }
    Ok(result.unwrap_or_default())
}

/// What all sets have.
pub(crate) fn intersection(access: &mut Access<'_>, keys: &[Bytes]) -> Result<BTreeSet<Bytes>, Failure> {
    combine(access, keys, Combine::Intersect)
}

fn combined(access: &mut Access<'_>, args: &[Bytes], how: Combine) -> DataResult {
    Ok(Reply::Set(combine(access, &args[1..], how)?.into_iter().map(Reply::Bulk).collect()))
}

fn store(access: &mut Access<'_>, args: &[Bytes], event: &'static str, how: Combine) -> DataResult {
    let result = combine(access, &args[2..], how)?;
    let count = result.len() as i64;
    if result.is_empty() {
        access.delete(&args[1]);
    } else {
        access.store(event, &args[1], Value::Set(result), None);
    }
    Ok(Reply::Int(count))
}

pub(crate) fn sunion(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    combined(access, args, Combine::Union)
}

pub(crate) fn sinter(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    combined(access, args, Combine::Intersect)
}

pub(crate) fn sdiff(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    combined(access, args, Combine::Subtract)
}

pub(crate) fn sunionstore(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    store(access, args, "sunionstore", Combine::Union)
}

pub(crate) fn sinterstore(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    store(access, args, "sinterstore", Combine::Intersect)
}

pub(crate) fn sdiffstore(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    store(access, args, "sdiffstore", Combine::Subtract)
}
