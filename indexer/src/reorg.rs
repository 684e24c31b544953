//! Does the chain go on where the index ends, or has it left some of our blocks?
//!
//! Pure: `advance` compares one header of the chain with the persisted window of headers and names the next step.
//! The window reaches down to the finalized block, so a chain that left even its lowest block broke a promise of
//! finality, and that is reported, never repaired.

use std::collections::{HashMap, VecDeque};

use alloy::primitives::B256;

/// One block of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its height.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// The hash of the block before it.
    pub parent_hash: B256,
    /// Its time, Unix seconds.
    pub time: u64,
}

/// The indexed blocks that a reorg may still take away: linked, ascending, ending where the index ends. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    below_tip: VecDeque<Header>,
    tip: Header,
}

/// What a header of the chain means for the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is the block after the tip: add it.
    Extend,
    /// It is the tip: nothing to do.
    Current,
    /// Everything above `ancestor` left the chain: remove it.
    Reorg {
        /// The highest block that index and chain share.
        ancestor: Header,
        /// How many of our blocks are above it.
        depth: u64,
    },
    /// Cannot tell yet: ask with the chain's header of this number.
    NeedAncestor {
        /// Which.
        number: u64,
    },
    /// The chain left blocks below the window, which were final.
    TooDeep {
        /// The lowest block that a reorg was allowed to reach.
        floor: Header,
        /// The header that does not stand on it.
        seen: Header,
    },
}

/// Compares `header`, which the node calls canonical, with the window.
pub fn advance(window: &Window, header: &Header) -> Step {
    let tip = window.tip();
    if let Some(own) = window.get(header.number)
        && own.hash == header.hash
    {
        return if own.number == tip.number {
            Step::Current
        } else {
            window.reorg_to(own)
        };
    }
    if header.number.saturating_sub(tip.number) > 1 {
        return Step::NeedAncestor {
            number: tip.number.saturating_add(1),
        };
    }
    let below = header
        .number
        .checked_sub(1)
        .and_then(|below| window.get(below));
    let floor = window.floor();
    match below {
        Some(parent) if parent.hash == header.parent_hash => {
            if parent.number == tip.number {
                Step::Extend
            } else {
                window.reorg_to(parent)
            }
        }
        Some(other) if other.number > floor.number => Step::NeedAncestor {
            number: other.number,
        },
        _ => Step::TooDeep {
            floor,
            seen: *header,
        },
    }
}

/// How many of these headers follow each other and `tip`, from the first on.
pub fn linked(tip: &Header, headers: impl IntoIterator<Item = Header>) -> usize {
    let mut last = *tip;
    headers
        .into_iter()
        .take_while(|header| {
            let follows = follows(&last, header);
            last = *header;
            follows
        })
        .count()
}

fn follows(parent: &Header, child: &Header) -> bool {
    parent.number.checked_add(1) == Some(child.number) && parent.hash == child.parent_hash
}

impl Window {
    /// A window of one block.
    pub const fn new(tip: Header) -> Self {
        Self {
            below_tip: VecDeque::new(),
            tip,
        }
    }

    /// The window that ends at `tip`, from stored headers of any branch: those that the tip descends from count. A header
    /// was stored with zeros where its parent was not known, and does not count then; the genesis block truly has none. A
    /// tip that is not among them has no known parent and stands alone.
    pub fn from_stored(tip: Header, stored: impl IntoIterator<Item = Header>) -> Self {
        let by_hash: HashMap<B256, Header> = stored
            .into_iter()
            .filter(|header| header.number == 0 || header.parent_hash != B256::ZERO)
            .map(|header| (header.hash, header))
            .collect();
        let mut window = Self::new(by_hash.get(&tip.hash).copied().unwrap_or(tip));
        while let Some(parent) = by_hash.get(&window.floor().parent_hash) {
            // Each step goes down by one, so a circle cannot hold us.
            if !follows(parent, &window.floor()) {
                break;
            }
            window.below_tip.push_front(*parent);
        }
        window
    }

    /// Where the index ends.
    pub const fn tip(&self) -> Header {
        self.tip
    }

    /// The lowest block that is known: no reorg may reach below it.
    pub fn floor(&self) -> Header {
        self.below_tip.front().copied().unwrap_or(self.tip)
    }

    /// The indexed block of that number.
    pub fn get(&self, number: u64) -> Option<Header> {
        if number == self.tip.number {
            return Some(self.tip);
        }
        let offset = number.checked_sub(self.floor().number)?;
        self.below_tip.get(usize::try_from(offset).ok()?).copied()
    }

    /// Goes on with `header`. One that does not follow the tip starts the window anew: the caller vouches that it is final.
    pub fn extend(&mut self, header: Header) {
        if follows(&self.tip, &header) {
            self.below_tip.push_back(self.tip);
        } else {
            self.below_tip.clear();
        }
        self.tip = header;
    }

    /// Forgets what is above `ancestor`.
    pub fn retract_to(&mut self, ancestor: u64) {
        while self.tip.number > ancestor {
            let Some(below) = self.below_tip.pop_back() else {
                return;
            };
            self.tip = below;
        }
    }

    /// Forgets what is below the finalized block.
    pub fn finalize(&mut self, finalized: u64) {
        while self
            .below_tip
            .front()
            .is_some_and(|floor| floor.number < finalized)
        {
            self.below_tip.pop_front();
        }
    }

    const fn reorg_to(&self, ancestor: Header) -> Step {
        Step::Reorg {
            ancestor,
            depth: self.tip.number.saturating_sub(ancestor.number),
        }
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The block of that number on a branch; branches share what is below the number where they part.
    fn header(branch: u8, parts_at: u64, number: u64) -> Header {
        let name = |number: u64| {
            let branch = if number < parts_at { 0 } else { branch };
            alloy::primitives::keccak256([[branch; 8], number.to_be_bytes()].concat())
        };
        Header {
            number,
            hash: name(number),
            parent_hash: number.checked_sub(1).map(name).unwrap_or_default(),
            time: number,
        }
    }

    fn main_chain(number: u64) -> Header {
        header(0, 0, number)
    }

    fn window(from: u64, to: u64) -> Window {
        let mut window = Window::new(main_chain(from));
        (from + 1..=to).for_each(|number| window.extend(main_chain(number)));
        window
    }

    /// Walks as the loop does, against the chain `branch`.
    fn walk(window: &Window, branch: u8, parts_at: u64, head: u64) -> Step {
        let mut step = advance(window, &header(branch, parts_at, head));
        while let Step::NeedAncestor { number } = step {
            step = advance(window, &header(branch, parts_at, number));
        }
        step
    }

    #[test]
    fn the_next_block_extends_and_the_same_block_changes_nothing() {
        let window = window(5, 10);
        assert_eq!(advance(&window, &main_chain(11)), Step::Extend);
        assert_eq!(advance(&window, &main_chain(10)), Step::Current);
        assert_eq!(
            advance(&window, &main_chain(13)),
            Step::NeedAncestor { number: 11 }
        );
    }

    #[test]
    fn a_lower_head_on_our_own_chain_is_a_reorg_to_itself() {
        assert_eq!(
            advance(&window(5, 10), &main_chain(8)),
            Step::Reorg {
                ancestor: main_chain(8),
                depth: 2
            }
        );
    }

    #[test]
    fn a_chain_that_left_the_lowest_known_block_is_not_followed() {
        for head in 5..=12 {
            assert!(
                matches!(walk(&window(5, 10), 1, 5, head), Step::TooDeep { floor, .. } if floor == main_chain(5)),
                "{head}"
            );
        }
        assert!(matches!(
            advance(&window(5, 10), &main_chain(3)),
            Step::TooDeep { .. }
        ));
        assert!(matches!(
            advance(&window(0, 3), &header(1, 0, 0)),
            Step::TooDeep { .. }
        ));
    }

    #[test]
    fn a_stored_window_is_what_the_tip_descends_from() {
        let stored = [
            main_chain(6),
            main_chain(8),
            header(1, 8, 8),
            main_chain(7),
            main_chain(9),
            header(1, 8, 9),
        ];
        let ours = Window::from_stored(header(1, 8, 9), stored);
        assert_eq!(ours.floor(), main_chain(6));
        assert_eq!(ours.get(8), Some(header(1, 8, 8)));
        let unknown = Header {
            hash: B256::repeat_byte(9),
            parent_hash: B256::ZERO,
            ..main_chain(9)
        };
        assert_eq!(Window::from_stored(unknown, stored), Window::new(unknown));
    }

    #[test]
    fn a_stored_header_without_its_parent_does_not_count_but_for_the_genesis_block() {
        let without_parent = |header: Header| Header {
            parent_hash: B256::ZERO,
            ..header
        };
        let genesis = without_parent(main_chain(0));
        let linked = [
            Header {
                parent_hash: genesis.hash,
                ..main_chain(1)
            },
            main_chain(2),
        ];
        let unlinked = linked.map(without_parent);
        for stored in [[linked, unlinked], [unlinked, linked]] {
            let stored = stored.into_iter().flatten().chain([genesis]);
            let window = Window::from_stored(unlinked[1], stored);
            assert_eq!((window.floor(), window.tip()), (genesis, linked[1]));
        }
    }

    #[test]
    fn only_linked_headers_are_taken_from_a_download() {
        let download = [
            main_chain(11),
            main_chain(12),
            header(1, 13, 14),
            main_chain(13),
        ];
        assert_eq!(linked(&main_chain(10), download), 2);
        assert_eq!(linked(&main_chain(9), download), 0);
    }

    proptest! {
        #[test]
        fn any_fork_above_the_floor_is_traced_to_where_it_parts(floor in 0_u64..50, length in 1_u64..64, parts_after in 0_u64..64, head in 0_u64..80) {
            let tip = floor + length;
            let parts_at = floor + 1 + parts_after % length;
            let head = parts_at + head % (tip + 2 - parts_at);
            let expected = Step::Reorg { ancestor: main_chain(parts_at - 1), depth: tip - (parts_at - 1) };
            prop_assert_eq!(walk(&window(floor, tip), 1, parts_at, head), expected);
        }

        #[test]
        fn a_window_stays_linked_whatever_is_done_to_it(steps in proptest::collection::vec((0_u8..4, 0_u64..20), 0..60)) {
            let mut window = window(10, 20);
            for (kind, by) in steps {
                match kind {
                    0 | 1 => window.extend(header(1, 15, window.tip().number + 1)),
                    2 => window.retract_to(window.tip().number.saturating_sub(by)),
                    _ => window.finalize(window.tip().number.saturating_sub(by)),
                }
                for number in window.floor().number..window.tip().number {
                    prop_assert!(follows(&window.get(number).unwrap(), &window.get(number + 1).unwrap()));
                }
                prop_assert!(window.get(window.tip().number + 1).is_none());
            }
        }
    }
}
