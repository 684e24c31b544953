//! Token transfers as the chain recorded them.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::{amount::Amount, network::Network};

/// Names one transfer on one network for ever: a transaction may carry several, so the log counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransferId {
    /// The chain.
    pub network: Network,
    /// The transaction.
    pub tx_hash: B256,
    /// The log's index within its block.
    pub log_index: u32,
}

/// One canonical `Transfer` log of the token, with what the indexer learned around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Which transfer.
    pub id: TransferId,
    /// The block that holds it.
    pub block_number: u64,
    /// That block's hash: another fork's block of the same number is another block.
    pub block_hash: B256,
    /// That block's time, Unix seconds.
    pub block_time: u64,
    /// The token contract.
    pub token: Address,
    /// Whose balance fell.
    pub from: Address,
    /// Whose balance rose.
    pub to: Address,
    /// By how much.
    pub amount: Amount,
    /// The invoice hash that the payment's calldata carried, if any.
    pub memo: Option<B256>,
    /// What moved it.
    pub kind: TransferKind,
}

/// What moved the tokens. Only a payment can pay an invoice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransferKind {
    /// An owner, or a spender that the owner approved, moved them.
    Payment,
    /// Created: `from` is the zero address.
    Mint,
    /// Destroyed: `to` is the zero address.
    Burn,
    /// Seized by the issuer (`FundsConfiscated` in the same transaction).
    Confiscation,
    /// Recovered from the token contract itself.
    Rescue,
}

impl TransferKind {
    /// Every kind there is.
    pub const ALL: [Self; 5] = [
        Self::Payment,
        Self::Mint,
        Self::Burn,
        Self::Confiscation,
        Self::Rescue,
    ];

    /// The word stored in the index and used as a metric label.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Mint => "mint",
            Self::Burn => "burn",
            Self::Confiscation => "confiscation",
            Self::Rescue => "rescue",
        }
    }
}
