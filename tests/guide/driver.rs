use model::history::Cause;
use model::plan::{Need, Workload};
use redis::sentinel::{SentinelClient, SentinelServerType};
use testbed::driver::{Answer, BoxFuture, CallError, Driver, OnMessage, Request, Session, Settings, Topics};

pub struct Mine;

impl Driver for Mine {
    fn name(&self) -> &'static str { "mine" }
    fn about(&self) -> &'static str { "redis 1.x, a connection of its own for every operation" }
    fn can(&self, need: Need) -> bool { need == Need::Workload(Workload::Counter) }

    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        Box::pin(async move {
            let urls = settings.sentinels.iter().map(|(host, port)| format!("redis://{host}:{port}")).collect();
            let client = SentinelClient::build(urls, settings.master, None, SentinelServerType::Master);
            Ok(Box::new(MySession(client.map_err(unsent)?)) as Box<dyn Session>)
        })
    }
}

struct MySession(SentinelClient);

impl Session for MySession {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        Box::pin(async move {
            let Request::Incr(key) = request else { unreachable!("`can` says so") };
            let mut connection = self.0.get_async_connection().await.map_err(unsent)?;
            let number = redis::Cmd::incr(key, 1).query_async(&mut connection).await;
            number.map(Answer::Number).map_err(|error| CallError { may_have_run: error.code().is_none(), ..unsent(error) })
        })
    }

    fn subscribe<'a>(&'a mut self, _: &'a Topics, _: OnMessage) -> BoxFuture<'a, CallError> { unreachable!("`can` says so") }
}

fn unsent(error: redis::RedisError) -> CallError {
    CallError { may_have_run: false, cause: Cause::Other, text: error.to_string() }
}
