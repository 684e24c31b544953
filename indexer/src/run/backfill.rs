//! Final blocks in ranges: read ahead side by side, published in order, several ranges in one batch.
//!
//! While one batch is being published the next is being loaded, and no more than that: what is held is bounded by two
//! batches and the ranges under way. Whatever has been read in order is published, also before a failure is told, so a
//! node that fails now and then slows a backfill down and does not stop it.

use std::time::Duration;

use futures::future;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use x402_schemas::index::TransferRow;

use super::{ALONE_FOR, Pace, RoundError, Run, lane::Lane};
use crate::{
    batch::{self, Batch},
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
    rows: Vec<TransferRow>,
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
        let (seen, ()) = futures::try_join!(self.seen(tip.number), self.must_be_alone(ALONE_FOR))?;
        if advance(&self.window, &seen) != Step::Current {
            return self.leave_branch(seen).await;
        }
        let from = tip.number.saturating_add(1);
        let reader = self.reader();
        let mut lane = Lane::new(reader, self.range, self.width, from, self.finalized);
        let began = Instant::now();
        let mut load = Load::from(&mut lane, tip, stop, Vec::new()).await;
        // The memory of rows that are published serves the load after next: a batch's worth of fresh pages costs the
        // kernel more than decoding what they hold.
        let mut spare = Vec::new();
        loop {
            let next = match load.then {
                Then::More if began.elapsed() < STRETCH => {
                    let rows = std::mem::take(&mut spare);
                    Some((&mut lane, stop, rows))
                }
                Then::More | Then::End | Then::Failed(_) => None,
            };
            let (then, next, published) = self.publish(load, next).await;
            spare = published;
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

    /// Publishes a load, and meanwhile loads the next one from the lane that is given; then hands back the rows that are
    /// published.
    async fn publish(
        &mut self,
        load: Load,
        next: Option<(&mut Lane, &CancellationToken, Vec<TransferRow>)>,
    ) -> (Then, Option<Load>, Vec<TransferRow>) {
        let Load {
            after,
            end,
            rows,
            then,
        } = load;
        if end == after {
            return (then, None, rows);
        }
        let from = after.number.saturating_add(1);
        let Some(batch) = Batch::added(self.stamp(), from, &[end], rows) else {
            return (then, None, Vec::new());
        };
        let next = async {
            match next {
                Some((lane, stop, rows)) => Some(Load::from(lane, end, stop, rows).await),
                None => None,
            }
        };
        let (next, ()) = future::join(next, self.writer.publish(&batch)).await;
        self.window.extend(end);
        self.window.finalize(self.finalized);
        (then, next, batch.transfers)
    }
}

impl Load {
    /// Takes ranges until there is enough to publish; `rows` lends its memory, what it holds is forgotten.
    async fn from(
        lane: &mut Lane,
        after: Header,
        stop: &CancellationToken,
        mut rows: Vec<TransferRow>,
    ) -> Self {
        rows.clear();
        let began = Instant::now();
        let mut load = Self {
            after,
            end: after,
            rows,
            then: Then::More,
        };
        while load.rows.len() < BATCH_ROWS && began.elapsed() < BATCH_TIME {
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
            load.rows.extend(batch::rows(&passage.found));
        }
        load
    }
}
