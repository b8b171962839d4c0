//! [`Shard`]: which part of a seed range one machine of several takes. From `m/n`, or from what array jobs set.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Part `index` of `of`, counted from 1. It takes every `of`-th seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Shard {
    /// From 1.
    pub index: u64,
    /// How many there are.
    pub of: u64,
}

/// Why there is no shard.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// It is not `m/n` with 1 <= m <= n.
    #[error("`{0}` is no partition: write `2/5` for the second of five")]
    Malformed(String),
    /// An index without a total.
    #[error(
        "{index} is set, but {total} is not: set it to the number of shards, or give --partition m/n (1/1 for all seeds)"
    )]
    NoTotal {
        /// The variable that is set.
        index: &'static str,
        /// The one that is missing.
        total: &'static str,
    },
    /// A variable that is no number in the range.
    #[error("{name}={value} is no number {range}: set it right, or give --partition m/n (1/1 for all seeds)")]
    NoNumber {
        /// The variable.
        name: &'static str,
        /// What it holds.
        value: String,
        /// What it should be.
        range: String,
    },
}

/// Where array jobs say who they are.
struct Source {
    index: &'static str,
    total: &'static str,
    /// A variable with the first index; 0 if there is none.
    first: Option<&'static str>,
}

/// Kubernetes, Slurm, AWS Batch, Bazel. Kubernetes does not set the total by itself.
const SOURCES: [Source; 4] = [
    Source { index: "JOB_COMPLETION_INDEX", total: "JOB_COMPLETIONS", first: None },
    Source { index: "SLURM_ARRAY_TASK_ID", total: "SLURM_ARRAY_TASK_COUNT", first: Some("SLURM_ARRAY_TASK_MIN") },
    Source { index: "AWS_BATCH_JOB_ARRAY_INDEX", total: "AWS_BATCH_JOB_ARRAY_SIZE", first: None },
    Source { index: "TEST_SHARD_INDEX", total: "TEST_TOTAL_SHARDS", first: None },
];

impl Shard {
    /// All of it.
    pub const WHOLE: Self = Self { index: 1, of: 1 };

    /// The shard that the environment names; the whole if it names none. `get` looks a variable up.
    ///
    /// # Errors
    /// A variable is set that makes no sense, or an index without its total.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Result<Self, ShardError> {
        let number = |name: &'static str, range: std::ops::Range<u64>| -> Result<Option<u64>, ShardError> {
            let Some(value) = get(name) else { return Ok(None) };
            match value.trim().parse() {
                Ok(number) if range.contains(&number) => Ok(Some(number)),
                _ => {
                    let range = format!("from {} to {}", range.start, range.end - 1);
                    Err(ShardError::NoNumber { name, value, range })
                }
            }
        };
        for source in SOURCES {
            if get(source.index).is_none() {
                continue;
            }
            let total = number(source.total, 1..u64::from(u32::MAX))?;
            let of = total.ok_or(ShardError::NoTotal { index: source.index, total: source.total })?;
            let first = source.first.map_or(Ok(None), |name| number(name, 0..u64::from(u32::MAX)))?.unwrap_or(0);
            if let Some(index) = number(source.index, first..first + of)? {
                return Ok(Self { index: index - first + 1, of });
            }
        }
        Ok(Self::WHOLE)
    }

    /// The seeds of `from..to` that this shard takes, in order.
    pub fn seeds(self, from: u64, to: u64) -> impl ExactSizeIterator<Item = u64> {
        let count = to.saturating_sub(from).saturating_sub(self.index - 1).div_ceil(self.of);
        (0..usize::try_from(count).unwrap_or(usize::MAX)).map(move |n| from + self.index - 1 + n as u64 * self.of)
    }
}

impl FromStr for Shard {
    type Err = ShardError;

    fn from_str(s: &str) -> Result<Self, ShardError> {
        let parsed =
            s.split_once('/').and_then(|(index, of)| Some((index.trim().parse().ok()?, of.trim().parse().ok()?)));
        match parsed {
            Some((index, of)) if 1 <= index && index <= of => Ok(Self { index, of }),
            _ => Err(ShardError::Malformed(s.to_owned())),
        }
    }
}

/// `2/5`
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Result<Shard, ShardError> {
        Shard::from_env(|name| vars.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn shards_divide_the_seeds() {
        for of in 1..=7 {
            let mut all: Vec<u64> = (1..=of).flat_map(|index| Shard { index, of }.seeds(10, 33)).collect();
            all.sort_unstable();
            assert_eq!(all, (10..33).collect::<Vec<_>>(), "{of} shards");
        }
        assert_eq!(Shard { index: 2, of: 3 }.seeds(1, 9).collect::<Vec<_>>(), [2, 5, 8]);
        assert_eq!(Shard { index: 5, of: 5 }.seeds(1, 3).len(), 0);
    }

    #[test]
    fn array_jobs_say_who_they_are() {
        assert_eq!(env(&[]), Ok(Shard::WHOLE));
        assert_eq!(env(&[("JOB_COMPLETION_INDEX", "0"), ("JOB_COMPLETIONS", "4")]), Ok(Shard { index: 1, of: 4 }));
        let slurm = [("SLURM_ARRAY_TASK_ID", "4"), ("SLURM_ARRAY_TASK_COUNT", "4"), ("SLURM_ARRAY_TASK_MIN", "1")];
        assert_eq!(env(&slurm), Ok(Shard { index: 4, of: 4 }));
        let batch = [("AWS_BATCH_JOB_ARRAY_INDEX", "2"), ("AWS_BATCH_JOB_ARRAY_SIZE", "3")];
        assert_eq!(env(&batch), Ok(Shard { index: 3, of: 3 }));
        assert_eq!(env(&[("TEST_SHARD_INDEX", "1"), ("TEST_TOTAL_SHARDS", "2")]), Ok(Shard { index: 2, of: 2 }));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_do() {
        let text = env(&[("JOB_COMPLETION_INDEX", "0")]).unwrap_err().to_string();
        assert!(text.contains("JOB_COMPLETIONS is not") && text.contains("--partition"), "{text}");
        let text = env(&[("JOB_COMPLETION_INDEX", "4"), ("JOB_COMPLETIONS", "4")]).unwrap_err().to_string();
        assert!(text.starts_with("JOB_COMPLETION_INDEX=4 is no number from 0 to 3"), "{text}");
        assert!(env(&[("TEST_SHARD_INDEX", "0"), ("TEST_TOTAL_SHARDS", "many")]).is_err());
    }

    #[test]
    fn partitions_read_back() {
        assert_eq!("2/5".parse(), Ok(Shard { index: 2, of: 5 }));
        for text in ["", "2", "0/3", "4/3", "a/b", "1/0"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
