//! A worker that takes jobs from a list, through failovers.
//!
//! ```sh
//! cargo run -p sentinel-client --example worker -- redis-sentinel://127.0.0.1:26379/mymaster
//! ```

#![allow(clippy::print_stdout)]

use std::ops::ControlFlow;

use redis::AsyncCommands as _;
use sentinel_client::{Client, details};

/// Hands each job of `queue` to `handle`, until that breaks off.
///
/// A failed `BLPOP` that may have run may have taken a job with it that nobody has: a queue whose jobs must not be lost
/// moves them to a second list (`BLMOVE`) and removes them from there when they are done.
pub(crate) async fn work(client: &Client, queue: &str, mut handle: impl FnMut(String) -> ControlFlow<()>) {
    let mut connection = client.dedicated();
    loop {
        let popped: redis::RedisResult<Option<(String, String)>> = connection.blpop(queue, 1.0).await;
        match popped {
            Ok(None) => {}
            Ok(Some((_, job))) => {
                if handle(job).is_break() {
                    return;
                }
            }
            // The client has spent its budget on it. The next call begins a new one.
            Err(error) => {
                let lost = details(&error).is_none_or(|failure| failure.may_have_run);
                println!("{}: {error}", if lost { "a job may be lost" } else { "no job was taken" });
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis-sentinel://127.0.0.1:26379/mymaster".to_owned());
    work(&Client::open(&url)?, "jobs", |job| {
        println!("{job}");
        ControlFlow::Continue(())
    })
    .await;
    Ok(())
}
