//! CPU time of a command while nothing happens to its connection, next to the crate `redis`'s own connection.
//!
//! `taskset -c 0 cargo bench -p sentinel-client --bench steady`. Time is that of the client's thread, the system's part
//! included; the server is on another one, and both on one processor, so that neither slows the other down while it runs.
//! The connections take turns, and the median of many turns counts, so that what else the machine does falls on all alike.
//!
//! The bare connection is measured as it comes, with a queue of 50 commands, and with a queue as long as this client's.

#![allow(dead_code, clippy::print_stdout)]

use std::sync::mpsc;
use std::time::Duration;

use cpu_time::ThreadTime;
use futures_util::future::join_all;
use redis::aio::ConnectionLike;
use redis::{AsyncConnectionConfig, Cmd};
use sentinel_client::{Address, Client, Settings};
use tokio::runtime::{Builder, Runtime};

#[path = "../tests/loopback/server.rs"]
mod server;

use server::{Reaction, Server};

/// Turns of each connection.
const TURNS: usize = 201;
/// Commands in a turn.
const COMMANDS: usize = 2_560;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A master and a Sentinel that names it, on a thread of their own.
fn servers() -> (Address, Address) {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        runtime().block_on(async {
            let master = Server::master().await;
            master.on("GET", Reaction::say("$5\r\nvalue\r\n"));
            let sentinel = Server::sentinel(&master.address).await;
            master.forget();
            tell.send((master.address.clone(), sentinel.address.clone())).expect("the bench waits for it");
            std::future::pending::<()>().await;
        });
    });
    told.recv().expect("servers")
}

/// CPU time of a command in a turn of `connections`, which all send one after the other, at the same time.
fn turn(runtime: &Runtime, connections: &mut [impl ConnectionLike], get: &Cmd) -> Duration {
    let each = COMMANDS / connections.len();
    let started = ThreadTime::now();
    runtime.block_on(join_all(connections.iter_mut().map(|connection| async move {
        for _ in 0..each {
            connection.req_packed_command(get).await.expect("a reply");
        }
    })));
    started.elapsed() / COMMANDS as u32
}

/// Size of the future of a command.
fn size(connection: &mut impl ConnectionLike, get: &Cmd) -> usize {
    size_of_val(&*connection.req_packed_command(get))
}

fn median(mut of: Vec<f64>) -> f64 {
    of.sort_unstable_by(f64::total_cmp);
    of[of.len() / 2]
}

fn main() {
    let (master, sentinel) = servers();
    let runtime = runtime();
    let (bare, long, own) = runtime.block_on(async {
        let bare = redis::Client::open(format!("redis://{master}")).expect("a url");
        let long = AsyncConnectionConfig::new().set_pipeline_buffer_size(1_024);
        let long = bare.get_multiplexed_async_connection_with_config(&long).await.expect("a master");
        let bare = bare.get_multiplexed_async_connection().await.expect("a master");
        (bare, long, Client::new(Settings::new([sentinel], "mymaster")).expect("settings").master())
    });
    let mut get = Cmd::new();
    get.arg("GET").arg("key");
    println!(
        "future: bare {} bytes, sentinel-client {} bytes",
        size(&mut bare.clone(), &get),
        size(&mut own.clone(), &get)
    );
    for callers in [1, 64] {
        let mut bare = vec![bare.clone(); callers];
        let mut long = vec![long.clone(); callers];
        let mut own = vec![own.clone(); callers];
        let mut times: [Vec<f64>; 3] = Default::default();
        for index in 0..=TURNS {
            // Who begins takes turns too.
            for which in [0, 1, 2].map(|which| (which + index) % 3) {
                let time = match which {
                    0 => turn(&runtime, &mut bare, &get),
                    1 => turn(&runtime, &mut long, &get),
                    _ => turn(&runtime, &mut own, &get),
                };
                // The first turn connects.
                if index > 0 {
                    times[which].push(time.as_nanos() as f64);
                }
            }
        }
        let more =
            |than: &[f64]| (median(times[2].iter().zip(than).map(|(own, than)| own / than).collect()) - 1.0) * 100.0;
        println!(
            "{callers:2} callers: sentinel-client {:.0} ns of CPU time a command, bare {:.0} ns ({:+.1} %), with a longer queue {:.0} ns ({:+.1} %)",
            median(times[2].clone()),
            median(times[0].clone()),
            more(&times[0]),
            median(times[1].clone()),
            more(&times[1]),
        );
    }
}
