//! A comparison as text, JSON and Markdown.

use std::fmt::Write as _;

use crate::compare::{Compared, Comparison};
use crate::episode::Phase;
use crate::statistics::Spread;

/// For people: each phase with least, median and greatest time on both sides, and every difference. With `events`, also
/// every event at leader and followers side by side.
pub fn text(comparison: &Comparison, events: bool) -> String {
    let Comparison { name, real_runs, lab_runs, .. } = comparison;
    let outcome = match comparison.differences().count() {
        0 => "parity".to_owned(),
        1 => "1 difference".to_owned(),
        many => format!("{many} differences"),
    };
    let mut out = format!("{name}: {outcome} ({real_runs} real runs, {lab_runs} in the lab; milliseconds)\n");
    for episode in &comparison.episodes {
        let _ = writeln!(out, "  {}", episode.fault);
        let _ = writeln!(out, "    {:<13} {:>20}   {:>20}   allowed", "phase", "real", "lab");
        for row in &episode.phases {
            let mark = if row.agrees { ' ' } else { '!' };
            let (name, real, lab) = (row.phase.name(), spread(row.real), spread(row.lab));
            let _ = writeln!(out, "  {mark} {name:<13} {real}   {lab}   {:>7.0}", row.allowed);
        }
        if events {
            self::events(episode, &mut out);
        }
        let seen = episode.real_orders_seen_in_the_lab;
        let _ = writeln!(out, "    whole orders of events seen in the lab too: {} of {} real ones", seen.yes, seen.of);
    }
    for difference in comparison.differences() {
        let _ = writeln!(out, "  ! {difference}");
    }
    out.truncate(out.trim_end().len());
    out
}

fn events(episode: &Compared, out: &mut String) {
    let _ = writeln!(out, "    {:<8} {:<42} {:>20} {:>9}   {:>20} {:>9}", "at", "event", "real", "", "lab", "");
    for row in &episode.events {
        let (post, real, lab) = (row.post.name(), spread(row.real_at), spread(row.lab_at));
        let shares = [row.real, row.lab].map(|share| format!("{}/{}", share.yes, share.of));
        let _ = writeln!(out, "    {post:<8} {:<42} {real} {:>9}   {lab} {:>9}", row.event, shares[0], shares[1]);
    }
}

fn spread(spread: Option<Spread>) -> String {
    match spread {
        Some(Spread { min, median, max, .. }) => format!("{min:>6.0} {median:>6.0} {max:>6.0}"),
        None => format!("{:>20}", "never"),
    }
}

/// One JSON document, on one line.
pub fn json(comparison: &Comparison) -> String {
    serde_json::to_string(comparison).unwrap_or_default()
}

/// A table of the medians of all scenarios, `real / lab`, one line a failover. Phases that disagree are in bold.
pub fn markdown(comparisons: &[Comparison]) -> String {
    let shown: Vec<Phase> = Phase::ALL.iter().copied().filter(|phase| happened(comparisons, *phase)).collect();
    let heads: Vec<&str> = shown.iter().map(|phase| phase.name()).collect();
    let mut out = format!("| scenario | runs | {} |\n|---|---|{}\n", heads.join(" | "), "---|".repeat(shown.len()));
    for comparison in comparisons {
        for (number, episode) in comparison.episodes.iter().enumerate() {
            let part = if comparison.episodes.len() > 1 { format!(", {}", number + 1) } else { String::new() };
            let runs = format!("{} / {}", comparison.real_runs, comparison.lab_runs);
            let _ = write!(out, "| {}{part} | {runs} |", comparison.name);
            for phase in &shown {
                let cell = match episode.phases.iter().find(|row| row.phase == *phase) {
                    Some(row) => {
                        let median =
                            |side: Option<Spread>| side.map_or("-".to_owned(), |it| format!("{:.0}", it.median));
                        let bold = if row.agrees { "" } else { "**" };
                        format!("{bold}{} / {}{bold}", median(row.real), median(row.lab))
                    }
                    None => String::new(),
                };
                let _ = write!(out, " {cell} |");
            }
            out.push('\n');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn happened(comparisons: &[Comparison], phase: Phase) -> bool {
    let episodes = comparisons.iter().flat_map(|comparison| &comparison.episodes);
    episodes.flat_map(|episode| &episode.phases).any(|row| row.phase == phase)
}
