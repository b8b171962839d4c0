//! What people and programs read about a run: text for a terminal and JSON. Everything is a function from a [`Run`] to
//! a `String`; nothing is printed here, and colours are used only where a [`Style`] says so.
//!
//! | function | gives |
//! |---|---|
//! | [`header`], [`line()`] | a table with one line for each run |
//! | [`failure`] | why a run did not pass: the reasons, what happened around them, how to replay it |
//! | [`timeline`] | what happened in a run, folded so that it can be read |
//! | [`Tally`] | many runs of one scenario: outcomes, and how recovery was distributed |
//! | [`json`] | one JSON document for each run |
//! | [`matrix`] | clients against scenarios |

mod describe;
mod failure;
pub mod json;
mod line;
pub mod matrix;
mod phases;
mod run;
#[cfg(test)]
mod story;
mod style;
mod tally;
mod timeline;

pub use failure::failure;
pub use line::{header, line};
pub use phases::Phases;
pub use run::Run;
pub use style::Style;
pub use tally::Tally;
pub use timeline::timeline;
