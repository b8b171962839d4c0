//! [`Connection`]: one connection to or from outside the world, as the host holds it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use model::{Addr, ClientId, Frame, Reply};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use crate::codec::{Encoder, Incoming, Requests};
use crate::view::View;

/// Bytes that may wait for a client that does not read, when the next reply comes. More than that and the connection is
/// closed, as by the `client-output-buffer-limit` of Redis for subscribers.
const OUTPUT_MAX: usize = 32 * 1024 * 1024;
/// The same for a replica that does not read its stream.
const REPLICA_OUTPUT_MAX: usize = 256 * 1024 * 1024;
/// Bytes that are read at a time, as Redis does.
const READ_MAX: usize = 16 * 1024;

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

/// What arrives.
enum Intake {
    /// Requests of a client.
    Requests(Requests, Login),
    /// What a peer says that a node has dialled.
    Incoming(Incoming),
}

/// One connection.
pub(super) struct Connection {
    stream: TcpStream,
    pub(super) client: ClientId,
    view: Arc<View>,
    intake: Intake,
    /// What is not yet written.
    output: BytesMut,
    output_max: usize,
    resp3: bool,
    /// To be closed when everything is written.
    pub(super) closing: bool,
    /// Listed for writing.
    pub(super) listed: bool,
    pub(super) reader: Option<AbortHandle>,
    pub(super) writer: Option<AbortHandle>,
}

impl Connection {
    /// A connection that was accepted. `guarded`: the node asks for a password.
    pub(super) fn accepted(stream: TcpStream, client: ClientId, view: Arc<View>, guarded: bool) -> Self {
        let login = if guarded { Login::Needed } else { Login::Done };
        Self::new(stream, client, view, Intake::Requests(Requests::default(), login))
    }

    /// A connection that a node dialled.
    pub(super) fn dialled(stream: TcpStream, client: ClientId, view: Arc<View>) -> Self {
        Self::new(stream, client, view, Intake::Incoming(Incoming::default()))
    }

    fn new(stream: TcpStream, client: ClientId, view: Arc<View>, intake: Intake) -> Self {
        Self {
            stream,
            client,
            view,
            intake,
            output: BytesMut::new(),
            output_max: OUTPUT_MAX,
            resp3: false,
            closing: false,
            listed: false,
            reader: None,
            writer: None,
        }
    }

    /// Reads once; false if the other side has closed the connection.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut bytes = [std::mem::MaybeUninit::uninit(); READ_MAX];
        let mut bytes = ReadBuf::uninit(&mut bytes);
        let result = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut bytes));
        let buffer = match &mut self.intake {
            Intake::Requests(requests, _) => &mut requests.buffer,
            Intake::Incoming(incoming) => incoming.buffer(),
        };
        buffer.extend_from_slice(bytes.filled());
        Poll::Ready(result.is_ok() && !bytes.filled().is_empty())
    }

    /// Tells the other side's kernel at once that its bytes have arrived. Where a reply follows, that does; where none does, the
    /// kernel would wait some real milliseconds, and a client whose Nagle algorithm is on holds back its next request
    /// meanwhile.
    pub(super) fn acknowledge(&self) {
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&self.stream).set_tcp_quickack(true);
    }

    /// The next frame that has arrived, with the addresses of the world. What breaks the protocol gives `Err`,
    /// with the last thing to be said to that, if there is one.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, Option<Reply>> {
        match &mut self.intake {
            Intake::Requests(requests, login) => match requests.next(*login == Login::Needed) {
                Ok(Some(mut command)) => {
                    if *login == Login::Needed && (command.is("AUTH") || command.is("HELLO")) {
                        *login = Login::Asked;
                    }
                    self.view.translate_command(&mut command);
                    Ok(Some(Frame::Command(command)))
                }
                Ok(None) => Ok(None),
                Err(error) => Err(Some(Reply::error(error.to_string()))),
            },
            Intake::Incoming(incoming) => incoming.next().map_err(|_| None),
        }
    }

    /// True if how the next request is read depends on what is answered to the last.
    pub(super) fn awaits_answer(&self) -> bool {
        matches!(self.intake, Intake::Requests(_, Login::Asked | Login::Needed))
    }

    /// From here on replies are encoded in RESP3, or RESP2.
    pub(super) fn set_protocol(&mut self, version: u8) {
        self.resp3 = version == 3;
    }

    /// Encodes a frame; false if too much waits already: then the connection is to be closed.
    pub(super) fn send(&mut self, frame: &Frame) -> bool {
        if self.output.len() > self.output_max {
            self.output.clear();
            return false;
        }
        match frame {
            Frame::Reply(reply) => {
                if let Intake::Requests(_, login @ Login::Asked) = &mut self.intake {
                    *login = if matches!(reply, Reply::Error(_)) { Login::Needed } else { Login::Done };
                }
                match as_redis_says(reply) {
                    Some(reply) => self.encode(&reply),
                    None => self.encode(reply),
                }
            }
            Frame::Command(command) => self.encoder().command(command),
            Frame::Snapshot(file) => {
                self.output_max = REPLICA_OUTPUT_MAX.max(file.len() + OUTPUT_MAX);
                self.encoder().snapshot(file);
            }
        }
        true
    }

    fn encode(&mut self, reply: &Reply) {
        let view = Arc::clone(&self.view);
        let reply = view.translate_reply(reply);
        self.encoder().reply(&reply);
    }

    fn encoder(&mut self) -> Encoder<'_, impl FnMut(&Addr) -> Addr + '_> {
        let view = &self.view;
        Encoder { out: &mut self.output, resp3: self.resp3, address: |addr: &Addr| view.real(addr) }
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

/// What a replica outside is told when it may go on: the nodes of a world hand each other more about their history than
/// Redis does, which would not take the id then. `None` for every other reply.
fn as_redis_says(reply: &Reply) -> Option<Reply> {
    const LEN: usize = "CONTINUE ".len() + 40;
    match reply {
        Reply::Simple(text) if text.len() > LEN && text.starts_with("CONTINUE ") => {
            text.get(..LEN).map(|answer| Reply::Simple(answer.to_owned().into()))
        }
        _ => None,
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
