//! Treasuries: Web3 keystore files (version 3, scrypt) and what is signed with them.
//!
//! The key and its passphrase stay on this machine. Only signatures leave it: one that attaches the
//! treasury to a workspace, and transactions that set what the workspace's spender may move or give it
//! ether for gas.

use std::path::Path;

use alloy::{
    consensus::{SignableTransaction, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718,
    network::TxSignerSync,
    primitives::{Address, Bytes, TxKind, U256},
    signers::{
        SignerSync,
        k256::elliptic_curve::rand_core::OsRng,
        local::{LocalSignerError, PrivateKeySigner},
    },
    sol,
    sol_types::SolCall,
};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use x402_schemas::{
    amount::Amount,
    api::owner::{TreasuryView, attachment_hash},
    network::Network,
};

/// What setting an allowance may burn: MNEE behind its proxy takes under 60,000.
const APPROVE_GAS_LIMIT: u64 = 100_000;

/// What giving ether to an account without code takes.
const TRANSFER_GAS: u64 = 21_000;

sol! {
    function approve(address spender, uint256 amount) external returns (bool);
}

/// A treasury's key, unlocked.
#[derive(Debug)]
pub struct Wallet {
    signer: PrivateKeySigner,
}

/// Why a wallet cannot be used.
#[derive(Debug, Error)]
pub enum WalletError {
    /// A file of that name is there already; it may hold money.
    #[error("{0} exists; a keystore is never overwritten, choose another name")]
    Exists(String),
    /// The path names no file.
    #[error("{0} is not a file name")]
    NotAFile(String),
    /// Wrong passphrase, or no keystore, or not readable.
    #[error("the keystore cannot be opened; is the passphrase right?")]
    Keystore(#[source] LocalSignerError),
    /// The key did not sign.
    #[error("the key could not sign")]
    Signing(#[source] alloy::signers::Error),
    /// The gateway told something unusable about the treasury.
    #[error("the gateway's answer about the treasury has no usable {0}")]
    Answer(&'static str),
}

impl Wallet {
    /// Makes a new key and writes it, encrypted, to a file that must not exist yet.
    pub fn create(path: &Path, passphrase: &SecretString) -> Result<Self, WalletError> {
        let shown = path.display().to_string();
        if path.exists() {
            return Err(WalletError::Exists(shown));
        }
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| WalletError::NotAFile(shown.clone()))?;
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or_else(|| Path::new("."));
        let (signer, _) = PrivateKeySigner::new_keystore(
            folder,
            &mut OsRng,
            passphrase.expose_secret(),
            Some(name),
        )
        .map_err(WalletError::Keystore)?;
        Ok(Self { signer })
    }

    /// Decrypts a keystore file.
    pub fn open(path: &Path, passphrase: &SecretString) -> Result<Self, WalletError> {
        let signer = PrivateKeySigner::decrypt_keystore(path, passphrase.expose_secret())
            .map_err(WalletError::Keystore)?;
        Ok(Self { signer })
    }

    /// The treasury's address.
    pub const fn address(&self) -> Address {
        self.signer.address()
    }

    /// Says that this treasury belongs to the workspace: 65 bytes over the EIP-712 attachment.
    pub fn sign_attachment(
        &self,
        workspace_id: &str,
        network: Network,
        token: Address,
    ) -> Result<Bytes, WalletError> {
        let hash = attachment_hash(workspace_id, self.address(), network, token);
        let signature = self
            .signer
            .sign_hash_sync(&hash)
            .map_err(WalletError::Signing)?;
        Ok(Bytes::from(signature.as_bytes()))
    }

    /// A signed transaction that lets the workspace's spender move up to `allowance`, replacing what
    /// it may move now. Zero revokes.
    pub fn sign_approval(
        &self,
        treasury: &TreasuryView,
        allowance: Amount,
    ) -> Result<Bytes, WalletError> {
        let call = approveCall {
            spender: treasury.spender,
            amount: allowance.base_units(),
        };
        self.sign_transaction(TxEip1559 {
            gas_limit: APPROVE_GAS_LIMIT,
            to: TxKind::Call(treasury.token),
            input: Bytes::from(call.abi_encode()),
            ..bidding(treasury)?
        })
    }

    /// A signed transaction that gives the workspace's spender so much ether, in wei, for gas. `from` is
    /// the treasury as the chain has it, or another account of this key with its own nonce in its place.
    pub fn sign_top_up(&self, from: &TreasuryView, wei: U256) -> Result<Bytes, WalletError> {
        self.sign_transaction(TxEip1559 {
            gas_limit: TRANSFER_GAS,
            to: TxKind::Call(from.spender),
            value: wei,
            ..bidding(from)?
        })
    }

    fn sign_transaction(&self, mut transaction: TxEip1559) -> Result<Bytes, WalletError> {
        let signature = self
            .signer
            .sign_transaction_sync(&mut transaction)
            .map_err(WalletError::Signing)?;
        Ok(Bytes::from(
            TxEnvelope::from(transaction.into_signed(signature)).encoded_2718(),
        ))
    }
}

/// A transaction with the nonce and the bid that the gateway tells.
fn bidding(treasury: &TreasuryView) -> Result<TxEip1559, WalletError> {
    let wei = |text: &str, what| text.parse().map_err(|_| WalletError::Answer(what));
    Ok(TxEip1559 {
        chain_id: treasury.network.chain_id(),
        nonce: treasury.nonce,
        max_fee_per_gas: wei(&treasury.max_fee_per_gas_wei, "maxFeePerGasWei")?,
        max_priority_fee_per_gas: wei(
            &treasury.max_priority_fee_per_gas_wei,
            "maxPriorityFeePerGasWei",
        )?,
        ..TxEip1559::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wallet_opens_with_its_passphrase_only_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("treasury.json");
        let passphrase = SecretString::from("correct horse");
        let created = Wallet::create(&path, &passphrase).unwrap();
        assert_eq!(
            Wallet::open(&path, &passphrase).unwrap().address(),
            created.address()
        );
        assert!(matches!(
            Wallet::open(&path, &SecretString::from("wrong")),
            Err(WalletError::Keystore(_))
        ));
        assert!(matches!(
            Wallet::create(&path, &passphrase),
            Err(WalletError::Exists(_))
        ));
        assert!(
            !std::fs::read_to_string(&path)
                .unwrap()
                .contains("correct horse")
        );
    }
}
