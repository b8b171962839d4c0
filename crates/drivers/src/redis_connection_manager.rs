//! Driver `redis-connection-manager`: the `ConnectionManager` of the crate `redis` on the address that its Sentinel
//! client found at the start. It reconnects by itself, to that address.

use model::plan::Need;
use redis::Client;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection};
use redis::caching::CacheConfig;
use redis::sentinel::SentinelServerType;
use testbed::driver::{Answer, BoxFuture, CallError, Driver, OnMessage, Request, Session, Settings, Topics};

use crate::outcome::{self, Stage};
use crate::{redis_setup, request};

/// A `ConnectionManager` on the address found at the start.
pub struct RedisConnectionManager;

impl Driver for RedisConnectionManager {
    fn name(&self) -> &'static str {
        "redis-connection-manager"
    }

    fn about(&self) -> &'static str {
        "redis 1.x, ConnectionManager on the address that the SentinelClient found at the start"
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
            let master = ConnectionManager::new(client.clone()).await.map_err(connecting)?;
            Ok(Box::new(ManagerSession { settings, client, master, replica: None, caching: None, popping: None })
                as Box<dyn Session>)
        })
    }
}

struct ManagerSession {
    settings: Settings,
    /// The address of the start.
    client: Client,
    master: ConnectionManager,
    /// Opened by the first read from a replica.
    replica: Option<ConnectionManager>,
    /// With a cache, which its documentation has in the connection; opened by the first read through it.
    caching: Option<ConnectionManager>,
    /// Opened by the first blocking command, and again after it failed.
    popping: Option<MultiplexedConnection>,
}

impl ManagerSession {
    async fn replica(&mut self) -> redis::RedisResult<&mut ConnectionManager> {
        if let Some(ref mut connection) = self.replica {
            Ok(connection)
        } else {
            let mut sentinel = redis_setup::sentinel_client(&self.settings, SentinelServerType::Replica)?;
            let client = sentinel.async_get_client().await?;
            Ok(self.replica.insert(ConnectionManager::new(client).await?))
        }
    }

    async fn caching(&mut self) -> redis::RedisResult<&mut ConnectionManager> {
        if let Some(ref mut connection) = self.caching {
            Ok(connection)
        } else {
            let client = redis_setup::told_of_changes(&self.client)?;
            let config = ConnectionManagerConfig::new().set_cache_config(CacheConfig::new());
            Ok(self.caching.insert(ConnectionManager::new_with_config(client, config).await?))
        }
    }
}

impl Session for ManagerSession {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        Box::pin(async move {
            let connection = match request {
                Request::Pop(..) | Request::Take(..) => {
                    let result = redis_setup::pop_on(&mut self.popping, &self.client, request).await;
                    if result.is_err() {
                        self.popping = None;
                    }
                    return result;
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
