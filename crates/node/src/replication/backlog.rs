//! [`Backlog`]: the latest part of the replication stream, kept for replicas that lost their link.

use std::collections::VecDeque;

use model::Command;

/// Commands of the stream, each with the offset after it.
#[derive(Clone, Debug)]
pub(crate) struct Backlog {
    /// Offset before the first command kept.
    start: u64,
    commands: VecDeque<(u64, Command)>,
    limit: u64,
}

impl Backlog {
    /// An empty one that goes on after `offset` and keeps `limit` bytes.
    pub(crate) fn new(offset: u64, limit: u64) -> Self {
        Self { start: offset, commands: VecDeque::new(), limit }
    }

    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Offset after the last command.
    fn end(&self) -> u64 {
        self.commands.back().map_or(self.start, |(end, _)| *end)
    }

    /// `repl_backlog_first_byte_offset`
    pub(crate) fn first_byte(&self) -> u64 {
        self.start + 1
    }

    /// `repl_backlog_histlen`
    pub(crate) fn length(&self) -> u64 {
        self.end() - self.start
    }

    /// Adds a command and drops what no longer fits.
    pub(crate) fn push(&mut self, command: Command) {
        let end = self.end() + command.encoded_len();
        self.commands.push_back((end, command));
        self.trim();
    }

    /// Keeps so many bytes from now on.
    pub(crate) fn resize(&mut self, limit: u64) {
        self.limit = limit;
        self.trim();
    }

    fn trim(&mut self) {
        while self.length() > self.limit
            && let Some((end, _)) = self.commands.pop_front()
        {
            self.start = end;
        }
    }

    /// What follows `offset`; `None` if that is not known any more, or not yet, or not between two commands.
    pub(crate) fn after(&self, offset: u64) -> Option<impl Iterator<Item = &Command>> {
        let skip = self.commands.partition_point(|(end, _)| *end <= offset);
        let boundary = if skip == 0 { self.start } else { self.commands[skip - 1].0 };
        (boundary == offset).then(|| self.commands.range(skip..).map(|(_, command)| command))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ping() -> Command {
        Command::of(&["PING"])
    }

    #[test]
    fn only_whole_commands_within_the_limit() {
        let mut backlog = Backlog::new(100, 40);
        assert_eq!(backlog.after(100).map(Iterator::count), Some(0));
        for _ in 0..3 {
            backlog.push(ping());
        }
        // A PING takes 14 bytes, so two of the three are kept.
        assert_eq!((backlog.first_byte(), backlog.length()), (115, 28));
        assert!(backlog.after(100).is_none());
        assert_eq!(backlog.after(114).map(Iterator::count), Some(2));
        assert_eq!(backlog.after(128).map(Iterator::count), Some(1));
        assert!(backlog.after(129).is_none());
        assert_eq!(backlog.after(142).map(Iterator::count), Some(0));
        assert!(backlog.after(143).is_none());
        backlog.resize(14);
        assert_eq!((backlog.limit(), backlog.first_byte(), backlog.length()), (14, 129, 14));
    }
}
