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
