//! The hello messages: how Sentinels find each other and hand on the configuration.

use model::{Addr, EventName, Output, RunId, Text};

use crate::Ms;
use crate::instance::{Peer, Who};
use crate::machine::{Heard, Sentinel};
use crate::place::Place;
use crate::scripts::Teller;

/// `ip,port,id,current_epoch,master name,master ip,master port,master config_epoch`
struct Hello<'a> {
    host: &'a str,
    port: i32,
    /// Whatever it calls itself.
    id: RunId,
    current_epoch: u64,
    master: &'a str,
    master_host: &'a str,
    master_port: i32,
    config_epoch: u64,
}

/// True of a negative number, and the digits at the front, as C reads them.
fn digits(text: &str) -> (bool, &str) {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let rest = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    (text.starts_with('-'), &rest[..end])
}

/// A port as `atoi` reads it: 0 without any digits, and without the higher bits.
fn port(text: &str) -> i32 {
    let (negative, digits) = digits(text);
    let number = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(i64::MAX) };
    if negative && number == i64::MAX {
        0
    } else if negative {
        -number as i32
    } else {
        number as i32
    }
}

/// An epoch as `strtoull` reads it: a negative number is counted from the end.
fn epoch(text: &str) -> u64 {
    let (negative, digits) = digits(text);
    let Ok(number) = digits.parse::<u64>() else { return if digits.is_empty() { 0 } else { u64::MAX } };
    if negative { number.wrapping_neg() } else { number }
}

/// `None` if no address has this port.
fn addr(host: &str, port: i32) -> Option<Addr> {
    Some(Addr::new(host, u16::try_from(port).ok()?))
}

impl<'a> Hello<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let fields: Vec<&str> = text.split(',').collect();
        let [host, its_port, id, current_epoch, master, master_host, master_port, config_epoch] = fields[..] else {
            return None;
        };
        Some(Self {
            host,
            port: port(its_port),
            id: RunId::told(id),
            current_epoch: epoch(current_epoch),
            master,
            master_host,
            master_port: port(master_port),
            config_epoch: epoch(config_epoch),
        })
    }
}

impl Sentinel {
    /// A hello arrived, through a data node or directly.
    pub(crate) fn hello(&mut self, text: &str, now: Ms, out: &mut Vec<Output>) -> Heard {
        if text.split(',').nth(2) == Some(self.id.as_str()) {
            return Heard::AllIsWell;
        }
        // Most say what the same Sentinel said before. What a name stands for may have changed meanwhile.
        let mut peers = self.masters.iter_mut().flat_map(|master| &mut master.peers);
        if !self.settings.resolve_hostnames
            && let Some(peer) = peers.find(|peer| peer.told == text)
        {
            peer.last_hello = now;
            return Heard::AllIsWell;
        }
        self.read_hello(text, now, out);
        Heard::News
    }

    fn read_hello(&mut self, text: &str, now: Ms, out: &mut Vec<Output>) {
        let Some(hello) = Hello::parse(text) else { return };
        let Some(m) = self.masters.iter().position(|master| master.name() == hello.master) else { return };
        let place = addr(hello.host, hello.port).and_then(|addr| self.resolver().place_or_name(&addr));
        let known = |place: &Place| {
            self.masters[m].peers.iter().any(|peer| *peer.id() == hello.id && peer.base.place.is(place))
        };
        if !place.as_ref().is_some_and(known) {
            self.meet(m, &hello, place, now, out);
        }
        if hello.current_epoch > self.current_epoch {
            self.current_epoch = hello.current_epoch;
            self.flush();
            self.emit(m, (EventName::NewEpoch, Text::from(self.current_epoch.to_string())), out);
        }
        let Some(p) = self.masters[m].peers.iter().position(|peer| *peer.id() == hello.id) else { return };
        if self.masters[m].config_epoch < hello.config_epoch {
            self.masters[m].config_epoch = hello.config_epoch;
            let new = addr(hello.master_host, hello.master_port);
            let resolver = self.resolver();
            let here = &self.masters[m].base.place;
            if !new.as_ref().is_some_and(|new| resolver.leads_to(here, &new.host, new.port)) {
                self.emit(m, (EventName::ConfigUpdateFrom, self.text_of(Who::Peer(m, p))), out);
                let shown = match &new {
                    Some(new) => Text::default().spaced(new),
                    None => Text::from(format!("{} {}", hello.master_host, hello.master_port)),
                };
                self.announce_switch(m, shown, out);
                let from = self.shown(&self.masters[m].base.place);
                if let Some(new) = &new {
                    self.change_address(m, new, now, out);
                }
                let to = self.shown(&self.masters[m].base.place);
                self.reconfigure_clients(m, Teller::Observer, &from, &to);
            }
        }
        let peer = &mut self.masters[m].peers[p];
        peer.last_hello = now;
        text.clone_into(&mut peer.told);
    }

    /// Adds a Sentinel that is not known at this address. One that announces a name where only addresses are taken is
    /// forgotten, wherever it was known.
    fn meet(&mut self, m: usize, hello: &Hello<'_>, place: Option<Place>, now: Ms, out: &mut Vec<Output>) {
        let moved = self.forget_peer(m, &hello.id, out);
        if moved {
            let text = self.text_of(Who::Master(m)).str(" ip ");
            let text = match addr(hello.host, hello.port) {
                Some(addr) => text.host(&addr).str(" port ").port(&addr),
                None => text.str(format!("{} port {}", hello.host, hello.port)),
            };
            self.emit(m, (EventName::SentinelAddressSwitch, text.str(format!(" for {}", hello.id))), out);
        } else if let Some(place) = &place
            && let Some(other) = self.masters[m].peers.iter().position(|peer| peer.base.place.is(place))
        {
            // Another Sentinel has taken over the address: the former one is forgotten everywhere.
            self.emit(m, (EventName::SentinelInvalidAddr, self.text_of(Who::Peer(m, other))), out);
            let gone = self.masters[m].peers[other].id().clone();
            for m in 0..self.masters.len() {
                self.forget_peer(m, &gone, out);
            }
        }
        let Some(place) = place else { return };
        let link = self.peer_link(&hello.id, now);
        self.flush();
        self.masters[m].peers.push(Peer::new(place, hello.id.clone(), link, now));
        let text = self.text_of(Who::Peer(m, self.masters[m].peers.len() - 1));
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
        let Some(place) = self.masters[m].peers.last().map(|peer| peer.base.place.clone()) else { return };
        let mut updated = Vec::new();
        for (other, master) in self.masters.iter_mut().enumerate().filter(|(other, _)| *other != m) {
            if let Some(peer) = master.peers.iter_mut().find(|peer| *peer.id() == hello.id) {
                peer.base.place = place.clone();
                peer.told.clear();
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
    use super::{Hello, epoch, port};

    #[test]
    fn a_hello_has_eight_fields() {
        let id = "a".repeat(40);
        let good = format!("10.128.0.1,26379,{id},3,mymaster,10.0.0.2,6379,2");
        let hello = Hello::parse(&good).unwrap();
        assert_eq!((hello.current_epoch, hello.master, hello.config_epoch), (3, "mymaster", 2));
        assert_eq!((hello.master_host, hello.master_port), ("10.0.0.2", 6379));
        let odd = good.replace("26379", "port").replace("6379", "63x").replace(",3,", ",x,").replace(",2", ",2nd");
        let hello = Hello::parse(&odd).unwrap();
        assert_eq!((hello.port, hello.master_port, hello.current_epoch, hello.config_epoch), (0, 63, 0, 2));
        for bad in ["", "a,b", &format!("{good},x")] {
            assert!(Hello::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn numbers_are_read_as_c_does() {
        let ports = ["", "x", " +7", "-5", "99999", "4294967297", "9223372036854775808", "-9223372036854775808"];
        assert_eq!(ports.map(port), [0, 0, 7, -5, 99999, 1, -1, 0]);
        let epochs = ["", "x", " +7x", "-1x", "18446744073709551615", "18446744073709551616", "-18446744073709551616"];
        assert_eq!(epochs.map(epoch), [0, 0, 7, u64::MAX, u64::MAX, u64::MAX, u64::MAX]);
    }
}
