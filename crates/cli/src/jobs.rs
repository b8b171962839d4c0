//! How many jobs run at a time, and in which order their results come.

pub(crate) use chaos::jobs::{in_order, threads};
