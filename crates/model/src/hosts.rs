//! [`Hosts`]: the resolver of the world. Names stand for the addresses of machines, and may come to stand for others while
//! a run goes on; whoever asks again then learns it, and nobody is told.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// Names and what they stand for. Upper and lower case are the same. `localhost` is 127.0.0.1 unless it is given another
/// address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hosts(Arc<BTreeMap<String, Arc<str>>>);

impl Hosts {
    /// Has `name` stand for `ip` from now on, or for nothing if `None`.
    pub fn set(&mut self, name: &str, ip: Option<&str>) {
        let names = Arc::make_mut(&mut self.0);
        match ip {
            Some(ip) => names.insert(name.to_ascii_lowercase(), Arc::from(ip)),
            None => names.remove(&name.to_ascii_lowercase()),
        };
    }

    /// Has every name that stands for the address `from` stand for `to` from now on.
    pub fn follow(&mut self, from: &str, to: &str) {
        for ip in Arc::make_mut(&mut self.0).values_mut().filter(|ip| ***ip == *from) {
            *ip = Arc::from(to);
        }
    }

    /// The address that `host` stands for: itself in its usual form, if it is an IP address. `None` if it is a name that
    /// nobody knows.
    pub fn resolve(&self, host: &str) -> Option<Arc<str>> {
        let name = || {
            let name = host.to_ascii_lowercase();
            self.0.get(&name).cloned().or_else(|| (name == "localhost").then(|| Arc::from("127.0.0.1")))
        };
        literal(host).or_else(name)
    }
}

/// An IP address in its usual form, from any form that the C library reads without asking anybody: `127.1` and `0x7f000001`
/// are 127.0.0.1. `None` if it is none.
pub fn literal(host: &str) -> Option<Arc<str>> {
    let ip = host.parse::<IpAddr>().ok().or_else(|| short_ipv4(host).map(IpAddr::V4))?;
    Some(Arc::from(ip.to_string()))
}

/// One to four numbers, decimal, octal (`0…`) or hexadecimal (`0x…`), of which the last fills what is left of 32 bits.
fn short_ipv4(host: &str) -> Option<Ipv4Addr> {
    let number = |part: &str| {
        let (digits, radix) = match part.strip_prefix("0x").or_else(|| part.strip_prefix("0X")) {
            Some(hex) => (hex, 16),
            None if part.len() > 1 && part.starts_with('0') => (&part[1..], 8),
            None => (part, 10),
        };
        let plain = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
        plain.then(|| u32::from_str_radix(digits, radix).ok())?
    };
    let parts: Vec<u32> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, bytes) = parts.split_last()?;
    if bytes.len() > 3 || bytes.iter().any(|byte| *byte > 255) {
        return None;
    }
    let left = 32 - 8 * bytes.len() as u32;
    if left < 32 && *last >= 1 << left {
        return None;
    }
    let high = bytes.iter().enumerate().fold(0, |sum, (index, byte)| sum | byte << (24 - 8 * index));
    Some(Ipv4Addr::from(high | last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_c_library_reads_them() {
        for (text, ip) in [
            ("10.0.0.1", Some("10.0.0.1")),
            ("::0:1", Some("::1")),
            ("127.1", Some("127.0.0.1")),
            ("1", Some("0.0.0.1")),
            ("0x7f000001", Some("127.0.0.1")),
            ("010.0.0.1", Some("8.0.0.1")),
            ("1.2.65535", Some("1.2.255.255")),
            ("256.0.0.1", None),
            ("1.2.3.4.5", None),
            ("1.2.65536", None),
            ("", None),
            ("1.", None),
            ("09", None),
            ("4294967296", None),
            ("redis-1", None),
        ] {
            assert_eq!(literal(text).as_deref(), ip, "{text}");
        }
    }

    #[test]
    fn names_come_and_go() {
        let mut hosts = Hosts::default();
        assert_eq!(hosts.resolve("LOCALHOST").as_deref(), Some("127.0.0.1"));
        assert_eq!(hosts.resolve("db"), None);
        hosts.set("Db", Some("10.0.0.1"));
        let before = hosts.clone();
        hosts.set("db", Some("10.0.0.2"));
        assert_eq!(hosts.resolve("DB").as_deref(), Some("10.0.0.2"));
        assert_eq!(before.resolve("db").as_deref(), Some("10.0.0.1"));
        hosts.set("other", Some("10.0.0.1"));
        hosts.follow("10.0.0.2", "10.0.0.3");
        assert_eq!(hosts.resolve("db").as_deref(), Some("10.0.0.3"));
        assert_eq!(hosts.resolve("other").as_deref(), Some("10.0.0.1"));
        hosts.set("db", None);
        assert_eq!(hosts.resolve("db"), None);
    }
}
