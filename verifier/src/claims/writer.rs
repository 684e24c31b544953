//! Puts claims on disk, a group at a time, on a thread of its own.
//!
//! The writer is the only one that writes, so what it reads before a commit is what stands after it.
//! A disk that failed once is not trusted again: the writer gives up, and the process with it.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use moka::sync::Cache;
use prometheus::Histogram;
use tokio::sync::mpsc;
use x402_schemas::{
    api::revocations::{Revocation, RevocationEvent},
    transfer::TransferId,
};

use super::{
    Ask, Claim, ClaimError, Claimed, News, Unsettled, Wanted,
    store::{Batch, Store},
};

/// Claims after which a group takes no further callers into its commit.
const MAX_GROUP: usize = 2_048;

/// Puts claims on disk; to be run until every [`Claims`](super::Claims) is gone.
#[derive(Debug)]
pub(crate) struct ClaimWriter {
    pub(super) store: Store,
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) standing: Cache<TransferId, Arc<Claim>>,
    pub(super) commit_seconds: Histogram,
}

/// What answers a group when its commit is on disk.
type Answers = Vec<Box<dyn FnOnce(Result<(), ClaimError>) + Send>>;

impl ClaimWriter {
    /// Writes until every [`Claims`](super::Claims) is gone, so that no caller in flight is left
    /// without an answer. Blocks its thread.
    pub(crate) fn run(mut self) -> Result<(), ClaimError> {
        while let Some(first) = self.asks.blocking_recv() {
            let mut size = first.size();
            let mut group = vec![first];
            // News end a group: what they are weighed against is on disk by then.
            while size < MAX_GROUP && !group.last().is_some_and(Ask::is_news) {
                let Ok(next) = self.asks.try_recv() else {
                    break;
                };
                size = size.saturating_add(next.size());
                group.push(next);
            }
            self.write(group)?;
        }
        Ok(())
    }

    fn write(&self, group: Vec<Ask>) -> Result<(), ClaimError> {
        let timer = self.commit_seconds.start_timer();
        let mut batch = self.store.batch();
        let mut fresh = HashMap::new();
        let mut answers: Answers = Vec::with_capacity(group.len());
        for ask in group {
            match ask {
                Ask::Claim { wanted, answer } => {
                    let claimed = self.claim(&mut batch, &mut fresh, wanted);
                    answers.push(Box::new(move |outcome| {
                        // A caller that has gone away loses nothing: asking again finds its claim.
                        drop(answer.send(outcome.and(claimed)));
                    }));
                }
                Ask::News { news, at, answer } => {
                    let noted = self.note(&mut batch, &fresh, news, at);
                    answers.push(Box::new(move |outcome| {
                        drop(answer.send(outcome.and(noted)));
                    }));
                }
            }
        }
        let outcome = batch.commit();
        timer.observe_duration();
        for answer in answers {
            answer(outcome.clone());
        }
        match outcome {
            Err(ClaimError::Store(error)) if matches!(*error, fjall::Error::Poisoned) => {
                Err(ClaimError::Store(error))
            }
            _ => Ok(()),
        }
    }

    /// Adds what is unclaimed to the batch. Says what stands once that is on disk.
    fn claim(
        &self,
        batch: &mut Batch<'_>,
        fresh: &mut HashMap<TransferId, Arc<Claim>>,
        wanted: Vec<Wanted>,
    ) -> Result<Vec<Claimed>, ClaimError> {
        wanted
            .into_iter()
            .map(
                |Wanted {
                     id,
                     claim,
                     unsettled,
                 }| {
                    if let Some(standing) = self.find(fresh, id)? {
                        return Ok(Claimed {
                            claim: standing,
                            granted: false,
                        });
                    }
                    batch.claim(id, &claim, unsettled)?;
                    fresh.insert(id, Arc::clone(&claim));
                    Ok(Claimed {
                        claim,
                        granted: true,
                    })
                },
            )
            .collect()
    }

    fn find(
        &self,
        fresh: &HashMap<TransferId, Arc<Claim>>,
        id: TransferId,
    ) -> Result<Option<Arc<Claim>>, ClaimError> {
        if let Some(claim) = fresh.get(&id) {
            return Ok(Some(Arc::clone(claim)));
        }
        let Some(claim) = self.store.find(id)?.map(Arc::new) else {
            return Ok(None);
        };
        // On disk, and asked for a second time: likely to be asked for again.
        self.standing.insert(id, Arc::clone(&claim));
        Ok(Some(claim))
    }

    /// Adds what changed for claimed transfers to the batch.
    fn note(
        &self,
        batch: &mut Batch<'_>,
        fresh: &HashMap<TransferId, Arc<Claim>>,
        news: News,
        at: Timestamp,
    ) -> Result<Vec<RevocationEvent>, ClaimError> {
        let mut events = Vec::new();
        let mut number = self.store.last_revocation()?;
        for (id, block) in news.seen {
            let Some(claim) = self.find(fresh, id)? else {
                continue;
            };
            if let Some(block_number) = block {
                batch.mark(Unsettled { id, block_number });
            }
            let event = match (self.store.is_revoked(id)?, block) {
                (false, None) => RevocationEvent::Revoked,
                (true, Some(_)) => RevocationEvent::Restored,
                (false, Some(_)) | (true, None) => continue,
            };
            number = number.saturating_add(1);
            let revocation = Revocation {
                number,
                event,
                invoice_id: claim.invoice_id.clone(),
                attempt: claim.attempt.clone(),
                tx_hash: id.tx_hash,
                log_index: id.log_index,
                claimed_at: claim.claimed_at,
                at,
            };
            batch.revocation(id, block.is_none(), &claim.provider_id, &revocation)?;
            events.push(event);
        }
        for mark in news.settled {
            batch.unmark(mark);
        }
        Ok(events)
    }
}

impl Ask {
    const fn is_news(&self) -> bool {
        matches!(self, Self::News { .. })
    }

    fn size(&self) -> usize {
        match self {
            Self::Claim { wanted, .. } => wanted.len(),
            Self::News { news, .. } => news.seen.len().saturating_add(news.settled.len()),
        }
    }
}
