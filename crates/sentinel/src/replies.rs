//! What comes back on the links: PONG, INFO, votes, hellos.

use model::{Conn, Output, Reply, RunId, Time};

use crate::Ms;
use crate::instance::{Master, Who};
use crate::link::{Lane, LinkId, Pending};
use crate::machine::{Heard, Sentinel};

impl Sentinel {
    pub(crate) fn reply(&mut self, conn: Conn, reply: &Reply, now: Time, out: &mut Vec<Output>) -> Heard {
        let now = self.clock(now);
        let Some((link, lane)) = self.links.find(conn) else { return Heard::AllIsWell };
        if lane == Lane::PubSub {
            return self.message(link, reply, now, out);
        }
        let Some(pending) = self.links.get_mut(link).pending.pop_front() else { return Heard::AllIsWell };
        match pending {
            Pending::Ping => return self.pong(link, reply, now, out),
            Pending::Info => {
                if let (Some(who), Some(text)) = (self.owner(link), reply.as_text()) {
                    self.refresh_info(who, &text, now, out);
                }
            }
            Pending::Publish { master } => {
                if reply.error_code().is_none() {
                    self.published(link, master, now);
                }
                return Heard::AllIsWell;
            }
            Pending::Ask { master } => self.down_reply(link, master, reply, now),
            Pending::Nothing => {}
        }
        Heard::News
    }

    /// The data node that a link belongs to.
    fn owner(&self, link: LinkId) -> Option<Who> {
        self.masters.iter().enumerate().find_map(|(m, master)| {
            if master.base.link == link {
                return Some(Who::Master(m));
            }
            master.replicas.iter().position(|replica| replica.base.link == link).map(|r| Who::Replica(m, r))
        })
    }

    fn pong(&mut self, link: LinkId, reply: &Reply, now: Ms, out: &mut Vec<Output>) -> Heard {
        let (text, is_pong) = match reply {
            Reply::Simple(text) => (text, text.starts_with("PONG")),
            Reply::Error(text) => (text, false),
            _ => return Heard::News,
        };
        // These say that it lives, if not that it serves. Any other error leaves the ping unanswered.
        let alive = is_pong || text.starts_with("LOADING") || text.starts_with("MASTERDOWN");
        let state = self.links.get_mut(link);
        state.last_pong = now;
        if alive {
            state.last_available = now;
            state.waiting_since = 0;
        }
        // Whoever seems down because of a script is told to end it, once.
        if text.starts_with("BUSY")
            && let Some(who) = self.owner(link)
            && self.instance(who).s_down
            && !self.instance(who).script_kill_sent
        {
            self.instance_mut(who).script_kill_sent = true;
            let kill = self.masters[who.master()].config.command("SCRIPT").arg("KILL");
            self.links.get_mut(link).send(kill, Pending::Nothing, out);
        }
        if is_pong && let Some(Who::Master(m)) = self.owner(link) {
            self.masters[m].rebooted_since = 0;
        }
        if is_pong && !self.finds_down(link) { Heard::AllIsWell } else { Heard::News }
    }

    /// True if whoever is at the other end of a link is subjectively down.
    fn finds_down(&self, link: LinkId) -> bool {
        let of = |master: &Master| {
            let replicas = master.replicas.iter().map(|replica| &replica.base);
            let peers = master.peers.iter().map(|peer| &peer.base);
            replicas.chain(peers).chain([&master.base]).any(|instance| instance.link == link && instance.s_down)
        };
        self.masters.iter().any(of)
    }

    fn published(&mut self, link: LinkId, key: u32, now: Ms) {
        let Some(master) = self.masters.iter_mut().find(|master| master.key == key) else { return };
        let peers = master.peers.iter_mut().map(|peer| &mut peer.base);
        let replicas = master.replicas.iter_mut().map(|replica| &mut replica.base);
        let mut all = std::iter::once(&mut master.base).chain(replicas).chain(peers);
        if let Some(instance) = all.find(|instance| instance.link == link) {
            instance.last_publish = now;
        }
    }

    fn down_reply(&mut self, link: LinkId, key: u32, reply: &Reply, now: Ms) {
        let Some([Reply::Int(down), leader, Reply::Int(epoch)]) = reply.as_array() else { return };
        let Some(leader) = leader.as_text() else { return };
        let Some(master) = self.masters.iter_mut().find(|master| master.key == key) else { return };
        let Some(peer) = master.peers.iter_mut().find(|peer| peer.base.link == link) else { return };
        peer.last_down_reply = now;
        peer.finds_down = *down == 1;
        if leader != "*" {
            peer.leader = Some(RunId::told(&leader));
            peer.leader_epoch = *epoch as u64;
        }
    }

    fn message(&mut self, link: LinkId, reply: &Reply, now: Ms, out: &mut Vec<Output>) -> Heard {
        self.links.get_mut(link).pubsub_activity = now;
        let Some([kind, _, payload]) = reply.as_array() else { return Heard::AllIsWell };
        match payload.as_text() {
            Some(payload) if kind.as_text().as_deref() == Some("message") => self.hello(&payload, now, out),
            _ => Heard::AllIsWell,
        }
    }
}
