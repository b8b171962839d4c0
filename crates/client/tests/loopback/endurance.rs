//! A thousand failovers in a row under load, after which nothing is left of them. In paused time.

use std::time::Duration;

use redis::AsyncCommands as _;
use sentinel_client::{Ambiguous, Client, Retry, Settings};
use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::server::{Server, role_master, role_replica};

/// What there is at a quiet moment: connections, tasks, bytes of memory.
type Held = (u64, usize, i64);

/// Failovers to and fro between two nodes, the old master killing its clients each time.
struct Cluster {
    nodes: [Server; 2],
    sentinels: Vec<Server>,
}

impl Cluster {
    async fn start() -> Self {
        let nodes = [Server::master().await, Server::start().await];
        nodes[1].on("ROLE", role_replica("connected"));
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(Server::sentinel(&nodes[0].address).await);
        }
        for server in nodes.iter().chain(&sentinels) {
            server.forget();
        }
        Self { nodes, sentinels }
    }

    fn fail_over(&self, to: usize) {
        let (new, old) = (&self.nodes[to], &self.nodes[1 - to]);
        new.on("ROLE", role_master());
        old.on("ROLE", role_replica("connected"));
        let payload = format!(
            "mymaster {} {} {} {}",
            old.address.host(),
            old.address.port(),
            new.address.host(),
            new.address.port()
        );
        for sentinel in &self.sentinels {
            sentinel.names(&new.address);
            sentinel.publish("+switch-master", &payload);
        }
        old.kill();
    }

    fn connections(&self) -> u64 {
        self.nodes.iter().chain(&self.sentinels).map(Server::open).sum()
    }
}

#[test]
fn a_thousand_failovers_leave_no_connection_no_task_and_no_memory() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build().expect("a runtime");
    let (cluster, mut masters) = runtime.block_on(async {
        let cluster = Cluster::start().await;
        let sentinels = cluster.sentinels.iter().map(|sentinel| sentinel.address.clone());
        let retry = Retry { ambiguous: Ambiguous::Always, ..Retry::default() };
        let client = Client::new(Settings::new(sentinels, "mymaster").retry(retry).seed(1)).expect("settings");
        let masters: Vec<_> = (0..4).map(|_| client.master()).collect();
        (cluster, masters)
    });
    let mut to = 0;
    let mut held: Held = (0, 0, 0);
    let mut fail_over = |times: usize| {
        let counted = allocation_counter::measure(|| {
            runtime.block_on(async {
                for _ in 0..times {
                    to = 1 - to;
                    let before = cluster.nodes[to].connections();
                    cluster.fail_over(to);
                    for _ in 0..10 {
                        for master in &mut masters {
                            let () = master.set("k", "v").await.expect("a write");
                        }
                        sleep(Duration::from_millis(10)).await;
                    }
                    assert!(cluster.nodes[to].connections() > before, "it was no failover");
                    sleep(Duration::from_millis(1_500)).await;
                }
                // An even number of failovers ends where it began.
                sleep(Duration::from_secs(5)).await;
            });
        });
        held.0 = cluster.connections();
        held.1 = runtime.block_on(async { Handle::current().metrics().num_alive_tasks() });
        held.2 += counted.bytes_current;
        held
    };
    // Buffers and tables have grown to their size after some.
    let baseline = fail_over(100);
    let after = fail_over(1_000);
    assert_eq!((after.0, after.1), (baseline.0, baseline.1), "connections and tasks");
    assert!(baseline.0 >= 7, "{baseline:?}");
    let grown = after.2 - baseline.2;
    assert!(grown.abs() < 16 * 1024, "{grown} bytes more after a thousand failovers");
}
