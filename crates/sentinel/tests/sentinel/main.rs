//! One Sentinel, fed by hand. One program, since each links everything.

mod common;
mod failover_end;
mod links;
mod recorded_replies;
