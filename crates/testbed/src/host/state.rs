//! [`State`]: everything that a run holds, behind the host's lock.
//!
//! Whatever comes in is handed to the world, and [`State::settle`] then does what the world asks for and sets the timer.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker, ready};

use model::history::Record;
use model::plan::{self, Cluster};
use model::{Addr, ClientId, History, NodeId, Plan, Seed, Time};
use sim::{Door, Effect, World};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::alarm::Alarm;
use super::connection::Connection;
use super::dial::dial;
use super::inside::Inside;
use super::names::{Lookup, look_up};
use super::places::{Gates, Places};
use super::ports::KeptPorts;
use super::tls::{Authority, Session};
use super::wire::Broken;
use super::{HEAD_START, Shared};
use crate::c_library::resolver::Resolved;
use crate::driver;
use crate::gate::{Dialled, Gate};
use crate::socket::NodeSocket;
use crate::view::{View, addr_of};
use real::block::Block;

/// Everything that a run holds.
pub(super) struct State {
    /// `None` once the run has ended.
    world: Option<World>,
    start: Instant,
    alarms: [Alarm; 2],
    timer_task: Option<AbortHandle>,
    /// Answers those who wait in `lookups`.
    resolver_task: Option<AbortHandle>,
    /// Those who wait to be told what a name stands for.
    pub(super) lookups: VecDeque<Lookup>,
    places: Places,
    cluster: Cluster,
    nodes: Vec<NodeId>,
    clients: BTreeMap<ClientId, Client>,
    connections: BTreeMap<u64, Connection>,
    /// Connections to frozen processes from which no more is read.
    parked: Vec<u64>,
    kept_ports: KeptPorts,
    /// Signs certificates, if any node speaks TLS.
    authority: Option<Authority>,
    /// Connections that are being dialled.
    dialling: BTreeMap<u64, AbortHandle>,
    /// The client that everybody outside is, of whom nothing is recorded; `None` if the world is closed to them.
    outside: Option<ClientId>,
    /// Connections with something to write or to close, in the order in which that arose.
    dirty: VecDeque<u64>,
    /// Writes for everybody outside, once all that had arrived was read, as Redis does before it sleeps.
    flusher: Option<(AbortHandle, Option<Waker>)>,
    /// For the world's effects, to be used again.
    effects: Vec<Effect>,
    /// Records of the history that were announced.
    announced: usize,
    /// What kept the lab itself from working, first of all.
    failure: Option<io::Error>,
}

/// One client's share of the sockets.
struct Client {
    view: Arc<View>,
    /// The gate of each node, and the task that accepts at it.
    gates: BTreeMap<NodeId, (Gate, Option<AbortHandle>)>,
    inside: Inside,
    /// Held as long as the gates, which stand in it.
    block: Option<Arc<Block>>,
}

impl State {
    pub(super) fn new(plan: &Plan, seed: Seed, start: Instant, sockets: bool) -> Self {
        let cluster = &plan.cluster;
        let data = cluster.data_nodes().into_iter().map(|(node, _)| node);
        let nodes: Vec<NodeId> = data.chain(cluster.sentinel_nodes()).collect();
        let places = Places::new(cluster, nodes.clone(), sockets);
        Self {
            world: Some(World::new(plan, seed)),
            start,
            alarms: [Alarm::new(start), Alarm::new(start)],
            timer_task: None,
            resolver_task: None,
            lookups: VecDeque::new(),
            cluster: cluster.clone(),
            nodes,
            places,
            clients: BTreeMap::new(),
            connections: BTreeMap::new(),
            parked: Vec::new(),
            kept_ports: KeptPorts::default(),
            authority: None,
            dialling: BTreeMap::new(),
            outside: None,
            dirty: VecDeque::new(),
            flusher: None,
            effects: Vec::new(),
            announced: 0,
            failure: None,
        }
    }

    /// Has the nodes speak TLS that are to.
    pub(super) fn encrypt(&mut self) -> io::Result<()> {
        if self.cluster.tls.is_on() {
            self.authority = Some(Authority::new(&self.cluster)?);
        }
        Ok(())
    }

    /// How clients are to encrypt their connections.
    pub(super) fn tls(&self) -> Option<driver::Tls> {
        let plan::Tls { data, sentinels, server_name } = self.cluster.tls.clone();
        self.authority.as_ref().map(|authority| driver::Tls {
            authority: authority.pem(),
            data,
            sentinels,
            server_name,
        })
    }

    /// The TLS of a connection that a node has accepted; `None` if it speaks none.
    fn session(&mut self, node: NodeId, socket: &NodeSocket, dialled: IpAddr) -> io::Result<Option<Session>> {
        match &mut self.authority {
            Some(authority) if self.cluster.tls.covers(node) => {
                let ip = match socket {
                    NodeSocket::Tcp(stream, _) => stream.local_addr()?.ip(),
                    NodeSocket::Memory(_) => dialled,
                };
                authority.session(ip).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The time of the run: tokio's clock, in whole microseconds.
    pub(super) fn now(&self) -> Time {
        Time::from(self.start.elapsed())
    }

    /// Hands something to the world, with the time; `None` if the run has ended. [`State::settle`] must follow.
    pub(super) fn with_world<T>(&mut self, act: impl FnOnce(&mut World, Time) -> T) -> Option<T> {
        let now = self.now();
        self.world.as_mut().map(|world| act(world, now))
    }

    /// Takes the records since they were last taken.
    pub(super) fn take_records(&mut self) -> Vec<Record> {
        self.announced = 0;
        self.with_world(|world, _| world.take_records()).unwrap_or_default()
    }

    pub(super) fn set_timer(&mut self, task: AbortHandle) {
        self.timer_task = Some(task);
    }

    pub(super) fn view(&self, client: &ClientId) -> Arc<View> {
        self.clients.get(client).map(|client| Arc::clone(&client.view)).unwrap_or_default()
    }

    pub(super) fn open_connections(&self, client: &ClientId) -> u64 {
        let held = |connection: &&Connection| connection.client == *client && !connection.lingers;
        self.connections.values().filter(held).count() as u64
    }

    /// Adds a client, with a gate to every node.
    pub(super) fn add_client(&mut self, id: &ClientId, zone: &str, shared: &Arc<Shared>) -> io::Result<Arc<View>> {
        if let Some(client) = self.clients.get(id) {
            return Ok(Arc::clone(&client.view));
        }
        self.places.suffice()?;
        let (block, gates) = self.places.claim()?;
        let inside = if self.cluster.nat { self.places.inside(&block)? } else { Gates::new() };
        self.with_world(|world, _| world.add_client(id, zone));
        Ok(self.open_gates(id, gates, inside, Some(block), shared))
    }

    /// True if nodes have names, by which clients may know them.
    pub(super) fn has_names(&self) -> bool {
        !self.cluster.hosts.is_empty()
    }

    pub(super) fn set_resolver(&mut self, task: AbortHandle) {
        self.resolver_task = Some(task);
    }

    /// The address that a client dials if it is told this name now.
    pub(super) fn resolve(&self, name: &str) -> Resolved {
        let Some(world) = &self.world else { return Resolved::Ended };
        let Some(host) = world.look_up(name) else { return Resolved::Unknown };
        // All clients see the same machines.
        let machine = self.clients.values().next().and_then(|client| client.view.machine(&host));
        machine.or_else(|| host.parse().ok()).map_or(Resolved::Unknown, Resolved::Address)
    }

    /// Opens the world to everybody outside, through these gates.
    pub(super) fn open_outside(&mut self, gates: Vec<(NodeId, Gate)>, shared: &Arc<Shared>) -> Arc<View> {
        let outside = ClientId::new("outside");
        self.with_world(|world, _| world.open_outside(&outside));
        self.start -= HEAD_START;
        while let Some(world) = self.world.as_mut().filter(|world| world.deadline() <= Time::from(HEAD_START)) {
            world.advance(world.deadline());
        }
        self.outside = Some(outside.clone());
        self.flusher = Some((shared.spawn(Self::poll_flush), None));
        self.open_gates(&outside, gates.into_iter().collect(), Gates::new(), None, shared)
    }

    fn open_gates(
        &mut self,
        id: &ClientId,
        gates: Gates,
        inside: Gates,
        block: Option<Arc<Block>>,
        shared: &Arc<Shared>,
    ) -> Arc<View> {
        let nodes = gates.iter().map(|(node, gate)| (*node, gate.addr())).collect();
        let view = View::new(&self.cluster, nodes);
        let told = inside.iter().map(|(node, gate)| (*node, gate.addr())).collect();
        let view = Arc::new(view.outside(&self.cluster, &told));
        let gates = gates.into_iter().map(|(node, gate)| (node, (gate, None))).collect();
        let client = Client { view: Arc::clone(&view), gates, block, inside: Inside::new(inside) };
        self.clients.insert(id.clone(), client);
        for node in self.nodes.clone() {
            if let Some(door) = self.with_world(|world, _| world.door(id, node)) {
                self.set_door(id, node, door, shared);
            }
        }
        self.settle(shared);
        view
    }

    /// Puts the gates of a node at another address, refusing for now.
    fn moved(&mut self, node: NodeId, addr: &Addr) {
        let place = self.places.next_move();
        self.cluster.addresses.insert(node, addr.clone());
        for (id, client) in &mut self.clients {
            let Some((gate, acceptor)) = client.gates.get_mut(&node) else { continue };
            if let Some(acceptor) = acceptor.take() {
                acceptor.abort();
            }
            let opened = self.places.moved(client.block.as_deref(), place, &addr.host, gate.addr().port());
            match opened {
                Ok(opened) => *gate = opened,
                Err(error) => {
                    self.failure.get_or_insert(error);
                    continue;
                }
            }
            client.view = Arc::new(client.view.moved(node, addr, gate.addr()));
            for connection in self.connections.values_mut().filter(|connection| connection.client == *id) {
                connection.wire.set_view(Arc::clone(&client.view));
            }
        }
    }

    /// Opens or closes a gate and sees to it that somebody accepts at an open one.
    fn set_door(&mut self, id: &ClientId, node: NodeId, door: Door, shared: &Arc<Shared>) {
        let Some((gate, acceptor)) = self.clients.get_mut(id).and_then(|client| client.gates.get_mut(&node)) else {
            return;
        };
        if let Err(error) = gate.set(door) {
            self.failure.get_or_insert(error);
        }
        if door != Door::Open {
            if let Some(acceptor) = acceptor.take() {
                acceptor.abort();
            }
        } else if acceptor.is_none() {
            let id = id.clone();
            *acceptor = Some(shared.spawn(move |state, shared, cx| state.poll_accept(&id, node, shared, cx)));
        }
    }

    /// Dials an address from within this process, as a client.
    pub(super) fn connect(&mut self, id: &ClientId, addr: SocketAddr) -> io::Result<Dialled> {
        let Some(Client { gates, inside, .. }) = self.clients.get_mut(id) else { return Ok(Dialled::Elsewhere) };
        let gates = gates.values_mut().map(|(gate, _)| gate);
        match gates.chain(inside.gates()).find(|gate| gate.addr() == addr) {
            Some(gate) => gate.connect(),
            None => Ok(Dialled::Elsewhere),
        }
    }

    /// Accepts as long as somebody dials.
    fn poll_accept(&mut self, id: &ClientId, node: NodeId, shared: &Arc<Shared>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let Some(client) = self.clients.get_mut(id) else { return Poll::Ready(()) };
            let Some((gate, _)) = client.gates.get_mut(&node) else { return Poll::Ready(()) };
            let dialled = gate.addr().ip();
            match ready!(gate.poll_accept(cx)) {
                Ok(socket) => {
                    let view = Arc::clone(&client.view);
                    let guarded = self.world.as_ref().is_some_and(|world| world.asks_for_password(node));
                    let tls = match self.session(node, &socket, dialled) {
                        Ok(tls) => tls,
                        Err(error) => {
                            self.failure.get_or_insert(error);
                            return Poll::Ready(());
                        }
                    };
                    let outside = socket.from().filter(|_| self.outside.as_ref() == Some(id));
                    let mut connection = Connection::accepted(socket, tls, id.clone(), view, guarded);
                    let number = self.with_world(|world, now| match outside {
                        Some(from) => world.accept(now, node, addr_of(from)),
                        None => Some(world.open(now, id, node)),
                    });
                    let Some(number) = number.flatten() else { return Poll::Ready(()) };
                    connection.reader =
                        Some(shared.spawn(move |state, shared, cx| state.poll_connection(number, shared, cx)));
                    self.connections.insert(number, connection);
                    self.settle(shared);
                }
                // The client has given up between its attempt and now.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    self.failure.get_or_insert(error);
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Reads from a connection as long as something comes.
    fn poll_connection(&mut self, number: u64, shared: &Arc<Shared>, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(connection) = self.connections.get_mut(&number)
            && !connection.closing
        {
            let frozen = self.world.as_ref().is_some_and(|world| world.is_frozen(number));
            if connection.is_full(frozen) {
                connection.parked = Some(cx.waker().clone());
                self.parked.push(number);
                return Poll::Pending;
            }
            if connection.broken {
                self.break_off(number, shared);
                self.settle(shared);
                continue;
            }
            if connection.keeps_back(frozen) && connection.parked.replace(cx.waker().clone()).is_none() {
                self.parked.push(number);
            }
            let more = ready!(connection.poll_read(frozen, cx));
            let says = connection.wants_write();
            let now = self.now();
            if !more {
                let lingers = self.with_world(|world, now| world.closed(now, number)).unwrap_or_default();
                match self.connections.get_mut(&number) {
                    Some(connection) if lingers => connection.lingers = true,
                    _ => self.forget(number),
                }
                self.settle(shared);
                return Poll::Ready(());
            }
            while let Some(connection) = self.connections.get_mut(&number)
                && !connection.closing
            {
                match connection.wire.next_frame() {
                    Ok(Some(frame)) => {
                        let waits = connection.wire.awaits_answer();
                        if let Some(world) = &mut self.world {
                            if self.outside.is_some() {
                                look_up(world, &frame);
                            }
                            world.receive(now, number, frame);
                        }
                        if waits {
                            self.carry_out(shared);
                        }
                    }
                    Ok(None) => break,
                    Err(Broken) if frozen => {
                        connection.broken = true;
                        break;
                    }
                    Err(Broken) => self.break_off(number, shared),
                }
            }
            if says {
                self.mark(number);
            }
            self.carry_out(shared);
            if let Some(connection) = self.connections.get(&number)
                && !connection.listed
            {
                connection.socket.acknowledge();
            }
            self.settle(shared);
        }
        Poll::Ready(())
    }

    /// Closes a connection that cannot go on, after the replies to what came before.
    fn break_off(&mut self, number: u64, shared: &Arc<Shared>) {
        self.carry_out(shared);
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.closing = true;
        }
        self.mark(number);
        self.with_world(|world, now| world.closed(now, number));
    }

    /// Goes on reading where a process was frozen and is no more.
    fn unpark(&mut self) {
        let Some(world) = &self.world else { return };
        let (parked, free) = std::mem::take(&mut self.parked).into_iter().partition(|number| world.is_frozen(*number));
        self.parked = parked;
        let free: Vec<u64> = free;
        for number in free {
            if let Some(waker) = self.connections.get_mut(&number).and_then(|connection| connection.parked.take()) {
                waker.wake();
            }
        }
    }

    /// Lets the world do what is due.
    pub(super) fn poll_timer(&mut self, shared: &Arc<Shared>, cx: &mut Context<'_>) -> Poll<()> {
        while self.world.is_some() {
            // Both are polled, so that both know the task.
            let [first, second] = self.alarms.each_mut().map(|alarm| alarm.fires(cx));
            if !first && !second {
                return Poll::Pending;
            }
            self.settle(shared);
        }
        Poll::Ready(())
    }

    /// Tells the world of clients that have dialled where nobody answers them.
    fn look_inside(&mut self) {
        let now = self.now();
        let Some(world) = &mut self.world else { return };
        for (id, client) in &mut self.clients {
            for node in client.inside.newly_dialled() {
                world.astray(now, id, node);
            }
        }
    }

    /// Does what the world asks for, writes, and sets the timer.
    pub(super) fn settle(&mut self, shared: &Arc<Shared>) {
        self.look_inside();
        self.carry_out(shared);
        match &mut self.flusher {
            None => self.flush(shared),
            Some((_, waker)) if !self.dirty.is_empty() => {
                if let Some(waker) = waker.take() {
                    waker.wake();
                }
            }
            Some(_) => {}
        }
        shared.settled.fetch_add(1, Ordering::Relaxed);
        let Some(world) = &self.world else { return };
        let (now, upcoming, records) = (world.now(), world.upcoming(), world.history().records.len());
        shared.clock.store(now.as_micros(), Ordering::Relaxed);
        if self.alarms[0].at == Some(upcoming[1]) || self.alarms[1].at == Some(upcoming[0]) {
            self.alarms.swap(0, 1);
        }
        for (alarm, time) in self.alarms.iter_mut().zip(upcoming) {
            if alarm.at != Some(time) {
                alarm.set(self.start, time);
            }
        }
        if std::mem::replace(&mut self.announced, records) != records {
            shared.news.notify_waiters();
        }
    }

    /// Writes what the world has said.
    fn flush(&mut self, shared: &Arc<Shared>) {
        while let Some(number) = self.dirty.pop_front() {
            self.write(number, shared);
        }
    }

    /// Writes whenever there is something to write and nothing else to do.
    fn poll_flush(&mut self, shared: &Arc<Shared>, cx: &mut Context<'_>) -> Poll<()> {
        self.flush(shared);
        if let Some((_, waker)) = &mut self.flusher {
            *waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Does what the world asks for; what is to be written waits for [`State::settle`].
    fn carry_out(&mut self, shared: &Arc<Shared>) {
        let now = self.now();
        let mut effects = std::mem::take(&mut self.effects);
        self.with_world(|world, now| {
            // What takes no time is due at once.
            if world.deadline() <= now {
                world.advance(now);
            }
            world.swap_effects(&mut effects);
        });
        for effect in effects.drain(..) {
            match effect {
                Effect::Limits { conn, limits } => {
                    if let Some(connection) = self.connections.get_mut(&conn) {
                        connection.wire.set_limits(*limits);
                    }
                }
                Effect::Protocol { conn, version } => {
                    if let Some(connection) = self.connections.get_mut(&conn) {
                        connection.wire.set_protocol(version);
                    }
                }
                Effect::Send { conn, frame } => {
                    if let Some(connection) = self.connections.get_mut(&conn)
                        && !connection.closing
                    {
                        let waited = connection.wire.overdue_at();
                        let within = connection.wire.send(now, &frame);
                        // Whoever writes must know of a time that begins, or of the end.
                        if !within || connection.wire.overdue_at() != waited {
                            connection.stop_writer();
                        }
                        if !within {
                            connection.give_up();
                            connection.closing = true;
                            self.with_world(|world, now| world.closed(now, conn));
                        }
                        self.mark(conn);
                    }
                }
                Effect::Discard { conn } => {
                    if let Some(connection) = self.connections.get_mut(&conn) {
                        connection.give_up();
                    }
                }
                Effect::Leave { conn } => {
                    if let Some(connection) = self.connections.get_mut(&conn)
                        && connection.has_unwritten()
                    {
                        connection.closing = true;
                        self.mark(conn);
                        self.with_world(|world, now| world.closed(now, conn));
                    }
                }
                Effect::Close { conn } => {
                    if let Some(connection) = self.connections.get_mut(&conn) {
                        if self.world.as_ref().is_some_and(|world| world.is_up(conn)) {
                            connection.say_goodbye();
                        }
                        connection.closing = true;
                        self.mark(conn);
                    } else if let Some(dialling) = self.dialling.remove(&conn) {
                        dialling.abort();
                        self.forget(conn);
                    }
                }
                Effect::Dial { conn, node, addr } => self.dial(conn, node, addr, shared),
                Effect::Moved { node, addr } => self.moved(node, &addr),
                Effect::Door { client, node, door } => self.set_door(&client, node, door, shared),
            }
        }
        self.effects = effects;
        if !self.parked.is_empty() {
            self.unpark();
        }
    }

    /// Connects a node to an address outside.
    fn dial(&mut self, number: u64, node: NodeId, addr: Addr, shared: &Arc<Shared>) {
        let from = self.cluster.address(node);
        let back = Arc::clone(shared);
        let task = tokio::spawn(async move {
            let dialled = dial(&from, &addr).await;
            back.lock().dialled(number, dialled, &back);
        });
        self.dialling.insert(number, task.abort_handle());
    }

    /// An attempt to connect has ended.
    fn dialled(&mut self, number: u64, dialled: io::Result<TcpStream>, shared: &Arc<Shared>) {
        let (Some(_), Some(client)) = (self.dialling.remove(&number), self.outside.clone()) else { return };
        if let Ok(stream) = dialled {
            let mut connection = Connection::dialled(stream, client.clone(), self.view(&client));
            connection.reader = Some(shared.spawn(move |state, shared, cx| state.poll_connection(number, shared, cx)));
            self.connections.insert(number, connection);
            self.with_world(|world, now| world.dialled(now, number));
        } else {
            self.with_world(|world, now| world.closed(now, number));
            self.forget(number);
        }
        self.settle(shared);
    }

    /// Closes a connection's socket, if it still has one. Its number may be given to another.
    fn forget(&mut self, number: u64) {
        if let Some(connection) = self.connections.remove(&number)
            && connection.closing
        {
            let block = self.clients.get(&connection.client).and_then(|client| client.block.as_ref());
            if let (Some(from), Some(spare)) = (connection.socket.from(), block.and_then(|block| block.spare())) {
                self.kept_ports.keep(from, spare);
            }
        }
        self.with_world(|world, _| world.retire(number));
    }

    /// Lists a connection for writing.
    fn mark(&mut self, number: u64) {
        if let Some(connection) = self.connections.get_mut(&number)
            && !std::mem::replace(&mut connection.listed, true)
        {
            self.dirty.push_back(number);
        }
    }

    /// Writes what a connection has; if its socket is full a task of its own goes on.
    fn write(&mut self, number: u64, shared: &Arc<Shared>) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        connection.listed = false;
        if connection.writer.is_some() {
            return;
        }
        if connection.write().is_err() {
            connection.writer = Some(shared.spawn(move |state, shared, cx| state.poll_write(number, shared, cx)));
        } else if connection.closing {
            self.forget(number);
        }
    }

    /// Writes what a connection has, when its socket takes it.
    fn poll_write(&mut self, number: u64, shared: &Arc<Shared>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(connection) = self.connections.get_mut(&number) else { return Poll::Ready(()) };
        let within = ready!(connection.poll_write(self.start, cx));
        connection.writer = None;
        let closing = connection.closing;
        if !within && !closing {
            self.with_world(|world, now| world.closed(now, number));
        }
        if !within || closing {
            self.forget(number);
        }
        self.settle(shared);
        Poll::Ready(())
    }

    /// Ends the run: the sockets are closed, the history is given.
    pub(super) fn finish(&mut self) -> io::Result<History> {
        let now = self.now();
        let world = self.world.take().expect("a run is finished once");
        self.stop();
        match self.failure.take() {
            Some(error) => Err(error),
            None => Ok(world.finish(now)),
        }
    }

    /// Closes every socket and ends every task.
    pub(super) fn stop(&mut self) {
        self.world = None;
        if let Some((flusher, _)) = self.flusher.take() {
            flusher.abort();
        }
        // What was said before the end is still written, as far as the sockets take it at once.
        for number in std::mem::take(&mut self.dirty) {
            if let Some(connection) = self.connections.get_mut(&number) {
                let _ = connection.write();
            }
        }
        self.connections.clear();
        for dialling in std::mem::take(&mut self.dialling).into_values() {
            dialling.abort();
        }
        for client in std::mem::take(&mut self.clients).into_values() {
            for acceptor in client.gates.into_values().filter_map(|(_, acceptor)| acceptor) {
                acceptor.abort();
            }
        }
        for task in [self.timer_task.take(), self.resolver_task.take()].into_iter().flatten() {
            task.abort();
        }
        self.lookups.clear();
    }
}
