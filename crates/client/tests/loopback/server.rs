//! A RESP server on loopback whose answers a test can change while it runs, for Sentinels and data nodes alike.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use sentinel_client::Address;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, BufWriter};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, broadcast};

/// How a client asks for the master.
pub(crate) const QUESTION: &str = "SENTINEL GET-MASTER-ADDR-BY-NAME MYMASTER";

/// What a server does with a command that it read.
#[derive(Clone, Debug)]
pub(crate) enum Reaction {
    /// Answers this, in RESP.
    Say(String),
    /// Answers this after this long, and reads nothing meanwhile.
    Later(Duration, String),
    /// Answers nothing.
    Hang,
    /// Closes the connection without an answer.
    Close,
    /// Answers nothing, and reads nothing more.
    Stop,
}

impl Reaction {
    pub(crate) fn say(resp: impl Into<String>) -> Self {
        Self::Say(resp.into())
    }
}

/// A simple string.
pub(crate) fn ok() -> Reaction {
    Reaction::say("+OK\r\n")
}

/// An array of bulk strings.
pub(crate) fn words(words: &[&str]) -> Reaction {
    Reaction::Say(array(words))
}

/// An array of bulk strings, in RESP.
pub(crate) fn array(words: &[&str]) -> String {
    let bulks: Vec<String> = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len())).collect();
    format!("*{}\r\n{}", words.len(), bulks.concat())
}

/// The reply of a master to `ROLE`.
pub(crate) fn role_master() -> Reaction {
    Reaction::say("*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n")
}

/// The reply of a replica to `ROLE`.
pub(crate) fn role_replica(state: &str) -> Reaction {
    Reaction::Say(format!("*5\r\n$5\r\nslave\r\n$1\r\nm\r\n:1\r\n${}\r\n{state}\r\n:-1\r\n", state.len()))
}

#[derive(Default)]
struct Inner {
    /// Answers by the beginning of the command, in upper case; the longest that fits counts.
    answers: BTreeMap<String, Reaction>,
    /// Every command that came, words separated by spaces, and the number of its connection.
    seen: Vec<(u64, String)>,
    connections: u64,
    /// Connections that are open.
    open: u64,
    /// Commands are not remembered.
    forgetful: bool,
}

/// The server. Dropping it closes nothing; its tasks end with the runtime of the test.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: Address,
    inner: Arc<Mutex<Inner>>,
    kill: Arc<Notify>,
    publish: broadcast::Sender<String>,
}

impl Server {
    /// Starts one that answers `OK` to everything.
    pub(crate) async fn start() -> Self {
        Self::at("127.0.0.1").await
    }

    /// The same at this address.
    pub(crate) async fn at(host: &str) -> Self {
        let listener = TcpListener::bind((host, 0)).await.expect("a loopback port");
        let port = listener.local_addr().expect("an address").port();
        let server = Self {
            address: Address::new(host, port),
            inner: Arc::default(),
            kill: Arc::default(),
            publish: broadcast::Sender::new(16),
        };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = accepting.clone();
                tokio::spawn(async move {
                    serving.inner().open += 1;
                    serving.clone().serve(stream).await;
                    serving.inner().open -= 1;
                });
            }
        });
        server
    }

    /// A data node that is a master.
    pub(crate) async fn master() -> Self {
        let server = Self::start().await;
        server.on("ROLE", role_master());
        server
    }

    /// A Sentinel that knows `mymaster` at `master`.
    pub(crate) async fn sentinel(master: &Address) -> Self {
        let server = Self::start().await;
        server.on("SENTINEL SENTINELS", words(&[]));
        server.names(master);
        server
    }

    /// From now on this Sentinel names `master`.
    pub(crate) fn names(&self, master: &Address) {
        let reply = words(&[master.host(), &master.port().to_string()]);
        self.on(QUESTION, reply);
    }

    /// From now on commands that begin so are answered so.
    pub(crate) fn on(&self, command: &str, reaction: Reaction) {
        self.inner().answers.insert(command.to_ascii_uppercase(), reaction);
    }

    /// Closes all connections.
    pub(crate) fn kill(&self) {
        self.kill.notify_waiters();
    }

    /// Sends a message to all subscribers.
    pub(crate) fn publish(&self, channel: &str, message: &str) {
        let Reaction::Say(resp) = words(&["message", channel, message]) else { unreachable!("words are said") };
        let _ = self.publish.send(resp);
    }

    /// How many commands came that begin so.
    pub(crate) fn count(&self, command: &str) -> usize {
        self.inner().seen.iter().filter(|(_, seen)| seen.starts_with(command)).count()
    }

    /// How many connections came.
    pub(crate) fn connections(&self) -> u64 {
        self.inner().connections
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> u64 {
        self.inner().open
    }

    /// Remembers no commands from now on.
    pub(crate) fn forget(&self) {
        let mut inner = self.inner();
        inner.forgetful = true;
        inner.seen = Vec::new();
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic under the lock")
    }

    async fn serve(self, stream: TcpStream) {
        stream.set_nodelay(true).expect("a socket");
        let number = {
            let mut inner = self.inner();
            inner.connections += 1;
            inner.connections
        };
        let (read, write) = stream.into_split();
        let (mut read, mut write) = (BufReader::new(read), BufWriter::new(write));
        let mut messages = self.publish.subscribe();
        let mut subscribed = false;
        loop {
            tokio::select! {
                biased;
                () = self.kill.notified() => return,
                command = command(&mut read) => {
                    let Some(command) = command else { return };
                    let reaction = self.reaction(number, &command, &mut subscribed);
                    let open = react(reaction, &mut write).await;
                    // As Redis does: what came at once is answered at once.
                    let gone = (read.buffer().is_empty() || !open) && write.flush().await.is_err();
                    if gone || !open {
                        return;
                    }
                }
                Ok(message) = messages.recv(), if subscribed => {
                    if write.write_all(message.as_bytes()).await.is_err() || write.flush().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn reaction(&self, number: u64, command: &[String], subscribed: &mut bool) -> Reaction {
        let line = command.join(" ");
        let upper = line.to_ascii_uppercase();
        let mut inner = self.inner();
        if !inner.forgetful {
            inner.seen.push((number, line));
        }
        let fits = |(begins, _): &(&String, &Reaction)| upper.starts_with(begins.as_str());
        if let Some((_, reaction)) = inner.answers.iter().filter(fits).max_by_key(|(begins, _)| begins.len()) {
            return reaction.clone();
        }
        let confirm = |kind: &str| {
            let confirmation = |(index, name): (usize, &String)| {
                let kind_len = kind.len();
                format!("*3\r\n${kind_len}\r\n{kind}\r\n${}\r\n{name}\r\n:{}\r\n", name.len(), index + 1)
            };
            Reaction::Say(command[1..].iter().enumerate().map(confirmation).collect())
        };
        match command[0].to_ascii_uppercase().as_str() {
            kind @ ("SUBSCRIBE" | "PSUBSCRIBE") => {
                *subscribed = true;
                confirm(&kind.to_ascii_lowercase())
            }
            "PING" if *subscribed => words(&["pong", ""]),
            "PING" => Reaction::say("+PONG\r\n"),
            _ => ok(),
        }
    }
}

async fn react(reaction: Reaction, write: &mut BufWriter<OwnedWriteHalf>) -> bool {
    match reaction {
        Reaction::Say(resp) => write.write_all(resp.as_bytes()).await.is_ok(),
        Reaction::Later(after, resp) => {
            tokio::time::sleep(after).await;
            write.write_all(resp.as_bytes()).await.is_ok()
        }
        Reaction::Hang => true,
        Reaction::Close => false,
        Reaction::Stop => std::future::pending().await,
    }
}

/// The next command; `None` at the end.
async fn command(read: &mut BufReader<OwnedReadHalf>) -> Option<Vec<String>> {
    let count = header(read).await?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let mut word = vec![0; header(read).await? + 2];
        read.read_exact(&mut word).await.ok()?;
        word.truncate(word.len() - 2);
        words.push(String::from_utf8(word).ok()?);
    }
    Some(words)
}

async fn header(read: &mut BufReader<OwnedReadHalf>) -> Option<usize> {
    let mut line = String::new();
    read.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    line.trim_end().get(1..)?.parse().ok()
}
