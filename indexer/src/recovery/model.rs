//! A model of the tables and of a run that may die between any two inserts.

use std::collections::{BTreeSet, HashMap};

use alloy::primitives::{Address, B256, keccak256};
use x402_schemas::{
    amount::Amount,
    index::CommitRow,
    network::Network,
    transfer::{Transfer, TransferId, TransferKind},
};

use super::{
    BlockRow, Header, Leftovers, TransferRow, Window, blocks_to_retract, recover,
    transfers_to_retract,
};
use crate::{
    batch::{self, Batch, Stamp},
    decode::Found,
    reorg::{Step, advance},
};

/// Blocks above the finalized one in this model.
const UNFINAL: u64 = 8;

pub(super) fn header(parent: &Header, salt: u8) -> Header {
    let number = parent.number + 1;
    Header {
        number,
        hash: keccak256([parent.hash.as_slice(), &[salt]].concat()),
        parent_hash: parent.hash,
        time: number,
    }
}

/// A block has none to two transfers; which, its hash decides.
pub(super) fn found(header: &Header) -> Vec<Found> {
    (0..u32::from(header.hash[0] % 3))
        .map(|log_index| Found {
            transfer: Transfer {
                id: TransferId {
                    network: Network::DEVNET,
                    tx_hash: keccak256(header.hash),
                    log_index,
                },
                block_number: header.number,
                block_hash: header.hash,
                block_time: header.time,
                token: Address::ZERO,
                from: Address::ZERO,
                to: Address::ZERO,
                amount: Amount::ZERO,
                memo: None,
                kind: TransferKind::Payment,
            },
            tx_index: 0,
        })
        .collect()
}

pub(super) type Key = (u64, u32, [u8; 32]);

pub(super) fn key(row: &TransferRow) -> Key {
    (row.block_number, row.log_index, row.block_hash)
}

#[derive(Default)]
pub(super) struct Tables {
    pub(super) transfers: Vec<TransferRow>,
    pub(super) by_tx: Vec<TransferRow>,
    pub(super) blocks: Vec<BlockRow>,
    pub(super) commits: Vec<CommitRow>,
}

/// Which of a batch's inserts are done when the run dies. The commit is only written after all of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Survives {
    pub(super) transfers: bool,
    pub(super) by_tx: bool,
    pub(super) blocks: bool,
}

impl Tables {
    pub(super) fn seq(&self) -> u64 {
        self.commits.last().map_or(0, |commit| commit.seq)
    }

    /// Keeps only the newest row of each key, as background merges do at any time.
    pub(super) fn merge(&mut self) {
        for table in [&mut self.transfers, &mut self.by_tx] {
            let mut newest: HashMap<Key, TransferRow> = HashMap::new();
            for row in table.drain(..) {
                let known = newest.entry(key(&row)).or_insert(row);
                if row.version > known.version {
                    *known = row;
                }
            }
            table.extend(newest.into_values());
        }
        let mut newest: HashMap<[u8; 32], BlockRow> = HashMap::new();
        for row in self.blocks.drain(..) {
            let known = newest.entry(row.hash).or_insert(row);
            if row.version > known.version {
                *known = row;
            }
        }
        self.blocks.extend(newest.into_values());
    }

    /// What the exact reader sees.
    pub(super) fn visible(&self, table: &[TransferRow]) -> BTreeSet<Key> {
        let mut newest: HashMap<Key, TransferRow> = HashMap::new();
        for row in table.iter().filter(|row| row.version <= self.seq()) {
            let known = newest.entry(key(row)).or_insert(*row);
            if row.version > known.version {
                *known = *row;
            }
        }
        newest
            .into_values()
            .filter(|row| row.is_deleted == 0)
            .map(|row| key(&row))
            .collect()
    }

    pub(super) fn leftovers(&self) -> Option<Leftovers> {
        let transfers = self
            .transfers
            .iter()
            .chain(&self.by_tx)
            .map(|row| (row.block_number, row.version));
        let blocks = self.blocks.iter().map(|row| (row.number, row.version));
        let left: Vec<_> = transfers
            .chain(blocks)
            .filter(|(_, version)| *version > self.seq())
            .collect();
        Some(Leftovers {
            lowest_block: left.iter().map(|(number, _)| *number).min()?,
            highest_version: left.iter().map(|(_, version)| *version).max()?,
        })
    }

    pub(super) fn window(&self) -> Window {
        let commit = self.commits.last().unwrap();
        let header = |row: &BlockRow| Header {
            number: row.number,
            hash: B256::new(row.hash),
            parent_hash: B256::new(row.parent_hash),
            time: u64::from(row.time),
        };
        let tip = Header {
            number: commit.tip_number,
            hash: B256::new(commit.tip_hash),
            parent_hash: B256::ZERO,
            time: 0,
        };
        let lower = commit.finalized.min(commit.tip_number);
        let of_commits = self.commits.iter().map(|commit| Header {
            number: commit.tip_number,
            hash: B256::new(commit.tip_hash),
            parent_hash: B256::new(commit.tip_parent),
            time: u64::from(commit.tip_time),
        });
        let stored = self.blocks.iter().map(header).chain(of_commits);
        let kept = stored.filter(|header| (lower..=commit.tip_number).contains(&header.number));
        Window::from_stored(tip, kept)
    }
}

pub(super) struct World {
    pub(super) chain: Vec<Header>,
    pub(super) every_block: HashMap<B256, Header>,
    pub(super) finalized: u64,
    pub(super) tables: Tables,
}

/// A run that dies at its `publishes`-th batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Death {
    pub(super) publishes: usize,
    pub(super) survives: Survives,
}

impl World {
    pub(super) fn new() -> Self {
        let base = Header {
            number: 100,
            hash: B256::repeat_byte(1),
            parent_hash: B256::repeat_byte(0xff),
            time: 0,
        };
        let mut world = Self {
            chain: vec![base],
            every_block: HashMap::from([(base.hash, base)]),
            finalized: 100,
            tables: Tables::default(),
        };
        let first = Batch::added(world.stamp(0), base.number, &[base], Vec::new()).unwrap();
        assert!(world.publish(&first, &mut None));
        world
    }

    pub(super) fn head(&self) -> Header {
        *self.chain.last().unwrap()
    }

    pub(super) fn at(&self, number: u64) -> Header {
        self.chain[usize::try_from(number - 100).unwrap()]
    }

    pub(super) fn mine(&mut self, blocks: u8, salt: u8) {
        for _ in 0..blocks {
            let next = header(&self.head(), salt);
            self.every_block.insert(next.hash, next);
            self.chain.push(next);
        }
        self.finalized = self
            .finalized
            .max(self.head().number.saturating_sub(UNFINAL));
    }

    pub(super) fn reorg(&mut self, depth: u64, blocks: u8, salt: u8) {
        let lowest = self.finalized.max(self.head().number.saturating_sub(depth));
        self.chain
            .truncate(usize::try_from(lowest - 100).unwrap() + 1);
        self.mine(blocks, salt);
    }

    pub(super) fn stamp(&self, seq: u64) -> Stamp {
        Stamp {
            network: Network::DEVNET,
            version: seq + 1,
            finalized: self.finalized,
            written_at: 0,
        }
    }

    /// Writes a batch; false when the run died in it. After a commit, readers see exactly its tip's branch.
    pub(super) fn publish(&mut self, batch: &Batch, death: &mut Option<Death>) -> bool {
        let dies = match death {
            Some(death) if death.publishes == 0 => Some(death.survives),
            Some(death) => {
                death.publishes -= 1;
                None
            }
            None => None,
        };
        let survives = dies.unwrap_or(Survives {
            transfers: true,
            by_tx: true,
            blocks: true,
        });
        if survives.transfers {
            self.tables.transfers.extend(&batch.transfers);
        }
        if survives.by_tx {
            self.tables.by_tx.extend(&batch.transfers);
        }
        if survives.blocks {
            self.tables.blocks.extend(&batch.blocks);
        }
        if dies.is_some() {
            return false;
        }
        assert!(batch.commit.seq > self.tables.seq());
        let before = self
            .tables
            .commits
            .last()
            .map(|commit| self.branch_of(B256::new(commit.tip_hash)));
        self.tables.commits.push(batch.commit);
        let expected = self.branch_of(B256::new(batch.commit.tip_hash));
        assert_eq!(self.tables.visible(&self.tables.transfers), expected);
        assert_eq!(self.tables.visible(&self.tables.by_tx), expected);
        // Who follows the commits learns of everything that went and everything that came.
        let before = before.unwrap_or_default();
        let told = |deleted: u8| -> BTreeSet<Key> {
            let rows = batch
                .transfers
                .iter()
                .filter(|row| row.is_deleted == deleted);
            rows.map(key).collect()
        };
        assert!(
            before
                .difference(&expected)
                .all(|key| told(1).contains(key))
        );
        assert!(
            expected
                .difference(&before)
                .all(|key| told(0).contains(key))
        );
        let range = batch.commit.from_block..=batch.commit.to_block;
        assert!(
            batch
                .transfers
                .iter()
                .all(|row| range.contains(&row.block_number) && row.version == batch.commit.seq)
        );
        true
    }

    pub(super) fn branch_of(&self, tip: B256) -> BTreeSet<Key> {
        let mut keys = BTreeSet::new();
        let mut header = self.every_block[&tip];
        while header.number > 100 {
            keys.extend(
                found(&header)
                    .iter()
                    .map(|found| key(&TransferRow::new(&found.transfer, 0, 0, false))),
            );
            header = self.every_block[&header.parent_hash];
        }
        keys
    }

    pub(super) fn removal(&self, stamp: Stamp, ancestor: &Header, last: u64, seq: u64) -> Batch {
        let above = |row: &TransferRow| row.block_number > ancestor.number;
        let unpublished = self.tables.by_tx.iter().filter(|row| row.version > seq);
        let rows = self.tables.transfers.iter().chain(unpublished);
        let transfers = transfers_to_retract(rows.copied().filter(above), seq);
        let mut newest: HashMap<[u8; 32], BlockRow> = HashMap::new();
        for row in self
            .tables
            .blocks
            .iter()
            .filter(|row| row.number > ancestor.number)
        {
            let known = newest.entry(row.hash).or_insert(*row);
            if row.version > known.version {
                *known = *row;
            }
        }
        let blocks = blocks_to_retract(newest.into_values().collect(), seq);
        Batch::removed(stamp, ancestor, last, &transfers, &blocks)
    }

    /// One run, from start until it is where the chain is, or dies.
    pub(super) fn run(&mut self, mut death: Option<Death>) -> bool {
        let mut window = self.tables.window();
        let mut seq = self.tables.seq();
        if let Some(leftovers) = self.tables.leftovers() {
            let back = recover(&window, seq, leftovers).expect("leftovers are within the window");
            // What is final now may be above a tip that has left the chain, so the old word counts still.
            let stamp = Stamp {
                finalized: self.tables.commits.last().unwrap().finalized,
                ..self.stamp(back.version - 1)
            };
            let batch = self.removal(stamp, &back.ancestor, window.tip().number, seq);
            if !self.publish(&batch, &mut death) {
                return false;
            }
            window.retract_to(back.ancestor.number);
            seq = back.version;
        }
        loop {
            let (head, tip) = (self.head(), window.tip());
            let next = if head.number > tip.number {
                self.at(tip.number + 1)
            } else {
                head
            };
            let mut step = advance(&window, &next);
            while let Step::NeedAncestor { number } = step {
                step = advance(&window, &self.at(number));
            }
            let batch = match step {
                Step::Current => return true,
                Step::Extend => {
                    let last = head.number.min(tip.number + 3);
                    let headers: Vec<Header> = (tip.number + 1..=last)
                        .map(|number| self.at(number))
                        .collect();
                    let found: Vec<Found> = headers.iter().flat_map(found).collect();
                    Batch::added(
                        self.stamp(seq),
                        tip.number + 1,
                        &headers,
                        batch::rows(&found).collect(),
                    )
                    .unwrap()
                }
                Step::Reorg { ancestor, .. } => {
                    self.removal(self.stamp(seq), &ancestor, tip.number, seq)
                }
                Step::NeedAncestor { .. } | Step::TooDeep { .. } => panic!("{step:?}"),
            };
            if !self.publish(&batch, &mut death) {
                return false;
            }
            seq = batch.commit.seq;
            match step {
                Step::Reorg { ancestor, .. } => window.retract_to(ancestor.number),
                Step::Extend | Step::Current | Step::NeedAncestor { .. } | Step::TooDeep { .. } => {
                    for number in tip.number + 1..=batch.commit.tip_number {
                        window.extend(self.at(number));
                    }
                }
            }
            window.finalize(self.finalized);
        }
    }
}
