//! Dialling an address outside the world, as a node.

use std::io;
use std::net::{IpAddr, SocketAddr};

use model::Addr;
use tokio::net::{TcpSocket, TcpStream, lookup_host};

/// Connects from a node's own address, as Redis does where `bind` names one, to the first address of a host that answers.
pub(super) async fn dial(from: &Addr, to: &Addr) -> io::Result<TcpStream> {
    let from: Option<IpAddr> = from.host.parse().ok();
    let mut refused = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for addr in lookup_host((&*to.host, to.port)).await? {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_nodelay(true)?;
        if let Some(from) = from.filter(|from| from.is_ipv4() == addr.is_ipv4()) {
            socket.bind(SocketAddr::new(from, 0))?;
        }
        match socket.connect(addr).await {
            Ok(stream) => return Ok(stream),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}
