//! [`Client`]: which master, which connection, one operation.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use model::history::Cause;
use redis::{RedisError, Value};
use testbed::driver::{Answer, CallError, Request, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::Defect;
use crate::cache::Cache;
use crate::dial::{Addr, FOR_EVER, Link, Peer, Role, dial, role, translated, unsent, words};
use crate::events::Events;
use crate::replicas::Replicas;
use crate::sentinels::{PAUSE, Sentinels};

/// How long a connection or a reply may take.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);
/// How long a node is believed to be what it said that it is.
pub(crate) const BELIEF: Duration = Duration::from_secs(1);
/// How long a client that mixes up replies goes on with connections on which none comes.
const SILENCE: Duration = Duration::from_millis(1_500);
/// Connections to the master, used in turns.
const POOL: usize = 4;
/// The longest wait before a lost connection is dialled again.
pub(crate) const SPREAD_MS: u64 = 100;

/// A connection to the master.
struct Lane {
    connection: Link,
    /// When the node last said that it is a master.
    verified: Instant,
    /// Of a client that closes politely: what tells it that the node has closed its half.
    tail: Option<TcpStream>,
}

/// The client: correct, but for its defect.
pub(crate) struct Client {
    pub(crate) settings: Settings,
    pub(crate) defect: Option<Defect>,
    pub(crate) sentinels: Sentinels,
    pub(crate) replicas: Replicas,
    master: Option<Addr>,
    pool: [Option<Lane>; POOL],
    turn: usize,
    events: Option<Events>,
    random: fastrand::Rng,
    /// A connection was lost, or left for another master.
    lost: bool,
    /// A connection was opened before.
    opened: bool,
    /// There was another master before.
    moved: bool,
    /// What has to be closed by the node before anything else is done.
    closing: Option<TcpStream>,
    failures: u32,
    /// Since when every operation failed.
    failing: Option<Instant>,
    /// Of a client that hoards: the connections on which the master did not answer in time.
    hoard: Vec<Link>,
    /// Of a client that flushes the connections of its other callers: how these hear of it.
    flush: Arc<Notify>,
    /// What names stood for when they were first looked up.
    resolved: BTreeMap<String, String>,
    pub(crate) cache: Option<Cache>,
    /// Of a client that stops renewing or consuming: it has.
    stopped: bool,
    /// It has subscribed before.
    pub(crate) subscribed: bool,
    /// It never tries again.
    given_up: bool,
    /// Of a client that queues: what it has reported as not sent, and will send.
    queue: Vec<Request>,
    /// Of a client that guesses the master: whom it takes.
    guess: Option<Addr>,
    /// Of a client that crosses masters out: those.
    crossed_out: Vec<Addr>,
}

impl Client {
    pub(crate) fn new(mut settings: Settings, defect: Option<Defect>) -> Self {
        match (defect, &mut settings.tls) {
            (Some(Defect::IgnoresMap), _) => settings.address_map.clear(),
            (Some(Defect::OnePassword), _) => settings.sentinel_auth = settings.data_auth.clone(),
            (Some(Defect::OneEncryption), Some(tls)) => tls.sentinels = tls.data,
            (Some(Defect::IgnoresName), Some(tls)) => tls.server_name = None,
            _ => {}
        }
        let patience = (defect != Some(Defect::WaitsForEver)).then_some(PATIENCE);
        let busy = if defect == Some(Defect::DropsEvents) { Duration::from_secs(5) } else { Duration::ZERO };
        let follows = defect.is_some_and(listens);
        Self {
            sentinels: Sentinels::new(&settings, defect, patience),
            replicas: Replicas::default(),
            defect,
            master: None,
            pool: [const { None }; POOL],
            turn: 0,
            events: follows.then(|| Events::listen(&settings, busy)),
            random: fastrand::Rng::with_seed(settings.seed),
            lost: false,
            opened: false,
            moved: false,
            closing: None,
            failures: 0,
            failing: None,
            hoard: Vec::new(),
            flush: Arc::default(),
            resolved: BTreeMap::new(),
            cache: None,
            stopped: false,
            subscribed: false,
            given_up: false,
            queue: Vec::new(),
            guess: None,
            crossed_out: Vec::new(),
            settings,
        }
    }

    /// One for another caller.
    pub(crate) fn shared(&self) -> Self {
        Self { flush: Arc::clone(&self.flush), ..Self::new(self.settings.clone(), self.defect) }
    }

    pub(crate) fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    pub(crate) fn patience(&self) -> Option<Duration> {
        (!self.has(Defect::WaitsForEver)).then_some(PATIENCE)
    }

    /// One operation.
    pub(crate) async fn call(&mut self, request: &Request) -> Result<Answer, CallError> {
        if self.given_up {
            return Err(unsent(Cause::Other, "given up"));
        }
        match request {
            Request::Acquire(_) => self.stopped = false,
            Request::Renew(_) if self.stopped => return Ok(Answer::Number(1)),
            Request::Pop(_, seconds) if self.stopped => {
                sleep(Duration::from_secs(*seconds)).await;
                return Ok(Answer::Nil);
            }
            Request::Unfinished(_) if self.has(Defect::ForgetsJobs) => return Ok(Answer::Nil),
            _ => {}
        }
        let started = Instant::now();
        loop {
            let result = match request {
                Request::ReplicaGet(_) => self.read(request).await,
                Request::CachedGet(key) => self.read_cached(key, request).await,
                _ => self.attempt(request).await,
            };
            if let Err(error) = &result {
                self.failures += 1;
                self.failing.get_or_insert(started);
                self.given_up |= self.has(Defect::GivesUp) && self.failures >= 20;
                self.given_up |= self.has(Defect::DiesAtStart) && !self.opened;
                if self.has(Defect::StopsConsuming) && matches!(request, Request::Pop(..)) {
                    self.stopped = true;
                }
                let left = self.settings.deadline.saturating_sub(started.elapsed());
                if self.persists(error) && (left > PAUSE || self.has(Defect::TriesForEver)) {
                    // Without any pause virtual time would stand still, and the run end as hung.
                    let hasty = self.has(Defect::NoBackoff) && is_refusal(error)
                        || self.has(Defect::ResendsBlindly) && error.may_have_run;
                    sleep(if hasty { Duration::from_millis(5) } else { PAUSE }).await;
                    continue;
                }
                if self.has(Defect::QueuesOffline) && !error.may_have_run {
                    self.queue.push(request.clone());
                }
                if self.has(Defect::FixedDelay) {
                    sleep(Duration::from_secs(5)).await;
                }
                let believed = match request {
                    Request::Renew(_) => Defect::StopsRenewing,
                    Request::Acknowledge(..) => Defect::ForgetsJobs,
                    _ => Defect::AcknowledgesUnsent,
                };
                if self.has(believed) && believed != Defect::AcknowledgesUnsent {
                    self.stopped = true;
                    return Ok(Answer::Number(1));
                }
                let unfinished =
                    if error.may_have_run { Defect::AcknowledgesUnanswered } else { Defect::AcknowledgesUnsent };
                if self.has(unfinished) {
                    return Ok(Answer::Number(1));
                }
            } else {
                self.failures = 0;
                self.failing = None;
            }
            return match (request, result) {
                (Request::Renew(_), Ok(_)) if self.has(Defect::AssumesDurable) => Ok(Answer::Number(1)),
                (_, result) => result,
            };
        }
    }

    /// True if it tries again within the call, as long as its caller waits, since nothing was run. One whose defect is in how it
    /// tries, or in what it tells of a failure, tries once for each call.
    fn persists(&self, error: &CallError) -> bool {
        let Some(defect) = self.defect else { return !error.may_have_run && error.cause != Cause::Auth };
        if defect == Defect::ResendsBlindly && error.may_have_run || defect == Defect::NoBackoff && is_refusal(error) {
            return true;
        }
        let once = matches!(
            defect,
            Defect::AcknowledgesUnsent
                | Defect::BlamesSentinels
                | Defect::ClosesPolitely
                | Defect::DeniesExecution
                | Defect::FailsAtOnce
                | Defect::FixedDelay
                | Defect::GivesUp
                | Defect::MasksRefusal
                | Defect::MasksSilence
                | Defect::NeedsReplica
                | Defect::ReadsCutOff
                | Defect::ReadsFlagged
                | Defect::ReadsFlags
                | Defect::ReadsUnsynced
                | Defect::StrikesAtEmpty
                | Defect::TrustsPing
                | Defect::WaitsForEver
                | Defect::WaitsInLine
        );
        let hands_on = matches!(defect, Defect::FailsAtRefusal | Defect::KeepsHalfPool);
        let handed_on = error.cause == Cause::Auth || hands_on && error.cause == Cause::Server;
        !(once || error.may_have_run || handed_on)
    }

    async fn attempt(&mut self, request: &Request) -> Result<Answer, CallError> {
        self.turn = (self.turn + 1) % POOL;
        let mut connection = self.connected().await?;
        for kept in std::mem::take(&mut self.queue) {
            let _ = run(&mut connection, &kept).await;
        }
        let unbounded = Some(request).filter(|_| self.has(Defect::BlocksForEver)).and_then(without_timeout);
        let request = unbounded.as_ref().unwrap_or(request);
        if let Some(seconds) = request.blocks() {
            let blocked = if unbounded.is_some() { FOR_EVER } else { Duration::from_secs(seconds) };
            connection.set_response_timeout(blocked + PATIENCE);
        }
        let pinged = self.master.clone().filter(|_| self.has(Defect::TrustsPing));
        if pinged.is_some() {
            connection.set_response_timeout(FOR_EVER);
        }
        let settings = &self.settings;
        let silent = async {
            match &pinged {
                Some(addr) => until_silent(settings, addr).await,
                None => pending().await,
            }
        };
        let flushed = self.has(Defect::FlushesOthers).then(|| Arc::clone(&self.flush));
        let closed = async {
            match &flushed {
                Some(flush) => flush.notified().await,
                None => pending().await,
            }
        };
        let ran = tokio::select! {
            biased;
            ran = run(&mut connection, request) => ran,
            () = closed => Err(io::Error::from(io::ErrorKind::ConnectionAborted).into()),
            () = silent => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        };
        ran.map_err(|error: RedisError| {
            let refused = error.code().is_some();
            self.given_up |= self.has(Defect::DiesOfReadonly) && error.code() == Some("READONLY");
            // A master that is busy or loading is no reason to connect again; one that is a replica by now is.
            let demoted = if self.has(Defect::MatchesPrefix) {
                error.code() == Some("READONLY")
            } else {
                error.to_string().contains("READONLY")
            };
            let stays = refused && !demoted && !self.has(Defect::NoBackoff);
            let mixes = self.has(Defect::MixesReplies)
                && error.is_timeout()
                && self.failing.is_none_or(|since| since.elapsed() < SILENCE);
            if !(stays || mixes || refused && self.has(Defect::IgnoresReadonly)) {
                self.lose();
            }
            CallError {
                may_have_run: !refused && !self.has(Defect::DeniesExecution),
                cause: match refused {
                    true if self.has(Defect::BlamesCredentials) => Cause::Auth,
                    true => Cause::Server,
                    false => Cause::Connection,
                },
                text: words(&error),
            }
        })
    }

    /// A read from the master.
    pub(crate) async fn read_from_master(&mut self, request: &Request) -> Result<Answer, CallError> {
        self.attempt(request).await
    }

    /// The address of the master, if it is known.
    pub(crate) fn master_addr(&self) -> Option<Addr> {
        self.master.clone()
    }

    /// The connection whose turn it is, is no good.
    fn lose(&mut self) {
        let lane = self.pool[self.turn].take();
        if self.has(Defect::HoardsConnections) {
            self.hoard.extend(lane.as_ref().map(|lane| lane.connection.clone()));
        }
        if self.has(Defect::Leaks) {
            let sentinel = self.settings.sentinels[0].clone();
            tokio::spawn(async move {
                let _leaked = TcpStream::connect(sentinel).await;
                pending::<()>().await;
            });
        }
        self.closing = lane.and_then(|lane| lane.tail);
        // What has befallen one of its connections to a node has befallen the others.
        if !self.has(Defect::KeepsHalfPool) {
            self.pool.fill_with(|| None);
        }
        self.lost = true;
    }

    /// A connection to the master.
    pub(crate) async fn connected(&mut self) -> Result<Link, CallError> {
        if self.asks_now() {
            let found = match self.announced() {
                Some(addr) => addr,
                None => self.found().await?,
            };
            if self.has(Defect::GuessesMaster) && self.guess.is_none() {
                self.guess = self.sentinels.replicas().await?.into_iter().map(|(addr, _)| addr).min();
            }
            if self.crossed_out.contains(&found) {
                return Err(unsent(Cause::Connection, "the master is dead"));
            }
            if self.master.as_ref() != Some(&found) {
                if self.has(Defect::CrossesOut) {
                    self.crossed_out.extend(self.master.take());
                }
                self.moved |= self.master.is_some();
                self.lost |= self.moved;
                if self.moved && self.has(Defect::FlushesOthers) {
                    self.flush.notify_waiters();
                }
                if self.moved && self.has(Defect::EncryptsOnce) {
                    self.settings.tls = None;
                }
                let kept = if self.has(Defect::KeepsHalfPool) { POOL / 2 } else { 0 };
                self.pool[kept..].fill_with(|| None);
                self.master = Some(found);
            }
        }
        let careless = [
            Defect::NoRoleCheck,
            Defect::IgnoresReadonly,
            Defect::MatchesPrefix,
            Defect::DiesOfReadonly,
            // Its answer to that would be another's too, and it would notice.
            Defect::MixesReplies,
        ];
        let checks = self.defect.is_none_or(|defect| !careless.contains(&defect));
        if let Some(mut tail) = self.closing.take() {
            let _ = tail.shutdown().await;
            let _ = tail.read_to_end(&mut Vec::new()).await;
        }
        if self.pool[self.turn].is_none() {
            self.open().await?;
        }
        let Some(lane) = &mut self.pool[self.turn] else { unreachable!("it was opened") };
        if checks && lane.verified.elapsed() >= BELIEF {
            let told = role(&mut lane.connection).await;
            lane.verified = Instant::now();
            let stays = self.has(Defect::AsksWhenLost) || self.has(Defect::KeepsHalfPool);
            match told {
                Ok(Role::Master) => {}
                Ok(_) if stays => {}
                Ok(_) => {
                    self.lose();
                    return Err(unsent(Cause::NoMaster, "the node is no master"));
                }
                Err(error) => {
                    self.lose();
                    return Err(unsent(Cause::Connection, &error.to_string()));
                }
            }
        }
        let Some(lane) = &self.pool[self.turn] else { unreachable!("it was opened") };
        Ok(lane.connection.clone())
    }

    /// The master that the Sentinels name. Where they do not agree, the one in use, and if there is none, one after the other.
    async fn found(&mut self) -> Result<Addr, CallError> {
        let error = match self.sentinels.master().await {
            Ok(addr) => return Ok(addr),
            Err(error) => error,
        };
        // Nobody listens for news any more, which nobody notices as long as there is a connection.
        if self.has(Defect::StopsAtError)
            && error.cause == Cause::Other
            && let Some(used) = self.master.clone().filter(|_| self.pool[self.turn].is_some())
        {
            return Ok(used);
        }
        let named = self.sentinels.named();
        if error.cause != Cause::NoMaster || named.is_empty() {
            return Err(error);
        }
        let used = named.iter().position(|addr| Some(addr) == self.master.as_ref());
        Ok(match used {
            Some(used) if self.pool.iter().any(Option::is_some) => named[used].clone(),
            used => named[used.map_or(0, |used| used + 1) % named.len()].clone(),
        })
    }

    /// True if the Sentinels are to be asked before this operation.
    fn asks_now(&self) -> bool {
        if self.master.is_none() {
            return true;
        }
        match self.defect {
            Some(Defect::NeverRediscovers | Defect::GuessesMaster) => false,
            Some(Defect::AsksWhenLost | Defect::IgnoresReadonly | Defect::MatchesPrefix) => {
                self.pool[self.turn].is_none()
            }
            Some(Defect::RetriesOldAddress) => {
                self.failing.is_some_and(|since| since.elapsed() > Duration::from_secs(10))
            }
            Some(defect) if listens(defect) => self.events.as_ref().is_some_and(Events::waiting),
            _ => true,
        }
    }

    /// The address that a Sentinel announced, for a client that believes it.
    fn announced(&self) -> Option<Addr> {
        let payload = self.events.as_ref()?.take()?;
        let mut words = payload.split(' ');
        let own = words.next() == Some(&*self.settings.master);
        let mut words = words.skip(2);
        let told = (words.next()?.to_owned(), words.next()?.parse().ok()?);
        match self.defect {
            Some(Defect::FollowsPayload) => Some(translated(&self.settings, told)),
            Some(Defect::MapsAnswersOnly) if own => Some(told),
            _ => None,
        }
    }

    /// Opens the connection whose turn it is.
    async fn open(&mut self) -> Result<(), CallError> {
        let Some(addr) = &self.master else { return Err(unsent(Cause::NoMaster, "no master")) };
        let hasty = matches!(self.defect, Some(Defect::NoBackoff | Defect::FixedDelay | Defect::NoJitter));
        if self.lost && !hasty {
            sleep(Duration::from_millis(self.random.u64(..SPREAD_MS))).await;
        }
        let database = if self.moved && self.has(Defect::ForgetsDatabase) { 0 } else { self.settings.database };
        let mut addr = addr.clone();
        if self.has(Defect::ReadsDigits) && addr.0.parse::<IpAddr>().is_err() {
            return Err(unsent(Cause::Other, "the Sentinels do not answer an IP address"));
        }
        if self.lost && self.has(Defect::SplitsAtColon) {
            addr.0 = addr.0.split(':').next().unwrap_or_default().to_owned();
        }
        if self.has(Defect::ResolvesOnce) {
            if !self.resolved.contains_key(&addr.0)
                && let Ok(mut found) = lookup_host((&*addr.0, addr.1)).await
                && let Some(found) = found.next()
            {
                self.resolved.insert(addr.0.clone(), found.ip().to_string());
            }
            addr.0 = self.resolved.get(&addr.0).cloned().unwrap_or(addr.0);
        }
        let dialled = dial(&self.settings, Peer::Data, &addr, database, self.patience()).await;
        let mut connection = dialled.map_err(|error| {
            self.lost = true;
            if let Some(guess) = &self.guess {
                self.master = Some(guess.clone());
            }
            if self.has(Defect::BlamesSentinels) {
                return unsent(Cause::NoSentinel, "no Sentinel could be reached");
            }
            let told = match error.code() {
                Some("NOAUTH" | "WRONGPASS" | "NOPERM") => words(&error),
                _ if error.kind() == redis::ErrorKind::AuthenticationFailed => error.to_string(),
                _ => return unsent(Cause::Connection, "the master cannot be reached"),
            };
            if self.has(Defect::MasksRefusal) {
                return unsent(Cause::UnknownMaster, "the Sentinels do not know the master");
            }
            unsent(Cause::Auth, &told)
        })?;
        let careless = [Defect::NoRoleCheck, Defect::IgnoresReadonly, Defect::DiesOfReadonly];
        if self.defect.is_none_or(|defect| !careless.contains(&defect)) {
            match role(&mut connection).await {
                Ok(Role::Master) => {}
                Ok(_) => {
                    self.lost = true;
                    return Err(unsent(Cause::NoMaster, "the node is no master"));
                }
                Err(error) if error.code().is_some() => {
                    self.lost = true;
                    let cause = if self.has(Defect::BlamesCredentials) { Cause::Auth } else { Cause::Server };
                    return Err(unsent(cause, &words(&error)));
                }
                Err(error) => {
                    self.lost = true;
                    return Err(unsent(Cause::Connection, &error.to_string()));
                }
            }
        }
        let tail = match &self.master {
            Some((host, port)) if self.has(Defect::ClosesPolitely) => {
                TcpStream::connect((host.as_str(), *port)).await.ok()
            }
            _ => None,
        };
        if self.has(Defect::MixesReplies) {
            connection.mix_replies(PATIENCE);
        }
        self.opened = true;
        self.pool[self.turn] = Some(Lane { connection, verified: Instant::now(), tail });
        Ok(())
    }
}

/// True if somebody answered, and it was no.
fn is_refusal(error: &CallError) -> bool {
    !error.may_have_run && matches!(error.cause, Cause::Auth | Cause::Server | Cause::UnknownMaster)
}

/// True of a client that looks for another master only when one is announced.
fn listens(defect: Defect) -> bool {
    matches!(defect, Defect::EventsOnly | Defect::FollowsPayload | Defect::MapsAnswersOnly | Defect::DropsEvents)
}

/// The same pop without a time-out at the node; `None` if `request` is no blocking pop.
fn without_timeout(request: &Request) -> Option<Request> {
    match request {
        Request::Pop(key, _) => Some(Request::Pop(key.clone(), 0)),
        Request::Take(jobs, _) => Some(Request::Take(jobs.clone(), 0)),
        _ => None,
    }
}

/// Returns when the node at `addr` does not answer PING any more, on a connection for nothing else.
async fn until_silent(settings: &Settings, addr: &Addr) {
    sleep(PATIENCE).await;
    let Ok(mut connection) = dial(settings, Peer::Data, addr, 0, Some(PATIENCE)).await else { return };
    while redis::cmd("PING").exec_async(&mut connection).await.is_ok() {
        sleep(PATIENCE).await;
    }
}

/// Runs `request` on `connection`.
pub(crate) async fn run(connection: &mut Link, request: &Request) -> Result<Answer, RedisError> {
    let mut commands = request.commands().into_iter().map(|(name, args)| redis::cmd(name).arg(args).to_owned());
    if !request.is_several() {
        let command = commands.next().unwrap_or_default();
        return command.query_async(connection).await.map(answer);
    }
    let mut pipeline = redis::pipe();
    if matches!(request, Request::Transaction(_)) {
        pipeline.atomic();
    }
    for command in commands {
        pipeline.add_command(command);
    }
    pipeline.query_async(connection).await.map(answer)
}

fn answer(reply: Value) -> Answer {
    match reply {
        Value::Nil => Answer::Nil,
        Value::Int(number) => Answer::Number(number),
        Value::BulkString(bytes) => Answer::Value(bytes),
        // A popped item comes with the name of its list, and of several replies the last counts.
        Value::Array(mut items) => match items.pop() {
            Some(Value::BulkString(bytes)) => Answer::Value(bytes),
            Some(Value::Int(number)) => Answer::Number(number),
            _ => Answer::Done,
        },
        _ => Answer::Done,
    }
}
