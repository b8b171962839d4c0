//! Driver `redis-r2d2`: a pool of the crate `r2d2` over the blocking Sentinel client of the crate `redis`, by the feature
//! `r2d2` of that crate. In real time, four times as fast.

use model::history::Cause;
use model::plan::{Need, Workload};
use r2d2::Pool;
use redis::sentinel::{LockedSentinelClient, SentinelServerType};
use testbed::driver::{Answer, BoxFuture, CallError, Driver, OnMessage, Request, Session, Settings, Topics};

use crate::blocking::{self, on_thread};
use crate::outcome::{self, Stage};
use crate::redis_setup;

/// `r2d2::Pool<LockedSentinelClient>`, a connection from it for every operation.
pub struct RedisR2d2;

impl Driver for RedisR2d2 {
    fn name(&self) -> &'static str {
        "redis-r2d2"
    }

    fn about(&self) -> &'static str {
        "redis 1.x with r2d2 0.8: a connection from the pool for every operation (real time)"
    }

    fn blocks(&self) -> bool {
        true
    }

    /// The lab makes one blocking call at a time.
    fn can(&self, need: Need) -> bool {
        !matches!(need, Need::Callers | Need::Workload(Workload::CachedReads) | Need::AddressMap | Need::ServerName)
    }

    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        Box::pin(async move {
            let master = Some(Lane::new(&settings, SentinelServerType::Master)?);
            Ok(Box::new(PoolSession { settings, master, replica: None }) as Box<dyn Session>)
        })
    }
}

/// A pool as `r2d2` has it, but that it is of four connections, enough for one who makes one call at a time, that one must be
/// there by the deadline of the call, and that there need be none at its start, when there may be no master.
struct Lane {
    pool: Pool<LockedSentinelClient>,
    /// Of the run, over the real clock.
    speed: u32,
}

impl Lane {
    fn new(settings: &Settings, server: SentinelServerType) -> Result<Self, CallError> {
        let client = redis_setup::sentinel_client(settings, server)
            .map_err(|error| outcome::call_error(Stage::Connecting, &error))?;
        let builder = Pool::builder().max_size(4).connection_timeout(settings.real(settings.deadline));
        Ok(Self { pool: builder.build_unchecked(LockedSentinelClient::new(client)), speed: settings.speed })
    }

    fn call(&mut self, request: &Request) -> Result<Answer, CallError> {
        let mut connection = self.pool.get().map_err(|error| CallError {
            may_have_run: false,
            cause: Cause::Timeout,
            text: error.to_string(),
        })?;
        let result = blocking::run(&mut connection, request, self.speed);
        result.map_err(|error| outcome::call_error(Stage::of(request), &error))
    }
}

struct PoolSession {
    settings: Settings,
    /// `None` only while a call has it.
    master: Option<Lane>,
    /// Opened by the first read from a replica.
    replica: Option<Lane>,
}

impl Session for PoolSession {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        let slot = match request {
            Request::ReplicaGet(_) => {
                if self.replica.is_none() {
                    match Lane::new(&self.settings, SentinelServerType::Replica) {
                        Ok(lane) => self.replica = Some(lane),
                        Err(error) => return Box::pin(std::future::ready(Err(error))),
                    }
                }
                &mut self.replica
            }
            _ => &mut self.master,
        };
        on_thread(slot, request, Lane::call)
    }

    fn subscribe<'a>(&'a mut self, topics: &'a Topics, on_message: OnMessage) -> BoxFuture<'a, CallError> {
        Box::pin(blocking::subscribe(&self.settings, topics, on_message))
    }
}
