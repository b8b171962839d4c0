//! Clients of other languages follow a failover of `serve`, unmodified: redis-cli, redis-py and ioredis. The last two are
//! installed by pip and npm, in the versions named here, into the folder for test data, and go through scenarios as well.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use model::Reply;
use real::Talk;

const WITHIN: Duration = Duration::from_secs(10);
const REDIS_PY: &str = "redis==7.1.0";
const IOREDIS: &str = "ioredis@5.8.2";
const SCENARIO: &str = "
title: a cluster with passwords
cluster:
  {master: mymaster, replicas: 2, sentinels: 3, down_after: 1s, failover_timeout: 6s, password: secret, sentinel_password: guard}
";

/// A process that is killed when this is dropped.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `sentinel-lab serve` on free ports, and what it says.
struct Served {
    process: Guarded,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    input: ChildStdin,
    nodes: Vec<(String, String, u16)>,
    _folder: tempfile::TempDir,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("cluster.yaml");
        std::fs::write(&file, SCENARIO).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_sentinel-lab"))
            .args(["serve", "--format", "json", "--stdin", "--seed", "7"])
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let input = child.stdin.take().expect("piped");
        let process = Guarded(child);
        let ready: serde_json::Value =
            serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON");
        let field = |node: &serde_json::Value, name: &str| node[name].as_str().expect("text").to_owned();
        let nodes = ready["nodes"].as_array().expect("nodes").iter();
        let nodes = nodes.map(|node| {
            let port = u16::try_from(node["port"].as_u64().expect("a port")).expect("a port");
            (field(node, "node"), field(node, "host"), port)
        });
        let nodes = nodes.collect();
        let mut served = Self { process, lines, input, nodes, _folder: folder };
        // Every Sentinel has found both replicas and both other Sentinels.
        let (mut replicas, mut sentinels) = (0, 0);
        served.wait(|record| {
            replicas += u32::from(record["event"] == "+slave");
            sentinels += u32::from(record["event"] == "+sentinel");
            replicas == 6 && sentinels == 6
        });
        served
    }

    /// Reads what happens until `found`.
    fn wait(&mut self, mut found: impl FnMut(&serde_json::Value) -> bool) {
        for line in self.lines.by_ref() {
            if found(&serde_json::from_str(&line.expect("text")).expect("JSON")) {
                return;
            }
        }
        panic!("serve has ended");
    }

    fn port(&self, node: &str) -> u16 {
        self.nodes.iter().find(|(name, ..)| name == node).expect("a node").2
    }

    /// A connection to a node.
    fn talk(&self, node: &str) -> Talk {
        let (_, host, port) = self.nodes.iter().find(|(name, ..)| name == node).expect("a node");
        Talk::connect(SocketAddr::new(host.parse().expect("an address"), *port), WITHIN).expect("it listens")
    }

    /// The Sentinels as a JSON list of host and port.
    fn sentinels(&self) -> String {
        let sentinels = self.nodes.iter().filter(|(name, ..)| name.starts_with("sentinel"));
        let pairs: Vec<(&str, u16)> = sentinels.map(|(_, host, port)| (host.as_str(), *port)).collect();
        serde_json::to_string(&pairs).expect("plain data")
    }

    fn inject(&mut self, fault: &str) {
        writeln!(self.input, "{fault}").expect("serve reads");
    }

    /// Ends it as Ctrl-C does and gives its exit code.
    fn interrupt(mut self) -> Option<i32> {
        let pid = self.process.0.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
        self.process.0.wait().expect("ends").code()
    }
}

/// The first of these programs that there is; without one the test is skipped loudly, or fails where CI is set.
fn program(what: &str, name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    if found.is_none() {
        skip(what, &format!("there is no {name}"));
    }
    found
}

#[allow(clippy::print_stderr)]
fn skip(what: &str, why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{what}: cannot run: {why}");
    eprintln!("SKIPPED: {what}: {why}");
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// One test installs at a time, and the next finds it done.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Runs an installer; false, and the test is skipped, if it fails.
fn install(what: &str, command: &mut Command) -> bool {
    let output = command.output().expect("the installer starts");
    if !output.status.success() {
        skip(what, &format!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr)));
    }
    output.status.success()
}

/// A Python that has redis-py.
fn redis_py(what: &str) -> Option<PathBuf> {
    let python = program(what, "python3")?;
    let venv = folder("redis-py");
    let inside = venv.join("bin/python");
    let marker = venv.join(REDIS_PY);
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if !marker.exists() {
        let made = install(what, Command::new(python).args(["-m", "venv"]).arg(&venv))
            && install(what, Command::new(&inside).args(["-m", "pip", "install", "--quiet", REDIS_PY]));
        if !made {
            return None;
        }
        std::fs::write(marker, "").expect("written");
    }
    Some(inside)
}

/// Node and the folder of modules that has ioredis.
fn ioredis(what: &str) -> Option<(PathBuf, PathBuf)> {
    let (npm, node) = (program(what, "npm")?, program(what, "node")?);
    let home = folder("ioredis");
    let marker = home.join(IOREDIS);
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    if !marker.exists() {
        std::fs::create_dir_all(&home).expect("made");
        let options = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
        if !install(what, Command::new(npm).args(options).arg(&home).arg(IOREDIS).current_dir(&home)) {
            return None;
        }
        std::fs::write(marker, "").expect("written");
    }
    Some((node, home.join("node_modules")))
}

/// Takes a client program through the death of the master. It prints READY, waits for a line, and prints DONE in the end.
fn follow_a_failover(command: &mut Command) {
    let mut served = Served::start();
    command.env("SENTINELS", served.sentinels()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = Guarded(command.spawn().expect("starts"));
    let mut said = BufReader::new(client.0.stdout.take().expect("piped")).lines();
    let mut tell = client.0.stdin.take().expect("piped");
    let line = said.next().map(|line| line.expect("text"));
    assert_eq!(line.as_deref(), Some("READY"));
    served.inject("kill: master");
    served.wait(|record| record["kind"] == "state");
    tell.write_all(b"dead\n").expect("the client reads");
    let done = said.next().map(|line| line.expect("text")).expect("the client finds the new master");
    let before = served.port("redis-1").to_string();
    let words: Vec<&str> = done.split(' ').collect();
    assert_eq!(words[..2], ["DONE", &before]);
    assert!(["redis-2", "redis-3"].iter().any(|node| served.port(node).to_string() == words[2]), "{done}");
    assert!(client.0.wait().expect("ends").success());
    // The client began to count when the master was dead: what the new one has was written there.
    let new = ["redis-2", "redis-3"].into_iter().find(|node| served.port(node).to_string() == words[2]).expect("one");
    let mut node = served.talk(new);
    assert_eq!(node.ask(&["AUTH", "secret"], WITHIN).expect("a reply"), Reply::OK);
    let role = node.ask(&["ROLE"], WITHIN).expect("a reply");
    assert_eq!(role.as_array().and_then(|role| role[0].as_text()).as_deref(), Some("master"), "{role:?}");
    let count = node.ask(&["GET", "counter"], WITHIN).expect("a reply");
    let count = count.as_text().and_then(|count| count.parse::<u64>().ok());
    assert!(count.is_some_and(|count| count > 0), "the writes of the client are not at {new}: {count:?}");
    let calls = node.ask(&["INFO", "commandstats"], WITHIN).expect("a reply");
    assert!(calls.as_text().is_some_and(|text| text.contains("cmdstat_incr")), "{calls:?}");
    assert_eq!(served.interrupt(), Some(0));
}

#[test]
fn redis_py_follows_a_failover() {
    let Some(python) = redis_py("redis-py follows a failover") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/clients/failover.py");
    follow_a_failover(Command::new(python).arg(script));
}

#[test]
fn ioredis_follows_a_failover() {
    let Some((node, modules)) = ioredis("ioredis follows a failover") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/clients/failover.js");
    follow_a_failover(Command::new(node).arg(script).env("NODE_PATH", modules));
}

#[test]
fn redis_cli_follows_a_failover_that_it_asks_for() {
    let what = "redis-cli follows a failover";
    let Some(cli) = program(what, "redis-cli") else { return };
    let mut served = Served::start();
    let say = |port: u16, password: &str, words: &[&str]| {
        let port = port.to_string();
        let mut command = Command::new(&cli);
        command.args(["-p", &port, "-a", password, "--no-auth-warning"]).args(words);
        String::from_utf8(command.output().expect("redis-cli").stdout).expect("text")
    };
    let (master, sentinel) = (served.port("redis-1"), served.port("sentinel-2"));
    assert_eq!(say(master, "secret", &["SET", "k", "v"]), "OK\n");
    let masters = say(sentinel, "guard", &["SENTINEL", "MASTERS"]);
    assert!(masters.contains(&format!("\nport\n{master}\n")) && masters.contains("\nnum-slaves\n2\n"), "{masters}");
    // Right after its start a Sentinel knows its replicas before it has heard from them: then none is good.
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut answer = String::new();
    while answer != "OK\n" {
        answer = say(sentinel, "guard", &["SENTINEL", "FAILOVER", "mymaster"]);
        assert!(answer == "OK\n" || answer.starts_with("NOGOODSLAVE "), "{answer}");
        assert!(Instant::now() < deadline, "no good replica within 30 s");
    }
    let mut switched = 0;
    served.wait(|record| {
        switched += u32::from(record["event"] == "+switch-master");
        switched == 3
    });
    let answer = say(sentinel, "guard", &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"]);
    let new: u16 = answer.lines().nth(1).expect("a port").parse().expect("a port");
    assert_ne!(new, master);
    assert_eq!(say(new, "secret", &["GET", "k"]), "v\n");
    // SHUTDOWN ends one process of the cluster, the others see it go.
    assert_eq!(say(new, "secret", &["SHUTDOWN", "NOSAVE"]), "");
    served.wait(|record| record["kind"] == "state" && record["state"] == "down");
    let began = Instant::now();
    served.wait(|record| record["event"] == "+switch-master");
    assert!(began.elapsed() < Duration::from_secs(30));
    assert_eq!(served.interrupt(), Some(0));
}

/// redis-py and ioredis as drivers: the workers of the examples, in real time, all runs at once.
#[test]
fn redis_py_and_ioredis_go_through_scenarios() {
    let what = "redis-py and ioredis as drivers";
    let (Some(python), Some((node, modules))) = (redis_py(what), ioredis(what)) else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let drivers = ["python3 crates/drivers/examples/redis_py.py", "node crates/drivers/examples/ioredis.js"];
    let folders = [&python, &node].map(|program| program.parent().expect("a folder").to_owned());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(folders.into_iter().chain(std::env::split_paths(&path))).expect("a path");
    let files = [
        "kill",
        "3-discovery/sentinel-refused",
        "6-addresses/auth-split",
        "6-addresses/tls-ip-san",
        "6-addresses/tls-split",
        "8-commands/ack-lost-job",
        "8-commands/incr-twice",
    ];
    let output = Command::new(env!("CARGO_BIN_EXE_sentinel-lab"))
        .arg("matrix")
        .args(files.map(|file| format!("scenarios/{file}.yaml")))
        .args(["--drivers", &drivers.map(|command| format!("exec:{command}")).join(","), "--format", "json"])
        .current_dir(root)
        .env("NODE_PATH", modules)
        .env("PATH", path)
        .output()
        .expect("starts");
    let matrix: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let abouts: Vec<&str> =
        matrix["drivers"].as_array().into_iter().flatten().filter_map(|d| d["about"].as_str()).collect();
    let [py, js] = abouts[..] else { panic!("{output:?}") };
    assert!(py.starts_with("redis-py 7.1.0, ") && js.starts_with("ioredis 5.8.2, "), "{abouts:?}");
    assert!(abouts.iter().all(|about| about.ends_with(" (real time)")), "{abouts:?}");
    // ioredis sends a command whose reply was lost again, whatever it is: `autoResendUnfulfilledCommands`.
    // redis-py expects no other name in a certificate than that of the host.
    let expected = [
        ["pass", "pass"],
        ["pass", "pass"],
        ["pass", "pass"],
        ["not_applicable", "pass"],
        ["pass", "pass"],
        ["pass", "pass"],
        ["pass", "fail"],
    ];
    let cells = matrix["cells"].as_array().expect("cells");
    let results: Vec<&str> = cells.iter().filter_map(|cell| cell["result"].as_str()).collect();
    assert_eq!(results, expected.concat(), "{cells:#?}");
    assert_eq!(cells[13]["rules"], serde_json::json!(["I3"]));
    assert_eq!(output.status.code(), Some(1));
}

/// Runs a scenario of five seconds whose clients have these drivers, and gives the exit code and both streams.
fn run_with(drivers: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mixed.yaml");
    let client =
        |(index, driver): (usize, &&str)| format!("  - {{id: c-{index}, workload: counter, driver: \"{driver}\"}}\n");
    let clients: String = drivers.iter().enumerate().map(client).collect();
    std::fs::write(&file, format!("title: t\nclients:\n{clients}run_for: 5s\n")).expect("written");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel-lab"));
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = command.arg("run").arg(&file).arg("--check-determinism").current_dir(root).output().expect("starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_client_of_a_scenario_may_be_a_program() {
    if program("a program in a scenario", "python3").is_none() {
        return;
    }
    let worker = "exec:python3 'crates/drivers/tests/program/worker.py' nothing";
    let (code, out, errors) = run_with(&["sentinel-client", worker]);
    assert_eq!(code, Some(0), "{out}{errors}");
    assert!(errors.contains("worker.py' nothing: its runs do not repeat, so that is not checked"), "{errors}");
    let (code, _, errors) = run_with(&["sentinel-client", "exec:no-such-program"]);
    assert_eq!(code, Some(2));
    assert!(errors.contains("mixed.yaml: the driver of c-1: `no-such-program` cannot be started"), "{errors}");
}
