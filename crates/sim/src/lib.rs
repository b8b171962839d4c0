//! The world: nodes, links, zones, faults and the event queue. No I/O, no clock of its own, no randomness but that of
//! the root seed: the same plan, seed and client input give the same history.
//!
//! | module | holds |
//! |---|---|
//! | `world` | [`World`], its main loop and interface |
//! | `queue` | what is due when |
//! | `process`, `machine` | a node: its process, which starts, ends and freezes, and the machine in it |
//! | `dispatch` | what a machine is given, and what comes of it |
//! | `link`, `paths` | connections, and what partitions and latencies do to them |
//! | `clients`, [`effect`](Effect) | clients, the doors that they find, what the host does for them |
//! | `timeline`, `targets`, `faults`, `standing`, `overrides`, `operator` | what is done to the cluster, and undone |
//! | `answers` | who the master is, and was |
//! | `record`, [`deliveries`](Delivery) | what goes into the history, and what only who asks for it is told |

mod answers;
mod clients;
mod deliveries;
mod dispatch;
mod effect;
mod faults;
mod link;
mod machine;
mod operator;
mod overrides;
mod paths;
mod process;
mod queue;
mod record;
mod standing;
mod stream;
mod targets;
mod timeline;
mod world;

pub use deliveries::Delivery;
pub use effect::{Door, Effect};
pub use machine::{SentinelFile, read_sentinel_file};
pub use sentinel::FileError;
pub use world::World;
