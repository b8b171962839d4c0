//! [`Periods`]: when a client can be asked to succeed, and on which node.

use model::plan::Client;
use model::{Fault, NodeId, Time};

use crate::facts::{Facts, Firing};
use crate::faults::{Path, Standing, Witness, fault_of};

/// A time during which one node is the one that a client has to use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Period {
    /// The node.
    pub(crate) node: NodeId,
    /// From here,
    pub(crate) from: Time,
    /// to before here; [`Time::NEVER`] if to the end of the run.
    pub(crate) until: Time,
}

impl Period {
    /// True if `at` lies in it.
    pub(crate) fn holds(&self, at: Time) -> bool {
        self.from <= at && at < self.until
    }
}

/// The period in which `at` lies.
pub(crate) fn find(periods: &[Period], at: Time) -> Option<&Period> {
    let after = periods.partition_point(|period| period.from <= at);
    periods[..after].last().filter(|period| period.holds(at))
}

/// The periods of one client.
pub(crate) struct Periods {
    /// The master stands: the majority of the Sentinels answers it, it runs, is a master, the client is on its side of the
    /// network, and of the Sentinels that it can reach more tell it what they know than are made to lie. A client that uses
    /// another node in such a period (but for the budget) uses a stale one.
    pub(crate) standing: Vec<Period>,
    /// Moreover all is well for the client: nothing stands between it and the master, and of the Sentinels that it can
    /// reach more tell the truth than not, and none of them has gone ahead to another master. Commands in such a period
    /// (but for the budget) must succeed.
    ///
    /// A new one begins where the master showed that it does not serve: connections were cut at it, its process ended and
    /// began at one moment, or it refused a command of the client with an error such as `NOREPLICAS`.
    pub(crate) good: Vec<Period>,
    /// Moreover a replica is there to be read from: it runs, follows a master, and nothing stands between. Reads from
    /// replicas in such a period (but for the budget) must succeed, whichever node serves them. None where replicas
    /// refuse to serve stale data, as it is not known when theirs is.
    pub(crate) reading: Vec<Period>,
}

impl Periods {
    /// Those of `client`; none if the plan does not have its group.
    pub(crate) fn new(facts: &Facts<'_>, faults: &Standing<'_>, client: &Client) -> Self {
        let Some(group) = facts.group_of(client) else {
            return Self { standing: Vec::new(), good: Vec::new(), reading: Vec::new() };
        };
        let standing = |at| {
            let master = facts.majority(group, at)?;
            let reachable = facts.serves(master, at) && faults.path(client, master, at) != Path::Cut;
            (reachable && !misled(facts, faults, client, at)).then_some(master)
        };
        let good = |at| {
            let master = standing(at)?;
            let clear = faults.path(client, master, at) == Path::Clear && !overtaken(facts, group, master, at);
            (clear && discoverable(facts, faults, client, group, master, at)).then_some(master)
        };
        let group_of = |node| facts.plan.cluster.place(node).map(|(group, _)| group);
        let reading = |at| {
            let master = good(at)?;
            let serves = |node| {
                group_of(node) == Some(group)
                    && facts.up(node, at)
                    && facts.follows(node, at).is_some()
                    && faults.path(client, node, at) == Path::Clear
            };
            let some = facts.plan.cluster.data_nodes().into_iter().any(|(node, _)| serves(node));
            (some && facts.plan.cluster.groups[group].serve_stale_data).then_some(master)
        };
        let interruptions = interruptions(facts, client);
        Self {
            standing: sweep(&facts.changes, standing),
            good: split(sweep(&facts.changes, good), &interruptions),
            reading: split(sweep(&facts.changes, reading), &interruptions),
        }
    }
}

/// The periods of a choice that can change only at `changes`.
fn sweep(changes: &[Time], choice: impl Fn(Time) -> Option<NodeId>) -> Vec<Period> {
    let mut periods: Vec<Period> = Vec::new();
    let mut open: Option<Period> = None;
    for at in changes {
        let node = choice(*at);
        if open.map(|period| period.node) != node {
            periods.extend(open.map(|period| Period { until: *at, ..period }));
            open = node.map(|node| Period { node, from: *at, until: Time::NEVER });
        }
    }
    periods.extend(open);
    periods
}

/// The same periods, each ended and begun anew where its node was interrupted.
fn split(periods: Vec<Period>, interruptions: &[(Time, NodeId)]) -> Vec<Period> {
    let mut pieces = Vec::new();
    for mut period in periods {
        let inside = |(at, node): &&(Time, NodeId)| *node == period.node && *at > period.from && *at < period.until;
        let cuts: Vec<Time> = interruptions.iter().filter(inside).map(|(at, _)| *at).collect();
        for at in cuts {
            pieces.push(Period { until: at, ..period });
            period.from = at;
        }
        pieces.push(period);
    }
    pieces
}

/// True if the client can find `master` by asking Sentinels: more of those that it can reach tell the truth than not.
fn discoverable(
    facts: &Facts<'_>,
    faults: &Standing<'_>,
    client: &Client,
    group: usize,
    master: NodeId,
    at: Time,
) -> bool {
    let (mut truthful, mut misled) = (0, 0);
    for sentinel in facts.plan.cluster.sentinel_nodes() {
        if !facts.up(sentinel, at) || faults.path(client, sentinel, at) != Path::Clear {
            continue;
        }
        match faults.witness(client, sentinel, at) {
            Witness::True if facts.answer(sentinel, group, at) == Some(master) => truthful += 1,
            Witness::True | Witness::Lies => misled += 1,
            Witness::Useless | Witness::Mute => {}
        }
    }
    truthful > misled
}

/// True if no more Sentinels tell the client the truth than are made to answer otherwise than they know: it cannot tell the
/// ones from the others. Those that are out of its reach, or answer it not at all or too late, tell it nothing.
fn misled(facts: &Facts<'_>, faults: &Standing<'_>, client: &Client, at: Time) -> bool {
    let sentinels = facts.plan.cluster.sentinel_nodes();
    let words = |word| {
        let heard = |sentinel: &&NodeId| {
            facts.up(**sentinel, at)
                && faults.path(client, **sentinel, at) == Path::Clear
                && faults.witness(client, **sentinel, at) == word
        };
        sentinels.iter().filter(heard).count()
    };
    !sentinels.is_empty() && words(Witness::True) <= words(Witness::Lies)
}

/// True if a Sentinel has come to name another master since the majority came to name this one: a change is under way,
/// and a client may follow it as well as not.
fn overtaken(facts: &Facts<'_>, group: usize, master: NodeId, at: Time) -> bool {
    let since = facts.masterships[group].iter().rfind(|mastership| mastership.answered <= at).map(|m| m.answered);
    facts.plan.cluster.sentinel_nodes().into_iter().any(|sentinel| {
        let now = facts.answer_changes(sentinel, group).iter().rfind(|(when, _)| *when <= at);
        now.is_some_and(|(when, answer)| *answer != master && since.is_none_or(|since| *when > since))
    })
}

/// Errors by which a healthy process that is a master tells that it does not serve at present.
const NOT_SERVING: [&str; 5] = ["NOREPLICAS", "LOADING", "MASTERDOWN", "MISCONF", "BUSY"];

/// True for a fault that ends the connections of the moment at its nodes, or may, or loses what is said on them.
pub(crate) fn ends_connections(facts: &Facts<'_>, firing: &Firing<'_>) -> bool {
    match fault_of(facts, firing) {
        Some(fault) => matches!(fault, Fault::Cut(_) | Fault::ClientKill(_) | Fault::Silence(_) | Fault::Send { .. }),
        None => ["cut ", "client_kill ", "silence ", "send "].iter().any(|word| firing.sentence.starts_with(word)),
    }
}

/// When a node showed the client that it does not serve, in the order of time.
fn interruptions(facts: &Facts<'_>, client: &Client) -> Vec<(Time, NodeId)> {
    let cut = facts.firings.iter().filter(|firing| ends_connections(facts, firing));
    let cut = cut.flat_map(|firing| firing.nodes.iter().map(|node| (firing.at, *node)));
    let refused = facts
        .executions_of(client)
        .iter()
        .filter(|(_, execution)| execution.error.as_deref().is_some_and(|error| NOT_SERVING.contains(&error)));
    let refused = refused.map(|(at, execution)| (*at, execution.node));
    // A process may be back at the moment at which it ended, but its connections are not.
    let ended =
        facts.plan.cluster.data_nodes().into_iter().flat_map(|(node, _)| facts.ends(node).map(move |at| (at, node)));
    let mut all: Vec<(Time, NodeId)> = cut.chain(refused).chain(ended).collect();
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeId = NodeId::data(1);
    const B: NodeId = NodeId::data(2);

    fn read(periods: &[Period]) -> String {
        let end = |at: Time| if at == Time::NEVER { "end".to_owned() } else { at.as_millis().to_string() };
        let parts = periods.iter().map(|p| format!("{} {}-{}", p.node, p.from.as_millis(), end(p.until)));
        parts.collect::<Vec<_>>().join(", ")
    }

    /// `choices`: the moment of a change, and the node from there on.
    fn swept(choices: &[(u64, Option<NodeId>)]) -> Vec<Period> {
        let changes: Vec<Time> = choices.iter().map(|(ms, _)| Time::from_millis(*ms)).collect();
        sweep(&changes, |at| choices.iter().find(|(ms, _)| Time::from_millis(*ms) == at).and_then(|(_, node)| *node))
    }

    #[test]
    fn periods_run_from_change_to_change() {
        assert_eq!(read(&swept(&[(0, None)])), "");
        assert_eq!(read(&swept(&[(0, Some(A)), (3, Some(A))])), "redis-1 0-end");
        assert_eq!(read(&swept(&[(0, Some(A)), (3, None), (5, Some(A))])), "redis-1 0-3, redis-1 5-end");
        assert_eq!(read(&swept(&[(0, Some(A)), (3, Some(B)), (5, None)])), "redis-1 0-3, redis-2 3-5");
    }

    #[test]
    fn interruptions_divide_the_periods_of_their_node() {
        let pieces = |interruptions: &[(u64, NodeId)]| {
            let periods = swept(&[(0, Some(A)), (10, Some(B))]);
            let interruptions: Vec<_> = interruptions.iter().map(|(ms, n)| (Time::from_millis(*ms), *n)).collect();
            read(&split(periods, &interruptions))
        };
        assert_eq!(pieces(&[]), "redis-1 0-10, redis-2 10-end");
        assert_eq!(pieces(&[(4, B), (10, A)]), "redis-1 0-10, redis-2 10-end");
        assert_eq!(pieces(&[(4, A), (6, A)]), "redis-1 0-4, redis-1 4-6, redis-1 6-10, redis-2 10-end");
        assert_eq!(pieces(&[(12, B)]), "redis-1 0-10, redis-2 10-12, redis-2 12-end");
    }

    #[test]
    fn a_moment_finds_its_period() {
        let periods = swept(&[(1, Some(A)), (3, None), (5, Some(B))]);
        let nodes: Vec<_> =
            [0, 1, 2, 3, 5, 9].iter().map(|ms| find(&periods, Time::from_millis(*ms)).map(|p| p.node)).collect();
        assert_eq!(nodes, [None, Some(A), Some(A), None, Some(B), Some(B)]);
    }
}
