//! RESP on the side of the server: requests in, replies out.
//!
//! | module | holds |
//! |---|---|
//! | [`request`] | commands from bytes, with Redis's limits and protocol errors |
//! | [`reply`] | replies to bytes, in RESP2 or RESP3 |

mod reply;
mod request;

pub(crate) use reply::Encoder;
pub(crate) use request::Requests;
