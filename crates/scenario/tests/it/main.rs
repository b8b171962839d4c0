//! The language as a user meets it: files, messages, rendering. One binary, so that it links once.

mod errors;
mod files;
mod gallery;
mod hostile;
mod plans;
mod round_trip;
