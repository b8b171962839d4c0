//! I6 load: connects per second, open sockets and questions per second of each client stay under a cap.
//!
//! All are counted at the nodes, over all of them, Sentinels too: connections accepted in any window of one second, connections open
//! at a time, and what is asked in any window of one second by a client that wants to know where the master is. Those are all commands
//! at Sentinels, and `ROLE`, `INFO` and `PING` at data nodes, whether they are answered or refused. The cap of 300 leaves one that asks
//! three Sentinels anew for each operation a hundred operations a second; one that tries again without a pause asks thousands.

use std::time::Duration;

use model::Time;
use model::history::Execution;
use model::plan::Client;
use model::verdict::Invariant;

use crate::facts::Facts;
use crate::findings::Findings;

const WINDOW: Duration = Duration::from_secs(1);

/// Adds what `client` did against it.
pub(crate) fn check(facts: &Facts<'_>, client: &Client, findings: &mut Findings<'_>) {
    let mine = facts.connections_of(client);
    let mut opened: Vec<Time> = mine.iter().map(|connection| connection.opened).collect();
    opened.sort_unstable();
    if let Some((at, count)) = first_over(&opened, WINDOW, client.max_connects_per_second.into()) {
        let cap = client.max_connects_per_second;
        let text = format!("{} opened {count} connections within 1s up to {at}; {cap} are allowed", client.id);
        findings.violated(Invariant::I6, Some(&client.id), at, text);
    }
    let asked: Vec<Time> = facts
        .executions_of(client)
        .iter()
        .filter(|(_, execution)| looks_for_the_master(execution))
        .map(|(at, _)| *at)
        .collect();
    if let Some((at, count)) = first_over(&asked, WINDOW, client.max_questions_per_second.into()) {
        let cap = client.max_questions_per_second;
        let text = format!("{} asked {count} questions within 1s up to {at}; {cap} are allowed", client.id);
        findings.violated(Invariant::I6, Some(&client.id), at, text);
    }
    let closed: Vec<Time> = mine.iter().map(|connection| connection.closed).collect();
    if let Some((at, count)) = first_too_many(&opened, closed, client.max_open_connections) {
        let cap = client.max_open_connections;
        let text = format!("{} held {count} connections open at {at}; {cap} are allowed", client.id);
        findings.violated(Invariant::I6, Some(&client.id), at, text);
    }
}

/// True if the command asks where the master is, or how a node is.
fn looks_for_the_master(execution: &Execution) -> bool {
    execution.node.is_sentinel() || matches!(execution.command.as_str(), "ROLE" | "INFO" | "PING")
}

/// The first moment at which more than `cap` of `opened`, in order, lie within a window, with the most that do in any.
pub(crate) fn first_over(opened: &[Time], window: Duration, cap: u64) -> Option<(Time, usize)> {
    let mut from = 0;
    let mut first = None;
    let mut most = 0;
    for (index, at) in opened.iter().enumerate() {
        while opened[from] + window <= *at {
            from += 1;
        }
        let count = index + 1 - from;
        most = most.max(count);
        if count as u64 > cap {
            first.get_or_insert(*at);
        }
    }
    first.map(|at| (at, most))
}

/// The first moment at which more than `cap` are open, with the most that ever are.
fn first_too_many(opened: &[Time], mut closed: Vec<Time>, cap: u32) -> Option<(Time, usize)> {
    closed.sort_unstable();
    let mut first = None;
    let mut most = 0;
    for (index, at) in opened.iter().enumerate() {
        let ended = closed.partition_point(|closed| closed <= at);
        let open = (index + 1).saturating_sub(ended);
        most = most.max(open);
        if open > cap as usize {
            first.get_or_insert(*at);
        }
    }
    first.map(|at| (at, most))
}

#[cfg(test)]
mod tests {
    use model::history::What;

    use super::*;
    use crate::story::{B, incr};

    fn times(ms: &[u64]) -> Vec<Time> {
        ms.iter().map(|ms| Time::from_millis(*ms)).collect()
    }

    #[test]
    fn a_window_is_one_second() {
        let over =
            |opened: &[u64], cap| first_over(&times(opened), WINDOW, cap).map(|(at, count)| (at.as_millis(), count));
        assert_eq!(over(&[], 0), None);
        assert_eq!(over(&[0, 500, 999], 3), None);
        assert_eq!(over(&[0, 500, 999, 999, 1_000], 3), Some((999, 4)));
        assert_eq!(over(&[0, 1_000, 2_000], 1), None);
    }

    #[test]
    fn what_was_closed_is_not_open() {
        let never = Time::NEVER;
        let closed = |ms: &[u64]| times(ms).into_iter().chain([never]).collect::<Vec<_>>();
        assert_eq!(first_too_many(&times(&[1, 2, 3]), closed(&[2, 3]), 1), None);
        assert_eq!(first_too_many(&times(&[1, 2, 3]), closed(&[3, 4]), 1), Some((Time::from_millis(2), 2)));
    }

    #[test]
    fn questions_are_counted_at_sentinels_and_of_those_at_data_nodes_the_ones_about_roles() {
        let told = |questions: u64, pings: u64| {
            let mut story = crate::story::Story::failover();
            for ms in 20_000..20_000 + questions {
                story.asked(ms, 1);
            }
            for seq in 0..pings {
                let ping = Execution { command: "PING".into(), write: false, op: None, ..incr(seq, B) };
                story.tell(20_500, What::Executed(ping));
            }
            story.against(&crate::story::plan(), Invariant::I6)
        };
        assert!(told(300, 0).is_empty());
        assert_eq!(told(301, 0), ["writer asked 301 questions within 1s up to 20.300s; 300 are allowed"]);
        assert_eq!(told(200, 101).len(), 1);
    }

    #[test]
    fn the_caps_on_connections_are_held_against_the_client() {
        let mut story = crate::story::Story::failover();
        for conn in 10..14 {
            story.opened(conn, 20_000 + conn, crate::story::B);
        }
        let mut plan = crate::story::plan();
        assert!(story.against(&plan, Invariant::I6).is_empty());
        plan.clients[0].max_connects_per_second = 3;
        let text = "writer opened 4 connections within 1s up to 20.013s; 3 are allowed";
        assert_eq!(story.against(&plan, Invariant::I6), [text]);
        plan.clients[0].max_connects_per_second = 4;
        plan.clients[0].max_open_connections = 4;
        let text = "writer held 5 connections open at 20.013s; 4 are allowed";
        assert_eq!(story.against(&plan, Invariant::I6), [text]);
    }
}
