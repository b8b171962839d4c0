//! [`KeptPorts`]: the ports from which no client of a run dials again, because a node has closed a connection on them.
//!
//! Such a connection lingers in TIME-WAIT at the node's address, and answers in the place of a node that is down whoever dials
//! from the same port (see [`Gate`](crate::gate::Gate)). The kernel gives a port to a socket that connects only if nobody
//! has bound it, whatever the address; so a socket that is bound to it, at an address where nothing is, keeps it.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// Most ports that are kept, of the 28,232 that Linux gives out. The oldest are let go first: the kernel goes through the
/// ports in order.
const KEPT_MAX: usize = 1024;

/// Ports that are kept. Let go when dropped.
#[derive(Debug, Default)]
pub(super) struct KeptPorts(VecDeque<Socket>);

impl KeptPorts {
    /// Keeps the port of `from` until the end, by a socket at `spare`. If that cannot be had it is as if nothing were kept.
    pub(super) fn keep(&mut self, from: SocketAddr, spare: Ipv4Addr) {
        let Ok(socket) = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)) else { return };
        if socket.bind(&SocketAddr::from((spare, from.port())).into()).is_ok() {
            self.0.truncate(KEPT_MAX - 1);
            self.0.push_front(socket);
        }
    }
}
