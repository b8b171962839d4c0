//! The list of Sentinels: the configured ones, and those that they have told of.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;

use crate::address::Address;

/// The Sentinels in the order in which they are asked.
#[derive(Clone, Debug)]
pub(crate) struct Sentinels {
    /// The configured ones. They stay whatever happens, because they are all that is left when everything else is gone.
    seeds: Vec<Address>,
    order: Vec<Address>,
    /// Their run ids, as far as they are known. A Sentinel that is configured by its name is told of by its address as well,
    /// which may be asked in its stead, but has no vote of its own.
    ids: BTreeMap<Address, String>,
    /// When each last gave an answer, to whatever question.
    answered: BTreeMap<Address, Instant>,
    /// Those that gave none when they were last asked.
    silent: BTreeSet<Address>,
}

impl Sentinels {
    /// The configured ones, in their order.
    pub(crate) fn new(seeds: &[Address]) -> Self {
        let mut order: Vec<Address> = Vec::new();
        for seed in seeds {
            if !order.contains(seed) {
                order.push(seed.clone());
            }
        }
        Self { seeds: order.clone(), order, ids: BTreeMap::new(), answered: BTreeMap::new(), silent: BTreeSet::new() }
    }

    /// In the order in which to ask.
    pub(crate) fn order(&self) -> Vec<Address> {
        self.order.clone()
    }

    /// Each Sentinel once, in the order in which to ask: by an address where it answers, as it may have moved, and by the one
    /// that it was configured with if there are several. One that answers nowhere is asked where it last did.
    pub(crate) fn each_once(&self) -> Vec<Address> {
        let (mut ids, mut chosen) = (BTreeSet::new(), BTreeSet::new());
        let mut known: Vec<&Address> = self.seeds.iter().chain(&self.order).collect();
        known.sort_by_key(|address| self.silent.contains(*address).then(|| Reverse(self.answered.get(*address))));
        for address in known {
            if self.ids.get(address).is_none_or(|id| ids.insert(id)) {
                chosen.insert(address);
            }
        }
        self.order.iter().filter(|address| chosen.contains(address)).cloned().collect()
    }

    /// True if these two are known to lead to the same Sentinel.
    pub(crate) fn are_one(&self, one: &Address, other: &Address) -> bool {
        one == other || self.ids.get(one).is_some_and(|id| self.ids.get(other) == Some(id))
    }

    /// The one at `sentinel` has this run id.
    pub(crate) fn identify(&mut self, sentinel: &Address, id: String) {
        self.ids.insert(sentinel.clone(), id);
    }

    /// This one has just given an answer.
    pub(crate) fn has_answered(&mut self, sentinel: &Address) {
        self.answered.insert(sentinel.clone(), Instant::now());
        self.silent.remove(sentinel);
    }

    /// This one was asked just now, and gave no answer.
    pub(crate) fn has_failed(&mut self, sentinel: &Address) {
        self.silent.insert(sentinel.clone());
    }

    /// True if one of them has given an answer since `then`.
    pub(crate) fn has_answered_since(&self, then: Instant) -> bool {
        self.answered.values().any(|answered| *answered >= then)
    }

    /// This one answered: it is asked first from now on.
    pub(crate) fn promote(&mut self, sentinel: &Address) {
        if let Some(index) = self.order.iter().position(|known| known == sentinel) {
            self.order[..=index].rotate_right(1);
        }
    }

    /// What this one said was of no use: it is asked last from now on.
    pub(crate) fn demote(&mut self, sentinel: &Address) {
        if let Some(index) = self.order.iter().position(|known| known == sentinel) {
            self.order[index..].rotate_left(1);
        }
    }

    /// `teller` told of these others. New ones come last; learned ones of which it does not tell go, unless it knows of
    /// none at all.
    pub(crate) fn learn(&mut self, teller: &Address, others: Vec<(Address, Option<String>)>) {
        if others.is_empty() {
            return;
        }
        let told = |known: &Address| others.iter().any(|(other, _)| other == known);
        self.order.retain(|known| self.seeds.contains(known) || known == teller || told(known));
        for (other, id) in others {
            if !self.order.contains(&other) {
                self.order.push(other.clone());
            }
            if let Some(id) = id {
                self.identify(&other, id);
            }
        }
        self.ids.retain(|address, _| self.order.contains(address));
        self.answered.retain(|address, _| self.order.contains(address));
        self.silent.retain(|address| self.order.contains(address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(hosts: &str) -> Vec<Address> {
        hosts.split_whitespace().map(|host| Address::new(host, 26379)).collect()
    }

    fn hosts(sentinels: &Sentinels) -> String {
        sentinels.order().iter().map(Address::host).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_one_that_answered_comes_first_and_the_useless_one_last() {
        let mut sentinels = Sentinels::new(&list("a b c a"));
        assert_eq!(hosts(&sentinels), "a b c");
        sentinels.promote(&Address::new("c", 26379));
        assert_eq!(hosts(&sentinels), "c a b");
        sentinels.promote(&Address::new("x", 26379));
        sentinels.demote(&Address::new("x", 26379));
        assert_eq!(hosts(&sentinels), "c a b");
        sentinels.demote(&Address::new("c", 26379));
        assert_eq!(hosts(&sentinels), "a b c");
    }

    #[test]
    fn new_ones_are_added_and_seeds_stay() {
        let mut sentinels = Sentinels::new(&list("a b"));
        let a = Address::new("a", 26379);
        let list = |hosts| list(hosts).into_iter().map(|address| (address, None)).collect::<Vec<_>>();
        sentinels.learn(&a, list("b d e"));
        assert_eq!(hosts(&sentinels), "a b d e");
        sentinels.learn(&Address::new("e", 26379), list("d f"));
        assert_eq!(hosts(&sentinels), "a b d e f");
        sentinels.learn(&a, list("f"));
        assert_eq!(hosts(&sentinels), "a b f");
        sentinels.learn(&a, Vec::new());
        assert_eq!(hosts(&sentinels), "a b f");
    }

    #[test]
    fn one_that_goes_by_two_addresses_counts_once() {
        let mut sentinels = Sentinels::new(&list("a b"));
        let at = |host: &str| Address::new(host, 26379);
        sentinels.identify(&at("a"), "1".into());
        sentinels.learn(&at("a"), vec![(at("x"), Some("2".into())), (at("y"), Some("3".into()))]);
        let once = |sentinels: &Sentinels| {
            let each: Vec<String> = sentinels.each_once().iter().map(|address| address.host().to_owned()).collect();
            each.join(" ")
        };
        assert_eq!(once(&sentinels), "a b x y", "b may be another");
        sentinels.identify(&at("b"), "2".into());
        sentinels.promote(&at("x"));
        assert_eq!((once(&sentinels), hosts(&sentinels)), ("a b y".into(), "x a b y".into()));
        assert!(sentinels.are_one(&at("x"), &at("b")) && !sentinels.are_one(&at("x"), &at("a")));
        // It has moved, and answers there.
        sentinels.has_failed(&at("b"));
        assert_eq!(once(&sentinels), "x a y");
        sentinels.has_failed(&at("x"));
        assert_eq!(once(&sentinels), "a b y", "it answers nowhere, and never has");
        sentinels.has_answered(&at("x"));
        sentinels.has_failed(&at("x"));
        assert_eq!(once(&sentinels), "x a y", "it answers nowhere, and last did here");
        sentinels.has_answered(&at("b"));
        // Its name leads to another one now.
        sentinels.identify(&at("b"), "4".into());
        assert_eq!(once(&sentinels), "x a b y");
    }
}
