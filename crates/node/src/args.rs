//! Reading arguments: integers, floats, words and glob patterns, with the errors that Redis gives.

use std::borrow::Cow;

use bytes::Bytes;
use model::Reply;
pub(crate) use model::words::integer as parse_int;

use crate::access::Failure;

pub(crate) const NOT_AN_INTEGER: Failure = Cow::Borrowed("ERR value is not an integer or out of range");
pub(crate) const SYNTAX: Failure = Cow::Borrowed("ERR syntax error");

pub(crate) fn int(bytes: &[u8]) -> Result<i64, Failure> {
    parse_int(bytes).ok_or(NOT_AN_INTEGER)
}

/// An argument that is no negative number. What is no number at all has the same error, as in Redis.
pub(crate) fn positive(bytes: &[u8]) -> Result<usize, Failure> {
    let number = int(bytes).ok().and_then(|number| usize::try_from(number).ok());
    number.ok_or_else(|| "ERR value is out of range, must be positive".into())
}

/// A number above 0; `wrong` for anything else.
pub(crate) fn whole(bytes: &[u8], wrong: &'static str) -> Result<usize, Failure> {
    let number = parse_int(bytes).and_then(|number| usize::try_from(number).ok()).filter(|number| *number > 0);
    number.ok_or(Cow::Borrowed(wrong))
}

/// What functions of C see of a string, where Redis does not tell them its length.
pub(crate) fn up_to_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A finite float, and none that is too small to be one.
pub(crate) fn float(bytes: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (value, mark): (f64, _) = match text.parse() {
        Ok(value) => (value, ['e', 'E']),
        Err(_) => (hexadecimal(text)?, ['p', 'P']),
    };
    let nothing = || {
        text.split(mark)
            .next()
            .is_some_and(|digits| !digits.contains(|c: char| matches!(c, '1'..='9' | 'a'..='f' | 'A'..='F')))
    };
    (value.is_finite() && (value != 0.0 || nothing())).then_some(value)
}

/// A float as C reads it in hexadecimal: `0x1.8p3`.
pub(crate) fn hexadecimal(text: &str) -> Option<f64> {
    let (sign, rest) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    let rest = rest.strip_prefix('+').filter(|_| sign > 0.0).unwrap_or(rest);
    let digits = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X"))?;
    let (digits, exponent) = digits.split_once(['p', 'P']).unwrap_or((digits, "0"));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let exponent: i32 = exponent.parse().ok()?;
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    if value == 0.0 {
        return Some(sign * value);
    }
    // In steps, as two to the lowest exponent is nothing by itself.
    let mut left = exponent.clamp(-100_000, 100_000) - 4 * fraction.len() as i32;
    while left != 0 && value != 0.0 && f64::is_finite(value) {
        let step = left.clamp(-1_000, 1_000);
        value *= 2_f64.powi(step);
        left -= step;
    }
    Some(sign * value)
}

/// A number of digits alone.
pub(crate) fn unsigned(bytes: &[u8]) -> Option<u64> {
    let digits = !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(bytes).ok()?.parse().ok()).flatten()
}

/// True if the argument is `word`, in any case.
pub(crate) fn is(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// The argument as text, for error messages and names.
pub(crate) fn text(arg: &[u8]) -> Cow<'_, str> {
    model::raw::text(arg)
}

/// Of a subcommand, named as it was sent, that has too many arguments and does not say so in the table.
pub(crate) fn wrong_subcommand(command: &str, sub: &[u8]) -> Failure {
    let sub = text(sub);
    format!("ERR unknown subcommand or wrong number of arguments for '{sub}'. Try {command} HELP.").into()
}

pub(crate) fn wrong_arity(name: &str) -> Failure {
    format!("ERR wrong number of arguments for '{name}' command").into()
}

/// `:1` or `:0`.
pub(crate) fn yes_no(yes: bool) -> Reply {
    Reply::Int(i64::from(yes))
}

/// An array of bulk strings.
pub(crate) fn bulks<'a>(items: impl IntoIterator<Item = &'a Bytes>) -> Reply {
    Reply::Array(items.into_iter().cloned().map(Reply::Bulk).collect())
}

pub(crate) fn number(n: impl std::fmt::Display) -> Bytes {
    Bytes::from(format!("{n}"))
}

/// Redis's glob: `*`, `?`, `[a-c]`, `[^a]`, and `\` before a literal. Takes time in the product of the lengths at most.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last `*` if what follows does not match.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = if p < pattern.len() && pattern[p] == b'*' {
            retry = Some((p + 1, t));
            p += 1;
            continue;
        } else if t == text.len() {
            if p == pattern.len() {
                return true;
            }
            None
        } else {
            one(&pattern[p..], text[t])
        };
        match step {
            Some(width) => {
                p += width;
                t += 1;
            }
            None => match retry {
                Some((after_star, from)) if from < text.len() => {
                    retry = Some((after_star, from + 1));
                    (p, t) = (after_star, from + 1);
                }
                _ => return false,
            },
        }
    }
}

/// Matches one byte against the head of `pattern`; the width of what matched it.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => class(pattern, byte),
        b'\\' if pattern.len() > 1 => (pattern[1] == byte).then_some(2),
        literal => (literal == byte).then_some(1),
    }
}

fn class(pattern: &[u8], byte: u8) -> Option<usize> {
    let mut at = 1;
    let negated = pattern.get(at) == Some(&b'^');
    at += usize::from(negated);
    let mut found = false;
    while let Some(&head) = pattern.get(at) {
        match head {
            b']' => break,
            b'\\' if at + 1 < pattern.len() => {
                found |= pattern[at + 1] == byte;
                at += 2;
            }
            _ if pattern.get(at + 1) == Some(&b'-') && at + 2 < pattern.len() => {
                let (low, high) = (head.min(pattern[at + 2]), head.max(pattern[at + 2]));
                found |= (low..=high).contains(&byte);
                at += 3;
            }
            _ => {
                found |= head == byte;
                at += 1;
            }
        }
    }
    (found != negated).then_some((at + 1).min(pattern.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        let table = [
            ("*", "", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbbd", false),
            ("h?llo", "hello", true),
            ("h?llo", "hllo", false),
            ("h[ae]llo", "hallo", true),
            ("h[^e]llo", "hello", false),
            ("h[a-c]llo", "hbllo", true),
            ("h\\*llo", "h*llo", true),
            ("h\\*llo", "hxllo", false),
            ("*a*b*", "xxaxxbxx", true),
            ("", "", true),
            ("", "a", false),
            ("[", "[", false),
            ("+switch*", "+switch-master", true),
        ];
        for (pattern, text, matches) in table {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), matches, "{pattern} {text}");
        }
    }
}
