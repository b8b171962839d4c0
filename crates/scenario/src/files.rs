//! Which files of a folder are scenarios.

use std::io;
use std::path::{Path, PathBuf};

/// Every `*.yaml` and `*.yml` file in `folder` and the folders in it, in the order of their paths. Empty if there is none.
///
/// # Errors
/// A folder cannot be read.
pub fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
