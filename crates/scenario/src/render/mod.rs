//! From a [`Plan`] back to a scenario file: short forms where there are some, defaults left out.

mod cluster;
mod steps;
mod yaml;

use model::plan::{Client, Cluster, Expect, Plan};

use crate::duration::write;
use yaml::{Map, Yaml};

/// The scenario file that [`parse`](crate::parse) turns into `plan`.
///
/// The result is equal to `plan`, as long as `plan` is valid: names, targets and numbers are what a file may hold, and
/// lists of zones and priorities do not end in defaults.
pub fn render(plan: &Plan) -> String {
    let mut root = Map::block();
    root.put("title", plan.title.as_str());
    root.put("cluster", cluster::cluster(plan));
    if !plan.clients.is_empty() {
        root.put("clients", Yaml::Lines(clients(plan).into_iter().map(Yaml::from).collect()));
    }
    if !plan.timeline.is_empty() {
        root.put("timeline", Yaml::Lines(plan.timeline.iter().map(|step| steps::step(step).into()).collect()));
    }
    root.put("run_for", write(plan.run_for));
    let expect = expect(&plan.expect);
    if !expect.is_empty() {
        root.put("expect", expect);
    }
    yaml::text(&root.into())
}

/// An entry for each client, or for as many in a row as are alike and numbered.
fn clients(plan: &Plan) -> Vec<Map> {
    let mut entries = Vec::new();
    let mut rest = plan.clients.as_slice();
    while let Some(first) = rest.first() {
        let (base, count) = numbered(rest).unwrap_or((&first.id, 0));
        entries.push(client(first, base, count, plan));
        rest = &rest[count.max(1)..];
    }
    entries
}

/// The common name and the number of the clients at the start of the list that `count` could have made.
fn numbered(clients: &[Client]) -> Option<(&str, usize)> {
    let first = clients.first()?;
    let base = first.id.strip_suffix("-1").filter(|base| !base.is_empty())?;
    let alike = |(index, client): (usize, &Client)| {
        let expected = Client { id: format!("{base}-{}", index + 1), ..first.clone() };
        *client == expected
    };
    let count = clients.iter().enumerate().take_while(|entry| alike(*entry)).count();
    (count > 1).then_some((base, count))
}

fn client(client: &Client, id: &str, count: usize, plan: &Plan) -> Map {
    let mut default = Client::new(&client.id, client.workload);
    if let Some(group) = plan.cluster.groups.first() {
        default.master.clone_from(&group.name);
    }
    let mut map = Map::flow();
    map.put("id", id);
    if count > 1 {
        map.put("count", count as u64);
    }
    map.put("workload", client.workload.name());
    if let Some(driver) = &client.driver {
        map.put("driver", driver.as_str());
    }
    map.put_unless(&default.zone, "zone", &client.zone, |zone| zone.as_str().into());
    map.put_unless(&default.master, "master", &client.master, |master| master.as_str().into());
    if !client.sentinels.is_empty() {
        map.put("sentinels", Yaml::Row(client.sentinels.iter().map(|node| node.to_string().into()).collect()));
    }
    map.put_unless(&default.database, "database", &client.database, |n| u64::from(*n).into());
    map.put_unless(&default.patterns, "patterns", &client.patterns, |flag| (*flag).into());
    map.put_unless(&default.callers, "callers", &client.callers, |n| u64::from(*n).into());
    map.put_unless(&default.every, "every", &client.every, |every| write(*every).into());
    map.put_unless(&default.start, "start", &client.start, |start| write(*start).into());
    map.put_unless(&default.deadline, "deadline", &client.deadline, |deadline| write(*deadline).into());
    if let Some(after) = client.reopen_after {
        map.put("reopen_after", write(after));
    }
    map.put_unless(&default.budget, "budget", &client.budget, |budget| write(*budget).into());
    map.put_unless(&default.retry_ambiguous, "retry_ambiguous", &client.retry_ambiguous, |flag| (*flag).into());
    let caps = (&default.max_connects_per_second, &client.max_connects_per_second);
    map.put_unless(caps.0, "max_connects_per_second", caps.1, |n| u64::from(*n).into());
    let caps = (&default.max_open_connections, &client.max_open_connections);
    map.put_unless(caps.0, "max_open_connections", caps.1, |n| u64::from(*n).into());
    let caps = (&default.max_questions_per_second, &client.max_questions_per_second);
    map.put_unless(caps.0, "max_questions_per_second", caps.1, |n| u64::from(*n).into());
    map
}

fn expect(expect: &Expect) -> Map {
    let mut map = Map::flow();
    if let Some(limit) = expect.recovered_within {
        map.put("recovered_within", write(limit));
    }
    if let Some(failovers) = expect.failovers {
        map.put("failovers", u64::from(failovers));
    }
    if let Some(lost) = expect.acknowledged_writes_lost {
        map.put("acknowledged_writes_lost", lost);
    }
    if let Some(failed) = expect.failed_at_most {
        map.put("failed_at_most", failed);
    }
    if let Some((count, within)) = expect.most_connects {
        let mut most = Map::flow();
        most.put("count", count);
        most.put("within", write(within));
        map.put("most_connects", most);
    }
    if let Some(limit) = expect.longest_gap {
        map.put("longest_gap", write(limit));
    }
    if let Some(limit) = expect.back_to_replica_within {
        map.put("back_to_replica_within", write(limit));
    }
    if !expect.waive.is_empty() {
        let mut waive = Map::flow();
        for (invariant, reason) in &expect.waive {
            waive.put(format!("{invariant:?}"), reason.as_str());
        }
        map.put("waive", waive);
    }
    if !expect.catches.is_empty() {
        let mut catches = Map::flow();
        for (driver, rule) in &expect.catches {
            catches.put(driver.clone(), rule.word());
        }
        map.put("catches", catches);
    }
    map
}

/// The zones that something in the plan names although no node is in them.
fn named_zones(plan: &Plan) -> impl Iterator<Item = &str> {
    let of_clients = plan.clients.iter().map(|client| client.zone.as_str());
    let of_targets = plan.timeline.iter().flat_map(|step| step.fault.targets()).filter_map(|target| match target {
        model::Target::Zone(zone) => Some(zone.as_str()),
        _ => None,
    });
    of_clients.chain(of_targets).filter(|zone| *zone != Cluster::DEFAULT_ZONE)
}
