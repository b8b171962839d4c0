//! What a machine is given and what comes of it.

use std::time::Duration;

use model::history::{ClosedBy, What};
use model::machine::{Executed, Input, Note, Output};
use model::{Command, EventName, Frame, Reply};

use crate::link::{End, Parcel};
use crate::process::LinkEnd;
use crate::record;
use crate::world::World;

impl World {
    /// Hands an input to the machine of a node that is up, and does what it asks.
    pub(crate) fn handle(&mut self, node: usize, at: Option<LinkEnd>, input: Input) {
        if let Some((link, end)) = at {
            if !self.links[link].open[end as usize] {
                return;
            }
            if matches!(input, Input::Closed(_)) {
                self.links[link].open[end as usize] = false;
                self.nodes[node].detach(link, end);
                self.let_go(link);
                self.recycle(link);
            }
        }
        if let (Input::Received(_, frame), Some((link, End::Opener))) = (&input, at)
            && let Some(tap) = &mut self.links[link].tap
        {
            tap.received(frame);
        }
        if let (Input::Received(_, Frame::Command(_)), Some((link, _))) = (&input, at) {
            self.links[link].said = self.links[link].unheard.pop_front();
        }
        // A client's command at a Sentinel is recorded here; data nodes tell themselves what they execute.
        let asked = match (&input, at) {
            (Input::Received(_, Frame::Command(command)), Some((link, _)))
                if self.nodes[node].id.is_sentinel()
                    && self.links[link].client().is_some()
                    && !(self.is_unrecorded(link) && self.nodes[node].overrides.is_empty()) =>
            {
                Some((link, command.clone()))
            }
            _ => None,
        };
        let was_master = self.nodes[node].is_master();
        let mut out = std::mem::take(&mut self.buffer);
        let Some(machine) = &mut self.nodes[node].machine else { return };
        machine.handle(self.now, input, &mut out);
        self.deadlines[node] = machine.deadline();

        if let Some((link, command)) = asked {
            self.answer(node, link, &command, &mut out);
        }
        let cut = self.cut_off(node, &out);
        for output in out.drain(..) {
            match output {
                Output::Send(conn, frame) => {
                    let Some((link, end)) = self.nodes[node].end(conn) else { continue };
                    if !cut.contains(&link) {
                        self.transmit(link, end.other(), frame);
                    }
                }
                Output::Connect(conn, addr) => self.connect(node, conn, &addr),
                Output::Protocol(conn, version) => {
                    if let Some((link, end)) = self.nodes[node].end(conn)
                        && self.links[link].client().is_some()
                        && self.nodes[node].hangs == 0
                    {
                        self.send(link, end.other(), Parcel::Protocol(version), Duration::ZERO);
                    }
                }
                Output::Limits(conn, limits) => self.tell_host(node, conn, Parcel::Limits(limits)),
                Output::Leave(conn) => self.tell_host(node, conn, Parcel::Leave),
                Output::Discard(conn) => self.tell_host(node, conn, Parcel::Discard),
                Output::Close(conn) => {
                    if let Some((link, end)) = self.nodes[node].end(conn) {
                        self.hang_up(link, end, ClosedBy::Node);
                    }
                }
                Output::Exit => {
                    self.stop(node);
                    break;
                }
                Output::Note(note) => self.note(node, note, was_master, &cut),
            }
        }
        out.clear();
        self.buffer = out;
        for link in cut {
            self.sever(link);
        }
    }

    /// Sends what concerns the socket of a client.
    fn tell_host(&mut self, node: usize, conn: model::Conn, parcel: Parcel) {
        if let Some((link, end)) = self.nodes[node].end(conn)
            && self.links[link].client().is_some()
        {
            self.send(link, end.other(), parcel, Duration::ZERO);
        }
    }

    /// Rewrites a Sentinel's answer to a client as its overrides say, and records it.
    fn answer(&mut self, node: usize, link: usize, command: &Command, out: &mut [Output]) {
        let name = record::command_name(command);
        let reply = out.iter_mut().find_map(|output| match output {
            Output::Send(conn, Frame::Reply(reply))
                if *conn == model::Conn::inbound(link as u64) && !matches!(reply, Reply::Push(_)) =>
            {
                Some(reply)
            }
            _ => None,
        });
        let mut error = None;
        if let Some(reply) = reply {
            let process = &mut self.nodes[node];
            if let Some(sentinel) = process.machine.as_ref().and_then(|machine| machine.sentinel()) {
                for (_, answer) in &mut process.overrides {
                    answer.rewrite(sentinel, command, &name, reply);
                }
            }
            error = reply.error_code().map(str::to_owned);
        }
        self.record_execution(node, link, command, name, |execution| execution.error = error);
    }

    /// The links whose command was carried out in `out` and must not be answered.
    fn cut_off(&mut self, node: usize, out: &[Output]) -> Vec<usize> {
        let mut links = Vec::new();
        if self.nodes[node].cut_replies.is_empty() {
            return links;
        }
        for output in out {
            let Output::Note(Note::Executed { conn, outcome: Executed::Ran(_), command, position }) = output else {
                continue;
            };
            let Some((link, End::Acceptor)) = self.nodes[node].end(*conn) else { continue };
            if self.links[link].client().is_none() || links.contains(&link) {
                continue;
            }
            let wanted = self.nodes[node].cut_replies.iter_mut().find(|cut| match &cut.command {
                Some(name) => command.is(name),
                None => node::is_write(command) || position.is_some(),
            });
            if let Some(cut) = wanted {
                cut.times -= 1;
                links.push(link);
            }
            self.nodes[node].cut_replies.retain(|cut| cut.times > 0);
        }
        links
    }

    fn note(&mut self, node: usize, note: Note, was_master: bool, cut: &[usize]) {
        let id = self.nodes[node].id;
        match note {
            Note::Event(event, text) => {
                self.history.push(self.now, What::Event { node: id, event, payload: text.to_string() });
                if event == EventName::ElectedLeader {
                    self.leader = Some(node);
                }
                self.timeline.heard(event, self.now, &mut self.queue);
            }
            Note::Script(argv) => self.history.push(self.now, What::Script { node: id, argv }),
            Note::Answer { master, addr } => {
                let Some(group) = self.cluster.group(&master) else { return };
                let Some(peer) = self.leads_to(node, group).or_else(|| self.node_at(&addr)) else { return };
                self.history.push(self.now, What::Answer { node: id, master, addr: self.nodes[peer].id });
                self.set_answer(node, group, peer);
            }
            Note::Role { of } => {
                let of = of.and_then(|addr| self.node_at(&addr)).map(|peer| self.nodes[peer].id);
                self.history.push(self.now, What::Role { node: id, of });
            }
            Note::ReplicaLink { up, full } => self.history.push(self.now, What::ReplicaLink { node: id, up, full }),
            Note::Executed { conn, outcome, command, position } => {
                let link = conn.number() as usize;
                if conn.is_outbound() || link >= self.links.len() || self.is_unrecorded(link) {
                    return;
                }
                let (error, value) = match &outcome {
                    Executed::Ran(reply) => (None, record::value(&command, reply)),
                    Executed::Refused(reply) => (Some(reply.error_code().unwrap_or("ERR").to_owned()), None),
                };
                let name = record::command_name(&command);
                let data = self.nodes[node].machine.as_ref().and_then(|machine| machine.data());
                let database = data.map_or(0, |data| data.database(conn));
                self.record_execution(node, link, &command, name, |execution| {
                    execution.error = error;
                    execution.write = node::is_write(&command) || position.is_some();
                    execution.database = database;
                    execution.master = was_master;
                    execution.position = position;
                    execution.reply_cut = cut.contains(&link);
                    execution.value = value;
                });
            }
        }
    }
}
