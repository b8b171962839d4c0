//! Driver `redis-bb8`: a pool of the crate `bb8` over the Sentinel client of the crate `redis`, by the feature `bb8` of
//! that crate. A connection is taken from the pool for every operation; the pool tests it with a PING.

use bb8::{Pool, RunError};
use model::history::Cause;
use model::plan::{Need, Workload};
use redis::sentinel::{AsyncLockedSentinelClient, SentinelServerType};
use testbed::driver::{Answer, BoxFuture, CallError, Driver, OnMessage, Request, Session, Settings, Topics};

use crate::outcome::{self, Stage};
use crate::{redis_setup, request};

/// `bb8::Pool<AsyncLockedSentinelClient>`, a connection from it for every operation.
pub struct RedisBb8;

impl Driver for RedisBb8 {
    fn name(&self) -> &'static str {
        "redis-bb8"
    }

    fn about(&self) -> &'static str {
        "redis 1.x with bb8 0.9: a connection from the pool for every operation, tested with PING"
    }

    fn can(&self, need: Need) -> bool {
        !matches!(need, Need::Workload(Workload::CachedReads) | Need::AddressMap | Need::ServerName)
    }

    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        Box::pin(async move {
            let master = pool(&settings, SentinelServerType::Master)?;
            let replica = pool(&settings, SentinelServerType::Replica)?;
            Ok(Box::new(PoolSession { settings, master, replica }) as Box<dyn Session>)
        })
    }
}

/// A pool as `bb8` has it, but that a connection must be there by the deadline of the call, and that connections have no age:
/// the task that looks for old ones outlives its pool by up to 30 s, and would hide whatever else a run finds.
fn pool(settings: &Settings, server: SentinelServerType) -> Result<Pool<AsyncLockedSentinelClient>, CallError> {
    let client = redis_setup::sentinel_client(settings, server)
        .map_err(|error| outcome::call_error(Stage::Connecting, &error))?;
    let builder = Pool::builder().connection_timeout(settings.deadline).idle_timeout(None).max_lifetime(None);
    Ok(builder.build_unchecked(AsyncLockedSentinelClient::new(client)))
}

struct PoolSession {
    settings: Settings,
    master: Pool<AsyncLockedSentinelClient>,
    replica: Pool<AsyncLockedSentinelClient>,
}

impl Session for PoolSession {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        Box::pin(async move {
            let pool = match request {
                Request::ReplicaGet(_) => &self.replica,
                _ => &self.master,
            };
            let mut connection = pool.get().await.map_err(|error| match error {
                RunError::User(error) => outcome::call_error(Stage::Connecting, &error),
                RunError::TimedOut => CallError {
                    may_have_run: false,
                    cause: Cause::Timeout,
                    text: "no connection from the pool in time".to_owned(),
                },
            })?;
            connection.set_response_timeout(redis_setup::response_timeout(request));
            let result = request::run(&mut *connection, request).await;
            result.map_err(|error| outcome::call_error(Stage::of(request), &error))
        })
    }

    fn share(&self) -> Option<Box<dyn Session>> {
        let (settings, master, replica) = (self.settings.clone(), self.master.clone(), self.replica.clone());
        Some(Box::new(Self { settings, master, replica }))
    }

    fn subscribe<'a>(&'a mut self, topics: &'a Topics, on_message: OnMessage) -> BoxFuture<'a, CallError> {
        Box::pin(redis_setup::subscribe_anew(&self.settings, topics, on_message))
    }
}
