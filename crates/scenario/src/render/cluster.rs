//! The nodes of a plan as they are written.

use std::collections::BTreeMap;

use model::plan::{Cluster, Group, Plan};

use super::yaml::{Map, Yaml};
use crate::duration::write;

pub(super) fn cluster(plan: &Plan) -> Map {
    let cluster = &plan.cluster;
    let default = Cluster::standard();
    let several = cluster.groups.len() > 1;
    let zones = zones(plan);
    let priorities = priorities(cluster);
    let mut map = if several || !zones.is_empty() { Map::block() } else { Map::flow() };
    if let [group] = cluster.groups.as_slice() {
        map.put("master", group.name.as_str());
        settings(&mut map, group);
    }
    map.put("sentinels", u64::from(cluster.sentinels));
    if several {
        let mut masters = Vec::new();
        for group in &cluster.groups {
            let mut entry = Map::flow();
            entry.put("name", group.name.as_str());
            settings(&mut entry, group);
            masters.push(entry.into());
        }
        map.put("masters", Yaml::Lines(masters));
    }
    if !priorities.is_empty() {
        map.put("priorities", priorities);
    }
    if !zones.is_empty() {
        map.put("zones", zones);
    }
    if !cluster.hosts.is_empty() {
        let mut hosts = Map::flow();
        for (name, host) in &cluster.hosts {
            hosts.put(name.clone(), host.to_string());
        }
        map.put("hosts", hosts);
    }
    map.put_unless(&false, "resolve_hostnames", &cluster.resolve_hostnames, |flag| (*flag).into());
    map.put_unless(&false, "announce_hostnames", &cluster.announce_hostnames, |flag| (*flag).into());
    let ipv6 = cluster.addresses.iter().any(|(node, addr)| *addr == Cluster::addr_v6(*node));
    map.put_unless(&false, "ipv6", &ipv6, |flag| (*flag).into());
    map.put_unless(&false, "nat", &cluster.nat, |flag| (*flag).into());
    if cluster.tls.is_on() {
        let mut tls = Map::flow();
        tls.put_unless(&false, "data", &cluster.tls.data, |flag| (*flag).into());
        tls.put_unless(&false, "sentinels", &cluster.tls.sentinels, |flag| (*flag).into());
        if let Some(name) = &cluster.tls.server_name {
            tls.put("server_name", name.as_str());
        }
        map.put("tls", tls);
    }
    if let Some(auth) = &cluster.sentinel_auth {
        if let Some(user) = &auth.user {
            map.put("sentinel_user", user.as_str());
        }
        map.put("sentinel_password", auth.password.as_str());
    }
    map.put_unless(&default.node_latency, "node_latency", &cluster.node_latency, |latency| write(*latency).into());
    map
}

/// The settings of a group; those that make a scenario are always there.
fn settings(map: &mut Map, group: &Group) {
    let default = Group::new(&group.name);
    map.put("replicas", u64::from(group.replicas));
    map.put("quorum", u64::from(group.quorum));
    map.put("down_after", write(group.down_after));
    map.put("failover_timeout", write(group.failover_timeout));
    map.put_unless(&default.parallel_syncs, "parallel_syncs", &group.parallel_syncs, |n| u64::from(*n).into());
    if let Some(auth) = &group.auth {
        if let Some(user) = &auth.user {
            map.put("user", user.as_str());
        }
        map.put("password", auth.password.as_str());
    }
    map.put_unless(&default.replication_lag, "replication_lag", &group.replication_lag, |lag| write(*lag).into());
    let least = (&default.min_replicas_to_write, &group.min_replicas_to_write);
    map.put_unless(least.0, "min_replicas_to_write", least.1, |n| u64::from(*n).into());
    let lag = (&default.min_replicas_max_lag, &group.min_replicas_max_lag);
    map.put_unless(lag.0, "min_replicas_max_lag", lag.1, |lag| write(*lag).into());
    map.put_unless(&default.serve_stale_data, "serve_stale_data", &group.serve_stale_data, |flag| (*flag).into());
    let reboot = (&default.reboot_down_after, &group.reboot_down_after);
    map.put_unless(reboot.0, "reboot_down_after", reboot.1, |period| write(*period).into());
    for (option, path) in
        [("notification_script", &group.notification_script), ("client_reconfig_script", &group.client_reconfig_script)]
    {
        if let Some(path) = path {
            map.put(option, path.as_str());
        }
    }
}

fn priorities(cluster: &Cluster) -> Map {
    let mut map = Map::flow();
    for (node, _) in cluster.data_nodes() {
        let priority =
            cluster.place(node).and_then(|(group, place)| cluster.groups[group].priorities.get(place)).unwrap_or(&100);
        if *priority != 100 {
            map.put(node.to_string(), u64::from(*priority));
        }
    }
    map
}

/// Every zone but the default one, with its nodes.
fn zones(plan: &Plan) -> Map {
    let mut nodes: BTreeMap<&str, Vec<Yaml>> = BTreeMap::new();
    for node in plan.cluster.nodes() {
        nodes.entry(plan.cluster.zone(node)).or_default().push(node.to_string().into());
    }
    for zone in super::named_zones(plan) {
        nodes.entry(zone).or_default();
    }
    nodes.remove(Cluster::DEFAULT_ZONE);
    let mut map = Map::block();
    for (zone, nodes) in nodes {
        map.put(zone.to_owned(), Yaml::Row(nodes));
    }
    map
}
