//! The commands, one family a file.

// Handlers share a signature, whether they can fail or not.
#![allow(clippy::unnecessary_wraps)]

pub(crate) mod acl;
pub(crate) mod bitfield;
pub(crate) mod bits;
pub(crate) mod client;
pub(crate) mod combine;
pub(crate) mod command;
pub(crate) mod config;
pub(crate) mod connection;
pub(crate) mod debug;
pub(crate) mod dump;
pub(crate) mod events;
pub(crate) mod generic;
pub(crate) mod geo;
pub(crate) mod hashes;
pub(crate) mod hyperloglog;
pub(crate) mod info;
mod info_fields;
pub(crate) mod latency;
pub(crate) mod lcs;
pub(crate) mod lists;
pub(crate) mod monitor;
pub(crate) mod multi_pops;
pub(crate) mod parameters;
pub(crate) mod pubsub;
pub(crate) mod random;
pub(crate) mod scripting;
pub(crate) mod server;
pub(crate) mod sets;
pub(crate) mod sort;
pub(crate) mod streams;
pub(crate) mod strings;
pub(crate) mod tracking;
pub(crate) mod transactions;
pub(crate) mod values;
pub(crate) mod zsets;
