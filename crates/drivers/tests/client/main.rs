//! The default client from outside, in virtual time.
//!
//! | module | holds the client against |
//! |---|---|
//! | `clauses`, `bound`, `silent`, `metrics` | Redis' guideline for Sentinel clients, clause by clause, and what that leaves open; judged from what the nodes saw |
//! | `scale` | large numbers |
//! | `comparison` | the other clients |
//! | `examples` | its own examples |

mod bound;
mod clauses;
mod comparison;
mod examples;
mod lab;
mod metrics;
mod scale;
mod silent;
