//! Dialling, and the byte stream under a connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::address::Address;
use crate::dial::{ByteStream, Dialler};
use crate::error::OpenError;

/// Probes of an idle connection that may go unanswered.
const PROBES: u32 = 3;

/// After so many times `keep_alive` the system gives a dead connection up.
pub(crate) const GIVEN_UP: u32 = PROBES + 1;

/// The bytes of a connection, as they are or through TLS.
pub(crate) type Stream = Box<dyn ByteStream>;

/// Connects to `address` by `dialler` or else by TCP.
pub(crate) async fn dial(
    dialler: &Dialler,
    address: &Address,
    within: Duration,
    keep_alive: Duration,
) -> Result<Stream, OpenError> {
    let connect = async {
        match &dialler.0 {
            Some(dialler) => dialler.dial(address).await,
            None => tcp(address, keep_alive).await.map(|stream| Box::new(stream) as Stream),
        }
    };
    match timeout(within, connect).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(OpenError::Connect(error.to_string())),
        Err(_) => Err(OpenError::TimedOut(within)),
    }
}

/// Connects to `address`, its name resolved anew, with Nagle's algorithm off. The system probes a connection that is silent
/// for `keep_alive`, and gives it up after [`PROBES`] more of these, so that a command that blocks for ever does not wait
/// on a connection that the other end knows nothing of.
async fn tcp(address: &Address, keep_alive: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((address.host(), address.port())).await?;
    stream.set_nodelay(true)?;
    watch_over(&stream, keep_alive)?;
    Ok(stream)
}

fn watch_over(stream: &TcpStream, keep_alive: Duration) -> io::Result<()> {
    // The system counts in seconds, and not far.
    let interval = keep_alive.clamp(Duration::from_secs(1), Duration::from_secs(3_600));
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(interval);
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "windows", target_os = "freebsd"))]
    let keepalive = keepalive.with_interval(interval).with_retries(PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    // The same for what was sent and is not acknowledged.
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(interval * GIVEN_UP))?;
    Ok(())
}

/// Bytes that went over a connection.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    /// Handed to the system, or to TLS, which may keep some. A call during which this stood still, and whose connection is
    /// gone, sent nothing, so its command cannot have run.
    written: AtomicU64,
    /// Had from the other end.
    read: AtomicU64,
}

impl Traffic {
    /// Bytes sent so far.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Bytes received so far.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// A stream that counts its [`Traffic`].
pub(crate) struct CountedStream {
    inner: Stream,
    traffic: Arc<Traffic>,
}

impl CountedStream {
    pub(crate) fn new(inner: Stream) -> (Self, Arc<Traffic>) {
        let traffic = Arc::default();
        (Self { inner, traffic: Arc::clone(&traffic) }, traffic)
    }

    fn count(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(written)) = result {
            self.traffic.written.fetch_add(written as u64, Ordering::Relaxed);
        }
        result
    }
}

impl AsyncRead for CountedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
        self.traffic.read.fetch_add((buf.filled().len() - before) as u64, Ordering::Relaxed);
        result
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.count(result)
    }

    // Many commands at once go out in one piece without being copied together first.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.count(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_system_watches_over_every_connection() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = Address::new("127.0.0.1", listener.local_addr().expect("an address").port());
        let second = Duration::from_secs(1);
        for (keep_alive, interval) in [(3 * second, 3), (second / 10, 1), (Duration::from_secs(86_400 * 365), 3_600)] {
            let stream = tcp(&address, keep_alive).await.expect("a connection");
            let socket = SockRef::from(&stream);
            assert!(socket.keepalive().unwrap() && stream.nodelay().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), second * interval);
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), second * interval);
            assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
            assert_eq!(socket.tcp_user_timeout().unwrap(), Some(second * interval * 4));
        }
    }
}
