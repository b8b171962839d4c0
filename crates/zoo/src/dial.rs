//! Connections, and questions about roles.

use std::time::Duration;

use model::history::Cause;
use model::plan::Credentials;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, RedisResult, Value,
    cmd,
};
use testbed::driver::{CallError, Settings};

/// Host and port.
pub(crate) type Addr = (String, u16);

/// What is to be dialled in the place of an address that a Sentinel tells.
pub(crate) fn translated(settings: &Settings, told: Addr) -> Addr {
    settings.address_map.iter().find(|(known, _)| *known == told).map_or(told, |(_, dialled)| dialled.clone())
}

/// The settings of a connection to `addr` that uses this database.
pub(crate) fn client(addr: &Addr, auth: Option<&Credentials>, database: u32) -> RedisResult<Client> {
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name().set_db(database.into());
    if let Some(auth) = auth {
        login = login.set_password(&auth.password);
        if let Some(user) = &auth.user {
            login = login.set_username(user);
        }
    }
    let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
    let info = ConnectionAddr::Tcp(addr.0.clone(), addr.1).into_connection_info()?;
    Client::open(info.set_redis_settings(login).set_tcp_settings(tcp))
}

/// A connection to `addr`, on which nothing takes longer than `patience`.
pub(crate) async fn dial(
    addr: &Addr,
    auth: Option<&Credentials>,
    database: u32,
    patience: Option<Duration>,
) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(patience).set_response_timeout(patience);
    client(addr, auth, database)?.get_multiplexed_async_connection_with_config(&config).await
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
pub(crate) async fn role(connection: &mut MultiplexedConnection) -> RedisResult<Role> {
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

/// The error of an operation that was not sent.
pub(crate) fn unsent(cause: Cause, text: &str) -> CallError {
    CallError { may_have_run: false, cause, text: text.to_owned() }
}
