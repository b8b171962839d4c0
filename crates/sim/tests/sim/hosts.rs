//! Names of hosts: what Sentinels make of them, what they tell, and what becomes of a name that stands for another
//! address.

use crate::common::{Lab, node, plan};
use model::fault::Target;
use model::history::What;
use model::plan::{Cluster, Host, Plan};
use model::{EventName, Fault, NodeId, Reply, Time};

const SENTINEL: NodeId = NodeId::sentinel(1);
const WHERE: &str = "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster";

/// Every node has a name, `host-redis-1` and so on.
fn named(resolve: bool, announce: bool) -> Plan {
    let mut plan = plan();
    for node in plan.cluster.nodes() {
        plan.cluster.hosts.insert(format!("host-{node}"), Host::Node(node));
    }
    plan.cluster.resolve_hostnames = resolve;
    plan.cluster.announce_hostnames = announce;
    plan
}

fn lab(resolve: bool, announce: bool) -> Lab {
    let mut lab = Lab::new(&named(resolve, announce));
    lab.run_to(14_000);
    lab
}

/// All strings of a reply, one after the other.
fn words(reply: &Reply) -> Vec<String> {
    match reply {
        Reply::Array(items) | Reply::Push(items) => items.iter().flat_map(words).collect(),
        Reply::Map(pairs) => pairs.iter().flat_map(|(key, value)| [words(key), words(value)].concat()).collect(),
        other => other.as_text().into_iter().map(Into::into).collect(),
    }
}

fn ask(lab: &mut Lab, conn: u64, command: &str) -> String {
    let reply = lab.ask(conn, command).unwrap_or_else(|| panic!("no answer to {command}"));
    match reply.error_code() {
        Some(_) => format!("{reply:?}"),
        None => words(&reply).join(" "),
    }
}

/// The first text of an event, as it was published.
fn text(lab: &Lab, wanted: EventName) -> String {
    let found = lab.history().records.iter().find_map(|record| match &record.what {
        What::Event { event, payload, .. } if *event == wanted => Some(payload.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no {wanted}"))
}

#[test]
fn names_are_told_if_they_are_to_be_announced() {
    let mut lab = lab(true, true);
    let conn = lab.open(SENTINEL);
    assert_eq!(ask(&mut lab, conn, WHERE), "host-redis-1 6379");
    let replicas = ask(&mut lab, conn, "SENTINEL REPLICAS mymaster");
    assert!(replicas.contains("name host-redis-2:6379 ip host-redis-2 port 6379"), "{replicas}");
    assert!(replicas.contains("master-host host-redis-1 master-port 6379"), "{replicas}");
    let peers = ask(&mut lab, conn, "SENTINEL SENTINELS mymaster");
    assert!(peers.contains("ip host-sentinel-2 port 26379"), "{peers}");
    assert!(ask(&mut lab, conn, "INFO sentinel").contains("address=host-redis-1:6379"));
    lab.inject(&Fault::Freeze(node("redis-1")));
    lab.run_for(6_500);
    // The master is found by address as well as by name.
    for host in ["host-redis-1", "HOST-redis-1", "10.0.0.1"] {
        let down = lab.ask(conn, &format!("SENTINEL IS-MASTER-DOWN-BY-ADDR {host} 6379 0 *"));
        assert!(matches!(&down, Some(Reply::Array(items)) if items[0] == Reply::Int(1)), "{host}: {down:?}");
    }
    lab.run_for(20_000);
    let switch = text(&lab, EventName::SwitchMaster);
    assert!(switch.starts_with("mymaster host-redis-1 6379 host-redis-"), "{switch}");
    let slave = text(&lab, EventName::SelectedSlave);
    assert!(slave.starts_with("slave host-redis-") && slave.ends_with(" @ mymaster host-redis-1 6379"), "{slave}");
    let new = lab.world.master("mymaster").expect("a master");
    assert_ne!(new, NodeId::data(1));
    assert_eq!(ask(&mut lab, conn, WHERE), format!("host-{new} 6379"));
    // A replica was told the name, and follows by it.
    let other = if new == NodeId::data(2) { NodeId::data(3) } else { NodeId::data(2) };
    let conn = lab.open(other);
    let role = ask(&mut lab, conn, "ROLE");
    assert!(role.starts_with(&format!("slave host-{new}")), "{role}");
    let (_, file) = lab.world.sentinel_file(SENTINEL, 0).expect("it has written its file");
    for line in [
        format!("sentinel monitor mymaster host-{new} 6379 2"),
        "sentinel known-replica mymaster host-redis-1 6379".to_owned(),
        "sentinel known-sentinel mymaster host-sentinel-2 26379".to_owned(),
        "sentinel resolve-hostnames yes".to_owned(),
        "sentinel announce-hostnames yes".to_owned(),
        "sentinel announce-ip host-sentinel-1".to_owned(),
    ] {
        assert!(file.lines().any(|written| written.starts_with(&line)), "{line}: {file}");
    }
}

#[test]
fn addresses_are_told_if_names_are_only_resolved() {
    let mut lab = lab(true, false);
    let conn = lab.open(SENTINEL);
    assert_eq!(ask(&mut lab, conn, WHERE), "10.0.0.1 6379");
    let replicas = ask(&mut lab, conn, "SENTINEL REPLICAS mymaster");
    assert!(replicas.contains("name 10.0.0.2:6379 ip 10.0.0.2"), "{replicas}");
    // From now on names are told, but a replica that is known keeps its name.
    assert_eq!(ask(&mut lab, conn, "SENTINEL CONFIG SET announce-hostnames yes"), "OK");
    assert_eq!(ask(&mut lab, conn, WHERE), "host-redis-1 6379");
    lab.inject(&Fault::Kill(node("redis-1")));
    lab.run_for(30_000);
    let new = lab.world.master("mymaster").expect("a master");
    assert_ne!(new, NodeId::data(1), "the failover needs no more than addresses");
}

#[test]
fn names_are_not_taken_if_they_are_not_to_be_resolved() {
    let mut lab = lab(false, false);
    let conn = lab.open(SENTINEL);
    let refused = ask(&mut lab, conn, "SENTINEL MONITOR other host-redis-1 6379 1");
    assert!(refused.contains("ERR Invalid IP address or hostname specified"), "{refused}");
    // Who announces a name is forgotten.
    let other = lab.open(NodeId::sentinel(2));
    assert_eq!(ask(&mut lab, other, "SENTINEL CONFIG SET announce-ip host-sentinel-2"), "OK");
    lab.run_for(3_000);
    let peers = ask(&mut lab, conn, "SENTINEL SENTINELS mymaster");
    assert!(!peers.contains("10.128.0.2") && peers.contains("10.128.0.3"), "{peers}");
    let text = text(&lab, EventName::SentinelAddressSwitch);
    assert!(text.starts_with("master mymaster 10.0.0.1 6379 ip host-sentinel-2 port 26379 for "), "{text}");
    // And met again when it announces an address.
    assert_eq!(ask(&mut lab, other, "SENTINEL CONFIG SET announce-ip 10.128.0.2"), "OK");
    lab.run_for(3_000);
    assert!(ask(&mut lab, conn, "SENTINEL SENTINELS mymaster").contains("10.128.0.2"));
}

/// The machine of the master gets another address within `down_after`: whoever knows it by name finds it again.
#[test]
fn a_name_is_looked_up_anew_when_the_connection_is_lost() {
    let moved = |resolve: bool| {
        let mut lab = lab(resolve, resolve);
        let name = "host-redis-1".to_owned();
        lab.inject(&Fault::ReplicaOf { target: node("redis-2"), of: None });
        lab.inject(&Fault::ReplicaOf { target: node("redis-3"), of: Some(node("redis-2")) });
        let hit = lab.inject(&Fault::Resolve { name, to: Some(Host::Node(NodeId::data(2))) });
        assert_eq!(hit, [NodeId::data(2)]);
        let conn = lab.open(SENTINEL);
        let before = ask(&mut lab, conn, "SENTINEL CONFIG SET announce-hostnames no");
        assert_eq!(before, "OK");
        assert_eq!(ask(&mut lab, conn, WHERE), "10.0.0.1 6379", "nobody is told");
        lab.inject(&Fault::Kill(node("redis-1")));
        lab.run_for(1_500);
        let address = ask(&mut lab, conn, WHERE);
        lab.run_for(6_000);
        let down = lab.events(EventName::SubjectivelyDown).iter().any(|(_, node)| *node == SENTINEL);
        (address, down)
    };
    assert_eq!(moved(true).0, "10.0.0.2 6379");
    assert_eq!(moved(false), ("10.0.0.1 6379".to_owned(), true));
}

/// Healing gives nodes the names back that they had at the start, and leaves the others alone.
#[test]
fn a_heal_gives_names_back() {
    let mut lab = lab(true, true);
    let [one, other] = ["host-redis-1", "host-redis-2"];
    for name in [one, other] {
        lab.inject(&Fault::Resolve { name: name.into(), to: None });
    }
    assert_eq!(lab.inject(&Fault::Heal(node("redis-1"))), [NodeId::data(1)]);
    assert_eq!([one, other].map(|name| lab.world.look_up(name).is_some()), [true, false]);
    lab.inject(&Fault::Heal(Target::All));
    assert_eq!(lab.world.look_up(other).as_deref(), Some("10.0.0.2"));
}

/// A name that nobody knows: the Sentinel keeps the master and goes on asking.
#[test]
fn a_name_may_become_known_later() {
    let mut plan = named(true, true);
    plan.cluster.hosts.remove("host-redis-1");
    plan.cluster.sentinel_files = (1..=3)
        .map(|number| {
            let text = "sentinel resolve-hostnames yes\nsentinel monitor mymaster host-redis-1 6379 2\n\
                        sentinel down-after-milliseconds mymaster 5000\n";
            (NodeId::sentinel(number), text.to_owned())
        })
        .collect();
    let mut lab = Lab::new(&plan);
    lab.run_to(3_000);
    let conn = lab.open(SENTINEL);
    assert_eq!(ask(&mut lab, conn, WHERE), " 6379");
    lab.inject(&Fault::Resolve { name: "host-redis-1".into(), to: Some(Host::Node(NodeId::data(1))) });
    lab.run_for(4_000);
    assert_eq!(ask(&mut lab, conn, WHERE), "10.0.0.1 6379");
    let peers = ask(&mut lab, conn, "SENTINEL SENTINELS mymaster");
    assert!(peers.contains("10.128.0.2"), "{peers}");
    assert_eq!(lab.events(EventName::SubjectivelyDown), Vec::<(Time, NodeId)>::new());
}

#[test]
fn the_resolver_of_a_plan_knows_nodes_and_addresses() {
    let mut cluster = Cluster::standard();
    cluster.hosts.insert("a".into(), Host::Node(NodeId::data(2)));
    cluster.hosts.insert("b".into(), Host::Ip("10.9.9.9".parse().expect("an address")));
    assert_eq!(cluster.resolver().resolve("a").as_deref(), Some("10.0.0.2"));
    assert_eq!(cluster.resolver().resolve("b").as_deref(), Some("10.9.9.9"));
    assert_eq!(Fault::Resolve { name: "a".into(), to: None }.targets(), Vec::<&Target>::new());
}

/// A machine is replaced by one with another address. Whoever knows the node by its name finds it again.
#[test]
fn a_node_returns_under_its_name_at_another_address() {
    let mut lab = lab(true, true);
    let name = "host-redis-1";
    lab.inject(&Fault::Kill(node("redis-1")));
    lab.run_for(20_000);
    let first = lab.world.master("mymaster").expect("a master");
    assert_ne!(first, NodeId::data(1));
    assert_eq!(lab.inject(&Fault::Move { target: node("redis-1"), to: [10, 0, 1, 1].into() }), [NodeId::data(1)]);
    assert_eq!(lab.world.look_up(name).as_deref(), Some("10.0.1.1"));
    lab.inject(&Fault::Restart(node("redis-1")));
    lab.run_for(25_000);
    let conn = lab.open(NodeId::data(1));
    let role = ask(&mut lab, conn, "ROLE");
    assert!(role.starts_with(&format!("slave host-{first} connected")), "{role}");
    // Nobody is where it was.
    let conn = lab.open(SENTINEL);
    let replicas = ask(&mut lab, conn, "SENTINEL REPLICAS mymaster");
    assert!(replicas.contains("name host-redis-1:6379 ip host-redis-1 port 6379"), "{replicas}");
    // One that runs starts there at once, and is the same node.
    assert_eq!(lab.inject(&Fault::Move { target: node("redis-1"), to: [10, 0, 1, 2].into() }), [NodeId::data(1)]);
    lab.run_for(3_000);
    let conn = lab.open(NodeId::data(1));
    assert!(ask(&mut lab, conn, "ROLE").starts_with("slave"));
}

#[test]
fn a_name_that_is_lost_is_a_fault_at_the_node_that_had_it() {
    let mut lab = lab(true, true);
    let resolve = |to| Fault::Resolve { name: "host-redis-3".into(), to };
    assert_eq!(lab.inject(&resolve(None)), [NodeId::data(3)]);
    assert_eq!(lab.inject(&resolve(None)), [], "it stood for nothing");
    assert_eq!(lab.inject(&resolve(Some(Host::Node(NodeId::data(2))))), [NodeId::data(2)]);
    assert_eq!(lab.inject(&resolve(Some(Host::Node(NodeId::data(2))))), [], "it stands for that already");
    assert_eq!(lab.inject(&resolve(Some(Host::Ip([10, 9, 9, 9].into())))), [NodeId::data(2)]);
}
