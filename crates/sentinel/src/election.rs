//! Votes and the winner: pure decisions.

use model::{Epoch, RunId};

/// What a Sentinel remembers of its last vote for a master.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ballot {
    /// For whom.
    pub leader: Option<RunId>,
    /// In which epoch.
    pub epoch: Epoch,
}

/// What asking for a vote does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// The current epoch afterwards.
    pub current_epoch: Epoch,
    /// True if the current epoch was raised by the request.
    pub new_epoch: bool,
    /// True if the vote was given now.
    pub given: bool,
}

/// Asks for a vote for `candidate` in `epoch`. A Sentinel votes once an epoch, for whoever asks first, and never in an
/// epoch older than the current one.
pub fn vote(ballot: &mut Ballot, current_epoch: Epoch, epoch: Epoch, candidate: &RunId) -> Vote {
    let new_epoch = epoch > current_epoch;
    let current_epoch = current_epoch.max(epoch);
    let given = ballot.epoch < epoch && current_epoch <= epoch;
    if given {
        *ballot = Ballot { leader: Some(candidate.clone()), epoch: current_epoch };
    }
    Vote { current_epoch, new_epoch, given }
}

/// The candidate with most votes, and how many; of several, the one first voted for.
pub fn leading<'a>(votes: impl IntoIterator<Item = &'a RunId>) -> Option<(RunId, usize)> {
    let mut counts: Vec<(&RunId, usize)> = Vec::new();
    for vote in votes {
        match counts.iter_mut().find(|(candidate, _)| *candidate == vote) {
            Some((_, count)) => *count += 1,
            None => counts.push((vote, 1)),
        }
    }
    let mut best: Option<(&RunId, usize)> = None;
    for (candidate, count) in counts {
        if best.is_none_or(|(_, most)| count > most) {
            best = Some((candidate, count));
        }
    }
    best.map(|(candidate, count)| (candidate.clone(), count))
}

/// True if `votes` elect: an absolute majority of all known Sentinels, dead ones too, and at least the quorum.
pub fn elects(votes: usize, voters: usize, quorum: u32) -> bool {
    votes > voters / 2 && votes >= quorum as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(digit: char) -> RunId {
        RunId::parse(&digit.to_string().repeat(40)).unwrap()
    }

    #[test]
    fn one_vote_an_epoch_for_whoever_asks_first() {
        let mut ballot = Ballot::default();
        let first = vote(&mut ballot, 0, 1, &id('a'));
        assert_eq!(first, Vote { current_epoch: 1, new_epoch: true, given: true });
        let second = vote(&mut ballot, 1, 1, &id('b'));
        assert_eq!(second, Vote { current_epoch: 1, new_epoch: false, given: false });
        assert_eq!(ballot, Ballot { leader: Some(id('a')), epoch: 1 });
    }

    #[test]
    fn no_vote_in_an_old_epoch() {
        let mut ballot = Ballot::default();
        let late = vote(&mut ballot, 5, 3, &id('a'));
        assert_eq!(late, Vote { current_epoch: 5, new_epoch: false, given: false });
        assert_eq!(ballot, Ballot::default());
    }

    #[test]
    fn leading_counts_votes() {
        assert_eq!(leading([]), None);
        assert_eq!(leading([&id('a'), &id('b'), &id('b')]), Some((id('b'), 2)));
        assert_eq!(leading([&id('b'), &id('a')]), Some((id('b'), 1)));
    }

    #[test]
    fn majority_and_quorum_table() {
        // votes, voters, quorum, elected?
        for (votes, voters, quorum, elected) in [
            (2, 3, 2, true),
            (1, 3, 1, false),
            (2, 3, 3, false),
            (3, 5, 2, true),
            (2, 5, 2, false),
            (2, 4, 2, false),
            (3, 4, 2, true),
            (1, 1, 1, true),
        ] {
            assert_eq!(elects(votes, voters, quorum), elected, "{votes}/{voters} quorum {quorum}");
        }
    }
}
