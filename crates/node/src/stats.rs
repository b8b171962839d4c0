//! Counters behind `INFO stats`.

use std::collections::BTreeMap;

/// Since the start, or since `CONFIG RESETSTAT`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stats {
    pub(crate) connections: u64,
    /// Connections that `maxclients` forbade.
    pub(crate) rejected: u64,
    pub(crate) commands: u64,
    /// By the names of commands and subcommands.
    pub(crate) calls: BTreeMap<&'static str, Calls>,
    /// By their codes.
    pub(crate) errors: BTreeMap<String, u64>,
    /// `BGREWRITEAOF`
    pub(crate) aof_rewrites: u64,
    pub(crate) expired: u64,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) freed_lazily: u64,
    pub(crate) sync_full: u64,
    pub(crate) sync_partial_ok: u64,
    pub(crate) sync_partial_err: u64,
}

/// Of one command.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Calls {
    /// It ran.
    pub(crate) ran: u64,
    /// It was refused before it ran.
    pub(crate) rejected: u64,
    /// It ran and gave an error.
    pub(crate) failed: u64,
}

const CODES_MAX: usize = 128;

impl Stats {
    /// Counts a command that ran.
    pub(crate) fn called(&mut self, name: &'static str, failed: bool) {
        self.commands += 1;
        let calls = self.calls.entry(name).or_default();
        calls.ran += 1;
        calls.failed += u64::from(failed);
    }

    /// Counts a command that was refused.
    pub(crate) fn rejected(&mut self, name: &'static str) {
        self.calls.entry(name).or_default().rejected += 1;
    }

    /// Counts an error by its first word.
    pub(crate) fn error(&mut self, text: &str) {
        // Scripts may make up codes; so many and no more are told apart.
        let code = text.split(' ').next().filter(|_| self.errors.len() < CODES_MAX).unwrap_or("ERR");
        match self.errors.get_mut(code) {
            Some(count) => *count += 1,
            None => {
                self.errors.insert(code.to_owned(), 1);
            }
        }
    }
}
