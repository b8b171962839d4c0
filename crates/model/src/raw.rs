//! Bytes in text: an error may quote what a client sent, which need not be UTF-8, and Redis sends it back as it was.
//!
//! A byte that is no part of a character stands in text as one of 256 private characters, the last of Unicode.

use std::borrow::Cow;

/// Stands for byte 0; nothing that is sent by accident.
const FIRST: u32 = 0x10_fe00;

/// The bytes as text, none lost.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return Cow::Borrowed(text);
    }
    let mut text = String::with_capacity(bytes.len() * 2);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().filter_map(|byte| char::from_u32(FIRST + u32::from(*byte))));
    }
    Cow::Owned(text)
}

/// The bytes that [`text`] was made of.
pub fn bytes(text: &str) -> Cow<'_, [u8]> {
    let raw = |c: char| u32::from(c).checked_sub(FIRST).and_then(|byte| u8::try_from(byte).ok());
    // They all begin with 0xf4, as little else does.
    if !text.bytes().any(|byte| byte == 0xf4) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match raw(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost() {
        for bytes in
            [&b""[..], b"plain", "Größe \u{1f600} \u{10fdff}".as_bytes(), b"\xff", b"a\xe2\x82b\xfe\xf4", b"\x80\x00"]
        {
            assert_eq!(&*super::bytes(&text(bytes)), bytes);
        }
    }
}
