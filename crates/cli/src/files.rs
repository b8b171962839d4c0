//! Which scenario files the arguments name.

use std::path::{Path, PathBuf};

/// A path that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FilesError {
    /// It is not there, or cannot be read.
    #[error("{path}: {source}{}", whence(source), path = path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// A folder without scenarios.
    #[error("{path}: no *.yaml file in this folder or a folder in it", path = path.display())]
    Empty { path: PathBuf },
}

/// For what is not there: from where it was looked for.
fn whence(error: &std::io::Error) -> String {
    match std::env::current_dir() {
        Ok(folder) if error.kind() == std::io::ErrorKind::NotFound => {
            format!("\nhelp: look at the path; it counts from {}", folder.display())
        }
        _ => String::new(),
    }
}

/// The files that `paths` name, in their order; a folder stands for the `*.yaml` and `*.yml` files in it
/// and in its folders, by path.
pub(crate) fn scenario_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Vec<FilesError>> {
    let mut files = Vec::new();
    let mut errors = Vec::new();
    for path in paths {
        match of_path(path) {
            Ok(found) => files.extend(found),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(files) } else { Err(errors) }
}

fn of_path(path: &Path) -> Result<Vec<PathBuf>, FilesError> {
    let unreadable = |source| FilesError::Unreadable { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let files = scenario::files(path).map_err(unreadable)?;
    if files.is_empty() {
        return Err(FilesError::Empty { path: path.to_owned() });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_stand_for_the_files_in_them_by_path() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yml", "c.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("aa")).unwrap();
        std::fs::write(folder.path().join("aa/z.yaml"), "").unwrap();
        let files = scenario_files(&[folder.path().to_owned()]).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.yml", "z.yaml", "b.yaml"]);
    }

    #[test]
    fn every_bad_path_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let errors = scenario_files(&["nowhere.yaml".into(), folder.path().to_owned()]).unwrap_err();
        assert_eq!(errors.len(), 2);
        assert!(errors[0].to_string().starts_with("nowhere.yaml: "), "{}", errors[0]);
        assert!(errors[0].to_string().contains("help: look at the path"), "{}", errors[0]);
        assert!(errors[1].to_string().contains("no *.yaml file"), "{}", errors[1]);
    }
}
