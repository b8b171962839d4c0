//! [`Incoming`]: what a peer outside the world says that a node has dialled: replies, and on a replication link, after the
//! answer to `PSYNC`, a snapshot and the stream of commands.
//!
//! The peer is a real Redis or Sentinel, or another lab. Replies are decoded by `redis-protocol`; the snapshot has a form
//! of its own, with its length before it or a mark behind it.

use bytes::{Buf as _, Bytes, BytesMut};
use model::{Frame, Reply};
use redis_protocol::resp2::decode::decode_bytes_mut;
use redis_protocol::resp2::types::BytesFrame;

use super::request::Requests;

/// Most bytes of one reply. `INFO` and the tables of a Sentinel are far below.
const REPLY_MAX: usize = 64 * 1024 * 1024;
/// Length of the mark that ends a snapshot of unknown length.
const MARK_LEN: usize = 40;
/// Most bytes of the line before a snapshot.
const HEADER_MAX: usize = 64;
/// Longest word in the stream of a master.
const STREAM_WORD_MAX: u64 = 512 * 1024 * 1024;

/// The peer says something that is not Redis's protocol. The connection cannot be gone on with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the peer breaks the protocol: {0}")]
pub(crate) struct BrokenPeer(&'static str);

/// The bytes of one dialled connection, and what they are at present.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    /// What has arrived and is not yet understood.
    requests: Requests,
    phase: Phase,
}

#[derive(Debug, Default)]
enum Phase {
    /// Replies to commands, and messages.
    #[default]
    Replies,
    /// `+FULLRESYNC` has come: the line before the snapshot is next.
    Header,
    /// So many bytes of snapshot.
    Counted(usize),
    /// Bytes of snapshot until this mark; so many have been searched for it.
    Marked { mark: Bytes, searched: usize },
    /// Commands, for ever.
    Stream,
}

impl Incoming {
    /// Where the reader of the socket appends.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.requests.buffer
    }

    /// The next complete frame; `None` if more bytes are needed.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, BrokenPeer> {
        loop {
            match &mut self.phase {
                Phase::Replies => {
                    self.skip_keep_alives();
                    let Some(reply) = self.reply()? else { return Ok(None) };
                    match &reply {
                        Reply::Simple(text) if text.starts_with("FULLRESYNC ") => self.phase = Phase::Header,
                        Reply::Simple(text) if *text == "CONTINUE" || text.starts_with("CONTINUE ") => {
                            self.phase = Phase::Stream;
                        }
                        _ => {}
                    }
                    return Ok(Some(Frame::Reply(reply)));
                }
                Phase::Header => {
                    self.skip_keep_alives();
                    let Some(phase) = self.header()? else { return Ok(None) };
                    self.phase = phase;
                }
                Phase::Counted(len) => {
                    if self.requests.buffer.len() < *len {
                        return Ok(None);
                    }
                    let file = self.requests.buffer.split_to(*len).freeze();
                    self.phase = Phase::Stream;
                    return Ok(Some(Frame::Snapshot(file)));
                }
                Phase::Marked { mark, searched } => {
                    let buffer = &mut self.requests.buffer;
                    let Some(at) = find(&buffer[*searched..], mark) else {
                        *searched = buffer.len().saturating_sub(MARK_LEN - 1);
                        return Ok(None);
                    };
                    let file = buffer.split_to(*searched + at).freeze();
                    buffer.advance(MARK_LEN);
                    self.phase = Phase::Stream;
                    return Ok(Some(Frame::Snapshot(file)));
                }
                Phase::Stream => {
                    let command = self
                        .requests
                        .next(false, STREAM_WORD_MAX)
                        .map_err(|_| BrokenPeer("no command in the stream"))?;
                    return Ok(command.map(Frame::Command));
                }
            }
        }
    }

    /// A master that prepares a snapshot sends empty lines meanwhile.
    fn skip_keep_alives(&mut self) {
        let buffer = &mut self.requests.buffer;
        let empty = buffer.iter().take_while(|byte| **byte == b'\n').count();
        buffer.advance(empty);
    }

    fn reply(&mut self) -> Result<Option<Reply>, BrokenPeer> {
        let buffer = &mut self.requests.buffer;
        match decode_bytes_mut(buffer) {
            Ok(Some((frame, ..))) => Ok(Some(reply_of(frame))),
            Ok(None) if buffer.len() > REPLY_MAX => Err(BrokenPeer("a reply is too long")),
            Ok(None) => Ok(None),
            Err(_) => Err(BrokenPeer("no reply")),
        }
    }

    /// The line before a snapshot: `$<length>` or `$EOF:<mark>`.
    fn header(&mut self) -> Result<Option<Phase>, BrokenPeer> {
        let buffer = &mut self.requests.buffer;
        let Some(end) = buffer.iter().take(HEADER_MAX).position(|byte| *byte == b'\n') else {
            return if buffer.len() < HEADER_MAX { Ok(None) } else { Err(BrokenPeer("no snapshot")) };
        };
        let line = buffer.split_to(end + 1).freeze();
        let line = line.slice(..line.strip_suffix(b"\r\n").map_or(end, <[u8]>::len));
        if let Some(mark) = line.strip_prefix(b"$EOF:") {
            if mark.len() != MARK_LEN {
                return Err(BrokenPeer("the mark of the snapshot has not 40 bytes"));
            }
            return Ok(Some(Phase::Marked { mark: line.slice_ref(mark), searched: 0 }));
        }
        let len = line.strip_prefix(b"$").and_then(|len| std::str::from_utf8(len).ok()?.parse().ok());
        len.map(|len| Some(Phase::Counted(len))).ok_or(BrokenPeer("no snapshot"))
    }
}

/// Where `needle` begins in `hay`.
fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

fn reply_of(frame: BytesFrame) -> Reply {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match frame {
        BytesFrame::SimpleString(bytes) => Reply::Simple(text(&bytes).into()),
        BytesFrame::Error(error) => Reply::Error(error.to_string().into()),
        BytesFrame::Integer(number) => Reply::Int(number),
        BytesFrame::BulkString(bytes) => Reply::Bulk(bytes),
        BytesFrame::Array(items) => Reply::Array(items.into_iter().map(reply_of).collect()),
        BytesFrame::Null => Reply::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of `bytes`, as text, whatever pieces they arrive in.
    fn all(bytes: &[u8]) -> (Vec<String>, Option<BrokenPeer>) {
        let read = |piece: usize| {
            let mut incoming = Incoming::default();
            let mut seen = Vec::new();
            for piece in bytes.chunks(piece) {
                incoming.buffer().extend_from_slice(piece);
                loop {
                    match incoming.next() {
                        Ok(Some(Frame::Reply(reply))) => seen.push(format!("{reply:?}")),
                        Ok(Some(Frame::Command(command))) => seen.push(format!("{command:?}")),
                        Ok(Some(Frame::Snapshot(file))) => seen.push(format!("file {}", file.escape_ascii())),
                        Ok(Some(Frame::Malformed(what))) => panic!("only clients say that: {what}"),
                        Ok(None) => break,
                        Err(error) => return (seen, Some(error)),
                    }
                }
            }
            (seen, None)
        };
        let whole = read(bytes.len());
        for piece in [1, 2, 7] {
            assert_eq!(read(piece), whole, "in pieces of {piece}");
        }
        whole
    }

    #[test]
    fn replies_of_every_kind() {
        let (seen, error) = all(b"+PONG\r\n-LOADING x\r\n:-3\r\n$2\r\n\r\n\r\n$-1\r\n*2\r\n:1\r\n$1\r\n*\r\n*-1\r\n");
        let expected = [
            r#"Simple("PONG")"#,
            r#"Error("LOADING x")"#,
            "Int(-3)",
            r#"Bulk(b"\r\n")"#,
            "Null",
            r#"Array([Int(1), Bulk(b"*")])"#,
            "Null",
        ];
        assert_eq!((seen, error), (expected.map(str::to_owned).to_vec(), None));
    }

    #[test]
    fn a_full_resynchronisation_in_both_forms() {
        let mark = "m".repeat(40);
        for snapshot in ["$5\r\nREDIS".to_owned(), format!("$EOF:{mark}\r\nREDIS{mark}")] {
            let text = format!("\n+FULLRESYNC id 1\r\n\n\n{snapshot}*1\r\n$4\r\nPING\r\n*1\r\n$4\r\nPING\r\n");
            let (seen, error) = all(text.as_bytes());
            assert_eq!(seen, [r#"Simple("FULLRESYNC id 1")"#, "file REDIS", "PING", "PING"]);
            assert_eq!(error, None);
        }
    }

    #[test]
    fn a_partial_resynchronisation_goes_on_with_commands() {
        for answer in ["+CONTINUE\r\n", "+CONTINUE 3f0c\r\n"] {
            let (seen, _) = all(format!("-NOMASTERLINK no\r\n{answer}*1\r\n$4\r\nPING\r\n").as_bytes());
            assert_eq!(seen.len(), 3, "{seen:?}");
            assert_eq!(seen[2], "PING");
        }
    }

    #[test]
    fn nonsense_is_an_error() {
        for bytes in [
            &b"hello\r\n"[..],
            b"+FULLRESYNC id 1\r\nhello\r\n",
            b"+FULLRESYNC id 1\r\n$EOF:short\r\n",
            b"+CONTINUE\r\n*x\r\n",
        ] {
            assert!(all(bytes).1.is_some(), "{}", bytes.escape_ascii());
        }
    }
}
