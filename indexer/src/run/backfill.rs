//! One range of final blocks: logs, transactions, one batch.

use super::{Pace, RoundError, Run};
use crate::{
    batch::Batch,
    decode::TokenLog,
    metrics,
    reorg::{Step, advance},
    source::SourceError,
};

impl Run {
    /// Indexes the next range up to the finalized block.
    pub(super) async fn backfill(&mut self) -> Result<Pace, RoundError> {
        let tip = self.window.tip();
        // Ranges are not linked to each other by their headers, so the tip must still be on the chain.
        let seen = self.source.block(tip.number).await?.header;
        if advance(&self.window, &seen) != Step::Current {
            return self.leave_branch(seen).await;
        }
        let from = tip.number.saturating_add(1);
        let to = self.range.end(from, self.finalized);
        let logs = match self.source.logs_of_range(from, to).await {
            // Too many blocks or logs for this node, most likely: it is asked for fewer.
            Err(SourceError::Refused { .. }) if self.range.refused() => return Ok(Pace::Again),
            answer => answer?,
        };
        self.range.answered(logs.len());
        self.metrics
            .range_blocks
            .set(metrics::gauge(self.range.blocks()));
        // Asked after the logs: a node that does not know this block yet cannot have known the logs either.
        let end = self.source.block(to).await?.header;
        let found = self.decode(by_block(&logs)).await?;
        if let Some(batch) = Batch::added(self.stamp(), from, &[end], &found) {
            self.writer.publish(&batch).await;
            self.window.extend(end);
            self.window.finalize(self.finalized);
        }
        Ok(Pace::Again)
    }
}

/// Ordered logs, block by block; what time a block has, its logs may say.
pub(crate) fn by_block(logs: &[TokenLog]) -> Vec<(Option<u64>, Vec<TokenLog>)> {
    logs.chunk_by(|a, b| a.block_number == b.block_number)
        .map(|block| (None, block.to_vec()))
        .collect()
}
