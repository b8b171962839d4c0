//! [`Address`]: where a node is, as a Sentinel or the application names it.

use std::fmt;
use std::str::FromStr;

/// Host and port of a node. The host is opaque: an IP literal or a name, which is resolved anew whenever it is dialled.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// The address `host`, `port`. An IPv6 literal comes without brackets.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port }
    }

    /// An IP literal without brackets, or a name.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Reads `host`, `host:port`, `[ipv6]` or `[ipv6]:port`; `default_port` stands in for a missing port.
    pub(crate) fn parse(text: &str, default_port: Option<u16>) -> Result<Self, AddressError> {
        let error = |reason| AddressError { text: text.to_owned(), reason };
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest.split_once(']').ok_or_else(|| error("`]` is missing"))?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(error("`:` is expected after `]`")),
            }
        } else {
            match text.split_once(':') {
                Some((_, rest)) if rest.contains(':') => return Err(error("an IPv6 address needs brackets")),
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        if host.is_empty() {
            return Err(error("the host is missing"));
        }
        let brackets = text.starts_with('[');
        let of_a_host =
            |letter: char| letter.is_alphanumeric() || ".-_".contains(letter) || brackets && ":%".contains(letter);
        if !host.chars().all(of_a_host) || brackets && !host.contains(':') {
            return Err(error("the host is neither an IP address nor a name"));
        }
        let port = match port {
            Some(port) => match port.parse() {
                Ok(0) | Err(_) => return Err(error("the port is not a number from 1 to 65535")),
                Ok(port) => port,
            },
            None => default_port.ok_or_else(|| error("the port is missing"))?,
        };
        Ok(Self::new(host, port))
    }
}

/// `host:port`, IPv6 in brackets.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<H: Into<String>> From<(H, u16)> for Address {
    fn from((host, port): (H, u16)) -> Self {
        Self::new(host, port)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        Self::parse(text, None)
    }
}

/// Text that is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address: {reason}")]
pub struct AddressError {
    text: String,
    reason: &'static str,
}

impl AddressError {
    /// What is wrong, without the text that it is wrong with.
    pub const fn reason(&self) -> &'static str {
        self.reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn written_forms() {
        let table = [
            ("s1:26379", Ok(("s1", 26379))),
            ("s1", Ok(("s1", 1))),
            ("[::1]:7000", Ok(("::1", 7000))),
            ("[::1]", Ok(("::1", 1))),
            ("10.0.0.1:6379", Ok(("10.0.0.1", 6379))),
            ("::1:7000", Err("an IPv6 address needs brackets")),
            ("[::1", Err("`]` is missing")),
            ("[::1]7", Err("`:` is expected after `]`")),
            (":26379", Err("the host is missing")),
            ("s1:", Err("the port is not a number from 1 to 65535")),
            ("s1:0", Err("the port is not a number from 1 to 65535")),
            ("s1:65536", Err("the port is not a number from 1 to 65535")),
        ];
        for (text, expected) in table {
            let parsed = Address::parse(text, Some(1)).map_err(|error| error.reason);
            assert_eq!(parsed, expected.map(Address::from), "{text}");
        }
        assert_eq!("s1".parse::<Address>().map_err(|error| error.reason), Err("the port is missing"));
        assert_eq!(Address::new("::1", 7000).to_string(), "[::1]:7000");
    }
}
