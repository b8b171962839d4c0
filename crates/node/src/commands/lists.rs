//! Lists, and the pops that wait for them.

use std::collections::VecDeque;

use bytes::Bytes;
use model::{Command, Reply};

use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, bulks, int, is, parse_int, positive, wrong_arity};
use crate::blocking::pop_or_wait;
use crate::commands::multi_pops::Several;
use crate::commands::streams::Reading;
use crate::commands::zsets;
use crate::dispatch::{Call, Outcome};
use crate::keyspace::own;
use crate::long_double::{LongDouble, Read};
use crate::node::Node;

/// An end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Left,
    Right,
}

impl End {
    /// The event of an item that came in at this end.
    fn pushed(self) -> &'static str {
        match self {
            Self::Left => "lpush",
            Self::Right => "rpush",
        }
    }

    /// The event of an item that was taken from this end.
    pub(crate) fn popped(self) -> &'static str {
        match self {
            Self::Left => "lpop",
            Self::Right => "rpop",
        }
    }

    pub(crate) fn parse(arg: &[u8]) -> Result<Self, Failure> {
        match () {
            () if is(arg, "LEFT") => Ok(Self::Left),
            () if is(arg, "RIGHT") => Ok(Self::Right),
            () => Err(SYNTAX),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Left => "LEFT",
            Self::Right => "RIGHT",
        }
    }

    fn push(self, list: &mut VecDeque<Bytes>, item: Bytes) {
        match self {
            Self::Left => list.push_front(item),
            Self::Right => list.push_back(item),
        }
    }

    pub(crate) fn pop(self, list: &mut VecDeque<Bytes>) -> Option<Bytes> {
        match self {
            Self::Left => list.pop_front(),
            Self::Right => list.pop_back(),
        }
    }
}

fn push(access: &mut Access<'_>, args: &[Bytes], end: End, only_present: bool) -> DataResult {
    let key = &args[1];
    if only_present && access.list(key)?.is_none() {
        return Ok(Reply::Int(0));
    }
    let list = access.list_or_new(key)?;
    for item in &args[2..] {
        end.push(list, own(item));
    }
    let length = list.len() as i64;
    access.changed(end.pushed(), key, args.len() as u64 - 2);
    access.effects.ready.push((access.db, key.clone()));
    Ok(Reply::Int(length))
}

pub(crate) fn lpush(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    push(access, args, End::Left, false)
}

pub(crate) fn rpush(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    push(access, args, End::Right, false)
}

pub(crate) fn lpushx(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    push(access, args, End::Left, true)
}

pub(crate) fn rpushx(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    push(access, args, End::Right, true)
}

/// Takes one item off a list.
pub(crate) fn take(access: &mut Access<'_>, key: &Bytes, end: End) -> Result<Option<Bytes>, Failure> {
    let item = access.list(key)?.and_then(|list| end.pop(list));
    if item.is_some() {
        access.changed(end.popped(), key, 1);
    }
    Ok(item)
}

fn pop(access: &mut Access<'_>, args: &[Bytes], end: End, name: &str) -> DataResult {
    if args.len() > 3 {
        return Err(wrong_arity(name));
    }
    let Some(count) = args.get(2) else {
        return Ok(take(access, &args[1], end)?.map_or(Reply::Null, Reply::Bulk));
    };
    let count = positive(count)?;
    let Some(list) = access.list(&args[1])? else { return Ok(Reply::NullArray) };
    let items: Vec<Reply> = (0..count.min(list.len())).filter_map(|_| end.pop(list).map(Reply::Bulk)).collect();
    if !items.is_empty() {
        access.changed(end.popped(), &args[1], items.len() as u64);
    }
    Ok(Reply::Array(items))
}

pub(crate) fn lpop(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    pop(access, args, End::Left, "lpop")
}

pub(crate) fn rpop(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    pop(access, args, End::Right, "rpop")
}

pub(crate) fn llen(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Reply::Int(access.list(&args[1])?.map_or(0, |list| list.len() as i64)))
}

/// The half-open range of indices that `start` and `stop` mean, both counted from the end if negative.
fn range(args: &[Bytes], length: usize) -> Result<std::ops::Range<usize>, Failure> {
    let length = length as i64;
    let from_end = |index: i64| if index < 0 { index.saturating_add(length) } else { index };
    let start = from_end(int(&args[0])?).max(0);
    let stop = from_end(int(&args[1])?).min(length - 1);
    Ok(if start > stop { 0..0 } else { start as usize..stop as usize + 1 })
}

pub(crate) fn lrange(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    range(&args[2..], 0)?;
    let Some(list) = access.list(&args[1])? else { return Ok(Reply::Array(Vec::new())) };
    let range = range(&args[2..], list.len())?;
    Ok(bulks(list.range(range)))
}

pub(crate) fn ltrim(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    range(&args[2..], 0)?;
    let Some(list) = access.list(&args[1])? else { return Ok(Reply::OK) };
    let range = range(&args[2..], list.len())?;
    let removed = list.len() - range.len();
    *list = list.range(range).cloned().collect();
    access.changed("ltrim", &args[1], removed as u64);
    Ok(Reply::OK)
}

fn index(arg: &[u8], length: usize) -> Result<Option<usize>, Failure> {
    let at = int(arg)?;
    let at = if at < 0 { at.saturating_add(length as i64) } else { at };
    Ok(usize::try_from(at).ok().filter(|at| *at < length))
}

pub(crate) fn lindex(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let Some(list) = access.list(&args[1])? else { return Ok(Reply::Null) };
    Ok(index(&args[2], list.len())?.map_or(Reply::Null, |at| Reply::Bulk(list[at].clone())))
}

pub(crate) fn lset(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let Some(list) = access.list(&args[1])? else { return Err("ERR no such key".into()) };
    let at = index(&args[2], list.len())?.ok_or("ERR index out of range")?;
    list[at] = own(&args[3]);
    access.changed("lset", &args[1], 1);
    Ok(Reply::OK)
}

pub(crate) fn lrem(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let count = int(&args[2])?;
    let Some(list) = access.list(&args[1])? else { return Ok(Reply::Int(0)) };
    let most = if count == 0 { usize::MAX } else { usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX) };
    let mut removed = 0;
    let mut keep = |item: &Bytes| {
        let goes = *item == args[3] && removed < most;
        removed += usize::from(goes);
        !goes
    };
    if count < 0 {
        let mut kept: VecDeque<Bytes> = VecDeque::new();
        while let Some(item) = list.pop_back() {
            if keep(&item) {
                kept.push_front(item);
            }
        }
        *list = kept;
    } else {
        list.retain(|item| keep(item));
    }
    if removed > 0 {
        access.changed("lrem", &args[1], removed as u64);
    }
    Ok(Reply::Int(removed as i64))
}

pub(crate) fn linsert(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let after = match () {
        () if is(&args[2], "BEFORE") => 0,
        () if is(&args[2], "AFTER") => 1,
        () => return Err(SYNTAX),
    };
    let Some(list) = access.list(&args[1])? else { return Ok(Reply::Int(0)) };
    let Some(at) = list.iter().position(|item| *item == args[3]) else { return Ok(Reply::Int(-1)) };
    list.insert(at + after, own(&args[4]));
    let length = list.len() as i64;
    access.changed("linsert", &args[1], 1);
    Ok(Reply::Int(length))
}

const NO_RANK: Failure = std::borrow::Cow::Borrowed(
    "ERR RANK can't be zero: use 1 to start from the first match, 2 from the second ... or use negative to start from the \
     end of the list",
);

pub(crate) fn lpos(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let natural = |text: &Bytes| parse_int(text).and_then(|number| usize::try_from(number).ok());
    let (mut rank, mut count, mut most) = (1, None, usize::MAX);
    for option in args[3..].chunks(2) {
        let [name, value] = option else { return Err(SYNTAX) };
        match () {
            () if is(name, "RANK") => {
                rank = int(value)?;
                if rank == 0 {
                    return Err(NO_RANK);
                }
            }
            () if is(name, "COUNT") => count = Some(natural(value).ok_or("ERR COUNT can't be negative")?),
            () if is(name, "MAXLEN") => {
                let length = natural(value).ok_or("ERR MAXLEN can't be negative")?;
                most = if length == 0 { usize::MAX } else { length };
            }
            () => return Err(SYNTAX),
        }
    }
    let Some(list) = access.list(&args[1])? else {
        return Ok(if count.is_some() { Reply::Array(Vec::new()) } else { Reply::Null });
    };
    let wanted = count.map_or(1, |count| if count == 0 { usize::MAX } else { count });
    // The lowest has no positive one, and Redis skips nothing then.
    let skip = rank.checked_abs().map_or(0, |rank| usize::try_from(rank - 1).unwrap_or(usize::MAX));
    let hit = |(_, item): &(usize, &Bytes)| **item == args[2];
    let place = |(at, _): (usize, &Bytes)| Reply::Int(at as i64);
    let found: Vec<Reply> = if rank > 0 {
        list.iter().enumerate().take(most).filter(hit).skip(skip).take(wanted).map(place).collect()
    } else {
        list.iter().enumerate().rev().take(most).filter(hit).skip(skip).take(wanted).map(place).collect()
    };
    Ok(match count {
        Some(_) => Reply::Array(found),
        None => found.into_iter().next().unwrap_or(Reply::Null),
    })
}

/// Moves one item; `None` if there is none.
pub(crate) fn shift(
    access: &mut Access<'_>,
    keys: (&Bytes, &Bytes),
    ends: (End, End),
) -> Result<Option<Bytes>, Failure> {
    let ((from, to), (out, into)) = (keys, ends);
    if access.list(from)?.is_none() {
        return Ok(None);
    }
    access.list(to)?;
    let Some(item) = access.list(from)?.and_then(|list| out.pop(list)) else { return Ok(None) };
    into.push(access.list_or_new(to)?, item.clone());
    access.changed(into.pushed(), to, 1);
    access.changed(out.popped(), from, 1);
    access.effects.ready.push((access.db, to.clone()));
    Ok(Some(item))
}

pub(crate) fn lmove(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let ends = (End::parse(&args[3])?, End::parse(&args[4])?);
    Ok(shift(access, (&args[1], &args[2]), ends)?.map_or(Reply::Null, Reply::Bulk))
}

pub(crate) fn rpoplpush(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(shift(access, (&args[1], &args[2]), (End::Right, End::Left))?.map_or(Reply::Null, Reply::Bulk))
}

/// What a blocking command wants to do once it can; also how it is tried in the first place.
#[derive(Clone, Debug)]
pub(crate) enum Pop {
    /// `BLPOP`, `BRPOP`: from the first of these keys that has an item.
    First { keys: Vec<Bytes>, end: End },
    /// `BLMOVE`; without ends it is `BRPOPLPUSH`
    Move { from: Bytes, to: Bytes, ends: Option<(End, End)> },
    /// `BZPOPMIN`, `BZPOPMAX`
    Score { keys: Vec<Bytes>, highest: bool },
    /// `BLMPOP`, `BZMPOP`
    Several(Several),
    /// `XREAD`, `XREADGROUP`
    Read(Reading),
}

impl Pop {
    /// True if what one gets is gone for the others.
    pub(crate) fn consumes(&self) -> bool {
        !matches!(self, Self::Read(reading) if !reading.consumes())
    }

    /// The keys it waits for.
    pub(crate) fn keys(&self) -> &[Bytes] {
        match self {
            Self::First { keys, .. } | Self::Score { keys, .. } => keys,
            Self::Several(several) => &several.keys,
            Self::Read(reading) => reading.keys(),
            Self::Move { from, .. } => std::slice::from_ref(from),
        }
    }

    /// What it answers when it ends without an item, or finds none in a transaction.
    pub(crate) fn nothing(&self, in_exec: bool) -> Reply {
        match self {
            Self::Move { .. } if in_exec => Reply::Null,
            _ => Reply::NullArray,
        }
    }

    /// The reply if there is an item. What replicas hear is the command that does not block.
    pub(crate) fn attempt(&self, access: &mut Access<'_>) -> Result<Option<Reply>, Failure> {
        match self {
            Self::First { keys, end } => {
                for key in keys {
                    if let Some(item) = take(access, key, *end)? {
                        let name = if *end == End::Left { "LPOP" } else { "RPOP" };
                        access.propagate_instead(Command::of(&[name]).arg(key.clone()));
                        return Ok(Some(Reply::Array(vec![Reply::Bulk(key.clone()), Reply::Bulk(item)])));
                    }
                }
                Ok(None)
            }
            Self::Move { from, to, ends } => {
                let between = ends.unwrap_or((End::Right, End::Left));
                let Some(item) = shift(access, (from, to), between)? else { return Ok(None) };
                let name = if ends.is_some() { "LMOVE" } else { "RPOPLPUSH" };
                let command = Command::of(&[name]).arg(from.clone()).arg(to.clone());
                access.propagate_instead(match ends {
                    Some((out, into)) => command.arg(out.word()).arg(into.word()),
                    None => command,
                });
                Ok(Some(Reply::Bulk(item)))
            }
            Self::Score { keys, highest } => zsets::take(access, keys, *highest),
            Self::Several(several) => several.attempt(access),
            Self::Read(reading) => reading.attempt(access),
        }
    }
}

/// The timeout of a blocking command, in microseconds.
pub(crate) fn seconds(timeout: &Bytes) -> Result<u64, Failure> {
    let seconds = LongDouble::read(timeout).ok_or("ERR timeout is not a float or out of range")?;
    // Redis counts milliseconds, and what they do not hold becomes negative.
    let millis = match seconds {
        Read::Finite(seconds) => seconds.times_up(1_000),
        Read::Infinite => None,
    };
    let millis = millis.and_then(|millis| u64::try_from(millis).ok()).ok_or("ERR timeout is negative")?;
    Ok(millis.saturating_mul(1_000))
}

fn blocking(node: &mut Node, call: &mut Call<'_>, pop: Pop, timeout: &Bytes) -> Outcome {
    let micros = seconds(timeout)?;
    pop_or_wait(node, call, pop, micros)
}

fn blocking_first(node: &mut Node, call: &mut Call<'_>, end: End) -> Outcome {
    let args = call.command.0.clone();
    let (timeout, keys) = args[1..].split_last().ok_or(SYNTAX)?;
    blocking(node, call, Pop::First { keys: keys.to_vec(), end }, timeout)
}

pub(crate) fn blpop(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    blocking_first(node, call, End::Left)
}

pub(crate) fn brpop(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    blocking_first(node, call, End::Right)
}

pub(crate) fn blmove(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.command.0.clone();
    let ends = Some((End::parse(&args[3])?, End::parse(&args[4])?));
    blocking(node, call, Pop::Move { from: args[1].clone(), to: args[2].clone(), ends }, &args[5])
}

pub(crate) fn brpoplpush(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    let args = call.command.0.clone();
    blocking(node, call, Pop::Move { from: args[1].clone(), to: args[2].clone(), ends: None }, &args[3])
}
