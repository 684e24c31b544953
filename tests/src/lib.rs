//! What the end-to-end tests stand on: a real chain node, a real ClickHouse, the real services.
//!
//! One chain and one ClickHouse serve a whole test run; each test has a token and a database of its
//! own, so tests run side by side. A test that reorganises the chain starts one for itself.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on fails, and says where"
)]

/// The chain node and the ClickHouse that a test run shares.
pub mod shared;

/// One test's token, database, services and people.
pub mod world;

/// The gateway's ledger, checked as an operator checks it.
pub mod ledger;

/// The ledger against what ClickHouse was told of it.
pub mod told;

/// What ClickHouse says was spent, against the ledger.
pub mod spend;

/// A paid API of the kind that providers run.
pub mod api;

/// A line to a server that can be cut.
pub mod line;

/// An endpoint that webhooks are sent to.
pub mod endpoint;

/// Paid APIs and agents of both SDKs, for every pair of them.
pub mod pairs;

/// A collector of traces.
pub mod collector;

/// Payments in any number, without a chain, for the verifier.
pub mod market;

/// What processes have used, for benches.
pub mod process;

/// Requests below the SDKs, for what the SDKs would never send.
pub mod raw;

/// An API against its own document.
pub mod schemathesis;

/// A chain node that forks, lags and lies on purpose, and the truth about its chain.
pub mod scripted;

/// The demo, with its traffic, as a process.
pub mod demo;

/// The real Prometheus with our configuration and rules.
pub mod prometheus;

/// The dashboards, asked and drawn as Grafana asks and draws.
pub mod grafana;
