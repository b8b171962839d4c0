//! Real replicas of a fake master, and fake replicas of a real one.

use std::net::SocketAddr;

use model::Reply;
use model::plan::Cluster;
use real::{Block, Options, Process, Program};

use crate::fakes::{Fakes, ask, info, wait};
use crate::{REDIS, each};

fn words(addr: SocketAddr, command: &[&str]) -> Vec<String> {
    let reply = ask(addr, command);
    let text = |reply: &Reply| reply.as_text().map(std::borrow::Cow::into_owned);
    let mut words: Vec<String> = match &reply {
        Reply::Array(items) => items.iter().filter_map(text).collect(),
        reply => vec![text(reply).unwrap_or_else(|| format!("{reply:?}"))],
    };
    if command[0] != "LRANGE" {
        words.sort();
    }
    words
}

/// The whole data set of the test, in a form that can be compared.
fn data(addr: SocketAddr) -> Vec<Vec<String>> {
    [
        &["KEYS", "*"][..],
        &["GET", "text"],
        &["GET", "counter"],
        &["LRANGE", "list", "0", "-1"],
        &["SMEMBERS", "set"],
        &["HGETALL", "hash"],
        &["ZRANGE", "ranks", "0", "-1", "WITHSCORES"],
        &["PEXPIRETIME", "short-lived"],
    ]
    .map(|command| words(addr, command))
    .to_vec()
}

/// Writes something of every kind.
fn fill(master: SocketAddr) {
    let text = "x".repeat(5_000);
    for command in [
        &["SET", "text", &text][..],
        &["INCR", "counter"],
        &["RPUSH", "list", "a", "b", "c"],
        &["SADD", "set", "1", "2", "x"],
        &["HSET", "hash", "field", "value", "other", "2"],
        &["ZADD", "ranks", "1.5", "a", "-2", "b"],
        &["SET", "short-lived", "x", "EX", "1000"],
    ] {
        let reply = ask(master, command);
        assert!(reply.error_code().is_none(), "{command:?}: {reply:?}");
    }
}

fn wait_in_sync(master: SocketAddr, replica: SocketAddr) {
    wait("the replica is in sync", || (info(replica, "master_link_status")? == "up").then_some(()));
    wait("the data are equal", || (data(master) == data(replica)).then_some(()));
    wait("the replica has acknowledged everything", || {
        let line = info(master, "slave0")?;
        let acknowledged = line.split(',').find_map(|field| field.strip_prefix("offset=").map(str::to_owned))?;
        (acknowledged == info(master, "master_repl_offset")?).then_some(())
    });
}

/// What holds of a replica: it is given a snapshot, then the stream, and after a lost link
/// only what it missed.
fn check_replica(master: SocketAddr, replica: SocketAddr) {
    fill(master);
    let (host, port) = (master.ip().to_string(), master.port().to_string());
    assert_eq!(ask(replica, &["REPLICAOF", &host, &port]), Reply::OK);
    wait_in_sync(master, replica);
    assert_eq!(info(master, "sync_full").as_deref(), Some("1"));
    for _ in 0..10 {
        ask(master, &["INCR", "counter"]);
        ask(master, &["LPUSH", "list", "more"]);
    }
    wait_in_sync(master, replica);
    assert_eq!(info(replica, "role").as_deref(), Some("slave"));

    let partial = || info(master, "sync_partial_ok").and_then(|count| count.parse::<u32>().ok()).expect("a count");
    let before = partial();
    assert_eq!(ask(master, &["CLIENT", "KILL", "TYPE", "replica"]), Reply::Int(1));
    ask(master, &["INCR", "counter"]);
    wait("the replica goes on where it was", || (partial() == before + 1).then_some(()));
    wait_in_sync(master, replica);
    assert_eq!(info(master, "sync_full").as_deref(), Some("1"), "no second snapshot");

    // Promoted, the replica goes its own way.
    assert_eq!(ask(replica, &["REPLICAOF", "NO", "ONE"]), Reply::OK);
    assert_eq!(ask(replica, &["SET", "text", "own"]), Reply::OK);
    assert_eq!(info(replica, "master_replid2"), info(master, "master_replid"));
    // Demoted to the replica of its replica, the old master goes on from there: it has written nothing since.
    let (host, port) = (replica.ip().to_string(), replica.port().to_string());
    assert_eq!(ask(master, &["REPLICAOF", &host, &port]), Reply::OK);
    wait_in_sync(replica, master);
    assert_eq!(info(replica, "sync_partial_ok").as_deref(), Some("1"));
    assert_eq!(info(replica, "sync_full").as_deref(), Some("0"));
    assert_eq!(info(master, "master_replid"), info(replica, "master_replid"));
}

fn fakes(seed: u64) -> Fakes {
    let mut cluster = Cluster { sentinels: 0, ..Cluster::standard() };
    cluster.groups[0].replicas = 0;
    Fakes::start(cluster, seed)
}

fn real_server(binaries: &real::Binaries) -> (Process, Block) {
    let block = Block::claim().expect("a block");
    let (ip, port) = block.addr(0, 6379);
    let addr = SocketAddr::new(ip, port);
    let mut process = Process::start(binaries, Program::Server, "real-1", addr, &Options::server()).expect("starts");
    process.wait_ready().expect("answers");
    (process, block)
}

#[test]
fn a_real_replica_attaches_to_a_fake_master() {
    each("a real replica attaches to a fake master", |binaries, seed| {
        let (real, _block) = real_server(binaries);
        let fakes = fakes(seed);
        check_replica(fakes.addr(REDIS[0]), real.addr());
    });
}

#[test]
fn a_fake_replica_attaches_to_a_real_master() {
    each("a fake replica attaches to a real master", |binaries, seed| {
        let (real, _block) = real_server(binaries);
        let fakes = fakes(seed);
        check_replica(real.addr(), fakes.addr(REDIS[0]));
    });
}
