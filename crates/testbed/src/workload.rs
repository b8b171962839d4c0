//! The workloads of a plan's clients: what each asks of its driver, and when.
//!
//! A worker does one operation at a time. The next starts at the next multiple of the client's `every` after the start
//! of the one before; multiples that pass during a call are skipped. The first operation sets the client up; as long
//! as that fails, so do the operations. Several callers of one client share what the first of them set up. No call is ever cancelled, since how long it takes is part of what is judged.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use model::OpId;
use model::history::{Action, Cause};
use model::plan::{Client, Workload};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep_until};

use crate::calls::Calls;
use crate::driver::{Answer, CallError, Driver, Jobs, Lease, OnMessage, Request, Session, Settings, Topics, Writes};

/// Seconds that a blocking command waits for an item.
const POP_SECONDS: u64 = 1;
/// The lock that clients contend for.
const LOCK: &str = "lock";

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
    /// What the plan says of it.
    pub(crate) client: Client,
}

/// How many clients of its own a worker sets up: who waits, for an item or for messages, has another one, and so has who overwrites
/// what is read.
pub(crate) fn sessions(workload: Workload) -> usize {
    match workload {
        Workload::Queue | Workload::PubSub | Workload::Jobs | Workload::Reads | Workload::CachedReads => 2,
        _ => 1,
    }
}

/// The client that several callers share.
type Shared = Mutex<Option<Box<dyn Session>>>;

/// Works for ever.
pub(crate) async fn work(worker: Worker) {
    let (id, every) = (&worker.client.id, worker.client.every);
    let beside = worker.client.workload.beside(every).unwrap_or(every);
    match worker.client.workload {
        Workload::Counter => worker.call(|| Script::Counter).await,
        Workload::Register => worker.call(|| Script::Register { set: None }).await,
        Workload::ReplicaReads => worker.call(|| Script::ReplicaReads { key: None, tried: None }).await,
        Workload::Script => worker.call(|| Script::Eval).await,
        Workload::Transaction => worker.call(|| Script::Transaction).await,
        Workload::Pipeline => worker.call(|| Script::Pipeline).await,
        Workload::Queue => {
            let key = format!("queue:{id}");
            tokio::join!(worker.call(|| Script::Push(key.clone())), worker.alone(Script::Pop(key.clone()), beside));
        }
        Workload::Lock => {
            let ttl_ms = u64::try_from((every * Workload::LEASE).as_millis()).unwrap_or(u64::MAX);
            worker.call(|| Script::Lock { ttl_ms, held: None }).await;
        }
        Workload::Jobs => {
            let jobs = Jobs { waiting: format!("jobs:{id}"), under_way: format!("under-way:{id}") };
            let push = || Script::Push(jobs.waiting.clone());
            let consumer = Script::Consumer { jobs: jobs.clone(), next: Step::Look };
            // Half a step off the producer's, so that a job that is taken when it comes takes that long.
            let consume = worker.repeat(consumer, None, worker.start + beside / 2, beside);
            tokio::join!(worker.call(push), consume);
        }
        Workload::Reads => {
            let key = format!("read:{id}");
            worker.overwritten(&key, beside, || Script::Get(key.clone())).await;
        }
        Workload::CachedReads => {
            let key = format!("cached:{id}");
            worker.overwritten(&key, beside, || Script::CachedGet(key.clone())).await;
        }
        Workload::PubSub => {
            let channel = format!("news:{id}");
            let pattern = worker.client.patterns.then(|| format!("flash:{id}:*"));
            // Of what is published every second message goes to a channel that only the pattern matches.
            let matching = pattern.as_ref().map(|_| format!("flash:{id}:1"));
            let publish = || Script::Publish(std::iter::once(channel.clone()).chain(matching.clone()).collect());
            let topics = Topics { channel: channel.clone(), pattern };
            tokio::join!(worker.subscribe(&topics), worker.call(publish));
        }
    }
}

impl Worker {
    /// The callers, each at a script of its own. Their starts are spread over the time between two of one.
    async fn call(&self, script: impl Fn() -> Script) {
        let every = self.client.every;
        if self.client.callers == 1 {
            return self.alone(script(), every).await;
        }
        let shared = Shared::default();
        let start = |caller: u16| self.start + every * caller.into() / u32::from(self.client.callers);
        join_all((0..self.client.callers).map(|caller| self.repeat(script(), Some(&shared), start(caller), every)))
            .await;
    }

    /// The callers, and one with a client of its own that overwrites what they read.
    async fn overwritten(&self, key: &str, beside: Duration, script: impl Fn() -> Script) {
        let writer = Script::Overwrite(key.to_owned());
        tokio::join!(self.call(script), self.alone(writer, beside));
    }

    /// One that has a client of its own.
    async fn alone(&self, script: Script, every: Duration) {
        self.repeat(script, None, self.start, every).await;
    }

    /// Operation after operation of `script`.
    async fn repeat(&self, mut script: Script, shared: Option<&Shared>, mut slot: Instant, every: Duration) {
        let mut session: Option<Box<dyn Session>> = None;
        let mut failing: Option<Instant> = None;
        loop {
            sleep_until(slot).await;
            let op = self.calls.next();
            let of = script.of();
            let (action, request) = script.next(&op);
            self.calls.start(&op, action, of);
            let result = match self.opened(&mut session, shared).await {
                Ok(session) => session.call(&request).await,
                Err(error) => Err(error),
            };
            let result = result.map(|answer| meaning(&request, answer));
            script.saw(&op, &result);
            if result.is_ok() {
                failing = None;
            } else {
                let since = *failing.get_or_insert(slot);
                if self.client.reopen_after.is_some_and(|after| since.elapsed() >= after) {
                    (session, failing) = (None, None);
                }
            }
            self.calls.end(op, &result);
            slot = next_slot(slot, every, Instant::now());
        }
    }

    /// Subscribes, and again when the subscription is lost.
    async fn subscribe(&self, topics: &Topics) {
        let mut session: Option<Box<dyn Session>> = None;
        let mut failing: Option<Instant> = None;
        let mut slot = self.start;
        loop {
            sleep_until(slot).await;
            let op = self.calls.next();
            self.calls.start(&op, Action::Subscribe, None);
            let (calls, heard) = (Arc::clone(&self.calls), Arc::new(AtomicBool::new(false)));
            let hears = Arc::clone(&heard);
            let on_message: OnMessage = Box::new(move |message| {
                hears.store(true, Ordering::Relaxed);
                calls.delivered(message);
            });
            let lost = match self.opened(&mut session, None).await {
                Ok(session) => session.subscribe(topics, on_message).await,
                Err(error) => error,
            };
            // One that brought a message did succeed.
            let since = if heard.load(Ordering::Relaxed) { Instant::now() } else { failing.unwrap_or(slot) };
            failing = Some(since);
            if self.client.reopen_after.is_some_and(|after| since.elapsed() >= after) {
                (session, failing) = (None, None);
            }
            self.calls.end(op, &Err(lost));
            slot = next_slot(slot, self.client.every, Instant::now());
        }
    }

    /// The session, set up if it is not. What was not set up did not run.
    async fn opened<'a>(
        &self,
        session: &'a mut Option<Box<dyn Session>>,
        shared: Option<&Shared>,
    ) -> Result<&'a mut Box<dyn Session>, CallError> {
        if let Some(session) = session {
            return Ok(session);
        }
        let opened = match shared {
            None => self.driver.open(self.settings.clone()).await,
            Some(shared) => self.shared(shared).await,
        };
        Ok(session.insert(opened.map_err(|error| CallError { may_have_run: false, ..error })?))
    }

    /// A handle of the client that the callers share; the first to come sets it up.
    async fn shared(&self, shared: &Shared) -> Result<Box<dyn Session>, CallError> {
        let mut root = shared.lock().await;
        let client = match &mut *root {
            Some(client) => client,
            None => root.insert(self.driver.open(self.settings.clone()).await?),
        };
        client.share().ok_or_else(|| CallError {
            may_have_run: false,
            cause: Cause::Other,
            text: format!("{} says that it can be shared and does not do it", self.driver.name()),
        })
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
    /// Publishes on these channels in turns.
    Publish(VecDeque<String>),
    /// A key per operation, by a script.
    Eval,
    /// A key and an item per operation, in a transaction.
    Transaction,
    /// A key and an item per operation, in a pipeline.
    Pipeline,
    /// Takes the lock, renews it, gives it back.
    Lock { ttl_ms: u64, held: Option<Held> },
    /// Looks for a job from before, takes the next one, acknowledges it, until that is certain.
    Consumer { jobs: Jobs, next: Step },
    /// Overwrites this key.
    Overwrite(String),
    /// Reads this key from the master.
    Get(String),
    /// Reads this key through the client's cache.
    CachedGet(String),
}

/// A lock that was had, and of which no loss was told.
#[derive(Debug)]
struct Held {
    /// The operation that acquired it.
    by: OpId,
    /// How many renewals there are to come.
    renewals: u32,
}

/// What a consumer of jobs does next.
#[derive(Debug)]
enum Step {
    Look,
    Take,
    Acknowledge(String),
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
            Self::Publish(channels) => {
                channels.rotate_left(1);
                let channel = channels.back().cloned().unwrap_or_default();
                (Action::Publish, Request::Publish(channel, op.to_string()))
            }
            Self::Eval => (Action::Script, Request::Script(format!("counter:{op}"))),
            Self::Transaction => (Action::Transaction, Request::Transaction(writes(op))),
            Self::Pipeline => (Action::Pipeline, Request::Pipeline(writes(op))),
            Self::Lock { ttl_ms, held } => {
                let lease = |of: &OpId| Lease { key: LOCK.to_owned(), token: of.to_string(), ttl_ms: *ttl_ms };
                match held {
                    None => (Action::Acquire, Request::Acquire(lease(op))),
                    Some(Held { by, renewals: 0 }) => (Action::Release, Request::Release(lease(by))),
                    Some(Held { by, .. }) => (Action::Renew, Request::Renew(lease(by))),
                }
            }
            Self::Consumer { jobs, next } => match next {
                Step::Look => (Action::Unfinished, Request::Unfinished(jobs.clone())),
                Step::Take => (Action::Take, Request::Take(jobs.clone(), POP_SECONDS)),
                Step::Acknowledge(job) => (Action::Acknowledge, Request::Acknowledge(jobs.clone(), job.clone())),
            },
            Self::Overwrite(key) => (Action::Set, Request::Set(key.clone(), op.to_string())),
            Self::Get(key) => (Action::Get, Request::Get(key.clone())),
            Self::CachedGet(key) => (Action::CachedGet, Request::CachedGet(key.clone())),
        }
    }

    /// The operation that the next one goes on with, whose write it reads.
    fn of(&self) -> Option<OpId> {
        match self {
            Self::Lock { held, .. } => held.as_ref().map(|held| held.by.clone()),
            Self::Register { set: Some(key) } | Self::ReplicaReads { key: Some(key), .. } => OpId::find(key.as_bytes()),
            Self::Consumer { next: Step::Acknowledge(job), .. } => OpId::find(job.as_bytes()),
            _ => None,
        }
    }

    /// `op` has ended.
    fn saw(&mut self, op: &OpId, result: &Result<Answer, CallError>) {
        match self {
            Self::ReplicaReads { key: key @ None, tried } if result.is_ok() => *key = tried.take(),
            Self::Lock { held, .. } => {
                *held = match (held.take(), result) {
                    (None, Ok(Answer::Number(1))) => Some(Held { by: op.clone(), renewals: Workload::RENEWALS }),
                    // It was given back, or is told to be lost.
                    (Some(Held { renewals: 0, .. }), Ok(_)) | (_, Ok(Answer::Number(0))) => None,
                    (held, _) => held.map(|held| Held { renewals: held.renewals.saturating_sub(1), ..held }),
                }
            }
            Self::Consumer { next, .. } => {
                *next = match (&*next, result) {
                    (Step::Look | Step::Take, Ok(Answer::Value(job))) => {
                        Step::Acknowledge(String::from_utf8_lossy(job).into_owned())
                    }
                    (Step::Look, Ok(_)) => Step::Take,
                    (Step::Acknowledge(job), Err(_)) => Step::Acknowledge(job.clone()),
                    _ => Step::Look,
                };
            }
            _ => {}
        }
    }
}

/// What an answer says, whatever the client's form of it: who is told nothing when it asks for a lock has not got it.
fn meaning(request: &Request, answer: Answer) -> Answer {
    match request {
        Request::Acquire(_) => Answer::Number(i64::from(answer != Answer::Nil)),
        _ => answer,
    }
}

fn writes(op: &OpId) -> Writes {
    let (counter, key, list) = (format!("counter:{op}"), format!("set:{op}"), format!("items:{}", op.client));
    Writes { counter, key, list, item: op.to_string() }
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

    fn op(seq: u64) -> OpId {
        OpId { client: ClientId::new("c"), seq }
    }

    fn asked(script: &mut Script, seq: u64) -> String {
        let (action, request) = script.next(&op(seq));
        format!("{action:?} {request:?}")
    }

    fn saw(script: &mut Script, seq: u64, result: &Result<Answer, CallError>) {
        script.saw(&op(seq), result);
    }

    fn failed() -> Result<Answer, CallError> {
        Err(CallError { may_have_run: true, cause: Cause::Timeout, text: "slow".into() })
    }

    fn number(number: i64) -> Answer {
        Answer::Number(number)
    }

    #[test]
    fn a_lock_is_renewed_until_it_is_given_back_or_told_to_be_lost() {
        let mut script = Script::Lock { ttl_ms: 300, held: None };
        let action = |script: &mut Script, seq| script.next(&op(seq)).0;
        assert_eq!(action(&mut script, 1), Action::Acquire);
        saw(&mut script, 1, &Ok(number(0)));
        assert_eq!(action(&mut script, 2), Action::Acquire, "somebody else has it");
        saw(&mut script, 2, &Ok(number(1)));
        for seq in 3..33 {
            assert!(asked(&mut script, seq).contains(r#"Renew(Lease { key: "lock", token: "c#2", ttl_ms: 300 })"#));
            assert_eq!(script.of().map(|of| of.seq), Some(2));
            saw(&mut script, seq, &if seq == 10 { failed() } else { Ok(number(1)) });
        }
        assert_eq!(action(&mut script, 33), Action::Release);
        saw(&mut script, 33, &failed());
        assert_eq!(action(&mut script, 34), Action::Release);
        saw(&mut script, 34, &Ok(number(1)));
        assert_eq!(action(&mut script, 35), Action::Acquire);
        saw(&mut script, 35, &Ok(number(1)));
        assert_eq!(action(&mut script, 36), Action::Renew);
        saw(&mut script, 36, &Ok(number(0)));
        assert_eq!(action(&mut script, 37), Action::Acquire);
        assert_eq!(script.of(), None);
    }

    #[test]
    fn a_job_is_acknowledged_until_that_is_certain() {
        let jobs = Jobs { waiting: "w".into(), under_way: "u".into() };
        let mut script = Script::Consumer { jobs, next: Step::Look };
        let action = |script: &mut Script, seq| script.next(&op(seq)).0;
        let job = || Ok(Answer::Value(b"p#7".to_vec()));
        assert_eq!(action(&mut script, 1), Action::Unfinished);
        saw(&mut script, 1, &Ok(Answer::Nil));
        assert_eq!(action(&mut script, 2), Action::Take);
        saw(&mut script, 2, &failed());
        assert_eq!(action(&mut script, 3), Action::Unfinished, "it may be under way");
        saw(&mut script, 3, &job());
        assert_eq!(action(&mut script, 4), Action::Acknowledge);
        assert_eq!(script.of().map(|of| of.to_string()).as_deref(), Some("p#7"));
        saw(&mut script, 4, &failed());
        assert_eq!(action(&mut script, 5), Action::Acknowledge);
        saw(&mut script, 5, &Ok(number(0)));
        assert_eq!(action(&mut script, 6), Action::Unfinished);
    }

    #[test]
    fn register_gets_what_it_set() {
        let mut script = Script::Register { set: None };
        assert_eq!(script.of(), None);
        assert_eq!(asked(&mut script, 1), r#"Set Set("reg:c#1", "c#1")"#);
        assert_eq!(script.of(), Some(op(1)));
        assert_eq!(asked(&mut script, 2), r#"Get Get("reg:c#1")"#);
        assert_eq!(script.of(), None);
        assert_eq!(asked(&mut script, 3), r#"Set Set("reg:c#3", "c#3")"#);
    }

    #[test]
    fn replica_reads_write_until_that_succeeds() {
        let mut script = Script::ReplicaReads { key: None, tried: None };
        assert_eq!(asked(&mut script, 1), r#"Set Set("read:c#1", "c#1")"#);
        saw(&mut script, 1, &failed());
        assert_eq!(asked(&mut script, 2), r#"Set Set("read:c#2", "c#2")"#);
        assert_eq!(script.of(), None);
        saw(&mut script, 2, &Ok(Answer::Done));
        assert_eq!(script.of(), Some(op(2)));
        assert_eq!(asked(&mut script, 3), r#"ReplicaGet ReplicaGet("read:c#2")"#);
        saw(&mut script, 3, &Ok(Answer::Nil));
        assert_eq!(asked(&mut script, 4), r#"ReplicaGet ReplicaGet("read:c#2")"#);
    }
}
