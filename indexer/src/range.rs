//! How many blocks one request for logs covers.
//!
//! Starts small, grows while replies are small, halves when the node refuses or a reply is large, so that neither
//! the node's limits nor our memory are met by guessing.

/// A first guess that every provider accepts.
const START_BLOCKS: u64 = 500;

/// Logs that a reply should have at most: about 6 MB of JSON, and as many rows in a batch.
pub const TARGET_LOGS: usize = 10_000;

/// The present size of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeSize {
    blocks: u64,
    max: u64,
}

impl RangeSize {
    /// Never more than `max` blocks.
    pub fn new(max: u64) -> Self {
        let max = max.max(1);
        Self {
            blocks: START_BLOCKS.min(max),
            max,
        }
    }

    /// The last block of a range that begins at `from`, not past `limit`.
    pub fn end(self, from: u64, limit: u64) -> u64 {
        from.saturating_add(self.blocks.saturating_sub(1))
            .min(limit)
    }

    /// Learns from a reply of `logs` logs.
    pub fn answered(&mut self, logs: usize) {
        if logs > TARGET_LOGS {
            self.halve();
        } else if logs.saturating_mul(2) < TARGET_LOGS {
            let half = self.blocks.div_ceil(2);
            self.blocks = self.blocks.saturating_add(half).min(self.max);
        }
    }

    /// Learns from a refusal. False when the range is one block already, so that the size is not what is wrong.
    pub fn refused(&mut self) -> bool {
        let shrank = self.blocks > 1;
        self.halve();
        shrank
    }

    fn halve(&mut self) {
        self.blocks = (self.blocks >> 1).max(1);
    }

    /// Blocks in a range.
    pub const fn blocks(self) -> u64 {
        self.blocks
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_sparse_chain_is_read_in_growing_ranges_up_to_the_limit() {
        let mut size = RangeSize::new(2_000);
        let mut seen = vec![size.blocks()];
        for _ in 0..5 {
            size.answered(3);
            seen.push(size.blocks());
        }
        assert_eq!(seen, [500, 750, 1_125, 1_688, 2_000, 2_000]);
    }

    #[test]
    fn refusals_end_at_one_block() {
        let mut size = RangeSize::new(4);
        assert!(size.refused());
        assert!(size.refused());
        assert!(!size.refused());
        assert_eq!(size.end(7, 100), 7);
    }

    proptest! {
        #[test]
        fn a_range_is_never_empty_nor_past_its_bounds(max in 1_u64..100_000, from in 0_u64..1_000, ahead in 0_u64..1_000, replies in proptest::collection::vec(0_usize..30_000, 0..40)) {
            let mut size = RangeSize::new(max);
            for logs in replies {
                if logs % 7 == 0 { size.refused(); } else { size.answered(logs); }
                let limit = from + ahead;
                let end = size.end(from, limit);
                prop_assert!(from <= end && end <= limit && end - from < max);
            }
        }
    }
}
