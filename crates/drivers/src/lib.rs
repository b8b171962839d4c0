//! The clients under test behind one trait, [`testbed::driver::Driver`].
//!
//! | driver | client | how it is used |
//! |---|---|---|
//! | `sentinel-client` | the crate `sentinel-client` | as its documentation shows; the default |
//! | `sentinel-client-memory` | the same | with connections within the process, which are faster |
//! | `redis-sentinel` | the crate `redis` | its `SentinelClient`, a new connection after every error |
//! | `redis-multiplexed` | the crate `redis` | the connection of the start, held for ever |
//! | `redis-connection-manager` | the crate `redis` | a `ConnectionManager` on the address found at the start |
//! | `deadpool-redis` | the crate `deadpool-redis` | its Sentinel pool, a connection from it for every operation |
//! | `redis-bb8` | the crates `redis` and `bb8` | a connection from the pool for every operation (feature `bb8`) |
//! | `fred` | the crate `fred` | one client that reconnects by itself (feature `fred`) |
//! | `rustis` | the crate `rustis` | one client that reconnects by itself (feature `rustis`) |
//! | `redis-blocking` | the crate `redis` | its blocking `SentinelClient`, in real time |
//! | `redis-r2d2` | the crates `redis` and `r2d2` | a connection from the pool for every operation, in real time (feature `r2d2`) |
//! | `exec:COMMAND` | whatever the program of the command wraps | as it says itself, in real time: [`Program`] |
//!
//! A driver adds no retries of its own. What it does with an error is what an application does that follows the
//! client's documentation.

mod blocking;
mod deadpool_redis;
mod documented;
#[cfg(feature = "fred")]
mod fred;
mod outcome;
mod program;
#[cfg(feature = "bb8")]
mod redis_bb8;
mod redis_blocking;
mod redis_connection_manager;
mod redis_multiplexed;
#[cfg(feature = "r2d2")]
mod redis_r2d2;
mod redis_sentinel;
mod redis_setup;
mod registry;
mod request;
#[cfg(feature = "rustis")]
mod rustis;
mod sentinel_client;

pub use deadpool_redis::DeadpoolRedis;
pub use documented::{DOCUMENTED, Documented, documented, why_not};
#[cfg(feature = "fred")]
pub use fred::Fred;
pub use program::{Complaints, EXEC, Program, ProgramError};
#[cfg(feature = "bb8")]
pub use redis_bb8::RedisBb8;
pub use redis_blocking::RedisBlocking;
pub use redis_connection_manager::RedisConnectionManager;
pub use redis_multiplexed::RedisMultiplexed;
#[cfg(feature = "r2d2")]
pub use redis_r2d2::RedisR2d2;
pub use redis_sentinel::RedisSentinel;
pub use registry::{DEFAULT, OPTIONAL, all, by_name, others};
#[cfg(feature = "rustis")]
pub use rustis::Rustis;
pub use sentinel_client::{SentinelClient, SentinelClientMemory};
