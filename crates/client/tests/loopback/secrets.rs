//! Passwords appear nowhere: not in what `Debug` shows, not in errors, not in what is logged.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use redis::AsyncCommands as _;
use sentinel_client::{Client, Credentials, Retry, Settings};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::server::{Reaction, Server};

/// Keeps all that is logged, by whichever crate.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0.lock().unwrap(), "{field}={value:?} ").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut self.clone());
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut self.clone());
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test(start_paused = true)]
async fn no_password_is_shown_told_or_logged() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let mut shown = String::new();
    // A data node, and then the Sentinel too, that refuses the password.
    for refusing in [0, 1, 2] {
        let master = Server::master().await;
        let sentinel = Server::sentinel(&master.address).await;
        let refusal = Reaction::say("-WRONGPASS invalid username-password pair\r\n");
        for server in [&master, &sentinel].into_iter().take(refusing) {
            server.on("AUTH", refusal.clone());
        }
        let retry = Retry { budget: Duration::from_secs(2), ..Retry::default() };
        let settings = Settings::new([sentinel.address.clone()], "mymaster")
            .data_auth(Credentials::user("app", "hush1"))
            .sentinel_auth(Credentials::password("hush2"))
            .retry(retry);
        write!(shown, "{settings:?}").unwrap();
        let client = Client::new(settings).expect("settings");
        let (mut connection, mut dedicated) = (client.master(), client.dedicated());
        let (subscriber, pool) = (client.subscriber(), client.pool().build().expect("a pool"));
        let plain: redis::RedisResult<()> = connection.set("key", "value").await;
        let alone: redis::RedisResult<()> = dedicated.set("key", "value").await;
        // A command that carries a password of its own.
        let other = redis::cmd("AUTH").arg("hush3").query_async::<()>(&mut connection).await;
        assert_eq!((plain.is_err(), alone.is_err(), other.is_err()), (refusing > 0, refusing > 0, true));
        for result in [&plain, &alone, &other] {
            if let Err(error) = result {
                write!(shown, "{error} {error:?} {error:#?}").unwrap();
            }
        }
        write!(shown, "{client:?} {connection:#?} {dedicated:#?} {subscriber:?} {pool:?}").unwrap();
        assert!(master.count("AUTH app hush1") + sentinel.count("AUTH hush2") > 0, "it was sent");
    }
    let logged = log.0.lock().unwrap().clone();
    assert!(!logged.is_empty() && !shown.is_empty(), "something is logged and shown");
    for text in [shown, logged] {
        assert!(!text.contains("hush"), "{text}");
    }
}
