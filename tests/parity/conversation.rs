//! A script, played to the nodes of one cluster.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use model::{Fault, NodeId, Target};
use real::RealCluster;
use testbed::Testbed;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::normalise::normalise;
use super::script::{Action, Deed, Mode, Script, Step};
use super::value::Value;
use super::{Addresses, PATIENCE};

/// What came of one line of a script.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// The line.
    pub(crate) line: usize,
    /// What was sent, for people.
    pub(crate) command: String,
    /// How it is to be compared.
    pub(crate) mode: Mode,
    /// What was answered, normalised.
    pub(crate) reply: Vec<String>,
}

/// After so long without a byte a connection counts as quiet.
const QUIET: Duration = Duration::from_millis(300);
/// Between two attempts at what is waited for.
const AGAIN: Duration = Duration::from_millis(50);

/// One of the clusters.
pub(crate) enum Side<'a> {
    Real(&'a mut RealCluster),
    Fake(&'a Testbed),
}

impl Side<'_> {
    async fn perform(&mut self, deed: Deed, node: NodeId) {
        let target = Target::Node(node);
        match self {
            Self::Real(cluster) => {
                let process = cluster.node_mut(node).expect("a node of the cluster");
                let done = match deed {
                    Deed::Kill => process.kill(),
                    // What ends by itself has closed its connections a moment before it is gone.
                    Deed::Restart => process.kill().and_then(|()| process.restart()),
                    Deed::Freeze => process.freeze(),
                    Deed::Thaw => process.thaw(),
                };
                done.unwrap_or_else(|error| panic!("{error}"));
            }
            Self::Fake(bed) => {
                let fault = match deed {
                    Deed::Kill => Fault::Kill(target),
                    Deed::Restart => Fault::Restart(target),
                    Deed::Freeze => Fault::Freeze(target),
                    Deed::Thaw => Fault::Thaw(target),
                };
                bed.inject(fault).await.unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }
}

/// Plays a script. In RESP3 every connection begins with `HELLO 3`, which is not compared.
///
/// # Panics
/// What is waited for does not come.
pub(crate) async fn play(script: &Script, mut side: Side<'_>, addresses: &Addresses, resp: u8) -> Vec<Exchange> {
    let mut connections: BTreeMap<(NodeId, &str), Connection> = BTreeMap::new();
    let mut exchanges = Vec::new();
    for step in &script.steps {
        match step.action {
            Action::Do(deed, node) => {
                side.perform(deed, node).await;
                continue;
            }
            Action::Sleep(time) => {
                sleep(time).await;
                continue;
            }
            _ => {}
        }
        let key = (step.node, step.connection.as_str());
        if connections.get(&key).is_none_or(|connection| connection.closed) {
            match Connection::open(script, addresses, step, resp).await {
                Ok(connection) => connections.insert(key, connection),
                Err(error) => {
                    let reply = vec![format!("({error})")];
                    let (line, command, mode) = (step.line, "a connection".to_owned(), step.mode.clone());
                    exchanges.push(Exchange { line, command, mode, reply });
                    continue;
                }
            };
        }
        let connection = connections.get_mut(&key).expect("just opened");
        let fill = |words: &[String]| words.iter().map(|word| place(word, addresses)).collect::<Vec<_>>();
        let (command, replies) = match &step.action {
            Action::Command(words) => {
                connection.send(&fill(words)).await;
                (words.join(" "), connection.replies(expected(words)).await)
            }
            Action::Send(words) => {
                connection.send(&fill(words)).await;
                continue;
            }
            Action::Do(..) | Action::Sleep(_) => continue,
            Action::Read(None) => ("@read".to_owned(), connection.replies(1).await),
            Action::Read(Some(text)) => {
                let wanted = place(text, addresses);
                loop {
                    let replies = connection.replies(1).await;
                    let shown = replies.iter().flat_map(Value::lines).collect::<Vec<_>>().join(" ");
                    if shown.contains(&wanted) || shown.starts_with('(') {
                        break (format!("@read {text}"), replies);
                    }
                }
            }
            Action::Raw(bytes) => {
                connection.write(bytes).await;
                (format!("@raw {}", bytes.escape_ascii()), connection.until_quiet().await)
            }
            Action::Until(text, words) => {
                let mut tries = PATIENCE.as_millis() / AGAIN.as_millis();
                loop {
                    connection.send(&fill(words)).await;
                    let replies = connection.replies(expected(words)).await;
                    let shown: Vec<String> = replies.iter().flat_map(Value::lines).collect();
                    let flat = shown.join(" ");
                    if flat.contains(text.as_str()) {
                        break;
                    }
                    tries -= 1;
                    assert!(tries > 0, "line {}: `{text}` did not come; the last reply was {flat}", step.line);
                    sleep(AGAIN).await;
                }
                continue;
            }
        };
        let replies = replies.into_iter().map(|reply| normalise(reply, addresses)).map(|reply| match step.mode {
            Mode::Sorted => reply.sorted(),
            Mode::Shape => reply.shape(false),
            Mode::Length => reply.shape(true),
            Mode::Exact | Mode::Differs(_) => reply,
        });
        let reply = replies.flat_map(|reply| reply.lines()).collect();
        let command = if step.connection == "a" { command } else { format!("/{}> {command}", step.connection) };
        exchanges.push(Exchange { line: step.line, command, mode: step.mode.clone(), reply });
    }
    exchanges
}

/// How many replies a command has: subscribing has one a topic.
fn expected(words: &[String]) -> usize {
    match words[0].to_ascii_lowercase().as_str() {
        "subscribe" | "psubscribe" | "ssubscribe" | "unsubscribe" | "punsubscribe" | "sunsubscribe" => {
            words.len().saturating_sub(1).max(1)
        }
        _ => 1,
    }
}

/// `{redis-1.ip}` and `{redis-1.port}` are the address of a node.
fn place(word: &str, addresses: &Addresses) -> String {
    let mut word = word.to_owned();
    for (node, addr) in addresses {
        word = word.replace(&format!("{{{node}.ip}}"), &addr.ip().to_string());
        word = word.replace(&format!("{{{node}.port}}"), &addr.port().to_string());
    }
    word
}

struct Connection {
    stream: TcpStream,
    unread: Vec<u8>,
    closed: bool,
}

impl Connection {
    async fn open(script: &Script, addresses: &Addresses, step: &Step, resp: u8) -> io::Result<Self> {
        let addr = addresses.get(&step.node).ok_or_else(|| io::Error::other(format!("there is no {}", step.node)))?;
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let mut connection = Self { stream, unread: Vec::new(), closed: false };
        if !step.connection.starts_with("bare") {
            if let Some(password) = script.password_of(step.node) {
                connection.send(&["AUTH".to_owned(), password.to_owned()]).await;
                connection.replies(1).await;
            }
            if resp == 3 {
                connection.send(&["HELLO".to_owned(), "3".to_owned()]).await;
                connection.replies(1).await;
            }
        }
        Ok(connection)
    }

    async fn send(&mut self, words: &[String]) {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
        }
        self.write(&bytes).await;
    }

    async fn write(&mut self, bytes: &[u8]) {
        // That the other end is gone shows in what is read.
        let _ = self.stream.write_all(bytes).await;
    }

    /// So many replies; fewer, and a word for it, if the connection is closed or nothing comes.
    async fn replies(&mut self, count: usize) -> Vec<Value> {
        let mut replies = Vec::new();
        while replies.len() < count {
            match self.next(PATIENCE).await {
                Ok(value) => replies.push(value),
                Err(word) => {
                    replies.push(Value::Line(word.to_owned()));
                    break;
                }
            }
        }
        replies
    }

    async fn until_quiet(&mut self) -> Vec<Value> {
        let mut replies = Vec::new();
        loop {
            match self.next(QUIET).await {
                Ok(value) => replies.push(value),
                Err(word) => {
                    replies.push(Value::Line(word.to_owned()));
                    return replies;
                }
            }
        }
    }

    async fn next(&mut self, within: Duration) -> Result<Value, &'static str> {
        loop {
            if let Some(value) = Value::take(&mut self.unread) {
                return Ok(value);
            }
            match timeout(within, self.stream.read_buf(&mut self.unread)).await {
                Err(_) => return Err("(nothing)"),
                Ok(Err(_) | Ok(0)) => {
                    self.closed = true;
                    return Err("(closed)");
                }
                Ok(Ok(_)) => {}
            }
        }
    }
}
