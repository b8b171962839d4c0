//! [`Dial`]: how a client opens its connections, where that is not by TCP.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::address::Address;

/// The bytes of a connection.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> ByteStream for T {}

/// A connection that is being opened.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send + 'a>>;

/// Opens the connections of a client in the place of TCP: through a proxy, by a Unix socket, or in a simulated network.
///
/// The client holds the attempt to its [`Settings::connect_timeout`](crate::Settings::connect_timeout) and drops the future
/// after that. It adds TLS where the settings ask for it. What it has the system do to find out that a TCP connection is
/// dead is the implementation's to do.
pub trait Dial: Send + Sync {
    /// A connection to `address`, whose host may be a name.
    fn dial<'a>(&'a self, address: &'a Address) -> Dialling<'a>;
}

/// The setting: TCP if there is nothing else.
#[derive(Clone, Default)]
pub(crate) struct Dialler(pub(crate) Option<Arc<dyn Dial>>);

impl fmt::Debug for Dialler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "custom" } else { "tcp" })
    }
}
