//! A script that may take long runs on a thread of its own, so that it can be left where it stands, whatever it is in the
//! middle of, and go on later. The two threads never run at the same time: the script's waits for an answer, or the node waits for the next
//! question; so nothing depends on how the system shares out its time.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use model::Reply;

use super::{Ended, Program, Steps};

/// What a script asks of the node.
#[derive(Debug)]
pub(crate) enum Ask {
    /// `redis.call` and `redis.pcall`; true if the script wants the reply in version 3 of the protocol
    Call(Vec<Bytes>, bool),
    /// `redis.acl_check_cmd`
    MayRun(Vec<Bytes>),
    /// Whether it may go on after so many steps of this kind; an error ends it.
    GoOn(Steps),
    /// It has ended with this reply, and asks nothing.
    Ended(Ended),
}

/// The script's end.
struct Line {
    asks: Sender<Ask>,
    answers: Mutex<Receiver<Reply>>,
}

impl Line {
    /// Waits for an answer, which is an error if the node is gone.
    fn ask(&self, ask: Ask) -> Reply {
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = self.asks.send(ask).ok().and_then(|()| answers.recv().ok());
        answer.unwrap_or_else(|| Reply::error("ERR the node has ended"))
    }
}

/// The node's end. The script ends at its next question if this is dropped.
#[derive(Debug)]
pub(crate) struct Thread {
    asks: Receiver<Ask>,
    answers: Sender<Reply>,
}

impl Thread {
    /// Begins to run a script.
    pub(crate) fn start(program: Program) -> io::Result<Self> {
        let (asked, asks) = channel();
        let (answers, answered) = channel();
        let line = Arc::new(Line { asks: asked, answers: Mutex::new(answered) });
        std::thread::Builder::new().name("script".to_owned()).spawn(move || {
            let looks = Arc::clone(&line);
            let go_on = move |steps| !matches!(looks.ask(Ask::GoOn(steps)), Reply::Error(_));
            let ended = program.run(&mut |ask| line.ask(ask), go_on);
            // Nobody waits for it if the node has ended.
            let _ = line.asks.send(Ask::Ended(ended));
        })?;
        Ok(Self { asks, answers })
    }

    /// Waits for what it asks next.
    pub(crate) fn next(&self) -> Ask {
        self.asks.recv().unwrap_or_else(|_| Ask::Ended(Ended::failed("ERR the script's thread has ended")))
    }

    /// Answers what it asked last, and so lets it run.
    pub(crate) fn answer(&self, reply: Reply) {
        // A script that has ended waits for no answer.
        let _ = self.answers.send(reply);
    }
}
