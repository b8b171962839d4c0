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
//! An attempt that met silence is repeated by the client's kernel after a second of real time, whatever the virtual
//! clock says, and may then succeed if the door has been opened.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll};

use sim::Door;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

/// Attempts that wait while the host is busy; Redis's own `tcp-backlog`.
const BACKLOG: i32 = 511;

/// A node's address in one view.
#[derive(Debug)]
pub(crate) struct Gate {
    addr: SocketAddr,
    standing: Standing,
}

#[derive(Debug)]
enum Standing {
    Open(TcpListener),
    Refused,
    Silent { _listener: Socket, _filler: Socket },
}

impl Gate {
    /// An open gate at `ip`, with this port if it can be had, else with any. Within a tokio runtime.
    pub(crate) fn open(ip: IpAddr, port: u16) -> io::Result<Self> {
        let listener = match listen(SocketAddr::new(ip, port), BACKLOG) {
            Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
                listen(SocketAddr::new(ip, 0), BACKLOG)?
            }
            result => result?,
        };
        Self::of(listener)
    }

    /// An open gate at exactly this address, where neither anybody listens nor a connection lingers; `AddrInUse` otherwise.
    /// Within a tokio runtime.
    pub(crate) fn open_rested(addr: SocketAddr) -> io::Result<Self> {
        let socket = socket(addr)?;
        // Without SO_REUSEADDR, which lets what lingers pass. The connections to come must have it, for the next listener.
        socket.bind(&addr.into())?;
        socket.set_reuse_address(true)?;
        socket.listen(BACKLOG)?;
        Self::of(socket)
    }

    /// An open gate at the one loopback address of IPv6, with a port of its own. Within a tokio runtime.
    pub(crate) fn open_ipv6() -> io::Result<Self> {
        let opened = Self::open_at(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)));
        opened.map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("nodes with `ipv6` need the loopback address ::1 on this machine: {error}"),
            )
        })
    }

    /// An open gate at exactly this address; with port 0 at any port. Within a tokio runtime.
    pub(crate) fn open_at(addr: SocketAddr) -> io::Result<Self> {
        Self::of(listen(addr, BACKLOG)?)
    }

    fn of(listener: Socket) -> io::Result<Self> {
        let listener = TcpListener::from_std(listener.into())?;
        Ok(Self { addr: listener.local_addr()?, standing: Standing::Open(listener) })
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
        self.standing = match door {
            Door::Open => Standing::Open(TcpListener::from_std(listen(self.addr, BACKLOG)?.into())?),
            Door::Refused => Standing::Refused,
            Door::Silent => {
                let listener = listen(self.addr, 0)?;
                let filler = socket(self.addr)?;
                match filler.connect(&self.addr.into()) {
                    Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => {}
                    result => result?,
                }
                Standing::Silent { _listener: listener, _filler: filler }
            }
        };
        Ok(())
    }

    /// What happens now to whoever dials it.
    pub(crate) fn door(&self) -> Door {
        match self.standing {
            Standing::Open(_) => Door::Open,
            Standing::Refused => Door::Refused,
            Standing::Silent { .. } => Door::Silent,
        }
    }

    /// The next connection; never, while the gate is not open.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let Standing::Open(listener) = &self.standing else { return Poll::Pending };
        listener.poll_accept(cx).map(|accepted| {
            let (stream, from) = accepted?;
            // A reply must leave at once: a timer of the kernel runs on real time.
            stream.set_nodelay(true)?;
            Ok((stream, from))
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
        assert!(accepted.unwrap().0.nodelay().unwrap());
    }
}
