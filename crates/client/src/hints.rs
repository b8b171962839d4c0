//! The hints that Sentinels publish when the master moves. They make the client faster; nothing depends on them, because
//! they can be missed. Whoever gets one asks the Sentinels.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::PubSub;
use tokio::sync::broadcast;
use tokio::time::{sleep, timeout};

use crate::address::Address;
use crate::core::{Core, Keeping};
use crate::error::OpenError;
use crate::link::{open_error, sentinel_login};
use crate::metrics::Peer;
use crate::reply;
use crate::stream::GIVEN_UP;
use crate::task::OwnedTask;

/// What a Sentinel says when it takes another node for the master. The one that leads a failover says the second first,
/// and the other only when all is done, seconds later; the others say the first.
const CHANNELS: [&str; 2] = ["+switch-master", "+promoted-slave"];

/// A reason to ask the Sentinels again.
#[derive(Clone, Debug)]
pub(crate) enum Hint {
    /// The subscription at `sentinel` was made, or made again: what it said before was not heard.
    Subscribed { sentinel: Address },
    /// The master called `name` is said to be at `address` now.
    Switched { name: String, address: Address },
}

/// Listens to every Sentinel that is known, on one connection each, and passes on what it hears. As long as that goes on,
/// the connections for questions to them are kept too. Never ends.
pub(crate) async fn listen(core: Arc<Core>, hints: broadcast::Sender<Hint>) {
    let _keeping = Keeping::new(Arc::clone(&core));
    let mut listening: BTreeMap<Address, OwnedTask> = BTreeMap::new();
    loop {
        let known = core.sentinels().each_once();
        listening.retain(|sentinel, _| known.contains(sentinel));
        for sentinel in known {
            let task = || OwnedTask::spawn(listen_to(Arc::clone(&core), sentinel.clone(), hints.clone()));
            listening.entry(sentinel.clone()).or_insert_with(task);
        }
        sleep(core.settings.keep_alive).await;
    }
}

/// Subscribes at one Sentinel, and again whenever the subscription is lost. Never ends.
async fn listen_to(core: Arc<Core>, sentinel: Address, hints: broadcast::Sender<Hint>) {
    let mut failures = 0u32;
    loop {
        match subscribe(&core, &sentinel).await {
            Ok(subscription) => {
                failures = 0;
                tracing::debug!(%sentinel, "subscribed to a sentinel");
                // An error means that nobody listens at the moment.
                let _ = hints.send(Hint::Subscribed { sentinel: sentinel.clone() });
                pass_on(&core, subscription, &hints).await;
                tracing::debug!(%sentinel, "the subscription to a sentinel was lost");
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                tracing::debug!(%sentinel, %error, "a sentinel could not be subscribed to");
            }
        }
        sleep(core.background_wait(failures.max(1))).await;
    }
}

async fn subscribe(core: &Core, sentinel: &Address) -> Result<PubSub, OpenError> {
    let settings = &core.settings;
    core.turn().await;
    let stream = core.dial(Peer::Sentinel, sentinel).await?;
    let login = sentinel_login(settings);
    let within = settings.response_timeout;
    let late = |_| OpenError::TimedOut(within);
    let opened = timeout(within, PubSub::new(&login, stream)).await.map_err(late)?;
    let mut subscription = opened.map_err(|error| open_error(&error))?;
    let subscribed = timeout(within, subscription.subscribe(&CHANNELS)).await.map_err(late)?;
    subscribed.map_err(|error| open_error(&error))?;
    Ok(subscription)
}

/// Passes on what `subscription` brings until it is lost or silent to a ping. Nothing depends on it, so it is pinged as seldom as
/// the system needs to give a dead connection up; a Sentinel that hangs is found sooner by the questions.
async fn pass_on(core: &Core, subscription: PubSub, hints: &broadcast::Sender<Hint>) {
    let (mut sink, mut messages) = subscription.split();
    loop {
        match timeout(core.settings.keep_alive * GIVEN_UP, messages.next()).await {
            Ok(Some(message)) => {
                let payload: String = message.get_payload().unwrap_or_default();
                let news = reply::switch_master(&payload).or_else(|| reply::promoted(&payload));
                if let Some((name, address)) = news {
                    let address = core.settings.address_map.apply(address);
                    let _ = hints.send(Hint::Switched { name, address });
                }
            }
            Ok(None) => return,
            Err(_) => {
                if !answers_ping(&mut sink, core.settings.response_timeout).await {
                    return;
                }
            }
        }
    }
}

/// True if the other end of a subscription is alive.
pub(crate) async fn answers_ping(sink: &mut redis::aio::PubSubSink, within: Duration) -> bool {
    matches!(timeout(within, sink.ping::<redis::Value>()).await, Ok(Ok(_)))
}
