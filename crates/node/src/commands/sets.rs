//! Sets.

use bytes::Bytes;
use model::{Command, Reply};

use crate::access::{Access, DataResult};
use crate::args::{SYNTAX, int, yes_no};

pub(crate) fn sadd(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let set = access.set_or_new(&args[1])?;
    let added = args[2..].iter().filter(|item| set.insert((*item).clone())).count();
    if added > 0 {
        access.changed(&args[1], added as u64);
    }
    Ok(Reply::Int(added as i64))
}

pub(crate) fn srem(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let Some(set) = access.set(&args[1])? else { return Ok(Reply::Int(0)) };
    let removed = args[2..].iter().filter(|item| set.remove(*item)).count();
    if removed > 0 {
        access.changed(&args[1], removed as u64);
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
        Some(count) => usize::try_from(int(count)?).map_err(|_| "ERR value is out of range, must be positive")?,
        None => 1,
    };
    let mut popped = Vec::new();
    if let Some(set) = access.set(&args[1])? {
        while popped.len() < count
            && let Some(item) = set.pop_first()
        {
            popped.push(item);
        }
    }
    if !popped.is_empty() {
        access.changed(&args[1], popped.len() as u64);
        let removed = popped.iter().fold(Command::of(&["SREM"]).arg(args[1].clone()), |c, item| c.arg(item.clone()));
        access.propagate_instead(removed);
    }
    let mut popped = popped.into_iter().map(Reply::Bulk);
    Ok(if args.len() == 3 { Reply::Set(popped.collect()) } else { popped.next().unwrap_or(Reply::Null) })
}
