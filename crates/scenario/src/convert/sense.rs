//! What is written as it should be, and nothing can come of: steps that undo nothing, faults that outlast the run, expectations that
//! nobody can miss. Asked once all else is right, since these are about how the parts of a scenario go together.

use std::collections::BTreeMap;

use model::plan::{Client, Plan, Workload};
use model::verdict::{Invariant, Rule};

use super::timeline::StepPlace;
use crate::collect::Collector;
use crate::duration::write;
use crate::form::Mistake;
use crate::problems::Place;

/// Where the parts of a plan stand.
pub(super) struct Places {
    /// Each step of the timeline.
    pub(super) steps: Vec<StepPlace>,
    /// Each expectation.
    pub(super) rules: BTreeMap<Rule, Place>,
}

/// Adds everything of which nothing can come.
pub(super) fn check(plan: &Plan, places: &Places, collector: &mut Collector) {
    for index in plan.idle_steps() {
        let fault = &plan.timeline[index].fault;
        let target = fault.targets()[0];
        let help = format!(
            "name whom a step before has hit with something that lasts until then, or remove the step; what happens at once, such as `cut`, \
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
        _ => return Ok(()),
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
        return Ok(());
    }
    let [end, from, room] = [plan.run_for, from, room].map(write);
    let message = format!("nobody can miss this: the run ends at {end}, and {what} before {from}");
    Err(Mistake::new(message).help(format!("write {most} `{room}`, or raise `run_for`")))
}

/// A mistake if the rule is about something that no client does. Without clients there is nobody yet.
pub(super) fn concerns_somebody(rule: Rule, clients: &[Client]) -> Result<(), Mistake> {
    if clients.is_empty() || clients.iter().any(|client| rule.concerns(client.workload)) {
        return Ok(());
    }
    let about = match rule {
        Rule::BackToReplicaWithin => "reads from replicas, and no client does any",
        Rule::Invariant(Invariant::I2 | Invariant::I3) => "what is asked of a master, and no client asks one",
        _ => "writes that are to last, and no client does any",
    };
    let fitting = Workload::ALL.into_iter().find(|workload| rule.concerns(*workload)).map_or("", Workload::name);
    let help = format!("add a client that does, such as `{{id: other, workload: {fitting}}}`, or take the rule out");
    Err(Mistake::new(format!("`{}` is about {about}", rule.word())).help(help))
}
