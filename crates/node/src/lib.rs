//! One Redis data node, master or replica, as a state machine without I/O, true to redis-server 7.0.15.
//!
//! ```text
//! let mut node = Node::new(Config::new(identity), seed, 0, Time::ZERO);
//! node.handle(now, input, &mut outputs);
//! let next = node.deadline();
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `node` | [`Node`]: inputs, outputs, connections |
//! | `config` | [`Config`] |
//! | `table` | the table of commands, [`is_write`], [`is_about_data`] |
//! | `dispatch` | checks, queueing, running, propagating |
//! | `commands` | what the commands do, one family a file |
//! | `acl`, `keys` | users and their rights; where the keys of a command are |
//! | `script` | Lua |
//! | `keyspace`, `access` | the data set, and how a command sees it |
//! | `blocking` | connections that wait |
//! | `replication` | histories, backlog, the links to master and replicas, promotion and demotion |
//! | `rdb` | the file of a full resynchronisation |
//! | `cron` | what happens by the clock |

mod access;
mod acl;
mod args;
mod blocking;
mod busy;
mod client;
mod commands;
mod config;
mod cron;
mod dispatch;
mod keys;
mod keyspace;
mod long_double;
mod node;
mod rdb;
mod replication;
mod script;
mod stats;
mod table;
#[cfg(test)]
mod tests;

pub use config::Config;
pub use node::Node;
pub use table::{is_about_data, is_write};
