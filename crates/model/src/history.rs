//! [`History`]: what happened in a run, as the nodes saw it and as the clients claim it.
//!
//! Written as NDJSON, one record a line, after a first line that describes the run. Times are microseconds since the
//! start (`t_us`). The digest is over exactly these bytes, so two runs with the same digest were the same run.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::addr::Addr;
use crate::event::EventName;
use crate::id::{ClientId, NodeId, OpId, RunId};
use crate::plan::Cluster;
use crate::time::Time;

/// Version of the NDJSON form; raised when a field changes its meaning.
pub const FORMAT: u32 = 1;

/// The first line: what was run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// Title of the plan.
    pub title: String,
    /// Root seed.
    pub seed: u64,
    /// Data nodes and Sentinels.
    pub nodes: Vec<NodeId>,
    /// Clients and the driver each ran with.
    pub clients: Vec<(ClientId, String)>,
    /// Addresses of nodes, of those that have others than the usual ones.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub addresses: BTreeMap<NodeId, Addr>,
    /// How many times as fast as the real clock that of the run went, 1 or more; `None` in virtual time.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub speed: Option<u32>,
}

impl Header {
    /// The address of a node, as the payloads of events name it.
    pub fn address(&self, node: NodeId) -> Addr {
        self.addresses.get(&node).cloned().unwrap_or_else(|| Cluster::addr(node))
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When.
    #[serde(rename = "t_us")]
    pub at: Time,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// A step of the timeline fired, on these nodes. Empty if there was none to fire on: then it did nothing.
    Fault {
        /// Its sentence, as in `kill master`.
        fault: String,
        /// Index in the timeline; `None` if injected from code.
        step: Option<usize>,
        /// The nodes that it hit.
        nodes: Vec<NodeId>,
    },
    /// A lasting fault ended.
    Healed {
        /// Its sentence.
        fault: String,
        /// Index in the timeline.
        step: Option<usize>,
    },
    /// A node started, stopped, froze or went on.
    State {
        /// Which node.
        node: NodeId,
        /// Its new state.
        state: NodeState,
    },
    /// A Sentinel published an event.
    Event {
        /// Which Sentinel.
        node: NodeId,
        /// The event.
        event: EventName,
        /// Its text, with the addresses of the world.
        payload: String,
    },
    /// A Sentinel ran its `notification-script` or `client-reconfig-script`. Nothing is executed: this is all that happens.
    Script {
        /// Which Sentinel.
        node: NodeId,
        /// The path of the script, and its arguments.
        argv: Vec<String>,
    },
    /// A Sentinel's answer for a master changed.
    Answer {
        /// Which Sentinel.
        node: NodeId,
        /// The master's name.
        master: String,
        /// The node whose address it gives.
        addr: NodeId,
    },
    /// A data node became a master (`of` is `None`) or a replica.
    Role {
        /// Which node.
        node: NodeId,
        /// The node that it follows.
        of: Option<NodeId>,
    },
    /// A replica's link to its master came up or was lost.
    ReplicaLink {
        /// The replica.
        node: NodeId,
        /// Up or lost.
        up: bool,
        /// If up: by a full resynchronisation.
        full: bool,
    },
    /// A client's connection was accepted.
    Opened {
        /// The node.
        node: NodeId,
        /// The client.
        client: ClientId,
        /// Number of the connection in this run.
        conn: u64,
    },
    /// A client dialled an address at which others meet the node, and nobody answers this client. Told once for each node.
    Astray {
        /// The client.
        client: ClientId,
        /// The node.
        node: NodeId,
    },
    /// A client sent requests without end and let no time pass. From here on each takes 1 ms on its way, so that time does.
    Spins {
        /// The client.
        client: ClientId,
        /// How many it had sent at this instant.
        requests: u32,
    },
    /// A client's connection ended.
    Closed {
        /// The node.
        node: NodeId,
        /// The client.
        client: ClientId,
        /// Number of the connection.
        conn: u64,
        /// Who closed it.
        by: ClosedBy,
    },
    /// A node ran or refused a command of a client.
    Executed(Execution),
    /// A client began an operation.
    Started {
        /// Which.
        op: OpId,
        /// What it is.
        action: Action,
        /// The operation that it goes on with: the acquisition of the lock that it renews or gives back, the push of the job that it
        /// acknowledges, the write that the key is named after which it reads.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        of: Option<OpId>,
    },
    /// A client's operation ended, as the client tells it.
    Ended {
        /// Which.
        op: OpId,
        /// How.
        #[serde(flatten)]
        result: OpResult,
    },
    /// A message reached a subscriber.
    Delivered {
        /// The subscriber.
        client: ClientId,
        /// The publication that the message carries.
        op: OpId,
    },
    /// The clients have been stopped and dropped; what is left of them.
    Residue {
        /// The client.
        client: ClientId,
        /// Connections still open.
        open: u64,
        /// Tasks still alive on the runtime, over all clients.
        tasks: u64,
    },
    /// A stream of replication, as the link between the two nodes carried it. Told at the end of the run, in the order
    /// in which the streams began.
    Stream(Stream),
    /// What a data node was and held at the end.
    Final(FinalData),
    /// What a Sentinel answered at the end.
    FinalAnswer {
        /// The Sentinel.
        node: NodeId,
        /// The master's name.
        master: String,
        /// The node whose address it gives.
        addr: NodeId,
        /// True if it runs and can be reached.
        up: bool,
    },
}

/// What became of a node's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeState {
    /// Runs.
    Up,
    /// Does not run: connections are refused.
    Down,
    /// Stands still: connections are accepted, nothing is answered.
    Frozen,
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClosedBy {
    /// The client.
    Client,
    /// The node: `CLIENT KILL`, a protocol error, `QUIT`.
    Node,
    /// A fault: the process was killed, the connection cut.
    Fault,
}

/// A command at a node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    /// The node.
    pub node: NodeId,
    /// The client.
    pub client: ClientId,
    /// On which connection.
    pub conn: u64,
    /// Upper-case name, with the subcommand where there is one: `INCR`, `SENTINEL GET-MASTER-ADDR-BY-NAME`.
    pub command: String,
    /// The operation that it belongs to, if its arguments name one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub op: Option<OpId>,
    /// `None` if it ran, else the code of the error: `READONLY`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// True if it is a command that writes.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub write: bool,
    /// True if the node was a master.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub master: bool,
    /// The database that it ran in.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub database: u32,
    /// Where in the replication history it stands, if it changed the data set.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub position: Option<Position>,
    /// True if the connection was cut before the reply.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub reply_cut: bool,
    /// When the client sent it, if that was earlier: a partition held it up, or the process was frozen.
    #[serde(rename = "sent_us", skip_serializing_if = "Option::is_none", default)]
    pub sent: Option<Time>,
    /// What it was answered, if it has to do with keys or is a publication.
    #[serde(flatten)]
    pub value: Option<Value>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `INCR` of the operation's own key.
    Incr,
    /// `SET` of the operation's own value, or of its own key.
    Set,
    /// `GET` from the master.
    Get,
    /// `GET` from a replica.
    ReplicaGet,
    /// `LPUSH` of the operation's own item.
    Push,
    /// `BLPOP`.
    Pop,
    /// `PUBLISH` of the operation's own message.
    Publish,
    /// `SUBSCRIBE`.
    Subscribe,
    /// `EVAL` of a script that increments the operation's own key.
    Script,
    /// `MULTI`, two writes of the operation's own keys, `EXEC`.
    Transaction,
    /// Three writes of the operation's own keys, sent at once.
    Pipeline,
    /// `SET` of a lock, if nobody has it, to this operation. The number that it gives is 1 if the lock was had, else 0.
    Acquire,
    /// A longer life for a lock that is still one's own. The number is 1 if it is, else 0.
    Renew,
    /// The end of a lock that is still one's own.
    Release,
    /// `BLMOVE` of a job to those under way.
    Take,
    /// `LINDEX`: a job that is under way from before.
    Unfinished,
    /// `LREM` of a job that is done from those under way.
    Acknowledge,
    /// `GET` through the client's own cache.
    CachedGet,
}

impl Action {
    /// True if it changes data, so that it must not be lost or doubled.
    pub const fn writes(self) -> bool {
        self.parts() > 0
    }

    /// How many commands that write it is made of.
    pub const fn parts(self) -> usize {
        match self {
            Self::Incr | Self::Set | Self::Push | Self::Pop | Self::Script | Self::Take => 1,
            Self::Transaction => 2,
            Self::Pipeline => 3,
            Self::Get | Self::ReplicaGet | Self::CachedGet | Self::Unfinished | Self::Publish | Self::Subscribe => 0,
            // A lock does not last, and a job may be ended twice without harm; both are judged by themselves.
            Self::Acquire | Self::Renew | Self::Release | Self::Acknowledge => 0,
        }
    }

    /// True if it must go to the master.
    pub const fn master_bound(self) -> bool {
        !matches!(self, Self::ReplicaGet)
    }
}

/// How an operation ended, as the client tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum OpResult {
    /// It succeeded.
    Ok {
        /// What it reports.
        #[serde(flatten)]
        value: Option<Value>,
    },
    /// It failed and did not run.
    Failed(OpError),
    /// It failed and may have run.
    Ambiguous(OpError),
    /// The call was still open when the run ended.
    Unfinished,
}

/// What a reply says, by which it is told from others. `OK` is none, and so is whatever else is not among these. Of several replies, as
/// of a transaction, and of a list, as of a pop, it is the last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Null: no such key, or nothing to take.
    Nil,
    /// A number.
    Number(i64),
    /// The item or value of this operation.
    Got(OpId),
    /// Text that names no operation.
    Text(String),
}

impl Value {
    /// What a text says.
    pub fn of(text: &[u8]) -> Self {
        OpId::find(text).map_or_else(|| Self::Text(String::from_utf8_lossy(text).into_owned()), Self::Got)
    }
}

/// As in `writer#3 reported the value of writer#2`.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nil => f.write_str("null"),
            Self::Number(number) => number.fmt(f),
            Self::Got(op) => write!(f, "the value of {op}"),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// An error as the client reported it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpError {
    /// What the client says that happened.
    pub cause: Cause,
    /// The text of the error.
    pub error: String,
}

/// What a client's error says that happened, as its type and text tell; invariant 7 holds it to the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A connection was lost or refused.
    Connection,
    /// Something took too long.
    Timeout,
    /// A node, or a Sentinel, answered an error.
    Server,
    /// No Sentinel could be reached.
    NoSentinel,
    /// The Sentinels answered and do not know the master.
    UnknownMaster,
    /// The Sentinels gave an address whose node is not, or not yet, a master, or cannot be reached.
    NoMaster,
    /// Wrong or missing credentials.
    Auth,
    /// Anything else.
    Other,
}

/// A stream of replication from a master, or from a replica that passes it on, to a replica. It is the link's own
/// account: what the nodes say about themselves is held against it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stream {
    /// The replica.
    pub node: NodeId,
    /// The node that it follows.
    pub of: NodeId,
    /// When that one began it.
    #[serde(rename = "begun_us")]
    pub begun: Time,
    /// True if it began with a snapshot, which replaces the data set of the replica; false if it went on where the
    /// replica stood.
    pub full: bool,
    /// How far `of` sent it.
    pub sent: Position,
    /// How far `node` received it, in the same replication history.
    pub received: Position,
}

/// What a data node was and held at the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinalData {
    /// The node.
    pub node: NodeId,
    /// `None` if it is a master, else the node that it follows.
    pub of: Option<NodeId>,
    /// True if it runs and can be reached.
    pub up: bool,
    /// Replication offset.
    pub offset: u64,
    /// The stretches of replication history that its data set descends from, oldest first: for each replication id the
    /// offset up to which it was followed. A write at [`Position`] p is part of the data set, whatever has overwritten
    /// or removed it since, if the stretch of p's id reaches p's offset.
    pub lineage: Vec<Position>,
}

impl FinalData {
    /// True if the data set descends from the write at `position`.
    pub fn holds(&self, position: &Position) -> bool {
        self.lineage.iter().any(|end| end.replid == position.replid && end.offset >= position.offset)
    }
}

/// A place in replication history: replication id and offset, written `3f0c9a51:1234`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The first 8 digits of the replication id.
    pub replid: u32,
    /// The replication offset.
    pub offset: u64,
}

impl Position {
    /// The position at `offset` of the history called `replid`.
    pub fn new(replid: &RunId, offset: u64) -> Self {
        Self { replid: u32::from_str_radix(&replid.as_str()[..8], 16).unwrap_or(0), offset }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}:{}", self.replid, self.offset)
    }
}

impl FromStr for Position {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        let (replid, offset) = s.split_once(':').ok_or(())?;
        let replid = u32::from_str_radix(replid, 16).map_err(|_| ())?;
        Ok(Self { replid, offset: offset.parse().map_err(|_| ())? })
    }
}

impl Serialize for Position {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Position {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|()| serde::de::Error::custom(format!("`{text}` is not a position `3f0c9a51:1234`")))
    }
}

/// What happened in a run, in the order in which it happened.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// What was run.
    pub header: Header,
    /// What happened.
    pub records: Vec<Record>,
}

impl History {
    /// Adds a record.
    pub fn push(&mut self, at: Time, what: What) {
        self.records.push(Record { at, what });
    }

    /// Writes it as NDJSON.
    pub fn write_ndjson(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut out, &self.header)?;
        out.write_all(b"\n")?;
        for record in &self.records {
            serde_json::to_writer(&mut out, record)?;
            out.write_all(b"\n")?;
        }
        Ok(())
    }

    /// Reads it back. The error names the line.
    pub fn read_ndjson(input: impl BufRead) -> io::Result<Self> {
        fn at_line(number: usize) -> impl Fn(serde_json::Error) -> io::Error {
            move |error| io::Error::new(io::ErrorKind::InvalidData, format!("line {number}: {error}"))
        }
        let mut lines = input.lines().enumerate();
        let Some((_, first)) = lines.next() else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "an empty file is no history"));
        };
        let header: Header = serde_json::from_str(&first?).map_err(at_line(1))?;
        if header.format != FORMAT {
            let text = format!("line 1: format {} instead of {FORMAT}", header.format);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let mut records = Vec::new();
        for (index, line) in lines {
            records.push(serde_json::from_str(&line?).map_err(at_line(index + 1))?);
        }
        Ok(Self { header, records })
    }

    /// SHA-256 over the NDJSON form, as 64 hex digits.
    pub fn digest(&self) -> String {
        use std::fmt::Write as _;
        let mut hasher = HashWriter(Sha256::new());
        self.write_ndjson(&mut hasher).expect("hashing does not fail");
        let mut hex = String::with_capacity(64);
        for byte in hasher.0.finalize() {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

struct HashWriter(Sha256);

impl Write for HashWriter {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0.update(buf);
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> History {
        let op = OpId { client: ClientId::new("writer"), seq: 1 };
        let mut history =
            History { header: Header { format: FORMAT, seed: 7, ..Header::default() }, ..History::default() };
        history.push(Time::from_millis(1), What::Started { op: op.clone(), action: Action::Incr, of: None });
        history.push(
            Time::from_millis(2),
            What::Executed(Execution {
                node: NodeId::data(1),
                client: op.client.clone(),
                conn: 3,
                command: "INCR".into(),
                op: Some(op.clone()),
                error: None,
                write: true,
                master: true,
                database: 3,
                position: Some(Position { replid: 0x3f0c_9a51, offset: 31 }),
                reply_cut: false,
                sent: None,
                value: Some(Value::Number(1)),
            }),
        );
        for value in [None, Some(Value::Nil), Some(Value::Got(op.clone())), Some(Value::Text("PONG".into()))] {
            history.push(Time::from_millis(2), What::Ended { op: op.clone(), result: OpResult::Ok { value } });
        }
        history.push(
            Time::from_millis(2),
            What::Ended { op, result: OpResult::Failed(OpError { cause: Cause::Timeout, error: "slow".into() }) },
        );
        history
    }

    #[test]
    fn ndjson_reads_back() {
        let history = sample();
        let mut bytes = Vec::new();
        history.write_ndjson(&mut bytes).unwrap();
        assert_eq!(History::read_ndjson(&bytes[..]).unwrap(), history);
        let text = String::from_utf8(bytes).unwrap();
        for line in [
            r#"{"t_us":1000,"kind":"started","op":"writer#1","action":"incr"}"#,
            r#""position":"3f0c9a51:31","number":1}"#,
            r#"{"t_us":2000,"kind":"ended","op":"writer#1","result":"ok"}"#,
            r#"{"t_us":2000,"kind":"ended","op":"writer#1","result":"ok","nil":null}"#,
            r#"{"t_us":2000,"kind":"ended","op":"writer#1","result":"ok","got":"writer#1"}"#,
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }

    #[test]
    fn a_broken_line_is_named() {
        let error =
            History::read_ndjson(&b"{\"format\":1,\"title\":\"\",\"seed\":0,\"nodes\":[],\"clients\":[]}\nx\n"[..]);
        assert!(error.unwrap_err().to_string().starts_with("line 2:"));
    }

    #[test]
    fn the_digest_tells_runs_apart() {
        let mut other = sample();
        assert_eq!(other.digest(), sample().digest());
        other.records.pop();
        assert_ne!(other.digest(), sample().digest());
    }
}
