//! Clients that are wrong on purpose: a correct client of a few hundred lines, and one [`Defect`] at a time.
//!
//! They are what the checks and the scenarios are held against: a check that none of them fails cannot fail, and a
//! scenario that catches none of them shows nothing.
//!
//! The correct client is simple rather than quick. Before every operation it asks all Sentinels that it knows, at the
//! same time, and uses the master that most of those that answer name. It asks a node for its role before it uses it, and
//! again every second. It waits a random time before it dials again what it lost, gives up on whatever takes longer than
//! its patience or the caller's deadline, tries no operation twice, and says of a lost reply that the operation may have run.
//!
//! | module | holds |
//! |---|---|
//! | `defect` | the defects, with their names |
//! | `dial` | connections and questions about roles |
//! | `sentinels` | the Sentinels that a client knows, and what they answer |
//! | `events` | a subscription to what Sentinels announce; only wrong clients have one |
//! | `client` | the client: which master, which connection, one operation |
//! | `replicas`, `subscriber`, `cache` | reading from replicas; subscriptions on the master; a cache of what was read |
//! | `driver` | the client behind the lab's trait |
//! | `havoc` | clients that break the process that runs them |

mod cache;
mod client;
mod defect;
mod dial;
mod driver;
mod events;
mod havoc;
mod replicas;
mod sentinels;
mod subscriber;

pub use defect::Defect;
pub use driver::{Zoo, all, by_name, wrong_at};
pub use havoc::{Havoc, havoc};
