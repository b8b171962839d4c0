//! The quick start: a write to the master, a read from it, a read from a replica.
//!
//! ```sh
//! cargo run -p sentinel-client --example quickstart -- redis-sentinel://127.0.0.1:26379/mymaster
//! ```

#![allow(clippy::print_stdout)]

use redis::AsyncCommands as _;
use sentinel_client::Client;

/// Sets a greeting and reads it, from the master and from a replica, which may be behind.
pub(crate) async fn greet(client: &Client) -> redis::RedisResult<(String, Option<String>)> {
    let mut master = client.master();
    let () = master.set("greeting", "hello").await?;
    Ok((master.get("greeting").await?, client.replica().get("greeting").await?))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis-sentinel://127.0.0.1:26379/mymaster".to_owned());
    println!("{:?}", greet(&Client::open(&url)?).await?);
    Ok(())
}
