//! Branches of a simulated chain, the canonical one among them.
//!
//! Every block that ever was is kept: replicas may still stand on it, and the chain may come back to it. No fork reaches
//! below what was ever final.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use alloy::primitives::{Address, B256};
use fastrand::Rng;
use x402_schemas::transfer::Transfer;

use super::{
    activity::{Author, Tx},
    block::{Block, Site},
};

/// Seconds since the epoch at the first block.
const BEGINNING: u64 = 1_700_000_000;

/// Where clients assume finality on a node that does not know the word.
const ASSUMED_FINALITY: u64 = 64;

/// What becomes of the transactions of blocks that leave the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// In the new blocks as they were in the old.
    Same,
    /// In other blocks, at other places.
    Moved,
    /// Nowhere.
    Gone,
}

/// A line of blocks, each the parent of the next.
pub type Line = Vec<Arc<Block>>;

/// The chain.
#[derive(Clone, Debug)]
pub struct Chain {
    /// Its id.
    pub chain_id: u64,
    /// The token whose transfers are the truth.
    pub token: Address,
    /// Whether its nodes know the tag `finalized`.
    pub says_finalized: bool,
    blocks: HashMap<B256, Arc<Block>>,
    canonical: Arc<Line>,
    finalized: u64,
    highest: u64,
    /// Heads of branches that were left, newest last.
    left: Vec<B256>,
    author: Author,
    rng: Rng,
    salt: u64,
}

impl Chain {
    /// A chain of one empty block.
    pub fn new(seed: u64, chain_id: u64, token: Address) -> Self {
        let mut rng = Rng::with_seed(seed);
        let author = Author::new(rng.fork(), token, chain_id);
        let site = Site {
            chain_id,
            token,
            number: 0,
            parent_hash: B256::ZERO,
            time: BEGINNING,
            salt: seed,
        };
        Self::from_line(vec![Block::seal(&site, Vec::new())], author, rng)
    }

    /// A chain that is there already; nothing of it is final but its first block.
    pub fn recorded(chain_id: u64, token: Address, line: Vec<Block>) -> Self {
        let mut rng = Rng::with_seed(0);
        let author = Author::new(rng.fork(), token, chain_id);
        Self::from_line(line, author, rng)
    }

    fn from_line(line: Vec<Block>, author: Author, rng: Rng) -> Self {
        let canonical: Line = line.into_iter().map(Arc::new).collect();
        Self {
            chain_id: author.chain_id(),
            token: author.token(),
            says_finalized: true,
            blocks: canonical
                .iter()
                .map(|block| (block.hash, Arc::clone(block)))
                .collect(),
            finalized: canonical.first().unwrap().number,
            highest: canonical.last().unwrap().number,
            canonical: Arc::new(canonical),
            left: Vec::new(),
            author,
            rng,
            salt: 0,
        }
    }

    /// The newest block.
    pub fn head(&self) -> &Arc<Block> {
        self.canonical.last().unwrap()
    }

    /// The canonical blocks.
    pub const fn canonical(&self) -> &Arc<Line> {
        &self.canonical
    }

    /// Any block that ever was.
    pub fn block(&self, hash: B256) -> Option<&Arc<Block>> {
        self.blocks.get(&hash)
    }

    /// The number of the newest final block.
    pub const fn finalized(&self) -> u64 {
        self.finalized
    }

    /// The highest block that no fork may replace.
    pub fn floor(&self) -> u64 {
        if self.says_finalized {
            return self.finalized;
        }
        let assumed = self.highest.saturating_sub(ASSUMED_FINALITY);
        self.finalized.max(assumed).min(self.head().number)
    }

    /// The truth, in order: every transfer of the token on the canonical chain.
    pub fn canonical_transfers(&self) -> Vec<Transfer> {
        self.canonical_rows()
            .into_iter()
            .map(|(transfer, _)| transfer)
            .collect()
    }

    /// The same, each with its transaction's place in the block.
    pub fn canonical_rows(&self) -> Vec<(Transfer, u32)> {
        self.canonical
            .iter()
            .flat_map(|block| block.transfers.iter().copied())
            .collect()
    }

    /// Adds blocks of new transactions.
    pub fn extend(&mut self, blocks: u64) {
        for _ in 0..blocks {
            let txs = self.fresh();
            self.add(txs);
        }
    }

    /// Adds empty blocks.
    pub fn extend_empty(&mut self, blocks: u64) {
        for _ in 0..blocks {
            self.add(Vec::new());
        }
    }

    /// Replaces the newest blocks by others, as many as may leave; returns how many did.
    pub fn reorg(&mut self, depth: u64, blocks: u64, fate: Fate) -> u64 {
        let depth = depth.min(self.head().number - self.floor());
        if depth == 0 {
            return 0;
        }
        let gone = self.leave(depth);
        let mut old: VecDeque<Vec<Arc<Tx>>> = match fate {
            Fate::Same => gone.iter().map(|block| block.txs.clone()).collect(),
            Fate::Moved => self.dealt(&gone, blocks),
            Fate::Gone => VecDeque::new(),
        };
        for _ in 0..blocks {
            let mut txs = old.pop_front().unwrap_or_default();
            if fate != Fate::Same {
                txs.extend(self.fresh());
                self.rng.shuffle(&mut txs);
            }
            self.add(txs);
        }
        depth
    }

    /// Returns to the branch that was left last, if nothing final forbids it, and goes on from there.
    pub fn come_back(&mut self, further: u64) -> bool {
        let floor = self.floor();
        while let Some(head) = self.left.pop() {
            let Some(line) = self.line_above(head, floor) else {
                continue;
            };
            let fork = line.first().unwrap().number;
            self.leave(self.head().number + 1 - fork);
            let canonical = Arc::make_mut(&mut self.canonical);
            canonical.extend(line);
            self.highest = self.highest.max(self.head().number);
            self.extend(further);
            return true;
        }
        false
    }

    /// Serves a forged block in the place of the one with the same hash. The truth stays what it was.
    pub fn forge(&mut self, forged: Block) {
        let forged = Arc::new(forged);
        let canonical = Arc::make_mut(&mut self.canonical).iter_mut();
        for block in canonical.filter(|block| block.hash == forged.hash) {
            *block = Arc::clone(&forged);
        }
        self.blocks.insert(forged.hash, forged);
    }

    /// Makes all but the newest `keep` blocks final. What was final stays so.
    pub fn finalize(&mut self, keep: u64) {
        let newest = self.head().number.saturating_sub(keep);
        self.finalized = self.finalized.max(newest);
    }

    /// The blocks of a branch above where it parts from the canonical chain; none if that is below `floor`.
    fn line_above(&self, head: B256, floor: u64) -> Option<Line> {
        let mut line = VecDeque::new();
        let mut block = self.blocks.get(&head)?;
        while self
            .at(block.number)
            .is_none_or(|own| own.hash != block.hash)
        {
            line.push_front(Arc::clone(block));
            block = self.blocks.get(&block.parent_hash)?;
        }
        (block.number >= floor && !line.is_empty()).then(|| line.into())
    }

    fn at(&self, number: u64) -> Option<&Arc<Block>> {
        at(&self.canonical, number)
    }

    fn leave(&mut self, depth: u64) -> Line {
        if depth == 0 {
            return Vec::new();
        }
        self.left.push(self.head().hash);
        let canonical = Arc::make_mut(&mut self.canonical);
        canonical.split_off(canonical.len() - usize::try_from(depth).unwrap())
    }

    /// The transactions of `gone`, in any order, on `blocks` heaps.
    fn dealt(&mut self, gone: &[Arc<Block>], blocks: u64) -> VecDeque<Vec<Arc<Tx>>> {
        let mut txs: Vec<_> = gone.iter().flat_map(|block| block.txs.clone()).collect();
        self.rng.shuffle(&mut txs);
        let mut heaps = vec![Vec::new(); usize::try_from(blocks).unwrap()];
        for tx in txs {
            if let Some(heap) = self.rng.choice(heaps.iter_mut()) {
                heap.push(tx);
            }
        }
        heaps.into()
    }

    /// Transactions of a new block: mostly few, sometimes many.
    fn fresh(&mut self) -> Vec<Arc<Tx>> {
        let count = match self.rng.u8(..80) {
            0..36 => 0,
            36..77 => self.rng.u8(1..4),
            77..79 => self.rng.u8(8..16),
            _ => {
                let busy = self.author.busy();
                return vec![Arc::new(busy)];
            }
        };
        (0..count)
            .map(|_| Arc::new(self.author.transaction()))
            .collect()
    }

    fn add(&mut self, txs: Vec<Arc<Tx>>) {
        self.salt += 1;
        let parent = self.head();
        let site = Site {
            chain_id: self.chain_id,
            token: self.token,
            number: parent.number + 1,
            parent_hash: parent.hash,
            time: parent.time + 1 + self.salt % 12,
            salt: self.salt,
        };
        let block = Arc::new(Block::seal(&site, txs));
        self.highest = self.highest.max(block.number);
        self.blocks.insert(block.hash, Arc::clone(&block));
        Arc::make_mut(&mut self.canonical).push(block);
    }
}

/// The block of that number in a line.
pub fn at(line: &[Arc<Block>], number: u64) -> Option<&Arc<Block>> {
    let offset = number.checked_sub(line.first()?.number)?;
    line.get(usize::try_from(offset).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(seed: u64) -> Chain {
        let mut chain = Chain::new(seed, 31_337, Address::repeat_byte(0x77));
        chain.extend(100);
        chain
    }

    fn assert_linked(chain: &Chain) {
        for pair in chain.canonical().windows(2) {
            assert_eq!(pair[0].hash, pair[1].parent_hash);
            assert_eq!(pair[0].number + 1, pair[1].number);
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_chain() {
        assert_eq!(chain(5).head().hash, chain(5).head().hash);
        assert_ne!(chain(5).head().hash, chain(6).head().hash);
        assert!(chain(5).canonical_transfers().len() > 50);
    }

    #[test]
    fn a_reorg_replaces_what_is_not_final_and_nothing_else() {
        for fate in [Fate::Same, Fate::Moved, Fate::Gone] {
            let mut chain = chain(7);
            chain.finalize(30);
            let kept = chain.canonical()[70].hash;
            assert_eq!(chain.reorg(64, 40, fate), 30);
            assert_linked(&chain);
            assert_eq!(chain.head().number, 110);
            assert_eq!(chain.canonical()[70].hash, kept);
        }
    }

    #[test]
    fn a_chain_comes_back_to_the_branch_that_it_left() {
        let mut chain = chain(8);
        let (before, truth) = (chain.head().hash, chain.canonical_transfers());
        chain.reorg(10, 12, Fate::Moved);
        assert_ne!(chain.canonical_transfers(), truth);
        assert!(chain.come_back(0));
        assert_linked(&chain);
        assert_eq!(
            (chain.head().hash, chain.canonical_transfers()),
            (before, truth)
        );
        chain.reorg(10, 9, Fate::Gone);
        chain.finalize(1);
        assert!(!chain.come_back(0), "what is final stays");
    }

    #[test]
    fn a_transaction_may_stay_move_or_vanish() {
        let ids = |chain: &Chain| -> Vec<B256> {
            let transfers = chain.canonical_transfers().into_iter();
            transfers.map(|transfer| transfer.id.tx_hash).collect()
        };
        let chain = chain(9);
        let before = ids(&chain);
        let after = |fate| {
            let mut chain = chain.clone();
            chain.reorg(20, 20, fate);
            ids(&chain)
        };
        assert_eq!(after(Fate::Same), before);
        let (moved, gone) = (after(Fate::Moved), after(Fate::Gone));
        assert!(before.iter().all(|id| moved.contains(id)));
        assert!(before.iter().any(|id| !gone.contains(id)));
    }
}
