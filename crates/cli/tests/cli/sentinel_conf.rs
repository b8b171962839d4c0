//! `serve sentinel.conf`: a Sentinel goes on from the file that a real one has written, takes part in a failover of real
//! processes, and a real one goes on from the file that it leaves.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use model::plan::Cluster;
use model::{NodeId, Reply};
use real::{Block, Options, Process, Program, RealCluster, Talk};

const LAB: &str = env!("CARGO_BIN_EXE_sentinel-lab");
/// The longest that anything takes here, failovers among it.
const WITHIN: Duration = Duration::from_secs(40);

/// `serve FILE`, killed when this is dropped.
struct Served(Child);

impl Served {
    /// Starts it, and waits until it says where it listens.
    fn start(file: &Path) -> Self {
        let child = Command::new(LAB).arg("serve").arg("--quiet").arg(file).stdout(Stdio::piped()).spawn();
        let mut child = child.expect("starts");
        let line = BufReader::new(child.stdout.as_mut().expect("piped")).lines().next();
        assert!(line.is_some_and(|line| line.is_ok_and(|line| line.starts_with("sentinel-1"))), "it does not listen");
        Self(child)
    }

    /// Ends it as a user does.
    fn end(mut self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().expect("kill").success());
        assert_eq!(self.0.wait().expect("ends").code(), Some(0));
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A field of `SENTINEL MASTER mymaster`.
fn master_field(cluster: &RealCluster, sentinel: NodeId, field: &str) -> Option<String> {
    let reply = cluster.node(sentinel).ok()?.ask(&["SENTINEL", "MASTER", "mymaster"]).ok()?;
    let words: Vec<_> = reply.as_array()?.iter().filter_map(Reply::as_text).collect();
    words.iter().position(|word| *word == field).map(|at| words[at + 1].to_string())
}

fn line_of<'a>(file: &'a str, option: &str) -> &'a str {
    file.lines().find(|line| line.starts_with(option)).unwrap_or_else(|| panic!("no `{option}` in:\n{file}"))
}

#[test]
fn a_sentinel_goes_on_from_a_real_file_and_a_real_one_from_its_file() {
    let Some(binaries) = real::required("serve sentinel.conf") else { return };
    let mut plan = Cluster::standard();
    plan.groups[0].down_after = Duration::from_secs(1);
    plan.groups[0].failover_timeout = Duration::from_secs(6);
    let mut cluster = RealCluster::start(&binaries, &plan).expect("starts");
    cluster.wait_discovered().expect("all meet");
    let third = NodeId::sentinel(3);
    let all = [NodeId::sentinel(1), NodeId::sentinel(2), third];

    // From the real file.
    cluster.node_mut(third).expect("known").shutdown().expect("ends");
    let gone = |process: &Process| process.ask(&["PING"]).is_err();
    cluster.wait(third, "be gone", WITHIN, gone).expect("ends");
    let theirs = cluster.node(third).expect("known").folder().join("conf");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sentinel.conf");
    std::fs::copy(&theirs, &file).expect("copied");
    let before = std::fs::read_to_string(&file).expect("read");
    let served = Served::start(&file);
    assert_eq!(master_field(&cluster, third, "num-other-sentinels").as_deref(), Some("2"), "known from the file");
    assert_eq!(master_field(&cluster, third, "num-slaves").as_deref(), Some("2"), "known from the file");
    let sees = |_: &Process| master_field(&cluster, third, "flags").is_some_and(|flags| flags == "master");
    cluster.wait(third, "see the master", WITHIN, sees).expect("the fake sees the master");
    let old = NodeId::data(1);
    cluster.node_mut(old).expect("known").kill().expect("dies");
    for sentinel in all {
        let moved = |_: &Process| cluster.master_by(sentinel, "mymaster").is_some_and(|master| master != old);
        cluster.wait(sentinel, "answer a new master", WITHIN, moved).expect("a failover");
    }
    let new = cluster.master_by(third, "mymaster").expect("known");
    for sentinel in all {
        assert_eq!(cluster.master_by(sentinel, "mymaster"), Some(new), "{sentinel} agrees");
    }
    let epoch = master_field(&cluster, third, "config-epoch").expect("an epoch");
    assert_ne!(epoch, "0");
    served.end();

    // What it leaves.
    let after = std::fs::read_to_string(&file).expect("read");
    assert_eq!(line_of(&after, "sentinel myid"), line_of(&before, "sentinel myid"));
    let addr = cluster.addr(new).expect("known");
    let monitor = format!("sentinel monitor mymaster {} {} 2", addr.ip(), addr.port());
    assert_eq!(line_of(&after, "sentinel monitor"), monitor);
    assert_eq!(line_of(&after, "sentinel config-epoch"), format!("sentinel config-epoch mymaster {epoch}"));
    assert_eq!(after.matches("sentinel known-sentinel").count(), 2);
    assert_eq!(after.matches("sentinel known-replica").count(), 2);
    for kept in ["port", "logfile", "bind-source-addr"] {
        assert_eq!(line_of(&after, kept), line_of(&before, kept), "other options stay as they are");
    }
    std::fs::copy(&file, &theirs).expect("copied");
    let real = cluster.node_mut(third).expect("known");
    real.restart().expect("starts");
    real.wait_ready().expect("answers");
    assert_eq!(cluster.master_by(third, "mymaster"), Some(new));
    assert_eq!(master_field(&cluster, third, "config-epoch").as_ref(), Some(&epoch));
    assert_eq!(master_field(&cluster, third, "num-other-sentinels").as_deref(), Some("2"));
}

/// Names that only the system knows, told while it runs, and an empty `announce-ip`: as a real Sentinel has them, in its
/// replies and in its file.
#[test]
fn names_and_empty_addresses_are_as_a_real_sentinel_has_them() {
    let Some(binaries) = real::required("names told to serve sentinel.conf") else { return };
    let block = Block::claim().expect("a block of loopback addresses");
    let addr = |index| SocketAddr::from(block.addr(index, 26379));
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("the name of this machine");
    let hostname = hostname.trim();
    let options = Options::new().line("sentinel resolve-hostnames yes");
    let mut real = Process::start(&binaries, Program::Sentinel, "real", addr(0), &options).expect("it starts");
    real.wait_ready().expect("it answers");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sentinel.conf");
    let text = format!("bind {}\nport 26379\nsentinel resolve-hostnames yes\n", addr(1).ip());
    std::fs::write(&file, text).expect("written");
    let served = Served::start(&file);
    let [mut theirs, mut ours] = [0, 1].map(|index| Talk::connect(addr(index), WITHIN).expect("it listens"));
    let commands: [&[&str]; 9] = [
        &["SENTINEL", "MONITOR", "unknown", "no-such-host.invalid", "1", "1"],
        &["SENTINEL", "MONITOR", "named", hostname, "1", "1"],
        &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "named"],
        &["SENTINEL", "CONFIG", "SET", "announce-hostnames", "yes"],
        &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "named"],
        &["SENTINEL", "CONFIG", "SET", "announce-ip", "1.2.3.4"],
        &["SENTINEL", "CONFIG", "SET", "announce-ip", ""],
        &["SENTINEL", "CONFIG", "GET", "announce-ip"],
        &["SENTINEL", "FLUSHCONFIG"],
    ];
    for command in commands {
        let replies = [&mut theirs, &mut ours].map(|talk| talk.ask(command, WITHIN).expect("a reply"));
        assert_eq!(replies[0], replies[1], "{command:?}");
    }
    let written = |path: &Path| {
        let text = std::fs::read_to_string(path).expect("read");
        let kept = ["sentinel announce", "sentinel monitor", "sentinel resolve"];
        let mut lines: Vec<String> =
            text.lines().filter(|line| kept.iter().any(|start| line.starts_with(start))).map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let theirs = written(&real.folder().join("conf"));
    served.end();
    assert_eq!(theirs, written(&file));
    assert!(theirs.contains(&"sentinel announce-ip \"\"".to_owned()), "{theirs:?}");
}

/// Starts `serve` on a file with this text, and gives the end of it: code and standard error.
fn refused(text: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("sentinel.conf");
    std::fs::write(&file, text).expect("written");
    let child = Command::new(LAB).arg("serve").arg(&file).args(arguments).stderr(Stdio::piped()).spawn();
    let mut served = Served(child.expect("starts"));
    let mut said = String::new();
    served.0.stderr.take().expect("piped").read_to_string(&mut said).expect("text");
    (served.0.wait().expect("ends").code(), said.replace(&folder.path().display().to_string(), ""))
}

#[test]
fn mistakes_in_a_file_are_named_with_their_line() {
    let monitor = "port 26379\nsentinel monitor mymaster 127.0.0.1 6379 2\n";
    let cases = [
        (format!("{monitor}sentinel down-after-milliseconds other 5"), &[][..], "sentinel.conf:3: no master `other`"),
        (format!("{monitor}sentinel quorum mymaster 5"), &[], "sentinel.conf:3: there is no option `sentinel quorum`"),
        (format!("bind 10.0.0.1\n{monitor}"), &[], "`bind 10.0.0.1`: everything here stays on this machine"),
        (monitor.to_owned(), &["--timeline"], "a Sentinel alone has no timeline"),
        (monitor.to_owned(), &["--port", "7000"], "a Sentinel alone has"),
    ];
    for (text, arguments, wanted) in cases {
        let (code, said) = refused(&text, arguments);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(wanted), "{wanted} is not in: {said}");
    }
}
