//! [`Matrix`]: clients against scenarios, as text, as JSON and as a page of Markdown.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use model::guideline::{CLAUSES, Clause};
use model::verdict::{Conformance, Rule};
use serde::{Serialize, Serializer};

use crate::phases::short;
use crate::style::{Ink, Style};

/// Clients against scenarios.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Matrix {
    /// The command that fills it.
    pub command: String,
    /// Runs of each scenario with each driver that is not in real time.
    pub seeds: u64,
    /// The scenarios, by the names of their files, in the order of the rows.
    pub scenarios: Vec<String>,
    /// For each scenario the wrong clients that it exists to catch, each with the rule that it must break; in JSON as `I1`.
    #[serde(serialize_with = "declared")]
    pub catches: Vec<BTreeMap<String, Rule>>,
    /// The drivers, in the order of the columns.
    pub drivers: Vec<Column>,
    /// One cell for each scenario and driver: all of the first scenario, then all of the second.
    pub cells: Vec<Cell>,
    /// For each driver and each clause of the [guideline](model::guideline) that the runs showed, over all of them.
    pub guideline: Vec<BTreeMap<u8, Kept>>,
}

/// How a driver kept to a clause of the guideline, over all runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// How often it did.
    pub kept: u64,
    /// How often it did not.
    pub broken: u64,
    /// The first time that it did not, and where.
    pub example: Option<String>,
}

/// A driver.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Which client it is and how it is used.
    pub about: String,
    /// Its calls block threads, so that it ran once, in real time.
    pub real_time: bool,
}

/// What came of the runs of one scenario with one driver.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Cell {
    /// The worst of the runs.
    pub result: Standing,
    /// Runs that did not pass.
    pub not_passed: u64,
    /// Runs that were made.
    pub runs: u64,
    /// The longest that a recovery took; in JSON in microseconds.
    #[serde(rename = "worst_recovery_us", serialize_with = "micros")]
    pub worst_recovery: Option<Duration>,
    /// Rules that were broken in any run; in JSON as `I1` or `recovered_within`.
    #[serde(serialize_with = "names")]
    pub rules: Vec<Rule>,
    /// Why the first of the worst runs did not pass.
    pub reason: Option<String>,
    /// The command that replays that run.
    pub replay: Option<String>,
    /// In which words the client's documentation announces it, and where.
    pub documented: Option<String>,
    /// What the scenario asks for and the client has not, if it is not applicable.
    pub lacks: Option<String>,
}

/// What a cell says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The client cannot do what the scenario asks of it.
    #[default]
    NotApplicable,
    /// Every run passed.
    Pass,
    /// A run proved nothing, and none failed.
    Inconclusive,
    /// A run failed.
    Fail,
    /// A run broke: the client panicked, or hung the clock.
    Broken,
}

/// As serde calls it.
#[allow(clippy::ref_option)]
fn micros<S: Serializer>(time: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_micros() as u64).serialize(serializer)
}

fn declared<S: Serializer>(catches: &[BTreeMap<String, Rule>], serializer: S) -> Result<S::Ok, S::Error> {
    let words = |of: &BTreeMap<String, Rule>| -> BTreeMap<String, String> {
        of.iter().map(|(driver, rule)| (driver.clone(), rule.word())).collect()
    };
    serializer.collect_seq(catches.iter().map(words))
}

fn names<S: Serializer>(rules: &[Rule], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(rules.iter().copied().map(Rule::word))
}

impl Matrix {
    /// The cell of a scenario and a driver, by their places.
    pub fn cell(&self, scenario: usize, driver: usize) -> &Cell {
        &self.cells[scenario * self.drivers.len() + driver]
    }

    /// How many cells of a driver say so.
    fn count(&self, driver: usize, result: Standing) -> usize {
        (0..self.scenarios.len()).filter(|scenario| self.cell(*scenario, driver).result == result).count()
    }

    /// A table for a terminal, with numbers for the drivers, and the reasons below.
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        for (number, Column { name, about, .. }) in self.drivers.iter().enumerate() {
            let _ = writeln!(out, "{:>3}  {name:26} {}", number + 1, style.paint(Ink::Faint, about));
        }
        let width = self.scenarios.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(8);
        let _ = write!(out, "\n{:width$}", "scenario");
        for number in 1..=self.drivers.len() {
            let _ = write!(out, " {number:>9}");
        }
        out.push('\n');
        for (row, scenario) in self.scenarios.iter().enumerate() {
            let _ = write!(out, "{scenario:width$}");
            for column in 0..self.drivers.len() {
                let cell = self.cell(row, column);
                let _ = write!(out, " {}", style.paint(cell.ink(), &format!("{:>9}", cell.short())));
            }
            out.push('\n');
        }
        let _ = write!(out, "{:width$}", "passed");
        for column in 0..self.drivers.len() {
            let _ = write!(out, " {:>9}", self.score(column));
        }
        out.push('\n');
        if self.clauses().next().is_some() {
            let _ = write!(out, "\n{:width$}", "guideline");
            for number in 1..=self.drivers.len() {
                let _ = write!(out, " {number:>9}");
            }
            out.push('\n');
            for clause in self.clauses() {
                let _ = write!(out, "{:width$}", format!("clause {}", clause.number));
                for column in 0..self.drivers.len() {
                    let _ = write!(out, " {:>9}", self.keeps(column, clause));
                }
                let _ = writeln!(out, "  {}", style.paint(Ink::Faint, clause.text));
            }
            let _ = write!(out, "{:width$}", "kept");
            for column in 0..self.drivers.len() {
                let _ = write!(out, " {:>9}", self.conformance(column));
            }
            out.push('\n');
        }
        for (column, Column { name: driver, .. }) in self.drivers.iter().enumerate() {
            for (lacks, scenarios) in self.lacks(column) {
                let text = format!("not applicable, for it lacks {lacks}: {}", scenarios.join(", "));
                let _ = writeln!(out, "\n{driver}\n{}", style.wrap("  ", &text));
            }
            for (row, scenario) in self.scenarios.iter().enumerate() {
                let cell = self.cell(row, column);
                let Some(reason) = &cell.reason else { continue };
                let _ = write!(out, "\n{driver} in {scenario}\n{}", style.wrap("  ", reason));
                if let Some(documented) = &cell.documented {
                    let _ = write!(out, "\n  documented: {documented}");
                }
                if let Some(replay) = &cell.replay {
                    let _ = write!(out, "\n  replay: {replay}");
                }
                out.push('\n');
            }
        }
        out
    }

    /// Adds what a run of a driver showed of the guideline; `place` says which run.
    pub fn conform(&mut self, driver: usize, place: &str, shown: &[Conformance]) {
        self.guideline.resize(self.drivers.len(), BTreeMap::new());
        for seen in shown {
            let entry = self.guideline[driver].entry(seen.clause).or_default();
            entry.kept += seen.kept;
            entry.broken += seen.broken;
            if let (None, Some(example)) = (&entry.example, &seen.example) {
                entry.example = Some(format!("{place}: {example}"));
            }
        }
    }

    /// The clauses that the runs showed anything of.
    fn clauses(&self) -> impl Iterator<Item = &'static Clause> {
        let shown = |clause: &&Clause| self.guideline.iter().any(|driver| driver.contains_key(&clause.number));
        CLAUSES.iter().filter(shown)
    }

    /// What a driver showed of a clause: `yes`, `3 %` of the times otherwise, `-` if nothing.
    fn keeps(&self, driver: usize, clause: &Clause) -> String {
        match self.guideline.get(driver).and_then(|seen| seen.get(&clause.number)) {
            Some(Kept { kept: 0, broken: 0, .. }) | None => "-".to_owned(),
            Some(Kept { broken: 0, .. }) => "yes".to_owned(),
            Some(Kept { kept: 0, .. }) => "no".to_owned(),
            // Never 0 or 100, which are `no` and `yes`.
            Some(Kept { kept, broken, .. }) => format!("{}%", (kept * 100 / (kept + broken)).clamp(1, 99)),
        }
    }

    /// `9/11`: clauses kept to throughout, of those that the runs showed; optional ones do not count.
    fn conformance(&self, driver: usize) -> String {
        let told = self.clauses().filter(|clause| !clause.optional).map(|clause| self.keeps(driver, clause));
        let told: Vec<String> = told.filter(|told| told != "-").collect();
        format!("{}/{}", told.iter().filter(|told| *told == "yes").count(), told.len())
    }

    /// What a driver has not, each with the scenarios that ask for it.
    fn lacks(&self, driver: usize) -> BTreeMap<&str, Vec<&str>> {
        let mut lacks: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (row, scenario) in self.scenarios.iter().enumerate() {
            if let Some(what) = &self.cell(row, driver).lacks {
                lacks.entry(what).or_default().push(scenario);
            }
        }
        lacks
    }

    fn seeds(&self) -> String {
        if self.seeds == 1 { "1 seed".to_owned() } else { format!("{} seeds", self.seeds) }
    }

    /// `31/40`: passed of those that are applicable.
    fn score(&self, driver: usize) -> String {
        let applicable = self.scenarios.len() - self.count(driver, Standing::NotApplicable);
        format!("{}/{applicable}", self.count(driver, Standing::Pass))
    }

    /// One JSON document, without a newline at its end.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).expect("plain data has a JSON form")
    }

    /// A page for the project: the table, and a reason for every cell that did not pass.
    pub fn markdown(&self) -> String {
        let mut out = String::from("# Clients against scenarios\n\n");
        let seeds = self.seeds();
        let _ = writeln!(
            out,
            "Made by `{}`. Each cell is the worst of {seeds}, or of one run for a driver in real time. A time is the longest \
             recovery: from the fault to the first good write. A driver is one way of using a client, not the client; \
             `sentinel-lab drivers` says which. The rules I1 to I8 are those of the README. `n/a`: the client cannot do what \
             the scenario asks. `inconclusive`: a run proved nothing, such as when a client did too little. `(doc)`: the \
             client's documentation announces it.\n",
            self.command
        );
        out.push_str("| scenario |");
        for driver in &self.drivers {
            let _ = write!(out, " {} |", driver.name);
        }
        out.push_str("\n|---|");
        out.push_str(&"---|".repeat(self.drivers.len()));
        out.push('\n');
        for (row, scenario) in self.scenarios.iter().enumerate() {
            let _ = write!(out, "| {scenario} |");
            for column in 0..self.drivers.len() {
                let _ = write!(out, " {} |", self.cell(row, column).marked());
            }
            out.push('\n');
        }
        out.push_str("| **passed** |");
        for column in 0..self.drivers.len() {
            let _ = write!(out, " {} |", self.score(column));
        }
        out.push('\n');
        if self.clauses().next().is_some() {
            out.push_str(&self.guideline_page());
        }
        for (column, Column { name: driver, about, .. }) in self.drivers.iter().enumerate() {
            let quiet = |cell: &Cell| cell.reason.is_none() && cell.lacks.is_none();
            if self.cells.iter().skip(column).step_by(self.drivers.len()).all(quiet) {
                continue;
            }
            let _ = write!(out, "\n## {driver}\n\n{about}.\n\n");
            for (lacks, scenarios) in self.lacks(column) {
                let _ = writeln!(out, "- Not applicable, for it lacks {lacks}: {}", scenarios.join(", "));
            }
            for (row, scenario) in self.scenarios.iter().enumerate() {
                let cell = self.cell(row, column);
                let Some(reason) = &cell.reason else { continue };
                let _ = write!(out, "- **{scenario}** ({} of {}): {reason}", cell.not_passed, cell.runs);
                if let Some(documented) = &cell.documented {
                    let _ = write!(out, " *Documented: {documented}*");
                }
                if let Some(replay) = &cell.replay {
                    let _ = write!(out, " `{replay}`");
                }
                out.push('\n');
            }
        }
        out
    }

    /// The guideline, clause by clause, for the page.
    fn guideline_page(&self) -> String {
        let mut out = String::from("\n## The guideline, clause by clause\n\n");
        out.push_str(
            "How often each driver did what the guideline for clients of Sentinel says, over all runs, as the nodes saw it: `yes` \
             throughout, `no` never, a share otherwise, `-` if no run showed it. `may`: it is free to. Not to do it is not always \
             a fault that a user meets; that is what the scenarios are for.\n\n| clause | says that a client |",
        );
        for driver in &self.drivers {
            let _ = write!(out, " {} |", driver.name);
        }
        out.push_str("\n|---|---|");
        out.push_str(&"---|".repeat(self.drivers.len()));
        out.push('\n');
        for clause in self.clauses() {
            let may = if clause.optional { " (may)" } else { "" };
            let _ = write!(out, "| {} | {}{may} |", clause.number, clause.text);
            for column in 0..self.drivers.len() {
                let _ = write!(out, " {} |", self.keeps(column, clause));
            }
            out.push('\n');
        }
        out.push_str("| | **kept throughout** |");
        for column in 0..self.drivers.len() {
            let _ = write!(out, " {} |", self.conformance(column));
        }
        out.push_str("\n\n");
        for (column, Column { name: driver, .. }) in self.drivers.iter().enumerate() {
            for (clause, seen) in self.guideline.get(column).into_iter().flatten() {
                if let Some(example) = &seen.example {
                    let times = seen.kept + seen.broken;
                    let _ = writeln!(
                        out,
                        "- **{driver}**, clause {clause} ({} of {times} times not): {example}",
                        seen.broken
                    );
                }
            }
        }
        out.push_str("\nNot judged, with the reason: ");
        let unjudged: Vec<String> = CLAUSES
            .iter()
            .filter_map(|clause| Some(format!("{} ({}: {})", clause.number, clause.text, clause.unjudged?)))
            .collect();
        let _ = writeln!(out, "{}.", unjudged.join("; "));
        out
    }

    /// The page of the zoo: which scenario catches which defect. The first driver is the client without a defect.
    pub fn zoo(&self) -> String {
        let mut out = String::from("# Wrong clients against scenarios\n\n");
        let seeds = self.seeds();
        let _ = writeln!(
            out,
            "Made by `{}`. A scenario catches a wrong client if that fails there with one of {seeds}. The same client without \
             a defect passes all of them. In bold are those that a scenario exists to catch (`catches` in its file), with the rule \
             that they must break there. `sentinel-lab run SCENARIO --driver wrong-NAME` shows it.\n\n\
             | wrong client | what it does | exists for it | catches it too |\n|---|---|---|---|",
            self.command
        );
        for (column, Column { name: driver, about, .. }) in self.drivers.iter().enumerate().skip(1) {
            let (own, others): (Vec<usize>, Vec<usize>) =
                self.caught(column).into_iter().partition(|row| self.catches[*row].contains_key(driver));
            let names = |rows: &[usize]| listed(rows.iter().map(|row| self.scenarios[*row].clone()));
            let own = if own.is_empty() { String::new() } else { format!("**{}**", names(&own)) };
            let _ = writeln!(out, "| {driver} | {about} | {own} | {} |", names(&others));
        }
        out.push_str("\n| scenario | exists to catch | catches too |\n|---|---|---|\n");
        for (row, scenario) in self.scenarios.iter().enumerate() {
            let own = self.catches[row].iter().map(|(driver, rule)| format!("**{driver}** ({})", rule.word()));
            let fails = |column: &usize| self.cell(row, *column).result == Standing::Fail;
            let others = (1..self.drivers.len()).filter(fails).map(|column| &self.drivers[column].name);
            let others = others.filter(|driver| !self.catches[row].contains_key(*driver)).cloned();
            let _ = writeln!(out, "| {scenario} | {} | {} |", listed(own), listed(others));
        }
        out
    }

    /// The scenarios in which a driver fails, by their places.
    fn caught(&self, driver: usize) -> Vec<usize> {
        (0..self.scenarios.len()).filter(|row| self.cell(*row, driver).result == Standing::Fail).collect()
    }

    /// What is amiss with the scenarios of the zoo: the first driver fails, or one exists to catch no wrong client, or does not catch
    /// one that it exists for.
    pub fn amiss(&self) -> Vec<String> {
        let mut amiss = Vec::new();
        for (row, scenario) in self.scenarios.iter().enumerate() {
            let cell = self.cell(row, 0);
            if !matches!(cell.result, Standing::Pass | Standing::NotApplicable) {
                let why = cell.reason.as_deref().unwrap_or_default();
                amiss.push(format!("the client without a defect does not pass {scenario}: {why}"));
            }
            if self.catches[row].is_empty() {
                let example = "`expect: {catches: {wrong-never-rediscovers: I1}}`";
                amiss.push(format!("{scenario} does not say which wrong client it exists to catch, such as {example}"));
            }
            for (driver, rule) in &self.catches[row] {
                let column = self.drivers.iter().position(|column| column.name == *driver);
                if !column.is_some_and(|column| self.cell(row, column).rules.contains(rule)) {
                    amiss.push(format!("{scenario} exists to catch {driver} by {}, and does not", rule.word()));
                }
            }
        }
        amiss
    }
}

/// In a row; nothing if there is nothing.
fn listed(names: impl Iterator<Item = String>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

impl Cell {
    fn ink(&self) -> Ink {
        match self.result {
            Standing::NotApplicable => Ink::Faint,
            Standing::Pass => Ink::Good,
            Standing::Inconclusive => Ink::Unsure,
            Standing::Fail | Standing::Broken => Ink::Bad,
        }
    }

    fn recovery(&self) -> Option<String> {
        self.worst_recovery.map(|worst| short(Some(worst)))
    }

    /// In nine characters.
    fn short(&self) -> String {
        match self.result {
            Standing::NotApplicable => "n/a".to_owned(),
            Standing::Pass => self.recovery().unwrap_or_else(|| "pass".to_owned()),
            Standing::Inconclusive => "unproven".to_owned(),
            Standing::Fail => {
                let invariant = |rule: &&Rule| matches!(rule, Rule::Invariant(_));
                let broken: Vec<String> = self.rules.iter().filter(invariant).copied().map(Rule::word).collect();
                match &broken[..] {
                    [] => "FAIL".to_owned(),
                    // As many as there is room for.
                    [one, rest @ ..] if rest.len() > 2 => format!("!{one},+{}", rest.len()),
                    all => format!("!{}", all.join(",")),
                }
            }
            Standing::Broken => "BROKEN".to_owned(),
        }
    }

    fn marked(&self) -> String {
        let mut text = match self.result {
            Standing::NotApplicable => "n/a".to_owned(),
            Standing::Pass => self.recovery().map_or_else(|| "pass".to_owned(), |recovery| format!("pass {recovery}")),
            Standing::Inconclusive => "inconclusive".to_owned(),
            Standing::Fail => {
                let rules: Vec<String> = self.rules.iter().copied().map(Rule::word).collect();
                format!("**fail** {}", rules.join(" "))
            }
            Standing::Broken => "**broken**".to_owned(),
        };
        if self.documented.is_some() {
            text.push_str(" (doc)");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use model::verdict::Invariant;

    use super::*;

    fn column(name: &str, about: &str) -> Column {
        Column { name: name.to_owned(), about: about.to_owned(), real_time: false }
    }

    fn matrix() -> Matrix {
        let pass = Cell {
            result: Standing::Pass,
            runs: 2,
            worst_recovery: Some(Duration::from_millis(6_120)),
            ..Cell::default()
        };
        let fail = Cell {
            result: Standing::Fail,
            not_passed: 1,
            runs: 2,
            rules: vec![Rule::Invariant(Invariant::I1), Rule::RecoveredWithin],
            reason: Some("I1 converge: writer#7 failed".into()),
            replay: Some("sentinel-lab run kill.yaml --seed 2".into()),
            documented: Some("\"it does not reconnect\", its README".into()),
            ..Cell::default()
        };
        Matrix {
            scenarios: vec!["kill".into(), "quiet".into()],
            catches: vec![BTreeMap::from([("wrong-bad".into(), Rule::Invariant(Invariant::I1))]), BTreeMap::new()],
            drivers: vec![column("good", "a good one"), column("wrong-bad", "a bad one")],
            command: "sentinel-lab matrix".into(),
            seeds: 2,
            cells: vec![pass.clone(), fail, pass, Cell::default()],
            guideline: Vec::new(),
        }
    }

    #[test]
    fn the_guideline_is_summed_over_the_runs_of_a_driver() {
        let mut matrix = matrix();
        let shown = |clause, kept, broken: u64| Conformance {
            client: model::ClientId::new("writer"),
            clause,
            kept,
            broken,
            example: (broken > 0).then(|| "it did not".to_owned()),
        };
        matrix.conform(0, "kill", &[shown(7, 2, 0), shown(14, 999, 1), shown(27, 0, 0)]);
        matrix.conform(0, "quiet", &[shown(14, 1, 1)]);
        matrix.conform(1, "kill", &[shown(7, 0, 3)]);
        assert_eq!(matrix.conformance(0), "1/2");
        assert_eq!(matrix.conformance(1), "0/1");
        insta::assert_snapshot!(matrix.guideline_page());
        assert!(matrix.text(Style::default()).contains("clause 14       99%         -  asks a Sentinel whenever"));
        assert!(matrix.markdown().contains("## The guideline"));
    }

    #[test]
    fn people_can_read_it() {
        insta::assert_snapshot!(matrix().text(Style::default()));
    }

    #[test]
    fn programs_can_read_it() {
        let json: serde_json::Value = serde_json::from_str(&matrix().json()).expect("JSON");
        let cell = &json["cells"][1];
        assert_eq!((&cell["result"], &cell["runs"]), (&"fail".into(), &2.into()));
        assert_eq!(cell["rules"], serde_json::json!(["I1", "recovered_within"]));
        assert_eq!(json["cells"][0]["worst_recovery_us"], 6_120_000);
        assert_eq!(json["cells"][3]["result"], "not_applicable");
        assert_eq!(json["drivers"][1]["name"], "wrong-bad");
    }

    #[test]
    fn the_page_gives_a_reason_for_every_failure() {
        insta::assert_snapshot!(matrix().markdown());
    }

    #[test]
    fn the_zoo_says_what_is_amiss() {
        insta::assert_snapshot!(matrix().zoo());
        let undeclared = "quiet does not say which wrong client it exists to catch, such as \
                          `expect: {catches: {wrong-never-rediscovers: I1}}`";
        assert_eq!(matrix().amiss(), [undeclared]);
        let mut by_another_rule = matrix();
        by_another_rule.cells[1].rules = vec![Rule::RecoveredWithin];
        assert!(by_another_rule.amiss().contains(&"kill exists to catch wrong-bad by I1, and does not".to_owned()));
        let mut broken = matrix();
        broken.cells[0].result = Standing::Fail;
        assert!(broken.amiss()[0].starts_with("the client without a defect does not pass kill"));
    }
}
