//! What a client meets at the sockets, at exact virtual times.

use std::net::SocketAddr;
use std::time::Duration;

use model::history::What;
use model::plan::{Cluster, Expect, Plan};
use model::{EventName, Fault, NodeId, Seed, Target, Time};
use sentinel_lab_testbed::{Listen, Server, Testbed, TestbedError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::common::{Value, Wire};

const SECOND: Duration = Duration::from_secs(1);
const REDIS_1: NodeId = NodeId::data(1);

async fn bed() -> Testbed {
    Testbed::builder().down_after(5 * SECOND).seed(7).start().await.unwrap()
}

fn addr(bed: &Testbed, node: NodeId) -> SocketAddr {
    bed.node_addr(node).unwrap()
}

fn bulk(text: &str) -> Value {
    Value::Bulk(text.as_bytes().to_vec())
}

#[tokio::test(start_paused = true)]
async fn sentinels_answer_with_addresses_that_can_be_dialled() {
    let bed = bed().await;
    let master = addr(&bed, REDIS_1);
    assert_eq!(bed.master_addr("mymaster"), Some(master));
    assert_eq!(bed.sentinel_addrs().len(), 3);
    let mut sentinel = Wire::connect(bed.sentinel_addrs()[1]).await.unwrap();
    let answer = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"]).await.unwrap();
    assert_eq!(answer, Value::Array(vec![bulk(&master.ip().to_string()), bulk(&master.port().to_string())]));
    assert_eq!(bed.now(), Time::ZERO);
}

#[tokio::test(start_paused = true)]
async fn another_client_has_other_addresses_of_the_same_nodes() {
    let bed = bed().await;
    let other = bed.view("elsewhere", Cluster::DEFAULT_ZONE).unwrap();
    let (here, there) = (addr(&bed, REDIS_1), other.node_addr(REDIS_1).unwrap());
    assert_ne!(here, there);
    assert_eq!(other.master_addr("mymaster"), Some(there));
    let mut one = Wire::connect(here).await.unwrap();
    let mut two = Wire::connect(there).await.unwrap();
    assert_eq!(one.ask(&["SET", "k", "10.0.0.1:6379"]).await.unwrap(), Value::Simple("OK".into()));
    assert_eq!(two.ask(&["GET", "k"]).await.unwrap(), bulk("10.0.0.1:6379"));
}

/// Each of the connections that the node closed lingers at its address, and would answer in its place whoever dials from the
/// same port. The kernel goes through its ports once in about 3,000 dials.
#[tokio::test(start_paused = true)]
async fn a_killed_node_refuses_at_once_from_whatever_port() {
    const CONNECTIONS: usize = 150;
    const DIALS: usize = 5_000;
    let bed = bed().await;
    let addr = addr(&bed, REDIS_1);
    let mut wires = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut wire = Wire::connect(addr).await.unwrap();
        assert_eq!(wire.ask(&["PING"]).await.unwrap(), Value::Simple("PONG".into()));
        wires.push(wire);
    }
    bed.inject(Fault::Kill(Target::Node(REDIS_1))).await.unwrap();
    for mut wire in wires {
        assert!(wire.closed().await);
    }
    let killed = bed.now();
    let mut waited = 0;
    for _ in 0..DIALS {
        let before = Instant::now();
        let dialled = timeout(SECOND, TcpStream::connect(addr)).await;
        let refused = dialled.is_ok_and(|dialled| dialled.is_err());
        waited += usize::from(!refused || before.elapsed() > Duration::ZERO);
    }
    assert_eq!(waited, 0, "dials of {DIALS} that were not refused at once");
    assert_eq!(bed.now(), killed);
}

#[tokio::test(start_paused = true)]
async fn a_killed_node_closes_and_refuses_and_comes_back() {
    let bed = bed().await;
    let addr = addr(&bed, REDIS_1);
    let mut wire = Wire::connect(addr).await.unwrap();
    assert_eq!(wire.ask(&["PING"]).await.unwrap(), Value::Simple("PONG".into()));
    bed.inject_lasting(Fault::Kill(Target::Node(REDIS_1)), 2 * SECOND).await.unwrap();
    assert!(wire.closed().await);
    assert_eq!(TcpStream::connect(addr).await.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(bed.now(), Time::ZERO);
    // A moment more: of two timers for one moment the test's may come first.
    sleep(Duration::from_millis(2_001)).await;
    let mut wire = Wire::connect(addr).await.unwrap();
    assert_eq!(wire.ask(&["PING"]).await.unwrap(), Value::Simple("PONG".into()));
}

#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn an_unreachable_node_is_silent() {
    let bed = bed().await;
    let addr = addr(&bed, REDIS_1);
    let mut wire = Wire::connect(addr).await.unwrap();
    bed.inject_lasting(Fault::Unreachable(Target::Node(REDIS_1)), 3 * SECOND).await.unwrap();
    assert!(timeout(SECOND, TcpStream::connect(addr)).await.is_err());
    assert!(timeout(SECOND, wire.ask(&["PING"])).await.is_err());
    assert_eq!(bed.now(), Time::from_millis(2_000));
    assert!(timeout(2 * SECOND, wire.read()).await.is_ok(), "what was sent arrives after the heal");
    assert!(timeout(SECOND, TcpStream::connect(addr)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_frozen_node_accepts_and_answers_when_it_thaws() {
    let bed = bed().await;
    bed.inject_lasting(Fault::Freeze(Target::Node(REDIS_1)), 2 * SECOND).await.unwrap();
    let mut wire = Wire::connect(addr(&bed, REDIS_1)).await.unwrap();
    assert_eq!(wire.ask(&["PING"]).await.unwrap(), Value::Simple("PONG".into()));
    assert_eq!(bed.now(), Time::from_millis(2_000));
}

#[tokio::test(start_paused = true)]
async fn what_breaks_the_protocol_is_answered_and_ends_the_connection() {
    let bed = bed().await;
    let mut wire = Wire::connect(addr(&bed, REDIS_1)).await.unwrap();
    wire.send(b"PING\r\n*1\r\n$-5\r\n").await.unwrap();
    assert_eq!(wire.read().await.unwrap(), Value::Simple("PONG".into()));
    assert_eq!(wire.read().await.unwrap(), Value::Error("ERR Protocol error: invalid bulk length".into()));
    assert!(wire.closed().await);
}

#[tokio::test(start_paused = true)]
async fn strangers_have_lower_limits() {
    let bed = Testbed::builder().password("secret").start().await.unwrap();
    let many: Vec<&str> = ["DEL"].into_iter().chain(std::iter::repeat_n("k", 20)).collect();
    let mut wire = Wire::connect(addr(&bed, REDIS_1)).await.unwrap();
    let answer = wire.ask(&many).await.unwrap();
    assert_eq!(answer, Value::Error("ERR Protocol error: unauthenticated multibulk length".into()));
    let mut wire = Wire::connect(addr(&bed, REDIS_1)).await.unwrap();
    assert_eq!(wire.ask(&["AUTH", "secret"]).await.unwrap(), Value::Simple("OK".into()));
    assert_eq!(wire.ask(&many).await.unwrap(), Value::Int(0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_everything_and_blocks_nobody() {
    let bed = bed().await;
    let (mut slow, mut quick) =
        (Wire::connect(addr(&bed, REDIS_1)).await.unwrap(), Wire::connect(addr(&bed, REDIS_1)).await.unwrap());
    let value = "x".repeat(1024 * 1024);
    assert_eq!(slow.ask(&["SET", "big", &value]).await.unwrap(), Value::Simple("OK".into()));
    // More than the buffers of the kernel hold.
    for _ in 0..20 {
        slow.send(b"GET big\r\n").await.unwrap();
    }
    assert_eq!(quick.ask(&["PING"]).await.unwrap(), Value::Simple("PONG".into()));
    for _ in 0..20 {
        assert_eq!(slow.read().await.unwrap(), bulk(&value));
    }
}

/// Subscribes and never reads.
async fn subscriber(bed: &Testbed) -> Wire {
    let mut wire = Wire::connect(addr(bed, REDIS_1)).await.unwrap();
    wire.ask(&["SUBSCRIBE", "news"]).await.unwrap();
    wire
}

async fn subscribers(wire: &mut Wire) -> Value {
    let Value::Array(items) = wire.ask(&["PUBSUB", "NUMSUB", "news"]).await.unwrap() else { panic!("no array") };
    items.into_iter().nth(1).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_who_never_reads_is_closed_at_the_hard_limit() {
    let bed = bed().await;
    let _silent = subscriber(&bed).await;
    let mut other = Wire::connect(addr(&bed, REDIS_1)).await.unwrap();
    let value = "x".repeat(1024 * 1024);
    let mut sent = 0;
    while subscribers(&mut other).await == Value::Int(1) {
        other.ask(&["PUBLISH", "news", &value]).await.unwrap();
        sent += 1;
        assert!(sent < 64, "32 MiB, and what the kernel holds");
    }
    assert!(sent >= 32, "{sent} MiB are within the limit");
    assert_eq!(bed.now(), Time::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_who_reads_too_little_is_closed_after_a_minute() {
    let bed = bed().await;
    let _silent = subscriber(&bed).await;
    let mut other = Wire::connect(addr(&bed, REDIS_1)).await.unwrap();
    for _ in 0..25 {
        other.ask(&["PUBLISH", "news", &"x".repeat(1024 * 1024)]).await.unwrap();
    }
    assert_eq!(bed.now(), Time::ZERO);
    sleep(Duration::from_millis(60_999)).await;
    assert_eq!(subscribers(&mut other).await, Value::Int(1));
    sleep(Duration::from_millis(2)).await;
    assert_eq!(subscribers(&mut other).await, Value::Int(0));
}

#[tokio::test(start_paused = true)]
async fn waiting_is_bounded_and_faults_need_a_target() {
    let bed = Testbed::builder().patience(20 * SECOND).start().await.unwrap();
    let error = bed.wait_for(EventName::SwitchMaster).await.unwrap_err();
    assert_eq!(error.to_string(), "no +switch-master within 20 s, at 20.000s");
    let error = bed.inject(Fault::Kill(Target::Node(NodeId::data(9)))).await.unwrap_err();
    assert!(matches!(error, TestbedError::NoTarget { .. }), "{error}");
}

/// What many clients saw, in order: who got an answer, and when.
fn trace() -> Vec<(u64, usize)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let bed = bed().await;
        let start = Instant::now();
        let trace = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..32 {
            let (addr, trace) = (addr(&bed, NodeId::data(1 + client as u16 % 3)), trace.clone());
            clients.spawn(async move {
                let mut wire = Wire::connect(addr).await.unwrap();
                for ping in 0..50 {
                    assert_eq!(wire.ask(&["PING"]).await.unwrap(), Value::Simple("PONG".into()));
                    trace.lock().unwrap().push((start.elapsed().as_micros() as u64, client));
                    sleep(Duration::from_millis((client as u64 * 7 + ping * 13) % 5)).await;
                }
            });
        }
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
        let trace = trace.lock().unwrap();
        trace.clone()
    })
}

#[test]
fn many_clients_are_answered_in_the_same_order_every_time() {
    let first = trace();
    assert_eq!(first.len(), 32 * 50);
    for _ in 0..5 {
        assert_eq!(trace(), first);
    }
}

#[test]
fn it_works_in_real_time() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let bed = bed().await;
        let mut wire = Wire::connect(addr(&bed, REDIS_1)).await.unwrap();
        assert_eq!(wire.ask(&["PING"]).await.unwrap(), Value::Simple("PONG".into()));
    });
}

#[tokio::test(start_paused = true)]
async fn a_frozen_node_does_not_close_its_half() {
    let bed = bed().await;
    let mut stream = TcpStream::connect(addr(&bed, REDIS_1)).await.unwrap();
    let mut killed = TcpStream::connect(addr(&bed, NodeId::data(2))).await.unwrap();
    for node in [1, 2] {
        bed.inject(Fault::Freeze(Target::Node(NodeId::data(node)))).await.unwrap();
    }
    for stream in [&mut stream, &mut killed] {
        stream.write_all(b"PING\r\n").await.unwrap();
        stream.shutdown().await.unwrap();
    }
    let mut answer = Vec::new();
    assert!(timeout(3 * SECOND, stream.read_to_end(&mut answer)).await.is_err(), "{}", answer.escape_ascii());
    // It goes on: what was asked before the end is answered, then it closes too.
    bed.inject(Fault::Thaw(Target::Node(REDIS_1))).await.unwrap();
    let before = bed.now();
    stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"+PONG\r\n");
    // A process that ends closes everything.
    bed.inject(Fault::Kill(Target::Node(NodeId::data(2)))).await.unwrap();
    answer.clear();
    killed.read_to_end(&mut answer).await.unwrap();
    assert_eq!((answer, bed.now()), (Vec::new(), before));
}

/// In real time the start must not take longer than the first question of a Sentinel is away: it would know no replica for
/// 10 s, and a master that is killed meanwhile would have no successor.
#[tokio::test]
async fn a_served_cluster_knows_its_replicas_from_the_start() {
    let plan = Plan {
        title: "served".to_owned(),
        cluster: Cluster::standard(),
        clients: vec![],
        timeline: vec![],
        run_for: Duration::ZERO,
        expect: Expect::default(),
    };
    let server = Server::start(plan, Seed(7), &Listen::default()).unwrap();
    let records = server.finish().unwrap().records;
    let met = records.iter().filter(|record| matches!(record.what, What::Event { event: EventName::Slave, .. }));
    assert_eq!(met.count(), 6);
}

/// A search with a pattern that takes longer than the world will last stops the process that makes it, and nobody else.
#[tokio::test(start_paused = true)]
async fn a_script_that_searches_for_ever_stops_one_node() {
    let bed = Testbed::builder().down_after(SECOND).seed(7).start().await.unwrap();
    // Until everybody knows everybody.
    sleep(13 * SECOND).await;
    let master = addr(&bed, REDIS_1);
    let mut busy = Wire::connect(master).await.unwrap();
    let search = "return string.find(('a'):rep(60), ('a?'):rep(60) .. ('a'):rep(60) .. 'b')";
    let eval = format!("*3\r\n$4\r\nEVAL\r\n${}\r\n{search}\r\n$1\r\n0\r\n", search.len());
    busy.send(eval.as_bytes()).await.unwrap();
    bed.wait_for(EventName::SwitchMaster).await.unwrap();
    let mut new = Wire::connect(bed.master_addr("mymaster").unwrap()).await.unwrap();
    assert_eq!(new.ask(&["SET", "k", "v"]).await.unwrap(), Value::Simple("OK".into()));
    let mut stopped = Wire::connect(master).await.unwrap();
    assert!(timeout(SECOND, stopped.ask(&["SCRIPT", "KILL"])).await.is_err(), "Redis does not look around either");
}
