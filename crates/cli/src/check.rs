//! `sentinel-lab check`: reading scenario files without running them. Also how `run` reads them.

use std::path::PathBuf;

use model::Plan;
use scenario::{LoadError, Options};

use crate::args::CheckArgs;
use crate::clients::registry;
use crate::exit::Exit;
use crate::files::scenario_files;
use crate::print;

/// A scenario that was read.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// The file as it was named.
    pub file: String,
    /// The file without folder and ending.
    pub name: String,
    /// What it says.
    pub plan: Plan,
}

pub(crate) fn check(args: &CheckArgs) -> Exit {
    match read(&args.paths) {
        Some(scenarios) => {
            let noun = if scenarios.len() == 1 { "scenario" } else { "scenarios" };
            print::out(&format!("{} {noun} without errors", scenarios.len()));
            Exit::Pass
        }
        None => Exit::Unusable,
    }
}

/// Reads every scenario; `None` after complaining about all that is wrong in any of them.
pub(crate) fn read(paths: &[PathBuf]) -> Option<Vec<Scenario>> {
    let files = match scenario_files(paths) {
        Ok(files) => files,
        Err(errors) => {
            for error in errors {
                print::error(&error.to_string());
            }
            return None;
        }
    };
    let drivers = registry();
    let names: Vec<&str> = drivers.iter().map(|driver| driver.name()).collect();
    let options = Options { drivers: Some(&names), wrong_at: Some(zoo::wrong_at), lenient: false };
    let mut scenarios = Vec::new();
    let mut usable = true;
    for path in files {
        match scenario::load(&path, &options) {
            Ok(plan) => {
                let name = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
                scenarios.push(Scenario { file: path.display().to_string(), name, plan });
            }
            Err(error) => {
                usable = false;
                complain(&error);
            }
        }
    }
    usable.then_some(scenarios)
}

fn complain(error: &LoadError) {
    match error {
        LoadError::Invalid(errors) => print::diagnostics(&errors.snippets(&print::snippets())),
        LoadError::Read { source, .. } => print::error(&format!("{error}: {source}")),
    }
}
