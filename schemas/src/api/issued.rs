//! What verifiers follow beside the directory: `GET /internal/proofs`, with the services' shared token.
//!
//! The gateway publishes the digest of each proof that it issues. A verifier that knows a proof's
//! digest knows who signed it and need not check the signature; one that does not know it checks.
//! A long poll that answers when there is something after `after`, or empty when the wait ends.

use alloy_primitives::B256;
use serde::{Deserialize, Serialize};

/// The most digests of one answer.
pub const MAX_ISSUED: usize = 10_000;

/// The query of `GET /internal/proofs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct IssuedQuery {
    /// The newest number that the verifier has; 0 for none.
    pub after: u64,
    /// How long to wait for a newer one.
    pub wait_ms: u64,
}

/// Proofs that the gateway issued: at most [`MAX_ISSUED`], in ascending order, none left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issued {
    /// The newest number that the gateway has given; 0 for none. Below `after`: the gateway has lost
    /// its ledger, and the verifier starts over from 0.
    pub newest: u64,
    /// The digests after `after`. The next question takes the last of their numbers.
    pub proofs: Vec<IssuedProof>,
}

/// A proof that the gateway issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IssuedProof {
    /// Given in the transaction that stored the proof; grows, with gaps, and is never given twice.
    pub number: u64,
    /// [`digest`](crate::proof::digest) of the proof.
    pub digest: B256,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_feed_reads_as_verifiers_expect_it() {
        let json = r#"{"newest":7,"proofs":[{"number":3,"digest":"0xba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"}]}"#;
        let issued: Issued = serde_json::from_str(json).unwrap();
        assert_eq!(issued.proofs[0].digest, crate::proof::digest("abc"));
        assert_eq!(serde_json::to_string(&issued).unwrap(), json);
    }
}
