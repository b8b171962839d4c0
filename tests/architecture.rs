//! The direction of dependencies between the crates, held against their manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What each crate may depend on, of the workspace and of what would betray its place. Everything else of the
/// workspace, and everything in `NO_IO`'s list for the crates there, is forbidden.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("sentinel", &["model"]),
    ("node", &["model"]),
    ("sim", &["model", "sentinel", "node"]),
    ("check", &["model"]),
    ("scenario", &["model"]),
    ("report", &["model"]),
    ("parity", &["model", "sim", "real"]),
    ("real", &["model"]),
    ("testbed", &["model", "sim", "check", "scenario", "real"]),
    ("client", &[]),
    ("drivers", &["model", "testbed", "client"]),
    ("cli", &["model", "scenario", "check", "report", "testbed", "drivers", "parity", "real", "zoo", "chaos"]),
    ("zoo", &["model", "testbed"]),
    ("chaos", &["model", "sim", "scenario", "testbed"]),
];

/// Crates that must be able to run without sockets, clocks and YAML.
const NO_IO: &[&str] = &["model", "sentinel", "node", "sim", "check"];
const IO: &[&str] = &["tokio", "redis", "serde_yaml", "serde-saphyr", "socket2", "mio", "async-std", "libc"];

/// The crate folder that each workspace package stands in.
fn folder_of(package: &str) -> &str {
    match package {
        "sentinel-client" => "client",
        "sentinel-lab" => "cli",
        _ => package.strip_prefix("sentinel-lab-").unwrap_or(package),
    }
}

fn manifests() -> BTreeMap<String, toml::Table> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(crates).expect("the crates folder") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(path.join("Cargo.toml")).expect("a manifest");
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        found.insert(name, text.parse().expect("valid TOML"));
    }
    found
}

/// Names under `[dependencies]`, without those for tests and builds.
fn dependencies(manifest: &toml::Table) -> BTreeSet<String> {
    let table = manifest.get("dependencies").and_then(toml::Value::as_table);
    table.map(|table| table.keys().cloned().collect()).unwrap_or_default()
}

#[test]
fn every_crate_is_in_the_plan() {
    let planned: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    let found = manifests();
    let found: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(found, planned);
}

#[test]
fn dependencies_point_one_way() {
    let manifests = manifests();
    let workspace: BTreeSet<&str> = ALLOWED.iter().map(|(name, _)| *name).collect();
    for (name, allowed) in ALLOWED {
        let manifest = &manifests[*name];
        for dependency in dependencies(manifest) {
            let folder = folder_of(&dependency);
            if workspace.contains(folder) {
                assert!(allowed.contains(&folder), "crates/{name} must not depend on crates/{folder}");
            }
        }
    }
}

#[test]
fn the_crates_without_io_stay_without() {
    let manifests = manifests();
    for name in NO_IO {
        for dependency in dependencies(&manifests[*name]) {
            assert!(!IO.contains(&dependency.as_str()), "crates/{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn every_crate_shares_version_licence_msrv_and_lints() {
    for (name, manifest) in manifests() {
        for key in ["version", "edition", "rust-version", "license", "repository"] {
            let inherited = manifest["package"].get(key).and_then(|value| value.get("workspace"));
            assert_eq!(inherited, Some(&toml::Value::Boolean(true)), "crates/{name}: `{key}.workspace = true`");
        }
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(lints, Some(&toml::Value::Boolean(true)), "crates/{name}: `[lints] workspace = true`");
    }
}

/// `unsafe` stands in one module only, wherever it is allowed.
#[test]
fn unsafe_code_stands_in_the_c_library_module_only() {
    fn visit(folder: &Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "target") {
                    visit(&path, found);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file");
                if text.contains("allow(unsafe_code") {
                    let module = path.parent().and_then(Path::file_name).expect("a folder");
                    found.push(module.to_string_lossy().into_owned());
                }
            }
        }
    }
    let mut found = Vec::new();
    visit(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates"), &mut found);
    assert_eq!(found, ["c_library"]);
}
