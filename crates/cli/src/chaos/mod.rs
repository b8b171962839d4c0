//! `sentinel-lab chaos`: random failovers, many of them; and `merge`, which joins the results of several machines.
//!
//! Runs are done by worker processes (`worker`), which `pool` watches. `show` puts into words what came of it.

pub(crate) mod args;
mod merge;
mod pool;
mod random;
mod show;
mod stop;
mod worker;

pub(crate) use merge::merge;
pub(crate) use random::chaos;
pub(crate) use stop::Stop;
pub(crate) use worker::work;
