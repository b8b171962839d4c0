//! Masters, replicas and other Sentinels, as one Sentinel knows them.

use model::{Addr, Epoch, RunId};

use crate::Ms;
use crate::config::Monitor;
use crate::election::Ballot;
use crate::link::LinkId;
use crate::place::Place;

/// What every instance has.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    pub place: Place,
    /// Run id of a data node (`None` until its first INFO), id of a Sentinel.
    pub run_id: Option<RunId>,
    pub link: LinkId,
    pub last_publish: Ms,
    pub s_down: bool,
    /// When it was last found down. Not reset when it comes back.
    pub s_down_since: Ms,
    /// It was told to end its script since it was found down.
    pub script_kill_sent: bool,
}

impl Instance {
    pub(crate) fn new(place: Place, link: LinkId, now: Ms) -> Self {
        Self { place, run_id: None, link, last_publish: now, s_down: false, s_down_since: 0, script_kill_sent: false }
    }
}

/// A data node's role, as its INFO says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Master,
    Slave,
}

impl Role {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Master => "master",
            Self::Slave => "slave",
        }
    }
}

/// What a data node's INFO said.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// When the last one came; 0 for never.
    pub at: Ms,
    pub role: Role,
    pub role_since: Ms,
    /// `master_link_down_since_seconds`, in milliseconds; 0 if up.
    pub master_link_down: Ms,
    /// The text of the last one.
    pub text: String,
}

impl Report {
    pub(crate) fn new(role: Role, now: Ms) -> Self {
        Self { at: 0, role, role_since: now, master_link_down: 0, text: String::new() }
    }
}

/// How far a replica has been repointed to the new master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reconf {
    None,
    Sent(Ms),
    InProgress,
    Done,
}

/// A replica.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    /// As it was told when it was met, which it stays: the `ip:port` that is its name.
    pub name: Addr,
    pub base: Instance,
    pub report: Report,
    pub promoted: bool,
    pub reconf: Reconf,
    /// When the master that it says to follow last changed.
    pub conf_changed: Ms,
    pub master_host: Option<String>,
    pub master_port: u16,
    pub link_up: bool,
    pub priority: u32,
    pub offset: u64,
    pub announced: bool,
}

impl Replica {
    pub(crate) fn new(name: Addr, place: Place, link: LinkId, now: Ms) -> Self {
        Self {
            name,
            base: Instance::new(place, link, now),
            report: Report::new(Role::Slave, now),
            promoted: false,
            reconf: Reconf::None,
            conf_changed: now,
            master_host: None,
            master_port: 0,
            link_up: false,
            priority: 100,
            offset: 0,
            announced: true,
        }
    }
}

/// Another Sentinel that watches the same master.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub base: Instance,
    /// The hello that came last, word by word, and when.
    pub told: String,
    pub last_hello: Ms,
    pub last_down_reply: Ms,
    /// It finds the master down.
    pub finds_down: bool,
    /// Its vote, as it told it.
    pub leader: Option<RunId>,
    pub leader_epoch: Epoch,
}

impl Peer {
    pub(crate) fn new(place: Place, id: RunId, link: LinkId, now: Ms) -> Self {
        let mut base = Instance::new(place, link, now);
        base.run_id = Some(id);
        Self {
            base,
            told: String::new(),
            last_hello: now,
            last_down_reply: now,
            finds_down: false,
            leader: None,
            leader_epoch: 0,
        }
    }

    pub(crate) fn id(&self) -> &RunId {
        self.base.run_id.as_ref().expect("a Sentinel is known by its id")
    }
}

/// Where a failover stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FailoverState {
    None,
    WaitStart,
    SelectSlave,
    SendSlaveofNoone,
    WaitPromotion,
    ReconfSlaves,
    UpdateConfig,
}

impl FailoverState {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::WaitStart => "wait_start",
            Self::SelectSlave => "select_slave",
            Self::SendSlaveofNoone => "send_slaveof_noone",
            Self::WaitPromotion => "wait_promotion",
            Self::ReconfSlaves => "reconf_slaves",
            Self::UpdateConfig => "update_config",
        }
    }
}

/// A monitored master, with its replicas and the other Sentinels.
#[derive(Clone, Debug)]
pub(crate) struct Master {
    /// Never used again, not even for a master of the same name.
    pub key: u32,
    pub config: Monitor,
    pub base: Instance,
    pub report: Report,
    pub replicas: Vec<Replica>,
    pub peers: Vec<Peer>,
    pub config_epoch: Epoch,
    /// The one that is in the file of the Sentinel.
    pub filed_epoch: Epoch,
    pub ballot: Ballot,
    pub o_down: bool,
    pub o_down_since: Ms,
    pub rebooted_since: Ms,
    pub state: FailoverState,
    pub state_since: Ms,
    pub in_progress: bool,
    pub forced: bool,
    pub failover_epoch: Epoch,
    /// When the last attempt began, here or at whom this Sentinel voted for; 0 for never.
    pub failover_start: Ms,
}

impl Master {
    pub(crate) fn new(key: u32, config: Monitor, place: Place, link: LinkId, now: Ms) -> Self {
        Self {
            key,
            config,
            base: Instance::new(place, link, now),
            report: Report::new(Role::Master, now),
            replicas: Vec::new(),
            peers: Vec::new(),
            config_epoch: 0,
            filed_epoch: 0,
            ballot: Ballot::default(),
            o_down: false,
            o_down_since: 0,
            rebooted_since: 0,
            state: FailoverState::None,
            state_since: now,
            in_progress: false,
            forced: false,
            failover_epoch: 0,
            failover_start: 0,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    pub(crate) fn down_after(&self) -> Ms {
        self.config.down_after.as_millis() as Ms
    }

    pub(crate) fn failover_timeout(&self) -> Ms {
        self.config.failover_timeout.as_millis() as Ms
    }

    pub(crate) fn reboot_down_after(&self) -> Ms {
        self.config.reboot_down_after.as_millis() as Ms
    }

    pub(crate) fn promoted(&self) -> Option<usize> {
        self.replicas.iter().position(|replica| replica.promoted)
    }

    /// Where clients and other Sentinels are sent: to the promoted replica from its promotion on.
    pub(crate) fn current(&self) -> &Place {
        match self.promoted() {
            Some(promoted) if self.in_progress && self.state >= FailoverState::ReconfSlaves => {
                &self.replicas[promoted].base.place
            }
            _ => &self.base.place,
        }
    }
}

/// An instance, by its place. Valid until the next change of the lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Master(usize),
    Replica(usize, usize),
    Peer(usize, usize),
}

impl Who {
    pub(crate) fn master(self) -> usize {
        match self {
            Self::Master(m) | Self::Replica(m, _) | Self::Peer(m, _) => m,
        }
    }
}
