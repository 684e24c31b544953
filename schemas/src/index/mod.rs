//! The ClickHouse index of the chain: its tables, rows and exact reads.

/// One Rust type for each table.
pub mod rows;

/// Rows that the gateway writes: what happens to payments.
pub mod payment_events;

/// Rows that the gateway writes for those who look at spend.
pub mod spend;

/// Numbered SQL files, applied once each by the indexer.
pub mod migrations;

/// Reads that see exactly what is committed.
pub mod reader;

pub use migrations::migrate;
pub use payment_events::{PaymentEventRow, uint256};
pub use reader::{Change, IndexError, IndexReader, Tip};
pub use rows::{BlockRow, CommitRow, TRANSFER_TABLES, TransferRow};
