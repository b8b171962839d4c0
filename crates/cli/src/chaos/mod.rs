//! `sentinel-lab chaos`: failovers with random faults, or with every fault at every moment; and `merge`, which joins the
//! results of several machines.
//!
//! `setup` works out from the arguments which `campaigns` there are. Runs are done by worker processes (`worker`), which
//! `pool` watches. `show` and `table` put into words what came of it.

pub(crate) mod args;
mod campaigns;
mod merge;
mod pool;
mod setup;
mod show;
mod stop;
mod table;
mod worker;

pub(crate) use campaigns::chaos;
pub(crate) use merge::merge;
pub(crate) use stop::Stop;
pub(crate) use worker::work;
