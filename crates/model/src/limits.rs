//! [`Limits`]: how much of what its clients send and do not read a data node keeps.

use std::time::Duration;

const MIB: u64 = 1 << 20;

/// The limits of a node on its connections, in bytes. The defaults are Redis's own, which a Sentinel cannot change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `client-query-buffer-limit`: what may wait to be understood.
    pub query_buffer: u64,
    /// `proto-max-bulk-len`: the longest word of a request.
    pub bulk: u64,
    /// `client-output-buffer-limit normal`
    pub normal: OutputLimit,
    /// `client-output-buffer-limit slave`
    pub replica: OutputLimit,
    /// `client-output-buffer-limit pubsub`
    pub pubsub: OutputLimit,
}

/// What may wait to be read by a client of one class. Zero bytes are no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimit {
    /// So many bytes and the connection is closed at once.
    pub hard: u64,
    /// So many bytes, for longer than `lasting`, and it is closed.
    pub soft: u64,
    /// Whole seconds.
    pub lasting: Duration,
}

impl OutputLimit {
    const fn new(hard: u64, soft: u64, seconds: u64) -> Self {
        Self { hard, soft, lasting: Duration::from_secs(seconds) }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            query_buffer: 1_024 * MIB,
            bulk: 512 * MIB,
            normal: OutputLimit::new(0, 0, 0),
            replica: OutputLimit::new(256 * MIB, 64 * MIB, 60),
            pubsub: OutputLimit::new(32 * MIB, 8 * MIB, 60),
        }
    }
}
