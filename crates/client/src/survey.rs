//! Asking the Sentinels: one after the other, but never waiting long for one, until there are answers enough.

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::{Cmd, Value};
use tokio::time::{Instant, sleep_until};

use crate::address::Address;
use crate::core::Core;
use crate::error::OpenError;
use crate::link::Link;

/// What one Sentinel said.
pub(crate) struct Answer<T> {
    pub(crate) sentinel: Address,
    /// What it said, and the connection that it said it on.
    pub(crate) result: Result<(T, Link), OpenError>,
}

/// Asks the Sentinels in their order until `enough` of the answers so far, or until all are in. A Sentinel that keeps
/// silent for the stagger of the settings is not waited for before the next one is asked too; one that fails hands on
/// at once. The questions that are still open at the end are dropped, with their connections.
pub(crate) async fn ask<T>(
    core: &Core,
    command: &Cmd,
    read: fn(&Value) -> Option<T>,
    enough: impl Fn(&[Answer<T>], usize) -> bool,
) -> Vec<Answer<T>> {
    let sentinels = core.sentinels().order();
    let total = sentinels.len();
    let mut waiting = sentinels.into_iter();
    let mut open = FuturesUnordered::new();
    let mut answers = Vec::new();
    let mut next_at = Instant::now();
    loop {
        if Instant::now() >= next_at || open.is_empty() {
            if let Some(sentinel) = waiting.next() {
                open.push(ask_one(core, sentinel, command, read));
                next_at = Instant::now() + core.settings.stagger;
            } else if open.is_empty() {
                return answers;
            }
        }
        tokio::select! {
            biased;
            Some(answer) = open.next() => {
                if answer.result.is_err() {
                    next_at = Instant::now();
                }
                answers.push(answer);
                if enough(&answers, total) {
                    return answers;
                }
            }
            () = sleep_until(next_at), if waiting.len() > 0 => {}
        }
    }
}

async fn ask_one<T>(core: &Core, sentinel: Address, command: &Cmd, read: fn(&Value) -> Option<T>) -> Answer<T> {
    let question = async {
        let link = Link::to_sentinel(&sentinel, &core.settings).await?;
        let reply = link.ask(command, core.settings.response_timeout).await?;
        let answer = read(&reply).ok_or_else(|| OpenError::Answer("the reply makes no sense".to_owned()))?;
        Ok((answer, link))
    };
    let result = question.await;
    if let Err(error) = &result {
        tracing::debug!(%sentinel, %error, "a sentinel gave no answer");
    }
    Answer { sentinel, result }
}

/// The address that more than half of `total` Sentinels name, or, if `complete`, that more of them name than any other.
/// `None`: there is none, or not yet.
pub(crate) fn most_named(named: &[&Address], total: usize, complete: bool) -> Option<Address> {
    let count = |address: &Address| named.iter().filter(|other| **other == address).count();
    let (best, votes) = named.iter().map(|address| (*address, count(address))).max_by_key(|(_, votes)| *votes)?;
    let rival = named.iter().any(|other| *other != best && count(other) == votes);
    (votes > total / 2 || complete && !rival).then(|| best.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn votes() {
        let table = [
            ("", 3, true, None),
            ("a", 3, false, None),
            ("a", 3, true, Some("a")),
            ("a", 1, false, Some("a")),
            ("a a", 3, false, Some("a")),
            ("a b", 3, false, None),
            ("a b", 3, true, None),
            ("a b b", 3, false, Some("b")),
            ("a b c", 3, true, None),
            ("a b b c", 5, true, Some("b")),
            ("a b b c", 5, false, None),
            ("a a", 4, false, None),
        ];
        for (named, total, complete, expected) in table {
            let addresses: Vec<Address> = named.split_whitespace().map(|host| Address::new(host, 1)).collect();
            let result = most_named(&addresses.iter().collect::<Vec<_>>(), total, complete);
            assert_eq!(result, expected.map(|host| Address::new(host, 1)), "{named} of {total}");
        }
    }
}
