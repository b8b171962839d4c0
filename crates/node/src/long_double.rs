//! [`LongDouble`]: the `long double` of x86, a number of 64 bits and an exponent, in which Redis adds floats.

use std::cmp::Ordering;

/// Bits of the number.
const PRECISION: usize = 64;
/// A number of so many bits or more is infinite; one below the other limit is nothing.
const BITS_MAX: i64 = 16_384;
const BITS_MIN: i64 = -16_445;
/// Digits after the point that Redis shows at the most.
const SHOWN: usize = 17;
/// Redis reads numbers of fewer characters only.
const LENGTH_MAX: usize = 5 * 1024;

/// A natural number of any length: its digits to the base 2^32, lowest first, without zeros at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Natural(Vec<u32>);

impl Natural {
    fn trimmed(mut digits: Vec<u32>) -> Self {
        while digits.last() == Some(&0) {
            digits.pop();
        }
        Self(digits)
    }

    fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    fn bits(&self) -> usize {
        self.0.last().map_or(0, |last| self.0.len() * 32 - last.leading_zeros() as usize)
    }

    fn bit(&self, at: usize) -> bool {
        self.0.get(at / 32).is_some_and(|digit| digit >> (at % 32) & 1 == 1)
    }

    /// True if there is a bit below this one.
    fn has_bits_below(&self, at: usize) -> bool {
        (0..at.min(self.bits())).any(|bit| self.bit(bit))
    }

    /// `self * factor + plus`
    fn times(&self, factor: u32, plus: u32) -> Self {
        let mut carry = u64::from(plus);
        let mut digits: Vec<u32> = Vec::with_capacity(self.0.len() + 1);
        for digit in &self.0 {
            carry += u64::from(*digit) * u64::from(factor);
            digits.push(carry as u32);
            carry >>= 32;
        }
        digits.push(carry as u32);
        Self::trimmed(digits)
    }

    /// `self / by`, and what remains.
    fn divided(&self, by: u32) -> (Self, u32) {
        let mut rest = 0;
        let mut digits = self.0.clone();
        for digit in digits.iter_mut().rev() {
            let value = rest << 32 | u64::from(*digit);
            *digit = (value / u64::from(by)) as u32;
            rest = value % u64::from(by);
        }
        (Self::trimmed(digits), rest as u32)
    }

    fn shifted(&self, bits: usize) -> Self {
        let mut digits = vec![0; bits / 32];
        digits.extend(&self.0);
        Self(digits).times(1 << (bits % 32), 0)
    }

    /// Without its lowest bits, rounded to the nearest, of two to the even one. `more` says that there is something beyond
    /// the lowest bit.
    fn rounded(&self, bits: usize, more: bool) -> Self {
        if bits == 0 {
            return self.clone();
        }
        let mut digits = self.0.get(bits / 32..).map(<[u32]>::to_vec).unwrap_or_default();
        digits.push(0);
        for at in 0..digits.len() - 1 {
            let pair = u64::from(digits[at + 1]) << 32 | u64::from(digits[at]);
            digits[at] = (pair >> (bits % 32)) as u32;
        }
        let up = self.bit(bits - 1) && (more || self.has_bits_below(bits - 1) || self.bit(bits));
        Self::trimmed(digits).times(1, u32::from(up))
    }

    fn plus(&self, other: &Self) -> Self {
        let digit = |of: &Self, at: usize| u64::from(of.0.get(at).copied().unwrap_or(0));
        let mut carry = 0;
        let mut digits = Vec::new();
        for at in 0..=self.0.len().max(other.0.len()) {
            carry += digit(self, at) + digit(other, at);
            digits.push(carry as u32);
            carry >>= 32;
        }
        Self::trimmed(digits)
    }

    /// `self - other`, which must not be more.
    fn minus(&self, other: &Self) -> Self {
        let mut borrowed = false;
        let mut digits = self.0.clone();
        for (at, digit) in digits.iter_mut().enumerate() {
            let (less, first) = digit.overflowing_sub(other.0.get(at).copied().unwrap_or(0));
            let (less, second) = less.overflowing_sub(u32::from(borrowed));
            *digit = less;
            borrowed = first || second;
        }
        Self::trimmed(digits)
    }

    fn compared(&self, other: &Self) -> Ordering {
        self.0.len().cmp(&other.0.len()).then_with(|| self.0.iter().rev().cmp(other.0.iter().rev()))
    }

    fn decimal(&self) -> String {
        let mut groups = Vec::new();
        let mut rest = self.clone();
        while !rest.is_zero() {
            let (next, group) = rest.divided(1_000_000_000);
            groups.push(group);
            rest = next;
        }
        let last = groups.pop().unwrap_or(0).to_string();
        groups.iter().rev().fold(last, |text, group| format!("{text}{group:09}"))
    }
}

/// `number * 2^exponent`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LongDouble {
    negative: bool,
    number: Natural,
    exponent: i64,
}

/// What a text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Finite(LongDouble),
    Infinite,
}

impl LongDouble {
    /// `None` if it is infinite, or so small that it is nothing.
    fn new(negative: bool, number: &Natural, more: bool, exponent: i64) -> Option<Self> {
        let surplus = number.bits().saturating_sub(PRECISION);
        let (number, exponent) = (number.rounded(surplus, more), exponent + surplus as i64);
        let size = number.bits() as i64 + exponent;
        let fits = number.is_zero() || (BITS_MIN < size && size <= BITS_MAX);
        fits.then_some(Self { negative, number, exponent })
    }

    /// As `strtold` of C reads it: decimal or hexadecimal, with or without an exponent. `None` for what is no number, or
    /// none that a `long double` can hold.
    pub(crate) fn read(text: &[u8]) -> Option<Read> {
        let text = std::str::from_utf8(text).ok().filter(|text| text.len() < LENGTH_MAX)?;
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let lower = rest.to_ascii_lowercase();
        if lower == "inf" || lower == "infinity" {
            return Some(Read::Infinite);
        }
        let (base, mark, digits) = match lower.strip_prefix("0x") {
            Some(digits) => (16, 'p', digits),
            None => (10, 'e', &lower[..]),
        };
        let (digits, exponent) = match digits.split_once(mark) {
            Some((digits, exponent)) => {
                let plain = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
                if plain.is_empty() || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
                    return None;
                }
                let size = plain.parse().unwrap_or(i64::MAX).min(1_000_000);
                (digits, if exponent.starts_with('-') { -size } else { size })
            }
            None => (digits, 0),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let mut number = Natural::default();
        for digit in whole.chars().chain(fraction.chars()) {
            number = number.times(base, digit.to_digit(base)?);
        }
        if number.is_zero() {
            return Self::new(negative, &number, false, 0).map(Read::Finite);
        }
        let places = fraction.len() as i64;
        if base == 16 {
            return Self::new(negative, &number, false, exponent - 4 * places).map(Read::Finite);
        }
        let tens = exponent - places;
        // Beyond these it is infinite or nothing, whatever its digits.
        if !(-12_000..12_000).contains(&tens) {
            return None;
        }
        if tens >= 0 {
            let number = (0..tens).fold(number, |number, _| number.times(10, 0));
            return Self::new(negative, &number, false, 0).map(Read::Finite);
        }
        // So many bits that enough of them are left.
        let bits = 4 * tens.unsigned_abs() as usize + 2 * PRECISION;
        let (mut number, mut more) = (number.shifted(bits), false);
        for _ in 0..tens.unsigned_abs() {
            let (next, rest) = number.divided(10);
            number = next;
            more |= rest != 0;
        }
        Self::new(negative, &number, more, -(bits as i64)).map(Read::Finite)
    }

    /// `self * factor`, rounded up to an integer; `None` if that has more than 64 bits.
    pub(crate) fn times_up(&self, factor: u32) -> Option<i64> {
        let Self { negative, number, exponent } =
            Self::new(self.negative, &self.number.times(factor, 0), false, self.exponent)?;
        let size = number.bits() as i64 + exponent;
        if size > 64 {
            return None;
        }
        let digits = number.0.iter().rev().fold(0_u128, |digits, digit| digits << 32 | u128::from(*digit));
        let below = exponent.min(0).unsigned_abs().min(127);
        let whole = if exponent > 0 { digits << exponent } else { digits >> below };
        let has_more = exponent < 0 && whole << below != digits;
        let whole = whole as i128;
        i64::try_from(if negative { -whole } else { whole + i128::from(has_more) }).ok()
    }

    /// The sum; `None` if it is infinite.
    pub(crate) fn plus(&self, other: &Self) -> Option<Self> {
        let exponent = self.exponent.min(other.exponent);
        let aligned = |of: &Self| of.number.shifted((of.exponent - exponent) as usize);
        let (a, b) = (aligned(self), aligned(other));
        let (negative, number) = match (self.negative == other.negative, a.compared(&b)) {
            (true, _) => (self.negative, a.plus(&b)),
            (false, Ordering::Less) => (other.negative, b.minus(&a)),
            (false, _) => (self.negative, a.minus(&b)),
        };
        Self::new(negative, &number, false, exponent)
    }

    /// As Redis shows it: `%.17Lf`, without zeros at the end.
    pub(crate) fn show(&self) -> String {
        let scaled = (0..SHOWN).fold(self.number.clone(), |number, _| number.times(10, 0));
        let scaled = match usize::try_from(self.exponent) {
            Ok(exponent) => scaled.shifted(exponent),
            Err(_) => scaled.rounded(self.exponent.unsigned_abs() as usize, false),
        };
        let digits = format!("{:0>width$}", scaled.decimal(), width = SHOWN + 1);
        let (whole, fraction) = digits.split_at(digits.len() - SHOWN);
        let text = format!("{whole}.{fraction}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        if self.negative && text != "0" { format!("-{text}") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(a: &str, b: &str) -> String {
        let read = |text: &str| match LongDouble::read(text.as_bytes()) {
            Some(Read::Finite(number)) => Some(number),
            _ => None,
        };
        let sum = read(a).zip(read(b)).and_then(|(a, b)| a.plus(&b));
        sum.map_or("none".to_owned(), |sum| sum.show())
    }

    /// Sums as a real Redis 7.0.15 on x86 gives them; `tests/data/parity/node-reads.script` compares more.
    #[test]
    fn sums_are_those_of_redis() {
        for (a, b, expected) in [
            ("0", "0.1", "0.1"),
            ("0.1", "0.2", "0.3"),
            ("5000", "0.3", "5000.29999999999999982"),
            ("123456789012345678", "1", "123456789012345679"),
            ("3", "-3.0", "0"),
            ("0", "-1e-18", "0"),
            ("0", "0x10.8p1", "33"),
            ("1e20", "0.5", "100000000000000000000"),
            ("1e400", "-1e400", "0"),
            ("1e4933", "0", "none"),
            ("0", "1e-5000", "none"),
            ("0", "1e", "none"),
            ("0", ".", "none"),
            ("0", " 1", "none"),
            ("0", "", "none"),
        ] {
            assert_eq!(sum(a, b), expected, "{a} + {b}");
        }
    }
}
