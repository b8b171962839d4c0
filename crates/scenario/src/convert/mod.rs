//! From the file as written to a [`Plan`]: defaults are filled in, and what cannot be is reported.

mod clients;
mod cluster;
mod faults;
mod names;
mod timeline;

use std::time::Duration;

use model::Fault;
use model::plan::{Cluster, Expect, Plan};
use model::verdict::Invariant;

use crate::collect::Collector;
use crate::form::{Field, Mistake, Node, Record, shortened};
use crate::leaf::{Broken, Count, Span, Text};
use crate::parse::Options;
use crate::problems::{Place, Problem};
use crate::raw;
pub(crate) use faults::FAULTS;
use names::Names;

/// How long a run takes that does not say.
pub(crate) const DEFAULT_RUN_FOR: Duration = Duration::from_secs(45);
/// The shortest time that timers tell apart.
const TICK: Duration = Duration::from_millis(1);

/// The plan that the file describes, or everything that is wrong with it.
pub(crate) fn plan(root: Node<Record<raw::Scenario>>, options: &Options<'_>) -> Result<Plan, Vec<Problem>> {
    let mut collector = Collector::default();
    let plan = collector.record(root).map(|(raw, place)| scenario(raw, place, options, &mut collector));
    match plan {
        Some(plan) if collector.problems.is_empty() => Ok(plan),
        _ => Err(collector.problems),
    }
}

/// Where each step of the timeline stands.
pub(crate) fn step_places(root: Node<Record<raw::Scenario>>) -> Vec<Place> {
    let mut collector = Collector::default();
    let steps = collector.record(root).and_then(|(raw, _)| collector.value(raw.timeline));
    steps.unwrap_or_default().into_iter().map(|step| step.place).collect()
}

/// The fault of a step that stands alone, and how long it lasts.
pub(crate) fn lone_fault(
    root: Node<Record<raw::Step>>,
    cluster: &Cluster,
) -> Result<(Fault, Option<Duration>), Vec<Problem>> {
    let mut collector = Collector::default();
    let zones = cluster.nodes().into_iter().map(|node| cluster.zone(node).to_owned()).collect();
    let names = Names::new(cluster, zones);
    let fault = collector.record(root).and_then(|(mut raw, place)| {
        for (key, given) in [("at", raw.at.0.is_some()), ("on", raw.on.0.is_some()), ("after", raw.after.0.is_some())] {
            if given {
                collector.add(place, Mistake::new(format!("`{key}` means nothing here: it happens at once")));
            }
        }
        timeline::fault(&mut raw, place, &names, &mut collector)
    });
    match fault {
        Some(fault) if collector.problems.is_empty() => Ok(fault),
        _ => Err(collector.problems),
    }
}

fn scenario(raw: raw::Scenario, place: Place, options: &Options<'_>, collector: &mut Collector) -> Plan {
    let title = title(raw.title, place, collector);
    let mut run_for = DEFAULT_RUN_FOR;
    collector.duration(raw.run_for, TICK, &mut run_for);
    let (cluster, zones) = cluster::cluster(raw.cluster, collector);
    let names = Names::new(&cluster, zones);
    let clients = clients::clients(raw.clients, &names, run_for, options, collector);
    let names = names.with_clients(&clients);
    let timeline = timeline::timeline(raw.timeline, &names, run_for, collector);
    let expect = expect(raw.expect, options, collector);
    Plan { title, cluster: cluster.clone(), clients, timeline, run_for, expect }
}

fn title(field: Field<Text>, owner: Place, collector: &mut Collector) -> String {
    let Some((Text(title), place)) = collector.required(field, owner, "title", "the master is killed") else {
        return String::new();
    };
    if title.trim().is_empty() || title.chars().any(char::is_control) {
        collector.add(place, Mistake::new("the title is not one line of text"));
    }
    title
}

fn expect(field: Field<Record<raw::Expect>>, options: &Options<'_>, collector: &mut Collector) -> Expect {
    let Some((record, place)) = collector.field(field) else { return Expect::default() };
    let raw = collector.fields(record, place);
    let mut expect =
        Expect { recovered_within: collector.value(raw.recovered_within).map(|Span(s)| s), ..Expect::default() };
    if raw.failovers.0.is_some() {
        collector.number(raw.failovers, 0..=u32::MAX.into(), expect.failovers.insert(0));
    }
    if raw.acknowledged_writes_lost.0.is_some() {
        collector.number(raw.acknowledged_writes_lost, 0..=u64::MAX, expect.acknowledged_writes_lost.insert(0));
    }
    if raw.failed_at_most.0.is_some() {
        collector.number(raw.failed_at_most, 0..=u64::MAX, expect.failed_at_most.insert(0));
    }
    if let Some((record, place)) = collector.field(raw.most_connects) {
        let raw = collector.fields(record, place);
        let count = collector.required(raw.count, place, "count", "100");
        let within = collector.required(raw.within, place, "within", "1s");
        expect.most_connects = count.zip(within).map(|((Count(count), _), (Span(within), _))| (count, within));
    }
    for (place, key, reason) in collector.value(raw.waive).map(|entries| entries.0).unwrap_or_default() {
        let invariant = invariant(&key).map_err(|mistake| collector.add(place, mistake)).ok();
        let reason_place = reason.place;
        let reason = match reason.value {
            Ok(Text(reason)) if !reason.trim().is_empty() => Some(reason),
            _ => {
                let help = format!("say in words why it does not count here: `{key}: \"…\"`");
                collector.add(reason_place, Mistake::new("an invariant is waived without a reason").help(help));
                None
            }
        };
        expect.waive.extend(invariant.zip(reason));
    }
    for (place, driver, rule) in collector.value(raw.catches).map(|entries| entries.0).unwrap_or_default() {
        let besides = ", and those that are wrong on purpose";
        clients::known_driver(&driver, besides, options).unwrap_or_else(|mistake| collector.add(place, mistake));
        expect.catches.extend(collector.node(rule).map(|Broken(rule)| (driver, rule)));
    }
    expect
}

fn invariant(key: &str) -> Result<Invariant, Mistake> {
    Invariant::ALL.into_iter().find(|invariant| format!("{invariant:?}") == key).ok_or_else(|| {
        let all = Invariant::ALL.map(|invariant| invariant.to_string()).join(", ");
        Mistake::new(format!("`{}` is not an invariant", shortened(key))).help(format!("invariants are {all}"))
    })
}
