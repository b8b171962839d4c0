//! A Redis Sentinel cluster for tests: real sockets on loopback, virtual time, no Redis and no containers.
//!
//! The cluster is simulated; the client under test is real and unmodified. It opens ordinary TCP connections, and under
//! tokio's paused clock a failover of 45 seconds takes milliseconds. The same seed gives the same run.
//!
//! ```
//! use std::time::Duration;
//! use sentinel_lab_testbed::Testbed;
//! use sentinel_lab_testbed::driver::{Answer, CallError};
//! use sentinel_lab_testbed::model::history::{Action, Cause};
//! use sentinel_lab_testbed::model::{EventName, Fault, Outcome, Target};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // As `#[tokio::test(start_paused = true)]` does.
//! let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
//! runtime.block_on(async {
//!     let bed = Testbed::builder().replicas(2).sentinels(3).down_after(Duration::from_secs(5)).seed(7).start().await?;
//!     tokio::time::sleep(Duration::from_secs(3)).await;
//!     let before = bed.master_addr("mymaster");
//!
//!     // The client under test: here `redis`, through the addresses of a client that is called `writer`.
//!     let writer = bed.client("writer")?;
//!     let sentinels = bed.view("writer", "default")?.sentinel_addrs();
//!     let urls = sentinels.iter().map(|addr| format!("redis://{addr}")).collect();
//!     let mut client = redis::sentinel::SentinelClient::build(
//!         urls,
//!         "mymaster".to_owned(),
//!         None,
//!         redis::sentinel::SentinelServerType::Master,
//!     )?;
//!
//!     bed.inject(Fault::Kill(Target::Master(None))).await?;
//!     let switched = bed.wait_for(EventName::SwitchMaster).await?;
//!     assert!(switched.elapsed() > Duration::from_secs(8));
//!     assert_ne!(bed.master_addr("mymaster"), before);
//!
//!     // What it does is reported, so that the verdict is about it.
//!     for _ in 0..20 {
//!         tokio::time::sleep(Duration::from_millis(500)).await;
//!         let _ = writer
//!             .operation(Action::Incr, async |name| {
//!                 let told = |error: redis::RedisError| CallError {
//!                     may_have_run: false,
//!                     cause: Cause::Other,
//!                     text: error.to_string(),
//!                 };
//!                 let mut connection = client.get_async_connection().await.map_err(told)?;
//!                 let command = redis::Cmd::incr(format!("counter:{name}"), 1);
//!                 command.query_async(&mut connection).await.map(Answer::Number).map_err(told)
//!             })
//!             .await;
//!     }
//!     drop(client);
//!     let verdict = bed.verdict().await?;
//!     assert_eq!(verdict.outcome, Outcome::Pass, "{:#?}", verdict.findings);
//!     Ok(())
//! })
//! # }
//! ```
//!
//! Three ways in:
//!
//! | | who works | for |
//! |---|---|---|
//! | [`Testbed`] | the test, with its own client and faults | `cargo test` |
//! | [`Run`] | the clients of a [`Plan`](model::Plan), by a [`driver`] | scenarios, the command line, campaigns |
//! | [`Server`] | whoever connects, in real time: clients in any language, real Redis processes | `serve`, mixed clusters |
//!
//! Inside, from the sockets up:
//!
//! | module | holds |
//! |---|---|
//! | `c_library` | the C functions that randomness and addresses of names come from, and threads: [`Entropy`] |
//! | `gate` | a node's address: open, refused or silent |
//! | `codec` | RESP: requests in, replies out |
//! | `view` | the addresses of the world, as one client sees them |
//! | `host` | connects the world to sockets and clock |
//! | `calls`, `workload` | the operations of a client: how they are recorded, which they are |
//! | `run`, `panics` | a plan from start to verdict, on a thread of its own |
//! | `serve` | a cluster in real time, open to whoever connects |
//! | `testbed`, `builder` | a cluster for a test |

mod builder;
mod c_library;
mod calls;
mod codec;
pub mod driver;
mod gate;
mod host;
mod memory;
mod pace;
mod panics;
mod run;
mod serve;
mod socket;
mod testbed;
mod view;
mod workload;

pub use builder::Builder;
pub use c_library::entropy::Entropy;
/// The vocabulary: plans, faults, events, histories, verdicts.
pub use model;
pub use run::{Run, RunError, RunOutcome};
pub use serve::{Listen, ServeError, Server};
pub use sim::{Delivery, FileError};
pub use testbed::{ClientView, Reporter, Testbed, TestbedError};
