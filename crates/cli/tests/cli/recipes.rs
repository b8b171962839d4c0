//! The recipes of docs/recipes that a single machine can follow: GNU parallel, and a Slurm cluster of one node that is
//! started for it. The report that they end with must be that of the campaign in one piece, to the letter.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const LAB: &str = env!("CARGO_BIN_EXE_sentinel-lab");
const SEEDS: &str = "1..25";
const WITHIN: Duration = Duration::from_secs(60);

/// A daemon that is ended when this is dropped.
struct Daemon(Child);

impl Daemon {
    fn start(command: &mut Command) -> Self {
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a daemon"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[allow(clippy::print_stderr)]
fn not_run(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "NOT RUN: {why}");
    eprintln!("NOT RUN: {why}");
}

/// True if all programs are there. Says loudly what cannot run without them; with `CI` set that is a failure.
fn there_are(programs: &[&str]) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let found = |program: &&&str| path.split(':').any(|folder| Path::new(folder).join(program).is_file());
    let missing: Vec<_> = programs.iter().filter(|program| !found(program)).collect();
    if missing.is_empty() {
        return true;
    }
    not_run(&format!("{missing:?} not found (Debian: apt-get install parallel munge slurmctld slurmd slurm-client)"));
    false
}

/// What `merge` says of the campaign that one process carried out.
fn in_one_piece(folder: &Path) -> Output {
    let results = folder.join("whole.ndjson");
    let chaos = Command::new(LAB).args(["chaos", "--seeds", SEEDS, "--no-shrink", "--results"]).arg(&results).output();
    let chaos = chaos.expect("runs");
    let merged = Command::new(LAB).arg("merge").arg(&results).output().expect("runs");
    assert_eq!(chaos.status.code(), merged.status.code(), "{}", String::from_utf8_lossy(&chaos.stderr));
    assert!(String::from_utf8_lossy(&merged.stdout).contains("24 runs: 24 passed"), "{merged:?}");
    merged
}

fn recipe(name: &str, out: &Path) -> Command {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/recipes").join(name);
    // A job that is never started would be waited for, for ever.
    let mut command = Command::new("timeout");
    command.args(["120", "sh"]).arg(file).env("SEEDS", SEEDS).env("SHARDS", "3").env("OUT", out).env("LAB", LAB);
    command
}

fn assert_same_report(recipe: &Output, whole: &Output) {
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let report = text(recipe);
    // `sbatch` says which job it has submitted.
    let report = report.lines().skip_while(|line| !line.starts_with("chaos of")).collect::<Vec<_>>().join("\n");
    assert_eq!(report, text(whole).trim_end(), "{}", String::from_utf8_lossy(&recipe.stderr));
    assert_eq!(recipe.status.code(), whole.status.code());
}

#[test]
fn gnu_parallel() {
    if !there_are(&["parallel"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let out = recipe("parallel.sh", &folder.path().join("out")).output().expect("runs");
    assert_same_report(&out, &in_one_piece(folder.path()));
}

/// A Slurm cluster of one node.
struct Slurm {
    config: PathBuf,
    _daemons: Vec<Daemon>,
}

impl Slurm {
    fn start(folder: &Path) -> Self {
        // munged wants others to reach its socket, and nobody else to read its key.
        std::fs::set_permissions(folder, Permissions::from_mode(0o755)).expect("a mode");
        let key = folder.join("munge.key");
        std::fs::write(&key, [7; 1024]).expect("a key");
        std::fs::set_permissions(&key, Permissions::from_mode(0o400)).expect("a mode");
        let socket = folder.join("munge.socket");
        let place = |option: &str, name: &str| format!("--{option}={}", folder.join(name).display());
        let munged = Daemon::start(Command::new("/usr/sbin/munged").args(["--foreground", "--force"]).args([
            place("socket", "munge.socket"),
            place("key-file", "munge.key"),
            place("pid-file", "munged.pid"),
            place("log-file", "munged.log"),
            place("seed-file", "munge.seed"),
        ]));
        let started = Instant::now();
        while !socket.exists() {
            assert!(started.elapsed() < WITHIN, "munged does not start");
            std::thread::yield_now();
        }

        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
        let ports = [0, 0].map(|port| TcpListener::bind(("127.0.0.1", port)).expect("a port"));
        let [controller, node] = ports.map(|listener| listener.local_addr().expect("an address").port());
        let config = folder.join("slurm.conf");
        let text = include_str!("slurm.conf")
            .replace("FOLDER", &folder.display().to_string())
            .replace("HOST", host.trim().split('.').next().unwrap_or_default())
            .replace("CONTROLLER_PORT", &controller.to_string())
            .replace("NODE_PORT", &node.to_string());
        std::fs::write(&config, text).expect("written");
        std::fs::create_dir(folder.join("state")).expect("a folder");
        std::fs::create_dir(folder.join("spool")).expect("a folder");
        let controller = Daemon::start(Command::new("/usr/sbin/slurmctld").arg("-D").arg("-f").arg(&config));
        let node = Daemon::start(Command::new("/usr/sbin/slurmd").arg("-D").arg("-f").arg(&config));
        Self { config, _daemons: vec![node, controller, munged] }
    }
}

#[test]
fn slurm() {
    if !there_are(&["munged", "slurmctld", "slurmd", "sbatch"]) {
        return;
    }
    if std::fs::metadata("/proc/self").expect("a process").uid() != 0 {
        return not_run("slurmd wants to be root");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let slurm = Slurm::start(folder.path());
    // It waits for the controller by itself.
    let out = recipe("slurm.sh", &folder.path().join("out")).env("SLURM_CONF", &slurm.config).output().expect("runs");
    assert_same_report(&out, &in_one_piece(folder.path()));
}
