//! Whether the master has moved, as the Sentinels together see it.
//!
//! A connection that works is not given up on the word of one Sentinel, which may be wrong or behind the others. But the
//! one that leads a failover knows of the new master before the others do, and what is written to the old one after that
//! is lost. What tells the two apart is the epoch of the configuration: a Sentinel gets a later one only through a
//! failover that a majority elected it for, or an operator ordered.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::aio::ConnectionLike as _;
use redis::{Pipeline, Value};
use tokio::time::{Instant, timeout};

use crate::address::Address;
use crate::core::Core;
use crate::discovery::question;
use crate::error::OpenError;
use crate::link::{Link, open_error};
use crate::reply;

/// The longest rest of a Sentinel that does not answer, in check intervals.
const LONGEST_REST: u32 = 8;

/// What one Sentinel holds to be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) master: Address,
    /// Epoch of the configuration that says so; 0 if it does not tell.
    pub(crate) epoch: u64,
}

/// Where the master is, and since which epoch.
pub(crate) type Place = Vote;

/// Where the master has moved to; `None` if `current` has to be taken for it still. `total` Sentinels are known, of which
/// these have voted.
///
/// It has moved if a Sentinel names another node in a later epoch than any in which `current` was named, or if most of
/// the Sentinels name another node and none with an earlier epoch than that.
pub(crate) fn moved(votes: &[Vote], total: usize, current: &Place) -> Option<Place> {
    let (for_current, others): (Vec<&Vote>, Vec<&Vote>) = votes.iter().partition(|vote| vote.master == current.master);
    let latest = others.iter().map(|vote| vote.epoch).max()?;
    let standing = for_current.iter().map(|vote| vote.epoch).fold(current.epoch, u64::max);
    let latest_others: Vec<&Vote> = others.iter().filter(|vote| vote.epoch == latest).copied().collect();
    let count = |vote: &Vote| latest_others.iter().filter(|other| other.master == vote.master).count();
    let best = latest_others.iter().max_by_key(|vote| count(vote))?;
    let rival = latest_others.iter().any(|vote| vote.master != best.master && count(vote) == count(best));
    let later = latest > standing && !rival;
    // Epochs begin anew when an operator has the Sentinels forget a master.
    let most = count(best) > total / 2 && (latest == standing || for_current.is_empty());
    (later || most).then(|| (*best).clone())
}

/// The Sentinels, each with a connection that is kept from one question to the next.
#[derive(Default)]
pub(crate) struct Panel {
    seats: BTreeMap<Address, Seat>,
}

#[derive(Default)]
struct Seat {
    link: Option<Arc<Link>>,
    /// Questions in a row that were not answered.
    failures: u32,
    /// Not asked before this.
    rests_until: Option<Instant>,
}

impl Panel {
    /// Asks all Sentinels side by side where the master called `name` is, until it is clear that it has moved from
    /// `current`, or all have answered or failed. `current` learns its epoch.
    pub(crate) async fn moved(&mut self, core: &Core, name: &str, current: &mut Place) -> Option<Place> {
        let known = core.sentinels().order();
        self.seats.retain(|sentinel, _| known.contains(sentinel));
        let now = Instant::now();
        let awake = |seat: Option<&Seat>| seat.and_then(|seat| seat.rests_until).is_none_or(|until| until <= now);
        let mut open: FuturesUnordered<_> = known
            .iter()
            .filter(|sentinel| awake(self.seats.get(*sentinel)))
            .map(|sentinel| {
                let link = self.seats.get(sentinel).and_then(|seat| seat.link.clone());
                async move { (sentinel.clone(), ask(core, name, sentinel, link).await) }
            })
            .collect();
        let mut votes = Vec::new();
        while let Some((sentinel, answer)) = open.next().await {
            let seat = self.seats.entry(sentinel.clone()).or_default();
            match answer {
                Ok((vote, link)) => {
                    *seat = Seat { link: Some(link), ..Seat::default() };
                    votes.extend(vote);
                }
                Err(error) => {
                    tracing::debug!(%sentinel, %error, "a sentinel gave no answer");
                    let rest = core.settings.check_interval * (1 << seat.failures.min(3)).min(LONGEST_REST);
                    let failures = seat.failures.saturating_add(1);
                    *seat = Seat { link: None, failures, rests_until: Some(Instant::now() + rest) };
                }
            }
            if let Some(place) = moved(&votes, known.len(), current) {
                return Some(place);
            }
        }
        let vouched = votes.iter().filter(|vote| vote.master == current.master).map(|vote| vote.epoch);
        current.epoch = vouched.fold(current.epoch, u64::max);
        None
    }
}

/// What one Sentinel says, on the connection that there is or on a new one; `None` if it does not know the name.
async fn ask(
    core: &Core,
    name: &str,
    sentinel: &Address,
    link: Option<Arc<Link>>,
) -> Result<(Option<Vote>, Arc<Link>), OpenError> {
    let link = match link {
        Some(link) if !link.is_lost() => link,
        _ => Arc::new(Link::to_sentinel(sentinel, &core.settings).await?),
    };
    let within = core.settings.response_timeout;
    let mut questions = Pipeline::new();
    questions.add_command(question("GET-MASTER-ADDR-BY-NAME", name)).add_command(question("MASTER", name));
    let mut connection = link.connection();
    let replies = match timeout(within, connection.req_packed_commands(&questions, 0, 2)).await {
        Ok(replies) => replies.map_err(|error| open_error(&error))?,
        Err(_) => return Err(OpenError::TimedOut(within)),
    };
    let [address, details] = replies.as_slice() else {
        return Err(OpenError::Answer("two questions need two answers".to_owned()));
    };
    if let Value::ServerError(error) = address {
        return Err(OpenError::Answer(error.to_string()));
    }
    let master = reply::master_address(address).ok_or_else(|| OpenError::Answer("no address".to_owned()))?;
    let epoch = reply::config_epoch(details).unwrap_or(0);
    Ok((master.map(|master| Vote { master: core.settings.address_map.apply(master), epoch }), link))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(text: &str) -> Vote {
        let (master, epoch) = text.split_at(1);
        Vote { master: Address::new(master, 6379), epoch: epoch.parse().unwrap() }
    }

    #[test]
    fn who_moves_a_connection() {
        // Three Sentinels, a connection to `a`; a vote is a node and an epoch.
        let table = [
            ("all agree", "a1", "a1 a1 a1", None),
            ("nobody answers", "a1", "", None),
            ("one lies", "a1", "x1 a1 a1", None),
            ("one lies, the others are silent", "a1", "x1", None),
            ("one is behind", "a2", "b1 a2 a2", None),
            ("one is behind, the others are silent", "a2", "b1", None),
            ("two are behind", "a2", "b1 b1 a2", None),
            ("the leader is ahead", "a1", "b2 a1 a1", Some("b2")),
            ("the leader is ahead, the others are silent", "a1", "b2", Some("b2")),
            ("one follows", "a1", "b2 b2 a1", Some("b2")),
            ("one lies during a failover", "a1", "b2 x2 a1", None),
            ("one lies after a failover", "a1", "b2 x2 b2", Some("b2")),
            ("we and one are behind", "a0", "a1 b2 b2", Some("b2")),
            ("most, and they do not tell epochs", "a0", "b0 b0 a0", Some("b0")),
            ("one, and it does not tell epochs", "a0", "b0 a0", None),
            ("all began anew", "a5", "b0 b0 b0", Some("b0")),
            ("some began anew", "a5", "b0 b0 a5", None),
            ("all disagree", "a1", "b1 c1 x1", None),
        ];
        for (title, current, votes, expected) in table {
            let votes: Vec<Vote> = votes.split_whitespace().map(vote).collect();
            assert_eq!(moved(&votes, 3, &vote(current)), expected.map(vote), "{title}");
        }
    }
}
