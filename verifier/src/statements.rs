//! Proof text to what it states.
//!
//! A proof that the gateway is known to have issued costs a digest and its reading; any other its
//! signature check too, once: what was checked is remembered, and counts while the key that signed
//! it is published. The others are not: most proofs are asked about once, and remembering costs more
//! than reading.

use std::sync::Arc;

use alloy_primitives::B256;
use x402_schemas::proof::{self, MAX_LEN, ProofKeys};

use crate::{
    cache::{Cache, cache},
    issued::IssuedProofs,
    metrics::{ProofSource, VerifierMetrics},
    verdict::Statement,
};

/// Reads proofs, and remembers what those stated whose signatures it checked.
#[derive(Clone, Debug)]
pub(crate) struct Statements {
    checked: Cache<B256, Arc<Statement>>,
    issued: Arc<IssuedProofs>,
    metrics: Arc<VerifierMetrics>,
}

impl Statements {
    /// Remembers up to `capacity` proofs, and believes those of `issued` unchecked.
    pub(crate) fn new(
        capacity: u64,
        issued: Arc<IssuedProofs>,
        metrics: Arc<VerifierMetrics>,
    ) -> Self {
        Self {
            checked: cache(capacity),
            issued,
            metrics,
        }
    }

    /// What a proof states, if these keys' gateway says it; and whether its signature was checked,
    /// which takes long.
    pub(crate) fn read(&self, proof: &str, keys: &ProofKeys) -> (Option<Arc<Statement>>, bool) {
        if proof.len() > MAX_LEN {
            return (None, false);
        }
        let digest = proof::digest(proof);
        if let Some(statement) = self.checked.get(&digest) {
            self.metrics.count_proof(ProofSource::Memory);
            let counts = keys.has(&statement.kid);
            return (counts.then_some(statement), false);
        }
        let source = if self.issued.contains(&digest) {
            ProofSource::Digest
        } else {
            ProofSource::Signature
        };
        self.metrics.count_proof(source);
        let claims = match source {
            ProofSource::Digest => keys.read_issued(proof),
            ProofSource::Memory | ProofSource::Signature => keys.read(proof),
        };
        let statement = claims.and_then(|claims| {
            let kid = keys.named_key(proof)?;
            Ok(Arc::new(Statement::of(kid.to_owned(), claims)))
        });
        let statement = statement.ok();
        let was_checked = source == ProofSource::Signature;
        if let Some(statement) = statement.as_ref().filter(|_| was_checked) {
            self.checked.insert(digest, Arc::clone(statement));
        }
        (statement, was_checked)
    }

    /// How many are remembered.
    pub(crate) fn entries(&self) -> u64 {
        self.checked.entry_count()
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::jwk::JwkSet;
    use prometheus::Registry;
    use x402_schemas::{
        api::issued::{Issued, IssuedProof},
        proof::ProofSigner,
    };

    use super::*;
    use crate::samples;

    fn keys(signer: &ProofSigner) -> ProofKeys {
        ProofKeys::from_jwks(&JwkSet {
            keys: vec![signer.public_key().clone()],
        })
    }

    fn statements() -> (Statements, Arc<IssuedProofs>) {
        let metrics = Arc::new(VerifierMetrics::register(&Registry::new()).unwrap());
        let issued = Arc::new(IssuedProofs::new(10));
        (Statements::new(10, Arc::clone(&issued), metrics), issued)
    }

    fn publish(issued: &IssuedProofs, text: &str) {
        let digest = proof::digest(text);
        let proofs = vec![IssuedProof { number: 1, digest }];
        issued.accept(0, &Issued { newest: 1, proofs });
    }

    #[test]
    fn a_signature_is_checked_once() {
        let (statements, _) = statements();
        let signer = samples::signer(1);
        let text = signer.sign(&samples::claims(1, 1_700_000_000)).unwrap();
        let (first, checked) = statements.read(&text, &keys(&signer));
        assert!(first.is_some() && checked);
        let (second, checked) = statements.read(&text, &keys(&signer));
        assert!(Arc::ptr_eq(&first.unwrap(), &second.unwrap()) && !checked);
    }

    #[test]
    fn what_the_gateway_is_known_to_have_issued_is_not_checked() {
        let (statements, issued) = statements();
        let signer = samples::signer(1);
        let text = signer.sign(&samples::claims(1, 1_700_000_000)).unwrap();
        publish(&issued, &text);
        let (statement, checked) = statements.read(&text, &keys(&signer));
        assert_eq!(statement.unwrap().claims, samples::claims(1, 1_700_000_000));
        assert!(!checked);
    }

    #[test]
    fn neither_memory_nor_digest_outlives_the_key() {
        let (statements, issued) = statements();
        let (old, new) = (samples::signer(1), samples::signer(2));
        let [remembered, published] =
            [1, 2].map(|number| old.sign(&samples::claims(number, 1_700_000_000)).unwrap());
        assert!(statements.read(&remembered, &keys(&old)).0.is_some());
        publish(&issued, &published);
        for text in [remembered, published] {
            assert!(statements.read(&text, &keys(&new)).0.is_none());
        }
    }

    #[test]
    fn a_bad_proof_is_not_remembered_as_a_good_one() {
        let (statements, _) = statements();
        let (signer, stranger) = (samples::signer(1), samples::signer(2));
        let good = signer.sign(&samples::claims(1, 1_700_000_000)).unwrap();
        let forged = stranger.sign(&samples::claims(1, 1_700_000_000)).unwrap();
        assert!(statements.read(&good, &keys(&signer)).0.is_some());
        let changed = format!("{}A", &good[..good.len() - 1]);
        for text in [forged.as_str(), changed.as_str(), "", "a.b.c"] {
            for _ in 0..2 {
                let read = statements.read(text, &keys(&signer)).0;
                assert!(read.is_none() || text == good, "{text:.20}");
            }
        }
    }
}
