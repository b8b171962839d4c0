//! Where the real programs are.

use std::path::{Path, PathBuf};
use std::{env, fmt};

/// The paths of the real programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binaries {
    /// `redis-server`.
    pub server: PathBuf,
    /// `redis-sentinel`, which is `redis-server` under another name.
    pub sentinel: PathBuf,
}

/// The programs that are not on this machine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Missing(pub Vec<&'static str>);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.join(" and ");
        write!(
            f,
            "{names} not found in PATH: install Redis 7.0 or later (Debian: apt-get install redis-server redis-sentinel)"
        )
    }
}

impl Binaries {
    /// Looks for both programs in `PATH`.
    pub fn find() -> Result<Self, Missing> {
        match (in_path("redis-server"), in_path("redis-sentinel")) {
            (Some(server), Some(sentinel)) => Ok(Self { server, sentinel }),
            (server, sentinel) => {
                let missing = [(server, "redis-server"), (sentinel, "redis-sentinel")];
                Err(Missing(missing.into_iter().filter(|(path, _)| path.is_none()).map(|(_, name)| name).collect()))
            }
        }
    }
}

/// The programs, for a test that compares with them. Without them the test cannot run: that is said on standard error, and
/// it returns `None`.
///
/// ```no_run
/// # fn test() {
/// let Some(binaries) = sentinel_lab_real::required("the real quorum promotes a fake replica") else { return };
/// # }
/// ```
///
/// # Panics
/// If they are missing and the environment variable `CI` is set: a comparison that never ran is no pass there.
#[allow(clippy::print_stderr)]
pub fn required(what: &str) -> Option<Binaries> {
    match Binaries::find() {
        Ok(binaries) => Some(binaries),
        Err(missing) => {
            assert!(env::var_os("CI").is_none(), "{what}: cannot run: {missing}");
            eprintln!("SKIPPED: {what}: {missing}");
            None
        }
    }
}

/// The first file of this name in `PATH` that may be executed.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_its_remedy() {
        let text = Missing(vec!["redis-server", "redis-sentinel"]).to_string();
        assert!(text.starts_with("redis-server and redis-sentinel not found"), "{text}");
        assert!(text.contains("apt-get install"), "{text}");
    }

    #[test]
    fn programs_are_found_by_name() {
        assert!(in_path("sh").is_some());
        assert_eq!(in_path("no-such-program-anywhere"), None);
    }
}
