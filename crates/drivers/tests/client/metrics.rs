//! What the trait for metrics is told, held against the nodes' record.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::history::What;
use model::{Fault, NodeId, Time};
use sentinel_client::{Address, Cause, Client, Metrics, Peer};
use tokio::time::sleep;

use crate::lab::{Lab, MASTER, QUESTION, Seen, Sight, ms, write};

/// All that the trait for metrics is told.
#[derive(Default)]
struct Told {
    opened: Mutex<Vec<(Peer, Address)>>,
    rediscovered: Mutex<Vec<(Address, u32)>>,
    outages: Mutex<Vec<Duration>>,
    retried: Mutex<Vec<(String, u32)>>,
}

impl Metrics for Told {
    fn connection_opened(&self, peer: Peer, address: &Address) {
        self.opened.lock().unwrap().push((peer, address.clone()));
    }

    fn rediscovery(&self, _: &str, address: &Address, rounds: u32) {
        self.rediscovered.lock().unwrap().push((address.clone(), rounds));
    }

    fn outage(&self, _: &str, lasted: Duration) {
        self.outages.lock().unwrap().push(lasted);
    }

    fn retry(&self, master: &str, cause: &Cause, attempts: u32) {
        assert!(matches!(cause, Cause::Lost(_)), "{cause}");
        self.retried.lock().unwrap().push((master.to_owned(), attempts));
    }
}

fn address(lab: &Lab, node: NodeId) -> Address {
    let addr = lab.bed.node_addr(node).expect("a node");
    Address::new(addr.ip().to_string(), addr.port())
}

#[tokio::test(start_paused = true)]
async fn metrics_are_what_the_nodes_saw() {
    let lab = Lab::start().await;
    let told = Arc::new(Told::default());
    let client = Client::new(lab.settings().check_interval(ms(3_600_000)).metrics(told.clone())).unwrap();
    let mut master = client.master();
    write(&mut master).await;
    // A reply that is lost: one retry, on a new connection to the same node.
    lab.inject(Fault::CutReply { target: MASTER, command: Some("SET".to_owned()), times: 1 }).await;
    write(&mut master).await;
    sleep(ms(1_000)).await;
    // A failover: the call waits for the new master, and nothing is sent twice.
    let old = lab.inject(Fault::Kill(MASTER)).await;
    write(&mut master).await;

    let seen = lab.seen();
    let new = seen.iter().rfind(|sight| sight.ran("SET")).expect("a write").node;
    assert_ne!(new, old);
    let mut opened: Vec<(Peer, Address)> = seen
        .iter()
        .filter(|sight| sight.seen == Seen::Opened)
        .map(|sight| {
            let peer = if sight.node.is_sentinel() { Peer::Sentinel } else { Peer::Data };
            (peer, address(&lab, sight.node))
        })
        .collect();
    let mut counted = told.opened.lock().unwrap().clone();
    opened.sort();
    counted.sort();
    assert_eq!(counted, opened);

    // Each loss, and the answer to `ROLE` that ended it.
    let lost: Vec<usize> = (0..seen.len()).filter(|index| seen[*index].loses_data()).collect();
    assert_eq!(lost.len(), 2, "{seen:#?}");
    let found = |lost: usize| lost + seen[lost..].iter().position(is_role).expect("a connection");
    let outages: Vec<Duration> = lost.iter().map(|lost| seen[found(*lost)].at.since(seen[*lost].at)).collect();
    assert_eq!(*told.outages.lock().unwrap(), outages);
    assert!(outages[1] > ms(5_000), "{outages:?}");

    // A round fails that asks, and is told the address that is dead.
    let failed: Vec<u32> =
        lost.iter().map(|lost| failed_rounds(&lab, old, seen[*lost].at, &seen[*lost..found(*lost)])).collect();
    let rediscovered = [(address(&lab, old), failed[0]), (address(&lab, new), failed[1])];
    assert_eq!(*told.rediscovered.lock().unwrap(), rediscovered);
    assert!(failed[0] == 0 && failed[1] > 5, "{failed:?}");

    // Three writes succeeded, and one more was executed: the first retry. The second is of the write after the kill, whose
    // connection was gone before anything was sent on it.
    assert_eq!(seen.iter().filter(|sight| sight.ran("SET")).count(), 3 + 1);
    let once = || ("mymaster".to_owned(), 1);
    assert_eq!(*told.retried.lock().unwrap(), [once(), once()]);
}

fn is_role(sight: &Sight) -> bool {
    sight.ran("ROLE") && !sight.node.is_sentinel()
}

/// Questions among `seen` that were answered with the address of `old`, which is dead since `since`.
fn failed_rounds(lab: &Lab, old: NodeId, since: Time, seen: &[Sight]) -> u32 {
    let dead = lab.bed.history(|history| {
        let state =
            |what: &What| matches!(what, What::State { node, state: model::history::NodeState::Down } if *node == old);
        history.records.iter().any(|record| record.at == since && state(&record.what))
    });
    let names_old = |sight: &&Sight| {
        sight.ran(QUESTION)
            && lab.bed.history(|history| {
                let told = history.records.iter().take_while(|record| record.at <= sight.at);
                let answer = |what: &What| match what {
                    What::Answer { node, addr, .. } if *node == sight.node => Some(*addr),
                    _ => None,
                };
                told.filter_map(|record| answer(&record.what)).last().is_none_or(|addr| addr == old)
            })
    };
    if dead { seen.iter().filter(names_old).count() as u32 } else { 0 }
}
