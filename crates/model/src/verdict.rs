//! [`Verdict`]: what came out of a run.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::ClientId;
use crate::plan::Workload;
use crate::time::Time;
use crate::words::plain;

/// What every run is held to. T0 is the moment when the quorum's answer is the new master and that one accepts writes;
/// W is the client's recovery budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Invariant {
    /// Converge: every command started after T0+W succeeds, on the new master.
    I1,
    /// No stale node: no master-bound command is accepted by a node that is not the master after T0+W.
    I2,
    /// At most once: an operation executes at most once unless its caller opted into retry.
    I3,
    /// Honest loss: an acknowledged operation that is missing was acknowledged by the old master before its demotion, and
    /// had not come over to the new one, as the record of the links says. A waiver forgives no loss beyond that.
    I4,
    /// Bounded: every call returns by its deadline.
    I5,
    /// Load: connects per second and open sockets per client stay under a cap, and time passes between requests.
    I6,
    /// Honest error: the error names the true cause.
    I7,
    /// No residue: sockets and tasks return to the baseline.
    I8,
    /// Own reply: a value that an operation reports is one that a data node answered to its command, and not to another.
    I9,
}

impl Invariant {
    /// All of them, in order.
    pub const ALL: [Self; 9] =
        [Self::I1, Self::I2, Self::I3, Self::I4, Self::I5, Self::I6, Self::I7, Self::I8, Self::I9];

    /// One word.
    pub const fn title(self) -> &'static str {
        match self {
            Self::I1 => "converge",
            Self::I2 => "no stale node",
            Self::I3 => "at most once",
            Self::I4 => "honest loss",
            Self::I5 => "bounded",
            Self::I6 => "load",
            Self::I7 => "honest error",
            Self::I8 => "no residue",
            Self::I9 => "own reply",
        }
    }
}

/// `I1 converge`
impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?} {}", self.title())
    }
}

/// Pass, fail, or no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every invariant held and every expectation was met, on evidence.
    Pass,
    /// There is not enough evidence: a fault did not fire, a client did nothing or never noticed.
    Inconclusive,
    /// An invariant or an expectation was violated.
    Fail,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        })
    }
}

/// What came out of a run, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Fail if there is a finding of [`Severity::Violation`], else inconclusive if there is one of
    /// [`Severity::NoEvidence`], else pass.
    pub outcome: Outcome,
    /// Everything that speaks against a pass, and the violations that were waived, in the order of time.
    pub findings: Vec<Finding>,
    /// Recovery of each change of master.
    pub failovers: Vec<Recovery>,
    /// Operations of each client.
    pub clients: Vec<ClientSummary>,
    /// Acknowledged writes that are missing on the final master.
    pub acknowledged_writes_lost: u64,
    /// How the clients kept to the [guideline](crate::guideline), as far as the run showed it. Not part of the outcome.
    #[serde(default)]
    pub conformance: Vec<Conformance>,
}

/// How one client kept to one clause of the [guideline](crate::guideline), as the nodes saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Conformance {
    /// Which client.
    pub client: ClientId,
    /// The number of the clause.
    pub clause: u8,
    /// How often it kept to it.
    pub kept: u64,
    /// How often it did not.
    pub broken: u64,
    /// The first time, in one sentence.
    pub example: Option<String>,
}

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// It makes the run fail.
    Violation,
    /// It makes the run inconclusive.
    NoEvidence,
    /// It would have made the run fail, but the plan waives it. For I4: a loss that is honest, where the plan waives it.
    Waived,
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// How much it weighs.
    pub severity: Severity,
    /// The invariant, or what else was expected: `recovered_within`, `failovers`, `evidence`.
    pub rule: Rule,
    /// Whom it concerns.
    pub client: Option<ClientId>,
    /// The moment it points at.
    pub at: Time,
    /// One sentence in plain words.
    pub text: String,
    /// How often the same was seen; `at` and `text` are those of the first.
    pub count: u64,
    /// Each time it was a lost connection that brought operations down, as the client says and the nodes saw: they were under way when
    /// somebody else than the client ended it, or began after that, with none opened since. Told of I1, I3 and `failed_at_most`.
    #[serde(default)]
    pub connection_lost: bool,
}

impl Finding {
    /// Which of a few ways of violating the rule it is, in a few words; empty where the rule has one only.
    pub fn class(&self) -> &'static str {
        let Rule::Invariant(invariant) = self.rule else { return "" };
        let first = |classes: &[(&str, &'static str)], other| {
            classes.iter().find(|(part, _)| self.text.contains(part)).map_or(other, |(_, class)| *class)
        };
        match invariant {
            // ".. and failed: broken pipe", ".. and was executed on redis-1", ".. and never ended"
            Invariant::I1 => first(&[(", and failed", "failed"), (", and was executed", "elsewhere")], "nothing came"),
            // "INCR of writer#3 was accepted by redis-1, still a writable master, at .."
            Invariant::I2 => first(&[("a replica,", "by a replica")], "by another master"),
            Invariant::I6 => first(
                &[("connections within", "connects"), ("questions within", "questions"), ("hot loop", "hot loop")],
                "open connections",
            ),
            // ".. and redis-1 had answered its command with ..", or no node had answered it.
            Invariant::I9 => first(&[("no node", "a reply to nothing")], "another reply"),
            Invariant::I3 | Invariant::I4 | Invariant::I5 | Invariant::I7 | Invariant::I8 => "",
        }
    }

    /// What of its text is the same for the same cause: the end of the sentence, without numbers and names. Empty for the
    /// expectations of a plan, each of which is one cause by itself.
    pub fn gist(&self) -> String {
        let invariant = match self.rule {
            Rule::Invariant(invariant) => invariant,
            Rule::Evidence => return plain(&self.text),
            _ => return String::new(),
        };
        let text = self.text.as_str();
        let first = |count: usize, tail: &str| plain(tail).split(' ').take(count).collect::<Vec<_>>().join(" ");
        match invariant {
            // ".. and failed: broken pipe": how it failed, in a few words.
            Invariant::I1 => first(5, text.rsplit_once(", and ").map_or(text, |(_, tail)| tail)),
            Invariant::I2 | Invariant::I6 | Invariant::I9 => self.class().to_owned(),
            Invariant::I3 | Invariant::I4 | Invariant::I5 | Invariant::I7 | Invariant::I8 => {
                first(6, text.rsplit_once(['"', ':']).map_or(text, |(_, tail)| tail))
            }
        }
    }
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// An invariant.
    Invariant(Invariant),
    /// An expectation of the plan: `recovered_within`.
    RecoveredWithin,
    /// An expectation of the plan: `failovers`.
    Failovers,
    /// An expectation of the plan: `acknowledged_writes_lost`.
    AcknowledgedWritesLost,
    /// An expectation of the plan: `failed_at_most`.
    FailedAtMost,
    /// An expectation of the plan: `most_connects`.
    MostConnects,
    /// An expectation of the plan: `longest_gap`.
    LongestGap,
    /// An expectation of the plan: `back_to_replica_within`.
    BackToReplicaWithin,
    /// A client dials no address at which nobody answers it, if it was told what to dial in its place.
    Astray,
    /// Something that should have happened, for the run to prove anything, did not.
    Evidence,
}

impl Rule {
    /// All that a run can violate.
    pub fn all() -> impl Iterator<Item = Self> {
        let expectations = [
            Self::RecoveredWithin,
            Self::Failovers,
            Self::AcknowledgedWritesLost,
            Self::FailedAtMost,
            Self::MostConnects,
            Self::LongestGap,
            Self::BackToReplicaWithin,
            Self::Astray,
        ];
        Invariant::ALL.into_iter().map(Self::Invariant).chain(expectations)
    }

    /// True if it looks at what a client with this workload does.
    pub const fn concerns(self, workload: Workload) -> bool {
        match self {
            Self::BackToReplicaWithin => matches!(workload, Workload::ReplicaReads),
            Self::RecoveredWithin | Self::AcknowledgedWritesLost | Self::Invariant(Invariant::I4) => workload.writes(),
            Self::Invariant(Invariant::I2 | Invariant::I3) => !matches!(workload, Workload::ReplicaReads),
            Self::Invariant(Invariant::I9) => !matches!(workload, Workload::Lock),
            _ => true,
        }
    }

    /// The word for it in files: `I1`, `recovered_within`.
    pub fn word(self) -> String {
        match self {
            Self::Invariant(invariant) => format!("{invariant:?}"),
            rule => rule.to_string(),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invariant(invariant) => invariant.fmt(f),
            Self::RecoveredWithin => f.write_str("recovered_within"),
            Self::Failovers => f.write_str("failovers"),
            Self::AcknowledgedWritesLost => f.write_str("acknowledged_writes_lost"),
            Self::FailedAtMost => f.write_str("failed_at_most"),
            Self::MostConnects => f.write_str("most_connects"),
            Self::LongestGap => f.write_str("longest_gap"),
            Self::BackToReplicaWithin => f.write_str("back_to_replica_within"),
            Self::Astray => f.write_str("astray"),
            Self::Evidence => f.write_str("evidence"),
        }
    }
}

/// One change of master, in parts. Each moment is `None` if it did not come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recovery {
    /// The master's name.
    pub master: String,
    /// The fault that began it: the last one at the old master before it was seen down, or a manual failover.
    pub fault: Option<Time>,
    /// First `+sdown` of the master.
    pub sdown: Option<Time>,
    /// First `+odown`.
    pub odown: Option<Time>,
    /// `+elected-leader`.
    pub elected: Option<Time>,
    /// The new master accepts writes.
    pub promoted: Option<Time>,
    /// First answer of a Sentinel with the new address.
    pub first_answer: Option<Time>,
    /// First `+switch-master`.
    pub switch: Option<Time>,
    /// T0: the quorum's answer is the new master and it accepts writes.
    pub converged: Option<Time>,
    /// First question of a client to a Sentinel after the fault.
    pub rediscovered: Option<Time>,
    /// First acknowledged write of a client on the new master.
    pub first_write: Option<Time>,
}

impl Recovery {
    /// From the fault to the first good write.
    pub fn total(&self) -> Option<Duration> {
        Some(self.first_write?.since(self.fault?))
    }
}

/// What the operations of a client came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClientSummary {
    /// Which client.
    pub client: ClientId,
    /// The driver that it ran with.
    pub driver: String,
    /// Operations that succeeded.
    pub ok: u64,
    /// Operations that failed and, as the client says, did not run.
    pub failed: u64,
    /// Operations that failed and may have run.
    pub ambiguous: u64,
    /// The longest time between two operations that succeeded one after the other, or from the last one to the end of
    /// the run, in microseconds.
    pub longest_gap_us: u64,
    /// Connections that it opened, over all nodes.
    pub connections: u64,
}
