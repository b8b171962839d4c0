//! How a client kept to the [guideline](model::guideline), as the nodes saw it: for each clause how often it could be seen to
//! do what the clause says, and how often it did something else. What a run does not show is not counted.
//!
//! Connections to data nodes count if they carried operations of the client. The answers of Sentinels are not in the history,
//! so that a clause about them is judged by what the client did next, and by the faults that the scenario has.

use std::collections::BTreeMap;
use std::time::Duration;

use model::fault::Answer;
use model::history::{Cause, ClosedBy, Execution, OpResult};
use model::plan::{Client, Workload};
use model::verdict::Conformance;
use model::{ClientId, Fault, NodeId, Time};

use crate::facts::{Connection, Facts, Firing, is_question};
use crate::faults::{Standing, fault_of};
use crate::honest::contradiction;

/// How long a client may wait for one Sentinel; the guideline says a few hundred milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);
/// How far back a question or a ROLE belongs to what comes of it.
const SEARCH: Duration = Duration::from_secs(1);

/// What the run shows of `client`, by the number of the clause.
pub(crate) fn of(facts: &Facts<'_>, faults: &Standing<'_>, client: &Client) -> Vec<Conformance> {
    let mut counts = Counts::default();
    let carriers = carriers(facts, client);
    questions(facts, client, &mut counts);
    silent_sentinels(facts, client, &mut counts);
    useless_sentinels(facts, faults, client, &mut counts);
    new_connections(facts, client, &carriers, &mut counts);
    old_master(facts, client, &carriers, &mut counts);
    let id = ClientId::new(&client.id);
    let entry =
        |(clause, Count { kept, broken, example })| Conformance { client: id.clone(), clause, kept, broken, example };
    counts.0.into_iter().map(entry).collect()
}

#[derive(Default)]
struct Count {
    kept: u64,
    broken: u64,
    example: Option<String>,
}

#[derive(Default)]
struct Counts(BTreeMap<u8, Count>);

impl Counts {
    fn kept(&mut self, clause: u8) {
        self.0.entry(clause).or_default().kept += 1;
    }

    fn broken(&mut self, clause: u8, example: impl FnOnce() -> String) {
        let count = self.0.entry(clause).or_default();
        count.broken += 1;
        count.example.get_or_insert_with(example);
    }

    fn note(&mut self, clause: u8, kept: bool, example: impl FnOnce() -> String) {
        if kept { self.kept(clause) } else { self.broken(clause, example) }
    }
}

/// A connection to a data node that carried operations, and the first command of one.
struct Carrier<'f, 'a> {
    connection: Connection<'a>,
    first: Time,
    execution: &'f Execution,
}

fn carriers<'f, 'a>(facts: &'f Facts<'a>, client: &Client) -> Vec<Carrier<'f, 'a>> {
    let mut first: BTreeMap<u64, (Time, &Execution)> = BTreeMap::new();
    for (at, execution) in facts.executions_of(client) {
        if execution.op.is_some() && !execution.node.is_sentinel() {
            first.entry(execution.conn).or_insert((*at, execution));
        }
    }
    let carrier = |connection: Connection<'a>| {
        let (first, execution) = *first.get(&connection.number)?;
        Some(Carrier { connection, first, execution })
    };
    let mut carriers: Vec<_> = facts.connections_of(client).into_iter().filter_map(carrier).collect();
    carriers.sort_by_key(|carrier| carrier.connection.opened);
    carriers
}

fn asked(facts: &Facts<'_>, client: &Client, from: Time, until: Time, of: impl Fn(&Execution) -> bool) -> bool {
    let seen = facts.executions_of(client);
    let start = seen.partition_point(|(at, _)| *at < from);
    seen[start..].iter().take_while(|(at, _)| *at <= until).any(|(_, execution)| of(execution))
}

/// From where on a question or a ROLE belongs to what happened at `at`.
fn since(at: Time) -> Time {
    Time::from(at.elapsed().saturating_sub(SEARCH))
}

/// 7 (by name), 21 (replicas), 27 (the list of Sentinels), 30 (events).
fn questions(facts: &Facts<'_>, client: &Client, counts: &mut Counts) {
    let of_sentinels = || facts.executions_of(client).iter().filter(|(_, execution)| execution.node.is_sentinel());
    let count = |name: &str| of_sentinels().filter(|(_, execution)| execution.command == name).count();
    let by_name = count("SENTINEL GET-MASTER-ADDR-BY-NAME");
    let otherwise = count("SENTINEL MASTER") + count("SENTINEL MASTERS");
    (0..by_name).for_each(|_| counts.kept(7));
    if by_name == 0 && otherwise > 0 {
        counts.broken(7, || "it asked for SENTINEL MASTER or MASTERS, and never for the address".to_owned());
    }
    let listed = count("SENTINEL REPLICAS") + count("SENTINEL SLAVES");
    let reads =
        facts.executions_of(client).iter().any(|(_, execution)| execution.command == "GET" && !execution.master);
    if client.workload == Workload::ReplicaReads && (listed > 0 || reads) {
        counts.note(21, listed > 0, || "it read from a replica and never asked a Sentinel for the list".to_owned());
    }
    (0..count("SENTINEL SENTINELS")).for_each(|_| counts.kept(27));
    (0..count("SUBSCRIBE") + count("PSUBSCRIBE")).for_each(|_| counts.kept(30));
}

/// 3: a Sentinel that accepts and does not answer is not waited for. Who has just asked another one waits for nobody.
fn silent_sentinels(facts: &Facts<'_>, client: &Client, counts: &mut Counts) {
    let hangs = |firing: &&Firing<'_>| {
        matches!(fault_of(facts, firing), Some(Fault::Hang(_) | Fault::Override { answer: Answer::Hang, .. }))
    };
    for firing in facts.firings.iter().filter(hangs) {
        let during = |open: &Connection<'_>| {
            firing.nodes.contains(&open.node)
                && open.node.is_sentinel()
                && firing.at <= open.opened
                && open.opened < firing.until
        };
        let mut waiting: Option<Time> = None;
        for open in facts.connections_of(client).into_iter().filter(during) {
            if waiting.is_some_and(|until| open.opened < until) {
                continue;
            }
            let elsewhere = |execution: &Execution| is_question(execution) && !firing.nodes.contains(&execution.node);
            if asked(facts, client, since(open.opened), open.opened, elsewhere) {
                counts.kept(3);
                continue;
            }
            let next =
                facts.executions_of(client).iter().find(|(at, execution)| *at >= open.opened && elsewhere(execution));
            let Some((at, next)) = next.filter(|(at, _)| *at < firing.until) else { continue };
            let (waited, node) = (at.since(open.opened), next.node);
            counts.note(3, waited <= PATIENCE, || {
                format!(
                    "it asked {node} {} s after {}, which did not answer at {}",
                    waited.as_secs_f64(),
                    open.node,
                    open.opened
                )
            });
            waiting = Some(*at);
        }
    }
}

/// 4 and 9: a Sentinel that is out, errs or does not know the name is not the end. 25 and 26: if all are, the error says which, as I7
/// has it.
fn useless_sentinels(facts: &Facts<'_>, faults: &Standing<'_>, client: &Client, counts: &mut Counts) {
    let all = facts.plan.cluster.sentinel_nodes();
    for firing in &facts.firings {
        let (clause, wrong) = match fault_of(facts, firing) {
            Some(Fault::Override { answer: Answer::Null, .. }) => (9, Cause::UnknownMaster),
            Some(Fault::Override { answer: Answer::Error(_), .. }) => (4, Cause::Server),
            Some(
                Fault::Kill(_) | Fault::Hang(_) | Fault::Unreachable(_) | Fault::Override { answer: Answer::Hang, .. },
            ) => (4, Cause::NoSentinel),
            _ => continue,
        };
        let out: Vec<NodeId> = firing.nodes.iter().copied().filter(|node| node.is_sentinel()).collect();
        if out.is_empty() {
            continue;
        }
        let until = firing.until.min(facts.end);
        let failed = facts.ops_of(client).filter_map(|op| match op.ended {
            Some((at, OpResult::Failed(error) | OpResult::Ambiguous(error)))
                // At the moment of the heal somebody may have answered.
                if op.started >= firing.at && at < until =>
            {
                Some((op, at, error))
            }
            _ => None,
        });
        if out.len() == all.len() {
            let clause = match wrong {
                Cause::UnknownMaster => 26,
                Cause::NoSentinel => 25,
                _ => continue,
            };
            for (op, at, error) in failed {
                if matches!(error.cause, Cause::NoSentinel | Cause::UnknownMaster) {
                    let lie = contradiction(facts, faults, client, op, at, error);
                    counts.note(clause, lie.is_none(), || {
                        format!("{} failed with \"{}\", {}", op.id, error.error, lie.unwrap_or_default())
                    });
                }
            }
            continue;
        }
        let elsewhere = |execution: &Execution| is_question(execution) && !out.contains(&execution.node);
        if asked(facts, client, firing.at, until, elsewhere) {
            counts.kept(clause);
            continue;
        }
        if let Some((op, _, error)) = failed.into_iter().find(|(_, _, error)| error.cause == wrong) {
            counts.broken(clause, || {
                format!("{} failed with \"{}\", and no other Sentinel was asked", op.id, error.error)
            });
        }
    }
}

/// 10 and 22: the role is confirmed. 14 and 18: who connects anew has asked.
fn new_connections(facts: &Facts<'_>, client: &Client, carriers: &[Carrier<'_, '_>], counts: &mut Counts) {
    for (index, Carrier { connection, first, execution }) in carriers.iter().enumerate() {
        let node = connection.node;
        let role = |seen: &Execution| seen.node == node && matches!(seen.command.as_str(), "ROLE" | "INFO");
        let replica = client.workload == Workload::ReplicaReads && !execution.write && !execution.master;
        let clause = if replica { 22 } else { 10 };
        counts.note(clause, asked(facts, client, since(connection.opened), *first, role), || {
            format!(
                "{} on {node} at {first}, on a connection of {}, came without a ROLE before it",
                execution.command, connection.opened
            )
        });
        // The last one that was lost before this one was opened.
        let lost = carriers[..index]
            .iter()
            .map(|before| &before.connection)
            .filter(|before| before.closed <= connection.opened);
        let Some(lost) = lost.max_by_key(|before| before.closed) else { continue };
        let kept = asked(facts, client, since(lost.closed), connection.opened, is_question);
        let told = || {
            format!(
                "it connected to {node} at {} without a question since it lost {} at {}",
                connection.opened, lost.node, lost.closed
            )
        };
        counts.note(14, kept, told);
        if lost.by == Some(ClosedBy::Node) {
            counts.note(18, kept, told);
        }
    }
}

/// 24: the connections to the old master are closed when there is a new one.
fn old_master(facts: &Facts<'_>, client: &Client, carriers: &[Carrier<'_, '_>], counts: &mut Counts) {
    let Some(group) = facts.group_of(client) else { return };
    for change in facts.failovers(group) {
        let (Some(old), Some(converged)) = (change.after, change.converged) else { continue };
        let due = converged + client.budget;
        if due >= change.until.min(facts.end.min(Time::from(facts.plan.run_for))) {
            continue;
        }
        let of_old = |carrier: &&Carrier<'_, '_>| {
            let open = &carrier.connection;
            open.node == old && carrier.execution.write && open.opened < converged && open.closed > change.answered
        };
        for Carrier { connection, .. } in carriers.iter().filter(of_old) {
            counts.note(24, connection.closed <= due, || {
                format!(
                    "a connection to {old} was still open at {due}, {} after {} had taken its place",
                    crate::findings::seconds(client.budget),
                    change.node
                )
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Plan;
    use model::fault::Target;
    use model::history::What;

    use super::*;
    use crate::story::{A, B, Story, incr, plan, step};

    fn clause(plan: &Plan, story: &Story, number: u8) -> (u64, u64, String) {
        let found = story.judge(plan).conformance.into_iter().find(|entry| entry.clause == number);
        found.map_or((0, 0, String::new()), |entry| (entry.kept, entry.broken, entry.example.unwrap_or_default()))
    }

    fn command(node: NodeId, command: &str) -> What {
        What::Executed(Execution { node, command: command.into(), op: None, write: false, conn: 99, ..incr(0, node) })
    }

    #[test]
    fn a_connection_is_opened_after_a_question_and_used_after_a_role() {
        let mut story = Story::failover();
        assert_eq!(clause(&plan(), &story, 14).0, 1, "it asked at 14.9 s and connected at 15 s");
        assert_eq!(clause(&plan(), &story, 18), (0, 0, String::new()), "the process ended, the node closed nothing");
        assert_eq!(clause(&plan(), &story, 10).1, 2, "it never asks for the role");
        story.tell(3_000, command(A, "ROLE"));
        story.tell(14_950, command(B, "ROLE"));
        assert_eq!(clause(&plan(), &story, 10), (2, 0, String::new()));
    }

    #[test]
    fn who_connects_without_a_question_is_told() {
        let mut story = Story::failover();
        story.forget(|what| matches!(what, What::Executed(execution) if execution.node.is_sentinel()));
        let told = "it connected to redis-2 at 15.000s without a question since it lost redis-1 at 10.000s";
        assert_eq!(clause(&plan(), &story, 14), (0, 1, told.to_owned()));
    }

    #[test]
    fn a_connection_to_the_old_master_is_closed_within_the_budget() {
        let told = |closed: u64| {
            let mut story = Story::failover();
            story.opened(7, 9_000, A);
            story.tell(9_100, What::Executed(Execution { conn: 7, ..incr(800, A) }));
            story.closed(7, closed, A, ClosedBy::Client);
            clause(&plan(), &story, 24)
        };
        assert_eq!(told(17_500), (1, 0, String::new()));
        assert_eq!(told(17_501).1, 1);
        assert_eq!(told(12_000), (0, 0, String::new()), "before there was a new one");
    }

    #[test]
    fn sentinels_that_are_out_are_passed_by() {
        let told = |fault: Fault, hit: &[u16], asks: Option<u16>, cause: Cause| {
            let mut plan = plan();
            plan.timeline.push(step(20_000, fault));
            let mut story = Story::failover();
            let nodes: Vec<NodeId> = hit.iter().copied().map(NodeId::sentinel).collect();
            story.fault(20_000, 1, "the fault", &nodes);
            if let Some(sentinel) = asks {
                story.asked(21_000, sentinel);
            }
            story.bad(900, 21_000..21_500, cause, "the error");
            let all = [4, 9, 25, 26].map(|number| {
                let (kept, broken, _) = clause(&plan, &story, number);
                (kept, broken)
            });
            all.map(|(kept, broken)| kept as i64 - broken as i64)
        };
        let null = || Fault::Override { target: Target::Sentinels, answer: Answer::Null };
        let kill = || Fault::Kill(Target::Sentinels);
        assert_eq!(told(kill(), &[1], Some(2), Cause::Other), [1, 0, 0, 0]);
        assert_eq!(told(kill(), &[1], Some(1), Cause::NoSentinel), [-1, 0, 0, 0]);
        assert_eq!(told(null(), &[1], Some(2), Cause::Other), [0, 1, 0, 0]);
        assert_eq!(told(null(), &[1], None, Cause::UnknownMaster), [0, -1, 0, 0]);
        assert_eq!(told(kill(), &[1, 2, 3], None, Cause::NoSentinel), [0, 0, 1, 0]);
        assert_eq!(told(kill(), &[1, 2, 3], None, Cause::UnknownMaster), [0, 0, -1, 0]);
        assert_eq!(told(null(), &[1, 2, 3], None, Cause::UnknownMaster), [0, 0, 0, 1]);
        assert_eq!(told(null(), &[1, 2, 3], Some(1), Cause::NoSentinel), [0, 0, 0, -1]);
    }

    #[test]
    fn one_who_does_not_answer_is_not_waited_for() {
        let told = |next: u64| {
            let mut plan = plan();
            plan.timeline.push(step(20_000, Fault::Hang(Target::Node(NodeId::sentinel(1)))));
            let mut story = Story::failover();
            story.fault(20_000, 1, "the fault", &[NodeId::sentinel(1)]);
            story.opened(8, 21_000, NodeId::sentinel(1));
            story.asked(next, 2);
            clause(&plan, &story, 3)
        };
        assert_eq!(told(20_000), (1, 0, String::new()), "it asks several at once");
        assert_eq!(told(22_000), (1, 0, String::new()));
        assert_eq!(told(22_001).2, "it asked sentinel-2 1.001 s after sentinel-1, which did not answer at 21.000s");
    }

    #[test]
    fn questions_are_asked_by_name() {
        let mut story = Story::failover();
        assert!(clause(&plan(), &story, 7).0 > 0);
        story.forget(|what| matches!(what, What::Executed(execution) if execution.node.is_sentinel()));
        story.tell(14_900, command(NodeId::sentinel(1), "SENTINEL MASTERS"));
        assert_eq!(clause(&plan(), &story, 7).1, 1);
    }
}
