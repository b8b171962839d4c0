//! Temporary folders. Each is removed with its [`Room`]; what an earlier process could not remove is swept.

use std::path::Path;
use std::sync::Once;
use std::{fs, io};

use rustix::process::{Pid, test_kill_process};
use tempfile::TempDir;

const PREFIX: &str = "sentinel-lab-real-";

/// A folder of its own for a process or a cluster, named after this process' id.
pub(crate) fn room() -> io::Result<TempDir> {
    static SWEPT: Once = Once::new();
    SWEPT.call_once(|| sweep(&std::env::temp_dir()));
    tempfile::Builder::new().prefix(&format!("{PREFIX}{}-", std::process::id())).tempdir()
}

/// Removes the folders of processes that do not exist any more.
fn sweep(temp: &Path) {
    let Ok(entries) = fs::read_dir(temp) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).and_then(|rest| rest.split('-').next());
        let Some(pid) = owner.and_then(|owner| owner.parse().ok()).and_then(Pid::from_raw) else { continue };
        if test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_of_the_dead_are_swept_and_of_the_living_kept() {
        let temp = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let dead = temp.path().join(format!("{PREFIX}{}-x", child.id()));
        let alive = temp.path().join(format!("{PREFIX}{}-x", std::process::id()));
        let other = temp.path().join("unrelated");
        for folder in [&dead, &alive, &other] {
            fs::create_dir(folder).unwrap();
        }
        sweep(temp.path());
        assert_eq!([dead.exists(), alive.exists(), other.exists()], [false, true, true]);
    }
}
