//! Who has used up which transfer: durable, atomic, at most once.
//!
//! One writer owns the only writing connection and commits in groups: what queued up while one group
//! went to disk is the next group. An answer leaves only after its commit is on disk (WAL with
//! `synchronous=FULL`). The primary key decides between racing callers; whose claim it then is, and
//! whether that repeats an earlier call, is the verdict's to judge.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use prometheus::Histogram;
use sqlx::{
    Connection, Row, SqliteConnection, SqlitePool,
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous,
    },
};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use x402_schemas::{invoice::InvoiceId, transfer::TransferId};

/// Callers that may wait for the writer; more are turned away.
const MAX_QUEUED: usize = 4_096;

/// Claims after which a group takes no further callers into its commit.
const MAX_GROUP: usize = 1_024;

/// Connections for looking at claims; they never wait for the writer.
const READERS: u32 = 2;

/// The file within the data folder.
const FILE: &str = "claims.sqlite";

const INSERT: &str = "INSERT INTO claims (chain_id, tx_hash, log_index, provider_id, invoice_id, attempt, claimed_at) \
                      VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
const SELECT: &str = "SELECT provider_id, invoice_id, attempt, claimed_at FROM claims \
                      WHERE chain_id = ? AND tx_hash = ? AND log_index = ?";

/// A claim as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Who used the transfer up.
    pub(crate) provider_id: String,
    /// For which invoice.
    pub(crate) invoice_id: InvoiceId,
    /// For which served request, if the provider named it.
    pub(crate) attempt: Option<String>,
    /// When, to the millisecond.
    pub(crate) claimed_at: Timestamp,
}

/// The claim that stands after a caller asked for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    /// It, whosever it is.
    pub(crate) claim: Claim,
    /// Whether this call made it.
    pub(crate) granted: bool,
}

/// The claims of one verifier.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    writer: mpsc::Sender<Ask>,
    readers: SqlitePool,
}

/// Puts claims on disk; to be run until every [`Claims`] is gone.
#[derive(Debug)]
pub(crate) struct ClaimWriter {
    connection: SqliteConnection,
    asks: mpsc::Receiver<Ask>,
    commit_seconds: Histogram,
}

/// Why a claim could not be made or seen. It may stand nevertheless: asking again tells.
#[derive(Clone, Debug, Error)]
pub(crate) enum ClaimError {
    /// The store did not do it.
    #[error("the claims store failed; is the disk full or gone?")]
    Store(#[source] Arc<sqlx::Error>),
    /// A row that this version cannot read.
    #[error("a stored claim cannot be read")]
    Unreadable,
    /// More callers wait than the disk can serve.
    #[error("too many claims are waiting for the disk")]
    Busy,
    /// The writer has stopped.
    #[error("the claims store has stopped")]
    Stopped,
}

/// Why the store could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The folder cannot be made.
    #[error("the data folder cannot be created; check its path and owner")]
    Folder(#[source] std::io::Error),
    /// The file cannot be opened.
    #[error("the claims file cannot be opened; check its owner and that it is a claims file")]
    File(#[source] sqlx::Error),
    /// Its tables cannot be brought up to date.
    #[error("the claims file cannot be brought to this version's schema")]
    Migration(#[source] sqlx::migrate::MigrateError),
}

#[derive(Debug)]
struct Ask {
    wanted: Vec<(TransferId, Claim)>,
    answer: oneshot::Sender<Result<Vec<Claimed>, ClaimError>>,
}

impl Claims {
    /// Opens the store in `folder`, creating what is missing.
    pub(crate) async fn open(
        folder: &Path,
        commit_seconds: Histogram,
    ) -> Result<(Self, ClaimWriter), OpenError> {
        tokio::fs::create_dir_all(folder)
            .await
            .map_err(OpenError::Folder)?;
        let options = SqliteConnectOptions::new()
            .filename(folder.join(FILE))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        let mut connection = SqliteConnection::connect_with(&options)
            .await
            .map_err(OpenError::File)?;
        sqlx::migrate!("../schemas/migrations/claims")
            .run(&mut connection)
            .await
            .map_err(OpenError::Migration)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_with(options.pragma("query_only", "ON"))
            .await
            .map_err(OpenError::File)?;
        let (writer, asks) = mpsc::channel(MAX_QUEUED);
        let writer_task = ClaimWriter {
            connection,
            asks,
            commit_seconds,
        };
        Ok((Self { writer, readers }, writer_task))
    }

    /// Claims these transfers, in one commit and in order. What stands on each afterwards is
    /// returned once it is on disk; a transfer that was claimed before keeps its first claim.
    pub(crate) async fn claim(
        &self,
        wanted: Vec<(TransferId, Claim)>,
    ) -> Result<Vec<Claimed>, ClaimError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let (answer, answered) = oneshot::channel();
        self.writer
            .try_send(Ask { wanted, answer })
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => ClaimError::Busy,
                mpsc::error::TrySendError::Closed(_) => ClaimError::Stopped,
            })?;
        answered.await.map_err(|_| ClaimError::Stopped)?
    }

    /// The claims that stand on these transfers, in their order.
    pub(crate) async fn standing(
        &self,
        transfers: &[TransferId],
    ) -> Result<Vec<Option<Claim>>, ClaimError> {
        if transfers.is_empty() {
            return Ok(Vec::new());
        }
        let mut connection = self.readers.acquire().await?;
        let mut claims = Vec::with_capacity(transfers.len());
        for id in transfers {
            claims.push(find(&mut connection, *id).await?);
        }
        Ok(claims)
    }
}

impl ClaimWriter {
    /// Writes until every [`Claims`] is gone, so that no caller in flight is left without an answer.
    pub(crate) async fn run(mut self) {
        while let Some(first) = self.asks.recv().await {
            let mut size = first.wanted.len();
            let mut group = vec![first];
            while size < MAX_GROUP {
                let Ok(next) = self.asks.try_recv() else {
                    break;
                };
                size = size.saturating_add(next.wanted.len());
                group.push(next);
            }
            let timer = self.commit_seconds.start_timer();
            let outcome = commit(&mut self.connection, &group).await;
            timer.observe_duration();
            answer(group, outcome);
        }
    }
}

/// Writes a group in one transaction. An error takes the whole group back, or leaves open whether
/// it stands; either way nobody is told that it does.
async fn commit(
    connection: &mut SqliteConnection,
    group: &[Ask],
) -> Result<Vec<Vec<Claimed>>, ClaimError> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut outcomes = Vec::with_capacity(group.len());
    for ask in group {
        let mut claimed = Vec::with_capacity(ask.wanted.len());
        for (id, claim) in &ask.wanted {
            claimed.push(claim_one(&mut transaction, *id, claim).await?);
        }
        outcomes.push(claimed);
    }
    transaction.commit().await?;
    Ok(outcomes)
}

async fn claim_one(
    connection: &mut SqliteConnection,
    id: TransferId,
    claim: &Claim,
) -> Result<Claimed, ClaimError> {
    let inserted = sqlx::query(INSERT)
        .bind(id.network.chain_id().cast_signed())
        .bind(id.tx_hash.as_slice())
        .bind(id.log_index)
        .bind(&claim.provider_id)
        .bind(claim.invoice_id.as_str())
        .bind(claim.attempt.as_deref())
        .bind(claim.claimed_at.as_millisecond())
        .execute(&mut *connection)
        .await?;
    if inserted.rows_affected() == 1 {
        return Ok(Claimed {
            claim: claim.clone(),
            granted: true,
        });
    }
    let claim = find(connection, id).await?.ok_or(ClaimError::Unreadable)?;
    Ok(Claimed {
        claim,
        granted: false,
    })
}

async fn find(
    connection: &mut SqliteConnection,
    id: TransferId,
) -> Result<Option<Claim>, ClaimError> {
    let row = sqlx::query(SELECT)
        .bind(id.network.chain_id().cast_signed())
        .bind(id.tx_hash.as_slice())
        .bind(id.log_index)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

fn read(row: &SqliteRow) -> Result<Claim, ClaimError> {
    let invoice_id: &str = row.try_get("invoice_id")?;
    let claimed_at: i64 = row.try_get("claimed_at")?;
    Ok(Claim {
        provider_id: row.try_get("provider_id")?,
        invoice_id: invoice_id.parse().map_err(|_| ClaimError::Unreadable)?,
        attempt: row.try_get("attempt")?,
        claimed_at: Timestamp::from_millisecond(claimed_at).map_err(|_| ClaimError::Unreadable)?,
    })
}

/// A caller that has gone away loses nothing by it: asking again finds its claim.
fn answer(group: Vec<Ask>, outcome: Result<Vec<Vec<Claimed>>, ClaimError>) {
    match outcome {
        Ok(outcomes) => {
            for (ask, claimed) in group.into_iter().zip(outcomes) {
                drop(ask.answer.send(Ok(claimed)));
            }
        }
        Err(error) => {
            for ask in group {
                drop(ask.answer.send(Err(error.clone())));
            }
        }
    }
}

impl From<sqlx::Error> for ClaimError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

#[cfg(test)]
mod tests;
