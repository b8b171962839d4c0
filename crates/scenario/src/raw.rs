//! The scenario file as it is written. The doc comments here are the descriptions of the JSON Schema.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::MapAccess;

use crate::form::{Either, Entries, Field, Form, Mistake, Node, Record, Scalar};
use crate::leaf::{
    Aim, Broken, Count, Event, Flag, HostName, HostOf, Jump, MasterName, Name, NodeName, Rate, Span, Text, Word, Work,
};

/// A run of Redis Sentinel clients through failovers: the nodes, the clients, what is done to them and what must come
/// out.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["title"]))]
pub(crate) struct Scenario {
    /// One line that says what happens.
    pub(crate) title: Field<Text>,
    /// The nodes. Data nodes are `redis-1` (the master), `redis-2` …, Sentinels `sentinel-1`, `sentinel-2` ….
    pub(crate) cluster: Field<Record<Cluster>>,
    /// The clients under test.
    pub(crate) clients: Field<Vec<Node<Record<Client>>>>,
    /// What is done to the cluster, step by step.
    pub(crate) timeline: Field<Vec<Node<Record<Step>>>>,
    /// Virtual time that the run takes; 45s by default.
    pub(crate) run_for: Field<Span>,
    /// What must come out, beside the invariants.
    pub(crate) expect: Field<Record<Expect>>,
}

/// Adds the settings of a master group to a record: they stand in the cluster for all masters and in an entry of
/// `masters` for that one.
macro_rules! with_group_settings {
    ($(#[$meta:meta])* struct $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Debug, Default, Deserialize, JsonSchema)]
        #[serde(default)]
        #[schemars(deny_unknown_fields)]
        pub(crate) struct $name {
            $($own)*
            /// Number of replicas at the start; 2 by default.
            pub(crate) replicas: Field<Count>,
            /// Sentinels that must agree that the master is down; 2 by default, or 1 if there is only one Sentinel.
            pub(crate) quorum: Field<Count>,
            /// `down-after-milliseconds` of Sentinel; 30s by default.
            pub(crate) down_after: Field<Span>,
            /// `failover-timeout` of Sentinel; 3m by default.
            pub(crate) failover_timeout: Field<Span>,
            /// `parallel-syncs` of Sentinel; 1 by default.
            pub(crate) parallel_syncs: Field<Count>,
            /// ACL user that the data nodes ask for; without it, `password` is that of the default user.
            pub(crate) user: Field<Text>,
            /// Password that the data nodes ask of clients, Sentinels and replicas.
            pub(crate) password: Field<Text>,
            /// How long a node keeps what goes into the replication stream before it sends it, on top of `node_latency`;
            /// 0s by default. What a process has not sent when it ends is lost with it.
            pub(crate) replication_lag: Field<Span>,
            /// `min-replicas-to-write` of Redis; 0, which is off, by default.
            pub(crate) min_replicas_to_write: Field<Count>,
            /// `min-replicas-max-lag` of Redis; 10s by default.
            pub(crate) min_replicas_max_lag: Field<Span>,
            /// `replica-serve-stale-data` of Redis; true by default.
            pub(crate) serve_stale_data: Field<Flag>,
            /// `master-reboot-down-after-period` of Sentinel: for how long a master that comes back with a new run id is
            /// treated as down, so that a replica with the data takes over; 0s, which is off, by default.
            pub(crate) reboot_down_after: Field<Span>,
            /// `notification-script` of Sentinel: the path. It is not executed; each run of it stands in the timeline.
            pub(crate) notification_script: Field<Text>,
            /// `client-reconfig-script` of Sentinel, likewise.
            pub(crate) client_reconfig_script: Field<Text>,
        }
    };
}

with_group_settings! {
    /// The nodes.
    struct Cluster {
        /// The master name that clients ask for; `mymaster` by default. Several masters: `masters`.
        pub(crate) master: Field<MasterName>,
        /// Several masters. What an entry does not set is as the cluster says. Data nodes are numbered through.
        pub(crate) masters: Field<Vec<Node<Record<Master>>>>,
        /// How many Sentinels; 3 by default. Each watches every master.
        pub(crate) sentinels: Field<Count>,
        /// Zones and their nodes: `{a: [redis-1, sentinel-1], b: [redis-2]}`. Other nodes are in the zone `default`.
        pub(crate) zones: Field<Entries<Vec<Node<NodeName>>>>,
        /// `replica-priority` of data nodes: `{redis-2: 0}`; 100 by default, 0 is never promoted.
        pub(crate) priorities: Field<Entries<Count>>,
        /// Names and what they stand for, a node or an IP address: `{db-1: redis-1, far: 10.9.9.9}`.
        pub(crate) hosts: Field<Entries<HostOf>>,
        /// `resolve-hostnames` of Sentinel; false by default. Sentinels then monitor a master by its name in `hosts`.
        pub(crate) resolve_hostnames: Field<Flag>,
        /// `announce-hostnames` of Sentinel; false by default. Nodes that have a name in `hosts` then announce it.
        pub(crate) announce_hostnames: Field<Flag>,
        /// Nodes have IPv6 addresses; false by default. Clients dial `::1`, at a port of its own for each node.
        pub(crate) ipv6: Field<Flag>,
        /// Clients stand outside, where nobody answers at the addresses that Sentinels tell; false by default. They are given a map.
        pub(crate) nat: Field<Flag>,
        /// Which nodes speak TLS to clients: `{data: true, sentinels: true}`; none by default. Clients are given the authority.
        pub(crate) tls: Field<Record<Tls>>,
        /// ACL user that the Sentinels ask for.
        pub(crate) sentinel_user: Field<Text>,
        /// Password that the Sentinels ask of clients and of each other.
        pub(crate) sentinel_password: Field<Text>,
        /// One-way delay between nodes; 200us by default.
        pub(crate) node_latency: Field<Span>,
    }
}

/// Which nodes speak TLS to clients, and what their certificates say.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Tls {
    /// The data nodes do; false by default.
    pub(crate) data: Field<Flag>,
    /// The Sentinels do; false by default.
    pub(crate) sentinels: Field<Flag>,
    /// The one name that all certificates have, which clients are told to expect; by default each has the address at which a
    /// client dials its node, and the names of `hosts`.
    pub(crate) server_name: Field<HostName>,
}

with_group_settings! {
    /// One of several masters, with its replicas.
    struct Master {
        /// The master name that clients ask for.
        pub(crate) name: Field<MasterName>,
    }
}

/// A client under test, or several alike.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["id", "workload"]))]
pub(crate) struct Client {
    /// Its name.
    pub(crate) id: Field<Name>,
    /// So many clients alike, called `<id>-1`, `<id>-2` ….
    pub(crate) count: Field<Count>,
    /// The client library, or `exec:` and the command of a program; by default what the command line says.
    pub(crate) driver: Field<Text>,
    /// Where it stands; `default` by default.
    pub(crate) zone: Field<Name>,
    /// The master name that it asks for; by default the first master.
    pub(crate) master: Field<MasterName>,
    /// The Sentinels that it is configured with, in this order; all by default.
    pub(crate) sentinels: Field<Vec<Node<NodeName>>>,
    /// The database that it is to use; 0 by default.
    pub(crate) database: Field<Count>,
    /// What it does: `counter` increments one key an operation, `register` sets and gets in turns, `queue` pushes and
    /// pops, `reads` gets what a second connection overwrites, `replica_reads` gets from a replica, `cached_reads` gets through the
    /// client's own cache, `pubsub` publishes to itself, `script` increments by a script, `transaction` writes twice between MULTI
    /// and EXEC, `pipeline` writes three times at once, `lock` takes a lock and renews it, `jobs` takes jobs and acknowledges them.
    pub(crate) workload: Field<Work>,
    /// The subscriber of `pubsub` has a pattern besides its channel, and every second message goes to a channel that only the pattern
    /// matches; false by default.
    pub(crate) patterns: Field<Flag>,
    /// Callers that share the one client, each at its own operations, up to 1000; 1 by default.
    pub(crate) callers: Field<Count>,
    /// Time from the start of one operation to the start of the next; 100ms by default.
    pub(crate) every: Field<Span>,
    /// The same as `every`, the other way round: `10/s`.
    pub(crate) rate: Field<Rate>,
    /// When it starts; 3s by default, when a cluster has discovered itself.
    pub(crate) start: Field<Span>,
    /// How long one call may take; 10s by default.
    pub(crate) deadline: Field<Span>,
    /// The application closes the client and sets it up anew when nothing has succeeded for so long; never by default.
    pub(crate) reopen_after: Field<Span>,
    /// How long after the new master is in place operations may still fail; 3s by default.
    pub(crate) budget: Field<Span>,
    /// The caller accepts that an operation that may have run is repeated; false by default.
    pub(crate) retry_ambiguous: Field<Flag>,
    /// Connections that it may open in any one second; 40 by default.
    pub(crate) max_connects_per_second: Field<Count>,
    /// Connections that it may hold at a time; 40 by default.
    pub(crate) max_open_connections: Field<Count>,
    /// Questions that it may ask in any one second, at Sentinels whatever it sends, at data nodes `ROLE`, `INFO` and `PING`; 300 by
    /// default.
    pub(crate) max_questions_per_second: Field<Count>,
}

/// One entry of the timeline: when (`at`, or `on` with or without `after`), one fault, and `for` how long if it lasts.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Step {
    /// This long after the start.
    pub(crate) at: Field<Span>,
    /// At the first event of this name at any Sentinel after the entry before this one fired.
    pub(crate) on: Field<Event>,
    /// So much later than the event.
    pub(crate) after: Field<Span>,
    /// The fault is undone after this long.
    #[serde(rename = "for")]
    pub(crate) lasting: Field<Span>,

    /// The process ends at once (`kill -9`), and what was in memory is lost.
    pub(crate) kill: Field<Aim>,
    /// A killed or shut down process starts again, a data node with an empty data set.
    pub(crate) restart: Field<Aim>,
    /// The process ends in good order (`SHUTDOWN`).
    pub(crate) shutdown: Field<Aim>,
    /// The process stands still (`SIGSTOP`).
    pub(crate) freeze: Field<Aim>,
    /// A frozen process goes on (`SIGCONT`).
    pub(crate) thaw: Field<Aim>,
    /// The data node answers nobody by its own `DEBUG SLEEP`; `for` says how long.
    pub(crate) debug_sleep: Field<Aim>,
    /// Clients are accepted and never answered, while the cluster sees a healthy node.
    pub(crate) hang: Field<Aim>,
    /// The node drops off the network, for clients and nodes.
    pub(crate) unreachable: Field<Aim>,
    /// What travels between two sides takes longer.
    pub(crate) latency: Field<Record<Latency>>,
    /// Every connection between clients and the node is closed.
    pub(crate) cut: Field<Aim>,
    /// Every connection that clients have to the node falls silent for ever; new ones work.
    pub(crate) silence: Field<Aim>,
    /// Nothing passes between two sides: `[zone:a, zone:b]`, or `{from: .., to: ..}`.
    pub(crate) partition: Field<Either<Vec<Node<Aim>>, Record<Partition>>>,
    /// The next write at the target is carried out, and the connection is closed before the reply.
    pub(crate) cut_reply: Field<Either<Aim, Record<CutReply>>>,
    /// `SENTINEL FAILOVER` of this master; `{}` for the first master.
    pub(crate) failover: Field<Either<MasterName, Record<Failover>>>,
    /// The data node answers `-LOADING`.
    pub(crate) loading: Field<Aim>,
    /// Behind Sentinel's back the best replica is made the master and this node its replica.
    pub(crate) demote: Field<Aim>,
    /// `REPLICAOF`, sent to a data node behind Sentinel's back.
    pub(crate) replicaof: Field<Record<ReplicaOf>>,
    /// `CLIENT KILL TYPE normal` and `pubsub`: clients and Sentinels lose their connections to the data node.
    pub(crate) client_kill: Field<Aim>,
    /// The data node does not obey `CLIENT KILL`, so that a reconfiguration leaves its clients connected.
    pub(crate) keep_clients: Field<Aim>,
    /// An operator sends a command to the node, on a connection of its own that has logged in. With `undo` it lasts; without, clients have
    /// their budget from then on.
    pub(crate) send: Field<Record<Send>>,
    /// The Sentinel's clock jumps.
    pub(crate) clock_jump: Field<Record<ClockJump>>,
    /// A name stands for another node or address, or for none; nobody is told.
    pub(crate) resolve: Field<Record<Resolve>>,
    /// The node's machine is replaced by one with another address, for which its names stand then.
    #[serde(rename = "move")]
    pub(crate) moving: Field<Record<Move>>,
    /// The Sentinel answers its clients otherwise than it knows.
    #[serde(rename = "override")]
    pub(crate) overriding: Field<Record<Override>>,
    /// Undoes whatever stands at the target, and has its names stand for it again. Of `all`, also if there is nothing to undo: from there on all is well.
    pub(crate) heal: Field<Aim>,
}

/// A delay between two sides.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["between", "and", "delay"]))]
pub(crate) struct Latency {
    /// One side.
    pub(crate) between: Field<Aim>,
    /// The other side.
    pub(crate) and: Field<Aim>,
    /// Added to the one-way delay.
    pub(crate) delay: Field<Span>,
    /// Upper end of a random addition for each message; 0s by default.
    pub(crate) jitter: Field<Span>,
}

/// A partition between two sides of several targets each, or in one direction.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["from", "to"]))]
pub(crate) struct Partition {
    /// From here,
    pub(crate) from: Field<Aims>,
    /// to there.
    pub(crate) to: Field<Aims>,
    /// Only what travels that way; false by default.
    pub(crate) one_way: Field<Flag>,
}

/// One target or a list of them.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Aims {
    One(Aim),
    Many(Vec<Node<Aim>>),
}

impl Form for Aims {
    const WHAT: &'static str = "a target or a list of targets";

    fn right() -> String {
        "write one such as `zone:a` or `redis-1`, or several: `[redis-1, sentinel-1]`".to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        Aim::scalar(scalar).map(Self::One)
    }

    fn list<'de, A: serde::de::SeqAccess<'de>>(list: A) -> Result<Result<Self, Mistake>, A::Error> {
        Ok(Vec::list(list)?.map(Self::Many))
    }
}

/// Which replies are lost.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["of"]))]
pub(crate) struct CutReply {
    /// The data node.
    pub(crate) of: Field<Aim>,
    /// Name of the command, such as `INCR`; any write by default.
    pub(crate) command: Field<Text>,
    /// How often; 1 by default.
    pub(crate) times: Field<Count>,
}

/// Which Sentinel is asked for a failover of which master.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Failover {
    /// The master; the first by default.
    pub(crate) master: Field<MasterName>,
    /// The Sentinel; by default the first that runs.
    pub(crate) via: Field<Aim>,
}

/// Whom a data node is to follow.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["node"]))]
pub(crate) struct ReplicaOf {
    /// The data node.
    pub(crate) node: Field<Aim>,
    /// The node that it is to follow; without it the data node becomes a master (`NO ONE`).
    pub(crate) of: Field<Aim>,
}

/// A command of an operator.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["to", "command"]))]
pub(crate) struct Send {
    /// The node.
    pub(crate) to: Field<Aim>,
    /// The command, `SENTINEL RESET mymaster`, or a list of its words: `[CONFIG, SET, requirepass, ""]`.
    pub(crate) command: Field<Words>,
    /// The command that takes it back, on the same connection or, if the node has closed that, on another, at the end of `for` or with a
    /// `heal`. Until then nothing that clients do at the node is held against them; without it, they have their budget from the command
    /// on, so that what hinders them for longer, such as `CLIENT PAUSE 20000`, has every client fail.
    pub(crate) undo: Field<Words>,
}

/// A command: in one line, or word by word.
#[derive(Debug, JsonSchema)]
#[schemars(untagged)]
pub(crate) enum Words {
    Line(Text),
    List(Vec<Node<Word>>),
}

impl Form for Words {
    const WHAT: &'static str = "a command";

    fn right() -> String {
        "write it in a line, `SENTINEL RESET mymaster`, or as a list of its words: `[CONFIG, SET, requirepass, \"\"]`"
            .to_owned()
    }

    fn scalar(scalar: Scalar<'_>) -> Result<Self, Mistake> {
        Text::scalar(scalar).map(Self::Line)
    }

    fn list<'de, A: serde::de::SeqAccess<'de>>(list: A) -> Result<Result<Self, Mistake>, A::Error> {
        Ok(Vec::list(list)?.map(Self::List))
    }
}

/// A jump of a Sentinel's clock, which makes it enter tilt mode.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["of", "by"]))]
pub(crate) struct ClockJump {
    /// The Sentinel.
    pub(crate) of: Field<Aim>,
    /// By how much, forwards or back.
    pub(crate) by: Field<Jump>,
}

/// What a name stands for.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["name"]))]
pub(crate) struct Resolve {
    /// The name, which need not be in `hosts`.
    pub(crate) name: Field<HostName>,
    /// A node or an IP address; without it nobody knows the name.
    pub(crate) to: Field<HostOf>,
}

/// Where a machine is replaced.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["node", "to"]))]
pub(crate) struct Move {
    /// The node, whose process ends, if it runs, and starts at the new address.
    pub(crate) node: Field<Aim>,
    /// An IP address that no node has.
    pub(crate) to: Field<HostOf>,
}

/// What a Sentinel answers instead of what it knows.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["of", "answer"]))]
pub(crate) struct Override {
    /// The Sentinel.
    pub(crate) of: Field<Aim>,
    /// `stale`: what it knew at this moment. `null`: it knows no such master. `hang`: nothing. `no_switch_event`: no
    /// `+switch-master` is published. Or a map with one of `error`, `slow`, `wrong_address`, `late_switch_event`.
    pub(crate) answer: Field<Either<AnswerWord, Record<Answer>>>,
}

/// An answer that needs no more than a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AnswerWord {
    Stale,
    Null,
    Hang,
    NoSwitchEvent,
}

/// An answer with a value; one of these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1, "maxProperties" = 1))]
pub(crate) struct Answer {
    /// This error to every `SENTINEL` command: `ERR busy`.
    pub(crate) error: Field<Text>,
    /// The truth, after this long.
    pub(crate) slow: Field<Span>,
    /// This node's address, where the master's should stand.
    pub(crate) wrong_address: Field<Aim>,
    /// `+switch-master` is published so much later.
    pub(crate) late_switch_event: Field<Span>,
}

/// What must come out of the run, beside the invariants.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub(crate) struct Expect {
    /// From the first fault to the first good write on the new master, for every client that writes.
    pub(crate) recovered_within: Field<Span>,
    /// How many times the master must change; 0: it must stay.
    pub(crate) failovers: Field<Count>,
    /// Acknowledged writes that may be missing at the end, at most.
    pub(crate) acknowledged_writes_lost: Field<Count>,
    /// Operations of each client that may fail, at most.
    pub(crate) failed_at_most: Field<Count>,
    /// Connections that all clients together may open within a time, at most, from the first fault on.
    pub(crate) most_connects: Field<Record<MostConnects>>,
    /// The longest time in which no operation of a client may succeed, from its first success to the end of the run.
    pub(crate) longest_gap: Field<Span>,
    /// From the last moment at which a replica is there again, runs and follows the master, to the first read that one answers, for every
    /// client with the workload `replica_reads`.
    pub(crate) back_to_replica_within: Field<Span>,
    /// Invariants that do not count in this run, each with the reason: `{I1: "no replica may be promoted"}`. Waiving I4
    /// lists the honest losses, and forgives none beyond what the old master had not got across.
    pub(crate) waive: Field<Entries<Text>>,
    /// The wrong clients that the scenario exists to catch, at least one, each with the rule that it must violate, which the scenario has
    /// set and not waived, and a client at which it can be broken: `{wrong-gives-up: I1, wrong-fixed-delay: most_connects}`.
    pub(crate) catches: Field<Catches>,
}

/// Wrong clients, each with a rule.
#[derive(Debug)]
pub(crate) struct Catches(pub(crate) Entries<Broken>);

impl Form for Catches {
    const WHAT: &'static str = "a map of wrong clients";

    fn right() -> String {
        "name each with the rule that it must violate: `catches: {wrong-gives-up: I1}`".to_owned()
    }

    fn map<'de, A: MapAccess<'de>>(map: A) -> Result<Result<Self, Mistake>, A::Error> {
        let entries = Entries::map(map)?;
        Ok(entries.and_then(
            |entries| if entries.0.is_empty() { Err(Self::mistaken("an empty one")) } else { Ok(Self(entries)) },
        ))
    }
}

impl JsonSchema for Catches {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Catches".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let rule = generator.subschema_for::<Broken>();
        json_schema!({
            "type": "object",
            "propertyNames": {"pattern": format!("^{}", model::plan::WRONG)},
            "additionalProperties": rule,
            "minProperties": 1
        })
    }
}

/// A limit on the connections of all clients together.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["count", "within"]))]
pub(crate) struct MostConnects {
    /// So many,
    pub(crate) count: Field<Count>,
    /// in any such time.
    pub(crate) within: Field<Span>,
}
