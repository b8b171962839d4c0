//! [`timeline`]: what happened in a run, line by line, folded so that it can be read.
//!
//! ```text
//!   9.902s            writer      INCR ok on redis-1 (#69)
//!  10.000s            fault       kill master: redis-1
//!  10.005s..13.905s   writer      INCR failed ×40 (#70..#109): connection refused
//! ```
//! What one client did again and again between two events of the cluster is one line, at the time of the first; so is an event
//! that comes several times in a row. Clients that did the same at the same times are one line as well, which names the first of
//! them: `client-1 +199`.

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
    let lines = together(fold(entries));
    let column = lines.iter().map(|line| line.who().chars().count()).max().unwrap_or(0).clamp(11, 20);
    lines.iter().map(|line| line.text(style, column)).collect::<Vec<_>>().join("\n")
}

/// One line of the timeline: an entry, or several that say the same.
struct Line {
    first: Entry,
    last: Time,
    last_seq: Option<u64>,
    count: u64,
    /// Clients of which the same is to be said, besides the first.
    others: u64,
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
            lines.push(Line { last: entry.at, last_seq: entry.seq, count: 1, others: 0, first: entry });
            if !folds {
                block = lines.len();
            }
        }
    }
    lines
}

/// Makes one line of those in a block that differ in nothing but the client.
fn together(lines: Vec<Line>) -> Vec<Line> {
    let mut told: Vec<Line> = Vec::new();
    for line in lines {
        let mut here = told.iter_mut().rev().take_while(|other| other.first.folds && other.first.at == line.first.at);
        match here.find(|other| other.is_like(&line)) {
            Some(same) => same.others += 1,
            None => told.push(line),
        }
    }
    told
}

impl Line {
    /// True if only who it is about is another.
    fn is_like(&self, other: &Self) -> bool {
        let Entry { at, text, detail, seq, folds, .. } = &self.first;
        let of = &other.first;
        (at, text, detail, seq, folds) == (&of.at, &of.text, &of.detail, &of.seq, &of.folds)
            && (self.last, self.last_seq, self.count) == (other.last, other.last_seq, other.count)
    }

    /// `client-1`, or `client-1 +199` if 199 more did the same.
    fn who(&self) -> String {
        match self.others {
            0 => self.first.who.clone(),
            others => format!("{} +{others}", self.first.who),
        }
    }

    /// The line, with at least `column` characters for who it is about.
    fn text(&self, style: Style, column: usize) -> String {
        let Entry { at, text, detail, ink, seq, .. } = &self.first;
        let who = self.who();
        let first = format!("{:>8}", at.to_string());
        let range = if self.last > *at { format!("{first}..{}", self.last) } else { first };
        let times = if self.count > 1 { format!(" ×{}", self.count) } else { String::new() };
        let numbers = match (seq, self.last_seq) {
            (Some(first), Some(last)) if self.count > 1 => format!(" (#{first}..#{last})"),
            (Some(first), _) => format!(" (#{first})"),
            _ => String::new(),
        };
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        let used = 19 + 1 + column + 1;
        let what = shorten(&format!("{text}{times}{numbers}{detail}"), style.width.max(60) - used);
        let what = ink.map_or(what.clone(), |ink| style.paint(ink, &what));
        format!("{} {who:<column$} {what}", style.paint(Ink::Faint, &format!("{range:<19}")))
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

    fn entry(ms: u64, text: &str, folds: bool) -> Entry {
        Entry {
            at: Time::from_millis(ms),
            who: "x".into(),
            text: text.into(),
            detail: String::new(),
            ink: None,
            seq: None,
            folds,
        }
    }

    #[test]
    fn clients_that_do_the_same_at_the_same_time_are_one_line() {
        let by = |who: usize, ms, text: &str, seq| Entry {
            who: format!("client-{who}"),
            seq: Some(seq),
            ..entry(ms, text, true)
        };
        let all = |ms, text: &'static str, seq| (1..=200).map(move |who| by(who, ms, text, seq));
        let mut entries: Vec<Entry> = all(1, "a", 1).chain(all(1, "b", 2)).chain(all(3, "a", 4)).collect();
        // These three are not alike: another number, another time, another block.
        entries.extend([by(1, 5, "c", 5), by(2, 5, "c", 6), by(3, 6, "c", 5), entry(6, "event", false)]);
        entries.push(by(4, 6, "c", 5));
        let lines = together(fold(entries));
        let text: Vec<String> = lines.iter().map(|line| line.text(Style::default(), 13)).collect();
        insta::assert_snapshot!(text.join("\n"));
    }

    #[test]
    fn the_same_folds_within_a_block_only() {
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
