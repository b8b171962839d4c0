//! Dialling, and the byte stream under a connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::address::Address;
use crate::error::OpenError;

/// Connects to `address`, its name resolved anew, with Nagle's algorithm off.
pub(crate) async fn dial(address: &Address, within: Duration) -> Result<TcpStream, OpenError> {
    let connect = async {
        let stream = TcpStream::connect((address.host(), address.port())).await?;
        stream.set_nodelay(true)?;
        io::Result::Ok(stream)
    };
    match timeout(within, connect).await {
        Ok(Ok(stream)) => Ok(stream),
        Ok(Err(error)) => Err(OpenError::Connect(error.to_string())),
        Err(_) => Err(OpenError::TimedOut(within)),
    }
}

/// A stream that counts the bytes handed to the system. A call during which the count stood still sent nothing, so its
/// command cannot have run.
#[derive(Debug)]
pub(crate) struct CountedStream {
    inner: TcpStream,
    written: Arc<AtomicU64>,
}

impl CountedStream {
    pub(crate) fn new(inner: TcpStream) -> (Self, Arc<AtomicU64>) {
        let written = Arc::new(AtomicU64::new(0));
        (Self { inner, written: Arc::clone(&written) }, written)
    }
}

impl AsyncRead for CountedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl AsyncWrite for CountedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(written)) = result {
            self.written.fetch_add(written as u64, Ordering::Relaxed);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
