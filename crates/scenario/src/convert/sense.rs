//! What is written as it should be, and nothing can come of: steps that do or undo nothing, times that outlast the run, expectations
//! that nobody can miss. Asked once all else is right, since these are about how the parts of a scenario go together.

use std::collections::BTreeMap;
use std::slice::from_ref;

use model::fault::Answer;
use model::plan::{Client, Plan, Step, Trigger, Workload};
use model::verdict::{Invariant, Rule};
use model::{Fault, Target};

use super::clients::{Wait, Waits};
use super::timeline::StepPlace;
use crate::collect::Collector;
use crate::duration::write;
use crate::form::Mistake;
use crate::problems::Place;
use crate::suggest::did_you_mean;

/// Where the parts of a plan stand.
pub(super) struct Places {
    /// Each time of a client that is given.
    pub(super) waits: Vec<Wait>,
    /// Each step of the timeline.
    pub(super) steps: Vec<StepPlace>,
    /// Each expectation.
    pub(super) rules: BTreeMap<Rule, Place>,
}

/// Adds everything of which nothing can come.
pub(super) fn check(plan: &Plan, places: &Places, collector: &mut Collector) {
    for wait in &places.waits {
        can_be_over(wait, plan).unwrap_or_else(|mistake| collector.add(wait.place, mistake));
    }
    for (step, place) in plan.timeline.iter().zip(&places.steps) {
        can_act(step, plan).unwrap_or_else(|mistake| collector.add(place.fault, mistake));
    }
    for index in plan.idle_steps() {
        let fault = &plan.timeline[index].fault;
        let target = fault.targets()[0];
        let instead = match fault {
            Fault::Restart(_) => format!("to restart what runs, write `kill: {target}, for: 1s`; or else "),
            _ => String::new(),
        };
        let help = format!(
            "{instead}name whom a step before has hit with something that lasts until then, or remove the step; what happens at once, such as `cut`, \
             and what ended by its `for` needs no `{}`",
            fault.name()
        );
        let mistake = Mistake::new(format!("`{}` has nothing to undo at `{target}`", fault.name())).help(help);
        collector.add(places.steps[index].fault, mistake);
    }
    for index in plan.never_taken_back() {
        let target = plan.timeline[index].fault.targets()[0];
        let help = format!("add `for: 5s` to the step, or a step `heal: {target}`");
        collector
            .add(places.steps[index].fault, Mistake::new("`undo` is never sent: nothing ends this step").help(help));
    }
    for ((step, earliest), place) in plan.timeline.iter().zip(plan.earliest()).zip(&places.steps) {
        if step.lasting.is_some_and(|lasting| earliest + lasting >= plan.run_for) {
            let message = format!("this never ends: the run does before, at {}", write(plan.run_for));
            let help = "shorten it, raise `run_for`, or remove `for` if the fault is to stand until the end";
            collector.add(place.lasting, Mistake::new(message).help(help));
        }
    }
    for (rule, place) in &places.rules {
        can_be_missed(*rule, plan).unwrap_or_else(|mistake| collector.add(*place, mistake));
    }
}

/// A mistake if the run ends before this time of a client can be over.
fn can_be_over(wait: &Wait, plan: &Plan) -> Result<(), Mistake> {
    let client = &plan.clients[wait.client];
    let started = (client.start, "the client starts");
    let disturbed = plan.earliest().into_iter().min().map_or(started, |first| (first, "the first step fires"));
    let (time, (from, begins), so) = match wait.what {
        Waits::Deadline => (client.deadline, started, "no call can be late"),
        Waits::Budget => (client.budget, disturbed, "the client need not recover"),
        Waits::ReopenAfter => (client.reopen_after.unwrap_or_default(), started, "the client is never set up anew"),
    };
    let room = plan.run_for.saturating_sub(from);
    if time < room {
        return Ok(());
    }
    let [end, from, room] = [plan.run_for, from, room].map(write);
    let message = format!("{so}: the run ends at {end}, and {begins} at {from}");
    Err(Mistake::new(message).help(format!("write less than `{room}`, or raise `run_for`")))
}

/// A mistake if the step does nothing, whatever the roles are when it fires.
fn can_act(step: &Step, plan: &Plan) -> Result<(), Mistake> {
    let fault = &step.fault;
    let mistake = |message: &str, help: &str| Err(Mistake::new(message).help(help));
    if let Some(nobody) = plan.nobody_at(fault) {
        let help = "name a node or another role, such as `master`, or change `cluster`";
        return mistake(&format!("`{nobody}` means no node of this cluster"), help);
    }
    let no_way = |one: &Target, other: &Target| {
        let help = "name two sides that talk to each other, such as `[master, sentinels]`: clients and nodes, or several nodes";
        mistake(&format!("nothing passes between `{one}` and `{other}`"), help)
    };
    match fault {
        Fault::Latency { delay, jitter, .. } if delay.is_zero() && jitter.is_zero() => {
            mistake("nothing is delayed", "write by how much, such as `delay: 50ms`")
        }
        Fault::Latency { between, and, .. } if !plan.may_pass(from_ref(between), from_ref(and)) => no_way(between, and),
        Fault::Partition { from, to, .. } if !plan.may_pass(from, to) => no_way(&from[0], &to[0]),
        Fault::ReplicaOf { target, of: Some(of) } if !plan.may_pass(from_ref(target), from_ref(of)) => {
            let help = "name another node, or leave `of` out to make it a master";
            mistake(&format!("`{target}` cannot follow itself"), help)
        }
        Fault::Override { answer: Answer::Slow(by) | Answer::LateSwitchEvent(by), .. } if by.is_zero() => {
            mistake("nothing is late", "write by how much, such as `slow: 300ms`")
        }
        Fault::Resolve { name, .. } if !plan.looks_up(name) => {
            mistake(&format!("nobody looks up `{name}`"), &names(name, plan))
        }
        Fault::Cut(target) | Fault::Silence(target) => {
            let first = plan.clients.iter().map(|client| client.start).min();
            let Some(first) = first.filter(|first| matches!(step.when, Trigger::At(at) if at < *first)) else {
                return Ok(());
            };
            let help = "let it happen later, or have a client `start` earlier";
            mistake(
                &format!("no client has a connection to `{target}` yet: the first starts at {}", write(first)),
                help,
            )
        }
        _ => Ok(()),
    }
}

/// What would have `name` looked up.
fn names(name: &str, plan: &Plan) -> String {
    let hosts = &plan.cluster.hosts;
    let near = || did_you_mean(name, hosts.keys().map(String::as_str).filter(|known| plan.looks_up(known)));
    if hosts.keys().any(|known| known.eq_ignore_ascii_case(name)) {
        return "a node is known by the first of its names in `hosts`, and a data node only with `resolve_hostnames: true` and \
                `announce_hostnames: true` in `cluster`"
            .to_owned();
    }
    near().unwrap_or_else(|| format!("give a node this name in `cluster`: `hosts: {{{name}: sentinel-1}}`"))
}

/// A mistake if no run of the plan can be against the rule, which it sets.
fn can_be_missed(rule: Rule, plan: &Plan) -> Result<(), Mistake> {
    concerns_somebody(rule, &plan.clients)?;
    let first_start = plan.clients.iter().map(|client| client.start).min();
    let first_fault = plan.earliest().into_iter().min();
    let (allowed, from, what) = match rule {
        Rule::LongestGap => (plan.expect.longest_gap, first_start, "no client starts"),
        Rule::RecoveredWithin => (plan.expect.recovered_within, first_fault, "nothing happens"),
        Rule::BackToReplicaWithin => (plan.expect.back_to_replica_within, first_fault, "nothing happens"),
        Rule::MostConnects => (None, first_fault, "nothing happens"),
        _ => return can_be_exceeded(rule, plan),
    };
    let Some(from) = from else {
        let message = format!("`{}` counts from the first fault, and there is none", rule.word());
        return if plan.clients.is_empty() {
            Ok(())
        } else {
            Err(Mistake::new(message).help("add a step to `timeline`"))
        };
    };
    let room = plan.run_for.saturating_sub(from);
    // A gap begins with a first success, which takes time.
    let (possible, most) = match (rule, allowed) {
        (_, None) => (true, ""),
        (Rule::LongestGap, Some(allowed)) => (allowed < room, "less than"),
        (_, Some(allowed)) => (allowed <= room, "at most"),
    };
    if possible {
        return can_be_exceeded(rule, plan);
    }
    let [end, from, room] = [plan.run_for, from, room].map(write);
    let message = format!("nobody can miss this: the run ends at {end}, and {what} before {from}");
    Err(Mistake::new(message).help(format!("write {most} `{room}`, or raise `run_for`")))
}

/// A mistake if a rule that counts allows as much as there can be.
fn can_be_exceeded(rule: Rule, plan: &Plan) -> Result<(), Mistake> {
    let Plan { clients, expect, run_for, .. } = plan;
    let operations = |client: &Client| client.most_operations(*run_for);
    let (allowed, most, who, what) = match rule {
        Rule::FailedAtMost => {
            (expect.failed_at_most, clients.iter().map(operations).max(), "a client begins", "operations in this run")
        }
        Rule::AcknowledgedWritesLost => {
            let who_write = clients.iter().filter(|client| rule.concerns(client.workload));
            let most = who_write.map(operations).reduce(u64::saturating_add);
            (expect.acknowledged_writes_lost, most, "the clients that write begin", "operations in this run")
        }
        // Who opens more violates I6 as well, which needs nobody to say so.
        Rule::MostConnects if expect.waive.iter().all(|(waived, _)| *waived != Invariant::I6) => {
            let (allowed, within) = expect.most_connects.unzip();
            let from = plan.earliest().into_iter().min().unwrap_or_default();
            let within = within.unwrap_or_default().min(run_for.saturating_sub(from));
            let seconds = within.as_micros().div_ceil(1_000_000) as u64;
            let of_each = |client: &Client| u64::from(client.max_connects_per_second).saturating_mul(seconds);
            let most = clients.iter().map(of_each).reduce(u64::saturating_add);
            (allowed, most, "`max_connects_per_second` lets the clients open", "connections within that time (I6)")
        }
        _ => return Ok(()),
    };
    match allowed.zip(most) {
        Some((allowed, most)) if allowed >= most => {
            let message = format!("nobody can miss this: {who} at most {most} {what}");
            Err(Mistake::new(message).help(format!("write less than `{most}`")))
        }
        _ => Ok(()),
    }
}

/// A mistake if the rule is about something that no client does. Without clients there is nobody yet.
pub(super) fn concerns_somebody(rule: Rule, clients: &[Client]) -> Result<(), Mistake> {
    if clients.is_empty() || clients.iter().any(|client| rule.concerns(client.workload)) {
        return Ok(());
    }
    let about = match rule {
        Rule::BackToReplicaWithin => "reads from replicas, and no client does any",
        Rule::Invariant(Invariant::I2 | Invariant::I3) => "what is asked of a master, and no client asks one",
        Rule::Invariant(Invariant::I9) => "values that nodes answer, and no client reports any of those",
        _ => "writes that are to last, and no client does any",
    };
    let fitting = Workload::ALL.into_iter().find(|workload| rule.concerns(*workload)).map_or("", Workload::name);
    let help = format!("add a client that does, such as `{{id: other, workload: {fitting}}}`, or take the rule out");
    Err(Mistake::new(format!("`{}` is about {about}", rule.word())).help(help))
}
