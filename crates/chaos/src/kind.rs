//! [`Kind`]: every fault of the language by name, an override by its answer. A fault that is added to the language does
//! not compile here until it has a kind, and the kind not until [`nemesis`](crate::nemesis) and
//! `fault` know what to do with it.

use std::fmt;
use std::str::FromStr;

use model::Fault;
use model::fault::Answer;

macro_rules! kinds {
    ($($variant:ident $name:literal,)*) => {
        /// A kind of fault, as a campaign counts them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word for it: that of a scenario file, and for an override `override:stale`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl FromStr for Kind {
            type Err = ();

            fn from_str(s: &str) -> Result<Self, ()> {
                match s { $($name => Ok(Self::$variant),)* _ => Err(()) }
            }
        }
    };
}

kinds! {
    Kill "kill",
    Restart "restart",
    Shutdown "shutdown",
    Freeze "freeze",
    Thaw "thaw",
    DebugSleep "debug_sleep",
    Hang "hang",
    Unreachable "unreachable",
    Latency "latency",
    Cut "cut",
    Silence "silence",
    Partition "partition",
    OneWayPartition "partition:one_way",
    CutReply "cut_reply",
    Failover "failover",
    Loading "loading",
    Demote "demote",
    ReplicaOf "replicaof",
    ClientKill "client_kill",
    KeepClients "keep_clients",
    Send "send",
    ClockJump "clock_jump",
    Resolve "resolve",
    Move "move",
    Heal "heal",
    StaleAnswer "override:stale",
    NullAnswer "override:null",
    ErrorAnswer "override:error",
    SlowAnswer "override:slow",
    NoAnswer "override:hang",
    WrongAddress "override:wrong_address",
    NoSwitchEvent "override:no_switch_event",
    LateSwitchEvent "override:late_switch_event",
}

impl Kind {
    /// The kind of a fault.
    pub const fn of(fault: &Fault) -> Self {
        match fault {
            Fault::Kill(_) => Self::Kill,
            Fault::Restart(_) => Self::Restart,
            Fault::Shutdown(_) => Self::Shutdown,
            Fault::Freeze(_) => Self::Freeze,
            Fault::Thaw(_) => Self::Thaw,
            Fault::DebugSleep(_) => Self::DebugSleep,
            Fault::Hang(_) => Self::Hang,
            Fault::Unreachable(_) => Self::Unreachable,
            Fault::Latency { .. } => Self::Latency,
            Fault::Cut(_) => Self::Cut,
            Fault::Silence(_) => Self::Silence,
            Fault::Partition { one_way: false, .. } => Self::Partition,
            Fault::Partition { one_way: true, .. } => Self::OneWayPartition,
            Fault::CutReply { .. } => Self::CutReply,
            Fault::Failover { .. } => Self::Failover,
            Fault::Loading(_) => Self::Loading,
            Fault::Demote(_) => Self::Demote,
            Fault::ReplicaOf { .. } => Self::ReplicaOf,
            Fault::ClientKill(_) => Self::ClientKill,
            Fault::KeepClients(_) => Self::KeepClients,
            Fault::Send { .. } => Self::Send,
            Fault::ClockJump { .. } => Self::ClockJump,
            Fault::Resolve { .. } => Self::Resolve,
            Fault::Move { .. } => Self::Move,
            Fault::Heal(_) => Self::Heal,
            Fault::Override { answer, .. } => match answer {
                Answer::Stale => Self::StaleAnswer,
                Answer::Null => Self::NullAnswer,
                Answer::Error(_) => Self::ErrorAnswer,
                Answer::Slow(_) => Self::SlowAnswer,
                Answer::Hang => Self::NoAnswer,
                Answer::WrongAddress(_) => Self::WrongAddress,
                Answer::NoSwitchEvent => Self::NoSwitchEvent,
                Answer::LateSwitchEvent(_) => Self::LateSwitchEvent,
            },
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_and_differ() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(*kind));
        }
    }
}
