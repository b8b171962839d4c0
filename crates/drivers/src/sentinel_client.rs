//! Drivers `sentinel-client` and `sentinel-client-memory`: the crate `sentinel-client`, used as its documentation shows, through
//! the kernel's TCP and through connections within the process.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::sentinel_client::{
    Address, Ambiguous, ByteStream, Cache, Client, Connection, Credentials, Dedicated, Dial, Dialling, DiscoveryError,
    Event, Failure, OpenError, Retry, Settings, Tls, details,
};
use model::history::Cause;
use model::plan::Need;
use redis::RedisError;
use testbed::driver::{
    self, Answer, BoxFuture, CallError, Driver, Lease, Network, OnMessage, Request, Session, Topics,
};
use tokio::net::lookup_host;

use crate::outcome::{self, Stage};
use crate::request;

/// The crate `sentinel-client`: it rediscovers and retries by itself.
pub struct SentinelClient;

/// The same with connections within the process, which cost about half as much as the kernel's: for long campaigns.
pub struct SentinelClientMemory;

impl Driver for SentinelClientMemory {
    fn name(&self) -> &'static str {
        "sentinel-client-memory"
    }

    fn about(&self) -> &'static str {
        "sentinel-client, its connections within the process instead of through the kernel: faster"
    }

    fn can(&self, need: Need) -> bool {
        SentinelClient.can(need)
    }

    fn stays_within(&self) -> bool {
        true
    }

    fn open(&self, settings: driver::Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        let ours = client_settings(&settings);
        let ours = match settings.network {
            Some(network) => ours.dialler(Arc::new(Within(network))),
            None => ours,
        };
        Box::pin(async { open(ours) })
    }
}

/// Dials within the process.
struct Within(Network);

impl Dial for Within {
    fn dial<'a>(&'a self, address: &'a Address) -> Dialling<'a> {
        Box::pin(async move {
            let mut refused = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
            for addr in lookup_host((address.host(), address.port())).await? {
                match self.0.connect(addr).await {
                    Ok(stream) => return Ok(Box::new(stream) as Box<dyn ByteStream>),
                    Err(error) => refused = error,
                }
            }
            Err(refused)
        })
    }
}

impl Driver for SentinelClient {
    fn name(&self) -> &'static str {
        "sentinel-client"
    }

    fn about(&self) -> &'static str {
        "sentinel-client, its connections used as they come"
    }

    fn can(&self, _need: Need) -> bool {
        true
    }

    fn open(&self, settings: driver::Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        Box::pin(async move { open(client_settings(&settings)) })
    }
}

fn open(settings: Settings) -> Result<Box<dyn Session>, CallError> {
    let client = Client::new(settings).map_err(|error| CallError {
        may_have_run: false,
        cause: Cause::Other,
        text: error.to_string(),
    })?;
    let session = ClientSession { master: client.master(), replica: None, popping: None, cache: None, client };
    Ok(Box::new(session))
}

/// The least that a budget may be.
const SHORTEST: Duration = Duration::from_millis(1);

fn client_settings(settings: &driver::Settings) -> Settings {
    let credentials = |auth: &model::plan::Credentials| match &auth.user {
        Some(user) => Credentials::user(user, &auth.password),
        None => Credentials::password(&auth.password),
    };
    let retry = Retry {
        // A little less than the deadline, so that the answer is there by then.
        budget: settings.deadline.saturating_sub(Duration::from_millis(10)).max(SHORTEST),
        ambiguous: if settings.retry_ambiguous { Ambiguous::Always } else { Ambiguous::IfRepeatable },
        ..Retry::default()
    };
    let mut client = Settings::new(settings.sentinels.clone(), &settings.master).retry(retry).seed(settings.seed);
    if !settings.address_map.is_empty() {
        let map: BTreeMap<Address, Address> =
            settings.address_map.iter().cloned().map(|(told, dialled)| (told.into(), dialled.into())).collect();
        client = client.address_map(move |told| map.get(told).unwrap_or(told).clone());
    }
    if settings.database > 0 {
        client = client.db(settings.database);
    }
    if let Some(tls) = &settings.tls {
        let mut ours = Tls::new().ca_pem(&*tls.authority);
        if let Some(name) = &tls.server_name {
            ours = ours.server_name(name);
        }
        if tls.sentinels {
            client = client.sentinel_tls(ours.clone());
        }
        if tls.data {
            client = client.data_tls(ours);
        }
    }
    if let Some(auth) = &settings.sentinel_auth {
        client = client.sentinel_auth(credentials(auth));
    }
    if let Some(auth) = &settings.data_auth {
        client = client.data_auth(credentials(auth));
    }
    client
}

struct ClientSession {
    client: Client,
    master: Connection,
    /// Opened by the first read from a replica.
    replica: Option<Connection>,
    /// Opened by the first blocking command.
    popping: Option<Dedicated>,
    /// Made by the first read through a cache.
    cache: Option<Cache>,
}

impl Session for ClientSession {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        Box::pin(async move {
            let result = match request {
                Request::ReplicaGet(_) => {
                    request::run(self.replica.get_or_insert_with(|| self.client.replica()), request).await
                }
                Request::CachedGet(key) => {
                    let cache = self.cache.get_or_insert_with(|| self.client.cache());
                    cache.get(key).await.and_then(|reply| request::answer(request, reply))
                }
                Request::Renew(Lease { ttl_ms, .. }) => {
                    // To renew a lock twice does no harm, and to renew one that has expired no good.
                    let mut retry = self.master.retry().clone();
                    retry.budget = retry.budget.min(Duration::from_millis(*ttl_ms));
                    retry.ambiguous = Ambiguous::Always;
                    request::run(&mut self.master.with_retry(retry), request).await
                }
                Request::Pop(_, seconds) | Request::Take(_, seconds) => {
                    let popping = self.popping.get_or_insert_with(|| {
                        // The time for which a command blocks comes on top of the budget.
                        let mut retry = self.master.retry().clone();
                        retry.budget = retry.budget.saturating_sub(Duration::from_secs(*seconds)).max(SHORTEST);
                        self.client.dedicated().with_retry(retry)
                    });
                    request::run(popping, request).await
                }
                _ => request::run(&mut self.master, request).await,
            };
            result.map_err(|error| call_error(&error))
        })
    }

    fn share(&self) -> Option<Box<dyn Session>> {
        let (client, master) = (self.client.clone(), self.client.master());
        Some(Box::new(Self { client, master, replica: None, popping: None, cache: None }))
    }

    fn subscribe<'a>(&'a mut self, topics: &'a Topics, mut on_message: OnMessage) -> BoxFuture<'a, CallError> {
        Box::pin(async move {
            let mut subscriber = self.client.subscriber();
            subscriber.subscribe(&topics.channel).await;
            if let Some(pattern) = &topics.pattern {
                subscriber.psubscribe(pattern).await;
            }
            loop {
                if let Event::Message(message) = subscriber.next().await {
                    on_message(message.get_payload_bytes());
                }
            }
        })
    }
}

fn call_error(error: &RedisError) -> CallError {
    match details(error) {
        Some(failure) => {
            CallError { may_have_run: failure.may_have_run, cause: cause(failure), text: failure.to_string() }
        }
        None => outcome::call_error(Stage::Command, error),
    }
}

fn cause(failure: &Failure) -> Cause {
    use ::sentinel_client::Cause as Told;
    match &failure.cause {
        Told::Discovery(error) => discovery_cause(error),
        Told::Lost(_) => Cause::Connection,
        Told::TimedOut(_) | Told::Searching => Cause::Timeout,
        Told::Server(error) if matches!(error.code.as_str(), "NOAUTH" | "WRONGPASS" | "NOPERM") => Cause::Auth,
        Told::Server(_) => Cause::Server,
        _ => Cause::Other,
    }
}

fn discovery_cause(error: &DiscoveryError) -> Cause {
    match error {
        DiscoveryError::Unreachable { sentinels } => {
            let any = |which: fn(&OpenError) -> bool| sentinels.iter().any(|(_, error)| which(error));
            if any(|error| matches!(error, OpenError::Auth(_))) {
                Cause::Auth
            } else if any(|error| matches!(error, OpenError::Answer(_))) {
                Cause::Server
            } else {
                Cause::NoSentinel
            }
        }
        DiscoveryError::UnknownMaster { .. } => Cause::UnknownMaster,
        DiscoveryError::NodeUnreachable { error: OpenError::Auth(_), .. } => Cause::Auth,
        DiscoveryError::NodeUnreachable { .. } | DiscoveryError::NotMaster { .. } => Cause::NoMaster,
        _ => Cause::Other,
    }
}

#[cfg(test)]
mod tests {
    use ::sentinel_client::Address;

    use super::*;

    #[test]
    fn searches_that_fail_in_words() {
        let at = || Address::new("10.0.0.1", 1);
        let unreachable = |error| DiscoveryError::Unreachable { sentinels: vec![(at(), error)] };
        let node = |error| DiscoveryError::NodeUnreachable { address: at(), error };
        let table = [
            (unreachable(OpenError::Connect("refused".into())), Cause::NoSentinel),
            (unreachable(OpenError::Auth("NOAUTH".into())), Cause::Auth),
            (unreachable(OpenError::Answer("ERR busy".into())), Cause::Server),
            (node(OpenError::Connect("refused".into())), Cause::NoMaster),
            (node(OpenError::Auth("WRONGPASS".into())), Cause::Auth),
            (DiscoveryError::UnknownMaster { name: "m".into(), answered: 1, silent: Vec::new() }, Cause::UnknownMaster),
        ];
        for (error, cause) in table {
            assert_eq!(discovery_cause(&error), cause, "{error}");
        }
    }
}
