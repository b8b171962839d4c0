//! Test-only: histories told in short. The records may be told in any order; the judge puts them in that of time.
//!
//! The story that the tests vary is [`Story::failover`]: `redis-1` is killed at 10 s, `redis-2` is the master from
//! 14.5 s on (T0), `redis-3` remains a replica. `writer` increments every 100 ms from 3 s to 30 s, fails from the fault
//! to 15 s, and has a budget of 3 s, so that it is held to success from 17.5 s on.

use std::time::Duration;

use model::fault::{Fault, Target};
use model::history::{
    Action, Cause, ClosedBy, Execution, FinalData, Header, NodeState, OpError, OpResult, Position, Stream, Value, What,
};
use model::plan::{Client, Cluster, Expect, Step, Trigger, Workload};
use model::verdict::{Finding, Invariant, Rule};
use model::{ClientId, EventName, History, NodeId, OpId, Plan, Time, Verdict};

pub(crate) const A: NodeId = NodeId::data(1);
pub(crate) const B: NodeId = NodeId::data(2);
pub(crate) const C: NodeId = NodeId::data(3);

/// The plan of the story.
pub(crate) fn plan() -> Plan {
    Plan {
        title: "the master is killed".into(),
        cluster: Cluster::standard(),
        clients: vec![Client::new("writer", Workload::Counter)],
        timeline: vec![step(10_000, Fault::Kill(Target::Master(None)))],
        run_for: Duration::from_secs(30),
        expect: Expect::default(),
    }
}

pub(crate) fn step(ms: u64, fault: Fault) -> Step {
    Step { when: Trigger::At(Duration::from_millis(ms)), fault, lasting: None }
}

pub(crate) fn op(seq: u64) -> OpId {
    OpId { client: ClientId::new("writer"), seq }
}

/// A history in the making.
#[derive(Clone, Default)]
pub(crate) struct Story {
    pub(crate) history: History,
}

impl Story {
    /// A quiet run: `redis-1` is the master throughout, and every increment succeeds on it.
    pub(crate) fn quiet() -> Self {
        let mut story = Self::default();
        story.history.header = Header { clients: vec![(ClientId::new("writer"), "test".into())], ..Header::default() };
        story.opened(1, 3_000, A);
        story.work(0, 3_000..30_000, A);
        story.the_end(A, 1);
        story
    }

    /// The failover that most tests vary.
    pub(crate) fn failover() -> Self {
        let mut story = Self::default();
        story.opened(1, 3_000, A);
        story.work(0, 3_000..10_000, A);
        story.fault(10_000, 0, "kill master", &[A]);
        story.state(10_000, A, NodeState::Down);
        story.closed(1, 10_000, A, ClosedBy::Fault);
        for seq in 100..150 {
            let at = 10_000 + (seq - 100) * 100;
            story.bad(seq, at..at + 5, Cause::Connection, "connection refused");
        }
        let down = "master mymaster 10.0.0.1 6379";
        for (ms, sentinel, event) in [
            (14_000, 1, EventName::SubjectivelyDown),
            (14_010, 2, EventName::SubjectivelyDown),
            (14_100, 2, EventName::ObjectivelyDown),
            (14_200, 2, EventName::ElectedLeader),
        ] {
            story.event(ms, sentinel, event, down);
        }
        story.role(14_300, B, None);
        story.event(14_400, 2, EventName::SwitchMaster, "mymaster 10.0.0.1 6379 10.0.0.2 6379");
        for (ms, sentinel) in [(14_400, 2), (14_500, 1), (14_600, 3)] {
            story.answer(ms, sentinel, B);
        }
        story.asked(14_900, 2);
        story.opened(2, 15_000, B);
        story.work(150, 15_000..30_000, B);
        story.the_end(B, 2);
        story
    }

    /// Increments that succeed on `node`, every 100 ms.
    pub(crate) fn work(&mut self, first: u64, ms: std::ops::Range<u64>, node: NodeId) {
        for (index, at) in ms.step_by(100).enumerate() {
            self.good(first + index as u64, at, node);
        }
    }

    /// The clients are gone, `master` holds everything of its own and what `redis-1` did before 10 s.
    fn the_end(&mut self, master: NodeId, conn: u64) {
        self.closed(conn, 30_000, master, ClosedBy::Client);
        self.tell(30_001, What::Residue { client: ClientId::new("writer"), open: 0, tasks: 0 });
        let before = Position { replid: 1, offset: 9_999 };
        self.stream(0, B, A, true, before.clone());
        let own = Position { replid: u32::from(master.number), offset: u64::MAX };
        self.tell(
            30_001,
            What::Final(FinalData { node: master, of: None, up: true, offset: 0, lineage: vec![before, own] }),
        );
    }

    pub(crate) fn tell(&mut self, ms: u64, what: What) {
        self.history.push(Time::from_millis(ms), what);
    }

    pub(crate) fn began(&mut self, seq: u64, ms: u64, action: Action) {
        self.tell(ms, What::Started { op: op(seq), action, of: None });
    }

    /// An operation that goes on with `of`, if that is not 0, and gives `number`.
    pub(crate) fn gave(&mut self, seq: u64, ms: std::ops::Range<u64>, action: Action, of: u64, number: i64) {
        let of = (of > 0).then(|| op(of));
        self.tell(ms.start, What::Started { op: op(seq), action, of });
        let result = OpResult::Ok { value: Some(Value::Number(number)) };
        self.tell(ms.end, What::Ended { op: op(seq), result });
    }

    pub(crate) fn ended_ok(&mut self, seq: u64, ms: u64) {
        self.tell(ms, What::Ended { op: op(seq), result: OpResult::Ok { value: None } });
    }

    /// An increment that succeeds on `node` within 2 ms.
    pub(crate) fn good(&mut self, seq: u64, ms: u64, node: NodeId) {
        self.began(seq, ms, Action::Incr);
        self.ran(seq, ms + 1, node);
        self.ended_ok(seq, ms + 2);
    }

    /// An increment that fails, as the client says without having run.
    pub(crate) fn bad(&mut self, seq: u64, ms: std::ops::Range<u64>, cause: Cause, error: &str) {
        self.began(seq, ms.start, Action::Incr);
        let result = OpResult::Failed(OpError { cause, error: error.into() });
        self.tell(ms.end, What::Ended { op: op(seq), result });
    }

    /// `node`, a master, executes an increment at the offset `ms` of its replication history.
    pub(crate) fn ran(&mut self, seq: u64, ms: u64, node: NodeId) {
        let execution = incr(seq, node);
        let position = Some(Position { replid: u32::from(node.number), offset: ms });
        self.tell(ms, What::Executed(Execution { position, ..execution }));
    }

    /// A Sentinel answers a question of `writer`.
    pub(crate) fn asked(&mut self, ms: u64, sentinel: u16) {
        let command = "SENTINEL GET-MASTER-ADDR-BY-NAME".to_owned();
        let node = NodeId::sentinel(sentinel);
        let execution = Execution { node, command, op: None, write: false, master: false, ..incr(0, node) };
        self.tell(ms, What::Executed(execution));
    }

    pub(crate) fn opened(&mut self, conn: u64, ms: u64, node: NodeId) {
        self.tell(ms, What::Opened { node, client: ClientId::new("writer"), conn });
    }

    pub(crate) fn closed(&mut self, conn: u64, ms: u64, node: NodeId, by: ClosedBy) {
        self.tell(ms, What::Closed { node, client: ClientId::new("writer"), conn, by });
    }

    pub(crate) fn fault(&mut self, ms: u64, step: usize, sentence: &str, nodes: &[NodeId]) {
        self.tell(ms, What::Fault { fault: sentence.into(), step: Some(step), nodes: nodes.to_vec() });
    }

    pub(crate) fn healed(&mut self, ms: u64, step: usize, sentence: &str) {
        self.tell(ms, What::Healed { fault: sentence.into(), step: Some(step) });
    }

    pub(crate) fn state(&mut self, ms: u64, node: NodeId, state: NodeState) {
        self.tell(ms, What::State { node, state });
    }

    pub(crate) fn role(&mut self, ms: u64, node: NodeId, of: Option<NodeId>) {
        self.tell(ms, What::Role { node, of });
    }

    /// `node` begins to follow `of`, and receives the stream up to `to`.
    pub(crate) fn stream(&mut self, ms: u64, node: NodeId, of: NodeId, full: bool, to: Position) {
        let (begun, sent, received) = (Time::from_millis(ms), to.clone(), to);
        self.tell(30_001, What::Stream(Stream { node, of, begun, full, sent, received }));
    }

    pub(crate) fn answer(&mut self, ms: u64, sentinel: u16, addr: NodeId) {
        self.tell(ms, What::Answer { node: NodeId::sentinel(sentinel), master: "mymaster".into(), addr });
    }

    pub(crate) fn event(&mut self, ms: u64, sentinel: u16, event: EventName, payload: &str) {
        self.tell(ms, What::Event { node: NodeId::sentinel(sentinel), event, payload: payload.into() });
    }

    /// Forgets what `unwanted` says.
    pub(crate) fn forget(&mut self, unwanted: impl Fn(&What) -> bool) {
        self.history.records.retain(|record| !unwanted(&record.what));
    }

    pub(crate) fn judge(&self, plan: &Plan) -> Verdict {
        crate::judge(plan, &self.history)
    }

    /// What the judge holds against the run under one invariant.
    pub(crate) fn against(&self, plan: &Plan, invariant: Invariant) -> Vec<String> {
        self.under(plan, Rule::Invariant(invariant)).into_iter().map(|finding| finding.text).collect()
    }

    pub(crate) fn under(&self, plan: &Plan, rule: Rule) -> Vec<Finding> {
        self.judge(plan).findings.into_iter().filter(|finding| finding.rule == rule).collect()
    }
}

/// An increment that `node` executes as a master, changing nothing yet.
pub(crate) fn incr(seq: u64, node: NodeId) -> Execution {
    Execution {
        node,
        client: ClientId::new("writer"),
        conn: u64::from(node.number),
        command: "INCR".into(),
        op: Some(op(seq)),
        error: None,
        write: true,
        master: true,
        database: 0,
        position: None,
        reply_cut: false,
        sent: None,
        value: None,
    }
}
