//! One account per workspace, derived from the master seed: it spends what the workspace's treasury
//! approved, and pays the gas.
//!
//! Nothing of it is stored but its address. Another source of keys would replace this file alone.

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718,
    network::TxSignerSync,
    primitives::{Address, B256, Bytes},
    signers::local::PrivateKeySigner,
};
use thiserror::Error;

use crate::seed::{Seed, SeedError};

/// A random 32 bytes is no valid key once in 2^128 times; more than one retry never happens.
const MAX_TRIES: u8 = 8;

/// A workspace's spender.
#[derive(Debug)]
pub(crate) struct Spender {
    signer: PrivateKeySigner,
}

/// A transaction that is ready to be sent, any number of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignedTransaction {
    /// The EIP-2718 bytes.
    pub(crate) raw: Bytes,
    /// Their hash.
    pub(crate) hash: B256,
}

/// Why a spender cannot sign.
#[derive(Debug, Error)]
pub(crate) enum SpenderError {
    /// No key came out of the seed.
    #[error("the spender's key could not be derived")]
    Derivation(#[from] SeedError),
    /// No valid key within the tries.
    #[error("the seed gives no valid key for this workspace")]
    NoKey,
    /// The signature failed.
    #[error("the transaction could not be signed")]
    Signature(#[from] alloy::signers::Error),
}

/// Each treasury with its workspace's spender, given the workspaces' numbers.
pub(crate) fn pairs(
    seed: &Seed,
    paying: &[(i64, String, Address)],
) -> Result<Vec<(Address, Address)>, SpenderError> {
    paying
        .iter()
        .map(|(number, _, treasury)| {
            let spender = Spender::of_workspace(seed, *number)?;
            Ok((*treasury, spender.address()))
        })
        .collect()
}

impl Spender {
    /// The spender of workspace `number`.
    pub(crate) fn of_workspace(seed: &Seed, number: i64) -> Result<Self, SpenderError> {
        for attempt in 0..MAX_TRIES {
            let bytes = seed.derive(&format!("spender/{number}/{attempt}"))?;
            if let Ok(signer) = PrivateKeySigner::from_bytes(&bytes) {
                return Ok(Self { signer });
            }
        }
        Err(SpenderError::NoKey)
    }

    /// Its account.
    pub(crate) const fn address(&self) -> Address {
        self.signer.address()
    }

    /// Signs one transaction.
    pub(crate) fn sign(
        &self,
        mut transaction: TxEip1559,
    ) -> Result<SignedTransaction, SpenderError> {
        let signature = self.signer.sign_transaction_sync(&mut transaction)?;
        let signed = transaction.into_signed(signature);
        let hash = *signed.hash();
        Ok(SignedTransaction {
            raw: TxEnvelope::from(signed).encoded_2718().into(),
            hash,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_workspace_has_a_spender_of_its_own_for_ever() {
        let seed = Seed::from_bytes(&B256::repeat_byte(7));
        let address = |number| Spender::of_workspace(&seed, number).unwrap().address();
        assert_eq!(address(1), address(1));
        assert_ne!(address(1), address(2));
        let other_seed = Seed::from_bytes(&B256::repeat_byte(8));
        assert_ne!(
            address(1),
            Spender::of_workspace(&other_seed, 1).unwrap().address()
        );
    }
}
