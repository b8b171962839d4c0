//! The lines that the lab and a program say to each other.
//!
//! | who | says | when |
//! |---|---|---|
//! | program | [`Hello`] | first |
//! | lab | [`Setup`] | then, once; an end of its input instead means that nothing is wanted but the hello |
//! | lab | [`Order`] | for each operation, any number of which may be open |
//! | program | [`Said`] | when one has ended, in any order, and for each message of a subscription |

use std::fmt;

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

pub(super) fn op(request: &Request) -> &'static str {
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
            (None, None, Some(text)) if text.trim().is_empty() => {
                return Err("`error` is empty: say what happened".to_owned());
            }
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

/// What a value has to be.
#[derive(Clone, Copy)]
enum Form {
    /// As of `INCR`.
    Integer,
    /// Whether a lock was still one's own.
    Flag,
    /// As of `SET`.
    Done,
    /// As of `SET NX`.
    DoneOrNull,
    /// As of `GET`.
    TextOrNull,
    /// As of `BLPOP`, or the item alone.
    Popped,
    /// As of `EXEC`: a value for each command.
    List(&'static [Form]),
}

impl Form {
    const fn of(request: &Request) -> Self {
        match request {
            Request::Incr(_)
            | Request::Push(..)
            | Request::Publish(..)
            | Request::Script(_)
            | Request::Acknowledge(..) => Self::Integer,
            Request::Renew(_) | Request::Release(_) => Self::Flag,
            Request::Set(..) => Self::Done,
            Request::Acquire(_) => Self::DoneOrNull,
            Request::Get(_)
            | Request::ReplicaGet(_)
            | Request::CachedGet(_)
            | Request::Take(..)
            | Request::Unfinished(_) => Self::TextOrNull,
            Request::Pop(..) => Self::Popped,
            Request::Transaction(_) => Self::List(&[Self::Integer, Self::Integer]),
            Request::Pipeline(_) => Self::List(&[Self::Integer, Self::Done, Self::Integer]),
        }
    }

    /// What a value of this form means; `None` if `value` is none.
    fn read(self, value: &Value) -> Option<Answer> {
        let text = |text: &String| Answer::Value(text.clone().into_bytes());
        match (self, value) {
            (Self::Integer, Value::Number(number)) => number.as_i64().map(Answer::Number),
            (Self::Flag, Value::Number(number)) => {
                number.as_i64().filter(|flag| matches!(flag, 0 | 1)).map(Answer::Number)
            }
            (Self::Done | Self::DoneOrNull, Value::Bool(true)) => Some(Answer::Done),
            (Self::Done | Self::DoneOrNull, Value::String(text)) => (text == "OK").then_some(Answer::Done),
            (Self::DoneOrNull | Self::TextOrNull | Self::Popped, Value::Null) => Some(Answer::Nil),
            (Self::TextOrNull | Self::Popped, Value::String(item)) => Some(text(item)),
            (Self::Popped, Value::Array(list)) => match &list[..] {
                [Value::String(_key), Value::String(item)] => Some(text(item)),
                _ => None,
            },
            (Self::List(forms), Value::Array(list)) if list.len() == forms.len() => {
                let replies = forms.iter().zip(list).map(|(form, of)| form.read(of));
                replies.collect::<Option<Vec<Answer>>>()?.pop()
            }
            _ => None,
        }
    }
}

/// As what has to be there.
impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "an integer",
            Self::Flag => "1 or 0",
            Self::Done => "\"OK\" or true",
            Self::DoneOrNull => "\"OK\", true or null",
            Self::TextOrNull => "a string or null",
            Self::Popped => "a list of key and item, both strings, or the item, or null",
            Self::List(forms) => {
                let forms: Vec<String> = forms.iter().map(Self::to_string).collect();
                return write!(f, "a list of {}, one for each command: {}", forms.len(), forms.join("; "));
            }
        })
    }
}

/// What the value that `request` is answered with means, or what it has to be in its place.
pub(super) fn answer(request: &Request, value: &Value) -> Result<Answer, String> {
    let form = Form::of(request);
    form.read(value).ok_or_else(|| format!("the value of `{}` must be {form}", op(request)))
}

/// What a value of another form means that a program gives which has given values of the right one for such operations: its client has
/// taken the reply to another command, which the checks find (I9). `None` for operations that those do not hold to what nodes answered.
pub(super) fn foreign(request: &Request, value: &Value) -> Option<Answer> {
    let own_means =
        matches!(request, Request::Acquire(_) | Request::Renew(_) | Request::Release(_) | Request::Acknowledge(..));
    let answer = match value {
        Value::Null => Answer::Nil,
        Value::String(text) => Answer::Value(text.clone().into_bytes()),
        value => Answer::Value(value.to_string().into_bytes()),
    };
    Some(answer).filter(|_| !own_means)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testbed::driver::{Jobs, Lease, Writes};

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
            (r#"{"id":1,"error":" "}"#, Err("`error` is empty: say what happened")),
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
    fn values_of_another_form_are_told_from_those_of_every_operation() {
        let incr = Request::Incr("k".to_owned());
        let text = |text: &str| Some(Answer::Value(text.as_bytes().to_vec()));
        assert_eq!(foreign(&incr, &json!("OK")), text("OK"));
        assert_eq!(foreign(&incr, &json!(false)), text("false"));
        assert_eq!(foreign(&incr, &json!(null)), Some(Answer::Nil));
        assert_eq!(foreign(&Request::Get("k".to_owned()), &json!(1)), text("1"));
        let jobs = Jobs { waiting: "w".to_owned(), under_way: "u".to_owned() };
        assert_eq!(foreign(&Request::Acknowledge(jobs, "j".to_owned()), &json!("OK")), None);
    }

    #[test]
    fn values_are_taken_in_the_form_that_the_operation_has_and_in_no_other() {
        let word = || "w".to_owned();
        let lease = || Lease { key: word(), token: word(), ttl_ms: 1 };
        let jobs = || Jobs { waiting: word(), under_way: word() };
        let writes = || Writes { counter: word(), key: word(), list: word(), item: word() };
        let integers = vec![
            Request::Incr(word()),
            Request::Push(word(), word()),
            Request::Publish(word(), word()),
            Request::Script(word()),
            Request::Acknowledge(jobs(), word()),
        ];
        let strings = vec![
            Request::Get(word()),
            Request::ReplicaGet(word()),
            Request::CachedGet(word()),
            Request::Take(jobs(), 1),
            Request::Unfinished(jobs()),
        ];
        // All values that anybody may answer in one place, each with what it means.
        let [null, truth, ok] = [json!(null), json!(true), json!("OK")];
        let number = |number: i64| (json!(number), Answer::Number(number));
        let text = |text: &str| (json!(text), Answer::Value(text.as_bytes().to_vec()));
        let done = |value: &Value| (value.clone(), Answer::Done);
        let nil = || (null.clone(), Answer::Nil);
        let item = (json!(["q", "v"]), Answer::Value(b"v".to_vec()));
        let table = [
            (integers, "an integer", vec![number(0), number(1), number(-7)]),
            (strings, "a string or null", vec![text("1"), text("OK"), nil()]),
            (vec![Request::Set(word(), word())], "\"OK\" or true", vec![done(&ok), done(&truth)]),
            (vec![Request::Acquire(lease())], "\"OK\", true or null", vec![done(&ok), done(&truth), nil()]),
            (vec![Request::Renew(lease()), Request::Release(lease())], "1 or 0", vec![number(0), number(1)]),
            (
                vec![Request::Pop(word(), 1)],
                "a list of key and item, both strings, or the item, or null",
                vec![item, text("1"), text("OK"), nil()],
            ),
            (
                vec![Request::Transaction(writes())],
                "a list of 2, one for each command: an integer; an integer",
                vec![(json!([1, 2]), Answer::Number(2))],
            ),
            (
                vec![Request::Pipeline(writes())],
                "a list of 3, one for each command: an integer; \"OK\" or true; an integer",
                vec![(json!([1, "OK", 3]), Answer::Number(3)), (json!([1, true, 1]), Answer::Number(1))],
            ),
        ];
        let nonsense = [
            json!(false),
            json!(7.5),
            json!(1e30),
            json!({"a": 1}),
            json!([]),
            json!([1]),
            json!(["q"]),
            json!(["q", null]),
            json!(["q", 7]),
            json!([1, null]),
            json!([1, 1, 1]),
            json!([1, "OK", 1, 1]),
        ];
        let values: Vec<Value> = table
            .iter()
            .flat_map(|(_, _, taken)| taken.iter().map(|(value, _)| value.clone()))
            .chain(nonsense)
            .collect();
        for (requests, expected, taken) in &table {
            for (request, value) in requests.iter().flat_map(|request| values.iter().map(move |value| (request, value)))
            {
                let meant = taken.iter().find(|(good, _)| good == value).map(|(_, answer)| answer.clone());
                let refused = || format!("the value of `{}` must be {expected}", op(request));
                assert_eq!(answer(request, value), meant.ok_or_else(refused), "{request:?} {value}");
            }
        }
    }
}
