//! One Redis Sentinel as a state machine without I/O, after the behaviour of Redis 7.0.15.
//!
//! It is fed what arrives and the time, and gives what to send, as [`model::machine`] describes. It works in passes of
//! a timer, 52 to 100 ms apart, as the real one does: nothing is acted on between two passes but what replies and
//! messages bring.
//!
//! | module | holds |
//! |---|---|
//! | [`config`] | what it is started with: all that its configuration file holds |
//! | [`mod@file`] | that file, in Redis's own format |
//! | `machine` | [`Sentinel`]: inputs, outputs, sessions of clients |
//! | `instance` | masters, replicas and other Sentinels, as this one knows them |
//! | `link` | the connections to them |
//! | `timer` | a pass: tilt, reconnecting, periodic commands, the order of things |
//! | `replies` | what comes back: PONG, INFO, votes |
//! | `info` | reading `INFO`, and the repairs that follow from it |
//! | `hello` | the hello messages: discovery and configuration propagation |
//! | [`down`] | subjectively and objectively down |
//! | [`election`] | votes and the winner |
//! | [`select`] | which replica is promoted |
//! | `failover` | the state machine of a failover |
//! | `commands`, `admin`, `tables` | what clients can ask |
//! | `place` | names of hosts and what they stand for |
//! | `scripts` | the scripts that it runs, as events |
//! | `acl` | users and what they may do |

pub mod config;
pub mod down;
pub mod election;
pub mod file;
pub mod select;

mod acl;
mod admin;
mod commands;
mod failover;
mod hello;
mod info;
mod instance;
mod link;
mod machine;
mod place;
mod replies;
mod scripts;
mod tables;
mod timer;

pub use config::{Config, KnownMaster, Monitor, Periods, Settings};
pub use file::FileError;
pub use machine::Sentinel;
pub use select::{Candidate, select_replica};

/// Sentinel's own clock: milliseconds, far from zero, so that "never" can be 0 as in Redis.
pub(crate) type Ms = i64;
