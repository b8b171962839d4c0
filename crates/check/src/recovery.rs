//! Recovery of each change of master, in its parts, for people who tune `down-after-milliseconds` and their client.

use model::history::What;
use model::verdict::Recovery;
use model::{EventName, Fault, History, NodeId, Time};

use crate::facts::{Facts, Firing, Mastership};
use crate::faults::fault_of;

/// The parts of every change of master, in the order of time.
pub(crate) fn all(facts: &Facts<'_>, history: &History) -> Vec<Recovery> {
    let groups = 0..facts.masterships.len();
    let mut all: Vec<(Time, Recovery)> = groups
        .flat_map(|group| {
            facts.failovers(group).map(move |change| (change.answered, parts(facts, history, group, change)))
        })
        .collect();
    all.sort_by_key(|(answered, _)| *answered);
    all.into_iter().map(|(_, recovery)| recovery).collect()
}

fn parts(facts: &Facts<'_>, history: &History, group: usize, change: &Mastership) -> Recovery {
    let name = &facts.plan.cluster.groups[group].name;
    let before = facts.masterships[group].iter().rev().find(|m| m.until <= change.answered);
    // Sentinels of a group answer the new address only after the old one was in force everywhere that matters.
    let since = before.map_or(Time::ZERO, |m| m.converged.unwrap_or(m.answered));
    let first_answer = first_answer(facts, group, change.node, since).unwrap_or(change.answered);
    let converged = change.converged.unwrap_or(change.answered);

    let event = |wanted: EventName, from: Time| {
        let mut events = facts.events.iter().filter(|(at, ..)| (from..=converged).contains(at));
        let of_group = |text: &str| match wanted {
            EventName::SwitchMaster => text.split(' ').next() == Some(name),
            _ => text.strip_prefix("master ").and_then(|rest| rest.split(' ').next()) == Some(name),
        };
        events.find(|(_, _, event, text)| *event == wanted && of_group(text)).map(|(at, ..)| *at)
    };
    let seen_down = event(EventName::ObjectivelyDown, since).or_else(|| event(EventName::ElectedLeader, since));
    let fault = fault(facts, group, change, since, seen_down.unwrap_or(first_answer));
    let from = fault.unwrap_or(since);
    Recovery {
        master: name.clone(),
        fault,
        sdown: event(EventName::SubjectivelyDown, from),
        odown: event(EventName::ObjectivelyDown, from),
        elected: event(EventName::ElectedLeader, from),
        promoted: facts.promotions(change.node).find(|at| (from..=converged).contains(at)),
        first_answer: Some(first_answer),
        switch: event(EventName::SwitchMaster, from),
        converged: change.converged,
        rediscovered: rediscovered(history, from, change.until),
        first_write: first_write(facts, group, change),
    }
}

/// When the first Sentinel came to answer `node`.
fn first_answer(facts: &Facts<'_>, group: usize, node: NodeId, since: Time) -> Option<Time> {
    let sentinels = facts.plan.cluster.sentinel_nodes().into_iter();
    let firsts = sentinels.filter_map(|sentinel| {
        let changes = facts.answer_changes(sentinel, group).iter();
        changes.filter(|(at, answer)| *at > since && *answer == node).map(|(at, _)| *at).next()
    });
    firsts.min()
}

/// The fault that began the change: the last at the old master before it was seen down, or a manual failover.
fn fault(facts: &Facts<'_>, group: usize, change: &Mastership, since: Time, seen_down: Time) -> Option<Time> {
    let began = |firing: &&Firing<'_>| {
        let manual = match fault_of(facts, firing) {
            Some(fault) if fault.only_undoes() => return false,
            Some(Fault::Failover { master, .. }) => facts.plan.cluster.group_meant(master.as_deref()) == Some(group),
            Some(_) => false,
            None => firing.sentence.starts_with("failover"),
        };
        let inside = since <= firing.at && firing.at <= seen_down;
        inside && (manual || change.after.is_some_and(|old| firing.nodes.contains(&old)))
    };
    facts.firings.iter().rfind(began).map(|firing| firing.at)
}

/// The first question of a client to a Sentinel.
fn rediscovered(history: &History, from: Time, until: Time) -> Option<Time> {
    let asked = history.records.iter().find(|record| {
        (from..until).contains(&record.at)
            && matches!(&record.what, What::Executed(e) if e.node.is_sentinel() && e.command.starts_with("SENTINEL "))
    });
    asked.map(|record| record.at)
}

/// When the first write on the new master was acknowledged.
fn first_write(facts: &Facts<'_>, group: usize, change: &Mastership) -> Option<Time> {
    let clients = facts.plan.clients.iter().filter(|client| facts.group_of(client) == Some(group));
    let firsts = clients.filter_map(|client| {
        let good = facts.ops_of(client).filter(|op| {
            let on_it = |(at, e): (Time, &model::history::Execution)| {
                e.node == change.node && e.write && at < change.until && at >= change_began(facts, change)
            };
            op.ok() && op.action.writes() && op.ran().any(on_it)
        });
        good.map(|op| op.ended_at(facts.end)).min()
    });
    firsts.min()
}

/// The new master may take writes before the majority answers it: a client may ask the leader.
fn change_began(facts: &Facts<'_>, change: &Mastership) -> Time {
    let converged = change.converged.unwrap_or(change.answered);
    facts.promotions(change.node).filter(|at| *at <= converged).last().unwrap_or(converged)
}

#[cfg(test)]
mod tests {
    use model::fault::Target;
    use model::history::What;

    use super::*;
    use crate::story::{A, B, Story, plan, step};

    fn ms(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn a_failover_comes_apart_into_its_parts() {
        let parts = Recovery {
            master: "mymaster".into(),
            fault: Some(ms(10_000)),
            sdown: Some(ms(14_000)),
            odown: Some(ms(14_100)),
            elected: Some(ms(14_200)),
            promoted: Some(ms(14_300)),
            first_answer: Some(ms(14_400)),
            switch: Some(ms(14_400)),
            converged: Some(ms(14_500)),
            rediscovered: Some(ms(14_900)),
            first_write: Some(ms(15_002)),
        };
        assert_eq!(Story::failover().judge(&plan()).failovers, [parts]);
    }

    #[test]
    fn the_fault_is_the_last_at_the_old_master_before_it_was_seen_down() {
        let fault_with = |extra: u64, node: NodeId, fault: Fault| {
            let mut plan = plan();
            plan.timeline.push(step(extra, fault));
            let mut story = Story::failover();
            story.fault(extra, 1, "extra", &[node]);
            story.judge(&plan).failovers[0].fault
        };
        let at_master = || Target::Master(None);
        assert_eq!(fault_with(12_000, A, Fault::Cut(at_master())), Some(ms(12_000)));
        assert_eq!(fault_with(12_000, A, Fault::Restart(at_master())), Some(ms(10_000)), "that mends");
        assert_eq!(fault_with(12_000, B, Fault::Cut(at_master())), Some(ms(10_000)), "another node");
        assert_eq!(fault_with(14_350, A, Fault::Cut(at_master())), Some(ms(10_000)), "too late");
        let manual = Fault::Failover { via: None, master: None };
        assert_eq!(fault_with(13_000, NodeId::sentinel(1), manual), Some(ms(13_000)), "a manual failover");
    }

    #[test]
    fn a_master_that_only_one_sentinel_leaves_has_not_changed() {
        let mut story = Story::failover();
        story.forget(|what| matches!(what, What::Answer { node, .. } if *node != NodeId::sentinel(2)));
        assert_eq!(story.judge(&plan()).failovers, []);
    }
}
