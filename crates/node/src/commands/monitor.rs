//! `MONITOR`: connections that are told of every command.

use model::{Addr, Command, Conn, Output, Reply, Text, Time, words};

use crate::client::Client;
use crate::dispatch::{Answer, Call, OK, Outcome};
use crate::node::Node;
use crate::table::{Spec, flag};

pub(crate) fn monitor(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    // Redis says nothing to whoever listens already.
    if node.monitors.contains(&call.conn) {
        return Ok(Answer::Silent);
    }
    node.monitors.push(call.conn);
    OK
}

impl Node {
    /// Tells those who listen of a command that has run, unless they are told of it otherwise or must not know.
    pub(crate) fn tell_monitors_of(
        &mut self,
        now: Time,
        conn: Conn,
        spec: &Spec,
        command: &Command,
        out: &mut Vec<Output>,
    ) {
        if !spec.has(flag::SKIP_MONITOR | flag::ADMIN) && !self.is_loading(now) {
            self.tell_monitors(now, conn, command, false, out);
        }
    }

    /// Tells those who listen of a command of a client, or of a script that the client runs.
    pub(crate) fn tell_monitors(&mut self, now: Time, conn: Conn, command: &Command, lua: bool, out: &mut Vec<Output>) {
        if self.monitors.is_empty() {
            return;
        }
        let Some(Client { db, from, .. }) = self.clients.get(&conn) else { return };
        let (db, from) = (*db, (!lua).then(|| from.clone()));
        self.show_to_monitors(now, db, from.as_ref(), command, out);
    }

    /// `+1704067200.000000 [0 127.0.0.1:60866] "SET" "k" "v"`, from nobody, which is a script, `[0 lua]`.
    pub(crate) fn show_to_monitors(
        &mut self,
        now: Time,
        db: usize,
        from: Option<&Addr>,
        command: &Command,
        out: &mut Vec<Output>,
    ) {
        let micros = self.config.unix_micros(now);
        let line = Text::from(format!("{}.{:06} [{db} ", micros / 1_000_000, micros % 1_000_000));
        let line = match from {
            Some(from) => line.host_port(from),
            None => line.str("lua"),
        };
        // What somebody logs in with is for nobody else.
        let secret = |index: usize| match () {
            () if command.is("AUTH") => index > 0,
            () if command.is("HELLO") && index > 2 => {
                // Redis reads no further when it does not take the version.
                let version = &command.0[1][..];
                [b"2", b"3"].contains(&version.try_into().unwrap_or(b"0"))
                    && command.0[2..index].iter().rev().take(2).any(|word| word.eq_ignore_ascii_case(b"AUTH"))
            }
            () => false,
        };
        let word = |(index, word): (usize, &bytes::Bytes)| {
            if secret(index) { "\"(redacted)\"".to_owned() } else { words::quote(word) }
        };
        let shown: Vec<String> = command.0.iter().enumerate().map(word).collect();
        let line = Reply::Status(line.str(format!("] {}", shown.join(" "))));
        for listener in self.monitors.clone() {
            if self.clients.get(&listener).is_some_and(|client| client.replies.heard()) {
                self.say(listener, line.clone(), out);
            }
        }
    }
}
