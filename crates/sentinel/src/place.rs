//! Where an instance is: as it was named, and what that stands for. With `resolve-hostnames` the name may be one that a
//! resolver knows, else only an IP address is taken; with `announce-hostnames` the name is what is told, else the address.

use std::sync::Arc;

use model::Addr;
use model::hosts::{Hosts, literal};

/// Host and port of an instance.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// As it was given.
    pub name: Arc<str>,
    /// What it stands for; empty while that is not known.
    pub ip: Arc<str>,
    pub port: u16,
}

impl Place {
    /// What is dialled. The host is empty if there is nothing to dial.
    pub(crate) fn addr(&self) -> Addr {
        Addr { host: self.ip.clone(), port: self.port }
    }

    /// What is told, by name or not.
    pub(crate) fn shown(&self, by_name: bool) -> Addr {
        Addr { host: if by_name { self.name.clone() } else { self.ip.clone() }, port: self.port }
    }

    /// True if both are the same place: by their addresses or by their names.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.port == other.port && (self.ip == other.ip || self.name.eq_ignore_ascii_case(&other.name))
    }
}

/// Names, and whether they may be looked up.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolver<'a> {
    pub hosts: &'a Hosts,
    /// `sentinel resolve-hostnames`.
    pub names: bool,
}

impl Resolver<'_> {
    fn ip(&self, host: &str) -> Option<Arc<str>> {
        if self.names { self.hosts.resolve(host) } else { literal(host) }
    }

    /// The place that `addr` names. `None` if its host is not known now.
    pub(crate) fn place(&self, addr: &Addr) -> Option<Place> {
        Some(Place { name: addr.host.clone(), ip: self.ip(&addr.host)?, port: addr.port })
    }

    /// The place that `addr` names, even if its name is not known now; `None` if names are not taken.
    pub(crate) fn place_or_name(&self, addr: &Addr) -> Option<Place> {
        let unknown = || Place { name: addr.host.clone(), ip: Arc::from(""), port: addr.port };
        self.place(addr).or_else(|| self.names.then(unknown))
    }

    /// True if `host` and `port` are those of `place`: by what the host stands for or, where that is not known, by name.
    pub(crate) fn leads_to(&self, place: &Place, host: &str, port: u16) -> bool {
        let here = || match self.ip(host) {
            Some(ip) => ip.eq_ignore_ascii_case(&place.ip),
            None => host.eq_ignore_ascii_case(&place.name),
        };
        place.port == port && here()
    }
}
