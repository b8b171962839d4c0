//! The matrix for a terminal.

use std::fmt::Write as _;

use model::verdict::Rule;

use super::{Cell, Column, Mark, Matrix, SIGNS};
use crate::style::{Ink, Style};

impl Matrix {
    /// A table for a terminal, with numbers for the drivers, and the reasons below.
    pub fn text(&self, style: Style) -> String {
        let mut out = String::new();
        for (number, Column { name, about, .. }) in self.drivers.iter().enumerate() {
            let _ = writeln!(out, "{:>3}  {name:26} {}", number + 1, style.paint(Ink::Faint, about));
        }
        self.grid(style, &mut out);
        self.legend(style, &mut out);
        if self.clauses().next().is_some() {
            self.guideline_grid(style, &mut out);
        }
        for (column, Column { name: driver, .. }) in self.drivers.iter().enumerate() {
            for (lacks, scenarios) in self.lacks(column) {
                let text = format!("not applicable, for it lacks {lacks}: {}", scenarios.join(", "));
                let _ = writeln!(out, "\n{driver}\n{}", style.wrap("  ", &text));
            }
            for finding in self.findings(column) {
                finding.text(style, &mut out);
            }
        }
        out
    }

    /// The cells, and how many of each driver have which mark.
    fn grid(&self, style: Style, out: &mut String) {
        let names = self.scenarios.iter().map(|name| name.chars().count());
        let width = names.chain(self.marks().map(|mark| mark.word().len())).max().unwrap_or(0).max(8);
        let room = |column| {
            let cells = (0..self.scenarios.len()).map(|row| self.cell(row, column).short().chars().count());
            cells.max().unwrap_or(0).max(9)
        };
        let rooms: Vec<usize> = (0..self.drivers.len()).map(room).collect();
        let _ = write!(out, "\n{:width$}", "scenario");
        for (column, room) in rooms.iter().enumerate() {
            let _ = write!(out, " {:>room$}", column + 1);
        }
        out.push('\n');
        for (row, scenario) in self.scenarios.iter().enumerate() {
            let _ = write!(out, "{scenario:width$}");
            for (column, room) in rooms.iter().enumerate() {
                let cell = self.cell(row, column);
                let _ = write!(out, " {}", style.paint(cell.ink(), &format!("{:>room$}", cell.short())));
            }
            out.push('\n');
        }
        for mark in self.marks() {
            let _ = write!(out, "{:width$}", mark.word());
            for (column, room) in rooms.iter().enumerate() {
                let _ = write!(out, " {:>room$}", self.count(column, mark));
            }
            out.push('\n');
        }
    }

    /// What the cells have in them, and what that means.
    fn legend(&self, style: Style, out: &mut String) {
        out.push('\n');
        for mark in self.marks() {
            let (sign, word) = (mark.sign(), mark.word());
            let first = if sign == word { format!("{word}: ") } else { format!("{sign} {word}: ") };
            let _ = writeln!(out, "{}", style.wrap(&first, mark.meaning()));
        }
        for (sign, meaning) in SIGNS {
            if self.cells.iter().any(|cell| cell.short().contains(sign)) {
                let _ = writeln!(out, "{sign}: {meaning}");
            }
        }
    }

    /// The guideline, clause by clause.
    fn guideline_grid(&self, style: Style, out: &mut String) {
        let _ = write!(out, "\n{:9}", "guideline");
        for number in 1..=self.drivers.len() {
            let _ = write!(out, " {number:>9}");
        }
        out.push('\n');
        for clause in self.clauses() {
            let _ = write!(out, "{:9}", format!("clause {}", clause.number));
            for column in 0..self.drivers.len() {
                let _ = write!(out, " {:>9}", self.keeps(column, clause));
            }
            let _ = writeln!(out, "  {}", style.paint(Ink::Faint, clause.text));
        }
        let _ = write!(out, "{:9}", "kept");
        for column in 0..self.drivers.len() {
            let _ = write!(out, " {:>9}", self.conformance(column));
        }
        out.push('\n');
    }
}

impl Cell {
    /// For a terminal: the rules for which there is no room are counted; the first is always named.
    pub(super) fn short(&self) -> String {
        let mark = self.mark();
        let text = match mark {
            Mark::Pass => self.recovery().unwrap_or_else(|| mark.sign().to_owned()),
            Mark::WrongError => mark.sign().to_owned() + &self.recovery().unwrap_or_else(|| "I7".to_owned()),
            Mark::Fail => {
                let words: Vec<String> = self.rules.iter().copied().map(Rule::word).collect();
                let fits = |shown: &usize| words[..*shown].join(",").len() <= 8;
                let shown = (1..=words.len()).rev().find(fits).unwrap_or(words.len().min(1));
                let (named, rest) = words.split_at(shown);
                let more = if rest.is_empty() { String::new() } else { format!(",+{}", rest.len()) };
                mark.sign().to_owned() + &named.join(",") + &more
            }
            Mark::Broken | Mark::Inconclusive | Mark::NotApplicable => mark.sign().to_owned(),
        };
        text + self.announced()
    }
}
