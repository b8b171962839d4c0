//! A pass of Sentinel's timer: the order of things is Redis's.

use bytes::Bytes;
use model::{Command, Conn, EventName, Frame, Output, Text};

use crate::Ms;
use crate::down::{Limits, Signs, objectively_down, subjectively_down};
use crate::instance::{FailoverState, Role, Who};
use crate::link::{Lane, Pending};
use crate::machine::Sentinel;

/// Commands that may wait for a reply on one link, per instance that shares it.
const MAX_PENDING: usize = 100;

/// The channel on which Sentinels meet.
pub(crate) const HELLO: &str = "__sentinel__:hello";

/// Has whoever is asked for `INFO` answer after those who are not: Redis writes what a pass has queued when it is over, and
/// a data node takes longer to build its `INFO` than a Sentinel to take a hello. So when a hello falls to the pass whose
/// `INFO` shows the promotion, its reply, which counts as the last hello, comes before the new configuration is to be told.
fn info_last(out: &mut [Output]) {
    let asked = |output: &Output| match output {
        Output::Send(conn, Frame::Command(command)) if command.name().eq_ignore_ascii_case(b"INFO") => Some(*conn),
        _ => None,
    };
    let asked: Vec<Conn> = out.iter().filter_map(asked).collect();
    if !asked.is_empty() {
        out.sort_by_key(|output| matches!(output, Output::Send(conn, _) if asked.contains(conn)));
    }
}

impl Sentinel {
    /// One pass, `delta` milliseconds after the one before.
    pub(crate) fn timer(&mut self, now: Ms, delta: Ms, out: &mut Vec<Output>) {
        if delta < 0 || delta > self.periods.tilt_trigger {
            self.tilt_since = Some(now);
            self.emit_globally((EventName::Tilt, Text::from("#tilt mode entered")), out);
        }
        let begin = out.len();
        let mut switch = None;
        for m in 0..self.masters.len() {
            self.instance_pass(Who::Master(m), now, out);
            for r in 0..self.masters[m].replicas.len() {
                self.instance_pass(Who::Replica(m, r), now, out);
            }
            for p in 0..self.masters[m].peers.len() {
                self.instance_pass(Who::Peer(m, p), now, out);
            }
            if self.masters[m].state == FailoverState::UpdateConfig {
                switch = Some(m);
            }
        }
        info_last(&mut out[begin..]);
        // Redis switches one master a pass.
        if let Some(m) = switch {
            self.switch_to_promoted(m, now, out);
        }
        self.scripts.pass(now, out);
    }

    /// A time before which no pass has anything to do, if nothing comes; the present, or any time before it, while that cannot
    /// be told. What merely confirms that all is well puts it off, if anything.
    pub(crate) fn idle_until(&self) -> Ms {
        if self.tilt_since.is_some() || !self.scripts.is_idle() {
            return Ms::MIN;
        }
        let mut until = Ms::MAX;
        for (m, master) in self.masters.iter().enumerate() {
            if master.base.s_down
                || master.o_down
                || master.state != FailoverState::None
                || master.report.role == Role::Slave
                || master.rebooted_since != 0
                || master.peers.iter().any(|peer| peer.finds_down || peer.leader.is_some())
            {
                return Ms::MIN;
            }
            let replicas = (0..master.replicas.len()).map(|r| Who::Replica(m, r));
            let peers = (0..master.peers.len()).map(|p| Who::Peer(m, p));
            let all = std::iter::once(Who::Master(m)).chain(replicas).chain(peers);
            until = all.map(|who| self.instance_idle_until(who)).fold(until, Ms::min);
        }
        until
    }

    fn instance_idle_until(&self, who: Who) -> Ms {
        let (periods, down_after) = (&self.periods, self.masters[who.master()].down_after());
        let instance = self.instance(who);
        let link = self.links.get(instance.link);
        let mut until = Ms::MAX;
        let mut not_before = |at: Ms| until = until.min(at);
        if link.disconnected {
            not_before(link.last_reconnect + periods.ping);
        } else {
            let period = down_after.min(periods.ping);
            not_before((link.last_pong + period).max(link.last_ping + period / 2) + 1);
            not_before(instance.last_publish + periods.publish + 1);
            if let Some((asked, period)) = self.info_period(who) {
                not_before(asked + period + 1);
            }
        }
        if link.has_commands() && link.waiting_since != 0 {
            not_before(link.waiting_since + down_after / 2 + 1);
        }
        if link.has_pubsub() {
            not_before(link.pubsub_activity + periods.publish * 3 + 1);
        }
        if !instance.s_down {
            let silent_since = if link.waiting_since != 0 { link.waiting_since } else { link.last_available };
            not_before(silent_since + down_after + 1);
        }
        until
    }

    fn instance_pass(&mut self, who: Who, now: Ms, out: &mut Vec<Output>) {
        self.reconnect(who, now, out);
        self.periodic(who, now, out);
        if let Some(since) = self.tilt_since {
            if now - since < self.periods.tilt {
                return;
            }
            self.tilt_since = None;
            self.emit_globally((EventName::TiltEnd, Text::from("#tilt mode exited")), out);
        }
        self.check_subjectively_down(who, now, out);
        if let Who::Master(m) = who {
            self.check_objectively_down(m, now, out);
            if self.start_failover_if_needed(m, now, out) {
                self.ask_others(m, true, now, out);
            }
            self.failover_step(m, now, out);
            self.ask_others(m, false, now, out);
        }
    }

    fn reconnect(&mut self, who: Who, now: Ms, out: &mut Vec<Output>) {
        let instance = self.instance(who);
        let (id, port) = (instance.link, instance.place.port);
        let link = self.links.get_mut(id);
        if !link.disconnected || port == 0 || now - link.last_reconnect < self.periods.ping {
            return;
        }
        link.last_reconnect = now;
        let needs_commands = !link.has_commands();
        let needs_pubsub = !link.has_pubsub() && !matches!(who, Who::Peer(..));
        // A name may have come to stand for another address.
        if needs_commands
            && self.settings.resolve_hostnames
            && let Some(place) = self.resolver().place(&self.instance(who).place.shown(true))
        {
            self.instance_mut(who).place = place;
        }
        let addr = self.instance(who).place.addr();
        if addr.host.is_empty() {
            return;
        }
        if needs_commands {
            self.links.open(id, Lane::Commands, &addr, now, out);
            let greeting = self.greeting(who, "cmd");
            let link = self.links.get_mut(id);
            for command in greeting {
                link.send(command, Pending::Nothing, out);
            }
            self.send_ping(who, now, out);
        }
        if needs_pubsub {
            self.links.open(id, Lane::PubSub, &addr, now, out);
            let greeting = self.greeting(who, "pubsub");
            let subscribe = self.masters[who.master()].config.command("SUBSCRIBE").arg(HELLO);
            let link = self.links.get_mut(id);
            for command in greeting {
                link.send_pubsub(command, out);
            }
            link.send_pubsub(subscribe, out);
        }
        let link = self.links.get_mut(id);
        if link.has_commands() && (matches!(who, Who::Peer(..)) || link.has_pubsub()) {
            link.disconnected = false;
        }
    }

    /// What is sent first on a new connection: credentials, if there are any, and a name.
    fn greeting(&self, who: Who, kind: &str) -> Vec<Command> {
        let auth = match who {
            Who::Peer(..) => {
                let settings = &self.settings;
                let user = Some(settings.sentinel_user.clone()).filter(|user| !user.is_empty());
                match (settings.sentinel_pass.is_empty(), settings.requirepass.is_empty()) {
                    (false, _) => Some((user, settings.sentinel_pass.clone())),
                    (true, false) => Some((None, settings.requirepass.clone())),
                    (true, true) => None,
                }
            }
            Who::Master(m) | Who::Replica(m, _) => {
                let auth = self.masters[m].config.auth.as_ref();
                auth.map(|auth| (auth.user.clone(), auth.password.clone()))
            }
        };
        let monitor = &self.masters[who.master()].config;
        let mut commands = Vec::with_capacity(2);
        if let Some((user, password)) = auth {
            let command = monitor.command("AUTH");
            let command = match user {
                Some(user) => command.arg(user),
                None => command,
            };
            commands.push(command.arg(password));
        }
        let name = format!("sentinel-{}-{kind}", &self.id.as_str()[..8]);
        commands.push(monitor.command("CLIENT").arg("SETNAME").arg(name));
        commands
    }

    fn send_ping(&mut self, who: Who, now: Ms, out: &mut Vec<Output>) {
        let ping = self.masters[who.master()].config.command("PING");
        let link = self.link_mut(who);
        if link.send(ping, Pending::Ping, out) {
            link.last_ping = now;
            if link.waiting_since == 0 {
                link.waiting_since = now;
            }
        }
    }

    fn periodic(&mut self, who: Who, now: Ms, out: &mut Vec<Output>) {
        let link = self.link(who);
        if link.disconnected || link.pending.len() >= MAX_PENDING * link.refcount as usize {
            return;
        }
        let ping_due = {
            let period = self.masters[who.master()].down_after().min(self.periods.ping);
            now - link.last_pong > period && now - link.last_ping > period / 2
        };
        if self.info_due(who, now) {
            let info = self.masters[who.master()].config.command("INFO");
            self.link_mut(who).send(info, Pending::Info, out);
        }
        if ping_due {
            self.send_ping(who, now, out);
        }
        if now - self.instance(who).last_publish > self.periods.publish {
            self.send_hello(who, out);
        }
    }

    fn info_due(&self, who: Who, now: Ms) -> bool {
        self.info_period(who).is_some_and(|(asked, period)| asked == 0 || now - asked > period)
    }

    /// When a data node last told its `INFO`, 0 for never, and how long that is good for; `None` for a Sentinel.
    fn info_period(&self, who: Who) -> Option<(Ms, Ms)> {
        let master = &self.masters[who.master()];
        let (report, period) = match who {
            Who::Peer(..) => return None,
            Who::Master(_) => (&master.report, self.periods.info),
            Who::Replica(_, r) => {
                let report = &master.replicas[r].report;
                // A replica is watched closely while it may be promoted, or while it has lost its master.
                let closely = master.o_down || master.in_progress || report.master_link_down != 0;
                (report, if closely { 1_000 } else { self.periods.info })
            }
        };
        Some((report.at, period))
    }

    fn send_hello(&mut self, who: Who, out: &mut Vec<Output>) {
        // Redis has an address to announce, that of the connection, as soon as it dials.
        let master = &self.masters[who.master()];
        let (host, port) = self.announced();
        let current = self.shown(master.current());
        let payload = format!(
            "{host},{port},{},{},{},{},{},{}",
            self.id,
            self.current_epoch,
            master.name(),
            current.host,
            current.port,
            master.config_epoch
        );
        let key = master.key;
        let command = master.config.command("PUBLISH").arg(HELLO).arg(Bytes::from(payload));
        self.link_mut(who).send(command, Pending::Publish { master: key }, out);
    }

    /// The address under which this Sentinel presents itself.
    pub(crate) fn announced(&self) -> (String, u16) {
        let own = &self.identity.addr;
        let settings = &self.settings;
        let host = settings.announce_ip.clone().unwrap_or_else(|| own.host.to_string());
        (host, if settings.announce_port == 0 { own.port } else { settings.announce_port })
    }

    fn check_subjectively_down(&mut self, who: Who, now: Ms, out: &mut Vec<Output>) {
        let down_after = self.masters[who.master()].down_after();
        let id = self.instance(who).link;
        let link = self.links.get(id);
        let signs = Signs {
            waiting_since: link.waiting_since,
            disconnected: link.disconnected,
            last_available: link.last_available,
            slave_since: match who {
                Who::Master(m) if self.masters[m].report.role == Role::Slave => self.masters[m].report.role_since,
                _ => 0,
            },
            rebooted_since: match who {
                Who::Master(m) => self.masters[m].rebooted_since,
                _ => 0,
            },
        };
        // A connection that seems to stand but brings nothing is made anew, if it is not itself new.
        let old = |since: Ms| now - since > self.periods.min_link_reconnect;
        let commands_stuck = link.has_commands()
            && old(link.commands_since)
            && link.waiting_since != 0
            && now - link.waiting_since > down_after / 2
            && now - link.last_pong > down_after / 2;
        let pubsub_stuck =
            link.has_pubsub() && old(link.pubsub_since) && now - link.pubsub_activity > self.periods.publish * 3;
        if commands_stuck {
            self.links.close(id, Lane::Commands, out);
        }
        if pubsub_stuck {
            self.links.close(id, Lane::PubSub, out);
        }
        let limits = Limits {
            down_after,
            info_period: self.periods.info,
            reboot_down_after: match who {
                Who::Master(m) => self.masters[m].reboot_down_after(),
                _ => 0,
            },
        };
        let down = subjectively_down(now, signs, limits);
        let instance = self.instance_mut(who);
        if down == instance.s_down {
            return;
        }
        instance.s_down = down;
        instance.script_kill_sent = false;
        if down {
            instance.s_down_since = now;
        }
        let event = if down { EventName::SubjectivelyDown } else { EventName::SubjectivelyUp };
        self.emit(who.master(), (event, self.text_of(who)), out);
    }

    fn check_objectively_down(&mut self, m: usize, now: Ms, out: &mut Vec<Output>) {
        let master = &self.masters[m];
        let others = master.peers.iter().filter(|peer| peer.finds_down).count();
        let down = objectively_down(master.base.s_down, others, master.config.quorum);
        if down == master.o_down {
            return;
        }
        let text = self.text_of(Who::Master(m));
        let event = if down {
            let votes = format!(" #quorum {}/{}", others + 1, master.config.quorum);
            (EventName::ObjectivelyDown, text.str(votes))
        } else {
            (EventName::ObjectivelyUp, text)
        };
        let master = &mut self.masters[m];
        master.o_down = down;
        if down {
            master.o_down_since = now;
        }
        self.emit(m, event, out);
    }

    /// Asks the other Sentinels whether they find the master down and, once a failover runs, for their vote.
    fn ask_others(&mut self, m: usize, forced: bool, now: Ms, out: &mut Vec<Output>) {
        let periods = self.periods;
        let epoch = self.current_epoch;
        let addr = self.shown(&self.masters[m].base.place);
        let Self { masters, links, id, .. } = self;
        let master = &mut masters[m];
        let candidate = if master.state > FailoverState::None { id.to_string() } else { "*".to_owned() };
        for peer in &mut master.peers {
            let age = now - peer.last_down_reply;
            if age > periods.ask * 5 {
                peer.finds_down = false;
                peer.leader = None;
            }
            let link = links.get_mut(peer.base.link);
            if !master.base.s_down || link.disconnected || (!forced && age < periods.ask) {
                continue;
            }
            let command = master
                .config
                .command("SENTINEL")
                .arg("is-master-down-by-addr")
                .arg(addr.host.to_string())
                .arg(addr.port.to_string())
                .arg(epoch.to_string())
                .arg(candidate.clone());
            link.send(command, Pending::Ask { master: master.key }, out);
        }
    }
}
