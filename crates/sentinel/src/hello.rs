//! The hello messages: how Sentinels find each other and hand on the configuration.

use model::{Addr, EventName, Output, RunId, Text};

use crate::Ms;
use crate::instance::Peer;
use crate::machine::Sentinel;
use crate::scripts::Teller;

/// `ip,port,id,current_epoch,master name,master ip,master port,master config_epoch`
struct Hello<'a> {
    addr: Addr,
    id: RunId,
    current_epoch: u64,
    master: &'a str,
    master_addr: Addr,
    config_epoch: u64,
}

impl<'a> Hello<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let fields: Vec<&str> = text.split(',').collect();
        let [ip, port, id, current_epoch, master, master_ip, master_port, config_epoch] = fields[..] else {
            return None;
        };
        Some(Self {
            addr: Addr::new(ip, port.parse().ok()?),
            id: RunId::parse(id)?,
            current_epoch: current_epoch.parse().ok()?,
            master,
            master_addr: Addr::new(master_ip, master_port.parse().ok()?),
            config_epoch: config_epoch.parse().ok()?,
        })
    }
}

impl Sentinel {
    /// A hello arrived, through a data node or directly.
    pub(crate) fn hello(&mut self, text: &str, now: Ms, out: &mut Vec<Output>) {
        if text.split(',').nth(2) == Some(self.id.as_str()) {
            return;
        }
        let Some(hello) = Hello::parse(text) else { return };
        let Some(m) = self.masters.iter().position(|master| master.name() == hello.master) else { return };
        let known = self.masters[m].peers.iter().any(|peer| *peer.id() == hello.id && peer.base.addr == hello.addr);
        if !known {
            self.meet(m, &hello, now, out);
        }
        if hello.current_epoch > self.current_epoch {
            self.current_epoch = hello.current_epoch;
            self.rewrites += 1;
            self.emit(m, (EventName::NewEpoch, Text::from(self.current_epoch.to_string())), out);
        }
        let Some(p) = self.masters[m].peers.iter().position(|peer| *peer.id() == hello.id) else { return };
        if self.masters[m].config_epoch < hello.config_epoch {
            self.masters[m].config_epoch = hello.config_epoch;
            self.rewrites += 1;
            if self.masters[m].base.addr != hello.master_addr {
                self.emit(m, (EventName::ConfigUpdateFrom, self.masters[m].peer_text(p)), out);
                self.announce_switch(m, &hello.master_addr, out);
                let from = self.masters[m].base.addr.clone();
                self.change_address(m, &hello.master_addr, now, out);
                self.reconfigure_clients(m, Teller::Observer, &from, &hello.master_addr);
            }
        }
        self.masters[m].peers[p].last_hello = now;
    }

    /// Adds a Sentinel that is not known at this address.
    fn meet(&mut self, m: usize, hello: &Hello<'_>, now: Ms, out: &mut Vec<Output>) {
        let moved = self.forget_peer(m, &hello.id, out);
        if moved {
            let text = self.masters[m].text().str(" ip ").host(&hello.addr).str(" port ").port(&hello.addr);
            self.emit(m, (EventName::SentinelAddressSwitch, text.str(format!(" for {}", hello.id))), out);
        } else if let Some(other) = self.masters[m].peers.iter().position(|peer| peer.base.addr == hello.addr) {
            // Another Sentinel has taken over the address: the former one is forgotten everywhere.
            self.emit(m, (EventName::SentinelInvalidAddr, self.masters[m].peer_text(other)), out);
            let gone = self.masters[m].peers[other].id().clone();
            for m in 0..self.masters.len() {
                self.forget_peer(m, &gone, out);
            }
        }
        let link = self.peer_link(&hello.id, now);
        self.rewrites += 1;
        self.masters[m].peers.push(Peer::new(hello.addr.clone(), hello.id.clone(), link, now));
        let text = self.masters[m].peer_text(self.masters[m].peers.len() - 1);
        if moved {
            self.move_peer_elsewhere(m, hello, &text, out);
        } else {
            self.emit(m, (EventName::Sentinel, text), out);
        }
    }

    fn forget_peer(&mut self, m: usize, id: &RunId, out: &mut Vec<Output>) -> bool {
        let Some(p) = self.masters[m].peers.iter().position(|peer| peer.id() == id) else { return false };
        let peer = self.masters[m].peers.remove(p);
        self.links.release(peer.base.link, out);
        true
    }

    /// A Sentinel that moved has its address changed for the other masters too.
    fn move_peer_elsewhere(&mut self, m: usize, hello: &Hello<'_>, text: &Text, out: &mut Vec<Output>) {
        let mut updated = Vec::new();
        for (other, master) in self.masters.iter_mut().enumerate().filter(|(other, _)| *other != m) {
            if let Some(peer) = master.peers.iter_mut().find(|peer| *peer.id() == hello.id) {
                peer.base.addr = hello.addr.clone();
                updated.push((other, peer.base.link));
            }
        }
        let link = self.masters[m].peers.last().map(|peer| peer.base.link);
        for (_, old) in &updated {
            if Some(*old) == link {
                self.links.close(*old, crate::link::Lane::Commands, out);
            }
        }
        if !updated.is_empty() {
            let text = text.clone().str(format!(" {} additional matching instances", updated.len()));
            self.emit(m, (EventName::SentinelAddressUpdate, text), out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Hello;

    #[test]
    fn a_hello_has_eight_fields() {
        let id = "a".repeat(40);
        let good = format!("10.128.0.1,26379,{id},3,mymaster,10.0.0.2,6379,2");
        let hello = Hello::parse(&good).unwrap();
        assert_eq!((hello.current_epoch, hello.master, hello.config_epoch), (3, "mymaster", 2));
        assert_eq!(hello.master_addr.to_string(), "10.0.0.2:6379");
        for bad in ["", "a,b", &format!("{good},x"), &good.replace(&id, "short"), &good.replace("26379", "port")] {
            assert!(Hello::parse(bad).is_none(), "{bad}");
        }
    }
}
