//! Rows as ClickHouse stores them. Binary columns, never hex; field order is column order.

use alloy_primitives::{Address, B256, U256};
use clickhouse::{Row, types::UInt256};
use serde::{Deserialize, Serialize};

use crate::{
    amount::Amount,
    network::Network,
    transfer::{Transfer, TransferId, TransferKind},
};

/// The tables of transfers: the same rows in the order of blocks and in the order of transactions. The indexer writes both
/// side by side; a view from one to the other would make a live block wait for one insert after the other.
pub const TRANSFER_TABLES: [&str; 2] = ["transfers", "transfers_by_tx"];

/// A row of `transfers` and `transfers_by_tx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "columns are described in the migration")]
pub struct TransferRow {
    pub chain_id: u64,
    pub block_number: u64,
    pub log_index: u32,
    pub block_hash: [u8; 32],
    pub block_time: u32,
    pub tx_hash: [u8; 32],
    pub tx_index: u32,
    pub token: [u8; 20],
    pub sender: [u8; 20],
    pub recipient: [u8; 20],
    pub amount: UInt256,
    pub memo: [u8; 32],
    pub kind: i8,
    pub version: u64,
    pub is_deleted: u8,
}

/// A row of `blocks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "columns are described in the migration")]
pub struct BlockRow {
    pub chain_id: u64,
    pub number: u64,
    pub hash: [u8; 32],
    pub parent_hash: [u8; 32],
    pub time: u32,
    pub version: u64,
    pub is_deleted: u8,
}

/// A row of `commits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Row, Serialize, Deserialize)]
#[expect(missing_docs, reason = "columns are described in the migration")]
pub struct CommitRow {
    pub chain_id: u64,
    pub seq: u64,
    pub from_block: u64,
    pub to_block: u64,
    pub tip_number: u64,
    pub tip_hash: [u8; 32],
    pub tip_parent: [u8; 32],
    pub tip_time: u32,
    pub finalized: u64,
    pub rows: u64,
    pub retracted: u64,
    /// Unix milliseconds.
    pub written_at: i64,
}

impl TransferRow {
    /// The row that adds (`retracted` false) or removes a transfer in batch `version`.
    pub fn new(transfer: &Transfer, tx_index: u32, version: u64, retracted: bool) -> Self {
        Self {
            chain_id: transfer.id.network.chain_id(),
            block_number: transfer.block_number,
            log_index: transfer.id.log_index,
            block_hash: transfer.block_hash.0,
            block_time: u32::try_from(transfer.block_time).unwrap_or(u32::MAX),
            tx_hash: transfer.id.tx_hash.0,
            tx_index,
            token: transfer.token.into_array(),
            sender: transfer.from.into_array(),
            recipient: transfer.to.into_array(),
            amount: UInt256::from_le_bytes(transfer.amount.base_units().to_le_bytes()),
            memo: transfer.memo.unwrap_or_default().0,
            kind: kind_code(transfer.kind),
            version,
            is_deleted: u8::from(retracted),
        }
    }

    /// The same row as a tombstone of batch `version`.
    #[must_use]
    pub const fn tombstone(self, version: u64) -> Self {
        Self {
            version,
            is_deleted: 1,
            ..self
        }
    }

    /// What the row says, or `None` if its kind is from a newer schema.
    pub fn transfer(&self) -> Option<Transfer> {
        let memo = B256::new(self.memo);
        Some(Transfer {
            id: TransferId {
                network: Network::from_chain_id(self.chain_id),
                tx_hash: B256::new(self.tx_hash),
                log_index: self.log_index,
            },
            block_number: self.block_number,
            block_hash: B256::new(self.block_hash),
            block_time: u64::from(self.block_time),
            token: Address::new(self.token),
            from: Address::new(self.sender),
            to: Address::new(self.recipient),
            amount: Amount::from_base_units(U256::from_le_bytes(self.amount.to_le_bytes())),
            memo: (!memo.is_zero()).then_some(memo),
            kind: kind_from_code(self.kind)?,
        })
    }
}

const fn kind_code(kind: TransferKind) -> i8 {
    match kind {
        TransferKind::Payment => 1,
        TransferKind::Mint => 2,
        TransferKind::Burn => 3,
        TransferKind::Confiscation => 4,
        TransferKind::Rescue => 5,
    }
}

fn kind_from_code(code: i8) -> Option<TransferKind> {
    TransferKind::ALL
        .into_iter()
        .find(|kind| kind_code(*kind) == code)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_transfer_survives_the_trip_through_its_row(limbs: [u64; 4], hash: [u8; 32], party: [u8; 20], log_index: u32, number: u64, time: u32, kind in 0_usize..5) {
            let transfer = Transfer {
                id: TransferId { network: Network::DEVNET, tx_hash: B256::new(hash), log_index },
                block_number: number,
                block_hash: B256::new(hash),
                block_time: u64::from(time),
                token: Address::new(party),
                from: Address::new(party),
                to: Address::ZERO,
                amount: Amount::from_base_units(U256::from_limbs(limbs)),
                memo: (hash != [0; 32]).then_some(B256::new(hash)),
                kind: TransferKind::ALL[kind],
            };
            prop_assert_eq!(TransferRow::new(&transfer, 0, 1, false).transfer(), Some(transfer));
        }
    }

    #[test]
    fn the_tables_enum_has_every_kind_under_its_code() {
        let sql = include_str!("../../migrations/clickhouse/0001_transfers.sql");
        for kind in TransferKind::ALL {
            assert!(
                sql.contains(&format!("'{}' = {}", kind.as_str(), kind_code(kind))),
                "{kind:?}"
            );
        }
    }
}
