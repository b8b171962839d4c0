//! Text and JSON from history and verdict
