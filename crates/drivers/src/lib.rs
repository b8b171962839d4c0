//! The clients under test behind one trait, [`testbed::driver::Driver`].
//!
//! | driver | client | how it is used |
//! |---|---|---|
//! | `sentinel-client` | the crate `sentinel-client` | as its documentation shows; the default |
//! | `redis-sentinel` | the crate `redis` | its `SentinelClient`, a new connection after every error |
//! | `redis-multiplexed` | the crate `redis` | the connection of the start, held for ever |
//! | `redis-connection-manager` | the crate `redis` | a `ConnectionManager` on the address found at the start |
//! | `deadpool-redis` | the crate `deadpool-redis` | its Sentinel pool, a connection from it for every operation |
//!
//! A driver adds no retries of its own. What it does with an error is what an application does that follows the
//! client's documentation.

mod deadpool_redis;
mod outcome;
mod redis_connection_manager;
mod redis_multiplexed;
mod redis_sentinel;
mod redis_setup;
mod registry;
mod request;
mod sentinel_client;

pub use deadpool_redis::DeadpoolRedis;
pub use redis_connection_manager::RedisConnectionManager;
pub use redis_multiplexed::RedisMultiplexed;
pub use redis_sentinel::RedisSentinel;
pub use registry::{DEFAULT, all, by_name};
pub use sentinel_client::SentinelClient;
