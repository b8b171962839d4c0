//! [`Gate`]: a node's address as one client sees it, and what happens to whoever dials it.
//!
//! | door | how |
//! |---|---|
//! | open | a listening socket |
//! | refused | no socket; the address is kept for the next time |
//! | silent | a listening socket with a backlog of 0 that one connection of our own fills: the kernel then drops further attempts unanswered, which needs no privilege |
//!
//! A connection that a node closes lingers in TIME-WAIT at the node's address, for a minute of real time. A client that
//! dials from the same port again while the gate refuses is not refused by it: TIME-WAIT answers with an
//! acknowledgement, the client's kernel resets that and repeats its attempt after 8 ms, of real time too, while the virtual
//! clock goes on. So a new gate opens only where nothing lingers ([`Gate::open_rested`]), and within a run no port dials
//! twice after a node has closed on it ([`KeptPorts`](crate::host)).
//!
//! In a run whose clients all stay within this process ([`Network`](crate::driver::Network)) a gate has no sockets: what it does
//! to those who dial is the same.
//!
//! An attempt that met silence is repeated by the client's kernel after a second of real time, whatever the virtual
//! clock says, and may then succeed if the door has been opened.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll, Waker};

use sim::Door;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpListener;

use crate::c_library::drops::dropped;
use crate::memory::MemoryStream;
use crate::socket::NodeSocket;

/// Attempts that wait while the host is busy; Redis's own `tcp-backlog`.
const BACKLOG: i32 = 511;

/// The first port at the loopback address of IPv6, below those that systems give out by themselves, how far it is from one
/// place to the next, and how many places there are.
const IPV6_PORT: u16 = 10_000;
const IPV6_STEP: u16 = 50;
const IPV6_PLACES: usize = 400;

/// A node's address in one view.
#[derive(Debug)]
pub(crate) struct Gate {
    addr: SocketAddr,
    /// Whether it has sockets, for those who dial through the kernel.
    sockets: bool,
    standing: Standing,
    /// Connections within this process that wait to be accepted, and who accepts.
    waiting: VecDeque<MemoryStream>,
    acceptor: Option<Waker>,
    /// Somebody within this process has dialled it since it fell silent.
    dialled: bool,
}

#[derive(Debug)]
enum Standing {
    Open(Option<TcpListener>),
    Refused,
    Silent(Option<Silence>),
}

/// A listening socket whose backlog is full.
#[derive(Debug)]
struct Silence {
    listener: Socket,
    _filler: Socket,
}

impl Silence {
    fn at(addr: SocketAddr) -> io::Result<Self> {
        let listener = listen(addr, 0)?;
        let filler = socket(addr)?;
        match filler.connect(&addr.into()) {
            Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
            result => result?,
        }
        Ok(Self { listener, _filler: filler })
    }
}

/// What becomes of an attempt to connect from within this process.
#[derive(Debug)]
pub(crate) enum Dialled {
    /// It is connected.
    Connected(MemoryStream),
    /// It is never answered.
    Silent,
    /// No node has the address.
    Elsewhere,
}

impl Gate {
    /// An open gate without sockets.
    pub(crate) fn within(addr: SocketAddr) -> Self {
        Self::of(addr, None)
    }

    /// So many of those, as [`Gate::open_ipv6`] opens them.
    pub(crate) fn within_ipv6(start: usize, count: usize) -> Vec<Self> {
        let first = IPV6_PORT + (start % IPV6_PLACES) as u16 * IPV6_STEP;
        let addr = |index| SocketAddr::from((Ipv6Addr::LOCALHOST, first.saturating_add(index as u16)));
        (0..count).map(|index| Self::within(addr(index))).collect()
    }

    /// An open gate at `ip`, with this port if it can be had, else with any. Within a tokio runtime.
    pub(crate) fn open(ip: IpAddr, port: u16) -> io::Result<Self> {
        let listener = match listen(SocketAddr::new(ip, port), BACKLOG) {
            Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
                listen(SocketAddr::new(ip, 0), BACKLOG)?
            }
            result => result?,
        };
        Self::with(listener)
    }

    /// An open gate at exactly this address, where neither anybody listens nor a connection lingers; `AddrInUse` otherwise.
    /// Within a tokio runtime.
    pub(crate) fn open_rested(addr: SocketAddr) -> io::Result<Self> {
        let socket = socket(addr)?;
        // Without SO_REUSEADDR, which lets what lingers pass. The connections to come must have it, for the next listener.
        socket.bind(&addr.into())?;
        socket.set_reuse_address(true)?;
        socket.listen(BACKLOG)?;
        Self::with(socket)
    }

    /// So many open gates at the one loopback address of IPv6, at ports of which each is the one before and one more, as the
    /// addresses of a block are: a client that sorts what it dials does so the same way in every run. The `start`th of the
    /// places for them is tried first. Within a tokio runtime.
    pub(crate) fn open_ipv6(start: usize, count: usize) -> io::Result<Vec<Self>> {
        let mut refused = io::Error::from(io::ErrorKind::AddrInUse);
        for place in (start..start + IPV6_PLACES).map(|place| place % IPV6_PLACES) {
            let first = IPV6_PORT + place as u16 * IPV6_STEP;
            let ports = (0..count).map(|index| first.saturating_add(index as u16));
            let opened = ports.map(|port| Self::open_rested(SocketAddr::from((Ipv6Addr::LOCALHOST, port)))).collect();
            match opened {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => refused = error,
                Err(error) => {
                    let text = format!("nodes with `ipv6` need the loopback address ::1 on this machine: {error}");
                    return Err(io::Error::new(error.kind(), text));
                }
                opened => return opened,
            }
        }
        Err(refused)
    }

    /// An open gate at exactly this address; with port 0 at any port. Within a tokio runtime.
    pub(crate) fn open_at(addr: SocketAddr) -> io::Result<Self> {
        Self::with(listen(addr, BACKLOG)?)
    }

    fn with(listener: Socket) -> io::Result<Self> {
        let listener = TcpListener::from_std(listener.into())?;
        Ok(Self::of(listener.local_addr()?, Some(listener)))
    }

    fn of(addr: SocketAddr, listener: Option<TcpListener>) -> Self {
        Self {
            addr,
            sockets: listener.is_some(),
            standing: Standing::Open(listener),
            waiting: VecDeque::new(),
            acceptor: None,
            dialled: false,
        }
    }

    /// Its address, the same all its life.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Changes what happens to whoever dials it, at once. If that fails the gate refuses.
    pub(crate) fn set(&mut self, door: Door) -> io::Result<()> {
        if self.door() == door {
            return Ok(());
        }
        // The address must be free before it can be bound anew.
        self.standing = Standing::Refused;
        self.waiting.clear();
        self.dialled = false;
        self.standing = match door {
            Door::Open if self.sockets => {
                Standing::Open(Some(TcpListener::from_std(listen(self.addr, BACKLOG)?.into())?))
            }
            Door::Open => Standing::Open(None),
            Door::Refused => Standing::Refused,
            Door::Silent if self.sockets => Standing::Silent(Some(Silence::at(self.addr)?)),
            Door::Silent => Standing::Silent(None),
        };
        Ok(())
    }

    /// What happens now to whoever dials it.
    pub(crate) fn door(&self) -> Door {
        match self.standing {
            Standing::Open(_) => Door::Open,
            Standing::Refused => Door::Refused,
            Standing::Silent(_) => Door::Silent,
        }
    }

    /// True if somebody has dialled it since it fell silent, as far as the system tells.
    pub(crate) fn was_dialled(&self) -> bool {
        match &self.standing {
            Standing::Silent(Some(silence)) if dropped(&silence.listener) > 0 => true,
            _ => self.dialled,
        }
    }

    /// Dials it from within this process.
    ///
    /// # Errors
    /// It refuses.
    pub(crate) fn connect(&mut self) -> io::Result<Dialled> {
        match self.standing {
            Standing::Silent(_) => {
                self.dialled = true;
                Ok(Dialled::Silent)
            }
            Standing::Refused => Err(io::Error::from_raw_os_error(libc::ECONNREFUSED)),
            Standing::Open(_) => {
                let (here, there) = MemoryStream::pair();
                self.waiting.push_back(there);
                if let Some(acceptor) = self.acceptor.take() {
                    acceptor.wake();
                }
                Ok(Dialled::Connected(here))
            }
        }
    }

    /// The next connection; never, while the gate is not open.
    pub(crate) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<NodeSocket>> {
        let Standing::Open(listener) = &self.standing else { return Poll::Pending };
        if let Some(stream) = self.waiting.pop_front() {
            return Poll::Ready(Ok(NodeSocket::Memory(stream)));
        }
        self.acceptor = Some(cx.waker().clone());
        let Some(listener) = listener else { return Poll::Pending };
        listener.poll_accept(cx).map(|accepted| {
            let (stream, from) = accepted?;
            // A reply must leave at once: a timer of the kernel runs on real time.
            stream.set_nodelay(true)?;
            Ok(NodeSocket::Tcp(stream, Some(from)))
        })
    }
}

fn socket(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn listen(addr: SocketAddr, backlog: i32) -> io::Result<Socket> {
    let socket = socket(addr)?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(backlog)?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use tokio::net::TcpStream;
    use tokio::time::{Instant, timeout};

    use super::*;
    use real::Block;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Dials with a time-out of virtual time: which door it met.
    async fn dial(gate: &Gate) -> Door {
        match timeout(PATIENCE, TcpStream::connect(gate.addr())).await {
            Ok(Ok(_)) => Door::Open,
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => Door::Refused,
            Ok(Err(error)) => panic!("{error}"),
            Err(_) => Door::Silent,
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test(start_paused = true)]
    async fn from_every_door_to_every_other() {
        let block = Block::claim().unwrap();
        let (ip, port) = block.addr(0, 6379);
        let mut gate = Gate::open(ip, port).unwrap();
        let addr = gate.addr();
        let all = [Door::Open, Door::Refused, Door::Silent];
        for from in all {
            for to in all {
                for door in [from, to] {
                    gate.set(door).unwrap();
                    let start = Instant::now();
                    assert_eq!(dial(&gate).await, door, "{from:?} to {to:?}");
                    let took = if door == Door::Silent { PATIENCE } else { Duration::ZERO };
                    assert_eq!(start.elapsed(), took, "{from:?} to {to:?}");
                    assert_eq!(gate.addr(), addr);
                }
            }
        }
    }

    #[test]
    fn without_sockets_the_doors_are_the_same() {
        let mut gate = Gate::within(Block::claim().unwrap().addr(0, 6379).into());
        assert!(matches!(gate.connect(), Ok(Dialled::Connected(_))));
        gate.set(Door::Silent).unwrap();
        assert!(!gate.was_dialled());
        assert!(matches!(gate.connect(), Ok(Dialled::Silent)));
        assert!(gate.was_dialled());
        gate.set(Door::Refused).unwrap();
        assert!(!gate.was_dialled());
        assert_eq!(gate.connect().unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        gate.set(Door::Open).unwrap();
        assert_eq!(gate.door(), Door::Open);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test(start_paused = true)]
    async fn who_dials_where_nobody_answers_is_seen() {
        let mut gate = Gate::open(Block::claim().unwrap().addr(0, 6379).0, 0).unwrap();
        gate.set(Door::Silent).unwrap();
        assert!(!gate.was_dialled(), "its own filler is nobody");
        let dial = timeout(Duration::from_secs(1), TcpStream::connect(gate.addr()));
        assert!(dial.await.is_err());
        assert!(gate.was_dialled());
        gate.set(Door::Open).unwrap();
        assert!(!gate.was_dialled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_taken_port_gives_way_to_another_that_is_kept() {
        let block = Block::claim().unwrap();
        let (ip, _) = block.addr(0, 6379);
        let first = Gate::open(ip, 0).unwrap();
        let mut second = Gate::open(ip, first.addr().port()).unwrap();
        let addr = second.addr();
        assert_ne!(addr, first.addr());
        second.set(Door::Refused).unwrap();
        second.set(Door::Open).unwrap();
        assert_eq!(second.addr(), addr);
        let (dialled, accepted) = tokio::join!(TcpStream::connect(addr), poll_fn(|cx| second.poll_accept(cx)));
        dialled.unwrap();
        let NodeSocket::Tcp(accepted, _) = accepted.unwrap() else { panic!("it was dialled through the kernel") };
        assert!(accepted.nodelay().unwrap());
    }
}
