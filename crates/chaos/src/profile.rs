//! [`Profile`] and [`Mix`]: how much of which nemesis a campaign has, and how much of everything.

use std::fmt;
use std::str::FromStr;

use model::plan::Need;
use testbed::driver::Driver;

use crate::kind::Kind;
use crate::nemesis::Nemesis;

/// A weighted mixture of nemeses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Profile {
    /// `gentle`: what happens in every year: restarts, failovers by hand, closed connections, a slow network.
    Gentle,
    /// `partitions`: the network splits, in one direction or both, and nodes drop off it.
    Partitions,
    /// `flapping`: short outages in a row, one failover after the other.
    Flapping,
    /// `lying-sentinels`: Sentinels that lie, err, are late, or whose clocks jump.
    LyingSentinels,
    /// `mean`: everything, at the worst moments.
    Mean,
}

impl Profile {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Gentle, Self::Partitions, Self::Flapping, Self::LyingSentinels, Self::Mean];

    /// The one that a campaign has by default.
    pub const DEFAULT: Self = Self::Mean;

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gentle => "gentle",
            Self::Partitions => "partitions",
            Self::Flapping => "flapping",
            Self::LyingSentinels => "lying-sentinels",
            Self::Mean => "mean",
        }
    }

    /// The weight of a nemesis in it; 0: it has none of that.
    pub const fn weight(self, nemesis: Nemesis) -> u32 {
        match (self, nemesis) {
            (Self::Gentle, Nemesis::Reaper) => 4,
            (Self::Gentle, Nemesis::Usurper) => 4,
            (Self::Gentle, Nemesis::Cutter) => 2,
            (Self::Gentle, Nemesis::Sloth) => 2,
            (Self::Gentle, Nemesis::Freezer) => 2,
            (Self::Gentle, Nemesis::Operator | Nemesis::Mover) => 1,
            (Self::Gentle, _) => 0,
            (Self::Partitions, Nemesis::Splitter) => 8,
            (Self::Partitions, Nemesis::Sloth | Nemesis::Cutter | Nemesis::Reaper) => 1,
            (Self::Partitions, _) => 0,
            (Self::Flapping, Nemesis::Reaper) => 5,
            (Self::Flapping, Nemesis::Freezer) => 3,
            (Self::Flapping, Nemesis::Usurper) => 3,
            (Self::Flapping, Nemesis::Cutter) => 3,
            (Self::Flapping, Nemesis::Splitter) => 1,
            (Self::Flapping, _) => 0,
            (Self::LyingSentinels, Nemesis::Liar) => 8,
            (Self::LyingSentinels, Nemesis::Muter) => 3,
            (Self::LyingSentinels, Nemesis::Tinkerer) => 2,
            (Self::LyingSentinels, Nemesis::Reaper | Nemesis::Usurper | Nemesis::Freezer) => 1,
            (Self::LyingSentinels, _) => 0,
            (Self::Mean, _) => 2,
        }
    }

    /// How many failovers in a row a schedule has at most.
    pub(crate) const fn episodes(self) -> usize {
        match self {
            Self::Gentle | Self::Partitions | Self::LyingSentinels => 2,
            Self::Flapping => 3,
            Self::Mean => 2,
        }
    }

    /// How many faults surround each failover at most, at intensity 1.
    const fn companions(self) -> usize {
        match self {
            Self::Gentle => 1,
            Self::Partitions | Self::LyingSentinels | Self::Flapping => 2,
            Self::Mean => 3,
        }
    }
}

impl FromStr for Profile {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        Self::ALL.iter().copied().find(|profile| profile.name() == s).ok_or(())
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What schedules are drawn from: a profile, perhaps narrowed to some nemeses, at an intensity, and what the client can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mix {
    /// The profile.
    pub profile: Profile,
    /// If there are any: only these, with equal weight.
    pub nemeses: Vec<Nemesis>,
    /// From 1 to 5: each failover is surrounded by up to so many times the profile's number of faults.
    pub intensity: u8,
    /// What no client of a schedule is asked to do, where that leaves anything to do.
    pub lacks: Vec<Need>,
}

impl Mix {
    /// The profile as it is, at intensity 1.
    pub const fn of(profile: Profile) -> Self {
        Self { profile, nemeses: Vec::new(), intensity: 1, lacks: Vec::new() }
    }

    /// The same for clients of this driver: where it can, a schedule asks nothing of them that they cannot do. For a driver that
    /// can do all that schedules ask for, the seeds draw what they draw for no driver.
    #[must_use]
    pub fn for_driver(self, driver: &dyn Driver) -> Self {
        Self { lacks: Need::all().filter(|need| !driver.can(*need)).collect(), ..self }
    }

    /// True if clients may be asked to do this.
    pub(crate) fn asks(&self, need: Need) -> bool {
        !self.lacks.contains(&need)
    }

    /// The weight of a nemesis.
    pub fn weight(&self, nemesis: Nemesis) -> u32 {
        if self.nemeses.is_empty() { self.profile.weight(nemesis) } else { u32::from(self.nemeses.contains(&nemesis)) }
    }

    pub(crate) fn companions(&self) -> usize {
        self.profile.companions() * usize::from(self.intensity.clamp(1, 5))
    }

    /// The kinds of faults that a campaign of some length must have seen fire.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = Kind::ALL.to_vec();
        // What undoes others comes with these.
        let undone = |kind: Kind| match kind {
            Kind::Restart => self.weight(Nemesis::Reaper) > 0,
            Kind::Thaw => self.weight(Nemesis::Freezer) > 0,
            _ => true,
        };
        kinds.retain(|kind| match Nemesis::of(*kind) {
            Some(nemesis) => self.weight(nemesis) > 0 && self.has(*kind),
            None => undone(*kind),
        });
        kinds
    }

    /// True unless it is of no use to a client that cannot do what the fault is about.
    pub(crate) fn has(&self, kind: Kind) -> bool {
        !matches!(kind, Kind::Resolve | Kind::Move) || self.asks(Need::Names)
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.profile)?;
        for (index, nemesis) in self.nemeses.iter().enumerate() {
            write!(f, "{}{nemesis}", if index == 0 { ": " } else { ", " })?;
        }
        if self.intensity == 1 { Ok(()) } else { write!(f, " at intensity {}", self.intensity) }
    }
}
