//! What a thousand failovers leave behind in memory: nothing. The only test of its program, because the program's
//! allocator counts.

#![allow(dead_code)]

use redis::AsyncCommands as _;
use sentinel_client::{Client, Connection, Settings};
use tokio::runtime::{Builder, Runtime};

#[path = "loopback/server.rs"]
mod server;

use server::{Server, role_master, role_replica};

/// Two data nodes, the first of which is the master, and a Sentinel.
struct Cluster {
    nodes: [Server; 2],
    sentinel: Server,
}

impl Cluster {
    async fn start() -> Self {
        let nodes = [Server::master().await, Server::start().await];
        let sentinel = Server::sentinel(&nodes[0].address).await;
        for server in nodes.iter().chain([&sentinel]) {
            server.forget();
        }
        nodes[1].on("ROLE", role_replica("connected"));
        Self { nodes, sentinel }
    }

    /// The other node becomes the master.
    fn fail_over(&mut self) {
        self.nodes[0].on("ROLE", role_replica("connected"));
        self.nodes[1].on("ROLE", role_master());
        self.sentinel.names(&self.nodes[1].address);
        self.nodes[0].kill();
        self.nodes.swap(0, 1);
    }
}

/// Bytes that so many failovers under load leave behind.
fn left_behind(runtime: &Runtime, cluster: &mut Cluster, master: &mut Connection, failovers: usize) -> i64 {
    let failing = || {
        runtime.block_on(async {
            for _ in 0..failovers {
                cluster.fail_over();
                master.set::<_, _, ()>("key", "value").await.expect("a write");
            }
        });
    };
    allocation_counter::measure(failing).bytes_current
}

#[test]
fn a_thousand_failovers_leave_no_memory_behind() {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
    let mut cluster = runtime.block_on(Cluster::start());
    let settings = Settings::new([cluster.sentinel.address.clone()], "mymaster").seed(1);
    let mut master = runtime.block_on(async { Client::new(settings).expect("settings").master() });
    // What grows to the size that it needs has grown.
    left_behind(&runtime, &mut cluster, &mut master, 1_000);
    assert_eq!(left_behind(&runtime, &mut cluster, &mut master, 1_000), 0);
}
