//! [`Socket`]: the node's end of a connection, whatever carries it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;

use crate::memory::MemoryStream;

/// One end of a connection.
#[derive(Debug)]
pub(crate) enum NodeSocket {
    /// Through the kernel, with the address that the client dialled from, if it was the one that dialled.
    Tcp(TcpStream, Option<SocketAddr>),
    /// Within this process.
    Memory(MemoryStream),
}

impl NodeSocket {
    /// Where the client dials from, if it dialled through the kernel.
    pub(crate) fn from(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(_, from) => *from,
            Self::Memory(_) => None,
        }
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, bytes: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream, _) => Pin::new(stream).poll_read(cx, bytes),
            Self::Memory(stream) => Pin::new(stream).poll_read(cx, bytes),
        }
    }

    /// Writes what it takes; `WouldBlock` if it takes nothing.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream, _) => stream.try_write(bytes),
            Self::Memory(stream) => stream.try_write(bytes),
        }
    }

    pub(crate) fn poll_write_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream, _) => stream.poll_write_ready(cx),
            Self::Memory(stream) => {
                ready!(stream.poll_write_ready(cx));
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Tells the other side's kernel at once that its bytes have arrived. Where a reply follows, that does; where none does, the
    /// kernel would wait some real milliseconds, and a client whose Nagle algorithm is on holds back its next request
    /// meanwhile.
    pub(crate) fn acknowledge(&self) {
        #[cfg(target_os = "linux")]
        if let Self::Tcp(stream, _) = self {
            let _ = socket2::SockRef::from(stream).set_tcp_quickack(true);
        }
    }
}
