//! The library from outside. One program, since each links everything.

mod common;
mod entropy;
mod host;
mod limits;
mod names;
mod run;
mod tls;
