//! Observes a real cluster, from outside, as a client could: a subscription to every event of every Sentinel, and every
//! Sentinel's answer and every data node's role, asked every few milliseconds.
//!
//! One thread each, so that a process that does not answer holds up nobody else. A connection that is lost is made anew.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use std::{io, thread};

use model::history::What;
use model::{NodeId, Reply};
use real::{Dial, RealCluster, RealError, Talk};

use crate::live::Names;

/// How often answers and roles are asked for: the coarseness of what is known of them.
pub(crate) const ASK_EVERY: Duration = Duration::from_millis(10);
/// How long a thread waits for anything before it looks whether it is to stop.
const PATIENCE: Duration = Duration::from_millis(200);

/// The threads that observe a cluster. They end when this is dropped.
pub(crate) struct Watch {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// What they see, with the moment of its arrival.
    pub(crate) seen: Receiver<(Instant, What)>,
}

impl Watch {
    /// Begins to observe.
    pub(crate) fn begin(cluster: &RealCluster, names: &Arc<Names>) -> Result<Self, RealError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, seen) = channel();
        let mut watch = Self { stop, threads: Vec::new(), seen };
        for (node, process) in cluster.nodes() {
            let eye = || Eye { node, dial: process.dial(), names: Arc::clone(names), told: told.clone() };
            if node.is_sentinel() {
                watch.look(eye(), Eye::events)?;
                watch.look(eye(), Eye::answers)?;
            } else {
                watch.look(eye(), Eye::roles)?;
            }
        }
        Ok(watch)
    }

    fn look(&mut self, eye: Eye, with: fn(&Eye, &AtomicBool) -> io::Result<()>) -> Result<(), RealError> {
        let stop = Arc::clone(&self.stop);
        let body = move || {
            while !stop.load(Ordering::Relaxed) {
                // Whatever went wrong, the node is down or dropped the connection: try again.
                let _ = with(&eye, &stop);
                thread::sleep(ASK_EVERY);
            }
        };
        let thread = thread::Builder::new().name("watch".into()).stack_size(128 << 10).spawn(body);
        self.threads.push(thread.map_err(RealError::Prepare)?);
        Ok(())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// One thread's look at one node.
struct Eye {
    node: NodeId,
    dial: Dial,
    names: Arc<Names>,
    told: Sender<(Instant, What)>,
}

impl Eye {
    fn tell(&self, what: What) {
        // Nobody listens any more at the end of a run.
        let _ = self.told.send((Instant::now(), what));
    }

    fn connect(&self) -> io::Result<Talk> {
        self.dial.connect(PATIENCE)
    }

    /// `PSUBSCRIBE *` until the connection is lost.
    fn events(&self, stop: &AtomicBool) -> io::Result<()> {
        let mut talk = self.connect()?;
        talk.send(&["PSUBSCRIBE", "*"])?;
        while !stop.load(Ordering::Relaxed) {
            let message = match talk.receive(PATIENCE) {
                Ok(message) => message,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => continue,
                Err(error) => return Err(error),
            };
            let [kind, _, channel, payload] = message.as_array().unwrap_or_default() else { continue };
            if kind.as_text().as_deref() != Some("pmessage") {
                continue;
            }
            let (Some(channel), Some(payload)) = (channel.as_text(), payload.as_text()) else { continue };
            if let Ok(event) = channel.parse() {
                let payload = self.names.in_world(&payload);
                self.tell(What::Event { node: self.node, event, payload });
            }
        }
        Ok(())
    }

    /// `GET-MASTER-ADDR-BY-NAME`, again and again; only changes are told.
    fn answers(&self, stop: &AtomicBool) -> io::Result<()> {
        let question = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", &self.names.master];
        self.changes(stop, &question, |reply| {
            let [host, port] = reply.as_array()? else { return None };
            let addr = self.names.node(&host.as_text()?, port.as_text()?.parse().ok()?)?;
            Some(What::Answer { node: self.node, master: self.names.master.clone(), addr })
        })
    }

    /// `ROLE`, again and again; only changes are told.
    fn roles(&self, stop: &AtomicBool) -> io::Result<()> {
        self.changes(stop, &["ROLE"], |reply| {
            let reply = reply.as_array()?;
            match &*reply.first()?.as_text()? {
                "master" => Some(What::Role { node: self.node, of: None }),
                "slave" => {
                    let port = u16::try_from(reply.get(2)?.as_int()?).ok()?;
                    let of = self.names.node(&reply.get(1)?.as_text()?, port)?;
                    Some(What::Role { node: self.node, of: Some(of) })
                }
                _ => None,
            }
        })
    }

    fn changes(&self, stop: &AtomicBool, question: &[&str], read: impl Fn(&Reply) -> Option<What>) -> io::Result<()> {
        let mut talk = self.connect()?;
        let mut before = None;
        while !stop.load(Ordering::Relaxed) {
            let asked = Instant::now();
            talk.send(question)?;
            // A reply that is late is waited for: asking again would only add to what a frozen process has to read.
            let reply = loop {
                match talk.receive(PATIENCE) {
                    Err(error) if error.kind() == io::ErrorKind::TimedOut && !stop.load(Ordering::Relaxed) => {}
                    other => break other?,
                }
            };
            if let Some(what) = read(&reply)
                && before.as_ref() != Some(&what)
            {
                self.tell(what.clone());
                before = Some(what);
            }
            thread::sleep(ASK_EVERY.saturating_sub(asked.elapsed()));
        }
        Ok(())
    }
}
