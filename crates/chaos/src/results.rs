//! The results of a campaign as NDJSON, and how those of its shards are joined.
//!
//! The first line describes the campaign, then comes a line a run in the order of the seeds, and a last line that says
//! that it came to its end. Nothing in them depends on the machine or on how fast it was, but for
//! runs that took too long or too much memory, and where a campaign ended that was stopped early.

use std::collections::BTreeMap;
use std::io::{BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::campaign::Summary;
use crate::case::CaseResult;
use crate::shard::Shard;

/// Version of this form; raised when a field changes its meaning.
pub const FORMAT: u32 = 1;

/// What was to be done. Equal for the shards of one campaign, but for their part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of the program.
    pub version: String,
    /// SHA-256 of the program's file.
    pub binary: String,
    /// The drivers, in order.
    pub drivers: Vec<String>,
    /// The profiles, in order.
    pub profiles: Vec<String>,
    /// The nemeses, if they were chosen by name.
    pub nemeses: Vec<String>,
    /// The intensity.
    pub intensity: u8,
    /// Scenarios taken apart, in order, each with the SHA-256 of its plan; none in random chaos.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub scenarios: Vec<(String, String)>,
    /// Cases of each of them at the most.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit: Option<u64>,
    /// What a run may take before that is a finding: real time in milliseconds,
    pub run_limit_ms: u64,
    /// and memory in MiB.
    pub memory_limit_mib: u64,
    /// The first seed,
    pub from: u64,
    /// and the one after the last.
    pub to: u64,
    /// The part of this file.
    pub partition: Shard,
}

/// A line of a results file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// The first line.
    Campaign(Header),
    /// A run.
    Run {
        /// The profile that its schedule was drawn from, or `systematic` and the name of the scenario.
        profile: String,
        /// What came of it.
        #[serde(flatten)]
        result: CaseResult,
    },
    /// The last line.
    End {
        /// How many runs there are above.
        runs: u64,
        /// Why there are fewer than there should be; none if there are all.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        stopped: Option<String>,
    },
}

/// Writes a line.
///
/// # Errors
/// What `out` says.
pub fn write(out: &mut impl Write, line: &Line) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}

/// Several shards, joined.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Joined {
    /// What they have in common, and the first part that there is; none of no files.
    pub header: Option<Header>,
    /// What the runs came to, by profile or scenario.
    pub summaries: BTreeMap<String, Summary>,
    /// Shards that no file is of.
    pub missing: Vec<Shard>,
    /// Files that end before their campaign did, and why.
    pub incomplete: Vec<String>,
}

/// Why shards cannot be joined.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A file cannot be read.
    #[error("{file}: {source}")]
    Unreadable {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// A line is not what it should be.
    #[error("{file}:{line}: {problem}; the file must be one that `chaos --results` wrote")]
    Malformed {
        /// Which file.
        file: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        problem: String,
    },
    /// Two files are not of the same campaign.
    #[error(
        "{file} is of another campaign than {first}: {what} is {theirs} there and {ours} here; join only shards of one binary and one set of arguments"
    )]
    Different {
        /// This file.
        file: String,
        /// The first file.
        first: String,
        /// What differs.
        what: &'static str,
        /// In the first file.
        theirs: String,
        /// In this one.
        ours: String,
    },
    /// Two files are of the same shard.
    #[error("{file} is shard {shard}, and so is {first}; leave one of them out")]
    Twice {
        /// This file.
        file: String,
        /// The other file.
        first: String,
        /// The shard.
        shard: Shard,
    },
}

/// Joins result files, each with its name.
///
/// # Errors
/// See [`MergeError`]. Missing shards are no error.
pub fn merge<R: BufRead>(files: impl IntoIterator<Item = (String, R)>) -> Result<Joined, MergeError> {
    let mut joined = Joined::default();
    let mut first: Option<(String, Header)> = None;
    let mut shards: BTreeMap<Shard, String> = BTreeMap::new();
    for (file, reader) in files {
        let header = read(&file, reader, &mut joined)?;
        if let Some(known) = shards.get(&header.partition) {
            return Err(MergeError::Twice { file, first: known.clone(), shard: header.partition });
        }
        if let Some((known, expected)) = &first {
            different(&file, &header, known, expected)?;
        }
        shards.insert(header.partition, file.clone());
        first.get_or_insert((file, header));
    }
    if let Some((_, header)) = first {
        let of = header.partition.of;
        joined.missing =
            (1..=of).map(|index| Shard { index, of }).filter(|shard| !shards.contains_key(shard)).collect();
        // Nothing tells in which order the files came.
        let partition = *shards.keys().next().unwrap_or(&header.partition);
        joined.header = Some(Header { partition, ..header });
        joined.incomplete.sort();
    }
    Ok(joined)
}

fn read(file: &str, reader: impl BufRead, joined: &mut Joined) -> Result<Header, MergeError> {
    let mut header: Option<Header> = None;
    let mut ended = None;
    let mut runs = 0;
    // The number of the run before, of each campaign.
    let mut before: BTreeMap<(String, String, Option<u64>), u64> = BTreeMap::new();
    for (index, line) in reader.lines().enumerate() {
        let malformed = |problem: String| MergeError::Malformed { file: file.to_owned(), line: index + 1, problem };
        let line = line.map_err(|source| MergeError::Unreadable { file: file.to_owned(), source })?;
        let parsed = match serde_json::from_str(&line) {
            Ok(parsed) => parsed,
            // A process that was ended while it wrote leaves half a line at the end.
            Err(error) if header.is_some() && error.is_eof() => break,
            Err(error) => return Err(malformed(error.to_string())),
        };
        match (parsed, &header) {
            (Line::Campaign(found), None) if found.format == FORMAT => header = Some(found),
            (Line::Campaign(found), None) => {
                return Err(malformed(format!("format {} instead of {FORMAT}", found.format)));
            }
            (Line::Campaign(_), Some(_)) => return Err(malformed("a second campaign begins".to_owned())),
            (_, None) => return Err(malformed("the campaign is not described before it".to_owned())),
            (Line::Run { profile, result }, Some(header)) => {
                runs += 1;
                let campaign = (profile.clone(), result.driver.clone(), result.number.map(|_| result.seed));
                // A file that nobody wrote may say anything.
                let Shard { index, of } = header.partition;
                let first =
                    if result.number.is_some() { 1 } else { header.from }.saturating_add(index.saturating_sub(1));
                let due = before.get(&campaign).map_or(first, |before| before.saturating_add(of));
                if result.id() != due {
                    let of = format!("of {profile} with {}", result.driver);
                    return Err(malformed(format!("run {} {of} where run {due} should be", result.id())));
                }
                before.insert(campaign, due);
                joined.summaries.entry(profile).or_default().add(&result);
            }
            (Line::End { runs: told, .. }, Some(_)) if told != runs => {
                return Err(malformed(format!("{runs} runs are above instead of {told}")));
            }
            (Line::End { stopped, .. }, Some(_)) => ended = Some(stopped),
        }
    }
    let header = header.ok_or_else(|| MergeError::Malformed {
        file: file.to_owned(),
        line: 1,
        problem: "the file is empty".to_owned(),
    })?;
    let shard = header.partition;
    match ended {
        Some(None) => {}
        Some(Some(why)) => joined.incomplete.push(format!("{file}: shard {shard} stopped after {runs} runs: {why}")),
        None => joined.incomplete.push(format!("{file}: shard {shard} breaks off after {runs} runs")),
    }
    Ok(header)
}

fn different(file: &str, header: &Header, first: &str, expected: &Header) -> Result<(), MergeError> {
    let parts = |header: &Header| {
        [
            ("the binary", header.binary.clone()),
            ("the version", header.version.clone()),
            ("--driver", header.drivers.join(",")),
            ("--profile", header.profiles.join(",")),
            ("--nemesis", header.nemeses.join(",")),
            ("--intensity", header.intensity.to_string()),
            (
                "--systematic",
                header.scenarios.iter().map(|(name, hash)| format!("{name} ({hash})")).collect::<Vec<_>>().join(","),
            ),
            ("--limit", header.limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())),
            ("--run-limit", format!("{} ms", header.run_limit_ms)),
            ("--memory-limit", header.memory_limit_mib.to_string()),
            ("--seeds", format!("{}..{}", header.from, header.to)),
            ("the number of shards", header.partition.of.to_string()),
        ]
    };
    for ((what, ours), (_, theirs)) in parts(header).into_iter().zip(parts(expected)) {
        if ours != theirs {
            let (file, first) = (file.to_owned(), first.to_owned());
            return Err(MergeError::Different { file, first, what, theirs, ours });
        }
    }
    Ok(())
}
