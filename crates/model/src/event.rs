//! Sentinel's event names: the one table of them. They are channel names on a Sentinel's publish/subscribe interface.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

impl EventName {
    /// Whether Redis logs it as a warning: of those, and only those, a `notification-script` is told.
    pub const fn is_warning(self) -> bool {
        !matches!(
            self,
            Self::Slave
                | Self::Sentinel
                | Self::SendSlaveofNoone
                | Self::WaitPromotion
                | Self::SlaveReconfSent
                | Self::SlaveReconfInprog
                | Self::SlaveReconfDone
                | Self::SlaveReconfSentTimeout
                | Self::SlaveReconfSentBe
                | Self::ConvertToSlave
                | Self::FixSlaveConfig
                | Self::RoleChange
                | Self::RoleChanged
                | Self::Reboot
                | Self::SentinelAddressSwitch
                | Self::SentinelAddressUpdate
                | Self::SentinelInvalidAddr
        )
    }
}

macro_rules! events {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// An event of Sentinel, under Redis's own name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventName {
            $(#[doc = concat!("`", $name, "`: ", $doc)] $variant,)*
        }

        impl EventName {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl FromStr for EventName {
            type Err = ();

            fn from_str(s: &str) -> Result<Self, ()> {
                match s { $($name => Ok(Self::$variant),)* _ => Err(()) }
            }
        }
    };
}

events! {
    Monitor "+monitor" "a master is being monitored",
    MonitorRemoved "-monitor" "a master is no longer monitored",
    ResetMaster "+reset-master" "the master was reset",
    Set "+set" "an option of a master was changed",
    Slave "+slave" "a replica was discovered",
    Sentinel "+sentinel" "another Sentinel was discovered",
    SubjectivelyDown "+sdown" "the instance does not answer this Sentinel",
    SubjectivelyUp "-sdown" "the instance answers this Sentinel again",
    ObjectivelyDown "+odown" "a quorum of Sentinels finds the master down",
    ObjectivelyUp "-odown" "there is no quorum any more that finds the master down",
    NewEpoch "+new-epoch" "the current epoch was raised",
    VoteForLeader "+vote-for-leader" "this Sentinel gave its vote for an epoch",
    TryFailover "+try-failover" "a failover attempt starts and waits to be elected",
    ElectedLeader "+elected-leader" "this Sentinel won the election",
    SelectSlave "+failover-state-select-slave" "a replica to promote is being chosen",
    SelectedSlave "+selected-slave" "the replica to promote was chosen",
    SendSlaveofNoone "+failover-state-send-slaveof-noone" "the replica is about to be promoted",
    WaitPromotion "+failover-state-wait-promotion" "the replica was told to become a master",
    PromotedSlave "+promoted-slave" "the replica reports itself as a master",
    ReconfSlaves "+failover-state-reconf-slaves" "the other replicas are being repointed",
    SlaveReconfSent "+slave-reconf-sent" "a replica was told to follow the new master",
    SlaveReconfInprog "+slave-reconf-inprog" "a replica follows the new master but is not in sync",
    SlaveReconfDone "+slave-reconf-done" "a replica is in sync with the new master",
    SlaveReconfSentTimeout "-slave-reconf-sent-timeout" "a replica did not follow in time",
    SlaveReconfSentBe "+slave-reconf-sent-be" "a replica was told to follow at the end of a timed out failover",
    FailoverEnd "+failover-end" "the failover ended",
    FailoverEndForTimeout "+failover-end-for-timeout" "the failover ended by timeout",
    SwitchMaster "+switch-master" "the master's address changed",
    ConfigUpdateFrom "+config-update-from" "a newer configuration came from another Sentinel",
    AbortNotElected "-failover-abort-not-elected" "the attempt was not elected in time",
    AbortNoGoodSlave "-failover-abort-no-good-slave" "there is no replica to promote",
    AbortSlaveTimeout "-failover-abort-slave-timeout" "the replica to promote could not be reached in time",
    ConvertToSlave "+convert-to-slave" "a returned master is being made a replica",
    FixSlaveConfig "+fix-slave-config" "a replica of the wrong master is being repointed",
    RoleChange "+role-change" "an instance reports the role it is expected to have",
    RoleChanged "-role-change" "an instance reports a role it is not expected to have",
    Reboot "+reboot" "an instance has a new run id",
    SentinelAddressSwitch "+sentinel-address-switch" "a Sentinel moved to another address",
    SentinelAddressUpdate "+sentinel-address-update" "a Sentinel's address was updated for other masters",
    SentinelInvalidAddr "+sentinel-invalid-addr" "another Sentinel has this Sentinel's former address",
    Tilt "+tilt" "tilt mode entered",
    TiltEnd "-tilt" "tilt mode exited",
}

impl fmt::Display for EventName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for EventName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for EventName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(|()| serde::de::Error::custom(format!("`{name}` is not an event of Sentinel")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for event in EventName::ALL {
            assert_eq!(event.as_str().parse(), Ok(*event));
        }
    }
}
