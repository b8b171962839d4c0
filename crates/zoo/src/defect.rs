//! What can be wrong with a client.

use model::plan::Workload;

/// Defines the defects: each with the name of its driver and one line on what it does.
macro_rules! defects {
    ($($(#[$why:meta])* $defect:ident = $name:literal, $about:literal;)*) => {
        /// What is wrong with a client.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Defect {
            $(#[doc = $about] $(#[$why])* $defect,)*
        }

        impl Defect {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$defect,)*];

            /// The name of its driver: `wrong-never-rediscovers`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$defect => concat!("wrong-", $name),)*
                }
            }

            /// What it does, in one line.
            pub const fn about(self) -> &'static str {
                match self {
                    $(Self::$defect => $about,)*
                }
            }
        }
    };
}

defects! {
    // Finding the master.
    NeverRediscovers = "never-rediscovers", "it never asks the Sentinels again once it has found a master";
    AsksWhenLost = "asks-when-lost", "it asks the Sentinels only when it has no connection, so it stays where it is";
    IgnoresReadonly = "ignores-readonly", "it stays on a connection as long as that lives, also when the node answers READONLY";
    RetriesOldAddress = "retries-old-address", "it dials the address that it knows for ten seconds before it asks the Sentinels again";
    KeepsHalfPool = "keeps-half-pool", "it replaces half of its connections when the master has changed";
    GivesUp = "gives-up", "after twenty failures in a row it never tries again";
    FailsAtOnce = "fails-at-once", "it looks for the master once for each call, however long its caller may wait";
    FailsAtRefusal = "fails-at-refusal", "it hands on to its caller what a master refuses for a while, such as NOREPLICAS, and does not try again";
    MatchesPrefix = "matches-prefix", "it knows a demoted master by the first word of an error, which in a transaction is EXECABORT, and by nothing else";
    CrossesOut = "crosses-out", "it takes a change of master for the death of the old one, and never goes back to that address";
    GuessesMaster = "guesses-master", "when its master is lost it goes to the replica with the lowest address of those listed before, and asks no more";
    DiesOfReadonly = "dies-of-readonly", "it asks no node for its role, and after one READONLY it never tries again";
    ForgetsDatabase = "forgets-database", "it selects its database at the first master that it finds, and at no other";
    ClosesPolitely = "closes-politely", "it waits until the node has closed its half of a lost connection before it opens another";
    DiesAtStart = "dies-at-start", "if it finds no master when it is set up, it never tries again";
    FixedDelay = "fixed-delay", "after a failure it does nothing for five seconds";
    // Sentinels.
    FirstSentinelOnly = "first-sentinel-only", "it asks the first Sentinel of its list and no other";
    FirstAnswer = "first-answer", "it takes the first address that a Sentinel answers, if that node says it is a master";
    NoRoleCheck = "no-role-check", "it takes the first address that a Sentinel answers, whatever that node is";
    DropsSentinels = "drops-sentinels", "it strikes a Sentinel that failed off its list, for ever";
    StopsAtNull = "stops-at-null", "it takes one Sentinel's `no such master` for an answer";
    StopsAtError = "stops-at-error", "it takes one Sentinel's error for the end of its search, for ever";
    KnowsNoOthers = "knows-no-others", "it never asks a Sentinel for the others";
    DialsRunIds = "dials-run-ids", "it takes the name of another Sentinel, which is its run id, for its address";
    ReadsFlags = "reads-flags", "it asks for SENTINEL MASTER and refuses a master that is flagged";
    SlowSentinels = "impatient", "it gives a Sentinel a tenth of a second to answer, whatever the distance";
    LeaksAttempts = "leaks-attempts", "it leaves the connection behind to a Sentinel that did not answer";
    NeedsAll = "needs-all", "it finds no master until every Sentinel that it has heard of has answered once";
    SelectsAtSentinels = "selects-at-sentinels", "it selects its database on every connection, also at Sentinels, which have none";
    // Names.
    StopsAtName = "stops-at-name", "it takes a Sentinel's name that cannot be looked up for the end of its search";
    ReadsDigits = "reads-digits", "it takes nothing but an IP address for an address";
    ResolvesOnce = "resolves-once", "it looks a master's name up once and keeps the address";
    IgnoresMap = "ignores-map", "it dials the addresses that Sentinels tell, also where it was told to dial others";
    MapsAnswersOnly = "maps-answers-only", "it translates the address in an answer, and not that in an announcement";
    SplitsAtColon = "splits-at-colon", "it keeps an address as one text, and when it connects again takes what stands before the first colon for the host";
    // Events.
    EventsOnly = "events-only", "it looks for another master only when a Sentinel announces one, and subscribes once";
    FollowsPayload = "follows-payload", "it goes to the address that a Sentinel announces, for whichever master";
    DropsEvents = "drops-events", "it is busy for five seconds with what a Sentinel announces, and drops what is announced meanwhile";
    // Calls.
    WaitsForEver = "waits-for-ever", "it waits for ever for a connection or a reply";
    BlocksForEver = "blocks-for-ever", "it bounds every command but a blocking pop, which it sends with time-out 0 and for which it waits as long as the connection lives";
    TrustsPing = "trusts-ping", "it waits for a reply as long as the node answers PING on another connection";
    TriesForEver = "tries-for-ever", "it looks for the master until it finds one, however long its caller may wait";
    ResendsBlindly = "resends-blindly", "it sends a command again whose reply did not come";
    QueuesOffline = "queues-offline", "what it cannot send in time it reports as not sent, keeps, and sends when it is connected again";
    AcknowledgesUnsent = "acknowledges-unsent", "it says that an operation succeeded which it could not send";
    AcknowledgesUnanswered = "acknowledges-unanswered", "it says that an operation succeeded whose reply did not come";
    MixesReplies = "mixes-replies", "it goes on with a connection on which a reply did not come in time, and takes that for the answer to what it asks next";
    DeniesExecution = "denies-execution", "it says that an operation did not run when it does not know";
    BlamesSentinels = "blames-sentinels", "it says that it reached no Sentinel when it could not reach the master";
    MasksSilence = "masks-silence", "it says that the master is unknown when no Sentinel answers";
    MasksRefusal = "masks-refusal", "it says that the Sentinels do not know the master when that refuses its login";
    BlamesCredentials = "blames-credentials", "it takes whatever a node refuses, such as NOREPLICAS, for a wrong password, and does not try again";
    FlushesOthers = "flushes-others", "when one of its callers finds another master, it closes the connections on which the others wait";
    WaitsInLine = "waits-in-line", "its callers share one lock, which whoever looks for the master holds";
    // Queues, locks, jobs, caches.
    StopsConsuming = "stops-consuming", "it connects again after a loss, and takes nothing from its queue any more";
    StopsRenewing = "stops-renewing", "it renews a lock no more once a renewal has failed, and believes that it has it";
    AssumesDurable = "assumes-durable", "it takes a lock for its own of which the master knows nothing any more";
    ForgetsJobs = "forgets-jobs", "it takes an acknowledgement that failed for received, and looks for no job that it has left behind";
    KeepsCache = "keeps-cache", "it keeps its cache when the connection is lost on which it is told of changes";
    // Load.
    NoBackoff = "no-back-off", "what was refused it tries again five milliseconds later on another connection, and again";
    NoJitter = "no-jitter", "it dials what it has lost without a random wait, at the same moment as all others";
    HoardsConnections = "hoards-connections", "it opens another connection where it waited too long, and does not close the first";
    Leaks = "leaks", "it leaves a task behind that holds a connection, whenever it has lost one";
    // Credentials and encryption.
    OnePassword = "one-password", "it sends the Sentinels the password of the data nodes";
    LogsInOnce = "logs-in-once", "it logs in at Sentinels until it has lost a connection to one, and no more";
    OneEncryption = "one-encryption", "it speaks TLS to the Sentinels if it does to the data nodes, and only then";
    EncryptsOnce = "encrypts-once", "it speaks TLS with the first master that it finds, and with no other";
    IgnoresName = "ignores-name", "it looks in a certificate for the address that it dialled, also where it was told to expect a name";
    // Replicas.
    ReadsFlagged = "reads-flagged", "it reads from the first replica that a Sentinel lists, whatever its flags";
    ReadsUnsynced = "reads-unsynced", "it reads from the first replica that a Sentinel lists, also while that is loading";
    ReadsCutOff = "reads-cut-off", "it reads from the first replica that a Sentinel lists, also while that answers MASTERDOWN";
    NeedsReplica = "needs-replica", "it fails when there is no replica, and does not turn to the master";
    StrikesAtEmpty = "strikes-at-empty", "it takes an empty list of replicas for the failure of a Sentinel, and never asks that again";
    FreezesReplicas = "freezes-replicas", "it never again uses a replica that failed once, and stays with the master";
    // Subscriptions.
    SubscribesOnce = "subscribes-once", "it does not subscribe again when its subscription was lost";
    ForgetsPatterns = "forgets-patterns", "it subscribes again to its channels, and not to its patterns";
    TrustsSilence = "trusts-silence", "it takes a silent subscription for a quiet one";
}

impl Defect {
    /// The workload at which alone it shows; `None` if there are others.
    pub const fn workload(self) -> Option<Workload> {
        Some(match self {
            Self::StopsConsuming => Workload::Queue,
            Self::StopsRenewing | Self::AssumesDurable => Workload::Lock,
            Self::ForgetsJobs => Workload::Jobs,
            Self::KeepsCache => Workload::CachedReads,
            Self::SubscribesOnce | Self::ForgetsPatterns | Self::TrustsSilence => Workload::PubSub,
            Self::ReadsFlagged
            | Self::ReadsUnsynced
            | Self::ReadsCutOff
            | Self::NeedsReplica
            | Self::StrikesAtEmpty
            | Self::FreezesReplicas => Workload::ReplicaReads,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_say_that_they_are_wrong() {
        let mut names: Vec<&str> = Defect::ALL.iter().map(|defect| defect.name()).collect();
        assert!(names.iter().all(|name| name.starts_with(model::plan::WRONG)));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Defect::ALL.len());
    }
}
