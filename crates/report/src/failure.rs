//! [`failure`]: why a run did not pass, for somebody who has not seen it.

use std::fmt::Write as _;
use std::time::Duration;

use model::verdict::{Finding, Recovery, Severity};
use model::{Outcome, Time};

use crate::run::Run;
use crate::style::{Ink, Style};
use crate::timeline::marked;

const BEFORE: Duration = Duration::from_secs(1);
const AFTER: Duration = Duration::from_millis(500);
/// More windows of the timeline than that nobody reads.
const MOST_WINDOWS: usize = 3;

/// Why a run did not pass: its findings in words, each change of master, what happened around the first violations, and
/// the command that replays it. Of a run that passed it tells what was waived.
pub fn failure(run: &Run<'_>, style: Style) -> String {
    let mut parts = vec![title(run, style)];
    parts.push(run.verdict.findings.iter().map(|finding| reason(finding, run, style)).collect::<Vec<_>>().join("\n"));
    parts.push(run.verdict.failovers.iter().map(|recovery| change(recovery, style)).collect::<Vec<_>>().join("\n"));
    parts.push(excerpts(run, style));
    parts.push(format!("  replay: {}", style.paint(Ink::Strong, run.replay)));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn title(run: &Run<'_>, style: Style) -> String {
    let outcome = run.verdict.outcome;
    let heading = style.paint(Ink::of(outcome), &outcome.to_string());
    let mut origin = format!("seed {}, driver {}", run.seed, run.driver);
    if let Some(file) = run.file {
        origin = format!("{file}, {origin}");
    }
    let title = if run.plan.title == run.name { String::new() } else { format!(": {}", run.plan.title) };
    format!("{heading}  {}{title}\n  {}", style.paint(Ink::Strong, run.name), style.paint(Ink::Faint, &origin))
}

fn reason(finding: &Finding, run: &Run<'_>, style: Style) -> String {
    let (ink, waived) = match finding.severity {
        Severity::Violation => (Ink::Bad, false),
        Severity::NoEvidence => (Ink::Unsure, false),
        Severity::Waived => (Ink::Faint, true),
    };
    let mut text = finding.text.clone();
    if finding.count > 1 {
        let _ = write!(text, "; and {} more of the kind", finding.count - 1);
    }
    if waived {
        let why = run
            .plan
            .expect
            .waive
            .iter()
            .find(|(invariant, _)| finding.rule == model::verdict::Rule::Invariant(*invariant));
        let _ = write!(text, " (waived: {})", why.map_or("", |(_, reason)| reason));
    }
    let label = format!("  {:<17} ", finding.rule.to_string());
    let wrapped = style.wrap(&label, &text);
    match wrapped.strip_prefix(&label) {
        Some(rest) => format!("{}{rest}", style.paint(ink, &label)),
        None => wrapped,
    }
}

/// One change of master in a sentence of moments.
fn change(recovery: &Recovery, style: Style) -> String {
    let moments = [
        ("fault", recovery.fault),
        ("+sdown", recovery.sdown),
        ("+odown", recovery.odown),
        ("leader elected", recovery.elected),
        ("promoted", recovery.promoted),
        ("first answer", recovery.first_answer),
        ("+switch-master", recovery.switch),
        ("T0", recovery.converged),
        ("a client asked", recovery.rediscovered),
        ("first write", recovery.first_write),
    ];
    let mut moments: Vec<(Time, &str)> = moments.iter().filter_map(|(name, at)| Some(((*at)?, *name))).collect();
    moments.sort_by_key(|(at, _)| *at);
    let told: Vec<String> = moments.iter().map(|(at, name)| format!("{name} {at}")).collect();
    style.wrap(&format!("  {:<17} ", recovery.master), &told.join(", "))
}

/// What happened around the violations or, if there are none, around what was not proven.
fn excerpts(run: &Run<'_>, style: Style) -> String {
    let wanted = match run.verdict.outcome {
        Outcome::Pass => return String::new(),
        Outcome::Fail => Severity::Violation,
        Outcome::Inconclusive => Severity::NoEvidence,
    };
    let found: Vec<&Finding> = run.verdict.findings.iter().filter(|f| f.severity == wanted).collect();
    let marks: Vec<(Time, String)> = found.iter().map(|finding| (finding.at, finding.rule.to_string())).collect();
    let windows = windows(&found.iter().map(|finding| finding.at).collect::<Vec<_>>());
    let indented = Style { width: style.width.saturating_sub(2), ..style };
    let texts = windows.iter().map(|(from, to)| marked(run.history, *from, *to, &marks, indented));
    let texts: Vec<String> = texts.map(|text| text.replace('\n', "\n  ")).map(|text| format!("  {text}")).collect();
    texts.join("\n        ...\n")
}

/// The windows around some moments, apart, in order.
fn windows(moments: &[Time]) -> Vec<(Time, Time)> {
    let mut moments = moments.to_vec();
    moments.sort_unstable();
    let mut windows: Vec<(Time, Time)> = Vec::new();
    for at in moments {
        let from = Time::from(at.elapsed().saturating_sub(BEFORE));
        match windows.last_mut() {
            Some((_, to)) if from <= *to => *to = at + AFTER,
            _ => windows.push((from, at + AFTER)),
        }
    }
    windows.truncate(MOST_WINDOWS);
    windows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Story;

    #[test]
    fn a_stranger_can_read_why_a_client_failed() {
        let story = Story::clung();
        let text = failure(&story.run(), Style::default());
        assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_was_not_proven_is_told_too() {
        let story = Story::inconclusive();
        insta::assert_snapshot!(failure(&story.run(), Style::default()));
    }

    #[test]
    fn windows_that_touch_are_one() {
        let told = |seconds: &[u64]| {
            let moments: Vec<Time> = seconds.iter().map(|s| Time::from_millis(s * 1_000)).collect();
            let texts =
                windows(&moments).into_iter().map(|(from, to)| format!("{}-{}", from.as_millis(), to.as_millis()));
            texts.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(told(&[]), "");
        assert_eq!(told(&[0]), "0-500");
        assert_eq!(told(&[9, 5, 6]), "4000-6500 8000-9500");
        assert_eq!(told(&[10, 20, 30, 40]), "9000-10500 19000-20500 29000-30500");
    }
}
