//! The phases of a failover, each named by the event of Sentinel that begins it.

use model::EventName;

/// In the order of a failover; then the ways in which one goes wrong, and what follows it.
pub const PHASES: [EventName; 23] = [
    EventName::SubjectivelyDown,
    EventName::ObjectivelyDown,
    EventName::NewEpoch,
    EventName::TryFailover,
    EventName::VoteForLeader,
    EventName::ElectedLeader,
    EventName::SelectSlave,
    EventName::SelectedSlave,
    EventName::SendSlaveofNoone,
    EventName::WaitPromotion,
    EventName::PromotedSlave,
    EventName::ReconfSlaves,
    EventName::SlaveReconfSent,
    EventName::SlaveReconfInprog,
    EventName::SlaveReconfDone,
    EventName::FailoverEnd,
    EventName::SwitchMaster,
    EventName::ConfigUpdateFrom,
    EventName::AbortNotElected,
    EventName::AbortNoGoodSlave,
    EventName::AbortSlaveTimeout,
    EventName::ConvertToSlave,
    EventName::FixSlaveConfig,
];

/// Phases that every campaign of some length goes through, whatever its profile. The others need a failover that goes
/// wrong.
pub const ALWAYS: usize = 18;

/// After which of these a fault may be placed: they come in every failover of a master that went down, in this order
/// and some time apart from each other.
pub(crate) const PLACES: [EventName; 10] = [
    EventName::SubjectivelyDown,
    EventName::ObjectivelyDown,
    EventName::VoteForLeader,
    EventName::ElectedLeader,
    EventName::SelectedSlave,
    EventName::WaitPromotion,
    EventName::PromotedSlave,
    EventName::SlaveReconfSent,
    EventName::SwitchMaster,
    EventName::ConfigUpdateFrom,
];

/// The index of a phase in [`PHASES`].
pub(crate) fn index(event: EventName) -> Option<usize> {
    PHASES.iter().position(|phase| *phase == event)
}
