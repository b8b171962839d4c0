//! Real processes: started, faulted, and none left behind.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use model::plan::{Cluster, Credentials};
use model::{NodeId, Reply};
use rustix::process::{Pid, test_kill_process};
use sentinel_lab_real::{Binaries, Block, Options, Process, Program, RealCluster, RealError, required};

fn exists(pid: u32) -> bool {
    test_kill_process(Pid::from_raw(pid.cast_signed()).expect("a process id")).is_ok()
}

fn eventually(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn server(binaries: &Binaries, block: &Block) -> Process {
    let (ip, port) = block.addr(0, 6379);
    let port = if port == 0 { 16379 } else { port };
    let addr = SocketAddr::new(ip, port);
    let mut server = Process::start(binaries, Program::Server, "redis-1", addr, &Options::server()).expect("a start");
    server.wait_ready().expect("an answer");
    server
}

#[test]
fn a_server_is_faulted_and_removed() {
    let Some(binaries) = required("faults of a real server") else { return };
    let block = Block::claim().expect("addresses");
    let mut server = server(&binaries, &block);
    assert_eq!(server.ask(&["PING"]).expect("a reply"), Reply::PONG);
    assert!(matches!(server.ask(&["NONSENSE"]), Err(RealError::Ask { .. })));

    server.freeze().expect("SIGSTOP");
    let mut talk = server.connect().expect("the kernel accepts");
    assert!(talk.ask(&["PING"], Duration::from_millis(50)).is_err(), "a frozen process answered");
    server.thaw().expect("SIGCONT");
    assert_eq!(talk.receive(Duration::from_secs(5)).expect("the late reply"), Reply::PONG);

    server.debug_sleep(Duration::from_millis(300)).expect("DEBUG SLEEP");
    let began = Instant::now();
    assert_eq!(server.ask(&["PING"]).expect("a reply after the sleep"), Reply::PONG);
    assert!(began.elapsed() >= Duration::from_millis(150), "it did not sleep");

    server.client_kill("normal").expect("CLIENT KILL");
    assert!(talk.ask(&["PING"], Duration::from_secs(1)).is_err(), "the connection survived CLIENT KILL");

    let first = server.pid().expect("a process");
    server.kill().expect("kill -9");
    assert!(!exists(first) && !server.is_running());
    server.restart().expect("a second start");
    server.wait_ready().expect("an answer");
    assert_ne!(server.pid(), Some(first));

    server.shutdown().expect("SHUTDOWN");
    let deadline = Instant::now() + Duration::from_secs(10);
    while server.is_running() {
        assert!(Instant::now() < deadline, "SHUTDOWN did not end it");
        std::thread::sleep(Duration::from_millis(5));
    }
    server.restart().expect("a third start");
    server.wait_ready().expect("an answer");
    let (pid, folder) = (server.pid().expect("a process"), server.folder().to_owned());
    drop(server);
    assert!(!exists(pid), "a process was left behind");
    assert!(!folder.exists(), "a folder was left behind");
}

#[test]
fn a_process_that_cannot_start_says_why() {
    let Some(binaries) = required("a real server with a wrong option") else { return };
    let addr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 16378);
    let options = Options::server().line("no-such-option 1");
    let mut server = Process::start(&binaries, Program::Server, "redis-1", addr, &options).expect("a start");
    let error = server.wait_ready().expect_err("a wrong option");
    assert!(matches!(error, RealError::Ended { .. }), "{error}");
    let binaries = Binaries { server: PathBuf::from("/no/such/redis-server"), ..binaries };
    let error = Process::start(&binaries, Program::Server, "redis-1", addr, &options).map(|mut it| it.wait_ready());
    assert!(!matches!(error, Ok(Ok(()))), "a program that does not exist has started");
}

/// The other half of the test below: starts a server, tells its id, and ends without any clean-up.
#[test]
fn half_of_abort() {
    if std::env::var_os("SENTINEL_LAB_ABORT").is_none() {
        return;
    }
    let binaries = Binaries::find().expect("the programs");
    let block = Block::claim().expect("addresses");
    let server = server(&binaries, &block);
    println!("\npid {}", server.pid().expect("a process"));
    std::process::abort();
}

#[test]
fn no_process_survives_an_abort() {
    let Some(_) = required("no real process survives this one") else { return };
    if Command::new("setpriv").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("SKIPPED: without setpriv (util-linux) nothing ends the children of an aborted process");
        return;
    }
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["half_of_abort", "--exact", "--nocapture", "--test-threads=1"])
        .env("SENTINEL_LAB_ABORT", "1")
        .output()
        .expect("the other half");
    let text = String::from_utf8_lossy(&output.stdout);
    let pid = text.lines().find_map(|line| line.strip_prefix("pid ")).and_then(|pid| pid.parse().ok());
    let pid: u32 = pid.unwrap_or_else(|| panic!("no process id in {text}"));
    assert!(!output.status.success());
    eventually("the child of an aborted process ends", || !exists(pid));
}

#[test]
fn a_cluster_discovers_itself_and_fails_over() {
    let Some(binaries) = required("a real cluster") else { return };
    let mut plan = Cluster::standard();
    plan.groups[0].down_after = Duration::from_secs(1);
    plan.groups[0].priorities = vec![100, 100, 10];
    plan.groups[0].auth = Some(Credentials { user: Some("app".into()), password: "secret".into() });
    plan.sentinel_auth = Some(Credentials { user: None, password: "other".into() });
    let cluster = RealCluster::start(&binaries, &plan).expect("a cluster");
    let sentinel = NodeId::sentinel(2);
    assert_eq!(cluster.master_by(sentinel, "mymaster"), Some(NodeId::data(1)));
    cluster.node(sentinel).unwrap().ask(&["SENTINEL", "FAILOVER", "mymaster"]).expect("a failover");
    let switched = |_: &Process| cluster.master_by(NodeId::sentinel(1), "mymaster") == Some(NodeId::data(3));
    cluster.wait(NodeId::sentinel(1), "the switch", Duration::from_secs(15), switched).expect("the switch");
    let pids: Vec<u32> = cluster.nodes().filter_map(|(_, process)| process.pid()).collect();
    assert_eq!(pids.len(), 6);
    drop(cluster);
    assert!(pids.into_iter().all(|pid| !exists(pid)), "a process was left behind");
}
