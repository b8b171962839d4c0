//! [`Requests`]: from the bytes of a client to its commands.
//!
//! A request is not any RESP frame: it is an array of bulk strings, or a line of words, and Redis judges it header by
//! header, with limits and errors of its own, long before it is complete. Decoders of frames wait for the whole and
//! know none of this, so the headers are read here. Arguments share the memory that they arrived in.

use bytes::{Buf as _, Bytes, BytesMut};
use model::{Command, words};

/// Longest line: a header, or an inline request (`PROTO_INLINE_MAX_SIZE`).
const LINE_MAX: usize = 64 * 1024;
/// Most words of a request.
const WORDS_MAX: i64 = i32::MAX as i64;
/// Most words of a request before authentication.
const STRANGER_WORDS_MAX: i64 = 10;
/// Longest word before authentication.
const STRANGER_WORD_MAX: i64 = 16 * 1024;

/// Redis's error reply to a request that breaks the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ERR Protocol error: {0}")]
pub(crate) struct ProtocolError(String);

impl From<&str> for ProtocolError {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The requests of one connection.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    /// What has arrived and is not yet understood. The reader of the socket appends to it.
    pub(crate) buffer: BytesMut,
    /// The words of the request that is arriving.
    words: Vec<Bytes>,
    /// How many more words it has.
    missing: usize,
    /// The length of the word that is arriving, once its header was read.
    word_len: Option<usize>,
    /// Something was not to be understood: nothing is, from there on.
    broken: bool,
}

impl Requests {
    /// The next complete request; `None` if more bytes are needed. `stranger`: the client must authenticate and has
    /// not, which lowers the limits. No word is longer than `word_max` (`proto-max-bulk-len`).
    pub(crate) fn next(&mut self, stranger: bool, word_max: u64) -> Result<Option<Command>, ProtocolError> {
        if self.broken {
            self.buffer.clear();
            return Ok(None);
        }
        let request = self.take(stranger, word_max);
        self.broken = request.is_err();
        request
    }

    fn take(&mut self, stranger: bool, word_max: u64) -> Result<Option<Command>, ProtocolError> {
        loop {
            if self.missing > 0 {
                let Some(word) = self.word(stranger, word_max)? else { return Ok(None) };
                self.words.push(word);
                self.missing -= 1;
                if self.missing == 0 {
                    return Ok(Some(Command(std::mem::take(&mut self.words))));
                }
                continue;
            }
            match self.buffer.first() {
                None => return Ok(None),
                Some(b'*') => {
                    let header = self.header("too big mbulk count string", "invalid multibulk length")?;
                    let Some(words) = header else { return Ok(None) };
                    if words > WORDS_MAX {
                        return Err("invalid multibulk length".into());
                    }
                    if stranger && words > STRANGER_WORDS_MAX {
                        return Err("unauthenticated multibulk length".into());
                    }
                    self.missing = usize::try_from(words).unwrap_or(0);
                    // A header alone must not cost much memory.
                    self.words.reserve(self.missing.min(64));
                }
                Some(_) => match self.inline()? {
                    None => return Ok(None),
                    Some(words) if words.is_empty() => {}
                    Some(words) => return Ok(Some(Command(words))),
                },
            }
        }
    }

    /// Takes the next word of an array.
    fn word(&mut self, stranger: bool, word_max: u64) -> Result<Option<Bytes>, ProtocolError> {
        let len = match (self.word_len, self.buffer.first()) {
            (Some(len), _) => len,
            (None, None) => return Ok(None),
            (None, Some(b'$')) => {
                let header = self.header("too big bulk count string", "invalid bulk length")?;
                let Some(len) = header else { return Ok(None) };
                if u64::try_from(len).map_or(true, |len| len > word_max) {
                    return Err("invalid bulk length".into());
                }
                if stranger && len > STRANGER_WORD_MAX {
                    return Err("unauthenticated bulk length".into());
                }
                *self.word_len.insert(len as usize)
            }
            (None, Some(&other)) => {
                return Err(ProtocolError(format!("expected '$', got '{}'", char::from(other))));
            }
        };
        if self.buffer.len() < len + 2 {
            return Ok(None);
        }
        self.word_len = None;
        let word = self.buffer.split_to(len).freeze();
        // Like Redis, without a look at what the two bytes are.
        self.buffer.advance(2);
        Ok(Some(word))
    }

    /// Where the line ends. Redis looks for that as in a C string, and sees no end behind a zero byte: it waits for more.
    fn find(&self, end: u8) -> Option<usize> {
        let at = self.buffer.iter().position(|&byte| byte == end || byte == 0)?;
        (self.buffer[at] == end).then_some(at)
    }

    /// Takes a header: the number after its first byte.
    fn header(&mut self, too_long: &str, invalid: &str) -> Result<Option<i64>, ProtocolError> {
        let Some(end) = self.find(b'\r') else {
            return if self.buffer.len() > LINE_MAX { Err(too_long.into()) } else { Ok(None) };
        };
        if self.buffer.len() < end + 2 {
            return Ok(None);
        }
        let number = number(&self.buffer[1..end]).ok_or_else(|| ProtocolError::from(invalid))?;
        self.buffer.advance(end + 2);
        Ok(Some(number))
    }

    /// Takes a line of words; it may have none.
    fn inline(&mut self) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        let Some(end) = self.find(b'\n') else {
            return if self.buffer.len() > LINE_MAX { Err("too big inline request".into()) } else { Ok(None) };
        };
        let line = self.buffer.split_to(end + 1);
        let line = &line[..end];
        let words = words::split(line.strip_suffix(b"\r").unwrap_or(line));
        words.map(Some).ok_or_else(|| "unbalanced quotes in request".into())
    }
}

/// A number as Redis takes it in a header: no plus sign, no zeros before others.
fn number(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || (digits[0] == b'0' && text.len() > 1) {
        return None;
    }
    let mut number = 0_i64;
    for digit in digits {
        let digit = i64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        number = number.checked_mul(10)?;
        number = if negative { number.checked_sub(digit)? } else { number.checked_add(digit)? };
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use redis_protocol::resp2::encode::extend_encode_borrowed;
    use redis_protocol::resp2::types::BorrowedFrame;

    use super::*;

    fn all(bytes: &[u8], stranger: bool) -> (Vec<String>, Option<String>) {
        let mut requests = Requests { buffer: BytesMut::from(bytes), ..Requests::default() };
        let mut commands = Vec::new();
        loop {
            match requests.next(stranger, 512 << 20) {
                Ok(Some(command)) => commands.push(format!("{command:?}")),
                Ok(None) => return (commands, None),
                Err(error) => return (commands, Some(error.to_string())),
            }
        }
    }

    #[test]
    fn arrays_and_lines() {
        let table: [(&[u8], &[&str]); 10] = [
            (b"*1\r\n$4\r\nPING\r\n*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", &["PING", "GET k"]),
            (b"PING\r\n", &["PING"]),
            (b"set k  \"a b\\x41\\n\"\nGET k\n", &["set k a bA\n", "GET k"]),
            (b"SET k 'it\\'s'\r\n", &["SET k it's"]),
            (b"\r\n*0\r\n*-1\r\nPING\r\n", &["PING"]),
            (b"SET k \"\"\r\n", &["SET k "]),
            (b"*2\r\n$3\r\nGET\r\n$1", &[]),
            (b"*1\r\n$0\r\n\r\n", &[""]),
            (b"PING\r\nPI\0NG\r\nPING\r\n", &["PING"]),
            (b"*1\0\r\n$4\r\nPING\r\n", &[]),
        ];
        for (bytes, commands) in table {
            let (got, error) = all(bytes, false);
            assert_eq!(got, commands, "{}", bytes.escape_ascii());
            assert_eq!(error, None);
        }
    }

    #[test]
    fn errors_are_those_of_redis() {
        let long = [b"*".as_slice(), &b"1".repeat(70_000)].concat();
        let long_bulk = [b"*1\r\n$".as_slice(), &b"1".repeat(70_000)].concat();
        let long_line = b"a".repeat(70_000);
        let table: [(&[u8], bool, &str); 18] = [
            (b"*2147483648\r\n", false, "invalid multibulk length"),
            (b"*x\r\n", false, "invalid multibulk length"),
            (b"*01\r\n", false, "invalid multibulk length"),
            (b"*-0\r\n", false, "invalid multibulk length"),
            (b"*9223372036854775808\r\n", false, "invalid multibulk length"),
            (b"*\r\n", false, "invalid multibulk length"),
            (b"*1\r\n$536870913\r\n", false, "invalid bulk length"),
            (b"*1\r\n$-1\r\n", false, "invalid bulk length"),
            (b"*1\r\n$a\r\n", false, "invalid bulk length"),
            (b"*1\r\n:1\r\n", false, "expected '$', got ':'"),
            (b"*11\r\n", true, "unauthenticated multibulk length"),
            (b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", true, "unauthenticated bulk length"),
            (&long, false, "too big mbulk count string"),
            (&long_bulk, false, "too big bulk count string"),
            (&long_line, false, "too big inline request"),
            (b"SET k \"a\r\n", false, "unbalanced quotes in request"),
            (b"SET k \"a\"b\r\n", false, "unbalanced quotes in request"),
            (b"SET k 'a\r\n", false, "unbalanced quotes in request"),
        ];
        for (bytes, stranger, text) in table {
            let (_, error) = all(bytes, stranger);
            assert_eq!(error.as_deref(), Some(format!("ERR Protocol error: {text}").as_str()));
        }
        assert_eq!(all(b"*11\r\n", false).1, None);
    }

    #[test]
    fn a_request_may_arrive_byte_by_byte() {
        let frame =
            [BorrowedFrame::BulkString(b"SET"), BorrowedFrame::BulkString(b"k"), BorrowedFrame::BulkString(b"\r\n")];
        let mut bytes = BytesMut::new();
        extend_encode_borrowed(&mut bytes, &BorrowedFrame::Array(&frame), false).unwrap();
        let mut requests = Requests::default();
        for (index, byte) in bytes.iter().enumerate() {
            requests.buffer.extend_from_slice(&[*byte]);
            let command = requests.next(false, 512 << 20).unwrap();
            assert_eq!(command.is_some(), index + 1 == bytes.len());
            if let Some(command) = command {
                assert_eq!(command, Command::of(&["SET", "k", "\r\n"]));
            }
        }
        assert!(requests.buffer.is_empty());
    }
}
