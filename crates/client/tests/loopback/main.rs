//! The client against a small RESP server on loopback, in paused time.

mod failover;
mod replicas;
mod server;
mod subscriptions;
