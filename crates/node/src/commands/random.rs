//! `HRANDFIELD` and `ZRANDMEMBER`: the first ones, which are as random as any and the same in every run.

use bytes::Bytes;
use model::Reply;

use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, int, is};

/// What is asked for: how many, negative if the same may come again, and whether with what belongs to each.
struct Wanted {
    count: Option<i64>,
    both: bool,
}

/// Redis refuses such counts, and the lab some more, which would fill the memory.
const COUNT_MAX: u64 = 1_000_000;

fn read(words: &[Bytes], both: &str) -> Result<Wanted, Failure> {
    let Some(count) = words.first() else { return Ok(Wanted { count: None, both: false }) };
    let count = int(count)?;
    if count == i64::MIN {
        let most = i64::MAX;
        return Err(format!("ERR value is out of range, value must between -{most} and {most}").into());
    }
    let both = match &words[1..] {
        [] => false,
        [word] if is(word, both) => true,
        _ => return Err(SYNTAX),
    };
    if both && count.unsigned_abs() > i64::MAX.unsigned_abs() / 2 || count < 0 && count.unsigned_abs() > COUNT_MAX {
        return Err("ERR value is out of range".into());
    }
    Ok(Wanted { count: Some(count), both })
}

fn answer(pairs: Vec<(Bytes, Reply)>, wanted: &Wanted, resp3: bool) -> Reply {
    let Some(count) = wanted.count else {
        return pairs.into_iter().next().map_or(Reply::Null, |(name, _)| Reply::Bulk(name));
    };
    let length = count.unsigned_abs() as usize;
    let chosen: Vec<(Bytes, Reply)> = if count < 0 {
        pairs.iter().cycle().take(length).cloned().collect()
    } else {
        pairs.into_iter().take(length).collect()
    };
    let show = |(name, value)| match (wanted.both, resp3) {
        (false, _) => vec![Reply::Bulk(name)],
        (true, false) => vec![Reply::Bulk(name), value],
        (true, true) => vec![Reply::Array(vec![Reply::Bulk(name), value])],
    };
    Reply::Array(chosen.into_iter().flat_map(show).collect())
}

pub(crate) fn hrandfield(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let wanted = read(&args[2..], "WITHVALUES")?;
    let pair = |(field, value): (&Bytes, &Bytes)| (field.clone(), Reply::Bulk(value.clone()));
    let pairs = access.hash(&args[1])?.map_or_else(Vec::new, |hash| hash.iter().map(pair).collect());
    Ok(answer(pairs, &wanted, access.resp3))
}

pub(crate) fn zrandmember(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let wanted = read(&args[2..], "WITHSCORES")?;
    let pair = |(member, score): (&Bytes, f64)| (member.clone(), Reply::Double(score));
    let pairs = access.zset(&args[1])?.map_or_else(Vec::new, |zset| zset.iter().map(pair).collect());
    Ok(answer(pairs, &wanted, access.resp3))
}
