//! Durations as they are written: a number with a unit, `1500ms`, `30s`, `1m 30s`.

use std::time::Duration;

use crate::form::{Form as _, Mistake, Scalar, shortened};
use crate::leaf::Span;

/// The longest duration that a file may hold: no run takes longer than a day.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// The units that there are.
const UNITS: [&str; 5] = ["us", "ms", "s", "m", "h"];

/// One part of a duration, for a schema.
const PART: &str = r"([0-9]{1,9}(\.[0-9]{1,9})?\s*(us|ms|s|m|h)\s*)+";

/// What a schema accepts as a duration.
pub(crate) fn pattern() -> String {
    format!(r"^\s*{PART}$")
}

/// What a schema accepts as a duration with a sign.
pub(crate) fn signed_pattern() -> String {
    format!("^[+-]?{PART}$")
}

/// Reads a duration.
pub(crate) fn read(scalar: Scalar<'_>) -> Result<Duration, Mistake> {
    match scalar {
        Scalar::Text(text) => parse(text),
        Scalar::Int(n) if n >= 0 => Err(without_unit(&n.to_string())),
        Scalar::Float(n) if n >= 0.0 => Err(without_unit(&n.to_string())),
        Scalar::Int(_) | Scalar::Float(_) => Err(negative()),
        Scalar::Bool(_) | Scalar::Null => Err(Span::mistaken(&scalar.describe())),
    }
}

fn negative() -> Mistake {
    Mistake::new("a duration cannot be negative").help(Span::right())
}

fn without_unit(number: &str) -> Mistake {
    Mistake::new(format!("the duration `{number}` has no unit"))
        .help(format!("write `{number}s` for seconds or `{number}ms` for milliseconds"))
}

/// Reads the text of a duration.
pub(crate) fn parse(text: &str) -> Result<Duration, Mistake> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>()
        && number.is_finite()
    {
        return Err(if text.starts_with('-') { negative() } else { without_unit(text) });
    }
    if text.strip_prefix('-').is_some_and(|rest| parse(rest).is_ok()) {
        return Err(negative());
    }
    let mistake = || Mistake::new(format!("`{}` is not a duration", shortened(text)));
    // Beyond these bounds the sums of the parser could overflow.
    let digits = text.split(|c: char| !c.is_ascii_digit()).map(str::len).max().unwrap_or(0);
    if digits > 9 || text.len() > 64 {
        return Err(mistake().help("write it in a larger unit; the longest duration is 24h"));
    }
    let duration = humantime::parse_duration(text).map_err(|error| match error {
        humantime::DurationError::UnknownUnit { unit, .. } if !unit.is_empty() => {
            mistake().help(format!("`{}` is no unit of time; there are us, ms, s, m and h", shortened(&unit)))
        }
        _ => mistake().help(Span::right()),
    })?;
    if duration > LONGEST {
        return Err(Mistake::new(format!("`{text}` is too long")).help("the longest duration is 24h"));
    }
    if !duration.subsec_nanos().is_multiple_of(1_000) {
        return Err(Mistake::new(format!("`{text}` is too fine")).help("the smallest step is 1us"));
    }
    let words = || text.split(|c: char| !c.is_alphabetic()).filter(|word| !word.is_empty());
    if let Some(unit) = words().find(|word| !UNITS.contains(word)) {
        let units = UNITS[..UNITS.len() - 1].join(", ");
        let help = format!("`{unit}` is no unit of time: write `{}`; there are {units} and h", write(duration));
        return Err(mistake().help(help));
    }
    Ok(duration)
}

/// Reads a signed number of milliseconds: `-3s`.
pub(crate) fn parse_signed_ms(text: &str) -> Result<i64, Mistake> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let duration = parse(rest)?;
    if !duration.subsec_micros().is_multiple_of(1_000) {
        return Err(Mistake::new(format!("`{text}` is too fine")).help("clocks jump by whole milliseconds"));
    }
    Ok(sign * duration.as_millis() as i64)
}

/// Reads a rate, `10/s` or `30/m`, as the time from one to the next.
pub(crate) fn parse_rate(text: &str) -> Result<Duration, Mistake> {
    let mistake = || Mistake::new(format!("`{}` is not a rate", shortened(text))).help("write `10/s` or `30/m`");
    let (number, unit) = text.split_once('/').ok_or_else(mistake)?;
    let unit_us: u64 = match unit.trim() {
        "s" => 1_000_000,
        "m" => 60_000_000,
        _ => return Err(mistake()),
    };
    match number.trim().parse::<u64>() {
        Ok(number) if number > 0 => Ok(Duration::from_micros(unit_us / number)),
        _ => Err(mistake()),
    }
}

/// Writes a duration readably: `1500ms`, `45s`, `1m 30s`. [`parse`] reads it back.
pub(crate) fn write(duration: Duration) -> String {
    let us = duration.as_micros();
    let (ms, seconds) = (us / 1_000, us / 1_000_000);
    match us {
        _ if us == seconds * 1_000_000 && seconds <= 120 => format!("{seconds}s"),
        _ if us == ms * 1_000 && ms < 10_000 => format!("{ms}ms"),
        _ if us < 10_000 => format!("{us}us"),
        _ => parts(us),
    }
}

/// Writes a signed number of milliseconds; [`parse_signed_ms`] reads it back.
pub(crate) fn write_signed_ms(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    format!("{sign}{}", write(Duration::from_millis(ms.unsigned_abs())))
}

fn parts(us: u128) -> String {
    let units = [(3_600_000_000, "h"), (60_000_000, "m"), (1_000_000, "s"), (1_000, "ms"), (1, "us")];
    let mut rest = us;
    let mut words = Vec::new();
    for (size, unit) in units {
        if rest >= size {
            words.push(format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_with_units() {
        let table =
            [("1500ms", 1_500_000), ("30s", 30_000_000), ("2m", 120_000_000), ("1m 30s", 90_000_000), ("200us", 200)];
        for (text, us) in table {
            assert_eq!(parse(text), Ok(Duration::from_micros(us)), "{text}");
        }
    }

    #[test]
    fn says_what_would_be_right() {
        let help = |text: &str| parse(text).unwrap_err().help.unwrap_or_default();
        assert_eq!(help("5"), "write `5s` for seconds or `5ms` for milliseconds");
        assert_eq!(help("5 parsecs"), "`parsecs` is no unit of time; there are us, ms, s, m and h");
        assert_eq!(help("soon"), "write a number with a unit: `500ms`, `5s`, `1m 30s`");
        assert_eq!(help("2days"), "the longest duration is 24h");
        assert_eq!(help("5ns"), "the smallest step is 1us");
        assert_eq!(parse("-5").unwrap_err().message, "a duration cannot be negative");
    }

    #[test]
    fn each_unit_has_one_word() {
        for (text, right) in [("100 msec", "100ms"), ("5 seconds", "5s"), ("1min 30s", "90s"), ("1day", "24h")] {
            let mistake = parse(text).unwrap_err();
            assert_eq!(mistake.message, format!("`{text}` is not a duration"));
            let help = mistake.help.unwrap_or_default();
            assert!(help.contains(&format!("write `{right}`; there are us, ms, s, m and h")), "{help}");
        }
    }

    /// The sum is the largest number of seconds and a full second of another unit, which overflowed in the parser.
    #[test]
    fn overflow_is_a_mistake_not_a_panic() {
        assert!(parse("18446744073709551615s 1000ms").is_err());
        assert!(parse(&"999999999y ".repeat(600)).is_err());
    }

    #[test]
    fn writes_what_it_reads() {
        let table = [(0, "0s"), (200, "200us"), (1_500_000, "1500ms"), (45_000_000, "45s"), (90_000_000, "90s")];
        for (us, text) in table {
            assert_eq!(write(Duration::from_micros(us)), text);
        }
        assert_eq!(write(Duration::from_secs(180)), "3m");
        assert_eq!(write(Duration::from_millis(90_500)), "1m 30s 500ms");
    }

    #[test]
    fn clocks_jump_both_ways() {
        assert_eq!(parse_signed_ms("-3s"), Ok(-3_000));
        assert_eq!(parse_signed_ms("+250ms"), Ok(250));
        assert!(parse_signed_ms("1500us").is_err());
    }

    #[test]
    fn rates_are_intervals() {
        assert_eq!(parse_rate("10/s"), Ok(Duration::from_millis(100)));
        assert_eq!(parse_rate("30/m"), Ok(Duration::from_secs(2)));
        for text in ["10", "0/s", "10/h", "/s"] {
            assert!(parse_rate(text).is_err(), "{text}");
        }
    }
}
