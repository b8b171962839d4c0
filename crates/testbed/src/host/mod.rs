//! The host of one run: connects the [`World`](sim::World) to sockets and to tokio's clock.
//!
//! | module | holds |
//! |---|---|
//! | [`state`] | everything that a run holds, behind one lock: what comes in goes to the world, what it asks for is done |
//! | [`alarm`] | a timer, at a time of the world |
//! | [`connection`] | one connection, accepted or dialled |
//! | [`tls`] | who signs the certificates of nodes, and the TLS of one connection |
//! | [`wire`] | what a connection is apart from its socket: bytes, frames, limits |
//! | [`dial`] | how a node connects to an address outside |
//! | [`ports`] | the ports that no client dials from again |
//! | [`names`] | how names are looked up |
//! | [`inside`] | addresses at which nobody answers a client |
//!
//! One task sleeps until the world's next deadline, one per open [`Gate`](crate::gate::Gate) accepts, one per connection
//! reads. Each is a poll of the state and holds nothing itself, so a socket is closed at the moment when the world says
//! so, and not when a task next runs. Replies are written where they arise; only when a socket is full does a task wait
//! for it. On a current-thread runtime with a paused clock all of that happens in the same order every time.

mod alarm;
mod connection;
mod dial;
#[cfg(test)]
mod fuzz;
mod inside;
mod names;
mod places;
mod ports;
mod state;
mod tls;
mod wire;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use model::history::{Record, What};
use model::{ClientId, Fault, History, NodeId, Plan, Seed, Time};
use sim::Delivery;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use self::names::NamesOf;
use self::state::State;
use crate::c_library::resolver::Names;
use crate::driver::Tls;
use crate::gate::{Dialled, Gate};
use crate::memory::MemoryStream;
use crate::view::View;

/// What a cluster in real time has behind it when it opens: the start of its nodes, each thing at its own time. Replicas
/// are in sync before Sentinels first ask, as in a run. Done in real time that takes longer than the first pass of a
/// Sentinel is away, and it would know no replica until it asks again, 10 s later.
pub(crate) const HEAD_START: Duration = Duration::from_millis(10);

/// A cluster on sockets. Ends when it is dropped, or by [`Host::finish`].
pub(crate) struct Host(Arc<Shared>);

/// What the tasks of a host share.
pub(crate) struct Shared {
    state: Mutex<State>,
    /// Told whenever the history has grown.
    news: Notify,
    /// Told whenever somebody has begun to wait for what a name stands for.
    asked: Notify,
    /// How often the state has settled: it does after everything that happens.
    settled: AtomicU64,
    /// Tasks of the host that are alive.
    tasks: AtomicUsize,
    /// The time of the run, in microseconds, for whoever looks from another thread.
    clock: Arc<AtomicU64>,
}

/// The way of one client to the nodes within this process, which is faster than the one through the kernel. Both lead to the
/// same nodes.
#[derive(Clone)]
pub struct Network {
    host: Weak<Shared>,
    client: ClientId,
}

impl Network {
    /// Dials an address. It takes as long as the kernel takes on a loopback: no time, or for ever where nobody answers.
    ///
    /// # Errors
    /// The connection is refused, or no node has the address.
    pub async fn connect(&self, addr: SocketAddr) -> io::Result<MemoryStream> {
        let dialled =
            self.host.upgrade().map_or(Ok(Dialled::Elsewhere), |host| host.lock().connect(&self.client, addr));
        match dialled? {
            Dialled::Connected(stream) => Ok(stream),
            Dialled::Silent => std::future::pending().await,
            Dialled::Elsewhere => Err(io::Error::new(
                io::ErrorKind::HostUnreachable,
                format!("no node of this run has the address {addr}"),
            )),
        }
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").field("client", &self.client).finish_non_exhaustive()
    }
}

/// Counts a task for as long as it lives.
struct TaskCount(Arc<Shared>);

impl Drop for TaskCount {
    fn drop(&mut self) {
        self.0.tasks.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Shared {
    /// The lock is never held across an await. A panic under it ends the run elsewhere.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A task that polls the state until that is `Ready`.
    fn spawn(
        self: &Arc<Self>,
        poll: impl Fn(&mut State, &Arc<Self>, &mut Context<'_>) -> Poll<()> + Send + 'static,
    ) -> AbortHandle {
        self.tasks.fetch_add(1, Ordering::Relaxed);
        let count = TaskCount(Arc::clone(self));
        tokio::spawn(poll_fn(move |cx| poll(&mut count.0.lock(), &count.0, cx))).abort_handle()
    }
}

impl Host {
    /// Starts the cluster of `plan`, with a view for each of its clients. Time counts from now. `clock` is kept at the
    /// time of the run, in microseconds. Without `sockets` clients have nothing but their [`Network`] to dial by. Within a
    /// tokio runtime.
    ///
    /// # Errors
    /// No address block is free, the cluster has more nodes than a block has addresses, or a socket could not be had.
    pub(crate) fn start(plan: &Plan, seed: Seed, clock: Arc<AtomicU64>, sockets: bool) -> io::Result<Self> {
        let host = Self::new(plan, seed, Instant::now(), clock, sockets);
        host.0.lock().encrypt()?;
        for client in &plan.clients {
            host.add_client(&ClientId::new(&client.id), &client.zone)?;
        }
        host.begin();
        Ok(host)
    }

    /// Starts the cluster of `plan`, whose nodes have the addresses of these gates, for whoever connects. Nodes may dial
    /// addresses outside it. Time counts from `start`. Within a tokio runtime.
    ///
    /// # Errors
    /// What it takes to speak TLS cannot be made.
    pub(crate) fn open(plan: &Plan, seed: Seed, gates: Vec<(NodeId, Gate)>, start: Instant) -> io::Result<Self> {
        let host = Self::new(plan, seed, start, Arc::default(), true);
        host.0.lock().encrypt()?;
        host.0.lock().open_outside(gates, &host.0);
        host.begin();
        Ok(host)
    }

    fn new(plan: &Plan, seed: Seed, start: Instant, clock: Arc<AtomicU64>, sockets: bool) -> Self {
        let state = Mutex::new(State::new(plan, seed, start, sockets));
        Self(Arc::new(Shared {
            state,
            news: Notify::new(),
            asked: Notify::new(),
            settled: AtomicU64::new(0),
            tasks: AtomicUsize::new(0),
            clock,
        }))
    }

    fn begin(&self) {
        let mut state = self.0.lock();
        let timer = self.0.spawn(State::poll_timer);
        state.set_timer(timer);
        state.settle(&self.0);
    }

    /// Has this thread, and those that it starts from now on, look names up in the cluster, and nowhere else.
    /// `in_turn`: the same run every time, at the price that other threads wait.
    ///
    /// # Errors
    /// The cluster has names, and that is not possible on this system.
    pub(crate) fn answer_names(&self, in_turn: bool) -> io::Result<()> {
        let mut state = self.0.lock();
        if !Names::SUPPORTED && !state.has_names() {
            return Ok(());
        }
        if !Names::SUPPORTED {
            let text = "names of `hosts` need Linux and the GNU C library, linked dynamically";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        Names::ask_on_this_thread(Arc::new(NamesOf::new(&self.0, in_turn)));
        self.0.tasks.fetch_add(1, Ordering::Relaxed);
        state.set_resolver(tokio::spawn(names::answer(TaskCount(Arc::clone(&self.0)))).abort_handle());
        Ok(())
    }

    /// Adds a client in `zone`, with a view of its own. One that there is already keeps its own.
    pub(crate) fn add_client(&self, client: &ClientId, zone: &str) -> io::Result<Arc<View>> {
        self.0.lock().add_client(client, zone, &self.0)
    }

    /// Says how many times as fast as the real clock that of the run goes, for the header of the history.
    pub(crate) fn set_speed(&self, speed: u32) {
        self.0.lock().with_world(|world, _| world.set_speed(speed));
    }

    /// Names the driver of a client, for the header of the history.
    pub(crate) fn set_driver(&self, client: &ClientId, driver: &str) {
        self.0.lock().with_world(|world, _| world.set_driver(client, driver));
    }

    /// Keeps every delivery from here on.
    pub(crate) fn watch_deliveries(&self) {
        self.0.lock().with_world(|world, _| world.watch_deliveries());
    }

    /// What was delivered since this was last called.
    pub(crate) fn take_deliveries(&self) -> Vec<Delivery> {
        self.0.lock().with_world(|world, _| world.take_deliveries()).unwrap_or_default()
    }

    /// The way of a client to the nodes within this process.
    pub(crate) fn network(&self, client: &ClientId) -> Network {
        Network { host: Arc::downgrade(&self.0), client: client.clone() }
    }

    /// The view of a client; an empty one if there is no such client.
    pub(crate) fn view(&self, client: &ClientId) -> Arc<View> {
        self.0.lock().view(client)
    }

    /// How clients are to encrypt their connections.
    pub(crate) fn tls(&self) -> Option<Tls> {
        self.0.lock().tls()
    }

    /// The time of the run.
    pub(crate) fn now(&self) -> Time {
        self.0.lock().now()
    }

    /// Adds a record about a client to the history.
    pub(crate) fn record(&self, what: What) {
        let mut state = self.0.lock();
        state.with_world(|world, now| world.record(now, what));
        state.settle(&self.0);
    }

    /// Lets everything arrive that was sent before: a yield takes one look at the sockets, and from a dialled connection
    /// to the reply to its first command there are no more than these.
    pub(crate) async fn catch_up(&self) {
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
    }

    /// Does something to the cluster; gives the nodes that it hit.
    pub(crate) fn inject(&self, fault: &Fault, lasting: Option<Duration>) -> Vec<NodeId> {
        let mut state = self.0.lock();
        let hit = state.with_world(|world, now| world.inject(now, fault, lasting)).unwrap_or_default();
        state.settle(&self.0);
        hit
    }

    /// The master of a group, as most Sentinels answer now.
    pub(crate) fn master(&self, group: &str) -> Option<NodeId> {
        self.0.lock().with_world(|world, _| world.master(group)).flatten()
    }

    /// True if the cluster is whole and at rest.
    pub(crate) fn is_settled(&self) -> bool {
        self.0
            .lock()
            .with_world(|world, now| {
                world.advance(now);
                world.is_settled()
            })
            .unwrap_or_default()
    }

    /// Looks at the history so far.
    pub(crate) fn history<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        let mut state = self.0.lock();
        state.with_world(|world, _| look(world.history())).expect("the run has not ended")
    }

    /// Waits until `look` finds something in the history. Needs a time-out around it.
    pub(crate) async fn find<T>(&self, mut look: impl FnMut(&History) -> Option<T>) -> T {
        loop {
            let news = self.0.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if let Some(found) = self.history(&mut look) {
                return found;
            }
            news.await;
        }
    }

    /// The configuration file of a Sentinel, if it has rewritten it other than `rewrites` times.
    pub(crate) fn sentinel_file(&self, node: NodeId, rewrites: u64) -> Option<(u64, String)> {
        self.0.lock().with_world(|world, _| world.sentinel_file(node, rewrites)).flatten()
    }

    /// Waits until something has happened since this was last called, and takes it out of the history.
    pub(crate) async fn take_records(&self) -> Vec<Record> {
        loop {
            let news = self.0.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            let records = self.0.lock().take_records();
            if !records.is_empty() {
                return records;
            }
            news.await;
        }
    }

    /// Connections that a client holds.
    pub(crate) fn open_connections(&self, client: &ClientId) -> u64 {
        self.0.lock().open_connections(client)
    }

    /// Tasks of the host that are alive.
    pub(crate) fn tasks(&self) -> usize {
        self.0.tasks.load(Ordering::Relaxed)
    }

    /// Ends the run and gives its history; the error of a socket that failed the lab, if there was one.
    pub(crate) fn finish(&self) -> io::Result<History> {
        self.0.lock().finish()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.0.lock().stop();
    }
}
