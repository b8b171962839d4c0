//! The trait that a client under test stands behind.
//!
//! A driver wraps one way of using one client crate. It is handed what an application would be configured with, and
//! carries out one operation at a time. It does not judge and does not retry on its own: whatever retry it does is that
//! of the client that it wraps, used as that client's documentation recommends.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use model::history::Cause;
use model::plan::{Credentials, Need, Workload};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::pace::SPEED;

pub use crate::host::Network;
pub use crate::memory::MemoryStream;

/// A boxed future, as the trait's methods return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What an application under Sentinel is configured with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Host and port of each Sentinel, in the order of the cluster. The host is a name if the Sentinel has one. Names are looked
    /// up as ever: on the threads of a run the C library asks the cluster.
    pub sentinels: Vec<(String, u16)>,
    /// The master's name.
    pub master: String,
    /// Credentials for the Sentinels.
    pub sentinel_auth: Option<Credentials>,
    /// What to dial in the place of an address that a Sentinel tells, of a master, a replica or a Sentinel; empty unless the driver
    /// [can](Driver::can) translate. Those of `sentinels` are to be dialled as they are.
    pub address_map: Vec<((String, u16), (String, u16))>,
    /// The database to use; 0 unless the driver [can](Driver::can) use another.
    pub database: u32,
    /// Credentials for the data nodes.
    pub data_auth: Option<Credentials>,
    /// How connections are encrypted; `None` if none is.
    pub tls: Option<Tls>,
    /// The deadline of each call, for clients that can be given one.
    pub deadline: Duration,
    /// The caller accepts that an operation that may have run is repeated, for clients that can be told.
    pub retry_ambiguous: bool,
    /// Seed for the client's own randomness (jitter), for clients that can be given one.
    pub seed: u64,
    /// How much faster than the real clock that of the run goes, for a client whose calls [block](Driver::blocks).
    pub speed: u32,
    /// The way to the nodes within this process, for clients that can be given their connections; `None` outside a run in virtual
    /// time.
    pub network: Option<Network>,
    /// Where the driver tells that it has failed itself.
    pub trouble: Trouble,
}

/// How connections are encrypted. Nodes ask clients for no certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate of the one authority to trust, in PEM form.
    pub authority: String,
    /// Connections to data nodes are.
    pub data: bool,
    /// Connections to Sentinels are.
    pub sentinels: bool,
    /// The name to expect in every certificate; `None`: the host that is dialled. It is given only to a driver that
    /// [can](Driver::can) expect one.
    pub server_name: Option<String>,
}

/// Where a driver tells that it cannot go on, for a reason that is none of the client's: a process that it needs has ended,
/// say. What is told first ends the run, with [`RunError::Driver`](crate::RunError::Driver).
#[derive(Clone, Debug)]
pub struct Trouble(UnboundedSender<String>);

impl Trouble {
    /// With who hears of it.
    pub(crate) fn new() -> (Self, UnboundedReceiver<String>) {
        let (send, receive) = unbounded_channel();
        (Self(send), receive)
    }

    /// Nobody hears of it: for a client outside a run.
    fn unheard() -> Self {
        Self::new().0
    }

    /// Ends the run, and says why.
    pub fn tell(&self, what: impl Into<String>) {
        // A run that has ended wants to know nothing any more.
        let _ = self.0.send(what.into());
    }
}

impl Settings {
    /// For a client outside a run, in real time: no passwords, no TLS, and nothing is repeated that may have run.
    pub fn new(sentinels: Vec<(String, u16)>, master: impl Into<String>, deadline: Duration) -> Self {
        Self {
            sentinels,
            master: master.into(),
            sentinel_auth: None,
            address_map: Vec::new(),
            database: 0,
            data_auth: None,
            tls: None,
            deadline,
            retry_ambiguous: false,
            seed: 1,
            speed: 1,
            network: None,
            trouble: Trouble::unheard(),
        }
    }

    /// `time` of the run on the real clock, which is that of a client whose calls block.
    pub fn real(&self, time: Duration) -> Duration {
        time / self.speed
    }
}

/// One way of using one client.
pub trait Driver: Send + Sync {
    /// Its name on the command line and in scenario files: `redis-sentinel`.
    fn name(&self) -> &str;

    /// One line on which client it is and how it is used.
    fn about(&self) -> &str;

    /// True if the client can do what the scenario asks of it. A run that asks more is [not
    /// applicable](crate::RunError::NotApplicable). By default it can do any workload, but for reads through a
    /// cache, for one caller, in database 0.
    fn can(&self, need: Need) -> bool {
        need != Need::Workload(Workload::CachedReads) && matches!(need, Need::Workload(_) | Need::Names)
    }

    /// True if it dials by [`Settings::network`] and by nothing else. A run of such clients alone has no sockets, and no
    /// reactor for them, and is the faster for it.
    fn stays_within(&self) -> bool {
        false
    }

    /// True if its calls block threads, or another process makes them. The clock of its runs follows the real one, and no two
    /// runs of it are the same.
    fn blocks(&self) -> bool {
        false
    }

    /// How many times as fast as the real clock that of its runs goes if it [blocks](Driver::blocks): 1 or more, by default 4. A
    /// client whose own timers cannot be told of it says 1. A run has the speed of the slowest of its drivers.
    fn speed(&self) -> u32 {
        SPEED
    }

    /// True if the same seed gives the same run. A client that is driven by what nothing can seed, such as threads of its
    /// own, says no.
    fn repeats(&self) -> bool {
        !self.blocks()
    }

    /// Gets ready for so many calls of [`open`](Driver::open), before the clock of the run starts: what costs the machine time and is
    /// none of the client's, such as the start of a process, does not belong to the first operation. By default nothing is done.
    ///
    /// # Errors
    /// Why the run cannot be made, in words; it ends with [`RunError::Driver`](crate::RunError::Driver).
    fn prepare(&self, _clients: usize) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Sets the client up, as an application does at its start. May connect, or leave that to the first call.
    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>>;
}

/// A client that was set up. Dropping it must release whatever it holds: connections, tasks.
pub trait Session: Send {
    /// Carries out one operation.
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>>;

    /// Subscribes to `topics` on the master and hands every message's payload to `on_message`, until the subscription
    /// is lost; returns why. Clients that resubscribe by themselves return only when they give up.
    fn subscribe<'a>(&'a mut self, topics: &'a Topics, on_message: OnMessage) -> BoxFuture<'a, CallError>;

    /// Another handle of the same client, for another caller, as the client's documentation has it shared. `None`, which is the
    /// default, if it cannot be; then the driver says so by [`Driver::can`].
    fn share(&self) -> Option<Box<dyn Session>> {
        None
    }
}

/// What a subscriber is to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// A channel: `SUBSCRIBE`.
    pub channel: String,
    /// A pattern that other channels match: `PSUBSCRIBE`. `None` unless the driver [can](Driver::can) subscribe to patterns, and
    /// the scenario has one.
    pub pattern: Option<String>,
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
    /// `EVAL` or `EVALSHA` of [`INCREMENT`] with this key.
    Script(String),
    /// `MULTI`, `INCR counter`, `LPUSH list item`, `EXEC`.
    Transaction(Writes),
    /// `INCR counter`, `SET key item`, `LPUSH list item`, sent at once.
    Pipeline(Writes),
    /// Take a lock: `SET key token NX PX ttl`. [`Answer::Nil`] if somebody else has it. A client that has locks of its own takes one.
    Acquire(Lease),
    /// Keep a lock: `EVAL` of [`RENEW`]. The answer is 1 if it is still one's own, 0 if it is not. A client that renews its locks by
    /// itself says what it believes.
    Renew(Lease),
    /// Give a lock back: `EVAL` of [`RELEASE`], with the same answers.
    Release(Lease),
    /// The next job: `BLMOVE waiting under_way RIGHT LEFT timeout`, the time-out in whole seconds.
    Take(Jobs, u64),
    /// A job that was taken before and has not been acknowledged: `LINDEX under_way -1`. A client that keeps account of them says
    /// what it knows.
    Unfinished(Jobs),
    /// A job is done: `LREM under_way 1 job`.
    Acknowledge(Jobs, String),
    /// `GET key`, from the client's own cache if it has it there.
    CachedGet(String),
}

impl Request {
    /// Its commands, name and arguments; those of a transaction without `MULTI` and `EXEC`.
    pub fn commands(&self) -> Vec<(&'static str, Vec<String>)> {
        let command = |name, args: &[&str]| (name, args.iter().map(|arg| (*arg).to_owned()).collect());
        match self {
            Self::Incr(key) => vec![command("INCR", &[key])],
            Self::Set(key, value) => vec![command("SET", &[key, value])],
            Self::Get(key) | Self::ReplicaGet(key) | Self::CachedGet(key) => vec![command("GET", &[key])],
            Self::Push(key, value) => vec![command("LPUSH", &[key, value])],
            Self::Pop(key, seconds) => vec![command("BLPOP", &[key, &seconds.to_string()])],
            Self::Publish(channel, message) => vec![command("PUBLISH", &[channel, message])],
            Self::Script(key) => vec![command("EVAL", &[INCREMENT, "1", key])],
            Self::Transaction(Writes { counter, list, item, .. }) => {
                vec![command("INCR", &[counter]), command("LPUSH", &[list, item])]
            }
            Self::Pipeline(Writes { counter, key, list, item }) => {
                vec![command("INCR", &[counter]), command("SET", &[key, item]), command("LPUSH", &[list, item])]
            }
            Self::Acquire(Lease { key, token, ttl_ms }) => {
                vec![command("SET", &[key, token, "NX", "PX", &ttl_ms.to_string()])]
            }
            Self::Renew(Lease { key, token, ttl_ms }) => {
                vec![command("EVAL", &[RENEW, "1", key, token, &ttl_ms.to_string()])]
            }
            Self::Release(Lease { key, token, .. }) => vec![command("EVAL", &[RELEASE, "1", key, token])],
            Self::Take(Jobs { waiting, under_way }, seconds) => {
                vec![command("BLMOVE", &[waiting, under_way, "RIGHT", "LEFT", &seconds.to_string()])]
            }
            Self::Unfinished(jobs) => vec![command("LINDEX", &[&jobs.under_way, "-1"])],
            Self::Acknowledge(jobs, job) => vec![command("LREM", &[&jobs.under_way, "1", job])],
        }
    }

    /// True if it is several commands at once.
    pub fn is_several(&self) -> bool {
        matches!(self, Self::Transaction(_) | Self::Pipeline(_))
    }

    /// For how many seconds it waits at the node; `None` if it does not.
    pub fn blocks(&self) -> Option<u64> {
        match self {
            Self::Pop(_, seconds) | Self::Take(_, seconds) => Some(*seconds),
            _ => None,
        }
    }
}

/// A lock for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Which lock.
    pub key: String,
    /// Who has it: no two acquisitions have the same.
    pub token: String,
    /// Milliseconds after which it expires, counted from the acquisition or the last renewal.
    pub ttl_ms: u64,
}

/// The lists of a queue whose jobs are acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Jobs {
    /// Jobs that nobody has taken.
    pub waiting: String,
    /// Jobs that this consumer, and no other, has taken and not acknowledged.
    pub under_way: String,
}

/// What a transaction or a pipeline writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writes {
    /// A counter.
    pub counter: String,
    /// A key.
    pub key: String,
    /// A list.
    pub list: String,
    /// What is set and pushed.
    pub item: String,
}

/// The script of [`Request::Script`].
pub const INCREMENT: &str = "return redis.call('INCR', KEYS[1])";

/// The script of [`Request::Renew`]: who has the lock has it for so many milliseconds more.
pub const RENEW: &str = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0";

/// The script of [`Request::Release`].
pub const RELEASE: &str = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0";

/// What an operation gave; of several commands at once, what the last of them did.
///
/// It is held to what the nodes answered to the operation's commands (I9), unless it is [`Done`](Answer::Done).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: no such key, or the blocking pop timed out.
    Nil,
    /// `OK`, or anything that is no other of these.
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
