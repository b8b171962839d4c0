//! The values of parameters, by their types: checked, and written as Redis writes them.

use std::borrow::Cow;

use crate::args::parse_int;

/// Why a value is not taken, in Redis's words.
pub(crate) type Invalid = Cow<'static, str>;

pub(crate) fn yes_no(value: &str) -> Result<bool, Invalid> {
    match value.to_ascii_lowercase().as_str() {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err("argument must be 'yes' or 'no'".into()),
    }
}

pub(crate) fn word(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

/// A whole number within bounds.
pub(crate) fn within(value: &str, low: i64, high: i64) -> Result<i64, Invalid> {
    let number = parse_int(value.as_bytes()).ok_or("argument couldn't be parsed into an integer")?;
    if (low..=high).contains(&number) {
        return Ok(number);
    }
    Err(format!("argument must be between {low} and {high} inclusive").into())
}

/// One of the words, in any case; `yes, relative=yes` are two words for the same.
pub(crate) fn choice(words: &str, value: &str) -> Result<String, Invalid> {
    let known = || words.split(", ").map(|word| word.split_once('=').unwrap_or((word, word)));
    if let Some((_, shown)) = known().find(|(word, _)| word.eq_ignore_ascii_case(value)) {
        return Ok(shown.to_owned());
    }
    let known: Vec<&str> = known().map(|(word, _)| word).collect();
    Err(format!("argument(s) must be one of the following: {}", known.join(", ")).into())
}

/// Bytes: a number with a unit, `100mb`.
pub(crate) fn memory(value: &str, low: u64, high: u64) -> Result<u64, Invalid> {
    let bytes = memory_value(value).ok_or("argument must be a memory value")?;
    if (low..=high).contains(&bytes) {
        return Ok(bytes);
    }
    Err(format!("argument must be between {low} and {high} inclusive").into())
}

/// `k`, `m` and `g` are thousands, `kb`, `mb` and `gb` powers of 1,024, in any case. No digits are a 0, and what does not
/// fit wraps around.
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
    let number = if number.is_empty() { 0 } else { number.parse::<u64>().unwrap_or(u64::MAX) };
    Some(number.wrapping_mul(unit))
}

/// Bytes, or a share of `maxmemory`.
pub(crate) fn memory_or_percent(value: &str) -> Result<String, Invalid> {
    let wrong = "argument must be a memory or percent value";
    let Some(percent) = value.strip_suffix('%') else {
        // Redis keeps both in one signed number, a share as a negative one.
        let bytes = memory_value(value).ok_or(wrong)?.cast_signed();
        return Ok(if bytes < 0 { format!("{}%", bytes.unsigned_abs()) } else { bytes.to_string() });
    };
    match parse_int(percent.as_bytes()).filter(|percent| *percent >= 0).ok_or(wrong)? {
        0 => Ok("0".to_owned()),
        percent @ 1..=100 => Ok(format!("{percent}%")),
        _ => Err("percentage argument must be less or equal to 100".into()),
    }
}

/// The words of a list; Redis takes two spaces for an empty word between them.
pub(crate) fn words(value: &str) -> Vec<&str> {
    if value.is_empty() { Vec::new() } else { value.split(' ').collect() }
}

/// `save`: pairs of seconds and changes.
pub(crate) fn save(value: &str) -> Result<String, Invalid> {
    let numbers: Option<Vec<i64>> = words(value).into_iter().map(|word| word.parse().ok()).collect();
    let pairs = numbers.filter(|numbers| numbers.len().is_multiple_of(2)).ok_or("Invalid save parameters")?;
    let mut shown = Vec::new();
    for pair in pairs.chunks_exact(2) {
        if pair[0] < 1 || pair[1] < 0 {
            return Err("Invalid save parameters".into());
        }
        // An `int` in Redis.
        shown.push(format!("{} {}", pair[0], pair[1] as i32));
    }
    Ok(shown.join(" "))
}

/// `latency-tracking-info-percentiles`
pub(crate) fn percentiles(value: &str) -> Result<String, Invalid> {
    let mut shown = Vec::new();
    for word in words(value) {
        let number: Option<f64> = word.parse().ok().filter(|number: &f64| !number.is_nan());
        let number = number.ok_or("Invalid latency-tracking-info-percentiles parameters")?;
        if !(0.0..=100.0).contains(&number) {
            return Err("latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".into());
        }
        let digits = format!("{number:.6}");
        shown.push(digits.trim_end_matches('0').trim_end_matches('.').to_owned());
    }
    Ok(shown.join(" "))
}

/// Milliseconds of the software watchdog: 0, or no fewer than two passes of the timer at 10 Hz take.
pub(crate) fn period(value: &str) -> Result<String, Invalid> {
    let millis = within(value, 0, i32::MAX.into())?;
    Ok(if millis == 0 { millis } else { millis.max(200) }.to_string())
}

/// `hz`, which Redis puts between 1 and 500.
pub(crate) fn frequency(value: &str) -> Result<String, Invalid> {
    within(value, 0, i64::from(i32::MAX)).map(|hz| hz.clamp(1, 500).to_string())
}

/// `cluster-announce-hostname`
pub(crate) fn hostname(value: &str) -> Result<String, Invalid> {
    if value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte)) {
        return Ok(value.to_owned());
    }
    Err("Hostnames may only contain alphanumeric characters, hyphens or dots".into())
}

/// What `A` stands for in `notify-keyspace-events`.
const ALL_EVENTS: &str = "g$lshzxetd";

/// `notify-keyspace-events`, in the order in which Redis shows the classes.
pub(crate) fn events(value: &str) -> Result<String, Invalid> {
    if value.contains(|c: char| !"Ag$lshzxeKEtmdn".contains(c)) {
        return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into());
    }
    let all = value.contains('A') || ALL_EVENTS.chars().all(|class| value.contains(class));
    let classes = if all { "A".to_owned() } else { format!("{ALL_EVENTS}n") };
    let shown = classes.chars().chain("KEm".chars());
    Ok(shown.filter(|class| *class == 'A' || value.contains(*class)).collect())
}

#[test]
fn sizes_have_units() {
    let sizes = ["1", "2b", "3k", "3KB", "1m", "1mb", "1g", "1Gb", "99999999999999999999", "", "mb"];
    let bytes = [1, 2, 3_000, 3_072, 1_000_000, 1_048_576, 1_000_000_000, 1_073_741_824, u64::MAX, 0, 0];
    assert_eq!(sizes.map(memory_value), bytes.map(Some));
    assert_eq!(["x", "1x", "-1"].map(memory_value), [None; 3]);
}
