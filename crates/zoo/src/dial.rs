//! Connections, and questions about roles.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use futures_util::FutureExt as _;
use model::history::Cause;
use redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, IntoConnectionInfo as _, Pipeline, ProtocolVersion, PushInfo,
    RedisConnectionInfo, RedisError, RedisFuture, RedisResult, Value, cmd,
};
use testbed::driver::{CallError, Settings, Tls};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// Longer than any run.
pub(crate) const FOR_EVER: Duration = Duration::from_secs(1_000_000);

/// Host and port.
pub(crate) type Addr = (String, u16);

/// What is to be dialled in the place of an address that a Sentinel tells.
pub(crate) fn translated(settings: &Settings, told: Addr) -> Addr {
    settings.address_map.iter().find(|(known, _)| *known == told).map_or(told, |(_, dialled)| dialled.clone())
}

/// The two kinds of node, which credentials and encryption are apart for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Sentinel,
    Data,
}

/// How to log in at a node.
fn login(settings: &Settings, peer: Peer, database: u32) -> RedisConnectionInfo {
    let login = RedisConnectionInfo::default().set_skip_set_lib_name().set_db(database.into());
    let auth = match peer {
        Peer::Sentinel => &settings.sentinel_auth,
        Peer::Data => &settings.data_auth,
    };
    let Some(auth) = auth else { return login };
    let login = login.set_password(&auth.password);
    match &auth.user {
        Some(user) => login.set_username(user),
        None => login,
    }
}

/// The client of a node that speaks no TLS.
fn plain(addr: &Addr, login: RedisConnectionInfo) -> RedisResult<Client> {
    let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
    let info = ConnectionAddr::Tcp(addr.0.clone(), addr.1).into_connection_info()?;
    Client::open(info.set_redis_settings(login).set_tcp_settings(tcp))
}

/// How a connection to this kind of node is encrypted; `None` if it is not.
fn encryption(settings: &Settings, peer: Peer) -> Option<&Tls> {
    settings.tls.as_ref().filter(|tls| if peer == Peer::Sentinel { tls.sentinels } else { tls.data })
}

/// A stream to a node that speaks TLS. The crate `redis` knows no other name than the host, and reads the authorities of the
/// system for each connection.
async fn encrypted(tls: &Tls, (host, port): &Addr) -> RedisResult<TlsStream<TcpStream>> {
    let stream = TcpStream::connect((&**host, *port)).await?;
    stream.set_nodelay(true)?;
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_slice(tls.authority.as_bytes()).map_err(io::Error::other)?;
    roots.add(authority).map_err(io::Error::other)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(tls.server_name.as_ref().unwrap_or(host).clone()).map_err(io::Error::other)?;
    Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
}

/// A connection, and the task that drives it, if that does not end by itself when nobody has the connection any more.
#[derive(Clone)]
pub(crate) struct Link {
    connection: MultiplexedConnection,
    _driver: Option<Arc<Task>>,
    /// Of a client that mixes up replies.
    mixed: Option<Mixed>,
}

/// Ends with its last owner.
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    /// From now on a reply may take so long.
    pub(crate) fn set_response_timeout(&mut self, patience: Duration) {
        match &mut self.mixed {
            Some(mixed) => mixed.patience = patience,
            None => self.connection.set_response_timeout(patience),
        }
    }

    /// From now on whoever asks is given the next reply that comes, be it the late one to somebody who has given up waiting.
    pub(crate) fn mix_replies(&mut self, patience: Duration) {
        self.connection.set_response_timeout(FOR_EVER);
        self.mixed = Some(Mixed { patience, due: Arc::default() });
    }
}

/// How the replies on a connection are mixed up.
#[derive(Clone)]
struct Mixed {
    /// How long a reply may take.
    patience: Duration,
    /// The replies that are still to come, in the order in which they were asked for.
    due: Arc<Mutex<VecDeque<RedisFuture<'static, Vec<Value>>>>>,
}

impl Mixed {
    fn due(&self) -> MutexGuard<'_, VecDeque<RedisFuture<'static, Vec<Value>>>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, and gives the next reply.
    async fn ask(self, mut asked: RedisFuture<'static, Vec<Value>>) -> RedisResult<Vec<Value>> {
        // It is sent by the first poll.
        if let Some(failed) = (&mut asked).now_or_never() {
            return failed;
        }
        self.due().push_back(asked);
        let next = poll_fn(|cx| {
            let mut due = self.due();
            let Some(next) = due.front_mut() else { return Poll::Pending };
            let reply = ready!(next.as_mut().poll(cx));
            due.pop_front();
            Poll::Ready(reply)
        });
        timeout(self.patience, next).await.map_err(io::Error::from)?
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let Some(mixed) = self.mixed.clone() else { return self.connection.req_packed_command(command) };
        let (mut connection, command) = (self.connection.clone(), command.clone());
        let asked = async move { connection.req_packed_command(&command).await.map(|reply| vec![reply]) };
        let next = mixed.ask(asked.boxed());
        async move { next.await.map(|mut replies| replies.pop().unwrap_or(Value::Nil)) }.boxed()
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let Some(mixed) = self.mixed.clone() else {
            return self.connection.req_packed_commands(commands, offset, count);
        };
        let (mut connection, commands) = (self.connection.clone(), commands.clone());
        let asked = async move { connection.req_packed_commands(&commands, offset, count).await };
        mixed.ask(asked.boxed()).boxed()
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

/// A connection to `addr`, on which nothing takes longer than `patience`.
pub(crate) async fn dial(
    settings: &Settings,
    peer: Peer,
    addr: &Addr,
    database: u32,
    patience: Option<Duration>,
) -> RedisResult<Link> {
    open(settings, peer, addr, login(settings, peer, database), AsyncConnectionConfig::new(), patience).await
}

async fn open(
    settings: &Settings,
    peer: Peer,
    addr: &Addr,
    login: RedisConnectionInfo,
    config: AsyncConnectionConfig,
    patience: Option<Duration>,
) -> RedisResult<Link> {
    let config = config.set_connection_timeout(patience).set_response_timeout(patience);
    let Some(tls) = encryption(settings, peer) else {
        let connection = plain(addr, login)?.get_multiplexed_async_connection_with_config(&config).await?;
        return Ok(Link { connection, _driver: None, mixed: None });
    };
    let opened = async { MultiplexedConnection::new_with_config(&login, encrypted(tls, addr).await?, config).await };
    let (connection, driver) = match patience {
        Some(patience) => timeout(patience, opened).await.map_err(io::Error::from)??,
        None => opened.await?,
    };
    let driver = Task(tokio::spawn(driver).abort_handle());
    Ok(Link { connection, _driver: Some(Arc::new(driver)), mixed: None })
}

/// A connection to the data node at `addr` that remembers what is read on it, and hands `told` what the node says of changes.
pub(crate) async fn tracked(
    settings: &Settings,
    addr: &Addr,
    patience: Duration,
    told: impl Fn(PushInfo) + Send + Sync + 'static,
) -> RedisResult<Link> {
    let told = move |push| {
        told(push);
        Ok::<(), std::convert::Infallible>(())
    };
    let config = AsyncConnectionConfig::new().set_push_sender(told);
    let login = login(settings, Peer::Data, settings.database).set_protocol(ProtocolVersion::RESP3);
    let mut link = open(settings, Peer::Data, addr, login, config, Some(patience)).await?;
    cmd("CLIENT").arg("TRACKING").arg("ON").exec_async(&mut link).await?;
    Ok(link)
}

/// A connection to `addr` for subscriptions.
pub(crate) async fn subscription(settings: &Settings, peer: Peer, addr: &Addr) -> RedisResult<PubSub> {
    let login = login(settings, peer, 0);
    match encryption(settings, peer) {
        None => plain(addr, login)?.get_async_pubsub().await,
        Some(tls) => PubSub::new(&login, encrypted(tls, addr).await?).await,
    }
}

/// What a node says that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Master,
    /// A replica whose link to its master is up.
    Replica,
    /// A replica that is cut off or still copying.
    Unsynced,
    Other,
}

/// Asks a node what it is.
pub(crate) async fn role(connection: &mut Link) -> RedisResult<Role> {
    let reply: Value = cmd("ROLE").query_async(connection).await?;
    let Value::Array(fields) = reply else { return Ok(Role::Other) };
    let word = |index: usize| match fields.get(index) {
        Some(Value::BulkString(bytes)) => &bytes[..],
        _ => b"",
    };
    Ok(match (word(0), word(3)) {
        (b"master", _) => Role::Master,
        (b"slave", b"connected") => Role::Replica,
        (b"slave", _) => Role::Unsynced,
        _ => Role::Other,
    })
}

/// What a node refused, as it said it, or what went wrong.
pub(crate) fn words(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        _ => error.to_string(),
    }
}

/// The error of an operation that was not sent.
pub(crate) fn unsent(cause: Cause, text: &str) -> CallError {
    CallError { may_have_run: false, cause, text: text.to_owned() }
}
