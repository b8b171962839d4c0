//! What breaks the protocol or a limit, byte for byte as a live redis-server 7.0 answers it, and whether it closes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use model::plan::Credentials;
use model::{Fault, NodeId, Seed, Target};
use real::{Block, Options, Process, Program};
use sentinel_lab_testbed::{Listen, Server, Testbed};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What is sent, on a connection of its own each, and then the client's end is closed.
fn cases() -> Vec<Vec<u8>> {
    let texts = [
        "*2147483647\r\n",
        "*2147483648\r\n",
        "*1048577\r\n",
        "*9223372036854775808\r\n",
        "*-1\r\nPING\r\n",
        "*0\r\nPING\r\n",
        "*01\r\n",
        "*+1\r\n",
        "*-0\r\n",
        "*x\r\n",
        "*\r\n",
        "*10\r\n",
        "*11\r\n",
        "*1\r\n$536870912\r\n",
        "*1\r\n$536870913\r\n",
        "*1\r\n$-1\r\n",
        "*1\r\n$01\r\n",
        "*1\r\n$x\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*1\r\n$4\r\nPING\r\n",
        "*1\r\n\r\n",
        "*2\r\n$4\r\nAUTH\r\n$16384\r\n",
        "*2\r\n$4\r\nAUTH\r\n$16385\r\n",
        "AUTH secret\r\n*11\r\n",
        "AUTH secret\r\n*2\r\n$4\r\nECHO\r\n$16385\r\n",
        "AUTH no\r\n*11\r\n",
        "PING\r\n*x\r\nPING\r\n",
        "\r\n\r\nPING\r\n",
        "PING\n",
        "ECHO \"a b\"\r\n",
        "ECHO \"a b\r\n",
        "ECHO \"a\"b\r\n",
        "ECHO 'a\\'b'\r\n",
        "ECHO \"\\x41\\n\"\r\n",
        "NOSUCH \"a\\r\\nb\"\r\n",
        "CLIENT \"a\\r\\nb\"\r\n",
        "\"a\\nb\"\r\n",
        "*1\r\n$3\r\na\r\n\r\n",
    ];
    let mut cases: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    // Below, at, and above 64 KiB.
    for length in [65_530, 65_536, 65_537, 70_000] {
        cases.push(vec![b'a'; length]);
        cases.push([&b"PING "[..], &vec![b'a'; length], b"\r\n"].concat());
        cases.push([&b"*"[..], &vec![b'1'; length]].concat());
        cases.push([&b"*1\r\n$"[..], &vec![b'1'; length]].concat());
    }
    cases
}

fn ask_real(addr: SocketAddr, bytes: &[u8]) -> String {
    ask_real_on(std::net::TcpStream::connect(addr).expect("it listens"), bytes)
}

fn ask_real_on(mut stream: std::net::TcpStream, bytes: &[u8]) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    // It may close before everything is sent.
    let sent = stream.write_all(bytes);
    // A client that has closed its half need not be told everything.
    if sent.is_ok() && !bytes.ends_with(b"QUIT\r\n") {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut answer = Vec::new();
    // Whether the end comes as a close or a reset is a matter of what the kernel still holds.
    let _ = stream.read_to_end(&mut answer);
    answer.escape_ascii().to_string()
}

async fn ask_fake(addr: SocketAddr, bytes: &[u8]) -> String {
    ask_fake_on(tokio::net::TcpStream::connect(addr).await.expect("it listens"), bytes).await
}

async fn ask_fake_on(mut stream: tokio::net::TcpStream, bytes: &[u8]) -> String {
    if stream.write_all(bytes).await.is_ok() && !bytes.ends_with(b"QUIT\r\n") {
        let _ = stream.shutdown().await;
    }
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer.escape_ascii().to_string()
}

fn server(guarded: bool) -> Option<(Process, Block)> {
    let binaries = real::required("limits held against redis-server")?;
    let block = Block::claim().expect("a block of loopback addresses");
    let (ip, port) = block.addr(0, 6379);
    let secret = Credentials { user: None, password: "secret".to_owned() };
    let options = if guarded { Options::server().auth(&secret) } else { Options::server() };
    let mut process =
        Process::start(&binaries, Program::Server, "redis-1", SocketAddr::new(ip, port), &options).expect("it starts");
    process.wait_ready().expect("it answers");
    Some((process, block))
}

#[tokio::test(start_paused = true)]
async fn protocol_errors_are_those_of_redis() {
    let mut differences = Vec::new();
    // A password that is asked for from the start, or from later on.
    for (guarded, later) in [(false, false), (true, false), (false, true)] {
        let Some((process, _block)) = server(guarded) else { return };
        let builder = Testbed::builder();
        let builder = if guarded { builder.password("secret") } else { builder };
        let bed = builder.start().await.unwrap();
        let fake = bed.node_addr(NodeId::data(1)).unwrap();
        if later {
            let set = b"CONFIG SET requirepass secret\r\n";
            assert_eq!(ask_real(process.addr(), set), "+OK\\r\\n");
            assert_eq!(ask_fake(fake, set).await, "+OK\\r\\n");
        }
        for case in cases() {
            let (theirs, ours) = (ask_real(process.addr(), &case), ask_fake(fake, &case).await);
            if theirs != ours {
                let start = case[..case.len().min(60)].escape_ascii();
                differences.push(format!(
                    "{start} ({} bytes), guarded {}\n  real {theirs}\n  fake {ours}",
                    case.len(),
                    guarded || later
                ));
            }
        }
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

/// Limits that `CONFIG SET` has changed hold for the connections that are there, and for new ones.
#[tokio::test(start_paused = true)]
async fn limits_can_be_set() {
    let Some((process, _block)) = server(false) else { return };
    let bed = Testbed::builder().start().await.unwrap();
    let fake = bed.node_addr(NodeId::data(1)).unwrap();
    let echo =
        |bytes: usize| [format!("*2\r\n$4\r\nECHO\r\n${bytes}\r\n").as_bytes(), &vec![b'x'; bytes], b"\r\n"].concat();
    let kept = [&b"SET k "[..], &vec![b'x'; 30_000], b"\r\n"].concat();
    let read = [&b"GET k\r\n".repeat(100)[..], b"QUIT\r\n"].concat();
    let output = |limit: &str| format!("client-output-buffer-limit \"normal {limit}\"");
    // What is set, what is sent then, and how long the answer is at least; 0 for an error, or none.
    let cases = [
        (String::new(), echo(1_048_577), 1_048_577),
        ("proto-max-bulk-len 1mb".to_owned(), echo(1_048_577), 0),
        (String::new(), echo(1_048_576), 1_048_576),
        ("proto-max-bulk-len 512mb client-query-buffer-limit 1mb".to_owned(), echo(1_572_864), 0),
        ("client-query-buffer-limit 1gb".to_owned(), echo(1_572_864), 1_572_864),
        (String::new(), kept, 0),
        (String::new(), read.clone(), 3_000_000),
        (output("1mb 0 0"), read.clone(), 0),
        (output("0 0 0"), read, 3_000_000),
        // What the buffer of the connection holds is not counted, what is beyond it by pieces.
        (output("100 0 0"), echo(10_000), 10_000),
        (String::new(), echo(17_000), 0),
        (output("0 0 0"), echo(17_000), 17_000),
    ];
    for (set, case, least) in cases {
        let there = std::net::TcpStream::connect(process.addr()).unwrap();
        let here = tokio::net::TcpStream::connect(fake).await.unwrap();
        if !set.is_empty() {
            let set = format!("CONFIG SET {set}\r\n").into_bytes();
            assert_eq!(ask_real(process.addr(), &set), "+OK\\r\\n");
            assert_eq!(ask_fake(fake, &set).await, "+OK\\r\\n");
        }
        let pairs = [
            (ask_real_on(there, &case), ask_fake_on(here, &case).await),
            (ask_real(process.addr(), &case), ask_fake(fake, &case).await),
        ];
        for (theirs, ours) in pairs {
            assert!(theirs == ours, "after `{set}`: real {theirs:.100} fake {ours:.100}");
            let right = if least == 0 { ours.len() < 100 } else { ours.len() >= least };
            assert!(right, "after `{set}`: {} bytes: {ours:.100}", ours.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_client_too_many_is_told_so() {
    let Some((process, _block)) = server(false) else { return };
    let bed = Testbed::builder().replicas(0).sentinels(1).start().await.unwrap();
    let fake = bed.node_addr(NodeId::data(1)).unwrap();
    // The Sentinel holds two connections to the fake; let it have them.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let listed = ask_fake(fake, b"CLIENT LIST\r\n").await.matches("addr=").count() as u64 / 2;
    let most = |held: u64| format!("CONFIG SET maxclients {}\r\n", held + 3).into_bytes();
    assert_eq!(ask_real(process.addr(), &most(0)), ask_fake(fake, &most(listed - 1)).await);
    let held: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(process.addr()).unwrap()).collect();
    let mut ours = Vec::new();
    for _ in 0..3 {
        ours.push(tokio::net::TcpStream::connect(fake).await.unwrap());
    }
    let (theirs, mine) = (ask_real(process.addr(), b"PING\r\n"), ask_fake(fake, b"PING\r\n").await);
    assert_eq!(theirs, "-ERR max number of clients reached\\r\\n");
    assert_eq!(theirs, mine);
    drop((held, ours.pop()));
    assert_eq!(ask_fake(fake, b"PING\r\n").await, "+PONG\\r\\n");
}

/// The same of a Sentinel, whose limit its configuration file sets.
#[tokio::test]
async fn one_client_of_a_sentinel_too_many_is_told_so() {
    let Some(binaries) = real::required("maxclients of a Sentinel held against redis-sentinel") else { return };
    let block = Block::claim().expect("a block of loopback addresses");
    let (ip, port) = block.addr(0, 26379);
    let options = Options::new().line("maxclients 3");
    let addr = SocketAddr::new(ip, port);
    let mut process = Process::start(&binaries, Program::Sentinel, "sentinel-1", addr, &options).expect("it starts");
    process.wait_ready().expect("it answers");
    let server = Server::start_sentinel(
        "port 26379\nmaxclients 3\n",
        Seed(1),
        &Listen { sentinel_port: Some(0), ..Listen::default() },
    );
    let server = server.expect("it starts");
    let fake = server.addr(NodeId::sentinel(1)).expect("a Sentinel");
    let mut ours = Vec::new();
    for _ in 0..3 {
        ours.push(tokio::net::TcpStream::connect(fake).await.unwrap());
    }
    let held: Vec<_> = (0..3).map(|_| std::net::TcpStream::connect(process.addr()).unwrap()).collect();
    let (theirs, mine) = (ask_real(process.addr(), b"PING\r\n"), ask_fake(fake, b"PING\r\n").await);
    assert_eq!(theirs, "-ERR max number of clients reached\\r\\n");
    assert_eq!(theirs, mine);
    drop((held, ours.pop()));
    assert_eq!(ask_fake(fake, b"PING\r\n").await, "+PONG\\r\\n");
}

/// What a client hears that asks and closes its half while the process is frozen, and after that process goes on.
#[tokio::test(start_paused = true)]
async fn a_frozen_process_does_not_close_its_half() {
    let Some((mut process, _block)) = server(false) else { return };
    let mut theirs = std::net::TcpStream::connect(process.addr()).unwrap();
    process.freeze().unwrap();
    theirs.write_all(b"PING\r\n").and_then(|()| theirs.shutdown(Shutdown::Write)).unwrap();
    theirs.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut heard = Vec::new();
    assert!(theirs.read_to_end(&mut heard).is_err(), "{}", heard.escape_ascii());
    process.thaw().unwrap();
    theirs.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    theirs.read_to_end(&mut heard).unwrap();

    let bed = Testbed::builder().start().await.unwrap();
    let node = || Target::Node(NodeId::data(1));
    let mut ours = tokio::net::TcpStream::connect(bed.node_addr(NodeId::data(1)).unwrap()).await.unwrap();
    bed.inject(Fault::Freeze(node())).await.unwrap();
    ours.write_all(b"PING\r\n").await.unwrap();
    ours.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let waited = tokio::time::timeout(Duration::from_secs(1), ours.read_to_end(&mut answer)).await;
    assert!(waited.is_err(), "{}", answer.escape_ascii());
    bed.inject(Fault::Thaw(node())).await.unwrap();
    ours.read_to_end(&mut answer).await.unwrap();
    assert_eq!(heard.escape_ascii().to_string(), answer.escape_ascii().to_string());
}

/// What breaks the protocol is answered by a process, so by none that stands still.
#[tokio::test(start_paused = true)]
async fn a_frozen_process_does_not_say_what_breaks_the_protocol() {
    let Some((mut process, _block)) = server(false) else { return };
    let bytes = b"PING\r\n*x\r\nPING\r\n";
    let mut theirs = std::net::TcpStream::connect(process.addr()).unwrap();
    process.freeze().unwrap();
    theirs.write_all(bytes).unwrap();
    theirs.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut heard = Vec::new();
    assert!(theirs.read_to_end(&mut heard).is_err(), "{}", heard.escape_ascii());
    process.thaw().unwrap();
    theirs.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    theirs.read_to_end(&mut heard).unwrap();

    let bed = Testbed::builder().start().await.unwrap();
    let node = || Target::Node(NodeId::data(1));
    let mut ours = tokio::net::TcpStream::connect(bed.node_addr(NodeId::data(1)).unwrap()).await.unwrap();
    bed.inject(Fault::Freeze(node())).await.unwrap();
    ours.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let waited = tokio::time::timeout(Duration::from_secs(1), ours.read_to_end(&mut answer)).await;
    assert!(waited.is_err() && answer.is_empty(), "{}", answer.escape_ascii());
    bed.inject(Fault::Thaw(node())).await.unwrap();
    ours.read_to_end(&mut answer).await.unwrap();
    assert_eq!(heard.escape_ascii().to_string(), answer.escape_ascii().to_string());
}

/// A sender to a process that stands still has to wait when the buffers of both kernels are full; nothing is lost.
#[tokio::test(start_paused = true)]
async fn a_frozen_process_takes_no_more_than_its_socket_holds() {
    /// Far more than the buffers of two sockets on any usual system.
    const ALL: usize = 64 * 1024 * 1024;
    let bed = Testbed::builder().start().await.unwrap();
    let node = || Target::Node(NodeId::data(1));
    let ours = tokio::net::TcpStream::connect(bed.node_addr(NodeId::data(1)).unwrap()).await.unwrap();
    bed.inject(Fault::Freeze(node())).await.unwrap();
    let (mut read, mut write) = ours.into_split();
    let command = [&b"*2\r\n$4\r\nECHO\r\n$65536\r\n"[..], &vec![b'x'; 65_536], b"\r\n"].concat();
    let count = ALL / command.len();
    let sent = tokio::time::timeout(Duration::from_secs(5), async {
        for _ in 0..count {
            write.write_all(&command).await.unwrap();
        }
    });
    assert!(sent.await.is_err(), "{ALL} bytes were taken");
    bed.inject(Fault::Thaw(node())).await.unwrap();
    // What had been taken is answered.
    let mut answer = vec![0; 1024 * 1024];
    read.read_exact(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"$65536\r\nxxx"));
}
