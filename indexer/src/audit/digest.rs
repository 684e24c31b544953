//! A set of rows as one number, whatever their order.
//!
//! Sums of hashes: two sets of rows with the same sum and size are the same but for a chance of one in 2^256. Unlike with
//! exclusive or, a row that is there twice does not vanish.

use alloy::primitives::{Keccak256, U256};
use x402_schemas::index::TransferRow;

/// How many rows and the sum of their hashes, over keys and values but not over which batch wrote them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Digest {
    rows: u64,
    sum: U256,
}

impl Digest {
    pub(super) fn of<'a>(rows: impl IntoIterator<Item = &'a TransferRow>) -> Self {
        let mut digest = Self::default();
        for row in rows {
            digest.add(row);
        }
        digest
    }

    pub(super) fn add(&mut self, row: &TransferRow) {
        self.rows = self.rows.saturating_add(1);
        self.sum = self.sum.wrapping_add(hash(row));
    }

    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }
}

/// Every column is of fixed length, so no two rows have the same bytes.
fn hash(row: &TransferRow) -> U256 {
    let mut hasher = Keccak256::new();
    hasher.update(row.chain_id.to_be_bytes());
    hasher.update(row.block_number.to_be_bytes());
    hasher.update(row.log_index.to_be_bytes());
    hasher.update(row.block_hash);
    hasher.update(row.block_time.to_be_bytes());
    hasher.update(row.tx_hash);
    hasher.update(row.tx_index.to_be_bytes());
    hasher.update(row.token);
    hasher.update(row.sender);
    hasher.update(row.recipient);
    hasher.update(row.amount.to_le_bytes());
    hasher.update(row.memo);
    hasher.update(row.kind.to_be_bytes());
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::tests::row;

    type Change = fn(&mut TransferRow);

    #[test]
    fn every_column_but_the_batch_counts() {
        let honest = row(7, 3);
        let changes: [Change; 13] = [
            |row| row.chain_id = 2,
            |row| row.block_number = 8,
            |row| row.log_index = 4,
            |row| row.block_hash[31] ^= 1,
            |row| row.block_time ^= 1,
            |row| row.tx_hash[0] ^= 1,
            |row| row.tx_index ^= 1,
            |row| row.token[0] ^= 1,
            |row| row.sender[0] ^= 1,
            |row| row.recipient[0] ^= 1,
            |row| row.amount = clickhouse::types::UInt256::from_le_bytes([9; 32]),
            |row| row.memo[0] ^= 1,
            |row| row.kind = 2,
        ];
        for change in changes {
            let mut other = honest;
            change(&mut other);
            assert_ne!(Digest::of([&honest]), Digest::of([&other]), "{other:?}");
        }
        let later = TransferRow {
            version: 99,
            ..honest
        };
        assert_eq!(Digest::of([&honest]), Digest::of([&later]));
        assert_ne!(
            Digest::of([&honest, &honest]),
            Digest::of(std::iter::empty())
        );
    }

    proptest! {
        #[test]
        fn order_does_not_matter(places in proptest::collection::vec((0_u64..50, 0_u32..5), 0..30)) {
            let rows: Vec<_> = places.iter().map(|(number, index)| row(*number, *index)).collect();
            prop_assert_eq!(Digest::of(&rows), Digest::of(rows.iter().rev()));
        }
    }
}
