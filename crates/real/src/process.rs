//! [`Process`]: one real `redis-server` or `redis-sentinel`.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use model::Reply;
use model::plan::Credentials;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::binaries::Binaries;
use crate::error::RealError;
use crate::room::room;
use crate::spawner::spawn;
use crate::talk::{Dial, Talk};

/// How long a process may take to answer its first `PING`.
pub const START_WITHIN: Duration = Duration::from_secs(20);
/// How long a command may take by default.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// Pause between two looks at something that is waited for.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Lines of its log that an error shows.
const LOG_LINES: usize = 12;

/// Which program a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// `redis-server`, a data node.
    Server,
    /// `redis-sentinel`.
    Sentinel,
}

/// What a process is told at its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Lines of the configuration file, in order, beyond address, folder and log, which are given: `maxmemory 10mb`,
    /// `sentinel monitor mymaster 127.0.0.1 6379 2`.
    pub lines: Vec<String>,
    /// What the process asks of its clients, and this crate presents to it.
    pub auth: Option<Credentials>,
}

impl Options {
    /// The defaults of Redis.
    pub fn new() -> Self {
        Self::default()
    }

    /// A data node without persistence, whose `DEBUG` is allowed and which begins a full resynchronisation at once; else
    /// with the defaults of Redis.
    pub fn server() -> Self {
        Self::new()
            .line("save \"\"")
            .line("appendonly no")
            .line("enable-debug-command yes")
            .line("repl-diskless-sync-delay 0")
    }

    /// Adds a line.
    #[must_use]
    pub fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    /// Asks this of clients: `requirepass`, or with a user an ACL user in place of the default one.
    #[must_use]
    pub fn auth(mut self, auth: &Credentials) -> Self {
        self.auth = Some(auth.clone());
        match &auth.user {
            Some(user) => self.line("user default off").line(format!("user {user} on >{} ~* &* +@all", auth.password)),
            None => self.line(format!("requirepass {}", auth.password)),
        }
    }
}

/// A real process. It is killed and its folder removed when this is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    binary: PathBuf,
    dial: Dial,
    child: Option<Child>,
    /// One that was killed and may not be gone yet.
    dying: Option<Child>,
    frozen: bool,
    /// Connections whose reply nobody waits for.
    unanswered: Vec<Talk>,
    room: TempDir,
}

impl Process {
    /// Writes the configuration file and starts the process, without waiting for it: [`Process::wait_ready`] does. Its
    /// connections to others come from `addr`, too.
    pub fn start(
        binaries: &Binaries,
        program: Program,
        name: &str,
        addr: SocketAddr,
        options: &Options,
    ) -> Result<Self, RealError> {
        let room = room().map_err(RealError::Prepare)?;
        let mut config = format!(
            "bind {ip}\nbind-source-addr {ip}\nport {}\nprotected-mode no\ndaemonize no\ndir {}\nlogfile {}\n",
            addr.port(),
            room.path().display(),
            room.path().join("log").display(),
            ip = addr.ip(),
        );
        for line in &options.lines {
            let _ = writeln!(config, "{line}");
        }
        fs::write(room.path().join("conf"), config).map_err(RealError::Prepare)?;
        let binary = match program {
            Program::Server => binaries.server.clone(),
            Program::Sentinel => binaries.sentinel.clone(),
        };
        let (name, dial) = (name.to_owned(), Dial { addr, auth: options.auth.clone() });
        let mut process =
            Self { name, binary, dial, child: None, dying: None, frozen: false, unanswered: Vec::new(), room };
        process.restart()?;
        Ok(process)
    }

    /// Starts a process that has ended again, with its configuration file as it has rewritten it. Nothing if it runs.
    pub fn restart(&mut self) -> Result<(), RealError> {
        if self.is_running() {
            return Ok(());
        }
        self.wait_gone()?;
        self.unanswered.clear();
        let child = spawn(&self.binary, &self.room.path().join("conf"));
        self.child =
            Some(child.map_err(|error| RealError::Spawn { program: self.binary.display().to_string(), error })?);
        Ok(())
    }

    /// Waits until it answers `PING`, whatever it answers.
    pub fn wait_ready(&mut self) -> Result<(), RealError> {
        let deadline = Instant::now() + START_WITHIN;
        loop {
            let answer = Talk::connect(self.dial.addr, LOOK_EVERY * 20)
                .and_then(|mut talk| talk.ask(&["PING"], Duration::from_secs(1)));
            if answer.is_ok() {
                return Ok(());
            }
            if !self.is_running() {
                return Err(RealError::Ended { name: self.name.clone(), log: self.log() });
            }
            if Instant::now() > deadline {
                return Err(self.late("an answer to PING", START_WITHIN));
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// The name that it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.dial.addr
    }

    /// How to connect to it, from any thread.
    pub fn dial(&self) -> Dial {
        self.dial.clone()
    }

    /// Its process id; `None` if it has ended.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Its folder: `conf`, `log` and whatever it writes.
    pub fn folder(&self) -> &Path {
        self.room.path()
    }

    /// The last lines of its log.
    pub fn log(&self) -> String {
        let text = fs::read(self.room.path().join("log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
    }

    /// False once it has ended, by itself or not. A frozen process runs.
    pub fn is_running(&mut self) -> bool {
        if let Some(child) = &mut self.child
            && !matches!(child.try_wait(), Ok(None))
        {
            self.child = None;
            self.frozen = false;
        }
        self.child.is_some()
    }

    /// True between [`Process::freeze`] and [`Process::thaw`].
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// `kill -9`; gives back when it is gone.
    pub fn kill(&mut self) -> Result<(), RealError> {
        self.start_kill()?;
        self.wait_gone()
    }

    /// `kill -9`, without waiting until it is gone, so that the next one can be killed at the same time.
    pub fn start_kill(&mut self) -> Result<(), RealError> {
        if let Some(mut child) = self.child.take() {
            let killed = child.kill();
            self.dying = Some(child);
            killed.map_err(|error| self.not_killed(error))?;
        }
        self.frozen = false;
        Ok(())
    }

    fn wait_gone(&mut self) -> Result<(), RealError> {
        let gone = self.dying.take().map(|mut child| child.wait());
        gone.transpose().map(|_| ()).map_err(|error| self.not_killed(error))
    }

    fn not_killed(&self, error: io::Error) -> RealError {
        RealError::Signal { name: self.name.clone(), what: "kill", error }
    }

    /// `SIGSTOP`.
    pub fn freeze(&mut self) -> Result<(), RealError> {
        self.signal(Signal::STOP, "freeze")?;
        self.frozen = self.child.is_some();
        Ok(())
    }

    /// `SIGCONT`.
    pub fn thaw(&mut self) -> Result<(), RealError> {
        self.frozen = false;
        self.signal(Signal::CONT, "thaw")
    }

    /// Sends `SHUTDOWN` without waiting for its end: a master first waits for its replicas.
    pub fn shutdown(&mut self) -> Result<(), RealError> {
        self.tell(&["SHUTDOWN", "NOSAVE"])
    }

    /// `DEBUG SLEEP`: it answers nobody for so long.
    pub fn debug_sleep(&mut self, time: Duration) -> Result<(), RealError> {
        self.tell(&["DEBUG", "SLEEP", &time.as_secs_f64().to_string()])
    }

    /// `CLIENT KILL TYPE`: `normal`, `pubsub`, `replica` or `master`.
    pub fn client_kill(&mut self, kind: &str) -> Result<(), RealError> {
        self.ask(&["CLIENT", "KILL", "TYPE", kind]).map(drop)
    }

    /// `REPLICAOF host port`, or `REPLICAOF NO ONE`.
    pub fn replica_of(&mut self, master: Option<SocketAddr>) -> Result<(), RealError> {
        match master {
            Some(addr) => self.ask(&["REPLICAOF", &addr.ip().to_string(), &addr.port().to_string()]).map(drop),
            None => self.ask(&["REPLICAOF", "NO", "ONE"]).map(drop),
        }
    }

    /// A connection, logged in.
    pub fn connect(&self) -> Result<Talk, RealError> {
        self.dial.connect(ANSWER_WITHIN).map_err(|error| self.refused(&["AUTH"], error.to_string()))
    }

    /// Sends a command on a connection of its own and gives the reply. An error reply is [`RealError::Ask`].
    pub fn ask(&self, words: &[&str]) -> Result<Reply, RealError> {
        match self.connect()?.ask(words, ANSWER_WITHIN) {
            Ok(Reply::Error(text)) => Err(self.refused(words, text.into_owned())),
            Ok(reply) => Ok(reply),
            Err(error) => Err(self.refused(words, error.to_string())),
        }
    }

    /// `INFO`, as text.
    pub fn info(&self) -> Result<String, RealError> {
        let reply = self.ask(&["INFO"])?;
        Ok(reply.as_text().unwrap_or_default().into_owned())
    }

    /// The error for something that did not happen in time.
    pub fn late(&self, what: &str, within: Duration) -> RealError {
        RealError::Late { name: self.name.clone(), what: what.to_owned(), within, log: self.log() }
    }

    /// Sends a command and keeps the connection open without reading the reply.
    fn tell(&mut self, words: &[&str]) -> Result<(), RealError> {
        let mut talk = self.connect()?;
        talk.send(words).map_err(|error| self.refused(words, error.to_string()))?;
        self.unanswered.push(talk);
        Ok(())
    }

    fn signal(&mut self, signal: Signal, what: &'static str) -> Result<(), RealError> {
        if !self.is_running() {
            return Ok(());
        }
        let Some(child) = &self.child else { return Ok(()) };
        kill_process(Pid::from_child(child), signal).map_err(|errno| RealError::Signal {
            name: self.name.clone(),
            what,
            error: errno.into(),
        })
    }

    fn refused(&self, words: &[&str], error: String) -> RealError {
        RealError::Ask { name: self.name.clone(), command: words.join(" "), error }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // What cannot be killed is not waited for.
        let _ = self.kill();
    }
}
