//! [`NamesOf`]: how the clients of a run look names up; [`look_up`]: how a Sentinel in real time does.
//!
//! All clients of a cluster with names share one address block, and are told apart by their ports: who looks a name up cannot
//! be known, and all are told the same.
//!
//! tokio looks names up on threads of a pool, and time stands still meanwhile. When such a thread is done is a matter of
//! chance, so one waits until nothing else happens any more in the run, and is answered then. With a pool of one thread
//! that makes the order of everything the same every time.

use std::net::ToSocketAddrs as _;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread::{self, ThreadId};

use model::Frame;
use sim::World;

use super::{Shared, TaskCount};
use crate::c_library::resolver::{Resolve, Resolved};

/// Looks at the sockets, one after the other, that find nothing before it is believed that nothing happens any more.
const QUIET: u32 = 8;

/// A name that somebody waits for.
pub(super) struct Lookup {
    name: String,
    answer: SyncSender<Resolved>,
}

/// The names of a run, for its clients.
pub(super) struct NamesOf {
    run: Weak<Shared>,
    /// The thread on which the run lives; `None` if nobody waits for a turn.
    thread: Option<ThreadId>,
}

impl NamesOf {
    /// The names of `run`, which lives on the calling thread. `in_turn`: other threads are answered in an order that is the
    /// same every time, for which they wait.
    pub(super) fn new(run: &Arc<Shared>, in_turn: bool) -> Self {
        Self { run: Arc::downgrade(run), thread: in_turn.then(|| thread::current().id()) }
    }
}

impl Resolve for NamesOf {
    fn resolve(&self, name: &str) -> Resolved {
        let Some(run) = self.run.upgrade() else { return Resolved::Ended };
        if self.thread.is_none_or(|thread| thread == thread::current().id()) {
            return run.lock().resolve(name);
        }
        let (answer, answered) = sync_channel(1);
        run.lock().lookups.push_back(Lookup { name: name.to_owned(), answer });
        run.asked.notify_one();
        // The run may end meanwhile, and then nobody answers.
        drop(run);
        answered.recv().unwrap_or(Resolved::Ended)
    }
}

/// Answers who waits, one at a time, for as long as it is polled.
pub(super) async fn answer(count: TaskCount) {
    let run = &count.0;
    loop {
        run.asked.notified().await;
        loop {
            if run.lock().lookups.is_empty() {
                break;
            }
            let (mut settled, mut quiet) = (run.settled.load(Ordering::Relaxed), 0);
            while quiet < QUIET {
                tokio::task::yield_now().await;
                let now = run.settled.load(Ordering::Relaxed);
                quiet = if std::mem::replace(&mut settled, now) == now { quiet + 1 } else { 0 };
            }
            let mut state = run.lock();
            let Some(lookup) = state.lookups.pop_front() else { break };
            let _ = lookup.answer.send(state.resolve(&lookup.name));
        }
    }
}

/// A name that a Sentinel in real time is told to watch is one of the system's, which is asked as Redis asks it: everybody
/// waits for the answer.
pub(super) fn look_up(world: &mut World, frame: &Frame) {
    let Frame::Command(command) = frame else { return };
    let told = command.len() == 6 && command.is("SENTINEL") && command.0[1].eq_ignore_ascii_case(b"MONITOR");
    let Some(name) = command.0.get(3).filter(|_| told).and_then(|name| std::str::from_utf8(name).ok()) else { return };
    if !name.is_empty()
        && model::hosts::literal(name).is_none()
        && let Some(found) = (name, 0).to_socket_addrs().ok().and_then(|mut found| found.next())
    {
        world.learn_name(name, found.ip());
    }
}
