//! The timeline: when each step fires, and for how long its fault stands.

use std::time::Duration;

use model::Fault;
use model::plan::{Step, Trigger};

use super::faults;
use super::names::Names;
use crate::collect::Collector;
use crate::form::{Field, Mistake, Node, Record};
use crate::leaf::{Event, Span};
use crate::problems::Place;
use crate::raw;

pub(super) fn timeline(
    field: Field<Vec<Node<Record<raw::Step>>>>,
    names: &Names<'_>,
    run_for: Duration,
    collector: &mut Collector,
) -> (Vec<Step>, Vec<StepPlace>) {
    let (mut steps, mut places) = (Vec::new(), Vec::new());
    for node in collector.value(field).unwrap_or_default() {
        let Some((mut raw, place)) = collector.record(node) else { continue };
        let times = Times {
            at: std::mem::take(&mut raw.at),
            on: std::mem::take(&mut raw.on),
            after: std::mem::take(&mut raw.after),
        };
        let when = times.trigger(place, run_for, collector);
        let fault = fault(&mut raw, place, names, collector);
        if let (Some(when), Some((fault, lasting, place))) = (when, fault) {
            steps.push(Step { when, fault, lasting });
            places.push(place);
        }
    }
    (steps, places)
}

/// Where the parts of a step stand.
pub(super) struct StepPlace {
    /// What the fault is for.
    pub(super) fault: Place,
    /// How long it lasts, or the same as `fault`.
    pub(super) lasting: Place,
}

/// The fault of a step, how long it lasts, and where that stands.
pub(super) fn fault(
    raw: &mut raw::Step,
    place: Place,
    names: &Names<'_>,
    collector: &mut Collector,
) -> Option<(Fault, Option<Duration>, StepPlace)> {
    let lasting = std::mem::take(&mut raw.lasting);
    let fault = faults::fault(std::mem::take(raw), place, names, collector);
    let (fault_place, fault) = fault.map_or((place, None), |(place, fault)| (place, fault));
    let lasting = collector.field(lasting);
    if let (Some(Fault::DebugSleep(_)), None) = (&fault, &lasting) {
        let help = "add `for: 5s`";
        collector.add(place, Mistake::new("`debug_sleep` does not say how long").help(help));
    }
    if let (Some(fault), Some((Span(lasting), place))) = (&fault, &lasting) {
        if !fault.lasts() {
            let message = format!("`{}` happens at once, so that `for` means nothing", fault.name());
            let send = matches!(fault, Fault::Send { .. });
            let help =
                if send { "remove `for`, or add `undo` with the command that takes it back" } else { "remove `for`" };
            collector.add(*place, Mistake::new(message).help(help));
        } else if lasting.is_zero() {
            collector.add(*place, Mistake::new("the fault lasts no time").help("write how long, such as `for: 5s`"));
        }
    }
    let places = StepPlace { fault: fault_place, lasting: lasting.map_or(fault_place, |(_, place)| place) };
    Some((fault?, lasting.map(|(Span(lasting), _)| lasting), places))
}

/// The keys of a step that say when.
struct Times {
    at: Field<Span>,
    on: Field<Event>,
    after: Field<Span>,
}

impl Times {
    fn trigger(self, owner: Place, run_for: Duration, collector: &mut Collector) -> Option<Trigger> {
        let (at_given, on_given) = (self.at.0.is_some(), self.on.0.is_some());
        let never = || {
            Mistake::new(format!("this never happens: the run ends at {}", crate::duration::write(run_for)))
                .help("bring it forward, or raise `run_for`")
        };
        let at = collector.field(self.at);
        let on = collector.field(self.on);
        let after = collector.field(self.after);
        if let Some((Span(at), place)) = &at
            && *at >= run_for
        {
            collector.add(*place, never());
        }
        if let Some((Span(after), place)) = &after {
            if !on_given {
                let help = "`after` counts from an event: `{on: +switch-master, after: 2s, ..}`";
                collector.add(*place, Mistake::new("`after` without `on`").help(help));
            } else if *after >= run_for {
                collector.add(*place, never());
            }
        }
        match (at_given, on_given) {
            (false, false) if collector.is_misspelt(owner) || after.is_some() => None,
            (false, false) => {
                let help = "add `at: 10s`, or `on: +switch-master`";
                collector.add(owner, Mistake::new("the step does not say when").help(help));
                None
            }
            (true, true) => {
                let place = on.map_or(owner, |(_, place)| place);
                let help = "keep one of them, or write `after` for a delay after the event";
                collector.add(place, Mistake::new("both `at` and `on`").help(help));
                None
            }
            (true, false) => at.map(|(Span(at), _)| Trigger::At(at)),
            (false, true) => {
                let after = after.map_or(Duration::ZERO, |(Span(after), _)| after);
                on.map(|(Event(event), _)| Trigger::On { event, after })
            }
        }
    }
}
