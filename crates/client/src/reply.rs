//! What Sentinels answer, read. Replies that make no sense read as `None`; entries that make none are left out.

use redis::Value;

use crate::address::Address;
use crate::error::OpenError;
use crate::link::open_error;

/// Flags of a replica that make it useless: it or its link is down, or it waits for a dead master.
const UNUSABLE: [&str; 4] = ["s_down", "o_down", "disconnected", "master_down"];

/// What `read` makes of one of several replies.
pub(crate) fn answer<T>(reply: &Value, read: fn(&Value) -> Option<T>) -> Result<T, OpenError> {
    match reply {
        Value::ServerError(error) => Err(open_error(&error.clone().into())),
        reply => read(reply).ok_or_else(|| OpenError::Answer("the reply makes no sense".to_owned())),
    }
}

/// What `read` makes of the reply to the only question.
pub(crate) fn only_answer<T>(replies: &[Value], read: fn(&Value) -> Option<T>) -> Result<T, OpenError> {
    match replies {
        [reply] => answer(reply, read),
        _ => Err(OpenError::Answer("one question needs one answer".to_owned())),
    }
}

/// The text of a simple or bulk string.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The reply to `SENTINEL GET-MASTER-ADDR-BY-NAME`: the outer `None` if it is none, the inner one if the name is
/// unknown.
#[allow(clippy::option_option)]
pub(crate) fn master_address(reply: &Value) -> Option<Option<Address>> {
    match reply {
        Value::Nil => Some(None),
        Value::Array(pair) => match pair.as_slice() {
            [host, port] => address(&text(host)?, &text(port)?).map(Some),
            _ => None,
        },
        _ => None,
    }
}

/// The reply to `SENTINEL SENTINELS`: where the other Sentinels are, each once, and their run ids.
pub(crate) fn sentinels(reply: &Value) -> Option<Vec<(Address, Option<String>)>> {
    let mut sentinels: Vec<(Address, Option<String>)> = Vec::new();
    for fields in instances(reply)? {
        if let Some(address) = place(&fields).filter(|address| sentinels.iter().all(|(known, _)| known != address)) {
            sentinels.push((address, field(&fields, "runid").and_then(id)));
        }
    }
    Some(sentinels)
}

/// The reply to `SENTINEL MYID`, which Sentinels before 6.2 do not know.
pub(crate) fn run_id(reply: &Value) -> Option<String> {
    id(&text(reply)?)
}

fn id(text: &str) -> Option<String> {
    (text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| text.to_owned())
}

/// The reply to `SENTINEL REPLICAS`: where the replicas are that are worth an attempt.
pub(crate) fn replicas(reply: &Value) -> Option<Vec<Address>> {
    let usable = |fields: &Fields| {
        let flags = field(fields, "flags").unwrap_or_default();
        flags.split(',').all(|flag| !UNUSABLE.contains(&flag))
    };
    Some(instances(reply)?.iter().filter(|fields| usable(fields)).filter_map(place).collect())
}

/// The payload of `+switch-master`: the master's name and its new address.
pub(crate) fn switch_master(payload: &str) -> Option<(String, Address)> {
    let words: Vec<&str> = payload.split(' ').collect();
    match words.as_slice() {
        [name, _, _, host, port] => Some(((*name).to_owned(), address(host, port)?)),
        _ => None,
    }
}

/// The payload of `+promoted-slave`: the master's name and the address of the replica that takes its place.
pub(crate) fn promoted(payload: &str) -> Option<(String, Address)> {
    let words: Vec<&str> = payload.split(' ').collect();
    match words.as_slice() {
        ["slave", _, host, port, "@", name, _, _] => Some(((*name).to_owned(), address(host, port)?)),
        _ => None,
    }
}

/// The reply to `SENTINEL MASTER`: the epoch of its configuration.
pub(crate) fn config_epoch(reply: &Value) -> Option<u64> {
    field(&fields(reply), "config-epoch")?.parse().ok()
}

type Fields = Vec<(String, String)>;

fn instances(reply: &Value) -> Option<Vec<Fields>> {
    let Value::Array(items) = reply else { return None };
    Some(items.iter().map(fields).collect())
}

fn fields(instance: &Value) -> Fields {
    match instance {
        Value::Array(flat) => flat.chunks(2).filter_map(|pair| Some((text(&pair[0])?, text(pair.get(1)?)?))).collect(),
        Value::Map(pairs) => pairs.iter().filter_map(|(key, value)| Some((text(key)?, text(value)?))).collect(),
        _ => Fields::new(),
    }
}

fn field<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

fn place(fields: &Fields) -> Option<Address> {
    address(field(fields, "ip")?, field(fields, "port")?)
}

fn address(host: &str, port: &str) -> Option<Address> {
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty()).then(|| Address::new(host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn list(words: &str) -> Value {
        Value::Array(words.split(' ').map(bulk).collect())
    }

    #[test]
    fn master_addresses() {
        assert_eq!(master_address(&list("10.0.0.1 6379")), Some(Some(Address::new("10.0.0.1", 6379))));
        assert_eq!(master_address(&list("::1 6379")), Some(Some(Address::new("::1", 6379))));
        assert_eq!(master_address(&Value::Nil), Some(None));
        for nonsense in [list("10.0.0.1"), list("10.0.0.1 x"), list("10.0.0.1 0"), Value::Int(1)] {
            assert_eq!(master_address(&nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn sentinels_are_ip_and_port_each_once() {
        let reply = Value::Array(vec![
            list("name 3f0c ip 10.0.0.2 port 26379 flags sentinel"),
            list("name 9a51 ip 10.0.0.2 port 26379 flags sentinel"),
            list("name dead ip  port 0"),
            Value::Int(3),
            Value::Map(vec![(bulk("ip"), bulk("s3")), (bulk("port"), bulk("26380"))]),
        ]);
        let addresses = [Address::new("10.0.0.2", 26379), Address::new("s3", 26380)];
        assert_eq!(sentinels(&reply), Some(addresses.map(|address| (address, None)).to_vec()));
        let id = "b703f7937e70b05836074e4d8cb180e488bb334a";
        let told = sentinels(&Value::Array(vec![list(&format!("ip s1 port 1 runid {id}"))]));
        assert_eq!(told, Some(vec![(Address::new("s1", 1), Some(id.to_owned()))]));
        assert_eq!((run_id(&bulk(id)), run_id(&bulk("OK"))), (Some(id.to_owned()), None));
        assert_eq!(sentinels(&Value::Nil), None);
    }

    #[test]
    fn replicas_that_are_down_are_left_out() {
        let replica = |host: &str, flags: &str| list(&format!("name x ip {host} port 6379 flags {flags}"));
        let reply = Value::Array(vec![
            replica("a", "slave"),
            replica("b", "s_down,slave"),
            replica("c", "slave,disconnected"),
            replica("d", "slave,master_down"),
            replica("e", "slave,promoted"),
        ]);
        let hosts: Vec<String> = replicas(&reply).unwrap().iter().map(|address| address.host().to_owned()).collect();
        assert_eq!(hosts, ["a", "e"]);
    }

    #[test]
    fn switches() {
        let expected = Some(("m".to_owned(), Address::new("10.0.0.2", 6380)));
        assert_eq!(switch_master("m 10.0.0.1 6379 10.0.0.2 6380"), expected);
        assert_eq!(switch_master("m 10.0.0.1 6379"), None);
        assert_eq!(promoted("slave 10.0.0.2:6380 10.0.0.2 6380 @ m 10.0.0.1 6379"), expected);
        assert_eq!(promoted("master m 10.0.0.1 6379"), None);
    }

    #[test]
    fn epochs() {
        assert_eq!(config_epoch(&list("name m config-epoch 7")), Some(7));
        assert_eq!(config_epoch(&list("name m")), None);
        assert_eq!(config_epoch(&Value::Nil), None);
    }
}
