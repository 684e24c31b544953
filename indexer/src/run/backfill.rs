//! Final blocks in ranges: read ahead side by side, published in order, several ranges in one batch.
//!
//! While one batch is being published the next is being loaded, and no more than that: what is held is bounded by two
//! batches and the ranges under way. Whatever has been read in order is published, also before a failure is told, so a
//! node that fails now and then slows a backfill down and does not stop it.

use std::time::Duration;

use futures::future;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{Pace, RoundError, Run, lane::Lane};
use crate::{
    batch::{Batch, Columns},
    reorg::{Header, Step, advance},
};

/// Rows from which on a batch is published: the larger a batch, the less ClickHouse has to merge.
const BATCH_ROWS: usize = 250_000;

/// The time after which a batch is published however few rows it has.
const BATCH_TIME: Duration = Duration::from_secs(1);

/// The time after which the chain's head is asked for again.
const STRETCH: Duration = Duration::from_secs(15);

/// What is published together.
#[derive(Debug)]
struct Load {
    /// The block before the first.
    after: Header,
    /// The last block; `after` while there is none.
    end: Header,
    columns: Vec<Columns>,
    rows: usize,
    then: Then,
}

/// What comes after a load.
#[derive(Debug)]
enum Then {
    More,
    /// The limit is reached, or the service stops.
    End,
    Failed(RoundError),
}

impl Run {
    /// Indexes ranges up to the finalized block, for a while.
    pub(super) async fn backfill(
        &mut self,
        head: &Header,
        stop: &CancellationToken,
    ) -> Result<Pace, RoundError> {
        let tip = self.window.tip();
        // Ranges are linked to each other by their headers; the tip that the first one follows must still be on the chain.
        let (seen, ()) = futures::try_join!(self.seen(tip.number), self.must_be_alone())?;
        if advance(&self.window, &seen) != Step::Current {
            return self.leave_branch(seen).await;
        }
        let from = tip.number.saturating_add(1);
        let reader = self.reader();
        let mut lane = Lane::new(reader, self.range, self.width, from, self.finalized);
        let began = Instant::now();
        let mut load = Load::from(&mut lane, tip, stop).await;
        loop {
            let next = match load.then {
                Then::More if began.elapsed() < STRETCH && !lane.is_over() => {
                    Some((&mut lane, stop))
                }
                Then::More | Then::End | Then::Failed(_) => None,
            };
            let (then, next) = self.publish(load, next).await;
            self.range = lane.size();
            self.width = lane.width();
            self.report(head, Pace::Again);
            match (then, next) {
                (Then::Failed(error), _) => return Err(error),
                (Then::More | Then::End, Some(next)) => load = next,
                (Then::More | Then::End, None) => return Ok(Pace::Again),
            }
        }
    }

    async fn seen(&self, number: u64) -> Result<Header, RoundError> {
        Ok(self.source.block(number).await?.header)
    }

    /// Publishes a load, and meanwhile loads the next one from the lane that is given.
    async fn publish(
        &mut self,
        load: Load,
        next: Option<(&mut Lane, &CancellationToken)>,
    ) -> (Then, Option<Load>) {
        let Load {
            after, end, then, ..
        } = load;
        if end == after {
            return (then, None);
        }
        let from = after.number.saturating_add(1);
        let batch = Batch::ranges(self.stamp(), from, &end, load.columns);
        let next = async {
            match next {
                Some((lane, stop)) => Some(Load::from(lane, end, stop).await),
                None => None,
            }
        };
        let (next, ()) = future::join(next, self.writer.publish(&batch)).await;
        self.window.extend(end);
        self.window.finalize(self.finalized);
        (then, next)
    }
}

impl Load {
    /// Takes ranges until there is enough to publish.
    async fn from(lane: &mut Lane, after: Header, stop: &CancellationToken) -> Self {
        let began = Instant::now();
        let mut load = Self {
            after,
            end: after,
            columns: Vec::new(),
            rows: 0,
            then: Then::More,
        };
        while load.rows < BATCH_ROWS && began.elapsed() < BATCH_TIME {
            let passage = match stop.run_until_cancelled(lane.next()).await {
                Some(Some(Ok(passage))) => passage,
                Some(Some(Err(error))) => {
                    load.then = Then::Failed(error.into());
                    break;
                }
                None | Some(None) => {
                    load.then = Then::End;
                    break;
                }
            };
            if passage.first.parent_hash != load.end.hash {
                load.then = Then::Failed(RoundError::Unlinked {
                    number: passage.first.number,
                });
                break;
            }
            load.end = passage.end;
            if let Some(columns) = passage.columns {
                load.rows = load.rows.saturating_add(columns.rows());
                load.columns.push(columns);
            }
        }
        load
    }
}
