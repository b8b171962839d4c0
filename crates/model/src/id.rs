//! Identities: nodes, clients, operations, run ids, epochs.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rand::RngExt as _;
use serde::{Deserialize, Serialize};

use crate::seed::Rng;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// A data node: a master or a replica, which is a matter of the moment.
    Data,
    /// A Sentinel.
    Sentinel,
}

/// A node of the cluster. Its name, `redis-1` or `sentinel-2`, follows from kind and number (from 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// Data node or Sentinel.
    pub kind: NodeKind,
    /// From 1, per kind.
    pub number: u16,
}

impl NodeId {
    /// Data node number `number`, from 1: `redis-1`.
    pub const fn data(number: u16) -> Self {
        Self { kind: NodeKind::Data, number }
    }

    /// Sentinel number `number`, from 1: `sentinel-1`.
    pub const fn sentinel(number: u16) -> Self {
        Self { kind: NodeKind::Sentinel, number }
    }

    /// True for a Sentinel.
    pub fn is_sentinel(self) -> bool {
        self.kind == NodeKind::Sentinel
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            NodeKind::Data => write!(f, "redis-{}", self.number),
            NodeKind::Sentinel => write!(f, "sentinel-{}", self.number),
        }
    }
}

impl FromStr for NodeId {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        let (kind, number) = if let Some(n) = s.strip_prefix("redis-") {
            (NodeKind::Data, n)
        } else if let Some(n) = s.strip_prefix("sentinel-") {
            (NodeKind::Sentinel, n)
        } else {
            return Err(());
        };
        match number.parse() {
            Ok(number) if number > 0 => Ok(Self { kind, number }),
            _ => Err(()),
        }
    }
}

impl Serialize for NodeId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|()| serde::de::Error::custom(format!("`{name}` is not a node name")))
    }
}

/// A client under test, by the `id` that the plan gives it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub Arc<str>);

impl ClientId {
    /// The client called `name`.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One operation of one client, written `writer#17`. Workloads put it into keys or values, so that what a node executes
/// can be traced to the operation that asked for it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId {
    /// Who asked.
    pub client: ClientId,
    /// Counted from 1 per client.
    pub seq: u64,
}

impl OpId {
    /// Finds the operation named in a key or value: `writer#17`, or the same after a prefix that ends in a colon, as in
    /// `counter:writer#17`. Client names hold neither `:` nor `#`.
    pub fn find(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let (client, seq) = text.rsplit_once('#')?;
        let client = client.rsplit(':').next()?;
        if client.is_empty() {
            return None;
        }
        Some(Self { client: ClientId::new(client), seq: seq.parse().ok()? })
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.client, self.seq)
    }
}

impl Serialize for OpId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for OpId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::find(name.as_bytes()).ok_or_else(|| serde::de::Error::custom(format!("`{name}` is not an operation")))
    }
}

/// 40 lower-case hex digits: a run id, a Sentinel's id, or a replication id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Arc<str>);

impl RunId {
    /// A new one, drawn from `rng`.
    pub fn random(rng: &mut Rng) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut id = String::with_capacity(40);
        for _ in 0..5 {
            let mut word: u32 = rng.random();
            for _ in 0..8 {
                id.push(HEX[(word & 15) as usize] as char);
                word >>= 4;
            }
        }
        Self(Arc::from(id))
    }

    /// The id written as `text`; `None` unless that is exactly 40 hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| Self(Arc::from(text)))
    }

    /// What somebody calls its own, which a Sentinel does not look at.
    pub fn told(text: &str) -> Self {
        Self(Arc::from(text))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A configuration epoch of Sentinel: the version of an election, a vote or an address.
pub type Epoch = u64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn node_names_read_back() {
        for node in [NodeId::data(1), NodeId::sentinel(12)] {
            assert_eq!(node.to_string().parse(), Ok(node));
        }
        assert!("redis-0".parse::<NodeId>().is_err());
        assert!("redis".parse::<NodeId>().is_err());
    }

    #[test]
    fn operations_are_found_behind_a_prefix() {
        let op = OpId { client: ClientId::new("writer"), seq: 17 };
        assert_eq!(OpId::find(b"writer#17"), Some(op.clone()));
        assert_eq!(OpId::find(b"counter:writer#17"), Some(op));
        assert_eq!(OpId::find(b"plain"), None);
        assert_eq!(OpId::find(b"#3"), None);
        assert_eq!(OpId::find(b"a#b"), None);
    }

    #[test]
    fn run_ids_are_forty_hex_digits() {
        let id = RunId::random(&mut Seed(1).stream("x"));
        assert_eq!(RunId::parse(id.as_str()), Some(id));
        assert_eq!(RunId::parse("xyz"), None);
    }
}
