//! Subscriptions on the master.

use std::time::Duration;

use futures_util::StreamExt as _;
use model::history::Cause;
use testbed::driver::{CallError, OnMessage, Topics};
use tokio::time::{Instant, sleep_until, timeout};

use crate::Defect;
use crate::client::{Client, PATIENCE};
use crate::dial::{Peer, subscription, unsent};

/// How often a subscriber asks whether its master still is one, and whether its connection lives.
const WATCH: Duration = Duration::from_millis(500);

impl Client {
    /// Subscribes on the master until another one is, or the connection is lost.
    pub(crate) async fn follow(&mut self, topics: &Topics, mut on_message: OnMessage) -> CallError {
        match self.try_follow(topics, &mut on_message).await {
            Ok(lost) | Err(lost) if !self.has(Defect::SubscribesOnce) => lost,
            Ok(_) => std::future::pending().await,
            Err(never) => never,
        }
    }

    /// The error that ended the subscription, or kept it from being made.
    async fn try_follow(&mut self, topics: &Topics, on_message: &mut OnMessage) -> Result<CallError, CallError> {
        // Its role is verified on the way.
        self.connected().await?;
        let Some(master) = self.master_addr() else { return Err(unsent(Cause::NoMaster, "no master")) };
        let failed = |error: redis::RedisError| unsent(Cause::Connection, &error.to_string());
        let slow = |_| unsent(Cause::Timeout, "the master did not answer");
        let subscription = subscription(&self.settings, Peer::Data, &master);
        let mut pubsub = timeout(PATIENCE, subscription).await.map_err(slow)?.map_err(failed)?;
        timeout(PATIENCE, pubsub.subscribe(&topics.channel)).await.map_err(slow)?.map_err(failed)?;
        let again = std::mem::replace(&mut self.subscribed, true);
        if let Some(pattern) = topics.pattern.as_ref().filter(|_| !(again && self.has(Defect::ForgetsPatterns))) {
            timeout(PATIENCE, pubsub.psubscribe(pattern)).await.map_err(slow)?.map_err(failed)?;
        }
        let (mut sink, mut messages) = pubsub.split();
        let mut watch = Instant::now() + WATCH;
        loop {
            tokio::select! {
                biased;
                message = messages.next() => match message {
                    Some(message) => on_message(message.get_payload_bytes()),
                    None => return Ok(unsent(Cause::Connection, "the subscription was lost")),
                },
                () = sleep_until(watch) => {
                    watch = Instant::now() + WATCH;
                    if self.has(Defect::TrustsSilence) {
                        continue;
                    }
                    if !matches!(timeout(PATIENCE, sink.ping::<redis::Value>()).await, Ok(Ok(_))) {
                        return Ok(unsent(Cause::Timeout, "the subscription is dead"));
                    }
                    if self.sentinels.master().await.is_ok_and(|now| now != master) {
                        return Ok(unsent(Cause::NoMaster, "there is another master"));
                    }
                }
            }
        }
    }
}
