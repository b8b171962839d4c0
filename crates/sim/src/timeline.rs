//! The timeline of a plan: which step fires when.

use std::sync::Arc;

use model::plan::{Step, Trigger};
use model::{EventName, Fault, Target, Time};

use crate::queue::{Event, Queue};
use crate::world::World;

/// The steps of a plan and how far each is.
pub(crate) struct Timeline {
    steps: Arc<[Step]>,
    waits: Vec<bool>,
    /// Before this step no event counts any more: everything was healed.
    over: usize,
}

impl Timeline {
    /// Schedules what has a time, and lets the first step wait for its event if it has one.
    pub(crate) fn new(steps: &[Step], queue: &mut Queue) -> Self {
        let mut timeline = Self { steps: steps.into(), waits: vec![false; steps.len()], over: 0 };
        for (index, step) in steps.iter().enumerate() {
            if let Trigger::At(at) = step.when {
                queue.put(Time::from(at), Event::Step(index));
            }
        }
        timeline.wait(0);
        timeline
    }

    /// A Sentinel published an event: schedules the steps that waited for it.
    pub(crate) fn heard(&mut self, heard: EventName, now: Time, queue: &mut Queue) {
        for (index, step) in self.steps.iter().enumerate() {
            if let Trigger::On { event, after } = step.when
                && event == heard
                && std::mem::take(&mut self.waits[index])
            {
                queue.put(now + after, Event::Step(index));
            }
        }
    }

    /// A step fires: the one after it begins to wait for its event. Each step fires once, as the one before it does. `None` if it
    /// does not, as everything was healed before its event came, or before it was so long ago.
    fn fire(&mut self, index: usize) -> Option<Arc<[Step]>> {
        if index < self.over && self.waits_for_event(index) {
            return None;
        }
        if self.steps[index].fault == Fault::Heal(Target::All) {
            self.over = self.over.max(index);
            self.waits[..self.over].fill(false);
        }
        self.wait(index + 1);
        Some(Arc::clone(&self.steps))
    }

    fn wait(&mut self, index: usize) {
        if index >= self.over && self.waits_for_event(index) {
            self.waits[index] = true;
        }
    }

    fn waits_for_event(&self, index: usize) -> bool {
        matches!(self.steps.get(index), Some(Step { when: Trigger::On { .. }, .. }))
    }
}

impl World {
    /// Fires a step of the timeline.
    pub(crate) fn step(&mut self, index: usize) {
        let Some(steps) = self.timeline.fire(index) else { return };
        let step = &steps[index];
        self.fire(&step.fault, Some(index), step.lasting);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn on(event: EventName, after: u64) -> Step {
        Step {
            when: Trigger::On { event, after: Duration::from_secs(after) },
            fault: Fault::Cut(Target::All),
            lasting: None,
        }
    }

    #[test]
    fn a_step_waits_for_the_one_before_it() {
        let mut queue = Queue::default();
        let at = Step { when: Trigger::At(Duration::from_secs(5)), ..on(EventName::Tilt, 0) };
        let steps = [at, on(EventName::SwitchMaster, 1), on(EventName::SwitchMaster, 0)];
        let mut timeline = Timeline::new(&steps, &mut queue);
        let second = Time::from_millis(1000);

        timeline.heard(EventName::SwitchMaster, second, &mut queue);
        assert_eq!(queue.next(), Time::from_millis(5000), "an event before the step before does not count");
        assert_eq!(queue.take(), Some(Event::Step(0)));
        timeline.fire(0);

        timeline.heard(EventName::Tilt, Time::from_millis(6000), &mut queue);
        assert_eq!(queue.next(), Time::NEVER);
        timeline.heard(EventName::SwitchMaster, Time::from_millis(6000), &mut queue);
        timeline.heard(EventName::SwitchMaster, Time::from_millis(6500), &mut queue);
        assert_eq!(queue.next(), Time::from_millis(7000), "the first occurrence counts, with the delay");
        assert_eq!(queue.take(), Some(Event::Step(1)));
        assert_eq!(queue.take(), None);
        timeline.fire(1);

        timeline.heard(EventName::SwitchMaster, Time::from_millis(8000), &mut queue);
        assert_eq!(queue.take(), Some(Event::Step(2)));
    }

    #[test]
    fn what_waits_for_an_event_when_everything_heals_does_not_come_any_more() {
        let at = |at: u64, fault| Step { when: Trigger::At(Duration::from_secs(at)), fault, lasting: None };
        let switch = |after| on(EventName::SwitchMaster, after);
        let steps = [
            at(5, Fault::Cut(Target::All)),
            switch(4),
            switch(0),
            at(7, Fault::Heal(Target::All)),
            switch(0),
            at(5, Fault::Heal(Target::Sentinels)),
        ];
        let mut queue = Queue::default();
        let mut timeline = Timeline::new(&steps, &mut queue);
        let mut fired = Vec::new();
        for second in 5..13 {
            let now = Time::from_millis(second * 1000);
            while queue.next() <= now {
                let Some(Event::Step(index)) = queue.take() else { continue };
                fired.extend(timeline.fire(index).map(|_| (second, index)));
            }
            timeline.heard(EventName::SwitchMaster, now, &mut queue);
        }
        // Of the first event the delay was not over; the second was never waited for.
        assert_eq!(fired, [(5, 0), (5, 5), (7, 3), (8, 4)]);
    }
}
