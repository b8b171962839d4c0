//! The moments of a run at which something can go wrong: just after an event of a failover, and just before and after a
//! message arrives. Two moments between which nothing happens are one.

use std::collections::BTreeMap;
use std::time::Duration;

use model::history::What;
use model::{EventName, History, Time};
use testbed::Delivery;

use crate::phase::index;

/// How long after the last event of its failover a run is still looked at, message by message.
const AFTERMATH: Duration = Duration::from_secs(1);
/// The smallest step of time.
const INSTANT: Duration = Duration::from_micros(1);

/// A moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// When a fault fires there. At one time it comes before what nodes and messages do.
    pub(super) at: Time,
    /// What the moment is: `just after +odown at sentinel-2`.
    pub(super) what: String,
}

/// The moments of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Points {
    /// Just after the events of a failover.
    pub(super) phases: Vec<Point>,
    /// Just before and just after messages, as far as these are other moments.
    pub(super) messages: Vec<Point>,
    /// How many events and messages they stand for,
    pub(super) events: usize,
    pub(super) deliveries: usize,
    /// and how many messages are outside the part of the run that is looked at, which is
    pub(super) outside: usize,
    /// from here
    pub(super) from: Time,
    /// to there.
    pub(super) to: Time,
}

/// The moments of the run that left `history` and `deliveries`: from its first fault to its last event of a failover
/// and a second more; all of it if it has none of these.
pub(super) fn points(history: &History, deliveries: &[Delivery]) -> Points {
    let fault = |what: &What| matches!(what, What::Fault { .. });
    let from = history.records.iter().find(|record| fault(&record.what)).map_or(Time::ZERO, |record| record.at);
    let end = history.records.last().map_or(Time::ZERO, |record| record.at);
    let mut phases: BTreeMap<Time, Vec<String>> = BTreeMap::new();
    let mut last = None;
    let mut events = 0;
    for record in &history.records {
        let What::Event { node, event, .. } = &record.what else { continue };
        if record.at < from || index(*event).is_none() {
            continue;
        }
        events += 1;
        phases.entry(record.at + INSTANT).or_default().push(format!("{event} at {node}"));
        // What follows the failover is a phase, but no reason to look at every message until it comes.
        if !matches!(event, EventName::ConvertToSlave | EventName::FixSlaveConfig) {
            last = Some(record.at);
        }
    }
    let to = last.map_or(end, |last| (last + AFTERMATH).min(end));
    let inside = |delivery: &&Delivery| from <= delivery.at && delivery.at <= to;
    let mut messages: BTreeMap<Time, String> = BTreeMap::new();
    for Delivery { at, from, to, what } in deliveries.iter().filter(inside) {
        messages.entry(*at).or_insert_with(|| format!("just before {what} of {from} reaches {to}"));
    }
    let before: Vec<Time> = messages.keys().copied().collect();
    for Delivery { at, from, to, what } in deliveries.iter().filter(inside) {
        // The last message of an instant is the one that it is just after.
        let after = format!("just after {what} of {from} reached {to}");
        if before.binary_search(&(*at + INSTANT)).is_err() {
            messages.insert(*at + INSTANT, after);
        }
    }
    // A fault that fires with the first one of the scenario comes after it in the timeline, and so does it in the run.
    messages.retain(|at, _| !phases.contains_key(at));
    let inside = deliveries.iter().filter(inside).count();
    Points {
        phases: phases
            .into_iter()
            .map(|(at, what)| Point { at, what: format!("just after {}", what.join(", ")) })
            .collect(),
        messages: messages.into_iter().map(|(at, what)| Point { at, what }).collect(),
        events,
        deliveries: inside,
        outside: deliveries.len() - inside,
        from,
        to,
    }
}
