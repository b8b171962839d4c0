//! The command as it is called. One program, since each links everything, and since most tests wait for processes.

mod chaos;
mod languages;
mod parity;
mod recipes;
mod sentinel_conf;
mod serve;
