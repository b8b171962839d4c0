//! `BITFIELD`: numbers of any width within a string.

use bytes::Bytes;
use model::Reply;

use super::bits::{bit_at, offset, put_bit, widened};
use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, int, is, parse_int};
use crate::keyspace::{Form, Value};

/// A number's place: its sign, its width and where it begins, in bits.
#[derive(Clone, Copy)]
struct Field {
    signed: bool,
    bits: u32,
    at: usize,
}

#[derive(Clone, Copy)]
enum Deed {
    Get,
    Set(i64),
    Add(i64),
}

/// What is done with a number that does not fit.
#[derive(Clone, Copy)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

impl Field {
    fn parse(access: &Access<'_>, kind: &Bytes, place: &Bytes) -> Result<Self, Failure> {
        let wrong = "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.";
        let signed = match kind.first() {
            Some(b'i') => true,
            Some(b'u') => false,
            _ => return Err(wrong.into()),
        };
        let bits = parse_int(&kind[1..]).filter(|bits| (1..=if signed { 64 } else { 63 }).contains(bits));
        let bits = bits.ok_or(wrong)?;
        let at = match place.strip_prefix(b"#") {
            Some(number) => parse_int(number).map(|number| number.wrapping_mul(bits)),
            None => parse_int(place),
        };
        Ok(Self { signed, bits: bits as u32, at: offset(access, at)? })
    }

    fn last(self) -> usize {
        self.at + self.bits as usize - 1
    }

    fn bounds(self) -> (i128, i128) {
        if self.signed { (-(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1) } else { (0, (1 << self.bits) - 1) }
    }

    /// The number of which these are the last bits.
    fn wrapped(self, number: i128) -> i128 {
        let low = number & ((1 << self.bits) - 1);
        if self.signed && low > self.bounds().1 { low - (1 << self.bits) } else { low }
    }

    fn read(self, value: &[u8]) -> i128 {
        let bits = (self.at..=self.last()).fold(0, |bits, at| bits << 1 | i128::from(bit_at(value, at)));
        self.wrapped(bits)
    }

    fn write(self, value: &mut [u8], number: i128) {
        for (shift, at) in (0..self.bits).rev().zip(self.at..) {
            put_bit(value, at, number >> shift & 1 == 1);
        }
    }

    /// `number` as it fits; `None` if it shall not be made to.
    fn fit(self, number: i128, overflow: Overflow) -> Option<i128> {
        let (low, high) = self.bounds();
        match overflow {
            _ if (low..=high).contains(&number) => Some(number),
            Overflow::Wrap => Some(self.wrapped(number)),
            Overflow::Saturate => Some(number.clamp(low, high)),
            Overflow::Fail => None,
        }
    }

    /// A new value as the caller gave it, which is a bit pattern if the field has no sign.
    fn given(self, number: i64) -> i128 {
        if self.signed { i128::from(number) } else { i128::from(number.cast_unsigned()) }
    }
}

fn parse(access: &Access<'_>, args: &[Bytes]) -> Result<Vec<(Field, Deed, Overflow)>, Failure> {
    let (mut deeds, mut overflow, mut at) = (Vec::new(), Overflow::Wrap, 2);
    while let Some(word) = args.get(at) {
        let rest = &args[at + 1..];
        at += match rest {
            [how, ..] if is(word, "OVERFLOW") => {
                overflow = match () {
                    () if is(how, "WRAP") => Overflow::Wrap,
                    () if is(how, "SAT") => Overflow::Saturate,
                    () if is(how, "FAIL") => Overflow::Fail,
                    () => return Err("ERR Invalid OVERFLOW type specified".into()),
                };
                2
            }
            [kind, place, ..] if is(word, "GET") => {
                deeds.push((Field::parse(access, kind, place)?, Deed::Get, overflow));
                3
            }
            [kind, place, number, ..] if is(word, "SET") || is(word, "INCRBY") => {
                let field = Field::parse(access, kind, place)?;
                let number = int(number)?;
                deeds.push((field, if is(word, "SET") { Deed::Set(number) } else { Deed::Add(number) }, overflow));
                4
            }
            _ => return Err(SYNTAX),
        };
    }
    Ok(deeds)
}

fn run(access: &mut Access<'_>, args: &[Bytes], read_only: bool) -> DataResult {
    let deeds = parse(access, args)?;
    let key = &args[1];
    let writes = deeds.iter().filter(|(_, deed, _)| !matches!(deed, Deed::Get));
    let Some(last) = writes.map(|(field, ..)| field.last()).max() else {
        access.counts = true;
        let value = access.string(key)?.cloned().unwrap_or_default();
        let numbers = deeds.iter().map(|(field, ..)| Reply::Int(field.read(&value) as i64));
        return Ok(Reply::Array(numbers.collect()));
    };
    if read_only {
        return Err("ERR BITFIELD_RO only supports the GET subcommand".into());
    }
    let (mut value, grows) = widened(access, key, last)?;
    let (mut replies, mut changes) = (Vec::with_capacity(deeds.len()), 0);
    for (field, deed, overflow) in deeds {
        let old = field.read(&value);
        let (new, told) = match deed {
            Deed::Get => {
                replies.push(Reply::Int(old as i64));
                continue;
            }
            Deed::Set(number) => (field.fit(field.given(number), overflow), Some(old)),
            Deed::Add(number) => (field.fit(old + i128::from(number), overflow), None),
        };
        let Some(new) = new else {
            replies.push(Reply::Null);
            continue;
        };
        field.write(&mut value, new);
        changes += u64::from(grows || new != old);
        replies.push(Reply::Int(told.unwrap_or(new) as i64));
    }
    let expires_at = access.raw().expires_at(key);
    if changes > 0 {
        access.store_text("setbit", key, (value.into(), Form::Loose), expires_at);
        access.effects.dirty += changes - 1;
    } else if grows {
        // Redis makes room first, and tells nobody if nothing comes of it.
        access.put(key, Value::Str(value.into()), expires_at);
    }
    access.raw().set_form(key, Form::Loose);
    Ok(Reply::Array(replies))
}

pub(crate) fn bitfield(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    run(access, args, false)
}

pub(crate) fn bitfield_ro(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    run(access, args, true)
}
