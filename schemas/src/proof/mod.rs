//! Proofs: signed statements that a payment was made.
//!
//! A proof is a compact JWS (RFC 7515) with EdDSA over Ed25519, `typ: x402-proof+jwt` and a `kid`
//! of the gateway's JWKS (RFC 7517). It says who paid whom, for what, and where on the chain. The
//! signature says that the gateway said so; whether money moved only the index says.

/// What a proof states.
pub mod claims;

/// Making proofs.
pub mod sign;

/// Reading proofs: signature and form, never the chain.
pub mod read;

use alloy_primitives::B256;
use aws_lc_rs::digest::{self, SHA256};

pub use claims::ProofClaims;
pub use read::{ProofError, ProofKeys};
pub use sign::ProofSigner;

/// The `typ` of a proof's header.
pub const TYPE: &str = "x402-proof+jwt";

/// Seconds that a proof is good for.
pub const LIFETIME_SECONDS: u64 = 24 * 60 * 60;

/// The longest proof that is read at all; a real one has under 1,500 characters plus its resource.
pub const MAX_LEN: usize = 8_192;

/// SHA-256 of a proof as it travels. Equal digests are equal proofs, signature included.
pub fn digest(proof: &str) -> B256 {
    let digest = digest::digest(&SHA256, proof.as_bytes());
    B256::from_slice(digest.as_ref())
}

#[cfg(test)]
mod tests;
