//! Which plans real processes can play.

use model::fault::{Fault, Target};
use model::plan::Plan;

/// Why real processes cannot play a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}real processes cannot play {what}: {why}", place = place(*step))]
pub struct Unplayable {
    /// The step of the timeline, from 0; `None` if it is the cluster.
    pub step: Option<usize>,
    /// What cannot be played: `partition zone:a and zone:b`.
    pub what: String,
    /// What would be possible.
    pub why: &'static str,
}

fn place(step: Option<usize>) -> String {
    step.map_or_else(String::new, |step| format!("step {} of the timeline: ", step + 1))
}

/// Checks that every step is one that can be done to a process. Clients of the plan are not run, by either side. Gives every
/// reason that there is.
pub fn playable(plan: &Plan) -> Result<(), Vec<Unplayable>> {
    let mut problems = Vec::new();
    if plan.cluster.groups.len() != 1 {
        problems.push(Unplayable {
            step: None,
            what: format!("{} masters", plan.cluster.groups.len()),
            why: "one master is compared at a time",
        });
    }
    let slow = plan.cluster.groups.iter().any(|group| !group.replication_lag.is_zero());
    if slow {
        problems.push(Unplayable { step: None, what: "replication_lag".to_owned(), why: "loopback has no delay" });
    }
    for (index, step) in plan.timeline.iter().enumerate() {
        if let Some(why) = refusal(&step.fault) {
            problems.push(Unplayable { step: Some(index), what: step.fault.to_string(), why });
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

const POSSIBLE: &str = "they can take kill, restart, shutdown, freeze, thaw, debug_sleep, failover, client_kill, replicaof, \
                        demote, send (without undo) and heal";

fn refusal(fault: &Fault) -> Option<&'static str> {
    match fault {
        Fault::Kill(_)
        | Fault::Restart(_)
        | Fault::Shutdown(_)
        | Fault::Freeze(_)
        | Fault::Thaw(_)
        | Fault::DebugSleep(_)
        | Fault::Failover { .. }
        | Fault::ClientKill(_)
        | Fault::ReplicaOf { .. }
        | Fault::Demote(_)
        | Fault::Send { undo: None, .. }
        | Fault::Heal(_) => {
            let of_links = |target: &&&Target| matches!(target, Target::Zone(_) | Target::Client(_));
            fault.targets().iter().find(of_links).map(|_| "zones and clients are not processes")
        }
        _ => Some(POSSIBLE),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::plan::{Cluster, Expect, Group, Step, Trigger};

    use super::*;

    fn plan(faults: Vec<Fault>) -> Plan {
        let step = |fault| Step { when: Trigger::At(Duration::from_secs(4)), fault, lasting: None };
        Plan {
            title: String::new(),
            cluster: Cluster::standard(),
            clients: Vec::new(),
            timeline: faults.into_iter().map(step).collect(),
            run_for: Duration::from_secs(10),
            expect: Expect::default(),
        }
    }

    #[test]
    fn every_step_that_cannot_be_played_is_named() {
        let zones = vec![Target::Zone("a".into())];
        let split = Fault::Partition { from: zones.clone(), to: zones, one_way: false };
        let kill = || Fault::Kill(Target::Master(None));
        assert_eq!(playable(&plan(vec![kill()])), Ok(()));
        let problems = playable(&plan(vec![kill(), split, Fault::Freeze(Target::Zone("a".into()))])).unwrap_err();
        let steps: Vec<_> = problems.iter().map(|problem| problem.step).collect();
        assert_eq!(steps, [Some(1), Some(2)]);
        let text = problems[0].to_string();
        assert!(
            text.starts_with("step 2 of the timeline: real processes cannot play partition zone:a and zone:a"),
            "{text}"
        );
    }

    #[test]
    fn several_masters_are_refused() {
        let mut plan = plan(Vec::new());
        plan.cluster.groups.push(Group::new("other"));
        assert_eq!(playable(&plan).unwrap_err()[0].step, None);
    }
}
