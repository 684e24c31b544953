//! Block by block at the head: every header is checked against the one before it, empty blocks too.

use futures::{StreamExt, TryStreamExt, stream};

use super::{BLOCKS_IN_FLIGHT, Pace, RoundError, Run, Times};
use crate::{
    batch::{self, Batch},
    decode::Found,
    reorg::{self, Header, Step, advance},
    source::{Block, SourceError},
};

/// Most blocks in one batch while catching up.
const BATCH_BLOCKS: u64 = 32;

/// Rounds with a head below our tip, on our own chain, after which the blocks above it count as gone. Until then the
/// node merely lags, as one of several behind a load balancer does.
const LOWER_HEAD_ROUNDS: u32 = 30;

/// A head below our tip, and for how many rounds it has not risen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LowerHead {
    number: u64,
    rounds: u32,
}

impl LowerHead {
    const fn first(number: u64) -> Self {
        Self { number, rounds: 1 }
    }

    /// A node that catches up starts the count anew.
    const fn next(self, number: u64) -> Self {
        if number > self.number {
            return Self::first(number);
        }
        Self {
            number,
            rounds: self.rounds.saturating_add(1),
        }
    }
}

impl Run {
    /// Indexes what is new at the head, or removes what left the chain.
    pub(super) async fn follow(&mut self, head: Block) -> Result<Pace, RoundError> {
        let tip = self.window.tip();
        if head.header.number < tip.number {
            return self.head_below_tip(head.header).await;
        }
        self.lower_head = None;
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
        let read = async {
            let finalized = self.source.finalized(head.header.number);
            Ok(futures::try_join!(finalized, self.transfers_in(&blocks))?)
        };
        let ((finalized, found), ()) = futures::try_join!(read, self.must_be_alone())?;
        self.finalized = self.finalized.max(finalized);
        let headers: Vec<Header> = blocks.iter().map(|block| block.header).collect();
        let from = tip.number.saturating_add(1);
        if let Some(batch) =
            Batch::added(self.stamp(), from, &headers, batch::rows(&found).collect())
        {
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
            .map(|block| self.source.logs_of_block(block))
            .collect();
        let logs: Vec<_> = stream::iter(logs)
            .buffered(BLOCKS_IN_FLIGHT)
            .try_concat()
            .await?;
        let times: Times = blocks
            .iter()
            .map(|block| (block.header.hash, block.header.time))
            .collect();
        self.reader().transfers(&logs, &times).await
    }

    async fn head_below_tip(&mut self, head: Header) -> Result<Pace, RoundError> {
        if head.number < self.window.floor().number {
            // Final blocks do not go away: the node is behind, or on another chain.
            if head.number >= self.base.number {
                self.must_have(self.base.number, self.base.hash).await?;
            }
            self.readiness.not_ready(format!(
                "the node is at block {}, behind the index",
                head.number
            ));
            self.lower_head = Some(LowerHead::first(head.number));
            return Ok(Pace::Rest);
        }
        let on_our_chain = self
            .window
            .get(head.number)
            .is_some_and(|own| own.hash == head.hash);
        let lower = self
            .lower_head
            .map_or(LowerHead::first(head.number), |lower| {
                lower.next(head.number)
            });
        if on_our_chain && lower.rounds < LOWER_HEAD_ROUNDS {
            self.lower_head = Some(lower);
            return Ok(Pace::Rest);
        }
        self.leave_branch(head).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_catches_up_is_not_taken_for_a_chain_that_went_back() {
        let mut lower = LowerHead::first(100);
        for number in 101..200 {
            lower = lower.next(number);
            assert_eq!(lower.rounds, 1);
        }
        lower = lower.next(199).next(199);
        assert_eq!(lower.rounds, 3);
    }
}
