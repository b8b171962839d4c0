//! The list of Sentinels: the configured ones, and those that they have told of.

use crate::address::Address;

/// The Sentinels in the order in which they are asked.
#[derive(Clone, Debug)]
pub(crate) struct Sentinels {
    /// The configured ones. They stay whatever happens, because they are all that is left when everything else is gone.
    seeds: Vec<Address>,
    order: Vec<Address>,
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
        Self { seeds: order.clone(), order }
    }

    /// In the order in which to ask.
    pub(crate) fn order(&self) -> Vec<Address> {
        self.order.clone()
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
    pub(crate) fn learn(&mut self, teller: &Address, others: &[Address]) {
        if others.is_empty() {
            return;
        }
        self.order.retain(|known| self.seeds.contains(known) || known == teller || others.contains(known));
        for other in others {
            if !self.order.contains(other) {
                self.order.push(other.clone());
            }
        }
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
        sentinels.learn(&a, &list("b d e"));
        assert_eq!(hosts(&sentinels), "a b d e");
        sentinels.learn(&Address::new("e", 26379), &list("d f"));
        assert_eq!(hosts(&sentinels), "a b d e f");
        sentinels.learn(&a, &list("f"));
        assert_eq!(hosts(&sentinels), "a b f");
        sentinels.learn(&a, &[]);
        assert_eq!(hosts(&sentinels), "a b f");
    }
}
