//! [`Pool`]: worker processes, watched: one that hangs, dies or grows beyond its limit is ended and replaced, and that is
//! the result of the run that it had.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use chaos::case::{Case, CaseResult, Ending};

use super::worker::Order;

/// How often a run that goes on is looked at.
const GLANCE: Duration = Duration::from_millis(250);

/// Worker processes that wait for a run.
pub(crate) struct Pool {
    idle: Mutex<Vec<Worker>>,
    /// Real time that a run may take.
    limit: Duration,
    /// Bytes that a worker may hold.
    memory: u64,
}

struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<String>,
}

impl Pool {
    pub(crate) fn new(limit: Duration, memory_mib: u64) -> Self {
        Self { idle: Mutex::new(Vec::new()), limit, memory: memory_mib << 20 }
    }

    /// Does a run in one of the workers, a new one if all are busy.
    pub(crate) fn carry_out(&self, case: &Case) -> CaseResult {
        let idle = self.idle.lock().ok().and_then(|mut idle| idle.pop());
        let worker = match idle.map_or_else(Worker::start, Ok) {
            Ok(worker) => worker,
            Err(error) => return CaseResult::lost(case, "no worker".to_owned(), format!("no worker process: {error}")),
        };
        let (result, worker) = worker.carry_out(case, self.limit, self.memory);
        if let (Some(worker), Ok(mut idle)) = (worker, self.idle.lock()) {
            idle.push(worker);
        }
        result
    }
}

impl Worker {
    fn start() -> std::io::Result<Self> {
        // Out of the foreground group, so that Ctrl-C reaches only the process that knows what to do with it.
        let mut child = Command::new(std::env::current_exe()?)
            .arg("chaos-worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let missing = || std::io::Error::other("the worker has no pipes");
        let orders = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, orders, answers })
    }

    /// The result of a run, and the worker if it can do another.
    fn carry_out(mut self, case: &Case, limit: Duration, memory: u64) -> (CaseResult, Option<Self>) {
        let (seed, number, driver) = (case.seed, case.number, case.driver.clone());
        let order = Order { seed, number, driver, scenario: scenario::render(&case.plan) };
        let before = self.resident();
        let sent = serde_json::to_string(&order)
            .map_err(std::io::Error::other)
            .and_then(|order| writeln!(self.orders, "{order}"));
        if let Err(error) = sent {
            return (self.died(case, &error.to_string()), None);
        }
        let began = Instant::now();
        loop {
            match self.answers.recv_timeout(GLANCE) {
                Ok(line) => return self.told(case, &line),
                Err(RecvTimeoutError::Disconnected) => return (self.died(case, "its output ended"), None),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let resident = self.resident();
            if resident > memory {
                let mib = |bytes: u64| bytes >> 20;
                let text =
                    format!("the process grew to {} MiB, from {} MiB before this run", mib(resident), mib(before));
                return (CaseResult::lost(case, "memory".to_owned(), text), None);
            }
            if began.elapsed() > limit {
                let text = format!("the run did not end within {} s of real time", limit.as_secs());
                return (CaseResult::lost(case, "hang".to_owned(), text), None);
            }
        }
    }

    fn told(self, case: &Case, line: &str) -> (CaseResult, Option<Self>) {
        match serde_json::from_str::<Result<CaseResult, String>>(line) {
            // What broke may have left a thread behind that spins for ever.
            Ok(Ok(result)) => {
                let usable = result.ending != Ending::Broken;
                (result, usable.then_some(self))
            }
            Ok(Err(text)) => (CaseResult::lost(case, "schedule".to_owned(), text), Some(self)),
            Err(error) => {
                let text = format!("the worker answered what is no result: {error}");
                (CaseResult::lost(case, "worker".to_owned(), text), None)
            }
        }
    }

    fn died(&mut self, case: &Case, how: &str) -> CaseResult {
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        CaseResult::lost(case, format!("crash: {status}"), format!("the process of the run ended ({how}): {status}"))
    }

    /// Bytes that the process holds, where the system tells it; else 0.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kib| kib << 10)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It has nothing to put in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
