//! What travels on a connection: commands one way, replies the other, and a snapshot in a full resynchronisation.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;

use crate::addr::{Addr, Text};
use crate::raw;

/// A command with its arguments, as bulk strings: `["SET", "k", "v"]`.
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct Command(pub Vec<Bytes>);

impl Command {
    /// A command of static words.
    pub fn of(words: &[&'static str]) -> Self {
        Self(words.iter().map(|word| Bytes::from_static(word.as_bytes())).collect())
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<Bytes>) -> Self {
        self.0.push(arg.into());
        self
    }

    /// The name as sent; empty if there is none.
    pub fn name(&self) -> &[u8] {
        self.0.first().map_or(&[], |name| name)
    }

    /// True if the name is `name`, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// Argument `index`, counted with the name as 0.
    pub fn get(&self, index: usize) -> Option<&Bytes> {
        self.0.get(index)
    }

    /// Number of words, the name among them.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there is not even a name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `ERR unknown command 'X', with args beginning with: 'a' 'b' `: what a node says that has no such command. The name and
    /// the arguments together are shown up to 128 bytes each.
    pub fn unknown(&self) -> String {
        let mut args: Vec<u8> = Vec::new();
        for arg in self.0.iter().skip(1) {
            if args.len() >= 128 {
                break;
            }
            args.extend([b"'", shown(arg, 128 - args.len()), b"' "].concat());
        }
        let name = self.0.first().map_or(&[][..], |name| shown(name, 128));
        let (name, args) = (raw::text(name), raw::text(&args));
        format!("ERR unknown command '{name}', with args beginning with: {args}").replace(['\r', '\n'], " ")
    }

    /// `ERR unknown subcommand 'X'. Try COMMAND HELP.`
    pub fn unknown_subcommand(&self, command: &str) -> String {
        let sub = self.0.get(1).map_or(&[][..], |sub| shown(sub, 128));
        format!("ERR unknown subcommand '{}'. Try {command} HELP.", raw::text(sub))
    }

    /// Bytes that the command takes in the RESP form, which is what replication offsets count.
    pub fn encoded_len(&self) -> u64 {
        fn digits(mut n: usize) -> usize {
            let mut digits = 1;
            while n >= 10 {
                n /= 10;
                digits += 1;
            }
            digits
        }
        let bulks: usize = self.0.iter().map(|arg| 1 + digits(arg.len()) + 2 + arg.len() + 2).sum();
        (1 + digits(self.0.len()) + 2 + bulks) as u64
    }
}

/// Words separated by spaces, bytes that are not UTF-8 replaced.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&String::from_utf8_lossy(word))?;
        }
        Ok(())
    }
}

/// A reply, whatever the protocol version of the connection. The host encodes it: for RESP2 a map becomes a flat array,
/// a push or a set an array, a null `$-1`, a null array `*-1`, a truth value a number, a
/// double, a big number or a verbatim string a bulk string.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// `+text`
    Simple(Cow<'static, str>),
    /// `+text` that may hold addresses
    Status(Text),
    /// `-text`, the code at its start: `ERR unknown command …`
    Error(Cow<'static, str>),
    /// `:n`
    Int(i64),
    /// `$n`, bytes
    Bulk(Bytes),
    /// `$n`, text that may hold addresses
    Text(Text),
    /// `=n`, text for people that may hold addresses, or a bulk string
    Verbatim(Text),
    /// `,d` or a bulk string
    Double(f64),
    /// The same, of digits that are not those of [`double_text`]
    Decimal(String),
    /// `#t` or `#f`, or `:1` or `:0`
    Bool(bool),
    /// `(n`, a number of any length in decimal digits, or a bulk string
    BigNumber(String),
    /// `_`, or `$-1`
    Null,
    /// `_`, or `*-1`
    NullArray,
    /// `*n`
    Array(Vec<Reply>),
    /// `*n`, an array whose elements follow as replies of their own, with whatever else is said meanwhile between them
    ArrayOf(usize),
    /// `%n`, or a flat array of 2n
    Map(Vec<(Reply, Reply)>),
    /// `~n`, or an array
    Set(Vec<Reply>),
    /// `>n`, or an array: an out-of-band message
    Push(Vec<Reply>),
}

impl Reply {
    /// `+OK`
    pub const OK: Self = Self::Simple(Cow::Borrowed("OK"));
    /// `+QUEUED`
    pub const QUEUED: Self = Self::Simple(Cow::Borrowed("QUEUED"));
    /// `+PONG`
    pub const PONG: Self = Self::Simple(Cow::Borrowed("PONG"));

    /// A bulk string.
    pub fn bulk(text: impl Into<Bytes>) -> Self {
        Self::Bulk(text.into())
    }

    /// A bulk string of static text.
    pub const fn word(text: &'static str) -> Self {
        Self::Bulk(Bytes::from_static(text.as_bytes()))
    }

    /// An error; `text` begins with its code.
    pub fn error(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Error(text.into())
    }

    /// The host of an address, as a bulk string.
    pub fn host(addr: &Addr) -> Self {
        Self::Text(Text::new().host(addr))
    }

    /// The port of an address, as a bulk string.
    pub fn port(addr: &Addr) -> Self {
        Self::Text(Text::new().port(addr))
    }

    /// The first word of an error: `READONLY`. `None` if this is no error.
    pub fn error_code(&self) -> Option<&str> {
        match self {
            Self::Error(text) => Some(text.split(' ').next().unwrap_or_default()),
            _ => None,
        }
    }

    /// The text of a simple or bulk string, with the world's own addresses.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Simple(text) => Some(Cow::Borrowed(text)),
            Self::Bulk(bytes) => Some(String::from_utf8_lossy(bytes)),
            Self::Text(text) | Self::Status(text) | Self::Verbatim(text) => Some(Cow::Owned(text.to_string())),
            _ => None,
        }
    }

    /// The number of an integer reply.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            _ => None,
        }
    }

    /// The elements of an array, a set or a push.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) | Self::Set(items) | Self::Push(items) => Some(items),
            _ => None,
        }
    }
}

/// A double as Redis 7.0 writes it, `%.17g`: `1.5`, `3.1000000000000001`, `1e+20`, `inf`.
pub fn double_text(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "nan"
        } else if value > 0.0 {
            "inf"
        } else {
            "-inf"
        }
        .to_owned();
    }
    let scientific = format!("{value:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| {
        let short = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
        short.to_owned()
    };
    if (-4..17).contains(&exponent) {
        return trim(&format!("{value:.*}", (16 - exponent) as usize));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(mantissa), exponent.abs())
}

/// One thing that travels on a connection. Commands go from the end that connected to the end that accepted, replies
/// the other way, but for a replication stream: after a successful `PSYNC` the master sends a snapshot and commands.
#[derive(Clone, Debug, PartialEq)]
pub enum Frame {
    /// A command.
    Command(Command),
    /// A reply or a push.
    Reply(Reply),
    /// The RDB file of a full resynchronisation.
    Snapshot(Bytes),
    /// Bytes that are no command: what Redis says is wrong with them. Nothing follows that could be understood.
    Malformed(Cow<'static, str>),
}

/// As much of a word as an error shows of it: so many bytes, and none from a zero on.
fn shown(word: &[u8], most: usize) -> &[u8] {
    let end = word.iter().position(|byte| *byte == 0).unwrap_or(word.len());
    &word[..end.min(most)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_length_is_that_of_resp() {
        let command = Command::of(&["SET", "k"]).arg("v".repeat(12));
        let encoded = format!("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$12\r\n{}\r\n", "v".repeat(12));
        assert_eq!(command.encoded_len(), encoded.len() as u64);
    }

    #[test]
    fn doubles_are_those_of_redis() {
        let table = [
            (0.0, "0"),
            (3.0, "3"),
            (1.5, "1.5"),
            (-3.1, "-3.1000000000000001"),
            (1e20, "1e+20"),
            (1.5e-7, "1.4999999999999999e-07"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (value, text) in table {
            assert_eq!(double_text(value), text);
        }
    }

    #[test]
    fn error_codes() {
        assert_eq!(Reply::error("READONLY You can't").error_code(), Some("READONLY"));
        assert_eq!(Reply::OK.error_code(), None);
    }
}
