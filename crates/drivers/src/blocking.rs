//! What blocking drivers have in common: their calls run on threads for blocking work, so that the cluster, which lives on
//! the thread of the run, can answer them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use model::history::Cause;
use redis::sentinel::SentinelServerType;
use redis::{Connection, RedisResult};
use testbed::driver::{Answer, BoxFuture, CallError, OnMessage, Request, Settings, Topics};
use tokio::task::spawn_blocking;

use crate::outcome::{self, Stage};
use crate::redis_setup;
use crate::request::{self, BLOCKING_SLACK};

/// How long a reply may take: as long as the asynchronous connections of the crate `redis` wait.
const RESPONSE: Duration = Duration::from_millis(500);

/// Calls `call` with what is in `slot` on another thread.
pub(crate) fn on_thread<'a, T: Send + 'static>(
    slot: &'a mut Option<T>,
    request: &'a Request,
    call: fn(&mut T, &Request) -> Result<Answer, CallError>,
) -> BoxFuture<'a, Result<Answer, CallError>> {
    Box::pin(async move {
        let Some(mut client) = slot.take() else { return Err(lost("the client was lost in a call that panicked")) };
        let request = request.clone();
        let called = spawn_blocking(move || {
            let result = call(&mut client, &request);
            (client, result)
        });
        match called.await {
            Ok((client, result)) => {
                *slot = Some(client);
                result
            }
            Err(error) => Err(lost(&error.to_string())),
        }
    })
}

fn lost(text: &str) -> CallError {
    CallError { may_have_run: true, cause: Cause::Other, text: text.to_owned() }
}

/// Sends `request` on `connection` and reads its answer, which may take as long as such a request does, in a run that goes
/// `speed` times as fast as the real clock.
pub(crate) fn run(connection: &mut Connection, request: &Request, speed: u32) -> RedisResult<Answer> {
    let limit = request.blocks().map_or(RESPONSE, |seconds| Duration::from_secs(seconds) + BLOCKING_SLACK);
    connection.set_read_timeout(Some(limit / speed))?;
    let reply = if request.is_several() {
        request::pipeline(request).query(connection)?
    } else {
        request::command(request).query(connection)?
    };
    request::answer(request, reply)
}

/// Clears its flag when it is dropped.
struct While(Arc<AtomicBool>);

impl Drop for While {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Subscribes to `topics` at the master that a Sentinel client of its own finds, until the connection is lost.
pub(crate) async fn subscribe(settings: &Settings, topics: &Topics, on_message: OnMessage) -> CallError {
    let wanted = While(Arc::new(AtomicBool::new(true)));
    let (settings, topics, flag) = (settings.clone(), topics.clone(), Arc::clone(&wanted.0));
    let listening = spawn_blocking(move || listen(&settings, &topics, on_message, &flag));
    listening.await.unwrap_or_else(|error| lost(&error.to_string()))
}

fn listen(settings: &Settings, topics: &Topics, mut on_message: OnMessage, wanted: &AtomicBool) -> CallError {
    let opened = || {
        let connection = redis_setup::sentinel_client(settings, SentinelServerType::Master)?.get_connection()?;
        connection.set_read_timeout(Some(settings.real(RESPONSE)))?;
        Ok(connection)
    };
    let mut connection = match opened() {
        Ok(connection) => connection,
        Err(error) => return outcome::call_error(Stage::Connecting, &error),
    };
    let mut pubsub = connection.as_pubsub();
    let channel = pubsub.subscribe(&topics.channel);
    let subscribed = channel.and_then(|()| topics.pattern.iter().try_for_each(|pattern| pubsub.psubscribe(pattern)));
    if let Err(error) = subscribed {
        return outcome::call_error(Stage::Connecting, &error);
    }
    loop {
        match pubsub.get_message() {
            Ok(message) => on_message(message.get_payload_bytes()),
            // Nothing came; nobody may be waiting for anything any more.
            Err(error) if error.is_timeout() && wanted.load(Ordering::Relaxed) => {}
            Err(error) => return outcome::call_error(Stage::Command, &error),
        }
    }
}
