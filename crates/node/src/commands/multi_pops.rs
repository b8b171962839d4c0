//! `LMPOP`, `ZMPOP` and their kin that wait: several items of the first key that has any.

use bytes::Bytes;
use model::{Command, Reply};

use super::lists::{End, Pop, seconds};
use super::zsets;
use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, is, number, whole};
use crate::blocking;
use crate::dispatch::{Call, Outcome};
use crate::node::Node;

/// What is taken, and from which keys.
#[derive(Clone, Debug)]
pub(crate) struct Several {
    pub(crate) keys: Vec<Bytes>,
    from: From,
    count: usize,
}

/// An end of a list, or of the order of scores.
#[derive(Clone, Copy, Debug)]
enum From {
    List(End),
    /// The highest scores, else the lowest.
    Scores(bool),
}

impl Several {
    /// Reads `numkeys key.. where [COUNT count]`.
    fn read(words: &[Bytes], side: fn(&[u8]) -> Result<From, Failure>) -> Result<Self, Failure> {
        let keys = whole(&words[0], "ERR numkeys should be greater than 0")?;
        let side_at = keys.checked_add(1).filter(|at| *at < words.len()).ok_or(SYNTAX)?;
        let from = side(&words[side_at])?;
        let count = match &words[side_at + 1..] {
            [] => 1,
            [name, count, rest @ ..] if is(name, "COUNT") => {
                let count = whole(count, "ERR count should be greater than 0")?;
                if !rest.is_empty() {
                    return Err(SYNTAX);
                }
                count
            }
            _ => return Err(SYNTAX),
        };
        Ok(Self { keys: words[1..side_at].to_vec(), from, count })
    }

    /// The same, of this one key.
    pub(crate) fn only(&self, key: &Bytes) -> Self {
        Self { keys: vec![key.clone()], ..self.clone() }
    }

    /// Takes them, if there are any. What replicas hear is the pop of the one key.
    pub(crate) fn attempt(&self, access: &mut Access<'_>) -> Result<Option<Reply>, Failure> {
        for key in &self.keys {
            let (name, event, items): (_, _, Vec<Reply>) = match self.from {
                From::List(end) => {
                    let Some(list) = access.list(key)? else { continue };
                    let items = (0..self.count.min(list.len())).filter_map(|_| end.pop(list).map(Reply::Bulk));
                    (if end == End::Left { "LPOP" } else { "RPOP" }, end.popped(), items.collect())
                }
                From::Scores(highest) => {
                    let Some(zset) = access.zset(key)? else { continue };
                    let pair = |(member, score)| Reply::Array(vec![Reply::Bulk(member), Reply::Double(score)]);
                    let items = (0..self.count.min(zset.len())).filter_map(|_| zset.pop(highest).map(pair));
                    (if highest { "ZPOPMAX" } else { "ZPOPMIN" }, zsets::popped(highest), items.collect())
                }
            };
            access.changed(event, key, items.len() as u64);
            access.propagate_instead(Command::of(&[name]).arg(key.clone()).arg(number(items.len())));
            return Ok(Some(Reply::Array(vec![Reply::Bulk(key.clone()), Reply::Array(items)])));
        }
        Ok(None)
    }
}

fn list_side(word: &[u8]) -> Result<From, Failure> {
    End::parse(word).map(From::List)
}

fn score_side(word: &[u8]) -> Result<From, Failure> {
    match () {
        () if is(word, "MIN") => Ok(From::Scores(false)),
        () if is(word, "MAX") => Ok(From::Scores(true)),
        () => Err(SYNTAX),
    }
}

pub(crate) fn lmpop(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Several::read(&args[1..], list_side)?.attempt(access)?.unwrap_or(Reply::NullArray))
}

pub(crate) fn zmpop(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    Ok(Several::read(&args[1..], score_side)?.attempt(access)?.unwrap_or(Reply::NullArray))
}

fn wait(node: &mut Node, call: &mut Call<'_>, side: fn(&[u8]) -> Result<From, Failure>) -> Outcome {
    let several = Several::read(&call.args()[2..], side)?;
    let micros = seconds(&call.args()[1])?;
    blocking::pop_or_wait(node, call, Pop::Several(several), micros)
}

pub(crate) fn blmpop(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    wait(node, call, list_side)
}

pub(crate) fn bzmpop(node: &mut Node, call: &mut Call<'_>) -> Outcome {
    wait(node, call, score_side)
}
