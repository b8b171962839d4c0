//! The scripts that a Sentinel runs: `notification-script` at every warning, `client-reconfig-script` at a change of the
//! master's address. Nothing is executed here: a script that is run is an event of the history, and it succeeds within a
//! pass of the timer, as a short one does in Redis.

use std::collections::VecDeque;

use model::machine::Note;
use model::{Addr, EventName, Output, Reply, Text};

use crate::machine::Sentinel;

/// Scripts that wait; a further one takes the place of the oldest.
const MAX_QUEUE: usize = 256;
/// Scripts that run at a time.
const MAX_RUNNING: usize = 16;

/// The queue, in the order in which the scripts were asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scripts {
    queue: VecDeque<Job>,
    launched: i64,
}

/// One script.
#[derive(Clone, Debug)]
struct Job {
    argv: Vec<String>,
    running: Option<Run>,
}

/// A script that runs.
#[derive(Clone, Copy, Debug)]
struct Run {
    since: crate::Ms,
    pid: i64,
}

impl Scripts {
    fn schedule(&mut self, argv: Vec<String>) {
        self.queue.push_back(Job { argv, running: None });
        if self.queue.len() > MAX_QUEUE
            && let Some(oldest) = self.queue.iter().position(|job| job.running.is_none())
        {
            self.queue.remove(oldest);
        }
    }

    /// True if no script waits or runs.
    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    /// A pass: what waits is started, then what has ended is forgotten.
    pub(crate) fn pass(&mut self, now: crate::Ms, out: &mut Vec<Output>) {
        let free = MAX_RUNNING - self.running();
        for job in self.queue.iter_mut().filter(|job| job.running.is_none()).take(free) {
            self.launched += 1;
            job.running = Some(Run { since: now, pid: self.launched });
            out.push(Output::Note(Note::Script(job.argv.clone())));
        }
        self.queue.retain(|job| job.running.is_none_or(|run| run.since == now));
    }

    pub(crate) fn running(&self) -> usize {
        self.queue.iter().filter(|job| job.running.is_some()).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// `SENTINEL PENDING-SCRIPTS`.
    pub(crate) fn pending(&self, now: crate::Ms) -> Reply {
        let job = |job: &Job| {
            let argv = Reply::Array(job.argv.iter().map(|arg| Reply::bulk(arg.clone())).collect());
            let (flags, pid, age, tries) = match job.running {
                Some(run) => ("running", run.pid, ("run-time", now - run.since), 1),
                None => ("scheduled", 0, ("run-delay", 0), 0),
            };
            let number = |number: i64| Reply::bulk(number.to_string());
            Reply::Map(vec![
                (Reply::word("argv"), argv),
                (Reply::word("flags"), Reply::word(flags)),
                (Reply::word("pid"), number(pid)),
                (Reply::word(age.0), number(age.1)),
                (Reply::word("retry-num"), number(tries)),
            ])
        };
        Reply::Array(self.queue.iter().map(job).collect())
    }
}

/// Who tells clients of the new master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Teller {
    /// The Sentinel that promoted it.
    Leader,
    /// One that heard of it.
    Observer,
}

impl Sentinel {
    /// Has the notification script of a master told of an event.
    pub(crate) fn notify(&mut self, m: usize, event: EventName, text: &Text) {
        if event.is_warning()
            && let Some(path) = &self.masters[m].config.notification_script
        {
            self.scripts.schedule(vec![path.clone(), event.to_string(), text.to_string()]);
        }
    }

    /// Has the reconfiguration script of a master told that it has moved.
    pub(crate) fn reconfigure_clients(&mut self, m: usize, teller: Teller, from: &Addr, to: &Addr) {
        let master = &self.masters[m];
        let Some(path) = &master.config.client_reconfig_script else { return };
        let teller = match teller {
            Teller::Leader => "leader",
            Teller::Observer => "observer",
        };
        let mut argv = vec![path.clone(), master.name().to_owned(), teller.to_owned(), "start".to_owned()];
        for addr in [from, to] {
            argv.extend([addr.host.to_string(), addr.port.to_string()]);
        }
        self.scripts.schedule(argv);
    }
}
