//! A client of a few lines, without a client crate: it asks the Sentinels for the master, connects, and after an error
//! does so again.

use std::fmt::Write as _;
use std::io;
use std::time::Duration;

use model::history::Cause;
use sentinel_lab_testbed::driver::{
    Answer, BoxFuture, CallError, Driver, OnMessage, Request, Session, Settings, Topics,
};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::time::timeout;

/// One reply of RESP2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Nil,
    Simple(String),
    Error(String),
    Int(i64),
    Bulk(Vec<u8>),
    Array(Vec<Value>),
}

/// A connection that sends commands.
pub(crate) struct Wire(BufReader<TcpStream>);

impl Wire {
    pub(crate) async fn connect(addr: impl ToSocketAddrs) -> io::Result<Self> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    pub(crate) async fn ask(&mut self, words: &[&str]) -> io::Result<Value> {
        let mut bytes = format!("*{}\r\n", words.len());
        for word in words {
            write!(bytes, "${}\r\n{word}\r\n", word.len()).unwrap();
        }
        self.send(bytes.as_bytes()).await?;
        self.read().await
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes).await
    }

    pub(crate) async fn read(&mut self) -> io::Result<Value> {
        let mut line = String::new();
        if self.0.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let (kind, rest) = line.trim_end().split_at(1);
        let number = || rest.parse::<i64>().map_err(io::Error::other);
        Ok(match kind {
            "+" => Value::Simple(rest.to_owned()),
            "-" => Value::Error(rest.to_owned()),
            ":" => Value::Int(number()?),
            "$" if number()? < 0 => Value::Nil,
            "$" => {
                let mut bytes = vec![0; number()? as usize + 2];
                self.0.read_exact(&mut bytes).await?;
                bytes.truncate(bytes.len() - 2);
                Value::Bulk(bytes)
            }
            "*" if number()? < 0 => Value::Nil,
            "*" => {
                let mut items = Vec::new();
                for _ in 0..number()? {
                    items.push(Box::pin(self.read()).await?);
                }
                Value::Array(items)
            }
            _ => return Err(io::Error::other(line)),
        })
    }

    /// Waits until the peer closes.
    pub(crate) async fn closed(&mut self) -> bool {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).await.is_err() || rest.is_empty()
    }
}

/// The driver of that client.
pub(crate) struct Raw;

impl Driver for Raw {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn about(&self) -> &'static str {
        "a few lines of TCP"
    }

    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        Box::pin(async move { Ok(Box::new(RawSession { settings, wire: None }) as Box<dyn Session>) })
    }
}

struct RawSession {
    settings: Settings,
    wire: Option<Wire>,
}

impl RawSession {
    /// A connection to the master of which the first Sentinel that answers knows.
    async fn connect(&self) -> io::Result<Wire> {
        for (host, port) in &self.settings.sentinels {
            let ask = async {
                let mut sentinel = Wire::connect((&**host, *port)).await?;
                let answer = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.settings.master]).await?;
                let Value::Array(parts) = answer else { return Err(io::Error::other(format!("{answer:?}"))) };
                let [Value::Bulk(host), Value::Bulk(port)] = &parts[..] else {
                    return Err(io::ErrorKind::Other.into());
                };
                let port = String::from_utf8_lossy(port).parse().map_err(io::Error::other)?;
                Wire::connect((&*String::from_utf8_lossy(host), port)).await
            };
            if let Ok(Ok(wire)) = timeout(Duration::from_millis(500), ask).await {
                return Ok(wire);
            }
        }
        Err(io::Error::other("no sentinel led to a master"))
    }
}

fn failed(may_have_run: bool, cause: Cause, error: &dyn ToString) -> CallError {
    CallError { may_have_run, cause, text: error.to_string() }
}

impl Session for RawSession {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        Box::pin(async move {
            let mut wire = match self.wire.take() {
                Some(wire) => wire,
                None => self.connect().await.map_err(|error| failed(false, Cause::NoMaster, &error))?,
            };
            let commands = request.commands();
            let words: Vec<&str> = commands
                .iter()
                .flat_map(|(name, args)| [*name].into_iter().chain(args.iter().map(String::as_str)))
                .collect();
            let value = timeout(Duration::from_secs(3), wire.ask(&words)).await;
            let answer = match value {
                Err(_) => return Err(failed(true, Cause::Timeout, &"no answer")),
                Ok(Err(error)) => return Err(failed(true, Cause::Connection, &error)),
                Ok(Ok(Value::Error(text))) => return Err(failed(false, Cause::Server, &text)),
                Ok(Ok(Value::Nil)) => Answer::Nil,
                Ok(Ok(Value::Simple(_))) => Answer::Done,
                Ok(Ok(Value::Int(number))) => Answer::Number(number),
                Ok(Ok(Value::Bulk(bytes))) => Answer::Value(bytes),
                Ok(Ok(Value::Array(mut items))) => match items.pop() {
                    Some(Value::Bulk(bytes)) => Answer::Value(bytes),
                    _ => Answer::Nil,
                },
            };
            self.wire = Some(wire);
            Ok(answer)
        })
    }

    fn subscribe<'a>(&'a mut self, topics: &'a Topics, mut on_message: OnMessage) -> BoxFuture<'a, CallError> {
        Box::pin(async move {
            let listen = async {
                let mut wire = self.connect().await?;
                wire.ask(&["SUBSCRIBE", &topics.channel]).await?;
                loop {
                    if let Value::Array(items) = wire.read().await?
                        && let Some(Value::Bulk(payload)) = items.last()
                    {
                        on_message(payload);
                    }
                }
            };
            let lost: io::Result<()> = listen.await;
            failed(false, Cause::Connection, &lost.unwrap_err())
        })
    }
}
