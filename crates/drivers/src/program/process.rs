//! [`Process`]: one process of a program, from its start to its end.
//!
//! A client that does not answer is what a run is there to judge, so operations are waited for as long as the run goes on. What
//! no client can be blamed for (the process ends, says what is no line of the [`protocol`], answers what was not asked) ends the
//! run instead.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use model::words;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Serialize;
use testbed::driver::{Answer, CallError, OnMessage, Request, Settings, Topics, Trouble};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::protocol::{Hello, Order, Said, Setup, What, answer, foreign, op};

/// How long a program may take to say hello, in real time.
const HELLO_WITHIN: Duration = Duration::from_secs(20);
/// How long it is waited for the end of a process that has closed its output.
const END_WITHIN: Duration = Duration::from_secs(1);
/// Longest line that a program may say.
const LINE_MAX: u64 = 1 << 20;
/// Bytes of its standard error, the last ones, that an error shows.
const COMPLAINTS_MAX: usize = 2_000;
/// Characters of a wrong line that an error shows.
const SHOWN: usize = 200;

/// What a program did that no program may.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is no command.
    #[error("`exec:` without a command; write for instance `exec:python3 worker.py`")]
    NoCommand,
    /// Its words cannot be told apart.
    #[error("`{0}`: a quote is not closed, or goes on behind its end; quote a whole word, as in \"my worker.py\"")]
    Quotes(String),
    /// It could not be started.
    #[error("`{command}` cannot be started: {error}; the first word must be a program in PATH, or a path to one")]
    Start {
        /// The command.
        command: String,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// It did not say hello.
    #[error("`{command}` has said nothing for {} s; its first line must be its hello, flushed{complaints}", HELLO_WITHIN.as_secs())]
    Silent {
        /// The command.
        command: String,
        /// What it said on standard error.
        complaints: Complaints,
    },
    /// It ended while it was needed.
    #[error(
        "`{command}` {how} {}; a program says its hello first, then carries out what it is told until its standard input ends{complaints}",
        after(*lines)
    )]
    Ended {
        /// The command.
        command: String,
        /// How it ended.
        how: String,
        /// How many lines it had said.
        lines: u64,
        /// What it said on standard error.
        complaints: Complaints,
    },
    /// It said what it may not say.
    #[error(
        "`{command}`, line {number} of its standard output, `{line}`: {problem}; only lines of the protocol go there, see docs/writing-a-driver.md{complaints}"
    )]
    Line {
        /// The command.
        command: String,
        /// Which line, from 1.
        number: u64,
        /// What it says; the beginning if it is long.
        line: String,
        /// What is wrong with it.
        problem: String,
        /// What it said on standard error.
        complaints: Complaints,
    },
    /// It does not take what it is told.
    #[error("`{command}` has closed its standard input: {error}{complaints}")]
    Deaf {
        /// The command.
        command: String,
        /// The reason.
        #[source]
        error: io::Error,
        /// What it said on standard error.
        complaints: Complaints,
    },
}

/// After so many lines of its standard output.
fn after(lines: u64) -> String {
    match lines {
        0 => "before it had said anything on its standard output".to_owned(),
        1 => "after line 1 of its standard output".to_owned(),
        lines => format!("after {lines} lines of its standard output"),
    }
}

/// The last that a program said on standard error.
#[derive(Clone, Debug, Default)]
pub struct Complaints(String);

impl std::fmt::Display for Complaints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.trim_end() {
            "" => f.write_str("; nothing on its standard error"),
            text => write!(f, "; its standard error:\n{text}"),
        }
    }
}

/// A process. It is stopped, with all that it has started, when this is dropped.
pub(super) struct Process {
    input: tokio::sync::Mutex<Sender>,
    open: Arc<Open>,
    trouble: Trouble,
    reader: AbortHandle,
    // Dropped last.
    running: Arc<Running>,
}

/// A process that has said hello and belongs to no run yet.
#[derive(Debug)]
pub(super) struct Spare {
    pipes: [OwnedFd; 3],
    running: Arc<Running>,
}

/// The process itself.
#[derive(Debug)]
struct Running {
    command: String,
    child: Mutex<Child>,
    /// It has ended, and its number may be another's.
    waited_for: AtomicBool,
    complaints: Mutex<Vec<u8>>,
}

/// What it says, line by line.
struct Output {
    from: BufReader<Receiver>,
    errors: Receiver,
    lines: u64,
    running: Arc<Running>,
}

/// The operations that have not ended.
#[derive(Default)]
struct Open(Mutex<Operations>);

#[derive(Default)]
struct Operations {
    last: u64,
    open: BTreeMap<u64, Operation>,
    /// Those of which the program has given a value of the right form.
    well: BTreeSet<&'static str>,
}

enum Operation {
    Call(Request, oneshot::Sender<Result<Answer, CallError>>),
    Subscription(OnMessage, oneshot::Sender<CallError>),
}

impl Process {
    /// The hello of a program, which is started for it and stopped again.
    pub(super) async fn hello(command: &str) -> Result<Hello, ProgramError> {
        Ok(Self::start(command).await?.1)
    }

    /// Starts the program and hears its hello.
    async fn start(command: &str) -> Result<((Sender, Output), Hello), ProgramError> {
        let (input, mut output) = Running::start(command)?;
        let said = timeout(HELLO_WITHIN, output.line()).await;
        let line = said.map_err(|_| ProgramError::Silent {
            command: command.to_owned(),
            complaints: output.running.complaints(),
        })??;
        let hello = Hello::read(&line).map_err(|problem| output.wrong(&line, problem))?;
        Ok(((input, output), hello))
    }

    /// Tells a process what a client is set up with; one that is started now if there is none to spare.
    pub(super) async fn open(command: &str, spare: Option<Spare>, settings: &Settings) -> Result<Self, ProgramError> {
        let (input, output) = match spare {
            Some(spare) => spare.take(1)?,
            None => Self::start(command).await?.0,
        };
        let (open, running) = (Arc::<Open>::default(), Arc::clone(&output.running));
        let reader = tokio::spawn(read(output, Arc::clone(&open), settings.trouble.clone())).abort_handle();
        let input = tokio::sync::Mutex::new(input);
        let process = Self { input, open, trouble: settings.trouble.clone(), reader, running };
        process.tell(&Setup::of(settings)).await;
        Ok(process)
    }

    /// Has it carry out one operation.
    pub(super) async fn call(&self, request: &Request) -> Result<Answer, CallError> {
        let (end, ended) = oneshot::channel();
        let id = self.open.begin(Operation::Call(request.clone(), end));
        self.tell(&Order::of(id, request)).await;
        // Without an end the run has been told why.
        match ended.await {
            Ok(result) => result,
            Err(_) => std::future::pending().await,
        }
    }

    /// Has it subscribe, until it says that the subscription is lost.
    pub(super) async fn subscribe(&self, topics: &Topics, on_message: OnMessage) -> CallError {
        let (end, ended) = oneshot::channel();
        let id = self.open.begin(Operation::Subscription(on_message, end));
        self.tell(&Order::subscribe(id, topics)).await;
        match ended.await {
            Ok(error) => error,
            Err(_) => std::future::pending().await,
        }
    }

    async fn tell(&self, line: &impl Serialize) {
        let mut text = serde_json::to_string(line).expect("plain data can be written");
        text.push('\n');
        let written = self.input.lock().await.write_all(text.as_bytes()).await;
        if let Err(error) = written {
            // If it has ended, the reader knows more.
            sleep(2 * END_WITHIN).await;
            let (command, complaints) = (self.running.command.clone(), self.running.complaints());
            self.trouble.tell(ProgramError::Deaf { command, error, complaints }.to_string());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Spare {
    /// Starts the program and hears its hello.
    pub(super) async fn start(command: &str) -> Result<Self, ProgramError> {
        let ((input, output), _) = Process::start(command).await?;
        let failed = |error| ProgramError::Start { command: command.to_owned(), error };
        let from = output.from.into_inner();
        let input = input.into_nonblocking_fd().map_err(failed)?;
        let pipes =
            [input, from.into_nonblocking_fd().map_err(failed)?, output.errors.into_nonblocking_fd().map_err(failed)?];
        Ok(Self { pipes, running: output.running })
    }

    /// Its ends of the pipes, for the runtime that this is called in; it has said so many lines.
    fn take(self, lines: u64) -> Result<(Sender, Output), ProgramError> {
        let Self { pipes: [input, output, errors], running } = self;
        let failed = |error| ProgramError::Start { command: running.command.clone(), error };
        let input = Sender::from_owned_fd(input).map_err(failed)?;
        let from = BufReader::new(Receiver::from_owned_fd(output).map_err(failed)?);
        let errors = Receiver::from_owned_fd(errors).map_err(failed)?;
        Ok((input, Output { from, errors, lines, running }))
    }
}

impl Running {
    /// Starts the process, in a process group of its own: what it starts is stopped with it.
    fn start(command: &str) -> Result<(Sender, Output), ProgramError> {
        let words = words::split(command.as_bytes()).ok_or_else(|| ProgramError::Quotes(command.to_owned()))?;
        let (first, rest) = words.split_first().ok_or(ProgramError::NoCommand)?;
        let mut program = Command::new(OsStr::from_bytes(first));
        program.args(rest.iter().map(|word| OsStr::from_bytes(word))).process_group(0);
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error| ProgramError::Start { command: command.to_owned(), error };
        let mut child = program.spawn().map_err(failed)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let running = Arc::new(Self {
            command: command.to_owned(),
            child: Mutex::new(child),
            waited_for: AtomicBool::new(false),
            complaints: Mutex::default(),
        });
        let (Some(input), Some(output), Some(errors)) = pipes else { unreachable!("all three are piped") };
        Spare { pipes: [input.into(), output.into(), errors.into()], running }.take(0)
    }

    fn complain(&self, bytes: &[u8]) {
        let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        complaints.extend_from_slice(bytes);
        let surplus = complaints.len().saturating_sub(COMPLAINTS_MAX);
        complaints.drain(..surplus);
    }

    fn complaints(&self) -> Complaints {
        let complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        Complaints(String::from_utf8_lossy(&complaints).into_owned())
    }

    fn child(&self) -> MutexGuard<'_, Child> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the process ended, if it has. What it started ends then too.
    fn ended(&self) -> Option<ExitStatus> {
        let mut child = self.child();
        let status = child.try_wait().ok().flatten()?;
        self.waited_for.store(true, Ordering::Relaxed);
        let _ = kill_process_group(Pid::from_child(&child), Signal::KILL);
        Some(status)
    }

    /// How the process ended; `None` if it goes on without an output.
    async fn status(&self) -> Option<ExitStatus> {
        let look = async {
            loop {
                if let Some(status) = self.ended() {
                    return status;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(END_WITHIN, look).await.ok()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap_or_else(PoisonError::into_inner);
        // Also if it has ended by itself, as it does when its input ends: what it started is still of its group, whose
        // number is its own until it has been waited for.
        if !*self.waited_for.get_mut() {
            let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
            let _ = child.wait();
        }
    }
}

impl Output {
    /// The next line, without its end. Meanwhile its standard error is kept.
    async fn line(&mut self) -> Result<String, ProgramError> {
        let mut line = Vec::new();
        let mut limited = (&mut self.from).take(LINE_MAX);
        let mut complaint = [0; 4096];
        let mut heard = true;
        let read = {
            let reading = limited.read_until(b'\n', &mut line);
            tokio::pin!(reading);
            loop {
                tokio::select! {
                    biased;
                    read = &mut reading => break read,
                    complained = self.errors.read(&mut complaint), if heard => match complained {
                        Ok(count @ 1..) => self.running.complain(&complaint[..count]),
                        _ => heard = false,
                    },
                }
            }
        };
        let complete = line.pop_if(|end| *end == b'\n').is_some();
        let cut = line.len() as u64 == LINE_MAX;
        if read.is_err() || !(complete || cut) {
            return Err(self.ended().await);
        }
        self.lines += 1;
        let text = String::from_utf8_lossy(&line);
        if cut {
            return Err(self.wrong(&text, format!("it has no end within {LINE_MAX} bytes")));
        }
        Ok(text.into_owned())
    }

    async fn ended(&mut self) -> ProgramError {
        let status = self.running.status().await;
        let mut rest = Vec::new();
        // A child of its own may keep it open.
        let _ = timeout(END_WITHIN, self.errors.read_to_end(&mut rest)).await;
        self.running.complain(&rest);
        ProgramError::Ended {
            command: self.running.command.clone(),
            how: status.map_or_else(|| "closed its standard output".to_owned(), |status| format!("ended ({status})")),
            lines: self.lines,
            complaints: self.running.complaints(),
        }
    }

    fn wrong(&self, line: &str, problem: String) -> ProgramError {
        ProgramError::Line {
            command: self.running.command.clone(),
            number: self.lines,
            line: line.chars().take(SHOWN).collect(),
            problem,
            complaints: self.running.complaints(),
        }
    }
}

/// Takes what the program says, until it says something that it may not say, which ends the run.
async fn read(mut output: Output, open: Arc<Open>, trouble: Trouble) {
    loop {
        let line = match output.line().await {
            Ok(line) => line,
            Err(error) => return trouble.tell(error.to_string()),
        };
        if let Err(problem) = Said::read(&line).and_then(|said| open.take(said)) {
            return trouble.tell(output.wrong(&line, problem).to_string());
        }
    }
}

impl Open {
    fn operations(&self) -> MutexGuard<'_, Operations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of an operation that begins now.
    fn begin(&self, operation: Operation) -> u64 {
        let mut operations = self.operations();
        operations.last += 1;
        let id = operations.last;
        operations.open.insert(id, operation);
        id
    }

    /// Hands what was said to who waits for it; or says what is wrong with it.
    fn take(&self, Said { id, what }: Said) -> Result<(), String> {
        let mut operations = self.operations();
        // Whoever waited may have gone.
        match (operations.open.remove(&id), what) {
            (None, _) if id == 0 || id > operations.last => Err(format!("there was no operation {id}")),
            (None, _) => Err(format!("operation {id} has ended before")),
            (Some(Operation::Call(request, end)), What::Value(value)) => {
                let op = op(&request);
                let answer = match answer(&request, &value) {
                    // The program knows how, so that it is its client who says that.
                    Err(problem) if operations.well.contains(op) => foreign(&request, &value).ok_or(problem)?,
                    answer => answer?,
                };
                operations.well.insert(op);
                let _ = end.send(Ok(answer));
                Ok(())
            }
            (Some(Operation::Call(_, end)), What::Error(error)) => {
                let _ = end.send(Err(error));
                Ok(())
            }
            (Some(Operation::Subscription(_, end)), What::Error(error)) => {
                let _ = end.send(error);
                Ok(())
            }
            (Some(Operation::Subscription(mut on_message, end)), What::Message(payload)) => {
                on_message(payload.as_bytes());
                operations.open.insert(id, Operation::Subscription(on_message, end));
                Ok(())
            }
            (Some(Operation::Call(..)), What::Message(_)) => Err(format!("operation {id} is no subscription")),
            (Some(Operation::Subscription(..)), What::Value(_)) => {
                Err(format!("operation {id} is a subscription, which ends with an `error`"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In virtual time, which passes while nothing is said.
    #[tokio::test(start_paused = true)]
    async fn a_program_that_says_nothing_is_not_waited_for() {
        let Err(error) = Process::start("sleep 1000").await else { panic!("it said hello") };
        assert!(error.to_string().starts_with("`sleep 1000` has said nothing for 20 s; "), "{error}");
    }
}
