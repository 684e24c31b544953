//! Chain → ClickHouse: the index of the token's transfers that everything else believes.
//!
//! Below, in the order that a block takes: what is read, how it is judged, how it is written. The
//! rules that keep rows equal to the chain across crashes and reorgs are in [`recovery`].

/// What an operator can set.
pub mod config;

/// Blocks, logs and transactions in, from a node that is checked and retried, never trusted.
pub mod source;

/// A header, its receipts and the logs that a node gave in; out: do they fit together? Pure.
pub mod receipts;

/// How many blocks one request for logs covers.
pub mod range;

/// Headers in; out: does the chain go on, or which blocks has it left? Pure.
pub mod reorg;

/// One block's logs and transactions in, its transfers out, each with its kind and memo. Pure.
pub mod decode;

/// Transfers in, the rows of one change of the index and its commit out. Pure.
pub mod batch;

/// Batches in, ClickHouse's acknowledgement out.
pub mod writer;

/// What the index holds, committed or not.
pub mod stored;

/// What a dead run left behind in, how far to roll back out. Pure.
pub mod recovery;

/// Checks at start, then the task.
pub mod indexer;

/// The loop: backfill to `finalized`, then block by block.
mod run;

/// Is the index equal to the chain? Asks the node again, compares, and mends what differs.
pub mod audit;

/// How far a backfill or an audit has come.
pub mod progress;

/// Whether commits cover every block.
mod gaps;

/// What the indexer reports about itself.
pub mod metrics;

pub use audit::{AuditReport, audit};
pub use config::IndexerConfig;
pub use indexer::{Indexer, StartError};
