//! The parameters of Redis 7.0.15 that nothing here goes by: what `CONFIG GET` shows and `CONFIG SET` takes and keeps.
//!
//! `data/parameters.txt` has a line each, `name | kind | value | error`. A kind is `yes-no`, `integer LOW HIGH`, `memory LOW
//! HIGH` (in bytes, with the units of Redis), `choice a, b`, `text`, `immutable`, `protected`, or one of [`FORMS`]; before it may
//! stand `hidden`: no pattern finds the parameter. With an
//! error, only the value at the start is taken: it is what Redis answers where it was built without what another needs.

use std::sync::LazyLock;

use super::values::{
    Invalid, choice, events, frequency, hostname, memory, memory_or_percent, percentiles, period, save, within, word,
    yes_no,
};

/// One of them.
pub(crate) struct Parameter {
    pub(crate) name: &'static str,
    kind: Kind,
    /// Only its own name finds it.
    pub(crate) hidden: bool,
    pub(crate) default: &'static str,
    /// Why no other value is taken.
    fixed: Option<&'static str>,
}

/// Checks a value, and writes it as Redis does.
type Form = fn(&str) -> Result<String, Invalid>;

enum Kind {
    YesNo,
    Integer(i64, i64),
    Memory(u64, u64),
    Choice(&'static str),
    Text,
    Form(Form),
    Never(&'static str),
}

/// Values of a form of their own.
const FORMS: [(&str, Form); 7] = [
    ("events", events),
    ("frequency", frequency),
    ("hostname", hostname),
    ("memory-or-percent", memory_or_percent),
    ("percentiles", percentiles),
    ("period", period),
    ("save", save),
];

/// In the order of their names.
pub(crate) static OTHERS: LazyLock<Vec<Parameter>> = LazyLock::new(|| {
    let lines = include_str!("../../data/parameters.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(parse).collect()
});

fn parse(line: &'static str) -> Parameter {
    let mut fields = line.split('|').map(str::trim);
    let mut next = || fields.next().unwrap_or_default();
    let (name, kind, default) = (next(), next(), next());
    let fixed = fields.next();
    let (hidden, kind) = kind.strip_prefix("hidden ").map_or((false, kind), |kind| (true, kind));
    let (kind, rest) = kind.split_once(' ').unwrap_or((kind, ""));
    let number = |index: usize| rest.split(' ').nth(index).and_then(|number| number.parse::<i128>().ok()).unwrap_or(0);
    let kind = match kind {
        "yes-no" => Kind::YesNo,
        "integer" => Kind::Integer(number(0) as i64, number(1) as i64),
        "memory" => Kind::Memory(number(0) as u64, number(1) as u64),
        "choice" => Kind::Choice(rest),
        "text" => Kind::Text,
        "protected" => Kind::Never("can't set protected config"),
        other => {
            let form = FORMS.iter().find(|(name, _)| *name == other);
            form.map_or(Kind::Never("can't set immutable config"), |(_, form)| Kind::Form(*form))
        }
    };
    Parameter { name, kind, hidden, default, fixed }
}

/// The parameter of this name, in lower case.
pub(crate) fn find(name: &str) -> Option<&'static Parameter> {
    OTHERS.binary_search_by(|parameter| parameter.name.cmp(name)).ok().map(|index| &OTHERS[index])
}

impl Parameter {
    /// Why it cannot be set at all, if so.
    pub(crate) fn never(&self) -> Option<&'static str> {
        if let Kind::Never(why) = self.kind { Some(why) } else { None }
    }

    /// The value as it is kept.
    pub(crate) fn take(&self, value: &str) -> Result<String, Invalid> {
        let kept = match self.kind {
            Kind::YesNo => yes_no(value).map(|yes| word(yes).to_owned()),
            Kind::Integer(low, high) => within(value, low, high).map(|number| number.to_string()),
            Kind::Memory(low, high) => memory(value, low, high).map(|bytes| bytes.to_string()),
            Kind::Choice(words) => choice(words, value),
            Kind::Text => Ok(value.to_owned()),
            Kind::Form(form) => form(value),
            Kind::Never(why) => Err(why.into()),
        }?;
        match self.fixed {
            Some(why) if kept != self.default => Err(why.into()),
            _ => Ok(kept),
        }
    }
}

#[test]
fn every_line_is_understood() {
    assert!(OTHERS.len() > 100);
    for parameter in OTHERS.iter() {
        let kept = parameter.never().is_some() || parameter.take(parameter.default).as_deref() == Ok(parameter.default);
        assert!(kept, "{} = {}", parameter.name, parameter.default);
    }
    assert!(OTHERS.is_sorted_by_key(|parameter| parameter.name));
}
