//! Asks the index for what memory does not have.
//!
//! One query at a time, and everything that is asked meanwhile goes into the next: under load many
//! misses share one query without anyone waiting for a window to close, and callers that ask for the
//! same transfer share one answer. Bounded in queue, query and time.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use x402_schemas::{
    index::{Change, IndexError, reader::MAX_LOOKUP},
    transfer::TransferId,
};

use super::{Memory, sighting};
use crate::{metrics::VerifierMetrics, verdict::Look};

/// Callers that may wait for the index; more are turned away.
const MAX_QUEUED: usize = 4_096;

/// How long one query may take. Look-ups take milliseconds; beyond this the index counts as away.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);

/// Where questions to the index go.
#[derive(Clone, Debug)]
pub(crate) struct LookUp {
    asks: mpsc::Sender<Ask>,
}

/// Answers them; to be run until every [`LookUp`] is gone.
#[derive(Debug)]
pub(crate) struct LookUpTask {
    asks: mpsc::Receiver<Ask>,
    memory: Arc<Memory>,
    metrics: Arc<VerifierMetrics>,
}

/// Why the index gave no answer. Never a verdict.
#[derive(Clone, Debug, Error)]
pub(crate) enum LookUpError {
    /// ClickHouse is away or refuses.
    #[error(transparent)]
    Index(Arc<IndexError>),
    /// ClickHouse is too slow.
    #[error("the index did not answer within {} s", QUERY_TIMEOUT.as_secs())]
    Timeout,
    /// The index has not been reached since the start.
    #[error("the index has not been read yet")]
    NotYet,
    /// More callers wait than the index can serve.
    #[error("too many look-ups are waiting for the index")]
    Busy,
    /// The look-up task has stopped.
    #[error("look-ups have stopped")]
    Stopped,
}

#[derive(Debug)]
struct Ask {
    ids: Vec<TransferId>,
    answer: oneshot::Sender<Result<Vec<Look>, LookUpError>>,
}

impl LookUp {
    /// A place to ask at, and the task that answers.
    pub(crate) fn new(memory: Arc<Memory>, metrics: Arc<VerifierMetrics>) -> (Self, LookUpTask) {
        let (sender, asks) = mpsc::channel(MAX_QUEUED);
        let task = LookUpTask {
            asks,
            memory,
            metrics,
        };
        (Self { asks: sender }, task)
    }

    /// What the index says of these transfers, in their order.
    pub(crate) async fn ask(&self, ids: Vec<TransferId>) -> Result<Vec<Look>, LookUpError> {
        let (answer, answered) = oneshot::channel();
        self.asks
            .try_send(Ask { ids, answer })
            .map_err(|refused| match refused {
                mpsc::error::TrySendError::Full(_) => LookUpError::Busy,
                mpsc::error::TrySendError::Closed(_) => LookUpError::Stopped,
            })?;
        answered.await.map_err(|_| LookUpError::Stopped)?
    }
}

impl LookUpTask {
    /// Answers with what `find` finds, until every [`LookUp`] is gone.
    pub(crate) async fn run<F>(mut self, find: impl Fn(Vec<TransferId>) -> F)
    where
        F: Future<Output = Result<Vec<Change>, IndexError>>,
    {
        while let Some(first) = self.asks.recv().await {
            let mut size = first.ids.len();
            let mut asks = vec![first];
            while size < MAX_LOOKUP {
                let Ok(next) = self.asks.try_recv() else {
                    break;
                };
                size = size.saturating_add(next.ids.len());
                asks.push(next);
            }
            self.metrics.count_look_ups(asks.len());
            let wanted: HashSet<TransferId> = asks.iter().flat_map(|ask| ask.ids.clone()).collect();
            let outcome = self.find_all(wanted, &find).await;
            for ask in asks {
                // A caller that has gone away loses nothing.
                drop(ask.answer.send(pick(&ask.ids, &outcome)));
            }
        }
    }

    async fn find_all<F>(
        &self,
        wanted: HashSet<TransferId>,
        find: &impl Fn(Vec<TransferId>) -> F,
    ) -> Result<HashMap<TransferId, Look>, LookUpError>
    where
        F: Future<Output = Result<Vec<Change>, IndexError>>,
    {
        // The query before this one may have brought some of them.
        let mut looks: HashMap<TransferId, Look> = wanted
            .iter()
            .filter_map(|id| Some((*id, self.memory.recall(*id)?)))
            .collect();
        let missing: Vec<TransferId> = wanted
            .into_iter()
            .filter(|id| !looks.contains_key(id))
            .collect();
        if missing.is_empty() {
            return Ok(looks);
        }
        // The tip is read before the query: where it reaches, "absent" means never there.
        let tip = self.memory.progress().ok_or(LookUpError::NotYet)?.tip;
        let query = tokio::time::timeout(QUERY_TIMEOUT, find(missing.clone()));
        let found = match query.await {
            Ok(found) => found.map_err(LookUpError::from),
            Err(_) => Err(LookUpError::Timeout),
        };
        self.metrics.count_query(found.is_ok());
        let found = found?;
        for id in missing {
            let look = Look {
                sighting: sighting(id, &found),
                tip,
            };
            self.memory.admit(&look);
            looks.insert(id, look);
        }
        Ok(looks)
    }
}

fn pick(
    ids: &[TransferId],
    outcome: &Result<HashMap<TransferId, Look>, LookUpError>,
) -> Result<Vec<Look>, LookUpError> {
    let looks = outcome.as_ref().map_err(Clone::clone)?;
    ids.iter()
        .map(|id| looks.get(id).copied().ok_or(LookUpError::Stopped))
        .collect()
}

impl From<IndexError> for LookUpError {
    fn from(error: IndexError) -> Self {
        Self::Index(Arc::new(error))
    }
}
