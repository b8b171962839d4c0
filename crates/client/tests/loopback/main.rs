//! The client against a small RESP server on loopback, in paused time.

mod dedicated;
mod endurance;
mod failover;
mod pool;
mod replicas;
mod retries;
mod secrets;
mod sentinels;
mod server;
mod subscriptions;
