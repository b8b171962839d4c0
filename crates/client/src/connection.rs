//! [`Connection`]: what an application sends its commands on.

use std::sync::Arc;

use redis::aio::ConnectionLike;
use redis::{Cmd, FromRedisValue, Pipeline, RedisFuture, RedisResult, Value};
use tokio::time::{Instant, timeout_at};

use crate::call::{self, Request};
use crate::error::{Cause, Failure};
use crate::keeper::{Node, States};
use crate::outcome;
use crate::retry::Retry;

/// A connection to the master, or to a replica, of one name, wherever that is at the moment.
///
/// It implements [`ConnectionLike`], so that [`redis::AsyncCommands`], `redis::cmd` and `redis::pipe` work on it as on
/// any connection. Clones are cheap and share one TCP connection, so they may be given to any number of tasks. Commands
/// that block (`BLPOP`) or that change the connection (`SELECT`, `WATCH`, `SUBSCRIBE`) are refused on it; see
/// [`Client::dedicated`](crate::Client::dedicated) and [`Client::subscriber`](crate::Client::subscriber). On a connection to
/// a replica, commands that write are refused too, also while the master stands in for a replica. Scripts (`EVAL`) and the
/// commands of modules are sent as they are.
///
/// Every call ends within the budget of its [`Retry`], also while no Sentinel answers. The future of a call may be
/// dropped; its command may run all the same.
#[derive(Clone, Debug)]
pub struct Connection {
    node: Arc<Node>,
    states: States,
    retry: Retry,
}

impl Connection {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        let retry = node.core.settings.retry.clone();
        Self { states: node.states(), node, retry }
    }

    /// This connection with other rules for retries.
    #[must_use]
    pub fn with_retry(&self, retry: Retry) -> Self {
        Self { retry, ..self.clone() }
    }

    /// How commands on this connection are retried.
    pub fn retry(&self) -> &Retry {
        &self.retry
    }

    async fn one<E: From<Failure>>(&mut self, command: &Cmd, strict: bool) -> Result<Value, E> {
        let Self { node, states, retry } = self;
        let request = Request::One(command);
        call::may_be_shared(request, node.target)?;
        let (first, connection) = call::first(node, states, retry);
        let tried = match connection {
            Some(connection) => match timeout_at(first.end, connection.send_packed_command(command)).await {
                Ok(Ok(value)) if outcome::is_plain(&value) => return Ok(value),
                tried => Some(tried),
            },
            None => None,
        };
        Box::pin(first.then(node, states, retry, request, tried, strict)).await.map_err(E::from)
    }

    async fn many(&mut self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        let Self { node, states, retry } = self;
        let request = Request::Many(pipeline, offset, count);
        call::may_be_shared(request, node.target)?;
        let (first, connection) = call::first(node, states, retry);
        let tried = match connection {
            Some(connection) => {
                match timeout_at(first.end, connection.send_packed_commands(pipeline, offset, count)).await {
                    Ok(Ok(values)) if values.iter().all(outcome::is_plain) => return Ok(values),
                    tried => Some(tried),
                }
            }
            None => None,
        };
        Ok(Box::pin(first.then(node, states, retry, request, tried, false)).await?)
    }

    /// Sends `command` and reads its reply, with this crate's own error. An error reply is a [`Cause::Server`].
    ///
    /// ```no_run
    /// # async fn example(mut connection: sentinel_client::Connection) -> Result<(), sentinel_client::Failure> {
    /// let mut command = redis::cmd("INCR");
    /// command.arg("visits");
    /// match connection.query::<i64>(&command).await {
    ///     Ok(count) => println!("{count}"),
    ///     Err(failure) if failure.may_have_run => println!("counted or not: {failure}"),
    ///     Err(failure) => return Err(failure),
    /// }
    /// # Ok(()) }
    /// ```
    pub async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, Failure> {
        let started = Instant::now();
        let value = self.one::<Failure>(command, true).await?;
        T::from_redis_value(value).map_err(|error| Failure {
            command: Request::One(command).name(),
            cause: Cause::Unreadable(error.to_string()),
            node: None,
            may_have_run: true,
            attempts: 1,
            elapsed: started.elapsed(),
        })
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(self.one(command, false))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(self.many(pipeline, offset, count))
    }

    fn get_db(&self) -> i64 {
        i64::from(self.node.core.settings.db)
    }
}
