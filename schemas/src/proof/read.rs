//! Reading proofs against the gateway's public keys.
//!
//! Only EdDSA with a known `kid` and the right `typ` is accepted, so a proof can never choose how it
//! is checked. Expiry is the caller's to judge, with the caller's clock.

use std::{collections::HashMap, fmt};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use thiserror::Error;

use super::{MAX_LEN, ProofClaims, TYPE, sign::header};

/// The gateway's public keys, ready for checking.
#[derive(Clone)]
pub struct ProofKeys {
    by_kid: HashMap<String, DecodingKey>,
    /// The header that our signer writes for each key, as it stands in a proof: the usual case is one
    /// comparison.
    usual_headers: HashMap<String, String>,
    validation: Validation,
}

/// Why a text is not a proof of this gateway.
#[derive(Debug, Error)]
pub enum ProofError {
    /// Longer than any proof.
    #[error("the proof is longer than {MAX_LEN} characters")]
    TooLong,
    /// Not a JWS of type `x402-proof+jwt` with EdDSA and a `kid`.
    #[error("the proof is not a compact JWS of type {TYPE} with EdDSA and a kid")]
    Malformed,
    /// Signed with a key that the JWKS does not have.
    #[error("the proof is signed with a key that this gateway does not publish")]
    UnknownKey,
    /// The signature does not fit, or the claims are not a proof's.
    #[error("the proof's signature or claims are wrong")]
    Invalid(#[source] jsonwebtoken::errors::Error),
}

impl ProofKeys {
    /// Takes the EdDSA keys with a `kid` out of a JWKS; others are not ours and are left out.
    pub fn from_jwks(jwks: &JwkSet) -> Self {
        let by_kid = jwks
            .keys
            .iter()
            .filter_map(|jwk| {
                let kid = jwk.common.key_id.clone()?;
                Some((kid, DecodingKey::from_jwk(jwk).ok()?))
            })
            .collect();
        let by_kid: HashMap<String, DecodingKey> = by_kid;
        let usual_headers = by_kid
            .keys()
            .filter_map(|kid| Some((usual_header(kid)?, kid.clone())))
            .collect();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        Self {
            by_kid,
            usual_headers,
            validation,
        }
    }

    /// Whether a key is published.
    pub fn has(&self, kid: &str) -> bool {
        self.by_kid.contains_key(kid)
    }

    /// The published key that a proof names, if its header is a proof's. Says nothing of who signed.
    pub fn named_key(&self, proof: &str) -> Result<&str, ProofError> {
        if proof.len() > MAX_LEN {
            return Err(ProofError::TooLong);
        }
        let (header, _) = proof.split_once('.').ok_or(ProofError::Malformed)?;
        if let Some(kid) = self.usual_headers.get(header) {
            return Ok(kid);
        }
        let header = decode_header(proof).map_err(|_| ProofError::Malformed)?;
        if header.typ.as_deref() != Some(TYPE) || header.alg != Algorithm::EdDSA {
            return Err(ProofError::Malformed);
        }
        let kid = header.kid.as_deref().ok_or(ProofError::Malformed)?;
        match self.by_kid.get_key_value(kid) {
            Some((kid, _)) => Ok(kid),
            None => Err(ProofError::UnknownKey),
        }
    }

    /// What a proof states that the gateway itself is known to have issued, byte for byte: everything
    /// is checked but the signature.
    pub fn read_issued(&self, proof: &str) -> Result<ProofClaims, ProofError> {
        self.named_key(proof)?;
        read_unchecked(proof)
    }

    /// Checks form and signature and returns what the proof states.
    pub fn read(&self, proof: &str) -> Result<ProofClaims, ProofError> {
        let kid = self.named_key(proof)?;
        let key = self.by_kid.get(kid).ok_or(ProofError::UnknownKey)?;
        decode(proof, key, &self.validation)
            .map(|token| token.claims)
            .map_err(ProofError::Invalid)
    }
}

fn usual_header(kid: &str) -> Option<String> {
    let json = serde_json::to_vec(&header(kid.to_owned())).ok()?;
    Some(URL_SAFE_NO_PAD.encode(json))
}

/// What a proof states, read without checking who says so. For finding out which invoice a proof
/// is meant for, never for believing it.
pub fn read_unchecked(proof: &str) -> Result<ProofClaims, ProofError> {
    if proof.len() > MAX_LEN {
        return Err(ProofError::TooLong);
    }
    jsonwebtoken::dangerous::insecure_decode_claims(proof).map_err(ProofError::Invalid)
}

impl fmt::Debug for ProofKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofKeys")
            .field("kids", &self.by_kid.keys())
            .finish_non_exhaustive()
    }
}
