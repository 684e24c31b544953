//! What an audit found, in words.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use alloy::primitives::{B256, U256, hex};
use x402_schemas::{amount::Amount, index::TransferRow};

/// Differences that are told in full; of the rest only the number is.
const TOLD: usize = 20;

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// First block compared.
    pub from: u64,
    /// Last block compared; not past the end of the index.
    pub to: u64,
    /// Transfers on the chain.
    pub transfers: u64,
    /// Of those, how many the index lacks.
    pub missing: u64,
    /// Transfers of the index that the chain does not have.
    pub stale: u64,
    /// Transfers whose values differ.
    pub different: u64,
    /// The first differences.
    pub first: Vec<Difference>,
    /// Every block that has one.
    pub(super) blocks: BTreeSet<u64>,
}

/// One disagreement between index and chain. Displays as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub tables: Tables,
    /// What.
    pub what: What,
}

/// What index and chain disagree about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// On the chain, not in the index.
    Missing(Box<TransferRow>),
    /// In the index, not on the chain.
    Stale(Box<TransferRow>),
    /// In both, with different values.
    Different {
        /// What the chain says.
        chain: Box<TransferRow>,
        /// What the index says.
        index: Box<TransferRow>,
    },
}

/// Which of the two tables a difference is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tables {
    /// `transfers` only.
    Transfers,
    /// `transfers_by_tx` only.
    ByTx,
    /// Both alike.
    Both,
}

/// A transfer's place: of one log of one transaction in one block. Two forks' logs are two places.
pub(super) type Place = (u64, u32, [u8; 32], [u8; 32]);

pub(super) const fn place(row: &TransferRow) -> Place {
    (row.block_number, row.log_index, row.block_hash, row.tx_hash)
}

impl AuditReport {
    /// Whether index and chain agree.
    pub const fn is_clean(&self) -> bool {
        self.missing == 0 && self.stale == 0 && self.different == 0
    }

    /// How many differences there are.
    pub const fn differences(&self) -> u64 {
        self.missing
            .saturating_add(self.stale)
            .saturating_add(self.different)
    }

    /// Counts differences, and keeps the first.
    pub(super) fn tell(&mut self, differences: Vec<Difference>) {
        for difference in differences {
            let count = match difference.what {
                What::Missing(_) => &mut self.missing,
                What::Stale(_) => &mut self.stale,
                What::Different { .. } => &mut self.different,
            };
            *count = count.saturating_add(1);
            self.blocks.insert(difference.what.row().block_number);
            if self.first.len() < TOLD {
                self.first.push(difference);
            }
        }
    }
}

/// What the two tables have that the chain has not, and the other way around; each difference once.
pub(super) fn compare(
    chain: &[TransferRow],
    transfers: &[TransferRow],
    by_tx: &[TransferRow],
) -> Vec<Difference> {
    let mut left = differences(chain, by_tx);
    let mut told: Vec<Difference> = differences(chain, transfers)
        .into_iter()
        .map(|(key, what)| {
            let tables = match left.get(&key) {
                Some(same) if *same == what => {
                    left.remove(&key);
                    Tables::Both
                }
                Some(_) | None => Tables::Transfers,
            };
            Difference { tables, what }
        })
        .collect();
    told.extend(left.into_values().map(|what| Difference {
        tables: Tables::ByTx,
        what,
    }));
    told.sort_by_key(|difference| place(difference.what.row()));
    told
}

fn differences(chain: &[TransferRow], index: &[TransferRow]) -> BTreeMap<Place, What> {
    let mut index: BTreeMap<Place, TransferRow> = index
        .iter()
        .map(|row| (place(row), unversioned(row)))
        .collect();
    let mut found = BTreeMap::new();
    for row in chain {
        let what = match index.remove(&place(row)) {
            None => What::Missing(Box::new(*row)),
            Some(other) if other != unversioned(row) => What::Different {
                chain: Box::new(*row),
                index: Box::new(other),
            },
            Some(_) => continue,
        };
        found.insert(place(row), what);
    }
    for (place, row) in index {
        found.insert(place, What::Stale(Box::new(row)));
    }
    found
}

/// Which batch wrote a row is nothing that the chain could say.
const fn unversioned(row: &TransferRow) -> TransferRow {
    TransferRow { version: 0, ..*row }
}

impl What {
    /// The row in question, as the chain has it if it does.
    pub const fn row(&self) -> &TransferRow {
        match self {
            Self::Missing(row) | Self::Stale(row) | Self::Different { chain: row, .. } => row,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.what.row();
        let word = match self.what {
            What::Missing(_) => "missing",
            What::Stale(_) => "stale",
            What::Different { .. } => "different",
        };
        let tables = match self.tables {
            Tables::Transfers => " in transfers only",
            Tables::ByTx => " in transfers_by_tx only",
            Tables::Both => "",
        };
        write!(
            f,
            "{word}{tables}: block {} log {} tx {} {} MNEE",
            row.block_number,
            row.log_index,
            B256::new(row.tx_hash),
            amount(row)
        )?;
        match &self.what {
            What::Missing(_) => Ok(()),
            // Whose fork it was, or whether the block is on the chain at all, tells its hash.
            What::Stale(row) => write!(f, " (of block {})", B256::new(row.block_hash)),
            What::Different { chain, index } => {
                for (column, chain, index) in columns(chain, index) {
                    write!(f, "; {column} is {index}, should be {chain}")?;
                }
                Ok(())
            }
        }
    }
}

fn amount(row: &TransferRow) -> Amount {
    Amount::from_base_units(U256::from_le_bytes(row.amount.to_le_bytes()))
}

/// The columns that differ, each with both values. Those of a place are equal.
fn columns(chain: &TransferRow, index: &TransferRow) -> Vec<(&'static str, String, String)> {
    let told = |row: &TransferRow| {
        [
            ("block_time", row.block_time.to_string()),
            ("tx_index", row.tx_index.to_string()),
            ("token", hex::encode_prefixed(row.token)),
            ("sender", hex::encode_prefixed(row.sender)),
            ("recipient", hex::encode_prefixed(row.recipient)),
            ("amount", amount(row).to_string()),
            ("memo", hex::encode_prefixed(row.memo)),
            (
                "kind",
                row.transfer()
                    .map_or("unknown", |transfer| transfer.kind.as_str())
                    .to_owned(),
            ),
        ]
    };
    told(chain)
        .into_iter()
        .zip(told(index))
        .filter(|((_, chain), (_, index))| chain != index)
        .map(|((column, chain), (_, index))| (column, chain, index))
        .collect()
}
