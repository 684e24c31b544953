//! How many ranges are read side by side: fewer when a node has too much to do, more again after a while. Pure.

/// Ranges read without hindrance after which one more is read at a time.
const CALM_RANGES: u32 = 32;

/// The present width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Width {
    now: usize,
    max: usize,
    calm: u32,
    cuts: u32,
}

impl Width {
    /// As wide as it may get; never less than one.
    pub(crate) fn new(max: usize) -> Self {
        let max = max.max(1);
        Self {
            now: max,
            max,
            calm: 0,
            cuts: 0,
        }
    }

    /// Ranges at a time.
    pub(crate) const fn ranges(self) -> usize {
        self.now
    }

    /// How often it was cut: what was begun before the last cut teaches nothing about the width since.
    pub(super) const fn cuts(self) -> u32 {
        self.cuts
    }

    /// Learns from a range that was begun after so many `cuts`.
    pub(super) fn read(&mut self, begun_after: u32, hindered: bool) {
        if !hindered {
            self.calm = self.calm.saturating_add(1);
            if self.calm >= CALM_RANGES && self.now < self.max {
                self.calm = 0;
                self.now = self.now.saturating_add(1);
            }
        } else if begun_after == self.cuts {
            self.now = (self.now >> 1).max(1);
            self.calm = 0;
            self.cuts = self.cuts.wrapping_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_under_way_together_is_one_lesson() {
        let mut width = Width::new(8);
        let begun_after = width.cuts();
        for _ in 0..8 {
            width.read(begun_after, true);
        }
        assert_eq!(width.ranges(), 4);
        width.read(width.cuts(), true);
        assert_eq!(width.ranges(), 2);
    }

    #[test]
    fn a_calm_node_gets_its_width_back_step_by_step() {
        let mut width = Width::new(3);
        width.read(0, true);
        assert_eq!(width.ranges(), 1);
        for ranges in [2, 3, 3] {
            for _ in 0..CALM_RANGES {
                width.read(width.cuts(), false);
            }
            assert_eq!(width.ranges(), ranges);
        }
    }

    proptest! {
        #[test]
        fn it_is_never_none_nor_above_its_limit(max in 0_usize..64, reads in proptest::collection::vec(any::<(u32, bool)>(), 0..200)) {
            let mut width = Width::new(max);
            for (begun_after, hindered) in reads {
                width.read(begun_after % 4, hindered);
                prop_assert!((1..=max.max(1)).contains(&width.ranges()));
            }
        }
    }
}
