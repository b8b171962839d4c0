//! What happens by the clock: the pass of replication once a second, expiry ten times a second, and the ends of waits
//! and pauses. Nothing is done, and no deadline is set, for what is not there.

use std::time::Duration;

use model::{Command, Conn, Output, Time};

use crate::access::Effects;
use crate::client::{Client, ClientType};
use crate::commands::events::Event;
use crate::node::Node;
use crate::replication::replica::LinkState;

const PASS: Duration = Duration::from_secs(1);

impl Node {
    /// Tells the role and dials the master, once, at the first input.
    pub(crate) fn begin(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.begun {
            return;
        }
        self.begun = true;
        self.note_role(out);
        if !self.is_loading(now) {
            self.dial(now, out);
        }
    }

    pub(crate) fn is_loading(&self, now: Time) -> bool {
        self.loading_until.is_some_and(|until| now < until)
    }

    /// Does what is due.
    pub(crate) fn cron(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.asleep.is_some() || self.ended {
            return;
        }
        if self.loading_until.is_some_and(|until| until <= now) {
            self.loading_until = None;
        }
        self.end_waits(now, out);
        if self.pause.is_some_and(|pause| pause.until <= now) {
            self.resume(out);
        }
        if self.expiry_due() <= now {
            self.expire(now, out);
        }
        if self.snapshot_deadline() <= now {
            self.send_snapshots(now, out);
        }
        if self.idle_due() <= now {
            self.close_idle(now, out);
        }
        self.check_shutdown(now, out);
        if self.repl.last_pass + PASS <= now && !self.is_loading(now) {
            let passed = now.since(self.repl.last_pass).as_secs();
            self.repl.last_pass += Duration::from_secs(passed);
            self.repl.passes += passed;
            self.replication_pass(now, passed, out);
        }
    }

    /// `passed` is how many seconds went by since the pass before.
    fn replication_pass(&mut self, now: Time, passed: u64, out: &mut Vec<Output>) {
        if let Some(upstream) = &self.repl.upstream {
            let timed_out = upstream.last_io + self.config.repl_timeout <= now;
            match upstream.state {
                LinkState::Connect => self.dial(now, out),
                LinkState::Connected if timed_out => {
                    self.abandon_link(now, out);
                    self.dial(now, out);
                }
                LinkState::Connected => self.acknowledge(out),
                _ if timed_out => self.abandon_link(now, out),
                _ => {}
            }
        } else {
            let period = self.config.ping_period.as_secs().max(1);
            if self.repl.passes % period < passed && !self.repl.replicas.is_empty() {
                self.feed(Command::of(&["PING"]), out);
            }
        }
        self.drop_silent_replicas(now, out);
        if self.config.min_replicas_to_write > 0 {
            self.count_good_replicas(now);
        }
    }

    /// When the pass of replication has something to do.
    fn next_pass(&self) -> Time {
        let next = self.repl.last_pass + PASS;
        let at_or_after = |time: Time| {
            if time == Time::NEVER {
                return time;
            }
            let late = time.since(next).as_micros().div_ceil(PASS.as_micros()) as u64;
            next + PASS * late as u32
        };
        let mut due = at_or_after(self.silent_replica_deadline());
        if let Some(upstream) = &self.repl.upstream {
            due = due.min(match upstream.state {
                LinkState::Connect | LinkState::Connected => next,
                _ => at_or_after(upstream.last_io + self.config.repl_timeout),
            });
        } else if !self.repl.replicas.is_empty() {
            let period = self.config.ping_period.as_secs().max(1);
            let to_ping = period - self.repl.passes % period;
            due = due.min(self.repl.last_pass + Duration::from_secs(to_ping));
            if self.config.min_replicas_to_write > 0 {
                due = next;
            }
        }
        match self.loading_until {
            Some(until) if due != Time::NEVER => due.max(at_or_after(until)),
            _ => due,
        }
    }

    /// When [`Node::cron`] has something to do.
    pub(crate) fn next_cron(&self) -> Time {
        if !self.begun {
            return self.started;
        }
        let waits = self.blocked.values().map(|blocked| blocked.until).min().unwrap_or(Time::NEVER);
        let pause = self.pause.map_or(Time::NEVER, |pause| pause.until);
        let shutdown = self.shutdown_by.unwrap_or(Time::NEVER);
        let snapshot = self.snapshot_deadline();
        self.next_pass().min(waits).min(pause).min(shutdown).min(snapshot).min(self.expiry_due()).min(self.idle_due())
    }

    /// The next tenth of a second at which a key of a master is over its time.
    fn expiry_due(&self) -> Time {
        if !self.is_master() {
            return Time::NEVER;
        }
        let Some(at) = self.data.first_expiry() else { return Time::NEVER };
        self.next_tenth(self.config.at_unix_millis(at.saturating_add(1)))
    }

    /// The first tenth of a second, counted from the start, that is not before `at`.
    fn next_tenth(&self, at: Time) -> Time {
        let tenth = Duration::from_millis(100).as_micros();
        let passes = at.since(self.started).as_micros().div_ceil(tenth);
        self.started + Duration::from_micros((passes * tenth).min(u128::from(u64::MAX)) as u64)
    }

    /// When a client counts as idle: at the whole second of Unix time after `timeout`. `None` for those that may be, as they
    /// wait or listen.
    fn idle_at(&self, conn: Conn, client: &Client) -> Option<Time> {
        let waits = self.blocked.contains_key(&conn) || self.monitors.contains(&conn);
        if waits || client.kind() != ClientType::Normal {
            return None;
        }
        let second = self.config.unix_millis(client.active_at) / 1_000;
        Some(self.config.at_unix_millis((second + self.config.timeout.as_secs() + 1) * 1_000))
    }

    /// The next tenth of a second at which a client has been idle for longer than `timeout`.
    fn idle_due(&self) -> Time {
        if self.config.timeout.is_zero() {
            return Time::NEVER;
        }
        let first = self.clients.iter().filter_map(|(conn, client)| self.idle_at(*conn, client)).min();
        first.map_or(Time::NEVER, |at| self.next_tenth(at))
    }

    fn close_idle(&mut self, now: Time, out: &mut Vec<Output>) {
        let idle =
            |(conn, client): (&Conn, &Client)| self.idle_at(*conn, client).filter(|at| *at <= now).map(|_| *conn);
        let idle: Vec<Conn> = self.clients.iter().filter_map(idle).collect();
        for conn in idle {
            self.close(now, conn, out);
        }
    }

    /// Deletes every key that is over its time.
    fn expire(&mut self, now: Time, out: &mut Vec<Output>) {
        let unix = self.config.unix_millis(now);
        for db in 0..self.data.0.len() {
            while let Some((at, key)) = self.data.0[db].first_expiry().cloned()
                && at < unix
            {
                self.data.0[db].remove(&key);
                let touched = vec![(db, key.clone())];
                let event = self.notifies().then(|| Event { db, name: "expired", key: key.clone() });
                let events = event.into_iter().collect();
                self.absorb(db, Effects { touched, events, expired: vec![key], ..Effects::default() }, None);
                self.tell_events(out);
                self.propagate(out);
                self.send_invalidations(None, out);
            }
        }
    }
}
