//! The Sentinels that a client knows, and what they answer.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use model::history::Cause;
use redis::{ErrorKind, RedisError, RedisResult, cmd};
use testbed::driver::{CallError, Settings};
use tokio::net::lookup_host;
use tokio::time::{Instant, sleep};

use crate::Defect;
use crate::client::SPREAD_MS;
use crate::dial::{Addr, Link, Peer, dial, translated, unsent, words};

/// How long a Sentinel that failed is left alone.
pub(crate) const PAUSE: Duration = Duration::from_millis(250);
/// How often the list of Sentinels is renewed.
const RENEWAL: Duration = Duration::from_secs(5);

/// One Sentinel.
struct Sentinel {
    addr: Addr,
    connection: Option<Link>,
    /// When it may be dialled again.
    again: Instant,
    /// A connection to it was lost.
    lost: bool,
    /// It has answered.
    met: bool,
    /// Of a client that hoards: the connections on which it did not answer in time.
    hoard: Vec<Link>,
}

impl Sentinel {
    fn new(addr: Addr) -> Self {
        Self { addr, connection: None, again: Instant::now(), lost: false, met: false, hoard: Vec::new() }
    }
}

/// What a Sentinel says about the master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Address(Addr),
    /// It knows no such master.
    Null,
    /// It refused to answer.
    Refused {
        /// For want of good credentials.
        credentials: bool,
        text: String,
    },
    Silent,
}

/// The Sentinels that a client knows.
pub(crate) struct Sentinels {
    settings: Settings,
    defect: Option<Defect>,
    patience: Option<Duration>,
    known: Vec<Sentinel>,
    renewed: Instant,
    named: Vec<Addr>,
    /// Of a client that stops at an error: the error.
    ended: Option<String>,
    random: fastrand::Rng,
}

impl Sentinels {
    pub(crate) fn new(settings: &Settings, defect: Option<Defect>, patience: Option<Duration>) -> Self {
        let known = settings.sentinels.iter().cloned().map(Sentinel::new).collect();
        let patience = if defect == Some(Defect::SlowSentinels) { Some(Duration::from_millis(100)) } else { patience };
        Self {
            settings: settings.clone(),
            defect,
            patience,
            known,
            renewed: Instant::now(),
            named: Vec::new(),
            ended: None,
            random: fastrand::Rng::with_seed(!settings.seed),
        }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }

    /// The address of the master.
    pub(crate) async fn master(&mut self) -> Result<Addr, CallError> {
        if let Some(error) = &self.ended {
            return Err(unsent(Cause::Other, error));
        }
        if self.has(Defect::FirstSentinelOnly) {
            self.known.truncate(1);
        }
        if self.has(Defect::StopsAtName) {
            for sentinel in &self.known {
                if lookup_host((&*sentinel.addr.0, sentinel.addr.1)).await.is_err() {
                    return Err(unsent(Cause::Other, "the name of a Sentinel cannot be looked up"));
                }
            }
        }
        let question = if self.has(Defect::ReadsFlags) { "MASTER" } else { "GET-MASTER-ADDR-BY-NAME" };
        let answers = self.ask_again(question).await;
        if self.has(Defect::DropsSentinels) {
            let mut answers = answers.iter();
            self.known.retain(|_| answers.next() != Some(&Answer::Silent));
        }
        if self.has(Defect::NeedsAll) && self.known.iter().any(|sentinel| !sentinel.met) {
            return Err(unsent(Cause::Other, "not every Sentinel has answered yet"));
        }
        self.named.clear();
        for answer in &answers {
            if let Answer::Address(addr) = answer
                && !self.named.contains(addr)
            {
                self.named.push(addr.clone());
            }
        }
        // Those who have just been silent have no connection any more, so that nobody waits for them again.
        let alone = self.has(Defect::FirstSentinelOnly) || self.has(Defect::KnowsNoOthers);
        if !alone && self.renewed.elapsed() >= RENEWAL {
            self.renew().await;
        }
        let chosen = choose(self.defect, &answers);
        if self.has(Defect::StopsAtError)
            && let Err(error) = &chosen
            && error.cause == Cause::Other
        {
            self.ended = Some(error.text.clone());
        }
        if self.has(Defect::MasksSilence) && matches!(&chosen, Err(error) if error.cause == Cause::NoSentinel) {
            return Err(unsent(Cause::UnknownMaster, "the Sentinels do not know the master"));
        }
        chosen
    }

    /// The addresses that Sentinels answered last, each once.
    pub(crate) fn named(&self) -> &[Addr] {
        &self.named
    }

    /// What each Sentinel answers, in the order of the list; asked once more if none does, such as when all connections were
    /// lost at once.
    async fn ask_again(&mut self, question: &str) -> Vec<Answer> {
        let answers = self.ask(question).await;
        if answers.iter().any(|answer| *answer != Answer::Silent) || self.has(Defect::NoBackoff) {
            return answers;
        }
        sleep(PAUSE).await;
        self.ask(question).await
    }

    /// What each Sentinel answers, in the order of the list.
    async fn ask(&mut self, question: &str) -> Vec<Answer> {
        if self.has(Defect::LogsInOnce) && self.known.iter().any(|sentinel| sentinel.lost) {
            self.settings.sentinel_auth = None;
        }
        let (settings, patience) = (&self.settings, self.patience);
        let (hasty, leaks) = (self.has(Defect::NoBackoff), self.has(Defect::LeaksAttempts));
        let hoards = self.has(Defect::HoardsConnections);
        let database = if self.has(Defect::SelectsAtSentinels) { settings.database } else { 0 };
        let steps = matches!(self.defect, Some(Defect::NoBackoff | Defect::FixedDelay | Defect::NoJitter));
        let spread = Duration::from_millis(if steps { 0 } else { self.random.u64(..SPREAD_MS) });
        join_all(self.known.iter_mut().map(async |sentinel| {
            let asked = async {
                if sentinel.connection.is_none() {
                    if Instant::now() < sentinel.again {
                        return Ok(Answer::Silent);
                    }
                    if sentinel.lost {
                        sleep(spread).await;
                    }
                    sentinel.connection =
                        Some(dial(settings, Peer::Sentinel, &sentinel.addr, database, patience).await?);
                }
                let Some(connection) = &mut sentinel.connection else { return Ok(Answer::Silent) };
                let mut command = cmd("SENTINEL");
                command.arg(question).arg(&settings.master);
                if question == "MASTER" {
                    let fields: HashMap<String, String> = command.query_async(connection).await?;
                    return Ok(match unflagged(&fields) {
                        Answer::Address(addr) => Answer::Address(translated(settings, addr)),
                        other => other,
                    });
                }
                let found: Option<Addr> = command.query_async(connection).await?;
                Ok(found.map_or(Answer::Null, |addr| Answer::Address(translated(settings, addr))))
            };
            let answer = asked.await.unwrap_or_else(|error: RedisError| match error.kind() {
                ErrorKind::AuthenticationFailed => Answer::Refused { credentials: true, text: error.to_string() },
                ErrorKind::Server(_) | ErrorKind::Extension => {
                    let credentials = matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM"));
                    Answer::Refused { credentials, text: words(&error) }
                }
                _ => {
                    let lost = sentinel.connection.take();
                    sentinel.lost = true;
                    if let Some(leaked) = lost.clone().filter(|_| leaks) {
                        tokio::spawn(async move {
                            let _leaked = leaked;
                            std::future::pending::<()>().await;
                        });
                    }
                    sentinel.hoard.extend(lost.filter(|_| hoards));
                    sentinel.again = Instant::now() + if hasty { Duration::ZERO } else { PAUSE };
                    Answer::Silent
                }
            });
            sentinel.met |= answer != Answer::Silent;
            answer
        }))
        .await
    }

    /// Adds the Sentinels that another one knows.
    async fn renew(&mut self) {
        self.renewed = Instant::now();
        let mut found: Vec<Addr> = Vec::new();
        for sentinel in &mut self.known {
            let Some(connection) = &mut sentinel.connection else { continue };
            let mut command = cmd("SENTINEL");
            command.arg("SENTINELS").arg(&self.settings.master);
            let peers: RedisResult<Vec<HashMap<String, String>>> = command.query_async(connection).await;
            if let Ok(peers) = peers {
                let ids = self.defect == Some(Defect::DialsRunIds);
                let id = |fields: &HashMap<String, String>| Some((fields.get("name")?.clone(), address(fields)?.1));
                found = peers.iter().filter_map(|fields| if ids { id(fields) } else { address(fields) }).collect();
                break;
            }
        }
        for addr in found {
            let addr = translated(&self.settings, addr);
            if self.known.iter().all(|known| known.addr != addr) {
                self.known.push(Sentinel::new(addr));
            }
        }
    }

    /// The replicas that the first Sentinel to answer lists, with their flags.
    pub(crate) async fn replicas(&mut self) -> Result<Vec<(Addr, String)>, CallError> {
        // So that there are connections.
        self.ask_again("GET-MASTER-ADDR-BY-NAME").await;
        for (index, sentinel) in self.known.iter_mut().enumerate() {
            let Some(connection) = &mut sentinel.connection else { continue };
            let mut command = cmd("SENTINEL");
            command.arg("REPLICAS").arg(&self.settings.master);
            let replicas: RedisResult<Vec<HashMap<String, String>>> = command.query_async(connection).await;
            if let Ok(replicas) = replicas {
                if replicas.is_empty() && self.has(Defect::StrikesAtEmpty) {
                    self.known.remove(index);
                    return Ok(Vec::new());
                }
                let flagged = |fields: &HashMap<_, _>| {
                    let addr = translated(&self.settings, address(fields)?);
                    Some((addr, fields.get("flags").cloned().unwrap_or_default()))
                };
                return Ok(replicas.iter().filter_map(flagged).collect());
            }
        }
        Err(unsent(Cause::NoSentinel, "no Sentinel could be reached"))
    }
}

/// The address in a Sentinel's description of an instance.
fn address(fields: &HashMap<String, String>) -> Option<Addr> {
    let port = fields.get("port")?.parse().ok().filter(|port| *port > 0)?;
    Some((fields.get("ip").filter(|ip| !ip.is_empty())?.clone(), port))
}

/// The master described by `fields`, if no flag speaks against it.
fn unflagged(fields: &HashMap<String, String>) -> Answer {
    match (address(fields), fields.get("flags").map(String::as_str)) {
        (Some(addr), Some("master")) => Answer::Address(addr),
        _ => Answer::Silent,
    }
}

/// The master, by the answers of the Sentinels in their order.
fn choose(defect: Option<Defect>, answers: &[Answer]) -> Result<Addr, CallError> {
    let told: Vec<&Answer> = answers.iter().filter(|answer| **answer != Answer::Silent).collect();
    let Some(first) = told.first() else { return Err(unsent(Cause::NoSentinel, "no Sentinel could be reached")) };
    let addresses =
        || told.iter().filter_map(|answer| if let Answer::Address(addr) = answer { Some(addr) } else { None });
    match defect {
        Some(Defect::StopsAtNull) if told.contains(&&Answer::Null) => {
            return Err(unsent(Cause::UnknownMaster, "the Sentinels do not know the master"));
        }
        Some(Defect::StopsAtError) => {
            if let Some(Answer::Refused { text, .. }) = told.iter().find(|told| matches!(told, Answer::Refused { .. }))
            {
                return Err(unsent(Cause::Other, text));
            }
        }
        Some(Defect::FirstAnswer | Defect::NoRoleCheck) if addresses().next().is_some() => {
            return Ok(addresses().next().expect("there is one").clone());
        }
        _ => {}
    }
    // Those that refuse to answer know nothing of the matter; if all do, their reason is the answer.
    let votes: Vec<&Answer> = told.iter().copied().filter(|told| !matches!(told, Answer::Refused { .. })).collect();
    if votes.is_empty() {
        let Answer::Refused { credentials, text } = first else { unreachable!("all of them refused") };
        return Err(unsent(if *credentials { Cause::Auth } else { Cause::Server }, text));
    }
    let count = |answer: &Answer| votes.iter().filter(|vote| **vote == answer).count();
    match votes.iter().find(|answer| 2 * count(answer) > votes.len()) {
        Some(Answer::Address(addr)) => Ok(addr.clone()),
        Some(_) => Err(unsent(Cause::UnknownMaster, "the Sentinels do not know the master")),
        None => Err(unsent(Cause::NoMaster, "the Sentinels do not agree on the master")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(word: &str) -> Answer {
        match word {
            "null" => Answer::Null,
            "error" => Answer::Refused { credentials: false, text: "ERR".to_owned() },
            "auth" => Answer::Refused { credentials: true, text: "NOAUTH".to_owned() },
            "silent" => Answer::Silent,
            host => Answer::Address((host.to_owned(), 6379)),
        }
    }

    #[test]
    fn most_of_those_that_answer_decide() {
        let table = [
            ("a a b", Ok("a")),
            ("a b b", Ok("b")),
            ("silent silent b", Ok("b")),
            ("error b b", Ok("b")),
            ("null b b", Ok("b")),
            ("null null b", Err(Cause::UnknownMaster)),
            ("a b c", Err(Cause::NoMaster)),
            ("silent silent silent", Err(Cause::NoSentinel)),
            ("auth auth silent", Err(Cause::Auth)),
        ];
        for (answers, expected) in table {
            let answers: Vec<Answer> = answers.split(' ').map(answer).collect();
            let chosen = choose(None, &answers).map(|(host, _)| host).map_err(|error| error.cause);
            assert_eq!(chosen, expected.map(str::to_owned), "{answers:?}");
        }
    }

    #[test]
    fn the_wrong_ones_decide_otherwise() {
        let table = [
            (Defect::FirstAnswer, "a b b", Ok("a")),
            (Defect::NoRoleCheck, "silent a b", Ok("a")),
            (Defect::StopsAtNull, "null b b", Err(Cause::UnknownMaster)),
            (Defect::StopsAtError, "b error b", Err(Cause::Other)),
        ];
        for (defect, answers, expected) in table {
            let answers: Vec<Answer> = answers.split(' ').map(answer).collect();
            let chosen = choose(Some(defect), &answers).map(|(host, _)| host).map_err(|error| error.cause);
            assert_eq!(chosen, expected.map(str::to_owned), "{defect:?} {answers:?}");
        }
    }
}
