//! The packed forms that Redis 7.0 saves small collections in: listpacks, ziplists, zipmaps and sets of integers; and
//! LZF, which it compresses strings with. Every length is checked: no input makes them panic or allocate wildly.

use bytes::{Buf as _, Bytes};

use super::{ReadError, Reader};
use crate::args::number;
use crate::keyspace::listpack::back_length;

/// The most that a compressed string may grow to: `proto-max-bulk-len`.
const STRING_MAX: usize = 512 * 1024 * 1024;

fn signed(bytes: &[u8]) -> i64 {
    let mut value = [if bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 }; 8];
    value[..bytes.len()].copy_from_slice(bytes);
    i64::from_le_bytes(value)
}

/// Unpacks LZF: runs of literals, and copies of what came before. A copy may overlap what it makes.
pub(super) fn lzf(packed: &[u8], length: usize) -> Result<Bytes, ReadError> {
    // One byte stands for 132 at the most (a copy of 264 takes three of them).
    if length > STRING_MAX || length > packed.len().saturating_mul(264) {
        return Err(ReadError::Truncated);
    }
    let mut out = Vec::with_capacity(length);
    let mut rest = packed;
    while let Some((&head, tail)) = rest.split_first() {
        if head < 32 {
            let run = usize::from(head) + 1;
            out.extend_from_slice(tail.get(..run).ok_or(ReadError::Truncated)?);
            rest = &tail[run..];
            continue;
        }
        let (mut run, mut tail) = (usize::from(head >> 5), tail);
        if run == 7 {
            let (&more, after) = tail.split_first().ok_or(ReadError::Truncated)?;
            run += usize::from(more);
            tail = after;
        }
        let (&low, after) = tail.split_first().ok_or(ReadError::Truncated)?;
        let back = (usize::from(head & 0x1f) << 8 | usize::from(low)) + 1;
        let from = out.len().checked_sub(back).ok_or(ReadError::Truncated)?;
        if out.len() + run + 2 > length {
            return Err(ReadError::Truncated);
        }
        for at in from..from + run + 2 {
            out.push(out[at]);
        }
        rest = after;
    }
    if out.len() == length { Ok(out.into()) } else { Err(ReadError::Truncated) }
}

/// The elements of a listpack; integers as text.
pub(super) fn listpack(bytes: Bytes) -> Result<Vec<Bytes>, ReadError> {
    let mut rest = Reader(bytes);
    rest.take(6)?;
    let mut elements = Vec::new();
    loop {
        let before = rest.0.len();
        let head = rest.byte()?;
        let element = match head {
            0xff => return Ok(elements),
            0x00..=0x7f => number(head),
            0x80..=0xbf => rest.take(usize::from(head & 0x3f))?,
            0xc0..=0xdf => {
                let value = (i64::from(head & 0x1f) << 8) | i64::from(rest.byte()?);
                number(if value >= 1 << 12 { value - (1 << 13) } else { value })
            }
            0xe0..=0xef => {
                let length = (usize::from(head & 0x0f) << 8) | usize::from(rest.byte()?);
                rest.take(length)?
            }
            0xf0 => {
                let length = rest.take(4)?.get_u32_le();
                rest.take(length as usize)?
            }
            0xf1 => number(signed(&rest.take(2)?)),
            0xf2 => number(signed(&rest.take(3)?)),
            0xf3 => number(signed(&rest.take(4)?)),
            0xf4 => number(signed(&rest.take(8)?)),
            _ => return Err(ReadError::Unknown),
        };
        rest.take(back_length(before - rest.0.len()))?;
        elements.push(element);
    }
}

/// The elements of a ziplist, the form before listpacks.
pub(super) fn ziplist(bytes: Bytes) -> Result<Vec<Bytes>, ReadError> {
    let mut rest = Reader(bytes);
    rest.take(10)?;
    let mut elements = Vec::new();
    loop {
        match rest.byte()? {
            0xff => return Ok(elements),
            0xfe => {
                rest.take(4)?;
            }
            _ => {}
        }
        let head = rest.byte()?;
        elements.push(match head {
            0x00..=0x3f => rest.take(usize::from(head))?,
            0x40..=0x7f => {
                let length = usize::from(head & 0x3f) << 8 | usize::from(rest.byte()?);
                rest.take(length)?
            }
            0x80 => {
                let length = rest.take(4)?.get_u32();
                rest.take(length as usize)?
            }
            0xc0 => number(signed(&rest.take(2)?)),
            0xd0 => number(signed(&rest.take(4)?)),
            0xe0 => number(signed(&rest.take(8)?)),
            0xf0 => number(signed(&rest.take(3)?)),
            0xfe => number(signed(&rest.take(1)?)),
            0xf1..=0xfd => number((head & 0x0f) - 1),
            _ => return Err(ReadError::Unknown),
        });
    }
}

/// The fields and values of a zipmap, the form of small hashes before ziplists.
pub(super) fn zipmap(bytes: Bytes) -> Result<Vec<Bytes>, ReadError> {
    let mut rest = Reader(bytes);
    rest.byte()?;
    let mut elements = Vec::new();
    loop {
        let is_value = elements.len() % 2 == 1;
        let length = match rest.byte()? {
            0xff => return Ok(elements),
            0xfe => rest.take(4)?.get_u32_le() as usize,
            length => usize::from(length),
        };
        let free = if is_value { usize::from(rest.byte()?) } else { 0 };
        elements.push(rest.take(length)?);
        rest.take(free)?;
    }
}

/// The members of a set of integers, as text.
pub(super) fn intset(bytes: Bytes) -> Result<Vec<Bytes>, ReadError> {
    let mut rest = Reader(bytes);
    let width = rest.take(4)?.get_u32_le() as usize;
    let count = rest.take(4)?.get_u32_le();
    if !matches!(width, 2 | 4 | 8) {
        return Err(ReadError::Unknown);
    }
    let mut members = Vec::new();
    for _ in 0..count {
        members.push(number(signed(&rest.take(width)?)));
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyspace::listpack::Listpack;

    #[test]
    fn a_listpack_is_read_as_it_was_written() {
        let mut pack = Listpack::new();
        let texts: Vec<Bytes> = [0, 3, 63, 64, 200, 4_095, 4_096, 20_000].map(|n| Bytes::from(vec![b'x'; n])).to_vec();
        for text in &texts {
            pack.text(text);
        }
        let ints = [0, 1, 127, 128, -1, i64::MAX, i64::MIN];
        for int in ints {
            pack.int(int);
        }
        let expected: Vec<Bytes> = texts.into_iter().chain(ints.map(number)).collect();
        assert_eq!(listpack(pack.finish()).unwrap(), expected);
    }

    #[test]
    fn lzf_copies_overlap() {
        // "a", then 9 bytes from one byte before.
        assert_eq!(lzf(&[0, b'a', 0xe0, 0, 0], 10).unwrap(), Bytes::from_static(b"aaaaaaaaaa"));
        assert!(lzf(&[0, b'a', 0xe0, 0, 1], 10).is_err());
        assert!(lzf(&[0, b'a'], 1 << 40).is_err());
    }
}
