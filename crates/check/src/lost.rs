//! Operations that a lost connection brought down, as their client tells it and as the nodes saw it.

use model::Time;
use model::history::{Cause, ClosedBy, Execution, OpResult};
use model::plan::Client;

use crate::facts::{Connection, Facts, Op};

/// The connections of a client to data nodes.
pub(crate) struct Lost<'a>(Vec<Connection<'a>>);

impl<'a> Lost<'a> {
    /// Those of `client`.
    pub(crate) fn new(facts: &Facts<'a>, client: &Client) -> Self {
        let mut connections = facts.connections_of(client);
        connections.retain(|connection| !connection.node.is_sentinel());
        Self(connections)
    }

    /// Connections that somebody else than the client ended.
    fn ended(&self) -> impl Iterator<Item = &Connection<'a>> {
        self.0.iter().filter(|connection| connection.by.is_some_and(|by| by != ClosedBy::Client))
    }

    /// True if `op` failed with an error of the connection, and the last one that was lost was lost while it was under way, or none has
    /// been opened since.
    pub(crate) fn brought_down(&self, op: &Op<'_>) -> bool {
        let Some((ended, OpResult::Failed(error) | OpResult::Ambiguous(error))) = op.ended else { return false };
        let last = self.ended().map(|connection| connection.closed).filter(|closed| *closed <= ended).max();
        let open_since = |lost: Time| self.0.iter().any(|open| lost < open.opened && open.opened <= ended);
        error.cause == Cause::Connection && last.is_some_and(|lost| op.started <= lost || !open_since(lost))
    }

    /// True if the connection of each of `ran` but the last was lost before the next one ran.
    pub(crate) fn between(&self, ran: &[(Time, &Execution)]) -> bool {
        ran.windows(2).all(|two| {
            let [(_, before), (next, _)] = two else { return false };
            self.ended().any(|connection| connection.number == before.conn && connection.closed <= *next)
        })
    }
}

#[cfg(test)]
mod tests {
    use model::NodeId;
    use model::history::What;
    use model::verdict::{Invariant, Rule};

    use super::*;
    use crate::story::{A, B, Story, incr, plan};

    /// Whether lost connections account for what breaks the rule.
    fn accounts(story: &Story, rule: Rule) -> bool {
        let mut plan = plan();
        plan.expect.failed_at_most = Some(0);
        let found = story.under(&plan, rule);
        let [finding] = &found[..] else { panic!("{found:?}") };
        finding.connection_lost
    }

    /// After the failover, an operation fails from `ms` on for this reason; connection 9 is opened to and ended by a node.
    fn failing(ms: std::ops::Range<u64>, cause: Cause, conn: std::ops::Range<u64>, by: ClosedBy) -> bool {
        let mut story = Story::failover();
        story.opened(9, conn.start, B);
        story.closed(9, conn.end, B, by);
        story.bad(900, ms, cause, "x");
        accounts(&story, Rule::Invariant(Invariant::I1))
    }

    #[test]
    fn a_failure_is_that_of_a_connection_if_it_was_under_way_when_that_was_lost_or_none_was_opened_since() {
        let (fault, connection) = (ClosedBy::Fault, Cause::Connection);
        assert!(failing(20_000..20_100, connection, 19_000..20_050, fault), "under way");
        assert!(failing(20_000..20_100, connection, 19_000..19_900, ClosedBy::Node), "none since");
        assert!(!failing(20_000..20_100, connection, 19_000..19_900, ClosedBy::Client), "its own doing");
        assert!(!failing(20_000..20_100, Cause::Timeout, 19_000..20_050, fault), "it says something else");
        assert!(!failing(20_000..20_100, Cause::Server, 19_000..20_050, fault), "it was answered");
        let mut story = Story::failover();
        for (conn, opened, closed) in [(9, 19_000, 19_900), (10, 19_950, 21_000)] {
            story.opened(conn, opened, B);
            story.closed(conn, closed, B, if conn == 9 { fault } else { ClosedBy::Client });
        }
        story.bad(900, 20_000..20_100, connection, "x");
        assert!(!accounts(&story, Rule::Invariant(Invariant::I1)), "it has another one");
    }

    #[test]
    fn all_failures_of_a_kind_must_be_of_lost_connections() {
        let mut story = Story::failover();
        story.opened(9, 19_000, B);
        story.closed(9, 20_050, B, ClosedBy::Fault);
        story.bad(900, 20_000..20_100, Cause::Connection, "broken pipe");
        assert!(accounts(&story, Rule::Invariant(Invariant::I1)) && accounts(&story, Rule::FailedAtMost));
        story.bad(901, 21_000..21_001, Cause::Server, "READONLY");
        assert!(!accounts(&story, Rule::Invariant(Invariant::I1)));
        assert!(!accounts(&story, Rule::FailedAtMost));
    }

    #[test]
    fn a_second_execution_is_that_of_a_connection_if_the_first_one_s_was_lost() {
        let again = |lost: u64| {
            let mut story = Story::failover();
            story.opened(9, 9_000, A);
            story.began(900, 9_990, model::history::Action::Incr);
            story.tell(9_991, What::Executed(Execution { conn: 9, ..incr(900, A) }));
            story.closed(9, lost, A, ClosedBy::Fault);
            story.tell(15_010, What::Executed(incr(900, B)));
            accounts(&story, Rule::Invariant(Invariant::I3))
        };
        assert!(again(9_995));
        assert!(!again(15_011));
    }

    #[test]
    fn sentinels_are_no_data_nodes() {
        let mut story = Story::failover();
        story.opened(9, 19_000, NodeId::sentinel(1));
        story.closed(9, 20_050, NodeId::sentinel(1), ClosedBy::Fault);
        story.forget(|what| matches!(what, What::Closed { conn, .. } if *conn != 9));
        story.bad(900, 20_000..20_100, Cause::Connection, "x");
        assert!(!accounts(&story, Rule::Invariant(Invariant::I1)));
    }
}
