//! From text to a [`Plan`]: [`parse`] and [`load`].

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use model::Fault;
use model::plan::{Cluster, Plan, Workload};

use crate::form::{Mistake, Node, Record};
use crate::problems::{LoadError, Place, ScenarioErrors};
use crate::raw;
use crate::{convert, yaml};

/// The largest file that is read.
const MOST_BYTES: usize = 1 << 20;

/// What a scenario is checked against beside itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// The drivers that there are; `None` to take any name.
    pub drivers: Option<&'a [&'a str]>,
    /// The workload at which alone a client is wrong that is so on purpose, by the name of its driver; `None` to take any client for
    /// wrong at everything.
    pub wrong_at: Option<fn(&str) -> Option<Workload>>,
    /// Takes also what is right and of which nothing can come: steps that do or undo nothing, times that outlast the run, expectations
    /// that nobody can miss. For plans that a program has drawn, and takes apart.
    pub lenient: bool,
}

/// Reads a scenario. `file_name` is for messages only.
///
/// # Errors
/// Everything that is wrong with the scenario; broken YAML hides what comes after it.
pub fn parse(source: &str, file_name: &str, options: &Options<'_>) -> Result<Plan, ScenarioErrors> {
    let fail = |problems| Err(ScenarioErrors::new(file_name, source, problems));
    if source.len() > MOST_BYTES {
        let mistake = Mistake::new("the file is too large").help("a scenario has at most 1 MiB");
        return fail(vec![mistake.at(yaml::START)]);
    }
    match yaml::read::<Node<Record<raw::Scenario>>>(source) {
        Ok(root) => convert::plan(root, options).or_else(fail),
        Err(problem) => fail(vec![problem]),
    }
}

/// Reads one fault on a cluster, as a step of a timeline has it without its time, and how long it shall last, if that is
/// said: `kill: master`, `{hang: sentinel-1, for: 5s}`. `file_name` is for messages only.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_fault(
    source: &str,
    file_name: &str,
    cluster: &Cluster,
) -> Result<(Fault, Option<Duration>), ScenarioErrors> {
    let fail = |problems| Err(ScenarioErrors::new(file_name, source, problems));
    match yaml::read::<Node<Record<raw::Step>>>(source) {
        Ok(root) => convert::lone_fault(root, cluster).or_else(fail),
        Err(problem) => fail(vec![problem]),
    }
}

/// Where each step of the timeline of a scenario stands, for messages about it. Empty if it is no scenario.
pub fn step_places(source: &str) -> Vec<Place> {
    let root = yaml::read::<Node<Record<raw::Scenario>>>(source);
    root.map_or_else(|_| Vec::new(), convert::step_places)
}

/// Reads a scenario from a file.
///
/// # Errors
/// The file cannot be read, or it is no scenario.
pub fn load(path: &Path, options: &Options<'_>) -> Result<Plan, LoadError> {
    let read = || {
        let mut source = String::new();
        // One byte more than is allowed, so that `parse` sees that it is too much.
        std::fs::File::open(path)?.take(MOST_BYTES as u64 + 1).read_to_string(&mut source)?;
        Ok(source)
    };
    let source = read().map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    Ok(parse(&source, &path.display().to_string(), options)?)
}
