//! What every service of ours has: a clock, keys, strict bodies, limits, an admin port, a clean stop.
//!
//! Knows nothing of payments. A piece moves here when the second service needs it.

/// The time, asked for at the edges only.
pub mod clock;

/// Where ClickHouse is.
pub mod clickhouse;

/// API keys: made, read, hashed.
pub mod api_key;

/// Refused requests and failures, as HTTP.
pub mod problem;

/// JSON bodies that are read strictly.
pub mod json;

/// A listener with limits on every request.
pub mod serve;

/// One asker's share: a rate, and a number of open requests.
pub mod rate;

/// Connections of a public port: only so many, and none that stays silent.
pub mod connections;

/// Health, readiness and metrics, on a port of their own.
pub mod admin;

/// Metrics, made and registered.
pub mod metrics;

/// Requests of a public port, measured.
pub mod requests;

/// What every process tells of itself.
mod process;

/// The page that shows a service's API.
pub mod docs;

/// What the answers of every operation have in common.
pub mod openapi;

/// Stopping: the first signal asks, the deadline insists.
pub mod lifecycle;

/// Structured logs.
pub mod logs;

/// Spans, sent to a collector.
pub mod spans;

/// A request's place in a trace.
pub mod trace;
