//! The little of YAML that is written: block maps at the top, one line for each entry of a list, scalars quoted where
//! they must be.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap as _, Serializer};
use serde_yaml::{FlowMap, FlowSeq};

/// A value to be written.
#[derive(Debug)]
pub(super) enum Yaml {
    Null,
    Flag(bool),
    Number(u64),
    Text(String),
    /// A list on one line.
    Row(Vec<Yaml>),
    /// A list with a line for each entry.
    Lines(Vec<Yaml>),
    Map(Map),
}

/// A map in the order of insertion.
#[derive(Debug)]
pub(super) struct Map {
    /// On one line.
    flow: bool,
    entries: Vec<(Cow<'static, str>, Yaml)>,
}

impl Map {
    /// An empty map that is written with a line for each entry.
    pub(super) fn block() -> Self {
        Self { flow: false, entries: Vec::new() }
    }

    /// An empty map that is written on one line.
    pub(super) fn flow() -> Self {
        Self { flow: true, entries: Vec::new() }
    }

    /// True if nothing was put in.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds an entry.
    pub(super) fn put(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<Yaml>) {
        self.entries.push((key.into(), value.into()));
    }

    /// Adds an entry unless `value` is the default.
    pub(super) fn put_unless<T: PartialEq>(
        &mut self,
        default: &T,
        key: &'static str,
        value: &T,
        write: impl FnOnce(&T) -> Yaml,
    ) {
        if value != default {
            self.put(key, write(value));
        }
    }

    /// A map with one entry, on one line.
    pub(super) fn of(key: &'static str, value: impl Into<Yaml>) -> Self {
        let mut map = Self::flow();
        map.put(key, value);
        map
    }
}

impl From<bool> for Yaml {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for Yaml {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for Yaml {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Yaml {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<Map> for Yaml {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl Serialize for Yaml {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Row(items) => FlowSeq(items).serialize(serializer),
            Self::Lines(items) => items.serialize(serializer),
            Self::Map(map) if map.flow => FlowMap(Entries(map)).serialize(serializer),
            Self::Map(map) => Entries(map).serialize(serializer),
        }
    }
}

struct Entries<'a>(&'a Map);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.entries.len()))?;
        for (key, value) in &self.0.entries {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

/// The text of a file.
pub(super) fn text(yaml: &Yaml) -> String {
    let options = serde_yaml::ser_options! {
        compact_list_indent: false,
        prefer_block_scalars: false,
        // `on` is a key here, and no bool in YAML 1.2.
        yaml_12: true,
        no_lang_directive: true,
    };
    let mut text = String::new();
    serde_yaml::to_fmt_writer_with_options(&mut text, yaml, options).expect("scalars, lists and maps can be written");
    text
}
