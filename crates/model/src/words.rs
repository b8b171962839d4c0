//! Lines of words, as in an inline request or a line of a Redis configuration file.

use bytes::Bytes;

/// A signed integer exactly as Redis writes it: no sign but `-`, no leading zeros, no spaces.
pub fn integer(word: &[u8]) -> Option<i64> {
    let digits = word.strip_prefix(b"-").unwrap_or(word);
    let plain = digits.first().is_some_and(u8::is_ascii_digit) && (digits.len() == 1 || digits[0] != b'0');
    if !plain || word == b"-0" {
        return None;
    }
    std::str::from_utf8(word).ok()?.parse().ok()
}

/// The words of a line: separated by white space; in double quotes with escapes (`\n`, `\x41`), in single quotes with
/// `\'` only. `None` if a quote is not closed, or is closed within a word.
pub fn split(line: &[u8]) -> Option<Vec<Bytes>> {
    let is_space = |byte: u8| byte.is_ascii_whitespace() || byte == 0x0b || byte == 0;
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        while let [first, tail @ ..] = rest
            && is_space(*first)
        {
            rest = tail;
        }
        if rest.is_empty() {
            return Some(words);
        }
        let mut word = Vec::new();
        loop {
            match rest {
                [] => break,
                [quote @ (b'"' | b'\''), tail @ ..] => {
                    rest = quoted(*quote, tail, &mut word)?;
                    if rest.first().is_some_and(|&byte| !is_space(byte)) {
                        return None;
                    }
                    break;
                }
                [byte, ..] if is_space(*byte) => break,
                [byte, tail @ ..] => {
                    word.push(*byte);
                    rest = tail;
                }
            }
        }
        words.push(word.into());
    }
}

/// Joins each word that begins with `(` with those that follow it up to one that ends with `)`, spaces between: a selector
/// of `ACL SETUSER`.
///
/// # Errors
/// The index of a word whose parenthesis is not closed.
pub fn join_parentheses<W: AsRef<[u8]>>(words: &[W]) -> Result<Vec<Bytes>, usize> {
    let mut joined = Vec::new();
    let mut open: Option<(usize, Vec<u8>)> = None;
    for (index, word) in words.iter().enumerate() {
        let word = word.as_ref();
        let (first, whole) = match open.take() {
            Some((first, before)) => (first, [&before, &b" "[..], word].concat()),
            None => (index, word.to_vec()),
        };
        if whole.starts_with(b"(") && !whole.ends_with(b")") {
            open = Some((first, whole));
        } else {
            joined.push(whole.into());
        }
    }
    open.map_or(Ok(joined), |(first, _)| Err(first))
}

/// Appends what stands before the closing `quote` to `word` and gives what stands after it; `None` if there is none.
fn quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    let hex = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    loop {
        match (quote, rest) {
            (_, []) => return None,
            (b'"', [b'\\', b'x', high, low, tail @ ..]) if hex(*high).is_some() && hex(*low).is_some() => {
                word.push(hex(*high)? << 4 | hex(*low)?);
                rest = tail;
            }
            (b'"', [b'\\', escaped, tail @ ..]) => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = tail;
            }
            (b'\'', [b'\\', b'\'', tail @ ..]) => {
                word.push(b'\'');
                rest = tail;
            }
            (_, [byte, tail @ ..]) if *byte == quote => return Some(tail),
            (_, [byte, tail @ ..]) => {
                word.push(*byte);
                rest = tail;
            }
        }
    }
}

/// A word in double quotes, so that [`split`] reads it back.
pub fn quote(word: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(word.len() + 2);
    out.push('"');
    for &byte in word {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            b' '..=b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "\\x{byte:02x}");
            }
        }
    }
    out.push('"');
    out
}

/// The word as it may stand in a line: in quotes only where it needs them.
pub fn word(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    if !word.is_empty() && word.bytes().all(plain) { word.to_owned() } else { quote(word.as_bytes()) }
}

/// Text with every word that holds a digit replaced by `_`, at most a hundred characters of it: what is left is alike for the same
/// cause.
pub fn plain(text: &str) -> String {
    let words =
        text.split_whitespace().map(|word| if word.contains(|c: char| c.is_ascii_digit()) { "_" } else { word });
    let mut plain = words.collect::<Vec<_>>().join(" ");
    let end = plain.char_indices().nth(100).map_or(plain.len(), |(index, _)| index);
    plain.truncate(end);
    plain.trim_matches([',', ' ']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_strictly() {
        for (text, value) in [("0", Some(0)), ("-7", Some(-7)), ("9223372036854775807", Some(i64::MAX))] {
            assert_eq!(integer(text.as_bytes()), value, "{text}");
        }
        for text in ["", "-", "-0", "+1", "01", " 1", "1 ", "1.0", "9223372036854775808", "x"] {
            assert_eq!(integer(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn selectors_are_joined() {
        let joined = |words: &[&'static str]| join_parentheses(words);
        assert_eq!(
            joined(&["on", "(~a", "+get)", "(+set)", "b)"]),
            Ok(["on", "(~a +get)", "(+set)", "b)"].map(Bytes::from).into())
        );
        assert_eq!(joined(&["on", "(~a", "(+get"]), Err(1));
        assert_eq!(joined(&["()"]), Ok(vec![Bytes::from("()")]));
    }

    #[test]
    fn what_is_quoted_reads_back() {
        for text in ["", "plain", "two words", "\"it's\"", "\\", "tab\tline\r\n", "\x07\x08\x00\u{e9}", "#"] {
            assert_eq!(split(quote(text.as_bytes()).as_bytes()), Some(vec![Bytes::from(text)]), "{text:?}");
            let line = format!("a {} b", word(text));
            assert_eq!(split(line.as_bytes()), Some(vec!["a".into(), Bytes::from(text), "b".into()]), "{text:?}");
        }
    }
}
