//! A market without a chain: payments in any number, their proofs, the gateway and the index as the verifier sees them.
//!
//! For what takes more payments than a chain node makes in the time of a test. The verifier is the real binary and the
//! index a real ClickHouse, with rows as the indexer writes them; the gateway serves what verifiers follow from memory.

#![expect(
    clippy::arithmetic_side_effects,
    reason = "numbers of payments and blocks stay far from any limit"
)]

/// Providers, proofs and transfers.
pub mod payments;

/// What the verifier follows of the gateway.
pub mod gateway;

/// What it reads of the chain.
pub mod index;

/// The verifier, a process of its own.
pub mod verifier;
