//! [`Subscriber`]: subscriptions that follow the master.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt as _;
use redis::aio::{PubSub, PubSubSink, PubSubStream};
use redis::{Msg, RedisError, cmd};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::address::Address;
use crate::call::{Progress, Request};
use crate::error::{Cause, DiscoveryError, Failure};
use crate::hints::answers_ping;
use crate::keeper::{Held, Node};
use crate::link::{data_login, open_error};
use crate::metrics::Peer;

/// Subscriptions on the master of one name. When the master moves, or the connection to it is lost, everything that was
/// subscribed to is subscribed to again.
///
/// Redis keeps no messages for a subscriber that is away: what is published between an [`Event::Lost`] and the next
/// [`Event::Ready`] is not delivered, and so may be a little that was published before.
///
/// ```no_run
/// # async fn example(client: sentinel_client::Client) {
/// use sentinel_client::Event;
/// let mut subscriber = client.subscriber();
/// subscriber.subscribe("news").await;
/// subscriber.psubscribe("prices.*").await;
/// loop {
///     match subscriber.next().await {
///         Event::Message(message) => println!("{}", message.get_channel_name()),
///         Event::Lost => println!("messages may be missed from here on"),
///         Event::Ready => println!("subscribed: look up what was missed"),
///         _ => {}
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Subscriber {
    node: Arc<Node>,
    channels: BTreeSet<String>,
    patterns: BTreeSet<String>,
    active: Option<Active>,
    /// When the last connection was lost, or could not be had.
    lost: Option<Instant>,
    /// A refusal was told, and nothing has changed since.
    told: bool,
}

/// What a [`Subscriber`] has to tell.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A message.
    Message(Msg),
    /// The subscriptions are lost, and being made again.
    Lost,
    /// All subscriptions are in place, for the first time or again.
    Ready,
    /// They cannot be made until somebody mends that: credentials are wrong, a channel is not allowed to the user
    /// (`NOPERM`), or no Sentinel knows the master. Told once; [`Subscriber::next`] goes on trying.
    Refused(Failure),
}

/// A connection on which everything is subscribed to.
struct Active {
    address: Address,
    sink: PubSubSink,
    messages: PubSubStream,
    /// When it was last known to live.
    heard: Instant,
    /// A change of the subscriptions failed on it.
    broken: bool,
}

impl std::fmt::Debug for Active {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Active").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A change of the subscriptions of a live connection.
#[derive(Clone, Copy)]
enum Change {
    Subscribe,
    Unsubscribe,
    PSubscribe,
    PUnsubscribe,
}

impl Subscriber {
    pub(crate) fn new(node: Arc<Node>) -> Self {
        Self { node, channels: BTreeSet::new(), patterns: BTreeSet::new(), active: None, lost: None, told: false }
    }

    /// Adds a channel. It is subscribed to at once if the connection stands, else by [`Subscriber::next`].
    pub async fn subscribe(&mut self, channel: &str) {
        if self.channels.insert(channel.to_owned()) {
            self.change(Change::Subscribe, channel).await;
        }
    }

    /// Adds all channels that match a pattern.
    pub async fn psubscribe(&mut self, pattern: &str) {
        if self.patterns.insert(pattern.to_owned()) {
            self.change(Change::PSubscribe, pattern).await;
        }
    }

    /// Takes a channel away.
    pub async fn unsubscribe(&mut self, channel: &str) {
        if self.channels.remove(channel) {
            self.change(Change::Unsubscribe, channel).await;
        }
    }

    /// Takes a pattern away.
    pub async fn punsubscribe(&mut self, pattern: &str) {
        if self.patterns.remove(pattern) {
            self.change(Change::PUnsubscribe, pattern).await;
        }
    }

    /// The next thing to tell. Subscribes where that is due, for as long as it takes: while no master can be found this
    /// does not return, but to tell once of an [`Event::Refused`]. It may be dropped before it does, without loss.
    pub async fn next(&mut self) -> Event {
        let mut failures = 0u32;
        loop {
            let Some(active) = &mut self.active else {
                match self.establish().await {
                    Ok(active) => {
                        tracing::info!(node = %active.address, "subscribed");
                        self.active = Some(active);
                        self.lost = None;
                        self.told = false;
                        return Event::Ready;
                    }
                    Err(failure) => {
                        failures = failures.saturating_add(1);
                        self.lost = Some(Instant::now());
                        tracing::debug!(%failure, failures, "subscribing failed");
                        if is_refusal(&failure.cause) && !std::mem::replace(&mut self.told, true) {
                            return Event::Refused(failure);
                        }
                        let core = &self.node.core;
                        sleep(core.background_wait(failures)).await;
                        continue;
                    }
                }
            };
            let settings = &self.node.core.settings;
            let alive = tokio::select! {
                biased;
                () = std::future::ready(()), if active.broken => false,
                message = active.messages.next() => match message {
                    Some(message) => {
                        active.heard = Instant::now();
                        return Event::Message(message);
                    }
                    None => false,
                },
                () = self.node.moved_from(&active.address) => false,
                () = sleep_until(active.heard + settings.keep_alive) => {
                    let alive = answers_ping(&mut active.sink, settings.response_timeout).await;
                    active.heard = Instant::now();
                    alive
                }
            };
            if !alive {
                self.lose();
                return Event::Lost;
            }
        }
    }

    fn lose(&mut self) {
        if let Some(active) = self.active.take() {
            tracing::info!(node = %active.address, "subscriptions lost");
        }
        self.lost = Some(Instant::now());
        self.node.check();
    }

    /// Subscribes to everything at the present master. After a loss the Sentinels are asked first.
    async fn establish(&self) -> Result<Active, Failure> {
        let mut subscribe = cmd("SUBSCRIBE");
        subscribe.arg(&self.channels).arg(&self.patterns);
        let progress = Progress::new(Request::One(&subscribe));
        self.subscribed().await.map_err(|(node, cause)| Failure { node, attempts: 1, ..progress.failed(cause) })
    }

    async fn subscribed(&self) -> Result<Active, (Option<Address>, Cause)> {
        let settings = &self.node.core.settings;
        let deadline = Instant::now() + settings.retry.budget;
        if let Some(since) = self.lost {
            let asked = timeout_at(deadline, self.node.confirmed(since)).await;
            asked.map_err(|_| (None, Cause::Searching))?;
        }
        let held = self.node.held(&mut self.node.states(), 0, deadline, false, &mut None).await;
        let Held { link, .. } = held.map_err(|cause| (None, cause))?;
        let address = link.address().clone();
        let subscribed = async {
            let stream = self.node.core.dial(Peer::Data, &address).await.map_err(|error| error.at(&address))?;
            // Each exchange has its own time: a node that is far away needs all of them.
            let within = settings.response_timeout;
            let late = |_| Cause::TimedOut(within);
            let opened = timeout(within, PubSub::new(&data_login(settings), stream)).await.map_err(late)?;
            let mut connection = opened.map_err(|error| open_error(&error).at(&address))?;
            if !self.channels.is_empty() {
                timeout(within, connection.subscribe(&self.channels)).await.map_err(late)?.map_err(cause)?;
            }
            if !self.patterns.is_empty() {
                timeout(within, connection.psubscribe(&self.patterns)).await.map_err(late)?.map_err(cause)?;
            }
            Ok::<_, Cause>(connection.split())
        };
        match subscribed.await {
            Ok((sink, messages)) => Ok(Active { address, sink, messages, heard: Instant::now(), broken: false }),
            Err(cause) => {
                self.node.check();
                Err((Some(address), cause))
            }
        }
    }

    /// Applies a change to the connection, if it stands. One that does not take it is given up by
    /// [`Subscriber::next`], and everything subscribed to anew.
    async fn change(&mut self, change: Change, name: &str) {
        let Some(active) = &mut self.active else { return };
        let sink = &mut active.sink;
        let applied = async {
            match change {
                Change::Subscribe => sink.subscribe(name).await,
                Change::Unsubscribe => sink.unsubscribe(name).await,
                Change::PSubscribe => sink.psubscribe(name).await,
                Change::PUnsubscribe => sink.punsubscribe(name).await,
            }
        };
        let applied = timeout(self.node.core.settings.response_timeout, applied).await;
        if !matches!(applied, Ok(Ok(()))) {
            active.broken = true;
        }
    }
}

/// Why a subscription was not made.
fn cause(error: RedisError) -> Cause {
    let text = error.to_string();
    match error.into_server_errors().as_deref() {
        Some([(_, error), ..]) => Cause::Server(error.into()),
        _ => Cause::Lost(text),
    }
}

/// True if to subscribe again makes no sense before somebody has mended something.
fn is_refusal(cause: &Cause) -> bool {
    match cause {
        Cause::Server(error) => matches!(error.code.as_str(), "NOPERM" | "NOAUTH" | "WRONGPASS"),
        Cause::Discovery(error) => error.is_refusal() || matches!(error, DiscoveryError::UnknownMaster { .. }),
        _ => false,
    }
}
