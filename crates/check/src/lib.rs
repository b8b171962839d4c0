//! From a run's history to its verdict. Pure: the same plan and history give the same verdict, and nothing else is
//! looked at. What a client claims is compared with what the nodes saw.
//!
//! ```text
//! facts ──> periods ──> converge I1, stale I2, once I3, loss I4,      ──> findings ──> verdict
//!  (one pass)           bounded I5, load I6, honest I7, residue I8,
//!                       replies I9, locks I1, queues I1, jobs I1 I3,
//!                       cached I2, recovery, expect, evidence
//! ```
//!
//! | module | answers |
//! |---|---|
//! | `steps` | what had a value when: a value that changes in steps |
//! | `facts` | roles, processes, answers, masterships and operations, joined from the records |
//! | `faults` | which fault stands between a client and a node |
//! | `periods` | when a client can be asked to succeed, and on which node |
//! | `findings` | findings folded per rule and client, waivers applied |
//! | `locks` | who believes that it has a lock |
//! | `queues` | whether what is pushed to a queue is taken |
//! | `jobs` | whether each job ended, and once |
//! | `cached` | what was read through a cache, and whether that was old |
//! | `conduct` | what no client may do, whatever the scenario is |
//! | `recovery` | each change of master in its parts |
//! | `expect` | the expectations of the plan |
//! | `evidence` | what must have happened for the run to prove anything |
//! | `conformance` | how clients kept to the guideline, which is no part of the outcome |
//! | `verdict` | [`judge`], which asks all of them |

mod bounded;
mod cached;
mod conduct;
mod conformance;
mod converge;
mod evidence;
mod expect;
mod facts;
mod faults;
mod findings;
mod honest;
mod jobs;
mod load;
mod locks;
mod loss;
mod lost;
mod once;
mod periods;
mod queues;
mod recovery;
mod replies;
mod residue;
mod stale;
mod steps;
#[cfg(test)]
mod story;
mod verdict;

pub use verdict::judge;
