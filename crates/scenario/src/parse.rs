//! From text to a [`Plan`]: [`parse`] and [`load`].

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use model::Fault;
use model::plan::{Cluster, Plan, Workload};
use serde_yaml::{MessageFormatter as _, UserMessageFormatter};

use crate::convert;
use crate::form::{Mistake, Node, Record};
use crate::problems::{LoadError, Place, Problem, ScenarioErrors};
use crate::raw;

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
}

/// Reads a scenario. `file_name` is for messages only.
///
/// # Errors
/// Everything that is wrong with the scenario; broken YAML hides what comes after it.
pub fn parse(source: &str, file_name: &str, options: &Options<'_>) -> Result<Plan, ScenarioErrors> {
    let fail = |problems| Err(ScenarioErrors::new(file_name, source, problems));
    if source.len() > MOST_BYTES {
        let mistake = Mistake::new("the file is too large").help("a scenario has at most 1 MiB");
        return fail(vec![problem(START, mistake)]);
    }
    match serde_yaml::from_str_with_options::<Node<Record<raw::Scenario>>>(source, yaml_options()) {
        Ok(root) => convert::plan(root, options).or_else(fail),
        Err(error) => fail(vec![broken(&error)]),
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
    match serde_yaml::from_str_with_options::<Node<Record<raw::Step>>>(source, yaml_options()) {
        Ok(root) => convert::lone_fault(root, cluster).or_else(fail),
        Err(error) => fail(vec![broken(&error)]),
    }
}

/// Where each step of the timeline of a scenario stands, for messages about it. Empty if it is no scenario.
pub fn step_places(source: &str) -> Vec<Place> {
    let root = serde_yaml::from_str_with_options::<Node<Record<raw::Scenario>>>(source, yaml_options());
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

/// The start of a file.
const START: Place = Place { offset: 0, len: 0, line: 1, column: 1 };

fn problem(place: Place, Mistake { message, help }: Mistake) -> Problem {
    Problem { message, help, place }
}

/// What is wrong with the YAML, in a reader's words, and where.
fn broken(error: &serde_yaml::Error) -> Problem {
    let mistake = match error.without_snippet() {
        serde_yaml::Error::Budget { .. } => {
            Mistake::new("the file is too deep, has too many parts, or more than one document")
                .help("a scenario is one YAML document, some maps and lists deep")
        }
        error => Mistake::new(UserMessageFormatter.format_message(error)),
    };
    problem(error.location().map_or(START, Place::from), mistake)
}

/// YAML 1.2 with budgets that no honest scenario meets.
fn yaml_options() -> serde_yaml::Options {
    serde_yaml::options! {
        strict_booleans: true,
        with_snippet: false,
        budget: serde_yaml::budget! {
            max_depth: 16,
            flow_nesting_limit: 16,
            max_nodes: 100_000,
            max_events: 300_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_documents: 1,
        },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 8,
            max_alias_expansions_per_anchor: 1_000,
        },
    }
}
