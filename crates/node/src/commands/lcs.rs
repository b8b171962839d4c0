//! `LCS`: what two strings have in common.

use bytes::Bytes;
use model::Reply;

use crate::access::{Access, DataResult, Failure};
use crate::args::{SYNTAX, int, is};
use crate::keyspace::Value;

/// The lengths of the longest common subsequences of all pairs of beginnings.
fn lengths(a: &[u8], b: &[u8]) -> Vec<Vec<u32>> {
    let mut table = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            table[i + 1][j + 1] = if x == y { table[i][j] + 1 } else { table[i][j + 1].max(table[i + 1][j]) };
        }
    }
    table
}

/// A run of bytes that is in both: where it ends in each, exclusively, and its length.
struct Match {
    ends: (usize, usize),
    length: usize,
}

/// The matches, last one first.
fn matches(a: &[u8], b: &[u8], table: &[Vec<u32>]) -> Vec<Match> {
    let (mut i, mut j) = (a.len(), b.len());
    let mut found: Vec<Match> = Vec::new();
    let mut open = false;
    while i > 0 && j > 0 {
        if a[i - 1] == b[j - 1] {
            match found.last_mut().filter(|_| open) {
                Some(last) => last.length += 1,
                None => found.push(Match { ends: (i, j), length: 1 }),
            }
            open = true;
            (i, j) = (i - 1, j - 1);
        } else {
            open = false;
            if table[i - 1][j] > table[i][j - 1] { i -= 1 } else { j -= 1 }
        }
    }
    found
}

pub(crate) fn lcs(access: &mut Access<'_>, args: &[Bytes]) -> DataResult {
    let mut text = |key: &Bytes| match access.get(key) {
        None => Ok(Bytes::new()),
        Some(Value::Str(text)) => Ok(text.clone()),
        Some(_) => Err(Failure::from("ERR The specified keys must contain string values")),
    };
    let (a, b) = (text(&args[1]), text(&args[2]));
    let (a, b) = (a?, b?);
    let (mut length, mut places, mut with_length, mut least) = (false, false, false, 0);
    let mut rest = args[3..].iter();
    while let Some(option) = rest.next() {
        match () {
            () if is(option, "IDX") => places = true,
            () if is(option, "LEN") => length = true,
            () if is(option, "WITHMATCHLEN") => with_length = true,
            () if is(option, "MINMATCHLEN") => least = int(rest.next().ok_or(SYNTAX)?)?,
            () => return Err(SYNTAX),
        }
    }
    if places && length {
        return Err("ERR If you want both the length and indexes, please just use IDX.".into());
    }
    if (a.len() + 1) * (b.len() + 1) * size_of::<u32>() > access.string_max() {
        return Err("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len".into());
    }
    let table = lengths(&a, &b);
    let total = Reply::Int(i64::from(table[a.len()][b.len()]));
    if length {
        return Ok(total);
    }
    let found = matches(&a, &b, &table);
    if !places {
        let pieces = found.iter().rev().flat_map(|run| &a[run.ends.0 - run.length..run.ends.0]);
        return Ok(Reply::Bulk(pieces.copied().collect()));
    }
    let show = |run: &Match| {
        let range = |end: usize| {
            Reply::Array([end - run.length, end - 1].into_iter().map(|at| Reply::Int(at as i64)).collect())
        };
        let mut fields = vec![range(run.ends.0), range(run.ends.1)];
        fields.extend(with_length.then_some(Reply::Int(run.length as i64)));
        Reply::Array(fields)
    };
    let long = found.iter().filter(|run| run.length as i64 >= least).map(show).collect();
    Ok(Reply::Map(vec![(Reply::word("matches"), Reply::Array(long)), (Reply::word("len"), total)]))
}
