//! Whether the master has moved, as the Sentinels together see it.
//!
//! A connection that works is not given up on the word of one Sentinel, which may be wrong or behind the others. But the
//! one that leads a failover knows of the new master before the others do, and what is written to the old one after that
//! is lost. What tells the two apart is the epoch of the configuration: a Sentinel gets a later one only through a
//! failover that a majority elected it for, or an operator ordered.

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use redis::{Pipeline, Value};
use tokio::time::timeout;

use crate::address::Address;
use crate::core::Core;
use crate::discovery::question;
use crate::error::OpenError;
use crate::{reply, survey};

/// What one Sentinel holds to be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Vote {
    pub(crate) master: Address,
    /// Epoch of the configuration that says so; 0 if it does not tell.
    pub(crate) epoch: u64,
}

/// Where the master is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) master: Address,
    /// Epoch of the configuration that says so; `None` if it was announced, which tells no epoch.
    pub(crate) epoch: Option<u64>,
}

impl From<Vote> for Place {
    fn from(vote: Vote) -> Self {
        Self { master: vote.master, epoch: Some(vote.epoch) }
    }
}

/// Where the master has moved to; `None` if `current` has to be taken for it still. `total` Sentinels are known, of which
/// these have voted, and as many as `open` may yet. The rest do not answer, or know of no such master.
///
/// It has moved if a Sentinel names another node in a later epoch than any in which `current` was named, or if most of
/// those that vote name another node in the same epoch, and not one alone of several Sentinels, or all of them do in any.
fn moved(votes: &[Vote], open: usize, total: usize, current: &Place) -> Option<Place> {
    let (for_current, others): (Vec<&Vote>, Vec<&Vote>) = votes.iter().partition(|vote| vote.master == current.master);
    let latest = others.iter().map(|vote| vote.epoch).max()?;
    let standing = standing(votes, current);
    let latest_others: Vec<&Vote> = others.iter().filter(|vote| vote.epoch == latest).copied().collect();
    let count = |vote: &Vote| latest_others.iter().filter(|other| other.master == vote.master).count();
    let best = latest_others.iter().max_by_key(|vote| count(vote))?;
    let rival = latest_others.iter().any(|vote| vote.master != best.master && count(vote) == count(best));
    let later = latest > standing && !rival;
    // Epochs begin anew when an operator has the Sentinels forget a master. That takes the word of every one of them: most
    // may be behind, while the one that leads a failover has not answered yet.
    let anew = for_current.is_empty() && votes.len() == total;
    let voters = (votes.len() + open).max(total.min(2));
    let most = count(best) > voters / 2 && (latest == standing || anew);
    (later || most).then(|| (*best).clone().into())
}

/// The latest epoch in which `current` is named.
fn standing(votes: &[Vote], current: &Place) -> u64 {
    let vouched = votes.iter().filter(|vote| vote.master == current.master).map(|vote| vote.epoch);
    vouched.fold(current.epoch.unwrap_or(0), u64::max)
}

/// True if a vote that is not older names another node than `current`.
fn is_disputed(votes: &[Vote], current: &Place) -> bool {
    let standing = standing(votes, current);
    votes.iter().any(|vote| vote.master != current.master && vote.epoch >= standing)
}

/// What the Sentinels say of a master that a connection leads to.
pub(crate) enum Ruling {
    Moved(Place),
    /// It has not moved. `disputed` if a Sentinel that is not behind the others names another: one of them is wrong, and
    /// nothing but time tells which.
    Stays {
        disputed: bool,
    },
}

/// Asks all Sentinels but `asked` side by side where the master called `name` is, until it is clear that it has moved
/// from `current`, or all have answered or failed. `current` learns its epoch; as long as that is not known, any epoch looks
/// later, so that all are heard.
pub(crate) async fn rule(core: &Core, name: &str, current: &mut Place, asked: Option<&Address>) -> Ruling {
    let (known, open) = {
        let sentinels = core.sentinels();
        let known = sentinels.each_once();
        let is_asked = |sentinel: &&Address| asked.is_some_and(|asked| sentinels.are_one(sentinel, asked));
        let open: Vec<Address> = known.iter().filter(|one| !is_asked(one)).cloned().collect();
        (known, open)
    };
    core.forget_unknown(&known);
    let questions = questions(name);
    let mut open: FuturesUnordered<_> = open
        .iter()
        .map(async |sentinel| (sentinel, survey::ask_sentinel(core, sentinel, &questions, read).await))
        .collect();
    // What it said is why `current` is what it is.
    let said = |epoch| Vote { master: current.master.clone(), epoch };
    let mut votes: Vec<Vote> = asked.map(|_| said(current.epoch.unwrap_or(0))).into_iter().collect();
    while let Some((sentinel, answer)) = open.next().await {
        let Ok(told) = answer else { continue };
        if let Some(id) = told.id {
            core.sentinels().identify(sentinel, id);
        }
        let Some(vote) = told.vote else { continue };
        votes.push(mapped(core, vote));
        if current.epoch.is_some()
            && let Some(place) = moved(&votes, open.len(), known.len(), current)
        {
            return Ruling::Moved(place);
        }
    }
    if let Some(place) = moved(&votes, 0, known.len(), current) {
        return Ruling::Moved(place);
    }
    let disputed = is_disputed(&votes, current);
    current.epoch = Some(standing(&votes, current));
    Ruling::Stays { disputed }
}

/// [`rule`] for those who only want to know where it has moved to.
pub(crate) async fn has_moved(core: &Core, name: &str, current: &mut Place, asked: Option<&Address>) -> Option<Place> {
    match rule(core, name, current, asked).await {
        Ruling::Moved(place) => Some(place),
        Ruling::Stays { .. } => None,
    }
}

/// Turns from one that learns of the other Sentinels to the next: with the default interval some ten seconds.
const LEARNING: usize = 10;

/// [`is_confirmed`] by the Sentinel whose `turn` it is. Now and then it is asked for the other Sentinels, as all that were
/// known when the connection was made may be replaced while it stands.
pub(crate) async fn is_confirmed_in_turn(core: &Core, name: &str, current: &Address, turn: usize) -> bool {
    let known = core.sentinels().each_once();
    core.forget_unknown(&known);
    let Some(sentinel) = known.get(turn % known.len().max(1)) else { return false };
    is_confirmed(core, name, current, sentinel, turn.is_multiple_of(LEARNING)).await
}

/// Asks one Sentinel whether the master called `name` is still at `current`, and with `learn` for the other Sentinels.
/// False as well if it does not say so soon: then all of them are to be asked. It is not asked for the epoch, which matters
/// only where Sentinels disagree, and makes up nearly all of a longer answer.
pub(crate) async fn is_confirmed(core: &Core, name: &str, current: &Address, sentinel: &Address, learn: bool) -> bool {
    let mut questions = Pipeline::new();
    questions.add_command(question("GET-MASTER-ADDR-BY-NAME", name));
    if learn {
        questions.add_command(question("SENTINELS", name));
    }
    let read = |replies: &[Value]| match replies {
        [address, others @ ..] => {
            let master = reply::answer(address, reply::master_address)?;
            Ok((master, others.first().and_then(reply::sentinels)))
        }
        [] => Err(OpenError::Answer("each question needs an answer".to_owned())),
    };
    let asked = survey::ask_sentinel(core, sentinel, &questions, read);
    let Ok(Ok((master, others))) = timeout(core.settings.stagger, asked).await else { return false };
    if let Some(others) = others {
        core.learn(sentinel, others);
    }
    master.is_some_and(|master| core.settings.address_map.apply(master) == *current)
}

/// What a Sentinel says.
pub(crate) struct Told {
    /// Where the master is; `None` if it does not know the name.
    pub(crate) vote: Option<Vote>,
    /// Its run id.
    pub(crate) id: Option<String>,
}

/// What a Sentinel is asked: where the master is, since which epoch, and who it is itself.
pub(crate) fn questions(name: &str) -> Pipeline {
    let mut questions = Pipeline::new();
    questions.add_command(question("GET-MASTER-ADDR-BY-NAME", name)).add_command(question("MASTER", name));
    questions.cmd("SENTINEL").arg("MYID");
    questions
}

/// The answers to [`questions`].
pub(crate) fn read(replies: &[Value]) -> Result<Told, OpenError> {
    let [address, details, id] = replies else {
        return Err(OpenError::Answer("each question needs an answer".to_owned()));
    };
    let address = reply::answer(address, reply::master_address)?;
    let vote = address.map(|master| Vote { master, epoch: reply::config_epoch(details).unwrap_or(0) });
    Ok(Told { vote, id: reply::run_id(id) })
}

/// `vote` with the address that is to be dialled.
pub(crate) fn mapped(core: &Core, vote: Vote) -> Vote {
    Vote { master: core.settings.address_map.apply(vote.master), ..vote }
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
        // A connection to `a`; a vote is a node and an epoch, `.` a Sentinel that has not answered yet, `-` one that never will, or
        // knows of no master.
        let table = [
            ("all agree", "a1", "a1 a1 a1", None),
            ("nobody answers", "a1", "- - -", None),
            ("one lies", "a1", "x1 a1 a1", None),
            ("one lies, the others are silent", "a1", "x1 - -", None),
            ("one is behind", "a2", "b1 a2 a2", None),
            ("one is behind, the others are silent", "a2", "b1 - -", None),
            ("two are behind", "a2", "b1 b1 a2", None),
            ("two are behind, the third has not answered yet", "a2", "b1 b1 .", None),
            ("the leader is ahead", "a1", "b2 a1 a1", Some("b2")),
            ("the leader is ahead, the others are silent", "a1", "b2 - -", Some("b2")),
            ("one follows", "a1", "b2 b2 a1", Some("b2")),
            ("one lies during a failover", "a1", "b2 x2 a1", None),
            ("one lies after a failover", "a1", "b2 x2 b2", Some("b2")),
            ("we and one are behind", "a0", "a1 b2 b2", Some("b2")),
            ("most, and they do not tell epochs", "a0", "b0 b0 a0", Some("b0")),
            ("one, and it does not tell epochs", "a0", "b0 a0 -", None),
            ("all began anew", "a5", "b0 b0 b0", Some("b0")),
            ("some began anew", "a5", "b0 b0 a5", None),
            ("all disagree", "a1", "b1 c1 x1", None),
            ("one lies, one knows of no master", "a1", "b1 b1 a1 -", Some("b1")),
            ("one lies, one has not answered yet", "a1", "b1 b1 a1 .", None),
            ("two lie, two tell the truth", "a1", "b1 b1 a1 a1", None),
            ("two of five, the others are silent", "a1", "b1 b1 - - -", Some("b1")),
            ("one of five, the others are silent", "a1", "b1 - - - -", None),
            ("the only one", "a1", "b1", Some("b1")),
        ];
        for (title, current, votes, expected) in table {
            let all: Vec<&str> = votes.split_whitespace().collect();
            let open = all.iter().filter(|vote| **vote == ".").count();
            let votes: Vec<Vote> = all.iter().filter(|vote| vote.len() > 1).copied().map(vote).collect();
            let expected = expected.map(|to| vote(to).into());
            assert_eq!(moved(&votes, open, all.len(), &vote(current).into()), expected, "{title}");
        }
    }

    #[test]
    fn a_place_is_disputed_by_a_vote_that_is_not_older() {
        for (current, votes, disputed) in
            [("a1", "a1 a1", false), ("a1", "a2 b1", false), ("a2", "b1 b1", false), ("a1", "a1 b1", true)]
        {
            let votes: Vec<Vote> = votes.split_whitespace().map(vote).collect();
            assert_eq!(is_disputed(&votes, &vote(current).into()), disputed, "{current}: {votes:?}");
        }
    }
}
