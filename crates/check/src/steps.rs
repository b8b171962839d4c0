//! [`Steps`]: a value that changes in steps over the time of a run, such as the role of a node.

use model::Time;

/// A value and its changes, in the order of time.
#[derive(Clone, Debug)]
pub(crate) struct Steps<T> {
    first: T,
    changes: Vec<(Time, T)>,
}

impl<T: PartialEq> Steps<T> {
    /// `first` until something else is said.
    pub(crate) fn new(first: T) -> Self {
        Self { first, changes: Vec::new() }
    }

    /// From `at` on it is `value`. `at` is never before that of an earlier call. What is no change is not kept.
    pub(crate) fn set(&mut self, at: Time, value: T) {
        if *self.last() != value {
            self.changes.push((at, value));
        }
    }

    /// The value at `at`, after everything that happened at that moment.
    pub(crate) fn at(&self, at: Time) -> &T {
        match self.changes.partition_point(|(when, _)| *when <= at) {
            0 => &self.first,
            n => &self.changes[n - 1].1,
        }
    }

    /// The value at the end.
    pub(crate) fn last(&self) -> &T {
        self.changes.last().map_or(&self.first, |(_, value)| value)
    }

    /// The changes.
    pub(crate) fn changes(&self) -> &[(Time, T)] {
        &self.changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_holds_from_its_moment_until_the_next() {
        let mut steps = Steps::new('a');
        steps.set(Time::from_millis(5), 'b');
        steps.set(Time::from_millis(6), 'b');
        steps.set(Time::from_millis(9), 'c');
        let seen: String = [0, 4, 5, 8, 9, 20].iter().map(|ms| *steps.at(Time::from_millis(*ms))).collect();
        assert_eq!(seen, "aabbcc");
        assert_eq!(steps.changes().len(), 2);
        assert_eq!(*steps.last(), 'c');
    }
}
