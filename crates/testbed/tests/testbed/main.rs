//! The library from outside. One program, since each links everything; without those that start processes, which hold
//! copies of all sockets until they have called `exec`.

mod common;
mod entropy;
mod host;
mod names;
mod run;
mod tls;
