//! [`Case`]: a master with its replicas, at random, and how it is lost.

use std::cmp::Reverse;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use model::{Rng, Seed};
use rand::RngExt as _;

use crate::scripted::Manner;

/// How a failover begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The master is gone.
    Gone,
    /// It answers nothing.
    Frozen,
    /// It is well: a failover by hand.
    ByHand,
}

/// What is wrong with a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flaw {
    /// Nothing.
    None,
    /// `slave_priority:0`.
    PriorityZero,
    /// Its process is gone.
    Gone,
    /// Half of the link to it is lost.
    HalfLink,
    /// It answers nothing.
    Frozen,
    /// It has answered `PING` with errors alone for too long.
    NoPong,
    /// It has answered INFO with errors alone for too long.
    NoInfo,
    /// Its link to the master has been down for too long.
    LinkDown,
}

impl Flaw {
    const ALL: [Self; 8] = [
        Self::None,
        Self::PriorityZero,
        Self::Gone,
        Self::HalfLink,
        Self::Frozen,
        Self::NoPong,
        Self::NoInfo,
        Self::LinkDown,
    ];

    fn manner(self) -> Manner {
        match self {
            Self::None | Self::PriorityZero | Self::LinkDown => Manner::GOOD,
            Self::Gone => Manner::GONE,
            Self::HalfLink => Manner::HALF,
            Self::Frozen => Manner::FROZEN,
            Self::NoPong => Manner::NO_PONG,
            Self::NoInfo => Manner::NO_INFO,
        }
    }
}

/// A replica.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    pub(crate) priority: u32,
    pub(crate) offset: u64,
    /// `None`: its INFO has none.
    pub(crate) run_id: Option<String>,
    /// It calls itself a master, so that priority and offset are not read.
    pub(crate) calls_itself_master: bool,
    /// For how long its link to the master has been down, within the limit or beyond it.
    pub(crate) link_down: Option<Duration>,
    /// `replica_announced:0`: hidden from clients, and promoted all the same.
    pub(crate) hidden: bool,
    pub(crate) flaw: Flaw,
    /// Answers INFO with errors from the loss of the master on; the last one is still good.
    pub(crate) no_info_at_the_end: bool,
}

/// One decision.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) loss: Loss,
    pub(crate) down_after: Duration,
    pub(crate) replicas: Vec<Replica>,
}

/// After so long without an answer, to `PING` and to INFO, any replica is out, with two seconds to spare.
pub(crate) const LONG_ENOUGH: Duration = Duration::from_secs(7);

impl Case {
    /// Case number `seed`. Which flaw the best replica has goes by the number, everything else by chance.
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Seed(seed).stream("case");
        let loss = match rng.random_range(0..4) {
            0 => Loss::ByHand,
            1 => Loss::Frozen,
            _ => Loss::Gone,
        };
        let down_after = match loss {
            Loss::ByHand => Duration::from_secs(30),
            _ => Duration::from_millis(rng.random_range(1_000..=1_500)),
        };
        let count = rng.random_range(2..=5);
        // Few values, so that there are ties; ids that begin alike, so that the case of letters tells.
        let priorities = pool(&mut rng, &[1, 10, 100, 100, i32::MAX as u32]);
        let offsets = pool(&mut rng, &[0, 9, 10, 4_294_967_296, 9_007_199_254_740_993]);
        let mut replicas: Vec<Replica> = (0..count)
            .map(|number| Replica {
                priority: priorities[rng.random_range(0..priorities.len())],
                offset: offsets[rng.random_range(0..offsets.len())],
                run_id: (!rng.random_bool(0.1)).then(|| run_id(&mut rng, number)),
                calls_itself_master: rng.random_bool(0.05),
                link_down: rng.random_bool(0.2).then(|| down_after * 7),
                hidden: rng.random_bool(0.1),
                flaw: if rng.random_bool(0.2) { Flaw::ALL[rng.random_range(0..Flaw::ALL.len())] } else { Flaw::None },
                no_info_at_the_end: loss != Loss::ByHand && rng.random_bool(0.1),
            })
            .collect();
        let best = (0..count).min_by_key(|index| rank(&replicas[*index])).expect("two at least");
        replicas[best].flaw = Flaw::ALL[(seed % 8) as usize];
        // Now and then nobody is left.
        if seed.is_multiple_of(11) {
            for replica in &mut replicas {
                while replica.flaw == Flaw::None {
                    replica.flaw = Flaw::ALL[rng.random_range(1..Flaw::ALL.len())];
                }
            }
        }
        for replica in &mut replicas {
            match replica.flaw {
                Flaw::PriorityZero => (replica.priority, replica.calls_itself_master) = (0, false),
                Flaw::LinkDown => replica.link_down = Some(down_after * 20),
                _ => {}
            }
        }
        Self { loss, down_after, replicas }
    }

    /// The manners of a replica: until the master is lost, and from then on.
    pub(crate) fn manners(&self, index: usize) -> [Manner; 2] {
        let replica = &self.replicas[index];
        let flaw = replica.flaw.manner();
        let then = if replica.no_info_at_the_end { Manner { info: false, ..flaw } } else { flaw };
        match replica.flaw {
            Flaw::Frozen | Flaw::NoPong | Flaw::NoInfo => [flaw, then],
            _ => [Manner::GOOD, then],
        }
    }

    /// INFO of the master.
    pub(crate) fn master_info(replicas: &[SocketAddr]) -> String {
        let mut info = format!("run_id:{}\r\nrole:master\r\nconnected_slaves:{}\r\n", "f".repeat(40), replicas.len());
        for (index, addr) in replicas.iter().enumerate() {
            let (ip, port) = (addr.ip(), addr.port());
            let _ = write!(info, "slave{index}:ip={ip},port={port},state=online,offset=0,lag=0\r\n");
        }
        info
    }

    /// INFO of a replica.
    pub(crate) fn replica_info(&self, index: usize, master: SocketAddr) -> String {
        let replica = &self.replicas[index];
        let run_id = replica.run_id.as_ref().map_or(String::new(), |id| format!("run_id:{id}\r\n"));
        let role = if replica.calls_itself_master { "master" } else { "slave" };
        let (host, port) = (master.ip(), master.port());
        let status = if replica.link_down.is_some() { "down" } else { "up" };
        let mut info = format!(
            "{run_id}role:{role}\r\nmaster_host:{host}\r\nmaster_port:{port}\r\nmaster_link_status:{status}\r\n"
        );
        if let Some(down) = replica.link_down {
            let _ = write!(info, "master_link_down_since_seconds:{}\r\n", down.as_secs());
        }
        let (priority, offset, announced) = (replica.priority, replica.offset, u8::from(!replica.hidden));
        let _ = write!(
            info,
            "slave_repl_offset:{offset}\r\nslave_priority:{priority}\r\nreplica_announced:{announced}\r\n"
        );
        info
    }

    /// What the case is about: why the replica that stands first in the order was not promoted, or by what the promoted one
    /// was better than the next one of those without a flaw. For the count of kinds alone; both Sentinels are asked.
    pub(crate) fn told_by(&self, chosen: Option<usize>) -> Vec<String> {
        let all: Vec<usize> = (0..self.replicas.len()).collect();
        let first = all.iter().copied().min_by_key(|index| rank(&self.replicas[*index]));
        let mut kinds = vec![format!("{:?}", self.loss)];
        if let Some(first) = first.filter(|first| Some(*first) != chosen) {
            kinds.push(format!("not the first: {:?}", self.replicas[first].flaw));
        }
        let Some(chosen) = chosen else {
            kinds.push("nobody".into());
            return kinds;
        };
        let best = rank(&self.replicas[chosen]);
        let others = all.iter().filter(|index| **index != chosen && self.replicas[**index].flaw == Flaw::None);
        if let Some(next) = others.map(|index| rank(&self.replicas[*index])).min() {
            let by = if best.0 != next.0 {
                "priority"
            } else if best.1 != next.1 {
                "offset"
            } else {
                "run id"
            };
            kinds.push(format!("by {by}"));
        }
        if self.replicas[chosen].calls_itself_master {
            kinds.push("calls itself a master".into());
        }
        if self.replicas[chosen].hidden {
            kinds.push("hidden".into());
        }
        kinds
    }
}

/// Better is less.
fn rank(replica: &Replica) -> (u32, Reverse<u64>, bool, String) {
    let (priority, offset) = if replica.calls_itself_master { (100, 0) } else { (replica.priority, replica.offset) };
    let run_id = replica.run_id.as_ref().map_or(String::new(), |id| id.to_ascii_lowercase());
    (priority, Reverse(offset), replica.run_id.is_none(), run_id)
}

/// One to three of these values.
fn pool<T: Copy>(rng: &mut Rng, of: &[T]) -> Vec<T> {
    (0..rng.random_range(1..=3)).map(|_| of[rng.random_range(0..of.len())]).collect()
}

/// 40 hex digits: a common beginning, one digit that tells, in either case, and the number of the replica.
fn run_id(rng: &mut Rng, number: usize) -> String {
    let digit = ["9", "a", "A", "b", "B", "c"][rng.random_range(0..6)];
    format!("{}{digit}{number:08x}", "d".repeat(31))
}
