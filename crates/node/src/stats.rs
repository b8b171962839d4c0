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
    pub(crate) total_errors: u64,
    /// How many of them have been put down to a command, or to none.
    settled_errors: u64,
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

/// Bytes in which Redis looks for the end of a code.
const CODE_MAX: usize = 31;

impl Stats {
    /// A command begins: errors up to here are none of its own.
    pub(crate) fn begins(&mut self) {
        self.settled_errors = self.total_errors;
    }

    /// Counts a command that ran.
    pub(crate) fn called(&mut self, name: &'static str) {
        self.commands += 1;
        self.calls.entry(name).or_default().ran += 1;
        self.concluded(name);
    }

    /// A command failed if there were errors since it began, or since the last one ended that ran within it.
    pub(crate) fn concluded(&mut self, name: &'static str) {
        if self.total_errors > self.settled_errors {
            self.failed(name);
        }
        self.begins();
    }

    /// Counts a failure of a command by an error that is counted already.
    pub(crate) fn failed(&mut self, name: &'static str) {
        self.calls.entry(name).or_default().failed += 1;
    }

    /// Counts a command that was refused.
    pub(crate) fn rejected(&mut self, name: &'static str) {
        self.calls.entry(name).or_default().rejected += 1;
        self.begins();
    }

    /// Counts an error by its first word, if that is a short one and not the only one.
    pub(crate) fn error(&mut self, text: &str) {
        self.total_errors += 1;
        let code = text.split_once(' ').map(|(code, _)| code).filter(|code| code.len() < CODE_MAX).unwrap_or("ERR");
        match self.errors.get_mut(code) {
            Some(count) => *count += 1,
            None => {
                self.errors.insert(code.to_owned(), 1);
            }
        }
    }
}
