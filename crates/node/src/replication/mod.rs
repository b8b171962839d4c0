//! Replication: the history that a node writes or follows, and who follows it.
//!
//! A history has a replication id, and a place in it is an offset in bytes of the RESP stream. A promoted replica
//! begins a history of its own and remembers how far it followed the one before, so that the other replicas of the
//! old master can go on with it without a full resynchronisation.
//!
//! | module | holds |
//! |---|---|
//! | `backlog` | the latest part of the stream |
//! | `master` | feeding replicas, acknowledgements, good replicas |
//! | `replica` | the link to the master: handshake, snapshot, stream |
//! | `role` | `REPLICAOF`: promotion and demotion |
//! | `commands` | `PSYNC`, `REPLCONF`, `REPLICAOF`, `ROLE`, `WAIT` |

use model::history::Position;
use model::{Addr, Conn, Rng, RunId, Time};
use rand::RngExt as _;

pub(crate) mod backlog;
pub(crate) mod commands;
mod master;
pub(crate) mod replica;
mod role;

use backlog::Backlog;
pub(crate) use master::seconds_between;
use replica::Upstream;

/// Everything about replication that a node holds.
#[derive(Clone, Debug)]
pub(crate) struct Replication {
    rng: Rng,
    /// `master_replid`
    pub(crate) id: RunId,
    /// `master_replid2` and the offset from which on it is not valid any more.
    pub(crate) second: Option<(RunId, u64)>,
    /// `master_repl_offset`
    pub(crate) offset: u64,
    pub(crate) backlog: Option<Backlog>,
    /// The database that the stream is in; `None` makes the next write select one.
    pub(crate) selected: Option<usize>,
    /// Links of replicas, in the order in which they came.
    pub(crate) replicas: Vec<Conn>,
    /// `WAIT` has asked for acknowledgements, which goes into the stream after what else the pass brings.
    pub(crate) asks: bool,
    /// Replicas that were online and acknowledged in time at the last count.
    pub(crate) good_replicas: usize,
    /// The link to the master; `None` on a master.
    pub(crate) upstream: Option<Upstream>,
    /// Number of the next outbound connection.
    pub(crate) next_conn: u64,
    /// Changes that clients of this replica made, which are in no history.
    pub(crate) stray: u64,
    /// Ends of the histories that the present one descends from.
    past: Vec<Position>,
    /// When the once-a-second pass ran last; all passes are whole seconds apart.
    pub(crate) last_pass: Time,
    /// Passes since the start.
    pub(crate) passes: u64,
}

impl Replication {
    pub(crate) fn new(mut rng: Rng, replica_of: Option<Addr>, now: Time) -> Self {
        let id = RunId::random(&mut rng);
        // Processes do not start at the same microsecond, so their passes must not coincide either.
        let phase = std::time::Duration::from_micros(rng.random_range(0..1_000_000));
        Self {
            rng,
            id,
            second: None,
            offset: 0,
            backlog: None,
            selected: None,
            replicas: Vec::new(),
            asks: false,
            good_replicas: 0,
            upstream: replica_of.map(|master| Upstream::new(master, now)),
            next_conn: 0,
            stray: 0,
            past: Vec::new(),
            last_pass: now + phase,
            passes: 0,
        }
    }

    /// The stretches of history behind the data set, the present one last. See
    /// [`Node::lineage`](crate::Node::lineage).
    pub(crate) fn lineage(&self) -> Vec<Position> {
        // A replica that was let in behind the end of an older history has not followed that one to its end yet.
        let reached = |end: &Position| Position { replid: end.replid, offset: end.offset.min(self.offset) };
        let present = Position::new(&self.id, self.offset);
        self.past.iter().map(reached).chain([present.clone()]).collect()
    }

    /// The lineage as text: positions with commas between.
    pub(crate) fn lineage_text(&self) -> String {
        let positions: Vec<String> = self.lineage().iter().map(Position::to_string).collect();
        positions.join(",")
    }

    /// Takes over a lineage, the last stretch of which is the history followed from now on.
    pub(crate) fn descend(&mut self, lineage: &str) {
        let positions: Vec<Position> = lineage.split(',').filter_map(|end| end.parse().ok()).collect();
        let present = Position::new(&self.id, 0).replid;
        self.past = positions.into_iter().filter(|end| end.replid != present).collect();
    }

    /// Begins a history of its own at the present offset.
    pub(crate) fn begin_history(&mut self) {
        self.past.push(Position::new(&self.id, self.offset));
        self.id = RunId::random(&mut self.rng);
    }

    /// Goes on with another id as `CONTINUE` says, keeping the present one as the second.
    pub(crate) fn continue_as(&mut self, id: RunId, lineage: Option<&str>) {
        let old = std::mem::replace(&mut self.id, id);
        self.past.push(Position::new(&old, self.offset));
        self.second = Some((old, self.offset + 1));
        if let Some(lineage) = lineage {
            self.descend(lineage);
        }
    }

    /// A backlog that begins with the next byte, if there is none.
    pub(crate) fn ensure_backlog(&mut self, size: u64) {
        let offset = self.offset;
        self.backlog.get_or_insert_with(|| Backlog::new(offset, size));
    }
}
