//! Scenario files: the YAML model, its validation and its JSON Schema.
//!
//! A scenario is a [`Plan`](model::Plan) in writing. [`parse`] and [`load`] read one and report everything that is
//! wrong with it at once, each problem with its place and with what would be right; [`render`] writes one;
//! [`schema`] is for editors.
//!
//! ```
//! let source = "
//! title: the master is killed under a steady writer
//! cluster: {master: mymaster, replicas: 2, sentinels: 3, quorum: 2, down_after: 5s, failover_timeout: 20s}
//! clients:
//!   - {id: writer, workload: counter, every: 100ms}
//! timeline:
//!   - {at: 10s, kill: master}
//!   - {on: +switch-master, after: 2s, restart: old-master}
//! run_for: 45s
//! expect: {recovered_within: 12s}
//! ";
//! let plan = sentinel_lab_scenario::parse(source, "kill.yaml", &Default::default())?;
//! assert_eq!(plan.timeline.len(), 2);
//!
//! let errors = sentinel_lab_scenario::parse("title: t\nrun_for: 45", "t.yaml", &Default::default()).unwrap_err();
//! assert_eq!(
//!     errors.to_string(),
//!     "t.yaml:2:10: the duration `45` has no unit (write `45s` for seconds or `45ms` for milliseconds)",
//! );
//! # Ok::<(), sentinel_lab_scenario::ScenarioErrors>(())
//! ```
//!
//! # The language
//! Only `title` is required; what is left out is as the model says, and 45s for `run_for`. Durations carry a unit. Keys
//! are those of `model::plan`, with these short forms:
//! - `cluster` describes one master, or several by `masters`: settings next to `masters` hold for all that do not set
//!   their own. `zones` maps a zone to its nodes, `priorities` a node to its priority. The quorum is 2 by default, 1
//!   with a single Sentinel.
//! - A client with `count: 3` stands for three, `writer-1` to `writer-3`; `rate: 10/s` for `every: 100ms`.
//! - A step has `at`, or `on` with or without `after`; one fault under its name; and `for` if the fault shall be undone.
//!   Most faults take a target: `kill: master`. The others are
//!   `partition: [zone:a, zone:b]` or `{from: [zone:a], to: [zone:b], one_way: true}`,
//!   `latency: {between: zone:a, and: zone:b, delay: 50ms, jitter: 10ms}`,
//!   `cut_reply: master` or `{of: master, command: INCR, times: 2}`,
//!   `failover: mymaster` or `{master: mymaster, via: sentinel-1}`, `clock_jump: {of: sentinel-1, by: -3s}`, and
//!   `override: {of: sentinel-1, answer: stale}` with the answers `stale`, `null`, `hang`, `no_switch_event`,
//!   `{error: "ERR busy"}`, `{slow: 300ms}`, `{wrong_address: redis-2}`, `{late_switch_event: 2s}`.
//! - `expect` may waive invariants, each with its reason: `waive: {I1: "no replica may be promoted"}`. I4 allows what
//!   asynchronous replication loses without a waiver; with one, those losses are listed, and more is a violation still.
//!
//! What is right and of which nothing can come is a mistake too, and told once all else is right: a step that does or undoes
//! nothing, a time that outlasts the run, an expectation that nobody can miss ([`Options::lenient`] takes them). Where that
//! depends on what the roles are then, the run tells, which proves nothing then.

mod collect;
mod convert;
mod duration;
mod files;
mod form;
mod leaf;
mod parse;
mod problems;
mod raw;
mod render;
mod schema;
mod suggest;
mod yaml;

pub use files::files;
pub use parse::{Options, load, parse, parse_fault, step_places};
pub use problems::{LoadError, Place, Problem, ScenarioErrors};
pub use render::render;
pub use schema::schema;
pub use suggest::did_you_mean;
