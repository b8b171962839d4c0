//! Counters behind `INFO stats`.

/// Since the start, or since `CONFIG RESETSTAT`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) connections: u64,
    /// Connections that `maxclients` forbade.
    pub(crate) rejected: u64,
    pub(crate) commands: u64,
    pub(crate) errors: u64,
    pub(crate) expired: u64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) sync_full: u64,
    pub(crate) sync_partial_ok: u64,
    pub(crate) sync_partial_err: u64,
}
