//! [`Encoder`]: from replies to the bytes of RESP2 or RESP3.
//!
//! Numbers and simple strings are encoded by `redis-protocol`, straight from where they lie. Aggregates are
//! written element by element under a header of our own: that crate's maps and sets have no order, its RESP2 has no null
//! array, and building its frames would copy every reply. Bulk strings, of which the tables of a Sentinel have dozens,
//! have such a header too, which saves most of their cost.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::{BufMut as _, BytesMut};
use model::{Addr, Command, Reply, double_text};
use redis_protocol::resp3::encode::complete::extend_encode_borrowed;
use redis_protocol::resp3::types::BorrowedFrame;

/// Encodes replies for one connection.
pub(crate) struct Encoder<'a, M> {
    /// Where the bytes go.
    pub(crate) out: &'a mut BytesMut,
    /// Version 3 of the protocol, else version 2.
    pub(crate) resp3: bool,
    /// How the reader sees an address of the world.
    pub(crate) address: M,
}

impl<M: FnMut(&Addr) -> Addr> Encoder<'_, M> {
    /// Appends `reply`.
    pub(crate) fn reply(&mut self, reply: &Reply) {
        match reply {
            Reply::Simple(text) => {
                self.frame(&BorrowedFrame::SimpleString { data: one_line(text).as_bytes(), attributes: None });
            }
            Reply::Status(text) => {
                let text = text.render(&mut self.address);
                self.frame(&BorrowedFrame::SimpleString { data: one_line(&text).as_bytes(), attributes: None });
            }
            Reply::Error(text) => {
                // It may hold bytes that are no text, which the crate does not take.
                self.out.put_u8(b'-');
                self.out.put_slice(&model::raw::bytes(&one_line(text)));
                self.out.put_slice(b"\r\n");
            }
            Reply::Int(number) => self.frame(&BorrowedFrame::Number { data: *number, attributes: None }),
            Reply::Bulk(bytes) => self.bulk(bytes),
            Reply::Verbatim(text) if self.resp3 => {
                let text = text.render(&mut self.address);
                self.header('=', text.len() + 4);
                self.out.put_slice(b"txt:");
                self.out.put_slice(text.as_bytes());
                self.out.put_slice(b"\r\n");
            }
            Reply::Text(text) | Reply::Verbatim(text) => {
                let text = text.render(&mut self.address);
                self.bulk(text.as_bytes());
            }
            Reply::Double(number) if self.resp3 => {
                // Redis 7.0 shows all the digits, which the crate does not.
                write!(self.out, ",{}\r\n", double_text(*number)).expect("a growing buffer takes what is written");
            }
            Reply::Double(number) => self.bulk(double_text(*number).as_bytes()),
            Reply::Decimal(digits) if self.resp3 => {
                write!(self.out, ",{digits}\r\n").expect("a growing buffer takes what is written");
            }
            Reply::Decimal(digits) => self.bulk(digits.as_bytes()),
            Reply::Bool(value) if self.resp3 => self.out.put_slice(if *value { b"#t\r\n" } else { b"#f\r\n" }),
            Reply::Bool(value) => self.frame(&BorrowedFrame::Number { data: i64::from(*value), attributes: None }),
            Reply::BigNumber(digits) if self.resp3 => {
                write!(self.out, "({}\r\n", one_line(digits)).expect("a growing buffer takes what is written");
            }
            Reply::BigNumber(digits) => self.bulk(digits.as_bytes()),
            Reply::Null | Reply::NullArray if self.resp3 => self.frame(&BorrowedFrame::Null),
            Reply::Null => self.out.put_slice(b"$-1\r\n"),
            Reply::NullArray => self.out.put_slice(b"*-1\r\n"),
            Reply::Array(items) => self.items('*', items),
            Reply::ArrayOf(len) => self.header('*', *len),
            Reply::Set(items) => self.items(if self.resp3 { '~' } else { '*' }, items),
            Reply::Push(items) => self.items(if self.resp3 { '>' } else { '*' }, items),
            Reply::Map(pairs) => {
                if self.resp3 {
                    self.header('%', pairs.len());
                } else {
                    self.header('*', pairs.len() * 2);
                }
                for (key, value) in pairs {
                    self.reply(key);
                    self.reply(value);
                }
            }
        }
    }

    /// Appends a command, as it stands in a request and in a replication stream.
    pub(crate) fn command(&mut self, command: &Command) {
        self.header('*', command.len());
        for word in &command.0 {
            self.bulk(word);
        }
    }

    /// Appends the file of a full resynchronisation: its length, then the file, with nothing behind it.
    pub(crate) fn snapshot(&mut self, file: &[u8]) {
        self.header('$', file.len());
        self.out.put_slice(file);
    }

    fn bulk(&mut self, bytes: &[u8]) {
        self.header('$', bytes.len());
        self.out.put_slice(bytes);
        self.out.put_slice(b"\r\n");
    }

    fn items(&mut self, kind: char, items: &[Reply]) {
        self.header(kind, items.len());
        for item in items {
            self.reply(item);
        }
    }

    fn header(&mut self, kind: char, len: usize) {
        write!(self.out, "{kind}{len}\r\n").expect("a growing buffer takes what is written");
    }

    fn frame(&mut self, frame: &BorrowedFrame<'_>) {
        extend_encode_borrowed(self.out, frame, false).expect("a scalar frame can be encoded");
    }
}

/// What a client sent may come back in an error; a line break in it would end the reply. As Redis does, those around the text
/// are dropped, those in it become spaces.
fn one_line(text: &str) -> Cow<'_, str> {
    let breaks = ['\r', '\n'];
    if text.contains(breaks) { text.trim_matches(breaks).replace(breaks, " ").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use model::Text;
    use redis_protocol::resp2;
    use redis_protocol::resp3;

    use super::*;

    fn encode(reply: &Reply, resp3: bool) -> String {
        let mut out = BytesMut::new();
        let address = |_: &Addr| Addr::new("127.64.0.1", 7000);
        Encoder { out: &mut out, resp3, address }.reply(reply);
        out.escape_ascii().to_string()
    }

    #[test]
    fn every_kind_in_both_versions() {
        let pair = || vec![(Reply::word("k"), Reply::Int(-1))];
        let addr = Addr::new("10.0.0.1", 6379);
        let table = [
            (Reply::OK, r"+OK\r\n", r"+OK\r\n"),
            (Reply::error("ERR no"), r"-ERR no\r\n", r"-ERR no\r\n"),
            (Reply::error(model::raw::text(b"ERR \xff")), r"-ERR \xff\r\n", r"-ERR \xff\r\n"),
            (Reply::error("ERR no 'a\r\nb'\n"), r"-ERR no \'a  b\'\r\n", r"-ERR no \'a  b\'\r\n"),
            (Reply::Int(12), r":12\r\n", r":12\r\n"),
            (Reply::word(""), r"$0\r\n\r\n", r"$0\r\n\r\n"),
            (Reply::bulk(&b"a\r\n\xff"[..]), r"$4\r\na\r\n\xff\r\n", r"$4\r\na\r\n\xff\r\n"),
            (Reply::Text(Text::new().spaced(&addr)), r"$15\r\n127.64.0.1 7000\r\n", r"$15\r\n127.64.0.1 7000\r\n"),
            (Reply::Verbatim(Text::from("a")), r"$1\r\na\r\n", r"=5\r\ntxt:a\r\n"),
            (Reply::Double(1.5), r"$3\r\n1.5\r\n", r",1.5\r\n"),
            (Reply::Double(3.1), r"$18\r\n3.1000000000000001\r\n", r",3.1000000000000001\r\n"),
            (Reply::Double(3.0), r"$1\r\n3\r\n", r",3\r\n"),
            (Reply::Decimal("3.10".into()), r"$4\r\n3.10\r\n", r",3.10\r\n"),
            (Reply::Double(f64::NEG_INFINITY), r"$4\r\n-inf\r\n", r",-inf\r\n"),
            (Reply::Bool(true), r":1\r\n", r"#t\r\n"),
            (Reply::Bool(false), r":0\r\n", r"#f\r\n"),
            (Reply::BigNumber("12".into()), r"$2\r\n12\r\n", r"(12\r\n"),
            (Reply::Null, r"$-1\r\n", r"_\r\n"),
            (Reply::NullArray, r"*-1\r\n", r"_\r\n"),
            (Reply::Array(vec![Reply::Null, Reply::OK]), r"*2\r\n$-1\r\n+OK\r\n", r"*2\r\n_\r\n+OK\r\n"),
            (Reply::Array(vec![]), r"*0\r\n", r"*0\r\n"),
            (Reply::ArrayOf(2), r"*2\r\n", r"*2\r\n"),
            (Reply::Map(pair()), r"*2\r\n$1\r\nk\r\n:-1\r\n", r"%1\r\n$1\r\nk\r\n:-1\r\n"),
            (Reply::Set(vec![Reply::Int(1)]), r"*1\r\n:1\r\n", r"~1\r\n:1\r\n"),
            (Reply::Push(vec![Reply::word("m")]), r"*1\r\n$1\r\nm\r\n", r">1\r\n$1\r\nm\r\n"),
        ];
        for (reply, resp2, resp3) in table {
            assert_eq!(encode(&reply, false), resp2, "{reply:?}");
            assert_eq!(encode(&reply, true), resp3, "{reply:?}");
        }
    }

    #[test]
    fn a_decoder_understands_the_aggregates() {
        let map = vec![(Reply::word("server"), Reply::word("redis")), (Reply::word("modules"), Reply::Array(vec![]))];
        let reply =
            Reply::Array(vec![Reply::Map(map), Reply::Set(vec![Reply::Int(1), Reply::Double(0.25)]), Reply::Null]);
        for resp3 in [false, true] {
            let mut out = BytesMut::new();
            Encoder { out: &mut out, resp3, address: Addr::clone }.reply(&reply);
            let bytes = out.freeze();
            let used = if resp3 {
                resp3::decode::complete::decode_bytes(&bytes).unwrap().unwrap().1
            } else {
                resp2::decode::decode_bytes(&bytes).unwrap().unwrap().1
            };
            assert_eq!(used, bytes.len());
        }
    }
}
