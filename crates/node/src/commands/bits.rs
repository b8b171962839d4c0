//! Strings as arrays of bits, the highest bit of a byte first.

use std::ops::Range;

use bytes::Bytes;
use model::Reply;

use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, int, is, parse_int};
use crate::keyspace::Form;

const NOT_AN_OFFSET: Failure = std::borrow::Cow::Borrowed("ERR bit offset is not an integer or out of range");

/// A place in a string, in bits.
pub(crate) fn offset(access: &Access<'_>, number: Option<i64>) -> Result<usize, Failure> {
    let offset = number.and_then(|bits| usize::try_from(bits).ok()).filter(|bits| bits >> 3 < access.string_max());
    offset.ok_or(NOT_AN_OFFSET)
}

/// The string under `key`, long enough for the bit at `last`, and whether it had to be made longer for that.
pub(crate) fn widened(access: &mut Access<'_>, key: &Bytes, last: usize) -> Result<(Vec<u8>, bool), Failure> {
    let mut value = access.string(key)?.map_or_else(Vec::new, |value| value.to_vec());
    let grows = value.len() <= last >> 3;
    if grows {
        value.resize((last >> 3) + 1, 0);
    }
    Ok((value, grows))
}

pub(crate) fn bit_at(value: &[u8], at: usize) -> bool {
    value.get(at >> 3).is_some_and(|byte| byte & (0x80 >> (at & 7)) != 0)
}

pub(crate) fn put_bit(value: &mut [u8], at: usize, on: bool) {
    let mask = 0x80 >> (at & 7);
    if on {
        value[at >> 3] |= mask;
    } else {
        value[at >> 3] &= !mask;
    }
}

pub(crate) fn setbit(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let at = offset(access, parse_int(&args[2]))?;
    let on = match parse_int(&args[3]) {
        Some(bit @ (0 | 1)) => bit == 1,
        _ => return Err("ERR bit is not an integer or out of range".into()),
    };
    let (mut value, grows) = widened(access, &args[1], at)?;
    let old = bit_at(&value, at);
    if grows || old != on {
        put_bit(&mut value, at, on);
        let expires_at = access.raw().expires_at(&args[1]);
        access.store_text("setbit", &args[1], (value.into(), Form::Loose), expires_at);
    }
    access.raw().set_form(&args[1], Form::Loose);
    Ok(Reply::Int(i64::from(old)))
}

pub(crate) fn getbit(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let at = offset(access, parse_int(&args[2]))?;
    Ok(Reply::Int(access.string(&args[1])?.map_or(0, |value| i64::from(bit_at(value, at)))))
}

/// True for a range in bits.
fn in_bits(unit: Option<&Bytes>) -> Result<bool, Failure> {
    match unit {
        None => Ok(false),
        Some(unit) if is(unit, "BYTE") => Ok(false),
        Some(unit) if is(unit, "BIT") => Ok(true),
        Some(_) => Err(SYNTAX),
    }
}

/// The bits from `start` to `end`, both in units of `unit` bits and counted from the end if negative.
fn span(start: i64, end: i64, length: usize, unit: usize) -> Range<usize> {
    let total = (length * 8 / unit) as i64;
    let from_start = |at: i64| if at < 0 { at.saturating_add(total).max(0) } else { at };
    let (start, end) = (from_start(start), from_start(end).min(total - 1));
    if start > end { 0..0 } else { start as usize * unit..(end + 1) as usize * unit }
}

pub(crate) fn bitcount(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let Some(value) = access.string(&args[1])? else { return Ok(Reply::Int(0)) };
    let bits = match &args[2..] {
        [] => 0..value.len() * 8,
        [start, end, unit @ ..] if unit.len() < 2 => {
            let (start, end) = (int(start)?, int(end)?);
            if start < 0 && end < 0 && start > end {
                return Ok(Reply::Int(0));
            }
            let unit = if in_bits(unit.first())? { 1 } else { 8 };
            span(start, end, value.len(), unit)
        }
        _ => return Err(SYNTAX),
    };
    Ok(Reply::Int(ones(value, bits) as i64))
}

/// How many bits of a range are on.
fn ones(value: &[u8], bits: Range<usize>) -> usize {
    let count = |bits: Range<usize>| bits.filter(|at| bit_at(value, *at)).count();
    let (first, last) = (bits.start.div_ceil(8), bits.end / 8);
    if first >= last {
        return count(bits);
    }
    let whole: usize = value[first..last].iter().map(|byte| byte.count_ones() as usize).sum();
    count(bits.start..first * 8) + whole + count(last * 8..bits.end)
}

/// The first bit of a range that is on, or off.
fn first(value: &[u8], bits: Range<usize>, on: bool) -> Option<usize> {
    let without = if on { 0 } else { 0xff };
    let mut at = bits.start;
    while at < bits.end {
        if at.is_multiple_of(8) && value[at / 8] == without {
            at += 8;
        } else if bit_at(value, at) == on {
            return Some(at);
        } else {
            at += 1;
        }
    }
    None
}

pub(crate) fn bitpos(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let bit = match int(&args[2])? {
        bit @ (0 | 1) => bit == 1,
        _ => return Err("ERR The bit argument must be 1 or 0.".into()),
    };
    let Some(value) = access.string(&args[1])? else { return Ok(Reply::Int(if bit { -1 } else { 0 })) };
    let range = &args[3..];
    if range.len() > 3 {
        return Err(SYNTAX);
    }
    let start = range.first().map_or(Ok(0), |start| int(start))?;
    let unit = if in_bits(range.get(2))? { 1 } else { 8 };
    let end = range.get(1).map_or(Ok(-1), |end| int(end))?;
    let bits = span(start, end, value.len(), unit);
    let found = first(value, bits.clone(), bit);
    // Behind a string without an end there are zeros, as many as one likes.
    let beyond = (!bit && range.len() < 2 && !bits.is_empty()).then_some(bits.end);
    Ok(Reply::Int(found.or(beyond).map_or(-1, |at| at as i64)))
}

pub(crate) fn bitop(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let merge: fn(u8, u8) -> u8 = match () {
        () if is(&args[1], "AND") => |a, b| a & b,
        () if is(&args[1], "OR") => |a, b| a | b,
        () if is(&args[1], "XOR") => |a, b| a ^ b,
        () if is(&args[1], "NOT") => |a, _| !a,
        () => return Err(SYNTAX),
    };
    if is(&args[1], "NOT") && args.len() != 4 {
        return Err("ERR BITOP NOT must be called with a single source key.".into());
    }
    access.counts = true;
    let mut sources = Vec::with_capacity(args.len() - 3);
    for key in &args[3..] {
        sources.push(access.string(key)?.cloned().unwrap_or_default());
    }
    let length = sources.iter().map(Bytes::len).max().unwrap_or(0);
    let byte = |source: &Bytes, at: usize| source.get(at).copied().unwrap_or(0);
    let first = |at: usize| if is(&args[1], "NOT") { !byte(&sources[0], at) } else { byte(&sources[0], at) };
    let merged = |at: usize| sources[1..].iter().fold(first(at), |so_far, source| merge(so_far, byte(source, at)));
    let result: Vec<u8> = (0..length).map(merged).collect();
    if length == 0 {
        access.delete(&args[2]);
    } else {
        access.store_text("set", &args[2], (result.into(), Form::Loose), None);
    }
    Ok(Reply::Int(length as i64))
}
