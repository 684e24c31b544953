//! Made-up payments: providers with real keys, real proofs, and the transfers that they stand on.

use std::sync::Arc;

use alloy::primitives::{Address, B256, keccak256};
use x402_schemas::{
    invoice::Invoice,
    network::Network,
    proof::{LIFETIME_SECONDS, ProofClaims, ProofSigner},
    transfer::{Transfer, TransferId, TransferKind},
};
use x402_service::{
    api_key::{ApiKey, KeyKind},
    clock,
};

/// The token of the verifier's index.
pub const TOKEN: &str = "0x8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF";

/// The gateway that every proof names.
pub const ISSUER: &str = "https://gateway.example.com";

/// An address that every seller is paid at.
pub const SHARED_PAYEE: Address = Address::repeat_byte(0xcc);

/// What every payment pays, in MNEE.
pub const PRICE: &str = "0.05";

/// Payments in one block.
const PER_BLOCK: u64 = 100;

/// Threads that sign: as many as the machine is expected to have.
const SIGNERS: usize = 2;

/// A provider: it is paid at one address and asks with one key.
#[derive(Debug)]
pub struct Seller {
    /// Its id.
    pub id: String,
    /// Its key.
    pub key: ApiKey,
    /// Its own address; besides it, each is paid at [`SHARED_PAYEE`].
    pub payee: Address,
}

/// Whom payments pay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paid {
    /// Each one its own seller.
    EachSeller,
    /// All of them the address that the sellers share, so that any seller may claim any payment.
    SharedPayee,
}

/// Payments by their number.
#[derive(Debug)]
pub struct Payments {
    /// Providers.
    pub sellers: Vec<Seller>,
    /// The gateway's proof key.
    pub signer: ProofSigner,
    paid: Paid,
    signed_at: u64,
}

impl Payments {
    /// Payments to so many sellers.
    pub fn to(sellers: u64, paid: Paid) -> Arc<Self> {
        let sellers = (0..sellers).map(|number| Seller {
            id: format!("prov_{number:024x}"),
            key: ApiKey::generate(KeyKind::Provider).unwrap(),
            payee: Address::left_padding_from(&(0xbeef_0000 + number).to_be_bytes()),
        });
        Arc::new(Self {
            sellers: sellers.collect(),
            signer: ProofSigner::from_seed(&[7; 32]).unwrap(),
            paid,
            signed_at: now(),
        })
    }

    /// Who is paid by this payment.
    pub fn seller(&self, number: u64) -> &Seller {
        &self.sellers[usize::try_from(number).unwrap() % self.sellers.len()]
    }

    /// The address that it pays.
    pub fn pay_to(&self, number: u64) -> Address {
        match self.paid {
            Paid::EachSeller => self.seller(number).payee,
            Paid::SharedPayee => SHARED_PAYEE,
        }
    }

    /// The transfer, with its invoice's hash as the memo.
    pub fn transfer(&self, number: u64) -> Transfer {
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
    pub fn claims(&self, number: u64) -> ProofClaims {
        let id = id(number);
        ProofClaims {
            iss: ISSUER.to_owned(),
            sub: payment_id(number),
            iat: self.signed_at,
            exp: self.signed_at + LIFETIME_SECONDS,
            invoice_id: invoice_id(number).parse().unwrap(),
            amount: PRICE.parse().unwrap(),
            asset: TOKEN.parse().unwrap(),
            pay_to: self.pay_to(number),
            payer: Address::repeat_byte(0xaa),
            network: id.network,
            tx_hash: id.tx_hash,
            log_index: id.log_index,
            block_number: block(number),
            resource: resource(number).parse().unwrap(),
        }
    }

    /// Its proof.
    pub fn proof(&self, number: u64) -> String {
        self.signer.sign(&self.claims(number)).unwrap()
    }

    /// The transfers of these payments, in order.
    pub fn transfers(&self, numbers: std::ops::Range<u64>) -> Vec<Transfer> {
        numbers.map(|number| self.transfer(number)).collect()
    }

    /// The proofs of these payments, in order.
    pub fn proofs(&self, numbers: std::ops::Range<u64>) -> Vec<String> {
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
pub fn payment_id(number: u64) -> String {
    format!("pay_{number:024x}")
}

/// Names its invoice, as long as `sdk/server` makes them.
pub fn invoice_id(number: u64) -> String {
    format!("inv_{number:064x}")
}

/// What it buys.
pub fn resource(number: u64) -> String {
    format!("GET https://api.example.com/v1/reports/{}", number % 100)
}

/// The block that holds it.
pub const fn block(number: u64) -> u64 {
    1 + number / PER_BLOCK
}

/// A block's hash.
pub fn block_hash(number: u64) -> B256 {
    keccak256(format!("block {number}"))
}

/// Unix seconds.
pub fn now() -> u64 {
    clock::unix_seconds(clock::now())
}

fn id(number: u64) -> TransferId {
    TransferId {
        network: Network::DEVNET,
        tx_hash: keccak256(format!("transaction {number}")),
        log_index: u32::try_from(number % PER_BLOCK).unwrap(),
    }
}
