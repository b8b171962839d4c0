//! [`ZSet`]: members in the order of their scores, ties in the order of their bytes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

/// A score; never not a number. Total order, with -0 equal to 0 as in Redis.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(crate) struct Score(f64);

impl Score {
    pub(crate) fn new(value: f64) -> Self {
        Self(if value == 0.0 || value.is_nan() { 0.0 } else { value })
    }
}

impl Eq for Score {}

#[allow(clippy::derive_ord_xor_partial_ord)] // The same order: zeros have one sign and nothing is not a number.
impl Ord for Score {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl FromIterator<(Bytes, f64)> for ZSet {
    fn from_iter<T: IntoIterator<Item = (Bytes, f64)>>(items: T) -> Self {
        let mut zset = Self::default();
        for (member, score) in items {
            zset.insert(member, score);
        }
        zset
    }
}

/// A sorted set.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ZSet {
    scores: BTreeMap<Bytes, f64>,
    order: BTreeSet<(Score, Bytes)>,
}

impl ZSet {
    pub(crate) fn len(&self) -> usize {
        self.scores.len()
    }

    /// True if Redis keeps it in one piece, by its default limits.
    pub(crate) fn is_packed(&self) -> bool {
        self.len() <= 128 && self.scores.keys().all(|member| member.len() <= 64)
    }

    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    /// Sets the score of a member; the score it had.
    pub(crate) fn insert(&mut self, member: Bytes, score: f64) -> Option<f64> {
        // Packed scores are integers where that can be, which know no negative zero.
        let score = if score == 0.0 && self.is_packed() { 0.0 } else { score };
        let old = self.scores.insert(member.clone(), score);
        if let Some(old) = old {
            self.order.remove(&(Score::new(old), member.clone()));
        }
        self.order.insert((Score::new(score), member));
        old
    }

    pub(crate) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let (member, score) = self.scores.remove_entry(member)?;
        self.order.remove(&(Score::new(score), member));
        Some(score)
    }

    /// Takes the member with the lowest score, or the highest.
    pub(crate) fn pop(&mut self, highest: bool) -> Option<(Bytes, f64)> {
        let (_, member) = if highest { self.order.pop_last()? } else { self.order.pop_first()? };
        let score = self.scores.remove(&member)?;
        Some((member, score))
    }

    /// Members and scores, lowest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&Bytes, f64)> + ExactSizeIterator {
        self.order.iter().map(|(score, member)| (member, score.0))
    }
}
