//! [`heal`]: the heal of everything, and what only an operator puts right with it: roles that were changed behind the Sentinels'
//! back. Where no replica may be promoted they cannot make a master that was made a replica one again, and of a node that lost its
//! replication by hand they need not even know.

use std::time::Duration;

use model::plan::{Plan, Step, Trigger};
use model::{Fault, Target};

use crate::audit::has_usurper;

/// The steps with which everything heals at `at` that `plan`, which has no such steps, does.
pub(crate) fn heal(plan: &Plan, at: Duration) -> Vec<Step> {
    let cluster = &plan.cluster;
    let mut faults = vec![Fault::Heal(Target::All)];
    if has_usurper(&plan.timeline) {
        for (index, group) in cluster.groups.iter().enumerate() {
            let master = Target::Master(Some(group.name.clone()));
            faults.push(Fault::ReplicaOf { target: master.clone(), of: None });
            let members = cluster.data_nodes().into_iter().filter(|(_, of)| *of == index);
            faults.extend(
                members.map(|(node, _)| Fault::ReplicaOf { target: Target::Node(node), of: Some(master.clone()) }),
            );
        }
    }
    faults.into_iter().map(|fault| Step { when: Trigger::At(at), fault, lasting: None }).collect()
}

/// When everything heals, and which of the steps belong to that, the heal itself among them.
fn healing(plan: &Plan) -> Option<(Duration, Vec<bool>)> {
    let at = plan.timeline.iter().rev().find_map(|step| match step.when {
        Trigger::At(at) if step.fault == Fault::Heal(Target::All) => Some(at),
        _ => None,
    })?;
    let is_part = |step: &Step| {
        let amends = matches!(step.fault, Fault::ReplicaOf { .. });
        step.when == Trigger::At(at) && (amends || step.fault == Fault::Heal(Target::All))
    };
    Some((at, plan.timeline.iter().map(is_part).collect()))
}

/// True if a step belongs to the heal of everything.
pub(crate) fn heals(plan: &Plan, index: usize) -> bool {
    healing(plan).is_some_and(|(_, parts)| parts[index])
}

/// Takes out what the heal of everything has nothing to put right with any more.
pub(crate) fn forget_idle(plan: &mut Plan) {
    let Some((at, parts)) = healing(plan) else { return };
    let mut rest = plan.clone();
    let mut parts_of_rest = parts.iter();
    rest.timeline.retain(|_| !parts_of_rest.next().copied().unwrap_or_default());
    let wanted = heal(&rest, at);
    let mut parts = parts.into_iter();
    plan.timeline.retain(|step| !parts.next().unwrap_or_default() || wanted.contains(step));
}
