//! Signing proofs with an Ed25519 key.

use std::fmt;

use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, PublicKeyUse, ThumbprintHash},
};

use super::{ProofClaims, TYPE};

/// PKCS #8 wrapping of a raw Ed25519 private key (RFC 8410 section 7).
const PKCS8_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// Signs proofs with one key.
pub struct ProofSigner {
    key: EncodingKey,
    header: Header,
    public: Jwk,
}

impl ProofSigner {
    /// The signer of a 32-byte Ed25519 seed. Its `kid` is the key's RFC 7638 thumbprint.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, jsonwebtoken::errors::Error> {
        let key = EncodingKey::from_ed_der(&[PKCS8_PREFIX.as_slice(), seed].concat());
        let mut public = Jwk::from_encoding_key(&key, Algorithm::EdDSA)?;
        let kid = public.thumbprint(ThumbprintHash::SHA256)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        let header = header(kid);
        Ok(Self {
            key,
            header,
            public,
        })
    }

    /// The compact JWS of these claims.
    pub fn sign(&self, claims: &ProofClaims) -> Result<String, jsonwebtoken::errors::Error> {
        encode(&self.header, claims, &self.key)
    }

    /// The public key, for the JWKS.
    pub const fn public_key(&self) -> &Jwk {
        &self.public
    }
}

/// The header of every proof that this key signs.
pub(super) fn header(kid: String) -> Header {
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(TYPE.to_owned());
    header.kid = Some(kid);
    header
}

impl fmt::Debug for ProofSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofSigner")
            .field("kid", &self.header.kid)
            .finish_non_exhaustive()
    }
}
