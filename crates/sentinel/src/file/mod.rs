//! `sentinel.conf`, the file in which a Sentinel is told what to watch and keeps what it has learned: in Redis's own
//! format, so that a real one starts from what is written here, and the other way round.
//!
//! | module | holds |
//! |---|---|
//! | `parse` | from the text to a [`Config`], every mistake with its line and what would be right |
//! | `render` | from a [`Config`] to the text, in place of what stood there before |
//! | `directives` | the options of Redis that are kept as they stand |
//!
//! The one difference: a password with spaces or quotes is written in quotes here. Redis 7.0 writes it bare and cannot
//! read it back.

mod directives;
mod parse;
mod render;

use std::fmt;

pub use parse::parse;
pub use render::render;

#[cfg(doc)]
use crate::Config;

/// Why a file is no configuration of a Sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileError {
    /// The line, counted from 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub help: String,
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}: `{}`; {}", self.line, self.problem, self.text, self.help)
    }
}

impl std::error::Error for FileError {}

#[cfg(test)]
mod tests;
