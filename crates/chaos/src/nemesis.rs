//! [`Nemesis`]: ways of making life hard, each a group of kinds of faults. Profiles weigh them.

use std::fmt;
use std::str::FromStr;

use crate::kind::Kind;

macro_rules! nemeses {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// A named group of faults.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Nemesis {
            $(#[doc = concat!("`", $name, "`: ", $doc)] $variant,)*
        }

        impl Nemesis {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// Its name on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// One line on what it does.
            pub const fn about(self) -> &'static str {
                match self { $(Self::$variant => $doc,)* }
            }
        }

        impl FromStr for Nemesis {
            type Err = ();

            fn from_str(s: &str) -> Result<Self, ()> {
                match s { $($name => Ok(Self::$variant),)* _ => Err(()) }
            }
        }
    };
}

nemeses! {
    Reaper "reaper" "ends processes, in good order or not, and starts them again",
    Freezer "freezer" "lets processes stand still, or answer nobody",
    Usurper "usurper" "changes the master by hand, with or without Sentinel's knowledge",
    Splitter "splitter" "partitions the network, in both directions or in one, and takes nodes off it",
    Sloth "sloth" "delays what travels",
    Cutter "cutter" "closes connections, also between a command and its reply, lets them fall silent, or keeps them open when they should be closed",
    Liar "liar" "lets Sentinels answer what is not so, or nothing",
    Muter "muter" "delays or drops the announcement of a new master",
    Tinkerer "tinkerer" "turns the clocks of Sentinels",
    Mover "mover" "replaces machines by ones with other addresses, and has names stand for nothing",
    Operator "operator" "gives commands of Redis that hold up, change or forget something",
}

impl Nemesis {
    /// The one that a kind of fault belongs to; `None` if the kind only undoes others and comes with them.
    pub const fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Kill | Kind::Shutdown | Kind::Loading => Self::Reaper,
            Kind::Freeze | Kind::DebugSleep | Kind::Hang => Self::Freezer,
            Kind::Failover | Kind::Demote | Kind::ReplicaOf => Self::Usurper,
            Kind::Unreachable | Kind::Partition | Kind::OneWayPartition => Self::Splitter,
            Kind::Latency => Self::Sloth,
            Kind::Cut | Kind::Silence | Kind::CutReply | Kind::ClientKill | Kind::KeepClients => Self::Cutter,
            Kind::ClockJump => Self::Tinkerer,
            Kind::Resolve | Kind::Move => Self::Mover,
            Kind::Send => Self::Operator,
            Kind::StaleAnswer
            | Kind::NullAnswer
            | Kind::ErrorAnswer
            | Kind::SlowAnswer
            | Kind::NoAnswer
            | Kind::WrongAddress => Self::Liar,
            Kind::NoSwitchEvent | Kind::LateSwitchEvent => Self::Muter,
            Kind::Restart | Kind::Thaw | Kind::Heal => return None,
        })
    }

    /// The kinds that belong to it.
    pub fn kinds(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.iter().copied().filter(move |kind| Self::of(*kind) == Some(self))
    }
}

impl fmt::Display for Nemesis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nemesis_has_faults_and_every_fault_a_nemesis_or_is_an_end_of_one() {
        for nemesis in Nemesis::ALL {
            assert!(nemesis.kinds().count() > 0, "{nemesis}");
            assert_eq!(nemesis.name().parse(), Ok(*nemesis));
        }
        let ends: Vec<Kind> = Kind::ALL.iter().copied().filter(|kind| Nemesis::of(*kind).is_none()).collect();
        assert_eq!(ends, [Kind::Restart, Kind::Thaw, Kind::Heal]);
    }
}
