//! What can be done to a cluster, and to which of its nodes. Plain data: `sim` carries it out.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::id::NodeId;
use crate::plan::Host;

/// Which nodes a fault is for. Roles are resolved at the moment when the fault fires.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One node by name: `redis-1`, `sentinel-2`.
    Node(NodeId),
    /// The master of the named group, as the majority of Sentinels sees it: `master`, `master:cache`. Without a name,
    /// the first group of the plan.
    Master(Option<String>),
    /// The node that was the master before the last switch: `old-master`, `old-master:cache`.
    OldMaster(Option<String>),
    /// The replica that Sentinel's selection would choose now: `replica:best`.
    ReplicaBest(Option<String>),
    /// The first replica that the selection would not choose: `replica:other`.
    ReplicaOther(Option<String>),
    /// Every present replica: `replicas`.
    Replicas(Option<String>),
    /// The Sentinel that leads, or led last, a failover: `sentinel:leader`.
    SentinelLeader,
    /// As many Sentinels, from the first, as leave a majority alive: `sentinels:minority`.
    SentinelsMinority,
    /// As few Sentinels, from the first, as leave no majority alive: `sentinels:majority`.
    SentinelsMajority,
    /// Every Sentinel: `sentinels`.
    Sentinels,
    /// Every node of a zone, and with partitions its clients too: `zone:a`.
    Zone(String),
    /// Every node; with partitions every client too: `all`.
    All,
    /// One client; only for faults on links: `client:writer`.
    Client(String),
}

impl Target {
    /// True if it never means more than one node or client.
    pub fn is_one(&self) -> bool {
        matches!(
            self,
            Self::Node(_)
                | Self::Master(_)
                | Self::OldMaster(_)
                | Self::ReplicaBest(_)
                | Self::ReplicaOther(_)
                | Self::SentinelLeader
                | Self::Client(_)
        )
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = |f: &mut fmt::Formatter<'_>, base: &str, name: &Option<String>| match name {
            Some(name) => write!(f, "{base}:{name}"),
            None => f.write_str(base),
        };
        match self {
            Self::Node(node) => write!(f, "{node}"),
            Self::Master(name) => named(f, "master", name),
            Self::OldMaster(name) => named(f, "old-master", name),
            Self::ReplicaBest(name) => named(f, "replica:best", name),
            Self::ReplicaOther(name) => named(f, "replica:other", name),
            Self::Replicas(name) => named(f, "replicas", name),
            Self::SentinelLeader => f.write_str("sentinel:leader"),
            Self::SentinelsMinority => f.write_str("sentinels:minority"),
            Self::SentinelsMajority => f.write_str("sentinels:majority"),
            Self::Sentinels => f.write_str("sentinels"),
            Self::Zone(zone) => write!(f, "zone:{zone}"),
            Self::All => f.write_str("all"),
            Self::Client(client) => write!(f, "client:{client}"),
        }
    }
}

impl std::str::FromStr for Target {
    type Err = ();

    /// Reads the written form. Whether the node, zone, group or client exists is for the plan to say.
    fn from_str(s: &str) -> Result<Self, ()> {
        let name = |rest: &str| (!rest.is_empty()).then(|| Some(rest.to_owned())).ok_or(());
        Ok(match s {
            "master" => Self::Master(None),
            "old-master" => Self::OldMaster(None),
            "replica:best" => Self::ReplicaBest(None),
            "replica:other" => Self::ReplicaOther(None),
            "replicas" => Self::Replicas(None),
            "sentinel:leader" => Self::SentinelLeader,
            "sentinels:minority" => Self::SentinelsMinority,
            "sentinels:majority" => Self::SentinelsMajority,
            "sentinels" => Self::Sentinels,
            "all" => Self::All,
            _ => {
                if let Some(rest) = s.strip_prefix("master:") {
                    Self::Master(name(rest)?)
                } else if let Some(rest) = s.strip_prefix("old-master:") {
                    Self::OldMaster(name(rest)?)
                } else if let Some(rest) = s.strip_prefix("replica:best:") {
                    Self::ReplicaBest(name(rest)?)
                } else if let Some(rest) = s.strip_prefix("replica:other:") {
                    Self::ReplicaOther(name(rest)?)
                } else if let Some(rest) = s.strip_prefix("replicas:") {
                    Self::Replicas(name(rest)?)
                } else if let Some(rest) = s.strip_prefix("zone:") {
                    Self::Zone(name(rest)?.ok_or(())?)
                } else if let Some(rest) = s.strip_prefix("client:") {
                    Self::Client(name(rest)?.ok_or(())?)
                } else {
                    Self::Node(s.parse()?)
                }
            }
        })
    }
}

/// One thing done to the cluster.
///
/// A fault that lasts stands until it is undone by its counterpart, by [`Fault::Heal`], or by the `lasting` of its
/// [`Step`](crate::plan::Step).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The process ends at once (`kill -9`): connections are reset, new ones refused, what was in memory is lost. Lasts.
    Kill(Target),
    /// A killed or shut down process starts again, with its configuration and, for a data node, an empty data set.
    Restart(Target),
    /// The process ends in good order (`SHUTDOWN`): a master first waits for its replicas. Lasts. One that is frozen has
    /// not read it; when this is undone it is killed, and starts again.
    Shutdown(Target),
    /// The process stands still (`SIGSTOP`): connections are accepted by the kernel, nothing is answered. Lasts.
    Freeze(Target),
    /// A frozen process goes on (`SIGCONT`), with what had arrived meanwhile.
    Thaw(Target),
    /// The data node stands still by its own `DEBUG SLEEP`, and goes on as a frozen process does. Its
    /// [`Step`](crate::plan::Step) says for how long. Lasts.
    DebugSleep(Target),
    /// Clients are accepted and never answered, while the cluster sees a healthy node. Lasts; when it ends, the
    /// connections that wait for an answer are closed.
    Hang(Target),
    /// The node drops off the network, for clients and nodes: established connections fall silent, new ones never
    /// complete. Lasts.
    Unreachable(Target),
    /// What travels between the two sides takes this long each way, plus a random part up to `jitter`. Lasts.
    Latency {
        /// One side.
        between: Target,
        /// The other side.
        and: Target,
        /// Added to the one-way delay.
        delay: Duration,
        /// Upper end of a random addition, drawn anew for each message.
        jitter: Duration,
    },
    /// Every connection between clients and the node is closed; the node goes on.
    Cut(Target),
    /// Every connection that clients have to the node at this moment falls silent for ever, as when a firewall forgets it: what
    /// either side sends is lost, and nobody is told. New ones work.
    Silence(Target),
    /// Nothing passes between the sides: established connections fall silent, new ones never complete, and what was
    /// sent arrives after the heal, as TCP would retransmit it. Lasts.
    Partition {
        /// From here,
        from: Vec<Target>,
        /// to there.
        to: Vec<Target>,
        /// Only in the direction `from` to `to`. Connections between the two cannot be established either way.
        one_way: bool,
    },
    /// The next `times` commands called `command` are carried out, and the connection is closed before the reply.
    CutReply {
        /// At which node.
        target: Target,
        /// Upper-case name, `INCR`; any write if `None`.
        command: Option<String>,
        /// How often.
        times: u32,
    },
    /// `SENTINEL FAILOVER`, sent to a Sentinel.
    Failover {
        /// The Sentinel, by default the first that runs.
        via: Option<Target>,
        /// The group, by default the first.
        master: Option<String>,
    },
    /// The data node answers `-LOADING` (its [`Step`](crate::plan::Step) says for how long). Lasts.
    Loading(Target),
    /// Behind Sentinel's back the best replica is made the master and this node its replica, without a `CLIENT KILL`.
    Demote(Target),
    /// `REPLICAOF`, sent to a data node behind Sentinel's back.
    ReplicaOf {
        /// The data node.
        target: Target,
        /// The node that it is to follow; `None` makes it a master (`NO ONE`).
        of: Option<Target>,
    },
    /// `CLIENT KILL TYPE normal` and `pubsub`, sent to a data node: clients and Sentinels lose their connections to it.
    ClientKill(Target),
    /// The data node does not obey `CLIENT KILL TYPE …`, so that a reconfiguration leaves its clients connected. Lasts.
    KeepClients(Target),
    /// An operator sends a command of Redis to the node, on a connection of its own that has logged in. With `undo` it lasts: that
    /// command takes it back, on the same connection or, if the node has closed that, on another; what the node does for clients meanwhile is not held against them.
    Send {
        /// The node.
        target: Target,
        /// The command and its arguments.
        command: Vec<String>,
        /// What takes it back.
        undo: Option<Vec<String>>,
    },
    /// The Sentinel's clock jumps by so many milliseconds, forwards or back, which makes it enter tilt mode.
    ClockJump {
        /// The Sentinel.
        target: Target,
        /// By how much.
        by_ms: i64,
    },
    /// A name stands for another address, or for none. Nobody is told: whoever asks the resolver again learns it.
    Resolve {
        /// The name.
        name: String,
        /// What it stands for from now on; `None` if nobody knows it any more.
        to: Option<Host>,
    },
    /// The node's machine is replaced by one with another address: its process ends, if it runs, and starts there. Every name
    /// that stood for the old address stands for the new one. Nobody is told.
    Move {
        /// The node.
        target: Target,
        /// Its address from now on, which no other node has; the port stays.
        to: IpAddr,
    },
    /// The Sentinel answers its clients otherwise than it knows. Lasts.
    Override {
        /// The Sentinel.
        target: Target,
        /// How.
        answer: Answer,
    },
    /// Undoes whatever stands at the target: starts what was killed, thaws, reconnects, lets answer, gives nodes their names back. Once
    /// that is done to all nodes, steps before it that wait for an event do not come any more.
    Heal(Target),
}

/// How a Sentinel is made to answer its clients. Other Sentinels are not affected.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// What it knew at the moment of the fault.
    Stale,
    /// It knows no such master.
    Null,
    /// This error to every `SENTINEL` command.
    Error(String),
    /// The truth, after this long.
    Slow(Duration),
    /// Nothing.
    Hang,
    /// This node's address, where the master's should stand.
    WrongAddress(Target),
    /// No `+switch-master` is published to clients.
    NoSwitchEvent,
    /// `+switch-master` is published to clients so much later.
    LateSwitchEvent(Duration),
}

impl Fault {
    /// The word for it in a scenario file.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kill(_) => "kill",
            Self::Restart(_) => "restart",
            Self::Shutdown(_) => "shutdown",
            Self::Freeze(_) => "freeze",
            Self::Thaw(_) => "thaw",
            Self::DebugSleep(_) => "debug_sleep",
            Self::Hang(_) => "hang",
            Self::Unreachable(_) => "unreachable",
            Self::Latency { .. } => "latency",
            Self::Cut(_) => "cut",
            Self::Silence(_) => "silence",
            Self::Partition { .. } => "partition",
            Self::CutReply { .. } => "cut_reply",
            Self::Failover { .. } => "failover",
            Self::Loading(_) => "loading",
            Self::Demote(_) => "demote",
            Self::ReplicaOf { .. } => "replicaof",
            Self::ClientKill(_) => "client_kill",
            Self::KeepClients(_) => "keep_clients",
            Self::Send { .. } => "send",
            Self::ClockJump { .. } => "clock_jump",
            Self::Resolve { .. } => "resolve",
            Self::Move { .. } => "move",
            Self::Override { .. } => "override",
            Self::Heal(_) => "heal",
        }
    }

    /// True if it stands until it is undone, so that a duration makes sense.
    pub fn lasts(&self) -> bool {
        !matches!(
            self,
            Self::Restart(_)
                | Self::Thaw(_)
                | Self::Cut(_)
                | Self::Silence(_)
                | Self::CutReply { .. }
                | Self::Failover { .. }
                | Self::Demote(_)
                | Self::ReplicaOf { .. }
                | Self::ClientKill(_)
                | Self::Send { undo: None, .. }
                | Self::ClockJump { .. }
                | Self::Resolve { .. }
                | Self::Move { .. }
                | Self::Heal(_)
        )
    }

    /// True if all that it ever does is to undo what others did.
    pub fn only_undoes(&self) -> bool {
        matches!(self, Self::Restart(_) | Self::Thaw(_) | Self::Heal(_))
    }

    /// Every target that it names.
    pub fn targets(&self) -> Vec<&Target> {
        match self {
            Self::Kill(t)
            | Self::Restart(t)
            | Self::Shutdown(t)
            | Self::Freeze(t)
            | Self::Thaw(t)
            | Self::DebugSleep(t)
            | Self::Hang(t)
            | Self::Unreachable(t)
            | Self::Cut(t)
            | Self::Silence(t)
            | Self::Loading(t)
            | Self::Demote(t)
            | Self::ClientKill(t)
            | Self::KeepClients(t)
            | Self::Heal(t)
            | Self::CutReply { target: t, .. }
            | Self::Send { target: t, .. }
            | Self::Move { target: t, .. }
            | Self::ClockJump { target: t, .. } => vec![t],
            Self::Latency { between, and, .. } => vec![between, and],
            Self::Partition { from, to, .. } => from.iter().chain(to).collect(),
            Self::Failover { via, .. } => via.iter().collect(),
            Self::Resolve { .. } => Vec::new(),
            Self::ReplicaOf { target, of } => std::iter::once(target).chain(of).collect(),
            Self::Override { target, answer: Answer::WrongAddress(wrong) } => vec![target, wrong],
            Self::Override { target, .. } => vec![target],
        }
    }
}

/// A short sentence for a timeline: `kill master`.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |targets: &[Target]| targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Latency { between, and, delay, jitter } => {
                write!(f, "latency of {} ms between {between} and {and}", delay.as_millis())?;
                if jitter.is_zero() { Ok(()) } else { write!(f, ", up to {} ms more", jitter.as_millis()) }
            }
            Self::Partition { from, to, one_way } => {
                let arrow = if *one_way { "to" } else { "and" };
                write!(f, "partition {} {arrow} {}", list(from), list(to))
            }
            Self::CutReply { target, command, times } => {
                write!(f, "cut_reply of {times} {} at {target}", command.as_deref().unwrap_or("write"))
            }
            Self::Failover { via, master } => {
                f.write_str("failover")?;
                if let Some(master) = master {
                    write!(f, " of {master}")?;
                }
                if let Some(via) = via {
                    write!(f, " via {via}")?;
                }
                Ok(())
            }
            Self::ReplicaOf { target, of: Some(of) } => write!(f, "replicaof {of} at {target}"),
            Self::ReplicaOf { target, of: None } => write!(f, "replicaof no one at {target}"),
            Self::Resolve { name, to: Some(host) } => write!(f, "resolve {name} to {host}"),
            Self::Resolve { name, to: None } => write!(f, "resolve {name} no more"),
            Self::Send { target, command, .. } => write!(f, "send {target} {}", command.join(" ")),
            Self::Move { target, to } => write!(f, "move {target} to {to}"),
            Self::ClockJump { target, by_ms } => write!(f, "clock_jump of {target} by {by_ms} ms"),
            Self::Override { target, answer } => match answer {
                Answer::Stale => write!(f, "{target} answers what it knew"),
                Answer::Null => write!(f, "{target} answers null"),
                Answer::Error(text) => write!(f, "{target} answers -{text}"),
                Answer::Slow(by) => write!(f, "{target} answers after {} ms", by.as_millis()),
                Answer::Hang => write!(f, "{target} never answers"),
                Answer::WrongAddress(wrong) => write!(f, "{target} answers the address of {wrong}"),
                Answer::NoSwitchEvent => write!(f, "{target} does not publish +switch-master"),
                Answer::LateSwitchEvent(by) => {
                    write!(f, "{target} publishes +switch-master {} ms late", by.as_millis())
                }
            },
            _ => write!(f, "{} {}", self.name(), self.targets()[0]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_read_back() {
        for text in [
            "redis-2",
            "sentinel-1",
            "master",
            "master:cache",
            "old-master",
            "replica:best",
            "replica:best:cache",
            "replica:other",
            "replicas",
            "sentinel:leader",
            "sentinels:minority",
            "sentinels:majority",
            "sentinels",
            "zone:a",
            "all",
            "client:writer",
        ] {
            let target: Target = text.parse().expect(text);
            assert_eq!(target.to_string(), text);
        }
        for text in ["", "zone:", "master:", "redis-x", "slave"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn faults_read_as_sentences() {
        assert_eq!(Fault::Kill(Target::Master(None)).to_string(), "kill master");
        let split = Fault::Partition {
            from: vec![Target::Zone("a".into())],
            to: vec![Target::Zone("b".into())],
            one_way: false,
        };
        assert_eq!(split.to_string(), "partition zone:a and zone:b");
    }
}
