//! Puts claims on disk, a group at a time.
//!
//! The writer is the only one that writes, so what it reads before a commit is what stands after it.
//! A disk that failed once is not trusted again: the writer gives up, and the process with it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use prometheus::Histogram;
use tokio::{
    sync::{mpsc, oneshot},
    task::spawn_blocking,
    time::{Instant, sleep},
};
use x402_schemas::{
    api::revocations::{Revocation, RevocationEvent},
    transfer::TransferId,
};

use crate::cache::Cache;

use super::{
    Ask, Claim, ClaimError, Claimed, News, Unsettled, Wanted,
    store::{Batch, Store},
};

/// Claims after which a group takes no further callers into its commit.
const MAX_GROUP: usize = 2_048;

/// The shortest time between two commits: a busy writer gathers for as long, so that many share what
/// a commit costs. A claim after a pause does not wait.
const GATHER: Duration = Duration::from_millis(1);

/// Puts claims on disk; to be run until every [`Claims`](super::Claims) is gone.
#[derive(Debug)]
pub(crate) struct ClaimWriter {
    pub(super) asks: mpsc::Receiver<Ask>,
    pub(super) books: Arc<Books>,
}

/// What a commit is made from.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) store: Store,
    pub(super) standing: Cache<TransferId, Arc<Claim>>,
    pub(super) commit_seconds: Histogram,
}

/// What a caller is told if the commit succeeds.
enum Answer {
    Claim(Answering<Vec<Claimed>>),
    News(Answering<Vec<RevocationEvent>>),
}

struct Answering<T> {
    to: oneshot::Sender<Result<T, ClaimError>>,
    found: Result<T, ClaimError>,
}

impl ClaimWriter {
    /// Writes until every [`Claims`](super::Claims) is gone, so that no caller in flight is left
    /// without an answer.
    pub(crate) async fn run(mut self) -> Result<(), ClaimError> {
        let mut last: Option<Instant> = None;
        while let Some(first) = self.asks.recv().await {
            if let Some(rest) = last.and_then(|last| GATHER.checked_sub(last.elapsed())) {
                sleep(rest).await;
            }
            last = Some(Instant::now());
            let group = self.group(first);
            let books = Arc::clone(&self.books);
            // Answered from here and not from the thread that waited for the disk: waking many tasks
            // is cheap only from within the runtime.
            let (answers, outcome) = spawn_blocking(move || books.write(group))
                .await
                .map_err(|_| ClaimError::Stopped)?;
            for answer in answers {
                answer.send(outcome.as_ref());
            }
            match outcome {
                Err(ClaimError::Store(error)) if matches!(*error, fjall::Error::Poisoned) => {
                    return Err(ClaimError::Store(error));
                }
                _ => (),
            }
        }
        Ok(())
    }

    /// What goes into one commit.
    fn group(&mut self, first: Ask) -> Vec<Ask> {
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
        group
    }
}

impl Books {
    /// Commits a group, and says how that went. Blocks its thread.
    fn write(&self, group: Vec<Ask>) -> (Vec<Answer>, Result<(), ClaimError>) {
        let timer = self.commit_seconds.start_timer();
        let mut batch = self.store.batch();
        let mut fresh = HashMap::with_capacity(group.len());
        let answers = group
            .into_iter()
            .map(|ask| match ask {
                Ask::Claim { wanted, answer } => Answer::Claim(Answering {
                    found: self.claim(&mut batch, &mut fresh, wanted),
                    to: answer,
                }),
                Ask::News { news, at, answer } => Answer::News(Answering {
                    found: self.note(&mut batch, &fresh, news, at),
                    to: answer,
                }),
            })
            .collect();
        let outcome = batch.commit();
        timer.observe_duration();
        (answers, outcome)
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

impl Answer {
    fn send(self, outcome: Result<&(), &ClaimError>) {
        match self {
            Self::Claim(answering) => answering.send(outcome),
            Self::News(answering) => answering.send(outcome),
        }
    }
}

impl<T> Answering<T> {
    fn send(self, outcome: Result<&(), &ClaimError>) {
        let told = match outcome {
            Ok(()) => self.found,
            Err(error) => Err(error.clone()),
        };
        // A caller that has gone away loses nothing: asking again finds its claim.
        drop(self.to.send(told));
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
