//! Listpacks: the packed form in which Redis 7.0 keeps small collections and the pieces of streams.

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::args::parse_int;

/// Bytes of a listpack without elements.
pub(crate) const EMPTY: usize = HEADER + 1;
/// Its length, and the number of its elements.
const HEADER: usize = 6;

/// How many bytes tell an element's length at its end.
pub(crate) fn back_length(length: usize) -> usize {
    match length {
        0..=127 => 1,
        128..16_384 => 2,
        16_384..2_097_152 => 3,
        2_097_152..268_435_456 => 4,
        _ => 5,
    }
}

/// Bytes of a number as an element.
pub(crate) fn int_size(value: i64) -> usize {
    let bytes = match value {
        0..128 => 1,
        -4_096..4_096 => 2,
        -32_768..32_768 => 3,
        -8_388_608..8_388_608 => 4,
        -2_147_483_648..2_147_483_648 => 5,
        _ => 9,
    };
    bytes + 1
}

/// Bytes of a text as an element; one that is a number is kept as such.
pub(crate) fn text_size(text: &[u8]) -> usize {
    if let Some(number) = parse_int(text) {
        return int_size(number);
    }
    let head = match text.len() {
        0..64 => 1,
        64..4_096 => 2,
        _ => 5,
    };
    head + text.len() + back_length(head + text.len())
}

/// A listpack under construction.
pub(crate) struct Listpack {
    bytes: BytesMut,
    count: usize,
}

impl Listpack {
    pub(crate) fn new() -> Self {
        Self { bytes: BytesMut::from(&[0_u8; HEADER][..]), count: 0 }
    }

    fn end(&mut self, from: usize) {
        let mut length = self.bytes.len() - from;
        let mut digits = [0_u8; 5];
        let count = back_length(length);
        for digit in digits[..count].iter_mut().rev() {
            *digit = (length & 0x7f) as u8 | 0x80;
            length >>= 7;
        }
        digits[0] &= 0x7f;
        self.bytes.put_slice(&digits[..count]);
        self.count += 1;
    }

    pub(crate) fn int(&mut self, value: i64) {
        let from = self.bytes.len();
        match int_size(value) - 1 {
            1 => self.bytes.put_u8(value as u8),
            2 => self.bytes.put_u16(0xc000 | value as u16 & 0x1fff),
            width => {
                let head = if width == 9 { 0xf4 } else { 0xf1 + (width - 3) as u8 };
                self.bytes.put_u8(head);
                self.bytes.put_slice(&value.to_le_bytes()[..width - 1]);
            }
        }
        self.end(from);
    }

    /// A text, or the number that it is.
    pub(crate) fn text(&mut self, text: &[u8]) {
        if let Some(number) = parse_int(text) {
            return self.int(number);
        }
        let from = self.bytes.len();
        match text.len() {
            length @ 0..64 => self.bytes.put_u8(0x80 | length as u8),
            length @ 64..4_096 => self.bytes.put_u16(0xe000 | length as u16),
            length => {
                self.bytes.put_u8(0xf0);
                self.bytes.put_u32_le(length as u32);
            }
        }
        self.bytes.put_slice(text);
        self.end(from);
    }

    pub(crate) fn finish(mut self) -> Bytes {
        self.bytes.put_u8(0xff);
        let length = self.bytes.len() as u32;
        self.bytes[..4].copy_from_slice(&length.to_le_bytes());
        self.bytes[4..HEADER].copy_from_slice(&u16::try_from(self.count).unwrap_or(u16::MAX).to_le_bytes());
        self.bytes.freeze()
    }
}

#[test]
fn sizes_are_those_of_what_is_written() {
    let ints =
        [0, 127, 128, 4_095, 4_096, -1, -4_096, -4_097, 32_767, 32_768, 8_388_607, 8_388_608, i64::MAX, i64::MIN];
    let texts = ["", "a", "12", "-7", "012", "123456789012345678901"].map(|text| text.as_bytes().to_vec());
    let long = [63, 64, 126, 127, 4_095, 4_096, 20_000].map(|length| vec![b'x'; length]);
    for int in ints {
        let mut pack = Listpack::new();
        pack.int(int);
        assert_eq!(pack.finish().len(), EMPTY + int_size(int), "{int}");
    }
    for text in texts.iter().chain(&long) {
        let mut pack = Listpack::new();
        pack.text(text);
        assert_eq!(pack.finish().len(), EMPTY + text_size(text), "{} bytes", text.len());
    }
}
