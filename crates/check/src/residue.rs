//! I8 no residue: sockets and tasks return to the baseline when the clients are dropped.

use model::plan::Plan;
use model::verdict::Invariant;

use crate::facts::Facts;
use crate::findings::{Findings, counted};

/// Adds what the clients left behind. Tasks are counted over all clients, so that they are nobody's in particular.
pub(crate) fn check(facts: &Facts<'_>, plan: &Plan, findings: &mut Findings<'_>) {
    for client in &plan.clients {
        match facts.residue.get(client.id.as_str()) {
            None => {
                let text = format!("what {} left behind at the end was not counted", client.id);
                findings.unproven(Some(&client.id), facts.end, text);
            }
            Some((at, open, _)) if *open > 0 => {
                let text = format!("{} was dropped and left {} open", client.id, counted(*open, "connection"));
                findings.violated(Invariant::I8, Some(&client.id), *at, text);
            }
            Some(_) => {}
        }
    }
    let tasks = facts.residue.values().max_by_key(|(_, _, tasks)| *tasks);
    if let Some((at, _, tasks)) = tasks.filter(|(_, _, tasks)| *tasks > 0) {
        let text = format!("after all clients were dropped there was still {} alive", counted(*tasks, "task"));
        findings.violated(Invariant::I8, None, *at, text);
    }
}

#[cfg(test)]
mod tests {
    use model::ClientId;
    use model::history::What;
    use model::verdict::Rule;

    use super::*;
    use crate::story::{Story, plan};

    fn left(open: u64, tasks: u64) -> Vec<String> {
        let mut story = Story::failover();
        story.forget(|what| matches!(what, What::Residue { .. }));
        story.tell(30_001, What::Residue { client: ClientId::new("writer"), open, tasks });
        story.against(&plan(), Invariant::I8)
    }

    #[test]
    fn connections_and_tasks_must_be_gone() {
        assert!(left(0, 0).is_empty());
        assert_eq!(left(2, 0), ["writer was dropped and left 2 connections open"]);
        assert_eq!(left(0, 1), ["after all clients were dropped there was still 1 task alive"]);
        assert_eq!(left(2, 1).len(), 2);
    }

    #[test]
    fn what_was_not_counted_is_not_proven() {
        let mut story = Story::failover();
        story.forget(|what| matches!(what, What::Residue { .. }));
        let unproven = story.under(&plan(), Rule::Evidence);
        assert_eq!(unproven[0].text, "what writer left behind at the end was not counted");
    }
}
