//! I1 for locks: at most one client believes that it has a lock, or the loss was told in time.
//!
//! A client believes that it has a lock from when it was told so to when it begins to give it back, is told that it is lost, or the
//! time is over for which it was had: that is counted from the start of the acquisition, or of the last renewal that was said to
//! have succeeded. A failover may take a lock from its holder, for replication is asynchronous, and give it to another; but W after
//! T0, or after the other got it, the first must know, unless the other could not know who the master is: then that one has got it
//! where it is nobody's.

use model::plan::{Client, Workload};
use model::verdict::Invariant;
use model::{OpId, Time};

use crate::facts::Facts;
use crate::faults::Standing;
use crate::findings::Findings;
use crate::periods::{Period, Periods};

/// What one acquisition made a client believe.
struct Belief<'a> {
    by: &'a OpId,
    client: usize,
    /// From here, to before there, in order.
    spans: Vec<(Time, Time)>,
}

/// Adds what `client` went on to believe.
pub(crate) fn check(facts: &Facts<'_>, faults: &Standing<'_>, client: &Client, findings: &mut Findings<'_>) {
    if client.workload != Workload::Lock {
        return;
    }
    let contends = |other: &&Client| {
        (other.workload, &other.master, other.database) == (Workload::Lock, &client.master, client.database)
    };
    let contenders: Vec<&Client> = facts.plan.clients.iter().filter(contends).collect();
    let periods: Vec<Periods> = contenders.iter().map(|client| Periods::new(facts, faults, client)).collect();
    let all: Vec<Belief<'_>> =
        contenders.iter().enumerate().flat_map(|(index, client)| beliefs(facts, client, index)).collect();
    for own in all.iter().filter(|own| contenders[own.client].id == client.id) {
        for other in all.iter().filter(|other| other.by != own.by && other.began() >= own.began()) {
            let both = own.spans.iter().flat_map(|own| other.spans.iter().filter_map(|other| common(*own, *other)));
            let who = [own, other].map(|belief| (contenders[belief.client], &periods[belief.client]));
            if let Some((from, at)) = both.into_iter().find_map(|both| known_by(who, both)) {
                let text = format!(
                    "{} and {} both believed at {at} that they had the lock, as they had since {from}",
                    own.by, other.by
                );
                findings.violated(Invariant::I1, Some(&client.id), at, text);
            }
        }
    }
}

impl Belief<'_> {
    fn began(&self) -> Time {
        self.spans.first().map_or(Time::NEVER, |(from, _)| *from)
    }

    /// Ends it.
    fn end(&mut self, at: Time) {
        self.spans.retain(|(from, _)| *from < at);
        if let Some((_, until)) = self.spans.last_mut() {
            *until = at.min(*until);
        }
    }

    /// Goes on with it.
    fn extend(&mut self, from: Time, until: Time) {
        match self.spans.last_mut() {
            Some(last) if last.1 >= from => last.1 = until.max(last.1),
            _ => self.spans.push((from, until)),
        }
    }
}

/// What the operations of `client`, which is that number of the contenders, made it believe, in order.
fn beliefs<'a>(facts: &Facts<'a>, client: &Client, index: usize) -> Vec<Belief<'a>> {
    use model::history::Action;
    let lease = client.every * Workload::LEASE;
    let mut beliefs: Vec<Belief<'a>> = Vec::new();
    for op in facts.ops_of(client) {
        let ended = op.ended_at(facts.end);
        let known = op.of.and_then(|of| beliefs.iter().position(|belief| belief.by == of));
        match (op.action, op.number(), known) {
            (Action::Acquire, Some(1), _) => {
                beliefs.push(Belief { by: op.id, client: index, spans: vec![(ended, op.started + lease)] });
            }
            (Action::Renew, Some(1), Some(known)) => beliefs[known].extend(ended, op.started + lease),
            (Action::Renew, Some(_), Some(known)) => beliefs[known].end(ended),
            (Action::Release, _, Some(known)) => beliefs[known].end(op.started),
            _ => {}
        }
    }
    for belief in &mut beliefs {
        belief.spans.retain(|(from, until)| from < until);
    }
    beliefs
}

fn common(one: (Time, Time), other: (Time, Time)) -> Option<(Time, Time)> {
    let both = (one.0.max(other.0), one.1.min(other.1));
    (both.0 < both.1).then_some(both)
}

/// Since when, and at which moment of a time in which all is well for both clients, they should have known.
fn known_by(who: [(&Client, &Periods); 2], both: (Time, Time)) -> Option<(Time, Time)> {
    let [ones, others] = who.map(|(client, periods)| periods.good.iter().map(move |period| (client.budget, period)));
    let due = |(budget, period): (_, &Period)| both.0.max(period.from) + budget;
    let pairs = ones.flat_map(|one| others.clone().map(move |other| [one, other]));
    let late = pairs.map(|pair| (pair.map(due).into_iter().max(), pair));
    late.filter_map(|(at, pair)| at.filter(|at| pair.iter().all(|(_, period)| *at < both.1.min(period.until))))
        .map(|at| (both.0, at))
        .next()
}

#[cfg(test)]
mod tests {
    use model::Plan;
    use model::history::Action;

    use super::*;
    use crate::story::{Story, plan};

    /// A plan whose lock is renewed every second, and lasts for three.
    fn locks() -> Plan {
        let mut plan = plan();
        plan.clients[0].workload = Workload::Lock;
        plan.clients[0].every = std::time::Duration::from_secs(1);
        plan
    }

    /// Two callers: one that acquires at 18 s and is told this by its renewals, one each second, and one that acquires at `ms`.
    fn both(renewals: &[i64], ms: u64) -> Vec<String> {
        let mut story = Story::failover();
        story.forget(|what| matches!(what, model::history::What::Started { .. } | model::history::What::Ended { .. }));
        story.gave(900, 18_000..18_001, Action::Acquire, 0, 1);
        for (index, number) in renewals.iter().enumerate() {
            let at = 19_000 + 1_000 * index as u64;
            story.gave(901 + index as u64, at..at + 1, Action::Renew, 900, *number);
        }
        story.gave(950, ms..ms + 1, Action::Acquire, 0, 1);
        for index in 1..5 {
            let at = ms + 1_000 * index;
            story.gave(950 + index, at..at + 1, Action::Renew, 950, 1);
        }
        story.against(&locks(), Invariant::I1)
    }

    #[test]
    fn two_that_go_on_to_believe_in_their_lock_violate_it_after_the_budget() {
        let text =
            "writer#900 and writer#950 both believed at 22.001s that they had the lock, as they had since 19.001s";
        assert_eq!(both(&[1, 1, 1, 1, 1], 19_000), [text]);
        assert!(both(&[1], 19_100).is_empty(), "the time is over for which the first had it, before the budget is");
    }

    #[test]
    fn a_loss_that_was_told_is_none() {
        assert!(both(&[1, 1, 0], 19_000).is_empty());
    }

    #[test]
    fn a_lock_that_was_not_had_or_was_given_back_is_believed_in_no_more() {
        let given_back = |how: i64| {
            let mut story = Story::failover();
            story.gave(900, 18_000..18_001, Action::Acquire, 0, how);
            for index in 0..6 {
                story.gave(901 + index, 18_100 + index..18_101 + index, Action::Renew, 900, how);
            }
            story.gave(920, 18_200..18_300, Action::Release, 900, 1);
            story.gave(950, 18_150..18_151, Action::Acquire, 0, 1);
            let mut plan = locks();
            plan.clients[0].budget = std::time::Duration::from_millis(100);
            let lock = |text: &String| text.contains("believed");
            story.against(&plan, Invariant::I1).into_iter().filter(lock).collect::<Vec<_>>()
        };
        assert!(given_back(1).is_empty(), "it was given back 50 ms later");
        assert!(given_back(0).is_empty());
    }
}
