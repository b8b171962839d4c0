//! A scenario in the lab and on real Redis processes, side by side.
//!
//! ```text
//! plan -> lab (virtual time)  \
//!                              > history -> episodes -> comparison -> text, JSON, Markdown
//! plan -> live (real time)    /
//! ```
//!
//! Both sides leave a [`History`](model::History) in the same words, so that one reading serves both.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@playable`] | which plans real processes can play |
//! | [`mod@lab`] | a run in virtual time |
//! | [`mod@live`] | a run on real processes: the timeline, and `watch`, which observes |
//! | [`episode`] | a history read: one episode a failover, with its phases and the order of events |
//! | [`mod@compare`] | many runs of both sides: distributions, and every difference named |
//! | [`statistics`] | medians, and how unlikely a difference is by chance |
//! | [`render`] | a comparison as text, JSON and Markdown |

pub mod compare;
pub mod episode;
pub mod lab;
pub mod live;
pub mod playable;
pub mod render;
pub mod statistics;
mod watch;

pub use compare::{Comparison, compare};
pub use episode::{Episode, episodes};
pub use lab::lab;
pub use live::live;
pub use playable::{Unplayable, playable};
