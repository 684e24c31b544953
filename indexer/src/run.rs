//! The loop: while far behind, ranges of final blocks; then block by block.
//!
//! A round reads, decides by pure functions, publishes, and only then remembers: a round that fails or is dropped has
//! changed nothing that the next one does not find. Ends on stop, or when the chain breaks a promise of finality.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use alloy::primitives::{Address, B256};
use tokio_util::sync::CancellationToken;
use x402_schemas::network::Network;
use x402_service::{admin::Readiness, clock, metrics::whole};

use crate::{
    batch::{Batch, Stamp},
    metrics::Metrics,
    range::RangeSize,
    reorg::{Header, Step, Window, advance},
    source::{Block, NewHeads, Source, SourceError},
    stored::{Base, Stored},
    writer::Writer,
};

mod backfill;
mod follow;
mod lane;
mod progress;
mod transfers;
mod width;

use follow::LowerHead;
pub(crate) use progress::Progress;
pub(crate) use transfers::{Reader, Times};
pub(crate) use width::Width;

/// A round in hand may finish within this when asked to stop; then it is dropped, which costs nothing but repetition.
const STOP_GRACE: Duration = Duration::from_millis(1_500);

/// From this many blocks behind the head on, final blocks are read in ranges.
const BACKFILL_BLOCKS: u64 = 64;

/// The pause after a failed round: doubled with each in a row, from the first to the second.
const PAUSE_AFTER_FAILURE: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(10));

/// Failed rounds in a row after which the service says that it is not ready: a single one is a node's hiccup.
const FAILURES_TO_UNREADY: u32 = 3;

/// The longest wait for a node to say what is safe.
const SAFE_TIMEOUT: Duration = Duration::from_millis(500);

/// How long nobody else may have begun to write unnoticed: a repair watches the index for longer before it writes.
pub(crate) const ALONE_FOR: Duration = Duration::from_secs(3);

/// Blocks whose logs and transactions are read at a time.
const BLOCKS_IN_FLIGHT: usize = 4;

/// Why the indexer cannot go on, whatever it tries.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Halt {
    /// The chain has replaced a block that was final when it was indexed.
    #[error(
        "the chain left block {number} ({indexed}), which was final, for {chain}: the index cannot follow. \
         If the chain was started anew, use another --clickhouse-database"
    )]
    FinalBlockReplaced {
        /// Its height.
        number: u64,
        /// The block that is indexed.
        indexed: B256,
        /// The block that the chain has now.
        chain: B256,
    },
    /// Two writers would publish different batches under one number.
    #[error(
        "batch {found} was published by another process after our {ours}; only one indexer may write, and a repair only while none runs: stop the other and start this one again, it goes on from the last batch"
    )]
    OtherWriter {
        /// The last batch of ours.
        ours: u64,
        /// The last batch there is.
        found: u64,
    },
}

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoundError {
    #[error("the chain could not be read")]
    Node(#[from] SourceError),
    #[error("the index could not be read; is ClickHouse reachable?")]
    Index(#[from] clickhouse::error::Error),
    #[error("block {number} does not follow the one that was read before it")]
    Unlinked { number: u64 },
    #[error(transparent)]
    Halt(#[from] Halt),
}

/// When the next round begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// At once: there is more to do.
    Again,
    /// After a while: the index is where the chain is.
    Rest,
}

/// Everything that the loop holds.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) source: Source,
    pub(crate) stored: Stored,
    pub(crate) writer: Writer,
    pub(crate) window: Window,
    pub(crate) network: Network,
    pub(crate) token: Address,
    pub(crate) base: Base,
    /// Never falls, whatever a node says later.
    pub(crate) finalized: u64,
    pub(crate) range: RangeSize,
    /// Ranges that are read side by side.
    pub(crate) width: Width,
    pub(crate) poll: Duration,
    /// They shorten the wait for the next look at the chain.
    pub(crate) new_heads: NewHeads,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Readiness,
    pub(crate) progress: Progress,
    /// When nobody else had published.
    pub(crate) seen_alone: Mutex<Option<Instant>>,
    /// The head, while it is below our tip.
    pub(crate) lower_head: Option<LowerHead>,
}

impl Run {
    /// Follows the chain until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), Halt> {
        let mut failures: u32 = 0;
        while !stop.is_cancelled() {
            let grace = async {
                stop.cancelled().await;
                tokio::time::sleep(STOP_GRACE).await;
            };
            let outcome = tokio::select! {
                outcome = self.round(&stop) => outcome,
                () = grace => break,
            };
            let pause = match outcome {
                Ok(pace) => {
                    failures = 0;
                    if pace == Pace::Again {
                        continue;
                    }
                    let _ = stop
                        .run_until_cancelled(self.new_heads.wait(self.poll))
                        .await;
                    continue;
                }
                Err(RoundError::Halt(halt)) => {
                    self.readiness.not_ready(halt.to_string());
                    return Err(halt);
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.failed(&error, failures)
                }
            };
            let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        Ok(())
    }

    async fn round(&mut self, stop: &CancellationToken) -> Result<Pace, RoundError> {
        let head = self.source.head().await?;
        let tip = self.window.tip();
        let final_before = self.finalized;
        let lag = head.header.number.saturating_sub(tip.number);
        let pace = if lag > BACKFILL_BLOCKS {
            self.finalized_at(&head).await?;
            if self.finalized > tip.number {
                self.backfill(&head.header, stop).await
            } else {
                self.follow(head.clone()).await
            }
        } else {
            self.follow(head.clone()).await
        }?;
        self.report(&head.header, pace);
        // The safe block rises with the finalized one, and is asked for when nobody waits for rows.
        if self.finalized > final_before {
            self.report_safe().await;
        }
        Ok(pace)
    }

    /// Asks what is final. A lower answer than before comes from a node that lags, and changes nothing.
    async fn finalized_at(&mut self, head: &Block) -> Result<(), SourceError> {
        let finalized = self.source.finalized(head.header.number).await?;
        self.finalized = self.finalized.max(finalized);
        Ok(())
    }

    /// Asks what is safe, to report it and for nothing else.
    async fn report_safe(&self) {
        let asked = tokio::time::timeout(SAFE_TIMEOUT, self.source.safe());
        if let Ok(Ok(Some(safe))) = asked.await {
            self.metrics.safe_block.set(whole(safe));
        }
    }

    /// Walks from a header of the chain down to what we share, and removes what is above.
    async fn leave_branch(&mut self, seen: Header) -> Result<Pace, RoundError> {
        let mut seen = seen;
        loop {
            match advance(&self.window, &seen) {
                Step::Reorg { ancestor, depth } => return self.retract(ancestor, depth).await,
                // Strictly downwards, and not below the window: the walk ends.
                Step::NeedAncestor { number } => seen = self.source.block(number).await?.header,
                // The chain came back to us while we looked.
                Step::Extend | Step::Current => return Ok(Pace::Again),
                Step::TooDeep { floor, .. } => {
                    // A single odd reply is no reason to halt; the final block itself decides.
                    self.must_have(floor.number, floor.hash).await?;
                    return Ok(Pace::Again);
                }
            }
        }
    }

    /// Halts if the chain has another block in the place of one that was final.
    async fn must_have(&self, number: u64, indexed: B256) -> Result<(), RoundError> {
        let chain = self.source.block(number).await?.header.hash;
        if chain == indexed {
            return Ok(());
        }
        let halt = Halt::FinalBlockReplaced {
            number,
            indexed,
            chain,
        };
        Err(halt.into())
    }

    /// Halts if somebody else has published. Asked before anything is written, while the chain is read; not of every block
    /// of a fast chain.
    async fn must_be_alone(&self) -> Result<(), RoundError> {
        let last = || {
            self.seen_alone
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        if last().is_some_and(|last| last.elapsed() < ALONE_FOR) {
            return Ok(());
        }
        if let Some(found) = self.writer.other_writer().await? {
            let ours = self.writer.seq();
            return Err(Halt::OtherWriter { ours, found }.into());
        }
        *last() = Some(Instant::now());
        Ok(())
    }

    /// Removes the blocks above `ancestor`: in the index first, in memory last.
    async fn retract(&mut self, ancestor: Header, depth: u64) -> Result<Pace, RoundError> {
        self.must_be_alone().await?;
        let (seq, last) = (self.writer.seq(), self.window.tip().number);
        let transfers = self.stored.transfers_above(ancestor.number, seq).await?;
        let blocks = self.stored.blocks_above(ancestor.number, seq).await?;
        let batch = Batch::removed(self.stamp(), &ancestor, last, &transfers, &blocks);
        tracing::warn!(
            ancestor = ancestor.number,
            depth,
            transfers = batch.commit.retracted,
            "reorg: blocks left the chain"
        );
        self.writer.publish(&batch).await;
        self.window.retract_to(ancestor.number);
        self.lower_head = None;
        self.metrics.reorgs_total.inc();
        let depth = u32::try_from(depth).unwrap_or(u32::MAX);
        self.metrics.reorg_depth_blocks.observe(f64::from(depth));
        Ok(Pace::Again)
    }

    /// What logs are read with.
    fn reader(&self) -> Reader {
        Reader {
            source: self.source.clone(),
            network: self.network,
            token: self.token,
        }
    }

    fn stamp(&self) -> Stamp {
        stamp(self.network, self.writer.seq(), self.finalized)
    }

    fn failed(&self, error: &RoundError, failures: u32) -> Duration {
        let (shortest, longest) = PAUSE_AFTER_FAILURE;
        let doublings = failures.saturating_sub(1).min(16);
        let pause = shortest
            .saturating_mul(2_u32.saturating_pow(doublings))
            .min(longest);
        if failures >= FAILURES_TO_UNREADY {
            self.readiness.not_ready(told(error));
        }
        tracing::warn!(
            error = told(error),
            failures,
            "a round of indexing came to nothing; trying again"
        );
        pause
    }

    fn report(&mut self, head: &Header, pace: Pace) {
        let tip = self.window.tip();
        let lag_blocks = head.number.saturating_sub(tip.number);
        let metrics = &self.metrics;
        metrics.head_block.set(whole(head.number));
        metrics.head_at.set(whole(head.time));
        metrics.finalized_block.set(whole(self.finalized));
        metrics.indexed_block.set(whole(tip.number));
        metrics.indexed_at.set(whole(tip.time));
        metrics.range_blocks.set(whole(self.range.blocks()));
        metrics.range_width.set(whole(self.width.ranges()));
        if lag_blocks <= BACKFILL_BLOCKS {
            // A head below the tip is reported where it is noticed.
            if pace == Pace::Rest && lag_blocks == 0 && self.lower_head.is_none() {
                self.readiness.ready();
            }
            self.progress.done(tip.number);
        } else {
            self.readiness.not_ready(format!(
                "backfill: {lag_blocks} blocks behind the head {}",
                head.number
            ));
            self.progress
                .tell(tip.number, head.number, self.metrics.rows_total.get());
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn told(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// The stamp of the batch after `seq`.
pub(crate) fn stamp(network: Network, seq: u64, finalized: u64) -> Stamp {
    Stamp {
        network,
        version: seq.saturating_add(1),
        finalized,
        written_at: clock::now().as_millisecond(),
    }
}
