//! What a node says that it is: the reply to `ROLE`.

use std::fmt;

use redis::Value;

use crate::reply;

/// What a node says that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Role {
    /// A master.
    Master,
    /// A replica, and whether it is in sync with its master.
    Replica {
        /// True if its link to the master is `connected`.
        connected: bool,
    },
    /// Neither: a Sentinel, or something that is not known.
    Other(String),
}

impl Role {
    /// Reads the reply to `ROLE`; `None` if it is none.
    pub(crate) fn read(reply: &Value) -> Option<Self> {
        let Value::Array(items) = reply else { return None };
        let role = reply::text(items.first()?)?;
        Some(match role.as_str() {
            "master" => Self::Master,
            "slave" => Self::Replica { connected: items.get(3).and_then(reply::text).as_deref() == Some("connected") },
            _ => Self::Other(role),
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Master => f.write_str("a master"),
            Self::Replica { connected: true } => f.write_str("a replica"),
            Self::Replica { connected: false } => f.write_str("a replica without its master"),
            Self::Other(role) => write!(f, "`{role}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn replies() {
        let replica = |state: &str, offset| {
            Value::Array(vec![bulk("slave"), bulk("10.0.0.1"), Value::Int(6379), bulk(state), Value::Int(offset)])
        };
        let table = [
            (Value::Array(vec![bulk("master"), Value::Int(7), Value::Array(vec![])]), Some(Role::Master)),
            (replica("connected", 7), Some(Role::Replica { connected: true })),
            (replica("connect", -1), Some(Role::Replica { connected: false })),
            (Value::Array(vec![bulk("slave")]), Some(Role::Replica { connected: false })),
            (Value::Array(vec![bulk("sentinel"), Value::Array(vec![])]), Some(Role::Other("sentinel".into()))),
            (Value::Array(vec![]), None),
            (Value::Nil, None),
        ];
        for (reply, role) in table {
            assert_eq!(Role::read(&reply), role, "{reply:?}");
        }
    }
}
