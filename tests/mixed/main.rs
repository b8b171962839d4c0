//! Fake and real nodes in one cluster: neither can tell the other from its like.
//!
//! Each test waits for what it observes, with a deadline. `MIXED_REPEAT=10` runs each ten times.

mod fakes;
mod replication;

use std::net::SocketAddr;
use std::time::Duration;

use model::plan::{Cluster, Group};
use model::{EventName, Fault, NodeId, Target};
use real::{Binaries, Block, Options, Process, Program, RealCluster};

use crate::fakes::{Fakes, ask, info, master_by, wait};

const REDIS: [NodeId; 3] = [NodeId::data(1), NodeId::data(2), NodeId::data(3)];

/// Runs a test as often as `MIXED_REPEAT` says, once by default, with another seed each time.
fn each(what: &str, test: impl Fn(&Binaries, u64)) {
    let Some(binaries) = real::required(what) else { return };
    let times = std::env::var("MIXED_REPEAT").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    for seed in 1..=times {
        test(&binaries, seed);
    }
}

/// Fake data nodes, with so many fake Sentinels that watch them after `down_after`.
fn cluster(sentinels: u16, quorum: u16, down_after: Duration) -> Cluster {
    let mut cluster = Cluster::standard();
    cluster.sentinels = sentinels;
    cluster.groups[0].quorum = quorum;
    cluster.groups[0].down_after = down_after;
    cluster.groups[0].failover_timeout = Duration::from_secs(6);
    cluster
}

/// Real Sentinels that watch `master`.
struct RealSentinels {
    processes: Vec<Process>,
    _block: Block,
}

impl RealSentinels {
    fn start(binaries: &Binaries, count: usize, master: SocketAddr, quorum: u16, down_after: Duration) -> Self {
        let block = Block::claim().expect("a block");
        let options = Options::new()
            .line(format!("sentinel monitor mymaster {} {} {quorum}", master.ip(), master.port()))
            .line(format!("sentinel down-after-milliseconds mymaster {}", down_after.as_millis()))
            .line("sentinel failover-timeout mymaster 6000");
        let start = |index: usize| {
            let (ip, port) = block.addr(index, 26379);
            let name = format!("real-sentinel-{}", index + 1);
            Process::start(binaries, Program::Sentinel, &name, SocketAddr::new(ip, port), &options).expect("starts")
        };
        let mut processes: Vec<Process> = (0..count).map(start).collect();
        for process in &mut processes {
            process.wait_ready().expect("answers");
        }
        Self { processes, _block: block }
    }

    fn addrs(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.processes.iter().map(Process::addr)
    }
}

/// Waits until each Sentinel is connected to `others` others and to `replicas` replicas.
fn wait_discovered(sentinels: &[SocketAddr], others: usize, replicas: usize) {
    let connected = |sentinel: SocketAddr, table: &str| {
        let reply = ask(sentinel, &["SENTINEL", table, "mymaster"]);
        let fields = |entry: &model::Reply| {
            let words: Vec<String> = entry.as_array()?.iter().filter_map(|word| Some(word.as_text()?.into())).collect();
            let flags = words.iter().position(|word| word == "flags")?;
            (!words[flags + 1].contains("disconnected")).then_some(())
        };
        reply.as_array().unwrap_or_default().iter().filter_map(fields).count()
    };
    for sentinel in sentinels {
        wait(&format!("{sentinel} knows all"), || {
            let all = connected(*sentinel, "SENTINELS") == others && connected(*sentinel, "REPLICAS") == replicas;
            all.then_some(())
        });
    }
}

/// Waits until all Sentinels answer one master other than `old`, and gives it.
fn wait_switched(sentinels: &[SocketAddr], old: SocketAddr) -> SocketAddr {
    wait("all sentinels answer the new master", || {
        let answers: Vec<_> = sentinels.iter().map(|sentinel| master_by(*sentinel)).collect();
        let first = answers[0].filter(|first| *first != old)?;
        answers.iter().all(|answer| *answer == Some(first)).then_some(first)
    })
}

/// Waits until `new` is a master and `other` its replica in sync, and data written to the one is read from the other.
fn check_repointed(new: SocketAddr, other: SocketAddr) {
    wait("the new master is one", || (info(new, "role")? == "master").then_some(()));
    wait("the other replica follows the new master", || {
        let follows = info(other, "master_port")? == new.port().to_string();
        (follows && info(other, "master_link_status")? == "up").then_some(())
    });
    assert_eq!(ask(new, &["SET", "after", "the failover"]), model::Reply::OK);
    wait("the write is replicated", || {
        let value = ask(other, &["GET", "after"]);
        (value.as_text().as_deref() == Some("the failover")).then_some(())
    });
}

#[test]
fn three_real_sentinels_fail_over_fake_nodes() {
    each("three real sentinels fail over fake nodes", |binaries, seed| {
        let second = Duration::from_secs(1);
        let fakes = Fakes::start(cluster(0, 2, second), seed);
        let nodes = REDIS.map(|node| fakes.addr(node));
        let sentinels = RealSentinels::start(binaries, 3, nodes[0], 2, second);
        let addrs: Vec<_> = sentinels.addrs().collect();
        wait_discovered(&addrs, 2, 2);
        fakes.inject(Fault::Kill(Target::Node(REDIS[0])));
        let new = wait_switched(&addrs, nodes[0]);
        let other = if new == nodes[1] { nodes[2] } else { nodes[1] };
        check_repointed(new, other);
        // The old master comes back and is made a replica.
        fakes.inject(Fault::Restart(Target::Node(REDIS[0])));
        wait("the old master is converted", || {
            (info(nodes[0], "role")? == "slave" && info(nodes[0], "master_link_status")? == "up").then_some(())
        });
    });
}

#[test]
fn three_fake_sentinels_fail_over_real_nodes() {
    each("three fake sentinels fail over real nodes", |binaries, seed| {
        let plan = cluster(0, 2, Duration::from_secs(1));
        let mut real = RealCluster::start_nodes(binaries, &plan, |_, options| options).expect("real nodes");
        let nodes = REDIS.map(|node| real.addr(node).expect("a node"));
        let fakes = Fakes::start(Cluster { groups: Vec::<Group>::new(), ..cluster(3, 2, Duration::ZERO) }, seed);
        let sentinels: Vec<_> = (1..=3).map(|number| fakes.addr(NodeId::sentinel(number))).collect();
        for sentinel in &sentinels {
            let (ip, port) = (nodes[0].ip().to_string(), nodes[0].port().to_string());
            assert_eq!(ask(*sentinel, &["SENTINEL", "MONITOR", "mymaster", &ip, &port, "2"]), model::Reply::OK);
            let set = ["SENTINEL", "SET", "mymaster", "down-after-milliseconds", "1000", "failover-timeout", "6000"];
            assert_eq!(ask(*sentinel, &set), model::Reply::OK);
        }
        wait_discovered(&sentinels, 2, 2);
        real.node_mut(REDIS[0]).and_then(Process::kill).expect("killed");
        let new = wait_switched(&sentinels, nodes[0]);
        check_repointed(new, if new == nodes[1] { nodes[2] } else { nodes[1] });
    });
}

/// Two real Sentinels and a fake one. The one kind that notices the dead master asks the others for their votes, wins, and
/// they learn of it by its hello. `fake_leads` says which kind that is.
fn elect_together(binaries: &Binaries, seed: u64, fake_leads: bool) {
    let (soon, late) = (Duration::from_secs(1), Duration::from_secs(30));
    let (fake_after, real_after) = if fake_leads { (soon, late) } else { (late, soon) };
    let fakes = Fakes::start(cluster(1, 1, fake_after), seed);
    let nodes = REDIS.map(|node| fakes.addr(node));
    let real = RealSentinels::start(binaries, 2, nodes[0], 1, real_after);
    let fake = NodeId::sentinel(1);
    let sentinels: Vec<_> = std::iter::once(fakes.addr(fake)).chain(real.addrs()).collect();
    wait_discovered(&sentinels, 2, 2);
    let ids: Vec<String> = sentinels
        .iter()
        .map(|sentinel| ask(*sentinel, &["SENTINEL", "MYID"]).as_text().expect("an id").into_owned())
        .collect();
    let mut listener = real::Talk::connect(sentinels[1], fakes::PATIENCE).expect("connects");
    listener.send(&["PSUBSCRIBE", "*"]).expect("subscribes");

    fakes.inject(Fault::Kill(Target::Node(REDIS[0])));
    let new = wait_switched(&sentinels, nodes[0]);
    check_repointed(new, if new == nodes[1] { nodes[2] } else { nodes[1] });

    let elected = !fakes.events(fake, EventName::ElectedLeader).is_empty();
    assert_eq!(elected, fake_leads, "who leads");
    if fake_leads {
        let update = loop {
            let message = listener.receive(fakes::PATIENCE).expect("+config-update-from");
            let words: Vec<String> =
                message.as_array().unwrap_or_default().iter().filter_map(|word| Some(word.as_text()?.into())).collect();
            if words.get(2).is_some_and(|event| event == "+config-update-from") {
                break words[3].clone();
            }
        };
        assert!(update.starts_with(&format!("sentinel {} ", ids[0])), "{update}");
    } else {
        let updates = fakes.events(fake, EventName::ConfigUpdateFrom);
        let real = |update: &String| ids[1..].iter().any(|id| update.starts_with(&format!("sentinel {id} ")));
        assert!(updates.iter().any(real), "{updates:?}");
        let votes = fakes.events(fake, EventName::VoteForLeader);
        assert!(votes.iter().any(|vote| ids[1..].iter().any(|id| vote.starts_with(id.as_str()))), "{votes:?}");
    }
}

#[test]
fn two_real_and_a_fake_sentinel_elect_the_fake_one() {
    each("two real and a fake sentinel elect the fake one", |binaries, seed| elect_together(binaries, seed, true));
}

#[test]
fn two_real_and_a_fake_sentinel_elect_a_real_one() {
    each("two real and a fake sentinel elect a real one", |binaries, seed| elect_together(binaries, seed, false));
}
