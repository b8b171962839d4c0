//! The default client held against Redis' guideline for Sentinel clients, clause by clause, and against what that
//! guideline leaves open. Judged from what the nodes saw.

mod bound;
mod clauses;
mod lab;
mod metrics;
mod silent;
