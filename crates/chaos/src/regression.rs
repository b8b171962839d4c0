//! A finding as a scenario file: a few lines that show it for ever, with how it was found in the comments.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use model::Plan;

use crate::case::{Case, is_of_the_cluster};
use crate::shrink::Shrunk;

/// How a finding came about.
#[derive(Clone, Debug)]
pub struct Origin {
    /// What found it: `chaos of profile mean`.
    pub by: String,
    /// The number of the case; of random chaos its seed.
    pub number: u64,
    /// The driver.
    pub driver: String,
    /// The seed of the run.
    pub seed: u64,
    /// The kind of failure.
    pub signature: String,
}

/// What the comments of a file say about how it is to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replay {
    /// `# seed: 17`
    pub seed: Option<u64>,
    /// `# driver: redis-sentinel`
    pub driver: Option<String>,
}

/// The text of the file.
pub fn text(origin: &Origin, shrunk: &Shrunk) -> String {
    let Origin { by, driver, seed, signature, .. } = origin;
    let [before, after] = shrunk.faults;
    let mut text = String::new();
    let mut comment = |line: &str| {
        let line = line.replace(['\n', '\r'], " ");
        let _ = writeln!(text, "# {line}");
    };
    let version = env!("CARGO_PKG_VERSION");
    let cut_short = shrunk.cut_short.map(|why| format!(", {why}")).unwrap_or_default();
    if shrunk.runs == 0 {
        comment(&format!("Found by sentinel-lab {version} with {by}; not shrunk{cut_short}."));
    } else {
        comment(&format!("Found by sentinel-lab {version} with {by}; shrunk from"));
        comment(&format!(
            "{} to {after} in {}{cut_short}.",
            counted(before as u64, "fault"),
            counted(shrunk.runs, "run")
        ));
    }
    comment(&format!("violates: {signature}"));
    comment(&format!("  {}", shrunk.failure.text));
    if is_of_the_cluster(&shrunk.failure.signature) {
        comment(
            "The cluster's own rules are judged by `sentinel-lab chaos`, and in sentinel-lab's repository by a test for",
        );
        comment("regressions; not by `run`.");
    }
    comment(&format!("seed: {seed}"));
    comment(&format!("driver: {driver}"));
    text + &scenario::render(&shrunk.plan)
}

/// Writes the file into `folder`, which is made if it is not there; gives its path. It is named by driver, rule and number,
/// and counted on from 2 if another finding has that name: none is ever overwritten.
///
/// # Errors
/// The folder cannot be made, or the file not written; then there is none.
pub fn save(folder: &Path, origin: &Origin, shrunk: &Shrunk) -> std::io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let rule = origin.signature.split([':', '/']).next().unwrap_or_default();
    let rule: String =
        rule.trim().to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let name = format!("{}-{rule}-{}", origin.driver, origin.number);
    let text = text(origin, shrunk);
    let mut path = folder.join(format!("{name}.yaml"));
    for count in 2_u64.. {
        match File::create_new(&path) {
            Ok(file) => {
                write_whole(file, &path, &text)?;
                break;
            }
            // The same finding once more is there already.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if std::fs::read(&path)? == text.as_bytes() {
                    break;
                }
                path = folder.join(format!("{name}-{count}.yaml"));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(path)
}

/// Writes the text into a file that was just made, or leaves none where there is no room for all of it.
fn write_whole(mut file: File, path: &Path, text: &str) -> std::io::Result<()> {
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = std::fs::remove_file(path);
    }
    written
}

/// Writes a case that nothing is said of into `folder`, which is made if it is not there; gives its path.
///
/// # Errors
/// The folder cannot be made, or the file not written; then there is none.
pub fn save_case(folder: &Path, by: &str, case: &Case) -> std::io::Result<PathBuf> {
    let Case { seed, driver, plan, .. } = case;
    std::fs::create_dir_all(folder)?;
    let name: String = by.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let path = folder.join(format!("{name}-{}.yaml", case.id()));
    let head = format!(
        "# Drawn by sentinel-lab {} for {by}.\n# seed: {seed}\n# driver: {driver}\n",
        env!("CARGO_PKG_VERSION")
    );
    write_whole(File::create(&path)?, &path, &(head + &scenario::render(plan)))?;
    Ok(path)
}

/// What the comments at the head of a scenario file say about how it is to be run.
pub fn replay(source: &str) -> Replay {
    let mut replay = Replay::default();
    for line in source.lines().map_while(|line| line.strip_prefix('#')) {
        match line.trim().split_once(": ") {
            Some(("seed", seed)) => replay.seed = seed.trim().parse().ok(),
            Some(("driver", driver)) => replay.driver = Some(driver.trim().to_owned()),
            _ => {}
        }
    }
    replay
}

/// How many faults a plan has, without those that undo others.
pub fn faults(plan: &Plan) -> usize {
    crate::schedule::Schedule::faults(plan)
}

fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
