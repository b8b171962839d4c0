//! [`MemoryStream`]: a connection within this process, which ends as one of the kernel's does.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that wait in one direction before the writer has to wait: about what the kernel keeps for a connection to itself.
const CAPACITY: usize = 4 * 1024 * 1024;

/// One direction of a connection.
#[derive(Debug, Default)]
struct Pipe {
    bytes: BytesMut,
    /// The writer has said that nothing more comes.
    ended: bool,
    /// Nobody will read what is written.
    deserted: bool,
    /// The writer has answered that there is no such connection.
    reset: bool,
    /// What the reader is told of that once `bytes` are read, a code of the system; once, as the system does.
    error: Option<i32>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl Pipe {
    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

/// One end of a connection. What is written after the other end is gone is lost without an error the first time, as TCP
/// learns of it only by the answer; an end that goes with something unread resets the connection.
#[derive(Debug)]
pub struct MemoryStream {
    incoming: Arc<Mutex<Pipe>>,
    outgoing: Arc<Mutex<Pipe>>,
}

fn lock(pipe: &Mutex<Pipe>) -> MutexGuard<'_, Pipe> {
    pipe.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryStream {
    /// The two ends of a new connection.
    pub(crate) fn pair() -> (Self, Self) {
        let (there, back) = <(Arc<Mutex<Pipe>>, Arc<Mutex<Pipe>>)>::default();
        let other = Self { incoming: Arc::clone(&there), outgoing: Arc::clone(&back) };
        (Self { incoming: back, outgoing: there }, other)
    }

    /// Writes what there is room for; `WouldBlock` if there is none.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipe = lock(&self.outgoing);
        if pipe.deserted {
            drop(pipe);
            return self.write_to_nobody(bytes);
        }
        let room = CAPACITY.saturating_sub(pipe.bytes.len()).min(bytes.len());
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        pipe.bytes.extend_from_slice(&bytes[..room]);
        pipe.wake_reader();
        Ok(room)
    }

    /// The other end answers that there is no such connection, which is what is read next.
    fn write_to_nobody(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut answer = lock(&self.incoming);
        if std::mem::replace(&mut answer.reset, true) {
            answer.error = None;
            return Err(io::Error::from_raw_os_error(libc::EPIPE));
        }
        answer.error = Some(libc::EPIPE);
        answer.wake_reader();
        Ok(bytes.len())
    }

    /// Ready when there is room to write, or nobody to read.
    pub(crate) fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut pipe = lock(&self.outgoing);
        if pipe.deserted || pipe.bytes.len() < CAPACITY {
            return Poll::Ready(());
        }
        pipe.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.incoming);
        if !pipe.bytes.is_empty() {
            let count = pipe.bytes.len().min(buf.remaining());
            buf.put_slice(&pipe.bytes[..count]);
            pipe.bytes.advance(count);
            if let Some(writer) = pipe.writer.take() {
                writer.wake();
            }
        } else if let Some(code) = pipe.error.take() {
            return Poll::Ready(Err(io::Error::from_raw_os_error(code)));
        } else if !pipe.ended {
            pipe.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.poll_write_ready(cx).is_pending() {
            return Poll::Pending;
        }
        Poll::Ready(self.try_write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut pipe = lock(&self.outgoing);
        pipe.ended = true;
        pipe.wake_reader();
        Poll::Ready(Ok(()))
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        let unread = {
            let mut pipe = lock(&self.incoming);
            pipe.deserted = true;
            if let Some(writer) = pipe.writer.take() {
                writer.wake();
            }
            !pipe.bytes.is_empty()
        };
        let mut pipe = lock(&self.outgoing);
        pipe.ended = true;
        if unread {
            pipe.reset = true;
            pipe.error = Some(libc::ECONNRESET);
        }
        pipe.wake_reader();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    /// What both kinds of connection can do.
    trait Connection: AsyncRead + AsyncWrite + Unpin {}
    impl<T: AsyncRead + AsyncWrite + Unpin> Connection for T {}

    async fn both() -> [(Box<dyn Connection>, Box<dyn Connection>); 2] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dialled = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let (here, there) = MemoryStream::pair();
        [(Box::new(dialled), Box::new(accepted)), (Box::new(here), Box::new(there))]
    }

    async fn read(stream: &mut Box<dyn Connection>) -> String {
        let mut bytes = [0; 64];
        match stream.read(&mut bytes).await {
            Ok(count) => String::from_utf8_lossy(&bytes[..count]).into_owned(),
            Err(error) => error.to_string(),
        }
    }

    /// What becomes of a write; the kernel takes a moment to hear of what comes back.
    async fn write(stream: &mut Box<dyn Connection>, text: &str) -> String {
        let result =
            stream.write_all(text.as_bytes()).await.map_or_else(|error| error.to_string(), |()| "sent".to_owned());
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        result
    }

    #[tokio::test(start_paused = true)]
    async fn it_ends_as_a_connection_of_the_kernel_does() {
        let mut seen = Vec::new();
        for (mut here, mut there) in both().await {
            let mut heard = vec![write(&mut here, "a").await, read(&mut there).await];
            // One half is closed.
            here.shutdown().await.unwrap();
            heard.extend([read(&mut there).await, write(&mut there, "b").await, read(&mut here).await]);
            drop(there);
            heard.extend([read(&mut here).await, read(&mut here).await]);
            seen.push(heard);
        }
        assert_eq!(seen[0], ["sent", "a", "", "sent", "b", "", ""]);
        assert_eq!(seen[0], seen[1]);

        let mut seen = Vec::new();
        for (mut here, there) in both().await {
            drop(there);
            let heard = [write(&mut here, "a").await, write(&mut here, "b").await, read(&mut here).await];
            seen.push(heard);
        }
        assert_eq!(seen[0], seen[1], "written after the other end is gone");

        let mut seen = Vec::new();
        for (mut here, mut there) in both().await {
            let mut heard = vec![write(&mut here, "a").await, write(&mut there, "last words").await];
            drop(there);
            heard.extend([read(&mut here).await, read(&mut here).await, write(&mut here, "b").await]);
            seen.push(heard);
        }
        assert_eq!(seen[0], seen[1], "gone with something unread");
    }

    #[tokio::test(start_paused = true)]
    async fn a_writer_waits_for_a_reader() {
        let (mut here, mut there) = MemoryStream::pair();
        let much = vec![7; CAPACITY + 1];
        assert_eq!(here.try_write(&much).unwrap(), CAPACITY);
        assert_eq!(here.try_write(&much).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        let (written, mut bytes) = (here.write_all(b"more"), vec![0; CAPACITY + 4]);
        let (written, read) = tokio::join!(written, there.read_exact(&mut bytes));
        written.unwrap();
        assert_eq!((read.unwrap(), &bytes[CAPACITY..]), (CAPACITY + 4, &b"more"[..]));
    }
}
