//! Block by block at the head: every header is checked against the one before it, empty blocks too.

use futures::{StreamExt, TryStreamExt, stream};

use super::{BLOCKS_IN_FLIGHT, Pace, RoundError, Run};
use crate::{
    batch::Batch,
    decode::Found,
    reorg::{self, Header, Step, advance},
    source::{Block, SourceError},
};

/// Most blocks in one batch while catching up.
const BATCH_BLOCKS: u64 = 32;

/// Rounds with a head below our tip, on our own chain, after which the blocks above it count as gone. Until then the
/// node merely lags, as one of several behind a load balancer does.
const LOWER_HEAD_ROUNDS: u32 = 30;

impl Run {
    /// Indexes what is new at the head, or removes what left the chain.
    pub(super) async fn follow(&mut self, head: Block) -> Result<Pace, RoundError> {
        let tip = self.window.tip();
        if head.header.number < tip.number {
            return self.head_below_tip(head.header).await;
        }
        self.lower_heads = 0;
        if head.header.number == tip.number {
            return match advance(&self.window, &head.header) {
                Step::Current => Ok(Pace::Rest),
                Step::Extend
                | Step::Reorg { .. }
                | Step::NeedAncestor { .. }
                | Step::TooDeep { .. } => self.leave_branch(head.header).await,
            };
        }
        let mut blocks = self.blocks_after(tip.number, &head).await?;
        let linked = reorg::linked(&tip, blocks.iter().map(|block| block.header));
        if linked == 0 {
            let first = blocks.first().map_or(head.header, |block| block.header);
            return self.leave_branch(first).await;
        }
        // What does not follow is from another branch: the next round sees to it.
        blocks.truncate(linked);
        let (finalized, found) = futures::try_join!(
            self.source.finalized(head.header.number),
            self.transfers_in(&blocks)
        )?;
        self.finalized = self.finalized.max(finalized);
        let headers: Vec<Header> = blocks.iter().map(|block| block.header).collect();
        let from = tip.number.saturating_add(1);
        if let Some(batch) = Batch::added(self.stamp(), from, &headers, &found) {
            self.writer.publish(&batch).await;
            for header in headers {
                self.window.extend(header);
            }
            self.window.finalize(self.finalized);
        }
        if self.window.tip().hash == head.header.hash {
            Ok(Pace::Rest)
        } else {
            Ok(Pace::Again)
        }
    }

    /// The blocks after `tip`, as many as one batch takes.
    async fn blocks_after(&self, tip: u64, head: &Block) -> Result<Vec<Block>, SourceError> {
        let first = tip.saturating_add(1);
        let last = head.header.number.min(tip.saturating_add(BATCH_BLOCKS));
        let blocks: Vec<_> = (first..=last)
            .map(|number| async move {
                if number == head.header.number {
                    Ok(head.clone())
                } else {
                    self.source.block(number).await
                }
            })
            .collect();
        stream::iter(blocks)
            .buffered(BLOCKS_IN_FLIGHT)
            .try_collect()
            .await
    }

    async fn transfers_in(&self, blocks: &[Block]) -> Result<Vec<Found>, SourceError> {
        let logs: Vec<_> = blocks
            .iter()
            .map(|block| async move {
                let logs = self.source.logs_of_block(block).await?;
                Ok::<_, SourceError>((Some(block.header.time), logs))
            })
            .collect();
        let logs = stream::iter(logs)
            .buffered(BLOCKS_IN_FLIGHT)
            .try_collect()
            .await?;
        self.decode(logs).await
    }

    async fn head_below_tip(&mut self, head: Header) -> Result<Pace, RoundError> {
        if head.number < self.window.floor().number {
            // Final blocks do not go away: the node is behind.
            self.readiness.not_ready(format!(
                "the node is at block {}, behind the index",
                head.number
            ));
            self.lower_heads = self.lower_heads.saturating_add(1);
            return Ok(Pace::Rest);
        }
        let on_our_chain = self
            .window
            .get(head.number)
            .is_some_and(|own| own.hash == head.hash);
        if on_our_chain && self.lower_heads < LOWER_HEAD_ROUNDS {
            self.lower_heads = self.lower_heads.saturating_add(1);
            return Ok(Pace::Rest);
        }
        self.leave_branch(head).await
    }
}
