//! Sorted sets.

use bytes::Bytes;
use model::{Command, Reply, double_text};

use super::generic::scan_items;
use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, float, hexadecimal, int, is, number, positive, up_to_nul};
use crate::blocking;
use crate::commands::combine::put;
use crate::commands::lists::{Pop, seconds};
use crate::dispatch::{Call, Outcome};
use crate::keyspace::{ZSet, own};
use crate::node::Node;

const NOT_A_FLOAT: Failure = std::borrow::Cow::Borrowed("ERR value is not a valid float");
const NOT_A_RANGE: Failure = std::borrow::Cow::Borrowed("ERR min or max is not a float");

/// A score: a float, or infinite.
pub(crate) fn score(text: &[u8]) -> Option<f64> {
    match () {
        () if ["inf", "+inf", "infinity", "+infinity"].iter().any(|word| is(text, word)) => Some(f64::INFINITY),
        () if ["-inf", "-infinity"].iter().any(|word| is(text, word)) => Some(f64::NEG_INFINITY),
        () => float(text),
    }
}

/// An end of a range of scores, as C reads one: nothing is 0, blanks may come first, what is too large is infinite.
fn strtod(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(up_to_nul(text)).ok()?;
    if text.is_empty() {
        return Some(0.0);
    }
    let text = text.trim_ascii_start();
    text.parse().ok().or_else(|| hexadecimal(text)).filter(|value: &f64| !value.is_nan())
}

#[derive(Default)]
struct AddOptions {
    only_new: bool,
    only_present: bool,
    greater: bool,
    less: bool,
    changed: bool,
    increment: bool,
}

pub(crate) fn zadd(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    add_as_told(access, args, AddOptions::default())
}

/// Its options are read too, although there is no room for any: what looks like one is never a score.
pub(crate) fn zincrby(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    add_as_told(access, args, AddOptions { increment: true, ..AddOptions::default() })
}

fn add_as_told(access: &mut Access<'_>, args: &[Bytes], mut options: AddOptions) -> DataResult {
    let mut at = 2;
    while let Some(option) = args.get(at) {
        match () {
            () if is(option, "NX") => options.only_new = true,
            () if is(option, "XX") => options.only_present = true,
            () if is(option, "GT") => options.greater = true,
            () if is(option, "LT") => options.less = true,
            () if is(option, "CH") => options.changed = true,
            () if is(option, "INCR") => options.increment = true,
            () => break,
        }
        at += 1;
    }
    add(access, &args[1], args.get(at..).unwrap_or_default(), &options)
}

fn add(access: &mut Access<'_>, key: &Bytes, pairs: &[Bytes], options: &AddOptions) -> DataResult {
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(SYNTAX);
    }
    if options.only_new && options.only_present {
        return Err("ERR XX and NX options at the same time are not compatible".into());
    }
    if (options.greater && options.less) || (options.only_new && (options.greater || options.less)) {
        return Err("ERR GT, LT, and/or NX options at the same time are not compatible".into());
    }
    if options.increment && pairs.len() > 2 {
        return Err("ERR INCR option supports a single increment-element pair".into());
    }
    let mut wanted = Vec::with_capacity(pairs.len() / 2);
    for pair in pairs.chunks_exact(2) {
        wanted.push((score(&pair[0]).ok_or(NOT_A_FLOAT)?, &pair[1]));
    }
    if access.zset(key)?.is_none() && options.only_present {
        return Ok(if options.increment { Reply::Null } else { Reply::Int(0) });
    }
    let zset = access.zset_or_new(key)?;
    let (mut added, mut updated, mut last) = (0, 0, None);
    for (value, member) in wanted {
        let old = zset.score(member);
        if (options.only_new && old.is_some()) || (options.only_present && old.is_none()) {
            continue;
        }
        let new = if options.increment { old.map_or(value, |old| old + value) } else { value };
        if new.is_nan() {
            access.drop_if_empty(key);
            return Err("ERR resulting score is not a number (NaN)".into());
        }
        if old.is_some_and(|old| (options.greater && new <= old) || (options.less && new >= old)) {
            continue;
        }
        last = Some(new);
        match old {
            None => added += 1,
            #[allow(clippy::float_cmp)] // The very same score is no change.
            Some(old) if old != new => updated += 1,
            Some(_) => continue,
        }
        zset.insert(own(member), new);
    }
    if added + updated > 0 {
        access.changed(if options.increment { "zincr" } else { "zadd" }, key, added + updated);
        access.effects.ready.push((access.db, key.clone()));
    } else {
        access.drop_if_empty(key);
    }
    if options.increment {
        return Ok(last.map_or(Reply::Null, Reply::Double));
    }
    Ok(Reply::Int((if options.changed { added + updated } else { added }) as i64))
}

pub(crate) fn zrem(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let Some(zset) = access.zset(&args[1])? else { return Ok(Reply::Int(0)) };
    let removed = args[2..].iter().filter(|member| zset.remove(member).is_some()).count();
    if removed > 0 {
        access.changed("zrem", &args[1], removed as u64);
    }
    Ok(Reply::Int(removed as i64))
}

pub(crate) fn zcard(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Reply::Int(access.zset(&args[1])?.map_or(0, |zset| zset.len() as i64)))
}

pub(crate) fn zscore(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let score = access.zset(&args[1])?.and_then(|zset| zset.score(&args[2]));
    Ok(score.map_or(Reply::Null, Reply::Double))
}

pub(crate) fn zmscore(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let zset = access.zset(&args[1])?;
    let score = |member: &Bytes| zset.as_ref().and_then(|zset| zset.score(member)).map_or(Reply::Null, Reply::Double);
    Ok(Reply::Array(args[2..].iter().map(score).collect()))
}

/// An end of a range: a score, or a member in the lexicographic order.
#[derive(Clone, Debug)]
enum Bound {
    Score { value: f64, open: bool },
    Least,
    Most,
    Member { value: Bytes, open: bool },
}

impl Bound {
    fn score(text: &Bytes) -> Result<Self, Failure> {
        let (open, rest) = text.strip_prefix(b"(").map_or((false, &text[..]), |rest| (true, rest));
        strtod(rest).map(|value| Self::Score { value, open }).ok_or(NOT_A_RANGE)
    }

    fn member(text: &Bytes) -> Result<Self, Failure> {
        match &text[..] {
            b"-" => Ok(Self::Least),
            b"+" => Ok(Self::Most),
            [b'[', ..] => Ok(Self::Member { value: text.slice(1..), open: false }),
            [b'(', ..] => Ok(Self::Member { value: text.slice(1..), open: true }),
            _ => Err("ERR min or max not valid string range item".into()),
        }
    }

    /// True if nothing can lie between this and `high`.
    fn is_beyond(&self, high: &Self) -> bool {
        let is_open = |bound: &Self| matches!(bound, Self::Score { open: true, .. } | Self::Member { open: true, .. });
        let order = match (self, high) {
            (Self::Score { value: low, .. }, Self::Score { value: high, .. }) => (low + 0.0).total_cmp(&(high + 0.0)),
            (Self::Member { value: low, .. }, Self::Member { value: high, .. }) => low.cmp(high),
            (Self::Least, Self::Least) | (Self::Most, Self::Most) => std::cmp::Ordering::Equal,
            (Self::Least, _) | (_, Self::Most) => std::cmp::Ordering::Less,
            _ => std::cmp::Ordering::Greater,
        };
        order.is_gt() || order.is_eq() && (is_open(self) || is_open(high))
    }

    fn admits(&self, member: &Bytes, score: f64, from_below: bool) -> bool {
        let order = match self {
            Self::Score { value, .. } => score.total_cmp(&(value + 0.0)),
            Self::Member { value, .. } => member.cmp(value),
            Self::Least => return from_below,
            Self::Most => return !from_below,
        };
        let open = matches!(self, Self::Score { open: true, .. } | Self::Member { open: true, .. });
        (order.is_eq() && !open) || if from_below { order.is_gt() } else { order.is_lt() }
    }
}

/// The members between two bounds, lowest first, or highest first. Where scores differ the order of the members is not that
/// of their names, and a range of names is what Redis comes to: it wants the first and the last of all to lie within, and
/// ends with the first that is beyond.
fn between(zset: &ZSet, low: &Bound, high: &Bound, reverse: bool) -> Vec<(Bytes, f64)> {
    let from = |(member, score): &(&Bytes, f64)| low.admits(member, *score, true);
    let until = |(member, score): &(&Bytes, f64)| high.admits(member, *score, false);
    let copy = |(member, score): (&Bytes, f64)| (member.clone(), score);
    let (first, last) = (zset.iter().next(), zset.iter().next_back());
    if low.is_beyond(high) || !first.is_some_and(|first| until(&first)) || !last.is_some_and(|last| from(&last)) {
        return Vec::new();
    }
    if reverse {
        return zset.iter().rev().skip_while(|item| !until(item)).take_while(from).map(copy).collect();
    }
    zset.iter().skip_while(|item| !from(item)).take_while(until).map(copy).collect()
}

/// The members between two places, counted from the end if negative.
fn places(zset: &ZSet, start: i64, stop: i64, reverse: bool) -> Vec<(Bytes, f64)> {
    let length = zset.len() as i64;
    let from_end = |index: i64| if index < 0 { index.saturating_add(length) } else { index };
    let (start, stop) = (from_end(start).max(0), from_end(stop).min(length - 1));
    if start > stop {
        return Vec::new();
    }
    let (skip, count) = (start as usize, (stop - start + 1) as usize);
    let copy = |(member, score): (&Bytes, f64)| (member.clone(), score);
    if reverse {
        return zset.iter().rev().skip(skip).take(count).map(copy).collect();
    }
    zset.iter().skip(skip).take(count).map(copy).collect()
}

pub(crate) fn members(items: Vec<(Bytes, f64)>, with_scores: bool, resp3: bool) -> Reply {
    let mut reply = Vec::with_capacity(items.len() * 2);
    for (member, score) in items {
        match (with_scores, resp3) {
            (false, _) => reply.push(Reply::Bulk(member)),
            (true, true) => reply.push(Reply::Array(vec![Reply::Bulk(member), Reply::Double(score)])),
            (true, false) => reply.extend([Reply::Bulk(member), Reply::Double(score)]),
        }
    }
    Reply::Array(reply)
}

#[derive(Clone, Copy, PartialEq)]
enum By {
    Place,
    Score,
    Member,
}

struct RangeOptions {
    by: By,
    reverse: bool,
    with_scores: bool,
    limit: Option<(i64, i64)>,
}

/// The members that the words `key from to ..` mean. `general` says whether options may change the kind of range.
fn range(
    access: &mut Access<'_>,
    args: &[Bytes],
    options: &mut RangeOptions,
    general: bool,
    scores: bool,
) -> Result<Vec<(Bytes, f64)>, Failure> {
    let mut rest = args[3..].iter();
    while let Some(option) = rest.next() {
        match () {
            () if scores && is(option, "WITHSCORES") => options.with_scores = true,
            () if is(option, "LIMIT") && rest.len() >= 2 => {
                let (skip, count) = (rest.next().ok_or(SYNTAX)?, rest.next().ok_or(SYNTAX)?);
                options.limit = Some((int(skip)?, int(count)?));
            }
            () if general && options.by == By::Place && is(option, "BYSCORE") => options.by = By::Score,
            () if general && options.by == By::Place && is(option, "BYLEX") => options.by = By::Member,
            () if general && !options.reverse && is(option, "REV") => options.reverse = true,
            () => return Err(SYNTAX),
        }
    }
    // To Redis a count of -1 is no limit.
    if options.limit.is_some_and(|(_, count)| count != -1) && options.by == By::Place {
        return Err("ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX".into());
    }
    if options.with_scores && options.by == By::Member {
        return Err("ERR syntax error, WITHSCORES not supported in combination with BYLEX".into());
    }
    if options.by == By::Place {
        let (start, stop) = (int(&args[1])?, int(&args[2])?);
        return Ok(access.zset(&args[0])?.map_or(Vec::new(), |zset| places(zset, start, stop, options.reverse)));
    }
    let bound = if options.by == By::Score { Bound::score } else { Bound::member };
    let (first, second) = (bound(&args[1])?, bound(&args[2])?);
    let (low, high) = if options.reverse { (second, first) } else { (first, second) };
    let mut items = access.zset(&args[0])?.map_or(Vec::new(), |zset| between(zset, &low, &high, options.reverse));
    if let Some((skip, count)) = options.limit {
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        items = items.into_iter().skip(skip).take(count).collect();
    }
    Ok(items)
}

fn show_range(access: &mut Access<'_>, args: &[Bytes], by: By, reverse: bool, general: bool) -> DataResult {
    let mut options = plain(by, reverse);
    let items = range(access, &args[1..], &mut options, general, true)?;
    Ok(members(items, options.with_scores, access.resp3))
}

pub(crate) fn zrangestore(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    access.counts = true;
    let items = range(access, &args[2..], &mut plain(By::Place, false), true, false)?;
    Ok(put(access, "zrangestore", &args[1], items.into_iter().collect()))
}

fn plain(by: By, reverse: bool) -> RangeOptions {
    RangeOptions { by, reverse, with_scores: false, limit: None }
}

pub(crate) fn zrange(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    show_range(access, args, By::Place, false, true)
}

pub(crate) fn zrevrange(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    show_range(access, args, By::Place, true, false)
}

pub(crate) fn zrangebyscore(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    show_range(access, args, By::Score, false, false)
}

pub(crate) fn zrevrangebyscore(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    show_range(access, args, By::Score, true, false)
}

pub(crate) fn zrangebylex(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    show_range(access, args, By::Member, false, false)
}

pub(crate) fn zrevrangebylex(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    show_range(access, args, By::Member, true, false)
}

pub(crate) fn zlexcount(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (low, high) = (Bound::member(&args[2])?, Bound::member(&args[3])?);
    Ok(Reply::Int(access.zset(&args[1])?.map_or(0, |zset| between(zset, &low, &high, false).len() as i64)))
}

pub(crate) fn zcount(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (low, high) = (Bound::score(&args[2])?, Bound::score(&args[3])?);
    Ok(Reply::Int(access.zset(&args[1])?.map_or(0, |zset| between(zset, &low, &high, false).len() as i64)))
}

fn rank(access: &mut Access<'_>, args: &[Bytes], reverse: bool) -> DataResult {
    let Some(zset) = access.zset(&args[1])? else { return Ok(Reply::Null) };
    let place = zset.iter().position(|(member, _)| *member == args[2]);
    let length = zset.len();
    Ok(place.map_or(Reply::Null, |at| Reply::Int((if reverse { length - 1 - at } else { at }) as i64)))
}

pub(crate) fn zrank(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    rank(access, args, false)
}

pub(crate) fn zrevrank(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    rank(access, args, true)
}

fn remove(access: &mut Access<'_>, event: &'static str, key: &Bytes, items: Vec<(Bytes, f64)>) -> DataResult {
    let count = items.len();
    if let Some(zset) = access.zset(key)? {
        for (member, _) in items {
            zset.remove(&member);
        }
    }
    if count > 0 {
        access.changed(event, key, count as u64);
    }
    Ok(Reply::Int(count as i64))
}

pub(crate) fn zremrangebyscore(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (low, high) = (Bound::score(&args[2])?, Bound::score(&args[3])?);
    let items = access.zset(&args[1])?.map_or(Vec::new(), |zset| between(zset, &low, &high, false));
    remove(access, "zremrangebyscore", &args[1], items)
}

pub(crate) fn zremrangebylex(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (low, high) = (Bound::member(&args[2])?, Bound::member(&args[3])?);
    let items = access.zset(&args[1])?.map_or(Vec::new(), |zset| between(zset, &low, &high, false));
    remove(access, "zremrangebylex", &args[1], items)
}

pub(crate) fn zremrangebyrank(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let (start, stop) = (int(&args[2])?, int(&args[3])?);
    let items = access.zset(&args[1])?.map_or(Vec::new(), |zset| places(zset, start, stop, false));
    remove(access, "zremrangebyrank", &args[1], items)
}

fn pop(access: &mut Access<'_>, args: &[Bytes], highest: bool, name: &'static str) -> DataResult {
    let count = match args {
        [_, _] => 1,
        [_, _, count] => positive(count)?,
        _ => return Err(SYNTAX),
    };
    let resp3 = access.resp3;
    let mut items = Vec::new();
    if let Some(zset) = access.zset(&args[1])? {
        while items.len() < count
            && let Some(item) = zset.pop(highest)
        {
            items.push(item);
        }
    }
    if !items.is_empty() {
        access.changed(name, &args[1], items.len() as u64);
    }
    if args.len() == 2 && resp3 {
        let flat = items.into_iter().flat_map(|(member, score)| [Reply::Bulk(member), Reply::Double(score)]);
        return Ok(Reply::Array(flat.collect()));
    }
    Ok(members(items, true, resp3))
}

pub(crate) fn zpopmin(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    pop(access, args, false, "zpopmin")
}

pub(crate) fn zpopmax(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    pop(access, args, true, "zpopmax")
}

/// The event of such a pop.
pub(crate) fn popped(highest: bool) -> &'static str {
    if highest { "zpopmax" } else { "zpopmin" }
}

/// Takes the lowest, or the highest, of the first of these that has any.
pub(crate) fn take(access: &mut Access<'_>, keys: &[Bytes], highest: bool) -> Result<Option<Reply>, Failure> {
    for key in keys {
        let Some((member, score)) = access.zset(key)?.and_then(|zset| zset.pop(highest)) else { continue };
        access.changed(popped(highest), key, 1);
        let name = if highest { "ZPOPMAX" } else { "ZPOPMIN" };
        access.propagate_instead(Command::of(&[name]).arg(key.clone()));
        return Ok(Some(Reply::Array(vec![Reply::Bulk(key.clone()), Reply::Bulk(member), Reply::Double(score)])));
    }
    Ok(None)
}

fn blocking_pop(node: &mut Node, call: &mut Call<'_>, highest: bool) -> Outcome {
    let args = call.command.0.clone();
    let (timeout, keys) = args[1..].split_last().ok_or(SYNTAX)?;
    let micros = seconds(timeout)?;
    blocking::pop_or_wait(node, call, Pop::Score { keys: keys.to_vec(), highest }, micros)
}

pub(crate) fn bzpopmin(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    blocking_pop(node, call, false)
}

pub(crate) fn bzpopmax(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    blocking_pop(node, call, true)
}

/// A score as `ZSCAN` shows it: what is packed is kept as an integer if it is one that is not too large.
fn scanned(score: f64, packed: bool) -> Bytes {
    const INTEGERS: f64 = (1_u64 << 62) as f64;
    if packed && score.fract() == 0.0 && score.abs() < INTEGERS {
        return number(score as i64);
    }
    number(double_text(score))
}

pub(crate) fn zscan(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let packed = access.is_packed(&args[1]);
    scan_items(args, packed, || {
        let value = access.zset(&args[1])?.map(|zset| {
            let packed = zset.is_packed();
            zset.iter().map(|(member, score)| vec![member.clone(), scanned(score, packed)]).collect()
        });
        Ok(value)
    })
}
