//! A data node that says what a case wants: its INFO is a text, and it falls silent, or goes, on command.
//!
//! It answers everything else that a Sentinel sends with `+OK` and does nothing about it, so that two Sentinels that watch
//! the same nodes do not meet, and what the one decides does not reach the other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What a node does. All of it at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Manner {
    /// It listens, and connections for commands stand.
    pub(crate) there: bool,
    /// Connections for messages stand. Without them and without listening a Sentinel has half a link.
    pub(crate) messages: bool,
    /// It answers anything.
    pub(crate) answers: bool,
    /// It answers `PING` with `PONG`, not with an error.
    pub(crate) pings: bool,
    /// It answers `INFO` with INFO, not with an error.
    pub(crate) info: bool,
}

impl Manner {
    pub(crate) const GOOD: Self = Self { there: true, messages: true, answers: true, pings: true, info: true };
    pub(crate) const GONE: Self = Self { there: false, messages: false, ..Self::GOOD };
    /// The connection for messages is lost and no new one is to be had.
    pub(crate) const HALF: Self = Self { messages: false, ..Self::GOOD };
    pub(crate) const FROZEN: Self = Self { answers: false, ..Self::GOOD };
    pub(crate) const NO_PONG: Self = Self { pings: false, ..Self::GOOD };
    pub(crate) const NO_INFO: Self = Self { info: false, ..Self::GOOD };

    fn listens(self) -> bool {
        self.there && self.messages
    }
}

/// A Sentinel gives up a subscription on which nothing comes.
const MESSAGE_EVERY: Duration = Duration::from_secs(1);

/// Runs a node until the end of the runtime.
pub(crate) async fn run(addr: SocketAddr, info: Arc<str>, mut manner: watch::Receiver<Manner>) {
    let listener = TcpListener::bind(addr).await.expect("an address of its own");
    while manner.borrow().listens() {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                tokio::spawn(serve(stream, Arc::clone(&info), manner.clone()));
            }
            changed = manner.changed() => if changed.is_err() { return },
        }
    }
}

async fn serve(mut stream: TcpStream, info: Arc<str>, mut manner: watch::Receiver<Manner>) {
    let _ = stream.set_nodelay(true);
    let (mut unread, mut subscribed) = (Vec::new(), false);
    let mut message = tokio::time::interval(MESSAGE_EVERY);
    loop {
        let now = *manner.borrow();
        if !(if subscribed { now.messages } else { now.there }) {
            return;
        }
        tokio::select! {
            read = stream.read_buf(&mut unread) => if !matches!(read, Ok(1..)) { return },
            changed = manner.changed() => if changed.is_err() { return },
            _ = message.tick(), if subscribed => {
                let words = "*3\r\n$7\r\nmessage\r\n$18\r\n__sentinel__:hello\r\n$1\r\n-\r\n";
                if stream.write_all(words.as_bytes()).await.is_err() { return }
            }
        }
        while let Some(words) = take_command(&mut unread) {
            subscribed |= words[0] == "SUBSCRIBE";
            let reply = match words[0].as_str() {
                _ if !now.answers => continue,
                "PING" if !now.pings => "-MISCONF not now\r\n".to_owned(),
                "INFO" if !now.info => "-NOPERM not you\r\n".to_owned(),
                "PING" => "+PONG\r\n".to_owned(),
                "INFO" => format!("${}\r\n{info}\r\n", info.len()),
                "PUBLISH" => ":0\r\n".to_owned(),
                "SUBSCRIBE" => format!("*3\r\n$9\r\nsubscribe\r\n${}\r\n{}\r\n:1\r\n", words[1].len(), words[1]),
                "EXEC" => "*0\r\n".to_owned(),
                _ => "+OK\r\n".to_owned(),
            };
            if stream.write_all(reply.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

/// The first command that has arrived whole. What a Sentinel sends is text without line ends.
fn take_command(unread: &mut Vec<u8>) -> Option<Vec<String>> {
    let text = std::str::from_utf8(unread).expect("text");
    let mut lines = text.split_inclusive("\r\n");
    let mut length = 0;
    let mut line = || {
        let line = lines.next()?;
        length += line.len();
        line.strip_suffix("\r\n")
    };
    let count: usize = line()?.strip_prefix('*')?.parse().ok()?;
    let mut words = Vec::new();
    for _ in 0..count {
        line()?;
        words.push(line()?.to_owned());
    }
    unread.drain(..length);
    Some(words)
}
