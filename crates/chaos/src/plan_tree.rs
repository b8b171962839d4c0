//! [`PlanTree`]: a plan that shrinks; [`ScheduleTree`]: one that is still the schedule that was drawn to begin with.

use std::time::Duration;

use model::plan::{Cluster, Host, Plan, Trigger};
use model::{Fault, Target};
use proptest::strategy::ValueTree;

use crate::amends::{forget_idle, heals};
use crate::schedule::Schedule;

/// Times and durations are rounded to these, the roundest first.
const UNITS: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_millis(100), Duration::from_millis(10), Duration::from_millis(1)];

/// What is tried, in this order: each time on whatever is left.
#[derive(Clone, Copy, Debug)]
enum Pass {
    DropSteps,
    DropClients,
    PlainCluster,
    ShortenFaults,
    RoundTimes,
    Done,
}

/// What is tried to have a plainer cluster, the last first. Each may have nothing to change.
const PLAINER: [fn(&mut Plan); 8] = [
    |plan| plan.run_for = rounded(plan.run_for, Duration::from_secs(10)),
    |plan| plan.run_for = rounded(plan.run_for * 3 / 4, Duration::from_secs(1)),
    |plan| plan.run_for = rounded(plan.run_for * 3 / 4, Duration::from_secs(1)),
    |plan| plan.cluster.groups.iter_mut().for_each(|group| group.down_after = rounder(group.down_after)),
    |plan| plan.cluster.groups.iter_mut().for_each(|group| group.failover_timeout = rounder(group.failover_timeout)),
    fewer_replicas,
    fewer_replicas,
    without_zones,
];

fn rounder(time: Duration) -> Duration {
    rounded(time, Duration::from_secs(1)).max(Duration::from_secs(1))
}

/// One replica less of the last group, unless a step names it or it is the only one.
fn fewer_replicas(plan: &mut Plan) {
    let Some((last, _)) = plan.cluster.data_nodes().pop() else { return };
    let named = plan.timeline.iter().any(|step| step.fault.targets().contains(&&Target::Node(last)));
    let Some(group) = plan.cluster.groups.last_mut().filter(|group| !named && group.replicas > 1) else { return };
    group.replicas -= 1;
    let nodes = usize::from(group.replicas) + 1;
    group.priorities.truncate(nodes);
    group.zones.truncate(nodes);
    plan.cluster.addresses.remove(&last);
    plan.cluster.hosts.retain(|_, host| *host != Host::Node(last));
}

fn without_zones(plan: &mut Plan) {
    if plan.timeline.iter().any(|step| step.fault.targets().iter().any(|target| matches!(target, Target::Zone(_)))) {
        return;
    }
    plan.cluster.sentinel_zones.clear();
    plan.cluster.groups.iter_mut().for_each(|group| group.zones.clear());
    plan.clients.iter_mut().for_each(|client| Cluster::DEFAULT_ZONE.clone_into(&mut client.zone));
}

/// A plan with fewer steps, fewer clients, a plainer cluster, shorter faults and rounder times, one change after the other. The heal of
/// everything stays as long as there is any fault, and what is put right with it as long as that was changed.
#[derive(Clone, Debug)]
pub(crate) struct PlanTree {
    plan: Plan,
    /// What the plan was before the last change.
    before: Option<Plan>,
    pass: Pass,
    /// What is left to try in this pass.
    left: usize,
}

impl PlanTree {
    pub(crate) fn new(plan: Plan) -> Self {
        let left = plan.timeline.len();
        Self { plan, before: None, pass: Pass::DropSteps, left }
    }

    /// The next pass, and how many changes it may try.
    fn turn(&mut self) {
        let steps = self.plan.timeline.len();
        (self.pass, self.left) = match self.pass {
            Pass::DropSteps => (Pass::DropClients, self.plan.clients.len()),
            Pass::DropClients => (Pass::PlainCluster, PLAINER.len()),
            Pass::PlainCluster => (Pass::ShortenFaults, steps * UNITS.len()),
            Pass::ShortenFaults => (Pass::RoundTimes, steps * UNITS.len()),
            Pass::RoundTimes | Pass::Done => (Pass::Done, 0),
        };
    }

    /// The plan with change number `left` of this pass; `None` if that changes nothing.
    fn changed(&self) -> Option<Plan> {
        let (mut plan, left) = (self.plan.clone(), self.left);
        match self.pass {
            Pass::DropSteps if plan.timeline.get(left)?.fault == Fault::Heal(Target::All) => return None,
            Pass::DropSteps if heals(&plan, left) => return None,
            Pass::DropSteps => {
                plan.timeline.remove(left);
                forget_idle(&mut plan);
                // What has nothing to undo any more goes with it.
                for idle in plan.idle_steps().into_iter().rev() {
                    plan.timeline.remove(idle);
                }
            }
            Pass::DropClients if plan.clients.len() == 1 => return None,
            Pass::DropClients => drop(plan.clients.remove(left)),
            Pass::PlainCluster => PLAINER[left](&mut plan),
            Pass::ShortenFaults => {
                let lasting = plan.timeline[left / UNITS.len()].lasting.as_mut()?;
                // Half of it, as round as this unit allows.
                let unit = UNITS[UNITS.len() - 1 - left % UNITS.len()];
                *lasting = Some(rounded(*lasting / 2, unit)).filter(|half| !half.is_zero())?;
            }
            Pass::RoundTimes => {
                let step = &mut plan.timeline[left / UNITS.len()];
                let unit = UNITS[UNITS.len() - 1 - left % UNITS.len()];
                let time = match &mut step.when {
                    Trigger::At(at) => at,
                    Trigger::On { after, .. } => after,
                };
                *time = rounded(*time, unit);
            }
            Pass::Done => return None,
        }
        let heals = heals_what_it_did(&plan) || !heals_what_it_did(&self.plan);
        let idles = plan.idle_steps().len() > self.plan.idle_steps().len();
        (plan != self.plan && heals && !idles).then_some(plan)
    }
}

/// True unless something is done to the cluster at a time after everything was healed, which no change may bring about.
fn heals_what_it_did(plan: &Plan) -> bool {
    let at = |which: fn(&Fault) -> bool| {
        plan.timeline.iter().filter(move |step| which(&step.fault)).filter_map(|step| match step.when {
            Trigger::At(at) => Some(at),
            Trigger::On { .. } => None,
        })
    };
    let healed = at(|fault| *fault == Fault::Heal(Target::All)).max();
    let last = at(|fault| *fault != Fault::Heal(Target::All)).max();
    healed.is_none_or(|healed| last.is_none_or(|last| last <= healed))
}

/// The multiple of `unit` that is at most `time`.
fn rounded(time: Duration, unit: Duration) -> Duration {
    unit * u32::try_from(time.as_micros() / unit.as_micros()).unwrap_or(u32::MAX)
}

impl ValueTree for PlanTree {
    type Value = Plan;

    fn current(&self) -> Plan {
        self.plan.clone()
    }

    fn simplify(&mut self) -> bool {
        while !matches!(self.pass, Pass::Done) {
            let Some(left) = self.left.checked_sub(1) else {
                self.turn();
                continue;
            };
            self.left = left;
            if let Some(plan) = self.changed() {
                self.before = Some(std::mem::replace(&mut self.plan, plan));
                return true;
            }
        }
        false
    }

    fn complicate(&mut self) -> bool {
        match self.before.take() {
            Some(before) => {
                self.plan = before;
                true
            }
            None => false,
        }
    }
}

/// A schedule that shrinks as what its strategy drew, and when that is as small as can be, as the plan that it has come to:
/// what belongs together for the strategy, such as the faults of one failover, may not all matter.
pub(crate) enum ScheduleTree<T> {
    /// What was drawn, and the title of its plan.
    Drawn(T, String),
    /// What it has come to.
    Plan(Box<PlanTree>),
}

impl<T: ValueTree<Value = Schedule>> ValueTree for ScheduleTree<T> {
    type Value = Plan;

    fn current(&self) -> Plan {
        match self {
            Self::Drawn(tree, title) => tree.current().plan(title),
            Self::Plan(tree) => tree.current(),
        }
    }

    fn simplify(&mut self) -> bool {
        let more = match self {
            Self::Drawn(tree, _) => tree.simplify(),
            Self::Plan(tree) => return tree.simplify(),
        };
        if more {
            return true;
        }
        *self = Self::Plan(Box::new(PlanTree::new(self.current())));
        self.simplify()
    }

    fn complicate(&mut self) -> bool {
        match self {
            Self::Drawn(tree, _) => tree.complicate(),
            Self::Plan(tree) => tree.complicate(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: &str = "
title: much
clients:
  - {id: a, workload: counter}
  - {id: b, workload: queue}
timeline:
  - {at: 10s, kill: master}
  - {at: 12345678us, cut: all}
  - {at: 13s, freeze: sentinel-1, for: 8s}
  - {at: 30s, heal: all}
run_for: 60s
";

    /// Shrinks as long as `fails` says so, as the runner of proptest does.
    fn shrunk(text: &str, fails: impl Fn(&Plan) -> bool) -> Plan {
        let mut tree =
            PlanTree::new(scenario::parse(text, "p.yaml", &scenario::Options::default()).expect("a scenario"));
        let mut going = tree.simplify();
        while going {
            going = if fails(&tree.current()) { tree.simplify() } else { tree.complicate() && tree.simplify() };
        }
        tree.current()
    }

    #[test]
    fn what_does_not_matter_goes_and_the_heal_stays_with_a_fault() {
        let plan = shrunk(PLAN, |plan| plan.timeline.iter().any(|step| matches!(step.fault, Fault::Cut(_))));
        assert_eq!(
            plan.timeline.iter().map(|step| step.fault.to_string()).collect::<Vec<_>>(),
            ["cut all", "heal all"]
        );
        assert_eq!(plan.clients.len(), 1);
        assert_eq!(shrunk(PLAN, |_| true).timeline, []);
    }

    #[test]
    fn what_is_put_right_with_the_heal_goes_with_what_it_puts_right() {
        let text = PLAN.replace("{at: 12345678us, cut: all}", "{at: 12s, demote: master}");
        let text =
            text.replace("heal: all}", "heal: all}\n  - {at: 30s, replicaof: {node: redis-3, of: master:mymaster}}");
        let steps = |fails: fn(&Fault) -> bool| {
            let plan = shrunk(&text, |plan| plan.timeline.iter().any(|step| fails(&step.fault)));
            plan.timeline.iter().map(|step| step.fault.to_string()).collect::<Vec<_>>()
        };
        let demoted = |fault: &Fault| matches!(fault, Fault::Demote(_));
        assert_eq!(steps(demoted), ["demote master", "heal all", "replicaof master:mymaster at redis-3"]);
        assert_eq!(steps(|fault| matches!(fault, Fault::Kill(_))), ["kill master", "heal all"]);
        assert_eq!(shrunk(&text, |_| true).timeline, []);
    }

    #[test]
    fn the_cluster_is_as_plain_as_it_may_be() {
        let zones =
            "cluster: {down_after: 2345ms, failover_timeout: 7654ms, replicas: 4, zones: {a: [redis-1], b: [redis-5]}}";
        let plan = shrunk(&format!("{PLAN}{zones}\n"), |plan| plan.cluster.groups[0].replicas >= 3);
        let group = &plan.cluster.groups[0];
        assert_eq!((group.replicas, group.zones.len()), (3, 0));
        assert_eq!([group.down_after, group.failover_timeout], [2, 7].map(Duration::from_secs));
        assert_eq!(plan.run_for, Duration::from_secs(30), "{plan:?}");
        let named = PLAN.replace("kill: master", "kill: redis-3");
        assert_eq!(shrunk(&named, |plan| plan.timeline.len() > 3).cluster.groups[0].replicas, 2);
    }

    #[test]
    fn nothing_comes_after_the_heal() {
        let late = |plan: &Plan| {
            plan.timeline.iter().any(|step| match (&step.fault, &step.when) {
                (Fault::Cut(_), Trigger::At(at)) => *at > Duration::from_millis(29_850),
                _ => false,
            })
        };
        let text = PLAN.replace("12345678us", "29901ms").replace("30s, heal", "30600ms, heal");
        let plan = shrunk(&text, late);
        let at = plan.timeline.iter().map(|step| step.when.clone()).collect::<Vec<_>>();
        assert_eq!(at, [29_900, 30_000].map(|ms| Trigger::At(Duration::from_millis(ms))));
        let text = text.replace("29901ms", "30333ms");
        let plan = shrunk(&text, |plan| {
            plan.timeline.iter().any(|step| step.when == Trigger::At(Duration::from_millis(30_333)))
        });
        assert_eq!(
            plan.timeline.last().map(|step| step.when.clone()),
            Some(Trigger::At(Duration::from_millis(30_600)))
        );
    }

    #[test]
    fn what_comes_after_the_heal_from_the_first_stops_nothing() {
        let text = PLAN.replace("  - {at: 30s, heal: all}", "  - {at: 30s, heal: all}\n  - {at: 41s, kill: master}");
        let late = |step: &model::plan::Step| matches!(&step.when, Trigger::At(at) if *at > Duration::from_secs(40));
        let plan = shrunk(&text, |plan| plan.timeline.iter().any(late));
        let faults: Vec<_> = plan.timeline.iter().map(|step| step.fault.to_string()).collect();
        assert_eq!(faults, ["heal all", "kill master"]);
    }

    #[test]
    fn what_undoes_a_step_goes_with_it_and_not_before_if_it_matters() {
        let text =
            PLAN.replace("  - {at: 30s,", "  - {on: +switch-master, after: 1s, restart: old-master}\n  - {at: 30s,");
        let count = |plan: &Plan, name: &str| plan.timeline.iter().filter(|step| step.fault.name() == name).count();
        let plan = shrunk(&text, |plan| count(plan, "kill") <= count(plan, "restart"));
        assert_eq!(plan.timeline, []);
        let plan = shrunk(&text, |plan| count(plan, "kill") == 1 && count(plan, "restart") == 1);
        assert_eq!(plan.timeline.len(), 3);
    }

    #[test]
    fn what_matters_stays_as_exact_as_it_must_be() {
        let exact = Trigger::At(Duration::from_millis(12_345));
        let plan = shrunk(PLAN, |plan| {
            let cut = plan.timeline.iter().find(|step| matches!(step.fault, Fault::Cut(_)));
            let frozen = plan.timeline.iter().find_map(|step| step.lasting);
            cut.is_some_and(|cut| matches!(cut.when, Trigger::At(at) if at >= Duration::from_micros(12_344_500)))
                && frozen.is_some_and(|lasting| lasting > Duration::from_millis(900))
        });
        assert_eq!(plan.timeline.len(), 3);
        assert_eq!(plan.timeline[0].when, exact);
        assert_eq!(plan.timeline[1].lasting, Some(Duration::from_secs(1)));
    }
}
