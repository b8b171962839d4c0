//! Asking the Sentinels: one after the other, but never waiting long for one, until there are answers enough.

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::{Pipeline, Value};
use tokio::time::{Instant, sleep_until};

use crate::address::Address;
use crate::core::Core;
use crate::error::OpenError;

/// What one Sentinel said.
pub(crate) struct Answer<T> {
    pub(crate) sentinel: Address,
    pub(crate) result: Result<T, OpenError>,
}

/// Asks the Sentinels in their order until `enough` of the answers so far, or until all are in. A Sentinel that keeps
/// silent for the stagger of the settings is not waited for before the next one is asked too; one that fails hands on
/// at once. The questions that are still open at the end are dropped.
pub(crate) async fn ask<T>(
    core: &Core,
    questions: &Pipeline,
    read: fn(&[Value]) -> Result<T, OpenError>,
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
                open.push(ask_one(core, sentinel, questions, read));
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

async fn ask_one<T>(
    core: &Core,
    sentinel: Address,
    questions: &Pipeline,
    read: fn(&[Value]) -> Result<T, OpenError>,
) -> Answer<T> {
    let result = ask_sentinel(core, &sentinel, questions, read).await;
    Answer { sentinel, result }
}

/// Asks one Sentinel, on the connection that is kept to it or on a new one.
pub(crate) async fn ask_sentinel<T>(
    core: &Core,
    sentinel: &Address,
    questions: &Pipeline,
    read: fn(&[Value]) -> Result<T, OpenError>,
) -> Result<T, OpenError> {
    let asked = async {
        let link = core.sentinel_link(sentinel).await?;
        let replies = link.ask_all(questions, core.settings.response_timeout).await;
        replies.and_then(|replies| read(&replies)).inspect_err(|_| core.forget(&link))
    };
    let result = asked.await;
    match &result {
        Ok(_) => core.sentinels().has_answered(sentinel),
        Err(error) => {
            core.sentinels().has_failed(sentinel);
            tracing::debug!(%sentinel, %error, "a sentinel gave no answer");
        }
    }
    result
}
