//! [`Loopback`]: makes sure that what was sent has arrived before virtual time goes on.
//!
//! What is sent on loopback has usually arrived when the call that sends it returns. But while the kernel is busy with
//! the packets of other runs (many connections that end at once), it hands packets to a thread of its own, and a
//! connection that a node closes is still open to its client for some real time, in which the paused clock may jump.
//! The kernel takes packets in the order in which a processor sent them, so once a datagram has come round that was sent
//! after them, they have arrived too.

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

/// Longest wait for the datagram, in real time. It takes microseconds, or a turn of the kernel's thread.
const PATIENCE: Duration = Duration::from_secs(1);

/// A socket that is connected to itself.
#[derive(Debug)]
pub(crate) struct Loopback(UdpSocket);

impl Loopback {
    pub(crate) fn new() -> io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(socket.local_addr()?)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Returns once everything that this thread has sent has arrived.
    pub(crate) fn settle(&self) {
        if self.0.send(&[0]).is_err() {
            return;
        }
        let since = Instant::now();
        while self.0.recv(&mut [0]).is_err() && since.elapsed() < PATIENCE {
            std::thread::yield_now();
        }
    }
}
