//! A failover-aware Redis Sentinel client on top of the redis crate
