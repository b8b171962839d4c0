//! The trait that a client under test stands behind.
//!
//! A driver wraps one way of using one client crate. It is handed what an application would be configured with, and
//! carries out one operation at a time. It does not judge and does not retry on its own: whatever retry it does is that
//! of the client that it wraps, used as that client's documentation recommends.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use model::history::Cause;
use model::plan::{Credentials, Workload};

/// A boxed future, as the trait's methods return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an application under Sentinel is configured with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Host and port of each Sentinel, in the order of the cluster.
    pub sentinels: Vec<(String, u16)>,
    /// The master's name.
    pub master: String,
    /// Credentials for the Sentinels.
    pub sentinel_auth: Option<Credentials>,
    /// Credentials for the data nodes.
    pub data_auth: Option<Credentials>,
    /// The deadline of each call, for clients that can be given one.
    pub deadline: Duration,
    /// The caller accepts that an operation that may have run is repeated, for clients that can be told.
    pub retry_ambiguous: bool,
    /// Seed for the client's own randomness (jitter), for clients that can be given one.
    pub seed: u64,
    /// How much faster than the real clock that of the run goes, for a client whose calls [block](Driver::blocks).
    pub speed: u32,
}

impl Settings {
    /// `time` of the run on the real clock, which is that of a client whose calls block.
    pub fn real(&self, time: Duration) -> Duration {
        time / self.speed
    }
}

/// One way of using one client.
pub trait Driver: Send + Sync {
    /// Its name on the command line and in scenario files: `redis-sentinel`.
    fn name(&self) -> &'static str;

    /// One line on which client it is and how it is used.
    fn about(&self) -> &'static str;

    /// True if the client can do what `workload` asks. A run that asks more of it is [not
    /// applicable](crate::RunError::NotApplicable).
    fn can(&self, _workload: Workload) -> bool {
        true
    }

    /// True if its calls block threads. The clock of its runs follows the real one, four times as fast, and no two runs of it
    /// are the same.
    fn blocks(&self) -> bool {
        false
    }

    /// True if the same seed gives the same run. A client that polls in an order that nothing can seed says no.
    fn repeats(&self) -> bool {
        !self.blocks()
    }

    /// Sets the client up, as an application does at its start. May connect, or leave that to the first call.
    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>>;
}

/// A client that was set up. Dropping it must release whatever it holds: connections, tasks.
pub trait Session: Send {
    /// Carries out one operation.
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>>;

    /// Subscribes to `channel` on the master and hands every message's payload to `on_message`, until the subscription
    /// is lost; returns why. Clients that resubscribe by themselves return only when they give up.
    fn subscribe<'a>(&'a mut self, channel: &'a str, on_message: OnMessage) -> BoxFuture<'a, CallError>;
}

/// Takes the payload of a message.
pub type OnMessage = Box<dyn FnMut(&[u8]) + Send>;

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `INCR key`
    Incr(String),
    /// `SET key value`
    Set(String, String),
    /// `GET key`, from the master.
    Get(String),
    /// `GET key`, from a replica if the client can.
    ReplicaGet(String),
    /// `LPUSH key value`
    Push(String, String),
    /// `BLPOP key timeout`, the time-out in whole seconds.
    Pop(String, u64),
    /// `PUBLISH channel message`
    Publish(String, String),
}

/// What an operation gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: no such key, or the blocking pop timed out.
    Nil,
    /// `OK`.
    Done,
    /// A number.
    Number(i64),
    /// A value.
    Value(Vec<u8>),
}

/// Why an operation failed, as the client tells it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct CallError {
    /// False if the client knows that the command did not run: it was refused, or never sent.
    pub may_have_run: bool,
    /// What the client says that happened.
    pub cause: Cause,
    /// Its error, as it prints it.
    pub text: String,
}
