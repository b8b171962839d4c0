//! A client for Redis under Sentinel that survives failovers, on top of the crate [`redis`].
//!
//! Give it the Sentinels and the master's name, and use what it returns like any connection:
//!
//! ```no_run
//! use redis::AsyncCommands as _;
//! use sentinel_client::Client;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::open("redis-sentinel://:secret@s1:26379,s2:26379,s3:26379/mymaster/0?budget=40s")?;
//! let mut master = client.master();
//! master.set::<_, _, ()>("greeting", "hello").await?;
//! let greeting: String = client.replica().get("greeting").await?;
//! # Ok(()) }
//! ```
//!
//! | for | there is |
//! |---|---|
//! | commands, pipelines, transactions | [`Client::master`], [`Client::replica`]: a [`Connection`] to clone at will |
//! | commands that block (`BLPOP`) or change their connection (`WATCH`) | [`Client::dedicated`], [`Client::pool`] |
//! | publish/subscribe | [`Client::subscriber`] |
//! | values that are read often and change seldom | [`Client::cache`] |
//! | just the addresses | [`Client::discover_master`], [`Client::discover_replicas`] |
//! | several masters behind the same Sentinels | [`Client::master_for`] and its like, which take a name |
//!
//! # What it does
//! The client asks the Sentinels side by side, so that one that hangs holds nothing up, and takes no node for a master
//! that does not say so itself. It gives up a connection when it is lost, when a reply stays out, when the node answers
//! that it is a replica, and also when nothing of this happens but the node has been demoted or the Sentinels name
//! another: every second it asks the node for its role and one Sentinel, each in its turn, for the master, and it listens
//! to the switches that every Sentinel announces. One Sentinel that lies, or is behind the others, moves no healthy connection: a move
//! takes a later configuration epoch, or a majority, and the new node's own word. Lost connections are searched for in
//! one search, however many callers wait for it.
//!
//! # Retries
//! A command that was certainly not executed is sent again for as long as the budget lasts. A command of which that is
//! not certain is sent again only if a repetition does no harm, or if the caller says so ([`Ambiguous`]). Whatever
//! happens, a call ends by its deadline ([`Retry::budget`]), and at once if credentials are refused; its error says what happened, where, after how many
//! attempts, and whether the command may have run ([`details`], [`Failure`]).
//!
//! # Features
//! `tls`: encrypted connections, set up by [`Settings::from_str`](Settings) or in code. Off by default.
//!
//! # What it cannot do
//! Redis replicates asynchronously, so a write that was acknowledged by the old master may be missing on the new one.
//! No client can prevent that; `WAIT` and `min-replicas-to-write` make it rarer.

mod address;
mod ballot;
mod cache;
mod call;
mod client;
mod command;
mod connection;
mod core;
mod credentials;
mod dedicated;
mod dial;
mod discovery;
mod error;
mod hints;
mod keeper;
mod link;
mod metrics;
mod outcome;
mod pace;
mod pool;
mod reply;
mod retry;
mod role;
mod sentinels;
mod settings;
mod stream;
mod subscriber;
mod survey;
mod task;
mod tls;
mod tls_url;
mod url;

pub use address::{Address, AddressError};
pub use cache::Cache;
pub use client::Client;
pub use connection::Connection;
pub use credentials::Credentials;
pub use dedicated::Dedicated;
pub use dial::{ByteStream, Dial, Dialling};
pub use error::{Cause, DiscoveryError, Failure, OpenError, ServerError, details};
pub use metrics::{Metrics, Peer};
pub use pool::{Manager, Pool, PoolBuilder, Pooled};
pub use retry::{Ambiguous, Backoff, Retry};
pub use role::Role;
pub use settings::{ReplicaFallback, Settings, SettingsError};
pub use subscriber::{Event, Subscriber};
#[cfg(feature = "tls")]
pub use tls::Tls;
pub use url::UrlError;

/// The snippets of the README, which are compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
