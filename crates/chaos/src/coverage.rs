//! [`Coverage`]: which faults fired, and which phases of a failover were gone through and hit.

use std::collections::BTreeMap;

use model::history::What;
use model::{EventName, History, Plan};
use serde::{Deserialize, Serialize};

use crate::kind::Kind;
use crate::phase::{ALWAYS, PHASES, index};
use crate::profile::Mix;

/// Counts over one run or many. Names are those of [`Kind`] and of Sentinel's events; what is missing is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// For each kind of fault: how many were planned, and how many fired and hit a node.
    pub faults: BTreeMap<String, [u64; 2]>,
    /// For each phase: in how many runs it came, and how many faults fired while it was the latest one.
    pub phases: BTreeMap<String, [u64; 2]>,
}

impl Coverage {
    /// What the run of `plan` that left `history` covered.
    pub fn of(plan: &Plan, history: &History) -> Self {
        let mut coverage = Self::default();
        for step in &plan.timeline {
            coverage.faults.entry(Kind::of(&step.fault).name().to_owned()).or_default()[0] += 1;
        }
        let mut seen = [false; PHASES.len()];
        let mut latest: Option<EventName> = None;
        for record in &history.records {
            match &record.what {
                What::Fault { step: Some(step), nodes, .. } if !nodes.is_empty() => {
                    let Some(step) = plan.timeline.get(*step) else { continue };
                    coverage.faults.entry(Kind::of(&step.fault).name().to_owned()).or_default()[1] += 1;
                    if let Some(latest) = latest {
                        coverage.phases.entry(latest.as_str().to_owned()).or_default()[1] += 1;
                    }
                }
                What::Event { event, .. } => {
                    if let Some(phase) = index(*event) {
                        seen[phase] = true;
                        latest = Some(*event);
                    }
                }
                _ => {}
            }
        }
        for (phase, _) in PHASES.iter().zip(seen).filter(|(_, seen)| *seen) {
            coverage.phases.entry(phase.as_str().to_owned()).or_default()[0] += 1;
        }
        coverage
    }

    /// True if a master was down for Sentinels, handed over by them, or changed behind their back: clients had something to bear.
    pub(crate) fn has_failover(&self) -> bool {
        let mut by_hand = [Kind::Demote, Kind::ReplicaOf].into_iter().filter_map(|kind| self.faults.get(kind.name()));
        let came = |event: EventName| self.phases.contains_key(event.as_str());
        came(EventName::ObjectivelyDown) || came(EventName::SwitchMaster) || by_hand.any(|[_, hit]| *hit > 0)
    }

    /// Adds what another run, or several, covered.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in [(&mut self.faults, &other.faults), (&mut self.phases, &other.phases)] {
            for (name, counts) in theirs {
                let sum = mine.entry(name.clone()).or_default();
                sum[0] += counts[0];
                sum[1] += counts[1];
            }
        }
    }

    /// How many faults were planned, and how many fired and hit.
    pub fn total(&self) -> [u64; 2] {
        self.faults.values().fold([0, 0], |sum, counts| [sum[0] + counts[0], sum[1] + counts[1]])
    }

    /// What a campaign should have covered and did not, in words: of a mix, all of its kinds and the phases of every
    /// failover; of a scenario taken apart (no mix), the kinds that were planned.
    pub fn gaps(&self, mix: Option<&Mix>) -> Vec<String> {
        let fired = |kind: &str| self.faults.get(kind).is_some_and(|counts| counts[1] > 0);
        let never = |kind: &str| format!("no {kind} ever fired");
        let Some(mix) = mix else {
            return self.faults.keys().filter(|kind| !fired(kind)).map(|kind| never(kind)).collect();
        };
        let came = |phase: &EventName| self.phases.get(phase.as_str()).is_some_and(|counts| counts[0] > 0);
        let faults = mix.kinds().into_iter().map(Kind::name).filter(|kind| !fired(kind)).map(never);
        let phases =
            PHASES[..ALWAYS].iter().filter(|phase| !came(phase)).map(|phase| format!("no failover came to {phase}"));
        faults.chain(phases).collect()
    }
}
