//! Tests over whole nodes, with exact replies of redis-server 7.0.15.

mod harness;

mod basics;
mod blocking;
mod config;
mod failover;
mod fuzz;
mod keys;
mod replication;
mod transactions;
