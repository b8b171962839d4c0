//! [`timeline`]: what happened in a run, line by line, folded so that it can be read.
//!
//! ```text
//!   9.902s            writer      INCR ok on redis-1 (#69)
//!  10.000s            fault       kill master: redis-1
//!  10.005s..13.905s   writer      INCR failed ×40 (#70..#109): connection refused
//! ```
//! What one client did again and again between two events of the cluster is one line, at the time of the first; so is an event
//! that comes several times in a row.

use model::{History, Time};

use crate::describe::{Entry, describe};
use crate::style::{Ink, Style};

/// What happened in `from..=to`. Handshakes and answers that changed nothing are left out.
pub fn timeline(history: &History, from: Time, to: Time, style: Style) -> String {
    marked(history, from, to, &[], style)
}

/// The same with remarks of the reader put in at their times.
pub(crate) fn marked(history: &History, from: Time, to: Time, marks: &[(Time, String)], style: Style) -> String {
    let inside = |at: &Time| (from..=to).contains(at);
    let marks = marks.iter().filter(|(at, _)| inside(at)).map(|(at, text)| Entry::mark(*at, text.clone()));
    let mut entries: Vec<Entry> =
        describe(history).into_iter().filter(|entry| inside(&entry.at)).chain(marks).collect();
    entries.sort_by_key(|entry| entry.at);
    fold(entries).iter().map(|line| line.text(style)).collect::<Vec<_>>().join("\n")
}

/// One line of the timeline: an entry, or several that say the same.
struct Line {
    first: Entry,
    last: Time,
    last_seq: Option<u64>,
    count: u64,
}

/// Folds what clients did between one event of the cluster and the next, and an event that comes several times in a row.
fn fold(entries: Vec<Entry>) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    let mut block = 0;
    for entry in entries {
        let same = |line: &&mut Line| {
            let Entry { who, text, detail, .. } = &line.first;
            (who, text, detail) == (&entry.who, &entry.text, &entry.detail)
        };
        let repeated = if entry.folds { lines[block..].iter_mut().find(same) } else { lines.last_mut().filter(same) };
        if let Some(line) = repeated {
            line.last = entry.at;
            line.last_seq = entry.seq;
            line.count += 1;
        } else {
            let folds = entry.folds;
            lines.push(Line { last: entry.at, last_seq: entry.seq, count: 1, first: entry });
            if !folds {
                block = lines.len();
            }
        }
    }
    lines
}

impl Line {
    fn text(&self, style: Style) -> String {
        let Entry { at, who, text, detail, ink, seq, .. } = &self.first;
        let first = format!("{:>8}", at.to_string());
        let range = if self.last > *at { format!("{first}..{}", self.last) } else { first };
        let times = if self.count > 1 { format!(" ×{}", self.count) } else { String::new() };
        let numbers = match (seq, self.last_seq) {
            (Some(first), Some(last)) if self.count > 1 => format!(" (#{first}..#{last})"),
            (Some(first), _) => format!(" (#{first})"),
            _ => String::new(),
        };
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        let used = 19 + 1 + 11 + 1;
        let what = shorten(&format!("{text}{times}{numbers}{detail}"), style.width.max(60) - used);
        let what = ink.map_or(what.clone(), |ink| style.paint(ink, &what));
        format!("{} {who:<11} {what}", style.paint(Ink::Faint, &format!("{range:<19}")))
    }
}

/// `text` cut to `width` characters, with an ellipsis if something is missing.
fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Story;

    #[test]
    fn a_failover_can_be_read() {
        let story = Story::clung();
        let text = timeline(&story.history, Time::ZERO, Time::from_millis(60_000), Style::default());
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_window_shows_what_is_inside_and_marks_at_their_time() {
        let story = Story::clung();
        let marks =
            [(Time::from_millis(18_200), "here".to_owned()), (Time::from_millis(99_000), "not here".to_owned())];
        let text =
            marked(&story.history, Time::from_millis(18_000), Time::from_millis(18_500), &marks, Style::default());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn the_same_folds_within_a_block_only() {
        let entry = |ms, text: &str, folds| Entry {
            at: Time::from_millis(ms),
            who: "x".into(),
            text: text.into(),
            detail: String::new(),
            ink: None,
            seq: None,
            folds,
        };
        let entries = vec![
            entry(1, "a", true),
            entry(2, "b", true),
            entry(3, "a", true),
            entry(4, "event", false),
            entry(5, "a", true),
            entry(6, "event", false),
            entry(7, "event", false),
        ];
        let seen: Vec<_> = fold(entries).iter().map(|line| (line.first.text.clone(), line.count)).collect();
        let text = seen.iter().map(|(text, count)| format!("{text}{count}")).collect::<Vec<_>>().join(" ");
        assert_eq!(text, "a2 b1 event1 a1 event2");
    }
}
