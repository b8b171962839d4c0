//! [`Sentinel`]: the machine itself: its parts, its inputs and its outputs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use model::hosts::Hosts;
use model::machine::{Identity, Note};
use model::tracking::Tracking;
use model::{Addr, Command, Conn, Epoch, EventName, Frame, Input, Output, Reply, Rng, RunId, Seed, Text, Time};
use rand::RngExt as _;

use crate::Ms;
use crate::acl::Users;
use crate::commands::Denial;
use crate::config::{Config, KnownMaster, Periods, Settings};
use crate::instance::{FailoverState, Instance, Master, Peer, Replica, Who};
use crate::link::{Link, Links};
use crate::place::{Place, Resolver};
use crate::scripts::Scripts;

/// One Sentinel. See [`model::machine`] for how to drive it.
#[derive(Clone, Debug)]
pub struct Sentinel {
    pub(crate) identity: Identity,
    pub(crate) id: RunId,
    /// The run id of the process, which `INFO server` shows; not the Sentinel's id.
    pub(crate) process_id: RunId,
    pub(crate) rng: Rng,
    pub(crate) current_epoch: Epoch,
    pub(crate) masters: Vec<Master>,
    pub(crate) links: Links,
    pub(crate) sessions: BTreeMap<Conn, Session>,
    pub(crate) periods: Periods,
    pub(crate) tilt_since: Option<Ms>,
    pub(crate) settings: Settings,
    hosts: Hosts,
    pub(crate) crash_after_election: bool,
    pub(crate) crash_after_promotion: bool,
    pub(crate) next_key: u32,
    pub(crate) scripts: Scripts,
    started: Time,
    last_pass: Option<Ms>,
    next_pass: Time,
    /// The first pass that may have something to do. Those before it are not made, as if they had been.
    due: Time,
    /// How often a second it has a look around, which each pass draws anew.
    pub(crate) hz: u64,
    /// Its clock at time zero.
    clock_base: Ms,
    clock_offset: Ms,
    answers: Vec<(u32, Addr)>,
    next_session: u64,
    rewrites: u64,
    /// The current epoch that is in its file.
    filed_epoch: Epoch,
    pub(crate) users: Users,
    /// What the access list denied, newest first.
    pub(crate) denials: Vec<Denial>,
    /// `CLIENT PAUSE`: until then commands wait,
    pub(crate) paused_until: Option<Time>,
    /// here.
    pub(crate) postponed: VecDeque<(Conn, Command)>,
    /// Commands and errors, for `INFO stats`.
    pub(crate) executed: u64,
    pub(crate) errors: u64,
    /// Bytes of the commands of clients.
    pub(crate) received_bytes: u64,
    /// Connections that `maxclients` forbade.
    pub(crate) rejected: u64,
    /// The configuration file that it was started from.
    text: String,
}

/// What a Sentinel knows of a client's connection.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub id: u64,
    pub from: Addr,
    pub name: Bytes,
    pub resp3: bool,
    pub authenticated: bool,
    /// As whom it acts, logged in or not.
    pub user: String,
    pub replies: Replies,
    /// It was to be closed after a reply, and has none: it is not heard any more, and closed when something is said to it.
    pub leaving: bool,
    /// `CLIENT NO-EVICT on`
    pub no_evict: bool,
    pub since: Ms,
    pub last_used: Ms,
    /// As in the table of commands.
    pub last_command: &'static str,
    pub channels: BTreeSet<Bytes>,
    pub patterns: BTreeSet<Bytes>,
    pub tracking: Option<Tracking>,
}

/// What a reply, or a message, was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It only confirmed what is known: nothing is due any earlier for it.
    AllIsWell,
    /// Something else.
    News,
}

/// How often a second the next pass comes round: Redis adds chance to its `hz`, so that Sentinels do not stay in step.
fn draw_hz(rng: &mut Rng) -> u64 {
    10 + rng.random_range(0..10)
}

/// From one pass to the next.
fn interval(hz: u64) -> std::time::Duration {
    std::time::Duration::from_millis(1_000 / hz)
}

/// `CLIENT REPLY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replies {
    On,
    Off,
    /// On after this command and the next.
    SkipNext,
    /// On after this command.
    Skip,
}

impl Session {
    pub(crate) fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }
}

impl Sentinel {
    /// A Sentinel that starts at `now`, for the first time or again. `boot` counts the starts of the node: each has its
    /// own random draws.
    pub fn new(config: Config, seed: Seed, boot: u32, now: Time) -> Self {
        let mut ids = seed.stream(&format!("{}:id", config.identity.node));
        let id = config.my_id.clone().unwrap_or_else(|| RunId::random(&mut ids));
        let mut rng = seed.stream(&format!("{}:{boot}", config.identity.node));
        let process_id = RunId::random(&mut rng);
        // The first pass comes with the first cron of the process, 1 ms after its start.
        let next_pass = now + std::time::Duration::from_millis(1);
        let mut sentinel = Self {
            id,
            process_id,
            rng,
            current_epoch: config.current_epoch,
            masters: Vec::new(),
            links: Links::default(),
            sessions: BTreeMap::new(),
            periods: config.periods,
            tilt_since: None,
            users: Users::new(&config.settings),
            denials: Vec::new(),
            paused_until: None,
            postponed: VecDeque::new(),
            executed: 0,
            errors: 0,
            rejected: 0,
            settings: config.settings,
            hosts: config.hosts,
            crash_after_election: false,
            crash_after_promotion: false,
            next_key: 0,
            scripts: Scripts::default(),
            started: now,
            last_pass: None,
            next_pass,
            due: next_pass,
            hz: 10,
            received_bytes: 0,
            clock_base: config.unix_start.as_millis() as Ms,
            clock_offset: 0,
            answers: Vec::new(),
            next_session: 0,
            rewrites: 0,
            filed_epoch: 0,
            identity: config.identity,
            text: config.text,
        };
        for known in config.masters {
            sentinel.add_master(known, now);
        }
        // At its start it writes its id.
        sentinel.flush();
        sentinel
    }

    /// Writes its configuration file.
    pub(crate) fn flush(&mut self) {
        self.rewrites += 1;
        self.filed_epoch = self.current_epoch;
        for master in &mut self.masters {
            master.filed_epoch = master.config_epoch;
        }
    }

    /// Adds a master with what is known of it; whatever has a name where only addresses are taken is left out. False if
    /// that is the master itself.
    pub(crate) fn add_master(&mut self, known: KnownMaster, now: Time) -> bool {
        let ms = self.clock(now);
        let Some(place) = self.resolver().place_or_name(&known.monitor.addr) else { return false };
        let link = self.links.create(ms);
        let mut master = Master::new(self.next_key, known.monitor, place, link, ms);
        self.next_key += 1;
        master.config_epoch = known.config_epoch;
        master.ballot.epoch = known.leader_epoch;
        for addr in known.replicas {
            let Some(place) = self.resolver().place_or_name(&addr) else { continue };
            master.replicas.push(Replica::new(self.shown(&place), place, self.links.create(ms), ms));
        }
        for (addr, id) in known.sentinels {
            let Some(place) = self.resolver().place_or_name(&addr) else { continue };
            let link = self.peer_link(&id, ms);
            master.peers.push(Peer::new(place, id, link, ms));
        }
        self.masters.push(master);
        true
    }

    /// What its configuration file holds now: what it would be started with again. What it learned of epochs since it last
    /// wrote the file is not in it.
    pub fn config(&self) -> Config {
        let masters = self.masters.iter().map(|master| {
            let current = master.current();
            let mut monitor = master.config.clone();
            monitor.addr = self.shown(current);
            // From its promotion on the new master stands as the master, and the old one as a replica.
            let replicas = master.replicas.iter().map(|replica| &replica.base.place);
            let replicas = replicas.map(|place| if place.is(current) { &master.base.place } else { place });
            KnownMaster {
                monitor,
                config_epoch: master.filed_epoch,
                leader_epoch: master.ballot.epoch,
                replicas: replicas.map(|place| self.shown(place)).collect(),
                sentinels: master.peers.iter().map(|peer| (self.shown(&peer.base.place), peer.id().clone())).collect(),
            }
        });
        Config {
            identity: self.identity.clone(),
            my_id: Some(self.id.clone()),
            current_epoch: self.filed_epoch,
            masters: masters.collect(),
            settings: self.current_settings(),
            hosts: self.hosts.clone(),
            periods: Periods::default(),
            unix_start: std::time::Duration::from_millis(self.clock_base as u64),
            text: self.text.clone(),
        }
    }

    /// The settings with the users as they are now, who are named with the hashes of their passwords.
    fn current_settings(&self) -> Settings {
        let mut settings = self.settings.clone();
        let as_started = Users::new(&self.settings) == self.users;
        if !as_started || !settings.users.is_empty() {
            let line = |user: &crate::acl::User| format!("{} {}", model::words::word(&user.name), user.rules());
            settings.users = self.users.iter().map(line).collect();
        }
        settings
    }

    /// Connections that it has accepted so far.
    pub(crate) fn connections(&self) -> u64 {
        self.next_session
    }

    /// The text of its configuration file now.
    pub fn config_file(&self) -> String {
        crate::file::render(&self.config())
    }

    /// How many times it has rewritten its configuration file: at each change of epoch, vote or topology, and when asked
    /// to. A host that keeps the file writes [`Sentinel::config_file`] when this has grown.
    pub fn rewrites(&self) -> u64 {
        self.rewrites
    }

    /// Its id: 40 hex digits, the same through all restarts.
    pub fn id(&self) -> &RunId {
        &self.id
    }

    /// The address that it answers for a master, or that stands for the name that it answers.
    pub fn master_addr(&self, name: &str) -> Option<Addr> {
        self.masters.iter().find(|master| master.name() == name).map(|master| master.current().addr())
    }

    /// What it answers for a master: the address or, with `announce-hostnames`, the name.
    pub fn told_addr(&self, name: &str) -> Option<Addr> {
        self.masters.iter().find(|master| master.name() == name).map(|master| self.shown(master.current()))
    }

    /// The current epoch.
    pub fn current_epoch(&self) -> Epoch {
        self.current_epoch
    }

    /// The configuration epoch of a master.
    pub fn config_epoch(&self, name: &str) -> Option<Epoch> {
        self.masters.iter().find(|master| master.name() == name).map(|master| master.config_epoch)
    }

    /// True if a new connection need not authenticate.
    pub fn is_open(&self) -> bool {
        self.users.open()
    }

    /// True if it has nothing to mend: it is not in tilt mode, finds everybody up, and no failover is under way.
    pub fn is_calm(&self) -> bool {
        let calm = |master: &Master| {
            let replicas = master.replicas.iter().map(|replica| &replica.base);
            let peers = master.peers.iter().map(|peer| &peer.base);
            master.state == FailoverState::None
                && !replicas.chain(peers).chain([&master.base]).any(|instance| instance.s_down)
        };
        self.tilt_since.is_none() && self.masters.iter().all(calm)
    }

    /// When to call [`Sentinel::handle`] with [`Input::Tick`], if nothing comes before.
    pub fn deadline(&self) -> Time {
        self.paused_until.map_or(self.due, |until| until.min(self.due))
    }

    /// Its process is stopped at `now`: from here on each pass is one that it misses.
    pub fn suspend(&mut self, now: Time) {
        self.skip_passes(now);
        self.due = self.next_pass;
    }

    /// Takes the passes before `now` that had nothing to do as made.
    fn skip_passes(&mut self, now: Time) {
        while self.next_pass < now.min(self.due) {
            let ms = self.clock(self.next_pass);
            #[cfg(debug_assertions)]
            {
                let mut out = Vec::new();
                self.timer(ms, 0, &mut out);
                assert!(out.is_empty(), "a pass that was skipped had something to do: {out:?}");
            }
            self.last_pass = Some(ms);
            self.hz = draw_hz(&mut self.rng);
            self.next_pass += interval(self.hz);
        }
    }

    /// The first pass that may have something to do; one a second is made in any case.
    fn next_due(&self) -> Time {
        let idle = self.idle_until().min(self.clock(self.next_pass) + 1_000);
        let (mut due, mut rng) = (self.next_pass, None);
        while self.clock(due) < idle {
            due += interval(draw_hz(rng.get_or_insert_with(|| self.rng.clone())));
        }
        due
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Time, input: Input, out: &mut Vec<Output>) {
        self.skip_passes(now);
        let due = self.due;
        self.due = self.next_pass;
        match input {
            Input::Tick => {
                if self.paused_until.is_some_and(|until| now >= until) {
                    self.resume(now, out);
                }
                if now >= self.next_pass {
                    self.pass(now, out);
                    self.hz = draw_hz(&mut self.rng);
                    self.next_pass = now + interval(self.hz);
                    self.due = self.next_due();
                }
            }
            Input::Connected(conn) => self.links.connected(conn, out),
            Input::Accepted(conn, from) => self.accept(conn, from, self.clock(now), out),
            Input::Received(conn, frame) => match frame {
                Frame::Command(command) if !conn.is_outbound() => self.command(conn, &command, now, out),
                Frame::Malformed(error) if !conn.is_outbound() => self.malformed(conn, error, out),
                Frame::Reply(reply) if conn.is_outbound() => match self.reply(conn, &reply, now, out) {
                    Heard::AllIsWell => self.due = due,
                    Heard::News => {}
                },
                _ => {}
            },
            Input::Closed(conn) if conn.is_outbound() => self.links.lost(conn),
            Input::Closed(conn) => {
                self.sessions.remove(&conn);
            }
            Input::ClockJump(by) => self.clock_offset += by,
            Input::LoadingUntil(_) | Input::IgnoreClientKill(_) => {}
        }
        self.note_answers(out);
        self.close_leaving(out);
        // A process that has ended does nothing more.
        if let Some(end) = out.iter().position(|output| *output == Output::Exit) {
            out.truncate(end + 1);
        }
    }

    /// Sentinel's own clock at `now`.
    pub(crate) fn clock(&self, now: Time) -> Ms {
        self.clock_base + now.as_millis() as Ms + self.clock_offset
    }

    /// For how long it has run.
    pub(crate) fn uptime(&self, now: Time) -> std::time::Duration {
        now.since(self.started)
    }

    fn pass(&mut self, now: Time, out: &mut Vec<Output>) {
        let ms = self.clock(now);
        if self.last_pass.is_none() {
            for m in 0..self.masters.len() {
                let text = self.text_of(Who::Master(m)).str(format!(" quorum {}", self.masters[m].config.quorum));
                self.emit(m, (EventName::Monitor, text), out);
            }
        }
        let delta = self.last_pass.map_or(0, |last| ms - last);
        self.last_pass = Some(ms);
        self.timer(ms, delta, out);
    }

    fn accept(&mut self, conn: Conn, from: Addr, now: Ms, out: &mut Vec<Output>) {
        if self.sessions.len() >= self.settings.max_clients as usize {
            self.rejected += 1;
            out.push(Output::Send(conn, Frame::Reply(Reply::error("ERR max number of clients reached"))));
            out.push(Output::Close(conn));
            return;
        }
        self.next_session += 1;
        let session = Session {
            id: self.next_session,
            from,
            name: Bytes::new(),
            resp3: false,
            authenticated: self.is_open(),
            user: "default".to_owned(),
            replies: Replies::On,
            leaving: false,
            no_evict: false,
            since: now,
            last_used: now,
            last_command: "NULL",
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            tracking: None,
        };
        self.sessions.insert(conn, session);
    }

    /// Tells the history when the answer for a master changes.
    fn note_answers(&mut self, out: &mut Vec<Output>) {
        for master in &self.masters {
            let addr = &master.current().addr();
            let known = self.answers.iter_mut().find(|(key, _)| *key == master.key);
            match known {
                Some((_, known)) if known == addr => continue,
                Some((_, known)) => *known = addr.clone(),
                None => self.answers.push((master.key, addr.clone())),
            }
            out.push(Output::Note(Note::Answer { master: master.name().to_owned(), addr: addr.clone() }));
        }
    }

    /// Publishes an event that concerns a master, and has the master's script told of it.
    pub(crate) fn emit(&mut self, m: usize, (event, text): (EventName, Text), out: &mut Vec<Output>) {
        self.notify(m, event, &text);
        self.emit_globally((event, text), out);
    }

    /// Publishes an event to its subscribers and notes it.
    pub(crate) fn emit_globally(&mut self, (event, text): (EventName, Text), out: &mut Vec<Output>) {
        let channel = event.as_str().as_bytes();
        for (conn, session) in &self.sessions {
            if session.channels.contains(channel) {
                let message = vec![Reply::word("message"), Reply::word(event.as_str()), Reply::Text(text.clone())];
                out.push(Output::Send(*conn, Frame::Reply(Reply::Push(message))));
            }
            for pattern in &session.patterns {
                if glob(pattern, channel) {
                    let message = vec![
                        Reply::word("pmessage"),
                        Reply::Bulk(pattern.clone()),
                        Reply::word(event.as_str()),
                        Reply::Text(text.clone()),
                    ];
                    out.push(Output::Send(*conn, Frame::Reply(Reply::Push(message))));
                }
            }
        }
        out.push(Output::Note(Note::Event(event, text)));
    }

    pub(crate) fn instance(&self, who: Who) -> &Instance {
        match who {
            Who::Master(m) => &self.masters[m].base,
            Who::Replica(m, r) => &self.masters[m].replicas[r].base,
            Who::Peer(m, p) => &self.masters[m].peers[p].base,
        }
    }

    pub(crate) fn instance_mut(&mut self, who: Who) -> &mut Instance {
        match who {
            Who::Master(m) => &mut self.masters[m].base,
            Who::Replica(m, r) => &mut self.masters[m].replicas[r].base,
            Who::Peer(m, p) => &mut self.masters[m].peers[p].base,
        }
    }

    pub(crate) fn link(&self, who: Who) -> &Link {
        self.links.get(self.instance(who).link)
    }

    pub(crate) fn link_mut(&mut self, who: Who) -> &mut Link {
        let id = self.instance(who).link;
        self.links.get_mut(id)
    }

    /// `master mymaster 10.0.0.1 6379`, `slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379` or
    /// `sentinel <id> 10.128.0.2 26379 @ mymaster 10.0.0.1 6379`.
    pub(crate) fn text_of(&self, who: Who) -> Text {
        let master = &self.masters[who.master()];
        let of = Text::from(master.name().to_owned()).str(" ").spaced(&self.shown(&master.base.place));
        let text = match who {
            Who::Master(_) => return Text::from("master ").text(of),
            Who::Replica(_, r) => Text::from("slave ").host_port(&master.replicas[r].name),
            Who::Peer(_, p) => Text::from("sentinel ").str(master.peers[p].id().to_string()),
        };
        text.str(" ").spaced(&self.shown(&self.instance(who).place)).str(" @ ").text(of)
    }

    /// The address under which it tells of a place.
    pub(crate) fn shown(&self, place: &Place) -> Addr {
        place.shown(self.settings.announce_hostnames)
    }

    /// Names stand for these addresses from now on. It looks them up as it needs them.
    pub fn set_hosts(&mut self, hosts: Hosts) {
        self.hosts = hosts;
    }

    pub(crate) fn resolver(&self) -> Resolver<'_> {
        Resolver { hosts: &self.hosts, names: self.settings.resolve_hostnames }
    }

    /// The link to the Sentinel `id`: the one that another master already has to it, or a new one.
    pub(crate) fn peer_link(&mut self, id: &RunId, now: Ms) -> crate::link::LinkId {
        let shared = self
            .masters
            .iter()
            .flat_map(|master| &master.peers)
            .find(|peer| peer.id() == id)
            .map(|peer| peer.base.link);
        match shared {
            Some(link) => {
                self.links.get_mut(link).refcount += 1;
                link
            }
            None => self.links.create(now),
        }
    }
}

/// Redis's glob: `*`, `?`, `[a-z]`, `[^a]` and `\` to escape.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some(b'*') => {
                star = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some(b'?') => Some(p + 1),
            Some(b'[') => class(pattern, p, text[t]),
            Some(b'\\') if p + 1 < pattern.len() => (pattern[p + 1] == text[t]).then_some(p + 2),
            Some(byte) => (*byte == text[t]).then_some(p + 1),
            None => None,
        };
        match (step, star) {
            (Some(next), _) => {
                p = next;
                t += 1;
            }
            (None, Some((after, from))) => {
                p = after;
                t = from + 1;
                star = Some((after, from + 1));
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// Matches one byte against the class that begins at `start`; gives the place after it.
fn class(pattern: &[u8], start: usize, byte: u8) -> Option<usize> {
    let mut p = start + 1;
    let negated = pattern.get(p) == Some(&b'^');
    if negated {
        p += 1;
    }
    let mut hit = false;
    while p < pattern.len() && pattern[p] != b']' {
        if pattern[p] == b'\\' && p + 1 < pattern.len() {
            p += 1;
            hit |= pattern[p] == byte;
        } else if p + 2 < pattern.len() && pattern[p + 1] == b'-' {
            let (low, high) = (pattern[p].min(pattern[p + 2]), pattern[p].max(pattern[p + 2]));
            hit |= (low..=high).contains(&byte);
            p += 2;
        } else {
            hit |= pattern[p] == byte;
        }
        p += 1;
    }
    (hit != negated).then_some((p + 1).min(pattern.len()))
}

#[cfg(test)]
mod tests {
    use super::glob;

    #[test]
    fn glob_table() {
        for (pattern, text, matches) in [
            ("*", "", true),
            ("*", "+switch-master", true),
            ("+sdown", "+sdown", true),
            ("+s*", "-sdown", false),
            ("*master*", "+switch-master", true),
            ("?sdown", "+sdown", true),
            ("[-+]sdown", "+sdown", true),
            // Redis reads this as the range from `+` to `]`, without an end.
            ("[+-]sdown", "-sdown", false),
            ("[^+]sdown", "+sdown", false),
            ("[a-c]x", "bx", true),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("*-*-*", "a-b", false),
            ("", "x", false),
            ("[", "x", false),
        ] {
            assert_eq!(glob(pattern.as_bytes(), text.as_bytes()), matches, "{pattern} {text}");
        }
    }
}
