//! The parameters of Redis 7.0.15 that nothing here goes by: what `CONFIG GET` shows and `CONFIG SET` takes and keeps.
//!
//! `data/parameters.txt` has a line each, `name | kind | value`. A kind is `yes-no`, `integer LOW HIGH`, `memory LOW` (in
//! bytes, with the units of Redis), `choice a, b`, `text`, `immutable` or `protected`. `lacking` is one that clients would
//! notice and that the node does not have: only the value that it has already is taken.

use std::sync::LazyLock;

use super::config::Invalid;

/// One of them.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    kind: Kind,
    pub(crate) default: &'static str,
}

enum Kind {
    YesNo,
    Integer(i64, i64),
    Memory(u64),
    Choice(&'static str),
    Text,
    Immutable,
    Protected,
}

/// In the order of their names.
pub(crate) static OTHERS: LazyLock<Vec<Parameter>> = LazyLock::new(|| {
    let lines = include_str!("../../data/parameters.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(parse).collect()
});

fn parse(line: &'static str) -> Parameter {
    let mut fields = line.split('|').map(str::trim);
    let mut next = || fields.next().unwrap_or_default();
    let (name, kind, default) = (next(), next(), next());
    let (kind, rest) = kind.split_once(' ').unwrap_or((kind, ""));
    let number = |index: usize| rest.split(' ').nth(index).and_then(|number| number.parse().ok()).unwrap_or(0);
    let kind = match kind {
        "yes-no" => Kind::YesNo,
        "integer" => Kind::Integer(number(0), number(1)),
        "memory" => Kind::Memory(number(0) as u64),
        "choice" => Kind::Choice(rest),
        "text" => Kind::Text,
        "protected" => Kind::Protected,
        _ => Kind::Immutable,
    };
    Parameter { name, kind, default }
}

/// The parameter of this name, in any case.
pub(crate) fn find(name: &str) -> Option<&'static Parameter> {
    OTHERS.iter().find(|parameter| parameter.name.eq_ignore_ascii_case(name))
}

impl Parameter {
    /// The value as it is kept, of one that is asked for while it has the `present` one.
    pub(crate) fn take(&self, value: &str, present: &str) -> Result<String, Invalid> {
        match self.kind {
            Kind::YesNo => super::config::yes_no(value).map(|yes| if yes { "yes" } else { "no" }.to_owned()),
            Kind::Integer(low, high) => within(value, low, high).map(|number| number.to_string()),
            Kind::Memory(low) => memory(value, low).map(|bytes| bytes.to_string()),
            Kind::Choice(words) => {
                let found = words.split(", ").find(|word| word.eq_ignore_ascii_case(value));
                found
                    .map(str::to_owned)
                    .ok_or_else(|| format!("argument(s) must be one of the following: {words}").into())
            }
            Kind::Text => Ok(value.to_owned()),
            Kind::Immutable if value == present => Ok(value.to_owned()),
            Kind::Immutable => Err("can't set immutable config".into()),
            Kind::Protected => Err("can't set protected config".into()),
        }
    }
}

/// A whole number within bounds.
pub(crate) fn within(value: &str, low: i64, high: i64) -> Result<i64, Invalid> {
    let number: i64 = value.parse().map_err(|_| "argument couldn't be parsed into an integer")?;
    if (low..=high).contains(&number) {
        return Ok(number);
    }
    Err(format!("argument must be between {low} and {high} inclusive").into())
}

/// Bytes: a number with a unit, `100mb`.
pub(crate) fn memory(value: &str, low: u64) -> Result<u64, Invalid> {
    let bytes = memory_value(value).ok_or("argument must be a memory value")?;
    if (low..=i64::MAX as u64).contains(&bytes) {
        return Ok(bytes);
    }
    Err(format!("argument must be between {low} and {} inclusive", i64::MAX).into())
}

/// `k`, `m` and `g` are thousands, `kb`, `mb` and `gb` powers of 1,024, in any case.
pub(crate) fn memory_value(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" => 1_000,
        "kb" => 1 << 10,
        "m" => 1_000_000,
        "mb" => 1 << 20,
        "g" => 1_000_000_000,
        "gb" => 1 << 30,
        _ => return None,
    };
    if number.is_empty() {
        return None;
    }
    Some(number.parse::<u64>().unwrap_or(u64::MAX).saturating_mul(unit))
}

#[test]
fn sizes_have_units() {
    let sizes = ["1", "2b", "3k", "3KB", "1m", "1mb", "1g", "1Gb", "99999999999999999999"];
    let bytes = [1, 2, 3_000, 3_072, 1_000_000, 1_048_576, 1_000_000_000, 1_073_741_824, u64::MAX];
    assert_eq!(sizes.map(memory_value), bytes.map(Some));
    assert_eq!(["", "x", "1x", "-1", "mb"].map(memory_value), [None; 5]);
}

#[test]
fn every_line_is_understood() {
    assert!(OTHERS.len() > 100);
    for parameter in OTHERS.iter() {
        let again = parameter.take(parameter.default, parameter.default);
        let kept = matches!(parameter.kind, Kind::Protected) || again.as_deref() == Ok(parameter.default);
        assert!(kept, "{}: {again:?}", parameter.name);
    }
    assert!(OTHERS.is_sorted_by_key(|parameter| parameter.name));
}
