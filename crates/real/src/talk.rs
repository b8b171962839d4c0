//! [`Talk`]: a blocking connection to a node, in RESP2.

use std::borrow::Cow;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use model::Reply;
use model::plan::Credentials;
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::types::BytesFrame;

/// How to connect to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What it asks of its clients.
    pub auth: Option<Credentials>,
}

impl Dial {
    /// Connects and logs in, each within this time.
    pub fn connect(&self, within: Duration) -> io::Result<Talk> {
        let mut talk = Talk::connect(self.addr, within)?;
        if let Some(auth) = &self.auth {
            let user = auth.user.as_deref().unwrap_or("default");
            if let Reply::Error(text) = talk.ask(&["AUTH", user, &auth.password], within)? {
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text.into_owned()));
            }
        }
        Ok(talk)
    }
}

/// A connection to a node.
#[derive(Debug)]
pub struct Talk {
    stream: TcpStream,
    unread: BytesMut,
}

impl Talk {
    /// Connects, within this time.
    pub fn connect(addr: SocketAddr, within: Duration) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&addr, within)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(within))?;
        Ok(Self { stream, unread: BytesMut::new() })
    }

    /// Sends a command.
    pub fn send(&mut self, words: &[&str]) -> io::Result<()> {
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            command += &["$", &word.len().to_string(), "\r\n", word, "\r\n"].concat();
        }
        self.stream.write_all(command.as_bytes())
    }

    /// The next reply, or the next message to a subscriber. [`io::ErrorKind::TimedOut`] if none comes within this time: the
    /// connection is still good then.
    pub fn receive(&mut self, within: Duration) -> io::Result<Reply> {
        let deadline = Instant::now() + within;
        loop {
            let decoded = decode_bytes_mut(&mut self.unread);
            let bad = |error| io::Error::new(io::ErrorKind::InvalidData, format!("not a reply in RESP2: {error}"));
            if let Some((frame, ..)) = decoded.map_err(bad)? {
                return Ok(reply(frame));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.stream.set_read_timeout(Some(left))?;
            let mut chunk = [0; 16 << 10];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.unread.extend_from_slice(&chunk[..read]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a command and gives its reply, an error reply too.
    pub fn ask(&mut self, words: &[&str], within: Duration) -> io::Result<Reply> {
        self.send(words)?;
        self.receive(within)
    }
}

fn reply(frame: BytesFrame) -> Reply {
    let text = |bytes: &[u8]| Cow::Owned(String::from_utf8_lossy(bytes).into_owned());
    match frame {
        BytesFrame::SimpleString(bytes) => Reply::Simple(text(&bytes)),
        BytesFrame::Error(error) => Reply::Error(Cow::Owned(error.to_string())),
        BytesFrame::Integer(number) => Reply::Int(number),
        BytesFrame::BulkString(bytes) => Reply::Bulk(bytes),
        BytesFrame::Array(items) => Reply::Array(items.into_iter().map(reply).collect()),
        BytesFrame::Null => Reply::Null,
    }
}
