//! What a command costs in memory while nothing happens to its connection: exactly what it costs on the crate `redis`'s
//! own connection. The only test of its program, because the program's allocator counts.

#![allow(dead_code)]

use std::sync::mpsc;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline};
use sentinel_client::{Address, Client, Settings};

#[path = "loopback/server.rs"]
mod server;

use server::{Reaction, Server};

const COMMANDS: u64 = 1_000;
const HOUR: Duration = Duration::from_secs(3_600);

/// A master and a Sentinel that names it, on a thread of their own, so that nobody counts what they use.
fn servers() -> (Address, Address) {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().expect("a runtime").block_on(async {
            let master = Server::master().await;
            master.on("GET", Reaction::say("$5\r\nvalue\r\n"));
            let sentinel = Server::sentinel(&master.address).await;
            tell.send((master.address.clone(), sentinel.address.clone())).expect("the test waits for it");
            std::future::pending::<()>().await;
        });
    });
    told.recv().expect("servers")
}

/// The connection of the crate `redis` to the same master.
async fn bare(master: &Address) -> MultiplexedConnection {
    let url = format!("redis://{master}");
    redis::Client::open(url).expect("a url").get_multiplexed_async_connection().await.expect("a connection")
}

/// Allocations of a thousand commands and of a thousand pipelines of one, one after the other. A longer one may
/// be answered in several pieces, which costs memory too.
fn allocations(runtime: &tokio::runtime::Runtime, connection: &mut impl ConnectionLike) -> (u64, u64) {
    let mut get = Cmd::new();
    get.arg("GET").arg("key");
    let mut pipeline = Pipeline::new();
    pipeline.get("key");
    let mut run = |times| {
        runtime.block_on(async {
            for _ in 0..times {
                connection.req_packed_command(&get).await.expect("a reply");
            }
        });
    };
    run(100);
    let commands = allocation_counter::measure(|| run(COMMANDS)).count_total;
    let mut run = |times| {
        runtime.block_on(async {
            for _ in 0..times {
                connection.req_packed_commands(&pipeline, 0, 1).await.expect("replies");
            }
        });
    };
    run(100);
    (commands, allocation_counter::measure(|| run(COMMANDS)).count_total)
}

#[test]
fn a_command_allocates_what_it_does_on_a_bare_connection() {
    let (master, sentinel) = servers();
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build().expect("a runtime");
    let mut bare = runtime.block_on(bare(&master));
    let expected = allocations(&runtime, &mut bare);
    // Nothing but the commands is to be counted.
    let settings = Settings::new([sentinel], "mymaster").check_interval(HOUR).keep_alive(HOUR);
    let client = Client::new(settings).expect("settings");
    let mut master = runtime.block_on(async { client.master() });
    let counted = allocations(&runtime, &mut master);
    assert!(expected.0 >= COMMANDS && expected.1 >= COMMANDS, "nothing is counted: {expected:?}");
    assert_eq!(counted, expected);
}
