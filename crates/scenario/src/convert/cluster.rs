//! The nodes: masters with their settings, Sentinels, zones.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::take;
use std::time::Duration;

use model::id::NodeId;
use model::plan::{Cluster, Credentials, Group, Host, Tls};

use super::TICK;
use crate::collect::Collector;
use crate::form::{Entries, Field, Mistake, Node, Record};
use crate::leaf::{Count, Flag, HostName, HostOf, MasterName, Name, NodeName, Text};
use crate::problems::Place;
use crate::raw;
use crate::suggest::listed;

/// The most data nodes, and the most Sentinels, of a run.
const MOST_NODES: u64 = 100;

/// The cluster, and the names of its zones.
pub(super) fn cluster(field: Field<Record<raw::Cluster>>, collector: &mut Collector) -> (Cluster, BTreeSet<String>) {
    let mut raw = collector.field(field).map(|(record, place)| collector.fields(record, place)).unwrap_or_default();
    let mut cluster = Cluster::standard();
    collector.number(take(&mut raw.sentinels), 1..=MOST_NODES, &mut cluster.sentinels);
    collector.duration(take(&mut raw.node_latency), Duration::ZERO, &mut cluster.node_latency);
    let words = ["sentinel_user", "sentinel_password"];
    cluster.sentinel_auth =
        credentials(take(&mut raw.sentinel_user), take(&mut raw.sentinel_password), words, collector);
    cluster.groups = groups(&mut raw, cluster.sentinels, collector);
    priorities(take(&mut raw.priorities), &mut cluster, collector);
    hosts(&mut raw, &mut cluster, collector);
    cluster.tls = tls(take(&mut raw.tls), collector);
    let zones = zones(raw.zones, &mut cluster, collector);
    (cluster, zones)
}

/// The groups: one by the short form, or those of `masters`.
fn groups(raw: &mut raw::Cluster, sentinels: u16, collector: &mut Collector) -> Vec<Group> {
    let mut defaults = Group::new("mymaster");
    defaults.quorum = defaults.quorum.min(sentinels);
    macro_rules! apply {
        ($settings:expr, $group:expr) => {{
            let (settings, group) = (&mut $settings, &mut $group);
            collector.number(take(&mut settings.replicas), 0..=MOST_NODES, &mut group.replicas);
            collector.number(take(&mut settings.parallel_syncs), 1..=u16::MAX.into(), &mut group.parallel_syncs);
            collector.duration(take(&mut settings.down_after), TICK, &mut group.down_after);
            collector.duration(take(&mut settings.failover_timeout), TICK, &mut group.failover_timeout);
            collector.duration(take(&mut settings.replication_lag), Duration::ZERO, &mut group.replication_lag);
            collector.duration(take(&mut settings.min_replicas_max_lag), TICK, &mut group.min_replicas_max_lag);
            quorum(take(&mut settings.quorum), sentinels, &mut group.quorum, collector);
            let most = group.replicas.into();
            collector.number(take(&mut settings.min_replicas_to_write), 0..=most, &mut group.min_replicas_to_write);
            if let Some(Flag(flag)) = collector.value(take(&mut settings.serve_stale_data)) {
                group.serve_stale_data = flag;
            }
            let off = Duration::ZERO;
            collector.duration(take(&mut settings.reboot_down_after), off, &mut group.reboot_down_after);
            if let Some(Text(path)) = collector.value(take(&mut settings.notification_script)) {
                group.notification_script = Some(path);
            }
            if let Some(Text(path)) = collector.value(take(&mut settings.client_reconfig_script)) {
                group.client_reconfig_script = Some(path);
            }
            let words = ["user", "password"];
            if let Some(auth) = credentials(take(&mut settings.user), take(&mut settings.password), words, collector) {
                group.auth = Some(auth);
            }
        }};
    }
    apply!(*raw, defaults);

    let Some((masters, place)) = collector.field(take(&mut raw.masters)) else {
        if let Some(MasterName(name)) = collector.value(take(&mut raw.master)) {
            defaults.name = name;
        }
        return vec![defaults];
    };
    if let Some((_, place)) = collector.field(take(&mut raw.master)) {
        collector.add(place, Mistake::new("both `master` and `masters`").help("keep one of them"));
    }
    let mut groups: Vec<Group> = Vec::new();
    for node in masters {
        let Some((mut entry, place)) = collector.record(node) else { continue };
        let mut group = defaults.clone();
        apply!(entry, group);
        if let Some((MasterName(name), place)) = collector.required(entry.name, place, "name", "mymaster") {
            if groups.iter().any(|group| group.name == name) {
                collector.add(place, Mistake::new(format!("there are two masters called `{name}`")));
            }
            group.name = name;
        }
        groups.push(group);
    }
    if groups.is_empty() {
        collector.add(place, Mistake::new("`masters` has no entry").help("add `- {name: mymaster}`"));
        groups.push(defaults);
    }
    let nodes: u64 = groups.iter().map(|group| u64::from(group.replicas) + 1).sum();
    if nodes > MOST_NODES {
        collector.add(place, Mistake::new(format!("{nodes} data nodes")).help(format!("at most {MOST_NODES}")));
        groups.truncate(1);
    }
    groups
}

fn quorum(field: Field<Count>, sentinels: u16, quorum: &mut u16, collector: &mut Collector) {
    if let Some((Count(number), place)) = collector.field(field) {
        match u16::try_from(number) {
            Ok(number) if (1..=sentinels).contains(&number) => *quorum = number,
            _ => {
                let mistake = if number == 0 {
                    Mistake::new("a quorum of 0")
                } else {
                    Mistake::new(format!("a quorum of {number} of {sentinels} Sentinels can never be reached"))
                };
                collector
                    .add(place, mistake.help(format!("it must be from 1 to {sentinels}, the number of Sentinels")));
            }
        }
    }
}

fn credentials(
    user: Field<Text>,
    password: Field<Text>,
    [user_key, password_key]: [&str; 2],
    collector: &mut Collector,
) -> Option<Credentials> {
    let user = collector.field(user);
    let given = password.0.is_some();
    let password = collector.field(password).filter(|(Text(password), place)| {
        if password.is_empty() {
            collector.add(*place, Mistake::new("the password is empty").help("leave the key out for no password"));
        }
        !password.is_empty()
    });
    if let (Some((_, place)), false) = (&user, given) {
        collector.add(
            *place,
            Mistake::new(format!("`{user_key}` without `{password_key}`")).help(format!("add `{password_key}`")),
        );
    }
    password.map(|(Text(password), _)| Credentials { user: user.map(|(Text(user), _)| user), password })
}

/// Sets what has to do with names of machines.
fn hosts(raw: &mut raw::Cluster, cluster: &mut Cluster, collector: &mut Collector) {
    for (place, name, host) in collector.value(take(&mut raw.hosts)).map(|entries| entries.0).unwrap_or_default() {
        let name = HostName::parse(&name).map_err(|mistake| collector.add(place, mistake));
        let host_place = host.place;
        let Some(HostOf(host)) = collector.node(host) else { continue };
        if let Host::Node(node) = host
            && known_node(&node.to_string(), host_place, cluster, collector).is_none()
        {
            continue;
        }
        let Ok(HostName(name)) = name else { continue };
        if cluster.hosts.keys().any(|known| known.eq_ignore_ascii_case(&name)) {
            let help = "upper and lower case are the same";
            collector.add(place, Mistake::new(format!("the name `{name}` is there twice")).help(help));
            continue;
        }
        cluster.hosts.insert(name, host);
    }
    if let Some((Flag(true), place)) = collector.field(take(&mut raw.ipv6)) {
        cluster.addresses = cluster.nodes().into_iter().map(|node| (node, Cluster::addr_v6(node))).collect();
        if !cluster.hosts.is_empty() {
            let help = "all nodes share one IPv6 address, so that names would not tell them apart";
            collector.add(place, Mistake::new("`ipv6` and `hosts` in one cluster").help(help));
        }
    }
    if let Some((Flag(flag), place)) = collector.field(take(&mut raw.nat)) {
        cluster.nat = flag;
        if flag && !cluster.hosts.is_empty() {
            let help = "a name stands for one address, inside or outside";
            collector.add(place, Mistake::new("`nat` and `hosts` in one cluster").help(help));
        }
    }
    if let Some(Flag(flag)) = collector.value(take(&mut raw.resolve_hostnames)) {
        cluster.resolve_hostnames = flag;
    }
    if let Some((Flag(flag), place)) = collector.field(take(&mut raw.announce_hostnames)) {
        cluster.announce_hostnames = flag;
        if flag && !cluster.resolve_hostnames {
            let help =
                "add `resolve_hostnames: true`: a Sentinel forgets whoever announces a name that it may not resolve";
            collector.add(place, Mistake::new("`announce_hostnames` without `resolve_hostnames`").help(help));
        }
    }
}

/// Which nodes speak TLS.
fn tls(field: Field<Record<raw::Tls>>, collector: &mut Collector) -> Tls {
    let Some((record, place)) = collector.field(field) else { return Tls::default() };
    let raw = collector.fields(record, place);
    let mut flag = |field| collector.value(field).is_some_and(|Flag(flag)| flag);
    let (data, sentinels) = (flag(raw.data), flag(raw.sentinels));
    let server_name = collector.value(raw.server_name).map(|HostName(name)| name);
    let tls = Tls { data, sentinels, server_name };
    if !tls.is_on() {
        collector.add(place, Mistake::new("`tls` on no node").help("add `data: true`, `sentinels: true` or both"));
    }
    tls
}

/// Sets `priorities` of each group to what the map says.
fn priorities(field: Field<Entries<Count>>, cluster: &mut Cluster, collector: &mut Collector) {
    for (place, key, priority) in collector.value(field).map(|entries| entries.0).unwrap_or_default() {
        let mut number = 100_u32;
        collector.number(Field(Some(priority)), 0..=u32::MAX.into(), &mut number);
        let Some(node) = known_node(&key, place, cluster, collector) else { continue };
        match cluster.place(node) {
            Some((group, place)) => set(&mut cluster.groups[group].priorities, place, number, 100),
            None => collector.add(place, Mistake::new(format!("`{node}` is a Sentinel, which has no priority"))),
        }
    }
    for group in &mut cluster.groups {
        trim(&mut group.priorities, &100);
    }
}

/// Sets the zones of nodes to what the map says, and returns the names of all zones.
fn zones(
    field: Field<Entries<Vec<Node<NodeName>>>>,
    cluster: &mut Cluster,
    collector: &mut Collector,
) -> BTreeSet<String> {
    let default = Cluster::DEFAULT_ZONE.to_owned();
    let mut names = BTreeSet::new();
    let mut seen: BTreeMap<NodeId, String> = BTreeMap::new();
    for (place, zone, nodes) in collector.value(field).map(|entries| entries.0).unwrap_or_default() {
        if let Err(mistake) = Name::parse(&zone) {
            collector.add(place, mistake);
        }
        for node in collector.node(nodes).unwrap_or_default() {
            let place = node.place;
            let Some(NodeName(node)) = collector.node(node) else { continue };
            let Some(node) = known_node(&node.to_string(), place, cluster, collector) else { continue };
            if let Some(other) = seen.insert(node, zone.clone()) {
                collector.add(place, Mistake::new(format!("`{node}` is already in zone `{other}`")));
            }
            if let Some((group, place)) = cluster.place(node) {
                set(&mut cluster.groups[group].zones, place, zone.clone(), default.clone());
            } else {
                set(&mut cluster.sentinel_zones, usize::from(node.number) - 1, zone.clone(), default.clone());
            }
        }
        names.insert(zone);
    }
    for group in &mut cluster.groups {
        trim(&mut group.zones, &default);
    }
    trim(&mut cluster.sentinel_zones, &default);
    names.insert(default);
    names
}

/// The node called `name`, if it is in the cluster; else a problem.
fn known_node(name: &str, place: Place, cluster: &Cluster, collector: &mut Collector) -> Option<NodeId> {
    let node = NodeName::parse(name).map_err(|mistake| collector.add(place, mistake)).ok()?.0;
    let nodes = cluster.nodes();
    if nodes.contains(&node) {
        return Some(node);
    }
    let all: Vec<_> = nodes.iter().map(ToString::to_string).collect();
    let help = format!("nodes are {}", listed(all.iter().map(String::as_str)));
    collector.add(place, Mistake::new(format!("there is no node `{node}`")).help(help));
    None
}

/// Sets element `index`, with `filler` before it where the list is too short.
fn set<T: Clone>(list: &mut Vec<T>, index: usize, value: T, filler: T) {
    if list.len() <= index {
        list.resize(index + 1, filler);
    }
    list[index] = value;
}

/// Removes what a missing element means anyway from the end.
fn trim<T: PartialEq>(list: &mut Vec<T>, filler: &T) {
    while list.last() == Some(filler) {
        list.pop();
    }
}
