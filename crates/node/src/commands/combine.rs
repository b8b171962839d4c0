//! Unions, intersections and differences of sorted sets, sets among them, and how large intersections are.

use bytes::Bytes;
use model::Reply;

use super::sets::{self, Combine};
use super::zsets::{members, score};
use crate::access::{Access, DataResult, Failure, WRONGTYPE};
use crate::args::{SYNTAX, int, is, whole};
use crate::keyspace::{Value, ZSet};

/// How the scores of one member become one.
type Aggregate = fn(f64, f64) -> f64;

/// The sum, which of two infinities of different signs is 0.
fn sum(a: f64, b: f64) -> f64 {
    if (a + b).is_nan() { 0.0 } else { a + b }
}

/// What the words from `numkeys` on ask for.
struct Request {
    sources: Vec<ZSet>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
}

/// What may stand behind the keys.
#[derive(Clone, Copy, PartialEq)]
enum Options {
    /// `WITHSCORES`, and `WEIGHTS` and `AGGREGATE` but for differences.
    Reply,
    /// The same without `WITHSCORES`.
    Store,
    /// `LIMIT`
    Count,
}

/// `LIMIT` of a count; 0 is none.
fn limit(value: &[u8]) -> Result<usize, Failure> {
    let limit = int(value).ok().and_then(|limit| usize::try_from(limit).ok());
    limit.ok_or_else(|| "ERR LIMIT can't be negative".into())
}

impl Request {
    fn read(
        access: &mut Access<'_>,
        name: &str,
        words: &[Bytes],
        how: Combine,
        options: Options,
    ) -> Result<Self, Failure> {
        let count = int(&words[0])?;
        if count < 1 {
            return Err(format!("ERR at least 1 input key is needed for '{name}' command").into());
        }
        let count = usize::try_from(count).ok().filter(|count| *count < words.len()).ok_or(SYNTAX)?;
        let (keys, mut rest) = words[1..].split_at(count);
        access.counts = true;
        let mut sources = Vec::with_capacity(count);
        for key in keys {
            sources.push(match access.get(key) {
                None => ZSet::default(),
                Some(Value::ZSet(zset)) => zset.clone(),
                Some(Value::Set(set)) => set.iter().map(|member| (member.clone(), 1.0)).collect(),
                Some(_) => return Err(WRONGTYPE),
            });
        }
        let mut request = Self { sources, aggregate: sum, with_scores: false, limit: 0 };
        let weighs = how != Combine::Subtract && options != Options::Count;
        while let Some((option, after)) = rest.split_first() {
            rest = match () {
                () if weighs && is(option, "WEIGHTS") && after.len() >= count => {
                    request.weigh(&after[..count])?;
                    &after[count..]
                }
                () if weighs && is(option, "AGGREGATE") && !after.is_empty() => {
                    request.aggregate = match () {
                        () if is(&after[0], "SUM") => sum,
                        () if is(&after[0], "MIN") => f64::min,
                        () if is(&after[0], "MAX") => f64::max,
                        () => return Err(SYNTAX),
                    };
                    &after[1..]
                }
                () if options == Options::Reply && is(option, "WITHSCORES") => {
                    request.with_scores = true;
                    after
                }
                () if options == Options::Count && is(option, "LIMIT") && !after.is_empty() => {
                    request.limit = limit(&after[0])?;
                    &after[1..]
                }
                () => return Err(SYNTAX),
            };
        }
        Ok(request)
    }

    /// Multiplies the scores of each source.
    fn weigh(&mut self, weights: &[Bytes]) -> Result<(), Failure> {
        for (source, weight) in self.sources.iter_mut().zip(weights) {
            let weight = score(weight).ok_or("ERR weight value is not a float")?;
            let product = |score: f64| if (score * weight).is_nan() { 0.0 } else { score * weight };
            *source = source.iter().map(|(member, score)| (member.clone(), product(score))).collect();
        }
        Ok(())
    }

    fn combine(&mut self, how: Combine) -> ZSet {
        if how != Combine::Subtract {
            // In Redis's order, as sums of floats depend on it.
            self.sources.sort_by_key(ZSet::len);
        }
        let Some((first, others)) = self.sources.split_first() else { return ZSet::default() };
        let mut result = first.clone();
        for other in others {
            if how == Combine::Union {
                for (member, score) in other.iter() {
                    let old = result.score(member);
                    result.insert(member.clone(), old.map_or(score, |old| (self.aggregate)(old, score)));
                }
                continue;
            }
            let kept = result.iter().filter_map(|(member, old)| match (how, other.score(member)) {
                (Combine::Intersect, Some(score)) => Some((member.clone(), (self.aggregate)(old, score))),
                (Combine::Subtract, None) => Some((member.clone(), old)),
                _ => None,
            });
            result = kept.collect();
        }
        result
    }
}

fn reply(access: &mut Access<'_>, args: &[Bytes], name: &str, how: Combine) -> DataResult {
    let mut request = Request::read(access, name, &args[1..], how, Options::Reply)?;
    let result = request.combine(how);
    let items = result.iter().map(|(member, score)| (member.clone(), score)).collect();
    Ok(members(items, request.with_scores, access.resp3))
}

fn store(access: &mut Access<'_>, args: &[Bytes], name: &'static str, how: Combine) -> DataResult {
    let result = Request::read(access, name, &args[2..], how, Options::Store)?.combine(how);
    Ok(put(access, name, &args[1], result))
}

/// Stores a result, or removes what was there if it is empty.
pub(crate) fn put(access: &mut Access<'_>, event: &'static str, key: &Bytes, result: ZSet) -> Reply {
    let count = result.len();
    if count == 0 {
        access.delete(key);
    } else {
        access.store(event, key, Value::ZSet(result), None);
        access.effects.ready.push((access.db, key.clone()));
    }
    Reply::Int(count as i64)
}

pub(crate) fn zunion(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    reply(access, args, "zunion", Combine::Union)
}

pub(crate) fn zinter(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    reply(access, args, "zinter", Combine::Intersect)
}

pub(crate) fn zdiff(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    reply(access, args, "zdiff", Combine::Subtract)
}

pub(crate) fn zunionstore(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    store(access, args, "zunionstore", Combine::Union)
}

pub(crate) fn zinterstore(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    store(access, args, "zinterstore", Combine::Intersect)
}

pub(crate) fn zdiffstore(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    store(access, args, "zdiffstore", Combine::Subtract)
}

fn count(size: usize, limit: usize) -> Reply {
    Reply::Int(if limit == 0 { size } else { size.min(limit) } as i64)
}

pub(crate) fn zintercard(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let mut request = Request::read(access, "zintercard", &args[1..], Combine::Intersect, Options::Count)?;
    Ok(count(request.combine(Combine::Intersect).len(), request.limit))
}

pub(crate) fn sintercard(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let keys = whole(&args[1], "ERR numkeys should be greater than 0")?;
    let Some(options) = args[2..].get(keys..) else {
        return Err("ERR Number of keys can't be greater than number of args".into());
    };
    let mut most = 0;
    for option in options.chunks(2) {
        match option {
            [name, value] if is(name, "LIMIT") => most = limit(value)?,
            _ => return Err(SYNTAX),
        }
    }
    Ok(count(sets::intersection(access, &args[2..2 + keys])?.len(), most))
}
