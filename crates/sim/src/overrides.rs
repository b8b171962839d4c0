//! Overrides: how a Sentinel is made to answer its clients otherwise than it knows.
//!
//! The machine handles every command as always; the world then rewrites, delays or drops what goes to the client. So
//! the cluster is not affected, and a client that may not ask is still refused.

use std::time::Duration;

use model::addr::Part;
use model::machine::{Conn, Input, Output};
use model::{Addr, Command, Frame, Reply, Text, Time};
use sentinel::Sentinel;

use crate::queue::Event;
use crate::world::World;

/// One way to answer otherwise.
pub(crate) enum Override {
    /// As this copy of the machine, which has stood still since.
    Stale(Box<Stale>),
    /// No such master.
    Null,
    /// This error, to `SENTINEL` commands.
    Error(String),
    /// The truth, late.
    Slow(Duration),
    /// This address in place of the master's.
    WrongAddress {
        /// The group that the address belongs to.
        master: String,
        wrong: Addr,
    },
    /// `+switch-master` is kept from clients.
    NoSwitchEvent,
    /// `+switch-master` comes later.
    LateSwitchEvent(Duration),
}

/// A Sentinel as it was.
pub(crate) struct Stale {
    machine: Sentinel,
    at: Time,
    conn: Conn,
}

impl Stale {
    /// Copies a machine at this moment, and logs in to it.
    pub(crate) fn new(machine: Sentinel, at: Time, auth: Option<Command>) -> Self {
        let mut stale = Self { machine, at, conn: Conn::inbound(u64::MAX) };
        stale.machine.handle(at, Input::Accepted(stale.conn, Addr::new("127.0.0.1", 1)), &mut Vec::new());
        if let Some(auth) = auth {
            stale.ask(auth);
        }
        stale
    }

    fn ask(&mut self, command: Command) -> Option<Reply> {
        let mut out = Vec::new();
        self.machine.handle(self.at, Input::Received(self.conn, Frame::Command(command)), &mut out);
        out.into_iter().find_map(|output| match output {
            Output::Send(conn, Frame::Reply(reply)) if conn == self.conn => Some(reply),
            _ => None,
        })
    }
}

impl Override {
    /// Changes the reply of `sentinel` to a command, whose upper-case name with subcommand is `name`.
    pub(crate) fn rewrite(&mut self, sentinel: &Sentinel, command: &Command, name: &str, reply: &mut Reply) {
        if matches!(reply.error_code(), Some("NOAUTH" | "NOPERM")) {
            return;
        }
        match self {
            Self::Stale(stale) => {
                if is_query(name)
                    && let Some(answer) = stale.ask(command.clone())
                {
                    *reply = answer;
                }
            }
            Self::Null => {
                if let Some(answer) = unknown_master(name) {
                    *reply = answer;
                }
            }
            Self::Error(text) => {
                if command.is("SENTINEL") {
                    *reply = Reply::error(text.clone());
                }
            }
            Self::WrongAddress { master, wrong } => {
                if let Some(right) = sentinel.told_addr(master) {
                    replace(reply, &right, wrong);
                }
            }
            Self::Slow(_) | Self::NoSwitchEvent | Self::LateSwitchEvent(_) => {}
        }
    }
}

/// True for commands that ask a Sentinel what it knows about masters.
fn is_query(name: &str) -> bool {
    matches!(name, "INFO" | "SENTINEL MASTERS" | "SENTINEL GET-MASTER-ADDR-BY-NAME") || is_about_one_master(name)
}

fn is_about_one_master(name: &str) -> bool {
    let Some(subcommand) = name.strip_prefix("SENTINEL ") else { return false };
    matches!(subcommand, "MASTER" | "REPLICAS" | "SLAVES" | "SENTINELS" | "CKQUORUM")
}

/// What a Sentinel answers that watches no master of the name asked for; `None` if the command does not ask.
fn unknown_master(name: &str) -> Option<Reply> {
    match name {
        "SENTINEL GET-MASTER-ADDR-BY-NAME" => Some(Reply::NullArray),
        "SENTINEL MASTERS" => Some(Reply::Array(Vec::new())),
        name if is_about_one_master(name) => Some(Reply::error("ERR No such master with that name")),
        _ => None,
    }
}

/// Puts the address `to` in the place of `from`, wherever the reply gives it as an address.
fn replace(reply: &mut Reply, from: &Addr, to: &Addr) {
    match reply {
        Reply::Text(Text(parts)) => {
            for part in parts {
                if let Part::Host(addr) | Part::Port(addr) | Part::HostPort(addr) = part
                    && addr == from
                {
                    *addr = to.clone();
                }
            }
        }
        Reply::Array(items) | Reply::Set(items) => items.iter_mut().for_each(|item| replace(item, from, to)),
        Reply::Map(entries) => entries.iter_mut().for_each(|(_, value)| replace(value, from, to)),
        _ => {}
    }
}

/// True for a message on the channel `+switch-master`.
fn is_switch(reply: &Reply) -> bool {
    let Reply::Push(items) = reply else { return false };
    let text = |index: usize| items.get(index).and_then(Reply::as_text);
    let channel = match text(0).as_deref() {
        Some("message") => text(1),
        Some("pmessage") => text(2),
        _ => None,
    };
    channel.as_deref() == Some("+switch-master")
}

impl World {
    /// How long a frame to a client is held back; `None` if it does not go out now.
    pub(crate) fn hold_back(&mut self, node: usize, link: usize, frame: &Frame) -> Option<Duration> {
        let Frame::Reply(reply) = frame else { return Some(Duration::ZERO) };
        let (push, switch) = (matches!(reply, Reply::Push(_)), is_switch(reply));
        let mut delay = Duration::ZERO;
        let mut late = None;
        for (_, answer) in &self.nodes[node].overrides {
            match answer {
                Override::Slow(by) if !push => delay += *by,
                Override::NoSwitchEvent if switch => return None,
                Override::LateSwitchEvent(by) if switch => late = Some(*by),
                _ => {}
            }
        }
        let Some(by) = late else { return Some(delay) };
        self.held += 1;
        self.late.insert(self.held, (link, reply.clone()));
        self.queue.put(self.now + by, Event::Late(self.held));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_master_is_null_or_an_error() {
        assert_eq!(unknown_master("SENTINEL GET-MASTER-ADDR-BY-NAME"), Some(Reply::NullArray));
        assert_eq!(unknown_master("SENTINEL MASTERS"), Some(Reply::Array(Vec::new())));
        assert_eq!(unknown_master("SENTINEL SLAVES").as_ref().and_then(Reply::error_code), Some("ERR"));
        assert_eq!(unknown_master("SENTINEL MYID"), None);
        assert_eq!(unknown_master("PING"), None);
    }

    #[test]
    fn only_the_one_address_is_replaced() {
        let [right, other, wrong] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].map(|host| Addr::new(host, 6379));
        let pair = |addr: &Addr| Reply::Array(vec![Reply::host(addr), Reply::port(addr)]);
        let reply = |addr: &Addr| {
            let name = Reply::Text(Text::new().host_port(addr));
            Reply::Map(vec![(Reply::word("a"), pair(addr)), (Reply::word("b"), pair(&other)), (Reply::word("c"), name)])
        };
        let mut changed = reply(&right);
        replace(&mut changed, &right, &wrong);
        assert_eq!(changed, reply(&wrong));
    }

    #[test]
    fn switch_messages_are_known_by_their_channel() {
        let push = |words: &[&'static str]| Reply::Push(words.iter().map(|word| Reply::word(word)).collect());
        for (words, expected) in [
            (&["message", "+switch-master", "m 1 2 3 4"][..], true),
            (&["pmessage", "*", "+switch-master", "m 1 2 3 4"], true),
            (&["pmessage", "+switch-master", "+sdown", "x"], false),
            (&["subscribe", "+switch-master"], false),
        ] {
            assert_eq!(is_switch(&push(words)), expected, "{words:?}");
        }
    }
}
