//! [`Link`]: one connection to one node.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, Pipeline, ProtocolVersion, PushInfo, RedisConnectionInfo, RedisError, Value,
    cmd,
};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::address::Address;
use crate::cache::Known;
use crate::core::Core;
use crate::credentials::Credentials;
use crate::error::OpenError;
use crate::metrics::Peer;
use crate::role::Role;
use crate::settings::Settings;
use crate::stream::{CountedStream, Traffic};
use crate::task::OwnedTask;

/// Commands that wait to be written, before their callers wait for their turn. Many, because what waits goes out together.
const QUEUE: usize = 1_024;

/// One connection to one node, which any number of callers share. Dropping it closes it, whatever is under way.
#[derive(Debug)]
pub(crate) struct Link {
    address: Address,
    connection: MultiplexedConnection,
    traffic: Arc<Traffic>,
    /// The oldest question to which no answer is known to have come: when it was asked, and what had been received by then.
    open: Mutex<Option<(Instant, u64)>>,
    /// Becomes an error when the task that drives the connection has ended: the connection is lost.
    alive: watch::Receiver<()>,
    _driver: OwnedTask,
}

impl Link {
    /// Connects to a Sentinel.
    pub(crate) async fn to_sentinel(address: &Address, core: &Core) -> Result<Self, OpenError> {
        Self::open(Peer::Sentinel, address, core.settings.sentinel_auth.as_ref(), 0, core).await
    }

    /// Connects to a data node.
    pub(crate) async fn to_data(address: &Address, core: &Core) -> Result<Self, OpenError> {
        Self::open(Peer::Data, address, core.settings.data_auth.as_ref(), core.settings.db, core).await
    }

    async fn open(
        peer: Peer,
        address: &Address,
        credentials: Option<&Credentials>,
        db: u32,
        core: &Core,
    ) -> Result<Self, OpenError> {
        // Logging in is done below, because the crate `redis` keeps to itself what a node answers to that.
        let bare = RedisConnectionInfo::default().set_skip_set_lib_name();
        let link = Self::connect(peer, address, &bare, AsyncConnectionConfig::new(), core).await?;
        link.log_in(credentials, db, core.settings.response_timeout).await?;
        Ok(link)
    }

    /// Connects to a data node that remembers what is read on the connection, and tells `known` what changes of it.
    pub(crate) async fn to_data_tracked(address: &Address, core: &Core, known: Known) -> Result<Self, OpenError> {
        let config = AsyncConnectionConfig::new().set_push_sender(move |push: PushInfo| {
            known.told(&push);
            Ok::<(), Infallible>(())
        });
        // What a node tells of its own accord comes by the third version of the protocol.
        let login = data_login(&core.settings).set_protocol(ProtocolVersion::RESP3);
        let within = core.settings.response_timeout;
        let connected = timeout(within, Self::connect(Peer::Data, address, &login, config, core));
        let link = connected.await.unwrap_or(Err(OpenError::TimedOut(within)))?;
        link.ask(cmd("CLIENT").arg("TRACKING").arg("ON"), within).await?;
        Ok(link)
    }

    async fn connect(
        peer: Peer,
        address: &Address,
        login: &RedisConnectionInfo,
        config: AsyncConnectionConfig,
        core: &Core,
    ) -> Result<Self, OpenError> {
        let (stream, traffic) = CountedStream::new(core.dial(peer, address).await?);
        // Time-outs are the callers', each has its own.
        let config = config.set_response_timeout(None).set_pipeline_buffer_size(QUEUE);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(login, stream, config).await.map_err(|error| open_error(&error))?;
        let (guard, alive) = watch::channel(());
        let driver = OwnedTask::spawn(async move {
            driver.await;
            drop(guard);
        });
        let open = Mutex::default();
        Ok(Self { address: address.clone(), connection, traffic, open, alive, _driver: driver })
    }

    async fn log_in(&self, credentials: Option<&Credentials>, db: u32, within: Duration) -> Result<(), OpenError> {
        let mut words = Pipeline::new();
        if let Some(credentials) = credentials {
            words.add_command(credentials.auth());
        }
        if db != 0 {
            words.cmd("SELECT").arg(db);
        }
        let must_succeed = words.len();
        // Nodes before Redis 7.2 do not know it.
        for (what, value) in [("LIB-NAME", env!("CARGO_PKG_NAME")), ("LIB-VER", env!("CARGO_PKG_VERSION"))] {
            words.cmd("CLIENT").arg("SETINFO").arg(what).arg(value);
        }
        let replies = self.ask_all(&words, within).await?;
        for (index, reply) in replies.into_iter().take(must_succeed).enumerate() {
            let Err(error) = reply.extract_error() else { continue };
            let of_auth = index == 0 && credentials.is_some() && error.to_string().contains("AUTH");
            return Err(if of_auth { OpenError::Auth(error.to_string()) } else { open_error(&error) });
        }
        Ok(())
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// To send commands on.
    pub(crate) fn connection(&self) -> MultiplexedConnection {
        self.connection.clone()
    }

    /// Bytes sent so far.
    pub(crate) fn written(&self) -> u64 {
        self.traffic.written()
    }

    /// Returns when the connection is lost.
    pub(crate) async fn lost(&self) {
        let mut alive = self.alive.clone();
        // Nothing is ever sent, so this ends only with the driver.
        while alive.changed().await.is_ok() {}
    }

    /// True if the connection is lost.
    pub(crate) fn is_lost(&self) -> bool {
        self.alive.has_changed().is_err()
    }

    /// True if nothing has come since a question was asked, `within` ago or longer. Whoever asked it may have given up, as
    /// another gave the answer; a connection on which questions only pile up is found out all the same.
    pub(crate) fn is_silent(&self, within: Duration) -> bool {
        let open = *self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.is_some_and(|(asked, read)| self.traffic.read() == read && asked.elapsed() >= within)
    }

    /// A question is asked.
    fn has_asked(&self) {
        let read = self.traffic.read();
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_none_or(|(_, then)| then != read) {
            *open = Some((Instant::now(), read));
        }
    }

    /// Asks a question of the client's own.
    pub(crate) async fn ask(&self, command: &Cmd, within: Duration) -> Result<Value, OpenError> {
        let mut connection = self.connection();
        match timeout(within, connection.send_packed_command(command)).await {
            Ok(reply) => reply.and_then(Value::extract_error).map_err(|error| open_error(&error)),
            Err(_) => Err(OpenError::TimedOut(within)),
        }
    }

    /// Asks several questions at once; an answer may be an error.
    pub(crate) async fn ask_all(&self, questions: &Pipeline, within: Duration) -> Result<Vec<Value>, OpenError> {
        let mut connection = self.connection();
        self.has_asked();
        match timeout(within, connection.send_packed_commands(questions, 0, questions.len())).await {
            Ok(replies) => replies.map_err(|error| open_error(&error)),
            Err(_) => Err(OpenError::TimedOut(within)),
        }
    }

    /// Asks the node what it is.
    pub(crate) async fn role(&self, within: Duration) -> Result<Role, OpenError> {
        let reply = self.ask(&cmd("ROLE"), within).await?;
        Role::read(&reply).ok_or_else(|| OpenError::Answer("the reply to ROLE makes no sense".to_owned()))
    }
}

/// How to log in at a Sentinel: with its own credentials, and without a database, which a Sentinel does not have.
pub(crate) fn sentinel_login(settings: &Settings) -> RedisConnectionInfo {
    login(settings.sentinel_auth.as_ref())
}

/// How to log in at a data node.
pub(crate) fn data_login(settings: &Settings) -> RedisConnectionInfo {
    login(settings.data_auth.as_ref()).set_db(i64::from(settings.db))
}

fn login(credentials: Option<&Credentials>) -> RedisConnectionInfo {
    let info = RedisConnectionInfo::default().set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    match credentials {
        Some(credentials) => credentials.apply(info),
        None => info,
    }
}

/// An error of the crate `redis` in a question of the client's own.
pub(crate) fn open_error(error: &RedisError) -> OpenError {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::Io => OpenError::Connect(text),
        _ if matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM")) => OpenError::Auth(text),
        _ => OpenError::Answer(text),
    }
}
