//! The drivers by name.

use std::sync::Arc;

use testbed::driver::Driver;

use crate::{
    DeadpoolRedis, RedisBlocking, RedisConnectionManager, RedisMultiplexed, RedisSentinel, SentinelClient,
    SentinelClientMemory,
};

/// Name of the driver that is used where none is named.
pub const DEFAULT: &str = "sentinel-client";

/// Names of the drivers behind features, whether or not this build has them.
pub const OPTIONAL: &[&str] = &["redis-bb8", "fred", "rustis", "redis-r2d2"];

/// Every driver that this build has, the default one first, those in real time last.
pub fn all() -> Vec<Arc<dyn Driver>> {
    vec![
        Arc::new(SentinelClient),
        Arc::new(RedisSentinel),
        Arc::new(RedisMultiplexed),
        Arc::new(RedisConnectionManager),
        Arc::new(DeadpoolRedis),
        #[cfg(feature = "bb8")]
        Arc::new(crate::RedisBb8),
        #[cfg(feature = "fred")]
        Arc::new(crate::Fred),
        #[cfg(feature = "rustis")]
        Arc::new(crate::Rustis),
        Arc::new(RedisBlocking),
        #[cfg(feature = "r2d2")]
        Arc::new(crate::RedisR2d2),
    ]
}

/// Other ways of carrying a client that [`all`] has.
pub fn others() -> Vec<Arc<dyn Driver>> {
    vec![Arc::new(SentinelClientMemory)]
}

/// The driver called `name`.
pub fn by_name(name: &str) -> Option<Arc<dyn Driver>> {
    all().into_iter().chain(others()).find(|driver| driver.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_driver_is_found_by_its_name_and_the_names_differ() {
        let drivers: Vec<_> = all().into_iter().chain(others()).collect();
        for (index, driver) in drivers.iter().enumerate() {
            assert_eq!(by_name(driver.name()).map(|found| found.about().to_owned()).as_deref(), Some(driver.about()));
            assert!(drivers[..index].iter().all(|other| other.name() != driver.name()), "{}", driver.name());
        }
        assert!(by_name("no-such-driver").is_none());
    }

    #[test]
    fn the_default_comes_first() {
        assert_eq!(all()[0].name(), DEFAULT);
    }
}
