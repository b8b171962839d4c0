//! The public library: a fake Sentinel cluster on loopback sockets in virtual time.

pub mod driver;
