//! The words that every other crate speaks: time, identities, the wire vocabulary, the plan of a run, the history it
//! leaves and the verdict on it. Plain data; nothing here decides anything.
//!
//! | module | holds |
//! |---|---|
//! | [`time`] | [`Time`], microseconds since the start of a run |
//! | [`id`] | [`NodeId`], [`ClientId`], [`OpId`], [`RunId`], [`Epoch`] |
//! | [`acl`] | which commands a user may run, as Redis shows it |
//! | [`addr`] | [`Addr`], an address inside the world, and [`Text`], text that may hold addresses |
//! | [`wire`] | [`Command`], [`Reply`], [`Frame`]: what travels on a connection |
//! | [`machine`] | [`Input`], [`Output`]: the shape of a node without I/O |
//! | [`event`] | Sentinel's event names |
//! | [`fault`] | what can be done to a cluster, and to which of its nodes |
//! | [`plan`] | a run as data: cluster, clients, timeline, expectations |
//! | [`history`] | what happened, record by record, with its NDJSON form and its digest |
//! | [`verdict`] | pass, fail or inconclusive, with reasons |
//! | [`guideline`] | what a client of Sentinel should do, clause by clause |
//! | [`help`](mod@help) | the texts of `HELP` |
//! | [`hosts`] | the resolver of the world |
//! | [`limits`] | what a node keeps for its clients |
//! | [`tracking`] | `CLIENT TRACKING` of a connection |
//! | [`words`] | lines of words and their quotes |
//! | [`seed`] | one root seed, named random streams |

pub mod acl;
pub mod addr;
pub mod event;
pub mod fault;
pub mod guideline;
pub mod help;
pub mod history;
pub mod hosts;
pub mod id;
pub mod limits;
pub mod machine;
pub mod plan;
pub mod raw;
mod reach;
pub mod seed;
pub mod time;
pub mod tracking;
pub mod verdict;
pub mod wire;
pub mod words;

pub use addr::{Addr, Text};
pub use event::EventName;
pub use fault::{Fault, Target};
pub use help::help;
pub use history::{History, Record, What};
pub use id::{ClientId, Epoch, NodeId, NodeKind, OpId, RunId};
pub use limits::{Limits, OutputLimit};
pub use machine::{Conn, Input, Output};
pub use plan::Plan;
pub use seed::{Rng, Seed};
pub use time::Time;
pub use verdict::{Outcome, Verdict};
pub use wire::{Command, Frame, Reply, double_text};
