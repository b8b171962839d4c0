//! The page of the zoo, and what is amiss with it.

use std::fmt::Write as _;

use super::{Column, Matrix, Standing};

impl Matrix {
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
                let why = cell.why.as_ref().map_or("", |why| &why.reason);
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

#[cfg(test)]
mod tests {
    use model::verdict::Rule;

    use super::*;
    use crate::matrix::tests::matrix;

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
