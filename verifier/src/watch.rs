//! What becomes of claimed transfers: revoked when a reorg removes one, restored when it comes back.
//!
//! Live, the commits tell. After a start, or when commits were skipped, every claimed transfer whose
//! block was not final is looked at in the index, a few at a time between the commits, so that a
//! reorg that happened meanwhile is found. Both run in the tail, so neither overtakes the other.

use std::{collections::HashSet, sync::Arc};

use thiserror::Error;
use x402_schemas::{
    index::{Change, IndexError, IndexReader, Tip, reader::MAX_LOOKUP},
    transfer::TransferId,
};
use x402_service::clock;

use crate::{
    claims::{ClaimError, Claims, News, Unsettled},
    metrics::VerifierMetrics,
    transfers::{net, sighting},
    verdict::Sighting,
};

/// Marks that are taken away at once.
const MAX_SETTLED: usize = 5_000;

/// Follows the claimed transfers.
#[derive(Debug)]
pub(crate) struct Watch {
    claims: Claims,
    metrics: Arc<VerifierMetrics>,
    /// Where the look at all claimed transfers has come to; `None` when it is done.
    looking: Option<Progress>,
    /// Whether it has come to blocks that the index does not cover yet.
    at_the_end: bool,
    /// Up to where marks were taken away because their blocks are final.
    settled: Option<Unsettled>,
    /// Whether more of them may be taken away at once.
    more_settled: bool,
}

#[derive(Clone, Copy, Debug)]
struct Progress {
    last: Option<Unsettled>,
}

/// Why it could not be noted. It is tried again.
#[derive(Debug, Error)]
pub(crate) enum WatchError {
    #[error("the claims could not be read or written")]
    Claims(#[from] ClaimError),
    #[error("the index could not be asked")]
    Index(#[from] IndexError),
}

impl Watch {
    /// Begins with a look at all claimed transfers.
    pub(crate) const fn new(claims: Claims, metrics: Arc<VerifierMetrics>) -> Self {
        Self {
            claims,
            metrics,
            looking: Some(Progress { last: None }),
            at_the_end: false,
            settled: None,
            more_settled: false,
        }
    }

    /// Something may have been missed: looks at all claimed transfers again.
    pub(crate) fn look_at_all(&mut self) {
        self.looking = Some(Progress { last: None });
        self.at_the_end = false;
        self.settled = None;
    }

    /// Whether there is more to do than waiting for the next commit.
    pub(crate) const fn has_more(&self) -> bool {
        (self.looking.is_some() && !self.at_the_end) || self.more_settled
    }

    /// Notes what these commits did to claimed transfers.
    pub(crate) async fn follow(&mut self, changes: &[Change]) -> Result<(), WatchError> {
        let outcome = self.note_changes(changes).await;
        if outcome.is_err() {
            // These commits are not seen again, but their transfers are.
            self.look_at_all();
        }
        outcome
    }

    async fn note_changes(&self, changes: &[Change]) -> Result<(), WatchError> {
        let removed: HashSet<TransferId> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Removed(transfer) => Some(transfer.id),
                Change::Added(_) => None,
            })
            .collect();
        let mut seen = Vec::new();
        for (id, sighting) in net(changes) {
            let block = match sighting {
                Sighting::Standing(transfer) => Some(transfer.block_number),
                Sighting::Retracted(_) | Sighting::Absent => None,
            };
            // A new transfer is nobody's claim yet, unless it is one that comes back.
            if removed.contains(&id) || self.claims.is_revoked(id)? {
                seen.push((id, block));
            }
        }
        self.note(News {
            seen,
            settled: Vec::new(),
        })
        .await
    }

    /// One step of what there is to do between commits.
    pub(crate) async fn go_on(&mut self, reader: &IndexReader, tip: Tip) -> Result<(), WatchError> {
        match self.looking {
            Some(progress) => self.look(reader, tip, progress).await,
            None => self.settle(tip).await,
        }
    }

    /// Looks at the next claimed transfers of blocks that the index covers.
    async fn look(
        &mut self,
        reader: &IndexReader,
        tip: Tip,
        progress: Progress,
    ) -> Result<(), WatchError> {
        let marks = self
            .claims
            .unsettled(progress.last, tip.block_number, MAX_LOOKUP)?;
        let Some(last) = marks.last().copied() else {
            // An index that is being built again has yet to come to the others.
            let others = self.claims.unsettled(progress.last, u64::MAX, 1)?;
            self.at_the_end = !others.is_empty();
            self.looking = self.at_the_end.then_some(progress);
            return Ok(());
        };
        let ids: Vec<_> = marks.iter().map(|mark| mark.id).collect();
        let found = reader.find(&ids).await?;
        self.note(news(&marks, &found)).await?;
        self.looking = Some(Progress { last: Some(last) });
        Ok(())
    }

    /// Takes marks away whose blocks are final. Those of missing transfers stay.
    async fn settle(&mut self, tip: Tip) -> Result<(), WatchError> {
        let final_block = tip.finalized.min(tip.block_number);
        let marks = self
            .claims
            .unsettled(self.settled, final_block, MAX_SETTLED)?;
        self.more_settled = marks.len() >= MAX_SETTLED;
        let Some(last) = marks.last().copied() else {
            return Ok(());
        };
        let mut settled = Vec::with_capacity(marks.len());
        for mark in marks {
            if !self.claims.is_revoked(mark.id)? {
                settled.push(mark);
            }
        }
        self.note(News {
            seen: Vec::new(),
            settled,
        })
        .await?;
        self.settled = Some(last);
        Ok(())
    }

    async fn note(&self, news: News) -> Result<(), WatchError> {
        if news.seen.is_empty() && news.settled.is_empty() {
            return Ok(());
        }
        for event in self.claims.note(news, clock::now()).await? {
            self.metrics.count_revocation(event);
            tracing::warn!(?event, "a reorg changed a claimed payment");
        }
        Ok(())
    }
}

/// What the index's answer says of marked transfers. A transfer that stands in another block than its
/// mark's is marked there instead.
fn news(marks: &[Unsettled], found: &[Change]) -> News {
    let mut news = News::default();
    for mark in marks {
        match sighting(mark.id, found) {
            Sighting::Standing(transfer) if transfer.block_number == mark.block_number => {
                news.seen.push((mark.id, Some(mark.block_number)));
            }
            Sighting::Standing(transfer) => {
                news.seen.push((mark.id, Some(transfer.block_number)));
                news.settled.push(*mark);
            }
            Sighting::Retracted(_) | Sighting::Absent => news.seen.push((mark.id, None)),
        }
    }
    news
}

#[cfg(test)]
mod tests;
