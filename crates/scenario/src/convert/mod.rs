//! From the file as written to a [`Plan`]: defaults are filled in, and what cannot be is reported.

mod clients;
mod cluster;
mod faults;
mod names;
mod sense;
mod timeline;

use std::collections::BTreeMap;
use std::time::Duration;

use model::Fault;
use model::plan::{Client, Cluster, Expect, Plan, WRONG};
use model::verdict::{Invariant, Rule};

use crate::collect::{Collector, too_short};
use crate::form::{Field, Mistake, Node, Record, shortened};
use crate::leaf::{Broken, Count, Span, Text};
use crate::parse::Options;
use crate::problems::{Place, Problem};
use crate::raw::{self, Catches};
use crate::suggest::did_you_mean;
pub(crate) use faults::FAULTS;
use names::Names;
use sense::Places;

/// How long a run takes that does not say.
pub(crate) const DEFAULT_RUN_FOR: Duration = Duration::from_secs(45);
/// The shortest time that timers tell apart.
const TICK: Duration = Duration::from_millis(1);

/// The plan that the file describes, or everything that is wrong with it.
pub(crate) fn plan(root: Node<Record<raw::Scenario>>, options: &Options<'_>) -> Result<Plan, Vec<Problem>> {
    let mut collector = Collector::default();
    let plan = collector.record(root).map(|(raw, place)| scenario(raw, place, options, &mut collector));
    if let Some((plan, places)) = &plan
        && collector.problems.is_empty()
        && !options.lenient
    {
        sense::check(plan, places, &mut collector);
    }
    match plan {
        Some((plan, _)) if collector.problems.is_empty() => Ok(plan),
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
        timeline::fault(&mut raw, place, &names, &mut collector).map(|(fault, lasting, _)| (fault, lasting))
    });
    match fault {
        Some(fault) if collector.problems.is_empty() => Ok(fault),
        _ => Err(collector.problems),
    }
}

fn scenario(raw: raw::Scenario, place: Place, options: &Options<'_>, collector: &mut Collector) -> (Plan, Places) {
    let title = title(raw.title, place, collector);
    let mut run_for = DEFAULT_RUN_FOR;
    collector.duration(raw.run_for, TICK, &mut run_for);
    let (cluster, zones) = cluster::cluster(raw.cluster, collector);
    let names = Names::new(&cluster, zones);
    let (clients, waits) = clients::clients(raw.clients, &names, run_for, options, collector);
    let names = names.with_clients(&clients);
    let (timeline, steps) = timeline::timeline(raw.timeline, &names, run_for, collector);
    let (expect, rules) = expect(raw.expect, &cluster, &clients, options, collector);
    (Plan { title, cluster: cluster.clone(), clients, timeline, run_for, expect }, Places { waits, steps, rules })
}

fn title(field: Field<Text>, owner: Place, collector: &mut Collector) -> String {
    let Some((Text(title), place)) = collector.required(field, owner, "title", "the master is killed") else {
        return String::new();
    };
    if title.trim().is_empty() || title.chars().any(char::is_control) {
        collector.add(place, Mistake::new("the title is not one line of text").help("say in a line what happens"));
    }
    title
}

fn expect(
    field: Field<Record<raw::Expect>>,
    cluster: &Cluster,
    clients: &[Client],
    options: &Options<'_>,
    collector: &mut Collector,
) -> (Expect, BTreeMap<Rule, Place>) {
    let Some((record, place)) = collector.field(field) else { return Default::default() };
    let raw = collector.fields(record, place);
    let rules = places(&raw);
    let mut expect = Expect {
        recovered_within: collector.value(raw.recovered_within).map(|Span(s)| s),
        longest_gap: collector.value(raw.longest_gap).map(|Span(s)| s),
        back_to_replica_within: collector.value(raw.back_to_replica_within).map(|Span(s)| s),
        ..Expect::default()
    };
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
        let count = collector.required(raw.count, place, "count", "20");
        let within = collector.required(raw.within, place, "within", "1s");
        if let Some((Span(within), place)) = within
            && within < TICK
        {
            collector.add(place, too_short(TICK));
        }
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
    for (place, driver, rule) in collector.value(raw.catches).map(|Catches(entries)| entries.0).unwrap_or_default() {
        wrong_client(&driver, clients, options).unwrap_or_else(|mistake| collector.add(place, mistake));
        let place = rule.place;
        let Some(Broken(rule)) = collector.node(rule) else { continue };
        can_be_violated(rule, &expect, cluster, clients).unwrap_or_else(|mistake| collector.add(place, mistake));
        expect.catches.insert(driver, rule);
    }
    (expect, rules)
}

/// Where each expectation stands.
fn places(raw: &raw::Expect) -> BTreeMap<Rule, Place> {
    let places = [
        (Rule::RecoveredWithin, raw.recovered_within.place()),
        (Rule::Failovers, raw.failovers.place()),
        (Rule::AcknowledgedWritesLost, raw.acknowledged_writes_lost.place()),
        (Rule::FailedAtMost, raw.failed_at_most.place()),
        (Rule::MostConnects, raw.most_connects.place()),
        (Rule::LongestGap, raw.longest_gap.place()),
        (Rule::BackToReplicaWithin, raw.back_to_replica_within.place()),
    ];
    places.into_iter().filter_map(|(rule, place)| Some((rule, place?))).collect()
}

/// Whether there is such a client, it is wrong on purpose, and it is so at something that the clients of the scenario do.
fn wrong_client(driver: &str, clients: &[Client], options: &Options<'_>) -> Result<(), Mistake> {
    clients::known_driver(driver, ", and those that are wrong on purpose", options)?;
    if !driver.starts_with(WRONG) {
        let help = format!(
            "only a client whose name begins with `{WRONG}` is there to be caught: `sentinel-lab drivers --zoo` lists them"
        );
        return Err(Mistake::new(format!("`{}` is not wrong on purpose", shortened(driver))).help(help));
    }
    if let Some(own) = clients.iter().find(|client| client.driver.is_some()) {
        let help =
            "a wrong client takes the place of all: take `driver` out of the client, or `catches` out of `expect`";
        return Err(Mistake::new(format!(
            "`{driver}` cannot take the place of `{}`, which has a driver of its own",
            own.id
        ))
        .help(help));
    }
    match options.wrong_at.and_then(|wrong_at| wrong_at(driver)) {
        Some(workload) if clients.iter().all(|client| client.workload != workload) => {
            let help = format!("it is wrong at the workload `{}`: add such a client, or name another", workload.name());
            Err(Mistake::new(format!("`{driver}` does nothing wrong in this scenario")).help(help))
        }
        _ => Ok(()),
    }
}

/// Whether a run of the scenario looks at the rule at all.
fn can_be_violated(rule: Rule, expect: &Expect, cluster: &Cluster, clients: &[Client]) -> Result<(), Mistake> {
    let word = rule.word();
    sense::concerns_somebody(rule, clients)?;
    let example = match rule {
        Rule::RecoveredWithin => "`recovered_within: 12s` to `expect`",
        Rule::Failovers => "`failovers: 1` to `expect`",
        Rule::AcknowledgedWritesLost => "`acknowledged_writes_lost: 0` to `expect`",
        Rule::FailedAtMost => "`failed_at_most: 10` to `expect`",
        Rule::MostConnects => "`most_connects: {count: 20, within: 1s}` to `expect`",
        Rule::LongestGap => "`longest_gap: 2s` to `expect`",
        Rule::BackToReplicaWithin => "`back_to_replica_within: 10s` to `expect`",
        Rule::Astray if cluster.nat => return Ok(()),
        Rule::Astray => "`nat: true` to `cluster`",
        // A waiver of I4 forgives honest losses only.
        Rule::Invariant(invariant) => {
            let waived = invariant != Invariant::I4 && expect.waive.iter().any(|(waived, _)| *waived == invariant);
            let help = format!("take `{word}` out of `waive`, or name a rule that counts here");
            let mistake = Mistake::new(format!("`{word}` is waived in this scenario")).help(help);
            return if waived { Err(mistake) } else { Ok(()) };
        }
        Rule::Evidence => return Ok(()),
    };
    if expect.sets(rule) {
        return Ok(());
    }
    Err(Mistake::new(format!("`{word}` is not set in this scenario, so that nobody can violate it"))
        .help(format!("add {example}, or name another rule")))
}

fn invariant(key: &str) -> Result<Invariant, Mistake> {
    let words = Invariant::ALL.map(|invariant| format!("{invariant:?}"));
    Invariant::ALL.into_iter().zip(&words).find(|(_, word)| *word == key).map(|(invariant, _)| invariant).ok_or_else(
        || {
            let all = || format!("invariants are {}", Invariant::ALL.map(|invariant| invariant.to_string()).join(", "));
            let help = did_you_mean(key, words.iter().map(String::as_str)).unwrap_or_else(all);
            Mistake::new(format!("`{}` is not an invariant", shortened(key))).help(help)
        },
    )
}
