//! [`Wire`]: what a connection is apart from its socket: from bytes to frames and back, within the limits that Redis sets.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use model::{Addr, Frame, Limits, OutputLimit, Reply, Time};

use crate::codec::{Encoder, Incoming, Requests};
use crate::view::View;

/// Bytes of what waits for a client that Redis keeps in a buffer of the connection, and in each piece of what goes beyond it.
const BUFFER: usize = 16 * 1024;

/// Which of the limits on what waits to be written holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Normal,
    Replica,
    Pubsub,
}

/// Whether the client may send large requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Login {
    /// It must authenticate first.
    Needed,
    /// It has tried to; the answer has not come.
    Asked,
    /// Nothing is asked of it, or it has done so.
    Done,
}

/// What arrives.
enum Intake {
    /// Requests of a client.
    Requests(Requests, Login),
    /// What a peer says that a node has dialled.
    Incoming(Incoming),
}

/// A connection cannot go on: a peer breaks the protocol, or a client has sent more than is kept of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

/// The bytes of one connection.
pub(crate) struct Wire {
    view: Arc<View>,
    intake: Intake,
    /// What is not yet written.
    output: BytesMut,
    /// How much of it, from the start, does not count: a snapshot, which Redis does not send from a buffer.
    uncounted: usize,
    limits: Limits,
    class: Class,
    /// Since when more waits than the soft limit.
    over_since: Option<Time>,
    resp3: bool,
}

impl Wire {
    /// A connection that was accepted. `guarded`: the node asks for a password.
    pub(crate) fn accepted(view: Arc<View>, guarded: bool) -> Self {
        let login = if guarded { Login::Needed } else { Login::Done };
        Self::new(view, Intake::Requests(Requests::default(), login))
    }

    /// A connection that a node dialled.
    pub(crate) fn dialled(view: Arc<View>) -> Self {
        Self::new(view, Intake::Incoming(Incoming::default()))
    }

    /// From now on the client sees the cluster so.
    pub(crate) fn set_view(&mut self, view: Arc<View>) {
        self.view = view;
    }

    fn new(view: Arc<View>, intake: Intake) -> Self {
        let output = BytesMut::new();
        let (limits, class) = (Limits::default(), Class::Normal);
        Self { view, intake, output, uncounted: 0, limits, class, over_since: None, resp3: false }
    }

    /// Where arriving bytes are appended.
    pub(crate) fn input(&mut self) -> &mut BytesMut {
        match &mut self.intake {
            Intake::Requests(requests, _) => &mut requests.buffer,
            Intake::Incoming(incoming) => incoming.buffer(),
        }
    }

    /// The next frame that has arrived, with the addresses of the world.
    pub(crate) fn next_frame(&mut self) -> Result<Option<Frame>, Broken> {
        let frame = match &mut self.intake {
            Intake::Requests(requests, login) => match requests.next(*login == Login::Needed, self.limits.bulk) {
                Ok(Some(mut command)) => {
                    if *login == Login::Needed && (command.is("AUTH") || command.is("HELLO")) {
                        *login = Login::Asked;
                    }
                    self.view.translate_command(&mut command);
                    Ok(Some(Frame::Command(command)))
                }
                Ok(None) => Ok(None),
                Err(error) => Ok(Some(Frame::Malformed(error.to_string().into()))),
            },
            Intake::Incoming(incoming) => incoming.next().map_err(|_| Broken),
        };
        match frame {
            Ok(None) if self.input().len() as u64 > self.limits.query_buffer => Err(Broken),
            frame => frame,
        }
    }

    /// True if how the next request is read depends on what is answered to the last.
    pub(crate) fn awaits_answer(&self) -> bool {
        matches!(self.intake, Intake::Requests(_, Login::Asked | Login::Needed))
    }

    /// From here on replies are encoded in RESP3, or RESP2.
    pub(crate) fn set_protocol(&mut self, version: u8) {
        self.resp3 = version == 3;
    }

    /// From here on these limits hold.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Bytes that wait to be written, as Redis counts them: the buffer of the connection is none of them.
    fn waiting(&self) -> usize {
        let waiting = self.output.len() - self.uncounted;
        match self.class {
            Class::Replica => waiting,
            Class::Normal | Class::Pubsub => waiting.saturating_sub(BUFFER).next_multiple_of(BUFFER),
        }
    }

    /// Hard and soft, in bytes that wait to be written.
    fn bounds(&self) -> (usize, usize) {
        let limit = self.limit();
        let bound = |bytes: u64| if bytes == 0 { usize::MAX } else { usize::try_from(bytes).unwrap_or(usize::MAX) };
        (bound(limit.hard), bound(limit.soft))
    }

    fn limit(&self) -> OutputLimit {
        match self.class {
            Class::Normal => self.limits.normal,
            Class::Replica => self.limits.replica,
            Class::Pubsub => self.limits.pubsub,
        }
    }

    /// Encodes a frame; false if more waits now than may: then the connection is to be closed, and nothing is left to write.
    pub(crate) fn send(&mut self, now: Time, frame: &Frame) -> bool {
        match frame {
            Frame::Reply(reply) => {
                if let Intake::Requests(_, login @ Login::Asked) = &mut self.intake {
                    *login = if matches!(reply, Reply::Error(_)) { Login::Needed } else { Login::Done };
                }
                if let Some(class) = class_after(reply) {
                    self.class = class;
                }
                match as_redis_says(reply) {
                    Some(reply) => self.encode(&reply),
                    None => self.encode(reply),
                }
            }
            Frame::Command(command) => self.encoder().command(command),
            Frame::Snapshot(file) => {
                self.encoder().snapshot(file);
                self.uncounted = self.output.len();
            }
            // Only clients can say that.
            Frame::Malformed(_) => {}
        }
        let waiting = self.waiting();
        let (hard, soft) = self.bounds();
        if waiting < soft && waiting < hard {
            self.over_since = None;
            return true;
        }
        let lasts = waiting >= soft && now >= *self.over_since.get_or_insert(now) + self.patience();
        let within = waiting < hard && !lasts;
        if !within {
            self.give_up();
        }
        within
    }

    /// When the connection is to be closed if no less waits then; `None` if no limit is passed.
    pub(crate) fn overdue_at(&self) -> Option<Time> {
        self.over_since.map(|since| since + self.patience())
    }

    /// Redis counts whole seconds of its clock, and wants more of them than the limit says.
    fn patience(&self) -> Duration {
        self.limit().lasting + Duration::from_secs(1)
    }

    /// Drops what waits.
    pub(crate) fn give_up(&mut self) {
        self.output.clear();
        self.uncounted = 0;
        self.over_since = None;
    }

    /// What is to be written.
    pub(crate) fn output(&self) -> &[u8] {
        &self.output
    }

    /// So much of it was written.
    pub(crate) fn written(&mut self, bytes: usize) {
        self.output.advance(bytes);
        self.uncounted = self.uncounted.saturating_sub(bytes);
        if self.waiting() < self.bounds().1 {
            self.over_since = None;
        }
    }

    fn encode(&mut self, reply: &Reply) {
        let view = Arc::clone(&self.view);
        let reply = view.translate_reply(reply);
        self.encoder().reply(&reply);
    }

    fn encoder(&mut self) -> Encoder<'_, impl FnMut(&Addr) -> Addr + '_> {
        let view = &self.view;
        Encoder { out: &mut self.output, resp3: self.resp3, address: |addr: &Addr| view.real(addr) }
    }
}

/// The class of the client from this reply on; `None` if it changes nothing. What kind of client somebody is can be told from
/// what the node says: whoever hears that it is subscribed is a subscriber, whoever is sent the stream is a replica.
fn class_after(reply: &Reply) -> Option<Class> {
    match reply {
        Reply::Push(items) => match (items.first(), items.last()) {
            (Some(Reply::Bulk(kind)), count) => match &kind[..] {
                b"subscribe" | b"psubscribe" | b"ssubscribe" => Some(Class::Pubsub),
                b"unsubscribe" | b"punsubscribe" | b"sunsubscribe" if count == Some(&Reply::Int(0)) => {
                    Some(Class::Normal)
                }
                _ => None,
            },
            _ => None,
        },
        Reply::Simple(text) if text.starts_with("FULLRESYNC ") || text.starts_with("CONTINUE") => Some(Class::Replica),
        Reply::Simple(text) if *text == "RESET" => Some(Class::Normal),
        _ => None,
    }
}

/// What a replica outside is told when it may go on: the nodes of a world hand each other more about their history than
/// Redis does, which would not take the id then. `None` for every other reply.
fn as_redis_says(reply: &Reply) -> Option<Reply> {
    const LEN: usize = "CONTINUE ".len() + 40;
    match reply {
        Reply::Simple(text) if text.len() > LEN && text.starts_with("CONTINUE ") => {
            text.get(..LEN).map(|answer| Reply::Simple(answer.to_owned().into()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    const MIB: usize = 1024 * 1024;

    fn subscribed() -> Wire {
        let mut wire = Wire::accepted(Arc::default(), false);
        let hello = [Reply::word("subscribe"), Reply::word("news"), Reply::Int(1)];
        assert!(wire.send(Time::ZERO, &Frame::Reply(Reply::Push(hello.to_vec()))));
        wire
    }

    fn message(bytes: usize) -> Frame {
        Frame::Reply(Reply::Push(vec![Reply::word("message"), Reply::word("news"), Reply::bulk(vec![b'x'; bytes])]))
    }

    #[test]
    fn the_hard_limit_closes_at_once() {
        let mut wire = subscribed();
        assert!(wire.send(Time::ZERO, &message(31 * MIB)));
        assert!(!wire.send(Time::ZERO, &message(MIB)));
        assert!(wire.output().is_empty());
    }

    #[test]
    fn the_soft_limit_closes_after_its_time() {
        let mut wire = subscribed();
        assert!(wire.send(Time::from_millis(5_000), &message(8 * MIB)));
        assert_eq!(wire.overdue_at(), Some(Time::from_millis(66_000)));
        assert!(wire.send(Time::from_millis(65_999), &message(1)));
        // It reads enough, so that the time counts anew.
        wire.written(MIB);
        assert_eq!(wire.overdue_at(), None);
        assert!(wire.send(Time::from_millis(66_000), &message(2 * MIB)));
        assert!(!wire.send(Time::from_millis(127_000), &message(1)));
    }

    #[test]
    fn others_have_none_and_replicas_their_own() {
        let mut wire = Wire::accepted(Arc::default(), false);
        assert!(wire.send(Time::ZERO, &Frame::Reply(Reply::bulk(vec![b'x'; 300 * MIB]))));
        assert_eq!(wire.overdue_at(), None);
        let mut wire = Wire::accepted(Arc::default(), false);
        assert!(wire.send(Time::ZERO, &Frame::Reply(Reply::Simple(format!("FULLRESYNC {} 0", "a".repeat(40)).into()))));
        assert!(wire.send(Time::ZERO, &Frame::Snapshot(Bytes::from(vec![0; 260 * MIB]))));
        assert_eq!(wire.overdue_at(), None, "a snapshot does not count");
        let command = model::Command::of(&["SET", "k"]).arg(vec![b'x'; 64 * MIB]);
        assert!(wire.send(Time::ZERO, &Frame::Command(command.clone())));
        assert_eq!(wire.overdue_at(), Some(Time::from_millis(61_000)));
        wire.written(260 * MIB);
        for _ in 0..2 {
            assert!(wire.send(Time::ZERO, &Frame::Command(command.clone())));
        }
        assert!(!wire.send(Time::ZERO, &Frame::Command(command)));
    }

    #[test]
    fn input_that_is_never_understood_is_limited() {
        let mut wire = Wire::accepted(Arc::default(), false);
        // Words of a request that is not complete: what was understood does not wait.
        wire.input().extend_from_slice(b"*2\r\n$3\r\nSET\r\n$536870912\r\n");
        wire.input().resize(300 * MIB, 0);
        assert_eq!(wire.next_frame(), Ok(None));
    }
}
