//! What tests start from: one good payment, its proof and the request that asks for it. Each test
//! breaks one thing.

use alloy_primitives::{Address, B256, address};
use jiff::Timestamp;
use jsonwebtoken::jwk::JwkSet;
use x402_schemas::{
    api::{
        confirmations::Confirmations,
        directory::{Directory, DirectoryKey, DirectoryProvider},
        owner::Payee,
        provider::VerifyRequest,
    },
    index::Tip,
    invoice::InvoiceDomain,
    network::Network,
    proof::{LIFETIME_SECONDS, ProofClaims, ProofSigner},
    transfer::{Transfer, TransferId, TransferKind},
};
use x402_service::api_key::{ApiKey, KeyKind, Pepper};

use crate::verdict::{Served, Statement};

pub(crate) const TOKEN: Address = address!("8ccedbAe4916b79da7F3F612EfB2EB93A2bFD6cF");
pub(crate) const PAYEE: Address = address!("00000000000000000000000000000000000000aa");
pub(crate) const PAYER: Address = address!("00000000000000000000000000000000000000bb");
pub(crate) const ISSUER: &str = "https://gateway.example.com";
pub(crate) const PROVIDER: &str = "prov_1";
pub(crate) const BLOCK: u64 = 100;
pub(crate) const SERVED: Served = Served {
    network: Network::DEVNET,
    token: TOKEN,
    block_time_ms: 12_000,
    max_age_seconds: None,
};
fn pepper() -> Pepper {
    Pepper::new(B256::repeat_byte(9))
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The time of everything below.
pub(crate) fn now() -> Timestamp {
    at(1_700_000_000)
}

/// Claims whose proof was signed at `signed_at`; `number` tells payments apart.
pub(crate) fn claims(number: u8, signed_at: u64) -> ProofClaims {
    ProofClaims {
        iss: ISSUER.into(),
        sub: format!("pay_{number}"),
        iat: signed_at,
        exp: signed_at.saturating_add(LIFETIME_SECONDS),
        invoice_id: format!("inv_{number}").parse().unwrap(),
        amount: "0.05".parse().unwrap(),
        asset: TOKEN,
        pay_to: PAYEE,
        payer: PAYER,
        network: Network::DEVNET,
        tx_hash: B256::repeat_byte(number),
        log_index: 3,
        block_number: BLOCK,
        resource: "GET https://api.example.com/report".parse().unwrap(),
    }
}

/// Of the invoices that are served.
pub(crate) fn domain() -> InvoiceDomain {
    InvoiceDomain::new(SERVED.network, SERVED.token)
}

/// The transfer that these claims stand on.
pub(crate) fn transfer(claims: &ProofClaims) -> Transfer {
    Transfer {
        id: TransferId {
            network: claims.network,
            tx_hash: claims.tx_hash,
            log_index: claims.log_index,
        },
        block_number: claims.block_number,
        block_hash: B256::repeat_byte(0xb0),
        block_time: claims.iat,
        token: claims.asset,
        from: claims.payer,
        to: claims.pay_to,
        amount: claims.amount,
        memo: Some(Statement::of(String::new(), claims.clone()).invoice_hash(&domain())),
        kind: TransferKind::Payment,
    }
}

/// The request of the provider that asked for this payment.
pub(crate) fn request(claims: &ProofClaims, proof: String) -> VerifyRequest {
    VerifyRequest {
        proof,
        invoice_id: claims.invoice_id.clone(),
        amount: Some(claims.amount),
        pay_to: Some(claims.pay_to),
        network: Some(claims.network),
        resource: Some(claims.resource.clone()),
        min_confirmations: None,
        finalized: None,
        wait_ms: None,
        claim: None,
        attempt: None,
    }
}

/// An index that ends at `block`, with its clock at the tests' time.
pub(crate) fn tip(seq: u64, block: u64) -> Tip {
    Tip {
        seq,
        block_number: block,
        block_hash: B256::repeat_byte(0xb1),
        block_time: 1_700_000_000,
        finalized: block.saturating_sub(64),
    }
}

pub(crate) fn signer(seed: u8) -> ProofSigner {
    ProofSigner::from_seed(&[seed; 32]).unwrap()
}

/// A provider of the directory with these payees, and its key.
pub(crate) fn provider(id: &str, payees: &[Address]) -> (DirectoryProvider, ApiKey) {
    let key = ApiKey::generate(KeyKind::Provider).unwrap();
    let provider = DirectoryProvider {
        provider_id: id.into(),
        payees: payees.iter().copied().map(Payee).collect(),
        keys: vec![DirectoryKey {
            key_id: key.key_id().to_owned(),
            hash: key.hash(&pepper()),
            ends_at: None,
        }],
        confirmations: Confirmations::default(),
    };
    (provider, key)
}

/// The directory of a gateway with this signer.
pub(crate) fn directory(
    seq: u64,
    signer: &ProofSigner,
    providers: Vec<DirectoryProvider>,
) -> Directory {
    Directory {
        seq,
        provider_key_pepper: pepper().expose(),
        issuer: ISSUER.into(),
        jwks: JwkSet {
            keys: vec![signer.public_key().clone()],
        },
        providers,
    }
}
