//! A table with one line for each run.

use std::time::Duration;

use crate::phases::{Phases, short};
use crate::run::Run;
use crate::style::{Ink, Style};

/// The header of the table. `name_width`: characters of the longest name.
pub fn header(name_width: usize, style: Style) -> String {
    let [down, elect, promote, switch, client] = Phases::NAMES;
    let text = format!(
        "{:12} {:name_width$} {:>8} {down:>6} {elect:>5} {promote:>7} {switch:>6} {client:>6} {:>6} {:>6} {:>5} {:>4}  {}",
        "", "scenario", "recovery", "ok", "failed", "ambig", "lost", "time"
    );
    style.paint(Ink::Faint, text.trim_end())
}

/// One run: verdict, name, recovery with its phases, operations by result over all clients, acknowledged writes lost,
/// virtual and wall time. Of several changes of master it shows the recovery that took longest.
pub fn line(run: &Run<'_>, name_width: usize, style: Style) -> String {
    let verdict = run.verdict;
    let phases = Phases::slowest(&verdict.failovers).unwrap_or_default();
    let [down, elect, promote, switch, client] = phases.parts().map(|part| short(part).replace('s', ""));
    let count = |of: fn(&model::verdict::ClientSummary) -> u64| verdict.clients.iter().map(of).sum::<u64>();
    let outcome = style.paint(Ink::of(verdict.outcome), &format!("{:12}", verdict.outcome));
    let total = style.paint(Ink::Strong, &format!("{:>8}", short(phases.total)));
    let parts = format!("{down:>6} {elect:>5} {promote:>7} {switch:>6} {client:>6}");
    format!(
        "{outcome} {:name_width$} {total} {} {:>6} {:>6} {:>5} {:>4}  {}",
        run.name,
        style.paint(Ink::Faint, &parts),
        count(|client| client.ok),
        count(|client| client.failed),
        count(|client| client.ambiguous),
        verdict.acknowledged_writes_lost,
        times(run.virtual_time, run.wall_time)
    )
}

/// `45s in 18ms`
fn times(virtual_time: Duration, wall_time: Duration) -> String {
    let wall = if wall_time < Duration::from_secs(10) {
        format!("{}ms", wall_time.as_millis())
    } else {
        format!("{}s", wall_time.as_secs())
    };
    format!("{}s in {wall}", virtual_time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Story;

    #[test]
    fn lines_stand_under_their_header() {
        let good = Story::recovered();
        let bad = Story::clung();
        let quiet = Story::quiet();
        let style = Style::default();
        let table = [
            header(14, style),
            line(&good.run(), 14, style),
            line(&bad.run(), 14, style),
            line(&quiet.run(), 14, style),
        ];
        assert!(table.iter().all(|line| line.len() <= 110), "{table:#?}");
        insta::assert_snapshot!(table.join("\n"));
    }

    #[test]
    fn times_of_runs() {
        assert_eq!(times(Duration::from_secs(45), Duration::from_micros(18_400)), "45s in 18ms");
        assert_eq!(times(Duration::from_secs(600), Duration::from_secs(75)), "600s in 75s");
    }
}
