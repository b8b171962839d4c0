//! Random failovers: thousands of schedules of faults, drawn from seeds, judged, and shrunk to the few lines that matter.
//! And systematic ones: a scenario with every fault at every moment of its failover.
//!
//! ```text
//! seed ──> schedule ──> plan ──> run ──> result ──> finding ──> shrunk ──> scenario file
//! ```
//!
//! | module | holds |
//! |---|---|
//! | [`kind`], [`nemesis`], [`profile`] | which faults there are, in which groups, mixed by which weights |
//! | `fault`, `topology` | strategies for single faults, for clusters and clients |
//! | [`schedule`] | a whole schedule, and the plan that it comes to |
//! | [`systematic`], `amends` | not at random: a scenario, with every fault at every moment of it, and what an operator puts right in the end |
//! | [`phase`], [`coverage`] | what a campaign went through |
//! | [`audit`] | what the cluster itself must never do |
//! | [`case`] | one run and what came of it |
//! | [`campaign`], [`jobs`] | many of them |
//! | [`mod@shrink`], `plan_tree`, [`regression`] | a finding made small, and kept as a scenario file |
//! | [`shard`], [`results`] | a campaign over several machines, and its parts joined |
//! | [`testing`] | chaos in a project's own `cargo test` |

mod amends;
pub mod audit;
pub mod campaign;
pub mod case;
pub mod coverage;
mod fault;
pub mod jobs;
pub mod kind;
pub mod nemesis;
pub mod phase;
mod plan_tree;
pub mod profile;
pub mod regression;
pub mod results;
pub mod schedule;
pub mod shard;
pub mod shrink;
pub mod systematic;
pub mod testing;
mod topology;
