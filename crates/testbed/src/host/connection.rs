//! [`Connection`]: one connection to or from outside the world, as the host holds it.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use model::ClientId;
use tokio::io::ReadBuf;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep, sleep_until};

use super::tls::Session;
use super::wire::Wire;
use crate::socket::NodeSocket;
use crate::view::View;

/// Bytes that a frozen process' socket takes before the sender has to wait, as a kernel's buffer does.
const FROZEN_MAX: usize = 1024 * 1024;

/// Bytes that are read at a time, as Redis does.
const READ_MAX: usize = 16 * 1024;

/// One connection.
pub(super) struct Connection {
    pub(super) socket: NodeSocket,
    pub(super) client: ClientId,
    pub(super) wire: Wire,
    /// Between socket and wire, if the node speaks TLS.
    tls: Option<Session>,
    /// The client has closed its half; the node, which is frozen, has not.
    pub(super) lingers: bool,
    /// What arrived and the process, which is frozen, has not read.
    unread: usize,
    /// What arrived broke the protocol, which the process has not seen yet.
    pub(super) broken: bool,
    /// Waits for a frozen process to go on.
    pub(super) parked: Option<Waker>,
    /// To be closed when everything is written.
    pub(super) closing: bool,
    /// Listed for writing.
    pub(super) listed: bool,
    pub(super) reader: Option<AbortHandle>,
    pub(super) writer: Option<AbortHandle>,
    /// Stands at the time when the connection is closed if what waits does not become less.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    /// A connection that was accepted. `guarded`: the node asks for a password.
    pub(super) fn accepted(
        socket: NodeSocket,
        tls: Option<Session>,
        client: ClientId,
        view: Arc<View>,
        guarded: bool,
    ) -> Self {
        Self::new(socket, client, Wire::accepted(view, guarded), tls)
    }

    /// A connection that a node dialled.
    pub(super) fn dialled(stream: TcpStream, client: ClientId, view: Arc<View>) -> Self {
        Self::new(NodeSocket::Tcp(stream, None), client, Wire::dialled(view), None)
    }

    fn new(socket: NodeSocket, client: ClientId, wire: Wire, tls: Option<Session>) -> Self {
        Self {
            socket,
            client,
            wire,
            tls,
            lingers: false,
            unread: 0,
            broken: false,
            parked: None,
            closing: false,
            listed: false,
            reader: None,
            writer: None,
            patience: None,
        }
    }

    /// True if nothing more is read while the process is `frozen`: its socket is full, or what has arrived is not to be
    /// understood and nobody is there to say so.
    pub(super) fn is_full(&mut self, frozen: bool) -> bool {
        if !frozen {
            self.unread = 0;
        }
        frozen && (self.unread >= FROZEN_MAX || self.broken)
    }

    /// True if something has arrived that a `frozen` process has to answer before anybody can go on: a part of a handshake.
    pub(super) fn keeps_back(&self, frozen: bool) -> bool {
        self.tls.as_ref().is_some_and(|tls| frozen && tls.is_shaking_hands() && tls.holds())
    }

    /// Reads once; false if the other side has closed the connection.
    pub(super) fn poll_read(&mut self, frozen: bool, cx: &mut Context<'_>) -> Poll<bool> {
        if self.tls.as_ref().is_some_and(Session::has_ended) {
            return Poll::Ready(false);
        }
        // What arrived while the process was frozen comes first.
        if self.tls.as_ref().is_none_or(|tls| !tls.holds() || self.keeps_back(frozen)) {
            let mut bytes = [std::mem::MaybeUninit::uninit(); READ_MAX];
            let mut bytes = ReadBuf::uninit(&mut bytes);
            let result = ready!(self.socket.poll_read(cx, &mut bytes));
            if result.is_err() || bytes.filled().is_empty() {
                return Poll::Ready(false);
            }
            self.unread += bytes.filled().len();
            match &mut self.tls {
                None => self.wire.input().extend_from_slice(bytes.filled()),
                Some(tls) => tls.hold(bytes.filled()),
            }
        }
        if !self.keeps_back(frozen)
            && let Some(tls) = &mut self.tls
        {
            self.broken |= tls.decrypt(self.wire.input()).is_err();
        }
        Poll::Ready(true)
    }

    /// True if TLS has something to say of its own.
    pub(super) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(Session::wants_write)
    }

    /// Writes as much as the socket takes. `WouldBlock` if something is left. Any other error is the reader's to see.
    pub(super) fn write(&mut self) -> io::Result<()> {
        loop {
            let bytes = match &mut self.tls {
                None => self.wire.output(),
                Some(tls) => tls.output(&mut self.wire),
            };
            if bytes.is_empty() {
                return Ok(());
            }
            match (self.socket.try_write(bytes), &mut self.tls) {
                (Ok(written), None) => self.wire.written(written),
                (Ok(written), Some(tls)) => tls.written(written),
                (Err(error), _) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
                (Err(_), _) => self.give_up(),
            }
        }
    }

    /// True if something that was said waits to be written.
    pub(super) fn has_unwritten(&self) -> bool {
        !self.wire.output().is_empty() || self.wants_write()
    }

    /// Has TLS tell the client, after all else, that nothing more comes, as a process does that closes a connection itself.
    pub(super) fn say_goodbye(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.say_goodbye();
        }
    }

    /// Drops what waits to be written.
    pub(super) fn give_up(&mut self) {
        self.wire.give_up();
        if let Some(tls) = &mut self.tls {
            tls.give_up();
        }
    }

    /// Ends the task that writes; another must be started if something is left.
    pub(super) fn stop_writer(&mut self) {
        self.patience = None;
        if let Some(writer) = self.writer.take() {
            writer.abort();
        }
    }

    /// Writes until nothing is left; gives up when the client has kept too much waiting for too long, which is `false`.
    /// `start` is the start of the run.
    pub(super) fn poll_write(&mut self, start: Instant, cx: &mut Context<'_>) -> Poll<bool> {
        while self.write().is_err() {
            match self.wire.overdue_at() {
                None => self.patience = None,
                Some(at) => {
                    let patience = self.patience.get_or_insert_with(|| Box::pin(sleep_until(start + at.elapsed())));
                    if patience.as_mut().poll(cx).is_ready() {
                        self.give_up();
                        return Poll::Ready(false);
                    }
                }
            }
            if ready!(self.socket.poll_write_ready(cx)).is_err() {
                self.give_up();
            }
        }
        self.patience = None;
        Poll::Ready(true)
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
