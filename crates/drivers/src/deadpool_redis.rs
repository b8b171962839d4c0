//! Driver `deadpool-redis`: the Sentinel pool of the crate `deadpool-redis`, asked for a connection for every operation.
//! A connection that fails is not given back.

use ::deadpool_redis::sentinel::{Config, Connection, Pool, SentinelNodeConnectionInfo, SentinelServerType};
use ::deadpool_redis::{ConnectionAddr, ConnectionInfo, PoolError, RedisConnectionInfo, Runtime};
use model::history::Cause;
use model::plan::{Credentials, Need, Workload};
use testbed::driver::{Answer, BoxFuture, CallError, Driver, OnMessage, Request, Session, Settings, Topics};

use crate::outcome::{self, Stage};
use crate::{redis_setup, request};

/// `deadpool_redis::sentinel::Pool`, a connection from it for every operation.
pub struct DeadpoolRedis;

impl Driver for DeadpoolRedis {
    fn name(&self) -> &'static str {
        "deadpool-redis"
    }

    fn about(&self) -> &'static str {
        "deadpool-redis 0.23, Sentinel pool: a connection from the pool for every operation"
    }

    fn can(&self, need: Need) -> bool {
        !matches!(need, Need::Workload(Workload::CachedReads) | Need::AddressMap | Need::Tls | Need::ServerName)
    }

    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        Box::pin(async move {
            let master = pool(&settings, SentinelServerType::Master)?;
            let replica = pool(&settings, SentinelServerType::Replica)?;
            Ok(Box::new(PoolSession { settings, master, replica }) as Box<dyn Session>)
        })
    }
}

fn pool(settings: &Settings, server_type: SentinelServerType) -> Result<Pool, CallError> {
    let sentinels = settings.sentinels.iter().map(|(host, port)| ConnectionInfo {
        addr: ConnectionAddr::Tcp(host.clone(), *port),
        redis: login(settings.sentinel_auth.as_ref()),
    });
    let config = Config {
        urls: None,
        connections: Some(sentinels.collect()),
        server_type,
        master_name: settings.master.clone(),
        node_connection_info: Some(SentinelNodeConnectionInfo {
            tls_mode: None,
            redis_connection_info: Some(login(settings.data_auth.as_ref())),
        }),
        pool: None,
    };
    config.create_pool(Some(Runtime::Tokio1)).map_err(|error| refused(Cause::Other, error.to_string()))
}

fn login(credentials: Option<&Credentials>) -> RedisConnectionInfo {
    RedisConnectionInfo {
        username: credentials.and_then(|auth| auth.user.clone()),
        password: credentials.map(|auth| auth.password.clone()),
        ..RedisConnectionInfo::default()
    }
}

struct PoolSession {
    settings: Settings,
    master: Pool,
    replica: Pool,
}

impl Session for PoolSession {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        Box::pin(async move {
            let pool = match request {
                Request::ReplicaGet(_) => &self.replica,
                _ => &self.master,
            };
            let mut connection = pool.get().await.map_err(|error| pool_error(&error))?;
            connection.set_response_timeout(redis_setup::response_timeout(request));
            let result = request::run(&mut connection, request).await;
            if result.is_err() {
                drop(Connection::take(connection));
            }
            result.map_err(|error| outcome::call_error(Stage::of(request), &error))
        })
    }

    fn share(&self) -> Option<Box<dyn Session>> {
        let (settings, master, replica) = (self.settings.clone(), self.master.clone(), self.replica.clone());
        Some(Box::new(Self { settings, master, replica }))
    }

    fn subscribe<'a>(&'a mut self, topics: &'a Topics, on_message: OnMessage) -> BoxFuture<'a, CallError> {
        // The pool has no subscriptions; its documentation sends the reader to the crate `redis`.
        Box::pin(redis_setup::subscribe_anew(&self.settings, topics, on_message))
    }
}

fn pool_error(error: &PoolError) -> CallError {
    match error {
        PoolError::Backend(error) => outcome::call_error(Stage::Connecting, error),
        PoolError::Timeout(_) => refused(Cause::Timeout, error.to_string()),
        _ => refused(Cause::Other, error.to_string()),
    }
}

/// An error from before anything was sent.
fn refused(cause: Cause, text: String) -> CallError {
    CallError { may_have_run: false, cause, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pool_errors_in_words() {
        let told = pool_error(&PoolError::Closed);
        assert_eq!((told.cause, told.may_have_run), (Cause::Other, false));
        let io = redis::RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        let told = pool_error(&PoolError::Backend(io));
        assert_eq!((told.cause, told.may_have_run), (Cause::Connection, false));
    }
}
