//! [`Tap`]: what a link has carried of a stream of replication. It reads what passes and asks neither of the nodes, so
//! that the judge can hold their own accounts against it.

use model::history::Position;
use model::{Command, Frame, Reply, RunId, Time};

/// On a link on which a replica has sent `PSYNC`.
#[derive(Debug)]
pub(crate) struct Tap {
    /// Where the replica stands, as it says.
    asked: u64,
    /// The answer; `None` before it, and if there will be no stream.
    pub(crate) stream: Option<Carried>,
}

/// A stream that has begun.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) begun: Time,
    pub(crate) full: bool,
    /// The place that it goes on from.
    from: Position,
    pub(crate) sent: Position,
    /// `None` until the replica has what the stream goes on from.
    pub(crate) received: Option<Position>,
    /// Bytes of a transaction that the replica has received and not applied, since its end is still to come.
    open: Option<u64>,
}

impl Tap {
    /// `command` if it is `PSYNC`.
    pub(crate) fn on(command: &Command) -> Option<Self> {
        let next = || std::str::from_utf8(command.get(2)?).ok()?.parse::<u64>().ok();
        command.is("PSYNC").then(|| Self { asked: next().unwrap_or(0).saturating_sub(1), stream: None })
    }

    /// The master puts `frame` on the link.
    pub(crate) fn sent(&mut self, now: Time, frame: &Frame) {
        match (frame, &mut self.stream) {
            (Frame::Reply(Reply::Simple(text)), None) => {
                let mut words = text.split(' ');
                let (full, id, offset) = match (words.next(), words.next().and_then(RunId::parse)) {
                    (Some("FULLRESYNC"), Some(id)) => (true, id, words.next().and_then(|word| word.parse().ok())),
                    (Some("CONTINUE"), Some(id)) => (false, id, Some(self.asked)),
                    _ => return,
                };
                let Some(offset) = offset else { return };
                let from = Position::new(&id, offset);
                let sent = from.clone();
                self.stream = Some(Carried { begun: now, full, from, sent, received: None, open: None });
            }
            (Frame::Command(command), Some(stream)) => stream.sent.offset += command.encoded_len(),
            _ => {}
        }
    }

    /// The master ends before it has sent `frame`.
    pub(crate) fn unsent(&mut self, frame: &Frame) {
        if let (Frame::Command(command), Some(stream)) = (frame, &mut self.stream) {
            stream.sent.offset -= command.encoded_len();
        }
    }

    /// The replica's process takes `frame` from the link.
    pub(crate) fn received(&mut self, frame: &Frame) {
        let Some(stream) = &mut self.stream else { return };
        match (frame, &mut stream.received) {
            (Frame::Reply(_), None) if !stream.full => stream.received = Some(stream.from.clone()),
            (Frame::Snapshot(_), None) => stream.received = Some(stream.from.clone()),
            (Frame::Command(command), Some(received)) => {
                let length = command.encoded_len();
                match &mut stream.open {
                    Some(open) if command.is("EXEC") => {
                        received.offset += *open + length;
                        stream.open = None;
                    }
                    Some(open) => *open += length,
                    None if command.is("MULTI") => stream.open = Some(length),
                    None => received.offset += length,
                }
            }
            _ => {}
        }
    }
}
