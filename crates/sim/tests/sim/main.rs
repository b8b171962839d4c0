//! The cluster as a whole, in simulated time. One program, since each links everything.

mod common;
mod failover;
mod faults;
mod hosts;
mod overrides;
mod paths;
mod scripts;
