//! A subscription to what Sentinels announce. The correct client has none: it asks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use testbed::driver::Settings;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::dial::{Peer, subscription};

/// Listens at the first Sentinel that lets it, until that connection is lost, and never again.
pub(crate) struct Events {
    heard: Arc<Mutex<Option<String>>>,
    task: JoinHandle<()>,
}

impl Events {
    /// What is announced while it is `busy` with the announcement before is dropped.
    pub(crate) fn listen(settings: &Settings, busy: Duration) -> Self {
        let heard = Arc::new(Mutex::new(None));
        let task = tokio::spawn(listen(settings.clone(), busy, Arc::clone(&heard)));
        Self { heard, task }
    }

    /// True if something was heard that was not taken.
    pub(crate) fn waiting(&self) -> bool {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// The announcement that was heard last, once.
    pub(crate) fn take(&self) -> Option<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(settings: Settings, busy: Duration, heard: Arc<Mutex<Option<String>>>) {
    for addr in &settings.sentinels {
        let Ok(mut pubsub) = subscription(&settings, Peer::Sentinel, addr).await else { continue };
        if pubsub.subscribe("+switch-master").await.is_err() {
            continue;
        }
        let mut messages = pubsub.into_on_message();
        let mut until = Instant::now();
        while let Some(message) = messages.next().await {
            if Instant::now() < until {
                continue;
            }
            until = Instant::now() + busy;
            let payload = String::from_utf8_lossy(message.get_payload_bytes()).into_owned();
            *heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(payload);
        }
        return;
    }
}
