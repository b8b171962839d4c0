//! The workloads of a plan's clients: what each asks of its driver, and when.
//!
//! A worker does one operation at a time. The next starts at the next multiple of the client's `every` after the start
//! of the one before; multiples that pass during a call are skipped. The first operation sets the client up; as long
//! as that fails, so do the operations. No call is ever cancelled, since how long it takes is part of what is judged.

use std::sync::Arc;
use std::time::Duration;

use model::OpId;
use model::history::Action;
use model::plan::{Client, Workload};
use tokio::time::{Instant, sleep_until};

use crate::calls::Calls;
use crate::driver::{Answer, CallError, Driver, Request, Session, Settings};

/// Seconds that a blocking pop waits for an item.
const POP_SECONDS: u64 = 1;

/// One client of the plan at work.
pub(crate) struct Worker {
    /// Its operations.
    pub(crate) calls: Arc<Calls>,
    /// The client under test.
    pub(crate) driver: Arc<dyn Driver>,
    /// What that is set up with.
    pub(crate) settings: Settings,
    /// The start of the first operation.
    pub(crate) start: Instant,
    /// Time between two starts.
    pub(crate) every: Duration,
}

/// Works for ever.
pub(crate) async fn work(worker: Worker, client: &Client) {
    let id = &client.id;
    match client.workload {
        Workload::Counter => worker.repeat(Script::Counter).await,
        Workload::Register => worker.repeat(Script::Register { set: None }).await,
        Workload::ReplicaReads => worker.repeat(Script::ReplicaReads { key: None, tried: None }).await,
        Workload::Queue => {
            let key = format!("queue:{id}");
            tokio::join!(worker.repeat(Script::Push(key.clone())), worker.repeat(Script::Pop(key)));
        }
        Workload::PubSub => {
            let channel = format!("news:{id}");
            tokio::join!(worker.subscribe(&channel), worker.repeat(Script::Publish(channel.clone())));
        }
    }
}

impl Worker {
    /// Operation after operation of `script`.
    async fn repeat(&self, mut script: Script) {
        let mut session: Option<Box<dyn Session>> = None;
        let mut slot = self.start;
        loop {
            sleep_until(slot).await;
            let op = self.calls.next();
            let (action, request) = script.next(&op);
            self.calls.start(&op, action);
            let result = match self.opened(&mut session).await {
                Ok(session) => session.call(&request).await,
                Err(error) => Err(error),
            };
            script.saw(&result);
            self.calls.end(op, &result);
            slot = next_slot(slot, self.every, Instant::now());
        }
    }

    /// Subscribes, and again when the subscription is lost.
    async fn subscribe(&self, channel: &str) {
        let mut session: Option<Box<dyn Session>> = None;
        let mut slot = self.start;
        loop {
            sleep_until(slot).await;
            let op = self.calls.next();
            self.calls.start(&op, Action::Subscribe);
            let calls = Arc::clone(&self.calls);
            let lost = match self.opened(&mut session).await {
                Ok(session) => session.subscribe(channel, Box::new(move |message| calls.delivered(message))).await,
                Err(error) => error,
            };
            self.calls.end(op, &Err(lost));
            slot = next_slot(slot, self.every, Instant::now());
        }
    }

    /// The session, set up if it is not. What was not set up did not run.
    async fn opened<'a>(
        &self,
        session: &'a mut Option<Box<dyn Session>>,
    ) -> Result<&'a mut Box<dyn Session>, CallError> {
        if let Some(session) = session {
            return Ok(session);
        }
        let opened = self.driver.open(self.settings.clone()).await;
        Ok(session.insert(opened.map_err(|error| CallError { may_have_run: false, ..error })?))
    }
}

/// The first multiple of `every` after `slot` that is not before `now`.
fn next_slot(slot: Instant, every: Duration, now: Instant) -> Instant {
    let every = every.max(Duration::from_millis(1));
    let behind = now.saturating_duration_since(slot).as_nanos().div_ceil(every.as_nanos()).max(1);
    slot + every.saturating_mul(u32::try_from(behind).unwrap_or(u32::MAX))
}

/// What a worker asks for, operation after operation.
#[derive(Debug)]
enum Script {
    /// A key per operation, so that every execution can be traced.
    Counter,
    /// Sets, and gets what was set.
    Register { set: Option<String> },
    /// Pushes to this list.
    Push(String),
    /// Pops from this list.
    Pop(String),
    /// Writes one key until that succeeds, then reads it.
    ReplicaReads { key: Option<String>, tried: Option<String> },
    /// Publishes on this channel.
    Publish(String),
}

impl Script {
    fn next(&mut self, op: &OpId) -> (Action, Request) {
        match self {
            Self::Counter => (Action::Incr, Request::Incr(format!("counter:{op}"))),
            Self::Register { set } => match set.take() {
                None => {
                    let key = format!("reg:{op}");
                    *set = Some(key.clone());
                    (Action::Set, Request::Set(key, op.to_string()))
                }
                Some(key) => (Action::Get, Request::Get(key)),
            },
            Self::Push(key) => (Action::Push, Request::Push(key.clone(), op.to_string())),
            Self::Pop(key) => (Action::Pop, Request::Pop(key.clone(), POP_SECONDS)),
            Self::ReplicaReads { key: Some(key), .. } => (Action::ReplicaGet, Request::ReplicaGet(key.clone())),
            Self::ReplicaReads { key: None, tried } => {
                let key = format!("read:{op}");
                *tried = Some(key.clone());
                (Action::Set, Request::Set(key, op.to_string()))
            }
            Self::Publish(channel) => (Action::Publish, Request::Publish(channel.clone(), op.to_string())),
        }
    }

    fn saw(&mut self, result: &Result<Answer, CallError>) {
        if let Self::ReplicaReads { key: key @ None, tried } = self
            && result.is_ok()
        {
            *key = tried.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use model::ClientId;
    use model::history::Cause;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn missed_slots_are_skipped() {
        let start = Instant::now();
        let ms = Duration::from_millis;
        let table = [(0, 0, 100), (0, 40, 100), (0, 100, 100), (0, 101, 200), (100, 350, 400), (100, 400, 400)];
        for (slot, now, next) in table {
            assert_eq!(next_slot(start + ms(slot), ms(100), start + ms(now)), start + ms(next), "{slot} {now}");
        }
        assert!(next_slot(start, Duration::ZERO, start) > start);
    }

    fn asked(script: &mut Script, seq: u64) -> String {
        let (action, request) = script.next(&OpId { client: ClientId::new("c"), seq });
        format!("{action:?} {request:?}")
    }

    #[test]
    fn register_gets_what_it_set() {
        let mut script = Script::Register { set: None };
        assert_eq!(asked(&mut script, 1), r#"Set Set("reg:c#1", "c#1")"#);
        assert_eq!(asked(&mut script, 2), r#"Get Get("reg:c#1")"#);
        assert_eq!(asked(&mut script, 3), r#"Set Set("reg:c#3", "c#3")"#);
    }

    #[test]
    fn replica_reads_write_until_that_succeeds() {
        let mut script = Script::ReplicaReads { key: None, tried: None };
        assert_eq!(asked(&mut script, 1), r#"Set Set("read:c#1", "c#1")"#);
        script.saw(&Err(CallError { may_have_run: true, cause: Cause::Timeout, text: "slow".into() }));
        assert_eq!(asked(&mut script, 2), r#"Set Set("read:c#2", "c#2")"#);
        script.saw(&Ok(Answer::Done));
        assert_eq!(asked(&mut script, 3), r#"ReplicaGet ReplicaGet("read:c#2")"#);
        script.saw(&Ok(Answer::Nil));
        assert_eq!(asked(&mut script, 4), r#"ReplicaGet ReplicaGet("read:c#2")"#);
    }
}
