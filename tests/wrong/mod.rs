//! Clients that are wrong on purpose: an honest client of a few lines, and one defect at a time.
//!
//! The honest client asks every Sentinel before every operation and uses the master that most of those that answer
//! name. It gives up on everything that takes longer than its patience, tries nothing twice, and says of a lost reply
//! that the operation may have run.

use std::future::pending;
use std::time::Duration;

use model::history::Cause;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, Value, cmd};
use testbed::driver::{Answer, BoxFuture, CallError, Driver, OnMessage, Request, Session, Settings};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

/// How long an honest client waits for a connection or a reply.
const PATIENCE: Duration = Duration::from_millis(500);

/// What is wrong with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Defect {
    /// It never asks the Sentinels again once it has found a master.
    NeverRediscovers,
    /// It does not ask the Sentinels as long as its connection lives.
    Clings,
    /// It sends a command again whose reply did not come.
    ResendsBlindly,
    /// It says that an operation succeeded which it could not send.
    AcknowledgesUnsent,
    /// It waits for ever.
    NeverTimesOut,
    /// It reconnects and tries again a millisecond later, and again.
    ReconnectsHotly,
    /// It opens a connection for each operation and closes none.
    HoardsConnections,
    /// It says that it reached no Sentinel when it could not reach the master.
    BlamesSentinels,
    /// It takes whatever a node refuses for a wrong password.
    BlamesCredentials,
    /// It says that an operation did not run when it does not know.
    DeniesExecution,
    /// It leaves a task behind that holds a connection.
    Leaks,
}

/// The driver of the honest client, or of the one with this defect.
pub(crate) struct Wrong(pub(crate) Option<Defect>);

impl Driver for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn about(&self) -> &'static str {
        "an honest client with at most one defect"
    }

    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        Box::pin(async move {
            if self.0 == Some(Defect::Leaks) {
                let (host, port) = &settings.sentinels[0];
                let leaked = TcpStream::connect((host.as_str(), *port)).await;
                tokio::spawn(async move {
                    let _leaked = leaked;
                    pending::<()>().await;
                });
            }
            let sentinels = settings.sentinels.iter().map(|_| None).collect();
            let client = Client { settings, defect: self.0, sentinels, master: None, hoard: Vec::new() };
            Ok(Box::new(client) as Box<dyn Session>)
        })
    }
}

type Addr = (String, u16);

struct Client {
    settings: Settings,
    defect: Option<Defect>,
    /// A connection to each Sentinel that answered last time.
    sentinels: Vec<Option<MultiplexedConnection>>,
    /// The address of the master, and the connection to it unless that was lost.
    master: Option<(Addr, Option<MultiplexedConnection>)>,
    hoard: Vec<MultiplexedConnection>,
}

impl Session for Client {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        Box::pin(async move {
            let started = Instant::now();
            loop {
                match self.attempt(request).await {
                    Err(error) if self.tries_again(&error) && started.elapsed() < self.settings.deadline => {
                        // Without any pause virtual time would stand still, and the run end as hung.
                        sleep(Duration::from_millis(1)).await;
                    }
                    Err(error) if self.has(Defect::AcknowledgesUnsent) && !error.may_have_run => {
                        return Ok(Answer::Number(1));
                    }
                    result => return result,
                }
            }
        })
    }

    fn subscribe<'a>(&'a mut self, _channel: &'a str, _on_message: OnMessage) -> BoxFuture<'a, CallError> {
        Box::pin(async { unsent(Cause::Other, "this client does not subscribe") })
    }
}

impl Client {
    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    fn tries_again(&self, error: &CallError) -> bool {
        match self.defect {
            Some(Defect::ResendsBlindly) => error.may_have_run,
            Some(Defect::ReconnectsHotly) => !error.may_have_run,
            _ => false,
        }
    }

    async fn attempt(&mut self, request: &Request) -> Result<Answer, CallError> {
        let mut connection = self.connected().await?;
        let result = command(request).query_async(&mut connection).await;
        result.map(answer).map_err(|error: RedisError| {
            let refused = error.code().is_some();
            if let Some((_, connection)) = &mut self.master
                && !(refused && self.defect == Some(Defect::Clings))
            {
                *connection = None;
            }
            CallError {
                may_have_run: !refused && !self.has(Defect::DeniesExecution),
                cause: match refused {
                    true if self.has(Defect::BlamesCredentials) => Cause::Auth,
                    true => Cause::Server,
                    false => Cause::Connection,
                },
                text: error.to_string(),
            }
        })
    }

    /// A connection to the master.
    async fn connected(&mut self) -> Result<MultiplexedConnection, CallError> {
        let knows_better = match &self.master {
            Some((_, connection)) => {
                self.has(Defect::NeverRediscovers) || self.has(Defect::Clings) && connection.is_some()
            }
            None => false,
        };
        if !knows_better {
            let found = self.discover().await?;
            if self.master.as_ref().is_none_or(|(addr, _)| *addr != found) {
                self.master = Some((found, None));
            }
        }
        let config = self.config();
        let (hoards, blames) = (self.has(Defect::HoardsConnections), self.has(Defect::BlamesSentinels));
        let Some((addr, slot)) = &mut self.master else { return Err(unsent(Cause::NoMaster, "no master")) };
        if hoards {
            self.hoard.extend(slot.take());
        }
        if let Some(connection) = slot {
            return Ok(connection.clone());
        }
        match connect(addr, &config).await {
            Ok(connection) => Ok(slot.insert(connection).clone()),
            Err(_) if blames => Err(unsent(Cause::NoSentinel, "no Sentinel could be reached")),
            Err(_) => Err(unsent(Cause::Connection, "the master cannot be reached")),
        }
    }

    /// The address of the master by most of the Sentinels that answer.
    async fn discover(&mut self) -> Result<Addr, CallError> {
        let config = self.config();
        let mut answers: Vec<Option<Addr>> = Vec::new();
        for (addr, slot) in self.settings.sentinels.iter().zip(&mut self.sentinels) {
            if slot.is_none() {
                *slot = connect(addr, &config).await.ok();
            }
            let Some(connection) = slot else { continue };
            let mut question = cmd("SENTINEL");
            question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.settings.master);
            match question.query_async(connection).await {
                Ok(answer) => answers.push(answer),
                Err(_) => *slot = None,
            }
        }
        if answers.is_empty() {
            return Err(unsent(Cause::NoSentinel, "no Sentinel could be reached"));
        }
        let votes = |answer: &&Option<Addr>| answers.iter().filter(|other| other == answer).count();
        match answers.iter().find(|answer| 2 * votes(answer) > answers.len()) {
            Some(Some(addr)) => Ok(addr.clone()),
            Some(None) => Err(unsent(Cause::UnknownMaster, "the Sentinels do not know the master")),
            None => Err(unsent(Cause::NoMaster, "the Sentinels do not agree on the master")),
        }
    }

    fn config(&self) -> AsyncConnectionConfig {
        let patience = (!self.has(Defect::NeverTimesOut)).then_some(PATIENCE);
        AsyncConnectionConfig::new().set_connection_timeout(patience).set_response_timeout(patience)
    }
}

async fn connect((host, port): &Addr, config: &AsyncConnectionConfig) -> Result<MultiplexedConnection, RedisError> {
    let client = redis::Client::open(format!("redis://{host}:{port}"))?;
    client.get_multiplexed_async_connection_with_config(config).await
}

/// The error of an operation that was not sent.
fn unsent(cause: Cause, text: &str) -> CallError {
    CallError { may_have_run: false, cause, text: text.to_owned() }
}

fn command(request: &Request) -> redis::Cmd {
    match request {
        Request::Incr(key) => cmd("INCR").arg(key).clone(),
        Request::Set(key, value) => cmd("SET").arg(key).arg(value).clone(),
        Request::Get(key) | Request::ReplicaGet(key) => cmd("GET").arg(key).clone(),
        Request::Push(key, value) => cmd("LPUSH").arg(key).arg(value).clone(),
        Request::Pop(key, seconds) => cmd("BLPOP").arg(key).arg(*seconds).clone(),
        Request::Publish(channel, message) => cmd("PUBLISH").arg(channel).arg(message).clone(),
    }
}

fn answer(reply: Value) -> Answer {
    match reply {
        Value::Nil => Answer::Nil,
        Value::Int(number) => Answer::Number(number),
        Value::BulkString(bytes) => Answer::Value(bytes),
        _ => Answer::Done,
    }
}
