//! From a run's history to its verdict: the invariants
