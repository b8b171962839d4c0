//! Tests over whole nodes, with exact replies of redis-server 7.0.15.

mod harness;

mod basics;
mod blocking;
mod config;
mod failover;
mod files;
mod fuzz;
mod keys;
mod live;
mod random;
mod replication;
mod scripts;
mod transactions;
