//! Driver `rustis`: the crate `rustis`, a multiplexed `Client` as its example for Sentinel shows, and an
//! `ExclusiveClient` for blocking commands, which its documentation asks for.

use ::rustis::client::{Client, Config, ExclusiveClient, SentinelConfig, ServerConfig};
use ::rustis::commands::{BlockingCommands as _, LMoveWhere, PubSubCommands as _, ScriptingCommands as _};
use ::rustis::resp::{CommandBuilder, Value, cmd};
use ::rustis::{Error, ErrorKind, RedisErrorKind};
use futures_util::StreamExt as _;
use model::history::Cause;
use model::plan::{Need, Workload};
use testbed::driver::{
    Answer, BoxFuture, CallError, Driver, INCREMENT, Jobs, OnMessage, Request, Session, Settings, Topics,
};

/// `rustis::client::Client` with a Sentinel configuration.
pub struct Rustis;

impl Driver for Rustis {
    fn name(&self) -> &'static str {
        "rustis"
    }

    fn about(&self) -> &'static str {
        "rustis 0.27, one multiplexed Client; an ExclusiveClient for blocking commands"
    }

    /// It has no reads from the replicas of a master under Sentinel.
    fn can(&self, need: Need) -> bool {
        !matches!(
            need,
            Need::Workload(Workload::ReplicaReads | Workload::CachedReads)
                | Need::AddressMap
                | Need::Tls
                | Need::ServerName
        )
    }

    /// Its network task polls by `futures_util::select!`, whose generator goes by how many threads the process has had.
    fn repeats(&self) -> bool {
        false
    }

    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        Box::pin(async move {
            let client = Client::connect(config(&settings)).await.map_err(|error| call_error(&error))?;
            Ok(Box::new(RustisSession { settings, client, popping: None }) as Box<dyn Session>)
        })
    }
}

fn config(settings: &Settings) -> Config {
    let mut sentinel = SentinelConfig::default();
    sentinel.instances.clone_from(&settings.sentinels);
    sentinel.service_name.clone_from(&settings.master);
    if let Some(auth) = &settings.sentinel_auth {
        sentinel.username.clone_from(&auth.user);
        sentinel.password = Some(auth.password.clone());
    }
    let mut config = Config::default();
    config.server = ServerConfig::Sentinel(sentinel);
    config.database = settings.database as usize;
    config.command_timeout = settings.deadline;
    config.retry_on_error = settings.retry_ambiguous;
    if let Some(auth) = &settings.data_auth {
        config.username.clone_from(&auth.user);
        config.password = Some(auth.password.clone());
    }
    config
}

struct RustisSession {
    settings: Settings,
    client: Client,
    /// Opened by the first blocking command.
    popping: Option<ExclusiveClient>,
}

impl RustisSession {
    async fn exclusive(&mut self) -> Result<&mut ExclusiveClient, Error> {
        match self.popping {
            Some(ref mut client) => Ok(client),
            None => Ok(self.popping.insert(ExclusiveClient::connect(config(&self.settings)).await?)),
        }
    }

    async fn pop(&mut self, key: &str, seconds: u64) -> Result<Answer, Error> {
        let popped: Option<(String, String)> = self.exclusive().await?.blpop(key, seconds as f64).await?;
        Ok(popped.map_or(Answer::Nil, |(_, item)| Answer::Value(item.into_bytes())))
    }

    async fn take(&mut self, Jobs { waiting, under_way }: &Jobs, seconds: u64) -> Result<Answer, Error> {
        let (from, to) = (LMoveWhere::Right, LMoveWhere::Left);
        let client = self.exclusive().await?;
        let job: Option<String> = client.blmove(waiting, under_way, from, to, seconds as f64).await?;
        Ok(job.map_or(Answer::Nil, |job| Answer::Value(job.into_bytes())))
    }
}

impl Session for RustisSession {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        Box::pin(async move {
            let result = match request {
                Request::Pop(key, seconds) => self.pop(key, *seconds).await,
                Request::Take(jobs, seconds) => self.take(jobs, *seconds).await,
                Request::Script(key) => self.client.eval(INCREMENT, key, ()).await.map(Answer::Number),
                Request::Transaction(_) => {
                    let mut transaction = self.client.create_transaction();
                    commands(request).for_each(|command| transaction.queue_command(command));
                    transaction.execute::<Vec<Value>>().await.map(last)
                }
                Request::Pipeline(_) => {
                    let mut pipeline = self.client.create_pipeline();
                    commands(request).for_each(|command| pipeline.queue_command(command));
                    pipeline.execute::<Vec<Value>>().await.map(last)
                }
                _ => {
                    let command = commands(request).next().unwrap_or_else(|| cmd("PING"));
                    self.client.send::<Value>(command, None).await.map(answer)
                }
            };
            result.map_err(|error| {
                let told = call_error(&error);
                CallError { may_have_run: told.may_have_run || matches!(request, Request::Pipeline(_)), ..told }
            })
        })
    }

    fn share(&self) -> Option<Box<dyn Session>> {
        Some(Box::new(Self { settings: self.settings.clone(), client: self.client.clone(), popping: None }))
    }

    fn subscribe<'a>(&'a mut self, topics: &'a Topics, mut on_message: OnMessage) -> BoxFuture<'a, CallError> {
        Box::pin(async move {
            let mut messages = match self.client.subscribe(&*topics.channel).await {
                Ok(messages) => messages,
                Err(error) => return call_error(&error),
            };
            if let Some(pattern) = &topics.pattern
                && let Err(error) = messages.psubscribe(&**pattern).await
            {
                return call_error(&error);
            }
            while let Some(message) = messages.next().await {
                match message {
                    Ok(message) => on_message(message.payload()),
                    Err(error) => return call_error(&error),
                }
            }
            CallError { may_have_run: true, cause: Cause::Connection, text: "the messages have ended".to_owned() }
        })
    }
}

/// The commands of a request.
fn commands(request: &Request) -> impl Iterator<Item = CommandBuilder> {
    request.commands().into_iter().map(|(name, args)| args.iter().fold(cmd(name), CommandBuilder::arg))
}

/// The answer of the last command.
fn last(mut replies: Vec<Value>) -> Answer {
    replies.pop().map_or(Answer::Done, answer)
}

fn answer(reply: Value) -> Answer {
    match reply {
        Value::Null => Answer::Nil,
        Value::Integer(number) => Answer::Number(number),
        Value::BulkString(bytes) => Answer::Value(bytes),
        _ => Answer::Done,
    }
}

fn call_error(error: &Error) -> CallError {
    let text = error.to_string();
    let (may_have_run, cause) = match error.kind() {
        ErrorKind::Redis(error) => match error.kind {
            RedisErrorKind::NoAuth | RedisErrorKind::WrongPass | RedisErrorKind::NoPerm => (false, Cause::Auth),
            _ => (false, Cause::Server),
        },
        ErrorKind::Sentinel(told) if told.contains("unreachable") => (false, Cause::NoSentinel),
        ErrorKind::Sentinel(told) if told.contains("unknown") => (false, Cause::UnknownMaster),
        ErrorKind::Sentinel(_) => (false, Cause::NoMaster),
        _ if error.is_timeout() => (true, Cause::Timeout),
        ErrorKind::IO(io) => (io.kind() != std::io::ErrorKind::ConnectionRefused, Cause::Connection),
        ErrorKind::EOF | ErrorKind::DisconnectedByPeer => (true, Cause::Connection),
        _ => (true, Cause::Other),
    };
    CallError { may_have_run, cause, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_in_words() {
        let told = |kind: ErrorKind| {
            let told = call_error(&Error::from(kind));
            (told.may_have_run, told.cause)
        };
        assert_eq!(told(ErrorKind::DisconnectedByPeer), (true, Cause::Connection));
        let unreachable = "All Sentinel instances are unreachable".to_owned();
        assert_eq!(told(ErrorKind::Sentinel(unreachable)), (false, Cause::NoSentinel));
        let unknown = "master mymaster is unknown by all Sentinel instances".to_owned();
        assert_eq!(told(ErrorKind::Sentinel(unknown)), (false, Cause::UnknownMaster));
    }
}
