//! Who has used up which transfer: durable, atomic, at most once.
//!
//! One writer commits in groups: what queued up while one group went to disk is the next group. An
//! answer leaves only after its commit is on disk. The first claim of a transfer stands for ever and
//! never changes, so it may be remembered; that a transfer is unclaimed never is. Whose claim it is,
//! and whether it repeats an earlier call, is the verdict's to judge.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use prometheus::Histogram;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use x402_schemas::{
    api::revocations::{Revocation, RevocationEvent},
    invoice::InvoiceId,
    transfer::TransferId,
};

/// Puts groups of claims on disk.
mod writer;

/// The files.
mod store;

pub(crate) use writer::ClaimWriter;

use crate::cache::{Cache, cache};
use store::Store;
use writer::Books;

/// Callers that may wait for the writer; more are turned away.
const MAX_QUEUED: usize = 16_384;

/// A claim as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// Who used the transfer up.
    pub(crate) provider_id: String,
    /// For which invoice.
    pub(crate) invoice_id: InvoiceId,
    /// For which served request, if the provider named it.
    pub(crate) attempt: Option<String>,
    /// When, to the millisecond.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub(crate) claimed_at: Timestamp,
}

/// A claim that is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// Of which transfer.
    pub(crate) id: TransferId,
    /// The claim.
    pub(crate) claim: Arc<Claim>,
    /// The transfer's block, if a reorg may still remove it.
    pub(crate) unsettled: Option<u64>,
}

/// The claim that stands after a caller asked for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    /// It, whosever it is.
    pub(crate) claim: Arc<Claim>,
    /// Whether this call made it.
    pub(crate) granted: bool,
}

/// A claim whose transfer's block was not final when last seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unsettled {
    /// The transfer.
    pub(crate) id: TransferId,
    /// Its block.
    pub(crate) block_number: u64,
}

/// What the index says of transfers that may be claimed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// What is on the chain now and in which block, and what is not.
    pub(crate) seen: Vec<(TransferId, Option<u64>)>,
    /// Marks that have served: their transfers are final.
    pub(crate) settled: Vec<Unsettled>,
}

/// The claims of one verifier.
#[derive(Clone, Debug)]
pub(crate) struct Claims {
    writer: mpsc::Sender<Ask>,
    store: Store,
    standing: Cache<TransferId, Arc<Claim>>,
}

/// Why a claim could not be made or seen. It may stand nevertheless: asking again tells.
#[derive(Clone, Debug, Error)]
pub(crate) enum ClaimError {
    /// The store did not do it.
    #[error("the claims store failed; is the disk full or gone?")]
    Store(#[source] Arc<fjall::Error>),
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
    /// The files cannot be opened.
    #[error("the claims cannot be opened; check their owner, and that no other verifier uses them")]
    Files(#[source] fjall::Error),
    /// They hold what this version never writes.
    #[error("the claims cannot be read; were they written by a newer version?")]
    Unreadable,
}

#[derive(Debug)]
enum Ask {
    Claim {
        wanted: Vec<Wanted>,
        answer: oneshot::Sender<Result<Vec<Claimed>, ClaimError>>,
    },
    News {
        news: News,
        at: Timestamp,
        answer: oneshot::Sender<Result<Vec<RevocationEvent>, ClaimError>>,
    },
}

impl Claims {
    /// Opens the store in `folder`, creating what is missing; `remembered` standing claims are kept
    /// in memory.
    pub(crate) async fn open(
        folder: &Path,
        remembered: u64,
        commit_seconds: Histogram,
    ) -> Result<(Self, ClaimWriter), OpenError> {
        tokio::fs::create_dir_all(folder)
            .await
            .map_err(OpenError::Folder)?;
        let folder = folder.to_owned();
        let store = tokio::task::spawn_blocking(move || Store::open(&folder))
            .await
            .map_err(|_| OpenError::Unreadable)??;
        let (writer, asks) = mpsc::channel(MAX_QUEUED);
        let standing = cache(remembered);
        let books = Books {
            store: store.clone(),
            standing: standing.clone(),
            commit_seconds,
        };
        let writer_task = ClaimWriter {
            asks,
            books: Arc::new(books),
        };
        let claims = Self {
            writer,
            store,
            standing,
        };
        Ok((claims, writer_task))
    }

    /// Claims these transfers, in one commit and in order. What stands on each afterwards is
    /// returned once it is on disk; a transfer that was claimed before keeps its first claim.
    pub(crate) async fn claim(&self, wanted: Vec<Wanted>) -> Result<Vec<Claimed>, ClaimError> {
        if let Some(known) = self.all_known(&wanted) {
            return Ok(known);
        }
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::Claim { wanted, answer })?;
        answered.await.map_err(|_| ClaimError::Stopped)?
    }

    /// The claims that stand on these transfers, in their order.
    pub(crate) fn standing(
        &self,
        transfers: &[TransferId],
    ) -> Result<Vec<Option<Arc<Claim>>>, ClaimError> {
        transfers
            .iter()
            .map(|id| match self.standing.get(id) {
                Some(claim) => Ok(Some(claim)),
                // In memory, or a bloom filter's no, or one block of a file: not worth a thread.
                None => Ok(self.store.find(*id)?.map(Arc::new)),
            })
            .collect()
    }

    /// Notes what became of claimed transfers, each named once, and returns what that was news of. On disk when it
    /// returns.
    pub(crate) async fn note(
        &self,
        news: News,
        at: Timestamp,
    ) -> Result<Vec<RevocationEvent>, ClaimError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Ask::News { news, at, answer })?;
        answered.await.map_err(|_| ClaimError::Stopped)?
    }

    /// Claims of blocks up to `block_number` that are marked as not final, after `after`, at most
    /// `limit`.
    pub(crate) fn unsettled(
        &self,
        after: Option<Unsettled>,
        block_number: u64,
        limit: usize,
    ) -> Result<Vec<Unsettled>, ClaimError> {
        self.store.unsettled(after, block_number, limit)
    }

    /// A provider's revocations after `after`, oldest first.
    pub(crate) fn revocations(
        &self,
        provider_id: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Revocation>, ClaimError> {
        self.store.revocations(provider_id, after, limit)
    }

    /// Whether the transfer's claimer was last told that it is gone.
    pub(crate) fn is_revoked(&self, id: TransferId) -> Result<bool, ClaimError> {
        self.store.is_revoked(id)
    }

    /// How many standing claims are in memory.
    pub(crate) fn remembered(&self) -> u64 {
        self.standing.entry_count()
    }

    #[cfg(test)]
    pub(crate) fn disk(&self) -> Arc<store::Disk> {
        self.store.disk()
    }

    /// The answer, if a claim stands on every one of these and is remembered.
    fn all_known(&self, wanted: &[Wanted]) -> Option<Vec<Claimed>> {
        wanted
            .iter()
            .map(|wanted| {
                let claim = self.standing.get(&wanted.id)?;
                Some(Claimed {
                    claim,
                    granted: false,
                })
            })
            .collect()
    }

    fn ask(&self, ask: Ask) -> Result<(), ClaimError> {
        self.writer.try_send(ask).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => ClaimError::Busy,
            mpsc::error::TrySendError::Closed(_) => ClaimError::Stopped,
        })
    }
}

impl From<fjall::Error> for ClaimError {
    fn from(error: fjall::Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

#[cfg(test)]
mod tests;
