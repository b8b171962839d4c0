//! Names of hosts as clients look them up: unmodified, by the C library, in the world of their run.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::net::ToSocketAddrs as _;
use std::sync::Arc;
use std::time::Duration;

use model::history::What;
use model::plan::{Client, Cluster, Expect, Host, Step, Trigger, Workload};
use model::{ClientId, Fault, NodeId, Outcome, Plan, Seed, Target};
use sentinel_lab_testbed::{Run, RunOutcome, Testbed};
use tokio::net::lookup_host;
use tokio::time::Instant;

use crate::common::{Raw, Value, Wire};

const SECOND: Duration = Duration::from_secs(1);

/// Every node has a name, `host-redis-1` and so on, and Sentinels announce it.
fn named(cluster: &mut Cluster) {
    for node in cluster.nodes() {
        cluster.hosts.insert(format!("host-{node}"), Host::Node(node));
    }
    cluster.resolve_hostnames = true;
    cluster.announce_hostnames = true;
}

fn plan(clients: Vec<Client>, faults: Vec<(u32, Fault)>) -> Plan {
    let mut cluster = Cluster::standard();
    cluster.groups[0].down_after = 5 * SECOND;
    named(&mut cluster);
    let step = |(at, fault)| Step { when: Trigger::At(at * SECOND), fault, lasting: None };
    Plan {
        title: "names".to_owned(),
        cluster,
        clients,
        timeline: faults.into_iter().map(step).collect(),
        run_for: 40 * SECOND,
        expect: Expect::default(),
    }
}

fn client(id: &str) -> Client {
    Client { deadline: 5 * SECOND, budget: 5 * SECOND, ..Client::new(id, Workload::Counter) }
}

fn run(plan: Plan, seed: u64) -> RunOutcome {
    Run::new(plan, Seed(seed), vec![Arc::new(Raw)]).run().unwrap()
}

/// To which node `client` has dialled, as often as it did.
fn dialled(outcome: &RunOutcome, client: &str) -> Vec<(u64, NodeId)> {
    let id = ClientId::new(client);
    let of_it = |what: &What| match what {
        What::Opened { client, node, .. } if *client == id => Some(*node),
        _ => None,
    };
    outcome.history.records.iter().filter_map(|record| Some((record.at.as_millis(), of_it(&record.what)?))).collect()
}

#[test]
fn clients_follow_a_failover_by_names() {
    let plan = || plan(vec![client("a"), client("b"), client("c")], vec![(10, Fault::Kill(Target::Master(None)))]);
    let outcome = run(plan(), 7);
    assert_eq!(outcome.verdict.outcome, Outcome::Pass, "{:#?}", outcome.verdict.findings);
    assert_eq!(outcome.verdict.failovers.len(), 1);
    for name in ["a", "b", "c"] {
        assert!(dialled(&outcome, name).iter().any(|(at, node)| *at > 15_000 && !node.is_sentinel()), "{name}");
    }
    for seed in 1..=5 {
        assert_eq!(run(plan(), seed).history.digest(), run(plan(), seed).history.digest(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_is_what_it_stands_for_at_that_instant() {
    let bed = Testbed::builder().plan(|plan| named(&mut plan.cluster)).start().await.unwrap();
    let port = bed.node_addr(NodeId::data(1)).unwrap().port();
    let found = async |name: &str| Some(lookup_host((name, port)).await.ok()?.collect::<Vec<_>>());
    let node = |number| Some(vec![bed.node_addr(NodeId::data(number)).unwrap()]);
    let start = Instant::now();
    assert_eq!(found("host-redis-1").await, node(1));
    assert_eq!(found("HOST-redis-2").await, node(2));
    assert_eq!(found("host-redis-9").await, None);
    // From the thread of the run itself, and from one of its own.
    let asked = move || ("host-redis-3", port).to_socket_addrs().unwrap().collect::<Vec<_>>();
    assert_eq!(Some(asked()), node(3));
    assert_eq!(tokio::task::spawn_blocking(asked).await.ok(), node(3));
    let resolve = |to| Fault::Resolve { name: "host-redis-1".into(), to };
    bed.inject(resolve(Some(Host::Node(NodeId::data(2))))).await.unwrap();
    assert_eq!(found("host-redis-1").await, node(2));
    assert_eq!(start.elapsed(), Duration::ZERO, "no time passes meanwhile");
    // Two clients are told the same, and are told apart by the port.
    let (a, b) = (bed.view("a", "default").unwrap(), bed.view("b", "default").unwrap());
    let [a, b] = [a, b].map(|view| view.node_addr(NodeId::data(3)).unwrap());
    assert_eq!(a.ip(), b.ip());
    assert_ne!(a.port(), b.port());
    for (client, addr) in [("a", a), ("b", b)] {
        let mut wire = Wire::connect(("host-redis-3", addr.port())).await.unwrap();
        assert_eq!(wire.ask(&["PING"]).await.unwrap(), Value::Simple("PONG".to_owned()));
        let opened = |what: &What| matches!(what, What::Opened { client: id, .. } if *id == ClientId::new(client));
        bed.history(|history| assert!(history.records.iter().any(|record| opened(&record.what)), "{client}"));
    }
    drop(bed);
    assert!(lookup_host(("localhost", 1)).await.is_ok(), "the system is asked again");
}

/// Lookups at the same moment wait for one another, and for what they set off.
#[test]
fn many_lookups_at_once_repeat() {
    let clients: Vec<Client> = (0..8).map(|number| client(&format!("c{number}"))).collect();
    let faults = [(10, Fault::Kill(Target::Master(None))), (12, Fault::ClientKill(Target::All))];
    let digest = || run(plan(clients.clone(), faults.to_vec()), 3).history.digest();
    let first = digest();
    for _ in 0..2 {
        assert_eq!(digest(), first);
    }
}
