//! Driver `redis-blocking`: the blocking `SentinelClient` of the crate `redis`. Like `redis-sentinel`, but on a thread of
//! its own, in real time, four times as fast.

use model::plan::{Need, Workload};
use redis::Connection;
use redis::sentinel::{SentinelClient, SentinelServerType};
use testbed::driver::{Answer, BoxFuture, CallError, Driver, OnMessage, Request, Session, Settings, Topics};

use crate::blocking::{self, on_thread};
use crate::outcome::{self, Stage};
use crate::redis_setup;

/// The blocking `SentinelClient`; a new connection after every error.
pub struct RedisBlocking;

impl Driver for RedisBlocking {
    fn name(&self) -> &'static str {
        "redis-blocking"
    }

    fn about(&self) -> &'static str {
        "redis 1.x, blocking SentinelClient: the caller asks for a new connection after an error (real time)"
    }

    fn blocks(&self) -> bool {
        true
    }

    /// Its calls need it for themselves.
    fn can(&self, need: Need) -> bool {
        !matches!(need, Need::Callers | Need::Workload(Workload::CachedReads) | Need::AddressMap | Need::ServerName)
    }

    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        Box::pin(async move {
            let source = |server| {
                let sentinel = redis_setup::sentinel_client(&settings, server)
                    .map_err(|error| outcome::call_error(Stage::Connecting, &error))?;
                Ok(Source { sentinel, connection: None, speed: settings.speed })
            };
            let master = Some(source(SentinelServerType::Master)?);
            let replica = Some(source(SentinelServerType::Replica)?);
            Ok(Box::new(BlockingSession { settings, master, replica }) as Box<dyn Session>)
        })
    }
}

/// Where connections come from, and the one in use.
struct Source {
    sentinel: SentinelClient,
    connection: Option<Connection>,
    /// Of the run, over the real clock.
    speed: u32,
}

impl Source {
    fn call(&mut self, request: &Request) -> Result<Answer, CallError> {
        let connection = if let Some(connection) = &mut self.connection {
            connection
        } else {
            let opened = self.sentinel.get_connection();
            self.connection.insert(opened.map_err(|error| outcome::call_error(Stage::Connecting, &error))?)
        };
        blocking::run(connection, request, self.speed).map_err(|error| {
            self.connection = None;
            outcome::call_error(Stage::of(request), &error)
        })
    }
}

struct BlockingSession {
    settings: Settings,
    /// `None` only while a call has it.
    master: Option<Source>,
    replica: Option<Source>,
}

impl Session for BlockingSession {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        let slot = match request {
            Request::ReplicaGet(_) => &mut self.replica,
            _ => &mut self.master,
        };
        on_thread(slot, request, Source::call)
    }

    fn subscribe<'a>(&'a mut self, topics: &'a Topics, on_message: OnMessage) -> BoxFuture<'a, CallError> {
        Box::pin(blocking::subscribe(&self.settings, topics, on_message))
    }
}
