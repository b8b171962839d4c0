//! The public library: a fake Sentinel cluster on loopback sockets in virtual time.

mod address;
mod codec;
pub mod driver;
mod entropy;
mod gate;
mod view;

pub use entropy::Entropy;
