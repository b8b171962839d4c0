//! Driver `redis-sentinel`: the Sentinel client of the crate `redis`, with a caller who asks it for a new connection
//! after an error.

use model::plan::{Need, Workload};
use redis::Client;
use redis::aio::MultiplexedConnection;
use redis::sentinel::{SentinelClient, SentinelServerType};
use testbed::driver::{Answer, BoxFuture, CallError, Driver, OnMessage, Request, Session, Settings, Topics};

use crate::outcome::{self, Stage};
use crate::{redis_setup, request};

/// `SentinelClient::get_async_connection`, asked again after every error.
pub struct RedisSentinel;

impl Driver for RedisSentinel {
    fn name(&self) -> &'static str {
        "redis-sentinel"
    }

    fn about(&self) -> &'static str {
        "redis 1.x, SentinelClient: the caller asks for a new connection after an error"
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
                Ok(Source { sentinel, connection: None })
            };
            let session = SentinelSession {
                master: source(SentinelServerType::Master)?,
                replica: source(SentinelServerType::Replica)?,
                popping: source(SentinelServerType::Master)?,
            };
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }
}

/// One Sentinel client and the connection that it gave last.
struct Source {
    sentinel: SentinelClient,
    connection: Option<MultiplexedConnection>,
}

impl Source {
    async fn call(&mut self, request: &Request) -> Result<Answer, CallError> {
        let connection = if let Some(connection) = &mut self.connection {
            connection
        } else {
            let config = redis_setup::connection_config(request);
            let opened = self.sentinel.get_async_connection_with_config(&config).await;
            self.connection.insert(opened.map_err(|error| outcome::call_error(Stage::Connecting, &error))?)
        };
        let result = request::run(connection, request).await;
        result.map_err(|error| {
            self.connection = None;
            outcome::call_error(Stage::of(request), &error)
        })
    }
}

struct SentinelSession {
    master: Source,
    replica: Source,
    /// For blocking commands, which hold up whatever shares their connection.
    popping: Source,
}

impl Session for SentinelSession {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        let source = match request {
            Request::ReplicaGet(_) => &mut self.replica,
            Request::Pop(..) | Request::Take(..) => &mut self.popping,
            _ => &mut self.master,
        };
        Box::pin(source.call(request))
    }

    fn subscribe<'a>(&'a mut self, topics: &'a Topics, on_message: OnMessage) -> BoxFuture<'a, CallError> {
        Box::pin(async move {
            let found: Result<Client, _> = self.master.sentinel.async_get_client().await;
            match found {
                Ok(client) => redis_setup::subscribe(&client, topics, on_message).await,
                Err(error) => outcome::call_error(Stage::Connecting, &error),
            }
        })
    }
}
