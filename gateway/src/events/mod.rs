//! What has happened, told onwards: the ledger's outbox in; rows in ClickHouse and streams out.
//!
//! Nobody who is told holds anybody up: a payment goes on whether or not its events get anywhere, and
//! what was not taken stays in the ledger.

/// The outbox's newest number, for all who wait for news; what is old goes.
pub(crate) mod news;

/// Every event into ClickHouse, once.
pub(crate) mod export;

/// `GET /events`, `GET /payments/{id}/events`.
pub(crate) mod stream;

/// What is waiting to be told.
pub(crate) mod metrics;
