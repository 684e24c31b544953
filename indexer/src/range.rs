//! How many blocks one request for logs covers.
//!
//! Starts small, doubles while replies are small, follows the density of logs where they are not, and shrinks to what a
//! node accepts when it refuses: neither the node's limits nor our memory are met by guessing. Pure.

/// A first guess that every provider accepts, small enough for a chain that has hundreds of our logs in each block.
const START_BLOCKS: u64 = 16;

/// Logs that a reply should have: about 3 MB of JSON. Larger ones save no time, and memory is held for each.
pub const TARGET_LOGS: u64 = 5_000;

/// Answers at a size that a refusal has set, after which a larger one is tried again: refusals for density pass.
const ANSWERS_BEFORE_RETRY: u32 = 64;

/// The present size of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RangeSize {
    blocks: u64,
    /// What the node is believed to accept; never more than `max`.
    ceiling: u64,
    max: u64,
    answers_at_ceiling: u32,
}

impl RangeSize {
    /// Never more than `max` blocks.
    pub fn new(max: u64) -> Self {
        let max = max.max(1);
        Self {
            blocks: START_BLOCKS.min(max),
            ceiling: max,
            max,
            answers_at_ceiling: 0,
        }
    }

    /// The last block of a range that begins at `from`, not past `limit`.
    pub fn end(self, from: u64, limit: u64) -> u64 {
        from.saturating_add(self.blocks.saturating_sub(1))
            .min(limit)
    }

    /// Learns from a reply: that `asked` blocks hold `logs` logs.
    pub fn answered(&mut self, asked: u64, logs: usize) {
        let logs = u64::try_from(logs).unwrap_or(u64::MAX);
        let doubled = asked.saturating_mul(2);
        let fitting = asked
            .saturating_mul(TARGET_LOGS)
            .checked_div(logs)
            .unwrap_or(doubled);
        if logs > TARGET_LOGS {
            self.blocks = self.blocks.min(fitting).max(1);
            return;
        }
        if asked >= self.ceiling && self.ceiling < self.max {
            self.answers_at_ceiling = self.answers_at_ceiling.saturating_add(1);
            if self.answers_at_ceiling >= ANSWERS_BEFORE_RETRY {
                self.answers_at_ceiling = 0;
                self.ceiling = self.ceiling.saturating_mul(2).min(self.max);
            }
        }
        let larger = fitting.min(doubled).min(self.ceiling);
        self.blocks = self.blocks.max(larger);
    }

    /// Learns from a refusal of `asked` blocks; the node may have said how many `fit`. False when it was one block
    /// already, so that the size is not what is wrong.
    pub fn refused(&mut self, asked: u64, fits: Option<u64>) -> bool {
        let most = asked.saturating_sub(1).max(1);
        self.ceiling = fits.unwrap_or(asked >> 1).clamp(1, most).min(self.max);
        self.blocks = self.ceiling;
        self.answers_at_ceiling = 0;
        asked > 1
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
        let mut size = RangeSize::new(100);
        let mut seen = vec![size.blocks()];
        for _ in 0..4 {
            size.answered(size.blocks(), 3);
            seen.push(size.blocks());
        }
        assert_eq!(seen, [16, 32, 64, 100, 100]);
    }

    #[test]
    fn a_dense_chain_is_read_in_ranges_with_as_many_logs_as_a_reply_should_have() {
        let mut size = RangeSize::new(10_000);
        for _ in 0..8 {
            let blocks = size.blocks();
            size.answered(blocks, usize::try_from(blocks * 100).unwrap());
        }
        assert_eq!(size.blocks(), TARGET_LOGS / 100);
        // Several replies that were asked for at the old size are one lesson, not several.
        for _ in 0..3 {
            size.answered(50, 50_000);
        }
        assert_eq!(size.blocks(), 5);
    }

    #[test]
    fn a_short_last_range_teaches_nothing_about_longer_ones() {
        let mut size = RangeSize::new(10_000);
        size.answered(500, 3);
        size.answered(2, 1);
        assert_eq!(size.blocks(), 1_000);
    }

    #[test]
    fn refusals_end_at_one_block() {
        let mut size = RangeSize::new(4);
        assert!(size.refused(4, None));
        assert!(size.refused(2, None));
        assert!(!size.refused(1, None));
        assert_eq!(size.end(7, 100), 7);
    }

    #[test]
    fn a_limit_that_the_node_names_is_kept_to_and_tried_again_only_after_many_answers() {
        let mut size = RangeSize::new(10_000);
        assert!(size.refused(4_000, Some(2_000)));
        for _ in 0..ANSWERS_BEFORE_RETRY {
            assert_eq!(size.blocks(), 2_000);
            size.answered(2_000, 0);
        }
        assert_eq!(size.blocks(), 4_000);
    }

    proptest! {
        #[test]
        fn a_range_is_never_empty_nor_past_its_bounds(max in 1_u64..100_000, from in 0_u64..1_000, ahead in 0_u64..1_000, replies in proptest::collection::vec((0_usize..30_000, proptest::option::of(any::<u64>())), 0..40)) {
            let mut size = RangeSize::new(max);
            for (logs, fits) in replies {
                if logs % 7 == 0 { size.refused(size.blocks(), fits); } else { size.answered(size.blocks(), logs); }
                let limit = from + ahead;
                let end = size.end(from, limit);
                prop_assert!(from <= end && end <= limit && end - from < max);
            }
        }
    }
}
