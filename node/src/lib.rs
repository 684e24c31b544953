//! The one binary's library.

/// A chain node and a ClickHouse on this machine, for the demo and for tests.
pub mod local;
