//! `serve` as it is called: where it says that its nodes are, what time they tell, and how it ends.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use real::Talk;

const WITHIN: Duration = Duration::from_secs(20);

const CLUSTER: &str = "
title: a cluster
cluster: {master: mymaster, replicas: 1, sentinels: 1, quorum: 1, down_after: 1s}
timeline:
  - {at: 1s, freeze: redis-2, for: 100ms}
run_for: 60s
";

struct Served {
    child: Child,
    addrs: Vec<SocketAddr>,
}

impl Served {
    /// Starts it, and reads the addresses of the three nodes.
    fn start(arguments: &[&str]) -> Self {
        Self::start_with(CLUSTER, arguments).0
    }

    /// The same of another cluster, and the line after those of the nodes.
    fn start_with(cluster: &str, arguments: &[&str]) -> (Self, String) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("it.yaml");
        std::fs::write(&file, cluster).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel-lab"));
        command.args(["serve", "--quiet"]).arg(&file).args(arguments).stdout(Stdio::piped());
        let mut child = command.spawn().expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut addrs = Vec::new();
        for _ in 0..3 {
            let mut line = String::new();
            lines.read_line(&mut line).expect("a line");
            let addr = line.split_ascii_whitespace().nth(1).expect("an address");
            addrs.push(addr.parse().unwrap_or_else(|_| panic!("not an address: {line}")));
        }
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        child.stdout = Some(lines.into_inner());
        (Self { child, addrs }, line)
    }

    /// Sends a signal, and gives the exit code and the rest of what was printed.
    fn end(mut self, signal: &str) -> (Option<i32>, String) {
        let told = Command::new("kill").args([signal, &self.child.id().to_string()]).status();
        assert!(told.expect("kill").success());
        let mut rest = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut rest).expect("text");
        (self.child.wait().expect("ends").code(), rest)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn info(addr: SocketAddr, field: &str) -> u64 {
    let mut talk = Talk::connect(addr, WITHIN).expect("it listens");
    let reply = talk.ask(&["INFO", "server"], WITHIN).expect("an answer");
    let text = reply.as_text().expect("text").into_owned();
    let value = text.split("\r\n").find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {field} in {text}"))
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

#[test]
fn addresses_can_be_dialled_and_nodes_tell_the_time() {
    for ip in ["127.0.0.1", "::1"] {
        if ip == "::1" && std::net::TcpListener::bind("[::1]:0").is_err() {
            continue;
        }
        let served = Served::start(&["--bind", ip]);
        for addr in &served.addrs {
            let before = unix_now();
            let told = info(*addr, "server_time_usec") / 1_000_000;
            assert!((before..=unix_now()).contains(&told), "{addr} says {told}, and it is {before}");
            let ticks = info(*addr, "lru_clock");
            assert!((before & 0xff_ffff..=unix_now() & 0xff_ffff).contains(&ticks), "{addr}: {ticks}");
        }
        let sentinel = served.addrs[2];
        let mut talk = Talk::connect(sentinel, WITHIN).expect("it listens");
        let master = talk.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"], WITHIN).expect("an answer");
        let host = master.as_array().and_then(|pair| pair.first()?.as_text()).expect("a host").into_owned();
        assert_eq!(host, ip, "without brackets, as Redis tells it");
        assert_eq!(served.end("-INT").0, Some(0));
    }
}

#[test]
fn a_timeline_that_is_interrupted_has_its_verdict() {
    for signal in ["-INT", "-TERM"] {
        let (code, rest) = Served::start(&["--timeline"]).end(signal);
        assert_eq!(code, Some(3), "no client is judged: {rest}");
        assert!(rest.contains("inconclusive"), "{rest}");
    }
}

/// redis-cli speaks TLS to data nodes and Sentinels, and to no other authority's.
#[test]
#[allow(clippy::print_stderr)]
fn redis_cli_speaks_tls() {
    let help = Command::new("redis-cli").arg("--help").output();
    let knows = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("--cacert");
    if !help.is_ok_and(|help| knows(&help.stdout) || knows(&help.stderr)) {
        assert!(std::env::var_os("CI").is_none(), "there is no redis-cli that speaks TLS");
        eprintln!("SKIPPED: there is no redis-cli that speaks TLS");
        return;
    }
    let redis_cli = |words: &[&str]| {
        let output = Command::new("redis-cli").args(words).output().expect("redis-cli starts");
        let text = |bytes| String::from_utf8(bytes).expect("text").trim().to_owned();
        (text(output.stdout), text(output.stderr))
    };
    let cluster = CLUSTER.replace("down_after: 1s", "down_after: 1s, tls: {data: true, sentinels: true}");
    let (served, line) = Served::start_with(&cluster, &[]);
    let authority = line.trim().strip_prefix("trust ").unwrap_or_else(|| panic!("no certificate: {line}")).to_owned();
    for addr in &served.addrs {
        let port = addr.port().to_string();
        let tls = ["-h", "127.0.0.1", "-p", &port, "--tls", "--cacert", &authority, "PING"];
        assert_eq!(redis_cli(&tls).0, "PONG", "{addr}");
        assert_ne!(redis_cli(&["-h", "127.0.0.1", "-p", &port, "PING"]).0, "PONG", "{addr} speaks TLS only");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let named = folder.path().join("ca.pem").display().to_string();
    let (other, line) = Served::start_with(&cluster, &["--tls-ca", &named]);
    assert_eq!(line, format!("trust {named}\n"));
    let port = other.addrs[0].port().to_string();
    let (said, error) = redis_cli(&["-p", &port, "--tls", "--cacert", &authority, "PING"]);
    assert!(said != "PONG" && error.contains("certificate verify failed"), "{said} {error}");
    assert_eq!(redis_cli(&["-p", &port, "--tls", "--cacert", &named, "PING"]).0, "PONG");
    assert_eq!((served.end("-INT").0, other.end("-INT").0), (Some(0), Some(0)));
    assert!(!std::path::Path::new(&authority).exists(), "{authority} is left behind");
    assert!(std::path::Path::new(&named).exists(), "{named} was asked for");
}
