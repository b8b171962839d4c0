//! [`Connection`]: one client's connection, as the host holds it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use model::{Addr, ClientId, Command, Reply};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use crate::codec::{Encoder, Requests};
use crate::view::View;

/// Bytes that may wait for a client that does not read, when the next reply comes. More than that and the connection is
/// closed, as by the `client-output-buffer-limit` of Redis for subscribers.
const OUTPUT_MAX: usize = 32 * 1024 * 1024;
/// Bytes that are read at a time.
const READ_MAX: usize = 4 * 1024;

/// Whether the client may send large requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    /// It must authenticate first.
    Needed,
    /// It has tried to; the answer has not come.
    Asked,
    /// Nothing is asked of it, or it has done so.
    Done,
}

/// One client's connection.
pub(super) struct Connection {
    stream: TcpStream,
    pub(super) client: ClientId,
    view: Arc<View>,
    requests: Requests,
    /// What is not yet written.
    output: BytesMut,
    resp3: bool,
    login: Login,
    /// To be closed when everything is written.
    pub(super) closing: bool,
    /// Listed for writing.
    pub(super) listed: bool,
    pub(super) reader: Option<AbortHandle>,
    pub(super) writer: Option<AbortHandle>,
}

impl Connection {
    /// A connection that was accepted. `guarded`: the node asks for a password.
    pub(super) fn new(stream: TcpStream, client: ClientId, view: Arc<View>, guarded: bool) -> Self {
        Self {
            stream,
            client,
            view,
            requests: Requests::default(),
            output: BytesMut::new(),
            resp3: false,
            login: if guarded { Login::Needed } else { Login::Done },
            closing: false,
            listed: false,
            reader: None,
            writer: None,
        }
    }

    /// Reads once; false if the client has closed the connection.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut bytes = [std::mem::MaybeUninit::uninit(); READ_MAX];
        let mut bytes = ReadBuf::uninit(&mut bytes);
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut bytes));
        self.requests.buffer.extend_from_slice(bytes.filled());
        Poll::Ready(result.is_ok() && !bytes.filled().is_empty())
    }

    /// Tells the client's kernel at once that its bytes have arrived. Where a reply follows, that does; where none does, the
    /// kernel would wait some real milliseconds, and a client whose Nagle algorithm is on holds back its next request
    /// meanwhile.
    pub(super) fn acknowledge(&self) {
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&self.stream).set_tcp_quickack(true);
    }

    /// The next command that has arrived, with the addresses of the world. What breaks the protocol is answered, and
    /// gives false.
    pub(super) fn next_command(&mut self) -> Result<Option<Command>, ()> {
        match self.requests.next(self.login == Login::Needed) {
            Ok(Some(mut command)) => {
                if self.login == Login::Needed && (command.is("AUTH") || command.is("HELLO")) {
                    self.login = Login::Asked;
                }
                self.view.translate_command(&mut command);
                Ok(Some(command))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                self.encode(&Reply::error(error.to_string()));
                Err(())
            }
        }
    }

    /// From here on replies are encoded in RESP3, or RESP2.
    pub(super) fn set_protocol(&mut self, version: u8) {
        self.resp3 = version == 3;
    }

    /// Encodes a reply; false if too much waits already: then the connection is to be closed.
    pub(super) fn send(&mut self, reply: &Reply) -> bool {
        if self.login == Login::Asked {
            self.login = if matches!(reply, Reply::Error(_)) { Login::Needed } else { Login::Done };
        }
        if self.output.len() > OUTPUT_MAX {
            self.output.clear();
            return false;
        }
        self.encode(reply);
        true
    }

    fn encode(&mut self, reply: &Reply) {
        let reply = self.view.translate_reply(reply);
        let address = |addr: &Addr| self.view.real(addr);
        Encoder { out: &mut self.output, resp3: self.resp3, address }.reply(&reply);
    }

    /// Writes as much as the socket takes. `WouldBlock` if something is left. Any other error is the reader's to see.
    pub(super) fn write(&mut self) -> io::Result<()> {
        while !self.output.is_empty() {
            match self.stream.try_write(&self.output) {
                Ok(written) => self.output.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                Err(_) => self.output.clear(),
            }
        }
        Ok(())
    }

    /// Writes until nothing is left.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.write().is_err() {
            if ready!(self.stream.poll_write_ready(cx)).is_err() {
                self.output.clear();
            }
        }
        Poll::Ready(())
    }
}

/// Ends the tasks. The socket is closed with it, at once.
impl Drop for Connection {
    fn drop(&mut self) {
        for task in [&self.reader, &self.writer].into_iter().flatten() {
            task.abort();
        }
    }
}
