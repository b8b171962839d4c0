//! Streams and their consumer groups.
//!
//! | module | holds |
//! |---|---|
//! | `ids` | ids, the ends of ranges, entries as replies |
//! | `entries` | `XADD`, `XDEL`, `XLEN`, `XRANGE`, `XTRIM` |
//! | `reading` | `XREAD`, `XREADGROUP` |
//! | `groups` | `XGROUP` |
//! | `pending` | `XACK`, `XPENDING`, `XCLAIM`, `XAUTOCLAIM` |
//! | `progress` | how far a group has got |
//! | `info` | `XINFO` |

mod entries;
mod groups;
mod ids;
mod info;
mod pending;
mod progress;
mod reading;

pub(crate) use entries::{xadd, xdel, xlen, xrange, xrevrange, xsetid, xtrim};
pub(crate) use groups::{xgroup_create, xgroup_createconsumer, xgroup_delconsumer, xgroup_destroy, xgroup_setid};
pub(crate) use info::{xinfo_consumers, xinfo_groups, xinfo_stream};
pub(crate) use pending::{xack, xautoclaim, xclaim, xpending};
pub(crate) use reading::{Reading, xread, xreadgroup};
