//! [`Names`]: what exists in a scenario, so that whatever a step names can be checked.

use std::collections::BTreeSet;

use model::fault::Target;
use model::plan::{Client, Cluster};

use crate::form::Mistake;
use crate::suggest::{did_you_mean, listed};

/// The nodes, masters, zones and clients of a scenario.
#[derive(Debug)]
pub(super) struct Names<'a> {
    cluster: &'a Cluster,
    zones: BTreeSet<String>,
    clients: Vec<&'a str>,
}

/// What a fault can be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aimed {
    /// Any node.
    Nodes,
    /// Masters and replicas.
    DataNodes,
    /// Sentinels.
    Sentinels,
    /// One Sentinel, which a client is told of.
    Known,
    /// Nodes and clients: faults on links.
    Links,
}

impl<'a> Names<'a> {
    pub(super) fn new(cluster: &'a Cluster, zones: BTreeSet<String>) -> Self {
        Self { cluster, zones, clients: Vec::new() }
    }

    pub(super) fn with_clients<'b>(self, clients: &'b [Client]) -> Names<'b>
    where
        'a: 'b,
    {
        Names {
            cluster: self.cluster,
            zones: self.zones,
            clients: clients.iter().map(|client| client.id.as_str()).collect(),
        }
    }

    /// The cluster that the names are of.
    pub(super) fn cluster(&self) -> &Cluster {
        self.cluster
    }

    /// The name of the first master.
    pub(super) fn first_master(&self) -> &str {
        self.cluster.groups.first().map_or("mymaster", |group| group.name.as_str())
    }

    /// A mistake unless there is a master called `name`.
    pub(super) fn master(&self, name: &str) -> Result<(), Mistake> {
        known("master", name, || self.cluster.groups.iter().map(|group| group.name.as_str()))
    }

    /// A mistake unless there is a zone called `name`.
    pub(super) fn zone(&self, name: &str) -> Result<(), Mistake> {
        known("zone", name, || self.zones.iter().map(String::as_str))
    }

    /// A mistake unless everything that `target` names exists, and is what `aimed` allows.
    pub(super) fn target(&self, target: &Target, aimed: Aimed) -> Result<(), Mistake> {
        let is_data = match target {
            Target::Node(node) => {
                let nodes: Vec<_> = self.cluster.nodes().iter().map(ToString::to_string).collect();
                known("node", &node.to_string(), || nodes.iter().map(String::as_str))?;
                Some(!node.is_sentinel())
            }
            Target::Master(group)
            | Target::OldMaster(group)
            | Target::ReplicaBest(group)
            | Target::ReplicaOther(group)
            | Target::Replicas(group) => {
                group.as_ref().map_or(Ok(()), |group| self.master(group))?;
                Some(true)
            }
            Target::SentinelLeader | Target::SentinelsMinority | Target::SentinelsMajority | Target::Sentinels => {
                Some(false)
            }
            Target::Zone(zone) => {
                self.zone(zone)?;
                None
            }
            Target::Client(client) => {
                known("client", client, || self.clients.iter().copied())?;
                if aimed != Aimed::Links {
                    return Err(Mistake::new(format!("`{target}` is a client, and this fault is for nodes"))
                        .help("a client can be cut off by `latency` and `partition`, and healed"));
                }
                None
            }
            Target::All => None,
        };
        match (aimed, is_data) {
            (Aimed::DataNodes, Some(false)) => Err(Mistake::new(format!("`{target}` is not a data node"))
                .help("this fault is for data nodes: `master`, `replica:best`, `redis-1` …")),
            (Aimed::Sentinels, Some(true)) => Err(Mistake::new(format!("`{target}` is not a Sentinel"))
                .help("this fault is for Sentinels: `sentinel-1`, `sentinel:leader`, `sentinels` …")),
            (Aimed::Known, Some(true)) => Err(Mistake::new(format!("`{target}` is not a Sentinel"))
                .help("a client is told of Sentinels, and learns of data nodes from them: `sentinels: [sentinel-1]`")),
            _ => Ok(()),
        }
    }
}

/// A mistake unless `name` is among `all`.
fn known<'n, I: Iterator<Item = &'n str>>(what: &str, name: &str, all: impl Fn() -> I) -> Result<(), Mistake> {
    if all().any(|known| known == name) {
        return Ok(());
    }
    let list = format!("there are {}", listed(all()));
    let help = match did_you_mean(name, all()) {
        // Names that differ in a digit are near each other without being meant.
        Some(hint) if !name.ends_with(|c: char| c.is_ascii_digit()) => hint,
        _ => list,
    };
    Err(Mistake::new(format!("there is no {what} `{name}`")).help(help))
}
