//! Made-up payments: providers with real keys, real proofs, and the transfers that they stand on.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use alloy::primitives::{Address, B256, keccak256};
use x402_schemas::{
    invoice::Invoice,
    network::Network,
    proof::{LIFETIME_SECONDS, ProofClaims, ProofSigner},
    transfer::{Transfer, TransferId, TransferKind},
};
use x402_service::api_key::{ApiKey, KeyKind};

/// The token of the verifier's index.
pub(crate) const TOKEN: &str = "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF";

/// The gateway that every proof names.
pub(crate) const ISSUER: &str = "https://gateway.example.com";

/// What every payment pays, in MNEE.
pub(crate) const PRICE: &str = "0.05";

/// Providers that sell.
const PROVIDERS: u64 = 20;

/// Payments in one block.
pub(crate) const PER_BLOCK: u64 = 100;

/// Threads that sign: as many as the machine is expected to have.
const SIGNERS: usize = 2;

/// A provider: it is paid at one address and asks with one key.
#[derive(Debug)]
pub(crate) struct Seller {
    pub(crate) id: String,
    pub(crate) key: ApiKey,
    pub(crate) payee: Address,
}

/// Payments by their number.
#[derive(Debug)]
pub(crate) struct Payments {
    pub(crate) sellers: Vec<Seller>,
    pub(crate) signer: ProofSigner,
    signed_at: u64,
}

impl Payments {
    pub(crate) fn new() -> Arc<Self> {
        let sellers = (0..PROVIDERS).map(|number| Seller {
            id: format!("prov_{number:024x}"),
            key: ApiKey::generate(KeyKind::Provider).unwrap(),
            payee: Address::left_padding_from(&(0xbeef_0000 + number).to_be_bytes()),
        });
        Arc::new(Self {
            sellers: sellers.collect(),
            signer: ProofSigner::from_seed(&[7; 32]).unwrap(),
            signed_at: now(),
        })
    }

    /// Who is paid by this payment.
    pub(crate) fn seller(&self, number: u64) -> &Seller {
        &self.sellers[index(number % PROVIDERS)]
    }

    /// The transfer, with its invoice's hash as the memo.
    pub(crate) fn transfer(&self, number: u64) -> Transfer {
        let claims = self.claims(number);
        let invoice = Invoice {
            id: claims.invoice_id.clone(),
            pay_to: claims.pay_to,
            amount: claims.amount,
            resource: claims.resource.clone(),
        };
        Transfer {
            id: claims.transfer_id(),
            block_number: claims.block_number,
            block_hash: block_hash(claims.block_number),
            block_time: self.signed_at - 60,
            token: claims.asset,
            from: claims.payer,
            to: claims.pay_to,
            amount: claims.amount,
            memo: Some(invoice.hash(claims.network, claims.asset)),
            kind: TransferKind::Payment,
        }
    }

    /// What its proof states.
    pub(crate) fn claims(&self, number: u64) -> ProofClaims {
        let id = id(number);
        ProofClaims {
            iss: ISSUER.to_owned(),
            sub: payment_id(number),
            iat: self.signed_at,
            exp: self.signed_at + LIFETIME_SECONDS,
            invoice_id: invoice_id(number).parse().unwrap(),
            amount: PRICE.parse().unwrap(),
            asset: TOKEN.parse().unwrap(),
            pay_to: self.seller(number).payee,
            payer: Address::repeat_byte(0xaa),
            network: id.network,
            tx_hash: id.tx_hash,
            log_index: id.log_index,
            block_number: block(number),
            resource: resource(number).parse().unwrap(),
        }
    }

    /// Its proof.
    pub(crate) fn proof(&self, number: u64) -> String {
        self.signer.sign(&self.claims(number)).unwrap()
    }

    /// The proofs of these payments, in order.
    pub(crate) fn proofs(&self, numbers: std::ops::Range<u64>) -> Vec<String> {
        let numbers: Vec<u64> = numbers.collect();
        let share = numbers.len().div_ceil(SIGNERS).max(1);
        std::thread::scope(|scope| {
            let signing: Vec<_> = numbers
                .chunks(share)
                .map(|numbers| {
                    scope.spawn(|| numbers.iter().map(|number| self.proof(*number)).collect())
                })
                .collect();
            let signed = signing.into_iter();
            signed
                .flat_map(|thread| -> Vec<String> { thread.join().unwrap() })
                .collect()
        })
    }
}

/// Names the payment.
pub(crate) fn payment_id(number: u64) -> String {
    format!("pay_{number:024x}")
}

/// Names its invoice, as long as `sdk/server` makes them.
pub(crate) fn invoice_id(number: u64) -> String {
    format!("inv_{number:064x}")
}

/// What it buys.
pub(crate) fn resource(number: u64) -> String {
    format!("GET https://api.example.com/v1/reports/{}", number % 100)
}

/// The block that holds it.
pub(crate) const fn block(number: u64) -> u64 {
    1 + number / PER_BLOCK
}

/// A block's hash.
pub(crate) fn block_hash(number: u64) -> B256 {
    keccak256(format!("block {number}"))
}

/// Unix seconds.
pub(crate) fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn id(number: u64) -> TransferId {
    TransferId {
        network: Network::DEVNET,
        tx_hash: keccak256(format!("transaction {number}")),
        log_index: u32::try_from(number % PER_BLOCK).unwrap(),
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}
