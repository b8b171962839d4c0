//! Drivers that are programs, in any language: `exec:python3 worker.py`. The program speaks the [`protocol`] on its standard
//! input and output, a line of JSON each way; docs/writing-a-driver.md has it in full.
//!
//! Each client of a run is a process of its own, which callers may share. Its runs are in real time: nobody can scale the timers
//! of an unknown program.

mod process;
mod protocol;

use std::sync::{Arc, Mutex, PoisonError};

pub use model::plan::EXEC;
use model::plan::Need;
use testbed::driver::{Answer, BoxFuture, CallError, Driver, OnMessage, Request, Session, Settings, Topics};

pub use process::{Complaints, ProgramError};
use process::{Process, Spare};
use protocol::Hello;

/// A client behind a program.
#[derive(Debug)]
pub struct Program {
    /// With [`EXEC`].
    name: String,
    about: String,
    hello: Hello,
    /// Processes that have said hello and have nothing to do yet, of whichever run comes first.
    spares: Mutex<Vec<Spare>>,
}

impl Program {
    /// Starts the program of `command` to hear what it is and can, and ends it. The words of the command stand between
    /// spaces; what has spaces in it is put in `"` or `'`, as in redis-cli. No shell reads it.
    ///
    /// # Errors
    /// If it cannot be started, or does not say what a program has to say first.
    pub fn new(command: &str) -> Result<Self, ProgramError> {
        let command = command.trim().to_owned();
        // On a thread of its own, since the caller may be in a runtime.
        let asking = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| ProgramError::Start { command: command.clone(), error })?;
            runtime.block_on(async { Ok((Process::hello(&command).await?, command)) })
        });
        let (hello, command) = asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let Hello { name, version, about, .. } = &hello;
        Ok(Self {
            name: format!("{EXEC}{command}"),
            about: format!("{name} {version}, {about} (real time)"),
            hello,
            spares: Mutex::default(),
        })
    }

    fn command(&self) -> &str {
        &self.name[EXEC.len()..]
    }
}

impl Driver for Program {
    fn name(&self) -> &str {
        &self.name
    }

    fn about(&self) -> &str {
        &self.about
    }

    /// Names are looked up in this process.
    fn can(&self, need: Need) -> bool {
        self.hello.can.iter().any(|able| able.0 == need)
    }

    fn blocks(&self) -> bool {
        true
    }

    fn speed(&self) -> u32 {
        1
    }

    fn prepare(&self, clients: usize) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            for _ in 0..clients {
                let spare = Spare::start(self.command()).await.map_err(|error| error.to_string())?;
                self.spares.lock().unwrap_or_else(PoisonError::into_inner).push(spare);
            }
            Ok(())
        })
    }

    fn open(&self, settings: Settings) -> BoxFuture<'_, Result<Box<dyn Session>, CallError>> {
        Box::pin(async move {
            let trouble = settings.trouble.clone();
            let spare = self.spares.lock().unwrap_or_else(PoisonError::into_inner).pop();
            match Process::open(self.command(), spare, &settings).await {
                Ok(process) => Ok(Box::new(ProgramSession(Arc::new(process))) as Box<dyn Session>),
                Err(error) => {
                    trouble.tell(error.to_string());
                    std::future::pending().await
                }
            }
        })
    }
}

/// A process, and one of those who call it.
struct ProgramSession(Arc<Process>);

impl Session for ProgramSession {
    fn call<'a>(&'a mut self, request: &'a Request) -> BoxFuture<'a, Result<Answer, CallError>> {
        Box::pin(self.0.call(request))
    }

    fn subscribe<'a>(&'a mut self, topics: &'a Topics, on_message: OnMessage) -> BoxFuture<'a, CallError> {
        Box::pin(self.0.subscribe(topics, on_message))
    }

    fn share(&self) -> Option<Box<dyn Session>> {
        Some(Box::new(Self(Arc::clone(&self.0))))
    }
}
