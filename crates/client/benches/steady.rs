//! CPU time of a command while nothing happens to its connection, next to the crate `redis`'s own connection.
//!
//! `cargo bench -p sentinel-client --bench steady`. Time is that of the client's thread, the system's part included; the
//! server is on another one. Both connections take turns, and the median of many turns counts, so that what else the
//! machine does falls on both alike.

#![allow(dead_code, clippy::print_stdout)]

use std::sync::mpsc;
use std::time::Duration;

use cpu_time::ThreadTime;
use futures_util::future::join_all;
use redis::Cmd;
use redis::aio::ConnectionLike;
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
    let (bare, own) = runtime.block_on(async {
        let url = format!("redis://{master}");
        let bare = redis::Client::open(url).expect("a url").get_multiplexed_async_connection().await.expect("a master");
        (bare, Client::new(Settings::new([sentinel], "mymaster")).expect("settings").master())
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
        let mut own = vec![own.clone(); callers];
        let (mut times, mut ratios) = ((Vec::new(), Vec::new()), Vec::new());
        for index in 0..=TURNS {
            // Who begins takes turns too.
            let (bare, own) = if index % 2 == 0 {
                let bare = turn(&runtime, &mut bare, &get);
                (bare, turn(&runtime, &mut own, &get))
            } else {
                let own = turn(&runtime, &mut own, &get);
                (turn(&runtime, &mut bare, &get), own)
            };
            // The first turn connects.
            if index > 0 {
                times.0.push(bare.as_nanos() as f64);
                times.1.push(own.as_nanos() as f64);
                ratios.push(own.as_secs_f64() / bare.as_secs_f64());
            }
        }
        println!(
            "{callers:2} callers: bare {:.0} ns, sentinel-client {:.0} ns of CPU time a command, {:+.1} %",
            median(times.0),
            median(times.1),
            (median(ratios) - 1.0) * 100.0
        );
    }
}
