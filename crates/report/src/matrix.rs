//! [`Matrix`]: clients against scenarios, as text, as JSON and as a page of Markdown.

mod findings;
mod text;
mod zoo;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use model::guideline::{CLAUSES, Clause};
use model::verdict::{Conformance, Invariant, Rule};
use serde::{Serialize, Serializer};

use self::findings::Finding;

use crate::phases::short;
use crate::style::Ink;

/// What else a cell of the text may have in it, and what that means.
const SIGNS: [(&str, &str); 2] =
    [("+", "so many more rules were broken."), ("(doc)", "the client's documentation announces it.")];

/// How the reasons of the page are to be read.
const REASONS: &str = "\n## Reasons\n\nScenarios in which a driver fails for the same reason are told together, with what happened in the \
                       first of them and the command that repeats it; for another put its file in.\n";

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
    /// One cell for each scenario and driver: all of the first scenario, then all of the second. In JSON each with its [`Mark`].
    #[serde(serialize_with = "marked")]
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
    /// Runs in which something that they had to show was not seen, whatever else came of them.
    pub unproven: u64,
    /// The longest that a recovery took; in JSON in microseconds.
    #[serde(rename = "worst_recovery_us", serialize_with = "micros")]
    pub worst_recovery: Option<Duration>,
    /// Rules that were broken in any run, first that of the reason; in JSON as `I1` or `recovered_within`.
    #[serde(serialize_with = "names")]
    pub rules: Vec<Rule>,
    /// Why the first of the worst runs did not pass, by the [gravest](weight) rule that any of them broke.
    #[serde(flatten)]
    pub why: Option<Why>,
    /// In which words the client's documentation announces every failure, and where.
    pub documented: Option<String>,
    /// What the scenario asks for and the client has not, if it is not applicable.
    pub lacks: Option<String>,
}

/// Why a run did not pass.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// What speaks against it.
    pub reason: String,
    /// The rule that speaks against it, unless the run broke.
    #[serde(skip)]
    pub rule: Option<Rule>,
    /// What of the reason is alike where the cause is.
    #[serde(skip)]
    pub cause: String,
    /// Its seed.
    pub seed: u64,
    /// The command that replays it.
    pub replay: String,
    /// What the run comes to by itself.
    #[serde(skip)]
    pub mark: Mark,
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

/// What a cell comes to, at a glance; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mark {
    /// [`Standing::Broken`].
    Broken,
    /// [`Standing::Fail`], for more than an error's words.
    Fail,
    /// [`Standing::Fail`], and no rule is broken but I7: every run showed that the client did what was asked of it, while an error that
    /// it gave does not name the true cause.
    WrongError,
    /// [`Standing::Inconclusive`].
    Inconclusive,
    /// [`Standing::Pass`].
    Pass,
    /// [`Standing::NotApplicable`].
    NotApplicable,
}

impl Mark {
    /// All of them, the best first.
    const ALL: [Self; 6] =
        [Self::Pass, Self::WrongError, Self::Fail, Self::Broken, Self::Inconclusive, Self::NotApplicable];

    const fn word(self) -> &'static str {
        match self {
            Self::Broken => "broken",
            Self::Fail => "fail",
            Self::WrongError => "wrong error",
            Self::Inconclusive => "inconclusive",
            Self::Pass => "pass",
            Self::NotApplicable => "n/a",
        }
    }

    /// What a cell of the text begins with.
    const fn sign(self) -> &'static str {
        match self {
            Self::Fail => "!",
            Self::WrongError => "~",
            mark => mark.word(),
        }
    }

    /// What it means, for who reads the table.
    const fn meaning(self) -> &'static str {
        match self {
            Self::Broken => "a run broke: the client panicked, or hung the clock.",
            Self::Fail => "rules were broken; the first that is named is that of the reason given.",
            Self::WrongError => {
                "a failure, but by I7 alone: the client recovered in time, or did what else was asked of it, and an error that \
                 it gave meanwhile does not name the true cause. A time beside it is the longest recovery."
            }
            Self::Inconclusive => "a run proved nothing, such as when a client did too little.",
            Self::Pass => "every run passed. A time is the longest recovery: from the fault to the first good write.",
            Self::NotApplicable => "the client cannot do what the scenario asks.",
        }
    }
}

/// The order in which broken rules are told. The least is I7, that an error does not name the true cause.
pub fn weight(rule: &Rule) -> (bool, Rule) {
    (*rule == Rule::Invariant(Invariant::I7), *rule)
}

/// What JSON has of a matrix besides its fields.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    matrix: &'a Matrix,
    /// How many cells of each driver have each mark.
    tallies: Vec<BTreeMap<Mark, usize>>,
    findings: Vec<Finding<'a>>,
}

fn marked<S: Serializer>(cells: &[Cell], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Marked<'a> {
        mark: Mark,
        #[serde(flatten)]
        cell: &'a Cell,
    }
    serializer.collect_seq(cells.iter().map(|cell| Marked { mark: cell.mark(), cell }))
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

    /// How many cells of a driver have this mark.
    fn count(&self, driver: usize, mark: Mark) -> usize {
        (0..self.scenarios.len()).filter(|scenario| self.cell(*scenario, driver).mark() == mark).count()
    }

    /// The marks that any cell has, the best first.
    fn marks(&self) -> impl Iterator<Item = Mark> {
        Mark::ALL.into_iter().filter(|mark| self.cells.iter().any(|cell| cell.mark() == *mark))
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

    /// One JSON document, without a newline at its end.
    pub fn json(&self) -> String {
        let drivers = 0..self.drivers.len();
        let tally = |driver| self.marks().map(|mark| (mark, self.count(driver, mark))).collect();
        let tallies = drivers.clone().map(tally).collect();
        let findings = drivers.flat_map(|driver| self.findings(driver)).collect();
        serde_json::to_string_pretty(&Document { matrix: self, tallies, findings }).expect("plain data has a JSON form")
    }

    /// A page for the project: how many scenarios each driver passes, the table, and the reasons for what did not pass.
    pub fn markdown(&self) -> String {
        let mut out = String::from("# Clients against scenarios\n\n");
        let seeds = self.seeds();
        let _ = write!(
            out,
            "Made by `{}`. Each cell is the worst of {seeds}, or of one run for a driver in real time. A driver is one way of using \
             a client, not the client; `sentinel-lab drivers` says which. The rules I1 to I9 are those of the README.",
            self.command
        );
        for mark in self.marks() {
            let _ = write!(out, " `{}`: {}", mark.word(), mark.meaning());
        }
        for (sign, meaning) in SIGNS {
            if self.cells.iter().any(|cell| cell.told().contains(sign)) {
                let _ = write!(out, " `{sign}`: {meaning}");
            }
        }
        out.push_str("\n\n");
        out.push_str(&self.tally_page());
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
                let _ = write!(out, " {} |", self.cell(row, column).told());
            }
            out.push('\n');
        }
        if self.clauses().next().is_some() {
            out.push_str(&self.guideline_page());
        }
        out.push_str(REASONS);
        for (column, Column { name: driver, about, .. }) in self.drivers.iter().enumerate() {
            let quiet = |cell: &Cell| cell.why.is_none() && cell.lacks.is_none();
            if self.cells.iter().skip(column).step_by(self.drivers.len()).all(quiet) {
                continue;
            }
            let _ = write!(out, "\n## {driver}\n\n{about}.\n\n");
            for (lacks, scenarios) in self.lacks(column) {
                let _ = writeln!(out, "- Not applicable, for it lacks {lacks}: {}", scenarios.join(", "));
            }
            for finding in self.findings(column) {
                finding.markdown(&mut out);
            }
        }
        out
    }

    /// How many cells of each driver have which mark, for the page.
    fn tally_page(&self) -> String {
        let mut out = String::from("| driver |");
        for mark in self.marks() {
            let _ = write!(out, " {} |", mark.word());
        }
        out.push_str("\n|---|");
        out.push_str(&"---|".repeat(self.marks().count()));
        for (column, Column { name, .. }) in self.drivers.iter().enumerate() {
            let _ = write!(out, "\n| {name} |");
            for mark in self.marks() {
                let _ = write!(out, " {} |", self.count(column, mark));
            }
        }
        out.push_str("\n\n");
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
}

impl Cell {
    /// What it comes to.
    pub fn mark(&self) -> Mark {
        match self.result {
            Standing::NotApplicable => Mark::NotApplicable,
            Standing::Pass => Mark::Pass,
            Standing::Inconclusive => Mark::Inconclusive,
            Standing::Fail if self.rules == [Rule::Invariant(Invariant::I7)] && self.unproven == 0 => Mark::WrongError,
            Standing::Fail => Mark::Fail,
            Standing::Broken => Mark::Broken,
        }
    }

    /// Adds a run of the same scenario and driver.
    pub fn add(&mut self, run: Self) {
        let failed = [self.result, run.result].map(|result| result >= Standing::Fail);
        self.documented = match failed {
            // What not every failure is announced by is not announced.
            [true, true] => run.documented.filter(|words| self.documented.as_ref() == Some(words)),
            [false, true] => run.documented,
            _ => self.documented.take(),
        };
        self.result = self.result.max(run.result);
        self.runs += run.runs;
        self.not_passed += run.not_passed;
        self.unproven += run.unproven;
        self.worst_recovery = self.worst_recovery.max(run.worst_recovery);
        self.rules.extend(run.rules);
        self.rules.sort_by_key(weight);
        self.rules.dedup();
        let order = |why: &Why| (why.mark, why.rule.as_ref().map(weight));
        if let Some(why) = run.why
            && self.why.as_ref().is_none_or(|known| order(&why) < order(known))
        {
            self.why = Some(why);
        }
        self.lacks = self.lacks.take().or(run.lacks);
    }

    fn ink(&self) -> Ink {
        match self.mark() {
            Mark::NotApplicable => Ink::Faint,
            Mark::Pass => Ink::Good,
            Mark::Inconclusive | Mark::WrongError => Ink::Unsure,
            Mark::Fail | Mark::Broken => Ink::Bad,
        }
    }

    fn recovery(&self) -> Option<String> {
        self.worst_recovery.map(|worst| short(Some(worst)))
    }

    /// Whether documentation announces it.
    const fn announced(&self) -> &'static str {
        if self.documented.is_some() { " (doc)" } else { "" }
    }

    /// For the page.
    fn told(&self) -> String {
        let mark = self.mark();
        let mut text = match mark {
            Mark::Pass | Mark::NotApplicable | Mark::Inconclusive => mark.word().to_owned(),
            Mark::Fail | Mark::WrongError | Mark::Broken => format!("**{}**", mark.word()),
        };
        match mark {
            Mark::Pass | Mark::WrongError => self.recovery().iter().for_each(|time| text.extend([" ", time])),
            Mark::Fail => self.rules.iter().for_each(|rule| text.extend([" ", &rule.word()])),
            Mark::Broken | Mark::Inconclusive | Mark::NotApplicable => {}
        }
        text + self.announced()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::style::Style;

    fn column(name: &str, about: &str) -> Column {
        Column { name: name.to_owned(), about: about.to_owned(), real_time: false }
    }

    /// It recovered, and gave an error that is not true.
    pub(super) fn wrong_error() -> Cell {
        Cell {
            result: Standing::Fail,
            not_passed: 1,
            runs: 2,
            worst_recovery: Some(Duration::from_millis(7_500)),
            rules: vec![Rule::Invariant(Invariant::I7)],
            why: Some(Why {
                reason: "I7 honest error: writer#9 failed at 9.100s with \"no such master\", which is not so".into(),
                rule: Some(Rule::Invariant(Invariant::I7)),
                cause: "I7: which is not so".into(),
                seed: 2,
                replay: "sentinel-lab run kill.yaml --seed 2".into(),
                mark: Mark::WrongError,
            }),
            ..Cell::default()
        }
    }

    pub(super) fn matrix() -> Matrix {
        let pass = Cell {
            result: Standing::Pass,
            runs: 2,
            worst_recovery: Some(Duration::from_millis(6_120)),
            ..Cell::default()
        };
        let fail = Cell {
            rules: vec![Rule::Invariant(Invariant::I1), Rule::RecoveredWithin],
            why: wrong_error().why.map(|why| Why {
                reason: "I1 converge: writer#7 failed".into(),
                rule: Some(Rule::Invariant(Invariant::I1)),
                cause: "I1: failed".into(),
                mark: Mark::Fail,
                ..why
            }),
            documented: Some("\"it does not reconnect\", its README".into()),
            ..wrong_error()
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

    /// Both scenarios and a third: the second driver recovers in two of them, and says of neither what happened.
    fn with_wrong_errors() -> Matrix {
        let mut matrix = matrix();
        matrix.scenarios.push("later".into());
        matrix.catches.push(BTreeMap::new());
        let unmeasured = Cell { worst_recovery: None, ..wrong_error() };
        matrix.cells.splice(3.., [wrong_error(), matrix.cells[0].clone(), unmeasured]);
        matrix
    }

    #[test]
    fn who_recovers_and_gives_a_wrong_error_is_told_apart_at_a_glance() {
        let matrix = with_wrong_errors();
        insta::assert_snapshot!(matrix.text(Style::default()));
        insta::assert_snapshot!(matrix.markdown());
        let json: serde_json::Value = serde_json::from_str(&matrix.json()).expect("JSON");
        let cell = &json["cells"][3];
        assert_eq!(
            (&cell["result"], &cell["mark"]),
            (&"fail".into(), &"wrong_error".into()),
            "it is a failure all the same"
        );
        assert_eq!(json["tallies"][1], serde_json::json!({"wrong_error": 2, "fail": 1, "pass": 0}));
        let finding = &json["findings"][1];
        assert_eq!((&finding["driver"], &finding["mark"]), (&"wrong-bad".into(), &"wrong_error".into()));
        let places = finding["scenarios"].as_array().expect("a list").iter().map(|place| &place["scenario"]);
        assert_eq!(places.collect::<Vec<_>>(), ["quiet", "later"]);
    }

    #[test]
    fn runs_add_up_to_a_cell_and_the_worst_of_them_is_told() {
        let add = |runs: &[&Cell]| {
            let mut cell = Cell::default();
            for run in runs {
                cell.add((*run).clone());
            }
            cell
        };
        let [pass, fail] = [0, 1].map(|index| Cell { runs: 1, ..matrix().cells[index].clone() });
        let wrong_error = Cell { runs: 1, ..wrong_error() };
        let reason = |cell: &Cell| cell.why.as_ref().expect("a reason").reason[..2].to_owned();
        let cell = add(&[&pass, &wrong_error, &fail, &pass]);
        assert_eq!((cell.result, cell.mark(), cell.runs, cell.not_passed), (Standing::Fail, Mark::Fail, 4, 2));
        assert_eq!(cell.rules, [Rule::Invariant(Invariant::I1), Rule::RecoveredWithin, Rule::Invariant(Invariant::I7)]);
        assert_eq!(cell.short(), "!I1,+2");
        assert_eq!((reason(&cell).as_str(), cell.worst_recovery), ("I1", wrong_error.worst_recovery));
        assert_eq!(cell.documented, None, "of one failure only");
        assert_eq!(add(&[&fail, &pass, &fail]).documented, fail.documented);
        let unproven = Cell { result: Standing::Inconclusive, unproven: 1, ..pass.clone() };
        assert_eq!(add(&[&pass, &wrong_error]).mark(), Mark::WrongError);
        assert_eq!(
            add(&[&unproven, &wrong_error]).mark(),
            Mark::Fail,
            "of one run it is not known whether it recovered"
        );
        let lacking = add(&[&Cell { lacks: Some("TLS".into()), ..Cell::default() }]);
        assert_eq!((lacking.mark(), lacking.lacks.as_deref()), (Mark::NotApplicable, Some("TLS")));
    }

    #[test]
    fn a_cell_names_the_rule_of_its_reason_first() {
        let fails = |rules: &[Rule]| Cell {
            rules: rules.to_vec(),
            why: wrong_error().why.map(|why| {
                let rule = rules.iter().copied().min_by_key(weight);
                Why { reason: rule.expect("a rule").word(), rule, mark: Mark::Fail, ..why }
            }),
            documented: None,
            ..wrong_error()
        };
        let told = |runs: &[&[Rule]]| {
            let mut cell = Cell::default();
            for rules in runs {
                cell.add(fails(rules));
            }
            (cell.short(), cell.told(), cell.why.expect("a reason").reason)
        };
        let of =
            |short: &str, told: &str, reason: &str| (short.to_owned(), format!("**fail** {told}"), reason.to_owned());
        let [i1, i2, i7] = [Invariant::I1, Invariant::I2, Invariant::I7].map(Rule::Invariant);
        let seen = told(&[&[i7, Rule::FailedAtMost]]);
        assert_eq!(seen, of("!failed_at_most,+1", "failed_at_most I7", "failed_at_most"));
        assert_eq!(told(&[&[Rule::FailedAtMost]]), of("!failed_at_most", "failed_at_most", "failed_at_most"));
        assert_eq!(told(&[&[i2], &[i1, i7]]), of("!I1,I2,I7", "I1 I2 I7", "I1"), "the gravest came with another seed");
    }

    #[test]
    fn every_mark_that_occurs_is_explained_in_the_same_words() {
        let mut matrix = with_wrong_errors();
        matrix.cells[0].result = Standing::Inconclusive;
        matrix.cells[2].result = Standing::Broken;
        matrix.cells[4] = Cell::default();
        let (text, page) = (matrix.text(Style { width: 1_000, ..Style::default() }), matrix.markdown());
        for mark in matrix.marks() {
            assert!(text.contains(&format!("{}: {}\n", mark.word(), mark.meaning())), "{mark:?}: {text}");
            assert!(page.contains(&format!(" `{}`: {}", mark.word(), mark.meaning())), "{mark:?}: {page}");
        }
        assert_eq!(matrix.marks().count(), 5, "a cell that passes there is none of");
        assert!(!text.contains("pass:") && !page.contains("`pass`:"));
        assert!(text.contains("\n(doc): the client's") && text.contains("\n+: so many"));
    }

    #[test]
    fn a_wrong_error_is_all_that_is_wrong_only_where_nothing_else_is_and_that_was_shown() {
        let mark = |change: fn(&mut Cell)| {
            let mut cell = wrong_error();
            change(&mut cell);
            cell.mark()
        };
        assert_eq!(mark(|_| {}), Mark::WrongError);
        assert_eq!(mark(|cell| cell.rules.push(Rule::FailedAtMost)), Mark::Fail);
        assert_eq!(mark(|cell| cell.rules = vec![Rule::Invariant(Invariant::I6)]), Mark::Fail);
        assert_eq!(mark(|cell| cell.unproven = 1), Mark::Fail);
        assert_eq!(mark(|cell| cell.result = Standing::Broken), Mark::Broken);
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
}
