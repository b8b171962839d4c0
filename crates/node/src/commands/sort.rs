//! `SORT`: the elements of a list or set by themselves or by what other keys hold.

use std::cmp::Ordering;
use std::collections::VecDeque;

use bytes::Bytes;
use model::Reply;

use super::zsets::score;
use crate::access::{Access, DataResult, Failure, WRONGTYPE};
use crate::args::{SYNTAX, int, is, up_to_nul};
use crate::keyspace::Value;

#[derive(Default)]
struct Options<'a> {
    descending: bool,
    alpha: bool,
    limit: Option<(i64, i64)>,
    by: Option<&'a Bytes>,
    get: Vec<&'a Bytes>,
    store: Option<&'a Bytes>,
}

impl<'a> Options<'a> {
    fn parse(words: &'a [Bytes], may_store: bool, all_keys: bool) -> Result<Self, Failure> {
        let denied = |option: &str| format!("ERR {option} option of SORT denied due to insufficient ACL permissions.");
        let mut options = Self::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            match () {
                () if is(word, "ASC") => options.descending = false,
                () if is(word, "DESC") => options.descending = true,
                () if is(word, "ALPHA") => options.alpha = true,
                () if is(word, "LIMIT") => {
                    let (skip, count) = (rest.next().ok_or(SYNTAX)?, rest.next().ok_or(SYNTAX)?);
                    options.limit = Some((int(skip)?, int(count)?));
                }
                () if is(word, "BY") => {
                    let pattern = rest.next().ok_or(SYNTAX)?;
                    if !all_keys && is_pattern(pattern) {
                        return Err(denied("BY").into());
                    }
                    options.by = Some(pattern);
                }
                () if is(word, "GET") => {
                    let pattern = rest.next().ok_or(SYNTAX)?;
                    if !all_keys {
                        return Err(denied("GET").into());
                    }
                    options.get.push(pattern);
                }
                () if may_store && is(word, "STORE") => options.store = Some(rest.next().ok_or(SYNTAX)?),
                () => return Err(SYNTAX),
            }
        }
        Ok(options)
    }

    /// The part of so many elements that is wanted.
    fn part(&self, length: usize) -> std::ops::Range<usize> {
        let (skip, count) = self.limit.unwrap_or((0, -1));
        let skip = usize::try_from(skip).unwrap_or(0).min(length);
        let count = usize::try_from(count).unwrap_or(length);
        skip..skip.saturating_add(count).min(length)
    }
}

/// True if elements have a place in it; else there is nothing to sort by.
fn is_pattern(by: &Bytes) -> bool {
    by.contains(&b'*')
}

/// What a pattern means for an element: itself for `#`, else the string or the field of a hash, `weight_*->field`.
fn look_up(access: &mut Access<'_>, pattern: &Bytes, element: &Bytes) -> Option<Bytes> {
    if &pattern[..] == b"#" {
        return Some(element.clone());
    }
    let star = pattern.iter().position(|byte| *byte == b'*')?;
    let (before, after) = (&pattern[..star], &pattern[star + 1..]);
    let arrow = after.windows(2).position(|pair| pair == b"->").filter(|at| at + 2 < after.len());
    let (after, field) = match arrow {
        Some(at) => (&after[..at], Some(&after[at + 2..])),
        None => (after, None),
    };
    let key = [before, element, after].concat();
    match (access.get(&key)?, field) {
        (Value::Hash(hash), Some(field)) => hash.get(field).cloned(),
        (Value::Str(text), None) => Some(text.clone()),
        _ => None,
    }
}

/// The elements in their own order. Redis sorts a set where its own order, that of a hash table, would matter; here it is
/// sorted always.
fn elements(access: &mut Access<'_>, key: &Bytes) -> Result<Vec<Bytes>, Failure> {
    Ok(match access.get(key) {
        None => Vec::new(),
        Some(Value::List(list)) => list.iter().cloned().collect(),
        Some(Value::Set(set)) => set.iter().cloned().collect(),
        Some(Value::ZSet(zset)) => zset.iter().map(|(member, _)| member.clone()).collect(),
        Some(_) => return Err(WRONGTYPE),
    })
}

/// By numbers; elements of the same number by their bytes.
fn by_number(access: &mut Access<'_>, elements: Vec<Bytes>, by: Option<&Bytes>) -> Result<Vec<Bytes>, Failure> {
    let wrong = "ERR One or more scores can't be converted into double";
    let mut numbered = Vec::with_capacity(elements.len());
    for element in elements {
        let weight = match by {
            Some(pattern) => look_up(access, pattern, &element),
            None => Some(element.clone()),
        };
        let number = match weight.as_deref().map(up_to_nul) {
            None | Some(b"") => 0.0,
            // Those that C reads with less than their precision are refused here.
            Some(text) => score(text.trim_ascii_start()).filter(|number| !number.is_subnormal()).ok_or(wrong)?,
        };
        numbered.push((number, element));
    }
    numbered.sort_by(|(a, x), (b, y)| a.partial_cmp(b).unwrap_or(Ordering::Equal).then_with(|| x.cmp(y)));
    Ok(numbered.into_iter().map(|(_, element)| element).collect())
}

fn by_text(access: &mut Access<'_>, elements: Vec<Bytes>, by: Option<&Bytes>) -> Vec<Bytes> {
    let Some(pattern) = by else {
        let mut sorted = elements;
        sorted.sort_unstable();
        return sorted;
    };
    let mut keyed: Vec<(Option<Bytes>, Bytes)> =
        elements.into_iter().map(|element| (look_up(access, pattern, &element), element)).collect();
    keyed.sort_by(|(a, _), (b, _)| a.cmp(b));
    keyed.into_iter().map(|(_, element)| element).collect()
}

fn run(access: &mut Access<'_>, args: &[Bytes], may_store: bool) -> DataResult {
    let options = Options::parse(&args[2..], may_store, access.all_keys)?;
    access.counts = true;
    let mut found = elements(access, &args[1])?;
    if options.by.is_none_or(is_pattern) {
        found = if options.alpha { by_text(access, found, options.by) } else { by_number(access, found, options.by)? };
    }
    if options.descending {
        found.reverse();
    }
    let part = options.part(found.len());
    let mut values: Vec<Option<Bytes>> = Vec::new();
    for element in &found[part] {
        if options.get.is_empty() {
            values.push(Some(element.clone()));
        }
        for pattern in &options.get {
            values.push(look_up(access, pattern, element));
        }
    }
    let Some(key) = options.store else {
        return Ok(Reply::Array(values.into_iter().map(|value| value.map_or(Reply::Null, Reply::Bulk)).collect()));
    };
    let count = values.len();
    if count == 0 {
        access.delete(key);
    } else {
        let list: VecDeque<Bytes> = values.into_iter().map(Option::unwrap_or_default).collect();
        access.store("sortstore", key, Value::List(list), None);
        access.effects.dirty += count as u64 - 1;
        access.effects.ready.push((access.db, key.clone()));
    }
    Ok(Reply::Int(count as i64))
}

pub(crate) fn sort(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    run(access, args, true)
}

pub(crate) fn sort_ro(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    run(access, args, false)
}
