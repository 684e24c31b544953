//! Proof text to what it states.
//!
//! A proof that was remembered costs a digest; one that the gateway is known to have issued, a digest
//! and its reading; any other its signature check too, and it is remembered for that. Most proofs are
//! asked about once, and to remember one costs more than to read it: the others are remembered when
//! they are seen to be repeated. What is remembered counts only while the key that signed it is
//! published.

use std::sync::Arc;

use alloy_primitives::B256;
use x402_schemas::proof::{self, MAX_LEN, ProofKeys};

use crate::{
    cache::{Cache, cache},
    issued::IssuedProofs,
    metrics::{ProofSource, VerifierMetrics},
    verdict::Statement,
};

/// Reads proofs, and remembers what some of them stated.
#[derive(Clone, Debug)]
pub(crate) struct Statements {
    remembered: Cache<B256, Arc<Statement>>,
    issued: Arc<IssuedProofs>,
    metrics: Arc<VerifierMetrics>,
}

/// A proof that was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    /// What it states, if it is this gateway's.
    pub(crate) statement: Option<Arc<Statement>>,
    /// Whether its signature was checked, which takes long.
    pub(crate) signature_checked: bool,
    /// Its digest, while it is not remembered.
    unremembered: Option<B256>,
}

impl Statements {
    /// Remembers up to `capacity` proofs, and believes those of `issued` unchecked.
    pub(crate) fn new(
        capacity: u64,
        issued: Arc<IssuedProofs>,
        metrics: Arc<VerifierMetrics>,
    ) -> Self {
        Self {
            remembered: cache(capacity),
            issued,
            metrics,
        }
    }

    /// What a proof states, if these keys' gateway says it.
    pub(crate) fn read(&self, proof: &str, keys: &ProofKeys) -> Reading {
        if proof.len() > MAX_LEN {
            return Reading::default();
        }
        let digest = proof::digest(proof);
        if let Some(statement) = self.remembered.get(&digest) {
            self.metrics.count_proof(ProofSource::Memory);
            let counts = keys.has(&statement.kid);
            return Reading {
                statement: counts.then_some(statement),
                ..Reading::default()
            };
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
        let signature_checked = source == ProofSource::Signature;
        let mut reading = Reading {
            statement,
            signature_checked,
            unremembered: Some(digest),
        };
        if signature_checked {
            self.remember(&mut reading);
        }
        reading
    }

    /// Remembers what was read, for a proof that is likely to come again.
    pub(crate) fn remember(&self, reading: &mut Reading) {
        if let Some(statement) = &reading.statement
            && let Some(digest) = reading.unremembered.take()
        {
            self.remembered.insert(digest, Arc::clone(statement));
        }
    }

    /// How many are remembered.
    pub(crate) fn entries(&self) -> u64 {
        self.remembered.entry_count()
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
        let first = statements.read(&text, &keys(&signer));
        assert!(first.signature_checked);
        let second = statements.read(&text, &keys(&signer));
        assert!(!second.signature_checked);
        assert!(Arc::ptr_eq(
            &first.statement.unwrap(),
            &second.statement.unwrap()
        ));
    }

    #[test]
    fn what_the_gateway_is_known_to_have_issued_is_not_checked() {
        let (statements, issued) = statements();
        let signer = samples::signer(1);
        let text = signer.sign(&samples::claims(1, 1_700_000_000)).unwrap();
        publish(&issued, &text);
        let reading = statements.read(&text, &keys(&signer));
        assert!(!reading.signature_checked);
        let statement = reading.statement.unwrap();
        assert_eq!(statement.claims, samples::claims(1, 1_700_000_000));
    }

    #[test]
    fn a_proof_that_is_repeated_is_read_once_more_and_then_remembered() {
        let (statements, issued) = statements();
        let signer = samples::signer(1);
        let text = signer.sign(&samples::claims(1, 1_700_000_000)).unwrap();
        publish(&issued, &text);
        let [first, mut second] = [(); 2].map(|()| statements.read(&text, &keys(&signer)));
        assert!(!Arc::ptr_eq(
            &first.statement.unwrap(),
            second.statement.as_ref().unwrap()
        ));
        statements.remember(&mut second);
        let third = statements.read(&text, &keys(&signer));
        assert!(Arc::ptr_eq(
            &second.statement.unwrap(),
            &third.statement.unwrap()
        ));
    }

    #[test]
    fn neither_memory_nor_digest_outlives_the_key() {
        let (statements, issued) = statements();
        let (old, new) = (samples::signer(1), samples::signer(2));
        let [remembered, published] =
            [1, 2].map(|number| old.sign(&samples::claims(number, 1_700_000_000)).unwrap());
        assert!(
            statements
                .read(&remembered, &keys(&old))
                .statement
                .is_some()
        );
        publish(&issued, &published);
        for text in [remembered, published] {
            assert!(statements.read(&text, &keys(&new)).statement.is_none());
        }
    }

    #[test]
    fn a_bad_proof_is_not_remembered_as_a_good_one() {
        let (statements, _) = statements();
        let (signer, stranger) = (samples::signer(1), samples::signer(2));
        let good = signer.sign(&samples::claims(1, 1_700_000_000)).unwrap();
        let forged = stranger.sign(&samples::claims(1, 1_700_000_000)).unwrap();
        assert!(statements.read(&good, &keys(&signer)).statement.is_some());
        let changed = format!("{}A", &good[..good.len() - 1]);
        for text in [forged.as_str(), changed.as_str(), "", "a.b.c"] {
            for _ in 0..2 {
                let read = statements.read(text, &keys(&signer)).statement;
                assert!(read.is_none() || text == good, "{text:.20}");
            }
        }
    }
}
