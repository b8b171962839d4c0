//! RESP: requests in and replies out, and the other way round on what a node dials.
//!
//! | module | holds |
//! |---|---|
//! | [`request`] | commands from bytes, with Redis's limits and protocol errors |
//! | [`reply`] | replies to bytes, in RESP2 or RESP3; commands and snapshots too |
//! | [`incoming`] | what a dialled peer says: replies, and a replication stream |

mod incoming;
mod reply;
mod request;

pub(crate) use incoming::Incoming;
pub(crate) use reply::Encoder;
pub(crate) use request::Requests;
