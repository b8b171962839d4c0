//! Driver `redis-multiplexed`: the connection that the Sentinel client of the crate `redis` gave at the start, held for
//! ever. Many applications do this, for a `MultiplexedConnection` is meant to be cloned and kept.

use model::plan::Need;
use redis::aio::MultiplexedConnection;
use redis::caching::CacheConfig;
use redis::sentinel::SentinelServerType;
use redis::{AsyncConnectionConfig, Client};
use testbed::driver::{Answer, BoxFuture, CallError, Driver, OnMessage, Request, Session, Settings, Topics};

use crate::outcome::{self, Stage};
use crate::{redis_setup, request};

/// One `MultiplexedConnection` for the life of the application.
pub struct RedisMultiplexed;

impl Driver for RedisMultiplexed {
    fn name(&self) -> &'static str {
        "redis-multiplexed"
    }

    fn about(&self) -> &'static str {
        "redis 1.x, MultiplexedConnection from the SentinelClient, held for ever"
    }

    fn can(&self, need: Need) -> bool {
        !matches!(need, Need::AddressMap | Need::ServerName)
    }

    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        Box::pin(async move {
            let connecting = |error| outcome::call_error(Stage::Connecting, &error);
            let mut sentinel =
                redis_setup::sentinel_client(&settings, SentinelServerType::Master).map_err(connecting)?;
            let client = sentinel.async_get_client().await.map_err(connecting)?;
            let master = client.get_multiplexed_async_connection().await.map_err(connecting)?;
            Ok(Box::new(MultiplexedSession { settings, client, master, replica: None, caching: None, popping: None })
                as Box<dyn Session>)
        })
    }
}

struct MultiplexedSession {
    settings: Settings,
    /// The address of the start.
    client: Client,
    master: MultiplexedConnection,
    /// Opened by the first read from a replica.
    replica: Option<MultiplexedConnection>,
    /// With a cache, which its documentation has in the connection; opened by the first read through it.
    caching: Option<MultiplexedConnection>,
    /// Opened by the first blocking command.
    popping: Option<MultiplexedConnection>,
}

impl MultiplexedSession {
    async fn replica(&mut self) -> redis::RedisResult<&mut MultiplexedConnection> {
        if let Some(ref mut connection) = self.replica {
            Ok(connection)
        } else {
            let mut sentinel = redis_setup::sentinel_client(&self.settings, SentinelServerType::Replica)?;
            Ok(self.replica.insert(sentinel.get_async_connection().await?))
        }
    }

    async fn caching(&mut self) -> redis::RedisResult<&mut MultiplexedConnection> {
        if let Some(ref mut connection) = self.caching {
            Ok(connection)
        } else {
            let client = redis_setup::told_of_changes(&self.client)?;
            let config = AsyncConnectionConfig::new().set_cache_config(CacheConfig::new());
            Ok(self.caching.insert(client.get_multiplexed_async_connection_with_config(&config).await?))
        }
    }
}

impl Session for MultiplexedSession {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        Box::pin(async move {
            let connection = match request {
                Request::Pop(..) | Request::Take(..) => {
                    return redis_setup::pop_on(&mut self.popping, &self.client, request).await;
                }
                Request::ReplicaGet(_) => {
                    self.replica().await.map_err(|error| outcome::call_error(Stage::Connecting, &error))?
                }
                Request::CachedGet(_) => {
                    self.caching().await.map_err(|error| outcome::call_error(Stage::Connecting, &error))?
                }
                _ => &mut self.master,
            };
            request::run(connection, request).await.map_err(|error| outcome::call_error(Stage::of(request), &error))
        })
    }

    fn share(&self) -> Option<Box<dyn Session>> {
        let (settings, client) = (self.settings.clone(), self.client.clone());
        Some(Box::new(Self {
            settings,
            client,
            master: self.master.clone(),
            replica: None,
            caching: None,
            popping: None,
        }))
    }

    fn subscribe<'a>(&'a mut self, topics: &'a Topics, on_message: OnMessage) -> BoxFuture<'a, CallError> {
        Box::pin(redis_setup::subscribe(&self.client, topics, on_message))
    }
}
