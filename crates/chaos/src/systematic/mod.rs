//! [`Subject`]: a scenario taken apart. Every fault at every moment of its failover, one at a time.
//!
//! The scenario is run undisturbed first. Each event of the failover and each message of that run is a moment at which
//! something can go wrong (`points`), and each fault that its cluster can be hit with goes wrong there (`faults`). Up to
//! that moment a case is the same as the undisturbed run, since it has the same seed: so the moment can be named by its
//! time, and is met for certain. A case is a plan like any other: the scenario, one fault more, the heal of everything, and with it
//! what only an operator puts right (`amends`).
//!
//! Cases are numbered from 1: first the events, then the messages, both in the order of time, and all faults at each. With
//! a limit the events come first too; of what does not fit, moments evenly spread are taken, with each fault in turn.

mod faults;
mod points;

use std::sync::Arc;
use std::time::Duration;

use model::plan::{Expect, Plan, Trigger};
use model::verdict::Severity;
use model::{Fault, Seed, Time};
use testbed::driver::Driver;
use testbed::{Run, RunError};

use self::faults::{faults, hold};
use self::points::{Point, Points, points};
use crate::amends::heal;
use crate::schedule::recovery;

/// A scenario, with every moment at which it can be disturbed and every fault that can do so.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its name.
    pub name: String,
    /// The scenario.
    plan: Plan,
    seed: u64,
    points: Points,
    faults: Vec<Fault>,
    left_out: Vec<String>,
    /// Of the cases at events and at messages, how many are taken.
    taken: [usize; 2],
    /// When all that the scenario itself does has been done.
    done: Time,
}

/// Why a scenario cannot be taken apart.
#[derive(Debug, thiserror::Error)]
pub enum SubjectError {
    /// It has no clients.
    #[error("{name} has no clients, so nothing would be put to the test: add some under `clients`")]
    NoClients {
        /// The scenario.
        name: String,
    },
    /// It cannot be run.
    #[error("{name} cannot be run as it is, with seed {seed}: {source}")]
    Broken {
        /// The scenario.
        name: String,
        /// The seed.
        seed: u64,
        /// Why.
        source: RunError,
    },
    /// It fails as it is.
    #[error("{name} fails as it is, with seed {seed}, so nothing can be learnt from disturbing it: {reason}")]
    Fails {
        /// The scenario.
        name: String,
        /// The seed.
        seed: u64,
        /// The first violation.
        reason: String,
    },
    /// It does not show of a client whether it does well.
    #[error(
        "{name} shows nothing as it is, with seed {seed}, so nothing can be learnt from disturbing it: {reason}; take one that shows \
         it, by a longer `run_for` or a shorter `deadline`, say"
    )]
    Unproven {
        /// The scenario.
        name: String,
        /// The seed.
        seed: u64,
        /// What is missing.
        reason: String,
    },
}

/// A step that goes through all of `count` things before it comes to one again, and far from one to the next.
fn stride(count: usize) -> usize {
    let common = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (count * 5 / 8..=count + 1).find(|step| common(*step, count) == 1).unwrap_or(1)
}

impl Subject {
    /// Runs the scenario undisturbed, with the first driver for the clients that name none, and takes it apart into at
    /// most `limit` cases.
    ///
    /// # Errors
    /// It cannot be run, has no clients, fails by itself, or leaves open whether a client does well.
    pub fn new(
        name: &str,
        plan: Plan,
        seed: u64,
        drivers: Vec<Arc<dyn Driver>>,
        limit: Option<usize>,
    ) -> Result<Self, SubjectError> {
        let name = name.to_owned();
        if plan.clients.is_empty() {
            return Err(SubjectError::NoClients { name });
        }
        let mut run = Run::new(plan.clone(), Seed(seed), drivers);
        run.watch_deliveries = true;
        let outcome = match run.run() {
            Ok(outcome) => outcome,
            Err(source) => return Err(SubjectError::Broken { name, seed, source }),
        };
        let of =
            |severity: Severity| outcome.verdict.findings.iter().filter(move |finding| finding.severity == severity);
        if let Some(violation) = of(Severity::Violation).next() {
            let reason = format!("{}: {}", violation.rule, violation.text);
            return Err(SubjectError::Fails { name, seed, reason });
        }
        // A step that did nothing leaves the others, and the clients.
        let missing = of(Severity::NoEvidence).filter(|finding| finding.client.is_some());
        let missing: Vec<&str> = missing.map(|finding| finding.text.as_str()).collect();
        if !missing.is_empty() {
            return Err(SubjectError::Unproven { name, seed, reason: missing.join("; ") });
        }
        let points = points(&outcome.history, &outcome.deliveries);
        let (faults, left_out) = faults(&plan);
        let all = [points.phases.len(), points.messages.len()].map(|points| points * faults.len());
        let limit = limit.unwrap_or(usize::MAX);
        let at_events = all[0].min(limit);
        let taken = [at_events, all[1].min(limit - at_events)];
        let fired = outcome.history.records.iter().filter_map(|record| match record.what {
            model::history::What::Fault { step: Some(step), .. } => {
                Some(record.at + plan.timeline.get(step).and_then(|step| step.lasting).unwrap_or_default())
            }
            _ => None,
        });
        let done = fired.max().unwrap_or(Time::ZERO);
        Ok(Self { name, plan, seed, points, faults, left_out, taken, done })
    }

    /// The seed of every case.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// How many cases there are, within the limit.
    pub fn cases(&self) -> usize {
        self.taken.iter().sum()
    }

    /// The moment and the fault of case `number`, from 1.
    fn of(&self, number: usize) -> (&Point, &Fault) {
        let index = number - 1;
        let (points, index, taken) = if index < self.taken[0] {
            (&self.points.phases, index, self.taken[0])
        } else {
            (&self.points.messages, index - self.taken[0], self.taken[1])
        };
        // With all cases taken this is the moment number `index / faults`, and each fault comes once at each moment. The
        // stride has few cases meet every kind of fault.
        let faults = self.faults.len();
        (&points[index * points.len() / taken], &self.faults[index * stride(faults) % faults])
    }

    /// The plan of case `number`, from 1 to [`Subject::cases`].
    pub fn plan(&self, number: usize) -> Plan {
        let (point, fault) = self.of(number);
        let hold = hold(&self.plan, fault);
        let mut plan = self.plan.clone();
        let at = |at: Time| Trigger::At(at.since(Time::ZERO));
        plan.timeline.push(faults::step(at(point.at), fault.clone(), hold));
        let healed = self.done.max(point.at + hold).since(Time::ZERO);
        // A whole second is easier to read.
        let healed = Duration::from_secs(healed.as_secs() + 1);
        plan.timeline.extend(heal(&plan, healed));
        plan.run_for = plan.run_for.max(healed + recovery(&plan.cluster, &plan.timeline));
        // What must come out of the scenario itself need not come out of this.
        plan.expect = Expect { waive: self.plan.expect.waive.clone(), ..Expect::default() };
        plan.title = format!("{}: {fault}, {}", self.name, point.what);
        plan
    }

    /// What case `number` is, in a few words.
    pub fn describe(&self, number: usize) -> String {
        let (point, fault) = self.of(number);
        format!("{fault}, {}", point.what)
    }

    /// What was enumerated, what of it is to be run, and what is left out for which reason: a line each.
    pub fn account(&self) -> Vec<String> {
        let Self { points, faults, taken, .. } = self;
        let faults = faults.len();
        let of = |moments: usize, taken: usize| {
            let all = moments * faults;
            if taken == all {
                "of which all are chosen".to_owned()
            } else {
                format!("of which {taken} are chosen, evenly spread")
            }
        };
        let [phases, messages] = [points.phases.len(), points.messages.len()];
        let mut lines = vec![
            format!("{faults} faults, from {} to {} of the undisturbed run", points.from, points.to),
            format!(
                "{} events of a failover at {phases} moments: {} cases, {}",
                points.events,
                phases * faults,
                of(phases, taken[0])
            ),
            format!(
                "{} messages, just before and after each, at {messages} moments: {} cases, {}",
                points.deliveries,
                messages * faults,
                of(messages, taken[1])
            ),
        ];
        if points.outside > 0 {
            lines.push(format!("left out: {} messages before and after that time", points.outside));
        }
        lines.push("left out: moments between things that happen in one microsecond; two faults at a time".to_owned());
        lines.extend(self.left_out.iter().map(|why| format!("left out: {why}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stride_comes_to_everything_once() {
        for count in 1..200 {
            let step = stride(count);
            let mut seen: Vec<usize> = (0..count).map(|index| index * step % count).collect();
            seen.sort_unstable();
            assert_eq!(seen, (0..count).collect::<Vec<_>>(), "{count} by {step}");
        }
    }
}
