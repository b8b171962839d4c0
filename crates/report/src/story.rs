//! Test-only: runs told in short. `redis-1` is killed at 10 s and `redis-2` is the master from 14.5 s on.

use std::ops::Range;
use std::time::Duration;

use model::fault::{Fault, Target};
use model::history::{Action, Cause, ClosedBy, Execution, FORMAT, Header, NodeState, OpError, OpResult, What};
use model::plan::{Client, Cluster, Expect, Step, Trigger, Workload};
use model::verdict::{ClientSummary, Finding, Invariant, Recovery, Rule, Severity};
use model::{ClientId, EventName, History, NodeId, OpId, Outcome, Plan, Time, Verdict};

use crate::run::Run;

const A: NodeId = NodeId::data(1);
const B: NodeId = NodeId::data(2);

pub(crate) struct Story {
    plan: Plan,
    pub(crate) history: History,
    pub(crate) verdict: Verdict,
    seq: u64,
}

impl Story {
    fn new() -> Self {
        let cluster = Cluster::standard();
        let header = Header {
            format: FORMAT,
            title: "the master is killed".into(),
            seed: 42,
            nodes: cluster.nodes(),
            clients: vec![(ClientId::new("writer"), "redis-sentinel".into())],
            ..Header::default()
        };
        let kill = Fault::Kill(Target::Master(None));
        let plan = Plan {
            title: "the master is killed".into(),
            cluster,
            clients: vec![Client::new("writer", Workload::Counter)],
            timeline: vec![Step { when: Trigger::At(Duration::from_secs(10)), fault: kill, lasting: None }],
            run_for: Duration::from_secs(45),
            expect: Expect::default(),
        };
        let client = ClientSummary {
            client: ClientId::new("writer"),
            driver: "redis-sentinel".into(),
            ok: 0,
            failed: 0,
            ambiguous: 0,
            longest_gap_us: 5_102_000,
            connections: 3,
        };
        let verdict = Verdict {
            outcome: Outcome::Pass,
            findings: Vec::new(),
            failovers: Vec::new(),
            clients: vec![client],
            acknowledged_writes_lost: 0,
            conformance: Vec::new(),
        };
        Self { plan, history: History { header, records: Vec::new() }, verdict, seq: 0 }
    }

    /// Nothing happens but work.
    pub(crate) fn quiet() -> Self {
        let mut story = Self::new();
        story.work(3_000..30_000, A);
        story
    }

    /// The client recovers in time.
    pub(crate) fn recovered() -> Self {
        let mut story = Self::new();
        story.fail_over();
        story.work(15_000..20_000, B);
        story
    }

    /// The old master comes back, the client clings to it, and later fails on it.
    pub(crate) fn clung() -> Self {
        let mut story = Self::new();
        story.fail_over();
        story.work(15_000..17_000, B);
        story.tell(17_050, What::State { node: A, state: NodeState::Up });
        story.connect(17_100, A);
        story.work(17_100..18_000, A);
        story.tell(18_050, What::Role { node: A, of: Some(B) });
        for at in [18_200, 18_300, 18_400] {
            let seq = story.seq + 1;
            story.tell(at + 1, What::Executed(Execution { error: Some("READONLY".into()), ..incr(seq, A) }));
            story.fails(at..at + 2, Cause::Server, "READONLY You can't write against a read only replica.");
        }
        story.verdict.outcome = Outcome::Fail;
        story.verdict.acknowledged_writes_lost = 9;
        story.finding(
            Invariant::I1,
            18_200,
            "writer#140 was started at 18.200s, 3.7s after redis-2 had become the master (T0 14.500s, budget 3s), \
             and failed: READONLY You can't write against a read only replica.",
            3,
        );
        story.finding(
            Invariant::I2,
            17_501,
            "INCR of writer#135 was accepted by redis-1, still a writable master, at 17.501s, 3.001s after redis-2 \
             had become the master (T0 14.500s, budget 3s)",
            5,
        );
        story
    }

    /// A step of the timeline found nobody.
    pub(crate) fn inconclusive() -> Self {
        let mut story = Self::new();
        story.work(9_000..12_000, A);
        let fault = What::Fault { fault: "kill old-master".into(), step: Some(0), nodes: Vec::new() };
        story.tell(10_050, fault);
        story.history.records.sort_by_key(|record| record.at);
        story.verdict.outcome = Outcome::Inconclusive;
        story.verdict.findings.push(Finding {
            severity: Severity::NoEvidence,
            rule: Rule::Evidence,
            client: None,
            at: Time::from_millis(10_050),
            text: "step 1 of the timeline, kill old-master, found nothing to act on".into(),
            count: 1,
            connection_lost: false,
        });
        story
    }

    pub(crate) fn run(&self) -> Run<'_> {
        Run {
            name: "kill",
            file: Some("scenarios/kill.yaml"),
            seed: 42,
            driver: "redis-sentinel",
            plan: &self.plan,
            history: &self.history,
            verdict: &self.verdict,
            virtual_time: Duration::from_secs(45),
            wall_time: Duration::from_micros(18_400),
            replay: "sentinel-lab run scenarios/kill.yaml --seed 42 --driver redis-sentinel",
        }
    }

    fn fail_over(&mut self) {
        self.connect(3_000, A);
        self.work(3_000..10_000, A);
        self.tell(10_000, What::Fault { fault: "kill master".into(), step: Some(0), nodes: vec![A] });
        self.tell(10_000, What::State { node: A, state: NodeState::Down });
        self.tell(10_000, What::Closed { node: A, client: ClientId::new("writer"), conn: 1, by: ClosedBy::Fault });
        for at in (10_000..14_000).step_by(100) {
            self.fails(at..at + 5, Cause::Connection, "connection refused");
        }
        let down = "master mymaster 10.0.0.1 6379";
        self.event(14_000, 1, EventName::SubjectivelyDown, down);
        self.event(14_100, 2, EventName::ObjectivelyDown, &format!("{down} #quorum 2/2"));
        self.event(14_200, 2, EventName::ElectedLeader, down);
        self.event(14_210, 2, EventName::SelectedSlave, "slave 10.0.0.2:6379 10.0.0.2 6379 @ mymaster 10.0.0.1 6379");
        self.tell(14_300, What::Role { node: B, of: None });
        self.event(14_400, 2, EventName::SwitchMaster, "mymaster 10.0.0.1 6379 10.0.0.2 6379");
        for (at, number) in [(14_400, 2), (14_500, 1), (14_600, 3)] {
            let node = NodeId::sentinel(number);
            self.tell(at, What::Answer { node, master: "mymaster".into(), addr: B });
        }
        for at in [14_700, 14_800, 14_900] {
            let node = NodeId::sentinel(1);
            let command = "SENTINEL GET-MASTER-ADDR-BY-NAME".to_owned();
            self.tell(at, What::Executed(Execution { command, op: None, ..incr(0, node) }));
        }
        self.connect(14_950, B);
        self.verdict.failovers.push(Recovery {
            master: "mymaster".into(),
            fault: Some(Time::from_millis(10_000)),
            sdown: Some(Time::from_millis(14_000)),
            odown: Some(Time::from_millis(14_100)),
            elected: Some(Time::from_millis(14_200)),
            promoted: Some(Time::from_millis(14_300)),
            first_answer: Some(Time::from_millis(14_400)),
            switch: Some(Time::from_millis(14_400)),
            converged: Some(Time::from_millis(14_500)),
            rediscovered: Some(Time::from_millis(14_700)),
            first_write: Some(Time::from_millis(15_002)),
        });
    }

    fn tell(&mut self, ms: u64, what: What) {
        self.history.push(Time::from_millis(ms), what);
    }

    fn event(&mut self, ms: u64, sentinel: u16, event: EventName, payload: &str) {
        self.tell(ms, What::Event { node: NodeId::sentinel(sentinel), event, payload: payload.into() });
    }

    fn connect(&mut self, ms: u64, node: NodeId) {
        self.tell(ms, What::Opened { node, client: ClientId::new("writer"), conn: ms });
        let hello = Execution { command: "CLIENT SETINFO".into(), op: None, write: false, ..incr(0, node) };
        self.tell(ms, What::Executed(hello));
    }

    fn work(&mut self, ms: Range<u64>, node: NodeId) {
        for at in ms.step_by(100) {
            self.seq += 1;
            self.tell(at, What::Started { op: op(self.seq), action: Action::Incr, of: None });
            self.tell(at + 1, What::Executed(incr(self.seq, node)));
            self.tell(at + 2, What::Ended { op: op(self.seq), result: OpResult::Ok { value: None } });
            self.verdict.clients[0].ok += 1;
        }
    }

    fn fails(&mut self, ms: Range<u64>, cause: Cause, error: &str) {
        self.seq += 1;
        self.tell(ms.start, What::Started { op: op(self.seq), action: Action::Incr, of: None });
        let result = OpResult::Failed(OpError { cause, error: error.into() });
        self.tell(ms.end, What::Ended { op: op(self.seq), result });
        self.verdict.clients[0].failed += 1;
    }

    fn finding(&mut self, invariant: Invariant, ms: u64, text: &str, count: u64) {
        self.verdict.findings.push(Finding {
            severity: Severity::Violation,
            rule: Rule::Invariant(invariant),
            client: Some(ClientId::new("writer")),
            at: Time::from_millis(ms),
            text: text.into(),
            count,
            connection_lost: false,
        });
        self.verdict.findings.sort_by_key(|finding| finding.at);
    }
}

fn op(seq: u64) -> OpId {
    OpId { client: ClientId::new("writer"), seq }
}

fn incr(seq: u64, node: NodeId) -> Execution {
    Execution {
        node,
        client: ClientId::new("writer"),
        conn: 1,
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
