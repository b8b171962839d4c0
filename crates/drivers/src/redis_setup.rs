//! What the drivers of the crate `redis` have in common: its Sentinel client set up from the settings of a run.

use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, ProtocolVersion, RedisResult, TlsCertificates, TlsMode};
use testbed::driver::{Answer, CallError, OnMessage, Request, Settings, Tls, Topics};

use crate::outcome::{self, Stage};
use crate::request::{self, BLOCKING_SLACK};

/// The Sentinel client for masters or replicas, with separate credentials, Nagle's algorithm off and every other
/// setting as the crate has it.
pub(crate) fn sentinel_client(settings: &Settings, server: SentinelServerType) -> RedisResult<SentinelClient> {
    let certificates = |encrypted: fn(&Tls) -> bool| {
        let root_cert =
            settings.tls.as_ref().filter(|tls| encrypted(tls)).map(|tls| tls.authority.clone().into_bytes());
        root_cert.map(|root_cert| TlsCertificates { client_tls: None, root_cert: Some(root_cert) })
    };
    let (sentinel_tls, data_tls) = (certificates(|tls| tls.sentinels), certificates(|tls| tls.data));
    let sentinels = settings.sentinels.iter().cloned().map(|(host, port)| match sentinel_tls {
        None => ConnectionAddr::Tcp(host, port),
        Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
    });
    let tcp = TcpSettings::default().set_nodelay(true);
    let mut builder = SentinelClientBuilder::new(sentinels, &settings.master, server)?
        .set_client_to_redis_tcp_settings(tcp.clone())
        .set_client_to_sentinel_tcp_settings(tcp);
    if let Some(certificates) = sentinel_tls.clone() {
        builder = builder.set_client_to_sentinel_certificates(certificates);
    }
    if let Some(certificates) = data_tls {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure).set_client_to_redis_certificates(certificates);
    }
    if settings.database > 0 {
        builder = builder.set_client_to_redis_db(settings.database.into());
    }
    if let Some(auth) = &settings.sentinel_auth {
        builder = builder.set_client_to_sentinel_password(&auth.password);
        if let Some(user) = &auth.user {
            builder = builder.set_client_to_sentinel_username(user);
        }
    }
    if let Some(auth) = &settings.data_auth {
        builder = builder.set_client_to_redis_password(&auth.password);
        if let Some(user) = &auth.user {
            builder = builder.set_client_to_redis_username(user);
        }
    }
    builder.build()
}

/// How long the crate `redis`, and `deadpool-redis` after it, lets a reply take.
const RESPONSE: Duration = Duration::from_millis(500);

/// How long the reply to `request` may take: as long as the crate has it, but for a blocking command.
pub(crate) fn response_timeout(request: &Request) -> Duration {
    request.blocks().map_or(RESPONSE, |seconds| Duration::from_secs(seconds) + BLOCKING_SLACK)
}

/// The configuration of a connection that can carry `request`: the crate's own, but for its [`response_timeout`].
pub(crate) fn connection_config(request: &Request) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_response_timeout(Some(response_timeout(request)))
}

/// `client` with RESP3, in which nodes tell what has changed of what a client keeps.
pub(crate) fn told_of_changes(client: &Client) -> RedisResult<Client> {
    let info = client.get_connection_info().clone();
    let redis = info.redis_settings().clone().set_protocol(ProtocolVersion::RESP3);
    Client::open(info.set_redis_settings(redis))
}

/// Opens a connection to `client`'s address for blocking commands like `request` where there is none yet, and runs
/// `request` on it.
pub(crate) async fn pop_on(
    slot: &mut Option<MultiplexedConnection>,
    client: &Client,
    request: &Request,
) -> Result<Answer, CallError> {
    let connection = if let Some(connection) = slot {
        connection
    } else {
        let config = connection_config(request);
        let opened = client.get_multiplexed_async_connection_with_config(&config).await;
        slot.insert(opened.map_err(|error| outcome::call_error(Stage::Connecting, &error))?)
    };
    request::run(connection, request).await.map_err(|error| outcome::call_error(Stage::of(request), &error))
}

/// Subscribes to `topics` at `client`'s address, until the connection is lost.
pub(crate) async fn subscribe(client: &Client, topics: &Topics, mut on_message: OnMessage) -> CallError {
    let connecting = |error: &_| outcome::call_error(Stage::Connecting, error);
    let mut pubsub = match client.get_async_pubsub().await {
        Ok(pubsub) => pubsub,
        Err(error) => return connecting(&error),
    };
    if let Err(error) = pubsub.subscribe(&topics.channel).await {
        return connecting(&error);
    }
    if let Some(pattern) = &topics.pattern
        && let Err(error) = pubsub.psubscribe(pattern).await
    {
        return connecting(&error);
    }
    let mut messages = pubsub.into_on_message();
    while let Some(message) = messages.next().await {
        on_message(message.get_payload_bytes());
    }
    outcome::subscription_lost()
}

/// Subscribes to `topics` at the master that a Sentinel client of its own finds, until the connection is lost: for pools,
/// which have no subscriptions.
pub(crate) async fn subscribe_anew(settings: &Settings, topics: &Topics, on_message: OnMessage) -> CallError {
    let connecting = |error| outcome::call_error(Stage::Connecting, &error);
    let mut sentinel = match sentinel_client(settings, SentinelServerType::Master) {
        Ok(sentinel) => sentinel,
        Err(error) => return connecting(error),
    };
    match sentinel.async_get_client().await {
        Ok(client) => subscribe(&client, topics, on_message).await,
        Err(error) => connecting(error),
    }
}
