//! The lines that the lab and a program say to each other.
//!
//! | who | says | when |
//! |---|---|---|
//! | program | [`Hello`] | first |
//! | lab | [`Setup`] | then, once; an end of its input instead means that nothing is wanted but the hello |
//! | lab | [`Order`] | for each operation, any number of which may be open |
//! | program | [`Said`] | when one has ended, in any order, and for each message of a subscription |

use model::history::Cause;
use model::plan::{Need, Workload};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use testbed::driver::{Answer, CallError, Request, Settings, Topics};

/// The version of the protocol.
pub(super) const PROTOCOL: u32 = 1;

/// A hello.
const EXAMPLE: &str =
    r#"{"protocol": 1, "name": "redis-py", "version": "7.1.0", "about": "a Sentinel client", "can": ["counter"]}"#;

/// The object of JSON that a line is, or what is wrong with it.
fn object<T: DeserializeOwned>(line: &str) -> Result<T, String> {
    let value: Value = serde_json::from_str(line).map_err(|_| "it is not JSON".to_owned())?;
    if !value.is_object() {
        return Err("it is JSON, but no object".to_owned());
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// What a program says first.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hello {
    pub protocol: u32,
    /// Of the client, not of the program.
    pub name: String,
    pub version: String,
    /// How the client is used, in a few words.
    pub about: String,
    pub can: Vec<Able>,
}

impl Hello {
    /// What it says, or what is wrong with it.
    pub(super) fn read(line: &str) -> Result<Self, String> {
        let hello: Self =
            object(line).map_err(|problem| format!("{problem}; its hello is a line such as {EXAMPLE}"))?;
        if hello.protocol == PROTOCOL {
            Ok(hello)
        } else {
            Err(format!("it speaks protocol {}, and this is protocol {PROTOCOL}", hello.protocol))
        }
    }
}

/// One thing that a program can do, by its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Able(pub Need);

impl Able {
    /// Every need that a program can meet, with its word.
    fn words() -> impl Iterator<Item = (&'static str, Need)> {
        let workloads = Workload::ALL.map(|workload| (workload.name(), Need::Workload(workload)));
        let others = [
            ("callers", Need::Callers),
            ("database", Need::Database),
            ("patterns", Need::Patterns),
            ("address_map", Need::AddressMap),
            ("tls", Need::Tls),
            ("server_name", Need::ServerName),
        ];
        workloads.into_iter().chain(others)
    }
}

impl<'de> Deserialize<'de> for Able {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        let found = Self::words().find(|(known, _)| *known == word);
        found.map(|(_, need)| Self(need)).ok_or_else(|| {
            let known: Vec<&str> = Self::words().map(|(known, _)| known).collect();
            serde::de::Error::custom(format!("`can` has the word `{word}`; there are {}", known.join(", ")))
        })
    }
}

/// Host and port.
type Addr<'a> = (&'a str, u16);

/// What an application would be configured with.
#[derive(Debug, Serialize)]
pub(super) struct Setup<'a> {
    sentinels: Vec<Addr<'a>>,
    master: &'a str,
    username: Option<&'a str>,
    password: Option<&'a str>,
    sentinel_username: Option<&'a str>,
    sentinel_password: Option<&'a str>,
    database: u32,
    deadline_ms: u64,
    retry_ambiguous: bool,
    address_map: Vec<(Addr<'a>, Addr<'a>)>,
    tls: Option<SetupTls<'a>>,
}

/// How connections are encrypted.
#[derive(Debug, Serialize)]
struct SetupTls<'a> {
    authority: &'a str,
    data: bool,
    sentinels: bool,
    server_name: Option<&'a str>,
}

impl<'a> Setup<'a> {
    pub(super) fn of(settings: &'a Settings) -> Self {
        let addr = |(host, port): &'a (String, u16)| (host.as_str(), *port);
        let (data, sentinel) = (settings.data_auth.as_ref(), settings.sentinel_auth.as_ref());
        Self {
            sentinels: settings.sentinels.iter().map(addr).collect(),
            master: &settings.master,
            username: data.and_then(|auth| auth.user.as_deref()),
            password: data.map(|auth| auth.password.as_str()),
            sentinel_username: sentinel.and_then(|auth| auth.user.as_deref()),
            sentinel_password: sentinel.map(|auth| auth.password.as_str()),
            database: settings.database,
            deadline_ms: u64::try_from(settings.deadline.as_millis()).unwrap_or(u64::MAX),
            retry_ambiguous: settings.retry_ambiguous,
            address_map: settings.address_map.iter().map(|(from, to)| (addr(from), addr(to))).collect(),
            tls: settings.tls.as_ref().map(|tls| SetupTls {
                authority: &tls.authority,
                data: tls.data,
                sentinels: tls.sentinels,
                server_name: tls.server_name.as_deref(),
            }),
        }
    }
}

/// One operation: what it is, and its commands word by word.
#[derive(Debug, Serialize)]
pub(super) struct Order {
    pub id: u64,
    op: &'static str,
    commands: Vec<Vec<String>>,
}

impl Order {
    pub(super) fn of(id: u64, request: &Request) -> Self {
        let words = |(name, args): (&str, Vec<String>)| std::iter::once(name.to_owned()).chain(args).collect();
        Self { id, op: op(request), commands: request.commands().into_iter().map(words).collect() }
    }

    pub(super) fn subscribe(id: u64, topics: &Topics) -> Self {
        let channel = std::iter::once(("SUBSCRIBE", &topics.channel));
        let pattern = topics.pattern.iter().map(|pattern| ("PSUBSCRIBE", pattern));
        let commands = channel.chain(pattern).map(|(name, topic)| vec![name.to_owned(), topic.clone()]).collect();
        Self { id, op: "subscribe", commands }
    }
}

fn op(request: &Request) -> &'static str {
    match request {
        Request::Incr(_) => "incr",
        Request::Set(..) => "set",
        Request::Get(_) => "get",
        Request::ReplicaGet(_) => "replica_get",
        Request::Push(..) => "push",
        Request::Pop(..) => "pop",
        Request::Publish(..) => "publish",
        Request::Script(_) => "script",
        Request::Transaction(_) => "transaction",
        Request::Pipeline(_) => "pipeline",
        Request::Acquire(_) => "acquire",
        Request::Renew(_) => "renew",
        Request::Release(_) => "release",
        Request::Take(..) => "take",
        Request::Unfinished(_) => "unfinished",
        Request::Acknowledge(..) => "acknowledge",
        Request::CachedGet(_) => "cached_get",
    }
}

/// What a program says of an operation.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    pub id: u64,
    pub what: What,
}

/// What became of it.
#[derive(Debug, PartialEq)]
pub(super) enum What {
    /// It ended, with the reply.
    Value(Value),
    /// It ended, with an error.
    Error(CallError),
    /// A message reached the subscription, which goes on.
    Message(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    id: u64,
    #[serde(default, deserialize_with = "present")]
    value: Option<Value>,
    message: Option<String>,
    error: Option<String>,
    cause: Option<Cause>,
    may_have_run: Option<bool>,
}

/// `null` is a value.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Said {
    /// What the line says, or what is wrong with it.
    pub(super) fn read(line: &str) -> Result<Self, String> {
        let Raw { id, value, message, error, cause, may_have_run } = object(line)?;
        if error.is_none() && (cause.is_some() || may_have_run.is_some()) {
            return Err("`cause` and `may_have_run` go with an `error`".to_owned());
        }
        let what = match (value, message, error) {
            (Some(value), None, None) => What::Value(value),
            (None, Some(message), None) => What::Message(message),
            (None, None, Some(text)) => What::Error(CallError {
                may_have_run: may_have_run.unwrap_or(true),
                cause: cause.unwrap_or(Cause::Other),
                text,
            }),
            _ => return Err("one of `value`, `error` and `message` is needed".to_owned()),
        };
        Ok(Self { id, what })
    }
}

/// What the reply to `request` means; `None` if it is none that Redis gives.
pub(super) fn answer(request: &Request, value: Value) -> Option<Answer> {
    Some(match (request, value) {
        (_, Value::Null) => Answer::Nil,
        (_, Value::Bool(_)) => Answer::Done,
        (_, Value::Number(number)) => Answer::Number(number.as_i64()?),
        (_, Value::String(text)) if text == "OK" => Answer::Done,
        (_, Value::String(text)) => Answer::Value(text.into_bytes()),
        (Request::Transaction(_) | Request::Pipeline(_), Value::Array(_)) => Answer::Done,
        (Request::Pop(..), Value::Array(list)) => match <[Value; 2]>::try_from(list).ok()? {
            [_key, Value::String(item)] => Answer::Value(item.into_bytes()),
            _ => return None,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testbed::driver::Writes;

    use super::*;

    #[test]
    fn a_hello_is_read_or_refused_with_the_reason() {
        let hello = |protocol: u32, can: &str| {
            let hello = json!({"protocol": protocol, "name": "n", "version": "1", "about": "a", "can": [can]});
            Hello::read(&hello.to_string())
        };
        assert_eq!(hello(1, "replica_reads").unwrap().can, [Able(Need::Workload(Workload::ReplicaReads))]);
        assert_eq!(hello(1, "callers").unwrap().can, [Able(Need::Callers)]);
        assert_eq!(hello(2, "counter").unwrap_err(), "it speaks protocol 2, and this is protocol 1");
        let text = hello(1, "count").unwrap_err();
        assert!(text.contains("`count`; there are counter, register, ") && text.contains("address_map"), "{text}");
        assert!(Hello::read(r#"{"protocol":1}"#).unwrap_err().contains("missing field `name`"));
    }

    #[test]
    fn orders_in_words() {
        let order = |request: &Request| serde_json::to_string(&Order::of(7, request)).unwrap();
        assert_eq!(order(&Request::Incr("k".into())), r#"{"id":7,"op":"incr","commands":[["INCR","k"]]}"#);
        let [counter, key, list, item] = ["c", "k", "l", "i"].map(str::to_owned);
        assert_eq!(
            order(&Request::Transaction(Writes { counter, key, list, item })),
            r#"{"id":7,"op":"transaction","commands":[["INCR","c"],["LPUSH","l","i"]]}"#
        );
        let topics = |pattern: Option<&str>| Topics { channel: "news".into(), pattern: pattern.map(str::to_owned) };
        let order = serde_json::to_string(&Order::subscribe(7, &topics(None))).unwrap();
        assert_eq!(order, r#"{"id":7,"op":"subscribe","commands":[["SUBSCRIBE","news"]]}"#);
        let order = serde_json::to_string(&Order::subscribe(7, &topics(Some("n*")))).unwrap();
        assert_eq!(order, r#"{"id":7,"op":"subscribe","commands":[["SUBSCRIBE","news"],["PSUBSCRIBE","n*"]]}"#);
    }

    #[test]
    fn what_is_said_is_read_or_refused_with_the_reason() {
        let error = |may_have_run, cause| What::Error(CallError { may_have_run, cause, text: "x".into() });
        let table = [
            (r#"{"id":1,"value":null}"#, Ok(What::Value(Value::Null))),
            (r#"{"id":1,"value":[1]}"#, Ok(What::Value(json!([1])))),
            (r#"{"id":1,"message":"m"}"#, Ok(What::Message("m".into()))),
            (r#"{"id":1,"error":"x"}"#, Ok(error(true, Cause::Other))),
            (r#"{"id":1,"error":"x","cause":"no_master","may_have_run":false}"#, Ok(error(false, Cause::NoMaster))),
            (r#"{"id":1}"#, Err("one of `value`, `error` and `message` is needed")),
            (r#"{"id":1,"value":1,"error":"x"}"#, Err("one of `value`, `error` and `message` is needed")),
            (r#"{"id":1,"value":1,"cause":"auth"}"#, Err("`cause` and `may_have_run` go with an `error`")),
            (r#"{"id":1,"error":"x","cause":"bug"}"#, Err("unknown variant `bug`, expected one of `connection`")),
            (r#"{"id":1,"valeu":1}"#, Err("unknown field `valeu`")),
            ("hello", Err("it is not JSON")),
            ("7", Err("it is JSON, but no object")),
        ];
        for (line, expected) in table {
            match (Said::read(line), expected) {
                (Ok(said), Ok(what)) => assert_eq!(said, Said { id: 1, what }, "{line}"),
                (Err(text), Err(part)) => assert!(text.contains(part), "{line}: {text}"),
                (read, _) => panic!("{line}: {read:?}"),
            }
        }
    }

    #[test]
    fn values_in_words() {
        let (get, pop) = (Request::Get("k".into()), Request::Pop("q".into(), 1));
        let table = [
            (&get, json!(null), Some(Answer::Nil)),
            (&get, json!("v"), Some(Answer::Value(b"v".to_vec()))),
            (&get, json!("OK"), Some(Answer::Done)),
            (&get, json!(true), Some(Answer::Done)),
            (&get, json!(7), Some(Answer::Number(7))),
            (&get, json!(7.5), None),
            (&get, json!(["q", "v"]), None),
            (&pop, json!(["q", "v"]), Some(Answer::Value(b"v".to_vec()))),
            (&pop, json!(["q"]), None),
            (&pop, json!({}), None),
        ];
        for (request, value, expected) in table {
            assert_eq!(answer(request, value.clone()), expected, "{value}");
        }
    }
}
