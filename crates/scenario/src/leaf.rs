//! The scalars of a scenario file: how each is read, and its JSON Schema.

use std::time::Duration;

use model::event::EventName;
use model::fault::Target;
use model::id::NodeId;
use model::plan::{Host, Workload};
use model::verdict::Rule;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{IgnoredAny, MapAccess, SeqAccess};

use crate::duration;
use crate::form::{Entries, Form, Mistake, Scalar, shortened};
use crate::raw::AnswerWord;
use crate::suggest::{did_you_mean, listed};

/// The schema of a scalar, and its name among the definitions.
macro_rules! leaf {
    ($type:ty, $name:literal, $schema:expr) => {
        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

/// Reads a scalar that has to be text.
fn text<F: Form>(scalar: Scalar<'_>) -> Result<&str, Mistake> {
    match scalar {
        Scalar::Text(text) => Ok(text),
        _ => Err(F::mistaken(&scalar.describe())),
    }
}

/// Free text.
#[derive(Clone, Debug)]
pub(crate) struct Text(pub(crate) String);

impl Form for Text {
    const WHAT: &'static str = "text";

    fn right() -> String {
        "text that looks like a number or a bool needs quotes".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        text::<Self>(scalar).map(|text| Self(text.to_owned()))
    }
}

leaf!(Text, "Text", json_schema!({"type": "string"}));

/// A word of a command, which may be a number.
#[derive(Clone, Debug)]
pub(crate) struct Word(pub(crate) String);

impl Form for Word {
    const WHAT: &'static str = "a word";

    fn right() -> String {
        "a word that looks like a number with a point, or like a bool, needs quotes".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        match scalar {
            Scalar::Int(number) => Ok(Self(number.to_string())),
            _ => text::<Self>(scalar).map(|text| Self(text.to_owned())),
        }
    }
}

leaf!(Word, "Word", json_schema!({"type": ["string", "integer"]}));

/// A name: of a client or a zone.
#[derive(Clone, Debug)]
pub(crate) struct Name(pub(crate) String);

impl Name {
    /// The name `text`, if it is one.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(Mistake::new(format!("`{}` is not a name", shortened(text))).help(Self::right()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl Form for Name {
    const WHAT: &'static str = "a name";

    fn right() -> String {
        "a name has letters, digits, `-` and `_` only; one that looks like a number or a bool needs quotes".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        Self::parse(text::<Self>(scalar)?)
    }
}

leaf!(Name, "Name", json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}));

/// A master name, by the rule of `SENTINEL MONITOR`.
#[derive(Clone, Debug)]
pub(crate) struct MasterName(pub(crate) String);

impl Form for MasterName {
    const WHAT: &'static str = "a master name";

    fn right() -> String {
        "write the name of a master, such as `mymaster`; it has letters, digits, `.`, `-` and `_` only, and quotes if it looks like a number".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        let name = text::<Self>(scalar)?;
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b)) {
            return Err(Mistake::new(format!("`{}` is not a master name", shortened(name))).help(Self::right()));
        }
        Ok(Self(name.to_owned()))
    }
}

leaf!(MasterName, "MasterName", json_schema!({"type": "string", "pattern": "^[A-Za-z0-9._-]+$"}));

/// A whole number from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Count(pub(crate) u64);

impl Form for Count {
    const WHAT: &'static str = "a whole number";

    fn right() -> String {
        "write a number without unit or quotes, such as `3`".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        match scalar {
            Scalar::Int(n) => u64::try_from(n).map(Self).map_err(|_| {
                let what = if n < 0 { "a number from 0" } else { "a smaller number" };
                Mistake::expected(what, &scalar.describe()).help(Self::right())
            }),
            _ => Err(Self::mistaken(&scalar.describe())),
        }
    }
}

leaf!(Count, "Count", json_schema!({"type": "integer", "minimum": 0}));

/// A rule that a run can violate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Broken(pub(crate) Rule);

impl Form for Broken {
    const WHAT: &'static str = "a rule";

    fn right() -> String {
        "name an invariant or an expectation, such as `I1` or `recovered_within`".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        let word = text::<Self>(scalar)?;
        Rule::all().find(|rule| rule.word() == word).map(Self).ok_or_else(|| {
            let rules: Vec<String> = Rule::all().map(Rule::word).collect();
            let known = || rules.iter().map(String::as_str);
            let help = did_you_mean(word, known()).unwrap_or_else(|| format!("there are {}", listed(known())));
            Mistake::new(format!("there is no rule `{}`", shortened(word))).help(help)
        })
    }

    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Result<Self, Mistake>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        let help = "name the one that its fault leads to: `wrong-gives-up: I1`";
        Ok(Err(Mistake::expected("one rule", "a list").help(help)))
    }
}

leaf!(Broken, "Rule", json_schema!({"enum": Rule::all().map(Rule::word).collect::<Vec<_>>()}));

/// Yes or no.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flag(pub(crate) bool);

impl Form for Flag {
    const WHAT: &'static str = "`true` or `false`";

    fn right() -> String {
        "there is no other word for it".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        match scalar {
            Scalar::Bool(flag) => Ok(Self(flag)),
            _ => Err(Self::mistaken(&scalar.describe())),
        }
    }
}

leaf!(Flag, "Flag", json_schema!({"type": "boolean"}));

/// A length of time: `5s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span(pub(crate) Duration);

impl Form for Span {
    const WHAT: &'static str = "a duration";

    fn right() -> String {
        "write a number with a unit: `500ms`, `5s`, `1m 30s`".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        duration::read(scalar).map(Self)
    }
}

leaf!(
    Span,
    "Duration",
    json_schema!({"type": "string", "pattern": duration::pattern(), "examples": ["500ms", "5s", "1m 30s"]})
);

/// A length of time forwards or back, in milliseconds: `-3s`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jump(pub(crate) i64);

impl Form for Jump {
    const WHAT: &'static str = "a duration with a sign";

    fn right() -> String {
        "write a number with a unit: `-3s`, `3s`".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        match scalar {
            Scalar::Text(text) => duration::parse_signed_ms(text).map(Self),
            _ => Err(Self::mistaken(&scalar.describe())),
        }
    }
}

leaf!(
    Jump,
    "SignedDuration",
    json_schema!({"type": "string", "pattern": duration::signed_pattern(), "examples": ["-3s", "3s"]})
);

/// How often: `10/s`. Kept as the time from one to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate(pub(crate) Duration);

impl Form for Rate {
    const WHAT: &'static str = "a rate";

    fn right() -> String {
        "write `10/s` or `30/m`".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        match scalar {
            Scalar::Text(text) => duration::parse_rate(text).map(Self),
            _ => Err(Self::mistaken(&scalar.describe())),
        }
    }
}

leaf!(
    Rate,
    "Rate",
    json_schema!({"type": "string", "pattern": "^\\s*[1-9][0-9]*\\s*/\\s*[sm]\\s*$", "examples": ["10/s"]})
);

/// A node by name: `redis-1`, `sentinel-2`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeName(pub(crate) NodeId);

impl NodeName {
    /// The node called `text`.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        text.parse()
            .map(Self)
            .map_err(|()| Mistake::new(format!("`{}` is not a node name", shortened(text))).help(Self::right()))
    }
}

impl Form for NodeName {
    const WHAT: &'static str = "a node name";

    fn right() -> String {
        "data nodes are `redis-1`, `redis-2` …, Sentinels `sentinel-1`, `sentinel-2` …".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        Self::parse(text::<Self>(scalar)?)
    }
}

leaf!(NodeName, "NodeName", json_schema!({"type": "string", "pattern": "^(redis|sentinel)-[1-9][0-9]*$"}));

/// What a name stands for: `redis-1`, `10.0.0.9`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostOf(pub(crate) Host);

impl Form for HostOf {
    const WHAT: &'static str = "a node or an IP address";

    fn right() -> String {
        "write a node such as `redis-1`, or an address such as `10.0.0.9`".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        let text = text::<Self>(scalar)?;
        text.parse().map(Self).map_err(|()| {
            Mistake::new(format!("`{}` is neither a node nor an IP address", shortened(text))).help(Self::right())
        })
    }
}

leaf!(HostOf, "Host", json_schema!({"type": "string", "examples": ["redis-1", "10.0.0.9"]}));

/// The name of a machine: `db-1.example.org`.
#[derive(Clone, Debug)]
pub(crate) struct HostName(pub(crate) String);

impl HostName {
    /// The name `text`, if it is one.
    pub(crate) fn parse(text: &str) -> Result<Self, Mistake> {
        let label = |label: &str| {
            !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if text.len() > 253 || !text.split('.').all(label) {
            return Err(Mistake::new(format!("`{}` is not the name of a machine", shortened(text))).help(Self::right()));
        }
        if model::hosts::literal(text).is_some() {
            return Err(
                Mistake::new(format!("`{text}` is an IP address, no name")).help("an address stands for itself")
            );
        }
        Ok(Self(text.to_owned()))
    }
}

impl Form for HostName {
    const WHAT: &'static str = "the name of a machine";

    fn right() -> String {
        "it has letters, digits, `-` and `_`, in parts with `.` between; one that looks like a number needs quotes"
            .to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        Self::parse(text::<Self>(scalar)?)
    }
}

leaf!(HostName, "HostName", json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*$"}));

/// Which nodes a fault is for: `master`, `sentinel-2`, `zone:a`.
#[derive(Clone, Debug)]
pub(crate) struct Aim(pub(crate) Target);

/// Written forms of targets, for suggestions and messages.
const TARGETS: [&str; 15] = [
    "master",
    "old-master",
    "replica:best",
    "replica:other",
    "replicas",
    "redis-1",
    "sentinel-1",
    "sentinel:leader",
    "sentinels:minority",
    "sentinels:majority",
    "sentinels",
    "zone:a",
    "client:writer",
    "all",
    "master:mymaster",
];

impl Form for Aim {
    const WHAT: &'static str = "a target";

    fn right() -> String {
        "write one target, such as `master`, `replica:best`, `redis-1`, `sentinels` or `zone:a`; for several, a step each".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        let text = text::<Self>(scalar)?;
        text.parse().map(Self).map_err(|()| {
            let help = did_you_mean(text, TARGETS)
                .unwrap_or_else(|| format!("targets are {}", TARGETS.map(|target| format!("`{target}`")).join(", ")));
            Mistake::new(format!("`{}` is not a target", shortened(text))).help(help)
        })
    }

    fn map<'de, A: MapAccess<'de>>(map: A) -> Result<Result<Self, Mistake>, A::Error> {
        let entries = Entries::<Text>::map(map)?.map_or_else(|_| Vec::new(), |entries| entries.0);
        // `{node: redis-1}` and `{master: mymaster}` tell what is meant.
        let meant = entries.into_iter().find_map(|(_, key, node)| {
            let value = node.value.ok().map(|Text(value)| value);
            let named = value.as_ref().map(|value| format!("{key}:{value}"));
            [value, named, Some(key)].into_iter().flatten().find(|text| text.parse::<Target>().is_ok())
        });
        let help = meant.map_or_else(Self::right, |target| format!("write the target alone: `{target}`"));
        Ok(Err(Mistake::expected(Self::WHAT, "a map").help(help)))
    }
}

leaf!(
    Aim,
    "Target",
    json_schema!({
        "type": "string",
        "pattern": "^((redis|sentinel)-[1-9][0-9]*\
            |(master|old-master|replica:best|replica:other|replicas)(:[A-Za-z0-9._-]+)?\
            |sentinel:leader|sentinels|sentinels:minority|sentinels:majority\
            |zone:[A-Za-z0-9_-]+|client:[A-Za-z0-9_-]+|all)$",
        "examples": TARGETS,
    })
);

/// An event of Sentinel: `+switch-master`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event(pub(crate) EventName);

impl Form for Event {
    const WHAT: &'static str = "an event of Sentinel";

    fn right() -> String {
        "write one such as `+switch-master` or `+odown`".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        let text = text::<Self>(scalar)?;
        text.parse().map(Self).map_err(|()| {
            let names = || EventName::ALL.iter().map(|event| event.as_str());
            let help = did_you_mean(text, names())
                .unwrap_or_else(|| format!("events are {}", names().collect::<Vec<_>>().join(", ")));
            Mistake::new(format!("`{}` is not an event of Sentinel", shortened(text))).help(help)
        })
    }
}

leaf!(Event, "Event", json_schema!({"enum": EventName::ALL.iter().map(|event| event.as_str()).collect::<Vec<_>>()}));

/// What a client does: `counter`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Work(pub(crate) Workload);

/// The names of the workloads.
pub(crate) const WORKLOADS: [&str; Workload::ALL.len()] = {
    let mut names = [""; Workload::ALL.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = Workload::ALL[index].name();
        index += 1;
    }
    names
};

impl Form for Work {
    const WHAT: &'static str = "a workload";

    fn right() -> String {
        format!("there are {}", listed(WORKLOADS))
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        let text = text::<Self>(scalar)?;
        Workload::ALL.into_iter().find(|workload| workload.name() == text).map(Self).ok_or_else(|| {
            let help = did_you_mean(text, WORKLOADS).unwrap_or_else(Self::right);
            Mistake::new(format!("`{}` is not a workload", shortened(text))).help(help)
        })
    }
}

leaf!(Work, "Workload", json_schema!({"enum": WORKLOADS}));

/// The words for answers of a Sentinel.
pub(crate) const ANSWERS: [(&str, AnswerWord); 4] = [
    ("stale", AnswerWord::Stale),
    ("null", AnswerWord::Null),
    ("hang", AnswerWord::Hang),
    ("no_switch_event", AnswerWord::NoSwitchEvent),
];

impl Form for AnswerWord {
    const WHAT: &'static str = "an answer";

    fn right() -> String {
        "there are stale, null, hang, no_switch_event, and the maps {error: ..}, {slow: ..}, {wrong_address: ..}, \
         {late_switch_event: ..}"
            .to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        // A bare `null` is not text in YAML.
        let text = if let Scalar::Null = scalar { "null" } else { text::<Self>(scalar)? };
        ANSWERS.iter().find(|(word, _)| *word == text).map(|(_, answer)| *answer).ok_or_else(|| {
            let help = did_you_mean(text, ANSWERS.map(|(word, _)| word)).unwrap_or_else(Self::right);
            Mistake::new(format!("`{}` is not an answer", shortened(text))).help(help)
        })
    }
}

leaf!(AnswerWord, "AnswerWord", json_schema!({"enum": ["stale", "null", null, "hang", "no_switch_event"]}));
