//! The event queue: what is due when, in order of time and, at one time, in the order in which it was put in.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use model::Time;

use crate::link::End;

/// Something that is due. The deadlines of the machines are not here: each has one, which the main loop looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The first parcel of a link reaches this end.
    Arrive(usize, End),
    /// A step of the timeline fires.
    Step(usize),
    /// A standing fault has lasted as long as it should.
    Expire(u64),
    /// An override publishes a held event, by its number.
    Late(u64),
}

/// Events in the order in which they are due.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    put: u64,
}

#[derive(Debug)]
struct Entry {
    at: Time,
    number: u64,
    event: Event,
}

impl Queue {
    /// Puts in an event that is due at `at`.
    pub(crate) fn put(&mut self, at: Time, event: Event) {
        self.put += 1;
        self.heap.push(Reverse(Entry { at, number: self.put, event }));
    }

    /// When the next event is due; never, if there is none.
    pub(crate) fn next(&self) -> Time {
        self.heap.peek().map_or(Time::NEVER, |entry| entry.0.at)
    }

    /// True if something other than a parcel is on its way.
    pub(crate) fn has_plans(&self) -> bool {
        self.heap.iter().any(|entry| !matches!(entry.0.event, Event::Arrive(..)))
    }

    /// Takes the next event.
    pub(crate) fn take(&mut self) -> Option<Event> {
        self.heap.pop().map(|entry| entry.0.event)
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_time_then_by_order_of_arrival() {
        let mut queue = Queue::default();
        queue.put(Time::from_millis(2), Event::Step(1));
        queue.put(Time::from_millis(1), Event::Step(2));
        queue.put(Time::from_millis(2), Event::Step(3));
        assert_eq!(queue.next(), Time::from_millis(1));
        let order: Vec<_> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(order, [Event::Step(2), Event::Step(1), Event::Step(3)]);
        assert_eq!(queue.next(), Time::NEVER);
    }
}
