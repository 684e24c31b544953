//! Hostile input for what reads proofs and requests: real ones, broken in the ways that attackers and accidents break them.
//!
//! A short run with every `cargo test`; a long one, each case a new seed, with
//! `PROPTEST_CASES=2000000 cargo test --release -p x402-tests --test fuzz`.
//! A case that fails is printed in its smallest form. The properties: nothing panics, no text but one that was signed is
//! taken for a proof, and no request is understood in two ways.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on fails, and its indices are taken modulo a length"
)]

/// How text and JSON are broken.
mod mutation;

/// Compact JWS to what it states.
mod proofs;

/// Bodies to requests.
mod requests;

/// The whole verifier over HTTP.
mod verifier;
