//! Addresses inside the world, and text that holds them.
//!
//! The world has addresses of its own (`10.0.0.1:6379`), the same in every run. A client sees the cluster through real
//! loopback addresses, which differ from run to run. So whatever a machine says that may hold an address is built as
//! [`Text`], and the host renders it for the connection it goes out on.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Host and port of a node, as the nodes of the world know it. The host is opaque: an IPv4 or IPv6 literal or a name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Addr {
    /// An IP literal without brackets, or a host name.
    pub host: Arc<str>,
    /// The TCP port.
    pub port: u16,
}

impl Addr {
    /// The address `host`, `port`.
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: Arc::from(host), port }
    }
}

/// `host:port`, IPv6 in brackets.
impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One piece of a [`Text`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// As it is.
    Str(Cow<'static, str>),
    /// The host of an address.
    Host(Addr),
    /// The port of an address.
    Port(Addr),
    /// Host and port with a colon between, IPv6 in brackets.
    HostPort(Addr),
}

/// Text that may hold addresses, which are rendered for whoever reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(pub Vec<Part>);

impl Text {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds plain text.
    #[must_use]
    pub fn str(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.0.push(Part::Str(text.into()));
        self
    }

    /// Adds the host of `addr`.
    #[must_use]
    pub fn host(mut self, addr: &Addr) -> Self {
        self.0.push(Part::Host(addr.clone()));
        self
    }

    /// Adds the port of `addr`.
    #[must_use]
    pub fn port(mut self, addr: &Addr) -> Self {
        self.0.push(Part::Port(addr.clone()));
        self
    }

    /// Adds `host:port`.
    #[must_use]
    pub fn host_port(mut self, addr: &Addr) -> Self {
        self.0.push(Part::HostPort(addr.clone()));
        self
    }

    /// Adds `host port`, with a space between.
    #[must_use]
    pub fn spaced(self, addr: &Addr) -> Self {
        self.host(addr).str(" ").port(addr)
    }

    /// Adds the parts of `other`.
    #[must_use]
    pub fn text(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Renders with every address passed through `map`.
    pub fn render(&self, mut map: impl FnMut(&Addr) -> Addr) -> String {
        use fmt::Write as _;
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Str(text) => out.push_str(text),
                Part::Host(addr) => out.push_str(&map(addr).host),
                Part::Port(addr) => {
                    let _ = write!(out, "{}", map(addr).port);
                }
                Part::HostPort(addr) => {
                    let _ = write!(out, "{}", map(addr));
                }
            }
        }
        out
    }
}

/// With the world's own addresses.
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Str(text) => f.write_str(text)?,
                Part::Host(addr) => f.write_str(&addr.host)?,
                Part::Port(addr) => write!(f, "{}", addr.port)?,
                Part::HostPort(addr) => write!(f, "{addr}")?,
            }
        }
        Ok(())
    }
}

impl From<&'static str> for Text {
    fn from(text: &'static str) -> Self {
        Self::new().str(text)
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self::new().str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_rendered_for_the_reader() {
        let world = Addr::new("10.0.0.1", 6379);
        let text = Text::from("master m ").spaced(&world).str(" ").host_port(&world);
        assert_eq!(text.to_string(), "master m 10.0.0.1 6379 10.0.0.1:6379");
        assert_eq!(text.render(|_| Addr::new("::1", 7000)), "master m ::1 7000 [::1]:7000");
    }
}
