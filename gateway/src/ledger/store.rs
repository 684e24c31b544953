//! Opening the ledger's file and its connections.

use std::{path::Path, time::Duration};

use sqlx::{
    Sqlite, SqlitePool, Transaction,
    migrate::{MigrateError, Migrator},
    pool::PoolConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use thiserror::Error;

static MIGRATIONS: Migrator = sqlx::migrate!("../schemas/migrations/ledger");

const FILE: &str = "ledger.sqlite";
/// Writers wait in a queue of ours, in order, rather than in SQLite's busy loop.
const WRITERS: u32 = 1;
const READERS: u32 = 8;
/// How long a request waits for a connection before it is told that the ledger is busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// The open ledger. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    writer: SqlitePool,
    reader: SqlitePool,
}

/// Why the ledger could not answer.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// SQLite failed, or was too busy.
    #[error("the ledger could not be read or written")]
    Sqlite(#[from] sqlx::Error),
    /// The schema could not be brought up to date.
    #[error("the ledger's schema could not be brought up to date")]
    Migration(#[from] MigrateError),
    /// A column holds what this version never writes.
    #[error("the ledger holds an unreadable {0}")]
    Unreadable(&'static str),
    /// A sum does not fit in 256 bits, or a release exceeds what was held.
    #[error("the ledger's sums do not add up: {0}")]
    Imbalance(&'static str),
    /// The operating system gave no random bytes for an id.
    #[error("no id could be made")]
    NoId(#[from] x402_service::api_key::NoRandomness),
    /// The ledger belongs to another network, token or seed.
    #[error(
        "the ledger belongs to another {name}: {recorded}, not {given}; use another data folder"
    )]
    Foreign {
        /// What differs.
        name: &'static str,
        /// What the ledger was made for.
        recorded: String,
        /// What this process was started with.
        given: String,
    },
}

impl Ledger {
    /// Opens the ledger in `folder`, creating or migrating it as needed.
    pub async fn open(folder: &Path) -> Result<Self, LedgerError> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join(FILE))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(ACQUIRE_TIMEOUT);
        let writer = SqlitePoolOptions::new()
            .max_connections(WRITERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.clone())
            .await?;
        MIGRATIONS.run(&writer).await?;
        let reader = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.pragma("query_only", "on"))
            .await?;
        Ok(Self { writer, reader })
    }

    /// Opens the ledger in `folder` to read it, beside a gateway that may be writing. It has to be there.
    pub(crate) async fn open_to_read(folder: &Path) -> Result<Self, LedgerError> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join(FILE))
            .busy_timeout(ACQUIRE_TIMEOUT)
            .pragma("query_only", "on");
        let reader = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await?;
        Ok(Self {
            writer: reader.clone(),
            reader,
        })
    }

    /// Begins a change. It takes the write lock at once, so what it reads stays true until it commits;
    /// dropping it undoes it.
    pub(crate) async fn write(&self) -> Result<Transaction<'static, Sqlite>, LedgerError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// A connection for reading what is committed.
    pub(crate) async fn read(&self) -> Result<PoolConnection<Sqlite>, LedgerError> {
        Ok(self.reader.acquire().await?)
    }
}

impl From<LedgerError> for x402_service::problem::Problem {
    fn from(error: LedgerError) -> Self {
        match &error {
            LedgerError::Sqlite(_) => Self::unavailable(
                "LEDGER_UNAVAILABLE",
                "the ledger is busy or away; nothing was changed, try again",
                &error,
            ),
            LedgerError::Migration(_)
            | LedgerError::Unreadable(_)
            | LedgerError::Imbalance(_)
            | LedgerError::NoId(_)
            | LedgerError::Foreign { .. } => Self::internal(&error),
        }
    }
}
