//! Subscribing to events, and `PUBLISH`, by which Sentinels greet each other.

use bytes::Bytes;
use model::{Command, Conn, Frame, Output, Reply, Time};

use super::{Answer, word};
use crate::machine::Sentinel;
use crate::timer::HELLO;

impl Sentinel {
    /// `PUBLISH`: another Sentinel's hello, and nothing else.
    pub(super) fn publish(&mut self, command: &Command, now: Time, out: &mut Vec<Output>) -> Answer {
        if command.0[1] != HELLO.as_bytes() {
            return Err("ERR Only HELLO messages are accepted by Sentinel instances.".into());
        }
        let now = self.clock(now);
        self.hello(&word(command, 2), now, out);
        Ok(Reply::Int(1))
    }

    pub(super) fn subscription(&mut self, conn: Conn, name: &str, command: &Command, out: &mut Vec<Output>) {
        let patterns = name.starts_with('p');
        let session = self.session_mut(conn);
        let set = if patterns { &session.patterns } else { &session.channels };
        let leaving = name.ends_with("unsubscribe");
        let mut topics: Vec<Option<Bytes>> = command.0[1..].iter().cloned().map(Some).collect();
        if leaving && topics.is_empty() {
            topics = set.iter().cloned().map(Some).collect();
            if topics.is_empty() {
                topics.push(None);
            }
        }
        for topic in topics {
            let set = if patterns { &mut session.patterns } else { &mut session.channels };
            if let Some(topic) = &topic {
                if leaving {
                    set.remove(topic);
                } else {
                    set.insert(topic.clone());
                }
            }
            let kind = match name {
                "subscribe" => "subscribe",
                "psubscribe" => "psubscribe",
                "unsubscribe" => "unsubscribe",
                _ => "punsubscribe",
            };
            let count = session.subscriptions() as i64;
            let topic = topic.map_or(Reply::Null, Reply::Bulk);
            let message = Reply::Push(vec![Reply::word(kind), topic, Reply::Int(count)]);
            out.push(Output::Send(conn, Frame::Reply(message)));
        }
    }
}
