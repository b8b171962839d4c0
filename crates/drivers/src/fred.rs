//! Driver `fred`: the crate `fred`, set up as its example for Sentinel and its README show, with a policy for
//! reconnecting, which it has none of by itself.

use std::time::Duration;

use ::fred::clients::Client;
use ::fred::error::{Error, ErrorKind};
use ::fred::interfaces::{
    ClientLike, EventInterface as _, LuaInterface as _, PubsubInterface as _, TransactionInterface as _,
};
use ::fred::prelude::{Builder, Config, ReconnectPolicy, ServerConfig, TcpConfig};
use ::fred::rustls::pki_types::CertificateDer;
use ::fred::rustls::pki_types::pem::PemObject as _;
use ::fred::rustls::{ClientConfig, RootCertStore};
use ::fred::types::config::{Server, TlsConfig, TlsConnector};
use ::fred::types::{ConnectHandle, CustomCommand, Value};
use model::history::Cause;
use model::plan::{Need, Workload};
use testbed::driver::{
    Answer, BoxFuture, CallError, Driver, INCREMENT, OnMessage, Request, Session, Settings, Tls, Topics,
};

/// `fred::clients::Client` with a Sentinel configuration.
pub struct Fred;

impl Driver for Fred {
    fn name(&self) -> &'static str {
        "fred"
    }

    fn about(&self) -> &'static str {
        "fred 10.1, one Client that reconnects by itself; a second one for blocking commands"
    }

    /// It has replica routing for clusters only.
    fn can(&self, need: Need) -> bool {
        !matches!(
            need,
            Need::Workload(Workload::ReplicaReads | Workload::CachedReads) | Need::AddressMap | Need::ServerName
        )
    }

    /// It has a thread look up each address, also those that are no names, and goes on when that comes back.
    fn repeats(&self) -> bool {
        false
    }

    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        Box::pin(async move {
            let master = Lane::open(&settings, settings.deadline).await?;
            Ok(Box::new(FredSession { settings, master, popping: None }) as Box<dyn Session>)
        })
    }
}

/// Its one setting of TLS, which holds for Sentinels and data nodes alike.
fn tls(tls: &Tls) -> Result<TlsConfig, CallError> {
    let refused = |text: String| CallError { may_have_run: false, cause: Cause::Other, text };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(tls.authority.as_bytes()) {
        let certificate = certificate.map_err(|error| refused(format!("the authority's certificate: {error:?}")))?;
        roots.add(certificate).map_err(|error| refused(error.to_string()))?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    Ok(TlsConnector::from(config).into())
}

/// A client and the task that drives its connection.
struct Lane {
    client: Client,
    /// Of the handle that set it up.
    task: Option<ConnectHandle>,
}

impl Lane {
    async fn open(settings: &Settings, timeout: Duration) -> Result<Self, CallError> {
        let server = |(host, port): &(String, u16)| Server::new(host.clone(), *port);
        let sentinel_auth = settings.sentinel_auth.as_ref();
        let data_auth = settings.data_auth.as_ref();
        let config = Config {
            server: ServerConfig::Sentinel {
                hosts: settings.sentinels.iter().map(server).collect(),
                service_name: settings.master.clone(),
                username: sentinel_auth.and_then(|auth| auth.user.clone()),
                password: sentinel_auth.map(|auth| auth.password.clone()),
            },
            username: data_auth.and_then(|auth| auth.user.clone()),
            password: data_auth.map(|auth| auth.password.clone()),
            database: u8::try_from(settings.database).ok(),
            tls: settings.tls.as_ref().map(tls).transpose()?,
            ..Config::default()
        };
        // The crate draws its jitter from a generator that nothing can seed; a single client has nobody to avoid.
        let mut policy = ReconnectPolicy::new_exponential(0, 100, 30_000, 2);
        policy.set_jitter(0);
        let client = Builder::from_config(config)
            .with_connection_config(|config| {
                config.connection_timeout = Duration::from_secs(5);
                config.tcp = TcpConfig { nodelay: Some(true), ..TcpConfig::default() };
            })
            .with_performance_config(|config| config.default_command_timeout = timeout)
            .set_policy(policy)
            .build()
            .map_err(|error| call_error(&error))?;
        let task = client.init().await.map_err(|error| call_error(&error))?;
        Ok(Self { client, task: Some(task) })
    }

    async fn run(&self, request: &Request) -> Result<Answer, CallError> {
        let reply: Result<Value, Error> = match request {
            Request::Script(key) => self.client.eval(INCREMENT, key.as_str(), None::<Value>).await,
            Request::Transaction(_) => {
                let transaction = self.client.multi();
                self.queue(&transaction, request).await?;
                transaction.exec(true).await
            }
            Request::Pipeline(_) => {
                let pipeline = self.client.pipeline();
                self.queue(&pipeline, request).await?;
                pipeline.all().await
            }
            _ => {
                let (command, args) = words(request).remove(0);
                self.client.custom(command, args).await
            }
        };
        reply.map(|reply| answer(request, reply)).map_err(|error| {
            let told = call_error(&error);
            CallError { may_have_run: told.may_have_run || matches!(request, Request::Pipeline(_)), ..told }
        })
    }

    async fn queue(&self, batch: &impl ClientLike, request: &Request) -> Result<(), CallError> {
        for (command, args) in words(request) {
            batch.custom::<Value, _>(command, args).await.map_err(|error| call_error(&error))?;
        }
        Ok(())
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

struct FredSession {
    settings: Settings,
    master: Lane,
    /// Opened by the first blocking command.
    popping: Option<Lane>,
}

impl Session for FredSession {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        Box::pin(async move {
            if request.blocks().is_none() {
                return self.master.run(request).await;
            }
            if self.popping.is_none() {
                self.popping = Some(Lane::open(&self.settings, self.settings.deadline).await?);
            }
            match &self.popping {
                Some(lane) => lane.run(request).await,
                None => self.master.run(request).await,
            }
        })
    }

    fn share(&self) -> Option<Box<dyn Session>> {
        let master = Lane { client: self.master.client.clone(), task: None };
        Some(Box::new(Self { settings: self.settings.clone(), master, popping: None }))
    }

    fn subscribe<'a>(&'a mut self, topics: &'a Topics, mut on_message: OnMessage) -> BoxFuture<'a, CallError> {
        Box::pin(async move {
            // As its example of publish/subscribe does without a SubscriberClient: subscriptions are made again by the
            // client whenever it reconnects.
            let mut messages = self.master.client.message_rx();
            let mut reconnected = self.master.client.reconnect_rx();
            if let Err(error) = self.listen_to(topics).await {
                return call_error(&error);
            }
            loop {
                tokio::select! {
                    biased;
                    message = messages.recv() => match message {
                        Ok(message) => on_message(message.value.as_bytes().unwrap_or_default()),
                        Err(_) => return call_error(&Error::new(ErrorKind::Canceled, "the messages have ended")),
                    },
                    server = reconnected.recv() => {
                        let again = match server {
                            Ok(_) => self.listen_to(topics).await,
                            Err(_) => Err(Error::new(ErrorKind::Canceled, "the client has ended")),
                        };
                        if let Err(error) = again {
                            return call_error(&error);
                        }
                    }
                }
            }
        })
    }
}

impl FredSession {
    /// Subscribes, again if it was before.
    async fn listen_to(&self, topics: &Topics) -> Result<(), Error> {
        self.master.client.subscribe(&*topics.channel).await?;
        match &topics.pattern {
            Some(pattern) => self.master.client.psubscribe(&**pattern).await,
            None => Ok(()),
        }
    }
}

/// The commands of a request, each with its arguments.
fn words(request: &Request) -> Vec<(CustomCommand, Vec<Value>)> {
    let blocking = request.blocks().is_some();
    let command = |(name, args): (&'static str, Vec<String>)| {
        (CustomCommand::new_static(name, None::<u16>, blocking), args.into_iter().map(Value::from).collect())
    };
    request.commands().into_iter().map(command).collect()
}

fn answer(request: &Request, reply: Value) -> Answer {
    match (request, reply) {
        (_, Value::Null) => Answer::Nil,
        (_, Value::Integer(number)) => Answer::Number(number),
        (Request::Transaction(_) | Request::Pipeline(_), Value::Array(replies)) => match replies.last() {
            Some(Value::Integer(number)) => Answer::Number(*number),
            _ => Answer::Done,
        },
        (Request::Set(..) | Request::Transaction(_) | Request::Pipeline(_), _) => Answer::Done,
        // A popped item comes with the name of its list.
        (_, Value::Array(items)) => {
            items.last().and_then(Value::as_bytes).map_or(Answer::Nil, |item| Answer::Value(item.to_vec()))
        }
        (_, reply) => reply.as_bytes().map_or(Answer::Done, |bytes| Answer::Value(bytes.to_vec())),
    }
}

fn call_error(error: &Error) -> CallError {
    let text = error.to_string();
    let (may_have_run, cause) = match error.kind() {
        ErrorKind::Auth => (false, Cause::Auth),
        ErrorKind::Config | ErrorKind::Url | ErrorKind::InvalidArgument | ErrorKind::InvalidCommand => {
            (false, Cause::Other)
        }
        ErrorKind::Sentinel if error.details().contains("all sentinel nodes") => (false, Cause::NoSentinel),
        ErrorKind::Sentinel if error.details().contains("Missing primary") => (false, Cause::UnknownMaster),
        ErrorKind::Sentinel | ErrorKind::Routing | ErrorKind::Backpressure => (false, Cause::NoMaster),
        ErrorKind::Timeout => (true, Cause::Timeout),
        ErrorKind::IO => (true, Cause::Connection),
        ErrorKind::Canceled => (true, Cause::Other),
        // The kind of an error reply is made from its prefix; what has none of its own is `Unknown`.
        _ if error.details().starts_with(|c: char| c.is_ascii_uppercase()) && error.details().contains(' ') => {
            (false, Cause::Server)
        }
        _ => (true, Cause::Other),
    };
    CallError { may_have_run, cause, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_words() {
        let table = [
            (ErrorKind::Unknown, "READONLY You can't write against a read only replica.", false, Cause::Server),
            (ErrorKind::Timeout, "Request timed out.", true, Cause::Timeout),
            (ErrorKind::IO, "connection reset", true, Cause::Connection),
            (ErrorKind::Sentinel, "Failed to connect to all sentinel nodes.", false, Cause::NoSentinel),
            (ErrorKind::Auth, "NOAUTH Authentication required.", false, Cause::Auth),
        ];
        for (kind, details, ran, cause) in table {
            let told = call_error(&Error::new(kind, details));
            assert_eq!((told.may_have_run, told.cause), (ran, cause), "{details}");
        }
    }
}
