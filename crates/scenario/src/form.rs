//! How a scenario file is read without stopping at the first mistake: a [`Node`] keeps its place and either its value
//! or what is wrong with it, a [`Record`] keeps the keys that it does not know. Only broken YAML is an error here.

use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeOwned, IgnoredAny, IntoDeserializer as _, MapAccess, SeqAccess};
use serde::{Deserialize, Deserializer};
use serde_yaml::Spanned;

use crate::problems::{Place, Problem};
use crate::suggest::listed;

/// What is wrong with a value, whatever its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// What is wrong.
    pub(crate) message: String,
    /// What would be right.
    pub(crate) help: Option<String>,
}

impl Mistake {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// It, at its place.
    pub(crate) fn at(self, place: Place) -> Problem {
        Problem { message: self.message, help: self.help, place }
    }

    /// `what` should stand where `found` stands.
    pub(crate) fn expected(what: &str, found: &str) -> Self {
        Self::new(format!("expected {what}, found {found}"))
    }
}

/// A scalar as YAML's core schema reads it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scalar<'a> {
    Text(&'a str),
    Int(i128),
    Float(f64),
    Bool(bool),
    Null,
}

impl Scalar<'_> {
    /// For messages: "the number 5".
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Text(text) => format!("`{}`", shortened(text)),
            Self::Int(n) => format!("the number {n}"),
            Self::Float(n) => format!("the number {n}"),
            Self::Bool(b) => format!("`{b}`"),
            Self::Null => "nothing".to_owned(),
        }
    }
}

/// The start of a text that is too long to be quoted in a message.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    if text.chars().count() <= MOST { text.to_owned() } else { text.chars().take(MOST).chain(['…']).collect() }
}

/// Something that can stand at a place of the file: a scalar, a list or a map. Each kind is a mistake unless the form
/// says otherwise.
pub(crate) trait Form: Sized {
    /// What should stand here, for messages: "a duration".
    const WHAT: &'static str;

    /// What would be right where something else stands: "write a number with a unit: `5s`".
    fn right() -> String;

    /// Reads a scalar.
    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        Err(Self::mistaken(&scalar.describe()))
    }

    /// Reads a list.
    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Result<Self, Mistake>, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Err(Self::mistaken("a list")))
    }

    /// Reads a map.
    fn map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Result<Self, Mistake>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Err(Self::mistaken("a map")))
    }

    /// `found` stands where a `Self` should.
    fn mistaken(found: &str) -> Mistake {
        Mistake::expected(Self::WHAT, found).help(Self::right())
    }
}

/// A place of the file that should hold a `T`.
#[derive(Clone, Debug)]
pub(crate) struct Node<T> {
    /// Where.
    pub(crate) place: Place,
    /// What stands there.
    pub(crate) value: Result<T, Mistake>,
}

impl<'de, T: Form> Deserialize<'de> for Node<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = Spanned::<Read<T>>::deserialize(deserializer)?;
        Ok(Self { place: read.referenced.into(), value: read.value.0 })
    }
}

struct Read<T>(Result<T, Mistake>);

impl<'de, T: Form> Deserialize<'de> for Read<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor(PhantomData)).map(Self)
    }
}

struct Visitor<T>(PhantomData<T>);

impl<'de, T: Form> de::Visitor<'de> for Visitor<T> {
    type Value = Result<T, Mistake>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Self::Value, E> {
        Ok(T::scalar(Scalar::Bool(b)))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Self::Value, E> {
        Ok(T::scalar(Scalar::Int(n.into())))
    }

    fn visit_i128<E>(self, n: i128) -> Result<Self::Value, E> {
        Ok(T::scalar(Scalar::Int(n)))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Self::Value, E> {
        Ok(T::scalar(Scalar::Int(n.into())))
    }

    fn visit_f64<E>(self, n: f64) -> Result<Self::Value, E> {
        Ok(T::scalar(Scalar::Float(n)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(T::scalar(Scalar::Text(text)))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(T::scalar(Scalar::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        T::list(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::map(map)
    }
}

/// A key of a record that may be missing.
#[derive(Clone, Debug)]
pub(crate) struct Field<T>(pub(crate) Option<Node<T>>);

impl<T> Field<T> {
    /// Where its value stands, if it is there.
    pub(crate) fn place(&self) -> Option<Place> {
        self.0.as_ref().map(|node| node.place)
    }
}

impl<T> Default for Field<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Form> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Node::deserialize(deserializer).map(|node| Self(Some(node)))
    }
}

/// A map with fixed keys, the fields of `T`, all of them optional for `serde`.
#[derive(Clone, Debug)]
pub(crate) struct Record<T> {
    /// What its known keys hold.
    pub(crate) fields: T,
    /// Keys that are none of them.
    pub(crate) unknown: Vec<(Place, String)>,
    /// The keys that there are.
    pub(crate) known: &'static [&'static str],
}

impl<T: DeserializeOwned> Form for Record<T> {
    const WHAT: &'static str = "a map";

    fn right() -> String {
        let mut known: &'static [&'static str] = &[];
        // What becomes of it is no matter: a record tells its keys when it is asked to be read.
        let _ = T::deserialize(Keys(&mut known));
        format!("write `key: value` for some of its keys: {}", listed(known.iter().copied()))
    }

    fn map<'de, A: MapAccess<'de>>(map: A) -> Result<Result<Self, Mistake>, A::Error> {
        let mut unknown = Vec::new();
        let mut known: &'static [&'static str] = &[];
        let fields = T::deserialize(RecordReader { map, unknown: &mut unknown, known: &mut known })?;
        Ok(Ok(Self { fields, unknown, known }))
    }
}

/// Learns the keys of a derived `Deserialize`, and has nothing to be read.
struct Keys<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Keys<'_> {
    type Error = de::value::Error;

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        self.deserialize_any(visitor)
    }

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_map(de::value::MapDeserializer::new(std::iter::empty::<(&str, &str)>()))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// Hands a derived `Deserialize` the entries with known keys, and keeps the other keys.
struct RecordReader<'a, A> {
    map: A,
    unknown: &'a mut Vec<(Place, String)>,
    known: &'a mut &'static [&'static str],
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for RecordReader<'_, A> {
    type Error = A::Error;

    fn deserialize_struct<V: de::Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        *self.known = fields;
        visitor.visit_map(self)
    }

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_map(self.map)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for RecordReader<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.map.next_key::<Spanned<String>>()? {
            if self.known.contains(&key.value.as_str()) {
                let key: StrDeserializer<'_, A::Error> = key.value.as_str().into_deserializer();
                return seed.deserialize(key).map(Some);
            }
            self.unknown.push((key.referenced.into(), key.value));
            self.map.next_value::<IgnoredAny>()?;
        }
        Ok(None)
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

impl<T: Form> Form for Vec<Node<T>> {
    const WHAT: &'static str = "a list";

    fn right() -> String {
        "begin each entry with `- ` in a line of its own, or write `[..]` around all, with commas between".to_owned()
    }

    fn list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<Result<Self, Mistake>, A::Error> {
        let mut nodes = Self::new();
        while let Some(node) = list.next_element()? {
            nodes.push(node);
        }
        Ok(Ok(nodes))
    }
}

/// A map whose keys are names that the author chooses, in the order of the file.
#[derive(Clone, Debug)]
pub(crate) struct Entries<T>(pub(crate) Vec<(Place, String, Node<T>)>);

impl<T: Form> Form for Entries<T> {
    const WHAT: &'static str = "a map";

    fn right() -> String {
        format!("write `name: value`, where each value is {}", T::WHAT)
    }

    fn map<'de, A: MapAccess<'de>>(mut map: A) -> Result<Result<Self, Mistake>, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, node)) = map.next_entry::<Spanned<String>, Node<T>>()? {
            entries.push((key.referenced.into(), key.value, node));
        }
        Ok(Ok(Self(entries)))
    }
}

/// A value with a short form, a scalar or a list, and a long one, a map.
#[derive(Clone, Debug)]
pub(crate) enum Either<S, L> {
    Short(S),
    Long(L),
}

impl<S: Form, L: Form> Form for Either<S, L> {
    const WHAT: &'static str = S::WHAT;

    fn right() -> String {
        S::right()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        S::scalar(scalar).map(Self::Short)
    }

    fn list<'de, A: SeqAccess<'de>>(list: A) -> Result<Result<Self, Mistake>, A::Error> {
        Ok(S::list(list)?.map(Self::Short))
    }

    fn map<'de, A: MapAccess<'de>>(map: A) -> Result<Result<Self, Mistake>, A::Error> {
        Ok(L::map(map)?.map(Self::Long))
    }
}

/// The schema of a wrapper is that of what it wraps.
macro_rules! schema_of_inner {
    ($($wrapper:ident),*) => {$(
        impl<T: JsonSchema> JsonSchema for $wrapper<T> {
            fn inline_schema() -> bool {
                T::inline_schema()
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                T::schema_name()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                T::json_schema(generator)
            }
        }
    )*};
}

schema_of_inner!(Node, Field, Record);

impl<T: JsonSchema> JsonSchema for Entries<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("MapOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": generator.subschema_for::<T>()})
    }
}

impl<S: JsonSchema, L: JsonSchema> JsonSchema for Either<S, L> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("{}Or{}", S::schema_name(), L::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [generator.subschema_for::<S>(), generator.subschema_for::<L>()]})
    }
}
