//! Real `redis-server` and `redis-sentinel` processes on loopback: found, started, waited for, faulted and removed.
//!
//! | module | holds |
//! |---|---|
//! | [`binaries`] | [`Binaries`]: where the programs are, or what to install; [`required`] for tests |
//! | [`process`] | [`Process`]: one of them, from its start to its removal, and what can be done to it |
//! | [`cluster`] | [`RealCluster`]: masters, replicas and Sentinels of a [`Cluster`](model::plan::Cluster) |
//! | [`talk`] | [`Dial`] and [`Talk`]: a connection to a process, command by command |
//! | [`block`] | [`Block`]: loopback addresses that nobody else has |
//! | [`error`] | [`RealError`] |
//!
//! Everything here blocks: it waits in real time, each wait with a deadline. From `async` code, call it on a thread of its
//! own (`tokio::task::spawn_blocking`).
//!
//! No process stays behind. Dropping a [`Process`] kills it by its id, also when a test panics. Should this process end
//! without dropping (Ctrl-C, `kill -9`, `exit`), the kernel kills its children, as they were started through
//! `setpriv --pdeathsig` (util-linux; without that program this last safety is missing).

pub mod binaries;
pub mod block;
pub mod cluster;
pub mod error;
pub mod process;
mod room;
mod spawner;
pub mod talk;

pub use binaries::{Binaries, Missing, required};
pub use block::Block;
pub use cluster::RealCluster;
pub use error::RealError;
pub use process::{Options, Process, Program};
pub use talk::{Dial, Talk};
